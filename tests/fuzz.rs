//! Files from strangers: known ones, changed in ways that are the same each time.
//!
//! `FUZZ_ROUNDS` asks for more changes of each file than the few hundred that every `cargo test` makes, see
//! `docs/testing.md`; what must hold of them is in `fuzz/bodies.rs`.

#[path = "../fuzz/bodies.rs"]
mod bodies;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Changes of each file.
fn rounds(usual: u64) -> u64 {
    std::env::var("FUZZ_ROUNDS").ok().map_or(usual, |rounds| rounds.parse().expect("FUZZ_ROUNDS is a number"))
}

/// Numbers at which something overflows, ends or begins.
const INTERESTING: [u32; 14] =
    [0, 1, 2, 3, 7, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x1_0000, 0x7fff_ffff, 0xffff_ffff];

/// One to four changes: bits, bytes, numbers in either order of bytes, pieces that are missing, doubled, or from elsewhere.
fn changed(rng: &mut ChaCha8Rng, file: &[u8], other: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    for _ in 0..rng.random_range(1..=4) {
        if file.is_empty() {
            break;
        }
        // Most of what decides is at the beginning.
        let end = if rng.random() { file.len() } else { file.len().min(200) };
        let at = rng.random_range(0..end);
        let length = rng.random_range(1..=64).min(file.len() - at);
        match rng.random_range(0..8) {
            0 => file[at] ^= 1 << rng.random_range(0..8),
            1 => file[at] = rng.random(),
            2 | 3 => {
                let number = INTERESTING[rng.random_range(0..INTERESTING.len())];
                let bytes = if rng.random() { number.to_le_bytes() } else { number.rotate_left(16).to_be_bytes() };
                let width = length.min([1, 2, 4][rng.random_range(0..3)]);
                file[at..at + width].copy_from_slice(&bytes[..width]);
            }
            4 => drop(file.drain(at..at + length)),
            5 => {
                let piece = file[at..at + length].to_vec();
                file.splice(at..at, piece);
            }
            6 if !other.is_empty() => {
                let from = rng.random_range(0..other.len());
                let piece = &other[from..(from + length).min(other.len())];
                file.splice(at..at + piece.len().min(file.len() - at), piece.iter().copied());
            }
            _ => file.truncate(at),
        }
    }
    file
}

/// Runs a body on every file as it is, and changed so many times; what it falls over stays in the temporary folder.
fn drive(name: &str, seed: u64, files: &[Vec<u8>], usual: u64, body: fn(&[u8])) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let run = |bytes: &[u8]| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(bytes))) {
            let path = std::env::temp_dir().join(format!("impasto-fuzz-{name}"));
            std::fs::write(&path, bytes).expect("room for a small file");
            eprintln!("the file is in {}", path.display());
            resume_unwind(panic);
        }
    };
    for file in files {
        run(file);
        for _ in 0..rounds(usual) {
            let other = &files[rng.random_range(0..files.len())];
            run(&changed(&mut rng, file, other));
        }
    }
    println!("{name}: {} files, each changed {} times", files.len(), rounds(usual));
}

/// One of every kind of picture there is.
fn pictures() -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pictures");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension != "json"));
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn no_picture_takes_the_program_down() {
    drive("picture", 1, &pictures(), 100, bodies::picture);
}

#[test]
fn no_mask_takes_the_program_down() {
    drive("mask", 5, &pictures(), 20, bodies::mask);
}

#[test]
fn no_weights_take_the_program_down() {
    drive("weights", 2, &[bodies::shallow_weights()], 400, bodies::weights);
}

#[test]
fn no_checkpoint_takes_the_program_down() {
    drive("checkpoint", 3, &bodies::checkpoints(), 100, bodies::checkpoint);
}

#[test]
fn no_file_of_presets_takes_the_program_down() {
    drive("presets", 4, &bodies::preset_files(), 300, bodies::presets);
}

#[test]
fn no_list_takes_the_program_down() {
    drive("list", 6, &bodies::lists(), 2000, bodies::list);
}

#[test]
fn no_pattern_of_names_takes_the_program_down() {
    drive("pattern", 7, &bodies::patterns(), 2000, bodies::pattern);
}

/// For libFuzzer, which does better with something to begin from: see `docs/testing.md`.
#[test]
#[ignore = "writes fuzz/corpus"]
fn corpus() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, files) in [
        ("weights", vec![bodies::shallow_weights()]),
        ("checkpoints", bodies::checkpoints()),
        ("presets", bodies::preset_files()),
        ("lists", bodies::lists()),
        ("patterns", bodies::patterns()),
    ] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        for (i, file) in files.iter().enumerate() {
            std::fs::write(folder.join(name).join(i.to_string()), file).unwrap();
        }
    }
}

//! What must hold of any bytes that come as a picture, as a mask, as weights, as a checkpoint, as presets or as a list: no
//! panic, no result that is none, and an error that names the file.
//!
//! One body serves two drivers: libFuzzer in `fuzz_targets`, which looks for new paths as long as it is let, and
//! `tests/fuzz.rs`, which changes known files in ways that are the same each time.

// Every target compiles this file and uses its own part of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use impasto::batch::names::place;
use impasto::batch::{List, Pattern};
use impasto::config::{File, Init, OptimizerKind, Scales, file};
use impasto::objective::{LayerWeight, Statistic};
use impasto::picture::Mask;
use impasto::state::Saved;
use impasto::transfer::checkpoint::{Digests, Header, digest};
use impasto::transfer::{Checkpoint, Inputs, Scale, Sizes};
use impasto::vgg::{Layer, Weights};
use impasto::{Config, Engine, Error, Picture, Preset, picture};
use safetensors::{Dtype, SafeTensors};
use tempfile::TempDir;

/// Larger pictures are refused by their headers, and would only take time.
const MAX_PIXELS: u64 = 1 << 18;

/// The largest run that is taken up: pixels of all its scales, and iterations.
const LARGEST: (usize, u32) = (4096, 1000);

/// A picture is read or refused; what is read is what [`Picture`] promises.
pub fn picture(bytes: &[u8]) {
    with_file(bytes, |path| match picture::load(path, MAX_PIXELS) {
        Ok(picture) => {
            let (height, width, channels) = picture.rgb.dim();
            assert!(height >= 16 && width >= 16 && channels == 3, "{height} × {width} × {channels}");
            assert!(height as u64 * width as u64 <= MAX_PIXELS);
            assert!(picture.rgb.iter().all(|v| (0.0..=1.0).contains(v)));
            if let Some(alpha) = &picture.alpha {
                assert_eq!(alpha.dim(), (height, width));
                assert!(alpha.iter().all(|v| (0.0..=1.0).contains(v)) && alpha.iter().any(|&v| v < 1.0));
            }
        }
        Err(error) => {
            assert!(matches!(error, Error::Picture { .. } | Error::Memory(_)), "{error:?}");
            names(&error, path);
        }
    });
}

/// A mask is read or refused; what is read is somewhere white, at its own size and at another.
pub fn mask(bytes: &[u8]) {
    with_file(bytes, |path| match Mask::load(path, MAX_PIXELS) {
        Ok(mask) => {
            let (height, width) = mask.values().dim();
            assert!(height as u64 * width as u64 <= MAX_PIXELS && !mask.is_black());
            assert!(mask.values().iter().all(|v| (0.0..=1.0).contains(v)));
            let smaller = mask.resize(height.div_ceil(3), width.div_ceil(2));
            assert!(smaller.as_slice().iter().all(|v| (0.0..=1.0).contains(v)));
        }
        Err(error) => {
            assert!(matches!(error, Error::Picture { .. } | Error::Memory(_)), "{error:?}");
            names(&error, path);
        }
    });
}

/// Weights are read or refused, as a whole and convolution by convolution; what is read is finite.
pub fn weights(bytes: &[u8]) {
    with_file(bytes, |path| {
        let refused = |error: Error| {
            assert!(matches!(error, Error::Weights { .. }), "{error:?}");
            names(&error, path);
        };
        let weights = match Weights::open(path) {
            Ok(weights) => weights,
            Err(error) => return refused(error),
        };
        weights.info().map(drop).unwrap_or_else(refused);
        for index in 0..3 {
            match weights.convolution(index) {
                Ok((weight, bias)) => assert!(weight.iter().chain(&bias).all(|v| v.is_finite())),
                Err(error) => refused(error),
            }
        }
    });
}

/// A checkpoint is read or refused. One that has been changed is refused by its digest; so it gets a new one, and the run
/// that it tells of goes on for a step, or is refused.
pub fn checkpoint(bytes: &[u8]) {
    with_file(bytes, |path| drop(read(path)));
    let Some(signed) = signed(bytes) else { return };
    with_file(&signed, |path| {
        let Some(checkpoint) = read(path) else { return };
        let Header { config, scales, .. } = &checkpoint.header;
        let styles =
            |scale: &Scale| scale.styles.iter().fold(0, |sum: usize, style| sum.saturating_add(style.0 * style.1));
        let pixels = scales.iter().map(|scale| scale.pixels().saturating_add(styles(scale)));
        let iterations = scales.iter().map(|scale| scale.iterations).fold(0, u32::saturating_add);
        let small = config.lbfgs_history <= 100 && iterations <= LARGEST.1;
        if !small || pixels.fold(0, usize::saturating_add) > LARGEST.0 {
            return;
        }
        let (engine, content, style) = engine();
        let sizes = [content, style].map(|picture| (picture.height(), picture.width()));
        engine.share(|| {
            let Ok(plan) = engine.plan_of(config, scales.clone(), &Sizes::new(sizes[0], sizes[1])) else { return };
            match engine.resume(&checkpoint, config, &plan, Inputs::new(config, &plan, content, style)) {
                Ok(mut run) => {
                    // What is not a number in the file is not one in the run, which says so.
                    assert!(matches!(run.step(), Ok(_) | Err(Error::Diverged { .. })));
                }
                Err(error) => assert!(matches!(error, Error::Checkpoint { .. } | Error::Weights { .. }), "{error:?}"),
            }
        });
    });
}

/// A file of presets is read or refused, and what it makes of any preset is a configuration that can run, or is refused;
/// such a configuration can be written as a file, and read again as it was.
pub fn presets(bytes: &[u8]) {
    with_file(bytes, |path| {
        let refused = |error: Error| {
            assert!(matches!(error, Error::Usage(_)), "{error:?}");
            names(&error, path);
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
        };
        let given = match File::read(path) {
            Ok(given) => given,
            Err(error) => return refused(error),
        };
        for preset in Preset::ALL {
            let mut config = preset.config();
            if let Err(error) = given.apply(&mut config) {
                refused(error);
                continue;
            }
            config.validate().expect("what was applied was checked");
            let again = File::parse(path, &file::toml(&config, |_| None)).expect("what was written");
            let mut read = again.preset().expect("the first line").config();
            again.apply(&mut read).expect("what was valid");
            // A name that is also a word is written as a path.
            if matches!((&read.init, &config.init), (Init::File(read), Init::File(given)) if read.ends_with(given)) {
                read.init = config.init.clone();
            }
            assert_eq!(read, config);
        }
    });
}

/// A list is read or refused, as either kind; what is read names two files in every line, and an output within its folder,
/// and makes of a preset a configuration that can run, or is refused.
pub fn list(bytes: &[u8]) {
    for name in ["l.csv", "l.jsonl"] {
        let path = Path::new(name);
        let list = match List::parse(path, bytes) {
            Ok(list) => list,
            Err(error) => {
                assert!(matches!(error, Error::Usage(_)), "{error:?}");
                names(&error, path);
                assert_eq!(error.to_string().lines().count(), 1, "{error}");
                continue;
            }
        };
        assert!(!list.entries.is_empty());
        for entry in &list.entries {
            assert!(!entry.content.as_os_str().is_empty() && !entry.style.as_os_str().is_empty());
            let inside = |part| matches!(part, Component::Normal(_));
            assert!(entry.output.iter().all(|output| output.components().all(inside)), "{entry:?}");
            let mut config = entry.preset.unwrap_or(Preset::Default).config();
            list.apply(entry, &mut config).expect("what was read was tried");
            drop(config.validate());
        }
    }
}

/// A pattern of names is understood or refused; what it makes of two pictures is a name within the folder.
pub fn pattern(bytes: &[u8]) {
    let Some(pattern) = std::str::from_utf8(bytes).ok().and_then(|text| Pattern::parse(text).ok()) else { return };
    place(&pattern.expand("content", "style", 1)).expect("a name within the folder");
}

/// Lists of both kinds.
pub fn lists() -> Vec<Vec<u8>> {
    let csv = "content,style,output,preset,content-weight,style-layer\na.jpg,b.jpg,,fast,,\n\
               \"c, d.jpg\",/b.jpg,x/o.png,,1e-2,\"relu1_1:0.5,relu2_1\"\n";
    let json = "{\"content\": \"a.jpg\", \"style\": \"b.jpg\", \"size\": 64, \"match-result\": false}\n\n\
                {\"content\": \"c\", \"style\": \"d\", \"output\": \"o.png\", \"style-layer\": [\"relu1_1\"], \"preset\": null}\n";
    [csv, json].map(|text| text.as_bytes().to_vec()).into()
}

/// Patterns of names.
pub fn patterns() -> Vec<Vec<u8>> {
    ["{content}-{style}.png", "{style}/{number}{{x}}", "a/./b.jpg"].map(|text| text.as_bytes().to_vec()).into()
}

/// Files of presets: all of them, and one in other words.
pub fn preset_files() -> Vec<Vec<u8>> {
    let text = "# mine\npreset = 'fast'\ncontent-weight = 1e-2\nstyle-layer = [\"relu1_1:0.5\", 'relu3_1']\n\
                match-result = false\nscales = '64:3,128:2'\ninit = 'blend:0.3'\nmax-memory = '2G'\nuntil = '0.1%'\n";
    let presets = Preset::ALL.map(|preset| file::toml(&preset.config(), |name| Some(name.to_owned())).into_bytes());
    presets.into_iter().chain([text.as_bytes().to_vec()]).collect()
}

fn read(path: &Path) -> Option<Checkpoint> {
    let error = match Checkpoint::read(path) {
        Ok(checkpoint) => return Some(checkpoint),
        Err(error) => error,
    };
    assert!(matches!(error, Error::Checkpoint { .. }), "{error:?}");
    names(&error, path);
    None
}

/// The same arrays and notes with the digest that belongs to them, if that is what the bytes are.
fn signed(bytes: &[u8]) -> Option<Vec<u8>> {
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    let file = SafeTensors::deserialize(bytes).ok()?;
    let mut notes: BTreeMap<String, String> = header.metadata().clone()?.into_iter().collect();
    notes.remove("sha256");
    let arrays: Vec<_> = file.tensors().into_iter().map(|(name, view)| (name, Array::new(&view))).collect();
    let mut saved = Saved::default();
    for (name, array) in &arrays {
        match array {
            Array::F32(shape, values) => saved.array(name, shape, values),
            Array::F64(shape, values) => saved.array(name, shape, values),
            Array::U8(shape, values) => saved.array(name, shape, values),
            Array::Other => return None,
        }
    }
    saved.to_bytes(&notes.iter().map(|(name, note)| (name.as_str(), note.clone())).collect()).ok()
}

/// An array of one of the types that a checkpoint has.
enum Array {
    F32(Vec<usize>, Vec<f32>),
    F64(Vec<usize>, Vec<f64>),
    U8(Vec<usize>, Vec<u8>),
    Other,
}

impl Array {
    fn new(view: &safetensors::tensor::TensorView<'_>) -> Self {
        let (shape, bytes) = (view.shape().to_vec(), view.data());
        match view.dtype() {
            Dtype::F32 => Array::F32(shape, bytemuck::pod_collect_to_vec(bytes)),
            Dtype::F64 => Array::F64(shape, bytemuck::pod_collect_to_vec(bytes)),
            Dtype::U8 => Array::U8(shape, bytes.to_vec()),
            _ => Array::Other,
        }
    }
}

/// Weights of the first two convolutions alone: small, and enough for relu1_2.
pub fn shallow_weights() -> Vec<u8> {
    let mut arrays = Vec::new();
    for (number, inputs) in [(0, 3), (2, 64)] {
        let value = |i: usize| ((i * 37 % 257) as f32 / 128.0 - 1.0) / (9 * inputs) as f32;
        let values = |count: usize| (0..count).map(value).collect::<Vec<_>>();
        arrays.push((format!("features.{number}.weight"), vec![64, inputs, 3, 3], values(64 * inputs * 9)));
        arrays.push((format!("features.{number}.bias"), vec![64], values(64)));
    }
    let views = arrays.iter().map(|(name, shape, values)| {
        let bytes = bytemuck::cast_slice(values);
        (name, safetensors::tensor::TensorView::new(Dtype::F32, shape.clone(), bytes).expect("numbers for the shape"))
    });
    safetensors::serialize(views, None).expect("a small file")
}

/// Checkpoints of runs with either optimiser and with transports, each after some steps.
pub fn checkpoints() -> Vec<Vec<u8>> {
    let (engine, content, style) = engine();
    let layer = |layer| LayerWeight { layer, weight: 1.0 };
    let kinds = [
        (OptimizerKind::Adam, Statistic::Gram, Preset::Paper),
        (OptimizerKind::Adam, Statistic::Wasserstein, Preset::Fast),
        (OptimizerKind::Lbfgs, Statistic::Gram, Preset::Paper),
    ];
    let make = |(optimizer, statistic, preset): (OptimizerKind, Statistic, Preset)| {
        let config = Config {
            optimizer,
            statistic,
            scales: Scales::Single(5),
            size: 16,
            content_layers: vec![layer(Layer::relu(1, 2))],
            style_layers: vec![layer(Layer::relu(1, 1))],
            ..preset.config()
        };
        let path = tempfile::NamedTempFile::new().expect("a temporary file");
        engine.share(|| {
            let plan = engine.plan(&config, content, style).expect("a small run");
            let inputs = Inputs::new(&config, &plan, content, style);
            let mut run = engine.begin(&config, &plan, inputs).expect("a small run");
            for _ in 0..3 {
                run.step().expect("a step");
            }
            let weights = engine.weights_digest().expect("weights");
            let styles = vec![(1.0, digest(style))];
            let digests = Digests { content: digest(content), styles, masks: Vec::new(), weights };
            let header = Header::new(&run, &config, &plan, digests);
            Checkpoint::write(path.path(), &header, "{}".into(), &run).expect("a checkpoint");
        });
        std::fs::read(path.path()).expect("what was written")
    };
    kinds.map(make).into()
}

fn engine() -> (&'static Engine, &'static Picture, &'static Picture) {
    static ENGINE: OnceLock<(Engine, Picture, Picture, TempDir)> = OnceLock::new();
    let (engine, content, style, _) = ENGINE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("weights.safetensors");
        std::fs::write(&path, shallow_weights()).expect("a small file");
        let engine = Engine::new(Some(&path), 1, NonZeroUsize::MIN).expect("an engine");
        let waves = |a: usize| {
            Picture::from_rgb(ndarray::Array3::from_shape_fn((16, 16, 3), |(y, x, c)| {
                ((y * a + x * (c + 1)) % 16) as f32 / 15.0
            }))
        };
        (engine, waves(3), waves(5), folder)
    });
    (engine, content, style)
}

/// An error is for people: it names the file.
fn names(error: &Error, path: &Path) {
    let text = error.to_string();
    assert!(text.contains(&*path.to_string_lossy()), "{text}");
}

/// Puts bytes into a file, the same in each call of a thread.
fn with_file(bytes: &[u8], work: impl FnOnce(&Path)) {
    thread_local! {
        static PLACE: (PathBuf, TempDir) = {
            let folder = tempfile::tempdir().expect("a temporary folder");
            (folder.path().join("input"), folder)
        };
    }
    PLACE.with(|(path, _)| {
        std::fs::write(path, bytes).expect("room for a small file");
        work(path);
    });
}

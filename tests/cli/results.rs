//! What a run leaves behind when all is well.

use std::path::Path;

use image::{ColorType, GenericImageView, ImageFormat};
use impasto::config::{Config, Preset, Tone};

use crate::support::{Folder, WEIGHTS, WEIGHTS_FILE, impasto, picture, printed, trace};

#[test]
fn every_output_format_is_written_and_can_be_read_again() {
    let folder = Folder::new();
    for name in ["a.png", "b.jpg", "c.JPEG", "d.webp", "e.tif", "f.tiff"] {
        folder.stylize("rgb.png", name).assert().success();
        let bytes = std::fs::read(folder.path(name)).unwrap();
        assert_eq!(image::guess_format(&bytes).unwrap(), ImageFormat::from_path(name).unwrap(), "{name}");
        assert_eq!(image::open(folder.path(name)).unwrap().dimensions(), (32, 24), "{name}");
    }
    assert_eq!(folder.names().len(), 6);
}

#[test]
fn the_result_differs_from_the_content_and_its_loss_falls() {
    let folder = Folder::new();
    folder.stylize("rgb.png", "o.png").args(["--iterations=8", "--trace=t"]).args(["--init=noise"]).assert().success();
    let lines = trace(&folder.path("t"));
    let total = |i: usize| lines[i]["total"].as_f64().unwrap();
    assert!(total(9) < total(1), "{} {}", total(1), total(9));
    let pixels = |path| image::open(path).unwrap().to_rgb8();
    assert_ne!(pixels(folder.path("o.png")), pixels(picture("rgb.png")));
}

#[test]
fn without_a_name_the_result_lies_beside_the_content_picture() {
    let folder = Folder::new();
    let content = folder.file("photo.png", std::fs::read(picture("rgb.png")).unwrap());
    let mut command = impasto(["stylize", "--preset=paper", "--size=0", "--style-size=0", "--iterations=1"]);
    command.args(WEIGHTS).arg(content).arg(picture("colour.bmp")).assert().success();
    assert_eq!(folder.names(), ["photo-colour.png", "photo.png"]);
}

#[test]
fn a_name_of_our_own_choice_replaces_nothing_unless_told_to() {
    let folder = Folder::new();
    folder.file("rgb-colour.png", "earlier");
    folder.stylize("rgb.png", "").assert().success();
    assert_eq!(folder.names(), ["rgb-colour-2.png", "rgb-colour.png"]);
    assert_eq!(std::fs::read_to_string(folder.path("rgb-colour.png")).unwrap(), "earlier");
    folder.stylize("rgb.png", "").arg("--overwrite").assert().success();
    assert_eq!(folder.names(), ["rgb-colour-2.png", "rgb-colour.png"]);
    image::open(folder.path("rgb-colour.png")).unwrap();

    folder.file("o-0002.png", "earlier");
    folder.stylize("rgb.png", "o.png").args(["--iterations=2", "--save-every=1"]).assert().success();
    assert_eq!(std::fs::read_to_string(folder.path("o-0002.png")).unwrap(), "earlier");
    image::open(folder.path("o-2-0002.png")).unwrap();
    folder.stylize("rgb.png", "o.png").args(["--iterations=2", "--save-every=2", "--overwrite"]).assert().success();
    image::open(folder.path("o-0002.png")).unwrap();
}

#[test]
#[cfg(unix)]
fn a_picture_that_cannot_be_written_where_it_belongs_is_written_elsewhere() {
    let folder = Folder::new();
    let gone = folder.path("gone");
    std::fs::create_dir(&gone).unwrap();
    let content = folder.file("photo.png", std::fs::read(picture("rgb.png")).unwrap());
    let mut run = std::process::Command::new(crate::support::PROGRAM);
    run.arg("stylize").args([&content, &picture("colour.bmp")]).arg("-o").arg(gone.join("o.png"));
    run.args(crate::support::SMALL_RUN).args(["--iterations=100000000", "-q"]).arg("--trace").arg(folder.path("t"));
    let mut run = run.stderr(std::process::Stdio::piped()).spawn().unwrap();
    while std::fs::read_to_string(folder.path("t")).unwrap_or_default().lines().count() < 2 {
        assert!(run.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    std::fs::remove_dir(&gone).unwrap();
    let kill = format!("kill -TERM {}", run.id());
    assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let output = run.wait_with_output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("gone/o.png: cannot be written") && message.contains("the picture is in"), "{message}");
    image::open(folder.path("o.png")).unwrap();
}

#[test]
fn grey_cmyk_and_sixteen_bit_pictures_become_colour_pictures() {
    let folder = Folder::new();
    for content in ["grey.png", "grey.jpg", "bilevel.png", "cmyk.jpg", "cmyk-profile.jpg", "sixteen.png", "palette.png"]
    {
        folder.stylize(content, "o.png").assert().success();
        let result = image::open(folder.path("o.png")).unwrap();
        assert_eq!((result.color(), result.dimensions()), (ColorType::Rgb8, (32, 24)), "{content}");
    }
}

#[test]
fn sixteen_bits_are_written_on_demand() {
    let folder = Folder::new();
    for name in ["o.png", "o.tiff"] {
        folder.stylize("sixteen.png", name).arg("--bits=16").assert().success();
        let result = image::open(folder.path(name)).unwrap();
        assert_eq!(result.color(), ColorType::Rgb16);
        // 8 bits have every 257th of these values.
        let between = result.to_rgb16().iter().filter(|value| *value % 257 != 0).count();
        assert!(between > 32 * 24, "{name}: {between} of {} values", 32 * 24 * 3);
    }
    folder.stylize("sixteen.png", "o.png").assert().success();
    assert_eq!(image::open(folder.path("o.png")).unwrap().color(), ColorType::Rgb8);
}

#[test]
fn opacity_is_carried_over() {
    let folder = Folder::new();
    folder.stylize("alpha.png", "o.png").assert().success();
    let alpha = |path| image::open(path).unwrap().to_rgba8().pixels().map(|p| p.0[3]).collect::<Vec<_>>();
    let (found, expected) = (alpha(folder.path("o.png")), alpha(picture("alpha.png")));
    assert!(expected.iter().any(|opacity| (1..255).contains(opacity)), "there is something to carry over");
    assert_eq!(found, expected);
}

#[test]
fn a_photograph_taken_sideways_is_turned() {
    // The same pixels as in rgb.png, with the note that they are to be turned clockwise.
    let turned = start("orientation-6.png", "content", 1);
    let upright = image::open(picture("rgb.png")).unwrap().to_rgb8();
    let apart = |expected: image::RgbImage| {
        assert_eq!(expected.dimensions(), (24, 32));
        mean(turned.iter().zip(expected.iter()).map(|(a, &b)| (a - f32::from(b) / 255.0).abs()))
    };
    assert!(apart(image::imageops::rotate90(&upright)) < 1e-4);
    assert!(apart(image::imageops::rotate270(&upright)) > 0.01);
    let folder = Folder::new();
    folder.stylize("orientation-6.jpg", "o.png").assert().success();
    assert_eq!(image::open(folder.path("o.png")).unwrap().dimensions(), (24, 32));
}

#[test]
fn size_is_the_longest_side_of_the_result() {
    let folder = Folder::new();
    folder.stylize("rgb.png", "o.png").args(["--size", "48"]).assert().success();
    assert_eq!(image::open(folder.path("o.png")).unwrap().dimensions(), (48, 36));
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let folder = Folder::new();
    folder.stylize("rgb.png", "1.png").args(["--iterations=4", "--threads=1"]).assert().success();
    folder.stylize("rgb.png", "2.png").args(["--iterations=4", "--threads=2"]).assert().success();
    assert!(std::fs::read(folder.path("1.png")).unwrap() == std::fs::read(folder.path("2.png")).unwrap());
}

#[test]
fn explicit_options_win_over_the_preset_in_any_order() {
    let folder = Folder::new();
    let orders =
        [["--preset=paper", "--iterations=3", "--tv-weight=0"], ["--tv-weight=0", "--iterations=3", "--preset=paper"]];
    let results = orders.map(|order| {
        let mut command = impasto(["stylize", "--size=0", "--style-size=0", "--trace=t"]);
        command.current_dir(folder.path("")).args(order).args(WEIGHTS);
        command.arg(picture("rgb.png")).arg(picture("colour.bmp")).arg("-oo.png").assert().success();
        let config = trace(&folder.path("t"))[0]["config"].clone();
        (config, std::fs::read(folder.path("o.png")).unwrap())
    });
    assert!(results[0] == results[1]);
    assert_eq!(results[0].0["iterations"], 3);
    assert_eq!(results[0].0["tv_weight"], 0.0);
}

#[test]
fn the_trace_has_the_configuration_a_line_per_iteration_and_the_end() {
    let folder = Folder::new();
    folder.stylize("rgb.png", "o.png").args(["--iterations=3", "--trace=t.jsonl"]).assert().success();
    let lines = trace(&folder.path("t.jsonl"));
    assert_eq!(lines.len(), 5);
    let config = Config {
        size: 0,
        style_size: Some(0),
        iterations: Some(3),
        seed: 1,
        threads: 1,
        tone: Tone::Off,
        weights: (!WEIGHTS.is_empty()).then(|| WEIGHTS_FILE.into()),
        ..Preset::Paper.config()
    };
    assert_eq!(lines[0]["config"], serde_json::to_value(&config).unwrap());
    assert_eq!(lines[0]["impasto"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&lines[0]["content"]["width"], &lines[0]["content"]["height"]), (&32.into(), &24.into()));
    for (line, iteration) in lines[1..].iter().zip(1..) {
        assert_eq!(line["iteration"], iteration);
        assert_eq!(line.get("final").is_some(), iteration == 4);
        let number = |name: &str| line[name].as_f64().unwrap();
        let total = config.content_weight * number("content")
            + config.style_weight * number("style")
            + config.tv_weight * number("tv");
        // The same three products summed in another order: a few roundings of f64.
        assert!((total - number("total")).abs() <= 1e-12 * total, "{line}");
        let style: f64 = config.style_layers.iter().map(|l| l.weight * layer(line, &l.layer.to_string())).sum();
        assert!((style - number("style")).abs() <= 1e-12 * style, "{line}");
        assert!(number("seconds") >= 0.0);
    }
}

fn layer(line: &serde_json::Value, name: &str) -> f64 {
    line["layers"][name].as_f64().unwrap()
}

#[test]
fn pictures_are_saved_on_the_way_in_the_same_format() {
    let folder = Folder::new();
    folder.stylize("rgb.png", "o.jpg").args(["--iterations=5", "--save-every=2"]).assert().success();
    assert_eq!(folder.names(), ["o-0002.jpg", "o-0004.jpg", "o.jpg"]);
    assert_eq!(image::open(folder.path("o-0004.jpg")).unwrap().dimensions(), (32, 24));
    let pictures = folder.names().into_iter().map(|name| std::fs::read(folder.path(&name)).unwrap());
    let pictures: Vec<_> = pictures.collect();
    assert!(pictures.iter().all(|bytes| image::guess_format(bytes).unwrap() == ImageFormat::Jpeg));
    assert!(pictures[0] != pictures[1] && pictures[1] != pictures[2], "each is of its own iteration");
}

#[test]
fn a_picture_on_the_way_that_cannot_be_saved_costs_the_exit_code_but_not_the_result() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("o-0001.png")).unwrap();
    let assert = folder.stylize("rgb.png", "o.png").arg("--save-every=1").assert().code(1);
    let message = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(message.contains("warning: ") && message.contains("o-0001.png"), "{message}");
    image::open(folder.path("o.png")).unwrap();
}

/// Where a run starts: the result of one step so small that 16 bits do not show it.
fn start(content: &str, init: &str, seed: u32) -> Vec<f32> {
    let folder = Folder::new();
    let mut command = folder.stylize(content, "o.png");
    command.args(["--iterations=1", "--learning-rate=1e-7", "--bits=16", "--init", init]);
    command.arg(format!("--seed={seed}")).assert().success();
    load(folder.path("o.png"))
}

/// All values of a picture file, in [0, 1].
fn load(path: impl AsRef<Path>) -> Vec<f32> {
    impasto::picture::load(path.as_ref(), u64::MAX).unwrap().rgb.into_iter().collect()
}

fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    sum / count as f32
}

#[test]
fn a_run_may_start_from_noise_which_is_the_seeds_alone() {
    let noise = start("rgb.png", "noise", 1);
    assert!(noise == start("rgb.png", "noise", 1), "the same seed");
    assert!(noise != start("rgb.png", "noise", 2), "another seed");
    assert!(noise == start("grey.png", "noise", 1), "another content picture of that size");
    assert!(noise != load(picture("rgb.png")) && noise != start("rgb.png", "content", 1));
    // Uniform, and neighbours independent: mean 1/2, variance 1/12, mean difference 1/3. Of 2304 numbers these are within
    // 0.006, 0.002 and 0.006 in two of three cases; here within four times that.
    let (centre, variance) = (mean(noise.iter().copied()), mean(noise.iter().map(|v| (v - 0.5).powi(2))));
    let difference = mean(noise.iter().zip(&noise[3..]).map(|(a, b)| (a - b).abs()));
    assert!((centre - 0.5).abs() < 0.024, "mean {centre}");
    assert!((variance - 1.0 / 12.0).abs() < 0.008, "variance {variance}");
    assert!((difference - 1.0 / 3.0).abs() < 0.024, "difference of neighbours {difference}");
}

#[test]
fn a_blend_starts_between_the_photograph_and_the_noise() {
    let (content, noise) = (load(picture("rgb.png")), start("rgb.png", "noise", 1));
    let apart = |share: &str, weight: f32| {
        let blend = start("rgb.png", &format!("blend:{share}"), 1);
        let expected = content.iter().zip(&noise).map(|(content, noise)| content + weight * (noise - content));
        blend.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    // Half a step of 16 bits, and the step of 1e-7.
    for (share, weight) in [("0", 0.0), ("0.3", 0.3), ("1", 1.0)] {
        assert!(apart(share, weight) < 3e-5, "{share}: {}", apart(share, weight));
    }
}

#[test]
fn a_scale_whose_loss_has_settled_ends() {
    let folder = Folder::new();
    let settled = |flags: &[&str], name: &str| {
        let mut command = folder.stylize("rgb.png", name);
        command.args(["--iterations=100", "--until=90%", "--trace=t"]).args(flags).assert().success();
        (trace(&folder.path("t")).len(), std::fs::read(folder.path(name)).unwrap())
    };
    // A header, two means of ten, and the last measurement.
    let (lines, bytes) = settled(&[], "a.png");
    assert_eq!(lines, 22);
    assert!(settled(&["--threads=2"], "b.png") == (lines, bytes));
    assert_eq!(trace(&folder.path("t"))[21]["final"], true);
}

#[test]
fn a_run_may_start_from_a_picture_whatever_the_seed() {
    let file = picture("display-p3.png");
    let from = start("rgb.png", file.to_str().unwrap(), 1);
    assert!(from == start("rgb.png", file.to_str().unwrap(), 2));
    let largest = from.iter().zip(load(file)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // Half a step of 16 bits, and the step of 1e-7.
    assert!(largest < 1e-5, "{largest}");
    assert!(from != start("rgb.png", "content", 1));
}

#[test]
fn at_the_end_stand_the_papers_table_the_path_and_the_time() {
    let folder = Folder::new();
    let mut command = folder.stylize("rgb.png", "o.png");
    command.arg("--iterations=11");
    let text = printed(command);
    let first_words: Vec<_> = text.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    let path = folder.path("o.png");
    assert_eq!(first_words, ["iteration", "1", "10", "end", path.to_str().unwrap()]);
    let closing = text.lines().last().unwrap();
    assert!(closing.contains("32×24  11 iterations") && closing.ends_with('s'), "{closing}");
}

#[test]
fn the_default_preset_works_through_its_scales() {
    let folder = Folder::new();
    let mut command = impasto(["stylize", "--iterations=6", "--size=192", "--trace=t"]);
    command.current_dir(folder.path("")).arg(picture("rgb.png")).arg(picture("colour.bmp")).arg("-oo.png");
    command.args(WEIGHTS).assert().success();
    let lines = trace(&folder.path("t"));
    assert_eq!((lines.len(), &lines[7]["width"]), (8, &192.into()));
    let widths: Vec<u64> = lines[1..].iter().map(|line| line["width"].as_u64().unwrap()).collect();
    assert!(widths[0] < 192 && widths.is_sorted(), "{widths:?}");
}

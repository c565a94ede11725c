//! Several styles on the command line: files and folders with their weights.

use crate::support::{Folder, SMALL_RUN, impasto, misunderstood, picture, refused, trace};

/// A folder with the pictures `photo.png`, `a.bmp`, `b.png`, and in `art` two more and a letter.
fn gallery() -> Folder {
    let folder = Folder::new();
    let copy = |from: &str, to: &str| {
        std::fs::copy(picture(from), folder.path(to)).unwrap();
    };
    std::fs::create_dir(folder.path("art")).unwrap();
    std::fs::create_dir(folder.path("empty")).unwrap();
    for (from, to) in [("rgb.png", "photo.png"), ("colour.bmp", "a.bmp"), ("display-p3.png", "b.png")] {
        copy(from, to);
    }
    copy("colour.bmp", "art/1.bmp");
    copy("display-p3.png", "art/2.PNG");
    folder.file("art/letter.txt", "Dear reader,");
    folder
}

fn run(folder: &Folder, arguments: &[&str]) -> assert_cmd::Command {
    let mut command = impasto(["stylize", "photo.png"]);
    command.args(SMALL_RUN).args(["--init=matched", "--tone=style", "--match-result=on"]).args(arguments);
    command.current_dir(folder.path(""));
    command
}

/// The picture that a run makes.
fn made(folder: &Folder, arguments: &[&str]) -> Vec<f32> {
    run(folder, arguments).args(["-oo.png", "--overwrite"]).assert().success();
    impasto::picture::load(&folder.path("o.png"), u64::MAX).unwrap().rgb.into_iter().collect()
}

#[test]
fn styles_may_be_given_in_any_of_their_places() {
    let folder = gallery();
    let alone = made(&folder, &["a.bmp"]);
    assert!(alone == made(&folder, &["--style=a.bmp"]));
    assert!(alone == made(&folder, &["--style=a.bmp:7"]));
    assert!(alone == made(&folder, &["a.bmp", "--style", "a.bmp:0.5"]));
    let both = made(&folder, &["--style=a.bmp:1", "--style=b.png:3"]);
    assert!(both != alone && both != made(&folder, &["b.png"]));
    assert!(both == made(&folder, &["a.bmp", "--style=b.png:3"]));
    // The pictures of a folder share its weight.
    let quarters = made(&folder, &["--style=a.bmp:2", "--style=b.png:1", "--style=b.png:1"]);
    assert!(quarters == made(&folder, &["--style=a.bmp", "--style=b.png"]));
    assert!(made(&folder, &["art"]) == made(&folder, &["--style=a.bmp", "--style=b.png"]));
    assert!(
        made(&folder, &["--style=art:2", "--style=b.png:2"]) == made(&folder, &["--style=a.bmp:1", "--style=b.png:3"])
    );
}

#[test]
fn larger_strokes_are_another_picture_and_a_name_may_have_colons() {
    let folder = gallery();
    let usual = made(&folder, &["a.bmp"]);
    assert!(usual == made(&folder, &["a.bmp", "--style-scale=1"]));
    assert!(usual != made(&folder, &["a.bmp", "--style-scale=1.5"]));
    std::fs::rename(folder.path("a.bmp"), folder.path("12:30.bmp")).unwrap();
    assert!(usual == made(&folder, &["--style=12:30.bmp"]));
    std::fs::rename(folder.path("12:30.bmp"), folder.path("12:30")).unwrap();
    assert!(usual == made(&folder, &["--style=12:30:1"]));
    assert!(usual == made(&folder, &["12:30"]));
}

#[test]
fn every_style_is_in_the_name_the_trace_the_recipe_and_what_is_said() {
    let folder = gallery();
    let mut command = run(&folder, &["--style=a.bmp:0.5", "--style=art:1.5", "--trace=t", "-v"]);
    let said = String::from_utf8(command.assert().success().get_output().stderr.clone()).unwrap();
    for words in ["a.bmp 32×24, 25.0 %", "2.PNG 32×24, 37.5 %", "style-scale", "style 32×24 and 2 more"] {
        assert!(said.contains(words), "{words} in {said}");
    }
    let header = &trace(&folder.path("t"))[0];
    let styles = header["styles"].as_array().unwrap();
    let weights: Vec<f64> = styles.iter().map(|style| style["weight"].as_f64().unwrap()).collect();
    assert_eq!((weights, &styles[1]["path"]), (vec![0.5, 0.75, 0.75], &"art/1.bmp".into()));
    let bytes = std::fs::read(folder.path("photo-a-art.png")).unwrap();
    let recipe = b"stylize photo.png --style a.bmp:0.5 --style 1.bmp:0.75 --style 2.PNG:0.75 {";
    assert!(bytes.windows(recipe.len()).any(|window| window == recipe));
}

#[test]
fn a_plan_counts_every_style() {
    let folder = gallery();
    let plan = |styles: &[&str]| -> serde_json::Value {
        let mut command = impasto(["plan", "photo.png"]);
        command.args(SMALL_RUN).args(styles).arg("--json").current_dir(folder.path(""));
        serde_json::from_slice(&command.assert().success().get_output().stdout).unwrap()
    };
    let (one, three) = (plan(&["a.bmp"]), plan(&["a.bmp", "--style=art:0.5"]));
    assert_eq!(one["styles"].as_array().unwrap().len(), 1);
    assert_eq!(three["styles"][2]["weight"], 0.25);
    assert_eq!(three["scales"][0]["styles"].as_array().unwrap().len(), 3);
    assert!(three["peak_bytes"].as_u64() > one["peak_bytes"].as_u64());
}

#[test]
fn a_run_with_several_styles_goes_on_from_anywhere_unless_one_has_changed() {
    let folder = gallery();
    let flags = ["--style=art", "--style=a.bmp:0.5", "-oo.png", "--iterations=4"];
    run(&folder, &flags).assert().success();
    let whole = std::fs::read(folder.path("o.png")).unwrap();
    run(&folder, &flags).args(["--checkpoint=c", "--overwrite"]).assert().success();
    std::fs::remove_file(folder.path("o.png")).unwrap();
    // What a folder holds was decided when the run began.
    std::fs::copy(picture("grey.png"), folder.path("art/0.png")).unwrap();
    let resume = |flag: &str| impasto(["resume", folder.path("c").to_str().unwrap(), flag]).assert();
    resume("-q").success();
    assert!(std::fs::read(folder.path("o.png")).unwrap() == whole);
    std::fs::copy(picture("grey.png"), folder.path("art/2.PNG")).unwrap();
    let words = ["one of the style pictures has changed", "bring the earlier file back"];
    refused(resume("--iterations=1"), 7, &words);
}

#[test]
fn what_cannot_be_a_style_is_refused_and_none_is_written_over() {
    let folder = gallery();
    let before = folder.names();
    let usage = |arguments: &[&str], words: &[&str]| refused(run(&folder, arguments).assert(), 2, words);
    usage(&["--style=a.bmp:0", "-oo.png"], &["--style a.bmp:0", "above 0, or leave it out"]);
    usage(&["--style=a.bmp:1", "--style=b.png:-1", "-oo.png"], &["--style b.png:-1", "above 0, or leave it out"]);
    usage(&["--style=a.bmp:NaN", "-oo.png"], &["--style a.bmp:NaN", "above 0, or leave it out"]);
    usage(&["a.bmp", "--style=b.png", "-ob.png"], &["b.png: is the input picture b.png", "choose another name"]);
    usage(&["art", "-oart/2.PNG"], &["is the input picture art/2.PNG", "choose another name"]);
    usage(&["art", "-oo.png", "--trace=art/1.bmp"], &["this is an input", "a name of its own"]);
    let absent = |arguments: &[&str], words: &[&str]| refused(run(&folder, arguments).assert(), 3, words);
    absent(&["--style=nowhere.png:0.5", "-oo.png"], &["nowhere.png: no such file", "check the path"]);
    absent(&["empty", "-oo.png"], &["empty: no picture is in this folder", "give one with files"]);
    folder.file("art/3.png", "Dear reader,");
    absent(&["--style=art", "-oo.png"], &["art/3.png: is not a picture", "give a JPEG, PNG"]);
    misunderstood(run(&folder, &["--style=:0.5"]).assert(), &["':0.5'", "--style", "painting.jpg:0.7"]);
    assert_eq!(folder.names(), before);
}

/// The gallery with masks: `left.png` white at the left, `right.png` white at the right, `black.png`, and a photograph
/// whose right half is transparent.
fn masked_gallery() -> Folder {
    let folder = gallery();
    let mask = |name: &str, value: fn(u32) -> u8| {
        let mask = image::GrayImage::from_fn(40, 20, |x, _| image::Luma([value(x)]));
        mask.save(folder.path(name)).unwrap();
    };
    mask("left.png", |x| if x < 20 { 255 } else { 0 });
    mask("right.png", |x| if x < 20 { 0 } else { 255 });
    mask("black.png", |_| 0);
    let mut cut = image::open(folder.path("photo.png")).unwrap().to_rgba8();
    cut.enumerate_pixels_mut().for_each(|(x, _, pixel)| pixel.0[3] = if x < 16 { 255 } else { 0 });
    cut.save(folder.path("cut.png")).unwrap();
    folder
}

/// Columns of a picture 32 wide.
fn columns(picture: &[f32], columns: std::ops::Range<usize>) -> Vec<f32> {
    picture.chunks(3 * 32).flat_map(|row| row[3 * columns.start..3 * columns.end].to_vec()).collect()
}

#[test]
fn masks_say_what_is_painted_where_and_what_stays() {
    let folder = masked_gallery();
    let photo: Vec<f32> =
        impasto::picture::load(&folder.path("photo.png"), u64::MAX).unwrap().rgb.into_iter().collect();
    let both = made(&folder, &["b.png", "--style=a.bmp:1:left.png"]);
    assert!(
        both == made(&folder, &["--style=a.bmp:1:left.png", "--style=b.png:1:right.png"]),
        "the rest is what is left"
    );
    assert!(both != made(&folder, &["b.png", "--style=a.bmp:1:right.png"]));
    let kept = made(&folder, &["a.bmp", "--keep=left.png"]);
    let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(close(&columns(&kept, 0..16), &columns(&photo, 0..16)));
    assert!(!close(&columns(&kept, 16..32), &columns(&photo, 16..32)));
    // The photograph's own opacity.
    let of_cut = |arguments: &[&str]| {
        let mut command = impasto(["stylize", "cut.png"]);
        command.args(SMALL_RUN).args(arguments).args(["-oo.png", "--overwrite"]).current_dir(folder.path(""));
        command.assert().success();
        let picture = impasto::picture::load(&folder.path("o.png"), u64::MAX).unwrap();
        (picture.rgb.into_iter().collect::<Vec<f32>>(), picture.alpha)
    };
    let (opaque_kept, alpha) = of_cut(&["a.bmp", "--keep=opacity"]);
    assert!(alpha.is_some() && close(&columns(&opaque_kept, 0..16), &columns(&photo, 0..16)));
    assert!(of_cut(&["b.png", "--style=a.bmp:1:opacity"]) != of_cut(&["b.png", "--style=a.bmp:1:transparency"]));
    // What of a style picture is learned from.
    let learned = made(&folder, &["a.bmp", "--style-mask=left.png"]);
    assert!(learned == made(&folder, &["a.bmp", "--style-mask=a.bmp=left.png"]));
    assert!(learned != made(&folder, &["a.bmp"]) && learned != made(&folder, &["a.bmp", "--style-mask=right.png"]));
}

#[test]
fn regions_come_from_a_file_as_well() {
    let folder = masked_gallery();
    let words = made(&folder, &["b.png", "--style=a.bmp:1:left.png", "--style-mask=a.bmp=right.png", "--keep=cut.png"]);
    let text = "keep = \"../cut.png\"\n[[region]]\nstyle = \"../b.png\"\n[[region]]\nmask = \"../left.png\"\n\
                style = \"../a.bmp\"\nweight = 1\nstyle-mask = \"../right.png\"\n";
    folder.file("art/r.toml", text);
    assert!(words == made(&folder, &["--regions=art/r.toml"]));
    run(&folder, &["--regions=art/r.toml"]).assert().success();
    assert!(folder.path("photo-r.png").exists());
    let input = ["is the input picture", "choose another name"];
    refused(run(&folder, &["--regions=art/r.toml", "-oleft.png"]).assert(), 2, &input);
    folder.file("art/r.toml", "[[region]]\nstyle = \"a.bmp\"\ncolour = 1\n");
    let words = ["--regions art/r.toml: line 3", "colour", "write [[region]]"];
    refused(run(&folder, &["--regions=art/r.toml", "-oo.png"]).assert(), 2, &words);
    let words = ["--regions nowhere.toml: cannot be read", "give a TOML file"];
    refused(run(&folder, &["--regions=nowhere.toml", "-oo.png"]).assert(), 2, &words);
}

#[test]
fn a_budget_and_an_interruption_change_no_byte_with_masks_and_every_mask_is_known() {
    let folder = masked_gallery();
    let flags = ["b.png", "--style=a.bmp:1:left.png", "--style-mask=a.bmp=right.png", "--keep=cut.png", "-oo.png"];
    let mut command = run(&folder, &flags);
    let assert = command.args(["--checkpoint=c", "--trace=t", "--iterations=3", "-v"]).assert().success();
    let said = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    for words in ["a.bmp 32×24, 50.0 %, painted by left.png, learned by right.png", "kept by         cut.png"] {
        assert!(said.contains(words), "{words} in {said}");
    }
    let whole = std::fs::read(folder.path("o.png")).unwrap();
    let header = &trace(&folder.path("t"))[0];
    assert_eq!(header["styles"][1]["region"]["file"], "left.png");
    assert_eq!((&header["styles"][1]["mask"], &header["keep"]["file"]), (&"right.png".into(), &"cut.png".into()));
    let recipe = b"--style b.png:1 --style a.bmp:1:left.png --style-mask a.bmp=right.png --keep cut.png {";
    assert!(whole.windows(recipe.len()).any(|window| window == recipe));
    let resume = |flag: &str| impasto(["resume", folder.path("c").to_str().unwrap(), flag]).assert();
    std::fs::remove_file(folder.path("o.png")).unwrap();
    resume("-q").success();
    assert!(std::fs::read(folder.path("o.png")).unwrap() == whole);
    let mut plan = impasto(["plan", "photo.png"]);
    plan.args(SMALL_RUN).args(flags).arg("--json").current_dir(folder.path("")).assert().success();
    std::fs::copy(folder.path("left.png"), folder.path("right.png")).unwrap();
    refused(resume("--iterations=1"), 7, &["one of the masks has changed", "bring the earlier file back"]);
}

#[test]
fn masks_that_leave_something_out_or_cannot_be_read_are_refused() {
    let folder = masked_gallery();
    let before = folder.names();
    let refuse = |arguments: &[&str], code: i32, words: &[&str]| refused(run(&folder, arguments).assert(), code, words);
    let rest =
        ["50.0 % of the picture is black in the masks of all styles", "give a style without a mask for the rest"];
    refuse(&["--style=a.bmp:1:left.png", "-oo.png"], 2, &rest);
    let black = ["black.png: this mask is black all over", "paint something white"];
    refuse(&["b.png", "--style=a.bmp:1:black.png", "-oo.png"], 3, &black);
    refuse(&["b.png", "--keep=black.png", "-oo.png"], 3, &black);
    refuse(&["b.png", "--style-mask=black.png", "-oo.png"], 3, &black);
    refuse(&["b.png", "--style=a.bmp:1:nowhere.png", "-oo.png"], 3, &["nowhere.png: no such file", "check the path"]);
    refuse(&["b.png", "--keep=opacity", "-oo.png"], 3, &["photo.png: is opaque all over", "give a picture as mask"]);
    let nobody = ["--style-mask left.png: this names none of the styles", "give STYLE=MASK"];
    refuse(&["b.png", "--style=a.bmp", "--style-mask=left.png", "-oo.png"], 2, &nobody);
    refuse(&["art", "--style-mask=left.png", "-oo.png"], 2, &["art is a folder", "give its pictures one by one"]);
    let input = ["is the input picture left.png", "choose another name"];
    refuse(&["b.png", "--style=a.bmp:1:left.png", "-oleft.png"], 2, &input);
    refuse(&["b.png", "--keep=left.png", "-oleft.png"], 2, &input);
    refuse(&["b.png", "--style-mask=left.png", "-oleft.png"], 2, &input);
    assert_eq!(folder.names(), before);
}

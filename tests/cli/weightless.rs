//! A build with `--no-default-features`, which carries no weights: it says so, and does everything with a file of them.

use impasto::Error;
use impasto::vgg::Weights;

use crate::support::{Folder, WEIGHTS_FILE, impasto, picture, printed, refused};

const WORDS: [&str; 4] = ["embedded weights", "carries none", "--weights FILE", "default features"];

#[test]
fn the_library_says_how_to_get_weights() {
    let error = Weights::embedded().expect_err("this build carries none");
    assert!(matches!(error, Error::Weights { .. }), "{error:?}");
    assert!(WORDS.iter().all(|word| error.to_string().contains(word)), "{error}");
}

#[test]
fn without_weights_every_command_that_needs_them_says_how_to_get_them() {
    let folder = Folder::new();
    let mut stylize = impasto(["stylize"]);
    stylize.arg(picture("rgb.png")).arg(picture("colour.bmp")).arg("-o").arg(folder.path("o.png"));
    stylize.arg("--trace").arg(folder.path("t"));
    refused(stylize.assert(), 4, &WORDS);
    assert!(folder.names().is_empty());
    refused(impasto(["weights", "info"]).assert(), 4, &WORDS);
    refused(impasto(["weights", "verify"]).assert(), 4, &WORDS);
    refused(impasto(["bench", "--only=step", "--size=32"]).assert(), 4, &WORDS);
}

#[test]
fn doctor_describes_the_machine_before_it_says_so() {
    let output = impasto(["doctor"]).assert().code(4).get_output().clone();
    let (said, message) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(said.contains("processor") && said.contains("relu5_3"), "{said}");
    assert!(WORDS.iter().all(|word| message.contains(word)), "{message}");
}

#[test]
fn a_file_of_weights_is_all_that_is_missing() {
    let folder = Folder::new();
    folder.stylize("rgb.png", "o.png").arg("--weights").arg(WEIGHTS_FILE).assert().success();
    assert_eq!(image::image_dimensions(folder.path("o.png")).unwrap(), (32, 24));
    assert!(printed(impasto(["weights", "verify", WEIGHTS_FILE])).contains("26 tensors"));
    assert!(printed(impasto(["doctor", "--weights", WEIGHTS_FILE])).contains("VGG16"));
}

#[test]
fn what_needs_no_weights_works() {
    let layers = ["bench", "--only=layers", "--layer-size=32", "--deepest=relu1_1", "--repeats=1", "--format=csv"];
    assert!(printed(impasto(layers)).contains("relu1_1"));
    assert!(printed(impasto(["presets", "paper"])).contains("relu3_3"));
}

//! Every error that a user can meet, in one table: the exit code, the cause and the remedy, in one line.
//!
//! What only a fault of the machine brings about is elsewhere: a disk that fills up (`faults`), memory that is refused
//! (`memory`), a kernel that computes something else (the library's `Error::Kernel`). What the parser of options refuses
//! is in its own words, and in `refusals`.

use std::collections::BTreeSet;

use crate::support::{Folder, SMALL_RUN, impasto, picture, refused};

/// Arguments, of which `@` stands for a small run to o.png; the exit code; parts of the message: cause and remedy.
type Row = (&'static str, i32, &'static str, &'static str);

const ERRORS: &[Row] = &[
    // Options that make no sense.
    ("@ --size=5", 2, "--size 5", "give at least 16 pixels"),
    ("@ --style-size=5", 2, "--style-size 5", "give at least 16 pixels"),
    ("@ --style-scale=0", 2, "--style-scale 0", "give a number from 0.01 to 100"),
    ("@ --style-scale=0.02", 2, "the style picture would be", "give a --style-scale that leaves at least 16"),
    ("@ --style=style.bmp:0", 2, "--style style.bmp:0: a style of weight 0", "give a number above 0, or leave it out"),
    ("@ --style=style.bmp --style-mask=left.png", 2, "left.png: this names none of the styles", "give STYLE=MASK"),
    ("stylize good.png folder --style-mask=left.png -o o.png", 2, "folder is a folder", "give its pictures one by one"),
    ("@ --regions=nowhere.toml", 2, "--regions nowhere.toml: cannot be read", "give a TOML file"),
    ("@ --regions=letter.png", 2, "--regions letter.png: line 1", "write [[region]]"),
    (
        "stylize good.png --style=style.bmp:1:left.png -o o.png --size=32",
        2,
        "50.0 % of the picture is black in the masks of all styles",
        "give a style without a mask for the rest",
    ),
    ("@ --style=style.bmp:1:white.png", 2, "the masks of the others leave nothing to style 1", "leave that style out"),
    ("@ --keep=white.png", 2, "--keep leaves nothing to paint", "paint something black in its mask"),
    ("@ --iterations=0", 2, "--iterations 0", "give at least 1"),
    ("@ --content-weight=-1", 2, "--content-weight -1", "give a number of at least 0"),
    ("@ --style-weight=inf", 2, "--style-weight inf", "give a number of at least 0"),
    ("@ --tv-weight=NaN", 2, "--tv-weight NaN", "give a number of at least 0"),
    ("@ --strength=1.5", 2, "--strength 1.5", "give a number from 0, the photograph, to 1, the style"),
    ("@ --normalize-gradients --optimizer=lbfgs", 2, "--normalize-gradients on", "give --optimizer adam"),
    ("@ --content-weight=0 --style-weight=0 --tv-weight=0", 2, "nothing to optimise", "all three loss weights are 0"),
    ("@ --learning-rate=0", 2, "--learning-rate 0", "give a number above 0"),
    ("@ --average=1", 2, "--average 1", "at least 0 and below 1"),
    ("@ --detail=11", 2, "--detail 11", "a number from 0 to 10"),
    ("@ --schedule=2", 2, "--schedule 2", "a number from 0 to 1"),
    ("@ --largest-gain=0.5", 2, "--largest-gain 0.5", "at least 1"),
    ("@ --calm=8", 2, "--calm 8", "give 0 to 7"),
    ("@ --until=200%", 2, "--until 200%", "above 0 and below 100%"),
    ("@ --init=blend:2", 2, "--init blend:2", "a share of noise from 0 to 1"),
    ("@ --epsilon=0", 2, "--epsilon 0", "give a number above 0"),
    ("@ --beta1=1", 2, "--beta1 1", "at least 0 and below 1"),
    ("@ --scale-rule=0", 2, "--scale-rule 0", "give at least 1"),
    ("@ --scale-rule=64:1,32:1", 2, "--scale-rule", "from small to large"),
    ("stylize good.png style.bmp -o o.png --size=32 --time=0.001", 2, "--time 0.0 s", "give more time, or a smaller"),
    ("@ --config=nowhere.toml", 2, "nowhere.toml: cannot be read", "presets default --toml` prints one"),
    ("@ --config=letter.png", 2, "letter.png:1: not TOML", "give option = value"),
    ("@ --config=wrong.toml", 2, "wrong.toml:2: there is no content-wieght", "did you mean content-weight?"),
    ("@ --refresh=0", 2, "--refresh 0", "give at least 1"),
    ("@ --lbfgs-history=0", 2, "--lbfgs-history 0", "give at least 1"),
    ("stylize good.png style.bmp -o o.png --scales=8:10", 2, "--scales", "sizes of at least 16 pixels"),
    ("@ --style-layer=relu1_1 --style-layer=relu1_1", 2, "relu1_1 is named twice", "--style-layer"),
    ("@ --style-layer=relu3_4", 2, "relu3_4 is not a layer of VGG16", "choose a shallower layer"),
    ("@ --conv-algorithm=amx-bf16", 2, "--conv-algorithm amx-bf16", "leave it out"),
    ("stylize scroll.png style.bmp -o o.png --size=64", 2, "the result would be 64×3 pixels", "a --size that leaves"),
    ("stylize good.png scroll.png -o o.png --style-size=64", 2, "the style picture would be 64×3", "a --style-size"),
    ("bench --size=8", 2, "--size 8", "give at least 16 pixels"),
    ("bench --layer-size=8", 2, "--layer-size 8", "give at least 16 pixels"),
    ("bench --repeats=0", 2, "--repeats 0", "give at least 1"),
    ("bench --deepest=relu3_4", 2, "relu3_4 is not a layer of VGG16", "choose a shallower layer"),
    ("bench --compare=letter.png", 2, "letter.png is no report", "give a file that `impasto bench --format json`"),
    ("bench --compare=nowhere.json", 2, "--compare nowhere.json: cannot be read", "give a file that `impasto bench"),
    ("texture style.bmp --size=40x64 --tileable", 2, "multiples of 16", "such as 48x64"),
    ("texture style.bmp --style-size=5", 2, "--style-size 5", "give at least 16 pixels"),
    ("texture style.bmp --iterations=0", 2, "--iterations 0", "give at least 1"),
    ("texture style.bmp -o style.bmp", 2, "style.bmp", "must end in .png"),
    ("texture style.bmp --set=tv-weight", 2, "--set tv-weight", "give NAME=VALUE"),
    ("texture style.bmp --set=tv-wieght=3", 2, "there is no tv-wieght", "did you mean tv-weight?"),
    ("texture style.bmp --set=qqqqqq=3", 2, "there is no qqqqqq", "`impasto presets default --toml` has every name"),
    ("texture style.bmp --set=tv-weight=much", 2, "--set tv-weight=much", "give a number"),
    ("texture --style=style.bmp:1:opacity", 2, "no content picture with an opacity", "give a picture as mask"),
    ("texture good.png -o good.png", 2, "is the input picture good.png", "choose another name"),
    ("reconstruct good.png --size=5", 2, "--size 5", "give at least 16 pixels"),
    ("dream good.png --size=5", 2, "--size 5", "or 0 to keep the picture's own size"),
    ("dream good.png --learning-rate=2", 2, "--learning-rate 2", "above 0 and at most 1"),
    (
        "batch nowhere/*.png --styles=style.bmp -o out",
        2,
        "nowhere/*.png: no picture has such a name",
        "give a folder, a file",
    ),
    ("batch ab[ --styles=style.bmp -o out", 2, "ab[: is no pattern of names", "such as photos/*.jpg"),
    (
        "batch good.png half.png --styles=style.bmp -o out --name=same",
        2,
        "out/same.png: would be both",
        "names of their own",
    ),
    (
        "batch good.png --styles=style.bmp -o . --name=good --overwrite",
        2,
        "good.png: is a picture that is read",
        "--name",
    ),
    ("batch full --styles=style.bmp -o full", 2, "would be read the next time", "give another folder"),
    ("batch good.png --styles=style.bmp -o out --name=a.xyz", 2, "a.xyz: the name of the result", "must end in .png"),
    ("batch good.png --styles=style.bmp -o out --quality=80", 2, "--quality 80 is for JPEG", "write a .jpg"),
    ("batch good.png --styles=style.bmp -o out --size=5", 2, "--size 5", "give at least 16 pixels"),
    ("batch good.png --styles=style.bmp -o out --shard=auto", 2, "neither SLURM_ARRAY_TASK_ID nor", "give --shard i/n"),
    ("batch --list=nowhere.csv -o out", 2, "nowhere.csv: cannot be read", "give a list as CSV or JSON Lines"),
    ("batch --list=letter.png -o out", 2, "letter.png: is neither a .csv nor a .jsonl", "a name that says which it is"),
    ("batch --list=wrong.csv -o out", 2, "wrong.csv:1: there is no content-wieght", "did you mean content-weight?"),
    ("batch --list=small.csv -o out", 2, "small.csv:2: --size 5", "give at least 16 pixels"),
    ("batch full/*.png --styles=style.bmp -o full", 2, "would be read the next time", "give another folder"),
    ("augment full --styles=style.bmp -o full/more", 2, "would be read the next time", "give another folder"),
    (
        "augment folder --styles=style.bmp -o out",
        3,
        "folder: no picture is in this folder or those in it",
        "give one with",
    ),
    (
        "augment full --styles=style.bmp -o out --set=strength=1",
        2,
        "strength is what augment draws",
        "give --set content-weight",
    ),
    ("augment full --styles=style.bmp -o taken", 2, "augment.csv: is there, and no table", "--overwrite to replace it"),
    // Places that cannot be written to.
    ("stylize good.png style.bmp -o o.xyz", 2, "o.xyz", "must end in .png, .jpg"),
    ("stylize good.png style.bmp -o o.jpg --bits=16", 2, "8 bits per channel", "write a .png or .tiff"),
    ("stylize good.png style.bmp -o o.webp --size=20000", 2, "beyond the format's 16384", "write a .png or .tiff"),
    ("stylize good.png style.bmp -o nowhere/o.png", 2, "there is no folder nowhere", "create it first"),
    ("stylize good.png style.bmp -o good.png", 2, "is the input picture good.png", "choose another name"),
    ("stylize good.png style.bmp -o /proc/o.png", 2, "no file can be made in /proc", "choose another folder"),
    ("stylize good.png style.bmp -o o.png --quality=80", 2, "o.png: --quality 80 is for JPEG", "write a .jpg"),
    ("stylize - - -o o.png", 2, "standard input brings one picture", "give the other as a file"),
    ("stylize - style.bmp", 2, "has no name to name the result after", "give one with -o"),
    ("stylize - style.bmp -o o.png --checkpoint=c", 2, "--checkpoint: what goes through", "give files"),
    ("stylize good.png style.bmp -o - --save-every=1", 2, "--save-every", "give it a name with -o"),
    ("stylize good.png style.bmp -o - --json", 2, "--json", "give the picture a name with -o"),
    ("@ --preview=-", 2, "--preview -: standard output is no terminal that shows pictures", "name a file"),
    ("@ --preview=good.png", 2, "--preview good.png: is another file", "a name of its own"),
    ("@ --preview=o.xyz", 2, "--preview o.xyz", "must end in .png"),
    ("reproduce own.png -o own.png", 2, "own.png: is to be compared with", "give another name"),
    ("@ --trace=nowhere/t", 2, "there is no folder nowhere", "create it first"),
    ("@ --trace=good.png", 2, "--trace good.png: this is an input", "give the trace a name of its own"),
    ("@ --trace=o.png", 2, "this is the output picture too", "give the trace a name of its own"),
    ("@ --checkpoint=good.png", 2, "--checkpoint good.png", "give the checkpoint a name of its own"),
    ("@ --checkpoint=nowhere/c", 2, "there is no folder nowhere", "create it first"),
    ("@ --checkpoint=letter.png", 2, "--checkpoint letter.png: is there already", "or begin anew with --overwrite"),
    // Pictures.
    ("stylize nowhere.png style.bmp", 3, "nowhere.png: no such file", "check the path"),
    ("stylize folder style.bmp", 3, "is a directory", "give a picture file"),
    ("stylize empty.jpg style.bmp -o o.png", 3, "empty.jpg: the file is empty", "copy it again"),
    ("stylize letter.png style.bmp -o o.png", 3, "letter.png: is not a picture", "give a JPEG, PNG"),
    ("stylize good.png letter.png -o o.png", 3, "letter.png: is not a picture", "give a JPEG, PNG"),
    ("@ --style=nowhere.png:0.5", 3, "nowhere.png: no such file", "check the path"),
    ("stylize good.png folder -o o.png", 3, "folder: no picture is in this folder", "give one with files such as .jpg"),
    ("@ --keep=black.png", 3, "black.png: this mask is black all over", "paint something white"),
    ("@ --keep=opacity", 3, "good.png: is opaque all over", "give a picture as mask"),
    ("@ --style=style.bmp:1:letter.png", 3, "letter.png: is not a picture", "give a JPEG, PNG"),
    ("@ --init=letter.png", 3, "letter.png: is not a picture", "give a JPEG, PNG"),
    ("stylize picture.heic style.bmp -o o.png", 3, "picture.heic: is HEIC", "by heif-convert picture.heic picture.png"),
    ("stylize picture.avif style.bmp -o o.png", 3, "picture.avif: is AVIF", "by avifdec picture.avif picture.png"),
    ("stylize - style.bmp -o o.png", 3, "-: the file is empty", "copy it again"),
    ("show good.png", 3, "good.png: holds no recipe", "give a picture as it was made"),
    ("show letter.png", 3, "letter.png: is not a picture", "give a JPEG, PNG"),
    ("reproduce good.png", 3, "good.png: holds no recipe", "give a picture as it was made"),
    ("reproduce own.png --content=letter.png", 3, "letter.png: is not the content", "name that one with --content"),
    ("reproduce own.png --style=nowhere", 3, "nowhere: cannot be read", "check the path"),
    ("reproduce lost.png", 3, "gone.png: is neither beside lost.png nor here", "name it with --content"),
    ("stylize half.jpg style.bmp -o o.png", 3, "half.jpg: the JPEG file is truncated", "copy it again from its source"),
    ("stylize half.png style.bmp -o o.png", 3, "the PNG file is damaged or truncated", "copy it again from its source"),
    ("stylize thin.png style.bmp -o o.png", 3, "1 × 64 pixels is too small", "use a larger picture"),
    (
        "stylize absurd.png style.bmp -o o.png",
        3,
        "60000 × 60000 pixels is more than the limit",
        "--max-pixels 3600000000",
    ),
    ("texture nowhere.png", 3, "nowhere.png: no such file", "check the path"),
    ("reconstruct letter.png --layers", 3, "letter.png: is not a picture", "give a JPEG, PNG"),
    ("dream letter.png", 3, "letter.png: is not a picture", "give a JPEG, PNG"),
    // Weights.
    ("@ --weights=nowhere.safetensors", 4, "no such file", "check the path"),
    ("@ --weights=letter.png", 4, "letter.png: is not a safetensors file", "give a safetensors file"),
    ("@ --weights=empty.jpg", 4, "empty.jpg: is empty", "download or convert it again"),
    ("@ --weights=folder", 4, "is a directory", "name the .safetensors file in it"),
    ("weights info pickle.pth", 4, "a PyTorch .pth pickle", "convert it with"),
    ("weights verify letter.png", 4, "is not a safetensors file", "give a safetensors file"),
    // Memory.
    ("@ --size=60000", 5, "of memory", " would fit"),
    ("bench --only=step --size=60000", 5, "of memory", "give a smaller --size"),
    // A run that goes nowhere.
    ("@ --content-weight=1e300 -q", 6, "diverged at iteration 1", "lower --learning-rate or the weight of that loss"),
    // Checkpoints.
    ("resume nowhere.run", 7, "nowhere.run: cannot be read", "give a file that --checkpoint wrote"),
    ("resume folder", 7, "folder: not a file", "give one that --checkpoint wrote"),
    ("resume letter.png", 7, "letter.png: not a checkpoint", "give a file that --checkpoint wrote, or begin anew"),
    ("resume half.run", 7, "half.run: it is cut short", "give a file that --checkpoint wrote, or begin anew"),
    ("resume edited.run", 7, "edited.run: it has been changed", "begin anew with impasto stylize"),
    ("resume other.run", 7, "other.run: the content picture has changed", "bring the earlier file back, or begin anew"),
    ("resume whole.run --size=32", 2, "the picture has 32 pixels already", "give more"),
];

/// Files that the table names.
fn fill(folder: &Folder) {
    let bytes = |name: &str| std::fs::read(picture(name)).unwrap();
    for (name, from) in [("good.png", "rgb.png"), ("style.bmp", "colour.bmp"), ("thin.png", "thin.png")] {
        folder.file(name, bytes(from));
    }
    folder.file("absurd.png", bytes("absurd.png"));
    folder.file("half.jpg", bytes("truncated.jpg"));
    let whole = bytes("rgb.png");
    folder.file("half.png", &whole[..whole.len() / 2]);
    image::RgbImage::new(640, 32).save(folder.path("scroll.png")).unwrap();
    for (name, white) in [("left.png", 20), ("white.png", 40), ("black.png", 0)] {
        let value = |x: u32| if x < white { 255 } else { 0 };
        image::GrayImage::from_fn(40, 20, |x, _| image::Luma([value(x)])).save(folder.path(name)).unwrap();
    }
    folder.file("empty.jpg", "");
    folder.file("letter.png", "Dear reader, this is no picture, no network and no checkpoint.");
    folder.file("picture.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic");
    folder.file("pickle.pth", b"PK\x03\x04 archive/data.pkl");
    folder.file("picture.avif", b"\0\0\0\x18ftypavif\0\0\0\0mif1avif");
    folder.file("wrong.toml", "seed = 1\ncontent-wieght = 2\n");
    folder.file("wrong.csv", "content,style,content-wieght\ngood.png,style.bmp,1\n");
    folder.file("small.csv", "content,style,size\ngood.png,style.bmp,5\n");
    ["folder", "full", "taken"].iter().for_each(|name| std::fs::create_dir(folder.path(name)).unwrap());
    folder.file("full/a.png", bytes("rgb.png"));
    folder.file("taken/augment.csv", "mine\n");
    let run = |content: &str, checkpoint: &str| {
        let mut command = impasto(["stylize", content, "style.bmp", "-o", "made.png", "-q", "--overwrite"]);
        command.args(SMALL_RUN).args(["--checkpoint", checkpoint]).current_dir(folder.path(""));
        command.assert().success();
    };
    run("good.png", "whole.run");
    folder.file("changing.png", whole);
    run("changing.png", "other.run");
    folder.file("changing.png", bytes("grey.png"));
    folder.file("gone.png", bytes("rgb.png"));
    for (content, made) in [("gone.png", "lost.png"), ("good.png", "own.png")] {
        let mut command = impasto(["stylize", content, "style.bmp", "-o", made, "-q"]);
        command.args(SMALL_RUN).current_dir(folder.path("")).assert().success();
    }
    ["gone.png", "made.png"].iter().for_each(|name| std::fs::remove_file(folder.path(name)).unwrap());
    let whole = std::fs::read(folder.path("whole.run")).unwrap();
    folder.file("half.run", &whole[..whole.len() / 2]);
    let mut edited = whole;
    *edited.last_mut().unwrap() ^= 1;
    folder.file("edited.run", edited);
}

#[test]
fn every_error_says_in_one_line_what_is_wrong_and_what_to_do() {
    let folder = Folder::new();
    fill(&folder);
    let before = folder.names();
    let mut codes = BTreeSet::new();
    for &(arguments, code, cause, remedy) in ERRORS {
        let mut command = impasto::<&str>([]);
        command.current_dir(folder.path(""));
        for word in arguments.split(' ') {
            match word {
                "@" => command.args(["stylize", "good.png", "style.bmp", "-o", "o.png"]).args(SMALL_RUN),
                word => command.arg(word),
            };
        }
        println!("{arguments}");
        refused(command.assert(), code, &[cause, remedy]);
        if code == 6 {
            // The last finite picture is kept.
            std::fs::remove_file(folder.path("o.png")).unwrap();
        }
        assert_eq!(folder.names(), before, "{arguments}");
        codes.insert(code);
    }
    assert_eq!(codes, (2..=7).collect());
}

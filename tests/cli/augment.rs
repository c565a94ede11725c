//! `augment`: a data set's pictures in styles and strengths drawn at random.

use std::collections::BTreeMap;

use crate::batch::{files, fill, in_folder, json};
use crate::support::{Folder, picture, refused};

/// A data set of two labels, six pictures of which one is broken, and three styles.
fn data_set() -> Folder {
    let folder = Folder::new();
    fill(&folder, "set/cats", "art");
    std::fs::create_dir_all(folder.path("set/dogs/small")).unwrap();
    for (name, to) in [("grey.png", "dogs/grey.png"), ("alpha.png", "dogs/small/alpha.png")] {
        std::fs::rename(folder.path(&format!("set/cats/{name}")), folder.path(&format!("set/{to}"))).unwrap();
    }
    folder
}

fn augment(folder: &Folder, words: &[&str]) -> assert_cmd::Command {
    let mut command = in_folder(folder, &["augment", "set", "--styles", "art", "-o", "out"]);
    command.args(words);
    command
}

/// The rows of a table, each by the names of its columns.
fn table(text: &[u8]) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text);
    reader.deserialize().map(|row| row.unwrap()).collect()
}

#[test]
fn labels_are_kept_and_a_table_tells_what_was_drawn() {
    let folder = data_set();
    let (summary, code) = json(augment(&folder, &["--per-picture=3"]));
    assert_eq!((&summary["made"], &summary["failed"], code), (&15.into(), &3.into(), 3));
    let found = files(&folder.path("out"));
    let (tables, pictures): (Vec<_>, Vec<_>) = found.iter().partition(|(name, _)| name.ends_with(".csv"));
    let [(name, text)] = &tables[..] else { panic!("{} tables", tables.len()) };
    assert_eq!(name, "augment.csv");
    let names: Vec<_> = pictures.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..3], ["cats/orientation-6-1.png", "cats/orientation-6-2.png", "cats/orientation-6-3.png"]);
    assert!(names.contains(&"dogs/grey-3.png") && names.contains(&"dogs/small/alpha-1.png"), "{names:?}");
    let rows = table(text);
    let told: Vec<_> = rows.iter().map(|row| row["output"].as_str()).collect();
    let mut sorted = told.clone();
    sorted.sort();
    assert_eq!(sorted, names);
    for row in &rows {
        assert_eq!(row["output"].rsplit_once('/').unwrap().0, row["label"]);
        let strength: f64 = row["strength"].parse().unwrap();
        assert!((0.33..=0.67).contains(&strength));
        assert_eq!((row["preset"].as_str(), row["iterations"].as_str(), row["seed"].as_str()), ("paper", "2", "1"));
    }
    // Of three styles each picture has every one.
    for picture in rows.chunks(3) {
        let styles: std::collections::BTreeSet<_> = picture.iter().map(|row| &row["style"]).collect();
        assert_eq!(styles.len(), 3);
    }
}

#[test]
fn what_was_killed_goes_on_and_parts_are_the_whole() {
    let folder = data_set();
    folder.file("set/cats/broken.png", std::fs::read(picture("rgb.png")).unwrap());
    augment(&folder, &["-q"]).assert().success();
    let whole = files(&folder.path("out"));
    assert_eq!(whole.len(), 19);
    // As a run leaves it that is killed on its way: some pictures, and no table.
    for gone in ["augment.csv", "cats/rgb-2.png", "dogs/grey-1.png"] {
        std::fs::remove_file(folder.path(&format!("out/{gone}"))).unwrap();
    }
    let (summary, code) = json(augment(&folder, &["--jobs=2"]));
    assert_eq!((&summary["made"], &summary["there"], code), (&2.into(), &16.into(), 0));
    assert!(files(&folder.path("out")) == whole);
    // Two machines make the same pictures, and a table each.
    std::fs::remove_dir_all(folder.path("out")).unwrap();
    let mut rows = Vec::new();
    for part in ["1/2", "2/2"] {
        augment(&folder, &["-q", "--shard", part]).assert().success();
        let path = folder.path(&format!("out/augment-{}.csv", part.replace('/', "-of-")));
        rows.extend(table(&std::fs::read(&path).unwrap()));
        std::fs::remove_file(path).unwrap();
    }
    let table_of_whole = &whole.iter().find(|(name, _)| name == "augment.csv").unwrap().1;
    let mut expected = table(table_of_whole);
    rows.sort();
    expected.sort();
    assert_eq!(rows, expected);
    assert!(files(&folder.path("out"))[..] == whole[1..]);
}

#[test]
fn another_seed_draws_otherwise_and_replaces_nothing() {
    let folder = data_set();
    let dogs = |words: &[&str]| {
        let mut command =
            in_folder(&folder, &["augment", "set/dogs", "--styles", "art", "-o", "out", "--per-picture=1"]);
        command.args(words);
        command
    };
    dogs(&["-q"]).assert().success();
    let before = files(&folder.path("out"));
    let (summary, code) = json(dogs(&["--seed=2"]));
    assert_eq!((&summary["failed"], code), (&2.into(), 2));
    let pictures = |files: Vec<(String, Vec<u8>)>| {
        files.into_iter().filter(|(name, _)| name.ends_with(".png")).collect::<Vec<_>>()
    };
    assert!(pictures(files(&folder.path("out"))) == pictures(before));
    refused(
        in_folder(&folder, &["augment", "set", "--styles", "art", "-o", "set/more"]).assert(),
        2,
        &["-o set/more", "would be read the next time", "give another folder"],
    );
}

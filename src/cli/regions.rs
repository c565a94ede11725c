//! `--regions FILE`: what is painted where, in TOML, where a command line would grow long.
//!
//! ```toml
//! keep = "face.png"                # what of the photograph stays; may be left out, as all but `style`
//!
//! [[region]]
//! mask = "sky.png"                 # where it is painted; without it, where the others leave room
//! style = "starry-night.jpg"       # a picture, or a folder
//! weight = 0.7
//! style-mask = "stars.png"         # what of the style picture to learn from
//! ```
//!
//! Paths are seen from the file's folder. Regions of the same mask are one, in which their styles are blended.

use std::path::{Path, PathBuf};

use impasto::{Error, Result};
use serde::Deserialize;

use super::styles::{MaskSource, StyleFile};

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    keep: Option<String>,
    region: Vec<Entry>,
}

/// One `[[region]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    style: PathBuf,
    weight: Option<f64>,
    mask: Option<String>,
    style_mask: Option<PathBuf>,
}

/// The styles of a file, and what it says is kept.
///
/// # Errors
/// [`Error::Usage`] with the line that cannot be understood.
pub fn read(path: &Path) -> Result<(Vec<StyleFile>, Option<MaskSource>)> {
    let wrong = |cause: String| Error::Usage(format!("--regions {}: {cause}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| {
        wrong(format!("cannot be read ({error}); give a TOML file with a [[region]] for each style"))
    })?;
    let file: File = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        wrong(format!(
            "line {line}: {}; write [[region]], and below it style = \"painting.jpg\" and mask = \"mask.png\"",
            error.message()
        ))
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mask = |text: String| {
        MaskSource::parse(&text)
            .map(|source| source.within(folder))
            .map_err(|cause| wrong(format!("a mask \"\": {cause}")))
    };
    let style = |entry: Entry| {
        Ok(StyleFile {
            path: folder.join(entry.style),
            weight: entry.weight.unwrap_or(1.0),
            region: entry.mask.map(mask).transpose()?,
            mask: entry.style_mask.map(|mask| folder.join(mask)),
        })
    };
    let keep = file.keep.map(mask).transpose()?;
    Ok((file.region.into_iter().map(style).collect::<Result<_>>()?, keep))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<(Vec<StyleFile>, Option<MaskSource>)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.toml");
        std::fs::write(&path, text).unwrap();
        let shorter = |path: &mut PathBuf| *path = path.strip_prefix(folder.path()).unwrap().to_owned();
        read(&path).map(|(mut styles, mut keep)| {
            styles.iter_mut().for_each(|style| style.files_mut().for_each(shorter));
            keep.iter_mut().filter_map(MaskSource::file_mut).for_each(shorter);
            (styles, keep)
        })
    }

    #[test]
    fn a_region_has_a_style_and_perhaps_all_the_rest() {
        let text = "keep = \"in/k.png\"\n[[region]]\nstyle = \"a.jpg\"\n[[region]]\nmask = \"m.png\"\nstyle = \"b.jpg\"\n\
                    weight = 2\nstyle-mask = \"s.png\"\n[[region]]\nmask = \"opacity\"\nstyle = \"c.jpg\"\nweight = 0.5\n";
        let (styles, keep) = read_text(text).unwrap();
        let file = |name: &str| Some(MaskSource::File(name.into()));
        let b = StyleFile { weight: 2.0, region: file("m.png"), mask: Some("s.png".into()), path: "b.jpg".into() };
        let c = StyleFile { weight: 0.5, region: Some(MaskSource::Opacity), mask: None, path: "c.jpg".into() };
        assert_eq!(styles, [StyleFile::new(Path::new("a.jpg")), b, c]);
        assert_eq!(keep, file("in/k.png"));
    }

    #[test]
    fn what_cannot_be_understood_is_named_by_its_line() {
        for (text, words) in [
            ("", ["line 1", "region"]),
            ("[[region]]\nmask = \"m.png\"\n", ["line 1", "style"]),
            ("[[region]]\nstyle = \"a.jpg\"\nwight = 1\n", ["line 3", "wight"]),
            ("[[region]]\nstyle = \"a.jpg\"\nweight = \"much\"\n", ["line 3", "weight = \"much\""]),
            ("region = [[\n", ["line", "[[region]]"]),
            ("[[region]]\nstyle = \"a.jpg\"\nmask = \"\"\n", ["a mask \"\"", "give a picture"]),
        ] {
            let message = read_text(text).unwrap_err().to_string();
            assert!(message.contains("--regions ") && message.contains(words[0]), "{text}: {message}");
            assert!(words[1].starts_with("weight") || message.contains(words[1]), "{text}: {message}");
        }
    }
}

//! The style pictures and masks: what was given, files and folders with weights, and the files that it means.

use std::path::{Path, PathBuf};

use impasto::picture::{Mask, pictures_in};
use impasto::transfer::sizes::usable;
use impasto::transfer::{Sizes, StyleSize};
use impasto::vgg::SMALLEST_SIDE;
use impasto::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a style picture is read as.
pub const STYLE: &str = "style";

/// (height, width) of what stands for the style picture in a run that compares with none.
pub const NO_STYLE: (usize, usize) = (SMALLEST_SIDE, SMALLEST_SIDE);

/// What a mask is read as.
pub const MASK: &str = "mask";

/// A style picture, or a folder of them, with its weight and masks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StyleFile {
    /// The file or folder.
    pub path: PathBuf,
    /// How much it counts beside the others, above 0.
    pub weight: f64,
    /// Where it is painted; `None` is wherever the others leave room.
    pub region: Option<MaskSource>,
    /// What of it is learned from.
    pub mask: Option<PathBuf>,
}

/// Where a mask over the photograph comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MaskSource {
    /// The brightness of a picture.
    File(PathBuf),
    /// The photograph's own opacity.
    Opacity,
    /// What it lacks to be opaque.
    Transparency,
}

impl MaskSource {
    /// `opacity`, `transparency`, or else a file.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("give a picture, white where the mask counts, or opacity or transparency".into()),
            "opacity" => Ok(MaskSource::Opacity),
            "transparency" => Ok(MaskSource::Transparency),
            file => Ok(MaskSource::File(file.into())),
        }
    }

    /// Reads it; `opacity` is the photograph's.
    ///
    /// # Errors
    /// Those of [`Mask::load`]; [`Error::Picture`] if the photograph is opaque.
    pub fn load(&self, content: &Path, opacity: Option<&Mask>, max_pixels: u64) -> Result<Mask> {
        let seen = || {
            let opaque = || Error::Picture {
                path: content.to_owned(),
                cause: "is opaque all over, and its opacity no mask; give a picture as mask".into(),
            };
            opacity.cloned().ok_or_else(opaque)
        };
        match self {
            MaskSource::File(path) => Mask::load(path, max_pixels),
            MaskSource::Opacity => seen(),
            MaskSource::Transparency => Ok(seen()?.inverted()),
        }
    }

    /// The same with a name that is Unicode, as a trace is.
    pub fn portable(mut self) -> Self {
        self.file_mut().into_iter().for_each(|path| *path = path.to_string_lossy().into_owned().into());
        self
    }

    /// The same, a file being seen from a folder.
    pub fn within(mut self, folder: &Path) -> Self {
        self.file_mut().into_iter().for_each(|path| *path = folder.join(&*path));
        self
    }

    /// The file, if it is one.
    fn file(&self) -> Option<&PathBuf> {
        if let MaskSource::File(path) = self { Some(path) } else { None }
    }

    /// The same, to be changed.
    pub fn file_mut(&mut self) -> Option<&mut PathBuf> {
        if let MaskSource::File(path) = self { Some(path) } else { None }
    }

    /// As it is given, without the names of folders.
    pub fn to_words(&self) -> String {
        match self {
            MaskSource::File(path) => name(path),
            MaskSource::Opacity => "opacity".into(),
            MaskSource::Transparency => "transparency".into(),
        }
    }
}

impl StyleFile {
    /// One of weight 1, without masks.
    pub fn new(path: &Path) -> Self {
        StyleFile { path: path.to_owned(), weight: 1.0, region: None, mask: None }
    }

    /// `PICTURE`, `PICTURE:WEIGHT` or `PICTURE:WEIGHT:MASK`. A name may have colons: a weight is the last part between
    /// them, or else the last before a mask, that is a number.
    pub fn parse(text: &str) -> Result<Self, String> {
        let weighed = |text: &str| -> Option<(PathBuf, f64)> {
            let (path, weight) = text.rsplit_once(':')?;
            Some((path.into(), weight.trim().parse().ok()?))
        };
        let masked = || {
            let colons = text.rmatch_indices(':').map(|(at, _)| at);
            colons.into_iter().find_map(|at| Some((weighed(&text[..at])?, &text[at + 1..])))
        };
        let mut style = StyleFile::new(Path::new(text));
        if let Some(found) = weighed(text) {
            (style.path, style.weight) = found;
        } else if let Some((found, mask)) = masked() {
            (style.path, style.weight) = found;
            style.region = Some(MaskSource::parse(mask)?);
        }
        if style.path.as_os_str().is_empty() {
            return Err("give a picture or a folder, and perhaps a weight and a mask: painting.jpg:0.7".into());
        }
        Ok(style)
    }

    /// Every file that is read, and what it is read as, to be changed.
    pub fn named_files_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut PathBuf)> {
        let region = self.region.as_mut().and_then(MaskSource::file_mut);
        let masks = self.mask.iter_mut().chain(region).map(|mask| (MASK, mask));
        std::iter::once((STYLE, &mut self.path)).chain(masks)
    }

    /// As [`StyleFile::parse`] reads it, without the names of folders.
    fn to_words(&self) -> [String; 2] {
        let region = self.region.as_ref().map_or_else(String::new, |region| format!(":{}", region.to_words()));
        ["--style".into(), format!("{}:{}{region}", name(&self.path), self.weight)]
    }
}

/// The name of a file without those of folders.
pub fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What is painted where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// The style pictures, each a file.
    pub styles: Vec<StyleFile>,
    /// What of the photograph stays as it is.
    pub keep: Option<MaskSource>,
}

impl Scene {
    /// Of the styles as they were given, with their masks, `[STYLE=]MASK`.
    ///
    /// # Errors
    /// [`Error::Usage`] for a weight that is none, and a mask that is for no style; [`Error::Picture`] for a folder without
    /// pictures.
    pub fn new(mut given: Vec<StyleFile>, masks: &[PathBuf], keep: Option<MaskSource>) -> Result<Self> {
        for mask in masks {
            let (style, mask) = of_style(&mut given, mask)?;
            style.mask = Some(mask);
        }
        Ok(Scene { styles: files(&given)?, keep })
    }

    /// The masks of regions, each once.
    pub fn regions(&self) -> Vec<&MaskSource> {
        let mut regions = Vec::new();
        for region in self.styles.iter().filter_map(|style| style.region.as_ref()) {
            if !regions.contains(&region) {
                regions.push(region);
            }
        }
        regions
    }

    /// Whether a mask is the photograph's opacity, or what it lacks of it.
    pub fn sees_opacity(&self) -> bool {
        self.regions().into_iter().chain(&self.keep).any(|mask| mask.file().is_none())
    }

    /// Every file that is read.
    pub fn files(&self) -> Vec<&Path> {
        let masks = self.regions().into_iter().chain(&self.keep).filter_map(MaskSource::file);
        let styles = self.styles.iter().flat_map(|style| std::iter::once(&style.path).chain(&style.mask));
        styles.chain(masks).map(PathBuf::as_path).collect()
    }

    /// The same, each as often as it is named, and what it is read as, to be changed.
    pub fn named_files_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut PathBuf)> {
        let styles = self.styles.iter_mut().flat_map(StyleFile::named_files_mut);
        styles.chain(self.keep.as_mut().and_then(MaskSource::file_mut).map(|mask| (MASK, mask)))
    }

    /// Sizes of the pictures, as `size` finds them, or of what stands for the style picture if there is none.
    ///
    /// # Errors
    /// Those of `size`.
    pub fn sizes(&self, content: (usize, usize), size: impl Fn(&Path) -> Result<(usize, usize)>) -> Result<Sizes> {
        let regions = self.regions();
        let of_mask = |source: &MaskSource| source.file().map_or(Ok(content), |path| size(path));
        let style = |file: &StyleFile| {
            let region = regions.iter().position(|region| Some(*region) == file.region.as_ref());
            let mask = file.mask.as_ref().map(|mask| size(mask)).transpose()?;
            Ok(StyleSize { size: size(&file.path)?, weight: file.weight, region, mask })
        };
        let nothing = self.styles.is_empty().then(|| Ok(StyleSize::new(NO_STYLE)));
        Ok(Sizes {
            content,
            styles: self.styles.iter().map(style).chain(nothing).collect::<Result<_>>()?,
            masks: regions.iter().map(|region| of_mask(region)).collect::<Result<_>>()?,
            keep: self.keep.as_ref().map(of_mask).transpose()?,
        })
    }

    /// As it would be given, without the names of folders: a single style by its name alone.
    pub fn to_words(&self) -> Vec<String> {
        let mut words = match &*self.styles {
            [alone] if alone.region.is_none() => vec![name(&alone.path)],
            several => several.iter().flat_map(StyleFile::to_words).collect(),
        };
        for style in &self.styles {
            let named = |mask: &PathBuf| format!("{}={}", name(&style.path), name(mask));
            words.extend(style.mask.iter().flat_map(|mask| ["--style-mask".into(), named(mask)]));
        }
        words.extend(self.keep.iter().flat_map(|keep| ["--keep".into(), keep.to_words()]));
        words
    }
}

/// The style that a mask, `[STYLE=]MASK`, is for, and the mask.
fn of_style<'a>(given: &'a mut [StyleFile], text: &Path) -> Result<(&'a mut StyleFile, PathBuf)> {
    let named = |style: &StyleFile| {
        let rest = text.to_str()?.strip_prefix(style.path.to_str()?)?.strip_prefix('=')?;
        (!rest.is_empty()).then(|| PathBuf::from(rest))
    };
    let alone = given.len() == 1;
    let found = given.iter().enumerate().find_map(|(index, style)| Some((index, named(style)?)));
    let (index, mask) = match found {
        Some(found) => found,
        None if alone => (0, text.to_owned()),
        None => {
            return Err(Error::Usage(format!(
                "--style-mask {}: this names none of the styles; give STYLE=MASK, with STYLE as it was given",
                text.display()
            )));
        }
    };
    let style = &mut given[index];
    if style.path.is_dir() {
        return Err(Error::Usage(format!(
            "--style-mask {}: {} is a folder; give its pictures one by one",
            text.display(),
            style.path.display()
        )));
    }
    Ok((style, mask))
}

/// Every file that is meant, in order: a folder's pictures share its weight.
fn files(given: &[StyleFile]) -> Result<Vec<StyleFile>> {
    let mut files = Vec::new();
    for style in given {
        let StyleFile { path, weight, .. } = style;
        if !usable(*weight) {
            return Err(Error::Usage(format!(
                "--style {}:{weight}: a style of weight {weight}; give a number above 0, or leave it out",
                path.display()
            )));
        }
        if path.is_dir() {
            let pictures = pictures_in(path)?;
            let weight = weight / pictures.len() as f64;
            files.extend(pictures.into_iter().map(|path| StyleFile { path, weight, ..style.clone() }));
        } else {
            files.push(style.clone());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(path: &str, weight: f64) -> StyleFile {
        StyleFile { weight, ..StyleFile::new(Path::new(path)) }
    }

    #[test]
    fn a_weight_is_what_follows_the_last_colon_if_it_is_a_number() {
        for (text, path, weight) in [
            ("a.jpg", "a.jpg", 1.0),
            ("a.jpg:0.7", "a.jpg", 0.7),
            ("a.jpg:2e-1", "a.jpg", 0.2),
            ("C:\\art\\a.jpg", "C:\\art\\a.jpg", 1.0),
            ("C:\\art\\a.jpg:3", "C:\\art\\a.jpg", 3.0),
            ("x12:y30.png", "x12:y30.png", 1.0),
            ("12:30:1", "12:30", 1.0),
            ("a.jpg:", "a.jpg:", 1.0),
            ("a.jpg:-1", "a.jpg", -1.0),
        ] {
            assert_eq!(StyleFile::parse(text), Ok(style(path, weight)), "{text}");
        }
        assert!(StyleFile::parse("a.jpg:NaN").unwrap().weight.is_nan());
        assert!(StyleFile::parse("").is_err() && StyleFile::parse(":0.5").is_err());
    }

    #[test]
    fn a_mask_is_what_follows_a_weight() {
        for (text, path, weight, region) in [
            ("a.jpg:1:m.png", "a.jpg", 1.0, MaskSource::File("m.png".into())),
            ("C:\\a.jpg:0.5:D:\\m.png", "C:\\a.jpg", 0.5, MaskSource::File("D:\\m.png".into())),
            ("12:30:1:m.png", "12:30", 1.0, MaskSource::File("m.png".into())),
            ("a.jpg:2:opacity", "a.jpg", 2.0, MaskSource::Opacity),
            ("a.jpg:2:./opacity", "a.jpg", 2.0, MaskSource::File("./opacity".into())),
            ("a.jpg:2:transparency", "a.jpg", 2.0, MaskSource::Transparency),
        ] {
            assert_eq!(StyleFile::parse(text), Ok(StyleFile { region: Some(region), ..style(path, weight) }), "{text}");
        }
        assert!(StyleFile::parse("a.jpg:1:").is_err());
    }

    #[test]
    fn a_mask_of_a_style_picture_names_it_unless_it_is_alone() {
        let mask = |given: &[&str], mask: &str| {
            let given = given.iter().map(|path| style(path, 1.0)).collect();
            Scene::new(given, &[mask.into()], None)
                .map(|scene| scene.styles.iter().map(|style| style.mask.clone()).collect::<Vec<_>>())
        };
        assert_eq!(mask(&["a.jpg"], "m.png").unwrap(), [Some("m.png".into())]);
        assert_eq!(mask(&["a.jpg"], "a.jpg=m.png").unwrap(), [Some("m.png".into())]);
        assert_eq!(mask(&["a.jpg", "b=c.jpg"], "b=c.jpg=m=n.png").unwrap(), [None, Some("m=n.png".into())]);
        let refusal = mask(&["a.jpg", "b.jpg"], "m.png").unwrap_err().to_string();
        assert!(refusal.contains("--style-mask m.png") && refusal.contains("give STYLE=MASK"), "{refusal}");
    }

    #[test]
    fn the_pictures_of_a_folder_share_its_weight() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.png", "a.png", "notes.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let given = [StyleFile { weight: 3.0, ..StyleFile::new(folder.path()) }, style("c.png", 1.0)];
        let found = files(&given).unwrap();
        let in_folder = |name: &str| StyleFile { weight: 1.5, ..StyleFile::new(&folder.path().join(name)) };
        assert_eq!(found, [in_folder("a.png"), in_folder("b.png"), style("c.png", 1.0)]);
    }

    #[test]
    fn what_counts_for_nothing_is_refused() {
        for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let message = files(&[style("c.png", weight)]).unwrap_err().to_string();
            assert!(message.contains(&format!("--style c.png:{weight}")) && message.contains("above 0"), "{message}");
        }
    }

    #[test]
    fn every_file_is_named_and_a_region_is_told_by_its_mask() {
        let parse = |text: &str| StyleFile::parse(text).unwrap();
        let given = vec![parse("art/a.jpg:1:m.png"), parse("b.jpg:2:m.png"), parse("c.jpg:1:opacity"), parse("d.jpg")];
        let keep = Some(MaskSource::File("k.png".into()));
        let mut scene = Scene::new(given, &["d.jpg=in/s.png".into()], keep).unwrap();
        let files = ["art/a.jpg", "b.jpg", "c.jpg", "d.jpg", "in/s.png", "m.png", "k.png"];
        assert_eq!(scene.files(), files.map(Path::new));
        // The mask of two styles is changed with each of them.
        assert_eq!(scene.named_files_mut().count(), files.len() + 1);
        let sizes = scene.sizes((30, 40), |path| Ok((20, path.as_os_str().len()))).unwrap();
        let regions: Vec<_> = sizes.styles.iter().map(|style| style.region).collect();
        assert_eq!(regions, [Some(0), Some(0), Some(1), None]);
        assert_eq!(
            (sizes.masks, sizes.keep, sizes.styles[3].mask),
            (vec![(20, 5), (30, 40)], Some((20, 5)), Some((20, 8)))
        );
        let words = "--style a.jpg:1:m.png --style b.jpg:2:m.png --style c.jpg:1:opacity --style d.jpg:1 \
                     --style-mask d.jpg=s.png --keep k.png";
        assert_eq!(scene.to_words().join(" "), words);
    }
}

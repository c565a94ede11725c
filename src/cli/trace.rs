//! `--trace FILE`: the run as JSON Lines, for plots and for comparison with
//! other programs. A header with the whole configuration, a line per iteration
//! with its losses as measured before the update, and a last line, marked
//! `"final": true`, after the last update. Each line is flushed, so that an
//! interrupted run leaves a readable file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use impasto::config::{Config, Init};
use impasto::files;
use impasto::transfer::{Step, StyleSize};
use impasto::vgg::Layer;
use impasto::{Error, Result};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use tempfile::TempPath;

use super::paths::same_file;
use super::styles::{MaskSource, StyleFile};

/// An input picture as the header records it: the file, and its size before any resizing.
#[derive(Serialize)]
pub struct Source {
    path: String,
    width: usize,
    height: usize,
}

impl Source {
    /// Describes the picture of (height, width) pixels read from `path`.
    pub fn new(path: &Path, (height, width): (usize, usize)) -> Self {
        Source { path: path.to_string_lossy().into_owned(), width, height }
    }
}

/// A style picture as the header records it, with its weight and masks as they were given.
#[derive(Serialize)]
pub struct StyleSource {
    #[serde(flatten)]
    source: Source,
    weight: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<MaskSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mask: Option<PathBuf>,
}

impl StyleSource {
    /// Describes a style of that size.
    pub fn new(file: &StyleFile, style: &StyleSize) -> Self {
        let region = file.region.clone().map(MaskSource::portable);
        StyleSource {
            source: Source::new(&file.path, style.size),
            weight: style.weight,
            region,
            mask: file.mask.as_deref().map(lossy),
        }
    }
}

/// What the first line says.
#[derive(Serialize)]
pub struct Header {
    impasto: &'static str,
    config: Config,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Source>,
    styles: Vec<StyleSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep: Option<MaskSource>,
    output: String,
}

impl Header {
    /// The header of a run from `content`, if there is one, and `styles` to `output`, where a mask may say what is kept.
    pub fn new(
        config: &Config,
        content: Option<Source>,
        styles: Vec<StyleSource>,
        keep: Option<MaskSource>,
        output: &Path,
    ) -> Self {
        let output = output.to_string_lossy().into_owned();
        let keep = keep.map(MaskSource::portable);
        Header { impasto: env!("CARGO_PKG_VERSION"), config: portable(config), content, styles, keep, output }
    }
}

/// JSON is Unicode; a path need not be.
fn lossy(path: &Path) -> PathBuf {
    path.to_string_lossy().into_owned().into()
}

fn portable(config: &Config) -> Config {
    let mut config = config.clone();
    config.weights = config.weights.as_deref().map(lossy);
    if let Init::File(path) = &config.init {
        config.init = Init::File(lossy(path));
    }
    config
}

#[derive(Serialize)]
struct Line<'a> {
    iteration: u32,
    scale: u32,
    width: usize,
    height: usize,
    content: f64,
    style: f64,
    tv: f64,
    total: f64,
    seconds: f64,
    #[serde(serialize_with = "by_layer")]
    layers: &'a [(Layer, f64)],
    #[serde(rename = "final", skip_serializing_if = "std::ops::Not::not")]
    last: bool,
}

fn by_layer<S: Serializer>(layers: &[(Layer, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(layers.len()))?;
    for (layer, loss) in layers {
        map.serialize_entry(layer, loss)?;
    }
    map.end()
}

/// An open trace file.
pub struct Trace {
    path: PathBuf,
    file: File,
    /// Where the trace lies until the run is accepted. What cannot be replaced, a device or a pipe, has no such place.
    temporary: Option<TempPath>,
}

impl Trace {
    /// Refuses a trace that would overwrite a file the run reads, or its result.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn check(path: &Path, output: &Path, inputs: &[&Path]) -> Result<()> {
        if let Err(cause) = files::check_folder(path) {
            return Err(Error::Usage(format!("--trace {}: {cause}", path.display())));
        }
        let what = if same_file(path, output) {
            "the output picture"
        } else if inputs.iter().any(|input| same_file(path, input)) {
            "an input"
        } else {
            return Ok(());
        };
        Err(Error::Usage(format!("--trace {}: this is {what} too; give the trace a name of its own", path.display())))
    }

    /// Creates the file and writes the header. An earlier trace stays until the first step: a run that is refused
    /// takes nothing away.
    ///
    /// # Errors
    /// [`Error::Usage`] if it cannot be created or written.
    pub fn create(path: &Path, header: &Header) -> Result<Self> {
        Trace::open(path)
            .and_then(|mut trace| {
                trace.write(header)?;
                Ok(trace)
            })
            .map_err(|cause| {
                Error::Usage(format!(
                    "--trace {}: cannot be created: {cause}; name a file in a folder with room, which you may write to",
                    path.display()
                ))
            })
    }

    /// Goes on with the trace of a run that has made `iterations`: what is there of later ones, made after the
    /// checkpoint, will be made again. Where no trace is, one begins with `header`.
    ///
    /// # Errors
    /// [`Error::Usage`] if it cannot be written.
    pub fn resume(path: &Path, header: &Header, iterations: u32) -> Result<Self> {
        let target = files::target(path);
        if target.metadata().is_ok_and(|there| !there.is_file() || there.len() > 0) {
            Trace::append(target, iterations).map_err(|cause| {
                Error::Usage(format!(
                    "--trace {}: cannot be continued: {cause}; move it away, and another begins",
                    path.display()
                ))
            })
        } else {
            Trace::create(path, header)
        }
    }

    fn append(path: PathBuf, iterations: u32) -> io::Result<Self> {
        if !path.metadata()?.is_file() {
            let _reader = without_waiting().open(&path)?;
            let file = File::options().write(true).open(&path)?;
            return Ok(Trace { path, file, temporary: None });
        }
        let mut file = File::options().read(true).write(true).open(&path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        // The header's line and one for each iteration. A last line without its end is half a line.
        let kept = text.split_inclusive(|&byte| byte == b'\n').take(iterations as usize + 1);
        let length: usize = kept.filter(|line| line.ends_with(b"\n")).map(<[u8]>::len).sum();
        file.set_len(length as u64)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Trace { path, file, temporary: None })
    }

    fn open(path: &Path) -> io::Result<Self> {
        let target = files::target(path);
        match target.metadata() {
            Ok(there) if there.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(there) if !there.is_file() => {
                // A pipe that nobody reads is refused here; where it could be opened, it can be again, and waited for.
                let _reader = without_waiting().open(&target).map_err(|cause| match cause.raw_os_error() {
                    Some(libc::ENXIO) => io::Error::other("nobody reads this pipe"),
                    _ => cause,
                })?;
                let file = File::options().write(true).open(&target)?;
                Ok(Trace { path: target, file, temporary: None })
            }
            Ok(there) if there.permissions().readonly() => Err(io::ErrorKind::PermissionDenied.into()),
            there => {
                let (file, temporary) = files::temporary(&files::folder(&target))?.into_parts();
                if let Ok(earlier) = there {
                    file.set_permissions(earlier.permissions())?;
                }
                Ok(Trace { path: target, file, temporary: Some(temporary) })
            }
        }
    }

    /// Adds the line of one iteration.
    ///
    /// # Errors
    /// [`Error::Output`] if it cannot be written.
    pub fn step(&mut self, step: &Step<'_>) -> Result<()> {
        let &Step { iteration, scale, width, height, content, style, tv, total, seconds, ref layers, last, .. } = step;
        let line = Line { iteration, scale, width, height, content, style, tv, total, seconds, layers, last };
        self.place()
            .and_then(|()| self.write(&line))
            .map_err(|cause| Error::Output { path: self.path.clone(), cause: format!("{cause}; the trace ends here") })
    }

    /// Gives the trace its name.
    fn place(&mut self) -> io::Result<()> {
        self.temporary.take().map_or(Ok(()), |temporary| temporary.persist(&self.path).map_err(|failed| failed.error))
    }

    /// One line in one write, without a buffer that could keep it back.
    fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.file.write_all(&text)
    }
}

/// Opens for writing what is there, and does not wait for a pipe's reader.
fn without_waiting() -> OpenOptions {
    let mut options = File::options();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    options
}

#[cfg(test)]
mod tests {
    use impasto::config::Preset;

    use super::*;

    fn line(last: bool) -> String {
        let layers = [(Layer::relu(2, 2), 0.1), (Layer::relu(1, 2), 1e-300)];
        serde_json::to_string(&Line {
            iteration: 3,
            scale: 1,
            width: 5,
            height: 4,
            content: 1.0 / 3.0,
            style: 2.0,
            tv: 0.0,
            total: 1.0,
            seconds: 0.5,
            layers: &layers,
            last,
        })
        .unwrap()
    }

    #[test]
    fn a_line_has_every_digit_and_its_layers_by_name() {
        let value: serde_json::Value = serde_json::from_str(&line(false)).unwrap();
        assert_eq!(value["content"].as_f64(), Some(1.0 / 3.0));
        assert_eq!(value["layers"]["relu1_2"].as_f64(), Some(1e-300));
        assert_eq!(value["iteration"], 3);
        assert!(value.get("final").is_none());
    }

    #[test]
    fn only_the_measurement_after_the_last_update_is_final() {
        assert!(line(true).ends_with(",\"final\":true}"));
    }

    #[test]
    #[cfg(unix)]
    fn a_path_that_is_not_unicode_does_not_stop_the_trace() {
        use std::os::unix::ffi::OsStringExt;
        let odd = PathBuf::from(std::ffi::OsString::from_vec(vec![b'a', 0xff]));
        let config = Config { weights: Some(odd.clone()), init: Init::File(odd), ..Preset::Paper.config() };
        assert!(serde_json::to_string(&portable(&config)).unwrap().contains("a\u{fffd}"));
    }
}

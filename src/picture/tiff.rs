//! TIFF, decoded without `image` or `tiff` in between.
//!
//! TIFF is a language for describing how samples lie in a file and what they
//! mean. Both libraries understand its commonest sentences and refuse the rest
//! (palettes, YCbCr, grey of few bits or with opacity), take opacity that is
//! multiplied in for opacity that is not, pass over the order of bits, and print
//! when a file is hostile. So here the file is read from its directory on:
//!
//! ```text
//! directory ─ layout: where the samples lie, judged ─ chunk: a strip or tile unpacked ─┐
//!           ─ colours: what samples mean ──────────────────────────── row by row ──────┴─→ Raster
//! ```

mod chunk;
mod colours;
mod layout;

use tiff::tags::Tag;

use self::chunk::Coding;
use self::colours::Colours;
use self::layout::Layout;
use super::directory::Directory;
use super::orientation;
use super::raster::{Bounds, Raster, Refusal, Samples, Sides, buffer};

/// Adobe's tag for a packet of XMP.
const XMP: Tag = Tag::Unknown(700);

/// Decodes the first picture of a TIFF file; its sides are judged before any pixel is decoded.
pub(super) fn decode(file: &[u8], bounds: &Bounds<'_>) -> Result<Raster, Refusal> {
    let directory = Directory::read(file).ok_or_else(|| damaged("its directory is missing"))?;
    let layout = Layout::of(&directory, bounds)?;
    let colours = Colours::of(&directory, &layout)?;
    let coding = Coding::of(&directory, &layout)?;
    let model = colours.model();
    let channels = model.channels() + usize::from(colours.has_alpha());
    let levels = colours.levels(&layout);
    let sides = Sides { height: layout.height as u64, width: layout.width as u64 };
    let bytes = levels.map_or(4, |levels| levels / 8) as usize;
    // The orientation of EXIF is TIFF's own.
    let orientation = orientation::of(Some(file), directory.bytes(XMP));
    bounds.memory(sides, (bytes * channels) as u64, colours.has_alpha(), orientation)?;
    let length = (layout.width * layout.height * channels) as u64;
    let mut samples = match levels {
        Some(8) => Samples::Eight(buffer(length)?),
        Some(16) => Samples::Sixteen(buffer(length)?),
        _ => Samples::Float(buffer(length)?),
    };

    let (mut stored, mut shown) = (Vec::new(), Vec::new());
    for place in layout.places() {
        let planes = coding.planes(file, &layout, place, colours.samples())?;
        for y in 0..place.rows {
            layout.row(&planes, y, place.columns, colours.samples(), &mut stored);
            colours.row(&stored, &mut shown);
            store(&mut samples, ((place.top + y) * layout.width + place.left) * channels, &shown);
        }
    }
    Ok(Raster {
        height: layout.height,
        width: layout.width,
        model,
        has_alpha: colours.has_alpha(),
        samples,
        icc: directory.bytes(Tag::IccProfile).map(<[u8]>::to_vec),
        orientation,
    })
}

/// Writes values of [0, 1] from `at` on, at the precision that `samples` have.
fn store(samples: &mut Samples, at: usize, values: &[f32]) {
    // `as` saturates, and takes what is not a number to 0.
    match samples {
        Samples::Eight(v) => v[at..].iter_mut().zip(values).for_each(|(v, x)| *v = (x * 255.0).round() as u8),
        Samples::Sixteen(v) => v[at..].iter_mut().zip(values).for_each(|(v, x)| *v = (x * 65_535.0).round() as u16),
        Samples::Float(v) => v[at..at + values.len()].copy_from_slice(values),
    }
}

fn damaged(what: &str) -> String {
    format!("the TIFF file is damaged or truncated ({what}): copy it again from its source")
}

fn unsupported(what: &str) -> String {
    format!("a kind of TIFF that cannot be read ({what}): convert it to PNG or JPEG")
}

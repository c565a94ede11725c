//! Pictures in a terminal, where it has a protocol for them: a PNG in an escape sequence. What a terminal has is told by the
//! variables that it sets; asking it would mean to read its answer from among what the user types.
//!
//! The protocols: <https://sw.kovidgoyal.net/kitty/graphics-protocol/>, <https://iterm2.com/documentation-images.html>.

use std::env::var;
use std::io::{IsTerminal, Write, stdout};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use impasto::{Error, Picture, Result};

/// Lines of the terminal that a picture takes.
const LINES: u32 = 20;

/// The longest side that is sent: more is not seen on so many lines.
const LONGEST: u32 = 800;

/// Bytes of a piece of kitty's protocol, at the most.
const PIECE: usize = 4096;

/// How this terminal is shown a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inline {
    /// kitty's protocol, which Ghostty and Konsole have, too.
    Kitty,
    /// iTerm2's, which WezTerm and mintty have, too.
    Iterm,
}

impl Inline {
    /// That of the terminal behind standard output, if it is one and has one.
    pub fn detect() -> Option<Self> {
        let set = |name: &str| var(name).unwrap_or_default();
        stdout().is_terminal().then(|| Inline::of(&set("TERM"), &set("TERM_PROGRAM"))).flatten()
    }

    /// That of a terminal with such variables.
    fn of(term: &str, program: &str) -> Option<Self> {
        match (term, program) {
            ("xterm-kitty" | "xterm-ghostty", _) | (_, "ghostty") => Some(Inline::Kitty),
            (_, "iTerm.app" | "WezTerm" | "mintty") => Some(Inline::Iterm),
            _ => None,
        }
    }

    /// Shows a picture below what is there.
    ///
    /// # Errors
    /// [`Error::Output`] if it cannot be written.
    pub fn show(self, picture: &Picture) -> Result<()> {
        let failed = |cause: String| Error::Output { path: "standard output".into(), cause };
        let mut png = Vec::new();
        let small = DynamicImage::ImageRgba8(eight_bits(picture)).thumbnail(LONGEST, LONGEST);
        small.write_to(&mut std::io::Cursor::new(&mut png), ImageFormat::Png).map_err(|e| failed(e.to_string()))?;
        let mut out = stdout().lock();
        let written = out.write_all(self.sequence(&png).as_bytes()).and_then(|()| out.flush());
        written.map_err(|e| failed(e.to_string()))
    }

    /// What is written to show a PNG.
    fn sequence(self, png: &[u8]) -> String {
        let text = BASE64_STANDARD.encode(png);
        match self {
            Inline::Iterm => {
                format!("\x1b]1337;File=inline=1;height={LINES};preserveAspectRatio=1;size={}:{text}\x07\n", png.len())
            }
            Inline::Kitty => {
                let mut sequence = String::with_capacity(text.len() + text.len() / 256);
                let mut first = format!("a=T,f=100,q=2,r={LINES},");
                let mut pieces = text.as_bytes().chunks(PIECE).peekable();
                while let Some(piece) = pieces.next() {
                    let more = u8::from(pieces.peek().is_some());
                    let piece = std::str::from_utf8(piece).expect("base64 is ASCII");
                    sequence += &format!("\x1b_G{first}m={more};{piece}\x1b\\");
                    first.clear();
                }
                sequence + "\n"
            }
        }
    }
}

/// A picture as screens have it.
fn eight_bits(picture: &Picture) -> RgbaImage {
    let byte = |value: f32| (value * 255.0).round() as u8;
    RgbaImage::from_fn(picture.width() as u32, picture.height() as u32, |x, y| {
        let (y, x) = (y as usize, x as usize);
        let [red, green, blue] = [0, 1, 2].map(|c| byte(picture.rgb[[y, x, c]]));
        Rgba([red, green, blue, picture.alpha.as_ref().map_or(255, |alpha| byte(alpha[[y, x]]))])
    })
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, arr2};

    use super::*;

    #[test]
    fn a_picture_keeps_its_colours_and_opacity_in_eight_bits() {
        let values = [0.0, 0.5, 1.0, 0.2, 0.4, 0.6];
        let mut picture = Picture::from_rgb(Array3::from_shape_vec((1, 2, 3), values.to_vec()).unwrap());
        assert_eq!(eight_bits(&picture).into_raw(), [0, 128, 255, 255, 51, 102, 153, 255]);
        picture.alpha = Some(arr2(&[[0.0, 1.0]]));
        assert_eq!(eight_bits(&picture).into_raw(), [0, 128, 255, 0, 51, 102, 153, 255]);
    }

    #[test]
    fn a_terminal_is_known_by_its_variables() {
        assert_eq!(Inline::of("xterm-kitty", ""), Some(Inline::Kitty));
        assert_eq!(Inline::of("xterm-256color", "WezTerm"), Some(Inline::Iterm));
        assert_eq!(Inline::of("xterm-256color", ""), None);
        assert_eq!(Inline::of("screen", "tmux"), None);
    }

    #[test]
    fn the_pieces_put_together_are_the_png() {
        let png: Vec<u8> = (0..10_000u32).map(|i| (i * 31 % 251) as u8).collect();
        let kitty = Inline::Kitty.sequence(&png);
        let pieces: Vec<_> = kitty.split("\x1b_G").skip(1).map(|p| p.split_once("\x1b\\").unwrap().0).collect();
        assert!(pieces[0].starts_with("a=T,f=100,q=2,r=20,m=1;") && pieces.last().unwrap().starts_with("m=0;"));
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE + 30));
        let text: String = pieces.iter().map(|piece| piece.split_once(';').unwrap().1).collect();
        assert_eq!(BASE64_STANDARD.decode(text).unwrap(), png);
        let iterm = Inline::Iterm.sequence(&png);
        let text = iterm.strip_suffix("\x07\n").unwrap().split_once(':').unwrap().1;
        assert!(iterm.starts_with("\x1b]1337;File=inline=1;") && iterm.contains("size=10000"));
        assert_eq!(BASE64_STANDARD.decode(text).unwrap(), png);
    }
}

//! Lines for people. A reader who has gone away (`impasto man | head`) is no
//! reason to fail, so write errors on standard output and error are dropped;
//! `println!` would panic instead.

use std::fmt::Display;
use std::io::{self, Write};

/// Prints `error: …` on standard error.
pub fn error(message: impl Display) {
    note(format_args!("error: {message}"));
}

/// Prints a line on standard error.
pub fn note(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Prints text on standard output as it is.
pub fn text(text: impl AsRef<[u8]>) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_ref()).and_then(|()| out.flush());
}

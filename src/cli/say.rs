//! Lines for people. A reader who has gone away (`impasto man | head`) is no
//! reason to fail, where `println!` would panic; a full disk is.
//!
//! Names of files may hold anything, and a terminal obeys control characters:
//! they are printed as Rust would spell them.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use impasto::{Error, Result};

/// Prints `error: …` on standard error.
pub fn error(message: impl Display) {
    note(format_args!("error: {message}"));
}

/// Prints a line on standard error. Where that cannot be written to, there is nobody to tell.
pub fn note(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{}", printable(&line.to_string()));
}

/// Whether standard error can be drawn over: a terminal, and not one that says it only prints (`TERM=dumb`).
pub fn redraws() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Prints text on standard output.
///
/// # Errors
/// [`Error::Output`] if it cannot be written, unless because nobody reads on.
pub fn text(text: impl AsRef<str>) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(printable(text.as_ref()).as_bytes()).and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => {
            Err(Error::Output { path: "standard output".into(), cause: cause.to_string() })
        }
        _ => Ok(()),
    }
}

/// A text without control characters but for ends of lines and tabs.
pub fn printable(text: &str) -> Cow<'_, str> {
    let harmless = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    if text.chars().all(harmless) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if harmless(c) { escaped.push(c) } else { escaped.extend(c.escape_default()) }
    }
    escaped.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_spelled_out() {
        assert_eq!(printable("été\tà\n"), "été\tà\n");
        assert_eq!(printable("\u{1b}[2J\r\u{9b}\u{7f}x"), "\\u{1b}[2J\\r\\u{9b}\\u{7f}x");
    }
}

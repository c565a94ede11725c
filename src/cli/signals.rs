//! Ctrl-C, SIGTERM and SIGHUP: the first asks the run to stop after its iteration, so
//! that the picture so far can be written; a second ends the program at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;

/// Remembers the first signal.
#[derive(Clone, Debug, Default)]
pub struct Signals(Arc<AtomicUsize>);

/// A signal that asks to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, which Ctrl-C sends.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal was closed.
    Hangup,
}

impl Signal {
    const ALL: [Signal; 3] = [Signal::Interrupt, Signal::Terminate, Signal::Hangup];

    fn number(self) -> i32 {
        match self {
            Signal::Interrupt => SIGINT,
            Signal::Terminate => SIGTERM,
            Signal::Hangup => SIGHUP,
        }
    }

    /// The name a user knows it by.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Interrupt => "Ctrl-C",
            Signal::Terminate => "SIGTERM",
            Signal::Hangup => "SIGHUP",
        }
    }

    /// 128 + the signal's number, as shells count.
    pub fn exit_code(self) -> u8 {
        match self {
            Signal::Interrupt => 130,
            Signal::Terminate => 143,
            Signal::Hangup => 129,
        }
    }
}

impl Signals {
    /// Takes the signals over, but for those that whoever started the program asked to be ignored, as `nohup` does.
    /// And a file beyond the size that is allowed is an error where it is written, not the end.
    ///
    /// # Errors
    /// The system's, when it refuses.
    pub fn install() -> io::Result<Self> {
        let signals = Signals::default();
        let stopping = Arc::new(AtomicBool::new(false));
        flag::register(SIGXFSZ, Arc::default())?;
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        for signal in Signal::ALL {
            let number = signal.number();
            if ignored(&status, number) {
                continue;
            }
            // Handlers run in the order of registration: the one that exits must
            // see the flag as it was before this signal.
            flag::register_conditional_shutdown(number, i32::from(signal.exit_code()), Arc::clone(&stopping))?;
            flag::register(number, Arc::clone(&stopping))?;
            flag::register_usize(number, Arc::clone(&signals.0), signal.exit_code().into())?;
        }
        Ok(signals)
    }

    /// The signal that asked to stop, if one did.
    pub fn received(&self) -> Option<Signal> {
        let code = self.0.load(Ordering::Relaxed);
        Signal::ALL.into_iter().find(|signal| usize::from(signal.exit_code()) == code)
    }
}

/// Whether a process of this status (Linux's `/proc/…/status`) ignores a signal.
fn ignored(status: &str, number: i32) -> bool {
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (number - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_ignored_is_in_the_mask() {
        let status = "SigBlk:\t0000000000000003\nSigIgn:\t0000000000001001\n";
        assert!(ignored(status, SIGHUP) && !ignored(status, SIGINT) && !ignored("", SIGHUP));
    }

    #[test]
    fn an_exit_code_is_128_and_the_signal_number() {
        for signal in Signal::ALL {
            assert_eq!(i32::from(signal.exit_code()), 128 + signal.number());
        }
    }
}

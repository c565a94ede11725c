//! Ctrl-C, SIGTERM and SIGHUP. The first asks the run to stop after its iteration, a second cancels the iteration:
//! both leave the picture so far. A third ends the program at once, in case the picture cannot be written, either.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use impasto::autograd::Cancel;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals as Incoming;

/// Signals within so short a time are one: a terminal and a supervisor may both pass on what was meant once.
const ONE: Duration = Duration::from_secs(1);

/// Remembers the first signal, and tells of the second.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    first: Arc<AtomicUsize>,
    cancel: Cancel,
}

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
    /// And a file beyond the size that is allowed is an error where it is written, not the end. `say` is told what a
    /// signal does.
    ///
    /// # Errors
    /// The system's, when it refuses.
    pub fn install(say: impl Fn(&str) + Send + 'static) -> io::Result<Self> {
        let signals = Signals::default();
        flag::register(SIGXFSZ, Arc::default())?;
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let heeded = Signal::ALL.iter().map(|signal| signal.number()).filter(|&number| !ignored(&status, number));
        let mut incoming = Incoming::new(heeded)?;
        let (first, cancel) = (signals.first.clone(), signals.cancel.clone());
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            let (mut count, mut last): (_, Option<Instant>) = (0, None);
            for number in &mut incoming {
                let Some(signal) = Signal::ALL.into_iter().find(|signal| signal.number() == number) else { continue };
                if last.is_some_and(|last| last.elapsed() < ONE) {
                    continue;
                }
                last = Some(Instant::now());
                count += 1;
                match count {
                    1 => {
                        first.store(signal.exit_code().into(), Ordering::Relaxed);
                        say("stopping after this step; again to stop at once");
                    }
                    2 => {
                        cancel.cancel();
                        say("stopping; again to leave without the picture");
                    }
                    _ => std::process::exit(signal.exit_code().into()),
                }
            }
        })?;
        Ok(signals)
    }

    /// What the second signal says.
    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    /// The signal that asked to stop, if one did.
    pub fn received(&self) -> Option<Signal> {
        let code = self.first.load(Ordering::Relaxed);
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

//! A panic is a bug in Impasto, never a user's fault, and a user gets one line
//! about it instead of a stack of frames. The hook only remembers: a panic that
//! someone below catches on purpose (a decoder given a malicious file) stays silent.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
#[cfg(unix)]
use std::sync::{Arc, atomic::AtomicBool};
use std::sync::{Mutex, PoisonError};

#[cfg(unix)]
use signal_hook::{consts::SIGABRT, flag};

use super::Failure;

/// The exit code of an internal error.
const INTERNAL: u8 = 1;

/// Runs `work`; a panic in it becomes a [`Failure`] that asks for a report.
///
/// With `RUST_BACKTRACE=1` the frames follow the line.
pub fn caught(work: impl FnOnce() -> Result<u8, Failure>) -> Result<u8, Failure> {
    static LAST: Mutex<String> = Mutex::new(String::new());
    panic::set_hook(Box::new(|info| {
        *LAST.lock().unwrap_or_else(PoisonError::into_inner) = describe(info);
    }));
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let what = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        let message = format!(
            "internal error: {what}\nThis is a bug in Impasto {}: please report it with the command line",
            env!("CARGO_PKG_VERSION")
        );
        Err(Failure { message, code: INTERNAL })
    })
}

/// Where memory can be refused outright, the runtime says so and aborts, and nothing can catch that: then the exit code
/// is at least that of a run that does not fit.
pub fn expect_refused_memory() {
    #[cfg(unix)]
    if impasto::limits::may_be_refused() {
        let code = impasto::Error::Memory(String::new()).exit_code();
        // Not to be told of an abort is no reason to end.
        let _ = flag::register_conditional_shutdown(SIGABRT, code.into(), Arc::new(AtomicBool::new(true)));
    }
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let what = info.payload_as_str().unwrap_or("unknown cause");
    let place = info.location().map(|place| format!(" ({}:{})", place.file(), place.line())).unwrap_or_default();
    let frames = Backtrace::capture();
    match frames.status() {
        BacktraceStatus::Captured => format!("{what}{place}\n{frames}"),
        _ => format!("{what}{place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_one_line_and_exit_code_1() {
        let failure = caught(|| panic!("7 shapes")).unwrap_err();
        drop(panic::take_hook());
        assert_eq!(failure.code, 1);
        assert!(failure.message.contains("internal error: 7 shapes (src/cli/panics.rs:"), "{}", failure.message);
        assert!(failure.message.contains("report"));
    }
}

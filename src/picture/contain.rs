//! Containing other people's panics.
//!
//! Decoders of hostile bytes do panic, and the standard panic hook prints to
//! the terminal before any `catch_unwind` sees it. So a hook is installed once,
//! in front of the one that was there: it is silent on a thread that is inside
//! [`contain`] and passes everything else on, so that our own bugs stay loud.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static CONTAINED: Cell<u32> = const { Cell::new(0) };
}

/// Marks this thread as contained for as long as it lives.
struct Contained;

impl Contained {
    fn enter() -> Self {
        CONTAINED.set(CONTAINED.get() + 1);
        Contained
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        CONTAINED.set(CONTAINED.get() - 1);
    }
}

/// Runs `work`; a panic inside becomes `Err` with the panic's message and leaves no trace on the terminal.
///
/// Only for calls into libraries on data the program did not make. A stack
/// overflow or a failed allocation aborts all the same: limits prevent those.
pub(super) fn contain<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |info| {
            if CONTAINED.try_with(Cell::get).unwrap_or(0) == 0 {
                previous(info);
            }
        }));
    });
    let _contained = Contained::enter();
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| message(&*payload))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message_and_the_thread_is_loud_again() {
        assert_eq!(contain(|| panic!("index {} out of range", 7)), Err::<(), _>("index 7 out of range".into()));
        assert_eq!(contain(|| panic!("plain")), Err::<(), _>("plain".into()));
        assert_eq!(CONTAINED.get(), 0);
        assert_eq!(contain(|| 5), Ok(5));
    }

    #[test]
    fn containment_nests() {
        let inner = contain(|| {
            let inner = contain(|| panic!("inner"));
            assert_eq!(CONTAINED.get(), 1);
            inner
        });
        assert_eq!(inner, Ok(Err::<(), _>("inner".into())));
    }
}

//! Other people's code that reads files of users: a defect in it is an error about the file and not the end of the program.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread becomes an error, so that nothing is said of it.
pub fn is_guarded() -> bool {
    IS_GUARDED.get()
}

/// Does some work; a panic in it becomes an error.
///
/// # Errors
/// What the panic said.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if !is_guarded() {
                before(panic);
            }
        }));
    });
    let outer = IS_GUARDED.replace(true);
    // What the work changes is forgotten with it.
    let outcome = catch_unwind(AssertUnwindSafe(work));
    IS_GUARDED.set(outer);
    outcome.map_err(|panic| message(&*panic))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_message() {
        assert_eq!(guarded(|| 7), Ok(7));
        assert_eq!(guarded(|| -> u8 { panic!("at {}", 3) }), Err("at 3".to_owned()));
        assert_eq!(guarded(|| -> u8 { panic!("plainly") }), Err("plainly".to_owned()));
        assert!(!is_guarded());
    }
}

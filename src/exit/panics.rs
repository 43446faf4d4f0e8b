//! Panics of foreign code that cost one operation and not the process.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`; a panic in it is given back as its reason instead of ending the process. What `work` touched is to be
/// thrown away then.
///
/// # Errors
/// If `work` panics: what it said.
pub fn contain<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let before = GUARDED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(before);
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it gave up".to_owned())
    })
}

/// Whether a panic on this thread is about to be contained. For the hook that ends the process if not.
#[must_use]
pub fn contained() -> bool {
    GUARDED.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_reason_and_the_guard_ends_with_it() {
        assert_eq!(contain(|| 7), Ok(7));
        assert_eq!(
            contain(|| -> u8 { panic!("page {} is damaged", 3) }),
            Err("page 3 is damaged".to_owned())
        );
        assert!(contain(contained).unwrap());
        assert!(!contained());
    }
}

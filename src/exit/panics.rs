//! Panics of foreign code that cost one operation and not the process.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static CONTAINED: Cell<u64> = const { Cell::new(0) };
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

/// Whether a panic on this thread is about to be contained, which is noted. For the hook that ends the process if not.
#[must_use]
pub fn contained() -> bool {
    if GUARDED.get() {
        CONTAINED.set(CONTAINED.get() + 1);
    }
    GUARDED.get()
}

/// How many panics of this thread the hook has let be contained, those included that foreign code within
/// [`contain`] has caught itself.
#[must_use]
pub fn contained_count() -> u64 {
    CONTAINED.get()
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
        let before = contained_count();
        assert!(contain(contained).unwrap());
        assert!(!contained());
        assert_eq!(contained_count() - before, 1);
    }
}

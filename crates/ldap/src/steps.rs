//! Counts the work of reading what peers send, about one step for each octet looked at, so that tests and fuzzing can
//! compare the work with the octets received. Without debug assertions, as in what is shipped and measured, it compiles to
//! nothing.
//!
//! Must not know what is read.

/// Steps allowed for each octet read. The worst are compatibility characters that stand for many (three octets of U+FDFA
/// for 33): one fold counts 11 octets for each, twice a round in at most four rounds, and what turns out not to be a value
/// of its syntax is folded once more as text.
#[cfg(debug_assertions)]
pub const PER_OCTET: u64 = 2 * (1 + 11 * 2 * 4) + 14;
/// Steps allowed on top of that: tables of fixed size.
#[cfg(debug_assertions)]
pub const FIXED: u64 = 4096;

#[cfg(debug_assertions)]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Adds to the count of this thread.
#[inline(always)]
pub fn add(steps: usize) {
    #[cfg(debug_assertions)]
    STEPS.with(|counter| counter.set(counter.get().saturating_add(steps as u64)));
    #[cfg(not(debug_assertions))]
    let _ = steps;
}

/// What `work` returns, and the steps it took on this thread.
#[cfg(debug_assertions)]
pub fn count<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = STEPS.with(std::cell::Cell::get);
    let result = work();
    (result, STEPS.with(std::cell::Cell::get) - before)
}

/// Runs `work`, which reads this many octets.
///
/// # Panics
/// When it takes more steps than [`PER_OCTET`] and [`FIXED`] allow.
#[cfg(debug_assertions)]
pub fn within_budget<T>(octets: usize, work: impl FnOnce() -> T) -> T {
    let (result, steps) = count(work);
    let budget = FIXED + PER_OCTET * octets as u64;
    assert!(
        steps <= budget,
        "{steps} steps for {octets} octets, {budget} are allowed"
    );
    result
}

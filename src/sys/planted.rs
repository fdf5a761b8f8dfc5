//! Bugs on request, so that a detector can be seen to detect.
//!
//! ```text
//!   if !planted("event_no_fence") { fence(SeqCst) }        without `--cfg planted`: always the fence
//! ```
//!
//! In a build with `--cfg planted`, and in no other, the bug that the environment variable
//! `FORTHWITH_PLANTED` names is there. `loom-tests/planted.txt` lists all, with who must catch each.

/// Whether this bug is there.
#[cfg(not(planted))]
#[inline]
pub(crate) fn planted(_: &str) -> bool {
    false
}

/// Whether this bug is there.
#[cfg(planted)]
pub(crate) fn planted(bug: &str) -> bool {
    // Not loom's: it belongs to the process, not to an execution of a model.
    static BUG: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    BUG.get_or_init(|| std::env::var("FORTHWITH_PLANTED").unwrap_or_default()) == bug
}

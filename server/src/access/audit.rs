//! Who was refused, and who changed something: a log of its own target, `ragstone::audit`.
//!
//! One line for each decision that denies, and for each call that may change something once it is let through. It names the caller, the call and the
//! reason: never a key, a token, a claim, a filter, a question or a text. `RUST_LOG=ragstone::audit=info` has it alone.

/// What every line is logged under.
const TARGET: &str = "ragstone::audit";

/// A call was refused before it was begun.
pub(super) fn denied(caller: &str, call: &str, reason: &'static str) {
    tracing::warn!(target: TARGET, decision = "denied", caller, call, reason);
}

/// A call that may change something was let through.
pub(super) fn allowed(caller: &str, call: &str, action: &'static str) {
    tracing::info!(target: TARGET, decision = "allowed", caller, call, action);
}

/// A call was refused when it came to what it is about.
pub(super) fn refused(caller: &str, call: &str) {
    tracing::warn!(target: TARGET, decision = "denied", caller, call, reason = "out of scope");
}

/// A key was made, given another secret, or taken back.
pub(super) fn key(caller: &str, change: &'static str, id: &str) {
    tracing::info!(target: TARGET, decision = "changed", caller, change, key = id);
}

//! What an operator writes to reduce noise: labels, rules and redactions.
//!
//! These are the words. Their effect on an alert is decided by [`crate::policy`].

pub(super) mod condition;
mod pattern;
pub(super) mod redaction;
pub(super) mod rule;

pub use condition::{Condition, Field, Term};
pub use pattern::{Pattern, PatternError};
pub use redaction::{NamedPattern, REDACTED, Redaction, mark};
pub use rule::{KeyTemplate, Rule};

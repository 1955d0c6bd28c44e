//! The operator's means to reduce noise: labels, rules and redactions.
//!
//! This module reads them. [`crate::policy`] applies them to an alert.

pub(super) mod condition;
pub(super) mod group;
pub(super) mod mute;
mod pattern;
pub(super) mod redaction;
pub(super) mod rule;

pub use condition::{Condition, Field, Term};
pub use group::{Group, Threshold};
pub use mute::{Mute, Schedule, Weekly};
pub use pattern::{Pattern, PatternError};
pub use redaction::{NamedPattern, REDACTED, Redaction, mark};
pub use rule::{KeyTemplate, Rule};

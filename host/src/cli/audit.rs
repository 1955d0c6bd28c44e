//! The entries of the audit that commands make.

use crate::store::Entry;

/// Returns the entry of an action at the command line.
pub fn entry(action: &str, about: String, why: Option<String>, at_ms: i64) -> Entry {
    Entry {
        at_ms,
        who: user(),
        origin: "command line".to_owned(),
        action: action.to_owned(),
        about,
        why,
    }
}

/// The user of this machine, behind sudo as well.
pub fn user() -> String {
    std::env::var("SUDO_USER")
        .or_else(|_| std::env::var("USER"))
        .unwrap_or_else(|_| "unknown".to_owned())
}

//! Names of sources and destinations. They stand in URLs, metrics and file names, so they are short and plain.

use super::raw::{Span, quoted};
use super::reading::Reading;

/// The longest name. Senders limit the length of a URL, and a name is part of one.
const LONGEST: usize = 63;

/// The source of the gateway's own alerts. No configured source may be called so: their events would be taken for each
/// other's.
pub const OWN_SOURCE: &str = "alert-gateway";

/// Returns whether `name` is `[a-z0-9][a-z0-9_-]*` of at most 63 characters; reports it otherwise.
pub(super) fn is_valid(what: &str, name: &str, span: Span, reading: &mut Reading) -> bool {
    if what == "source" && name == OWN_SOURCE {
        let found = format!("{} is the source of the gateway's own alerts", quoted(name));
        reading.problem(span, found, "give this source another name");
        return false;
    }
    let rest = name.strip_prefix(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    if name.len() <= LONGEST && rest.is_some_and(|rest| rest.chars().all(allowed)) {
        return true;
    }
    let rule = "lower-case letters, digits, - and _, beginning with a letter or digit, at most 63";
    let help = match plain(name) {
        Some(plain) => format!("name it {plain:?} ({rule})"),
        None => format!("use {rule}"),
    };
    reading.problem(span, format!("{} is not a name for a {what}", quoted(name)), help);
    false
}

fn allowed(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-'
}

/// The nearest name that is allowed.
pub(super) fn plain(name: &str) -> Option<String> {
    let lower = name.chars().flat_map(char::to_lowercase);
    let plain: String = lower.map(|c| if allowed(c) { c } else { '-' }).take(LONGEST).collect();
    let plain = plain.trim_matches(['-', '_']);
    (!plain.is_empty()).then(|| plain.to_owned())
}

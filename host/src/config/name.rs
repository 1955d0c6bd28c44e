//! Names of sources and destinations. They stand in URLs, metrics and file names, so they are short
//! and plain.

use toml::de::DeValue;

use super::problem::{Span, did_you_mean, listed};
use super::raw::{Value, quoted};
use super::reading::Reading;

/// The longest name. Senders limit the length of a URL, and a name is part of one.
const LONGEST: usize = 63;

/// The source of the gateway's own alerts. No configured source may be called so: their events
/// would be taken for each other's.
pub const OWN_SOURCE: &str = "alert-gateway";

/// Returns true if `name` is `[a-z0-9][a-z0-9_-]*` of at most 63 characters, and reports it
/// otherwise.
pub(super) fn is_valid(what: &str, name: &str, span: Span, reading: &Reading<'_>) -> bool {
    if what == "source" && name == OWN_SOURCE {
        let found = format!("{} is the source of the gateway's own alerts", quoted(name));
        reading.problem(span, found, "give this source another name");
        return false;
    }
    let rest =
        name.strip_prefix(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    if name.len() <= LONGEST && rest.is_some_and(|rest| rest.chars().all(allowed)) {
        return true;
    }
    let rule = "lower-case letters, digits, - and _, beginning with a letter or digit, at most 63";
    let help = match plain(name) {
        Some(plain) => format!("name it {plain:?} ({rule})"),
        None => format!("use {rule}"),
    };
    reading.problem(
        span,
        format!("{} is not a name for a {what}", quoted(name)),
        help,
    );
    false
}

fn allowed(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-'
}

/// Returns the nearest name that is allowed.
fn plain(name: &str) -> Option<String> {
    let lower = name.chars().flat_map(char::to_lowercase);
    let plain: String = lower
        .map(|c| if allowed(c) { c } else { '-' })
        .take(LONGEST)
        .collect();
    let plain = plain.trim_matches(['-', '_']);
    (!plain.is_empty()).then(|| plain.to_owned())
}

/// Reads the name of a configured destination.
pub(super) fn of_destination(value: &Value<'_>, known: &[&str]) -> Option<String> {
    let name = value.text("itoc360")?;
    // One whose name is not allowed is a problem already, and will be called what that problem
    // says.
    if known
        .iter()
        .any(|known| *known == name || plain(known).as_deref() == Some(name))
    {
        return Some(name.to_owned());
    }
    let help = match did_you_mean(name, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None if known.is_empty() && value.variable().is_none() => {
            format!("add [destinations.{name}]")
        }
        None if known.is_empty() => "add a table [destinations.<name>]".to_owned(),
        None => format!(
            "the destinations are {}",
            listed(known.iter().copied(), "and")
        ),
    };
    value.absent(
        format!(
            "{} is {}, which is not configured",
            value.label,
            value.shown(name)
        ),
        help,
    );
    None
}

/// Reads the names of configured destinations: one text, or a list without repeats.
pub(super) fn of_destinations(value: &Value<'_>, known: &[&str]) -> Option<Vec<String>> {
    let items = match value.value {
        DeValue::Array(items) if items.is_empty() => {
            value.problem(
                format!("{} is an empty list", value.label),
                "name a destination",
            );
            return None;
        }
        DeValue::Array(items) => items,
        _ => return of_destination(value, known).map(|name| vec![name]),
    };
    let mut names: Vec<String> = Vec::new();
    for item in items {
        let item = Value::new(value.label.clone(), item, value.reading);
        let name = of_destination(&item, known)?;
        if names.contains(&name) {
            item.wrong_text(&name, "write each destination once");
            return None;
        }
        names.push(name);
    }
    Some(names)
}

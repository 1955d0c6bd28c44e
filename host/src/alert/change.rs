//! A change that an operator's rule made to an alert.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The most bytes of a value that are kept, before and after.
const VALUE: usize = 200;

/// A change of one field of an alert, by one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The rule, by its number from 1.
    pub rule: usize,
    /// The key of the rule that names the field: `priority`, `key`, `labels.team`, `destination` or
    /// `resolve_after`.
    pub field: String,
    /// The value before; absent where there was none, or it stands in the configuration only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The value after.
    pub to: String,
}

impl Change {
    /// Cuts values to the length that is kept.
    pub fn cut(&mut self) {
        for text in self.from.iter_mut().chain([&mut self.to]) {
            if text.len() > VALUE {
                text.truncate(text.floor_char_boundary(VALUE));
                text.push('…');
            }
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field, from, to, ..
        } = self;
        match from {
            Some(from) => write!(f, "{field} {from} -> {to}"),
            None => write!(f, "{field} {to}"),
        }
    }
}

/// Returns the rules of an alert, each with its changes.
pub fn by_rule<'c>(
    rules: &'c [usize],
    changes: &'c [Change],
) -> impl Iterator<Item = (usize, Vec<&'c Change>)> {
    rules.iter().map(|rule| {
        let of_rule = changes.iter().filter(|change| change.rule == *rule);
        (*rule, of_rule.collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_between_characters() {
        let mut change = Change {
            rule: 1,
            field: "labels.note".to_owned(),
            from: Some("é".repeat(101)),
            to: "short".to_owned(),
        };
        change.cut();
        assert_eq!(change.from, Some(format!("{}…", "é".repeat(100))));
        assert_eq!(change.to, "short");
    }
}

//! A setting that may be one source, several of which the first that gives something counts, or a table of values.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::scope::Scope;
use crate::settings::Several;

/// `"/level"`, `["/level", "/severity"]` or `{ from = "/level", values = { fatal = "critical" }, default = "medium" }`.
#[derive(Debug, Default, Deserialize)]
pub struct Choice {
    /// Sources, the best first.
    pub from: Several,
    /// What a value means: a source for each.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// The source where `from` gives nothing, or a value that means nothing.
    #[serde(default)]
    pub default: Option<String>,
}

impl Choice {
    /// The text for an event. A value that `values` does not name is taken as it is where there is no default.
    pub fn text<'a>(&'a self, scope: &Scope<'a, '_>) -> Option<Cow<'a, str>> {
        self.pick(scope, |_| self.values.is_empty() || self.default.is_none())
    }

    /// The text for an event: what `values` make of it, or the value itself where it `stands` for itself, or the default.
    fn pick<'a>(&'a self, scope: &Scope<'a, '_>, stands: impl Fn(&str) -> bool) -> Option<Cow<'a, str>> {
        let found = self.from.0.iter().find_map(|source| scope.text(source));
        let meant = found.as_ref().and_then(|found| self.meaning(found));
        match (meant, found) {
            (Some(meant), _) => scope.text(meant),
            (None, Some(found)) if stands(&found) => Some(found),
            _ => self.default.as_deref().and_then(|default| scope.text(default)),
        }
    }

    /// As [`Choice::text`], for one of a few words: `read` knows those that need no table.
    pub fn word<'a, T>(&'a self, scope: &Scope<'a, '_>, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.pick(scope, |word| read(word).is_some()).and_then(|word| read(&word))
    }

    /// What a value means, whatever its case.
    fn meaning(&self, value: &str) -> Option<&str> {
        let value = value.trim();
        let same = |(name, _): &(&String, &String)| name.eq_ignore_ascii_case(value);
        self.values.get(value).or_else(|| self.values.iter().find(same).map(|(_, meant)| meant)).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::readable;
    use crate::settings::AnyChoice;
    use crate::tree::Node;
    use plugin_sdk::contract::Priority;
    use plugin_sdk::testing;
    use std::cell::Cell;

    fn priority(event: &str, settings: &str) -> Option<Priority> {
        let (request, unread) = (testing::post("https://a.example/").build(), Cell::new(readable(0)));
        let event = Node::read(event).unwrap();
        let AnyChoice(choice) = serde_json::from_str(settings).unwrap();
        choice.word(
            &Scope { request: &request, body: Some(&event), event: Some(&event), unread: &unread },
            Priority::from_word,
        )
    }

    fn text(event: &str, settings: &str) -> Option<String> {
        let (request, unread) = (testing::post("https://a.example/").build(), Cell::new(readable(0)));
        let event = Node::read(event).unwrap();
        let AnyChoice(choice) = serde_json::from_str(settings).unwrap();
        choice
            .text(&Scope { request: &request, body: Some(&event), event: Some(&event), unread: &unread })
            .map(Cow::into_owned)
    }

    #[test]
    fn the_first_source_that_gives_something_counts() {
        let sources = r#"["/a", "{/b}!", "literal"]"#;
        for (event, found) in [(r#"{"a":"1","b":"2"}"#, "1"), (r#"{"a":"","b":"2"}"#, "2!"), ("[]", "literal")] {
            assert_eq!(text(event, sources).as_deref(), Some(found), "{event}");
        }
        assert_eq!(text("{}", r#""/a""#), None);
    }

    #[test]
    fn a_table_gives_values_a_meaning_whatever_their_case() {
        let table = r#"{"from":"/a","values":{"new":"New: {/t}","gone":"/t"}}"#;
        assert_eq!(text(r#"{"a":"NEW","t":"x"}"#, table).as_deref(), Some("New: x"));
        assert_eq!(text(r#"{"a":"gone","t":"x"}"#, table).as_deref(), Some("x"));
        assert_eq!(text(r#"{"a":"other"}"#, table).as_deref(), Some("other"));
        let strict = r#"{"from":"/a","values":{"new":"New"},"default":"{/t}?"}"#;
        assert_eq!(text(r#"{"a":"other","t":"x"}"#, strict).as_deref(), Some("x?"));
        assert_eq!(text(r#"{"a":"other"}"#, strict), None);
    }

    #[test]
    fn a_word_is_what_the_table_says_or_what_everybody_says_or_the_default() {
        let table = r#"{"from":"/l","values":{"0":"critical","warning":"low"},"default":"high"}"#;
        for (event, found) in [
            (r#"{"l":0}"#, Some(Priority::Critical)),
            (r#"{"l":"warning"}"#, Some(Priority::Low)),
            (r#"{"l":"info"}"#, Some(Priority::Low)),
            (r#"{"l":"purple"}"#, Some(Priority::High)),
            ("{}", Some(Priority::High)),
        ] {
            assert_eq!(priority(event, table), found, "{event}");
        }
        assert_eq!(priority(r#"{"l":"purple"}"#, r#""/l""#), None);
        assert_eq!(priority("{}", r#""critical""#), Some(Priority::Critical));
    }
}

//! A setting that may be one source, several of which the first that gives something counts, or a table of values.

use std::borrow::Cow;

use crate::scope::Scope;
use crate::tree::Node;

/// `"/level"`, `["/level", "/severity"]` or `{ from = "/level", values = { fatal = "critical" }, default = "medium" }`.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a, 's> {
    /// Sources, the best first.
    pub from: &'a [Node<'s>],
    /// What a value means: a source for each.
    pub values: &'a [(Cow<'s, str>, Node<'s>)],
    /// The source where `from` gives nothing, or a value that means nothing.
    pub default: Option<&'a Node<'s>>,
}

impl<'a, 's> Choice<'a, 's> {
    /// A setting in any of its spellings.
    pub fn new(setting: &'a Node<'s>) -> Self {
        match setting.get("from") {
            None => Self { from: setting.one_or_several(), values: &[], default: None },
            Some(from) => Self {
                from: from.one_or_several(),
                values: setting.get("values").map(Node::members).unwrap_or_default(),
                default: setting.get("default"),
            },
        }
    }

    /// The text for an event. A value that `values` does not name is taken as it is where there is no default.
    pub fn text(&self, scope: &Scope<'a, '_>) -> Option<Cow<'a, str>> {
        self.pick(scope, &|_| self.values.is_empty() || self.default.is_none())
    }

    /// As [`Choice::text`], for one of a few words: `read` knows those that need no table.
    pub fn word<T>(&self, scope: &Scope<'a, '_>, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.pick(scope, &|word| read(word).is_some()).and_then(|word| read(&word))
    }

    /// The text for an event: what `values` make of it, or the value itself where it `stands` for itself, or the
    /// default.
    fn pick(&self, scope: &Scope<'a, '_>, stands: &dyn Fn(&str) -> bool) -> Option<Cow<'a, str>> {
        let text = |source: &'a Node<'s>| scope.text(source.string()?);
        let found = self.from.iter().find_map(text);
        let meant = found.as_ref().and_then(|found| self.meaning(found));
        match (meant, found) {
            (Some(meant), _) => text(meant),
            (None, Some(found)) if stands(&found) => Some(found),
            _ => self.default.and_then(text),
        }
    }

    /// What a value means, whatever its case, but better in its own.
    fn meaning(&self, value: &str) -> Option<&'a Node<'s>> {
        let value = value.trim();
        let exact = self.values.iter().find(|(name, _)| name == value);
        let same = || self.values.iter().find(|(name, _)| name.eq_ignore_ascii_case(value));
        exact.or_else(same).map(|(_, meant)| meant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::readable;
    use plugin_sdk::contract::Priority;
    use plugin_sdk::testing;
    use std::cell::Cell;

    fn priority(event: &str, settings: &str) -> Option<Priority> {
        let (request, unread) = (testing::post("https://a.example/").build(), Cell::new(readable(0)));
        let event = Node::read(event).unwrap();
        let settings = Node::read(settings).unwrap();
        let choice = Choice::new(&settings);
        choice.word(
            &Scope { whole: false, request: &request, body: Some(&event), event: Some(&event), unread: &unread },
            Priority::from_word,
        )
    }

    fn text(event: &str, settings: &str) -> Option<String> {
        let (request, unread) = (testing::post("https://a.example/").build(), Cell::new(readable(0)));
        let event = Node::read(event).unwrap();
        let settings = Node::read(settings).unwrap();
        let choice = Choice::new(&settings);
        choice
            .text(&Scope { whole: false, request: &request, body: Some(&event), event: Some(&event), unread: &unread })
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

//! A setting of one source, of several in order (the first with a value counts), or of a table of
//! values.

use std::borrow::Cow;

use crate::condition::{self, Held};
use crate::scope::Scope;
use crate::tree::Node;

/// `"/level"`, `["/level", "/severity"]` or
/// `{ from = "/level", values = { fatal = "critical" }, default = "medium" }`.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a, 's> {
    /// Sources, the best first; one may be `{ if = condition, then = source }`.
    pub from: &'a [Node<'s>],
    /// The meaning of a value: a source for each.
    pub values: &'a [(Cow<'s, str>, Node<'s>)],
    /// The source where `from` yields nothing, or a value that means nothing.
    pub default: Option<&'a Node<'s>>,
}

/// One of a few words, or the word that is none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word<T> {
    /// This one.
    Known(T),
    /// There is a word, and neither the table nor anybody else knows it. The default stands for it,
    /// where there is one.
    Unknown(String, Option<T>),
    /// There is none.
    Absent,
}

impl<'a, 's: 'a> Choice<'a, 's> {
    /// A setting in any of its spellings.
    pub fn new(setting: &'a Node<'s>) -> Self {
        match setting.get("from") {
            None => Self {
                from: setting.one_or_several(),
                values: &[],
                default: None,
            },
            Some(from) => Self {
                from: from.one_or_several(),
                values: setting.get("values").map(Node::members).unwrap_or_default(),
                default: setting.get("default"),
            },
        }
    }

    /// The text for an event. A value that `values` does not name is taken as it is where there is
    /// no default.
    pub fn text(&self, scope: &Scope<'a, '_>) -> Option<Cow<'a, str>> {
        let found = self.from.iter().find_map(|source| yielded(source, scope));
        let meant = found.as_ref().and_then(|found| self.meaning(found));
        match (meant, found) {
            (Some(meant), _) => yielded(meant, scope),
            (None, Some(found)) if self.values.is_empty() || self.default.is_none() => Some(found),
            _ => self.default.and_then(|default| yielded(default, scope)),
        }
    }

    /// As [`Choice::text`], for one of a few words: `read` knows those that need no table. An
    /// unknown word does not stand in the way of the next source. A value does, if a condition could
    /// not compare it as a number.
    pub fn word<T>(&self, scope: &Scope<'a, '_>, read: impl Fn(&str) -> Option<T>) -> Word<T> {
        let mut unknown = None;
        let mut unjudged = None;
        for source in self.from {
            let found = match judged(source, scope) {
                Ok(source) => source.and_then(|source| of_source(source, scope)),
                Err(text) => {
                    unjudged.get_or_insert(text);
                    continue;
                }
            };
            let Some(found) = found else {
                continue;
            };
            let meant = match self.meaning(&found) {
                Some(meant) => yielded(meant, scope).and_then(|meant| read(&meant)),
                None => read(&found),
            };
            match meant {
                Some(_) if unjudged.is_some() => break,
                Some(meant) => return Word::Known(meant),
                None => drop(unknown.get_or_insert(found)),
            }
        }
        // The default may be the end of what the condition would have opened.
        if let Some(text) = unjudged {
            return Word::Unknown(text, None);
        }
        let default = self
            .default
            .and_then(|default| yielded(default, scope))
            .and_then(|word| read(&word));
        match (unknown, default) {
            (Some(unknown), default) => Word::Unknown(unknown.into_owned(), default),
            (None, Some(default)) => Word::Known(default),
            (None, None) => Word::Absent,
        }
    }

    /// The meaning of a value, whatever its case, but better in its own. `0.0` is named by `0`:
    /// languages print one number in several ways.
    fn meaning(&self, value: &str) -> Option<&'a Node<'s>> {
        let value = value.trim();
        let exact = self.values.iter().find(|(name, _)| name == value);
        let same = || {
            self.values
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(value))
        };
        let equal = || {
            let mut names = self.values.iter();
            names.find(|(name, _)| condition::same_number(name, value))
        };
        exact.or_else(same).or_else(equal).map(|(_, meant)| meant)
    }
}

/// The text of a source. Where it yields something, what the sources before it lacked is of no
/// interest.
fn yielded<'a, 's: 'a>(source: &'a Node<'s>, scope: &Scope<'a, '_>) -> Option<Cow<'a, str>> {
    of_source(judged(source, scope).ok()??, scope)
}

/// Returns the source without its condition, where that holds. An error is the text that the
/// condition cannot compare.
fn judged<'a, 's: 'a>(
    source: &'a Node<'s>,
    scope: &Scope<'a, '_>,
) -> Result<Option<&'a Node<'s>>, String> {
    let Some(then) = source.get("then") else {
        return Ok(Some(source));
    };
    match source.get("if").map(|when| condition::holds(when, scope)) {
        Some(Held::Yes(_)) => Ok(Some(then)),
        Some(Held::Unknown(text)) => Err(text),
        Some(Held::No) | None => Ok(None),
    }
}

fn of_source<'a, 's: 'a>(source: &'a Node<'s>, scope: &Scope<'a, '_>) -> Option<Cow<'a, str>> {
    let missed = scope.asked.missing.borrow().len();
    let found = scope.text(source.string()?)?;
    scope.asked.missing.borrow_mut().drain(..missed);
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Asked;
    use plugin_sdk::contract::Priority;
    use plugin_sdk::testing;

    /// Does something with the scope of an event.
    fn within<T>(
        event: &str,
        settings: &str,
        read: impl Fn(Choice<'_, '_>, &Scope<'_, '_>) -> T,
    ) -> T {
        let request = testing::post("https://a.example/").build();
        let asked = Asked::new(0);
        let event = Node::read(event).unwrap();
        let settings = Node::read(settings).unwrap();
        let scope = Scope {
            whole: false,
            request: &request,
            body: Some(&event),
            event: Some(&event),
            asked: &asked,
        };
        read(Choice::new(&settings), &scope)
    }

    fn priority(event: &str, settings: &str) -> Word<Priority> {
        within(event, settings, |choice, scope| {
            choice.word(scope, Priority::from_word)
        })
    }

    fn text(event: &str, settings: &str) -> Option<String> {
        within(event, settings, |choice, scope| {
            choice.text(scope).map(Cow::into_owned)
        })
    }

    #[test]
    fn the_first_source_that_gives_something_counts() {
        let sources = r#"["/a", "{/b}!", "literal"]"#;
        for (event, found) in [
            (r#"{"a":"1","b":"2"}"#, "1"),
            (r#"{"a":"","b":"2"}"#, "2!"),
            ("[]", "literal"),
        ] {
            assert_eq!(text(event, sources).as_deref(), Some(found), "{event}");
        }
        assert_eq!(text("{}", r#""/a""#), None);
    }

    #[test]
    fn a_table_gives_values_a_meaning_whatever_their_case() {
        let table = r#"{"from":"/a","values":{"new":"New: {/t}","gone":"/t"}}"#;
        assert_eq!(
            text(r#"{"a":"NEW","t":"x"}"#, table).as_deref(),
            Some("New: x")
        );
        assert_eq!(text(r#"{"a":"gone","t":"x"}"#, table).as_deref(), Some("x"));
        assert_eq!(text(r#"{"a":"other"}"#, table).as_deref(), Some("other"));
        let strict = r#"{"from":"/a","values":{"new":"New"},"default":"{/t}?"}"#;
        assert_eq!(
            text(r#"{"a":"other","t":"x"}"#, strict).as_deref(),
            Some("x?")
        );
        assert_eq!(text(r#"{"a":"other"}"#, strict), None);
    }

    #[test]
    fn word_is_of_the_table_or_common_or_the_default() {
        let table = r#"{"from":"/l","values":{"0":"critical","warning":"low"},"default":"high"}"#;
        for (event, found) in [
            (r#"{"l":0}"#, Word::Known(Priority::Critical)),
            (r#"{"l":"warning"}"#, Word::Known(Priority::Low)),
            (r#"{"l":"info"}"#, Word::Known(Priority::Low)),
            (
                r#"{"l":"purple"}"#,
                Word::Unknown("purple".to_owned(), Some(Priority::High)),
            ),
            ("{}", Word::Known(Priority::High)),
        ] {
            assert_eq!(priority(event, table), found, "{event}");
        }
        assert_eq!(
            priority(r#"{"l":"purple"}"#, r#""/l""#),
            Word::Unknown("purple".to_owned(), None)
        );
        assert_eq!(
            priority("{}", r#""critical""#),
            Word::Known(Priority::Critical)
        );
        assert_eq!(priority("{}", r#""/l""#), Word::Absent);
    }

    #[test]
    fn a_number_is_named_however_it_is_written() {
        let table =
            r#"{"from":"/l","values":{"0":"low","1.50":"critical","2":"medium","02":"high"}}"#;
        for (event, found) in [
            (r#"{"l":0.0}"#, Word::Known(Priority::Low)),
            (r#"{"l":"-0"}"#, Word::Known(Priority::Low)),
            (r#"{"l":1.5}"#, Word::Known(Priority::Critical)),
            (r#"{"l":"02"}"#, Word::Known(Priority::High)),
            (r#"{"l":"01.5"}"#, Word::Unknown("01.5".to_owned(), None)),
            (r#"{"l":2e0}"#, Word::Known(Priority::Medium)),
            (r#"{"l":"inf"}"#, Word::Unknown("inf".to_owned(), None)),
        ] {
            assert_eq!(priority(event, table), found, "{event}");
        }
    }

    #[test]
    fn an_unknown_word_does_not_hide_a_known_one() {
        let list = r#"["/a", "/b"]"#;
        assert_eq!(
            priority(r#"{"a":"purple","b":"error"}"#, list),
            Word::Known(Priority::High)
        );
        let unknown = priority(r#"{"a":"purple","b":"mauve"}"#, list);
        assert_eq!(unknown, Word::Unknown("purple".to_owned(), None));
    }

    #[test]
    fn what_cannot_be_compared_is_an_unknown_word() {
        let rules = r#"[{"if":{"when":"/v","above":90},"then":"critical"},"low"]"#;
        for text in ["95.5 ms", "1,234", "a lot"] {
            let event = format!(r#"{{"v":"{text}"}}"#);
            assert_eq!(
                priority(&event, rules),
                Word::Unknown(text.to_owned(), None)
            );
            let with_default = format!(r#"{{"from":{rules},"default":"high"}}"#);
            assert_eq!(
                priority(&event, &with_default),
                Word::Unknown(text.to_owned(), None)
            );
        }
        assert_eq!(priority("{}", rules), Word::Known(Priority::Low));
        assert_eq!(
            priority(r#"{"v":"90,5"}"#, rules),
            Word::Known(Priority::Critical)
        );
        let any = r#"{"from":[{"if":{"any":[{"when":"/v","above":90},{"when":"/s","is":"down"}]},"then":"critical"}],"default":"low"}"#;
        assert_eq!(
            priority(r#"{"s":"down","v":"?"}"#, any),
            Word::Known(Priority::Critical)
        );
        let either = r#"[{"if":{"when":"/s","is":"down"},"then":"critical"},{"if":{"when":"/v","above":90},"then":"high"},"low"]"#;
        assert_eq!(
            priority(r#"{"s":"down","v":"?"}"#, either),
            Word::Known(Priority::Critical)
        );
    }

    #[test]
    fn a_source_may_depend_on_a_condition() {
        let list = r#"[{"if":{"when":"/v","above":90},"then":"critical"},"/l"]"#;
        assert_eq!(
            priority(r#"{"v":"93.2","l":"low"}"#, list),
            Word::Known(Priority::Critical)
        );
        assert_eq!(
            priority(r#"{"v":90,"l":"low"}"#, list),
            Word::Known(Priority::Low)
        );
    }
}

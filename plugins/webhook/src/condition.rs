//! What nobody needs to know: `ignore = [{ when = "/action", is_not = ["completed"] }]`.

use plugin_sdk::text::line;
use serde::Deserialize;

use crate::scope::Scope;
use crate::settings::Several;

/// A value in a reason is shown, not carried.
const MAX_VALUE_CHARS: usize = 80;

/// An event is ignored where all that a condition says is true.
#[derive(Debug, Deserialize)]
pub struct Condition {
    /// The source of what is compared.
    pub when: String,
    /// It is one of these.
    #[serde(default)]
    pub is: Option<Several>,
    /// It is none of these; what is empty is none.
    #[serde(default)]
    pub is_not: Option<Several>,
    /// It is there (true), or is not (false).
    #[serde(default)]
    pub present: Option<bool>,
}

impl Condition {
    /// Why an event is ignored, if it is.
    pub fn holds(&self, scope: &Scope<'_, '_>) -> Option<String> {
        let found = scope.text(&self.when);
        let is_in = |words: &Several| {
            found.as_ref().is_some_and(|found| words.0.iter().any(|word| word.eq_ignore_ascii_case(found.trim())))
        };
        let holds = self.is.as_ref().is_none_or(is_in)
            && self.is_not.as_ref().is_none_or(|words| !is_in(words))
            && self.present.is_none_or(|present| present == found.is_some());
        holds.then(|| match &found {
            Some(found) => format!("{} is {:?}", self.when, line(found, MAX_VALUE_CHARS)),
            None => format!("{} is empty", self.when),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::readable;
    use crate::tree::Node;
    use plugin_sdk::testing;
    use std::cell::Cell;

    fn reason(event: &str, condition: &str) -> Option<String> {
        let (request, unread) = (testing::post("https://a.example/").build(), Cell::new(readable(0)));
        let event = Node::read(event).unwrap();
        let condition: Condition = serde_json::from_str(condition).unwrap();
        condition.holds(&Scope { request: &request, body: Some(&event), event: Some(&event), unread: &unread })
    }

    #[test]
    fn a_condition_is_equality_membership_or_presence() {
        for (condition, event, holds) in [
            (r#"{"when":"/a","is":"x"}"#, r#"{"a":" X "}"#, true),
            (r#"{"when":"/a","is":"x"}"#, r#"{"a":"y"}"#, false),
            (r#"{"when":"/a","is":"x"}"#, "{}", false),
            (r#"{"when":"/a","is":["x",200,true]}"#, r#"{"a":200}"#, true),
            (r#"{"when":"/a","is":["x",200,true]}"#, r#"{"a":true}"#, true),
            (r#"{"when":"/a","is_not":["x","y"]}"#, r#"{"a":"y"}"#, false),
            (r#"{"when":"/a","is_not":["x","y"]}"#, r#"{"a":"z"}"#, true),
            (r#"{"when":"/a","is_not":"x"}"#, "{}", true),
            (r#"{"when":"/a","is_not":"x","present":true}"#, "{}", false),
            (r#"{"when":"/a","present":false}"#, r#"{"a":null}"#, true),
            (r#"{"when":"/a","present":true}"#, r#"{"a":[]}"#, true),
            (r#"{"when":"{$method}/{/a}","is":"post/x"}"#, r#"{"a":"x"}"#, true),
        ] {
            assert_eq!(reason(event, condition).is_some(), holds, "{condition} {event}");
        }
    }

    #[test]
    fn the_reason_names_the_place_and_the_value() {
        assert_eq!(reason(r#"{"a":"x\ny"}"#, r#"{"when":"/a","present":true}"#).unwrap(), "/a is \"x y\"");
        assert_eq!(reason("{}", r#"{"when":"/a","present":false}"#).unwrap(), "/a is empty");
    }
}

//! What nobody needs to know: `ignore = [{ when = "/action", is_not = ["completed"] }]`.

use plugin_sdk::text::line;

use crate::scope::Scope;
use crate::tree::Node;

/// A value in a reason is shown, not carried.
const MAX_VALUE_CHARS: usize = 80;

/// Why an event is ignored, if it is: where all that a condition says is true. `is` and `is_not` name one value or
/// several, and neither is true of what is empty: a body that was cut off must not be ignored for what it lacks.
/// `present` says whether it is there.
pub fn holds(condition: &Node<'_>, scope: &Scope<'_, '_>) -> Option<String> {
    let when = condition.get("when")?.string()?;
    let found = scope.text(when.clone().into_owned().into());
    let is_in = |words: &Node<'_>| {
        let same = |word: &Node<'_>, found: &str| word.text().unwrap_or_default().eq_ignore_ascii_case(found.trim());
        found.as_ref().is_some_and(|found| words.one_or_several().iter().any(|word| same(word, found)))
    };
    let present = condition.get("present").map(|present| present.json().get() == "true");
    let holds = condition.get("is").is_none_or(is_in)
        && condition.get("is_not").is_none_or(|words| found.is_some() && !is_in(words))
        && present.is_none_or(|present| present == found.is_some());
    holds.then(|| match &found {
        Some(found) => format!("{when} is {:?}", line(found, MAX_VALUE_CHARS)),
        None => format!("{when} is empty"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::readable;
    use plugin_sdk::testing;
    use std::cell::Cell;

    fn reason(event: &str, condition: &str) -> Option<String> {
        let (request, unread) = (testing::post("https://a.example/").build(), Cell::new(readable(0)));
        let event = Node::read(event).unwrap();
        let condition = Node::read(condition).unwrap();
        holds(
            &condition,
            &Scope { whole: false, request: &request, body: Some(&event), event: Some(&event), unread: &unread },
        )
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
            (r#"{"when":"/a","is_not":"x"}"#, "{}", false),
            (r#"{"when":"/a","is_not":"x"}"#, r#"{"a":" "}"#, false),
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

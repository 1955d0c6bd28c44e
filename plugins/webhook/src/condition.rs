//! Conditions: `{ when = "/action", is_not = ["completed"] }`, and several of them under `all`,
//! `any` or `not`.

use plugin_sdk::text::line;

use crate::filter;
use crate::scope::Scope;
use crate::tree::Node;

/// A value in a reason is shown, not carried.
const MAX_VALUE_CHARS: usize = 80;

/// Conditions within conditions, at most: `check` refuses more.
pub const MAX_DEPTH: usize = 4;

/// A comparison of what is found with a bound.
type Compares = fn(f64, f64) -> bool;

/// Comparisons of numbers, by name.
pub const NUMERIC: [(&str, Compares); 4] = [
    ("above", |found, bound| found > bound),
    ("below", |found, bound| found < bound),
    ("at_least", |found, bound| found >= bound),
    ("at_most", |found, bound| found <= bound),
];

/// What is known of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// It holds, for this reason.
    Yes(String),
    /// It does not.
    No,
    /// Nobody knows: this text was to be compared as a number, and is none.
    Unknown(String),
}

/// Returns whether all that a condition says is true. Only `present = false` is true of an empty
/// value: a body that was cut off must not be ignored for its missing parts.
pub fn holds(condition: &Node<'_>, scope: &Scope<'_, '_>) -> Held {
    nested(condition, scope, 0)
}

fn nested(condition: &Node<'_>, scope: &Scope<'_, '_>, depth: usize) -> Held {
    if depth > MAX_DEPTH {
        return Held::No;
    }
    let inner = |one: &Node<'_>| nested(one, scope, depth + 1);
    let list = |name: &str| condition.get(name).and_then(Node::items);
    if let Some(all) = list("all") {
        let mut reasons = Vec::new();
        let mut unknown = None;
        for one in all {
            match inner(one) {
                Held::Yes(reason) => reasons.push(reason),
                Held::No => return Held::No,
                Held::Unknown(text) => drop(unknown.get_or_insert(text)),
            }
        }
        return unknown.map_or_else(|| Held::Yes(reasons.join(", ")), Held::Unknown);
    }
    if let Some(any) = list("any") {
        let mut unknown = Held::No;
        for one in any {
            match inner(one) {
                Held::Yes(reason) => return Held::Yes(reason),
                Held::No => {}
                Held::Unknown(text) => unknown = Held::Unknown(text),
            }
        }
        return unknown;
    }
    if let Some(not) = condition.get("not") {
        return match inner(not) {
            Held::Yes(_) => Held::No,
            Held::No => Held::Yes(format!("not {}", spelled(not))),
            Held::Unknown(text) => Held::Unknown(text),
        };
    }
    compared(condition, scope)
}

fn compared(condition: &Node<'_>, scope: &Scope<'_, '_>) -> Held {
    let Some(when) = condition.get("when").and_then(Node::string) else {
        return Held::No;
    };
    let found = scope.text(when.clone().into_owned().into());
    let of_found = |holds: &dyn Fn(&str) -> bool| found.as_deref().is_some_and(holds);
    let is_in = |words: &Node<'_>| {
        let same = |word: &Node<'_>, found: &str| {
            let word = word.text().unwrap_or_default();
            word.eq_ignore_ascii_case(found.trim()) || same_number(&word, found)
        };
        of_found(&|found| words.one_or_several().iter().any(|word| same(word, found)))
    };
    let same_as = |place: &Node<'_>| {
        let other = place
            .string()
            .and_then(|place| scope.text(place.into_owned().into()));
        other.is_some_and(|other| of_found(&|found| found.trim() == other.trim()))
    };
    let matches = |pattern: &Node<'_>| {
        let Some(Ok(regex)) = pattern.string().map(|pattern| filter::regex(&pattern)) else {
            return false;
        };
        of_found(&|found| filter::matches(&regex, found, &scope.asked.unread))
    };
    let number = found.as_deref().and_then(number);
    let mut bounds = NUMERIC
        .iter()
        .filter_map(|(name, compare)| Some((condition.get(name)?, compare)))
        .peekable();
    let is_unknown = bounds.peek().is_some() && number.is_none();
    let numeric = bounds.all(|(bound, compare)| {
        let bound = bound.json().get().parse::<f64>();
        matches!((number, bound), (Some(found), Ok(bound)) if compare(found, bound))
    });
    let present = condition
        .get("present")
        .map(|present| present.json().get() == "true");
    let holds = condition.get("is").is_none_or(is_in)
        && condition
            .get("is_not")
            .is_none_or(|words| found.is_some() && !is_in(words))
        && condition.get("same_as").is_none_or(same_as)
        && condition.get("matches").is_none_or(matches)
        && (numeric || is_unknown)
        && present.is_none_or(|present| present == found.is_some());
    match found {
        _ if !holds => Held::No,
        Some(found) if is_unknown => Held::Unknown(line(&found, MAX_VALUE_CHARS)),
        None if is_unknown => Held::No,
        Some(found) => Held::Yes(format!("{when} is {:?}", line(&found, MAX_VALUE_CHARS))),
        None => Held::Yes(format!("{when} is empty")),
    }
}

/// A number as senders write it: `93.2`, ` 93.2 %`, `93,2`. `1,234` may be a thousand or not, and
/// `2 GB` has a unit of its own.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let text = text.strip_suffix('%').unwrap_or(text).trim_end();
    let number = match text.split_once(',') {
        Some((whole, fraction)) if fraction.len() != 3 && !text.contains('.') => {
            format!("{whole}.{fraction}").parse()
        }
        _ => text.parse(),
    };
    number.ok().filter(|number: &f64| !number.is_nan())
}

/// Returns whether two texts are one number in two spellings, such as `0` and `0.0`. What begins
/// with a zero before another digit is a code, and `inf` is a word.
pub fn same_number(one: &str, other: &str) -> bool {
    exact(one).is_some_and(|one| exact(other) == Some(one))
}

/// A decimal number to the last digit, as an id may be one: its sign, its digits without zeros at
/// either end, and the power of ten of the last one.
fn exact(text: &str) -> Option<(bool, String, i64)> {
    let text = text.trim();
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_code = whole.len() > 1 && whole.starts_with('0');
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || is_code || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let exponent: i32 = exponent.parse().ok()?;
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        // `0e12345` is the beginning of a hash.
        return (!text.contains(['e', 'E'])).then(|| (false, String::new(), 0));
    }
    let zeros = (digits.len() - significant.len()) as i64;
    let power = i64::from(exponent) - fraction.len() as i64 + zeros;
    Some((is_negative, significant.to_owned(), power))
}

/// Spells a condition in a few words.
fn spelled(condition: &Node<'_>) -> String {
    line(condition.json().get(), MAX_VALUE_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Asked;
    use plugin_sdk::testing;

    fn reason(event: &str, condition: &str) -> Option<String> {
        match held(event, condition) {
            Held::Yes(reason) => Some(reason),
            Held::No | Held::Unknown(_) => None,
        }
    }

    fn held(event: &str, condition: &str) -> Held {
        let request = testing::post("https://a.example/").build();
        let asked = Asked::new(0);
        let event = Node::read(event).unwrap();
        let condition = Node::read(condition).unwrap();
        let scope = Scope {
            whole: false,
            request: &request,
            body: Some(&event),
            event: Some(&event),
            asked: &asked,
        };
        holds(&condition, &scope)
    }

    #[test]
    fn a_condition_is_equality_membership_or_presence() {
        for (condition, event, holds) in [
            (r#"{"when":"/a","is":"x"}"#, r#"{"a":" X "}"#, true),
            (r#"{"when":"/a","is":"x"}"#, r#"{"a":"y"}"#, false),
            (r#"{"when":"/a","is":"x"}"#, "{}", false),
            (r#"{"when":"/a","is":["x",200,true]}"#, r#"{"a":200}"#, true),
            (
                r#"{"when":"/a","is":["x",200,true]}"#,
                r#"{"a":true}"#,
                true,
            ),
            (r#"{"when":"/a","is":[0,"1.5"]}"#, r#"{"a":0.0}"#, true),
            (r#"{"when":"/a","is":[0,"1.5"]}"#, r#"{"a":"1.50"}"#, true),
            (r#"{"when":"/a","is":"1500"}"#, r#"{"a":"1.5e3"}"#, true),
            (r#"{"when":"/a","is":"-0"}"#, r#"{"a":0.00}"#, true),
            (
                r#"{"when":"/a","is":"1234567890123456788"}"#,
                r#"{"a":"1234567890123456789"}"#,
                false,
            ),
            (
                r#"{"when":"/a","is":"34e9999"}"#,
                r#"{"a":"12e4567"}"#,
                false,
            ),
            (
                r#"{"when":"/a","is":"0e12345"}"#,
                r#"{"a":"0e99999"}"#,
                false,
            ),
            (r#"{"when":"/a","is":"-1"}"#, r#"{"a":"1"}"#, false),
            (r#"{"when":"/a","is":"7"}"#, r#"{"a":"007"}"#, false),
            (r#"{"when":"/a","is_not":0}"#, r#"{"a":-0.0}"#, false),
            (r#"{"when":"/a","is_not":["x","y"]}"#, r#"{"a":"y"}"#, false),
            (r#"{"when":"/a","is_not":["x","y"]}"#, r#"{"a":"z"}"#, true),
            (r#"{"when":"/a","is_not":"x"}"#, "{}", false),
            (r#"{"when":"/a","is_not":"x"}"#, r#"{"a":" "}"#, false),
            (r#"{"when":"/a","is_not":"x","present":true}"#, "{}", false),
            (r#"{"when":"/a","present":false}"#, r#"{"a":null}"#, true),
            (r#"{"when":"/a","present":true}"#, r#"{"a":[]}"#, true),
            (
                r#"{"when":"{$method}/{/a}","is":"post/x"}"#,
                r#"{"a":"x"}"#,
                true,
            ),
        ] {
            assert_eq!(
                reason(event, condition).is_some(),
                holds,
                "{condition} {event}"
            );
        }
    }

    #[test]
    fn numbers_patterns_and_other_places_are_compared() {
        for (condition, event, holds) in [
            (r#"{"when":"/a","above":5}"#, r#"{"a":5.1}"#, true),
            (r#"{"when":"/a","above":5}"#, r#"{"a":5}"#, false),
            (r#"{"when":"/a","at_least":5}"#, r#"{"a":"5 %"}"#, true),
            (r#"{"when":"/a","below":-1.5}"#, r#"{"a":-2}"#, true),
            (
                r#"{"when":"/a","at_least":2,"at_most":4}"#,
                r#"{"a":3}"#,
                true,
            ),
            (
                r#"{"when":"/a","at_least":2,"at_most":4}"#,
                r#"{"a":5}"#,
                false,
            ),
            (r#"{"when":"/a","below":5}"#, r#"{"a":"four"}"#, false),
            (r#"{"when":"/a","above":95}"#, r#"{"a":"95,5 %"}"#, true),
            (r#"{"when":"/a","above":1}"#, r#"{"a":"1,234"}"#, false),
            (r#"{"when":"/a","above":1}"#, r#"{"a":"1.234,5"}"#, false),
            (
                r#"{"not":{"when":"/a","above":1}}"#,
                r#"{"a":"2 GB"}"#,
                false,
            ),
            (
                r#"{"not":{"when":"/a","above":1}}"#,
                r#"{"a":"NaN"}"#,
                false,
            ),
            (r#"{"not":{"when":"/a","above":1}}"#, "{}", true),
            (r#"{"when":"/a","below":5}"#, "{}", false),
            (
                r#"{"when":"/a","matches":"^deploy-\\d+$"}"#,
                r#"{"a":"deploy-7"}"#,
                true,
            ),
            (
                r#"{"when":"/a","matches":"^deploy-\\d+$"}"#,
                r#"{"a":"deploy"}"#,
                false,
            ),
            (r#"{"when":"/a","matches":"(?i)x"}"#, "{}", false),
            (
                r#"{"when":"/a","same_as":"/b"}"#,
                r#"{"a":"x","b":"x"}"#,
                true,
            ),
            (
                r#"{"when":"/a","same_as":"/b"}"#,
                r#"{"a":"x","b":"y"}"#,
                false,
            ),
            (r#"{"when":"/a","same_as":"/b"}"#, "{}", false),
        ] {
            assert_eq!(
                reason(event, condition).is_some(),
                holds,
                "{condition} {event}"
            );
        }
    }

    #[test]
    fn what_cannot_be_compared_is_unknown_unless_another_decides() {
        let number = r#"{"when":"/v","above":90}"#;
        let down = r#"{"when":"/s","is":"down"}"#;
        let unknown = Held::Unknown("2 GB".to_owned());
        for (condition, state, expected) in [
            (number.to_owned(), "up", unknown.clone()),
            (format!(r#"{{"not":{number}}}"#), "up", unknown.clone()),
            (format!(r#"{{"all":[{number},{down}]}}"#), "up", Held::No),
            (format!(r#"{{"all":[{down},{number}]}}"#), "up", Held::No),
            (
                format!(r#"{{"all":[{down},{number}]}}"#),
                "down",
                unknown.clone(),
            ),
            (format!(r#"{{"any":[{number},{down}]}}"#), "up", unknown),
            (
                format!(r#"{{"any":[{number},{down}]}}"#),
                "down",
                Held::Yes(r#"/s is "down""#.to_owned()),
            ),
        ] {
            let event = format!(r#"{{"v":"2 GB","s":"{state}"}}"#);
            assert_eq!(held(&event, &condition), expected, "{condition} {state}");
        }
    }

    #[test]
    fn conditions_are_joined() {
        let a = r#"{"when":"/a","is":1}"#;
        let b = r#"{"when":"/b","is":1}"#;
        for (condition, holding) in [
            (format!(r#"{{"all":[{a},{b}]}}"#), [true, false, false]),
            (format!(r#"{{"any":[{a},{b}]}}"#), [true, true, false]),
            (format!(r#"{{"not":{a}}}"#), [false, false, true]),
            (
                format!(r#"{{"all":[{a},{{"not":{b}}}]}}"#),
                [false, true, false],
            ),
            (
                format!(r#"{{"not":{{"any":[{a},{b}]}}}}"#),
                [false, false, true],
            ),
        ] {
            for (event, holds) in [r#"{"a":1,"b":1}"#, r#"{"a":1}"#, "{}"]
                .into_iter()
                .zip(holding)
            {
                assert_eq!(
                    reason(event, &condition).is_some(),
                    holds,
                    "{condition} {event}"
                );
            }
        }
        let deep = format!("{}{a}{}", r#"{"not":"#.repeat(100_000), "}".repeat(100_000));
        let _ = reason("{}", &deep);
    }

    #[test]
    fn the_reason_names_the_place_and_the_value() {
        assert_eq!(
            reason(r#"{"a":"x\ny"}"#, r#"{"when":"/a","present":true}"#).unwrap(),
            "/a is \"x y\""
        );
        assert_eq!(
            reason("{}", r#"{"when":"/a","present":false}"#).unwrap(),
            "/a is empty"
        );
        let all = r#"{"all":[{"when":"/a","is":1},{"not":{"when":"/b","is":2}}]}"#;
        assert_eq!(
            reason(r#"{"a":1}"#, all).unwrap(),
            r#"/a is "1", not {"when":"/b","is":2}"#
        );
    }
}

//! JSON from outside, carried to the letter: numbers, the order of keys and repeated keys survive,
//! which a decoded value would lose.

mod object;
mod path;
mod schema;

use serde_json::value::RawValue;

pub use object::{Name, Object, text};
pub(crate) use path::pointer;
pub use schema::is_object;

/// Deeper JSON is carried as text: most parsers give up somewhere above this.
const MAX_DEPTH: usize = 64;

/// For an alert's `details`: the text itself where it is JSON that other parsers can read, and else
/// `{"<name>": "<the text>"}`.
pub fn details(name: &str, text: &str) -> Option<Box<RawValue>> {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(value) if !is_deeper(text, MAX_DEPTH) => Some(value.to_owned()),
        _ => as_text(name, text),
    }
}

/// `{"<name>": "<the text>"}`, for an alert's `details` where the text is no JSON.
pub fn as_text(name: &str, text: &str) -> Option<Box<RawValue>> {
    object([(name, text)])
}

/// `{"<name>": "<text>", …}`, for an alert's `details` where what was sent are fields.
/// Each text is made [`printable`].
pub fn object<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Box<RawValue>> {
    let mut json = "{".to_owned();
    for (name, text) in fields {
        if json.len() > 1 {
            json.push(',');
        }
        json += &serde_json::to_string(name).ok()?;
        json.push(':');
        json += &serde_json::to_string(&printable(text)).ok()?;
    }
    json.push('}');
    RawValue::from_string(json).ok()
}

/// The text with U+FFFD for control characters other than line ends and tabs: each would take six
/// bytes in JSON, so a body of them would outgrow the limit on an answer, and PostgreSQL refuses a
/// NUL wherever it stands.
pub fn printable(text: &str) -> String {
    text.replace(
        |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t'),
        "\u{fffd}",
    )
}

/// Returns whether valid JSON nests deeper than `max`. Parsers recurse, so their input needs a
/// bound.
pub fn is_deeper(json: &str, max: usize) -> bool {
    // Few brackets cannot nest deeply, whether they stand in strings or not. That settles almost
    // every event.
    if brackets(json.as_bytes()) <= max {
        return false;
    }
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > max {
                    return true;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// The number of `[` and `{`, counted eight bytes at a time: every body is looked through for them.
fn brackets(json: &[u8]) -> usize {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let (words, rest) = json.as_chunks::<8>();
    let of_words: u32 = words
        .iter()
        .map(|word| {
            // `[` and `{` differ in one bit; with that set, what is left of either is a zero byte.
            let word = (u64::from_le_bytes(*word) | 0x2020_2020_2020_2020) ^ 0x7b7b_7b7b_7b7b_7b7b;
            // A byte keeps its high bit clear where it is zero, and no byte carries into the next.
            (!(((word & LOW) + LOW) | word | LOW)).count_ones()
        })
        .sum();
    let of_rest = rest.iter().filter(|byte| matches!(byte, b'[' | b'{'));
    of_words as usize + of_rest.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(text: &str) -> String {
        details("payload_text", text).unwrap().get().to_owned()
    }

    #[test]
    fn json_is_carried_to_the_letter() {
        for json in [
            r#"{"z":1.10,"a":12345678901234567890123,"z":[ 1 ]}"#,
            "7",
            "7777e77777777",
            "\"x\"",
            "[]",
        ] {
            assert_eq!(payload(json), json);
        }
        assert_eq!(payload(" {\"a\": 1} \n"), "{\"a\": 1}");
    }

    #[test]
    fn what_is_no_json_is_carried_as_text() {
        assert_eq!(
            payload("a \"b\"\n\u{0}"),
            r#"{"payload_text":"a \"b\"\n�"}"#
        );
        assert_eq!(payload(""), r#"{"payload_text":""}"#);
        assert_eq!(payload("{\"a\":1}}"), r#"{"payload_text":"{\"a\":1}}"}"#);
    }

    #[test]
    fn fields_are_an_object() {
        assert_eq!(object([]).unwrap().get(), "{}");
        assert_eq!(
            object([("a\"", "1"), ("b", "\u{1}\n")]).unwrap().get(),
            "{\"a\\\"\":\"1\",\"b\":\"\u{fffd}\\n\"}"
        );
    }

    #[test]
    fn brackets_are_counted_among_all_bytes() {
        for byte in 0..=u8::MAX {
            let is_one = usize::from(matches!(byte, b'[' | b'{'));
            for length in [1, 7, 8, 9, 16, 23] {
                assert_eq!(brackets(&vec![byte; length]), is_one * length, "{byte}");
            }
            // Beside every other byte, so that none counts for its neighbour.
            for other in 0..=u8::MAX {
                let is_other = usize::from(matches!(other, b'[' | b'{'));
                let both = [byte, other, byte, other, other, byte, byte, other];
                assert_eq!(brackets(&both), 4 * (is_one + is_other), "{byte} {other}");
            }
        }
    }

    #[test]
    fn deep_json_is_carried_as_text() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(payload(&nested(MAX_DEPTH)), nested(MAX_DEPTH));
        assert!(payload(&nested(MAX_DEPTH + 1)).starts_with("{\"payload_text\":\"[["));
        assert!(payload(&nested(100_000)).starts_with("{\"payload_text\":\"[["));
        let flat = format!("[\"\\\"{}\"]", "{[".repeat(100));
        assert_eq!(payload(&flat), flat);
    }
}

//! Small mistakes of JSON that can be repaired without a guess: each repair keeps every value true.
//!
//! | mistake | repaired |
//! |---|---|
//! | `NaN`, `Infinity`, `-Infinity` (Python, Grafana), `nan`, `-inf` (C) | a string of the same letters |
//! | `007`, `+1`, `.5`, `2026-01-31` | a string of the same letters |
//! | `True`, `False`, `None` (Python), `undefined` (JavaScript) | `true`, `false`, `null` |
//! | no value behind a colon (a template's empty variable) | `null` |
//! | `'text'` (Python's `repr`, JavaScript), a name without quotes (JavaScript) | `"text"` |
//! | a control character in a string (a raw line end) | its escape |
//! | a comma before `}`, `]` or the end, or before another one in an object | dropped |
//! | a space of another alphabet (a template that was copied from a page) | a space |
//! | NUL at the end (C) | dropped |
//!
//! A backslash that escapes nothing is not repaired: `"C:\temp"` may mean a tab. Nor is a text in
//! single quotes that has one within: `'it's'` may end in two places.

use serde_json::value::RawValue;

/// Numbers that are none in JSON, as languages print them.
const NO_NUMBERS: [&str; 8] = [
    "NaN",
    "-NaN",
    "Infinity",
    "-Infinity",
    "nan",
    "-nan",
    "inf",
    "-inf",
];

/// Words of other languages, and JSON's for the same.
const WORDS: [(&str, &str); 4] = [
    ("True", "true"),
    ("False", "false"),
    ("None", "null"),
    ("undefined", "null"),
];

/// The kind of repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// A number that JSON does not have became a string.
    NotANumber,
    /// A word of another language became JSON's.
    Word,
    /// A text in single quotes, or a name without any, has double quotes.
    Quotes,
    /// A value that was missing became null.
    MissingValue,
    /// A control character in a string became its escape.
    ControlCharacter,
    /// A comma too many was dropped.
    TrailingComma,
    /// A space that JSON does not know became one.
    Space,
    /// NULs at the end were dropped.
    TrailingNul,
    /// JSON that was encoded twice was decoded twice.
    Packed,
}

impl Repair {
    /// Returns the fault in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotANumber => "a number that JSON does not have, as NaN or 007, became a string",
            Self::Word => "True, False or None became true, false or null",
            Self::Quotes => "single quotes, or none around a name, became double quotes",
            Self::MissingValue => "a missing value became null",
            Self::ControlCharacter => "a control character in a string was escaped",
            Self::TrailingComma => "a comma too many was dropped",
            Self::Space => "a space that JSON does not know became one",
            Self::TrailingNul => "NULs at the end were dropped",
            Self::Packed => "JSON that was encoded twice was decoded twice",
        }
    }
}

/// The text with its small mistakes repaired, and which there were. Whether it is JSON then is for
/// the caller to see.
pub(super) fn repair(text: &str) -> (String, Vec<Repair>) {
    let mut repairs = Vec::new();
    let mut made = |repair| {
        if !repairs.contains(&repair) {
            repairs.push(repair);
        }
    };
    let body = text.trim_end_matches(|c: char| c == '\0' || c.is_whitespace());
    if text[body.len()..].contains('\0') {
        made(Repair::TrailingNul);
    }
    let mut out = String::with_capacity(body.len() + 64);
    let mut rest = body;
    let mut in_string = false;
    // The objects and lists that are open.
    let mut open = Vec::new();
    // The last character that was written and is no space, outside of strings.
    let mut before = None;
    while let Some(char) = rest.chars().next() {
        let length = char.len_utf8();
        if in_string {
            match char {
                '\\' => {
                    let length = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                    // A raw line end behind a backslash is a mistake that has more than one
                    // meaning.
                    out.push_str(&rest[..length]);
                    rest = &rest[length..];
                    continue;
                }
                '"' => {
                    in_string = false;
                    before = Some('"');
                    out.push('"');
                }
                '\0'..' ' => {
                    made(Repair::ControlCharacter);
                    escape(&mut out, char);
                }
                char => out.push(char),
            }
            rest = &rest[length..];
            continue;
        }
        if char.is_ascii_whitespace() {
            out.push(char);
            rest = &rest[length..];
            continue;
        }
        let in_object = open.last() == Some(&'{');
        let is_name = in_object && matches!(before, Some('{' | ','));
        if let Some((length, written, repair)) = scalar(rest, before).filter(|_| !is_name) {
            made(repair);
            before = written.chars().next_back();
            out.push_str(&written);
            rest = &rest[length..];
            continue;
        }
        if let Some((length, text)) = quoted(rest, before, is_name) {
            made(Repair::Quotes);
            before = Some('"');
            out.push('"');
            for char in text.chars() {
                match char {
                    '"' => out.push_str("\\\""),
                    '\\' => out.push_str("\\\\"),
                    '\0'..' ' => escape(&mut out, char),
                    char => out.push(char),
                }
            }
            out.push('"');
            rest = &rest[length..];
            continue;
        }
        if before == Some(':') && matches!(char, ',' | '}') {
            made(Repair::MissingValue);
            before = Some('l');
            out.push_str("null");
        }
        match char {
            '"' => {
                in_string = true;
                out.push('"');
            }
            ',' if is_too_many(&rest[1..], before, open.last().copied()) => {
                made(Repair::TrailingComma)
            }
            char if char.is_whitespace() || char == '\u{feff}' || char == '\u{200b}' => {
                made(Repair::Space);
                out.push(' ');
            }
            char => {
                match char {
                    '{' | '[' => open.push(char),
                    '}' | ']' => {
                        open.pop();
                    }
                    _ => {}
                }
                before = Some(char);
                out.push(char);
            }
        }
        rest = &rest[length..];
    }
    (out, repairs)
}

/// Returns whether a comma with this behind it and this character before it separates nothing.
fn is_too_many(rest: &str, before: Option<char>, open: Option<char>) -> bool {
    // In a list, a value may be missing between two of them.
    let is_doubled = open == Some('{') && matches!(before, Some(',' | '{'));
    is_doubled || matches!(rest.trim_start().chars().next(), None | Some('}' | ']'))
}

/// The word or number that JSON does not have at the start of a text, where a value may stand: its
/// length, JSON for it, and the repair.
fn scalar(rest: &str, before: Option<char>) -> Option<(usize, String, Repair)> {
    let is_word = |char: char| char.is_ascii_alphanumeric() || "+-._:".contains(char);
    if !matches!(before, None | Some(':' | '[' | ',')) || !rest.starts_with(is_word) {
        return None;
    }
    let end = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    if !matches!(
        after.trim_start().chars().next(),
        None | Some(',' | '}' | ']')
    ) {
        return None;
    }
    if let Some((_, same)) = WORDS.iter().find(|(known, _)| *known == word) {
        return Some((end, (*same).to_owned(), Repair::Word));
    }
    let is_number = NO_NUMBERS.contains(&word)
        || (word.starts_with(|char: char| char.is_ascii_digit() || "+-.".contains(char))
            && word.bytes().any(|byte| byte.is_ascii_digit())
            && serde_json::from_str::<&RawValue>(word).is_err());
    is_number.then(|| (end, format!("\"{word}\""), Repair::NotANumber))
}

/// The text in single quotes, or the name without any, at the start of a text: its length, and
/// what it means. What stands behind it shows that it ends there.
fn quoted(rest: &str, before: Option<char>, is_name: bool) -> Option<(usize, String)> {
    let (length, text) = if rest.starts_with('\'') {
        if !matches!(before, None | Some('{' | ':' | '[' | ',')) {
            return None;
        }
        single_quoted(rest)?
    } else if is_name {
        let is_part = |char: char| char.is_alphanumeric() || matches!(char, '_' | '$');
        let end = rest.find(|char| !is_part(char)).unwrap_or(rest.len());
        (end > 0).then(|| (end, rest[..end].to_owned()))?
    } else {
        return None;
    };
    let next = rest[length..].trim_start().chars().next();
    let ends = match next {
        Some(':') => is_name,
        Some(',' | '}' | ']') | None => !is_name,
        _ => false,
    };
    ends.then_some((length, text))
}

/// The text that Python or JavaScript means by a literal in single quotes, and the literal's length.
/// `None` where it has an escape that both do not know.
fn single_quoted(literal: &str) -> Option<(usize, String)> {
    let mut text = String::new();
    let mut chars = literal.char_indices().skip(1);
    while let Some((at, char)) = chars.next() {
        if char != '\\' {
            if char == '\'' {
                return Some((at + 1, text));
            }
            text.push(char);
            continue;
        }
        let (_, escaped) = chars.next()?;
        text.push(match escaped {
            '\'' | '"' | '\\' | '/' => escaped,
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'x' | 'u' => {
                let digits = if escaped == 'x' { 2 } else { 4 };
                let hex: String = chars.by_ref().take(digits).map(|(_, char)| char).collect();
                let is_hex = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
                char::from_u32(u32::from_str_radix(&hex, 16).ok()?)
                    .filter(|_| is_hex && hex.len() == digits)?
            }
            _ => return None,
        });
    }
    None
}

fn escape(out: &mut String, char: char) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    match char {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        char => {
            out.push_str("\\u00");
            for digit in [char as usize >> 4 & 15, char as usize & 15] {
                out.push(char::from(DIGITS[digit]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_repaired_and_named() {
        for (text, repaired, repairs) in [
            (
                r#"{"a":NaN,"b":-Infinity}"#,
                r#"{"a":"NaN","b":"-Infinity"}"#,
                &[Repair::NotANumber][..],
            ),
            (
                "[nan, -inf,-nan]",
                r#"["nan", "-inf","-nan"]"#,
                &[Repair::NotANumber],
            ),
            (
                "{\"a\":\"x\ny\u{1}\"}",
                "{\"a\":\"x\\ny\\u0001\"}",
                &[Repair::ControlCharacter],
            ),
            ("[1, 2 , ]", "[1, 2  ]", &[Repair::TrailingComma]),
            ("{\"a\":1},\n", "{\"a\":1}", &[Repair::TrailingComma]),
            ("{}\0\0\n", "{}", &[Repair::TrailingNul]),
            (
                "{\"a\":007,\"b\":[+1, .5,5.],\"c\":2026-01-31T08:00:00Z}",
                "{\"a\":\"007\",\"b\":[\"+1\", \".5\",\"5.\"],\"c\":\"2026-01-31T08:00:00Z\"}",
                &[Repair::NotANumber],
            ),
            (
                "[True, {\"a\": None,\"b\":undefined}, False]",
                "[true, {\"a\": null,\"b\":null}, false]",
                &[Repair::Word],
            ),
            (
                "{\"a\":,\"b\": }",
                "{\"a\":null,\"b\": null}",
                &[Repair::MissingValue],
            ),
            (
                "{,\"a\":1,,\n,\"b\":[1,2]}",
                "{\"a\":1,\n\"b\":[1,2]}",
                &[Repair::TrailingComma],
            ),
            (
                r#"{'a': None, 'b': 'it\'s "x"\xe9\n\\', "c": ['y', 1], 'd': {}}"#,
                r#"{"a": null, "b": "it's \"x\"é\n\\", "c": ["y", 1], "d": {}}"#,
                &[Repair::Quotes, Repair::Word],
            ),
            (
                "{a: 1, $b_2 : 'x',3:4,\"c\":{d:true,},}",
                "{\"a\": 1, \"$b_2\" : \"x\",\"3\":4,\"c\":{\"d\":true}}",
                &[Repair::Quotes, Repair::TrailingComma],
            ),
            (
                "{\u{a0}\"a\":\u{202f}\"x\u{a0}y\"\u{200b}}",
                "{ \"a\": \"x\u{a0}y\" }",
                &[Repair::Space],
            ),
        ] {
            assert_eq!(
                repair(text),
                (repaired.to_owned(), repairs.to_vec()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn strings_keep_what_looks_like_a_mistake() {
        for text in [
            r#"{"a":"NaN,}","b":"\"NaN,]"}"#,
            r#"["\\", "Infinity"]"#,
            r#"{"NaN":1}"#,
            r#"{"a":"True,","b":"007,","c":"x:,"}"#,
            r#"[1,,2]"#,
            r#"{"a":tru}"#,
            r#"{"a":-1.5e+3,"b":[0,10]}"#,
            r#"{"a":Nonexistent}"#,
            "['it's']",
            r"['\d']",
            "['x]",
            "{a b: 1}",
            "['a': 1]",
            "{'a', 1}",
        ] {
            assert_eq!(repair(text), (text.to_owned(), vec![]), "{text}");
        }
    }

    #[test]
    fn spaces_between_mistakes_are_passed_once() {
        // Were each comma to look back over the spaces before it, this would take minutes.
        let text = format!("{{{}}}", ", \u{a0}".repeat(300_000));
        let (repaired, repairs) = repair(&text);
        assert_eq!(repaired, format!("{{{}}}", "  ".repeat(300_000)));
        assert_eq!(repairs, [Repair::TrailingComma, Repair::Space]);
    }

    #[test]
    fn each_character_is_looked_at_a_few_times() {
        for text in [
            "x".repeat(1 << 20),
            format!("{{{}", "x".repeat(1 << 20)),
            format!("[{}", ":'\\".repeat(1 << 18)),
            "[':".repeat(1 << 18),
            format!("['{}", "\\':".repeat(1 << 18)),
        ] {
            repair(&text);
        }
    }

    #[test]
    fn longer_words_are_no_number() {
        assert_eq!(repair("[NaNa, InfinityX]").0, "[NaNa, InfinityX]");
    }
}

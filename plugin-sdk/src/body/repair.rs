//! Small mistakes of JSON that can be repaired without a guess: each repair keeps every value true.
//!
//! | mistake | repaired |
//! |---|---|
//! | `NaN`, `Infinity`, `-Infinity` (Python, Grafana), `nan`, `-inf` (C) | a string of the same letters |
//! | a control character in a string (a raw line end) | its escape |
//! | a comma before `}`, `]` or the end | dropped |
//! | NUL at the end (C) | dropped |
//!
//! A backslash that escapes nothing is not repaired: `"C:\temp"` may mean a tab.

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

/// The kind of repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// A number that JSON does not have became a string.
    NotANumber,
    /// A control character in a string became its escape.
    ControlCharacter,
    /// A comma without a value behind it was dropped.
    TrailingComma,
    /// NULs at the end were dropped.
    TrailingNul,
}

impl Repair {
    /// Returns the fault in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotANumber => "NaN or Infinity became a string",
            Self::ControlCharacter => "a control character in a string was escaped",
            Self::TrailingComma => "a comma too many was dropped",
            Self::TrailingNul => "NULs at the end were dropped",
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
        let word = NO_NUMBERS.into_iter().find(|word| rest.starts_with(word));
        if let Some(word) = word.filter(|word| ends_a_value(&rest[word.len()..])) {
            made(Repair::NotANumber);
            out.push('"');
            out.push_str(word);
            out.push('"');
            rest = &rest[word.len()..];
            continue;
        }
        match char {
            '"' => {
                in_string = true;
                out.push('"');
            }
            ',' if matches!(
                rest[1..].trim_start().chars().next(),
                None | Some('}' | ']')
            ) =>
            {
                made(Repair::TrailingComma)
            }
            char => out.push(char),
        }
        rest = &rest[length..];
    }
    (out, repairs)
}

fn ends_a_value(rest: &str) -> bool {
    matches!(
        rest.trim_start().chars().next(),
        None | Some(',' | '}' | ']')
    )
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
        ] {
            assert_eq!(repair(text), (text.to_owned(), vec![]), "{text}");
        }
    }

    #[test]
    fn longer_words_are_no_number() {
        assert_eq!(repair("[NaNa, InfinityX]").0, "[NaNa, InfinityX]");
    }
}

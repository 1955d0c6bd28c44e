//! A check of JSON at compile time, for the schema of a plugin's settings.

/// Deeper JSON is refused, as the gateway's parser refuses it.
const DEEPEST: usize = 128;

/// Returns whether a text is a JSON object, with nothing before or behind it but white space.
///
/// It can be called while a plugin is compiled: see [`include_schema!`](crate::include_schema).
pub const fn is_object(text: &str) -> bool {
    let json = text.as_bytes();
    let mut at = after_space(json, 0);
    if at >= json.len() || json[at] != b'{' {
        return false;
    }
    // The kinds of what is open: true for an object.
    let mut open = [false; DEEPEST];
    let mut depth = 0;
    // What may stand next.
    let mut next = Next::Value;
    loop {
        at = after_space(json, at);
        if at >= json.len() {
            return depth == 0 && matches!(next, Next::Separator);
        }
        let byte = json[at];
        match next {
            Next::Separator if depth == 0 => return false,
            Next::Separator => {
                let is_object = open[depth - 1];
                if byte == b',' {
                    next = if is_object { Next::Name } else { Next::Value };
                } else if byte == if is_object { b'}' } else { b']' } {
                    depth -= 1;
                } else {
                    return false;
                }
                at += 1;
            }
            Next::Name | Next::NameOrEnd => {
                if byte == b'}' && matches!(next, Next::NameOrEnd) {
                    depth -= 1;
                    at += 1;
                    next = Next::Separator;
                    continue;
                }
                at = after_space(json, after_string(json, at));
                if at >= json.len() || json[at] != b':' {
                    return false;
                }
                at += 1;
                next = Next::Value;
            }
            Next::Value | Next::ValueOrEnd => {
                if byte == b']' && matches!(next, Next::ValueOrEnd) {
                    depth -= 1;
                    at += 1;
                    next = Next::Separator;
                    continue;
                }
                if byte == b'{' || byte == b'[' {
                    if depth == DEEPEST {
                        return false;
                    }
                    open[depth] = byte == b'{';
                    depth += 1;
                    at += 1;
                    next = if byte == b'{' {
                        Next::NameOrEnd
                    } else {
                        Next::ValueOrEnd
                    };
                    continue;
                }
                at = match byte {
                    b'"' => after_string(json, at),
                    b't' => after_word(json, at, b"true"),
                    b'f' => after_word(json, at, b"false"),
                    b'n' => after_word(json, at, b"null"),
                    _ => after_number(json, at),
                };
                if at > json.len() {
                    return false;
                }
                next = Next::Separator;
            }
        }
    }
}

/// What may stand next in a JSON text.
#[derive(Clone, Copy)]
enum Next {
    Value,
    ValueOrEnd,
    Name,
    NameOrEnd,
    Separator,
}

/// A place behind every text: there is no such thing as was looked for.
const NOWHERE: usize = usize::MAX;

const fn after_space(json: &[u8], mut at: usize) -> usize {
    while at < json.len() && matches!(json[at], b' ' | b'\n' | b'\r' | b'\t') {
        at += 1;
    }
    at
}

const fn after_string(json: &[u8], mut at: usize) -> usize {
    if at >= json.len() || json[at] != b'"' {
        return NOWHERE;
    }
    at += 1;
    while at < json.len() {
        match json[at] {
            b'"' => return at + 1,
            b'\\' => {
                if at + 1 >= json.len() {
                    return NOWHERE;
                }
                at += 1;
                if json[at] == b'u' {
                    let mut digits = 0;
                    while digits < 4 {
                        at += 1;
                        if at >= json.len() || !json[at].is_ascii_hexdigit() {
                            return NOWHERE;
                        }
                        digits += 1;
                    }
                } else if !matches!(
                    json[at],
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't'
                ) {
                    return NOWHERE;
                }
            }
            0..=0x1f => return NOWHERE,
            _ => {}
        }
        at += 1;
    }
    NOWHERE
}

const fn after_word(json: &[u8], at: usize, word: &[u8]) -> usize {
    let mut index = 0;
    while index < word.len() {
        if at + index >= json.len() || json[at + index] != word[index] {
            return NOWHERE;
        }
        index += 1;
    }
    at + index
}

const fn after_digits(json: &[u8], at: usize) -> usize {
    let mut end = at;
    while end < json.len() && json[end].is_ascii_digit() {
        end += 1;
    }
    if end == at { NOWHERE } else { end }
}

const fn after_number(json: &[u8], mut at: usize) -> usize {
    if at < json.len() && json[at] == b'-' {
        at += 1;
    }
    if at < json.len() && json[at] == b'0' {
        at += 1;
    } else {
        at = after_digits(json, at);
    }
    if at < json.len() && json[at] == b'.' {
        at = after_digits(json, at + 1);
    }
    if at < json.len() && (json[at] == b'e' || json[at] == b'E') {
        at += 1;
        if at < json.len() && (json[at] == b'+' || json[at] == b'-') {
            at += 1;
        }
        at = after_digits(json, at);
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    const CHECKED: bool = is_object("{}");

    #[test]
    fn object_is_known_from_what_is_none() {
        const { assert!(CHECKED) };
        for (json, expected) in [
            ("{}", true),
            (" {\n} ", true),
            (
                r#"{"a": [1, -0.5e+3, "\u00e9\n", {"b": null}], "c": true}"#,
                true,
            ),
            ("", false),
            ("[]", false),
            ("{} {}", false),
            ("{,}", false),
            (r#"{"a":1,}"#, false),
            (r#"{"a":[1,]}"#, false),
            (r#"{"a" 1}"#, false),
            (r#"{a: 1}"#, false),
            (r#"{"a": 01}"#, false),
            (r#"{"a": 1.}"#, false),
            (r#"{"a": tru}"#, false),
            (r#"{"a": "\x"}"#, false),
            (r#"{"a": [}"#, false),
            (r#"{"a": 1"#, false),
        ] {
            assert_eq!(is_object(json), expected, "{json}");
        }
    }

    proptest! {
        #[test]
        fn judgement_is_that_of_a_parser(json in r#"\{?["a,:\[\]{}0-9truefals.eE+\\ -]{0,24}\}?"#) {
            let parsed = serde_json::from_str::<&RawValue>(&json);
            let expected = parsed.is_ok_and(|value| value.get().starts_with('{'));
            prop_assert_eq!(is_object(&json), expected);
        }
    }
}

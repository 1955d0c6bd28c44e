//! The place in a JSON text at which its reading stopped, as a JSON Pointer.

/// Returns the JSON Pointer (RFC 6901) of the value in which the byte `at` stands; empty for the
/// whole.
///
/// The text may be cut or wrong behind that place. It costs one pass, and only a reading that
/// failed pays for it.
pub(crate) fn pointer(json: &str, at: usize) -> String {
    let mut open: Vec<Level> = Vec::new();
    let mut rest = json.get(..at).unwrap_or(json).char_indices();
    while let Some((index, char)) = rest.next() {
        match char {
            '{' => open.push(Level::Object(String::new())),
            '[' => open.push(Level::Array(0)),
            '}' | ']' => drop(open.pop()),
            ',' => match open.last_mut() {
                Some(Level::Array(number)) => *number += 1,
                Some(Level::Object(name)) => name.clear(),
                None => {}
            },
            '"' => {
                let mut end = None;
                while let Some((index, char)) = rest.next() {
                    match char {
                        '\\' => drop(rest.next()),
                        '"' => {
                            end = Some(index + 1);
                            break;
                        }
                        _ => {}
                    }
                }
                // The place is within the text.
                let Some(end) = end else {
                    return steps(&open);
                };
                // The first text of a member is its name.
                if let Some(Level::Object(name)) = open.last_mut()
                    && name.is_empty()
                {
                    let spelled = json.get(index..end).unwrap_or_default();
                    *name = serde_json::from_str(spelled).unwrap_or_default();
                }
            }
            _ => {}
        }
    }
    // At its end, it is the whole object or list that lacks something.
    if matches!(json.as_bytes().get(at), Some(b'}' | b']')) {
        open.pop();
    }
    steps(&open)
}

fn steps(open: &[Level]) -> String {
    open.iter().map(Level::step).collect()
}

/// An object or a list that is open.
enum Level {
    /// The member that is read, where one is.
    Object(String),
    /// The number of the element.
    Array(usize),
}

impl Level {
    fn step(&self) -> String {
        match self {
            Self::Object(name) if name.is_empty() => String::new(),
            Self::Object(name) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
            Self::Array(number) => format!("/{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pointer_names_the_value_at_a_place() {
        let json = r#"{"a":1,"b/~":[{"c":"x,{\"y"},true],"d":{}}"#;
        for (part, expected) in [
            ("1,", "/a"),
            ("x,", "/b~1~0/0/c"),
            ("true", "/b~1~0/1"),
            ("{}}", "/d"),
            ("}}", "/d"),
            ("},true", "/b~1~0/0"),
            ("],", "/b~1~0"),
        ] {
            let at = json.find(part).expect("a part");
            assert_eq!(pointer(json, at), expected, "{part}");
        }
        assert_eq!(pointer(json, 0), "");
        assert_eq!(pointer(json, json.len() + 9), "");
        assert_eq!(pointer("{\"é\": [1, 2", 10), "/é/1");
    }

    proptest! {
        #[test]
        fn any_text_has_a_pointer(json in "\\PC{0,60}", at in 0_usize..80) {
            let _ = pointer(&json, at);
        }
    }
}

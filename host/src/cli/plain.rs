//! Text from outside, safe for a terminal: nothing in it steers the terminal, or makes a line look
//! like another.

use std::borrow::Cow;
use std::fmt::Write;

/// Returns the text on one line: every character that steers a terminal becomes a space.
pub fn line(text: &str) -> String {
    lines(text).replace('\n', " ")
}

/// Returns the text with its line ends: every other character that steers a terminal becomes a
/// space.
pub fn lines(text: &str) -> String {
    text.chars()
        .map(|c| if steers(c) && c != '\n' { ' ' } else { c })
        .collect()
}

/// Returns JSON text with an escape in the place of every character that steers a terminal. Line
/// ends between the tokens stay.
pub fn json(text: &str) -> String {
    escaped(text, |c| steers(c) && c != '\n')
}

/// Returns a line of the log with an escape in the place of every character that steers a terminal,
/// but those of ASCII: the log escapes these where they are a stranger's, and colours by them.
pub fn logged(line: &str) -> Cow<'_, str> {
    let is_foreign = |c: char| steers(c) && !c.is_ascii();
    match line.contains(is_foreign) {
        true => Cow::Owned(escaped(line, is_foreign)),
        false => Cow::Borrowed(line),
    }
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_escaped(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Returns true for control characters (C0, DEL and C1), changes of text direction, invisible
/// characters, and line ends known only to some programs.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steering_characters_become_spaces_but_line_ends() {
        let text = "a\x1b[2Jb\r\u{9b}c\nd\te";
        assert_eq!(
            [line(text), lines(text)],
            ["a [2Jb  c d e", "a [2Jb  c\nd e"]
        );
    }

    #[test]
    fn text_cannot_be_turned_around_or_hidden() {
        assert_eq!(
            line("a\u{202e}b\u{2066}c\u{200b}d\u{2028}e\u{e0041}f"),
            "a b c d e f"
        );
        assert_eq!(
            line("Ärger: naïve 日本語 العربية 🙂"),
            "Ärger: naïve 日本語 العربية 🙂"
        );
    }

    #[test]
    fn json_keeps_its_meaning_and_steers_nothing() {
        let text = "a\u{9b}31m\u{202e}b\u{7f}\u{e0041}";
        let json = json(&serde_json::to_string_pretty(&[text]).unwrap());
        assert_eq!(json, "[\n  \"a\\u009b31m\\u202eb\\u007f\\udb40\\udc41\"\n]");
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), [text]);
    }

    #[test]
    fn line_of_the_log_keeps_its_colours_and_turns_nothing() {
        assert_eq!(
            logged("\x1b[33mWARN\x1b[0m plain\n"),
            "\x1b[33mWARN\x1b[0m plain\n"
        );
        assert_eq!(logged("a\u{202e}b\u{9b}c\n"), "a\\u202eb\\u009bc\n");
    }
}

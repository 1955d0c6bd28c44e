//! Text from outside, made fit to be read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// What Windows-1252 has in the place of the control characters from 0x80 to 0x9F; five are
/// themselves. Source: the WHATWG's index of the encoding.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Bytes as text: UTF-8, and each byte that is none as Windows-1252 has it, as browsers read what
/// declares no charset. No two bytes become the same character, as they would with U+FFFD, so two
/// names that differ stay two names.
pub fn of_bytes(bytes: &[u8]) -> Cow<'_, str> {
    // Checking first has a fast path for ASCII, and most texts are that.
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 4);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| match byte {
            0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
            byte => char::from(*byte),
        }));
    }
    Cow::Owned(text)
}

/// Base64 (RFC 4648, standard alphabet, padded).
pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// The bytes that a text in base64 means: in the standard alphabet or in that for URLs, padded or
/// not, with line ends or without. `None` where it is none.
pub fn of_base64(text: &str) -> Option<Vec<u8>> {
    let plain: String = text
        .chars()
        .filter(|char| !char.is_ascii_whitespace() && *char != '=')
        .map(|char| match char {
            '-' => '+',
            '_' => '/',
            char => char,
        })
        .collect();
    STANDARD_NO_PAD.decode(plain).ok()
}

/// Labels of an alert, without those that have no value: `labels([("host", host), ("team", None)])`.
pub fn labels<N: Into<String>>(
    pairs: impl IntoIterator<Item = (N, Option<String>)>,
) -> BTreeMap<String, String> {
    let pairs = pairs.into_iter();
    let given = pairs.filter_map(|(name, value)| Some((name.into(), value?)));
    given.filter(|(_, value)| !value.is_empty()).collect()
}

/// One line of at most `max_chars` characters: runs of white space and control characters become
/// one space, and a cut is shown by `…`. Characters that turn the direction of writing are dropped,
/// because they can make a title read as another.
pub fn line(text: &str, max_chars: usize) -> String {
    if text.len() <= max_chars && is_plain_line(text) {
        return text.to_owned();
    }
    let mut line = String::with_capacity(text.len().min(4 * max_chars));
    let mut chars = 0;
    for word in text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
    {
        let space = (!line.is_empty()).then_some(' ');
        for char in space
            .into_iter()
            .chain(word.chars().filter(|&c| !turns_direction(c)))
        {
            if chars == max_chars {
                line.pop();
                line.push('…');
                return line;
            }
            line.push(char);
            chars += 1;
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Returns whether this is printable ASCII with single spaces. Most texts are, and this check is
/// much faster than a reading by character.
fn is_plain_line(text: &str) -> bool {
    let mut before = b' ';
    for byte in text.bytes() {
        if !matches!(byte, b' '..=b'~') || (byte == b' ' && before == b' ') {
            return false;
        }
        before = byte;
    }
    before != b' ' || text.is_empty()
}

/// Unicode's embeddings, overrides, isolates and marks of direction.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_in_the_spellings_of_senders() {
        let bytes = [0xfb, 0xff, 0x00, 0x01];
        assert_eq!(base64(bytes), "+/8AAQ==");
        for spelled in ["+/8AAQ==", "-_8AAQ", "+/8A\r\nAQ==\n"] {
            assert_eq!(of_base64(spelled).as_deref(), Some(&bytes[..]), "{spelled}");
        }
        assert_eq!(of_base64("+/8A*Q"), None);
    }

    #[test]
    fn labels_without_a_value_are_left_out() {
        let given = [
            ("host", Some("db-1".to_owned())),
            ("team", None),
            ("room", Some(String::new())),
        ];
        assert_eq!(
            labels(given),
            [("host".to_owned(), "db-1".to_owned())].into()
        );
    }

    #[test]
    fn bytes_that_are_no_utf_8_stay_apart() {
        assert_eq!(of_bytes("Zoë – 🔥".as_bytes()), "Zoë – 🔥");
        assert_eq!(of_bytes(b"K\xf6ln \x96 \x80"), "Köln – €");
        assert_eq!(of_bytes(b"caf\xe9 \xc3\xa9"), "café é", "both in one text");
        let all: Vec<u8> = (0..=255).collect();
        let mut read: Vec<char> = all
            .iter()
            .map(|byte| of_bytes(&[*byte]).chars().next().unwrap())
            .collect();
        read.sort_unstable();
        read.dedup();
        assert_eq!(read.len(), 256, "no two bytes are read as one");
        let theirs = encoding_rs::WINDOWS_1252.decode_without_bom_handling(&all[0x80..]);
        assert_eq!(
            all[0x80..]
                .iter()
                .map(|byte| of_bytes(&[*byte]).into_owned())
                .collect::<String>(),
            theirs.0
        );
    }

    #[test]
    fn white_space_and_control_characters_become_one_space() {
        assert_eq!(
            line("  a\r\n\tb\u{0}\u{1b}[31m c\u{a0}d ", 99),
            "a b [31m c d"
        );
        assert_eq!(line(" \n ", 99), "");
        assert_eq!(line("", 99), "");
        assert_eq!(line(" a  b ", 99), "a b");
        assert_eq!(line("a b", 3), "a b");
    }

    #[test]
    fn a_cut_is_shown_and_counts() {
        assert_eq!(line("äöüß", 4), "äöüß");
        assert_eq!(line("äöüßx", 4), "äöü…");
        assert_eq!(line("ab cd", 3), "ab…");
    }

    #[test]
    fn the_direction_of_writing_cannot_be_turned() {
        assert_eq!(line("safe\u{202e}gpj.exe\u{2069}", 99), "safegpj.exe");
        assert_eq!(line("a \u{202e} ", 99), "a");
    }
}

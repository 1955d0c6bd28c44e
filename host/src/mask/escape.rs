//! The escapes of URLs, JSON, JavaScript and HTML: the spellings that an echo may give a character.

/// The bytes of the longest escape, a reference of HTML with leading zeros.
const LONGEST: usize = 13;

/// The meaning of an escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escaped {
    /// A byte, of UTF-8 where it is not ASCII.
    Byte(u8),
    /// A character.
    Char(char),
}

/// A text that begins like an escape, and is none.
enum NoEscape {
    /// More of it may make it one.
    Unfinished,
    Never,
}

/// Returns whether an escape may begin with a byte.
pub fn begins_escape(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | b'&')
}

/// Reads the escape with which the bytes of `next` begin, and no byte behind its end. `None` where
/// they begin with none.
pub fn escape(mut next: impl FnMut() -> Option<u8>) -> Option<Escaped> {
    let mut read = [0; LONGEST];
    for count in 0..LONGEST {
        read[count] = next()?;
        match meaning(&read[..=count]) {
            Ok(escaped) => return Some(escaped),
            Err(NoEscape::Never) => return None,
            Err(NoEscape::Unfinished) => {}
        }
    }
    None
}

/// Returns the meaning of a text that is one escape from beginning to end.
fn meaning(text: &[u8]) -> Result<Escaped, NoEscape> {
    match text {
        [intro @ (b'%' | b'\\'), b'u' | b'U', digits @ ..] => {
            utf16(*intro, digits).map(Escaped::Char)
        }
        [b'%', digits @ ..] | [b'\\', b'x' | b'X', digits @ ..] => {
            let byte = u8::try_from(number(digits, 2)?);
            byte.map(Escaped::Byte).map_err(|_| NoEscape::Never)
        }
        [b'\\'] => Err(NoEscape::Unfinished),
        [b'\\', byte @ (b'"' | b'\'' | b'/' | b'\\')] => Ok(Escaped::Byte(*byte)),
        [b'&', name @ .., b';'] => std::str::from_utf8(name)
            .ok()
            .and_then(reference)
            .map(Escaped::Char)
            .ok_or(NoEscape::Never),
        [b'&', name @ ..]
            if name
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'#') =>
        {
            Err(NoEscape::Unfinished)
        }
        _ => Err(NoEscape::Never),
    }
}

/// Returns the character of a unit of UTF-16, or of two units where it is beyond 16 bits. The second
/// one is introduced like the first.
fn utf16(intro: u8, read: &[u8]) -> Result<char, NoEscape> {
    let (first, rest) = read.split_at(read.len().min(4));
    let unit = number(first, 4)?;
    let is_first_of_two = (0xd800..0xdc00).contains(&unit);
    let code = match rest {
        [] if !is_first_of_two => unit,
        _ if !is_first_of_two => return Err(NoEscape::Never),
        [] => return Err(NoEscape::Unfinished),
        [again] if *again == intro => return Err(NoEscape::Unfinished),
        [again, b'u' | b'U', digits @ ..] if *again == intro => {
            let low = number(digits, 4)?.checked_sub(0xdc00);
            let low = low.filter(|low| *low < 0x400).ok_or(NoEscape::Never)?;
            0x10000 + ((unit - 0xd800) << 10) + low
        }
        _ => return Err(NoEscape::Never),
    };
    char::from_u32(code).ok_or(NoEscape::Never)
}

/// Returns the number of so many hexadecimal digits.
fn number(digits: &[u8], count: usize) -> Result<u32, NoEscape> {
    let number = digits.iter().try_fold(0, |number, digit| {
        Some(number << 4 | char::from(*digit).to_digit(16)?)
    });
    match number {
        Some(number) if digits.len() == count => Ok(number),
        Some(_) if digits.len() < count => Err(NoEscape::Unfinished),
        _ => Err(NoEscape::Never),
    }
}

/// Returns the character of a reference in HTML, of its name between `&` and `;`.
fn reference(name: &str) -> Option<char> {
    if let Some(digits) = name.strip_prefix("#x").or_else(|| name.strip_prefix("#X")) {
        return char::from_u32(u32::from_str_radix(digits, 16).ok()?);
    }
    if let Some(digits) = name.strip_prefix('#') {
        return char::from_u32(digits.parse().ok()?);
    }
    // The names of the ASCII characters that a secret may hold.
    Some(match name {
        "amp" | "AMP" => '&',
        "lt" | "LT" => '<',
        "gt" | "GT" => '>',
        "quot" | "QUOT" => '"',
        "apos" => '\'',
        "sol" => '/',
        "bsol" => '\\',
        "plus" => '+',
        "equals" => '=',
        "num" => '#',
        "percnt" => '%',
        "dollar" => '$',
        "excl" => '!',
        "quest" => '?',
        "commat" => '@',
        "colon" => ':',
        "semi" => ';',
        "period" => '.',
        "comma" => ',',
        "lowbar" => '_',
        "hyphen" | "dash" => '-',
        "ast" => '*',
        "lpar" => '(',
        "rpar" => ')',
        "lsqb" | "lbrack" => '[',
        "rsqb" | "rbrack" => ']',
        "lcub" | "lbrace" => '{',
        "rcub" | "rbrace" => '}',
        "verbar" | "vert" => '|',
        "Hat" => '^',
        "grave" => '`',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length and meaning of the escape at the beginning of a text.
    fn read(text: &str) -> Option<(usize, Escaped)> {
        let mut length = 0;
        let escaped = escape(|| {
            length += 1;
            text.as_bytes().get(length - 1).copied()
        })?;
        Some((length, escaped))
    }

    #[test]
    fn escapes_of_every_kind_are_read_to_their_end() {
        for (text, length, escaped) in [
            ("%2fx", 3, Escaped::Byte(b'/')),
            ("%C3%A9", 3, Escaped::Byte(0xc3)),
            ("%u002fx", 6, Escaped::Char('/')),
            ("%UD83D%uDE00x", 12, Escaped::Char('\u{1f600}')),
            ("\\u00e9", 6, Escaped::Char('é')),
            ("\\ud83d\\ude00x", 12, Escaped::Char('\u{1f600}')),
            ("\\x41", 4, Escaped::Byte(b'A')),
            ("\\X41", 4, Escaped::Byte(b'A')),
            ("\\/", 2, Escaped::Byte(b'/')),
            ("&amp;x", 5, Escaped::Char('&')),
            ("&#x1F600;", 9, Escaped::Char('\u{1f600}')),
            ("&#000000047;", 12, Escaped::Char('/')),
        ] {
            assert_eq!(read(text), Some((length, escaped)), "{text}");
        }
        for text in [
            "",
            "x",
            "%",
            "%2",
            "%2g",
            "%u002",
            "%ud83d",
            "%ud83d\\ude00",
            "\\ud83dx",
            "\\ud83d\\u0041",
            "\\ude00",
            "\\n",
            "&",
            "&amp",
            "&a b;",
            "&nothing;",
            "&#x110000;",
            "&#0000000000047;",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}

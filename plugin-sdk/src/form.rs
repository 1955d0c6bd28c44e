//! `application/x-www-form-urlencoded`, as a signature needs it: nothing is dropped, and values
//! stay bytes.
//!
//! Most form parsers hand out text, and replace what is not UTF-8. A sender signs what it sent, so
//! here a field is the decoded bytes, in the order received, with blanks and repetitions kept;
//! [`Form::get`] is the lenient view for people.

use std::borrow::Cow;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::text;

/// The fields of a form body or of a query string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form<'a> {
    fields: Vec<Field<'a>>,
}

/// One field: its decoded name and its decoded value.
pub type Field<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

impl<'a> Form<'a> {
    /// Reads a form. Every sequence of bytes is a form; a field without `=` has an empty value.
    pub fn parse(text: &'a [u8]) -> Self {
        let mut fields = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (name, after) = half(rest, b'=');
            let (value, after) = match after {
                [b'=', after @ ..] => half(after, b'&'),
                _ => (Cow::default(), after),
            };
            // Between two `&` there is no field.
            if after.len() < rest.len() {
                fields.push((name, value));
            }
            rest = after.strip_prefix(b"&").unwrap_or(after);
        }
        Self { fields }
    }

    /// The value of the first field of this name. Bytes that are not UTF-8 are
    /// read as [`text::of_bytes`] does.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.all(name).next()
    }

    /// The values of every field of this name, in the order received.
    pub fn all(&self, name: &str) -> impl Iterator<Item = Cow<'_, str>> {
        let named = self
            .fields
            .iter()
            .filter(move |(field, _)| **field == *name.as_bytes());
        named.map(|(_, value)| text::of_bytes(value))
    }

    /// The form with copies of what it borrows.
    pub fn into_owned(self) -> Form<'static> {
        let owned = |bytes: Cow<'a, [u8]>| Cow::Owned(bytes.into_owned());
        Form {
            fields: self
                .fields
                .into_iter()
                .map(|(name, value)| (owned(name), owned(value)))
                .collect(),
        }
    }

    /// All fields as decoded bytes, in the order received.
    pub fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }
}

/// A form of these fields, in this order.
pub fn write(fields: &[(&str, &str)]) -> String {
    let escaped = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let fields = fields
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    fields.collect::<Vec<_>>().join("&")
}

/// Decodes a name or a value: up to `&` or the byte `end`. Returns what follows as well. `+` is a
/// space, `%41` is an `A`, and what only looks like an escape stands for itself.
///
/// A form is read in each call of a plugin, so this looks at each byte once.
fn half(text: &[u8], end: u8) -> (Cow<'_, [u8]>, &[u8]) {
    let ends = |byte: u8| byte == b'&' || byte == end;
    let is_plain = |byte: &&u8| !ends(**byte) && !matches!(**byte, b'+' | b'%');
    let (plain, mut rest) = text.split_at(text.iter().take_while(is_plain).count());
    if rest.first().is_none_or(|byte| ends(*byte)) {
        return (Cow::Borrowed(plain), rest);
    }
    let mut decoded = Vec::with_capacity(2 * plain.len() + 32);
    decoded.extend_from_slice(plain);
    loop {
        let (byte, after) = match rest {
            [b'+', after @ ..] => (b' ', after),
            [b'%', high, low, after @ ..] if digit(*high) | digit(*low) < 16 => {
                (digit(*high) << 4 | digit(*low), after)
            }
            [byte, after @ ..] if !ends(*byte) => (*byte, after),
            _ => return (Cow::Owned(decoded), rest),
        };
        decoded.push(byte);
        rest = after;
    }
}

/// The value of a hex digit; 16 for any other byte.
fn digit(byte: u8) -> u8 {
    const VALUES: [u8; 256] = {
        let mut values = [16; 256];
        let mut value = 0;
        while value < 16 {
            values[b"0123456789abcdef"[value as usize] as usize] = value;
            values[b"0123456789ABCDEF"[value as usize] as usize] = value;
            value += 1;
        }
        values
    };
    VALUES[usize::from(byte)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_repetitions_are_kept_in_order() {
        let form = Form::parse(b"b=2&a=&b=1&c&&b=2");
        let fields: Vec<_> = form
            .fields()
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let expected: [(&[u8], &[u8]); 5] = [
            (b"b", b"2"),
            (b"a", b""),
            (b"b", b"1"),
            (b"c", b""),
            (b"b", b"2"),
        ];
        assert_eq!(fields, expected);
        assert_eq!(form.get("b").as_deref(), Some("2"));
        assert_eq!(form.all("b").collect::<Vec<_>>(), ["2", "1", "2"]);
        assert_eq!(form.get("A"), None);
    }

    #[test]
    fn escapes_are_decoded_to_bytes_and_read_leniently_as_text() {
        let form = Form::parse(b"a%20b=%2B1+555&raw=%ff%41&odd=100%&%zz=%4");
        assert_eq!(form.get("a b").as_deref(), Some("+1 555"));
        assert_eq!(&*form.fields()[1].1, b"\xffA");
        assert_eq!(form.get("raw").as_deref(), Some("ÿA"));
        assert_eq!(form.get("odd").as_deref(), Some("100%"));
        assert_eq!(form.get("%zz").as_deref(), Some("%4"));
    }

    #[test]
    fn every_byte_is_decoded_in_both_spellings() {
        for byte in 0..=u8::MAX {
            for escape in [format!("%{byte:02x}"), format!("%{byte:02X}")] {
                assert_eq!(&*half(escape.as_bytes(), b'&').0, [byte], "{escape}");
            }
        }
        for other in [b'/', b':', b'@', b'G', b'`', b'g', b' ', b'%'] {
            let text = [b'%', other, b'1'];
            assert_eq!(&*half(&text, b'&').0, text);
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let fields = [("a b", "1+1=2&c"), ("ä%", ""), ("", "x"), ("a b", "\u{0}")];
        let text = write(&fields);
        let form = Form::parse(text.as_bytes());
        let read: Vec<_> = form
            .fields()
            .iter()
            .map(|(name, value)| {
                (
                    str::from_utf8(name).unwrap(),
                    str::from_utf8(value).unwrap(),
                )
            })
            .collect();
        assert_eq!(read, fields);
    }

    #[test]
    fn it_agrees_with_the_url_standard_on_any_bytes() {
        let seed = 0x5eed_f0f0;
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..2_000 {
            let text: Vec<u8> = (0..random.usize(..40))
                .map(|_| b"ab=&+%2fF\xc3\xa9\xff"[random.usize(..12)])
                .collect();
            let ours: Vec<_> = Form::parse(&text)
                .fields()
                .iter()
                .map(|(name, value)| {
                    (
                        String::from_utf8_lossy(name).into_owned(),
                        String::from_utf8_lossy(value).into_owned(),
                    )
                })
                .collect();
            let theirs: Vec<_> = form_urlencoded::parse(&text).into_owned().collect();
            assert_eq!(ours, theirs, "{text:?}, seed {seed:#x}");
        }
    }
}

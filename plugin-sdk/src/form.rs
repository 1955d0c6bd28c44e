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
        let fields = text
            .split(|&byte| byte == b'&')
            .filter(|field| !field.is_empty())
            .map(|field| {
                let mut halves = field.splitn(2, |&byte| byte == b'=');
                (
                    decode(halves.next().unwrap_or_default()),
                    decode(halves.next().unwrap_or_default()),
                )
            });
        Self {
            fields: fields.collect(),
        }
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

/// `+` is a space, `%41` is an `A`, and what only looks like an escape stands for itself. In one
/// loop of its own: a text of JSON is half escapes, and every byte of it went through two iterators.
fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|&byte| byte == b'+' || byte == b'%') {
        return Cow::Borrowed(text);
    }
    // What is decoded is never longer.
    let mut decoded = vec![0; text.len()];
    let mut at = 0;
    let mut length = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        let mut byte = byte;
        if byte == b'+' {
            byte = b' ';
        } else if byte == b'%'
            && let Some([high, low]) = text.get(at..at + 2)
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            byte = high << 4 | low;
            at += 2;
        }
        decoded[length] = byte;
        length += 1;
    }
    decoded.truncate(length);
    Cow::Owned(decoded)
}

/// The value of a hex digit.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' | b'A'..=b'F' => Some((byte & 7) + 9),
        _ => None,
    }
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
                assert_eq!(&*decode(escape.as_bytes()), [byte], "{escape}");
            }
        }
        for other in [b'/', b':', b'@', b'G', b'`', b'g', b' ', b'%'] {
            let text = [b'%', other, b'1'];
            assert_eq!(&*decode(&text), text);
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

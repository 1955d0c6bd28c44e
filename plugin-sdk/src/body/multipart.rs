//! `multipart/form-data` (RFC 7578), read from memory.
//!
//! Own code, because the kept crates for it read from a stream: `multer` brings an async runtime's
//! traits into every plugin. All that is needed here is to cut a body at a line.

use std::borrow::Cow;

use crate::contract::Unreadable;
use crate::text::{self, line};

use super::{Body, Reading};

/// More parts are none of a form's, and each costs an allocation.
const MAX_PARTS: usize = 1_000;

/// A part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// The field's name; empty where it has none.
    pub name: String,
    /// The file's name, where it is a file.
    pub filename: Option<String>,
    /// The part's own `Content-Type`, where it names one.
    pub media_type: Option<String>,
    /// The bytes, decoded where the part names a `Content-Transfer-Encoding`.
    pub value: Cow<'a, [u8]>,
}

/// Of RFC 2046.
const MAX_BOUNDARY_BYTES: usize = 70;

/// The boundary that a `Content-Type` names.
pub fn boundary(content_type: &str) -> Option<String> {
    parameter(content_type, "boundary")
        .filter(|boundary| (1..=MAX_BOUNDARY_BYTES).contains(&boundary.len()))
}

/// The boundary that a body itself shows, where its type names none: the first line, with the head
/// of a part behind it.
pub(super) fn sniffed(body: &[u8]) -> Option<String> {
    let rest = body.strip_prefix(b"--")?;
    let mut bytes = rest.iter().take(MAX_BOUNDARY_BYTES + 1);
    let end = bytes.position(|byte| matches!(byte, b'\r' | b'\n'))?;
    let boundary = str::from_utf8(&rest[..end]).ok()?.trim_end();
    let head = rest[end..].trim_ascii_start().get(..8)?;
    (!boundary.is_empty() && head.eq_ignore_ascii_case(b"content-")).then(|| boundary.to_owned())
}

/// Reads the parts of a body.
pub(super) fn read<'a>(body: Cow<'a, [u8]>, boundary: &str) -> Result<Reading<'a>, Unreadable> {
    let text = Cow::Owned(text::of_bytes(&body).into_owned());
    let parts = match &body {
        Cow::Borrowed(body) => parts(body, boundary)?,
        Cow::Owned(body) => parts(body, boundary)?
            .into_iter()
            .map(Part::into_owned)
            .collect(),
    };
    Ok(Reading {
        body: Body::Multipart(parts),
        text,
        repairs: Vec::new(),
        checked: None,
    })
}

fn parts<'b>(body: &'b [u8], boundary: &str) -> Result<Vec<Part<'b>>, Unreadable> {
    let wrong = |reason: &str, at: usize| Unreadable {
        reason: reason.to_owned(),
        at: format!("byte {at}"),
    };
    let delimiter = format!("--{boundary}");
    let delimiter = delimiter.as_bytes();
    let mut parts = Vec::new();
    let mut at = delimiter_at(body, delimiter, 0)
        .ok_or_else(|| wrong("a form of parts without its boundary", 0))?;
    loop {
        let start = at + delimiter.len();
        if body[start..].starts_with(b"--") {
            return Ok(parts);
        }
        if parts.len() == MAX_PARTS {
            return Err(wrong("a form of too many parts", at));
        }
        let head = start
            + body[start..]
                .iter()
                .position(|&byte| byte == b'\n')
                .map_or(body.len() - start, |end| end + 1);
        let Some(next) = delimiter_at(body, delimiter, head) else {
            return Err(wrong("a form of parts that ends too soon", body.len()));
        };
        parts.push(part(line_end_cut(&body[head..next])));
        at = next;
    }
}

/// The next delimiter at the beginning of a line.
fn delimiter_at(body: &[u8], delimiter: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while at < body.len() {
        if body[at..].starts_with(delimiter) {
            return Some(at);
        }
        at += body[at..].iter().position(|&byte| byte == b'\n')? + 1;
    }
    None
}

/// The line end before a delimiter belongs to the delimiter.
fn line_end_cut(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}

/// Headers up to an empty line, and the value behind it.
fn part(bytes: &[u8]) -> Part<'_> {
    let mut part = Part {
        name: String::new(),
        filename: None,
        media_type: None,
        value: Cow::Borrowed(&[]),
    };
    let mut encoding = String::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (header, after) = match rest.iter().position(|&byte| byte == b'\n') {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, &[][..]),
        };
        rest = after;
        let header = text::of_bytes(header);
        let header = header.trim_end_matches('\r');
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').unwrap_or((header, ""));
        if name.eq_ignore_ascii_case("content-disposition") {
            part.name = parameter(value, "name").unwrap_or_default();
            part.filename = parameter(value, "filename");
        } else if name.eq_ignore_ascii_case("content-type") {
            part.media_type = Some(line(value, 100));
        } else if name.eq_ignore_ascii_case("content-transfer-encoding") {
            encoding = value.trim().to_ascii_lowercase();
        }
    }
    part.value = match &*encoding {
        // Libraries for mail write these, though RFC 7578 has done away with them.
        "base64" => str::from_utf8(rest).ok().and_then(text::of_base64),
        "quoted-printable" => Some(of_quoted_printable(rest)),
        _ => None,
    }
    .map_or(Cow::Borrowed(rest), Cow::Owned);
    part
}

/// Decodes quoted-printable (RFC 2045). What is no escape stands for itself.
fn of_quoted_printable(text: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = match (byte, after) {
            (b'=', [b'\r', b'\n', after @ ..] | [b'\n', after @ ..]) => after,
            (b'=', [high, low, after @ ..]) => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    after
                }
                _ => {
                    bytes.push(b'=');
                    &rest[1..]
                }
            },
            (byte, after) => {
                bytes.push(*byte);
                after
            }
        };
    }
    bytes
}

/// A parameter of a header's value: a word, or a text in quotes.
pub(super) fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        let (found, after) = rest.split_once('=')?;
        let (text, after) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        if found.trim().eq_ignore_ascii_case(name) {
            return Some(text);
        }
        rest = after;
    }
}

/// Browsers escape a quote as `%22`, and others by a backslash.
fn unquoted(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (text, &quoted[at + 1..]),
            '\\' => text.extend(chars.next().map(|(_, char)| char)),
            char => text.push(char),
        }
    }
    (text, "")
}

impl Part<'_> {
    fn into_owned(self) -> Part<'static> {
        let Self {
            name,
            filename,
            media_type,
            value,
        } = self;
        Part {
            name,
            filename,
            media_type,
            value: Cow::Owned(value.into_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "preamble\r\n--x\r\nContent-Disposition: form-data; name=\"a b\"\r\n\r\n1\r\n--x\r\n\
        content-disposition: form-data; filename=\"f;\\\".txt\"; name=file\r\nContent-Type: text/plain\r\n\r\nl1\r\nl2\r\n--x--\r\n";

    #[test]
    fn parts_are_cut_at_the_boundary() {
        let parts = parts(BODY.as_bytes(), "x").unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!(
            (&*parts[0].name, &*parts[0].value, &parts[0].filename),
            ("a b", &b"1"[..], &None)
        );
        assert_eq!(
            (&*parts[1].name, &*parts[1].value),
            ("file", &b"l1\r\nl2"[..])
        );
        assert_eq!(parts[1].filename.as_deref(), Some("f;\".txt"));
        assert_eq!(parts[1].media_type.as_deref(), Some("text/plain"));
    }

    #[test]
    fn line_feeds_alone_will_do() {
        let body = BODY.replace("\r\n", "\n");
        assert_eq!(&*parts(body.as_bytes(), "x").unwrap()[1].value, b"l1\nl2");
    }

    #[test]
    fn part_is_decoded_as_it_says() {
        for (encoding, sent, value) in [
            (
                "base64",
                "eyJhIjoi\r\nw6QifQ==\r\n",
                &b"{\"a\":\"\xc3\xa4\"}"[..],
            ),
            ("Base64", "no base64!", b"no base64!"),
            (
                "quoted-printable",
                "a=3D=C3=A4 is =\r\noneline=0g=",
                b"a=\xc3\xa4 is oneline=0g=",
            ),
            ("8bit", "eyJhIjoi", b"eyJhIjoi"),
        ] {
            let body = format!(
                "--x\r\nContent-Disposition: form-data; name=a\r\n\
                 Content-Transfer-Encoding: {encoding}\r\n\r\n{sent}\r\n--x--"
            );
            assert_eq!(&*parts(body.as_bytes(), "x").unwrap()[0].value, value);
        }
    }

    #[test]
    fn form_without_its_end_says_where() {
        let cut = &BODY.as_bytes()[..BODY.len() - 7];
        assert_eq!(
            parts(cut, "x").unwrap_err().to_string(),
            format!("a form of parts that ends too soon: byte {}", cut.len())
        );
        assert_eq!(
            parts(b"a=1", "x").unwrap_err().reason,
            "a form of parts without its boundary"
        );
    }

    #[test]
    fn boundary_is_found_in_the_body_itself() {
        let body = BODY.strip_prefix("preamble\r\n").unwrap();
        assert_eq!(sniffed(body.as_bytes()).as_deref(), Some("x"));
        assert_eq!(
            sniffed(body.replace("\r\n", "\n").as_bytes()).as_deref(),
            Some("x")
        );
        let long = format!("--{}\r\nContent-Disposition: form-data\r\n", "x".repeat(80));
        for none in [
            "",
            "--",
            "--x",
            "--x\r\n",
            "-- \ncontent-a: b",
            "--x\ny",
            "a=1",
            &long,
        ] {
            assert_eq!(sniffed(none.as_bytes()), None, "{none:?}");
        }
    }

    #[test]
    fn boundary_may_be_quoted_and_stand_anywhere() {
        for value in [
            "multipart/form-data; boundary=x y",
            "multipart/form-data;charset=utf-8; Boundary=\"x y\"",
        ] {
            assert_eq!(boundary(value).as_deref(), Some("x y"), "{value}");
        }
        for value in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "a;b;boundary",
        ] {
            assert_eq!(boundary(value), None, "{value}");
        }
    }
}

//! `Content-Encoding` and charsets, undone by the host before it calls a plugin.
//!
//! Here and not in the plugins, because four decompressors and the tables of all charsets are 400
//! KiB of wasm, and because native code is faster. The result is bounded before it is made: a
//! decompressor stops at the limit.

use std::io::{self, Read};

use base64::{Engine, engine::general_purpose::STANDARD};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::contract::{Content, Request, Unreadable};

use super::multipart;

/// More codings, one around the other, are none of a sender's.
const MAX_CODINGS: usize = 3;

/// Puts the body for reading into a request, where it differs from the body as sent. For tests and
/// tools that make requests: the host does the same with [`content`].
pub fn fill(request: &mut Request, limit: usize) {
    let header = |name: &str| {
        let all = request.header_all(name).collect::<Vec<_>>();
        (!all.is_empty()).then(|| all.join(", "))
    };
    let coding = header("content-encoding");
    let media_type = header("content-type");
    request.content = content(
        coding.as_deref(),
        media_type.as_deref(),
        &request.body.bytes(),
        limit,
    );
}

/// The body for reading, of a body as it was sent; `None` where it is fit to be read as it is:
/// nearly always. `limit` bounds the bytes of what is decoded.
pub fn content(
    coding: Option<&str>,
    media_type: Option<&str>,
    body: &[u8],
    limit: usize,
) -> Option<Content> {
    match decoded(coding, media_type.unwrap_or_default(), body, limit) {
        Ok(content) => content,
        Err(why) => Some(Content::Unreadable(why)),
    }
}

/// Returns whether a body may be another for reading than as it was sent: a cheap look that settles
/// nearly every request. `is_coded` tells whether it has a `Content-Encoding`.
pub fn may_differ(is_coded: bool, body: &[u8]) -> bool {
    // NUL and ESC are what UTF-16 and ISO-2022 look like where they are valid UTF-8 as well.
    is_coded || str::from_utf8(body).is_err() || body.iter().any(|byte| matches!(byte, 0 | 0x1b))
}

fn decoded(
    coding: Option<&str>,
    media_type: &str,
    body: &[u8],
    limit: usize,
) -> Result<Option<Content>, Unreadable> {
    let unpacked = unpack(coding, body, limit)?;
    let bytes = unpacked.as_deref().unwrap_or(body);
    if let Some(text) = utf32(bytes) {
        if text.len() > limit {
            return Err(too_large("UTF-32", limit));
        }
        return Ok(Some(Content::Text(text)));
    }
    if let Some(encoding) = charset(media_type, bytes)? {
        let (text, _) = encoding.decode_with_bom_removal(bytes);
        if text.len() > limit {
            return Err(too_large(encoding.name(), limit));
        }
        return Ok(Some(Content::Text(text.into_owned())));
    }
    Ok(unpacked.map(|bytes| match String::from_utf8(bytes) {
        Ok(text) => Content::Text(text),
        Err(error) => Content::Base64(STANDARD.encode(error.as_bytes())),
    }))
}

fn too_large(coding: &str, limit: usize) -> Unreadable {
    Unreadable {
        reason: format!("{coding} that is too large decoded"),
        at: format!("more than {limit} bytes"),
    }
}

/// The compressions, by their names in `Content-Encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Undoes the codings that a header names, the last first. `None` where nothing is packed.
fn unpack(header: Option<&str>, body: &[u8], limit: usize) -> Result<Option<Vec<u8>>, Unreadable> {
    let names = header
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let mut codings = Vec::new();
    for name in names {
        codings.push(match &*name.to_ascii_lowercase() {
            "gzip" | "x-gzip" => Coding::Gzip,
            "deflate" => Coding::Deflate,
            "br" => Coding::Brotli,
            "zstd" => Coding::Zstd,
            "identity" | "none" => continue,
            // Senders put the charset here.
            label if Encoding::for_label(label.as_bytes()).is_some() => continue,
            // Or what is no coding at all (`aws-chunked`, `application/json`).
            _ if is_plain(body) => continue,
            _ => {
                let reason = "a Content-Encoding that is not known".to_owned();
                return Err(Unreadable {
                    reason,
                    at: crate::text::line(name, 40),
                });
            }
        });
    }
    if codings.len() > MAX_CODINGS {
        return Err(Unreadable {
            reason: "too many Content-Encodings".to_owned(),
            at: codings.len().to_string(),
        });
    }
    if codings.is_empty() && is_gzip(body) {
        codings.push(Coding::Gzip);
    }
    let mut unpacked: Option<Vec<u8>> = None;
    for coding in codings.into_iter().rev() {
        let packed = unpacked.as_deref().unwrap_or(body);
        if let Some(bytes) = coding.undo(packed, limit)? {
            unpacked = Some(bytes);
        }
    }
    // A proxy may pack what a sender has packed, and name it once.
    if let Some(packed) = unpacked.as_deref().filter(|bytes| is_gzip(bytes)) {
        unpacked = Coding::Gzip.undo(packed, limit)?;
    }
    Ok(unpacked)
}

fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b, 8])
}

impl Coding {
    /// `None` where the bytes are plainly not packed: a proxy has unpacked them and left the
    /// header.
    fn undo(self, packed: &[u8], limit: usize) -> Result<Option<Vec<u8>>, Unreadable> {
        // Senders name another coding than they use, and hardly anything else begins so.
        let coding = if is_gzip(packed) { Self::Gzip } else { self };
        let (name, unpacked) = match coding {
            Self::Gzip if !is_gzip(packed) => return Ok(None),
            Self::Zstd if !packed.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) => return Ok(None),
            Self::Gzip => (
                "gzip",
                read(flate2::bufread::MultiGzDecoder::new(packed), limit),
            ),
            Self::Zstd => ("zstd", zstd(packed, limit)),
            Self::Brotli => (
                "br",
                read(brotli_decompressor::Decompressor::new(packed, 4096), limit),
            ),
            // The standard means zlib's format, and some senders send the bare one.
            Self::Deflate => (
                "deflate",
                read(flate2::bufread::ZlibDecoder::new(packed), limit)
                    .or_else(|_| read(flate2::bufread::DeflateDecoder::new(packed), limit)),
            ),
        };
        match unpacked {
            Ok(bytes) if bytes.len() > limit => Err(too_large(name, limit)),
            Ok(bytes) => Ok(Some(bytes)),
            // These two have no mark at their beginning.
            Err(_) if matches!(self, Self::Brotli | Self::Deflate) && is_plain(packed) => Ok(None),
            Err(error) => Err(Unreadable {
                reason: format!("{name} that is broken"),
                at: crate::text::line(&error.to_string(), 80),
            }),
        }
    }
}

fn is_plain(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| text.trim_start().starts_with(['{', '[', '<']))
}

/// One byte more than the limit shows that there is more.
fn read(from: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn zstd(mut packed: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Frames one behind the other are one body.
    while !packed.is_empty() && bytes.len() <= limit {
        let frame =
            ruzstd::decoding::StreamingDecoder::new(&mut packed).map_err(io::Error::other)?;
        frame
            .take((limit - bytes.len()) as u64 + 1)
            .read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// The charset that the bytes have to be decoded from: by a byte order mark, by `Content-Type`, by
/// XML's declaration, or because the bytes are plainly UTF-16. `None` for UTF-8, and for parts,
/// each of which may have its own.
fn charset(media_type: &str, bytes: &[u8]) -> Result<Option<&'static Encoding>, Unreadable> {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return Ok((encoding != UTF_8).then_some(encoding));
    }
    if media_type
        .trim_start()
        .get(..10)
        .is_some_and(|start| start.eq_ignore_ascii_case("multipart/"))
    {
        return Ok(None);
    }
    if let Some(encoding) = without_mark(bytes) {
        return Ok(Some(encoding));
    }
    let Some(label) = multipart::parameter(media_type, "charset").or_else(|| xml_encoding(bytes))
    else {
        return Ok(None);
    };
    match Encoding::for_label(label.trim().as_bytes()) {
        // What is valid UTF-8 is nothing else, whatever its type says, but for charsets whose own
        // marks are ASCII.
        Some(encoding) => {
            let marked = !encoding.is_ascii_compatible()
                && bytes.iter().any(|byte| matches!(byte, 0 | 0x1b));
            Ok(
                (encoding != UTF_8 && (marked || str::from_utf8(bytes).is_err()))
                    .then_some(encoding),
            )
        }
        None if str::from_utf8(bytes).is_ok() => Ok(None),
        None => {
            let reason = "a charset that is not known".to_owned();
            Err(Unreadable {
                reason,
                at: crate::text::line(&label, 40),
            })
        }
    }
}

/// UTF-32, with a byte order mark or without, which the WHATWG's encodings leave out. As RFC 4627
/// has it, three of the first four bytes are zero; UTF-16 would begin with a mark and NUL.
fn utf32(bytes: &[u8]) -> Option<String> {
    let unit = match *bytes.get(..4)? {
        [0, 0, 0xfe, 0xff] => u32::from_be_bytes,
        [0, 0, 0, first] if first != 0 => u32::from_be_bytes,
        [0xff, 0xfe, 0, 0] => u32::from_le_bytes,
        [first, 0, 0, 0] if first != 0 => u32::from_le_bytes,
        _ => return None,
    };
    let (units, rest) = bytes.as_chunks();
    let text: Option<String> = units
        .iter()
        .map(|&bytes| char::from_u32(unit(bytes)))
        .collect();
    let text = text.filter(|_| rest.is_empty())?;
    Some(match text.strip_prefix('\u{feff}') {
        Some(unmarked) => unmarked.to_owned(),
        None => text,
    })
}

/// UTF-16 without a mark: every other byte of the first characters is zero, as RFC 4627 found it
/// out for JSON.
fn without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    match *bytes.get(..4)? {
        [0, a, 0, b] if a != 0 && b != 0 => Some(UTF_16BE),
        [a, 0, b, 0] if a != 0 && b != 0 => Some(UTF_16LE),
        _ => None,
    }
}

/// The encoding that XML declares of itself.
fn xml_encoding(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(200)];
    let head = String::from_utf8_lossy(head.strip_prefix(b"<?xml")?);
    let (declaration, _) = head.split_once("?>")?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value[1..].split(quote).next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const JSON: &str = r#"{"name":"Zoë","n":1}"#;

    fn text(content: Option<Content>) -> String {
        match content {
            Some(Content::Text(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        zlib.write_all(bytes).unwrap();
        zlib.finish().unwrap()
    }

    fn zstd_of(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    /// `brotli` of the same text by the reference implementation.
    const BROTLI: &[u8] =
        b"\x0b\x0a\x80\x7b\x22\x6e\x61\x6d\x65\x22\x3a\x22\x5a\x6f\xc3\xab\x22\x2c\x22\x6e\x22\x3a\x31\x7d\x03";

    fn of(coding: &str, body: &[u8]) -> Option<Content> {
        content(Some(coding), Some("application/json"), body, 1_000)
    }

    #[test]
    fn every_coding_is_undone() {
        let bare = zlib(JSON.as_bytes());
        let bare = &bare[2..bare.len() - 4];
        for (coding, body) in [
            ("gzip", &*gzip(JSON.as_bytes())),
            ("GZIP, identity", &gzip(JSON.as_bytes())),
            (
                "x-gzip",
                &[gzip(&JSON.as_bytes()[..5]), gzip(&JSON.as_bytes()[5..])].concat(),
            ),
            ("deflate", &zlib(JSON.as_bytes())),
            ("deflate", bare),
            ("zstd", &zstd_of(JSON.as_bytes())),
            ("br", BROTLI),
            ("deflate, gzip", &gzip(&zlib(JSON.as_bytes()))),
            ("gzip", &gzip(&gzip(JSON.as_bytes()))),
            ("deflate", &gzip(JSON.as_bytes())),
            ("br", &gzip(JSON.as_bytes())),
        ] {
            assert_eq!(text(of(coding, body)), JSON, "{coding}");
        }
        assert_eq!(
            text(content(None, None, &gzip(JSON.as_bytes()), 1_000)),
            JSON,
            "without a header"
        );
    }

    #[test]
    fn plain_body_is_left_alone_whatever_its_header_says() {
        for coding in [
            "",
            "identity",
            "utf-8",
            "gzip",
            "deflate",
            "br",
            "zstd",
            "aws-chunked",
            "application/json",
        ] {
            assert_eq!(of(coding, JSON.as_bytes()), None, "{coding}");
        }
        assert_eq!(content(None, None, b"", 10), None);
    }

    #[test]
    fn result_is_bounded_for_every_coding() {
        let bomb = vec![b' '; 1_001];
        let within = &bomb[..1_000];
        for (coding, pack) in [
            ("gzip", gzip as fn(&[u8]) -> Vec<u8>),
            ("deflate", zlib),
            ("zstd", zstd_of),
        ] {
            assert_eq!(text(of(coding, &pack(within))).len(), 1_000, "{coding}");
            let Some(Content::Unreadable(why)) = of(coding, &pack(&bomb)) else {
                panic!("{coding}")
            };
            assert_eq!(
                why.to_string(),
                format!("{coding} that is too large decoded: more than 1000 bytes")
            );
        }
        let Some(Content::Unreadable(why)) = content(Some("br"), None, BROTLI, 5) else {
            panic!()
        };
        assert_eq!(why.reason, "br that is too large decoded");
        let wide: Vec<u8> = "ä"
            .repeat(600)
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let utf16 = content(None, Some("text/plain; charset=utf-16le"), &wide, 1_000);
        assert!(matches!(utf16, Some(Content::Unreadable(_))), "{utf16:?}");
    }

    #[test]
    fn broken_and_unknown_codings_say_so() {
        let whole = gzip(JSON.as_bytes());
        for (coding, body, said) in [
            ("gzip", &whole[..whole.len() - 9], "gzip that is broken"),
            (
                "zstd",
                &[0x28, 0xb5, 0x2f, 0xfd, 0xff][..],
                "zstd that is broken",
            ),
            ("br", &[0xff; 9], "br that is broken"),
            ("deflate", &[0xff; 9], "deflate that is broken"),
            ("compress", b"x", "a Content-Encoding that is not known"),
            ("gzip,gzip,gzip,gzip", b"x", "too many Content-Encodings"),
        ] {
            let Some(Content::Unreadable(why)) = of(coding, body) else {
                panic!("{coding}")
            };
            assert_eq!(why.reason, said);
        }
    }

    #[test]
    fn charsets_are_undone() {
        let wide = |mark: bool, unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
            let mark = mark.then_some(0xfeff);
            mark.into_iter()
                .chain(JSON.encode_utf16())
                .flat_map(unit)
                .collect()
        };
        let wider = |mark: &str, unit: fn(u32) -> [u8; 4]| -> Vec<u8> {
            let chars = mark.chars().chain(JSON.chars());
            chars.flat_map(|char| unit(u32::from(char))).collect()
        };
        let latin1: Vec<u8> = JSON.chars().map(|char| char as u8).collect();
        for (media_type, body) in [
            ("application/json", wide(true, u16::to_le_bytes)),
            ("application/json", wide(true, u16::to_be_bytes)),
            ("application/json", wide(false, u16::to_le_bytes)),
            ("application/json", wide(false, u16::to_be_bytes)),
            ("application/json", wider("\u{feff}", u32::to_le_bytes)),
            ("application/json", wider("\u{feff}", u32::to_be_bytes)),
            (
                "application/json; charset=utf-32",
                wider("", u32::to_le_bytes),
            ),
            ("", wider("", u32::to_be_bytes)),
            (
                "application/json; charset=utf-16be",
                wide(false, u16::to_be_bytes),
            ),
            ("application/json; charset=ISO-8859-1", latin1.clone()),
            ("application/json; charset=\"windows-1252\"", latin1),
        ] {
            assert_eq!(
                text(content(None, Some(media_type), &body, 1_000)),
                JSON,
                "{media_type}"
            );
        }
        let xml = b"<?xml version='1.0' encoding='iso-8859-1'?><a>Zo\xeb</a>";
        assert!(text(content(None, Some("text/xml"), xml, 1_000)).contains("Zoë"));
        let sjis = b"\x83A\x83\x89\x81[\x83g";
        assert_eq!(
            text(content(
                None,
                Some("text/plain; charset=shift_jis"),
                sjis,
                1_000
            )),
            "アラート"
        );
    }

    #[test]
    fn wrong_charset_of_valid_utf8_is_ignored() {
        for label in ["utf-8", "iso-8859-1", "us-ascii", "utf-16", "klingon"] {
            let media_type = format!("application/json; charset={label}");
            assert_eq!(
                content(None, Some(&media_type), JSON.as_bytes(), 1_000),
                None,
                "{label}"
            );
        }
        let Some(Content::Unreadable(why)) =
            content(None, Some("text/plain; charset=klingon"), b"\xff", 9)
        else {
            panic!()
        };
        assert_eq!(why.to_string(), "a charset that is not known: klingon");
    }
}

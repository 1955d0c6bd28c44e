//! The one place where a request's body is read, for every plugin.
//!
//! [`read`] tells what a body is by its bytes first and by its `Content-Type` second, because
//! senders name the wrong type more often than they send the wrong bytes: JSON under a form's type
//! (`curl -d` without a header), a form without a type. What it returns is typed and kept to the
//! letter where that is possible. What cannot be read is an [`Unreadable`] that says what and
//! where, and [`unreadable::alert`] is the alert that tells a person of it.
//!
//! `Content-Encoding` and charsets are undone by the host before the plugin is called ([`decode`]):
//! four decompressors and the tables of all charsets would be twice a plugin. Signatures are over
//! the bytes as sent, so the host hands over both ([`Request::body`], [`Request::content`]).
//!
//! | body | is read as |
//! |---|---|
//! | nothing but white space | [`Body::Empty`] |
//! | JSON, under any type | [`Body::Json`], to the letter |
//! | JSON with small mistakes ([`repair`]) | [`Body::Json`], repaired, and said so |
//! | JSON that was encoded twice: within a JSON string, or percent-encoded | [`Body::Json`], unpacked, and said so |
//! | several JSON values, on lines or one behind the other | [`Body::Lines`], as one JSON array |
//! | `multipart/form-data`, whose boundary may be missing in the type | [`Body::Multipart`] |
//! | a form by its type, or by its looks where no type is named or a wrong one | [`Body::Form`] |
//! | XML, plain text | [`Body::Text`] |
//! | JSON by its type or its looks, and it is none | [`Unreadable`]: `not JSON: line 1, column 42` |
//! | MessagePack, an image, and whatever else is no text | [`Unreadable`]: `not text: application/msgpack` |

#[cfg(not(target_family = "wasm"))]
pub mod decode;
mod fields;
pub mod multipart;
mod repair;
pub mod unreadable;

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::contract::{self, Content, Request, Unreadable};
use crate::form::Form;
use crate::json::is_deeper;
use crate::text;

pub use multipart::Part;
pub use repair::Repair;

/// JSON that nests deeper is not read: parsers recurse, and a plugin's stack has 64 KiB.
const MAX_DEPTH: usize = 128;

/// A body that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading<'a> {
    /// The present form.
    pub body: Body<'a>,
    /// All of it as text, decoded.
    pub text: Cow<'a, str>,
    /// The repairs, each once.
    pub repairs: Vec<Repair>,
    checked: Option<Checked<'a>>,
}

/// JSON that was checked, so that it need not be checked again.
#[derive(Debug, Clone, Copy)]
struct Checked<'a>(&'a RawValue);

impl PartialEq for Checked<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

/// The kinds of bodies.
#[derive(Debug, Clone, PartialEq)]
pub enum Body<'a> {
    /// Nothing, or white space.
    Empty,
    /// One JSON text without white space around it, as it was sent, or as [`Reading::repairs`]
    /// tells.
    Json(Cow<'a, str>),
    /// Several JSON values, each as it was sent, as one JSON array.
    Lines(String),
    /// The fields of `application/x-www-form-urlencoded`.
    Form(Form<'a>),
    /// The parts of `multipart/form-data`.
    Multipart(Vec<Part<'a>>),
    /// XML, plain text, and whatever else has no structure that is known.
    Text(Cow<'a, str>),
}

/// Reads a request's body.
///
/// # Errors
/// What cannot be read, and where.
pub fn read(request: &Request) -> Result<Reading<'_>, Unreadable> {
    let declared = Declared::of(request);
    // Text is UTF-8 already, and is neither copied nor looked through.
    let sent = match (&request.content, &request.body) {
        (Some(Content::Unreadable(why)), _) => return Err(why.clone()),
        (Some(Content::Text(text)), _) | (None, contract::Body::Text(text)) => Ok(&**text),
        (Some(Content::Base64(text)), _) | (None, contract::Body::Base64(text)) => {
            Err(contract::base64(text))
        }
    };
    let bytes = match &sent {
        Ok(text) => text.as_bytes(),
        Err(bytes) => bytes,
    };
    let boundary = match &declared {
        Declared::Multipart(boundary) => boundary.clone().or_else(|| multipart::sniffed(bytes)),
        Declared::Nothing => multipart::sniffed(bytes),
        _ => None,
    };
    if let Some(boundary) = boundary {
        let is_json = || looks_like_json(text::of_bytes(bytes).trim());
        let read = match &sent {
            Ok(text) => multipart::read(Cow::Borrowed(text.as_bytes()), &boundary),
            Err(bytes) => multipart::read(Cow::Owned(bytes.clone()), &boundary),
        };
        if read.is_ok() || !is_json() {
            return read;
        }
    }
    let text = match sent {
        Ok(text) => Cow::Borrowed(text),
        Err(bytes) => Cow::Owned(text::of_bytes(&bytes).into_owned()),
    };
    of_text(text, &declared)
}

/// Reads a text that may be JSON, and is a form or a text where it is not: for what stands within a
/// body, such as a field that carries JSON.
///
/// # Errors
/// Where it looks like JSON and is none.
pub fn read_text(text: &str) -> Result<Reading<'_>, Unreadable> {
    of_text(Cow::Borrowed(text), &Declared::Nothing)
}

fn of_text<'a>(text: Cow<'a, str>, declared: &Declared) -> Result<Reading<'a>, Unreadable> {
    // A mark of the byte order, and RFC 7464's mark of a record.
    let text = cut(text, |text| text.trim_start_matches(['\u{feff}', '\u{1e}']));
    let trimmed = text.trim_end_matches('\0').trim();
    if trimmed.is_empty() {
        return Ok(Reading {
            body: Body::Empty,
            text,
            repairs: Vec::new(),
            checked: None,
        });
    }
    if let Some(json) = percent_decoded(trimmed, declared)
        && let Ok((body, ..)) = json_of(&Cow::Owned(json))
    {
        return Ok(unpacked(body, text));
    }
    let must_be_json = matches!(declared, Declared::Json) || looks_like_json(trimmed);
    if must_be_json || may_be_json(trimmed, declared) {
        match json_of(&text) {
            Ok((body, repairs, checked)) => {
                if let Some(inner) = packed(&body) {
                    let (body, ..) = json_of(&Cow::Owned(inner))?;
                    return Ok(unpacked(body, text));
                }
                return Ok(Reading {
                    body,
                    text,
                    repairs,
                    checked,
                });
            }
            Err(why) if must_be_json && !is_misnamed_form(trimmed) => return Err(why),
            Err(_) => {}
        }
    }
    let is_form = match declared {
        Declared::Form => true,
        Declared::Nothing => looks_like_form(trimmed),
        Declared::Json | Declared::Other => is_misnamed_form(trimmed),
        Declared::Multipart(_) | Declared::Binary(_) => false,
    };
    let not_text = |at| {
        let reason = "not text".to_owned();
        Err(Unreadable { reason, at })
    };
    match declared {
        _ if is_form => {}
        Declared::Binary(media_type) => return not_text(media_type.clone()),
        _ if trimmed.contains('\0') => {
            return not_text(format!("byte {}", text.find('\0').unwrap_or_default()));
        }
        _ => {}
    }
    let body = match (is_form, &text) {
        (true, Cow::Borrowed(text)) => Body::Form(Form::parse(text.as_bytes())),
        (true, Cow::Owned(text)) => Body::Form(Form::parse(text.as_bytes()).into_owned()),
        (false, text) => Body::Text(text.clone()),
    };
    Ok(Reading {
        body,
        text,
        repairs: Vec::new(),
        checked: None,
    })
}

/// What was found within a text.
fn unpacked<'a>(body: Body<'static>, text: Cow<'a, str>) -> Reading<'a> {
    Reading {
        body,
        text,
        repairs: vec![Repair::Packed],
        checked: None,
    }
}

/// The JSON that a JSON string holds: the sender encoded it twice.
fn packed(body: &Body<'_>) -> Option<String> {
    let Body::Json(json) = body else {
        return None;
    };
    let inner: Option<String> = json
        .starts_with('"')
        .then(|| serde_json::from_str(json).ok())?;
    inner.filter(|inner| looks_like_json(inner.trim()))
}

/// The JSON that a form is, without a name: `curl --data-urlencode '{…}'` sends that.
fn percent_decoded(trimmed: &str, declared: &Declared) -> Option<String> {
    let may_be = matches!(declared, Declared::Form | Declared::Nothing)
        && trimmed.get(..3).is_some_and(|start| {
            start.eq_ignore_ascii_case("%7b") || start.eq_ignore_ascii_case("%5b")
        });
    let form = may_be.then(|| Form::parse(trimmed.as_bytes()))?;
    let [(name, value)] = form.fields() else {
        return None;
    };
    value.is_empty().then(|| text::of_bytes(name).into_owned())
}

/// Reads JSON: as it is; else repaired; else as several values. The error is that of the text as it
/// was sent.
fn json_of<'a>(
    text: &Cow<'a, str>,
) -> Result<(Body<'a>, Vec<Repair>, Option<Checked<'a>>), Unreadable> {
    let checked = match text {
        Cow::Borrowed(text) => serde_json::from_str(text).map(|value| Some(Checked(value))),
        Cow::Owned(text) => serde_json::from_str::<&RawValue>(text).map(|_| None),
    };
    let error = match checked {
        Ok(_) if is_deeper(text, MAX_DEPTH) => {
            return Err(Unreadable {
                reason: "JSON that nests too deeply".to_owned(),
                at: String::new(),
            });
        }
        Ok(checked) => {
            let json = cut(text.clone(), str::trim);
            return Ok((Body::Json(json), Vec::new(), checked));
        }
        Err(error) => error,
    };
    let (repaired, repairs) = repair::repair(text);
    for (text, repairs) in [(&**text, &[][..]), (&*repaired, &repairs[..])] {
        let is_one = !repairs.is_empty() && serde_json::from_str::<&RawValue>(text).is_ok();
        let body = if is_one {
            Some(Body::Json(Cow::Owned(text.trim().to_owned())))
        } else {
            lines(text)
        };
        if let Some(body) = body
            && !is_deeper(text, MAX_DEPTH)
        {
            return Ok((body, repairs.to_vec(), None));
        }
    }
    Err(Unreadable {
        reason: reason(&error),
        at: format!("line {}, column {}", error.line(), error.column()),
    })
}

fn reason(error: &serde_json::Error) -> String {
    if error.is_eof() {
        "JSON that ends too soon"
    } else {
        "not JSON"
    }
    .to_owned()
}

/// Several values as one array. `None` where one of them is none, or where there is but one.
fn lines(text: &str) -> Option<Body<'static>> {
    let mut array = String::with_capacity(text.len() + 2);
    let mut count = 0;
    // RFC 7464 has a mark before each record, and JSON has none outside a string.
    let text = &*match text.contains('\u{1e}') {
        true => Cow::Owned(text.replace('\u{1e}', "\n")),
        false => Cow::Borrowed(text),
    };
    for value in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        let value = value.ok()?.get();
        // Numbers and words one behind the other are a text.
        if !value.starts_with(['{', '[']) {
            return None;
        }
        array.push(if count == 0 { '[' } else { ',' });
        array.push_str(value);
        count += 1;
    }
    array.push(']');
    (count > 1).then_some(Body::Lines(array))
}

/// Returns the value of `Content-Type`.
enum Declared {
    Json,
    Form,
    /// The boundary, where the type names one.
    Multipart(Option<String>),
    /// A type that is no text.
    Binary(String),
    Other,
    Nothing,
}

impl Declared {
    fn of(request: &Request) -> Self {
        let Some(value) = request
            .header("content-type")
            .map(str::trim)
            .filter(|value| !value.is_empty())
        else {
            return Self::Nothing;
        };
        let essence = value
            .split([';', ','])
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        match &*essence {
            "application/x-www-form-urlencoded" => Self::Form,
            "multipart/form-data" => Self::Multipart(multipart::boundary(value)),
            "application/octet-stream" | "binary/octet-stream" => Self::Nothing,
            _ if essence.ends_with("/json") || essence.ends_with("+json") => Self::Json,
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/json-seq" => Self::Json,
            _ if is_binary(&essence) => Self::Binary(text::line(&essence, 40)),
            _ => Self::Other,
        }
    }
}

/// Returns whether a media type is one of bytes that no text shows.
fn is_binary(essence: &str) -> bool {
    let (kind, name) = essence.split_once('/').unwrap_or_default();
    let name = name.rsplit(['.', '-', '+']).next().unwrap_or_default();
    matches!(kind, "image" | "audio" | "video" | "font")
        || matches!(
            name,
            "msgpack" | "cbor" | "protobuf" | "avro" | "thrift" | "zip" | "pdf" | "snappy"
        )
}

/// Returns whether a text begins like a JSON object or array, and like nothing else: a text may
/// begin `[CRITICAL]`.
fn looks_like_json(trimmed: &str) -> bool {
    let mut chars = trimmed.chars().filter(|c| !c.is_whitespace());
    match (chars.next(), chars.next()) {
        (Some('{'), Some('"' | '\'' | '}') | None) => true,
        // A name without quotes, as JavaScript and templates write it.
        (Some('{'), _) => {
            let name = trimmed[1..].trim_start();
            let rest = name.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
            rest.len() < name.len() && rest.trim_start().starts_with(':')
        }
        (Some('['), next) => matches!(next, Some('{' | '[' | '"' | ']') | None),
        _ => false,
    }
}

/// Returns whether a text is to be tried as JSON, and is a form or a text where it is none.
fn may_be_json(trimmed: &str, declared: &Declared) -> bool {
    let is_container = trimmed.starts_with(['{', '[']);
    is_container
        || (!matches!(declared, Declared::Form)
            && trimmed.starts_with(|c: char| "\"-tfn".contains(c) || c.is_ascii_digit()))
}

/// Returns whether a text is `name=value&…` as a sender of forms writes it: no white space, and a
/// name before the first `=`.
fn looks_like_form(trimmed: &str) -> bool {
    let is_name = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'-' | b'.' | b'%' | b'[' | b']' | b'+')
    };
    let Some((name, _)) = trimmed.split_once('=') else {
        return false;
    };
    !name.is_empty()
        && name.bytes().all(is_name)
        && trimmed.bytes().all(|byte| byte > b' ' && byte != b'<')
}

/// Returns whether a text is a form of several fields, under a type that names something else.
fn is_misnamed_form(trimmed: &str) -> bool {
    trimmed.contains('&') && looks_like_form(trimmed)
}

/// A part of a text that may be borrowed.
fn cut<'a>(text: Cow<'a, str>, part: impl Fn(&str) -> &str) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(part(text)),
        Cow::Owned(text) if part(&text).len() == text.len() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(part(&text).to_owned()),
    }
}

impl Reading<'_> {
    /// The JSON of the body as it was sent, checked. `None` where [`Reading::json`] is made of
    /// something else, or was decoded: then it is read from that.
    pub fn checked(&self) -> Option<&RawValue> {
        self.checked.map(|checked| checked.0)
    }

    /// One JSON text of the body, whatever its form: JSON as it was sent; of a form or of parts an
    /// object of texts, with a list where a field is repeated. `None` for a text and for nothing.
    pub fn json(&self) -> Option<Cow<'_, str>> {
        match &self.body {
            Body::Json(json) => Some(Cow::Borrowed(json)),
            Body::Lines(array) => Some(Cow::Borrowed(array)),
            Body::Form(form) => Some(Cow::Owned(fields::of_form(form))),
            Body::Multipart(parts) => Some(Cow::Owned(fields::of_parts(parts))),
            Body::Empty | Body::Text(_) => None,
        }
    }
}

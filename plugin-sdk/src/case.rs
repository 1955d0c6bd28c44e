//! A case: a request as it came over the wire, and the answer that a plugin owes it.
//!
//! `cases/<case>.http` is the request, an HTTP/1.1 message that `curl --raw` or an editor could
//! have written: a request line with the **whole** URL, headers, a blank line, and the exact bytes
//! of the body. `cases/<case>.json` is the answer. `cases/settings.json` holds the source's
//! settings, and `cases/<case>.settings.json` those of one case. The same files serve the plugin's
//! own tests, `alert-gateway plugin test` through the sandbox, and `alert-gateway try` by hand.

mod difference;
mod refresh;

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::value::RawValue;

use crate::body::decode;
use crate::contract::{Body, Request};

pub use difference::{Difference, pretty, unified};
pub use refresh::refresh_times;

/// The time of receipt of every case; it is fixed, so that answers are equal from run to run.
pub const RECEIVED_AT: &str = "2026-01-01T00:00:00.000Z";

/// The source of a request whose URL names none.
pub const SOURCE: &str = "test";

/// More header lines than this are a mistake in the file.
const MAX_HEADERS: usize = 128;

/// A body may come to as much without its encodings.
pub const MAX_DECODED_BYTES: usize = 1024 * 1024;

/// A request with the answer that it should get.
#[derive(Debug)]
pub struct Case {
    /// The name of the file without `.http`.
    pub name: String,
    /// The request.
    pub request: Request,
    /// The text of `<case>.json`, or `None` where there is no such file yet.
    pub answer: Option<String>,
    /// The place where the answer stands, or should stand.
    pub answer_path: PathBuf,
}

/// The reason why a folder of cases cannot be read. Each says which file.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// A file or the folder cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A `.http` file holds no request.
    #[error("{}: {source}", path.display())]
    NotARequest {
        /// Its path.
        path: PathBuf,
        /// The flaw of the message.
        source: MessageError,
    },
    /// A settings file holds no JSON.
    #[error("{}: the settings are not JSON: {source}; write a source's settings as one JSON object", path.display())]
    NotSettings {
        /// Its path.
        path: PathBuf,
        /// The mistake and its place.
        source: serde_json::Error,
    },
}

/// The reason why bytes are not a request that can be tried.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The head is not HTTP/1.1.
    #[error("the head is not an HTTP/1.1 request (`POST https://… HTTP/1.1`, then headers): {0}")]
    Head(#[from] httparse::Error),
    /// There is no blank line after the headers.
    #[error(
        "no blank line ends the headers: put one between them and the body, or at the end where there is none"
    )]
    EndlessHead,
    /// The request line names a path, and no whole URL.
    #[error(
        "the request line needs the whole URL, as in `POST https://alerts.example.com/in/<source> HTTP/1.1`, not `{0}`"
    )]
    RelativeUrl(String),
    /// `Content-Length` is no number.
    #[error("Content-Length is `{0}`, which is no number of bytes")]
    ContentLength(String),
    /// The body is shorter than `Content-Length` says.
    #[error("Content-Length promises a body of {promised} bytes, and {found} are there")]
    ShortBody {
        /// The header's value.
        promised: usize,
        /// The body after the blank line.
        found: usize,
    },
}

/// Every case of a folder, by name.
///
/// # Errors
/// The first file that cannot be read.
pub fn load(folder: &Path) -> Result<Vec<Case>, CaseError> {
    list(folder)?.iter().map(|path| load_one(path)).collect()
}

/// The `.http` files of a folder, by name.
///
/// # Errors
/// Where the folder cannot be read.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>, CaseError> {
    let unreadable = |source| CaseError::Unreadable {
        path: folder.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "http")
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The case whose request is in this `.http` file.
///
/// # Errors
/// Which of its files cannot be read, and why.
pub fn load_one(path: &Path) -> Result<Case, CaseError> {
    let message = fs::read(path).map_err(|source| CaseError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let request =
        parse_request(&message, settings_of(path)?, None, RECEIVED_AT).map_err(|source| {
            CaseError::NotARequest {
                path: path.to_owned(),
                source,
            }
        })?;
    let answer_path = path.with_extension("json");
    Ok(Case {
        name: name(path),
        request,
        answer: read_if_there(&answer_path)?,
        answer_path,
    })
}

/// The name of the case whose request is in this `.http` file.
pub fn name(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn settings_of(path: &Path) -> Result<Box<RawValue>, CaseError> {
    for path in [
        path.with_extension("settings.json"),
        path.with_file_name("settings.json"),
    ] {
        if let Some(text) = read_if_there(&path)? {
            return serde_json::from_str(&text)
                .map_err(|source| CaseError::NotSettings { path, source });
        }
    }
    Ok(no_settings())
}

/// The settings of a source that has none: `{}`.
pub fn no_settings() -> Box<RawValue> {
    serde_json::from_str("{}").expect("{} is JSON")
}

fn read_if_there(path: &Path) -> Result<Option<String>, CaseError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CaseError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Reads the bytes of an HTTP/1.1 request message as the host would have handed it to a plugin.
///
/// Lines of the head may end in LF or CRLF. A `Content-Length` cuts the body, so that an editor's
/// last line end does no harm. Where `source` is `None`, it is the segment after `/in/` in the
/// URL's path, or [`SOURCE`].
///
/// # Errors
/// The part of the message to fix.
pub fn parse_request(
    message: &[u8],
    settings: Box<RawValue>,
    source: Option<&str>,
    received_at: &str,
) -> Result<Request, MessageError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = head.parse(message)? else {
        return Err(MessageError::EndlessHead);
    };
    let url = head.path.unwrap_or_default();
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(MessageError::RelativeUrl(url.to_owned()));
    }
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), latin1(header.value)))
        .collect();
    let body = cut_body(&message[head_bytes..], &headers)?;
    let mut request = Request {
        source: source
            .or_else(|| source_in(url))
            .unwrap_or(SOURCE)
            .to_owned(),
        received_at: received_at.to_owned(),
        method: head.method.unwrap_or_default().to_owned(),
        url: url.to_owned(),
        headers,
        body: Body::from_bytes(body.to_vec()),
        content: None,
        proved: None,
        settings,
    };
    decode::fill(&mut request, MAX_DECODED_BYTES);
    Ok(request)
}

fn cut_body<'a>(rest: &'a [u8], headers: &[(String, String)]) -> Result<&'a [u8], MessageError> {
    let Some((_, length)) = headers.iter().find(|(name, _)| name == "content-length") else {
        return Ok(rest);
    };
    let promised = length
        .parse()
        .map_err(|_| MessageError::ContentLength(length.clone()))?;
    rest.get(..promised).ok_or(MessageError::ShortBody {
        promised,
        found: rest.len(),
    })
}

/// The bytes of a `.http` file that [`parse_request`] reads as this request again. Its own framing
/// stands in place of the sender's.
pub fn write_request(request: &Request) -> Vec<u8> {
    const FRAMING: [&str; 3] = ["connection", "content-length", "transfer-encoding"];
    let body = request.body.bytes();
    let mut message = format!("{} {} HTTP/1.1\n", request.method, request.url).into_bytes();
    let headers = request
        .headers
        .iter()
        .filter(|(name, _)| !FRAMING.contains(&name.as_str()));
    for (name, value) in headers {
        message.extend(name.bytes().chain(*b": "));
        // Latin-1, so no character is above 0xff.
        message.extend(value.chars().map(|char| char as u8));
        message.push(b'\n');
    }
    message.extend(format!("content-length: {}\n\n", body.len()).bytes());
    message.extend_from_slice(&body);
    message.push(b'\n');
    message
}

/// The contract reads the bytes of a header value above 0x7f as Latin-1.
fn latin1(value: &[u8]) -> String {
    value.iter().copied().map(char::from).collect()
}

fn source_in(url: &str) -> Option<&str> {
    let path = url.split(['?', '#']).next()?;
    let (_, after) = path.split_once("/in/")?;
    after.split('/').next().filter(|source| !source.is_empty())
}

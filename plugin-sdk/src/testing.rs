//! A test kit: a plugin's cases run natively, and requests made by hand.
//!
//! Every request and every answer goes through the same JSON as on the wire, so what passes here
//! passes in the sandbox.

#[cfg(feature = "proptest")]
pub mod hostile;

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::body::decode;
use crate::case::{self, Case};
use crate::contract::{Answer, Body, Checked, Description, Request};
use crate::signature::Scheme;
use crate::{Plugin, form, wire};

/// Runs every case of a folder; a relative one stands in the crate's own folder, where `cargo test`
/// runs. Checks the description on the way.
///
/// # Panics
/// Where a case is answered otherwise than its `.json` says: with the difference, or with the whole
/// answer where there is no `.json` yet, to be read and put there. All cases are run before it
/// panics.
pub fn run_cases<P: Plugin>(folder: impl AsRef<Path>) {
    let folder = folder.as_ref();
    let mut complaints = String::new();
    for flaw in describe::<P>().flaws() {
        let _ = writeln!(complaints, "describe: {flaw}\n");
    }
    let cases = case::load(folder).unwrap_or_else(|error| panic!("{error}"));
    assert!(
        !cases.is_empty(),
        "{} holds no case: put a request in a file `<case>.http` there",
        folder.display()
    );
    for case in &cases {
        if let Err(complaint) = run_case::<P>(case) {
            let _ = writeln!(complaints, "case {}: {complaint}\n", case.name);
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

fn run_case<P: Plugin>(case: &Case) -> Result<(), String> {
    let answer = wire_read::<P>(&case.request)?;
    let read: Answer = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
    match read.flaw() {
        Some(flaw) => Err(flaw),
        None => case
            .compare(&answer)
            .map_err(|difference| difference.to_string()),
    }
}

/// A plugin's description of itself, with its schema as a tree to look into.
///
/// # Panics
/// Where its schema is no JSON.
pub fn describe<P: Plugin>() -> Description<Value> {
    let description = wire::describe::<P>().unwrap_or_else(|error| panic!("{error}"));
    serde_json::from_slice(&description)
        .unwrap_or_else(|error| panic!("the description is none: {error}"))
}

/// Returns a plugin's answer to a request.
///
/// # Panics
/// Where the plugin's settings do not decode.
pub fn read<P: Plugin>(request: &Request) -> Answer {
    let answer = wire_read::<P>(request).unwrap_or_else(|error| panic!("{error}"));
    serde_json::from_str(&answer)
        .unwrap_or_else(|error| panic!("the answer is not one of the contract: {error}"))
}

/// Returns a plugin's check of settings, as JSON text.
///
/// # Panics
/// Where the settings do not decode.
pub fn check<P: Plugin>(settings: &str) -> Checked {
    let answer = wire::check::<P>(settings.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    serde_json::from_slice(&answer)
        .unwrap_or_else(|error| panic!("the answer is not one of the contract: {error}"))
}

fn wire_read<P: Plugin>(request: &Request) -> Result<String, String> {
    let input = serde_json::to_vec(request).map_err(|error| error.to_string())?;
    let output = wire::read::<P>(&input)?;
    String::from_utf8(output).map_err(|error| error.to_string())
}

/// A request by POST to this URL, with no headers, no body and no settings as yet.
pub fn post(url: &str) -> RequestBuilder {
    RequestBuilder(Request {
        source: case::SOURCE.to_owned(),
        received_at: case::RECEIVED_AT.to_owned(),
        method: "POST".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Body::Text(String::new()),
        content: None,
        proved: None,
        settings: case::no_settings(),
    })
}

/// A [`Request`] in the making.
#[derive(Debug, Clone)]
pub struct RequestBuilder(Request);

impl RequestBuilder {
    /// Another method than POST.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.0.method);
        self
    }

    /// One header more. The host writes names in lower case, and so does this.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.0
            .headers
            .push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// The body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.body = Body::from_bytes(body.into());
        self
    }

    /// A JSON body, to the letter, with the `Content-Type` of one.
    #[must_use]
    pub fn json(self, body: &str) -> Self {
        self.header("content-type", "application/json").body(body)
    }

    /// A body of these fields in this order, with the `Content-Type` of a form.
    #[must_use]
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        self.header("content-type", "application/x-www-form-urlencoded")
            .body(form::write(fields))
    }

    /// Another time of receipt: RFC 3339, UTC.
    #[must_use]
    pub fn received_at(mut self, time: &str) -> Self {
        time.clone_into(&mut self.0.received_at);
        self
    }

    /// Signed as the sender would, at the time of receipt. To be called last: a signature covers
    /// what is there.
    #[must_use]
    pub fn signed(mut self, scheme: &Scheme, secret: &str) -> Self {
        scheme.sign(&mut self.0, secret);
        self
    }

    /// The settings, as JSON.
    ///
    /// # Panics
    /// Where it is not JSON.
    #[must_use]
    pub fn settings(mut self, json: &str) -> Self {
        self.0.settings = RawValue::from_string(json.to_owned()).expect("settings are JSON");
        self
    }

    /// The request, with its body decoded as the host does it.
    pub fn build(mut self) -> Request {
        decode::fill(&mut self.0, case::MAX_DECODED_BYTES);
        self.0
    }
}

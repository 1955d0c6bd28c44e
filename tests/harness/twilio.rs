//! Twilio's requests: events of its Debugger, signed.

use std::collections::BTreeMap;

use plugin_sdk::form::Form;
use plugin_sdk::signature::hmac_sha1;

/// The gateway, as Twilio knows it.
pub const PUBLIC_URL: &str = "https://gw.example.com";

/// The auth token that Twilio signs with.
pub const AUTH_TOKEN: &str = "canary-of-twilio-7c2e";

/// The account that events belong to.
pub const ACCOUNT: &str = "AC5ef8732a3c49700934481addd5ce1659";

/// A request to send.
#[derive(Debug, Clone)]
pub struct Post {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// An event, as the fields of its form.
#[derive(Debug, Clone)]
pub struct Event(BTreeMap<&'static str, String>);

/// The event's number as an id of Twilio's shape.
pub fn sid(number: usize) -> String {
    format!("NO{number:032x}")
}

/// An error, as Twilio reports a webhook that answered 502.
pub fn error(sid: &str) -> Event {
    let payload = r#"{"resource_sid":"CA0123","service_sid":null,"error_code":"11200","more_info":{"Msg":"Got HTTP 502 response","ErrorCode":"11200","httpResponse":"502","url":"https://shop.example.com/voice","LogLevel":"ERROR"}}"#;
    Event(BTreeMap::from([
        ("AccountSid", ACCOUNT.to_owned()),
        ("Level", "ERROR".to_owned()),
        ("ParentAccountSid", String::new()),
        ("Payload", payload.to_owned()),
        ("PayloadType", "application/json".to_owned()),
        ("Sid", sid.to_owned()),
        ("Timestamp", "2026-03-14T02:17:45.123Z".to_owned()),
    ]))
}

/// A warning.
pub fn warning(sid: &str) -> Event {
    let payload =
        r#"{"resource_sid":"SM0123","error_code":"30007","more_info":{"Msg":"Message filtered"}}"#;
    error(sid).with("Level", "WARNING").with("Payload", payload)
}

impl Event {
    /// With another value of a field.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.0.insert(name, value.to_owned());
        self
    }

    pub fn payload(&self) -> &str {
        &self.0["Payload"]
    }

    /// The form.
    pub fn body(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.0)
            .finish()
    }

    /// Signed with the usual token, for a source of this name.
    pub fn to(&self, source: &str) -> Post {
        self.signed(source, AUTH_TOKEN)
    }

    /// Signed with this token.
    pub fn signed(&self, source: &str, token: &str) -> Post {
        signed(source, token, self.body())
    }
}

/// A form, signed with this token for the source of this name.
pub fn signed(source: &str, token: &str, body: impl Into<Vec<u8>>) -> Post {
    let path = format!("/in/{source}");
    let body = body.into();
    let signature = signature(&format!("{PUBLIC_URL}{path}"), token, &body);
    unsigned(path, body).header("X-Twilio-Signature", &signature)
}

/// A form without a signature.
pub fn unsigned(path: impl Into<String>, body: impl Into<Vec<u8>>) -> Post {
    Post {
        path: path.into(),
        headers: Vec::new(),
        body: body.into(),
    }
    .header(
        "Content-Type",
        "application/x-www-form-urlencoded; charset=utf-8",
    )
    .header(
        "I-Twilio-Idempotency-Token",
        "5d1f5c6e-3c55-4d6e-9d0e-7d0f3f0c4a11",
    )
}

/// Base64 of HMAC-SHA1 over the URL and the sorted, distinct fields of the form.
pub fn signature(url: &str, token: &str, body: &[u8]) -> String {
    let form = Form::parse(body);
    let mut fields = form.fields().to_vec();
    fields.sort();
    fields.dedup();
    let parts = fields.iter().flat_map(|(name, value)| [&**name, &**value]);
    hmac_sha1(
        token.as_bytes(),
        &std::iter::once(url.as_bytes())
            .chain(parts)
            .collect::<Vec<_>>(),
    )
    .base64()
}

impl Post {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| header != name);
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The bytes on the wire, with these headers on top.
    pub fn wire(&self, more: &str) -> Vec<u8> {
        self.wire_by("POST", more)
    }

    /// The bytes on the wire by another method, over a connection that ends with the answer.
    pub fn wire_as(&self, method: &str) -> Vec<u8> {
        self.wire_by(
            method,
            &format!(
                "Content-Length: {}\r\nConnection: close\r\n",
                self.body.len()
            ),
        )
    }

    fn wire_by(&self, method: &str, more: &str) -> Vec<u8> {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect::<String>();
        let head = format!(
            "{method} {} HTTP/1.1\r\nHost: gw.example.com\r\n{headers}{more}\r\n",
            self.path
        );
        [head.as_bytes(), &self.body].concat()
    }
}

//! A request, as far as a proof is concerned.

use std::borrow::Cow;

use crate::contract::Request;
use crate::form::Form;

/// The parts of a request that a proof is over, borrowed: the host checks them before it makes a
/// request of the contract.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// See [`Request`]; so for all fields.
    pub received_at: &'a str,
    /// In upper case.
    pub method: &'a str,
    /// The configured public URL with the received suffix and query.
    pub url: &'a str,
    /// Names in lower case, and values.
    pub headers: Vec<(&'a str, Cow<'a, str>)>,
    /// The bytes as sent.
    pub body: Cow<'a, [u8]>,
}

impl<'a> From<&'a Request> for View<'a> {
    fn from(request: &'a Request) -> Self {
        Self {
            received_at: &request.received_at,
            method: &request.method,
            url: &request.url,
            headers: request
                .headers
                .iter()
                .map(|(name, value)| (&**name, Cow::Borrowed(&**value)))
                .collect(),
            body: request.body.bytes(),
        }
    }
}

impl View<'_> {
    /// The value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_all(name).next()
    }

    /// The values of every header of this name, in the order received.
    pub fn header_all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self
            .headers
            .iter()
            .filter(move |(header, _)| header.eq_ignore_ascii_case(name));
        named.map(|(_, value)| &**value)
    }

    /// The fields of the URL's query string.
    pub fn query(&self) -> Form<'_> {
        crate::request::query(self.url)
    }

    /// Returns the credentials of this scheme in `Authorization`.
    pub(super) fn credentials(&self, scheme: &str) -> Option<&str> {
        let (given, credentials) = self.header("authorization")?.trim().split_once(' ')?;
        given
            .eq_ignore_ascii_case(scheme)
            .then(|| credentials.trim())
    }
}

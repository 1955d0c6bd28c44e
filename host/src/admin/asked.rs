//! A request that was admitted.

use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, ORIGIN};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;

use super::caller::{Caller, Role};
use super::problem::Problem;
use crate::http::{self, BodyError};
use crate::metrics::Format;

/// The bytes that the body of an action may have.
const BODY: usize = 64 * 1024;
/// The time that it may take.
const BODY_TIME: Duration = Duration::from_secs(10);

/// A request of a caller that is known.
#[derive(Debug)]
pub struct Asked {
    head: Parts,
    body: Option<Incoming>,
    /// The caller.
    pub caller: Caller,
}

impl Asked {
    /// Joins a request with its caller.
    pub fn new(head: Parts, body: Option<Incoming>, caller: Caller) -> Self {
        Self { head, body, caller }
    }

    /// Returns its head.
    pub fn head(&self) -> &Parts {
        &self.head
    }

    /// Returns its path.
    pub fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// Returns its query.
    pub fn query(&self) -> &[u8] {
        self.head.uri.query().unwrap_or_default().as_bytes()
    }

    /// Returns its method.
    pub fn method(&self) -> &Method {
        &self.head.method
    }

    /// Returns its headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// Returns the format of metrics that it accepts.
    pub fn format_of_metrics(&self) -> Format {
        let values = self.headers().get_all(ACCEPT).iter();
        Format::accepted(values.filter_map(|value| value.to_str().ok()))
    }

    /// Demands that it only reads.
    ///
    /// # Errors
    /// Where its method is another than GET or HEAD.
    pub fn reads(&self) -> Result<(), Problem> {
        match *self.method() {
            Method::GET | Method::HEAD => Ok(()),
            _ => Err(Problem::method("GET, HEAD")),
        }
    }

    /// Demands that its caller may act, and that no page of another site has made a browser ask.
    ///
    /// # Errors
    /// Where its method is not POST, or its caller may not.
    pub fn acts(&self) -> Result<(), Problem> {
        if *self.method() != Method::POST {
            return Err(Problem::method("POST"));
        }
        if self.caller.role < Role::Operator {
            return Err(Problem::forbidden(self.caller.known_by.advice()));
        }
        // The guard has compared the origin, where there is one. A browser always sends it with a
        // POST; what sends none shows its credential on purpose.
        let says_so = self.headers().contains_key(ORIGIN) || !self.headers().contains_key("cookie");
        if self.caller.known_by.is_ambient() && !says_so {
            return Err(Problem::forbidden(
                "a browser that acts must send Origin: take another browser, or ask with a token",
            ));
        }
        Ok(())
    }

    /// Returns all of its body.
    ///
    /// # Errors
    /// Where it is too large, too slow or broken.
    pub async fn body(&mut self) -> Result<Vec<u8>, Problem> {
        match self.body.take() {
            Some(body) => {
                let room = |_| Ok::<_, BodyError>(());
                Ok(http::read_body(body, BODY, BODY_TIME, room).await?)
            }
            None => Ok(Vec::new()),
        }
    }

    /// Returns what its body says in JSON; an empty body says nothing.
    ///
    /// # Errors
    /// Where it is no JSON, or not what is meant here.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        let media_type = self.headers().get(CONTENT_TYPE).cloned();
        let body = self.body().await?;
        if body.is_empty() {
            return serde_json::from_str("{}").map_err(|error| Problem::wrong(error.to_string()));
        }
        let is_json = media_type
            .as_ref()
            .and_then(|media_type| media_type.to_str().ok())
            .and_then(|media_type| media_type.split(';').next())
            .is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"));
        if !is_json {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send JSON, with Content-Type: application/json",
            ));
        }
        // A list of the values alone would be read as well.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(Problem::wrong("the body: write a JSON object"));
        }
        serde_json::from_slice(&body).map_err(|error| Problem::wrong(format!("the body: {error}")))
    }
}

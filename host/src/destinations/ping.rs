//! The ping of a heartbeat: a GET that another service waits for.

use std::time::Duration;

use http_body_util::Full;
use hyper::Method;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;

use super::http::{Endpoint, Pool, describe, pool};
use super::kind::NotUsable;
use crate::config::Network;

/// The time that a ping may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The address of pings.
pub struct Ping {
    endpoint: Endpoint,
    pool: Box<dyn Pool>,
}

impl std::fmt::Debug for Ping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL is a credential.
        f.write_str("Ping")
    }
}

impl Ping {
    /// Returns pings to this URL. Nothing is sent yet.
    ///
    /// # Errors
    /// The URL is none.
    pub fn new(url: &str) -> Result<Self, NotUsable> {
        let endpoint = Endpoint::secret(url)?;
        let pool = pool(&endpoint.url, 1, &Network::default())?;
        Ok(Self { endpoint, pool })
    }

    /// Sends a ping.
    ///
    /// # Errors
    /// The reason why it was not taken, without the credential in the URL.
    pub async fn send(&self) -> Result<(), String> {
        let mut request = self.endpoint.post(Bytes::new());
        *request.method_mut() = Method::GET;
        request.headers_mut().remove(CONTENT_TYPE);
        *request.body_mut() = Full::default();
        let host = self.endpoint.url.host().unwrap_or_default();
        match tokio::time::timeout(TIMEOUT, self.pool.request(request)).await {
            Ok(Ok(answer)) if answer.status().is_success() => Ok(()),
            Ok(Ok(answer)) => Err(format!("{host} answered {}", answer.status())),
            Ok(Err(error)) => {
                let why = describe(&error, host);
                Err(self.endpoint.mask.hide(&why).into_owned())
            }
            Err(_) => Err(format!("no answer from {host} within {TIMEOUT:?}")),
        }
    }
}

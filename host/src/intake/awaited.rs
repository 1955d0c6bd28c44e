//! The requests of tests, told from those of senders.
//!
//! A test posts a genuine request, and everything on the way takes it for a sender's. So nothing in
//! a sender's power may make a request a test. It carries a random number that is good once, while the
//! test waits; the same header with anything else in it means nothing and stays part of its
//! request. Where a proxy has dropped the header, the request is known by its source and body, the
//! sample's, for as long as the test waits for it. A stranger gains nothing by either: a request
//! is proved like any other before it is read.

use std::sync::Arc;

use hyper::header::HeaderMap;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::http::Client;

/// The header that carries the number.
pub const HEADER: &str = "alert-gateway-test";

/// The tests whose requests have not come in yet. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Awaited(Arc<Mutex<Vec<Waiting>>>);

#[derive(Debug)]
struct Waiting {
    number: String,
    source: String,
    body: Vec<u8>,
    seen: oneshot::Sender<Seen>,
}

/// A request of a test that has come in, to be told how it ends.
#[derive(Debug)]
pub struct Marked(oneshot::Sender<Seen>);

/// The end of a test's request, as its intake has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub request: String,
    /// The source that it came in at; none where its path named none.
    pub source: Option<String>,
    /// The address that it came from.
    pub client: String,
    /// True if a proxy names another client and is not trusted to.
    pub claims_another: bool,
    /// The word for its ending.
    pub outcome: &'static str,
    /// The reason why no alert was made of it, and the advice.
    pub refused: Option<(String, String)>,
}

/// A test that waits for its request, for as long as this is held.
#[derive(Debug)]
pub struct Awaiting {
    /// The number that its request carries in [`HEADER`].
    pub number: String,
    /// Has the end of the request.
    pub seen: oneshot::Receiver<Seen>,
    awaited: Awaited,
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        self.awaited
            .0
            .lock()
            .retain(|waiting| waiting.number != self.number);
    }
}

impl Awaited {
    /// Begins to wait for a request that carries `number`, a secret.
    pub fn wait(&self, number: String, source: &str, body: Vec<u8>) -> Awaiting {
        let (seen, receiver) = oneshot::channel();
        self.0.lock().push(Waiting {
            number: number.clone(),
            source: source.to_owned(),
            body,
            seen,
        });
        Awaiting {
            number,
            seen: receiver,
            awaited: self.clone(),
        }
    }

    /// Returns the mark of a request with these headers, and removes it from them.
    pub fn by_header(&self, headers: &mut HeaderMap) -> Option<Marked> {
        let number = headers.get(HEADER)?;
        let marked = self.take(|waiting| waiting.number.as_bytes() == number.as_bytes())?;
        headers.remove(HEADER);
        Some(marked)
    }

    /// Returns the mark of a request that lost it on the way.
    pub fn by_body(&self, source: &str, body: &[u8]) -> Option<Marked> {
        let is_it = |waiting: &Waiting| {
            !body.is_empty() && waiting.source == source && waiting.body == body
        };
        self.take(is_it)
    }

    fn take(&self, is_it: impl Fn(&Waiting) -> bool) -> Option<Marked> {
        let mut awaited = self.0.lock();
        let found = awaited.iter().position(is_it)?;
        Some(Marked(awaited.swap_remove(found).seen))
    }
}

impl Marked {
    /// Tells the test how its request ended.
    pub fn tell(
        self,
        request: &str,
        source: Option<&str>,
        client: Client,
        outcome: &'static str,
        refused: Option<(String, String)>,
    ) {
        // A test that waits no longer has been told that.
        let _ = self.0.send(Seen {
            request: request.to_owned(),
            source: source.map(str::to_owned),
            client: client.to_string(),
            claims_another: client.claims_another,
            outcome,
            refused,
        });
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(number: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_static(number));
        headers
    }

    #[test]
    fn mark_counts_once_while_the_test_waits() {
        let awaited = Awaited::default();
        assert!(awaited.by_header(&mut headers("n1")).is_none());
        let waiting = awaited.wait("n1".to_owned(), "a", b"body".to_vec());
        let mut foreign = headers("n2");
        assert!(awaited.by_header(&mut foreign).is_none());
        assert!(foreign.contains_key(HEADER), "it is part of its request");
        let mut own = headers("n1");
        assert!(awaited.by_header(&mut own).is_some());
        assert!(!own.contains_key(HEADER));
        assert!(awaited.by_header(&mut headers("n1")).is_none());
        drop(waiting);
        drop(awaited.wait("n3".to_owned(), "a", b"body".to_vec()));
        assert!(awaited.by_header(&mut headers("n3")).is_none());
        assert!(awaited.by_body("a", b"body").is_none());
    }

    #[test]
    fn lost_mark_is_made_up_for_by_source_and_body() {
        let awaited = Awaited::default();
        let _waiting = awaited.wait("n1".to_owned(), "a", b"body".to_vec());
        assert!(awaited.by_body("b", b"body").is_none());
        assert!(awaited.by_body("a", b"other").is_none());
        assert!(awaited.by_body("a", b"body").is_some());
        assert!(awaited.by_body("a", b"body").is_none());
    }
}

//! Declared fetches: the key of a sender, and the confirmation that it asks for, got from the
//! addresses that a plugin declares.
//!
//! The address stands in a request that nothing has proved yet, so a stranger may name any that
//! fits the plugin's pattern. The pattern leads to the sender's own servers; what is got from there
//! is cached, one address is asked at a time, and no more than [`MOST`] in a minute.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use parking_lot::Mutex;
use plugin_sdk::contract::{Fetch, Purpose};
use serde_json::Value;
use tokio::sync::MutexGuard;
use tokio::time::{Instant, timeout};

use crate::config::Network;
use crate::destinations::http::{AGENT, describe, is_proxied, pool};
use crate::sources::Source;

/// The addresses that are asked in a minute: enough for every region of a large sender at a start.
const MOST: usize = 30;
const MINUTE: Duration = Duration::from_secs(60);
/// The time that an answer may take. A sender waits for it.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A certificate has some 2 KiB.
const LARGEST: usize = 64 * 1024;
/// The longest address.
const LONGEST: usize = 2048;
/// The keys that are kept, and the failures.
const KEPT: usize = 64;

const TOO_MANY: &str = "too many addresses are asked at once";

type Got = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send>>;

/// Gets addresses, and keeps the keys.
pub struct Fetcher {
    get: Box<dyn Fn(Uri) -> Got + Send + Sync>,
    keys: Mutex<VecDeque<Known>>,
    /// The reasons of addresses that are not asked again for a minute.
    failed: Mutex<VecDeque<(String, String, Instant)>>,
    /// The times at which an address was asked, held by the one that asks.
    asked: tokio::sync::Mutex<VecDeque<Instant>>,
}

/// A key and its address.
struct Known {
    url: String,
    key: Arc<str>,
    /// True if it has proved a sender: strangers push out no such key.
    has_proved: bool,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fetcher")
    }
}

impl Default for Fetcher {
    fn default() -> Self {
        Self::by(|url| Box::pin(get(url)))
    }
}

impl Fetcher {
    fn by(get: impl Fn(Uri) -> Got + Send + Sync + 'static) -> Self {
        Self {
            get: Box::new(get),
            keys: Mutex::default(),
            failed: Mutex::default(),
            asked: tokio::sync::Mutex::default(),
        }
    }

    /// Returns the key of the sender of a request with this body; `None` where the body names no
    /// address that the plugin declares.
    ///
    /// # Errors
    /// The reason why it cannot be got at present.
    pub async fn key(&self, source: &Source, body: &[u8]) -> Result<Option<Arc<str>>, String> {
        match address(source.fetches(Purpose::Key), body) {
            None => Ok(None),
            Some(url) => self.key_at(&url).await.map(Some),
        }
    }

    /// Gets the address by which a proved sender wants to be confirmed. `None` where the request
    /// asks for none.
    pub async fn confirm(&self, source: &Source, body: &[u8]) -> Option<Result<(), String>> {
        let url = address(source.fetches(Purpose::Confirmation), body)?;
        let mut asked = match self.turn().await {
            Ok(asked) => asked,
            Err(why) => return Some(Err(why)),
        };
        Some(self.ask(&mut asked, &url).await.map(|_| ()))
    }

    async fn key_at(&self, url: &str) -> Result<Arc<str>, String> {
        if let Some(known) = self.known(url) {
            return known;
        }
        let mut asked = self.turn().await?;
        // Another request may have got it meanwhile.
        if let Some(known) = self.known(url) {
            return known;
        }
        if asked.len() >= MOST {
            // Of the moment, and not of the address.
            return Err(TOO_MANY.to_owned());
        }
        let key = self.ask(&mut asked, url).await.and_then(|bytes| {
            let text = String::from_utf8(bytes).ok();
            text.filter(|text| text.contains("-----BEGIN "))
                .map(Arc::<str>::from)
                .ok_or_else(|| "the answer is no key in PEM".to_owned())
        });
        match &key {
            Ok(key) => self.keep(url, key),
            Err(why) => {
                let mut failed = self.failed.lock();
                failed.retain(|(known, ..)| known != url);
                failed.truncate(KEPT - 1);
                failed.push_front((url.to_owned(), why.clone(), Instant::now()));
            }
        }
        key
    }

    fn keep(&self, url: &str, key: &Arc<str>) {
        let mut keys = self.keys.lock();
        if keys.len() >= KEPT {
            let oldest = keys.iter().position(|known| !known.has_proved);
            keys.remove(oldest.unwrap_or(0));
        }
        keys.push_back(Known {
            url: url.to_owned(),
            key: Arc::clone(key),
            has_proved: false,
        });
    }

    /// Notes that a key has proved a sender.
    pub fn has_proved(&self, key: &Arc<str>) {
        let mut keys = self.keys.lock();
        let known = keys.iter_mut().find(|known| Arc::ptr_eq(&known.key, key));
        if let Some(known) = known {
            known.has_proved = true;
        }
    }

    fn known(&self, url: &str) -> Option<Result<Arc<str>, String>> {
        let keys = self.keys.lock();
        if let Some(known) = keys.iter().find(|known| known.url == url) {
            return Some(Ok(Arc::clone(&known.key)));
        }
        let failed = self.failed.lock();
        let (_, why, at) = failed.iter().find(|(known, ..)| known == url)?;
        (at.elapsed() < MINUTE).then(|| Err(why.clone()))
    }

    /// Waits until no other address is asked. Returns the times of the last minute.
    async fn turn(&self) -> Result<MutexGuard<'_, VecDeque<Instant>>, String> {
        let turn = timeout(TIMEOUT, self.asked.lock()).await;
        let mut asked = turn.map_err(|_| TOO_MANY.to_owned())?;
        while asked.front().is_some_and(|at| at.elapsed() >= MINUTE) {
            asked.pop_front();
        }
        Ok(asked)
    }

    async fn ask(&self, asked: &mut VecDeque<Instant>, url: &str) -> Result<Vec<u8>, String> {
        if asked.len() >= MOST {
            return Err(TOO_MANY.to_owned());
        }
        asked.push_back(Instant::now());
        let url = url.parse().map_err(|_| "it is no address".to_owned())?;
        timeout(TIMEOUT, (self.get)(url))
            .await
            .map_err(|_| format!("no answer within {TIMEOUT:?}"))?
    }
}

/// Returns the address in a body that one of these fetches fits.
fn address<'a>(fetches: impl Iterator<Item = &'a Fetch>, body: &[u8]) -> Option<String> {
    let mut fetches = fetches.peekable();
    fetches.peek()?;
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = |at: &str| body.pointer(at)?.as_str();
    fetches.find_map(|fetch| {
        let url = text(&fetch.at).filter(|url| url.len() <= LONGEST && fetch.matches(url))?;
        let is_meant = fetch
            .when
            .iter()
            .all(|(at, expected)| text(at) == Some(expected.as_str()));
        is_meant.then(|| url.to_owned())
    })
}

/// Gets an address. Redirects are not followed, and only addresses of the Internet are reached,
/// but for one of this machine that the plugin itself names.
async fn get(url: Uri) -> Result<Vec<u8>, String> {
    let host = url.host().unwrap_or_default().to_owned();
    let network = Network {
        public_only: url.scheme_str() == Some("https") && !is_proxied(&url),
        ..Network::default()
    };
    let pool = pool(&url, 1, &network).map_err(|error| error.to_string())?;
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = url;
    request
        .headers_mut()
        .insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let answer = pool
        .request(request)
        .await
        .map_err(|error| describe(&error, &host))?;
    if answer.status() != StatusCode::OK {
        return Err(format!("{host} answered {}", answer.status()));
    }
    let body = Limited::new(answer.into_body(), LARGEST).collect().await;
    Ok(body
        .map_err(|error| format!("{host} broke off: {error}"))?
        .to_bytes()
        .to_vec())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const KEY: &str = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";

    /// Counts what is asked. An address that ends with `bad` has no key.
    fn counting() -> (Fetcher, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let fetcher = Fetcher::by(move |url| {
            counted.fetch_add(1, Ordering::Relaxed);
            let bytes = match url.path().ends_with("bad") {
                true => b"<html>".to_vec(),
                false => KEY.as_bytes().to_vec(),
            };
            Box::pin(async { Ok(bytes) })
        });
        (fetcher, count)
    }

    fn fetch(purpose: Purpose, at: &str) -> Fetch {
        Fetch {
            purpose,
            url: "https://keys.example.com/*".to_owned(),
            at: at.to_owned(),
            setting: "fetch".to_owned(),
            secret: "key".to_owned(),
            when: [("/Type".to_owned(), "Confirm".to_owned())].into(),
        }
    }

    #[test]
    fn address_is_one_that_the_plugin_declares() {
        let fetches = [fetch(Purpose::Key, "/other"), fetch(Purpose::Key, "/url")];
        let found = |body: &str| address(fetches.iter(), body.as_bytes());
        let right = r#"{"Type": "Confirm", "url": "https://keys.example.com/a"}"#;
        assert_eq!(found(right).as_deref(), Some("https://keys.example.com/a"));
        let long = right.replace("/a", &format!("/{}", "a".repeat(LONGEST)));
        for wrong in [
            &*right.replace("Confirm", "Other"),
            &right.replace("keys.", "keys.evil."),
            &right.replace("\"url\"", "\"URL\""),
            &long,
            "{}",
            "no JSON",
            "",
        ] {
            assert_eq!(found(wrong), None, "{wrong}");
        }
        assert_eq!(address([].iter(), right.as_bytes()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn key_is_asked_for_once_and_its_failure_for_a_minute() {
        let (fetcher, count) = counting();
        for _ in 0..3 {
            let key = fetcher.key_at("https://keys.example.com/a").await;
            assert_eq!(key.as_deref(), Ok(KEY));
            let none = fetcher.key_at("https://keys.example.com/bad").await;
            assert_eq!(none, Err("the answer is no key in PEM".to_owned()));
        }
        assert_eq!(count.load(Ordering::Relaxed), 2);
        tokio::time::advance(MINUTE).await;
        let _ = fetcher.key_at("https://keys.example.com/bad").await;
        let _ = fetcher.key_at("https://keys.example.com/a").await;
        assert_eq!(count.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_of_a_minute_are_few_and_kept_keys_too() {
        let (fetcher, count) = counting();
        let url = |number: usize| format!("https://keys.example.com/{number}");
        for number in 0..2 * MOST {
            let key = fetcher.key_at(&url(number)).await;
            assert_eq!(key.is_ok(), number < MOST, "{number}");
        }
        assert_eq!(count.load(Ordering::Relaxed), MOST);
        assert!(
            fetcher.key_at(&url(0)).await.is_ok(),
            "a known one costs nothing"
        );
        for number in 0..2 * KEPT {
            tokio::time::advance(MINUTE).await;
            fetcher.key_at(&url(number)).await.unwrap();
        }
        assert_eq!(fetcher.keys.lock().len(), KEPT);
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_push_out_no_key_that_has_proved_a_sender() {
        let (fetcher, count) = counting();
        let of_sender = "https://keys.example.com/of-sender";
        let key = fetcher.key_at(of_sender).await.unwrap();
        fetcher.has_proved(&key);
        for number in 0..2 * KEPT {
            tokio::time::advance(MINUTE).await;
            for end in ["", "bad"] {
                let url = format!("https://keys.example.com/{number}{end}");
                let _ = fetcher.key_at(&url).await;
            }
        }
        let before = count.load(Ordering::Relaxed);
        assert!(fetcher.key_at(of_sender).await.is_ok());
        assert_eq!(count.load(Ordering::Relaxed), before);
        assert_eq!(fetcher.failed.lock().len(), KEPT);
    }
}

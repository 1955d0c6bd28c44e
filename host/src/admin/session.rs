//! Sessions of people who have logged in, in memory: a restart ends all of them.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use hyper::header::{COOKIE, HeaderMap};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::caller::Role;
use crate::random;

/// The time after which a person has to log in again.
pub const LASTS: Duration = Duration::from_secs(12 * 60 * 60);
/// The most sessions at a time; the oldest goes for one more.
const MOST: usize = 1000;
/// The names of the cookie: the first is one that a browser takes over TLS only, for this host only.
const COOKIES: [&str; 2] = ["__Host-alert-gateway", "alert-gateway"];

/// The sessions, and the key by which forms are known to be the listener's own.
pub struct Sessions {
    key: [u8; 32],
    open: Mutex<HashMap<[u8; 32], Session>>,
}

/// A person who has logged in.
#[derive(Debug, Clone)]
pub struct Session {
    /// The person's name.
    pub who: String,
    /// The person's rights.
    pub role: Role,
    until: Instant,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[sessions]")
    }
}

impl Sessions {
    /// No session yet.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn new() -> Result<Self, std::io::Error> {
        Ok(Self {
            key: random::bytes()?,
            open: Mutex::default(),
        })
    }

    /// Begins a session, and returns what its cookie holds.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn begin(&self, who: &str, role: Role) -> Result<String, std::io::Error> {
        let id = random_text()?;
        let session = Session {
            who: who.to_owned(),
            role,
            until: Instant::now() + LASTS,
        };
        let mut open = self.open.lock();
        open.retain(|_, session| session.until > Instant::now());
        if open.len() >= MOST {
            let oldest = open.iter().min_by_key(|(_, session)| session.until);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                open.remove(&oldest);
            }
        }
        open.insert(hash(&id), session);
        Ok(id)
    }

    /// Returns the session of a cookie.
    pub fn find(&self, cookie: &str) -> Option<Session> {
        let open = self.open.lock();
        let session = open.get(&hash(cookie))?;
        (session.until > Instant::now()).then(|| session.clone())
    }

    /// Ends all but these sessions.
    pub fn retain(&self, stays: impl Fn(&str) -> bool) {
        self.open.lock().retain(|_, session| stays(&session.who));
    }

    /// Ends the session of a cookie.
    pub fn end(&self, cookie: &str) {
        self.open.lock().remove(&hash(cookie));
    }

    /// Returns the token that forms for a caller carry; `subject` is what the caller is known by.
    pub fn csrf(&self, subject: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(subject).finalize().into_bytes())
    }

    /// Returns true if a form's token is the caller's, in a time that tells nothing.
    pub fn is_same(&self, token: &str, own: &str) -> bool {
        self.mac(token).finalize() == self.mac(own).finalize()
    }

    /// Returns true if a form was made for this caller.
    pub fn is_own(&self, subject: &str, token: &str) -> bool {
        let token = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        self.mac(subject).verify_slice(&token).is_ok()
    }

    fn mac(&self, subject: &str) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.key)
            .unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
        mac.update(subject.as_bytes());
        mac
    }
}

/// Only its hash is kept: a copy of the memory opens nothing.
fn hash(cookie: &str) -> [u8; 32] {
    Sha256::digest(cookie.as_bytes()).into()
}

/// Returns 32 random bytes as text.
///
/// # Errors
/// The system has none.
pub fn random_text() -> std::io::Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(random::bytes::<32>()?))
}

/// Returns what the session's cookie of a request holds.
pub fn cookie(headers: &HeaderMap, over_tls: bool) -> Option<&str> {
    // Only the first is safe from what another service of this host has a browser keep.
    let names = &COOKIES[..if over_tls { 1 } else { 2 }];
    let cookies = headers.get_all(COOKIE).iter();
    let pairs = cookies
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .filter(|(name, _)| names.contains(name))
        .map(|(_, value)| value)
        .next()
}

/// Returns the header by which a browser keeps a session; with no value, forgets it.
pub fn set_cookie(value: &str, over_tls: bool) -> String {
    let age = if value.is_empty() { 0 } else { LASTS.as_secs() };
    let [over, plain] = COOKIES;
    let (name, secure) = if over_tls {
        (over, "; Secure")
    } else {
        (plain, "")
    };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn session_ends_by_logout_and_by_time() {
        let sessions = Sessions::new().unwrap();
        let one = sessions.begin("kim", Role::Viewer).unwrap();
        let other = sessions.begin("lee", Role::Operator).unwrap();
        assert_eq!(sessions.find(&one).unwrap().who, "kim");
        assert!(sessions.find("").is_none() && sessions.find("x").is_none());
        sessions.end(&one);
        assert!(sessions.find(&one).is_none());
        assert_eq!(sessions.find(&other).unwrap().role, Role::Operator);
        tokio::time::advance(LASTS).await;
        assert!(sessions.find(&other).is_none());
    }

    #[test]
    fn sessions_are_bounded_and_the_oldest_goes() {
        let sessions = Sessions::new().unwrap();
        let first = sessions.begin("0", Role::Viewer).unwrap();
        for number in 1..=MOST {
            sessions.begin(&number.to_string(), Role::Viewer).unwrap();
        }
        assert_eq!(sessions.open.lock().len(), MOST);
        assert!(sessions.find(&first).is_none());
    }

    #[test]
    fn form_is_own_only_for_its_caller_and_this_run() {
        let sessions = Sessions::new().unwrap();
        let other = Sessions::new().unwrap();
        let token = sessions.csrf("kim");
        assert!(sessions.is_own("kim", &token));
        for (subject, token) in [("lee", &*token), ("kim", ""), ("kim", "AAAA"), ("kim", "é")] {
            assert!(!sessions.is_own(subject, token), "{subject} {token}");
        }
        assert!(!other.is_own("kim", &token));
    }

    #[test]
    fn cookie_is_found_among_others_and_secure_over_tls() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "a=b; alert-gateway=one".parse().unwrap());
        assert_eq!(cookie(&headers, false), Some("one"));
        assert_eq!(cookie(&headers, true), None);
        headers.clear();
        headers.append(COOKIE, "alert-gateway2=x".parse().unwrap());
        assert_eq!(cookie(&headers, false), None);
        headers.append(COOKIE, "__Host-alert-gateway=two".parse().unwrap());
        assert_eq!(cookie(&headers, true), Some("two"));
        let set = set_cookie("v", true);
        assert!(set.starts_with("__Host-alert-gateway=v; Path=/; HttpOnly; SameSite=Strict"));
        assert!(set.ends_with("; Secure"));
        assert!(!set_cookie("v", false).contains("Secure"));
        assert!(set_cookie("", false).contains("Max-Age=0"));
    }
}

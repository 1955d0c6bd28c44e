//! Second attempts: a sender that was not answered sends the same request again, after seconds or
//! minutes.
//!
//! Where nothing in a request tells one event from the next, the same bytes a little later are such
//! an attempt, and the same bytes a day later are news. A plugin has no memory, so two things tell
//! them apart. [`event_id`] cuts time into a grid, with an offset of its own for each event, so
//! that no hour of the day cuts all of them. The host remembers [`mark`], so that an attempt is
//! known on either side of a cut.
//!
//! The same request within [`SECONDS`] is a duplicate; after twice as long it never is.

use crate::contract::{ProofIdentity, Request};
use crate::signature::sha256;
use crate::time;

/// The seconds in which the same request again is a second attempt.
pub const SECONDS: i64 = 15 * 60;

/// The id of an event that is known by these bytes alone.
pub fn event_id(made_of: &[u8], received_at: &str) -> String {
    let own = sha256(made_of).hex();
    let offset = own.bytes().take(8).fold(0, |sum, digit| {
        (sum * 31 + i64::from(digit)) % (2 * SECONDS)
    });
    let cell = (time::seconds(received_at).unwrap_or_default() + offset).div_euclid(2 * SECONDS);
    format!(
        "sha256:{}",
        sha256(format!("{own} {cell}").as_bytes()).hex()
    )
}

/// The mark of a request, for [`Alerts::proof`](crate::contract::Alerts::proof) where every alert
/// of it is such an event. It is made of the URL, the body, and these bytes.
pub fn mark(request: &Request, made_of: &[u8]) -> Option<ProofIdentity> {
    let now = time::seconds(&request.received_at)?;
    let body = request.body.bytes();
    let url = sha256(request.url.as_bytes()).hex();
    let made_of = sha256(made_of).hex();
    let id = sha256(&[url.as_bytes(), made_of.as_bytes(), &body].concat()).hex();
    Some(ProofIdentity {
        id: format!("attempt:{id}"),
        expires_at: time::of_seconds(now.checked_add(SECONDS)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn at(seconds: i64) -> String {
        time::of_seconds(1_767_225_600 + seconds).unwrap()
    }

    #[test]
    fn an_attempt_is_known_and_news_are_news() {
        for event in ["a", "b", "c", "d"] {
            let id = |seconds| event_id(event.as_bytes(), &at(seconds));
            assert_eq!(id(0), id(0));
            assert_ne!(id(0), id(2 * SECONDS));
            assert_ne!(id(0), id(24 * 3_600));
            let cuts = (0..2 * SECONDS)
                .step_by(60)
                .filter(|&start| id(start) != id(start + 60))
                .count();
            assert_eq!(cuts, 1, "a grid of {} s has one cut", 2 * SECONDS);
        }
        assert_ne!(event_id(b"a", &at(0)), event_id(b"b", &at(0)));
    }

    #[test]
    fn a_mark_tells_requests_apart_and_ends() {
        let of = |url: &str, body: &str, seconds| {
            let request = testing::post(url)
                .received_at(&at(seconds))
                .body(body)
                .build();
            mark(&request, b"x").unwrap()
        };
        let first = of("https://a.example/in/x", "a", 0);
        assert_eq!(first.id, of("https://a.example/in/x", "a", 60).id);
        assert_eq!(first.expires_at, Some(at(SECONDS)));
        assert_ne!(first.id, of("https://a.example/in/x", "b", 0).id);
        assert_ne!(first.id, of("https://a.example/in/x?q", "a", 0).id);
        assert!((1..=128).contains(&first.id.len()));
    }
}

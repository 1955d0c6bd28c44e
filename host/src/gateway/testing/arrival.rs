//! The arrival of a test's request: at this gateway, at the right source, proved, read.

use std::time::Duration;

use tokio::time::timeout;

use super::connect::{Answered, get};
use super::{Hops, Place, Tester};
use crate::hops::Hop;
use crate::intake::{Awaiting, Seen};
use crate::sources::Sample;

/// The time between an answer and word of its request, which comes first as a rule.
const MOMENT: Duration = Duration::from_secs(1);

impl Tester {
    /// Tells the fate of an answered request. Returns its id, where alerts were made of it.
    pub(super) async fn arrived(
        &self,
        name: &str,
        sample: &Sample,
        answered: &Answered,
        awaiting: &mut Awaiting,
        local: bool,
        hops: &Hops,
    ) -> Option<String> {
        let Ok(Ok(seen)) = timeout(MOMENT, &mut awaiting.seen).await else {
            hops.tell(lost(&self.place(), answered)).await;
            return None;
        };
        if !hops.tell(arrival(name, &seen, answered)).await {
            return None;
        }
        if hops.tell(reading(sample, &seen, answered, local)).await {
            Some(seen.request)
        } else {
            None
        }
    }
}

/// Tries whether a public URL leads to a gateway that waits for a request, by a GET to this source.
pub async fn by_public_url(source: &str, place: &Place<'_>, awaiting: &mut Awaiting, hops: &Hops) {
    let url = format!("{}/in/{source}", place.public_url);
    let Some(answered) = get(&url, &awaiting.number, hops).await else {
        return;
    };
    let hop = match timeout(MOMENT, &mut awaiting.seen).await {
        Ok(Ok(seen)) => arrival(source, &seen, &answered),
        _ => lost(place, &answered),
    };
    hops.tell(hop).await;
}

/// Returns the hop of a request that this gateway has not known again.
fn lost(place: &Place<'_>, answered: &Answered) -> Hop {
    let Place {
        recent,
        listen,
        public_url,
    } = *place;
    let known = answered.request.as_deref().and_then(|id| {
        let found = recent.list(|entry| entry.trace.request == id);
        found.into_iter().next()
    });
    if let Some(entry) = known {
        let help = entry.trace.help.clone().unwrap_or_default();
        let dropped = "what stands before the gateway drops headers: let it pass all of them on";
        let fix = if help.is_empty() {
            dropped.to_owned()
        } else {
            format!("{help}; and {dropped}")
        };
        return Hop::failed("arrival", entry.trace.reason.clone(), fix);
    }
    let by = answered
        .server
        .as_ref()
        .map_or_else(String::new, |server| format!(" ({server})"));
    let found = format!(
        "something else than this gateway answered {}{by}",
        answered.status
    );
    let fix = if matches!(answered.status.as_u16(), 502..=504) {
        format!(
            "what stands before the gateway does not reach it: let it pass requests on to {listen}"
        )
    } else if answered.status.is_redirection() {
        "senders do not follow redirects: write the URL that it leads to as public_url".to_owned()
    } else {
        format!(
            "let what stands before the gateway pass {} on to {}, and everything below it; or correct public_url",
            if public_url.path().is_empty() {
                "/in/".to_owned()
            } else {
                format!("{}/in/", public_url.path())
            },
            listen
        )
    };
    Hop::failed("arrival", found, fix)
}

/// Judges where a request came in.
fn arrival(name: &str, seen: &Seen, answered: &Answered) -> Hop {
    match &seen.source {
        None => Hop::failed(
            "arrival",
            "it came in at this gateway, under a path that no source has",
            "what stands before the gateway changes the path: let it pass the path on as it is",
        ),
        Some(other) if other != name => Hop::failed(
            "arrival",
            format!("it came in at source {other}"),
            "what stands before the gateway leads the path elsewhere: let it pass the path on as it is",
        ),
        Some(_) if seen.outcome == "accepted" && !answered.status.is_success() => Hop::failed(
            "arrival",
            format!(
                "the gateway accepted it, and its sender is answered {}",
                answered.status
            ),
            "what stands before the gateway changes the answer, so that senders send again: let it pass the answer on",
        ),
        Some(_) => {
            let proxy = if seen.claims_another {
                ", a proxy that names another client: to believe it, write its address at trusted_proxies in [gateway]"
            } else {
                ""
            };
            Hop::passed(
                "arrival",
                format!("from {}{proxy}; request {}", seen.client, seen.request),
            )
        }
    }
}

/// Judges what was made of a request.
fn reading(sample: &Sample, seen: &Seen, answered: &Answered, local: bool) -> Hop {
    let proved = if sample.proved_by.is_empty() {
        "its plugin has read it".to_owned()
    } else {
        format!(
            "proved by {}, and read by its plugin",
            sample.proved_by.join(" and ")
        )
    };
    if seen.outcome == "accepted" {
        return Hop::passed("proof", proved);
    }
    let (reason, help) = seen
        .refused
        .clone()
        .unwrap_or_else(|| (format!("answered {}", answered.status), String::new()));
    let (hop, fix) = match (seen.outcome, sample.unsigned) {
        ("unauthenticated" | "forbidden" | "malformed", Some(unsigned)) => {
            let fix = format!(
                "{unsigned}, so only that sender can test this hop: have it send a test event. \
                 `alert-gateway test --destination NAME` tests the rest"
            );
            ("proof", fix)
        }
        ("foreign_client", _) if local => (
            "proof",
            "this machine is not among the source's clients: test without --local, through the proxy".to_owned(),
        ),
        ("unauthenticated" | "forbidden" | "foreign_client", _) => ("proof", help),
        ("ignored" | "malformed" | "replied", _) => {
            let more = "the sample may not fit this source's settings: name a request of its own sender with --request FILE.http";
            ("reading", if help.is_empty() { more.to_owned() } else { help })
        }
        _ => ("reading", help),
    };
    Hop::failed(hop, reason, fix)
}

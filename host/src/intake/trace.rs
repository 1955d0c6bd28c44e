//! The traces of requests that the store does not keep: rejected or ignored ones, for the operator.

use std::sync::Arc;

use plugin_sdk::contract::Rejection;

use super::admission::NoRoom;
use super::received::{self, Received, Refusal};
use super::{Ending, Entrance, Intake, report, route};
use crate::clock::wall_ms;
use crate::config::size_text;
use crate::http::{BodyError, Client};
use crate::recent::{self, Entry, Kind, Trace};
use crate::sources::Source;

/// The longest token that is masked wherever it stands.
const LONGEST_TOKEN: usize = 4 * 1024;

impl Intake {
    /// Traces a request that was refused before its plugin was called.
    pub(super) fn trace_refused(
        &self,
        id: &str,
        entrance: &Entrance,
        suffix: &str,
        client: Client,
        refusal: &Refusal,
    ) {
        let Refusal { ending, head, .. } = refusal;
        let Some(told) = Told::of(ending, &entrance.source) else {
            return;
        };
        let source = &entrance.source;
        let url = route::public_url(&source.url, suffix, head.uri.query());
        let headers = head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), received::latin1(value)));
        let mask = source.request_mask();
        let mut entry = told.entry(id, source, client, ending, head.method.as_str());
        entry.trace.url = mask.url(&url);
        entry.trace.headers = mask.headers(headers);
        keep_body(&mut entry, entrance, refusal.body.as_deref());
        self.recent.push(entry);
    }

    /// Traces a request of which its plugin made no alert.
    pub(super) fn trace_read(
        &self,
        entrance: &Entrance,
        received: &Received,
        client: Client,
        ending: &Ending,
    ) {
        let source = &entrance.source;
        let Some(told) = Told::of(ending, source) else {
            return;
        };
        let headers: Vec<(String, String)> =
            serde_json::from_str(received.headers.get()).unwrap_or_default();
        let mask = source.request_mask();
        let mut entry = told.entry(
            &received.id,
            source,
            client,
            ending,
            received.method.as_str(),
        );
        entry.trace.url = mask.url(&received.url);
        entry.trace.headers = mask.headers(headers);
        keep_body(&mut entry, entrance, Some(&received.body));
        self.recent.push(entry);
    }

    /// Traces a request to a path that no source has.
    pub(super) fn trace_lost(&self, id: &str, client: Client, method: &str, lost: &report::Lost) {
        self.recent.push(Entry {
            number: 0,
            at_ms: wall_ms(),
            kind: if lost.near.is_some() {
                Kind::NearMiss
            } else {
                Kind::NoSource
            },
            trace: Trace {
                source: "".into(),
                request: id.to_owned(),
                outcome: Ending::NoSource.outcome().into(),
                reason: "no source has this path".to_owned(),
                help: Some(lost.help()),
                client: client.to_string(),
                method: method.to_owned(),
                url: lost.path.clone(),
                // Of a path without a source it is not known which headers are credentials.
                headers: Vec::new(),
                body_bytes: None,
            },
            body: None,
        });
    }

    /// Counts how a request ended, for the last day.
    pub(super) fn count_activity(&self, source: &Arc<str>, ending: &Ending) {
        self.metrics.activity.count(source, |counts| {
            let count = match ending {
                Ending::Accepted { .. } | Ending::Replied(_) => &mut counts.accepted,
                Ending::Ignored(_) => &mut counts.ignored,
                Ending::Kept => &mut counts.failed,
                _ => &mut counts.rejected,
            };
            *count = count.saturating_add(1);
        });
    }
}

/// Keeps the beginning of a body that was read, for an operator who asks for it. The source's token
/// is masked in it as in the store. Where the store would mask more, none of it is kept, because
/// the places of that are known in a whole body only.
fn keep_body(entry: &mut Entry, entrance: &Entrance, body: Option<&[u8]>) {
    let Some(body) = body.filter(|_| entrance.policy.stored().is_none()) else {
        return;
    };
    // A token that the end of the beginning would cut is whole in this.
    let beginning = &body[..body.len().min(recent::BODY_BYTES + LONGEST_TOKEN)];
    let masked = entrance.source.mask.clean(beginning).into_owned();
    let rest = body.len() - beginning.len();
    entry.trace.body_bytes = Some((masked.len() + rest) as u64);
    entry.body = Some(masked);
}

/// Returns the reason why no alert was made of a request that ended so, and the advice.
pub fn refused(ending: &Ending, source: Option<&Source>) -> Option<(String, String)> {
    let Some(source) = source else {
        return Some(("no source has this path".to_owned(), String::new()));
    };
    if let Ending::Replied(_) = ending {
        let reason = "the plugin has a reply to it, and no alert".to_owned();
        return Some((reason, String::new()));
    }
    let Told { reason, help, .. } = Told::of(ending, source)?;
    let mask = source.request_mask();
    Some((mask.text(&reason), mask.text(&help.unwrap_or_default())))
}

/// The words for the operator about a request that is not kept.
struct Told {
    kind: Kind,
    reason: String,
    help: Option<String>,
}

impl Told {
    /// Returns the words for an ending; none where the store keeps the request, or the plugin has
    /// answered its sender.
    fn of(ending: &Ending, source: &Source) -> Option<Self> {
        let section = format!("[sources.{}]", source.name);
        let limits = format!("[sources.{}.limits]", source.name);
        let (reason, help) = match ending {
            Ending::Accepted { .. } | Ending::Kept | Ending::Replied(_) => return None,
            Ending::Ignored(reason) => {
                return Some(Self {
                    kind: Kind::Ignored,
                    reason: reason.clone(),
                    help: None,
                });
            }
            Ending::Rejected(Rejection { reason, help, .. }) => {
                let help = Some(help.clone()).filter(|help| !help.is_empty());
                return Some(Self {
                    kind: Kind::Rejected,
                    reason: reason.clone(),
                    help,
                });
            }
            Ending::NoSource => ("no source has this path".to_owned(), String::new()),
            Ending::ForeignClient => (
                "the sender's address is not among the source's clients".to_owned(),
                format!(
                    "if this is the sender, add its address to clients in {section}; if it is your proxy, name that in \
                     trusted_proxies in [gateway]"
                ),
            ),
            Ending::NoToken => (
                "there is no token".to_owned(),
                "let the sender show the source's token: Authorization: Bearer <token>, or ?token=<token> in the URL"
                    .to_owned(),
            ),
            Ending::WrongToken => (
                "the token is not the source's".to_owned(),
                format!("compare the sender's token with token in {section}; a list takes the old and the new one"),
            ),
            Ending::Method => (
                "the source takes no request of this method".to_owned(),
                format!(
                    "let the sender use {}",
                    source.methods().collect::<Vec<_>>().join(" or ")
                ),
            ),
            Ending::UriTooLong => (
                "the path and the query are longer than 8 KiB".to_owned(),
                String::new(),
            ),
            Ending::QuotaUsedUp => (
                "its plugin failed, and no more such requests are kept at present".to_owned(),
                "replay or dismiss the failed requests of this source".to_owned(),
            ),
            Ending::RateLimited(_) => (
                "the source's rate is used up".to_owned(),
                format!("if so many are meant to come in, write a higher rate in {limits}"),
            ),
            Ending::NoRoom(NoRoom::Share) => (
                "too many requests of this source are under way".to_owned(),
                "write more memory in [gateway]".to_owned(),
            ),
            Ending::NoRoom(NoRoom::Whole) => (
                "too many requests are under way".to_owned(),
                "write more memory in [gateway]".to_owned(),
            ),
            Ending::Body(BodyError::TooLarge) => {
                let limit = source.limits().body;
                (
                    format!("the body is larger than {}", size_text(limit)),
                    format!(
                        "if such a request is meant to come in, write body = {} or more in {limits}",
                        size_text(2 * limit)
                    ),
                )
            }
            Ending::Body(BodyError::TooSlow) => (
                "the body did not arrive in time".to_owned(),
                String::new(),
            ),
            Ending::Body(BodyError::Broken) => (
                "the body ended early or was malformed".to_owned(),
                String::new(),
            ),
            Ending::NoKey(why) => (
                format!("the key of the sender cannot be got: {why}"),
                String::new(),
            ),
            Ending::Busy(error) => (error.to_string(), String::new()),
            Ending::Store(error) => (error.to_string(), String::new()),
        };
        Some(Self {
            kind: Kind::Rejected,
            reason,
            help: Some(help).filter(|help| !help.is_empty()),
        })
    }

    fn entry(
        self,
        id: &str,
        source: &Source,
        client: Client,
        ending: &Ending,
        method: &str,
    ) -> Entry {
        let mask = source.request_mask();
        Entry {
            number: 0,
            at_ms: wall_ms(),
            kind: self.kind,
            trace: Trace {
                source: Arc::clone(&source.name),
                request: id.to_owned(),
                outcome: ending.outcome().into(),
                reason: mask.text(&self.reason),
                help: self.help.map(|help| mask.text(&help)),
                client: client.to_string(),
                method: method.to_owned(),
                url: String::new(),
                headers: Vec::new(),
                body_bytes: None,
            },
            body: None,
        }
    }
}

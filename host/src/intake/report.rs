//! Reports to the operator about a request, without the sender's knowledge.

use plugin_sdk::contract::Rejection;

use super::Ending;
use crate::config::{did_you_mean, size_text};
use crate::http::{BodyError, Client};
use crate::log_throttle::LogThrottle;
use crate::sources::Source;

/// A path that no source has.
#[derive(Debug)]
pub struct Lost {
    /// The beginning of the path, without a token of any source.
    pub path: String,
    /// The source that was probably meant.
    pub near: Option<String>,
}

impl Lost {
    /// Looks for the source that was probably meant.
    pub fn of<'n>(path: &str, sources: impl Iterator<Item = &'n Source> + Clone) -> Self {
        /// Characters of a path that are shown.
        const SHOWN: usize = 80;
        let names = sources.clone().map(|source| &*source.name);
        let named = path
            .strip_prefix("/in/")
            .map(|rest| rest.split('/').next().unwrap_or_default());
        let mut candidates = named.map_or_else(|| path.split('/').collect(), |named| vec![named]);
        candidates.retain(|segment| (1..=SHOWN).contains(&segment.len()));
        let near = candidates
            .into_iter()
            .take(8)
            .find_map(|segment| did_you_mean(segment, names.clone()));
        // What follows the name is the sender's own, and may be a secret, such as the token of a
        // source that is misspelt.
        let named = path
            .match_indices('/')
            .nth(2)
            .map_or(path, |(end, _)| &path[..end]);
        let named = sources.fold(named.as_bytes().to_vec(), |named, source| {
            source.mask.clean(&named).into_owned()
        });
        let path = String::from_utf8_lossy(&named)
            .chars()
            .take(SHOWN)
            .flat_map(char::escape_default)
            .collect();
        Self {
            path,
            near: near.map(str::to_owned),
        }
    }

    /// Returns the advice to the operator.
    pub fn help(&self) -> String {
        match &self.near {
            Some(near) => format!("did you mean /in/{near}?"),
            None => "senders post to /in/<source>, with a name from the configuration".to_owned(),
        }
    }
}

/// Writes the line for a path that no source has, where one is due, with the source that was
/// probably meant.
pub fn report_path(id: &str, lost: &Lost, from: Client, throttle: &LogThrottle) {
    // A near miss is a sender's configuration; any other path may be a scanner's, and must not hide
    // it.
    let outcome = if lost.near.is_some() {
        "near_miss"
    } else {
        "unknown_source"
    };
    let Some(left_out) = throttle.due("", outcome) else {
        return;
    };
    let client = tracing::field::display(from);
    tracing::warn!(
        request = id,
        client,
        path = lost.path,
        help = lost.help(),
        left_out,
        "no source has this path"
    );
}

/// Writes the line for a request. What senders can cause as often as they like is said now and
/// then, with how many of it were left out.
pub fn report(
    id: &str,
    source: Option<&Source>,
    from: Client,
    ending: &Ending,
    throttle: &LogThrottle,
) {
    let limit = source.map(|source| source.limits().body);
    // A plugin may repeat what it was given.
    let masked = |text: &str| source.map(|source| source.request_mask().text(text));
    let source = source.map(|source| &*source.name);
    let outcome = ending.outcome();
    let client = tracing::field::display(from);
    let due = || {
        let due = throttle.due(source.unwrap_or_default(), outcome);
        if due.is_none() {
            tracing::debug!(
                source,
                request = id,
                client,
                outcome,
                "request rejected; further advice suppressed"
            );
        }
        due
    };
    let section = || format!("[sources.{}.limits]", source.unwrap_or_default());
    match ending {
        Ending::Accepted {
            accepted,
            duplicates,
        } => {
            tracing::debug!(source, request = id, accepted, duplicates, "accepted");
        }
        Ending::Ignored(reason) => tracing::debug!(source, request = id, reason, "ignored"),
        Ending::Rejected(Rejection {
            kind, reason, help, ..
        }) => {
            if let Some(left_out) = due() {
                let reason = masked(reason);
                let help = masked(help);
                tracing::warn!(
                    source,
                    request = id,
                    client,
                    ?kind,
                    reason,
                    help,
                    left_out,
                    "rejected"
                );
            }
        }
        Ending::ForeignClient => {
            if let Some(left_out) = due() {
                let help = if from.claims_another {
                    "it has X-Forwarded-For: if this is the address of your proxy, name it in trusted_proxies in [gateway]"
                } else {
                    "if this is the sender's address, add it to the source's `clients`"
                };
                tracing::warn!(
                    source,
                    request = id,
                    client,
                    outcome,
                    help,
                    left_out,
                    "rejected"
                );
            }
        }
        Ending::NoToken | Ending::WrongToken => {
            if let Some(left_out) = due() {
                let help = "compare the token at the sender with the source's `token` in the configuration";
                tracing::warn!(
                    source,
                    request = id,
                    client,
                    outcome,
                    help,
                    left_out,
                    "rejected"
                );
            }
        }
        Ending::Body(BodyError::TooLarge) => {
            if let (Some(left_out), Some(limit)) = (due(), limit) {
                let larger = size_text(2 * limit);
                let section = section();
                let help = format!(
                    "if such a request is meant to come in, write body = {larger} or more in {section}"
                );
                tracing::warn!(
                    source,
                    request = id,
                    client,
                    limit,
                    help,
                    left_out,
                    "not accepted: its body is too large"
                );
            }
        }
        Ending::RateLimited(_) => {
            if let Some(left_out) = due() {
                let help = format!(
                    "if so many are meant to come in, write a higher rate in {}",
                    section()
                );
                tracing::warn!(
                    source,
                    request = id,
                    client,
                    help,
                    left_out,
                    "not accepted: the rate is used up"
                );
            }
        }
        Ending::NoRoom(_) => {
            if let Some(left_out) = due() {
                let help = format!(
                    "if so many are meant to come in at a time, write more memory in [gateway]; \
                     a rate in {} bounds what this source sends",
                    section()
                );
                tracing::warn!(
                    source,
                    request = id,
                    client,
                    outcome,
                    help,
                    left_out,
                    "not accepted: there is no room for it"
                );
            }
        }
        Ending::Busy(error) => {
            if let Some(left_out) = due() {
                tracing::warn!(source, request = id, %error, left_out, "not accepted");
            }
        }
        Ending::NoKey(error) => {
            if let Some(left_out) = due() {
                let help = "the key of the sender cannot be got: see whether this machine reaches the sender's servers";
                tracing::warn!(
                    source,
                    request = id,
                    client,
                    error,
                    help,
                    left_out,
                    "not accepted"
                );
            }
        }
        Ending::Store(error) => {
            if let Some(left_out) = due() {
                tracing::error!(source, request = id, %error, left_out, "not accepted");
            }
        }
        Ending::QuotaUsedUp => {
            if let Some(left_out) = due() {
                let help = "the plugin fails on requests of unproved senders: look at them with `alert-gateway events list \
                    --state failed`; a `token` for the source keeps strangers out";
                tracing::error!(
                    source,
                    request = id,
                    client,
                    help,
                    left_out,
                    "not accepted: the quota is used up"
                );
            }
        }
        Ending::Method | Ending::UriTooLong => {
            if let Some(left_out) = due() {
                tracing::warn!(source, request = id, client, outcome, left_out, "rejected");
            }
        }
        // Logged with its reason where it is kept, or not worth a line: any stranger can cause it.
        Ending::Kept | Ending::Replied(_) | Ending::NoSource | Ending::Body(_) => {
            tracing::debug!(source, request = id, client, outcome, "answered");
        }
    }
}

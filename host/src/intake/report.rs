//! Reports to the operator about a request, without the sender's knowledge.

use plugin_sdk::contract::Rejection;
use tracing::Level;

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
    let outcome = ending.outcome();
    let client = tracing::field::display(from);
    let name = source.map(|source| &*source.name);
    let Some((level, message)) = refusal(ending) else {
        let (accepted, duplicates, reason) = match ending {
            Ending::Accepted {
                accepted,
                duplicates,
            } => (Some(accepted), Some(duplicates), None),
            Ending::Ignored(reason) => (None, None, Some(reason)),
            _ => (None, None, None),
        };
        tracing::debug!(
            source = name,
            request = id,
            client,
            outcome,
            accepted,
            duplicates,
            reason,
            "answered"
        );
        return;
    };
    let Some(left_out) = throttle.due(name.unwrap_or_default(), outcome) else {
        tracing::debug!(
            source = name,
            request = id,
            client,
            outcome,
            "request rejected; further advice suppressed"
        );
        return;
    };
    // A plugin may repeat what it was given.
    let masked = |text: &str| source.map(|source| source.request_mask().text(text));
    let (kind, reason) = match ending {
        Ending::Rejected(Rejection { kind, reason, .. }) => {
            (Some(tracing::field::debug(kind)), masked(reason))
        }
        _ => (None, None),
    };
    let error = match ending {
        Ending::Busy(error) => Some(error.to_string()),
        Ending::NoKey(error) => Some(error.clone()),
        Ending::Store(error) => Some(error.to_string()),
        _ => None,
    };
    let limit = match ending {
        Ending::Body(BodyError::TooLarge) => source.map(|source| source.limits().body),
        _ => None,
    };
    let help = match ending {
        Ending::Rejected(Rejection { help, .. }) => masked(help),
        _ => advice(ending, source, from),
    };
    // The level of an event is a constant of its place.
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                source = name,
                request = id,
                client,
                outcome,
                kind,
                reason,
                error,
                limit,
                help,
                left_out,
                "{message}"
            )
        };
    }
    if level == Level::ERROR {
        line!(error);
    } else {
        line!(warn);
    }
}

/// The level and the message of the line about a request that was not taken. `None` for one that was
/// answered as it should be, that is logged where it is kept, or that any stranger can cause.
fn refusal(ending: &Ending) -> Option<(Level, &'static str)> {
    Some(match ending {
        Ending::Rejected(_)
        | Ending::ForeignClient
        | Ending::NoToken
        | Ending::WrongToken
        | Ending::Method
        | Ending::UriTooLong => (Level::WARN, "rejected"),
        Ending::Body(BodyError::TooLarge) => (Level::WARN, "not accepted: its body is too large"),
        Ending::RateLimited(_) => (Level::WARN, "not accepted: the rate is used up"),
        Ending::NoRoom(_) => (Level::WARN, "not accepted: there is no room for it"),
        Ending::Busy(_) | Ending::NoKey(_) => (Level::WARN, "not accepted"),
        Ending::Store(_) => (Level::ERROR, "not accepted"),
        Ending::QuotaUsedUp => (Level::ERROR, "not accepted: the quota is used up"),
        Ending::Accepted { .. }
        | Ending::Ignored(_)
        | Ending::Kept
        | Ending::Replied(_)
        | Ending::NoSource
        | Ending::Body(_) => return None,
    })
}

/// Returns the gateway's own advice to the operator.
fn advice(ending: &Ending, source: Option<&Source>, from: Client) -> Option<String> {
    let table = || {
        let name = source.map_or("", |source| &source.name);
        format!("[sources.{name}.limits]")
    };
    Some(match ending {
        Ending::ForeignClient if from.claims_another => {
            "it has X-Forwarded-For: if this is the address of your proxy, name it in trusted_proxies in [gateway]"
                .to_owned()
        }
        Ending::ForeignClient => {
            "if this is the sender's address, add it to the source's `clients`".to_owned()
        }
        Ending::NoToken | Ending::WrongToken => {
            "compare the token at the sender with the source's `token` in the configuration".to_owned()
        }
        Ending::Body(BodyError::TooLarge) => {
            let larger = size_text(2 * source?.limits().body);
            let table = table();
            format!("if such a request is meant to come in, write body = {larger} or more in {table}")
        }
        Ending::RateLimited(_) => format!(
            "if so many are meant to come in, write a higher rate in {}",
            table()
        ),
        Ending::NoRoom(_) => format!(
            "if so many are meant to come in at a time, write more memory in [gateway]; a rate in {} bounds what this source sends",
            table()
        ),
        Ending::NoKey(_) => {
            "the key of the sender cannot be got: see whether this machine reaches the sender's servers"
                .to_owned()
        }
        Ending::QuotaUsedUp => {
            "the plugin fails on requests of unproved senders: look at them with `alert-gateway events list --state failed`; \
             a `token` for the source keeps strangers out"
                .to_owned()
        }
        _ => return None,
    })
}

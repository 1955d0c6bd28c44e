//! Actions: replay and dismiss, of one event, of chosen ones, or of all that wait for an operator.

use serde::{Deserialize, Serialize};

use super::super::caller::Caller;
use super::super::desk::Desk;
use super::super::problem::Problem;
use super::super::query::time;
use super::events::unknown;
use crate::clock::{rfc3339, wall_ms};
use crate::store::{Entry, History, JobKind, Part, Selection, UnknownId, WaitingRequest};

/// The most requests that one action is about.
const MOST: usize = 1000;
/// The longest reason.
const REASON: usize = 500;
/// The entries of the audit among which the one is looked for that came before.
const LOOKED_THROUGH: usize = 200;

/// An action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Failed requests are read again, dead letters are sent again.
    Replay,
    /// Both are given up, with a reason.
    Dismiss,
}

/// The subject of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One event or request.
    One(String),
    /// Failed requests.
    Failed,
    /// Dead letters.
    Dead,
}

/// The body of an action.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asking {
    /// The ids of events or requests.
    #[serde(default)]
    pub ids: Vec<String>,
    /// True for all of them.
    #[serde(default)]
    pub all: bool,
    /// Only what came in at this source; with `all`.
    #[serde(default)]
    pub source: Option<String>,
    /// Only what came in since: RFC 3339, or a duration before now; with `all`.
    #[serde(default)]
    pub since: Option<String>,
    /// Only what came in before: RFC 3339, or a duration before now; with `all`.
    #[serde(default)]
    pub until: Option<String>,
    /// The reason of a dismissal.
    #[serde(default)]
    pub reason: Option<String>,
    /// True if nothing is to be done yet.
    #[serde(default)]
    pub preview: bool,
}

/// The outcome of an action.
#[derive(Debug, Clone, Serialize)]
pub struct Done {
    /// True if nothing was done yet.
    pub preview: bool,
    /// The requests that it is about.
    pub requests: Vec<Affected>,
    /// The number of those that nobody had asked for yet.
    pub asked: usize,
    /// True if there are more, for which it is to be asked again, at once.
    pub more: bool,
}

/// A request that an action is about.
#[derive(Debug, Clone, Serialize)]
pub struct Affected {
    /// The request's id.
    pub request: String,
    /// The source.
    pub source: String,
    /// RFC 3339.
    pub received_at: String,
    /// The fate of it in the action.
    pub effect: String,
}

impl Act {
    /// Returns the action that a path names, with its subject.
    pub fn of(segments: &[&str]) -> Option<(Self, Target)> {
        let act = |word: &str| match word {
            "replay" => Some(Self::Replay),
            "dismiss" => Some(Self::Dismiss),
            _ => None,
        };
        match *segments {
            ["events", id, word] => Some((act(word)?, Target::One(id.to_owned()))),
            ["failed", word] => Some((act(word)?, Target::Failed)),
            ["dead-letters", word] => Some((act(word)?, Target::Dead)),
            _ => None,
        }
    }

    /// Returns its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Dismiss => "dismiss",
        }
    }
}

/// Does what a caller asks, or says what it would do.
pub async fn act(
    desk: &Desk,
    act: Act,
    target: Target,
    asking: Asking,
    caller: &Caller,
) -> Result<Done, Problem> {
    let reason = reason(asking.reason.as_deref())?.unwrap_or_default();
    if act == Act::Dismiss && reason.is_empty() && !asking.preview {
        return Err(Problem::wrong(
            "reason: say why it is dismissed, for whoever looks at it later",
        ));
    }
    check(&target, &asking)?;
    let selection = selection(act, &target, &asking)?;
    let chosen = selection.clone();
    let read = move |history: &History| history.waiting(&chosen);
    let found = desk.readers.read(read).await?;
    let waiting = found.map_err(|UnknownId(id)| unknown(&id))?;
    if waiting.requests.is_empty() {
        return Err(nothing(desk, &target, &asking).await?);
    }
    let affected = waiting.requests.iter().map(|one| Affected::of(act, one));
    let mut done = Done {
        preview: asking.preview,
        requests: affected.collect(),
        asked: 0,
        more: waiting.more,
    };
    if asking.preview {
        return Ok(done);
    }
    let kind = match act {
        Act::Replay => JobKind::Replay,
        Act::Dismiss => JobKind::Dismiss {
            why: reason.clone(),
        },
    };
    let entry = Entry {
        at_ms: wall_ms(),
        who: caller.who.clone(),
        origin: caller.origin.clone(),
        action: act.as_str().to_owned(),
        about: selection.about(&waiting.requests),
        why: (act == Act::Dismiss).then_some(reason),
    };
    let targets = waiting.requests.iter().flat_map(WaitingRequest::targets);
    done.asked = desk
        .about
        .store
        .ask_for(kind, targets.collect(), entry)
        .await?;
    if done.asked == 0 {
        return Err(Problem::conflict(
            "it was asked for already, and is done within a second",
        ));
    }
    Ok(done)
}

/// Returns an operator's reason; none where it is empty.
pub fn reason(text: Option<&str>) -> Result<Option<String>, Problem> {
    let reason = text.map(str::trim).unwrap_or_default();
    if reason.len() > REASON {
        return Err(Problem::wrong(format!("reason: at most {REASON} bytes")));
    }
    Ok((!reason.is_empty()).then(|| reason.to_owned()))
}

/// Checks that what is asked fits its subject.
fn check(target: &Target, asking: &Asking) -> Result<(), Problem> {
    let names = !asking.ids.is_empty();
    let narrows = [&asking.source, &asking.since, &asking.until]
        .into_iter()
        .any(Option::is_some);
    match target {
        Target::One(_) if names || asking.all || narrows => Err(Problem::wrong(
            "the address names the event: ids, all, source, since and until are for failed and dead-letters",
        )),
        Target::One(_) => Ok(()),
        _ if names == asking.all => Err(Problem::wrong(
            "write ids, a list of events or requests, or \"all\": true",
        )),
        _ if names && narrows => Err(Problem::wrong(
            "source, since and until are for \"all\": true",
        )),
        _ if asking.ids.len() > MOST => Err(Problem::wrong(format!("ids: at most {MOST}"))),
        _ => Ok(()),
    }
}

/// Returns what an action is about.
fn selection(act: Act, target: &Target, asking: &Asking) -> Result<Selection, Problem> {
    Ok(Selection {
        ids: match target {
            Target::One(id) => vec![id.clone()],
            _ => asking.ids.clone(),
        },
        part: match target {
            Target::One(_) => Part::All,
            Target::Failed => Part::Failed,
            Target::Dead => Part::Dead,
        },
        source: asking.source.clone(),
        since_ms: time("since", asking.since.as_deref())?,
        until_ms: time("until", asking.until.as_deref())?,
        limit: Some(MOST),
        unasked: Some(act.as_str()),
    })
}

impl Affected {
    fn of(act: Act, one: &WaitingRequest) -> Self {
        Self {
            request: one.request.clone(),
            source: one.source.clone(),
            received_at: one.received_at.clone(),
            effect: match act {
                Act::Replay => one.replayed(),
                Act::Dismiss => one.dismissed(),
            },
        }
    }
}

/// Returns the problem that there is nothing to do, with the operator who did it before.
async fn nothing(desk: &Desk, target: &Target, asking: &Asking) -> Result<Problem, Problem> {
    let ids: Vec<String> = match target {
        Target::One(id) => vec![id.clone()],
        _ => asking.ids.clone(),
    };
    let read = move |history: &History| {
        // The audit may name the request, where its event was asked for.
        let mut names = ids;
        for id in names.clone() {
            names.extend(history.find(&id)?.into_iter().map(|record| record.id));
        }
        let entries = history.audit(None, LOOKED_THROUGH)?;
        Ok(entries.into_iter().map(|(_, entry)| entry).find(|entry| {
            let mut words = entry.about.split_whitespace();
            words.any(|word| names.iter().any(|name| name == word))
        }))
    };
    let before = match desk.readers.read(read).await? {
        Some(Entry {
            at_ms, who, action, ..
        }) => format!(" ({who} asked for {action} at {})", rfc3339(at_ms)),
        None => String::new(),
    };
    Ok(Problem::conflict(format!(
        "there is nothing to do: no request of these has failed, and no alert is a dead letter{before}"
    )))
}

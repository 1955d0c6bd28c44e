//! Actions: replay and dismiss, of one event, of chosen ones, or of all that wait for an operator.

use serde::{Deserialize, Serialize};

use super::super::caller::Caller;
use super::super::desk::Desk;
use super::super::problem::Problem;
use super::events::unknown;
use crate::clock::{rfc3339, wall_ms};
use crate::store::{
    Entry, Filter, History, JobKind, JobTarget, ListedState, RequestRecord, StoreError,
};

/// The most requests that one action is about.
const MOST: usize = 1000;
/// The ids that the audit names of an action.
const NAMED: usize = 20;
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
    /// True if there are more, for which it has to be asked again.
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
    /// What the action does with it.
    pub effect: String,
    #[serde(skip)]
    seq: i64,
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
    let (affected, more) = affected(desk, act, &target, &asking).await?;
    if affected.is_empty() {
        return Err(nothing(desk, &target, &asking).await?);
    }
    let mut done = Done {
        preview: asking.preview,
        requests: affected,
        asked: 0,
        more,
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
        about: about(&target, &done.requests),
        why: (act == Act::Dismiss).then_some(reason),
    };
    let targets = done.requests.iter().map(|one| JobTarget::Request(one.seq));
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
    match target {
        Target::One(_) if names || asking.all || asking.source.is_some() => Err(Problem::wrong(
            "the address names the event: ids, all and source are for failed and dead-letters",
        )),
        Target::One(_) => Ok(()),
        _ if names == asking.all => Err(Problem::wrong(
            "write ids, a list of events or requests, or \"all\": true",
        )),
        _ if names && asking.source.is_some() => Err(Problem::wrong("source is for \"all\": true")),
        _ if asking.ids.len() > MOST => Err(Problem::wrong(format!("ids: at most {MOST}"))),
        _ => Ok(()),
    }
}

/// Returns the requests that an action is about, and whether there are more.
async fn affected(
    desk: &Desk,
    act: Act,
    target: &Target,
    asking: &Asking,
) -> Result<(Vec<Affected>, bool), Problem> {
    let (target, asking) = (target.clone(), asking.clone());
    let read = move |history: &History| -> Result<Result<_, String>, StoreError> {
        let state = match target {
            Target::Failed => Some(ListedState::Failed),
            Target::Dead => Some(ListedState::Dead),
            Target::One(_) => None,
        };
        let ids = match &target {
            Target::One(id) => vec![id.clone()],
            _ => asking.ids,
        };
        let mut affected: Vec<Affected> = Vec::new();
        let mut add = |record: &RequestRecord| {
            if let Some(effect) = effect(act, record, state)
                && affected.iter().all(|one| one.seq != record.seq)
            {
                affected.push(Affected {
                    request: record.id.clone(),
                    source: record.source.clone(),
                    received_at: record.received_at.clone(),
                    effect,
                    seq: record.seq,
                });
            }
        };
        if !asking.all {
            for id in ids {
                let found = history.find(&id)?;
                if found.is_empty() {
                    return Ok(Err(id));
                }
                found.iter().for_each(&mut add);
            }
            return Ok(Ok((affected, false)));
        }
        let page = history.page(&Filter {
            source: asking.source,
            state,
            since_ms: i64::MIN,
            limit: MOST,
            ..Filter::default()
        })?;
        let mut seqs: Vec<i64> = page
            .lines
            .iter()
            .map(|line| line.place.div_euclid(1024))
            .collect();
        seqs.dedup();
        for seq in seqs {
            history.chain(seq)?.iter().for_each(&mut add);
        }
        Ok(Ok((affected, page.next.is_some())))
    };
    desk.readers.read(read).await?.map_err(|id| unknown(&id))
}

/// Returns what an action does with a request; none where there is nothing to do.
fn effect(act: Act, record: &RequestRecord, state: Option<ListedState>) -> Option<String> {
    let is_failed = record.state == "failed" && state != Some(ListedState::Dead);
    let mut dead: Vec<&str> = record
        .alerts
        .iter()
        .flat_map(|alert| &alert.deliveries)
        .filter(|delivery| delivery.state == "dead")
        .map(|delivery| &*delivery.destination)
        .collect();
    if state == Some(ListedState::Failed) {
        dead.clear();
    }
    dead.sort_unstable();
    dead.dedup();
    let names = dead.join(", ");
    match (act, is_failed, dead.is_empty()) {
        (_, false, true) => None,
        (Act::Replay, true, _) => Some("its plugin reads it again".to_owned()),
        (Act::Replay, false, false) => Some(format!(
            "sent to {names} again, after what was delivered meanwhile"
        )),
        (Act::Dismiss, true, _) => Some("given up: no alert is made of it".to_owned()),
        (Act::Dismiss, false, false) => Some(format!("given up: it is not sent to {names}")),
    }
}

/// Returns the words for the audit.
fn about(target: &Target, affected: &[Affected]) -> String {
    let ids: Vec<&str> = affected
        .iter()
        .take(NAMED)
        .map(|one| &*one.request)
        .collect();
    let mut about = match target {
        Target::One(id) => id.clone(),
        Target::Failed => format!("failed requests: {}", ids.join(" ")),
        Target::Dead => format!("dead letters: {}", ids.join(" ")),
    };
    if affected.len() > NAMED {
        about += &format!(" and {} more", affected.len() - NAMED);
    }
    about
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

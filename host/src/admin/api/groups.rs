//! Groups: lists, and the resolving of groups and alerts.

use serde::{Deserialize, Serialize};

use super::super::caller::Caller;
use super::super::cursor::Cursor;
use super::super::desk::Desk;
use super::super::problem::Problem;
use super::super::query::Query;
use super::Paged;
use super::act::reason;
use super::events::unknown;
use crate::clock::wall_ms;
use crate::store::{Entry, GroupFilter, GroupState, Resolution};

/// The letter of the list in its cursors.
const GROUPS: u8 = b'g';

/// The body of an action on one thing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// The operator's reason.
    #[serde(default)]
    pub reason: Option<String>,
}

/// The outcome of a resolve.
#[derive(Debug, Serialize)]
pub struct Resolved {
    /// The number of alerts or groups whose resolve is on its way.
    pub resolved: usize,
}

/// A page of groups, newest first.
pub async fn list(desk: &Desk, query: &[u8]) -> Result<Paged<GroupState>, Problem> {
    let query = Query::parse(query, &["source", "state", "limit", "cursor"])?;
    let is_open = match query.get("state") {
        None => None,
        Some("open") => Some(true),
        Some("resolved") => Some(false),
        Some(_) => return Err(Problem::wrong("state: write open or resolved")),
    };
    let before = match query.get("cursor") {
        Some(text) => Cursor::read(GROUPS, text)?.place,
        None => None,
    };
    let limit = query.limit()?;
    let filter = GroupFilter {
        id: None,
        source: query.get("source").map(str::to_owned),
        is_open,
        before,
        limit: limit + 1,
    };
    let mut rows = desk
        .readers
        .read(move |history| history.groups(&filter))
        .await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|group| {
        let cursor = Cursor {
            place: Some(group.id),
            number: None,
        };
        cursor.write(GROUPS)
    });
    Ok(Paged {
        name: "groups",
        rows,
        next,
    })
}

/// One group.
pub async fn find(desk: &Desk, id: &str) -> Result<GroupState, Problem> {
    let filter = GroupFilter {
        id: Some(number(id)?),
        limit: 1,
        ..GroupFilter::default()
    };
    let mut found = desk
        .readers
        .read(move |history| history.groups(&filter))
        .await?;
    found.pop().ok_or_else(|| missing(id))
}

fn number(id: &str) -> Result<i64, Problem> {
    id.parse().map_err(|_| missing(id))
}

fn missing(id: &str) -> Problem {
    let id: String = id.chars().take(40).collect();
    Problem::missing(format!(
        "no group has the number {id:?}, or it is kept no longer"
    ))
}

/// Resolves a group at its destinations.
pub async fn resolve(
    desk: &Desk,
    id: &str,
    what: &Reason,
    caller: &Caller,
) -> Result<Resolved, Problem> {
    let group = find(desk, id).await?;
    let entry = entry(caller, format!("group {}: {}", group.id, group.key), what)?;
    match desk.about.store.resolve_group(group.id, entry).await? {
        Resolution::Done => Ok(Resolved { resolved: 1 }),
        Resolution::Before | Resolution::NotOpen(_) => {
            Err(Problem::conflict("the group is resolved already"))
        }
    }
}

/// Resolves the alerts of an id, at the destinations that have them or will.
pub async fn resolve_event(
    desk: &Desk,
    id: &str,
    what: &Reason,
    caller: &Caller,
) -> Result<Resolved, Problem> {
    let asked = id.to_owned();
    let found = desk
        .readers
        .read(move |history| history.find(&asked))
        .await?;
    if found.is_empty() {
        return Err(unknown(id));
    }
    let all: Vec<_> = found.iter().flat_map(|request| &request.alerts).collect();
    // The id of a request names all of its alerts.
    let is_event = all.iter().any(|alert| alert.event.event_id == id);
    let entry = entry(caller, id.to_owned(), what)?;
    let mut resolved = 0;
    let mut refused = "it has no alert".to_owned();
    for alert in all {
        if is_event && alert.event.event_id != id {
            continue;
        }
        let store = &desk.about.store;
        match store.resolve_alert(alert.id, entry.clone()).await? {
            Resolution::Done => resolved += 1,
            Resolution::Before => refused = "an operator has resolved it before".to_owned(),
            Resolution::NotOpen(why) => {
                refused = match &alert.group {
                    Some(group) => format!("it is in group {}: resolve that", group.id),
                    None => why.to_owned(),
                }
            }
        }
    }
    if resolved == 0 {
        return Err(Problem::conflict(refused));
    }
    Ok(Resolved { resolved })
}

fn entry(caller: &Caller, about: String, what: &Reason) -> Result<Entry, Problem> {
    Ok(Entry {
        at_ms: wall_ms(),
        who: caller.who.clone(),
        origin: caller.origin.clone(),
        action: "resolve".to_owned(),
        about,
        why: reason(what.reason.as_deref())?,
    })
}

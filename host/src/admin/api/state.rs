//! The state of sources and destinations; and the audit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::super::cursor::Cursor;
use super::super::desk::{Desk, DestinationFacts};
use super::super::problem::Problem;
use super::super::query::Query;
use super::Paged;
use super::events::download;
use crate::clock::rfc3339;
use crate::config::{did_you_mean, listed};
use crate::health::{Breaker, DestinationState};
use crate::http::Answer;
use crate::metrics::{Counts, Quantiles};
use crate::recent::Kind;
use crate::sources::Summary;
use crate::store::{Backlog, Entry, FallsBack, OpenCondition, SourceRecord, Traced};

/// The letter of the audit in its cursors.
const AUDIT: u8 = b'a';
/// The most entries of the audit in one file.
pub const FILED: usize = 10_000;

/// All sources.
#[derive(Debug, Serialize)]
pub struct Sources {
    /// Those that are configured, in the order of their names.
    pub sources: Vec<SourceState>,
    /// Requests to paths that no source has, newest first.
    pub unknown_paths: Vec<Traced>,
}

/// A source and how it does.
#[derive(Debug, Serialize)]
pub struct SourceState {
    /// As it is configured.
    #[serde(flatten)]
    pub summary: Summary,
    /// The time when it was heard last: RFC 3339.
    pub last_heard: Option<String>,
    /// True if nothing came for longer than it is expected.
    pub missed_heartbeat: bool,
    /// Its failed requests.
    pub failed: i64,
    /// The last hour.
    pub last_hour: Counts,
    /// The last day.
    pub last_day: Counts,
    /// The last requests that were rejected, newest first.
    pub rejected: Vec<Traced>,
}

/// A destination and how it does.
#[derive(Debug, Serialize)]
pub struct Destination {
    /// As it is configured.
    #[serde(flatten)]
    pub facts: DestinationFacts,
    /// The state of its circuit breaker; none before it has started.
    pub state: Option<DestinationState>,
    /// The beginning of that state: RFC 3339.
    pub since: Option<String>,
    /// The first failed attempt since it accepted an alert: RFC 3339.
    pub failing_since: Option<String>,
    /// The reason of the last failed attempt, and what fixes it.
    pub why: Option<String>,
    /// The time of the next attempt, while its circuit breaker is open and none is under way: RFC
    /// 3339.
    pub next_attempt: Option<String>,
    /// Its circuit breaker; none before it has started.
    pub breaker: Option<Breaker>,
    /// The time that attempts took in the last hour, as far as this gateway has run for it; none
    /// where there was none.
    pub attempt_ms: Option<Quantiles>,
    /// The alerts that wait for it.
    pub pending: i64,
    /// True if more may wait than were counted.
    pub pending_is_at_least: bool,
    /// The time when the oldest of them was received: RFC 3339.
    pub oldest_pending: Option<String>,
    /// The fallback that gets the first of them, and when; none where there is none, or it has all of
    /// them.
    pub next_fallback: Option<FallsBack>,
    /// Its dead letters.
    pub dead: i64,
    /// The time of its last receipt, as far as that is among the newest attempts of all: RFC 3339.
    pub last_receipt: Option<String>,
    /// The alerts that it accepted in the last hour.
    pub delivered_last_hour: u32,
    /// The alerts that it accepted in the last day.
    pub delivered_last_day: u32,
}

/// An entry of the audit.
#[derive(Debug, Serialize)]
pub struct Audited {
    /// RFC 3339.
    pub at: String,
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
}

/// All sources, and requests to none.
pub async fn sources(desk: &Desk) -> Result<Sources, Problem> {
    let (records, conditions) = desk
        .readers
        .read(|history| Ok((history.sources()?, history.conditions()?)))
        .await?;
    Ok(sources_with(desk, &records, &conditions))
}

/// The same, with what the store has of them; nothing where it cannot be read.
pub fn sources_with(
    desk: &Desk,
    records: &[SourceRecord],
    conditions: &[OpenCondition],
) -> Sources {
    let heard = desk.about.health.last_heard();
    let activity = &desk.about.metrics.activity;
    let recent = &desk.about.recent;
    let all_rejected = recent.list(|entry| entry.kind == Kind::Rejected);
    let mut sources: Vec<SourceState> = desk
        .sources()
        .iter()
        .map(|summary| {
            let name = &summary.name;
            let record = records.iter().find(|record| record.name == **name);
            let last_heard_ms = heard
                .get(name)
                .map(|heard| heard.at_ms)
                .or_else(|| record.and_then(|record| record.last_seen));
            let series = activity.of_source(name);
            let key = format!("missed-heartbeat/{name}");
            let rejected = all_rejected
                .iter()
                .filter(|entry| entry.trace.source == *name);
            SourceState {
                last_heard: last_heard_ms.map(rfc3339),
                missed_heartbeat: conditions.iter().any(|condition| condition.key == key),
                failed: record.map_or(0, |record| record.failed),
                last_hour: series.hour(),
                last_day: series.day(),
                rejected: rejected.map(|entry| Traced::of(entry)).collect(),
                summary: summary.clone(),
            }
        })
        .collect();
    sources.sort_by(|one, other| one.summary.name.cmp(&other.summary.name));
    let unknown = recent.list(|entry| matches!(entry.kind, Kind::NearMiss | Kind::NoSource));
    Sources {
        sources,
        unknown_paths: unknown.iter().map(|entry| Traced::of(entry)).collect(),
    }
}

/// One source.
pub async fn source(desk: &Desk, name: &str) -> Result<SourceState, Problem> {
    let found = sources(desk).await?.sources.into_iter();
    let known: Vec<Arc<str>> = desk
        .sources()
        .iter()
        .map(|one| Arc::clone(&one.name))
        .collect();
    let mut found = found.filter(|source| *source.summary.name == *name);
    found.next().ok_or_else(|| {
        let names = || known.iter().map(|name| &**name);
        let near = did_you_mean(name, names())
            .map_or_else(String::new, |near| format!("; did you mean {near}?"));
        Problem::missing(format!(
            "no source has this name; there are {}{near}",
            listed(names(), "and")
        ))
    })
}

/// All destinations, in the order of the configuration; and removed ones with alerts that wait or are
/// dead letters.
pub async fn destinations(desk: &Desk) -> Result<Vec<Destination>, Problem> {
    let (backlog, dead, receipts) = desk
        .readers
        .read(|history| {
            Ok((
                history.backlog()?,
                history.dead()?,
                history.last_receipts()?,
            ))
        })
        .await?;
    Ok(destinations_with(desk, &backlog, &dead, &receipts))
}

/// The same, with what the store has for them; nothing where it cannot be read.
pub fn destinations_with(
    desk: &Desk,
    (backlog, is_cut): &(Vec<Backlog>, bool),
    dead: &[(String, i64)],
    receipts: &[(String, String)],
) -> Vec<Destination> {
    let board = desk.about.health.read();
    let activity = &desk.about.metrics.activity;
    let catalogue = desk.catalogue();
    let waiting_for = |name: &str| backlog.iter().find(|one| one.destination == name);
    let dead_of = |name: &str| {
        let found = dead.iter().find(|(known, _)| known == name);
        found.map_or(0, |(_, dead)| *dead)
    };
    let last_receipt_of = |name: &str| {
        let found = receipts.iter().find(|(known, _)| known == name);
        found.map(|(_, at)| at.clone())
    };
    let destinations = catalogue.destinations.iter().map(|facts| {
        let health = board.destinations.get(&facts.name);
        let waiting = waiting_for(&facts.name);
        let series = activity.of_destination(&facts.name);
        Destination {
            state: health.map(|health| health.state),
            since: health.map(|health| health.since.clone()),
            failing_since: health.and_then(|health| health.failing_since.clone()),
            why: health.and_then(|health| health.why.clone()),
            next_attempt: health.and_then(|health| health.next_probe.clone()),
            breaker: board.breakers.get(&facts.name).cloned(),
            attempt_ms: desk.about.metrics.durations.of(&facts.name),
            pending: waiting.map_or(0, |waiting| waiting.pending),
            pending_is_at_least: *is_cut,
            oldest_pending: waiting.map(|waiting| waiting.oldest.clone()),
            next_fallback: waiting
                .and_then(|waiting| waiting.waits_since)
                .and_then(|since| facts.falls_back(since)),
            dead: dead_of(&facts.name),
            last_receipt: last_receipt_of(&facts.name),
            delivered_last_hour: series.hour().delivered,
            delivered_last_day: series.day().delivered,
            facts: facts.clone(),
        }
    });
    let mut removed: BTreeSet<&str> = backlog.iter().map(|one| &*one.destination).collect();
    removed.extend(
        dead.iter()
            .filter(|(_, dead)| *dead > 0)
            .map(|(name, _)| &**name),
    );
    for facts in &catalogue.destinations {
        removed.remove(&*facts.name);
    }
    let removed = removed.into_iter().map(|name| Destination {
        facts: DestinationFacts::removed(name),
        // Only an operator can fix it.
        state: Some(DestinationState::Held),
        since: None,
        failing_since: None,
        why: Some(
            "the configuration has no destination of this name; give one this name again, and what waits goes to it"
                .to_owned(),
        ),
        next_attempt: None,
        breaker: None,
        attempt_ms: None,
        pending: waiting_for(name).map_or(0, |waiting| waiting.pending),
        pending_is_at_least: *is_cut,
        oldest_pending: waiting_for(name).map(|waiting| waiting.oldest.clone()),
        next_fallback: None,
        dead: dead_of(name),
        last_receipt: last_receipt_of(name),
        delivered_last_hour: 0,
        delivered_last_day: 0,
    });
    destinations.chain(removed).collect()
}

/// A page of the audit, newest first.
pub async fn audit(desk: &Desk, query: &[u8]) -> Result<Paged<Audited>, Problem> {
    let query = Query::parse(query, &["limit", "cursor"])?;
    let before = match query.get("cursor") {
        Some(text) => Cursor::read(AUDIT, text)?.place,
        None => None,
    };
    let limit = query.limit()?;
    let mut entries = desk
        .readers
        .read(move |history| history.audit(before, limit + 1))
        .await?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| more).map(|(id, _)| {
        let cursor = Cursor {
            place: Some(*id),
            number: None,
        };
        cursor.write(AUDIT)
    });
    let rows = entries.into_iter().map(|(_, entry)| Audited {
        at: rfc3339(entry.at_ms),
        entry,
    });
    Ok(Paged {
        name: "audit",
        rows: rows.collect(),
        next,
    })
}

/// The newest entries of the audit as a file, newest first: a line of JSON for each.
pub async fn audit_file(desk: &Desk) -> Result<Answer, Problem> {
    let entries = desk
        .readers
        .read(|history| history.audit(None, FILED))
        .await?;
    let mut lines = String::new();
    for (_, entry) in entries {
        let line = Audited {
            at: rfc3339(entry.at_ms),
            entry,
        };
        lines += &serde_json::to_string(&line).unwrap_or_default();
        lines.push('\n');
    }
    Ok(download(lines, "attachment; filename=\"audit.jsonl\""))
}

/// The configuration as understood, without secrets.
#[derive(Debug, Serialize)]
pub struct Configuration {
    /// The file.
    pub file: String,
    /// Keys and what they mean.
    pub settings: BTreeMap<&'static str, String>,
    /// The destinations, in the order of the file.
    pub destinations: Vec<DestinationFacts>,
    /// The sources of the configuration in force.
    pub sources: Vec<Summary>,
}

/// The configuration as understood.
pub fn configuration(desk: &Desk) -> Configuration {
    let catalogue = desk.catalogue();
    Configuration {
        file: desk.facts.file.clone(),
        settings: catalogue.settings.iter().cloned().collect(),
        destinations: catalogue.destinations.clone(),
        sources: catalogue.sources.to_vec(),
    }
}

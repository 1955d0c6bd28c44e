//! Events: what came in and what became of it, from the store and from memory in one list.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, HeaderValue};
use plugin_sdk::contract::Priority;
use serde::Serialize;

use super::super::cursor::{Cursor, END};
use super::super::desk::Desk;
use super::super::problem::Problem;
use super::super::query::Query;
use super::super::readers::PATIENCE;
use super::Paged;
use crate::clock::rfc3339;
use crate::config::{did_you_mean, listed};
use crate::health::HeldUp;
use crate::http::{self, Answer};
use crate::recent::{Entry, Kind, Trace};
use crate::sources::RequestMask;
use crate::store::{
    AttemptRecord, Count, DeliveryRecord, Filter, GroupFilter, History, Line, ListedState, MutedBy,
    RequestRecord, StoreError, Traced,
};

/// The letters of the lists in their cursors.
const EVENTS: u8 = b'e';
const FAILED: u8 = b'f';
const DEAD: u8 = b'd';

/// The parameters of `events`.
const PARAMETERS: [&str; 12] = [
    "source", "key", "state", "priority", "label", "since", "until", "q", "group", "mute", "limit",
    "cursor",
];
/// The time that a look for the events of one key may take.
const KEY_PATIENCE: Duration = Duration::from_millis(10);

/// A row of a list of events.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// The event, or a request without one.
    #[serde(flatten)]
    pub line: Line,
    /// The state of each delivery.
    pub deliveries: Vec<DeliveryRecord>,
    /// The last attempt at each delivery that is a dead letter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rejected_by: Vec<AttemptRecord>,
    /// The group of a member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<ListedGroup>,
    /// The mute that holds it, or did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mute: Option<MutedBy>,
    /// The request itself, where only memory has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<Box<Trace>>,
}

/// The group of an event.
#[derive(Debug, Clone, Serialize)]
pub struct ListedGroup {
    /// Its number.
    pub id: i64,
    /// The number of its events.
    pub events: u64,
}

/// All that is known of an event or a request.
#[derive(Debug, Serialize)]
pub struct Chain {
    /// The id that was asked for.
    pub id: String,
    /// The requests that it names, from the store.
    pub requests: Vec<Shown>,
    /// The request that it names, where only memory has it.
    pub traced: Vec<Traced>,
}

/// A request as it may be seen.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// The request, and what came of it.
    #[serde(flatten)]
    pub record: RequestRecord,
    /// Its URL, without credentials.
    pub url: String,
    /// Its headers, without credentials.
    pub headers: Vec<(String, String)>,
    /// The number of bytes of its body.
    pub body_bytes: usize,
}

impl Shown {
    fn of(record: RequestRecord, mask: &RequestMask) -> Self {
        let headers: Vec<(String, String)> =
            serde_json::from_str(&record.headers).unwrap_or_default();
        Self {
            url: mask.url(&record.url),
            headers: mask.headers(headers),
            body_bytes: record.body.len(),
            record,
        }
    }
}

/// Returns the state that a word means.
pub fn state(text: &str) -> Result<ListedState, Problem> {
    let words = || ListedState::ALL.into_iter().map(ListedState::as_str);
    let found = ListedState::ALL
        .into_iter()
        .find(|state| state.as_str() == text);
    found.ok_or_else(|| {
        let near = did_you_mean(text, words())
            .map_or_else(String::new, |near| format!("; did you mean {near}?"));
        Problem::wrong(format!("state: write {}{near}", listed(words(), "or")))
    })
}

/// Returns the priority that a word means.
fn priority(text: &str) -> Result<Priority, Problem> {
    Priority::named(text).ok_or_else(|| {
        let words = Priority::ALL.map(Priority::as_str);
        Problem::wrong(format!("priority: write {}", listed(words, "or")))
    })
}

/// Reads the parameters of a list of events.
fn filter(query: &[u8]) -> Result<(Filter, Cursor), Problem> {
    let query = Query::parse(query, &PARAMETERS)?;
    let state = query.get("state").map(state).transpose()?;
    let cursor = match query.get("cursor") {
        Some(text) => Cursor::read(EVENTS, text)?,
        None => Cursor::default(),
    };
    let source = query.get("source").map(str::to_owned);
    let key = query.get("key").map(str::to_owned);
    if key.is_some() && source.is_none() {
        return Err(Problem::wrong("key: name its source, too"));
    }
    let filter = Filter {
        source,
        key,
        state,
        priority: query.get("priority").map(priority).transpose()?,
        labels: query.labels()?,
        text: query.get("q").map(|text| text.trim().to_owned()),
        since_ms: query.time("since")?.unwrap_or(i64::MIN),
        until_ms: query.time("until")?,
        before: cursor.place,
        from: None,
        group: query.get("group").map(str::to_owned),
        mute: query.number("mute")?,
        limit: query.limit()?,
        patience: Some(PATIENCE),
    };
    Ok((filter, cursor))
}

/// A page of events, newest first.
pub async fn list(desk: &Desk, query: &[u8]) -> Result<Paged<Listed>, Problem> {
    let (filter, cursor) = filter(query)?;
    let traced = traced(desk, &filter, cursor.number);
    let limit = filter.limit;
    let (lines, next) = page(desk, filter).await?;
    Ok(merged(lines, next, &traced, cursor, limit))
}

/// The number of events in each state that a list has without its own state, from the store and
/// from memory; none where it looks for labels or a text, which takes a search.
pub async fn counts(desk: &Desk, query: &[u8]) -> Result<Vec<Count>, Problem> {
    let (filter, _) = filter(query)?;
    if filter.text.is_some() || !filter.labels.is_empty() {
        return Ok(Vec::new());
    }
    let filter = Filter {
        before: None,
        state: None,
        ..filter
    };
    let asked = filter.clone();
    let mut counts = desk
        .readers
        .read(move |history| history.counts(&asked))
        .await?;
    for count in &mut counts {
        let of_state = Filter {
            state: count.state,
            ..filter.clone()
        };
        count.events += traced(desk, &of_state, None).len() as i64;
    }
    Ok(counts)
}

/// Returns what memory has of a list, newest first.
fn traced(desk: &Desk, filter: &Filter, before: Option<u64>) -> Vec<Arc<Entry>> {
    let kinds: &[Kind] = match filter.state {
        // What scanners ask for would bury all else.
        None => &[Kind::Rejected, Kind::Ignored, Kind::NearMiss],
        Some(ListedState::Rejected) => &[Kind::Rejected, Kind::NearMiss, Kind::NoSource],
        Some(ListedState::Ignored) => &[Kind::Ignored],
        Some(_) => return Vec::new(),
    };
    let text = filter.text.as_ref().map(|text| text.to_lowercase());
    let says = |trace: &Trace| {
        text.as_ref().is_none_or(|text| {
            [&*trace.reason, &*trace.url, &*trace.client, &*trace.request]
                .iter()
                .any(|found| found.to_lowercase().contains(text))
        })
    };
    desk.about.recent.list(|entry| {
        kinds.contains(&entry.kind)
            && filter.labels.is_empty()
            && filter.key.is_none()
            && filter.priority.is_none()
            && filter
                .source
                .as_ref()
                .is_none_or(|source| **source == *entry.trace.source)
            && entry.at_ms >= filter.since_ms
            && filter.until_ms.is_none_or(|until| entry.at_ms < until)
            && before.is_none_or(|before| entry.number < before)
            && says(&entry.trace)
    })
}

/// Joins what the store and what memory have, newest first.
fn merged(
    lines: Vec<Listed>,
    next: Option<i64>,
    traced: &[Arc<Entry>],
    cursor: Cursor,
    limit: usize,
) -> Paged<Listed> {
    let mut rows = Vec::with_capacity(limit);
    let mut cursor = cursor;
    let mut lines = lines.into_iter().peekable();
    let mut traced = traced.iter().peekable();
    while rows.len() < limit {
        let is_older = |line: &Listed, entry: &Entry| line.line.received_at < rfc3339(entry.at_ms);
        let from_memory = match (lines.peek(), traced.peek()) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(line), Some(entry)) => is_older(line, entry),
        };
        if from_memory {
            let Some(entry) = traced.next() else { break };
            cursor.number = Some(entry.number);
            rows.push(Listed::traced(entry));
        } else {
            let Some(line) = lines.next() else { break };
            cursor.place = Some(line.line.place);
            rows.push(line);
        }
    }
    let store_is_done = lines.peek().is_none();
    if store_is_done {
        cursor.place = Some(next.unwrap_or(END));
    }
    let more = !store_is_done || next.is_some() || traced.peek().is_some();
    Paged {
        name: "events",
        rows,
        next: more.then(|| cursor.write(EVENTS)),
    }
}

impl Listed {
    fn traced(entry: &Arc<Entry>) -> Self {
        Self {
            line: Traced::of(entry).line(),
            deliveries: Vec::new(),
            rejected_by: Vec::new(),
            group: None,
            mute: None,
            trace: Some(Box::new(entry.trace.clone())),
        }
    }

    fn stored(history: &History, line: Line) -> Result<Self, StoreError> {
        let deliveries = match line.event_id {
            Some(_) => history.deliveries(line.place)?,
            None => Vec::new(),
        };
        Ok(Self {
            line,
            deliveries,
            rejected_by: Vec::new(),
            group: None,
            mute: None,
            trace: None,
        })
    }

    /// Adds the group or the mute of an alert that is not delivered by itself. `known` are the groups
    /// that were read for other rows.
    fn with_quiet(
        mut self,
        history: &History,
        known: &mut BTreeMap<i64, u64>,
    ) -> Result<Self, StoreError> {
        let (group, mute) = history.quiet(self.line.place)?;
        self.mute = mute;
        let Some(id) = group else {
            return Ok(self);
        };
        let events = match known.get(&id) {
            Some(events) => *events,
            None => {
                let filter = GroupFilter {
                    id: Some(id),
                    limit: 1,
                    ..GroupFilter::default()
                };
                let found = history.groups(&filter)?;
                found.first().map_or(0, |group| group.events)
            }
        };
        known.insert(id, events);
        self.group = Some(ListedGroup { id, events });
        Ok(self)
    }

    /// Adds the last attempt at each delivery that is a dead letter.
    fn with_rejections(mut self, history: &History) -> Result<Self, StoreError> {
        let alert = history.alert(self.line.place)?;
        let attempts = alert.map(|alert| alert.attempts).unwrap_or_default();
        for delivery in self.deliveries.iter().filter(|one| one.state == "dead") {
            let last = attempts
                .iter()
                .rfind(|attempt| attempt.destination == delivery.destination);
            self.rejected_by.extend(last.cloned());
        }
        Ok(self)
    }
}

async fn page(desk: &Desk, filter: Filter) -> Result<(Vec<Listed>, Option<i64>), Problem> {
    let read = move |history: &History| {
        let page = history.page(&filter)?;
        let is_dead = filter.state == Some(ListedState::Dead);
        let mut groups = BTreeMap::new();
        let rows = page.lines.into_iter().map(|line| {
            let row = Listed::stored(history, line)?;
            match &*row.line.state {
                "grouped" | "muted" => row.with_quiet(history, &mut groups),
                _ if is_dead => row.with_rejections(history),
                _ => Ok(row),
            }
        });
        let rows: Vec<_> = rows.collect::<Result<_, StoreError>>()?;
        Ok((rows, page.next))
    };
    desk.readers.read(read).await
}

/// A page of failed requests, newest first.
pub async fn failed(desk: &Desk, query: &[u8]) -> Result<Paged<Listed>, Problem> {
    waiting(desk, query, ListedState::Failed, FAILED, "failed").await
}

/// A page of dead letters, newest first.
pub async fn dead_letters(desk: &Desk, query: &[u8]) -> Result<Paged<Listed>, Problem> {
    waiting(desk, query, ListedState::Dead, DEAD, "dead_letters").await
}

async fn waiting(
    desk: &Desk,
    query: &[u8],
    state: ListedState,
    letter: u8,
    name: &'static str,
) -> Result<Paged<Listed>, Problem> {
    let query = Query::parse(query, &["source", "limit", "cursor"])?;
    let cursor = match query.get("cursor") {
        Some(text) => Cursor::read(letter, text)?,
        None => Cursor::default(),
    };
    let filter = Filter {
        source: query.get("source").map(str::to_owned),
        state: Some(state),
        since_ms: i64::MIN,
        before: cursor.place,
        limit: query.limit()?,
        patience: Some(PATIENCE),
        ..Filter::default()
    };
    let (rows, next) = page(desk, filter).await?;
    let next = next.map(|place| {
        let cursor = Cursor {
            place: Some(place),
            number: None,
        };
        cursor.write(letter)
    });
    Ok(Paged { name, rows, next })
}

/// All that is known of the event or the request with this id.
pub async fn find(desk: &Desk, id: &str) -> Result<Chain, Problem> {
    let traced = desk.about.recent.list(|entry| entry.trace.request == id);
    let asked = id.to_owned();
    let mut found = desk
        .readers
        .read(move |history| {
            let mut found = history.find(&asked)?;
            history.add_keys(&mut found, KEY_PATIENCE)?;
            Ok(found)
        })
        .await?;
    if found.is_empty() && traced.is_empty() {
        return Err(unknown(id));
    }
    add_held_up(desk, &mut found);
    let destinations = &desk.catalogue().destinations;
    for request in &mut found {
        request.add_answer(&desk.about.recent.answers);
        for alert in &mut request.alerts {
            alert.add_fallbacks(|name, since| {
                let mut all = destinations.iter();
                all.find(|one| one.name == name)?.falls_back(since)
            });
        }
    }
    let requests = found
        .into_iter()
        .map(|record| {
            let mask = desk.mask(&record.source);
            Shown::of(record, &mask)
        })
        .collect();
    Ok(Chain {
        id: id.to_owned(),
        requests,
        traced: traced.iter().map(|entry| Traced::of(entry)).collect(),
    })
}

/// Tells pending deliveries the state of a destination that takes no alert now.
fn add_held_up(desk: &Desk, requests: &mut [RequestRecord]) {
    let board = desk.about.health.read();
    for delivery in requests.iter_mut().flat_map(RequestRecord::waiting) {
        let health = board.destinations.get(&delivery.destination);
        let breaker = board.breakers.get(&delivery.destination);
        delivery.held_up = health.and_then(|health| HeldUp::of(health, breaker));
    }
}

/// The answer where nothing has this id.
pub fn unknown(id: &str) -> Problem {
    let id: String = id.chars().take(100).collect();
    Problem::missing(format!(
        "no event and no request has the id {id:?}, or it is kept no longer"
    ))
}

/// The one request that an id names, with its content.
pub async fn one(desk: &Desk, id: &str) -> Result<RequestRecord, Problem> {
    let asked = id.to_owned();
    let mut found = desk
        .readers
        .read(move |history| history.find(&asked))
        .await?;
    let Some(record) = found.pop() else {
        return Err(unknown(id));
    };
    if !found.is_empty() {
        let ids = found.iter().chain([&record]).map(|record| &*record.id);
        return Err(Problem::conflict(format!(
            "it is in several requests; name one: {}",
            listed(ids, "or")
        )));
    }
    match record.evicted {
        Some(evicted) => Err(Problem::new(StatusCode::GONE, evicted)),
        None => Ok(record),
    }
}

/// The body of one request, byte for byte; of one that only memory has, its beginning.
pub async fn body(desk: &Desk, id: &str) -> Result<Answer, Problem> {
    let traced = desk.about.recent.list(|entry| entry.trace.request == id);
    let Some(entry) = traced.into_iter().next() else {
        let record = one(desk, id).await?;
        return Ok(download(record.body, "attachment; filename=\"body\""));
    };
    let Some(body) = entry.body.clone() else {
        return Err(Problem::missing(
            "the body of this request was not read, or is one that `redact_stored` would mask: memory has none of it",
        ));
    };
    let is_whole = entry.trace.body_bytes == Some(body.len() as u64);
    Ok(download(
        desk.mask(&entry.trace.source).body(body),
        match is_whole {
            true => "attachment; filename=\"body\"",
            false => "attachment; filename=\"beginning-of-body\"",
        },
    ))
}

/// Returns bytes as a file. Anything of a sender may stand in them, so that no browser is to take
/// them for a page.
pub fn download(content: impl Into<Bytes>, disposition: &'static str) -> Answer {
    let mut answer = http::answer(StatusCode::OK, "application/octet-stream", content);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    answer
}

//! Work that waits for an operator: failed requests and dead letters, chosen by their ids or by a
//! filter. The command line and the admin listener choose by it, so both mean the same.

use super::{Filter, History, ListedState, RequestRecord};
use crate::clock::rfc3339;
use crate::store::jobs::{self, JobTarget, Part};
use crate::store::{ALERTS_PER_REQUEST, StoreError};

/// The ids that a description names.
const NAMED: usize = 20;

/// The lines that are read at once.
const PAGE: usize = 1000;

/// The choice of an operator.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The ids of requests or events; none where the filter chooses.
    pub ids: Vec<String>,
    /// The part that is meant: failed requests, dead letters, or both.
    pub part: Part,
    /// Only what came in at this source.
    pub source: Option<String>,
    /// Only what was received at or after this: Unix milliseconds.
    pub since_ms: Option<i64>,
    /// Only what was received before this: Unix milliseconds.
    pub until_ms: Option<i64>,
    /// The most requests that a filter chooses, the oldest ones, so that one choice after the other
    /// keeps their order; all where there is none.
    pub limit: Option<usize>,
    /// The kind of job for which a filter leaves out what it was asked for already, where anything
    /// else is left.
    pub unasked: Option<&'static str>,
}

/// The requests of a selection for which there is something to do.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    /// The requests, in the order in which they came in, so that a replay keeps it.
    pub requests: Vec<WaitingRequest>,
    /// True if the limit left some out.
    pub more: bool,
}

/// A failed request, or one that has dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingRequest {
    /// The store's number of the request.
    pub seq: i64,
    /// The request's id.
    pub request: String,
    /// The source.
    pub source: String,
    /// RFC 3339.
    pub received_at: String,
    /// True if it failed, and failed requests are meant.
    pub failed: bool,
    /// The destinations that rejected alerts of it for good, where dead letters are meant.
    pub dead: Vec<String>,
}

/// An id that names no request and no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no request and no event has the id {0}")]
pub struct UnknownId(pub String);

impl History {
    /// Returns what waits for an operator within a selection.
    ///
    /// # Errors
    /// The disk's; or, inside, an unknown id.
    pub fn waiting(&self, selection: &Selection) -> Result<Result<Waiting, UnknownId>, StoreError> {
        let mut waiting = Waiting::default();
        let mut seqs: Vec<i64> = Vec::new();
        if selection.ids.is_empty() {
            for state in selection.part.states() {
                self.chosen(selection.filter(state), &mut seqs)?;
            }
        } else {
            for id in &selection.ids {
                let found = super::named(&self.connection, id)?;
                if found.is_empty() {
                    return Ok(Err(UnknownId(id.clone())));
                }
                seqs.extend(found);
            }
        }
        seqs.sort_unstable();
        seqs.dedup();
        if let Some(kind) = selection.unasked.filter(|_| selection.ids.is_empty()) {
            let asked = jobs::asked_for(&self.connection, kind)?;
            let is_asked = |seq: &i64| {
                let target = |part| JobTarget::Request { seq: *seq, part };
                asked.contains(&target(Part::All)) || asked.contains(&target(selection.part))
            };
            if !seqs.iter().all(is_asked) {
                seqs.retain(|seq| !is_asked(seq));
            }
        }
        if let Some(limit) = selection.limit.filter(|_| selection.ids.is_empty()) {
            waiting.more = seqs.len() > limit;
            seqs.truncate(limit);
        }
        for seq in seqs {
            if let Some(record) = self.chain(seq)? {
                waiting
                    .requests
                    .extend(WaitingRequest::of(&record, selection.part));
            }
        }
        Ok(Ok(waiting))
    }

    /// Adds the numbers of all requests that fit a filter. Their lines are read a page at a time, as
    /// they may be more than the memory holds.
    fn chosen(&self, mut filter: Filter, seqs: &mut Vec<i64>) -> Result<(), StoreError> {
        loop {
            let page = self.page(&filter)?;
            let places = page.lines.iter().map(|line| line.place);
            seqs.extend(places.map(|place| place.div_euclid(ALERTS_PER_REQUEST as i64)));
            if page.next.is_none() {
                return Ok(());
            }
            filter.before = page.next;
        }
    }
}

impl Selection {
    fn filter(&self, state: ListedState) -> Filter {
        Filter {
            source: self.source.clone(),
            state: Some(state),
            since_ms: self.since_ms.unwrap_or(i64::MIN),
            until_ms: self.until_ms,
            limit: PAGE,
            ..Filter::default()
        }
    }

    /// Describes the selection and what it has chosen, for the audit.
    pub fn about(&self, chosen: &[WaitingRequest]) -> String {
        let ids = chosen.iter().take(NAMED).map(|one| &*one.request);
        let named = match self.ids.as_slice() {
            [] => ids.collect::<Vec<_>>().join(" "),
            given => given
                .iter()
                .take(NAMED)
                .cloned()
                .collect::<Vec<_>>()
                .join(" "),
        };
        let count = if self.ids.is_empty() {
            chosen.len()
        } else {
            self.ids.len()
        };
        let more = match count.saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        if !self.ids.is_empty() && self.part == Part::All {
            return named + &more;
        }
        let mut about = match self.part {
            Part::All => "failed requests and dead letters",
            Part::Failed => "failed requests",
            Part::Dead => "dead letters",
        }
        .to_owned();
        if let Some(source) = &self.source {
            about += &format!(" of source {source}");
        }
        if let Some(since_ms) = self.since_ms {
            about += &format!(" since {}", rfc3339(since_ms));
        }
        if let Some(until_ms) = self.until_ms {
            about += &format!(" before {}", rfc3339(until_ms));
        }
        format!("{about}: {named}{more}")
    }
}

impl WaitingRequest {
    /// Returns the parts of a request that wait; none where there is nothing to do.
    fn of(record: &RequestRecord, part: Part) -> Option<Self> {
        let failed = record.state == "failed" && part != Part::Dead;
        let deliveries = record.alerts.iter().flat_map(|alert| &alert.deliveries);
        let mut dead: Vec<String> = deliveries
            .filter(|delivery| part != Part::Failed && delivery.state == "dead")
            .map(|delivery| delivery.destination.clone())
            .collect();
        dead.sort_unstable();
        dead.dedup();
        (failed || !dead.is_empty()).then(|| Self {
            seq: record.seq,
            request: record.id.clone(),
            source: record.source.clone(),
            received_at: record.received_at.clone(),
            failed,
            dead,
        })
    }

    /// Returns the jobs that do it, of which each is one part.
    pub fn targets(&self) -> impl Iterator<Item = JobTarget> {
        let failed = self.failed.then_some(Part::Failed);
        let dead = (!self.dead.is_empty()).then_some(Part::Dead);
        let seq = self.seq;
        let parts = failed.into_iter().chain(dead);
        parts.map(move |part| JobTarget::Request { seq, part })
    }

    /// Says what a replay does with it.
    pub fn replayed(&self) -> String {
        self.effect("its plugin reads it again", |names| {
            format!("sent to {names} again, after what was delivered meanwhile")
        })
    }

    /// Says what a dismissal does with it.
    pub fn dismissed(&self) -> String {
        self.effect("given up: no alert is made of it", |names| {
            format!("given up: it is not sent to {names}")
        })
    }

    fn effect(&self, failed: &str, dead: impl FnOnce(&str) -> String) -> String {
        let failed = self.failed.then(|| failed.to_owned());
        let dead = (!self.dead.is_empty()).then(|| dead(&self.dead.join(", ")));
        failed
            .into_iter()
            .chain(dead)
            .collect::<Vec<_>>()
            .join("; ")
    }
}

impl Part {
    fn states(self) -> impl Iterator<Item = ListedState> {
        let failed = (self != Self::Dead).then_some(ListedState::Failed);
        let dead = (self != Self::Failed).then_some(ListedState::Dead);
        failed.into_iter().chain(dead)
    }
}

//! Keeping a request and the alerts made of it.

use std::sync::Arc;

use rusqlite::params;

use super::StoreError;
use super::ahead::{Turn, Wanted};
use super::alerts::{Origin, keep_alerts};
use super::command::Command;
use super::ids::request_id;
use super::internal;
use super::put::plugin;
use super::request::{Appended, Failure, NewRequest, PluginId, PluginRecord, Reading};
use super::step::Step;

/// Appends a request; its alerts are due at `now_ms`, on the store's clock.
#[derive(Debug)]
pub struct Append {
    pub request: NewRequest,
    pub reading: Reading,
    pub now_ms: i64,
}

/// Makes a plugin known, or finds it.
#[derive(Debug)]
pub struct Plugin(pub PluginRecord);

impl Command for Append {
    /// An error is of this request alone.
    type Output = Result<Appended, StoreError>;

    const TURN: Turn = Turn::Appends;

    fn foresee(&self, wanted: &mut Wanted) {
        foresee(&self.reading, wanted);
    }

    fn run(&self, step: &mut Step<'_>) -> Result<Self::Output, StoreError> {
        let Self {
            request,
            reading,
            now_ms,
        } = self;
        if let Reading::Failed(failure) = reading
            && is_too_much(step, request, failure)?
        {
            return Ok(Err(StoreError::Unproven(request.source.clone())));
        }
        append(step, request, reading, *now_ms).map(Ok)
    }
}

/// The caller may need the request again.
impl Command for Arc<Append> {
    type Output = <Append as Command>::Output;

    const TURN: Turn = Append::TURN;

    fn foresee(&self, wanted: &mut Wanted) {
        Append::foresee(self, wanted);
    }

    fn run(&self, step: &mut Step<'_>) -> Result<Self::Output, StoreError> {
        Append::run(self, step)
    }
}

/// Names the rows that an append looks for.
pub fn foresee(reading: &Reading, wanted: &mut Wanted) {
    let Reading::Alerts { alerts, proofs } = reading else {
        return;
    };
    wanted.identities.extend(proofs.hashes());
    for alert in alerts {
        wanted.identities.push(alert.identity);
        wanted.keys.push(alert.ordering_key);
    }
}

/// Appends a request, however many failed ones its source has.
///
/// # Errors
/// What the disk said.
pub fn append(
    step: &mut Step<'_>,
    request: &NewRequest,
    reading: &Reading,
    now_ms: i64,
) -> Result<Appended, StoreError> {
    let id = request_id(&request.id);
    let seq = *step.next_seq;
    let mut appended = Appended::default();
    step.touched.begin(request.received_at, now_ms);
    if let Reading::Alerts { alerts, proofs } = reading {
        let origin = Origin {
            seq,
            request: &id,
            at_ms: request.received_at,
        };
        appended = keep_alerts(step, &origin, alerts, proofs)?;
        if appended.accepted == 0 && appended.duplicates > 0 {
            return Ok(appended);
        }
    }
    step.take_seq();
    insert_request(step, seq, &id, request, reading, appended.duplicates)?;
    if let Reading::Failed(failure) = reading {
        step.totals.failed += 1;
        internal::failed(step, seq, request, failure, now_ms)?;
    }
    Ok(appended)
}

fn insert_request(
    step: &mut Step<'_>,
    seq: i64,
    id: &[u8],
    request: &NewRequest,
    reading: &Reading,
    duplicates: usize,
) -> Result<(), StoreError> {
    let source = step.source(&request.source)?;
    let (state, reason) = reading.state();
    let (proofs, until, unproven) = match reading {
        Reading::Alerts { proofs, .. } => (proofs.stored(), proofs.until_ms(), None),
        Reading::Failed(failure) => (None, None, failure.unproven.map(|_| request.bytes())),
        _ => (None, None, None),
    };
    step.transaction
        .prepare_cached(
            "INSERT INTO requests (seq, id, source, received_at, state, reason, plugin, duplicates, unproven, proofs,
                                   proofs_until)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute_soon(params![
            seq,
            id,
            source,
            request.received_at,
            state,
            reason,
            request.plugin.0,
            duplicates as i64,
            unproven,
            proofs,
            until
        ])?;
    step.transaction
        .prepare_cached(
            "INSERT INTO bodies (seq, method, url, headers, body, redacted, proved) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute_soon(params![
            seq,
            request.method,
            request.url,
            request.headers,
            &request.body[..],
            request.redacted,
            request.stored_sender()
        ])?;
    Ok(())
}

/// Returns whether a failed request is one more than its source may have.
fn is_too_much(
    step: &mut Step<'_>,
    request: &NewRequest,
    failure: &Failure,
) -> Result<bool, StoreError> {
    let Some(bounds) = failure.unproven else {
        return Ok(false);
    };
    let source = step.source(&request.source)?;
    let mut select = step
        .transaction
        .prepare_cached("SELECT unproven, unproven_bytes FROM sources WHERE id = ?")?;
    let (count, bytes): (i64, i64) =
        select.query_row([source], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(count >= bounds.count || bytes.saturating_add(request.bytes()) > bounds.bytes)
}

impl Command for Plugin {
    type Output = PluginId;

    fn run(&self, step: &mut Step<'_>) -> Result<PluginId, StoreError> {
        plugin(step, &self.0)
    }
}

//! Doing again: a second reading of a failed request, a second life of dead letters.

use rusqlite::{OptionalExtension, params};

use super::StoreError;
use super::alerts::{Origin, keep_alerts};
use super::command::Command;
use super::ids::{DELIVERIES_PER_ALERT, deliveries_of};
use super::internal;
use super::jobs::{Job, JobTarget, Part, done};
use super::put::{Pending, enqueue};
use super::request::{Appended, PluginId, Reading};
use super::step::Step;

/// The number of dead letters that become pending in one commit.
pub const BATCH: usize = 1000;

/// The result of a second reading of a failed request.
#[derive(Debug)]
pub struct Reread {
    /// The number of the job.
    pub job: i64,
    /// The request.
    pub seq: i64,
    /// The source that it came in at.
    pub source: String,
    /// The time when it was read this time: Unix milliseconds.
    pub at_ms: i64,
    /// The plugin that read it this time.
    pub plugin: PluginId,
    /// The result of this reading.
    pub reading: Reading,
}

/// Writes down a second reading; its alerts are due at `now_ms`, on the store's clock.
#[derive(Debug)]
pub struct FinishReplay {
    pub reread: Reread,
    pub now_ms: i64,
}

/// Sends dead letters again, at `wall_ms` on the machine's clock and `now_ms` on the store's.
#[derive(Debug)]
pub struct Requeue {
    pub job: Job,
    pub wall_ms: i64,
    pub now_ms: i64,
}

impl Command for FinishReplay {
    type Output = Appended;

    fn run(&self, step: &mut Step<'_>) -> Result<Appended, StoreError> {
        let Self { reread, now_ms } = self;
        let Reread {
            job,
            seq,
            source,
            at_ms,
            plugin,
            reading,
        } = reread;
        done(step, *job)?;
        let id: Option<Vec<u8>> = step
            .transaction
            .prepare_cached("SELECT id FROM requests WHERE seq = ? AND state = 'failed'")?
            .query_row([seq], |row| row.get(0))
            .optional()?;
        // Asked for twice, and done already.
        let Some(id) = id else {
            return Ok(Appended::default());
        };
        let (state, reason) = reading.state();
        if state != "failed" {
            internal::no_longer_failed(step, *seq, source, *at_ms, *now_ms)?;
        }
        let mut appended = Appended::default();
        let mut stored = None;
        let mut until = None;
        step.touched.begin(*at_ms, *now_ms);
        if let Reading::Alerts { alerts, proofs } = reading {
            let origin = Origin {
                seq: *seq,
                request: &id,
                at_ms: *at_ms,
            };
            appended = keep_alerts(step, &origin, alerts, proofs)?;
            (stored, until) = (proofs.stored(), proofs.until_ms());
        }
        step.transaction.execute(
            "UPDATE requests SET state = ?2, reason = ?3, plugin = ?4, duplicates = ?5, proofs = ?6, proofs_until = ?7,
                                 unproven = CASE WHEN ?2 = 'failed' THEN unproven END WHERE seq = ?1",
            params![seq, state, reason, plugin.0, appended.duplicates as i64, stored, until],
        )?;
        Ok(appended)
    }
}

impl Command for Requeue {
    type Output = usize;

    fn run(&self, step: &mut Step<'_>) -> Result<usize, StoreError> {
        let dead = dead_letters(step, &self.job, self.wall_ms)?;
        let mut delete = step
            .transaction
            .prepare_cached("DELETE FROM dead WHERE id = ?")?;
        let count = dead.len();
        for letter in dead {
            delete.execute([letter.delivery])?;
            // Behind a younger one of its ordering key that is already on its way, an old one
            // waits; else it is the head.
            let pending = Pending {
                since: self.now_ms,
                ..letter
            };
            enqueue(step, &pending, 0)?;
        }
        step.totals.dead -= count as i64;
        if count < BATCH {
            done(step, self.job.id)?;
        }
        Ok(count)
    }
}

/// Returns the next dead letters that a job is about. Only what was rejected before the operator
/// asked: what is rejected again meanwhile waits for a new job. What was rejected in the future was
/// so before the machine's clock was set back, and before that.
pub fn dead_letters(step: &Step<'_>, job: &Job, wall_ms: i64) -> Result<Vec<Pending>, StoreError> {
    let [first, last] = match job.target {
        JobTarget::Request {
            part: Part::Failed, ..
        } => return Ok(Vec::new()),
        JobTarget::Request { seq, .. } => deliveries_of(seq),
        JobTarget::AllDead => [i64::MIN, i64::MAX],
    };
    let mut select = step.transaction.prepare_cached(
        "SELECT dead.id, dead.destination, a.source, a.ordering_key, a.priority,
                (SELECT ifnull(max(n), 0) FROM attempts t WHERE t.delivery = dead.id),
                EXISTS (SELECT 1 FROM fallbacks f WHERE f.id = dead.id AND reason = 'taken')
         FROM dead JOIN alerts a ON a.id = dead.id / ?6
         WHERE dead.id BETWEEN ?1 AND ?2
         AND (SELECT at <= (SELECT asked_at FROM jobs WHERE id = ?3) OR at > ?5
              FROM attempts t WHERE t.delivery = dead.id ORDER BY n DESC LIMIT 1)
         ORDER BY dead.id LIMIT ?4",
    )?;
    let rows = select.query_map(
        params![
            first,
            last,
            job.id,
            BATCH as i64,
            wall_ms,
            DELIVERIES_PER_ALERT as i64
        ],
        |row| {
            Ok(Pending {
                delivery: row.get(0)?,
                destination: row.get(1)?,
                source: row.get(2)?,
                ordering_key: row.get(3)?,
                priority: row.get(4)?,
                resolves: false,
                attempts: row.get(5)?,
                since: 0,
                fell_back: row.get(6)?,
            })
        },
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

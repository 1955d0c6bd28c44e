//! What an operator asks to have done again.
//!
//! `events replay` runs in a process of its own, maybe while no gateway runs. So it only writes down what is wanted; the
//! gateway does it, with the plugin and the configuration that it has, now or when it starts.

use std::path::Path;

use rusqlite::{OpenFlags, params};

use super::append::{self, Appended, PluginId, Reading};
use super::writer::Step;
use super::{StoreError, alert_ids, own, schema};

/// How many set-aside alerts become pending in one commit.
const BATCH: usize = 1000;

/// Something to be done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    /// Its number on the list.
    pub id: i64,
    /// What it is about.
    pub target: ReplayTarget,
}

/// What a replay is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayTarget {
    /// One request, by its `seq`: it is read again if its plugin failed, and its set-aside alerts are sent again.
    Request(i64),
    /// Every alert that is set aside.
    AllSetAside,
}

/// What a second reading of a kept request came to.
#[derive(Debug)]
pub struct Reread {
    /// The number of the replay.
    pub replay: i64,
    /// The request.
    pub seq: i64,
    /// The source that it came in at.
    pub source: String,
    /// When it was read this time: Unix milliseconds.
    pub at_ms: i64,
    /// Which plugin read it this time.
    pub plugin: PluginId,
    /// What it read.
    pub reading: Reading,
}

/// Puts replays on the list; the gateway takes them from there. For a process that is not the gateway.
///
/// # Errors
/// Where there is no store, or what the disk said; nothing is on the list then.
pub fn ask(path: &Path, targets: &[ReplayTarget], now_ms: i64) -> Result<(), StoreError> {
    let mut connection = schema::open_existing(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let transaction = connection.transaction()?;
    for target in targets {
        let seq = match target {
            ReplayTarget::Request(seq) => Some(*seq),
            ReplayTarget::AllSetAside => None,
        };
        transaction.execute("INSERT INTO replays (request, asked_at) VALUES (?, ?)", params![seq, now_ms])?;
    }
    Ok(transaction.commit()?)
}

pub fn finish(mut step: Step<'_>, reread: &Reread, now_ms: i64) -> Result<Appended, StoreError> {
    let (state, reason) = reread.reading.state();
    let changed = step.transaction.execute(
        "UPDATE requests SET state = ?2, reason = ?3, plugin = ?4 WHERE seq = ?1 AND state = 'failed'",
        params![reread.seq, state, reason, reread.plugin.0],
    )?;
    done(&step, reread.replay)?;
    // Asked for twice, and done already.
    if changed == 0 {
        return Ok(Appended { accepted: 0, duplicates: 0 });
    }
    if state != "failed" {
        step.totals.failed -= 1;
        own::mended(&mut step, &reread.source, reread.at_ms, now_ms)?;
    }
    append::keep_alerts(&mut step, reread.seq, &reread.source, now_ms, &reread.reading)
}

pub fn requeue(step: Step<'_>, replay: &Replay, wall_ms: i64) -> Result<usize, StoreError> {
    let [first, last] = match replay.target {
        ReplayTarget::Request(seq) => alert_ids(seq),
        ReplayTarget::AllSetAside => [i64::MIN, i64::MAX],
    };
    let ids: Vec<i64> = step
        .transaction
        .prepare_cached(
            // Only what was refused before the operator asked: what is refused again meanwhile waits for a new request. What
            // was refused in the future was so before the machine's clock was set back, and before that.
            "SELECT id FROM alerts a WHERE state = 'set_aside' AND id BETWEEN ?1 AND ?2
             AND (SELECT at <= (SELECT asked_at FROM replays WHERE id = ?3) OR at > ?5
                  FROM attempts t WHERE t.alert = a.id ORDER BY n DESC LIMIT 1)
             ORDER BY id LIMIT ?4",
        )?
        .query_map(params![first, last, replay.id, BATCH as i64, wall_ms], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    // Behind a younger one of its lane that is already on its way, an old one waits; else it is the head.
    let mut update = step.transaction.prepare_cached(
        "UPDATE alerts AS a SET state = 'pending', due_at =
         CASE WHEN EXISTS (SELECT 1 FROM alerts AS b WHERE b.lane = a.lane AND b.destination = a.destination
                           AND b.state = 'pending') THEN NULL ELSE 0 END
         WHERE id = ?",
    )?;
    for id in &ids {
        update.execute([id])?;
    }
    step.totals.set_aside -= ids.len() as i64;
    step.totals.pending += ids.len() as i64;
    if ids.len() < BATCH {
        done(&step, replay.id)?;
    }
    Ok(ids.len())
}

fn done(step: &Step<'_>, replay: i64) -> Result<(), StoreError> {
    step.transaction.prepare_cached("DELETE FROM replays WHERE id = ?")?.execute([replay])?;
    Ok(())
}

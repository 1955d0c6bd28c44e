//! The end of a mute.
//!
//! When a mute ends, each source is sent one summary, and what is still open is opened: the newest
//! alert of each key goes where it would have gone, into a group as well. An alert that another mute
//! holds is left to that, and is no part of the summary.

use std::fmt;
use std::sync::Arc;

use plugin_sdk::contract::{Alert, Priority};
use rusqlite::{OptionalExtension, params};

use super::command::Command;
use super::ids::request_id_text;
use super::mutes::{Held, dirty, number, release};
use super::own::own;
use super::put::deliver;
use super::request::{MuteRef, NewAlert};
use super::step::Step;
use super::tracking::{self, Way};
use super::{StoreError, json};
use crate::alert;
use crate::clock::rfc3339;

/// The number of alerts that one commit opens when a mute ends.
const BATCH: usize = 256;

/// The number of titles that a summary names.
const NAMED: usize = 10;

/// The time after which the summary of a mute is resolved. It asks for nothing but a look.
const SUMMARY_MS: i64 = 24 * 60 * 60 * 1000;

/// Finds the mute that holds an alert of a source now.
pub type Still = dyn Fn(&str, &Alert) -> Option<MuteRef> + Send + Sync;

/// Ends a mute, a part at a time.
pub struct EndMute {
    /// Its number.
    pub mute: i64,
    /// The alert after which this part begins.
    pub after: i64,
    /// The mutes that hold now: an alert that another one holds stays held.
    pub still: Arc<Still>,
    /// By the machine's clock.
    pub at_ms: i64,
    /// By the store's clock.
    pub now_ms: i64,
}

impl fmt::Debug for EndMute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndMute")
            .field("mute", &self.mute)
            .finish_non_exhaustive()
    }
}

impl Command for EndMute {
    /// The alert after which the next part begins, where more is held.
    type Output = Option<i64>;

    fn run(&self, step: &mut Step<'_>) -> Result<Option<i64>, StoreError> {
        let mute = self.mute;
        let summed_up: Option<bool> = step
            .transaction
            .prepare_cached(
                "UPDATE mutes SET ended_at = CASE WHEN name IS NULL THEN ifnull(ended_at, ?2) END WHERE id = ?1
                 RETURNING summed_up",
            )?
            .query_row([mute, self.at_ms], |row| row.get(0))
            .optional()?;
        if summed_up == Some(false) {
            // Before the summary, whose subject is what this mute held to its end.
            let held = open(step, mute, self.after)?;
            for one in &held.open {
                self.leave_to_another(step, one)?;
            }
            if held.next.is_some() {
                return Ok(held.next);
            }
            self.leave_earlier_to_others(step)?;
            self.sum_up(step)?;
        }
        step.touched.begin(self.at_ms, self.now_ms);
        let held = open(step, mute, i64::MIN)?;
        for one in &held.open {
            self.revive(step, one)?;
        }
        if held.next.is_some() {
            return Ok(Some(i64::MIN));
        }
        // What is left was resolved, or is not the newest of its key.
        step.transaction
            .prepare_cached("UPDATE muted SET held = NULL WHERE mute = ? AND held IS NOT NULL")?
            .execute([mute])?;
        step.transaction
            .prepare_cached("UPDATE keys SET mute = NULL WHERE mute = ?")?
            .execute([mute])?;
        Ok(None)
    }
}

/// Some of the held alerts with an open key, the oldest first.
struct Batch {
    open: Vec<Open>,
    /// The last of them, where there are more.
    next: Option<i64>,
}

/// A held alert whose key is open.
struct Open {
    id: i64,
    source: i64,
    held: Held,
    alert: alert::Alert,
}

impl EndMute {
    /// Sends one summary for each source.
    fn sum_up(&self, step: &mut Step<'_>) -> Result<(), StoreError> {
        step.transaction
            .prepare_cached("UPDATE mutes SET summed_up = 1 WHERE id = ?")?
            .execute([self.mute])?;
        let why: String = step
            .transaction
            .prepare_cached("SELECT why FROM mutes WHERE id = ?")?
            .query_row([self.mute], |row| row.get(0))?;
        let mut select = step.transaction.prepare_cached(
            "SELECT s.name, count(*), count(k.alert), min(a.priority),
                    (SELECT held FROM muted h JOIN alerts b ON b.id = h.alert
                     WHERE h.mute = ?1 AND h.held IS NOT NULL AND b.source = a.source LIMIT 1), a.source
             FROM muted m JOIN alerts a ON a.id = m.alert JOIN sources s ON s.id = a.source
             LEFT JOIN keys k ON k.ordering_key = a.ordering_key AND k.mute = m.mute AND k.alert = m.alert
             WHERE m.mute = ?1 AND m.held IS NOT NULL GROUP BY s.name, a.source",
        )?;
        let sources: Vec<(String, i64, i64, i64, Option<Held>, i64)> = select
            .query_map([self.mute], |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    json(row, 4).ok(),
                    row.get(5)?,
                ))
            })?
            .collect::<Result<_, _>>()?;
        drop(select);
        for (name, events, open, rank, held, source) in sources {
            let Some(held) = held else {
                continue;
            };
            let titles = self.titles(step, source)?;
            let event = self.summary(&why, events, open, rank, &titles);
            let destinations = &held.originals.told(&held.destinations);
            own(
                step,
                &name,
                destinations,
                event,
                Some(SUMMARY_MS),
                self.at_ms,
                self.now_ms,
            )?;
        }
        Ok(())
    }

    /// The titles of the first alerts of a source whose keys are open.
    fn titles(&self, step: &Step<'_>, source: i64) -> Result<Vec<String>, StoreError> {
        let mut select = step.transaction.prepare_cached(
            "SELECT e.json FROM muted m JOIN alerts a ON a.id = m.alert JOIN events e ON e.alert = a.id
             JOIN keys k ON k.ordering_key = a.ordering_key AND k.mute = m.mute AND k.alert = m.alert
             WHERE m.mute = ?1 AND m.held IS NOT NULL AND a.source = ?2 ORDER BY a.id LIMIT ?3",
        )?;
        let rows = select.query_map(params![self.mute, source, NAMED as i64], |row| {
            Ok(json::<Alert>(row, 0)
                .map(|alert| format!("{} ({})", alert.title, alert.key()))
                .unwrap_or_default())
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn summary(&self, why: &str, events: i64, open: i64, rank: i64, titles: &[String]) -> Alert {
        let priority = if open > 0 {
            super::due::priority(rank)
        } else {
            Priority::Low
        };
        let counted = |count: i64, noun: &str| match count {
            1 => format!("1 {noun}"),
            count => format!("{count} {noun}s"),
        };
        let title = format!(
            "{}, {} still open: {why}",
            counted(events, "muted event"),
            counted(open, "key")
        );
        let mut alert = Alert::new("", priority, title);
        let mute = self.mute;
        alert.key = Some(format!("mute/{mute}"));
        let mut message =
            format!("A mute has ended. Each event of it: alert-gateway events list --mute {mute}");
        if open > 0 {
            message += "\nStill open, and delivered now:";
            for title in titles {
                message += &format!("\n- {title}");
            }
            let more = open.saturating_sub(titles.len() as i64);
            if more > 0 {
                message += &format!("\n- and {more} more");
            }
        }
        alert.message = Some(message);
        alert.labels.insert("mute".to_owned(), mute.to_string());
        alert
    }

    /// Leaves a held alert to another mute, where one holds it. Returns whether one does.
    fn leave_to_another(&self, step: &Step<'_>, one: &Open) -> Result<bool, StoreError> {
        let Open { id, alert, .. } = one;
        let Some(other) = (self.still)(&alert.source, &alert.event) else {
            return Ok(false);
        };
        let Some(other) = number(step, &other)?.filter(|other| *other != self.mute) else {
            return Ok(false);
        };
        step.transaction
            .prepare_cached("UPDATE muted SET mute = ?2 WHERE alert = ?1")?
            .execute([*id, other])?;
        step.transaction
            .prepare_cached("UPDATE keys SET mute = ?2 WHERE alert = ?1 AND mute = ?3")?
            .execute([*id, other, self.mute])?;
        dirty(step, other)?;
        Ok(true)
    }

    /// Leaves the earlier alerts of a key to the mute that holds its newest one.
    fn leave_earlier_to_others(&self, step: &Step<'_>) -> Result<(), StoreError> {
        step.transaction
            .prepare_cached(
                "UPDATE muted SET mute = (SELECT k.mute FROM alerts a JOIN keys k ON k.ordering_key = a.ordering_key
                                          WHERE a.id = muted.alert)
                 WHERE mute = ?1 AND held IS NOT NULL AND EXISTS
                     (SELECT 1 FROM alerts a JOIN keys k ON k.ordering_key = a.ordering_key
                      WHERE a.id = muted.alert AND k.mute <> ?1)",
            )?
            .execute([self.mute])?;
        Ok(())
    }

    /// Sends a held alert on its way, or leaves it to another mute.
    fn revive(&self, step: &mut Step<'_>, one: &Open) -> Result<(), StoreError> {
        if self.leave_to_another(step, one)? {
            return Ok(());
        }
        let Open {
            id,
            source,
            held,
            alert,
        } = one;
        release(step, *id)?;
        let mut new = NewAlert::new(alert, &held.destinations)
            .map_err(|error| StoreError::Disk(error.to_string()))?;
        if let Some(group) = &held.group {
            new = new.grouped(alert, group.clone(), held.operator.as_deref());
        }
        new.handling.resolve_after_ms = held.resolve_after_ms;
        new.originals = held.originals.clone();
        if tracking::open(step, *id, *source, &new)? == Way::Out {
            deliver(step, *id, *source, &new, self.now_ms)?;
        }
        Ok(())
    }
}

/// Returns some of the held alerts behind this one. An unreadable one is released, and stays
/// undelivered in the list.
fn open(step: &Step<'_>, mute: i64, after: i64) -> Result<Batch, StoreError> {
    let mut select = step.transaction.prepare_cached(
        "SELECT a.id, a.source, m.held, s.name, r.id, r.received_at, e.json
         FROM muted m JOIN alerts a ON a.id = m.alert JOIN sources s ON s.id = a.source
         JOIN requests r ON r.seq = a.id / 1024 JOIN events e ON e.alert = a.id
         JOIN keys k ON k.ordering_key = a.ordering_key AND k.mute = m.mute AND k.alert = m.alert
         WHERE m.mute = ?1 AND m.held IS NOT NULL AND a.id > ?3 ORDER BY a.id LIMIT ?2",
    )?;
    let rows = select.query_map(params![mute, BATCH as i64, after], |row| {
        let read = || -> rusqlite::Result<Open> {
            Ok(Open {
                id: row.get(0)?,
                source: row.get(1)?,
                held: json(row, 2)?,
                alert: alert::Alert {
                    source: row.get(3)?,
                    request: request_id_text(row.get_ref(4)?.as_blob()?),
                    received_at: rfc3339(row.get(5)?),
                    event: json(row, 6)?,
                },
            })
        };
        Ok((row.get::<_, i64>(0)?, read()))
    })?;
    let mut open = Vec::new();
    let mut found = 0;
    let mut last = None;
    for row in rows {
        let (id, read) = row?;
        (found, last) = (found + 1, Some(id));
        match read {
            Ok(one) => open.push(one),
            Err(error) => {
                tracing::error!(alert = id, %error, "a muted alert cannot be read, and is not delivered");
                release(step, id)?;
            }
        }
    }
    let next = last.filter(|_| found == BATCH);
    Ok(Batch { open, next })
}

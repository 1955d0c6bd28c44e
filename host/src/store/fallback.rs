//! Falling back: an alert that its destination has not taken in time, or has rejected, goes to
//! another destination as well.
//!
//! It goes there once, in the transaction that notes it, so that neither a crash nor a repetition
//! sends it twice. It stays pending at its own destination. Where that takes it after all, the
//! fallback is told, behind what it was sent before. After a rejection the resolve of its key tells
//! it: the next one, or the one that waits behind it.

use plugin_sdk::contract::{self, Status};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params};

use super::ahead::{AWAITED, NOT_YET};
use super::command::Command;
use super::ids::{
    ALERTS_PER_REQUEST, DELIVERIES_PER_ALERT, alert_ids, deliveries_of, delivery_ids,
};
use super::put::{CARRIED, Pending, are_any_for, enqueue};
use super::sql::Row;
use super::step::Step;
use super::{StoreError, json, keys, tracking};
use crate::alert::fallback::Reason;

/// The number of deliveries that fall back in one commit. More would hold up the commits behind it.
const BATCH: usize = 500;

/// Sends to `fallback` what has waited for `destination` since `since_ms` or longer.
#[derive(Debug)]
pub struct FallBack {
    pub destination: String,
    pub fallback: String,
    pub since_ms: i64,
    pub now_ms: i64,
}

/// The result of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FellBack {
    /// The number of deliveries that the fallback got.
    pub deliveries: usize,
    /// True if there may be more.
    pub more: bool,
}

impl Command for FallBack {
    type Output = FellBack;

    fn run(&self, step: &mut Step<'_>) -> Result<FellBack, StoreError> {
        let destination = step.destination(&self.destination)?;
        let mut late = Vec::new();
        for fell_back in [NOT_YET, AWAITED] {
            late.extend(self.late(step, destination, fell_back)?);
        }
        late.sort_unstable_by_key(|(since, one)| (*since, one.delivery));
        late.truncate(BATCH);
        let mut deliveries = 0;
        for (_, one) in &late {
            step.transaction
                .prepare_cached("UPDATE queue SET fell_back = 1 WHERE id = ?")?
                .execute([one.delivery])?;
            let to = To {
                destination,
                fallback: &self.fallback,
                reason: Reason::Late,
                now_ms: self.now_ms,
            };
            deliveries += usize::from(!fall_back(step, one, &to)?.is_empty());
        }
        let more = late.len() == BATCH;
        Ok(FellBack { deliveries, more })
    }
}

impl FallBack {
    /// Returns what is late, each with the time since when it waits, the oldest first.
    fn late(
        &self,
        step: &Step<'_>,
        destination: i64,
        fell_back: i64,
    ) -> Result<Vec<(i64, Late)>, StoreError> {
        let mut select = step.transaction.prepare_cached(
            "SELECT id, source, ordering_key, priority, since FROM queue INDEXED BY queue_since
             WHERE destination = ?1 AND fell_back = ?2 AND since <= ?3 ORDER BY since, id LIMIT ?4",
        )?;
        let late = select.query_map(
            params![destination, fell_back, self.since_ms, BATCH as i64],
            |row| Ok((row.get(4)?, Late::read(row)?)),
        )?;
        Ok(late.collect::<Result<_, _>>()?)
    }
}

/// A delivery that its destination does not take.
#[derive(Debug, Clone)]
pub struct Late {
    pub delivery: i64,
    pub source: i64,
    pub ordering_key: i64,
    pub priority: i64,
}

impl Late {
    /// Reads one whose columns come first.
    fn read(row: Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            delivery: row.get(0)?,
            source: row.get(1)?,
            ordering_key: row.get(2)?,
            priority: row.get(3)?,
        })
    }
}

/// The place that a delivery falls back to, and the reason.
pub struct To<'a> {
    /// The destination that does not take it.
    pub destination: i64,
    pub fallback: &'a str,
    pub reason: Reason,
    pub now_ms: i64,
}

/// Sends an alert to a fallback too, and all that it carries. Returns those that are news there: an
/// alert goes to each destination once.
fn fall_back(step: &mut Step<'_>, late: &Late, to: &To<'_>) -> Result<Vec<Late>, StoreError> {
    let fallback = step.destination(to.fallback)?;
    let mut news = Vec::new();
    if is_at(step, late, fallback)? {
        return Ok(news);
    }
    let carried = carried(step, late)?;
    for one in std::iter::once(late.clone()).chain(carried) {
        if add(step, &one, fallback, to)? {
            news.push(one);
        }
    }
    Ok(news)
}

/// Sends a rejected alert to a fallback too, and sees to its end there. Returns whether it is news
/// there.
pub fn rejected(step: &mut Step<'_>, late: &Late, to: &To<'_>) -> Result<bool, StoreError> {
    let news = fall_back(step, late, to)?;
    tracking::begin(step, late.source)?;
    for one in &news {
        see_to_end(step, one, to, true)?;
    }
    // It may have gone there because it was late. One from before was sent again by an operator.
    if news.is_empty() && is_first_rejection(step, late.delivery)? {
        see_to_end(step, late, to, false)?;
    }
    Ok(!news.is_empty())
}

/// Has a fallback told of the end of an alert: by the resolve that waits behind it, or by the next
/// one.
fn see_to_end(
    step: &mut Step<'_>,
    late: &Late,
    to: &To<'_>,
    is_news: bool,
) -> Result<(), StoreError> {
    if is_resolve(step, late.delivery)? {
        return Ok(());
    }
    let Some(end) = behind(step, late, to.destination)? else {
        let alert = late.delivery.div_euclid(DELIVERIES_PER_ALERT as i64);
        return keys::open_also(step, late.ordering_key, alert, to.fallback);
    };
    let fallback = step.destination(to.fallback)?;
    if !is_at(step, &end, fallback)? {
        step.transaction
            .prepare_cached("UPDATE queue SET fell_back = ?2 WHERE id = ?1")?
            .execute([end.delivery, AWAITED])?;
        step.ahead.forget();
    } else if is_news && !is_behind(step, &end, fallback)? {
        // It came there before this alert.
        pass_on(step, &end, fallback, to.now_ms)?;
    }
    Ok(())
}

/// Returns whether a delivery was rejected once and no more.
fn is_first_rejection(step: &Step<'_>, delivery: i64) -> Result<bool, StoreError> {
    let mut select = step.transaction.prepare_cached(
        "SELECT count(*) = 1 FROM attempts WHERE delivery = ? AND outcome = 'rejected'",
    )?;
    Ok(select.query_row([delivery], |row| row.get(0))?)
}

/// Returns whether an alert waits for a destination behind others of its key.
fn is_behind(step: &Step<'_>, late: &Late, destination: i64) -> Result<bool, StoreError> {
    let [first, last] = delivery_ids(late.delivery.div_euclid(DELIVERIES_PER_ALERT as i64));
    let mut select = step.transaction.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM queue WHERE id BETWEEN ?1 AND ?2 AND destination = ?3 AND due_at IS NULL)",
    )?;
    Ok(select.query_row([first, last, destination], |row| row.get(0))?)
}

/// Passes an awaited resolve on to the fallback, as its destination has taken it.
pub fn ended(
    step: &mut Step<'_>,
    late: &Late,
    fallback: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let fallback = step.destination(fallback)?;
    if !is_at(step, late, fallback)? {
        pass_on(step, late, fallback, now_ms)?;
    }
    Ok(())
}

/// Returns whether an alert has been sent to a destination, or waits for it.
fn is_at(step: &Step<'_>, late: &Late, destination: i64) -> Result<bool, StoreError> {
    let alert = late.delivery.div_euclid(DELIVERIES_PER_ALERT as i64);
    are_any_for(step, delivery_ids(alert), destination)
}

/// Returns whether the alert of a delivery is a resolve. One whose content is gone is none.
fn is_resolve(step: &Step<'_>, delivery: i64) -> Result<bool, StoreError> {
    let mut select = step
        .transaction
        .prepare_cached("SELECT json FROM events WHERE alert = ?")?;
    let status = select.query_row([delivery.div_euclid(DELIVERIES_PER_ALERT as i64)], |row| {
        let alert: Option<contract::Alert> = json(row, 0).ok();
        Ok(alert.map(|alert| alert.status))
    });
    Ok(status.optional()?.flatten() == Some(Status::Resolve))
}

/// Returns the last delivery of the same ordering key behind this one, if it is a resolve: the key
/// ends with it.
fn behind(step: &Step<'_>, late: &Late, destination: i64) -> Result<Option<Late>, StoreError> {
    let mut select = step.transaction.prepare_cached(
        "SELECT id, source, ordering_key, priority FROM queue
         WHERE ordering_key = ?1 AND destination = ?2 AND id > ?3 ORDER BY id DESC LIMIT 1",
    )?;
    let last = select.query_row(
        params![late.ordering_key, destination, late.delivery],
        Late::read,
    );
    match last.optional()? {
        Some(last) if is_resolve(step, last.delivery)? => Ok(Some(last)),
        _ => Ok(None),
    }
}

/// Returns the alerts that a delivery carries besides its own, as it sends their request as it came.
/// They are delivered by themselves from now on, wherever that was not taken.
fn carried(step: &Step<'_>, late: &Late) -> Result<Vec<Late>, StoreError> {
    let [first, last] = alert_ids(request_of(late));
    let mut update = step.transaction.prepare_cached(
        "UPDATE alerts SET ignored = NULL WHERE id BETWEEN ?1 AND ?2 AND ignored = ?3
         RETURNING id * ?4, source, ordering_key, priority",
    )?;
    let rows = update.query_map(
        params![first, last, CARRIED, DELIVERIES_PER_ALERT as i64],
        Late::read,
    )?;
    let mut carried: Vec<Late> = rows.collect::<Result<_, _>>()?;
    carried.sort_unstable_by_key(|one| one.delivery);
    Ok(carried)
}

fn request_of(late: &Late) -> i64 {
    late.delivery
        .div_euclid((ALERTS_PER_REQUEST * DELIVERIES_PER_ALERT) as i64)
}

/// Tells the fallback of a delivery, where it has one, that its destination has taken it after all.
/// Where more of its ordering key waits there and fell back too, the last of them tells it.
pub fn taken(
    step: &mut Step<'_>,
    late: &Late,
    destination: i64,
    now_ms: i64,
) -> Result<(), StoreError> {
    let Some(fallback) = stand_in(step, late)? else {
        return Ok(());
    };
    for one in carried_before(step, late, destination)? {
        tell(step, &one, destination, fallback, now_ms)?;
    }
    tell(step, late, destination, fallback, now_ms)
}

/// Returns the fallback to which an alert went, whatever the configuration says by now. One that
/// rejected it too is none.
fn stand_in(step: &Step<'_>, late: &Late) -> Result<Option<i64>, StoreError> {
    let [first, last] = delivery_ids(late.delivery.div_euclid(DELIVERIES_PER_ALERT as i64));
    let mut select = step.transaction.prepare_cached(
        "SELECT ifnull((SELECT destination FROM queue WHERE id = f.id),
                       (SELECT destination FROM attempts WHERE delivery = f.id LIMIT 1))
         FROM fallbacks f WHERE id BETWEEN ?1 AND ?2 AND of = ?3 AND reason <> 'taken'
         AND NOT EXISTS (SELECT 1 FROM dead WHERE dead.id = f.id)",
    )?;
    let fallback = select.query_row([first, last, late.delivery], |row| row.get(0));
    Ok(fallback.optional()?.flatten())
}

/// Sees to the end of an alert that was late and is rejected now, where it went to a fallback that the
/// configuration has no more.
pub fn left_behind(step: &mut Step<'_>, late: &Late, to: &To<'_>) -> Result<(), StoreError> {
    let Some(fallback) = stand_in(step, late)? else {
        return Ok(());
    };
    let name = keys::destination_name(step, fallback)?;
    // One from before was sent again by an operator.
    let is_news = is_first_rejection(step, late.delivery)?;
    if name == to.fallback || !is_news || is_resolve(step, late.delivery)? {
        return Ok(());
    }
    tracking::begin(step, late.source)?;
    if let Some(end) = behind(step, late, to.destination)? {
        if !is_at(step, &end, fallback)? {
            pass_on(step, &end, fallback, to.now_ms)?;
        }
        return Ok(());
    }
    let alert = late.delivery.div_euclid(DELIVERIES_PER_ALERT as i64);
    keys::open_also(step, late.ordering_key, alert, &name)
}

/// Returns the alerts that fell back beside that of a delivery, because it carried them.
fn carried_before(step: &Step<'_>, late: &Late, destination: i64) -> Result<Vec<Late>, StoreError> {
    let [first, last] = deliveries_of(request_of(late));
    let mut select = step.transaction.prepare_cached(
        "SELECT f.of, a.source, a.ordering_key, a.priority FROM fallbacks f JOIN alerts a ON a.id = f.of / ?5
         WHERE f.id BETWEEN ?1 AND ?2 AND f.destination = ?3 AND f.of <> ?4 AND f.reason <> 'taken'
         AND NOT EXISTS (SELECT 1 FROM queue WHERE id = f.of) AND NOT EXISTS (SELECT 1 FROM dead WHERE id IN (f.id, f.of))
         AND NOT EXISTS (SELECT 1 FROM attempts WHERE delivery = f.of)
         AND NOT EXISTS (SELECT 1 FROM fallbacks t WHERE t.of = f.of AND t.reason = 'taken'
                         AND t.id BETWEEN f.of AND f.of + ?5 - 1)",
    )?;
    let each = DELIVERIES_PER_ALERT as i64;
    let rows = select.query_map(
        params![first, last, destination, late.delivery, each],
        Late::read,
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Tells a fallback of an alert that its destination has taken it.
fn tell(
    step: &mut Step<'_>,
    late: &Late,
    destination: i64,
    fallback: i64,
    now_ms: i64,
) -> Result<(), StoreError> {
    let each = DELIVERIES_PER_ALERT as i64;
    let others_wait: bool = step
        .transaction
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM queue q WHERE ordering_key = ?1 AND destination = ?2 AND fell_back = 1
                 AND EXISTS (SELECT 1 FROM fallbacks f WHERE f.of = q.id
                             AND f.id BETWEEN q.id / ?3 * ?3 AND q.id / ?3 * ?3 + ?3 - 1
                             AND NOT EXISTS (SELECT 1 FROM dead d WHERE d.id = f.id)
                             AND (EXISTS (SELECT 1 FROM queue p WHERE p.id = f.id AND p.destination = ?4)
                                  OR EXISTS (SELECT 1 FROM attempts a WHERE a.delivery = f.id AND a.destination = ?4))))",
        )?
        .query_row(
            [late.ordering_key, destination, each, fallback],
            |row| row.get(0),
        )?;
    // A resolve has closed there what it was sent for.
    if others_wait || is_resolve(step, late.delivery)? {
        return Ok(());
    }
    let to = To {
        destination,
        fallback: "",
        reason: Reason::Taken,
        now_ms,
    };
    if add(step, late, fallback, &to)? {
        keys::closed_at(step, late.ordering_key, fallback)?;
    }
    Ok(())
}

/// Adds a delivery to a fallback, and takes down what it stands in for, and why.
fn add(step: &mut Step<'_>, late: &Late, fallback: i64, to: &To<'_>) -> Result<bool, StoreError> {
    let Some(place) = next_place(step, late)? else {
        return Ok(false);
    };
    step.transaction
        .prepare_cached("INSERT INTO fallbacks (id, of, destination, reason) VALUES (?, ?, ?, ?)")?
        .execute(params![
            place,
            late.delivery,
            to.destination,
            to.reason.as_str()
        ])?;
    let is_taken = to.reason == Reason::Taken;
    queue(step, late, place, fallback, is_taken, to.now_ms)?;
    Ok(true)
}

/// Adds a delivery of a resolve to a fallback, as if it had been sent there with the others.
fn pass_on(step: &mut Step<'_>, late: &Late, fallback: i64, now_ms: i64) -> Result<(), StoreError> {
    if let Some(place) = next_place(step, late)? {
        queue(step, late, place, fallback, true, now_ms)?;
    }
    Ok(())
}

/// Returns the next place among the deliveries of an alert, where there is one.
fn next_place(step: &Step<'_>, late: &Late) -> Result<Option<i64>, StoreError> {
    let [first, last] = delivery_ids(late.delivery.div_euclid(DELIVERIES_PER_ALERT as i64));
    let place: i64 = step
        .transaction
        .prepare_cached(
            "SELECT 1 + max(ifnull((SELECT max(id) FROM queue WHERE id BETWEEN ?1 AND ?2), ?3),
                            ifnull((SELECT max(id) FROM dead WHERE id BETWEEN ?1 AND ?2), ?3),
                            ifnull((SELECT max(id) FROM fallbacks WHERE id BETWEEN ?1 AND ?2), ?3),
                            ifnull((SELECT max(delivery) FROM attempts WHERE delivery BETWEEN ?1 AND ?2), ?3))",
        )?
        .query_row([first, last, late.delivery], |row| row.get(0))?;
    if place > last {
        // The configuration is checked for it; but it may have been another one when this came in.
        tracing::warn!(
            delivery = late.delivery,
            "an alert has no place left for its fallback; it waits for its own destination"
        );
        return Ok(None);
    }
    Ok(Some(place))
}

/// Queues a delivery to a fallback. One that ends an alert there does not fall back in its turn.
fn queue(
    step: &mut Step<'_>,
    late: &Late,
    place: i64,
    fallback: i64,
    ends: bool,
    now_ms: i64,
) -> Result<(), StoreError> {
    step.ahead.forget();
    let pending = Pending {
        delivery: place,
        destination: fallback,
        source: late.source,
        ordering_key: late.ordering_key,
        priority: late.priority,
        resolves: ends,
        attempts: 0,
        since: now_ms,
        fell_back: ends,
    };
    enqueue(step, &pending, now_ms)
}

/// Reads what a queue row is found by; whatever somebody wrote there that is no number does not
/// fall back.
pub fn late(delivery: i64, [source, ordering_key, priority]: [&Value; 3]) -> Option<Late> {
    let number = |value: &Value| match value {
        Value::Integer(number) => Some(*number),
        _ => None,
    };
    Some(Late {
        delivery,
        source: number(source)?,
        ordering_key: number(ordering_key)?,
        priority: number(priority)?,
    })
}

//! Resolving by an operator: an alert that is open at its destinations, or a group.

use plugin_sdk::contract::{Alert, Status};
use rusqlite::OptionalExtension;

use super::audit::Entry;
use super::command::Command;
use super::ids::{Identity, delivery_ids};
use super::own::own_as;
use super::step::Step;
use super::{StoreError, groups, json, keys};

/// The outcome of a resolve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The resolve is on its way to every destination that has the alert, or will.
    Done,
    /// An operator has resolved it before.
    Before,
    /// There is nothing to resolve, for this reason.
    NotOpen(&'static str),
}

/// Resolves an alert by its id.
#[derive(Debug)]
pub struct ResolveAlert {
    pub alert: i64,
    pub entry: Entry,
    pub now_ms: i64,
}

/// Resolves a group by its number.
#[derive(Debug)]
pub struct ResolveGroup {
    pub group: i64,
    pub entry: Entry,
    pub now_ms: i64,
}

impl Command for ResolveAlert {
    type Output = Resolution;

    fn run(&self, step: &mut Step<'_>) -> Result<Resolution, StoreError> {
        let mut select = step.transaction.prepare_cached(
            "SELECT s.name, a.ordering_key, e.json FROM alerts a JOIN sources s ON s.id = a.source
             JOIN events e ON e.alert = a.id WHERE a.id = ?",
        )?;
        let found = select.query_row([self.alert], |row| {
            let event: Option<Alert> = json(row, 2).ok();
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, event))
        });
        let Some((source, ordering_key, Some(event))) = found.optional()? else {
            return Ok(Resolution::NotOpen(
                "the content of the alert is kept no longer",
            ));
        };
        if event.status == Status::Resolve {
            return Ok(Resolution::NotOpen("it is a resolve itself"));
        }
        let destinations = open_at(step, self.alert)?;
        if destinations.is_empty() {
            return Ok(Resolution::NotOpen(
                "no destination has it: it was grouped, muted, ignored, rejected or dismissed. Resolve its group instead; what a mute \
                 holds is opened when that ends, unless its sender resolves it before",
            ));
        }
        // One for each alert, however often it is asked for.
        let event_id = format!("alert-gateway/resolved/{}", self.alert);
        let identity = Identity::of_event(&source, &event_id);
        if step.known_as(identity)?.is_some() {
            return Ok(Resolution::Before);
        }
        let resolve = Alert {
            key: Some(event.key().to_owned()),
            event_id,
            status: Status::Resolve,
            message: Some(said(&self.entry)),
            details: None,
            occurred_at: None,
            order: None,
            ..event
        };
        let at_ms = self.entry.at_ms;
        own_as(
            step,
            &source,
            &destinations,
            resolve,
            None,
            at_ms,
            self.now_ms,
        )?;
        keys::close(step, ordering_key)?;
        self.entry.insert(step.transaction)?;
        Ok(Resolution::Done)
    }
}

impl Command for ResolveGroup {
    type Output = Resolution;

    fn run(&self, step: &mut Step<'_>) -> Result<Resolution, StoreError> {
        let said = said(&self.entry);
        if !groups::resolve(step, self.group, &said, self.entry.at_ms, self.now_ms)? {
            return Ok(Resolution::NotOpen("no open group has this number"));
        }
        self.entry.insert(step.transaction)?;
        Ok(Resolution::Done)
    }
}

/// Returns the destinations that have accepted an alert, or that it waits for.
fn open_at(step: &Step<'_>, alert: i64) -> Result<Vec<String>, StoreError> {
    let mut select = step.transaction.prepare_cached(
        "SELECT name FROM destinations WHERE id IN (
             SELECT destination FROM queue WHERE id BETWEEN ?1 AND ?2
             UNION SELECT destination FROM attempts WHERE delivery BETWEEN ?1 AND ?2 AND outcome = 'accepted')",
    )?;
    let names = select.query_map(delivery_ids(alert), |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Returns the sentence on who resolved it, for the destination.
fn said(entry: &Entry) -> String {
    let why = entry.why.as_ref();
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    format!("Resolved at the gateway by {}{why}", entry.who)
}

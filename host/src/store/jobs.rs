//! The list of what an operator asks to have done.
//!
//! `events replay` and `events dismiss` run in a process of their own, maybe while no gateway runs.
//! So they only write down what is wanted; the gateway does it, with the plugin and the
//! configuration that it has, now or when it starts.

use std::collections::HashSet;

use crate::store::sql::{Connection, Row};
use rusqlite::params;

use super::audit::Entry;
use super::command::Command;
use super::step::Step;
use super::{Location, StoreError};

/// The jobs that are read at once.
pub const JOBS: usize = 100;

/// Something that an operator asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number on the list.
    pub id: i64,
    /// The action asked for.
    pub kind: JobKind,
    /// The subject of the action.
    pub target: JobTarget,
}

/// The action asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobKind {
    /// A failed request is read again, dead letters are sent again.
    Replay,
    /// A failed request or dead letters are given up on purpose.
    Dismiss {
        /// The operator's reason.
        why: String,
    },
}

/// The subject of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobTarget {
    /// One request.
    Request {
        /// Its number.
        seq: i64,
        /// The part of it that is meant.
        part: Part,
    },
    /// Every dead letter.
    AllDead,
}

/// The parts of a request that wait for an operator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Part {
    /// The request, where it failed, and its dead letters.
    #[default]
    All,
    /// The request alone, where it failed.
    Failed,
    /// Its dead letters alone.
    Dead,
}

/// Puts jobs on the list that are not on it yet, with an entry in the audit; the gateway takes them
/// from there. Returns how many are new. For a process that is not the gateway.
///
/// # Errors
/// Where there is no store, or what the disk said; nothing is on the list then.
pub fn ask(
    location: impl Into<Location>,
    kind: &JobKind,
    targets: &[JobTarget],
    entry: &Entry,
) -> Result<usize, StoreError> {
    let connection = location.into().writes()?;
    let transaction = connection.write()?;
    let new = insert_new(&transaction, kind, targets, entry)?;
    transaction.commit()?;
    Ok(new)
}

/// As [`ask`], for the gateway itself.
#[derive(Debug)]
pub struct Ask {
    pub kind: JobKind,
    pub targets: Vec<JobTarget>,
    pub entry: Entry,
}

impl Command for Ask {
    /// The number of jobs that are new on the list.
    type Output = usize;

    fn run(&self, step: &mut Step<'_>) -> Result<usize, StoreError> {
        insert_new(step.transaction, &self.kind, &self.targets, &self.entry)
    }
}

/// Puts jobs on the list that are not on it yet. Where there is none, nothing is done that the audit
/// would tell.
fn insert_new(
    connection: &Connection,
    kind: &JobKind,
    targets: &[JobTarget],
    entry: &Entry,
) -> Result<usize, StoreError> {
    let mut listed = asked_for(connection, kind.as_str())?;
    let mut new = 0;
    for target in targets {
        if listed.insert(*target) {
            insert(connection, kind, *target, entry.at_ms)?;
            new += 1;
        }
    }
    if new > 0 {
        entry.insert(connection)?;
    }
    Ok(new)
}

impl JobKind {
    /// Returns its word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Dismiss { .. } => "dismiss",
        }
    }
}

impl JobTarget {
    /// The whole of a request.
    pub fn request(seq: i64) -> Self {
        let part = Part::All;
        Self::Request { seq, part }
    }

    /// Returns the columns `request` and `part`.
    fn stored(self) -> (Option<i64>, Option<&'static str>) {
        match self {
            Self::Request { seq, part } => (Some(seq), part.as_str()),
            Self::AllDead => (None, None),
        }
    }
}

impl Part {
    fn as_str(self) -> Option<&'static str> {
        match self {
            Self::All => None,
            Self::Failed => Some("failed"),
            Self::Dead => Some("dead"),
        }
    }
}

/// Reads the columns `request` and `part`, which begin at `index`.
fn target(row: Row<'_>, index: usize) -> rusqlite::Result<JobTarget> {
    let Some(seq) = row.get::<_, Option<i64>>(index)? else {
        return Ok(JobTarget::AllDead);
    };
    let part = match row.get_ref(index + 1)?.as_str_or_null()? {
        Some("failed") => Part::Failed,
        Some("dead") => Part::Dead,
        _ => Part::All,
    };
    Ok(JobTarget::Request { seq, part })
}

/// Returns what is on the list for a kind of job.
pub fn asked_for(connection: &Connection, kind: &str) -> Result<HashSet<JobTarget>, StoreError> {
    let mut select = connection.prepare_cached("SELECT request, part FROM jobs WHERE kind = ?")?;
    let listed = select.query_map([kind], |row| target(row, 0))?;
    Ok(listed.collect::<Result<_, _>>()?)
}

fn insert(
    connection: &Connection,
    kind: &JobKind,
    target: JobTarget,
    asked_at: i64,
) -> Result<(), StoreError> {
    let why = match kind {
        JobKind::Replay => None,
        JobKind::Dismiss { why } => Some(why),
    };
    let (seq, part) = target.stored();
    let sql = "INSERT INTO jobs (kind, request, asked_at, why, part) VALUES (?, ?, ?, ?, ?)";
    connection
        .prepare_cached(sql)?
        .execute(params![kind.as_str(), seq, asked_at, why, part])?;
    Ok(())
}

/// Reads the jobs that are to be done, oldest first.
pub fn list(connection: &Connection) -> Result<Vec<Job>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, kind, why, request, part FROM jobs WHERE kind IN ('replay', 'dismiss') ORDER BY id LIMIT ?",
    )?;
    let rows = statement.query_map([JOBS as i64], |row| {
        let kind = match row.get_ref(1)?.as_str()? {
            "dismiss" => JobKind::Dismiss {
                why: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
            },
            _ => JobKind::Replay,
        };
        Ok(Job {
            id: row.get(0)?,
            kind,
            target: target(row, 3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Takes a job off the list.
pub fn done(step: &Step<'_>, job: i64) -> Result<(), StoreError> {
    step.transaction
        .prepare_cached("DELETE FROM jobs WHERE id = ?")?
        .execute([job])?;
    Ok(())
}

//! The file of a spool: a small SQLite database of its own in the data directory.
//!
//! A request stands in it as the store would have taken it: read, decided and redacted. So nothing
//! is in it that the store must not have, and the plugin is not called again. It has a number, by
//! which it is handed over in the order of arrival.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::body::Bytes;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::amount::Amount;
use super::error::SpoolError;
use super::opening;
use super::request::Spooled;
use crate::store::append::Append;
use crate::store::files::{self, Lock, Place};
use crate::store::{NewRequest, Reading, UnprovenBounds};

/// The bytes that a row takes beside its request.
const ROW: u64 = 128;

/// The most requests that are handed over at once,
const BATCH: usize = 256;
/// and the bytes after which no more is added to them.
const BATCH_BYTES: usize = 8 << 20;

/// A request to keep.
#[derive(Debug)]
pub struct Keep {
    pub n: i64,
    id: String,
    source: String,
    unproven: Option<UnprovenBounds>,
    kept: String,
    body: Bytes,
}

/// A request that was kept.
#[derive(Debug)]
pub struct Kept {
    pub n: i64,
    /// Its id.
    pub id: String,
    /// The request; or why it cannot be read.
    pub spooled: Result<Arc<Spooled>, String>,
}

/// The file, open for writing.
#[derive(Debug)]
pub struct File {
    connection: Connection,
    path: PathBuf,
    place: Place,
    bounds: Amount,
    amount: Amount,
    _lock: Lock,
}

impl Keep {
    /// Takes a request down, under its number.
    ///
    /// # Errors
    /// It does not become JSON.
    pub fn of(n: i64, append: &Append) -> serde_json::Result<Self> {
        let Append {
            request, reading, ..
        } = append;
        Ok(Self {
            n,
            id: request.id.clone(),
            source: request.source.clone(),
            unproven: match reading {
                Reading::Failed(failure) => failure.unproven,
                _ => None,
            },
            kept: serde_json::to_string(&(request, reading))?,
            body: request.body.clone(),
        })
    }

    fn bytes(&self) -> u64 {
        ROW + (self.kept.len() + self.body.len()) as u64
    }
}

impl File {
    /// Opens the file, making it where it is not there, and keeps any other gateway from it.
    /// `bounds` is the most that it takes.
    ///
    /// # Errors
    /// [`SpoolError::Unusable`] and [`SpoolError::Damaged`] with what is wrong; otherwise what the
    /// disk said.
    pub fn open(data_dir: &Path, bounds: Amount) -> Result<Self, SpoolError> {
        let failed = |error: &dyn std::fmt::Display| SpoolError::Failed(error.to_string());
        let lock = files::acquire(data_dir).map_err(|error| failed(&error))?;
        let path = opening::path_in(data_dir);
        let connection = opening::open(&path)?;
        // The database may take now what it did not take in an earlier run.
        connection.execute(
            "UPDATE requests SET fault = NULL WHERE fault IS NOT NULL",
            [],
        )?;
        Ok(Self {
            amount: opening::amount(&connection)?,
            place: Place::of(&path).map_err(|error| failed(&error))?,
            connection,
            path,
            bounds,
            _lock: lock,
        })
    }

    /// Returns the amount that is in it.
    pub fn amount(&self) -> Amount {
        self.amount
    }

    /// Returns the number that the next request may have.
    ///
    /// # Errors
    /// The disk's.
    pub fn next_number(&self) -> Result<i64, SpoolError> {
        let select = "SELECT ifnull(max(n), 0) + 1 FROM requests";
        Ok(self.connection.query_row(select, [], |row| row.get(0))?)
    }

    /// Keeps requests, with one sync. Each has an answer of its own, unless the disk fails.
    ///
    /// # Errors
    /// The disk's: none is kept then.
    pub fn keep(&mut self, all: &[&Keep]) -> Result<Vec<Result<(), SpoolError>>, SpoolError> {
        let mut amount = self.amount;
        let transaction = begin(&mut self.connection)?;
        let mut answers = Vec::with_capacity(all.len());
        for keep in all {
            let more = Amount {
                requests: amount.requests + 1,
                bytes: amount.bytes + keep.bytes(),
            };
            answers.push(
                if more.requests > self.bounds.requests || more.bytes > self.bounds.bytes {
                    Err(SpoolError::Full(amount))
                } else if is_too_much(&transaction, keep)? {
                    Err(SpoolError::Unproven(keep.source.clone()))
                } else {
                    insert(&transaction, keep)?;
                    amount = more;
                    Ok(())
                },
            );
        }
        commit(transaction, &self.place)?;
        self.amount = amount;
        Ok(answers)
    }

    /// Returns those that have waited longest, but for those that were set aside.
    ///
    /// # Errors
    /// The disk's.
    pub fn next(&self) -> Result<Vec<Kept>, SpoolError> {
        let mut select = self.connection.prepare_cached(
            "SELECT n, id, kept, body FROM requests WHERE fault IS NULL ORDER BY n LIMIT ?",
        )?;
        let mut rows = select.query([BATCH as i64])?;
        let mut kept = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES
            && let Some(row) = rows.next()?
        {
            let text: String = row.get(2)?;
            let body: Vec<u8> = row.get(3)?;
            bytes += text.len() + body.len();
            let read: serde_json::Result<(NewRequest, Reading)> = serde_json::from_str(&text);
            kept.push(Kept {
                n: row.get(0)?,
                id: row.get(1)?,
                spooled: match read {
                    Ok((request, reading)) => Ok(Arc::new(Spooled {
                        request: NewRequest {
                            body: body.into(),
                            ..request
                        },
                        reading,
                    })),
                    Err(error) => Err(error.to_string()),
                },
            });
        }
        Ok(kept)
    }

    /// Removes requests that the database has.
    ///
    /// # Errors
    /// The disk's: none is removed then.
    pub fn remove(&mut self, numbers: &[i64]) -> Result<(), SpoolError> {
        let transaction = begin(&mut self.connection)?;
        for n in numbers {
            transaction
                .prepare_cached("DELETE FROM requests WHERE n = ?")?
                .execute([n])?;
        }
        commit(transaction, &self.place)?;
        self.amount = opening::amount(&self.connection)?;
        if self.amount.requests == 0 {
            self.give_back();
        }
        Ok(())
    }

    /// Sets a request aside that the database does not take: it holds up no other, and is tried
    /// again at the next start.
    ///
    /// # Errors
    /// The disk's.
    pub fn set_aside(&mut self, n: i64, why: &str) -> Result<(), SpoolError> {
        let transaction = begin(&mut self.connection)?;
        transaction.execute(
            "UPDATE requests SET fault = ?2 WHERE n = ?1",
            params![n, why],
        )?;
        commit(transaction, &self.place)
    }

    /// Closes the file, and removes it where nothing is in it.
    pub fn close(self) {
        let Self {
            connection,
            path,
            amount,
            _lock,
            ..
        } = self;
        // This folds the log into it.
        let closed = connection
            .close()
            .map_err(|(_, error)| SpoolError::from(error));
        let removed = closed.and_then(|()| match amount.requests {
            0 => std::fs::remove_file(&path).map_err(|error| SpoolError::Failed(error.to_string())),
            _ => Ok(()),
        });
        if let Err(error) = removed {
            tracing::warn!(%error, "the spool was not closed in order; what is in it is kept");
        }
    }

    /// Gives the room of an empty file back to the disk. It is no loss where that fails.
    fn give_back(&self) {
        let given = (|| {
            let mut vacuum = self.connection.prepare("PRAGMA incremental_vacuum")?;
            // It gives back a page with each step.
            let mut steps = vacuum.query([])?;
            while steps.next()?.is_some() {}
            self.connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        })();
        if let Err(error) = given {
            tracing::debug!(%error, "the spool keeps its room on the disk");
        }
    }
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, SpoolError> {
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

/// Commits what was changed, unless the file stands in its place no more.
fn commit(transaction: Transaction<'_>, place: &Place) -> Result<(), SpoolError> {
    place
        .check()
        .map_err(|error| SpoolError::Failed(error.to_string()))?;
    Ok(transaction.commit()?)
}

fn insert(transaction: &Transaction<'_>, keep: &Keep) -> Result<(), SpoolError> {
    let bytes = i64::try_from(keep.bytes()).unwrap_or(i64::MAX);
    transaction
        .prepare_cached(
            "INSERT INTO requests (n, id, source, bytes, unproven, kept, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            keep.n,
            keep.id,
            keep.source,
            bytes,
            keep.unproven.map(|_| bytes),
            keep.kept,
            &keep.body[..]
        ])?;
    Ok(())
}

/// Returns whether a failed request is one more than its source may have here.
fn is_too_much(transaction: &Transaction<'_>, keep: &Keep) -> Result<bool, SpoolError> {
    let Some(bounds) = keep.unproven else {
        return Ok(false);
    };
    let mut select = transaction.prepare_cached(
        "SELECT count(*), ifnull(sum(unproven), 0) FROM requests WHERE source = ? AND unproven IS NOT NULL",
    )?;
    let (count, bytes): (i64, i64) =
        select.query_row([&keep.source], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let more = i64::try_from(keep.bytes()).unwrap_or(i64::MAX);
    Ok(count >= bounds.count || bytes.saturating_add(more) > bounds.bytes)
}

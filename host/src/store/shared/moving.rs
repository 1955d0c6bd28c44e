//! Moving a store: from the file in a folder into a database, and back.
//!
//! Rows are copied as they are, so each request keeps its number, and all that waits goes on where
//! it stood. Neither side is removed: the file gets another name, and the
//! database takes no gateway from then on, until a file is moved into it again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rusqlite::types::Value;

use super::keeper::WATCHED;
use super::schema::{self, Found, integer, text};
use super::server;
use crate::store::files::{self, beside, sync_folder};
use crate::store::identities::{Changes, Identities};
use crate::store::ids::{ALERTS_PER_REQUEST, DELIVERIES_PER_ALERT};
use crate::store::postgres::Link;
use crate::store::sql::Connection;
use crate::store::totals::Totals;
use crate::store::writer::{LAST_SEQ, NEXT_SEQ};
use crate::store::{Depth, SharedStore, StoreError, check, file, preflight, spooled};

/// The tables of both kinds. A row refers to one of an earlier table only.
const TABLES: [&str; 24] = [
    "plugins",
    "sources",
    "destinations",
    "requests",
    "bodies",
    "alerts",
    "events",
    "identities",
    "orders",
    "repeats",
    "queue",
    "dead",
    "attempts",
    "jobs",
    "audit",
    "conditions",
    "totals",
    "fallbacks",
    "groups",
    "members",
    "storms",
    "tracked",
    "keys",
    "mutes",
];
/// The last one, which refers to mutes.
const MUTED: &str = "muted";

/// The number of rows that a statement takes.
const ROWS: usize = 100;
/// The bytes of rows that a statement may take.
const BYTES: usize = 4 << 20;
/// The longest wait for an answer: a table of millions of rows is counted, and indexes are made.
const ANSWER: Duration = Duration::from_secs(600);

/// Begins the move. No gateway begins a commit until it has ended.
const BEGIN: &str =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE; LOCK TABLE writer IN EXCLUSIVE MODE";

/// A store that was moved.
#[derive(Debug)]
pub struct Moved {
    /// The number of requests.
    pub requests: u64,
    /// The number of alerts.
    pub alerts: u64,
    /// The number of deliveries that are pending.
    pub pending: i64,
    /// The file, under the name that it has now.
    pub file: PathBuf,
}

/// Moves the store of `shared`'s folder into its database, which must be empty.
///
/// # Errors
/// [`StoreError::Locked`] where a gateway has the file open; [`StoreError::Refused`] where one uses
/// the database, or it holds requests; otherwise what the disk or the database said. All is as it
/// was then.
pub fn to_database(shared: &SharedStore) -> Result<Moved, StoreError> {
    let path = file(&shared.data_dir);
    if preflight::look(&path)?.is_none() {
        return Err(StoreError::Missing(path));
    }
    let target = beside(&path, ".moved");
    if target.symlink_metadata().is_ok() {
        return Err(StoreError::InTheWay(target));
    }
    let _lock = files::acquire(&shared.data_dir)?;
    let link = reach(shared)?;
    let connection = crate::store::schema::open(&path, true, true)?;
    let connection = Connection::Embedded(connection);
    let next_seq = whole(&connection)?;
    if schema::look(&link)? == Found::Moved {
        schema::drop_all(&link)?;
    }
    schema::make(&link)?;
    expect_no_gateway(&link)?;
    link.begin(BEGIN)?;
    let copied = fill(&link, &connection, next_seq);
    let copied = copied.and_then(|copied| link.commit().map(|()| copied));
    if copied.is_err() {
        link.roll_back();
    }
    let [requests, alerts] = copied?;
    let pending = Totals::read(&connection)?.pending;
    // Closed, so that its log is folded in.
    drop(connection);
    renamed(&path, &target)?;
    Ok(Moved {
        requests,
        alerts,
        pending,
        file: target,
    })
}

/// Moves the store of `shared`'s database into its folder, which must have none.
///
/// # Errors
/// As [`to_database`]; [`StoreError::InTheWay`] where the folder has a store, and
/// [`StoreError::Spooled`] where requests wait in it for the database.
pub fn to_file(shared: &SharedStore) -> Result<Moved, StoreError> {
    let path = file(&shared.data_dir);
    let _lock = files::acquire(&shared.data_dir)?;
    if path.symlink_metadata().is_ok() {
        return Err(StoreError::InTheWay(path));
    }
    match spooled(&shared.data_dir) {
        Ok(Some(left)) if left.requests > 0 => return Err(StoreError::Spooled(left.to_string())),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    let link = reach(shared)?;
    schema::expect(&link)?;
    expect_no_gateway(&link)?;
    link.begin(BEGIN)?;
    let moved = (|| {
        let mut rows = [0, 0];
        crate::store::schema::build(&path, true, |connection| {
            rows = drain(&link, connection)?;
            Ok(())
        })?;
        let report = check(&path, Depth::IntegrityCheck)?;
        if !report.whole {
            let what = report.findings.into_iter().map(|finding| finding.what);
            return Err(StoreError::Refused(format!(
                "its rows do not agree with each other: {}",
                what.collect::<Vec<_>>().join("; ")
            )));
        }
        link.batch(schema::MOVE_AWAY)?;
        link.commit()?;
        Ok((rows, report.pending))
    })();
    let ([requests, alerts], pending) = match moved {
        Ok(moved) => moved,
        Err(error) => {
            link.roll_back();
            // It is of no use where the database still has all of it.
            if !matches!(error, StoreError::Unknown(_)) {
                let _ = std::fs::remove_file(&path);
            }
            return Err(error);
        }
    };
    Ok(Moved {
        requests,
        alerts,
        pending,
        file: path,
    })
}

/// Connects to a database, if it may be used.
fn reach(shared: &SharedStore) -> Result<Link, StoreError> {
    let link = Link::new(Arc::clone(&shared.address));
    server::ask(&link, shared.replication)?;
    link.set_within(ANSWER);
    Ok(link)
}

/// Expects that no gateway uses a database: no beat goes up.
fn expect_no_gateway(link: &Link) -> Result<(), StoreError> {
    let look = || link.query("SELECT node, beat FROM gateways WHERE instance <> ''", &[]);
    let before = look()?;
    if before.is_empty() {
        return Ok(());
    }
    thread::park_timeout(WATCHED);
    let mut alive = look()?;
    alive.retain(|row| !before.contains(row));
    let alive: Vec<_> = alive
        .into_iter()
        .filter_map(|row| text(row.into_iter().next()?))
        .collect();
    if alive.is_empty() {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "it is used by the gateway {}: stop all that share it first",
        alive.join(", ")
    )))
}

/// Writes down what waits in memory otherwise. Returns the number of the next request.
fn whole(connection: &Connection) -> Result<i64, StoreError> {
    let numbers = [
        LAST_SEQ,
        ALERTS_PER_REQUEST as i64,
        DELIVERIES_PER_ALERT as i64,
    ];
    let next_seq = connection.query_row(NEXT_SEQ, numbers, |row| row.get(0))?;
    let identities = Identities::read(connection, next_seq)?;
    let transaction = connection.write()?;
    identities.write(&transaction, &Changes::new(), next_seq, true)?;
    transaction.commit()?;
    Ok(next_seq)
}

/// Copies all rows of a file. Returns the numbers of requests and alerts.
fn fill(link: &Link, connection: &Connection, next_seq: i64) -> Result<[u64; 2], StoreError> {
    let held = link.query("SELECT 1 FROM requests LIMIT 1", &[])?;
    if !held.is_empty() {
        return Err(StoreError::Refused(
            "it holds requests already: give the gateways a database of their own".to_owned(),
        ));
    }
    let mut counts = [0, 0];
    for table in TABLES.into_iter().chain([MUTED]) {
        let columns = columns(link, table)?;
        link.execute(&format!("DELETE FROM {table}"), &[])?;
        let names = columns.join(", ");
        let mut select = connection.prepare_cached(&format!("SELECT {names} FROM {table}"))?;
        let mut rows = select.query([])?;
        let mut batch = Batch::new(link, table, &columns);
        while let Some(row) = rows.next()? {
            let values = (0..columns.len()).map(|index| row.get(index));
            batch.push(values.collect::<Result<_, _>>()?)?;
        }
        let copied = batch.end()?;
        match table {
            "requests" => counts[0] = copied,
            "alerts" => counts[1] = copied,
            _ => {}
        }
        if columns.iter().any(|column| column == "id") && is_numbered(link, table)? {
            let sql = format!(
                "SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM {table}), FALSE)"
            );
            link.query(&sql, &[])?;
        }
    }
    link.execute(
        "UPDATE writer SET next_seq = ?, instance = '', commits = commits + 1",
        &[next_seq.into()],
    )?;
    Ok(counts)
}

/// Copies all rows of a database. Returns the numbers of requests and alerts.
fn drain(link: &Link, connection: &mut rusqlite::Connection) -> Result<[u64; 2], StoreError> {
    let mut counts = [0, 0];
    let transaction = connection.transaction()?;
    for table in TABLES.into_iter().chain([MUTED]) {
        let columns = columns(link, table)?;
        let names = columns.join(", ");
        let places = vec!["?"; columns.len()].join(", ");
        transaction.execute(&format!("DELETE FROM {table}"), [])?;
        let mut insert =
            transaction.prepare(&format!("INSERT INTO {table} ({names}) VALUES ({places})"))?;
        link.batch(&format!(
            "DECLARE all_{table} CURSOR FOR SELECT {names} FROM {table}"
        ))?;
        let mut copied = 0;
        loop {
            let rows = link.query(&format!("FETCH {ROWS} FROM all_{table}"), &[])?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                insert.execute(rusqlite::params_from_iter(row))?;
                copied += 1;
            }
        }
        match table {
            "requests" => counts[0] = copied,
            "alerts" => counts[1] = copied,
            _ => {}
        }
    }
    let next_seq = link.query("SELECT next_seq FROM writer", &[])?;
    let next_seq = next_seq.into_iter().flatten().find_map(integer);
    // All identities are in their table.
    transaction.execute(
        "INSERT OR REPLACE INTO identified (id, before) VALUES (1, ?)",
        [next_seq],
    )?;
    transaction.commit()?;
    Ok(counts)
}

/// Returns the columns of a table of the database.
fn columns(link: &Link, table: &str) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped
               ORDER BY attnum";
    let rows = link.query(sql, &[table.to_owned().into()])?;
    Ok(rows.into_iter().flatten().filter_map(text).collect())
}

/// Returns whether a database numbers the rows of a table.
fn is_numbered(link: &Link, table: &str) -> Result<bool, StoreError> {
    let sql = "SELECT pg_get_serial_sequence(?, 'id') IS NOT NULL";
    let rows = link.query(sql, &[table.to_owned().into()])?;
    Ok(rows.into_iter().flatten().find_map(integer) == Some(1))
}

/// Gives a file another name that survives a power cut.
fn renamed(from: &Path, to: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::Disk(format!("cannot rename {}: {error}", from.display()));
    std::fs::rename(from, to).map_err(failed)?;
    match to.parent() {
        Some(folder) => sync_folder(folder).map_err(failed),
        None => Ok(()),
    }
}

/// Rows on their way into a table, many with each statement.
struct Batch<'a> {
    link: &'a Link,
    /// The statement for a full batch, and that for one row.
    many: String,
    one: String,
    values: Vec<Value>,
    rows: usize,
    bytes: usize,
    width: usize,
    copied: u64,
}

impl<'a> Batch<'a> {
    fn new(link: &'a Link, table: &str, columns: &[String]) -> Self {
        let names = columns.join(", ");
        let row = format!("({})", vec!["?"; columns.len()].join(", "));
        let insert = format!("INSERT INTO {table} ({names}) VALUES ");
        Self {
            link,
            many: insert.clone() + &vec![row.as_str(); ROWS].join(", "),
            one: insert + &row,
            values: Vec::new(),
            rows: 0,
            bytes: 0,
            width: columns.len(),
            copied: 0,
        }
    }

    fn push(&mut self, row: Vec<Value>) -> Result<(), StoreError> {
        self.bytes += row.iter().map(size).sum::<usize>();
        self.values.extend(row);
        self.rows += 1;
        if self.rows == ROWS {
            self.copied += self.link.execute(&self.many, &self.values)?;
            self.clear();
        } else if self.bytes > BYTES {
            self.singly()?;
        }
        Ok(())
    }

    fn singly(&mut self) -> Result<(), StoreError> {
        for row in self.values.chunks(self.width) {
            self.copied += self.link.execute(&self.one, row)?;
        }
        self.clear();
        Ok(())
    }

    fn clear(&mut self) {
        self.values.clear();
        (self.rows, self.bytes) = (0, 0);
    }

    /// Writes the last rows. Returns the number of all.
    fn end(mut self) -> Result<u64, StoreError> {
        self.singly()?;
        Ok(self.copied)
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        _ => 8,
    }
}

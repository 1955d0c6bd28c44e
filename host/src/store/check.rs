//! Checks the store: SQLite's own check of the file, and the gateway's of its content.
//!
//! It reads in one transaction of its own, so it may run beside a gateway that works. Each finding
//! says what follows from it and what to do; where rows contradict each other, that is the
//! statement that sets them right.

mod rules;

use std::path::{Path, PathBuf};

use plugin_sdk::contract;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Transaction};
use serde::Serialize;

use self::rules::{RULES, Rule};
use super::stop::Stop;
use super::{StoreError, files, functions, preflight, tables};

/// The number of examples named of each kind.
const EXAMPLES: usize = 3;

/// The extent of SQLite's own check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// `integrity_check`: every page, and every row in every index.
    IntegrityCheck,
    /// `quick_check`: every page, and no index.
    QuickCheck,
}

/// The result of a check.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The file.
    pub path: PathBuf,
    /// The check that SQLite made.
    pub check: Depth,
    /// True if nothing was found.
    pub whole: bool,
    /// Requests kept.
    pub requests: i64,
    /// Alerts kept.
    pub alerts: i64,
    /// Deliveries of them that are pending.
    pub pending: i64,
    /// Bytes that the file takes, the log beside it included.
    pub bytes: u64,
    /// A contradiction in the store.
    pub findings: Vec<Finding>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The kind of fault.
    pub what: String,
    /// The number of times it was found.
    pub count: usize,
    /// The positions of the first of them: what SQLite said, or the ids of alerts.
    pub examples: Vec<String>,
    /// The consequence, and the remedy.
    pub advice: String,
    /// The statement that sets it right, for `sqlite3` while no gateway runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<&'static str>,
}

/// Rows that break a rule: all counted, the first few named.
#[derive(Debug, Default)]
struct Found {
    count: usize,
    examples: Vec<String>,
}

const DAMAGE: &str = "the file itself is damaged, by the disk or by another program. Stop the gateway, keep a copy of the \
    data directory, and restore a backup (`alert-gateway store backup --help` says how); `sqlite3 FILE .recover` may save \
    what came after it";

/// Checks the store at `path`, whether or not a gateway has it open.
///
/// # Errors
/// Where it is not there, or cannot be opened or read at all.
pub fn check(path: &Path, depth: Depth) -> Result<Report, StoreError> {
    check_until(path, depth, &Stop::default())
}

/// The same, unless it is told to stop.
pub fn check_until(path: &Path, depth: Depth, stop: &Stop) -> Result<Report, StoreError> {
    let mut connection =
        preflight::look(path)?.ok_or_else(|| StoreError::Missing(path.to_owned()))?;
    let found = tables::version(&connection)?;
    if found < tables::VERSION {
        return Err(StoreError::Older {
            found,
            known: tables::VERSION,
        });
    }
    stop.watches(&mut connection)?;
    functions::add(&connection)?;
    let transaction = connection.transaction()?;
    // A page that cannot be understood at all ends the check of the rest.
    let findings = match find(&transaction, depth) {
        Err(StoreError::Damaged(said)) => {
            let found = Found {
                count: 1,
                examples: vec![said],
            };
            finding("faults in the file", found, DAMAGE, None)
                .into_iter()
                .collect()
        }
        findings => findings?,
    };
    let count = |sql| {
        transaction
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .unwrap_or_default()
    };
    let bytes = [path.to_owned(), files::log(path)]
        .map(|file| file.metadata().map_or(0, |file| file.len()));
    Ok(Report {
        path: path.to_owned(),
        check: depth,
        whole: findings.is_empty(),
        requests: count("SELECT count(*) FROM requests"),
        alerts: count("SELECT count(*) FROM alerts"),
        pending: count("SELECT count(*) FROM queue"),
        bytes: bytes.into_iter().sum(),
        findings,
    })
}

fn find(transaction: &Transaction<'_>, depth: Depth) -> Result<Vec<Finding>, StoreError> {
    let mut findings = damage(transaction, depth)?;
    // The rows of a damaged file say nothing.
    if findings.is_empty() {
        for Rule {
            broken,
            what,
            advice,
            cure,
        } in RULES
        {
            findings.extend(finding(what, lines(transaction, broken)?, advice, *cure));
        }
        findings.extend(no_alerts(transaction)?);
    }
    Ok(findings)
}

/// Returns the faults that SQLite finds.
fn damage(transaction: &Transaction<'_>, depth: Depth) -> Result<Vec<Finding>, StoreError> {
    let sql = match depth {
        Depth::IntegrityCheck => "PRAGMA integrity_check",
        Depth::QuickCheck => "PRAGMA quick_check",
    };
    let damage = finding("faults in the file", lines(transaction, sql)?, DAMAGE, None);
    if damage.is_some() {
        return Ok(damage.into_iter().collect());
    }
    let strangers = lines(
        transaction,
        "SELECT \"table\" || ' ' || rowid FROM pragma_foreign_key_check",
    )?;
    let advice = "requests of a plugin that is not in the store; `events` does not show them. Another program wrote them";
    Ok(
        finding("rows that refer to nothing", strangers, advice, None)
            .into_iter()
            .collect(),
    )
}

/// Alerts that are to be delivered and are none.
fn no_alerts(transaction: &Transaction<'_>) -> Result<Option<Finding>, StoreError> {
    let mut statement = transaction
        .prepare("SELECT q.id, e.json FROM queue q JOIN events e ON e.alert = q.id / 16")?;
    let mut rows = statement.query([])?;
    let mut found = Found::default();
    while let Some(row) = rows.next()? {
        let json = row.get_ref(1)?.as_bytes().unwrap_or_default();
        if let Err(error) = serde_json::from_slice::<contract::Alert>(json) {
            found.add(|| format!("{} ({error})", row.get::<_, i64>(0).unwrap_or_default()));
        }
    }
    let advice = "they are dead letters when they are due; their request is kept (`events show`)";
    Ok(finding(
        "pending alerts that cannot be read",
        found,
        advice,
        None,
    ))
}

/// The first column of each row, as text; SQLite says "ok" where it has found nothing.
fn lines(connection: &Connection, sql: &str) -> Result<Found, StoreError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut found = Found::default();
    while let Some(row) = rows.next()? {
        match row.get_ref(0)? {
            ValueRef::Text(b"ok") => {}
            ValueRef::Integer(number) => found.add(|| number.to_string()),
            other => found
                .add(|| String::from_utf8_lossy(other.as_bytes().unwrap_or_default()).into_owned()),
        }
    }
    Ok(found)
}

impl Found {
    fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example());
        }
    }
}

fn finding(what: &str, found: Found, advice: &str, cure: Option<&'static str>) -> Option<Finding> {
    let Found { count, examples } = found;
    (count > 0).then(|| Finding {
        what: what.to_owned(),
        count,
        examples,
        advice: advice.to_owned(),
        cure,
    })
}

//! Whether the store is whole: SQLite's own check of the file, and the gateway's of what stands in it.
//!
//! It reads in one transaction of its own, so it may run beside a gateway that works. Each finding says what follows from
//! it and what to do; where rows contradict each other, that is the statement that sets them right.

use std::path::{Path, PathBuf};

use plugin_sdk::contract;
use rusqlite::{Connection, Transaction};
use serde::Serialize;

use super::{StoreError, found, schema};

/// How many of a kind are named.
const EXAMPLES: usize = 3;

/// How much of SQLite's own check is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// `integrity_check`: every page, and every row in every index.
    IntegrityCheck,
    /// `quick_check`: every page, and no index.
    QuickCheck,
}

/// What a check came to.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The file.
    pub path: PathBuf,
    /// What SQLite was asked.
    pub check: Depth,
    /// Whether nothing was found.
    pub whole: bool,
    /// Requests kept.
    pub requests: i64,
    /// Alerts kept.
    pub alerts: i64,
    /// Those of them that wait to be delivered.
    pub pending: i64,
    /// Bytes that the file takes, the log beside it included.
    pub bytes: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub what: String,
    /// How often.
    pub count: usize,
    /// Where, for the first of them: what SQLite said, or the ids of alerts.
    pub examples: Vec<String>,
    /// What follows, and what to do.
    pub advice: String,
    /// The statement that sets it right, for `sqlite3` while no gateway runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<&'static str>,
}

/// A rule that the rows keep: the query that gives the first column of each row that breaks it, and what to say then.
struct Rule {
    broken: &'static str,
    what: &'static str,
    advice: &'static str,
    cure: Option<&'static str>,
}

const RULES: &[Rule] = &[
    Rule {
        broken: "SELECT name FROM (
                     SELECT 'pending' AS name, (SELECT count(*) FROM alerts WHERE state = 'pending') AS counted
                     UNION ALL SELECT 'delivered', (SELECT count(*) FROM alerts WHERE state = 'delivered')
                     UNION ALL SELECT 'set_aside', (SELECT count(*) FROM alerts WHERE state = 'set_aside')
                     UNION ALL SELECT 'failed', (SELECT count(*) FROM requests WHERE state = 'failed'))
                 WHERE counted IS NOT (SELECT n FROM totals WHERE state = name)",
        what: "totals that are not the number of rows",
        advice: "metrics show wrong figures; nothing else follows",
        cure: Some(
            "INSERT OR REPLACE INTO totals SELECT 'failed', (SELECT count(*) FROM requests WHERE state = 'failed') \
             UNION ALL SELECT 'pending', (SELECT count(*) FROM alerts WHERE state = 'pending') \
             UNION ALL SELECT 'delivered', (SELECT count(*) FROM alerts WHERE state = 'delivered') \
             UNION ALL SELECT 'set_aside', (SELECT count(*) FROM alerts WHERE state = 'set_aside')",
        ),
    },
    Rule {
        broken: "SELECT min(id) FROM alerts WHERE state = 'pending' GROUP BY lane, destination HAVING count(due_at) = 0",
        what: "pending alerts, none of whose key is ever due",
        advice: "they and those behind them are never delivered",
        cure: Some(
            "UPDATE alerts SET due_at = 0 WHERE id IN (SELECT min(id) FROM alerts WHERE state = 'pending' \
             GROUP BY lane, destination HAVING count(due_at) = 0)",
        ),
    },
    Rule {
        broken: "SELECT min(id) FROM alerts WHERE state = 'pending' GROUP BY lane, destination HAVING count(due_at) > 1",
        what: "pending alerts with the same key that are due beside each other",
        advice: "they may be delivered out of order",
        cure: Some(
            "UPDATE alerts AS a SET due_at = NULL WHERE state = 'pending' AND EXISTS (SELECT 1 FROM alerts AS b \
             WHERE b.lane = a.lane AND b.destination = a.destination AND b.state = 'pending' AND b.due_at IS NOT NULL \
             AND b.id < a.id)",
        ),
    },
    Rule {
        broken: "SELECT id FROM alerts WHERE due_at IS NOT NULL AND state <> 'pending'",
        what: "settled alerts that are due",
        advice: "they are not sent again; only SQLite's index is longer than it need be",
        cure: Some("UPDATE alerts SET due_at = NULL WHERE state <> 'pending'"),
    },
    Rule {
        broken: "SELECT id FROM alerts
                 WHERE state = 'pending' AND due_at > (unixepoch() + 24 * 60 * 60) * 1000",
        what: "pending alerts that are not due for a day or more",
        advice: "nothing waits that long: the machine's clock was wrong when they were put off",
        cure: Some("UPDATE alerts SET due_at = 0 WHERE state = 'pending' AND due_at IS NOT NULL"),
    },
    Rule {
        broken: "SELECT id FROM alerts WHERE state NOT IN ('pending', 'delivered', 'set_aside')",
        what: "alerts in a state that there is not",
        advice: "nobody delivers them, and retention never removes them",
        cure: Some(
            "UPDATE alerts SET state = 'pending', due_at = NULL WHERE state NOT IN ('pending', 'delivered', 'set_aside')",
        ),
    },
    Rule {
        broken: "SELECT id FROM requests WHERE state NOT IN ('read', 'failed', 'rejected', 'ignored')",
        what: "requests in a state that there is not",
        advice: "they are not read again",
        cure: Some("UPDATE requests SET state = 'failed' WHERE state NOT IN ('read', 'failed', 'rejected', 'ignored')"),
    },
    Rule {
        broken: "SELECT id FROM alerts WHERE id NOT IN (SELECT alert FROM events)",
        what: "alerts of which nothing is kept but the id",
        advice: "they cannot be delivered, and are set aside when they are due; their request is kept (`events show`)",
        cure: None,
    },
    Rule {
        broken: "SELECT id FROM alerts WHERE id / 1024 NOT IN (SELECT seq FROM requests)",
        what: "alerts outside the range of any request",
        advice: "they cannot be delivered, and are set aside when they are due",
        cure: None,
    },
    Rule {
        broken: "SELECT DISTINCT alert FROM attempts WHERE alert NOT IN (SELECT id FROM alerts)",
        what: "attempts at delivering no alert",
        advice: "they take room, and nobody sees them",
        cure: Some("DELETE FROM attempts WHERE alert NOT IN (SELECT id FROM alerts)"),
    },
    Rule {
        broken: "SELECT alert FROM events WHERE alert NOT IN (SELECT id FROM alerts)",
        what: "events of no alert",
        advice: "they take room, and nobody sees them",
        cure: Some("DELETE FROM events WHERE alert NOT IN (SELECT id FROM alerts)"),
    },
];

const DAMAGE: &str = "the file itself is damaged, by the disk or by another program. Stop the gateway, keep a copy of the \
    data directory, and restore a backup (`alert-gateway store backup --help` says how); `sqlite3 FILE .recover` may save \
    what came after it";

/// Checks the store at `path`, whether or not a gateway has it open.
///
/// # Errors
/// Where it is not there, or cannot be opened or read at all.
pub fn check(path: &Path, depth: Depth) -> Result<Report, StoreError> {
    let mut connection = found::look(path)?.ok_or_else(|| StoreError::Missing(path.to_owned()))?;
    let transaction = connection.transaction()?;
    // A page that cannot be understood at all ends the check of the rest.
    let findings = match find(&transaction, depth) {
        Err(StoreError::Damaged(said)) => finding("faults in the file", vec![said], DAMAGE, None).into_iter().collect(),
        findings => findings?,
    };
    let count = |sql| transaction.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap_or_default();
    let bytes = [path.to_owned(), schema::log(path)].map(|file| file.metadata().map_or(0, |file| file.len()));
    Ok(Report {
        path: path.to_owned(),
        check: depth,
        whole: findings.is_empty(),
        requests: count("SELECT count(*) FROM requests"),
        alerts: count("SELECT count(*) FROM alerts"),
        pending: count("SELECT count(*) FROM alerts WHERE state = 'pending'"),
        bytes: bytes.into_iter().sum(),
        findings,
    })
}

fn find(transaction: &Transaction<'_>, depth: Depth) -> Result<Vec<Finding>, StoreError> {
    let mut findings = damage(transaction, depth)?;
    // The rows of a damaged file say nothing.
    if findings.is_empty() {
        for Rule { broken, what, advice, cure } in RULES {
            findings.extend(finding(what, lines(transaction, broken)?, advice, *cure));
        }
        findings.extend(no_alerts(transaction)?);
    }
    Ok(findings)
}

/// What SQLite finds.
fn damage(transaction: &Transaction<'_>, depth: Depth) -> Result<Vec<Finding>, StoreError> {
    let sql = match depth {
        Depth::IntegrityCheck => "PRAGMA integrity_check",
        Depth::QuickCheck => "PRAGMA quick_check",
    };
    let mut said = lines(transaction, sql)?;
    said.retain(|line| line != "ok");
    let damage = finding("faults in the file", said, DAMAGE, None);
    if damage.is_some() {
        return Ok(damage.into_iter().collect());
    }
    let strangers = lines(transaction, "SELECT \"table\" || ' ' || rowid FROM pragma_foreign_key_check")?;
    let advice =
        "requests of a plugin that is not in the store; `events` does not show them. Another program wrote them";
    Ok(finding("rows that refer to nothing", strangers, advice, None).into_iter().collect())
}

/// Alerts that are to be delivered and are none.
fn no_alerts(transaction: &Transaction<'_>) -> Result<Option<Finding>, StoreError> {
    let mut statement = transaction
        .prepare("SELECT a.id, e.json FROM alerts a JOIN events e ON e.alert = a.id WHERE a.state = 'pending'")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let json = row.get_ref(1)?.as_bytes().unwrap_or_default();
        if let Err(error) = serde_json::from_slice::<contract::Alert>(json) {
            found.push(format!("{} ({error})", row.get::<_, i64>(0)?));
        }
    }
    let advice = "they are set aside when they are due; their request is kept (`events show`)";
    Ok(finding("pending alerts that cannot be read", found, advice, None))
}

/// The first column of each row, as text.
fn lines(connection: &Connection, sql: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(match row.get_ref(0)? {
            rusqlite::types::ValueRef::Integer(number) => number.to_string(),
            other => String::from_utf8_lossy(other.as_bytes().unwrap_or_default()).into_owned(),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn finding(what: &str, mut found: Vec<String>, advice: &str, cure: Option<&'static str>) -> Option<Finding> {
    let count = found.len();
    found.truncate(EXAMPLES);
    (count > 0).then(|| Finding { what: what.to_owned(), count, examples: found, advice: advice.to_owned(), cure })
}

//! The tables in PostgreSQL, and how they are made.
//!
//! A release adds to the tables only, so that the gateways of the release before go on writing:
//! `schema_version` has the number of the schema, and that of the oldest gateway that may write. It is
//! made, and changed, in one transaction, by one gateway at a time.

use crate::store::StoreError;
use crate::store::postgres::Link;

/// The schema of this program.
pub const VERSION: i64 = 1;

/// All tables of a new store.
const TABLES: &str = include_str!("schema.sql");

/// Marks a database as moved into a file.
pub const MOVE_AWAY: &str =
    "CREATE TABLE moved_away (at timestamptz NOT NULL DEFAULT clock_timestamp())";

/// The number of times that the tables are looked for while another gateway makes them.
const TRIES: usize = 5;

/// Makes the tables, where there are none.
///
/// # Errors
/// [`StoreError::NewerDatabase`] where a newer gateway has changed them; [`StoreError::Refused`] where
/// something else stands in their place, or the rights are missing.
pub fn make(link: &Link) -> Result<(), StoreError> {
    let mut last = StoreError::Missing("the database".into());
    for _ in 0..TRIES {
        match expect(link) {
            Err(StoreError::Missing(_)) => {}
            done => return done,
        }
        link.begin("BEGIN")?;
        match link.batch(TABLES).and_then(|_| link.commit()) {
            Ok(()) => return Ok(()),
            // Another gateway may have been faster.
            Err(error) => {
                link.roll_back();
                last = error;
            }
        }
    }
    Err(last)
}

/// The content of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// No tables.
    Nothing,
    /// The tables of gateways.
    Tables,
    /// Tables whose content is in a file now.
    Moved,
}

/// Looks for tables of gateways.
///
/// # Errors
/// The database's.
pub fn look(link: &Link) -> Result<Found, StoreError> {
    let sql = "SELECT CASE WHEN to_regclass('moved_away') IS NOT NULL THEN 2
        WHEN to_regclass('schema_version') IS NOT NULL THEN 1 ELSE 0 END";
    let found = link.batch(sql)?;
    Ok(match found.first().and_then(|row| row[0].as_deref()) {
        Some("2") => Found::Moved,
        Some("1") => Found::Tables,
        _ => Found::Nothing,
    })
}

/// Removes all tables, whose content is in a file.
///
/// # Errors
/// The database's.
pub fn drop_all(link: &Link) -> Result<(), StoreError> {
    let names = TABLES
        .lines()
        .filter_map(|line| line.strip_prefix("CREATE TABLE "))
        .filter_map(|rest| rest.split_whitespace().next());
    let names: Vec<_> = names.chain(["moved_away"]).collect();
    link.batch(&format!("DROP TABLE IF EXISTS {}", names.join(", ")))?;
    Ok(())
}

/// Expects the tables of this program, or of another one that it may write into.
///
/// # Errors
/// As [`make`], and [`StoreError::Missing`] where there are none.
pub fn expect(link: &Link) -> Result<(), StoreError> {
    match look(link)? {
        Found::Nothing => return Err(StoreError::Missing("the database".into())),
        Found::Moved => {
            return Err(StoreError::Refused(
                "what it held was moved into a file by `alert-gateway store move`: leave [store] out to go on with that \
                 file, or move it back"
                    .to_owned(),
            ));
        }
        Found::Tables => {}
    }
    let rows = link.query("SELECT version, oldest FROM schema_version", &[])?;
    let numbers: Vec<i64> = rows.into_iter().flatten().filter_map(integer).collect();
    let [found, oldest] = numbers[..] else {
        return Err(StoreError::Refused(
            "its table schema_version is not ours".to_owned(),
        ));
    };
    let known = VERSION;
    if oldest > known {
        return Err(StoreError::NewerDatabase { found, known });
    }
    Ok(())
}

/// Returns the text in a cell.
pub fn text(value: rusqlite::types::Value) -> Option<String> {
    match value {
        rusqlite::types::Value::Text(text) => Some(text),
        _ => None,
    }
}

/// Returns the number in a cell.
pub fn integer(value: rusqlite::types::Value) -> Option<i64> {
    match value {
        rusqlite::types::Value::Integer(number) => Some(number),
        _ => None,
    }
}

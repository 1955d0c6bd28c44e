//! The preflight: what stands in the store's place before it is opened. Nothing, a store, or
//! something to be left alone.
//!
//! SQLite takes an empty file for a new database, and *deletes the log beside it*; it takes any
//! database for ours, and changes its journal mode and adds tables to it. So nothing is opened for
//! writing until it has been looked at. A store of this gateway is made under another name and put
//! in its place when it is whole (see `schema`), so an empty file in that place is not the trace of
//! a crash: somebody cut it, and what was in it must not be forgotten silently.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{StoreError, files, tables};

/// The first bytes of every SQLite database.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The number of bytes its header has.
const HEADER: usize = 100;

/// Looks at `path`. Returns a connection for reading to the store that is there, or nothing where
/// there is none yet.
///
/// # Errors
/// [`StoreError::Unusable`] with what is wrong, [`StoreError::Newer`], or what the disk said.
/// Nothing was changed.
pub fn look(path: &Path) -> Result<Option<Connection>, StoreError> {
    let unusable = |why: &str| StoreError::Unusable {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    let unreadable = |error: std::io::Error| {
        StoreError::Disk(format!("cannot read {}: {error}", path.display()))
    };
    if let Some(why) = files::misplaced(path) {
        return Err(unusable(&why));
    }
    let length = match files::length(path) {
        Ok(Some(length)) => length,
        Ok(None) => {
            if files::log(path).metadata().is_ok_and(|log| log.len() > 0) {
                return Err(unusable(
                    "it is missing, while the log of its latest changes stands beside its place",
                ));
            }
            return Ok(None);
        }
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
            return Err(unusable(&error.to_string()));
        }
        Err(error) => return Err(unreadable(error)),
    };
    let mut start = Vec::with_capacity(HEADER);
    File::open(path)
        .map_err(unreadable)?
        .take(HEADER as u64)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    if start.is_empty() {
        return Err(unusable("it is empty"));
    }
    if !start.starts_with(MAGIC) {
        return Err(unusable("it does not begin as an SQLite database does"));
    }
    // While the log holds something, it may hold the rest as well.
    let no_log = files::log(path)
        .metadata()
        .map_or(true, |log| log.len() == 0);
    if no_log && let Some(expected) = size(&start).filter(|expected| *expected > length) {
        return Err(unusable(&format!(
            "it was cut short: it has {} bytes of {expected}",
            length
        )));
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(tables::BUSY)?;
    tables::harden(&connection)?;
    match difference(&connection) {
        Ok(None) => Ok(Some(connection)),
        Ok(Some(why)) => Err(unusable(&why)),
        Err(StoreError::Damaged(said)) => Err(unusable(&format!("SQLite says of it: {said}"))),
        Err(error) => Err(error),
    }
}

/// The bytes that a database has by its header. SQLite takes a page that is there in part for a
/// whole one.
fn size(header: &[u8]) -> Option<u64> {
    let number = |at: usize| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
    // The number of pages counts only if it was written by the latest change, as all do since 2010.
    (number(24)? == number(92)?).then_some(())?;
    let page_size = u16::from_be_bytes(header.get(16..18)?.try_into().ok()?);
    let page_size = if page_size == 1 {
        65536
    } else {
        u64::from(page_size)
    };
    Some(u64::from(number(28)?) * page_size)
}

/// Says how the tables differ from those that this gateway makes, where they do. More tables,
/// indexes and views than those do no harm; a trigger might.
pub fn difference(connection: &Connection) -> Result<Option<String>, StoreError> {
    let version = tables::version(connection)?;
    let found = objects(connection)?;
    if version <= 0 && !found.is_empty() {
        return Ok(Some("it is a database of another program".to_owned()));
    }
    let mut ours = Connection::open_in_memory()?;
    tables::make(&mut ours, version)?;
    for (name, (kind, sql)) in objects(&ours)? {
        match found.get(&name) {
            Some((_, found)) if *found == sql => {}
            Some(_) => {
                return Ok(Some(format!(
                    "its {kind} \"{name}\" is not as this gateway makes it"
                )));
            }
            None => {
                return Ok(Some(format!(
                    "it has no {kind} \"{name}\", so it was not made by this gateway"
                )));
            }
        }
    }
    let trigger = found.iter().find(|(_, (kind, _))| kind == "trigger");
    Ok(trigger.map(|(name, _)| format!("somebody added the trigger \"{name}\" to it")))
}

/// Name, kind and definition of all that is defined in a database.
fn objects(connection: &Connection) -> Result<BTreeMap<String, (String, String)>, StoreError> {
    let mut statement =
        connection.prepare("SELECT name, type, sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

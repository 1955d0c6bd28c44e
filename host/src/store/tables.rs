//! The tables of each schema, and what every connection to them needs.

use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// The first schemas, each as the step from the one before it. A store of theirs is copied.
pub const OLDER: [&str; 2] = [include_str!("schema/1.sql"), include_str!("schema/2.sql")];

/// The schema after those, whole. A store of it or of a later one is brought up in place.
const BASE: &str = include_str!("schema/3.sql");

/// The number of [`BASE`].
pub const IN_PLACE: i64 = OLDER.len() as i64 + 1;

/// The schemas after that, each as the step from the one before it.
const STEPS: [&str; 2] = [include_str!("schema/4.sql"), include_str!("schema/5.sql")];

/// The number of the newest schema.
pub const VERSION: i64 = IN_PLACE + STEPS.len() as i64;

/// The time a connection waits for another process, such as `events replay`, that is writing.
pub const BUSY: Duration = Duration::from_secs(5);

/// Sets what every connection needs: a plan that stands whatever is bound (else STAT4 plans some
/// statements anew at each use), and a file whose schema may hold whatever somebody wrote into it.
pub fn harden(connection: &Connection) -> Result<(), StoreError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    Ok(())
}

/// Makes the tables of a schema in an empty database.
pub fn make(connection: &mut Connection, version: i64) -> Result<(), StoreError> {
    if version < IN_PLACE {
        let steps = usize::try_from(version).unwrap_or_default();
        return migrate(connection, &OLDER[..steps]);
    }
    connection.execute_batch(BASE)?;
    for (_, step) in steps_from(IN_PLACE).filter(|(number, _)| *number <= version) {
        connection.execute_batch(step)?;
    }
    Ok(())
}

/// Brings a store of [`BASE`] or a later schema to the newest one, each step in a transaction with
/// its number.
pub fn step_up(connection: &mut Connection) -> Result<(), StoreError> {
    let found = version(connection)?;
    for (number, step) in steps_from(found) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
        tracing::info!(
            number,
            "the store was brought up to a newer schema in place"
        );
    }
    Ok(())
}

/// Returns the steps after a schema, with the number that each leads to.
fn steps_from(version: i64) -> impl Iterator<Item = (i64, &'static str)> {
    (IN_PLACE + 1..)
        .zip(STEPS)
        .filter(move |(number, _)| *number > version)
}

/// Runs those of these steps that have not run, each in a transaction with its number.
pub fn migrate(connection: &mut Connection, steps: &[&str]) -> Result<(), StoreError> {
    let found = version(connection)?;
    for (number, step) in (1..).zip(steps).skip_while(|(number, _)| *number <= found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

/// The number of a store's schema.
///
/// # Errors
/// [`StoreError::Newer`] where this program does not know it.
pub fn version(connection: &Connection) -> Result<i64, StoreError> {
    let found = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > VERSION {
        Err(StoreError::Newer {
            found,
            known: VERSION,
        })
    } else {
        Ok(found)
    }
}

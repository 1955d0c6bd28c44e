//! The tables of each schema, and what every connection to them needs.

use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::StoreError;

/// The schemas before the newest, each as the step from the one before it.
pub const OLDER: [&str; 2] = [include_str!("schema/1.sql"), include_str!("schema/2.sql")];

/// The newest schema, whole.
pub const NEWEST: &str = include_str!("schema/3.sql");

/// The number of the newest schema.
pub const VERSION: i64 = OLDER.len() as i64 + 1;

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
    match version {
        VERSION => Ok(connection.execute_batch(NEWEST)?),
        older => migrate(
            connection,
            &OLDER[..usize::try_from(older).unwrap_or_default()],
        ),
    }
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

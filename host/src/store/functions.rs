//! SQL functions for hashes and ids. Only a migration and `store check` need them.

use plugin_sdk::contract;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{FromSql, ValueRef};

use super::StoreError;
use super::ids::{StoredEventId, request_id};
use super::request::rank;

/// Adds the functions to a connection.
///
/// # Errors
/// What SQLite said.
pub fn add(connection: &Connection) -> Result<(), StoreError> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("request_id", 1, flags, |context| {
        Ok(request_id(&text(context, 0)))
    })?;
    connection.create_scalar_function("stored_event_id", 2, flags, |context| {
        let stored = StoredEventId::new(&text(context, 0), &text(context, 1));
        Ok(match stored {
            StoredEventId::Text(text) => rusqlite::types::Value::Text(text),
            StoredEventId::Hash(hash) => rusqlite::types::Value::Blob(hash.0.to_vec()),
        })
    })?;
    connection.create_scalar_function("event_identity", 2, flags, |context| {
        let stored = StoredEventId::column_result(context.get_raw(1)).ok();
        Ok(stored.map(|stored| stored.identity(&text(context, 0)).0.to_vec()))
    })?;
    connection.create_scalar_function("priority_of", 1, flags, |context| {
        // An alert that cannot be read is tried early, so that it is a dead letter early.
        let alert = serde_json::from_str::<contract::Alert>(&text(context, 0));
        Ok(alert.map_or(0, |alert| rank(alert.priority)))
    })?;
    Ok(())
}

fn text(context: &Context<'_>, index: usize) -> String {
    match context.get_raw(index) {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Null => String::new(),
    }
}

//! The places where the store of a test may be: a folder, and a database.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use test_postgres::{Database, Server};

use crate::config::{Postgres, Replication, SPOOL_SIZE, Secret, StoreKind};
use crate::store::shared::guard;
use crate::store::{Connection, Location};

/// As long as a busy machine may keep a gateway from its lease. A test waits for no lease's end.
const LEASE: Duration = Duration::from_secs(60);

/// Longer than a test: a guard ends by a word.
const QUARANTINE: Duration = Duration::from_secs(60 * 60);

/// The name of the gateway.
const NODE: &str = "gw-a";

/// A place for the store of a test.
#[derive(Debug)]
pub struct Ground {
    /// The folder of the gateway.
    pub dir: TempDir,
    /// The database, where the store is in one.
    pub database: Option<Arc<Database>>,
}

impl Ground {
    /// Returns an empty folder.
    pub fn folder() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            database: None,
        }
    }

    /// Returns an empty database. Without PostgreSQL the test is skipped, or fails where all
    /// programs are required.
    pub fn database() -> Option<Self> {
        let server = Server::shared(&test_postgres::required()?);
        Some(Self {
            database: Some(Arc::new(server.database())),
            ..Self::folder()
        })
    }

    /// Returns the place as the store knows it.
    pub fn location(&self) -> Location {
        let Some(database) = &self.database else {
            return Location::from(self.dir.path());
        };
        let store = StoreKind::Postgres(Postgres {
            url: Secret::new(database.url()),
            node: NODE.to_owned(),
            lease: LEASE,
            quarantine: QUARANTINE,
            replication: Replication::Storage,
            spool: false,
            spool_size: SPOOL_SIZE,
        });
        Location::new(self.dir.path(), &store, String::new()).unwrap()
    }

    /// Returns a connection that reads what the open store has.
    pub fn reads(&self) -> Connection {
        self.location().reads().unwrap()
    }

    /// Has a gateway on a database write nothing more, as if it had been killed. What it is
    /// committing comes before.
    pub fn fence(&self, by: &Connection) {
        self.end(by, false);
    }

    /// The same, and guards the keys with a delivery due, as a gateway does at a takeover.
    pub fn take_over(&self, by: &Connection) {
        self.end(by, true);
    }

    fn end(&self, by: &Connection, is_guarded: bool) {
        let Connection::Postgres(link) = by else {
            return;
        };
        let transaction = by.write().unwrap();
        if is_guarded {
            let instance: String = transaction
                .query_row(
                    "SELECT instance FROM leases WHERE name = 'leader'",
                    [],
                    |row| row.get(0),
                )
                .unwrap();
            guard::begin(link, NODE, &instance).unwrap();
        }
        for table in ["gateways", "leases"] {
            let sql = format!("UPDATE {table} SET instance = ''");
            transaction.execute(&sql, []).unwrap();
        }
        transaction.commit().unwrap();
    }

    /// Says that the former gateways have nothing under way any more. The one that leads ends the guard
    /// once it has heard it.
    pub fn release(&self) {
        if let Location::Postgres(shared) = self.location() {
            guard::is_gone(&shared, NODE).unwrap();
        }
    }
}

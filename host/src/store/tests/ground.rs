//! The places where the store of a test may be: a folder, and a database.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use test_postgres::{Database, Server};

use crate::config::{Postgres, Replication, SPOOL_SIZE, Secret, StoreKind};
use crate::store::{Connection, Location};

/// As long as a busy machine may keep a gateway from its lease. A test waits for no lease's end.
const LEASE: Duration = Duration::from_secs(60);

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
            node: "gw-a".to_owned(),
            lease: LEASE,
            quarantine: Duration::from_secs(120),
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
        if self.database.is_none() {
            return;
        }
        let transaction = by.write().unwrap();
        for table in ["gateways", "leases"] {
            let sql = format!("UPDATE {table} SET instance = ''");
            transaction.execute(&sql, []).unwrap();
        }
        transaction.commit().unwrap();
    }
}

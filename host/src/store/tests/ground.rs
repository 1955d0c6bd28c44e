//! The places where the store of a test may be: a folder, and a database.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use test_postgres::{Database, Server};

use crate::config::{Postgres, Replication, SPOOL_SIZE, Secret, StoreKind};
use crate::store::Location;

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
            lease: Duration::from_secs(2),
            quarantine: Duration::from_secs(120),
            replication: Replication::Storage,
            spool: false,
            spool_size: SPOOL_SIZE,
        });
        Location::new(self.dir.path(), &store, String::new()).unwrap()
    }

    /// Has a gateway on a database write nothing more, as if it had been killed.
    pub fn fence(&self) {
        if let Some(database) = &self.database {
            database.sql("UPDATE gateways SET instance = ''; UPDATE leases SET instance = ''");
        }
    }
}

//! The place where a store is: a folder of this machine, or a database that gateways share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::OpenFlags;

use super::postgres::{Address, Link};
use super::shared::schema as tables;
use super::sql::Connection;
use super::{StoreError, schema};
use crate::config::{Config, Replication, StoreKind};

/// The place where a store is.
#[derive(Debug, Clone)]
pub enum Location {
    /// A folder, in which one gateway has one file.
    Folder(PathBuf),
    /// A database that several gateways may share.
    Postgres(Arc<SharedStore>),
}

/// A database, and the terms under which a gateway shares it with others.
#[derive(Debug)]
pub struct SharedStore {
    /// The database.
    pub address: Arc<Address>,
    /// The name of this gateway among them.
    pub node: String,
    /// The time after which another gateway takes over from a silent one.
    pub lease: std::time::Duration,
    /// The time for which a dead leader may still send something.
    pub quarantine: std::time::Duration,
    /// The operator's word for what a commit survives.
    pub replication: Replication,
    /// The folder of this gateway, for all that is its own.
    pub data_dir: PathBuf,
    /// A digest of the configuration, without its secrets.
    pub configuration: String,
}

impl Location {
    /// Returns the place that a configuration names.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where the URL of the database is of no use.
    pub fn of(config: &Config) -> Result<Self, StoreError> {
        Self::new(&config.gateway.data_dir, &config.store, config.digest())
    }

    /// Returns the place that `[store]` names, beside the folder of the gateway.
    ///
    /// # Errors
    /// As [`Location::of`].
    pub fn new(
        data_dir: &Path,
        store: &StoreKind,
        configuration: String,
    ) -> Result<Self, StoreError> {
        let StoreKind::Postgres(store) = store else {
            return Ok(Self::Folder(data_dir.to_owned()));
        };
        Ok(Self::Postgres(Arc::new(SharedStore {
            address: Arc::new(Address::parse(&store.url)?),
            node: store.node.clone(),
            lease: store.lease,
            quarantine: store.quarantine,
            replication: store.replication,
            data_dir: data_dir.to_owned(),
            configuration,
        })))
    }

    /// Returns the folder that the gateway has for itself.
    pub fn folder(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder,
            Self::Postgres(shared) => &shared.data_dir,
        }
    }

    /// Returns the file, where the store is one.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Folder(folder) => Some(super::file(folder)),
            Self::Postgres(_) => None,
        }
    }

    /// Returns the place for people.
    pub fn shown(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            Self::Postgres(shared) => shared.address.shown().to_owned(),
        }
    }

    /// Returns a connection for reading, of the gateway that has the store open.
    pub(super) fn reads(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Folder(folder) => {
                schema::open_reader(&super::file(folder)).map(Connection::Embedded)
            }
            Self::Postgres(shared) => {
                Ok(Connection::Postgres(Link::new(Arc::clone(&shared.address))))
            }
        }
    }

    /// Returns a connection for reading, of another process than the gateway.
    pub(super) fn looks(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Folder(folder) => {
                schema::open_foreign(&super::file(folder)).map(Connection::Embedded)
            }
            Self::Postgres(shared) => shared.found(),
        }
    }

    /// Returns a connection for writing, of another process than the gateway.
    pub(super) fn writes(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Folder(folder) => {
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
                schema::open_existing(&super::file(folder), flags).map(Connection::Embedded)
            }
            Self::Postgres(shared) => shared.found(),
        }
    }
}

impl From<&Path> for Location {
    fn from(folder: &Path) -> Self {
        Self::Folder(folder.to_owned())
    }
}

impl From<&PathBuf> for Location {
    fn from(folder: &PathBuf) -> Self {
        Self::Folder(folder.clone())
    }
}

impl From<&Self> for Location {
    fn from(location: &Self) -> Self {
        location.clone()
    }
}

impl SharedStore {
    /// Returns a connection to a database that has the tables.
    fn found(&self) -> Result<Connection, StoreError> {
        let link = Link::new(Arc::clone(&self.address));
        tables::expect(&link)?;
        link.set_within(schema::READ_TIME);
        Ok(Connection::Postgres(link))
    }
}

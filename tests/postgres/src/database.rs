//! A database of a test's own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A database.
#[derive(Debug, Clone)]
pub struct Database {
    name: String,
    address: SocketAddr,
    psql: PathBuf,
}

impl Database {
    pub(super) fn named(name: &str, address: SocketAddr, programs: &Path) -> Self {
        Self {
            name: name.to_owned(),
            address,
            psql: programs.join("psql"),
        }
    }

    /// Makes one beside another.
    pub(super) fn make(beside: &Self) -> Self {
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        beside.sql(&format!("CREATE DATABASE {name}"));
        Self {
            name,
            ..beside.clone()
        }
    }

    /// Returns the URL that a gateway is given.
    pub fn url(&self) -> String {
        self.url_over(&[self.address])
    }

    /// Returns the URL over other addresses, such as that of a line or of a standby.
    pub fn url_over(&self, addresses: &[SocketAddr]) -> String {
        let hosts: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
        format!("postgres://gateway@{}/{}", hosts.join(","), self.name)
    }

    /// Returns this database, at another server.
    pub fn at(&self, address: SocketAddr) -> Self {
        Self {
            address,
            ..self.clone()
        }
    }

    /// Runs a statement. Returns what it says, unaligned.
    pub fn sql(&self, sql: &str) -> String {
        let options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"];
        let done = Command::new(&self.psql)
            .args(options)
            .args(["-d", &self.url(), "-c", sql])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{sql}: {said}");
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }
}

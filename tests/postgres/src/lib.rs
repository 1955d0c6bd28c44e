//! PostgreSQL servers for tests: one that the tests of a process share, each with a database of its
//! own, servers of a test's own, to be killed and followed by a standby, and a pair that Patroni
//! looks after.
//!
//! A server ends with the process of the tests, however that ends: its shell waits for the end of
//! its standard input.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose server cannot be had fails"
)]

mod database;
mod patroni;
mod processes;
mod shell;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

pub use database::Database;
pub use patroni::Patroni;

use shell::Shell;

/// The folder in which Debian keeps the programs of each release.
const RELEASES: &str = "/usr/lib/postgresql";

/// The number of looks for a server that starts, ten a second.
const LOOKS: u32 = 600;

/// Runs in the folder of a server: makes its data and starts it. One that crashes is started again,
/// and recovers.
const RUN: &str = "MAKE >make.log 2>&1 || exit 1
    while [ ! -e dead ]; do
        'PROGRAMS/postgres' -D data -p PORT -k '' -c listen_addresses=127.0.0.1 -c max_connections=300 \
            -c shared_buffers=32MB >>log 2>&1
    done &
    cat >/dev/null; touch dead; kill -QUIT $(head -1 data/postmaster.pid); wait; cd /; rm -rf 'FOLDER'";

/// A server.
#[derive(Debug)]
pub struct Server {
    /// The folder of its programs.
    programs: PathBuf,
    address: SocketAddr,
    /// Its end ends the server.
    _shell: Shell,
    /// The shell removes it.
    folder: PathBuf,
}

static SHARED: OnceLock<Server> = OnceLock::new();

/// Returns `initdb` of the newest release that Debian's package has installed. The other programs of
/// PostgreSQL are beside it.
pub fn installed() -> Option<PathBuf> {
    let releases = fs::read_dir(RELEASES).ok()?;
    let found = releases
        .flatten()
        .map(|release| release.path().join("bin/initdb"));
    found.filter(|path| path.is_file()).max()
}

/// Returns `initdb`, or nothing where it is missing: a test is then skipped.
///
/// # Panics
/// Where it is missing, and `CI` or `REQUIRE_PROGRAMS` in the environment require it.
#[track_caller]
pub fn required() -> Option<PathBuf> {
    let found = installed();
    if found.is_none() {
        let missing = "initdb, which is not installed; install it: apt-get install postgresql";
        let set =
            |name| std::env::var(name).is_ok_and(|value| !["", "0", "false"].contains(&&*value));
        assert!(
            !(set("CI") || set("REQUIRE_PROGRAMS")),
            "a test needs {missing}"
        );
        eprintln!("SKIPPED: a test needs {missing}");
    }
    found
}

impl Server {
    /// Returns the server that the tests of this process share.
    pub fn shared(initdb: &Path) -> &'static Self {
        SHARED.get_or_init(|| Self::start(initdb))
    }

    /// Starts a server, and waits until it answers.
    pub fn start(initdb: &Path) -> Self {
        let initdb = fs::canonicalize(initdb).unwrap();
        let programs = initdb.parent().unwrap();
        Self::run(
            programs,
            "'PROGRAMS/initdb' -D data -A trust -U gateway -E UTF8 --locale=C --no-sync",
        )
    }

    /// Starts a standby of this server, without whose word nothing is committed from then on.
    pub fn with_standby(&self) -> Self {
        let make = "'PROGRAMS/pg_basebackup' -h 127.0.0.1 -p PRIMARY -U gateway -D data -R -X stream -c fast --no-sync";
        let make = make.replace("PRIMARY", &self.address.port().to_string());
        let standby = Self::run(&self.programs, &make);
        let database = self.main();
        database.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
        database.sql("SELECT pg_reload_conf()");
        look("the standby is synchronous", || {
            database.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")
                == "1"
        });
        standby
    }

    /// Makes a standby a server that takes writes.
    pub fn promote(&self) {
        assert_eq!(self.main().sql("SELECT pg_promote()"), "t");
    }

    fn run(programs: &Path, make: &str) -> Self {
        let address = shell::free();
        let folder = shell::folder();
        let script = RUN
            .replace("MAKE", make)
            .replace("PROGRAMS", programs.to_str().unwrap())
            .replace("PORT", &address.port().to_string())
            .replace("FOLDER", folder.to_str().unwrap());
        let server = Self {
            programs: programs.to_owned(),
            address,
            _shell: Shell::run(&script, &folder),
            folder,
        };
        look("PostgreSQL answers", || server.answers());
        server
    }

    /// Makes a database.
    pub fn database(&self) -> Database {
        Database::make(&self.main())
    }

    /// Returns the address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has it crash, as in a power cut that spares the page cache, and waits until it has recovered.
    pub fn crash(&self) {
        let crashed = self.main_process();
        kill_process(crashed, Signal::QUIT).unwrap();
        look("PostgreSQL answers after a crash", || {
            self.running().is_some_and(|main| main != crashed) && self.answers()
        });
    }

    /// Kills it and all of its processes, for good.
    pub fn kill(&self) {
        fs::write(self.folder.join("dead"), "").unwrap();
        processes::kill_whole(self.main_process());
    }

    fn main_process(&self) -> Pid {
        self.running().unwrap()
    }

    /// The main process, if one runs.
    fn running(&self) -> Option<Pid> {
        processes::written_in(&self.folder.join("data/postmaster.pid"))
    }

    /// The database that every server has.
    fn main(&self) -> Database {
        Database::named("postgres", self.address, &self.programs)
    }

    fn answers(&self) -> bool {
        let port = self.address.port().to_string();
        let asked = Command::new(self.programs.join("pg_isready"))
            .args(["-q", "-h", "127.0.0.1", "-p", &port])
            .status();
        asked.is_ok_and(|status| status.success())
    }
}

/// Looks until it is so.
#[track_caller]
fn look(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if is_so() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
    panic!("{what}: this did not come to be");
}

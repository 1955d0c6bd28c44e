//! A machine with a clock and names under the control of a test, while the program runs on it.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// The program's view of its machine. It begins like the real one.
pub struct Machine {
    folder: TempDir,
}

impl Machine {
    pub fn new() -> Self {
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(machine.path(), [0; 16]).unwrap();
        machine
    }

    /// Sets its clock this many seconds forward, or back, from the real one.
    pub fn set_clock(&self, seconds: i64) {
        self.write(0, seconds);
    }

    /// Makes names that end in `.invalid` its own, or unknown again.
    pub fn knows_names(&self, known: bool) {
        self.write(8, known.into());
    }

    /// Returns the environment of a program on this machine.
    pub fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", library()), ("MACHINE", self.path())]
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("machine")
    }

    fn write(&self, offset: u64, number: i64) {
        let file = OpenOptions::new().write(true).open(self.path()).unwrap();
        file.write_all_at(&number.to_ne_bytes(), offset).unwrap();
    }
}

/// The layer between the program and the C library: compiled once, by SQLite's compiler.
fn library() -> PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    let compile = || {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let source = super::root().join("tests/harness/machine.c");
        let made = folder.join("machine.so");
        let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
        // Beside it, and then in its place: another run of the tests may be using it.
        let new = folder.join(format!("machine-{}.so", std::process::id()));
        compiler
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .args([&new, &source])
            .arg("-ldl");
        assert!(
            compiler
                .status()
                .expect("a C compiler, as SQLite needs one too")
                .success()
        );
        fs::rename(new, &made).unwrap();
        made
    };
    LIBRARY.get_or_init(compile).clone()
}

//! Checkpoints beside the writer: what the log holds is copied into the file while commits go on.
//!
//! A checkpoint by the writer keeps all senders waiting: it copies thousands of pages and syncs two
//! files. So a thread with a connection of its own copies them. Commits go on meanwhile, and each
//! leaves some more; the thread copies those as well, until few are left. Only these are the
//! writer's own work, between two commits: with nothing left to copy, the log begins anew at the
//! next one.
//!
//! A copy that fails is no error of a commit: the log still has all of it, and the next checkpoint
//! copies it once more.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::StoreError;
use super::schema::{self, CHECKPOINT_PAGES as PAGES};

/// The pages that are left to the writer.
const FEW: i32 = 128;

/// The most passes of the thread over a log to which commits add meanwhile.
const PASSES: usize = 4;

/// The writer copies a log with so many pages more than make a checkpoint due, whatever has become
/// of the thread.
const TOO_MANY: i32 = 2 * PAGES;

/// The checkpoints of a file, by the writer's side. Their thread begins with the first of them, and
/// ends when this is dropped.
#[derive(Debug)]
pub struct Checkpointer {
    path: PathBuf,
    sync: bool,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    due: Due,
}

#[derive(Debug, Default)]
struct Shared {
    turn: Mutex<Turn>,
    /// The number of pages in the log after the last commit.
    pages: AtomicI32,
    ends: AtomicBool,
    /// True if the last copy has failed.
    fails: AtomicBool,
}

/// Who copies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Turn {
    #[default]
    Nobody,
    Thread,
    /// The writer copies what the thread has left.
    Writer,
}

/// When the next checkpoint is due.
#[derive(Debug)]
struct Due {
    /// The number of pages from which it is.
    from: i32,
    /// The number of pages at the last look.
    seen: i32,
}

/// What the writer does after a commit.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    /// It wakes the thread.
    Wake,
    /// It copies what is left.
    Copy,
}

impl Checkpointer {
    /// Takes the checkpoints of the file at `path` over from its writing connection.
    ///
    /// # Errors
    /// An error of SQLite.
    pub fn new(writer: &mut Connection, path: &Path, sync: bool) -> Result<Self, StoreError> {
        let shared = Arc::<Shared>::default();
        let of_hook = Arc::clone(&shared);
        writer.wal_hook(Some(move |_: &mut Wal, pages| {
            of_hook.pages.store(pages, Ordering::Release);
            Ok(())
        }))?;
        Ok(Self {
            path: path.to_owned(),
            sync,
            shared,
            thread: None,
            due: Due::default(),
        })
    }

    fn start(&self) -> Result<JoinHandle<()>, StoreError> {
        let connection = schema::open_beside(&self.path, self.sync)?;
        let shared = Arc::clone(&self.shared);
        thread::Builder::new()
            .name("checkpointer".into())
            .spawn(move || run(&connection, &shared))
            .map_err(|error| StoreError::Disk(format!("there is no thread for it: {error}")))
    }

    /// Goes on after a commit of the writer, by its connection.
    pub fn go_on(&mut self, writer: &Connection) {
        let pages = self.shared.pages.load(Ordering::Acquire);
        let turn = *self.shared.turn.lock();
        match self.due.step(turn, pages) {
            Step::Nothing => {}
            Step::Wake => {
                if self.thread.is_none() {
                    // The commit before this found the file in its place.
                    match self.start() {
                        Ok(thread) => self.thread = Some(thread),
                        Err(error) => tracing::debug!(%error, "a checkpoint is the writer's"),
                    }
                }
                match &self.thread {
                    Some(thread) => {
                        *self.shared.turn.lock() = Turn::Thread;
                        thread.thread().unpark();
                    }
                    None => drop(copy(writer, &self.shared)),
                }
            }
            Step::Copy => {
                copy(writer, &self.shared);
                *self.shared.turn.lock() = Turn::Nobody;
            }
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the checkpointer panicked; what was confirmed is on disk");
            }
        }
    }
}

impl Default for Due {
    fn default() -> Self {
        Self {
            from: PAGES,
            seen: 0,
        }
    }
}

impl Due {
    /// Returns what is to be done where the log has so many pages.
    fn step(&mut self, turn: Turn, pages: i32) -> Step {
        let is_anew = pages < self.seen;
        if is_anew {
            self.from = PAGES;
        }
        self.seen = pages;
        match turn {
            Turn::Nobody if pages >= self.from => Step::Wake,
            // Where a reader still needs the log, it grows on, and is tried again soon.
            Turn::Writer => {
                if !is_anew {
                    self.from = pages.saturating_add(FEW);
                }
                Step::Copy
            }
            Turn::Thread if pages >= self.from.saturating_add(TOO_MANY) => {
                self.from = pages;
                Step::Copy
            }
            Turn::Nobody | Turn::Thread => Step::Nothing,
        }
    }
}

/// Copies as much of the log as no reader still needs. Returns the number of its pages that are
/// copied.
fn copy(connection: &Connection, shared: &Shared) -> Option<i32> {
    let copied = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2));
    let failed = shared.fails.swap(copied.is_err(), Ordering::Relaxed);
    copied
        .inspect_err(|error| {
            if !failed {
                tracing::warn!(%error, "the store's log cannot be folded into the file; it grows until that succeeds");
            }
        })
        .ok()
}

/// Copies when it is the thread's turn, until it is told to end.
fn run(connection: &Connection, shared: &Shared) {
    while !shared.ends.load(Ordering::Acquire) {
        if *shared.turn.lock() != Turn::Thread {
            thread::park();
            continue;
        }
        for _ in 0..PASSES {
            let left = |copied| shared.pages.load(Ordering::Acquire) - copied;
            if copy(connection, shared).is_none_or(|copied| left(copied) <= FEW) {
                break;
            }
        }
        *shared.turn.lock() = Turn::Writer;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with a table, the connection that writes it, and its checkpoints.
    fn opened() -> (Connection, Checkpointer, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.db");
        let mut writer = schema::open(&path, false, false).unwrap();
        writer.execute_batch("CREATE TABLE t (x BLOB)").unwrap();
        let checkpointer = Checkpointer::new(&mut writer, &path, false).unwrap();
        (writer, checkpointer, folder)
    }

    /// Commits some pages, once the thread is not at work. Returns the number that the log has.
    fn commit(writer: &Connection, checkpointer: &mut Checkpointer) -> i32 {
        let is_alive = checkpointer
            .thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished());
        while is_alive && *checkpointer.shared.turn.lock() == Turn::Thread {
            thread::yield_now();
        }
        writer
            .execute("INSERT INTO t VALUES (zeroblob(500000))", [])
            .unwrap();
        checkpointer.go_on(writer);
        checkpointer.shared.pages.load(Ordering::Acquire)
    }

    /// Commits until the log begins anew. Returns the most pages that it had.
    fn commit_until_anew(writer: &Connection, checkpointer: &mut Checkpointer) -> i32 {
        let mut before = 0;
        for _ in 0..10_000 {
            let pages = commit(writer, checkpointer);
            if pages < before {
                return before;
            }
            before = pages;
        }
        panic!("the log has {before} pages and has not begun anew");
    }

    fn rows(path: &Path) -> i64 {
        let read = Connection::open(path).unwrap();
        read.query_row(
            "SELECT count(*) FROM t WHERE length(x) = 500000",
            [],
            |row| row.get(0),
        )
        .unwrap()
    }

    #[test]
    fn log_begins_anew_while_commits_go_on() {
        let (writer, mut checkpointer, folder) = opened();
        let path = folder.path().join("gateway.db");
        for _ in 0..3 {
            let pages = commit_until_anew(&writer, &mut checkpointer);
            assert!((PAGES..PAGES + 300).contains(&pages), "{pages}");
        }
        let kept = rows(&path);
        assert!(kept > 3 * i64::from(PAGES) / 80, "{kept}");
        drop(checkpointer);
        drop(writer);
        assert!(!folder.path().join("gateway.db-wal").exists());
        assert_eq!(rows(&path), kept);
    }

    #[test]
    fn log_begins_anew_after_a_reader_has_gone() {
        let (writer, mut checkpointer, folder) = opened();
        let reader = Connection::open(folder.path().join("gateway.db")).unwrap();
        reader
            .execute_batch("BEGIN; SELECT count(*) FROM t")
            .unwrap();
        let mut pages = 0;
        while pages < 2 * PAGES {
            let more = commit(&writer, &mut checkpointer);
            assert!(more > pages, "the reader needs the log");
            pages = more;
        }
        reader.execute_batch("COMMIT").unwrap();
        assert!(commit_until_anew(&writer, &mut checkpointer) >= pages);
    }

    #[test]
    fn log_begins_anew_without_the_thread() {
        let (writer, mut checkpointer, _folder) = opened();
        commit_until_anew(&writer, &mut checkpointer);
        checkpointer.shared.ends.store(true, Ordering::Release);
        let thread = checkpointer.thread.as_ref().unwrap();
        thread.thread().unpark();
        while !thread.is_finished() {
            thread::yield_now();
        }
        let pages = commit_until_anew(&writer, &mut checkpointer);
        assert!(
            (PAGES + TOO_MANY..PAGES + 2 * TOO_MANY).contains(&pages),
            "{pages}"
        );
    }

    #[test]
    fn log_begins_anew_where_no_thread_can_begin() {
        let (writer, mut checkpointer, folder) = opened();
        checkpointer.path = folder.path().join("elsewhere/gateway.db");
        let pages = commit_until_anew(&writer, &mut checkpointer);
        assert!((PAGES..PAGES + 100).contains(&pages), "{pages}");
        assert!(checkpointer.thread.is_none());
    }

    #[test]
    fn steps_of_a_checkpoint() {
        let mut due = Due::default();
        let mut step = |turn, pages| due.step(turn, pages);
        assert_eq!(step(Turn::Nobody, PAGES - 1), Step::Nothing);
        assert_eq!(step(Turn::Nobody, PAGES), Step::Wake);
        assert_eq!(step(Turn::Thread, PAGES + 9), Step::Nothing);
        assert_eq!(step(Turn::Writer, PAGES + 20), Step::Copy);
        assert_eq!(step(Turn::Nobody, 9), Step::Nothing);
        assert_eq!(step(Turn::Nobody, PAGES), Step::Wake);
        assert_eq!(step(Turn::Writer, PAGES), Step::Copy);
        // A reader needs it.
        assert_eq!(step(Turn::Nobody, PAGES + 1), Step::Nothing);
        assert_eq!(step(Turn::Nobody, PAGES + FEW), Step::Wake);
        // The thread has copied all, and the next commit begins it anew.
        assert_eq!(step(Turn::Writer, 9), Step::Copy);
        assert_eq!(step(Turn::Nobody, 9 + FEW), Step::Nothing);
        assert_eq!(step(Turn::Nobody, PAGES), Step::Wake);
    }
}

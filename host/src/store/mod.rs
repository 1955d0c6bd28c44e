//! The store: requests, the alerts made of them, and every attempt at delivering them.
//!
//! # What it promises
//!
//! 1. What [`Store::append`] confirmed survives `kill -9` and a power cut: the answer to `append`
//!    is sent after the transaction is committed *and* synced.
//! 2. An event opens once per source: a repeat is counted and nothing else, for as long as the age
//!    of retention. So is a request whose proof, such as its signature, came with another before.
//!    Neither the size of the store nor any number of repeats shortens that; the bound on
//!    identities does, after a warning to the operator.
//! 3. Alerts with the same key are handed to each destination in the order of acceptance, one at a
//!    time; but a replayed one comes after those that were handed over before.
//! 4. Where the disk is full or fails, nothing is confirmed: the whole group is rolled back, and
//!    each caller is told.
//! 5. The store is bounded by age and by size, and undelivered rows are never removed: neither a
//!    pending alert, nor a dead letter, nor a failed request of a proved sender. For the size
//!    content goes, the oldest first; what identifies an alert, and its receipt, stay.
//! 6. No content of the file makes the gateway panic, or keeps it from delivering the readable
//!    alerts.
//!
//! # How
//!
//! One SQLite file in WAL mode with `synchronous=FULL`. One thread, the [writer], owns the
//! gateway's only connection that writes; beside it, `events replay` and `events dismiss` add to
//! the list of [jobs] from a process of their own. Whatever waits in the writer's queue becomes one
//! transaction and one sync: the *group commit*. Intake's appends and delivery's settlements share
//! it, so the cost of a sync is divided by the load. Each thing that can be asked of the writer is
//! a [command], in a file of its own. Readers have connections of their own and never wait for the
//! writer. The log is copied into the file [beside](checkpoint) the writer, which goes on
//! meanwhile. `sqlite3 gateway.db` may look on while the gateway runs.
//!
//! A number, `seq`, orders the requests. The alerts of a request, and the deliveries of an alert,
//! have [ids] that follow from it. So ids are in the order of acceptance, and the rows of a request
//! are a range without an index of its own.
//!
//! *Identity outlives content.* The content of requests (`bodies`) and of alerts (`events`) is
//! large, and evicted for the size. `requests`, `alerts` and the last of their `attempts` are
//! small, and kept for the age: they tell the event, its time and its receipt. `identities` holds a
//! hash of each event id with its source, and of each proof; whatever comes again is found there,
//! and counted in `repeats`. The latest of them wait in [memory](identities) until many can be
//! written together.
//!
//! An alert has a delivery for each of its destinations. One that is pending stands in `queue`, a
//! dead letter in `dead`; whatever else there is is settled, and its last attempt says how. So all
//! changes are in a small table, and each delivery of a backlog costs one row of it.
//!
//! An alert's `ordering_key` is half of its fingerprint, which is a hash of its source and its key.
//! Of the pending deliveries that share an ordering key and a destination one, the *head of line*,
//! has a `due_at`; the others have none. Settling a head makes the oldest of them the head. That is
//! the order of acceptance, unless a replay brings back an older one while a younger is the head:
//! then it waits for that one. So the question "what is due?" is a step in one index for each
//! source and priority with a waiting alert, however long the backlog and however many alerts share
//! a key. A head is as urgent as the most urgent one behind it.
//!
//! What is due with its commit is [handed over](handover) to its delivery from memory, and is read
//! back only where it has to wait.
//!
//! An alert that its destination does not take in time goes to the fallback as well: a delivery
//! more, at the next place of the alert's range. `fallbacks` tells it from the others.
//!
//! An internal alert is an alert like any other. The notice of a failed request is kept with the
//! request, in one transaction, at the last place of its range; any other notice hangs on a request
//! without a sender.
//!
//! # When the disk fails
//!
//! A commit whose write or sync fails is rolled back, and its callers are told. The connection
//! stays open, and the next commit finds out whether the disk is well: nothing needs to be
//! restarted. A kernel may forget unwritten pages after a failed sync, and call the next sync a
//! success. The next commit is safe all the same, for these reasons (`walFrames` and
//! `walCheckpoint` in `sqlite3.c`):
//!
//! - SQLite moves the end of the log (`mxFrame`) only after the sync. So the next commit writes
//!   over the frames of the one that failed and syncs them itself. Every frame before them was
//!   synced by the commit that it belongs to.
//! - A checkpoint syncs the log, writes the pages into the file and syncs that, and only then
//!   counts the frames as done. If one of these fails, the next checkpoint writes all of these
//!   pages once more, and meanwhile the log has them.
//! - To close and open the connection would change nothing: it would read again the pages of the
//!   kernel's cache.
//!
//! The frames of a failed commit can still be found after a crash, whole, where nothing was written
//! over them. Then a request is kept whose sender was told 503: the sender sends it again, and its
//! events are duplicates.
//!
//! A disk may call a sync done too early. A log without its end then opens as the store of an
//! earlier moment: frames carry checksums that build on each other. If the end was lost while a
//! checkpoint was half done, the file may be damaged; `store check` finds that.
//!
//! A file that was moved, removed or replaced under a running gateway is noticed before each
//! commit: SQLite would go on writing to a file without a name.
//!
//! # While a database is away
//!
//! A gateway that shares a store may keep requests in a [spool] of its own meanwhile. It is no part
//! of the store: what is in it was acknowledged, and is neither listed nor delivered before the
//! store has it.
//!
//! # Time
//!
//! Points in time are Unix milliseconds: `due_at` by the steady [clock] that delivery waits by, all
//! others by the machine's. The writer asks for neither; a command says what time it is.
//!
//! [clock]: crate::clock

mod ahead;
mod alerts;
mod append;
mod append_spooled;
mod audit;
mod backup;
mod check;
mod checkpoint;
mod closing;
mod command;
mod dismiss;
mod due;
mod end_mute;
mod error;
mod fallback;
mod files;
mod functions;
mod groups;
mod handle;
mod handover;
mod history;
mod identities;
mod ids;
mod internal;
mod jobs;
mod keys;
mod location;
mod mutes;
mod notice;
mod older;
mod own;
mod pass;
mod passing;
mod permissions;
mod postgres;
mod preflight;
mod put;
mod repeats;
mod replay;
mod request;
mod resolve;
mod retention;
mod schema;
mod sender;
mod settle;
mod shared;
mod snapshot;
mod space;
mod spool;
mod sql;
mod step;
mod stop;
mod tables;
mod totals;
mod touched;
mod tracking;
mod urgent;
mod wait;
mod wake;
mod writer;

#[cfg(test)]
pub mod tests;

use std::path::{Path, PathBuf};

pub use audit::Entry;
pub use backup::{Backup, Written};
pub use check::{Depth, Finding, Report, check};
pub use closing::Closing;
pub use dismiss::Dismissed;
pub use due::{DAMAGED, DueReader, SHARE, Unreadable};
pub use end_mute::Still;
pub use error::StoreError;
pub use handle::{Options, Store};
pub use handover::{Due, Handover, Offer, READ_BYTES};
pub use history::{
    AlertRecord, AttemptRecord, Attempted, Backlog, Count, DeliveryRecord, FallsBack, Filter,
    GroupFilter, GroupRecord, GroupState, History, Line, ListedReceipt, ListedState, MutedBy,
    Newest, OpenAlert, OpenCondition, Page, RequestRecord, SameKey, Selection, SourceRecord,
    Traced, Tried, UnknownId, Waiting, WaitingRequest,
};
pub use ids::{ALERTS_PER_REQUEST, DELIVERIES_PER_ALERT};
pub use jobs::{JOBS, Job, JobKind, JobTarget, Part, ask as ask_for};
pub use location::{Location, SharedStore};
pub use mutes::{MuteRecord, NewMute, add as add_mute, end as end_mute};
pub use notice::{Notice, Told};
pub use passing::pass_time;
pub use permissions::{Exposed, exposed};
pub use replay::Reread;
pub use request::{
    Appended, Failure, MuteRef, NewAlert, NewRequest, PluginId, PluginRecord, Proofs, Reading,
    UnderRules, UnprovenBounds,
};
pub use resolve::Resolution;
#[cfg(test)]
pub use retention::{Bounds, Stage, Sweep};
pub use retention::{IDENTITY_BYTES, Retention, keep_within};
pub use sender::Sender;
pub use settle::Settlement;
pub use shared::{
    Lease, Moved, Node, NodeState, Server, examine, is_gone, share_heard, to_database, to_file,
};
pub use snapshot::{Seen, Snapshot};
pub use spool::{Amount, Spool, SpoolError, is_there as has_spool, spooled};
#[cfg(test)]
pub use sql::Connection;
pub use tables::VERSION as SCHEMA_VERSION;
pub use totals::Totals;
pub use writer::Trouble;

/// The name of the file in the data directory.
const FILE: &str = "gateway.db";

/// Returns the path of the store's file within a data directory.
pub fn file(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// Returns the JSON for a column.
fn text<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Disk(error.to_string()))
}

/// Adds the members of one object to another, both as JSON without blanks around.
fn add_members(json: &mut String, more: &str) {
    let Some(more) = more.strip_prefix('{').filter(|more| *more != "}") else {
        return;
    };
    if json.ends_with('}') {
        json.pop();
        if !json.ends_with('{') {
            json.push(',');
        }
        json.push_str(more);
    }
}

/// Reads a column that holds JSON.
fn json<T: serde::de::DeserializeOwned>(row: sql::Row<'_>, index: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(index)?.as_str()?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, error.into())
    })
}

//! `[store]`: where requests and alerts are kept, if not in a file of `data_dir`.

use std::time::Duration;

use super::problem::Span;
use super::quantity::HOUR;
use super::raw::{Table, Value};
use super::secret::Secret;
use super::word::word;

/// Longer than most pauses of a machine, and short enough that nobody waits long for a page.
pub const LEASE: Duration = Duration::from_secs(10);

/// Longer than a machine is frozen by what moves it to another host, or by a snapshot of it.
pub const QUARANTINE: Duration = Duration::from_secs(120);

/// The room of a spool: a failover of half a minute at some thousand requests a second.
pub const SPOOL_SIZE: u64 = 256 << 20;

/// The longest name of a gateway.
const LONGEST_NODE: usize = 63;

/// The meaning of `[store]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum StoreKind {
    /// One file in `data_dir`, of one gateway.
    #[default]
    Embedded,
    /// A database, which several gateways may share.
    Postgres(Postgres),
}

/// A database in PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    /// Its URL, which may hold a password.
    pub url: Secret,
    /// The name of this gateway among those that share it. Default: that of the machine.
    pub node: String,
    /// The time after which another gateway takes over from a silent one. Default [`LEASE`].
    pub lease: Duration,
    /// The time for which a dead gateway may still send something. Default
    /// [`QUARANTINE`].
    pub quarantine: Duration,
    /// The means by which a commit survives. Default [`Replication::Standby`].
    pub replication: Replication,
    /// True if requests are kept on this machine while the database is away. Default false.
    pub spool: bool,
    /// The most bytes of them. Default [`SPOOL_SIZE`].
    pub spool_size: u64,
}

/// The means by which commits survive the loss of the database's machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Replication {
    /// A synchronous standby, which the gateway looks for.
    #[default]
    Standby,
    /// The storage under it, as the operator says.
    Storage,
}

/// Reads `[store]`. `size` is the place of a size in `[retention]`, which a database does not keep.
pub(super) fn read(mut table: Table<'_>, size: Option<Span>) -> Option<StoreKind> {
    let kind = table.optional("kind", None, |value| {
        word(&value, &[("embedded", false), ("postgres", true)]).map(Some)
    });
    if kind != Some(Some(true)) {
        for key in ["spool", "spool_size"] {
            // One that is asked for is listed as a key that may stand here.
            if kind.is_some()
                && table.entries().any(|(name, _)| name.get_ref() == key)
                && let Some(value) = table.value(key)
            {
                refuse(&value, key);
            }
        }
        table.finish();
        return kind.map(|_| StoreKind::Embedded);
    }
    if let Some(size) = size {
        table.reading.problem(
            size,
            "size in [retention] is not kept with kind = \"postgres\" in [store]: the room is the database's",
            "leave it out; age and identities bound what is kept",
        );
    }
    let url = table.required("url", "url = { env = \"GATEWAY_STORE\" }", |value| {
        value.token()
    });
    let node = table.optional("node", None, |value| node(&value).map(Some));
    let lease = table.optional("lease", LEASE, |value| {
        value.duration(&(Duration::from_secs(2)..=HOUR))
    });
    let quarantine = table.optional("quarantine", QUARANTINE, |value| {
        value.duration(&(Duration::ZERO..=HOUR))
    });
    let kinds = [
        ("standby", Replication::Standby),
        ("storage", Replication::Storage),
    ];
    let replication = table.optional("replication", Replication::default(), |value| {
        word(&value, &kinds)
    });
    let spool = table.optional("spool", false, |value| value.boolean());
    let spool_size = table.optional("spool_size", SPOOL_SIZE, |value| {
        let size = value.size(&((1 << 20)..=(64 << 30)));
        size.map(|size| size as u64)
    });
    table.finish();
    Some(StoreKind::Postgres(Postgres {
        url: url?,
        node: node?.unwrap_or_else(host),
        lease: lease?,
        quarantine: quarantine?,
        replication: replication?,
        spool: spool?,
        spool_size: spool_size?,
    }))
}

/// Refuses a key of the spool for a store that is a file.
fn refuse(value: &Value<'_>, key: &str) {
    value.problem(
        format!("{key} in [store] is for kind = \"postgres\", and this store is a file"),
        "leave it out: a file is on this machine's own disk, and there is no outage of a database to bridge; or name a \
         database by kind = \"postgres\" and its url",
    );
}

fn node(value: &Value<'_>) -> Option<String> {
    let text = value.text("gw-a")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.len() > LONGEST_NODE || !text.chars().all(fits) {
        value.wrong_text(
            text,
            "write a name of letters, digits, '-', '_' and '.', at most 63 of them",
        );
        return None;
    }
    Some(text.to_owned())
}

/// Returns the name of this machine.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "gateway".to_owned(),
        name => name.to_owned(),
    }
}

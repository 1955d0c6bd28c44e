//! The server behind a store: whether it keeps what it confirms, in words for the operator.

use std::sync::Arc;

use super::nodes::{self, Node};
use crate::config::Replication;
use crate::store::postgres::Link;
use crate::store::sql::Connection;
use crate::store::{SharedStore, StoreError};

/// The oldest release that is used.
const OLDEST: i64 = 130_000;

/// The answers of a server.
#[derive(Debug, Clone)]
pub struct Server {
    /// The release, such as `15.18`.
    pub release: String,
    /// The milliseconds since 1970, by its clock.
    pub now_ms: i64,
    /// The mistakes with which it may be used.
    pub warnings: Vec<String>,
    /// True if a commit waits for a standby.
    pub waits_for_standby: bool,
}

/// Looks at the database of a configuration, and at the gateways that share it.
///
/// # Errors
/// As [`ask`].
pub fn examine(shared: &SharedStore) -> Result<(Server, Vec<Node>), StoreError> {
    let link = Link::new(Arc::clone(&shared.address));
    let server = ask(&link, shared.replication)?;
    match super::schema::expect(&link) {
        // No gateway has used it yet.
        Err(StoreError::Missing(_)) => return Ok((server, Vec::new())),
        other => other?,
    }
    let connection = Connection::Postgres(link);
    let mut nodes = nodes::all(&connection)?;
    nodes.retain(|node| node.name != shared.node);
    Ok((server, nodes))
}

const ASK: &str = "SELECT version(), current_setting('server_version_num'), current_setting('server_version'),
    current_setting('server_encoding'), current_setting('fsync'), current_setting('synchronous_commit'),
    current_setting('synchronous_standby_names'), current_setting('full_page_writes'),
    floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    has_schema_privilege(current_schema(), 'CREATE')";

/// Asks a server.
///
/// # Errors
/// [`StoreError::Refused`] where it would lose what it confirms, or is no PostgreSQL.
pub fn ask(link: &Link, replication: Replication) -> Result<Server, StoreError> {
    let refused = |why: String| Err(StoreError::Refused(why));
    keeps_its_session(link)?;
    let rows = link.batch(ASK)?;
    let row: Vec<String> = rows
        .into_iter()
        .flatten()
        .map(Option::unwrap_or_default)
        .collect();
    let Ok(
        [
            full,
            number,
            release,
            encoding,
            fsync,
            commit,
            standbys,
            pages,
            now,
            creates,
        ],
    ) = <[String; 10]>::try_from(row)
    else {
        return refused("it does not answer like PostgreSQL".to_owned());
    };
    let others = [
        "CockroachDB",
        "-YB-",
        "Materialize",
        "CrateDB",
        "Redshift",
        "DSQL",
    ];
    if !full.starts_with("PostgreSQL ") || others.iter().any(|other| full.contains(other)) {
        return refused(format!(
            "it is {full:?}, which only speaks like PostgreSQL, and what it promises was not tested"
        ));
    }
    if number.parse::<i64>().unwrap_or_default() < OLDEST {
        return refused(format!(
            "it is PostgreSQL {release}, and 13 is the oldest that will do"
        ));
    }
    if encoding != "UTF8" {
        return refused(format!(
            "its encoding is {encoding}: make it with ENCODING 'UTF8'"
        ));
    }
    if fsync == "off" {
        return refused("fsync is off there, so a power cut loses the whole database".to_owned());
    }
    if matches!(commit.as_str(), "off" | "local") {
        return refused(format!(
            "synchronous_commit is {commit} for this user, so it confirms what it may lose: write on"
        ));
    }
    let waits_for_standby = !standbys.is_empty();
    let mut warnings = Vec::new();
    if pages == "off" {
        warnings
            .push("full_page_writes is off there: a power cut can damage the database".to_owned());
    }
    if !waits_for_standby && replication == Replication::Standby {
        warnings.push(
            "no commit waits for a standby (synchronous_standby_names is empty), so what was confirmed is lost with the \
             machine of the database: name one there, or write replication = \"storage\" in [store] where its disk is \
             replicated"
                .to_owned(),
        );
    }
    if creates != "t" {
        warnings.push(
            "its user may not make tables in the first schema of its search_path, which an upgrade needs".to_owned(),
        );
    }
    let now_ms = now.parse().unwrap_or_default();
    Ok(Server {
        release,
        now_ms,
        warnings,
        waits_for_standby,
    })
}

/// Expects that a connection keeps what is prepared and set in it: a pool before the server may give
/// each transaction another.
fn keeps_its_session(link: &Link) -> Result<(), StoreError> {
    const MARK: &str = "SELECT current_setting('gateway.session', true)";
    let mark = uuid::Uuid::now_v7().to_string();
    let refused = || {
        Err(StoreError::Refused(
            "a pool before it gives a connection to another client after each transaction, and a gateway keeps what it has \
             prepared: let its pool_mode be session (PgBouncer), or connect to PostgreSQL itself"
                .to_owned(),
        ))
    };
    let is_marked = |rows: Vec<Vec<Option<String>>>| {
        rows.into_iter()
            .flatten()
            .flatten()
            .any(|found| found == mark)
    };
    link.batch(&format!("SET gateway.session = '{mark}'"))?;
    // It has the connection of the first, where that is free between transactions.
    let other = link.beside();
    match other.begin("BEGIN") {
        Ok(()) => {}
        Err(StoreError::Away(why)) if why.contains("pooling") => return refused(),
        Err(error) => return Err(error),
    }
    let is_shared = is_marked(other.batch(MARK)?) || !is_marked(link.batch(MARK)?);
    other.roll_back();
    link.batch("RESET gateway.session")?;
    if is_shared { refused() } else { Ok(()) }
}

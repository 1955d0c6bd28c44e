//! The server behind a store: whether it keeps what it confirms, in words for the operator.

use std::sync::Arc;

use super::schema::text;
use crate::config::Replication;
use crate::store::postgres::Link;
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

/// Another gateway that shares the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Its name.
    pub node: String,
    /// The version of its program.
    pub version: String,
    /// True if it runs, or did not stop in order.
    pub runs: bool,
    /// True if its configuration is like this one's, but for addresses and secrets.
    pub is_alike: bool,
}

/// Looks at the database of a configuration, and at the gateways that share it.
///
/// # Errors
/// As [`ask`].
pub fn examine(shared: &SharedStore) -> Result<(Server, Vec<Neighbour>), StoreError> {
    let link = Link::new(Arc::clone(&shared.address));
    let server = ask(&link, shared.replication)?;
    match super::schema::expect(&link) {
        // No gateway has used it yet.
        Err(StoreError::Missing(_)) => return Ok((server, Vec::new())),
        other => other?,
    }
    let sql =
        "SELECT node, version, instance, configuration FROM gateways WHERE node <> ? ORDER BY node";
    let rows = link.query(sql, &[shared.node.clone().into()])?;
    let neighbours = rows.into_iter().filter_map(|row| {
        let texts: Option<Vec<String>> = row.into_iter().map(text).collect();
        let [node, version, instance, configuration] = <[String; 4]>::try_from(texts?).ok()?;
        Some(Neighbour {
            node,
            version,
            runs: !instance.is_empty(),
            is_alike: configuration == shared.configuration,
        })
    });
    Ok((server, neighbours.collect()))
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

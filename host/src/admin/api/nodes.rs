//! This gateway, and those that share its store; and an operator's word that one of them is gone.

use hyper::StatusCode;
use serde::Serialize;

use super::super::caller::Caller;
use super::super::desk::Desk;
use super::super::problem::Problem;
use super::act::reason;
use super::groups::Reason;
use crate::clock::{rfc3339, wall_ms};
use crate::config::listed;
use crate::health::SpoolHealth;
use crate::store::{self, Entry, Location, NodeState, Totals};

/// A gateway, as this one sees it.
#[derive(Debug, Serialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// True if it is the one that answers.
    pub this: bool,
    /// The version of its program.
    pub version: String,
    /// `running`, `silent` where it is not seen and did not stop, or `stopped`.
    pub state: &'static str,
    /// The start of its program: RFC 3339.
    pub started_at: String,
    /// The seconds since; of another one, until it was seen last.
    pub uptime_s: i64,
    /// The time when it was seen last: RFC 3339.
    pub seen_at: String,
    /// True if it delivers, for all that share the store.
    pub leads: bool,
    /// True if its sources, destinations and mutes are those of this one.
    pub alike: bool,
    /// True if it led, and something of it may be under way still: younger alerts of some keys wait
    /// for it.
    pub awaited: bool,
    /// True while requests are accepted; none of another one.
    pub ready: Option<bool>,
    /// The reason why they are not, or what an operator should look at.
    pub note: Option<String>,
    /// The deliveries that wait in the store.
    pub pending: i64,
    /// The dead letters in it.
    pub dead: i64,
    /// The failed requests in it.
    pub failed: i64,
    /// Its bytes in use; 0 where it is a database.
    pub store_bytes: i64,
    /// The requests that wait on its own disk for the database; none of another one, and where there
    /// is no spool.
    pub spool: Option<SpoolHealth>,
}

/// This gateway.
pub async fn node(desk: &Desk) -> Result<Node, Problem> {
    let totals = desk.readers.read(|history| history.totals()).await?;
    Ok(this(desk, &totals))
}

/// This gateway, as far as memory knows it.
pub fn node_in_memory(desk: &Desk) -> Node {
    this(desk, &Totals::default())
}

/// All gateways: this one first, and the others by their names.
pub async fn nodes(desk: &Desk) -> Result<Vec<Node>, Problem> {
    let (totals, records) = desk
        .readers
        .read(|history| Ok((history.totals()?, history.nodes()?)))
        .await?;
    let mut this = this(desk, &totals);
    let (own, others): (Vec<_>, Vec<_>) = records
        .into_iter()
        .partition(|record| record.name == desk.facts.node);
    for own in &own {
        this.awaited = own.is_awaited;
    }
    let others = others.into_iter().map(|record| Node {
        alike: own
            .iter()
            .all(|own| own.configuration == record.configuration),
        name: record.name,
        this: false,
        version: record.version,
        state: record.state.as_str(),
        started_at: rfc3339(record.started_ms),
        uptime_s: (record.seen_ms - record.started_ms).max(0) / 1000,
        seen_at: rfc3339(record.seen_ms),
        leads: record.leads,
        awaited: record.is_awaited,
        ready: None,
        note: None,
        pending: totals.pending,
        dead: totals.dead,
        failed: totals.failed,
        store_bytes: 0,
        spool: None,
    });
    let others: Vec<_> = others.collect();
    Ok([this].into_iter().chain(others).collect())
}

fn this(desk: &Desk, totals: &Totals) -> Node {
    let board = desk.about.health.read();
    let started_ms = desk.facts.started_ms;
    let now_ms = wall_ms();
    Node {
        name: desk.facts.node.clone(),
        this: true,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        state: NodeState::Running.as_str(),
        started_at: rfc3339(started_ms),
        uptime_s: (now_ms - started_ms).max(0) / 1000,
        seen_at: rfc3339(now_ms),
        leads: board.leads.unwrap_or(true),
        alike: true,
        awaited: false,
        ready: Some(board.ready),
        note: board.note,
        pending: totals.pending,
        dead: totals.dead,
        failed: totals.failed,
        store_bytes: desk.about.metrics.store_size.get(),
        spool: board.spool,
    }
}

/// Takes an operator's word that nothing of a gateway is under way any more. Returns it.
pub async fn gone(
    desk: &Desk,
    name: &str,
    what: &Reason,
    caller: &Caller,
) -> Result<Node, Problem> {
    let why = reason(what.reason.as_deref())?;
    let Location::Postgres(shared) = desk.about.store.location().clone() else {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "this gateway shares its store with no other",
        ));
    };
    let find = async || {
        let all = nodes(desk).await?;
        let names: Vec<String> = all.iter().map(|node| node.name.clone()).collect();
        let mut all = all.into_iter();
        all.find(|node| node.name == name).ok_or_else(|| {
            let names = listed(names.iter().map(String::as_str), "and");
            Problem::missing(format!("no gateway has this name; there are {names}"))
        })
    };
    let node = find().await?;
    if !node.awaited {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "it is not waited for: it did not lead, has said so itself, or the wait is over",
        ));
    }
    let entry = Entry {
        at_ms: wall_ms(),
        who: caller.who.clone(),
        origin: caller.origin.clone(),
        action: "gone".to_owned(),
        about: node.name.clone(),
        why,
    };
    desk.about.store.audit(entry).await?;
    let about = node.name;
    let done = tokio::task::spawn_blocking(move || store::is_gone(&shared, &about)).await;
    match done {
        Ok(done) => done?,
        Err(_) => {
            return Err(Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "this panicked",
            ));
        }
    };
    find().await
}

//! The state of a gateway at a glance, for the command on its own machine that shows it.

use serde_json::{Value, json};

use super::super::desk::Desk;
use super::super::problem::Problem;
use super::{destinations, list, nodes, sources};

/// Returns in one object what the API answers at `nodes`, `sources` and `destinations`, and the
/// `events` newest events, 1 to 200.
///
/// # Errors
/// The reason why the store cannot be read, or that this is no number of events.
pub async fn look(desk: &Desk, events: usize) -> Result<Value, String> {
    looked(desk, events).await.map_err(|problem| problem.detail)
}

async fn looked(desk: &Desk, events: usize) -> Result<Value, Problem> {
    let events = list(desk, format!("limit={events}").as_bytes()).await?;
    let sources = sources(desk).await?;
    Ok(json!({
        "nodes": nodes(desk).await?,
        "sources": sources.sources,
        "destinations": destinations(desk).await?,
        "events": events.rows,
    }))
}

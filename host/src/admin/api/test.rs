//! The action that tests a way: that of a source, or the last hop to a destination.

use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::super::caller::Caller;
use super::super::desk::Desk;
use super::super::problem::Problem;
use crate::hops::{Asked, Hop, UNKNOWN, Way};

/// The body of the action.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asking {
    /// True if the request goes to the listener itself, past what stands before the gateway.
    #[serde(default)]
    pub local: bool,
    /// The request in place of the plugin's sample: an HTTP/1.1 message.
    #[serde(default)]
    pub request: Option<String>,
}

/// The outcome of the action.
#[derive(Debug, Serialize)]
pub struct Tested {
    /// True if every hop was passed.
    pub ok: bool,
    /// The hops, in their order.
    pub hops: Vec<Hop>,
}

/// Tests what a path names, and waits for the end of it.
pub async fn test(
    desk: &Desk,
    kind: &str,
    name: &str,
    asking: Asking,
    caller: &Caller,
) -> Result<Tested, Problem> {
    let name = name.to_owned();
    let Asking { local, request } = asking;
    let way = match kind {
        "sources" => Way::Source {
            name,
            local,
            request,
        },
        _ if local || request.is_some() => {
            return Err(Problem::wrong(
                "local and request are for sources: a destination is sent an alert of the gateway's own",
            ));
        }
        _ => Way::Destination { name },
    };
    let (hops, mut told) = mpsc::channel(1);
    let asked = Asked {
        way,
        who: caller.who.clone(),
        origin: caller.origin.clone(),
        hops,
    };
    if desk.about.tests.send(asked).await.is_err() {
        let stopping = "the gateway is stopping";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, stopping));
    }
    let mut hops = Vec::new();
    while let Some(hop) = told.recv().await {
        if hop.hop == UNKNOWN {
            let advice = hop.fix.map_or_else(String::new, |fix| format!("; {fix}"));
            return Err(Problem::missing(format!("{}{advice}", hop.found)));
        }
        hops.push(hop);
    }
    if hops.is_empty() {
        let stopped = "the gateway stopped before the test had begun";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, stopped));
    }
    Ok(Tested {
        ok: hops.iter().all(|hop| hop.ok),
        hops,
    })
}

//! `test`: tries the way of an alert, hop by hop.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use serde::Deserialize;

use super::remote::{Client, segment};
use super::{Failure, Outcome, Place, audit, block_on, plain};
use crate::gateway::control::{Answer, Conversation, NoAnswer, Question};
use crate::hops::{Hop, UNKNOWN, Way};

/// Tries the way of an alert with a genuine one: from the sender's side of the proxy to the
/// destination's receipt.
///
/// With --source the running gateway takes the plugin's sample, proves it by the configured
/// secrets, and posts it to `public_url`: DNS, proxy, TLS, path and proof are tried. The
/// alert goes where a real one would, says that it is a test (its label `test`), belongs to no
/// group, and is resolved at once. Each hop is printed with its time, or with the reason why it
/// failed and the fix.
///
/// With --destination only the last hop is tried, with an alert of the gateway's own.
///
/// It needs a gateway that runs: it is reached by a Unix socket in `data_dir`, so the command runs
/// as root or as the gateway's user; or, with --remote, by its admin listener.
///
/// Exit codes: 0, every hop was passed; 1, one was not, or no gateway runs; 2, the arguments are
/// wrong, or there is no such source or destination.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("way").required(true))]
#[command(after_help = "Examples:
  alert-gateway test --source twilio-prod
  alert-gateway test --source twilio-prod --local
  alert-gateway test --source grafana --request grafana.http
  alert-gateway test --destination itoc360")]
pub struct Test {
    #[command(flatten)]
    place: Place,
    /// Test the whole way of this source
    #[arg(long, value_name = "NAME", group = "way")]
    source: Option<String>,
    /// Test the last hop, to this destination
    #[arg(long, value_name = "NAME", group = "way")]
    destination: Option<String>,
    /// Post to the gateway's own listener, past the proxy
    #[arg(long, conflicts_with = "destination")]
    local: bool,
    /// A request in place of the plugin's sample, as `try` takes it; it is proved anew
    #[arg(long, value_name = "FILE.http", conflicts_with = "destination")]
    request: Option<PathBuf>,
    /// One JSON object a hop
    #[arg(long)]
    json: bool,
}

/// The answer of another gateway.
#[derive(Deserialize)]
struct Tested {
    hops: Vec<Hop>,
}

pub fn test(what: &Test) -> Outcome {
    let request = what
        .request
        .as_deref()
        .map(|path| {
            std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))
                .map_err(|error| Failure::Usage(format!("{error:#}")))
        })
        .transpose()?;
    let way = match (&what.source, &what.destination) {
        (Some(name), _) => Way::Source {
            name: name.clone(),
            local: what.local,
            request,
        },
        (None, Some(name)) => Way::Destination { name: name.clone() },
        (None, None) => return Err(Failure::Usage("name a source or a destination".to_owned())),
    };
    let shown = way.shown();
    if let Some(client) = what.place.remote()? {
        let stopped = block_on(there(&client, &way, what.json))?;
        return told(&shown, stopped, what.json);
    }
    let data_dir = what.place.file.data_dir()?;
    let who = audit::user();
    let question = Question::Test { way, who };
    let stopped = block_on(async {
        let mut conversation = Conversation::begin(&data_dir, &question).await?;
        let mut stopped: Option<Hop> = None;
        loop {
            let hop = match conversation.next().await? {
                Answer::Hop(hop) => hop,
                Answer::Tested => return Ok(stopped),
                _ => return Err(NoAnswer::Stopped.into()),
            };
            if hop.hop == UNKNOWN {
                // One that asks whether another was meant has its own end.
                let joint = if hop.found.ends_with('?') { " " } else { "; " };
                let fix = hop
                    .fix
                    .map_or_else(String::new, |fix| format!("{joint}{fix}"));
                return Err(Failure::Usage(format!("{}{fix}", plain::line(&hop.found))));
            }
            show(&hop, what.json)?;
            if !hop.ok {
                stopped.get_or_insert(hop);
            }
        }
    })?;
    told(&shown, stopped, what.json)
}

/// Has another gateway test the way, and returns the first hop that was not passed.
async fn there(client: &Client, way: &Way, json: bool) -> Result<Option<Hop>, Failure> {
    let (path, body) = match way {
        Way::Source {
            name,
            local,
            request,
        } => (
            format!("/sources/{}/test", segment(name)),
            serde_json::json!({ "local": local, "request": request }),
        ),
        Way::Destination { name } => (
            format!("/destinations/{}/test", segment(name)),
            serde_json::json!({}),
        ),
        Way::PublicUrl => {
            let found = "only the gateway's own machine looks at the public URL: check --online";
            return Err(Failure::Usage(found.to_owned()));
        }
    };
    let tested = client.act::<Tested>(&path, body).await?;
    let Tested { hops } = tested.map_err(|why| Failure::Run(anyhow!(why)))?;
    for hop in &hops {
        show(hop, json)?;
    }
    Ok(hops.into_iter().find(|hop| !hop.ok))
}

/// Prints how the test ended.
fn told(shown: &str, stopped: Option<Hop>, json: bool) -> Outcome {
    match stopped {
        None if json => Ok(()),
        None => Ok(writeln!(std::io::stdout(), "\nthe way of {shown} works")?),
        Some(hop) => {
            Err(anyhow!("the test of {shown} failed at: {}", plain::line(&hop.hop)).into())
        }
    }
}

/// Prints a hop.
pub fn show(hop: &Hop, json: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    if json {
        return writeln!(out, "{}", plain::json(&serde_json::to_string(hop)?));
    }
    let took = hop
        .took_ms
        .map_or_else(String::new, |took| format!("{took} ms"));
    let verdict = match (hop.ok, hop.waits) {
        (false, _) => "FAILED",
        (true, true) => "...",
        (true, false) => "ok",
    };
    let name = plain::line(&hop.hop);
    let found = plain::line(&hop.found);
    writeln!(out, "{verdict:<6} {name:<10} {took:>8}  {found}")?;
    if let Some(fix) = &hop.fix {
        writeln!(out, "{:26} fix: {}", "", plain::line(fix))?;
    }
    out.flush()
}

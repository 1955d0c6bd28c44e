//! `events replay` and `events dismiss`: what an operator has done with failed requests and dead
//! letters. Both only write down what is wanted; the gateway does it.

use std::collections::HashSet;
use std::io::Write;

use anyhow::anyhow;
use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;

use super::super::audit::entry;
use super::super::env_file::EnvFile;
use super::super::remote::{Client, Place, segment};
use super::super::{ConfigFile, Failure, Outcome, block_on, check, plain};
use super::choice::{is_known, since, state};
use super::difference::{self, Difference};
use crate::clock;
use crate::store::{
    self, JobKind, JobTarget, ListedState, Part, Selection, UnknownId, Waiting, WaitingRequest,
};

/// The arguments of `events replay`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway events replay 01890a5d-ac96-774b-bcce-b302099a8057
  alert-gateway events replay --failed --source twilio-prod --since 24h --dry-run
  alert-gateway events replay --dead
  alert-gateway events replay --diff --plugin new.wasm --last 500
  alert-gateway events replay --diff --config new.toml")]
pub struct Replay {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    env_file: EnvFile,
    #[command(flatten)]
    which: Which,
    /// Send nothing: read stored requests once more, and print the alerts before and after
    #[arg(long)]
    diff: bool,
    /// With --diff, read with this plugin in place of the source's: a bundled one, or a wasm file
    #[arg(long, value_name = "NAME|FILE.wasm", requires = "diff")]
    plugin: Option<String>,
    /// With --diff, only so many requests of each source, the newest [default: 500]
    #[arg(long, value_name = "N", requires = "diff", conflicts_with = "ids")]
    last: Option<usize>,
}

/// The arguments of `events dismiss`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway events dismiss NO0123456789abcdef0123456789abcdef --why \"known, see ticket 4711\"
  alert-gateway events dismiss --dead --older-than 7d --why \"too old to page for\"
  alert-gateway events dismiss --failed --source twilio-test --why \"a test\" --dry-run")]
pub struct Dismiss {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    which: Which,
    /// The reason, for a later reader of the audit
    #[arg(long, value_name = "TEXT", alias = "reason")]
    why: String,
}

/// The choice of requests.
#[derive(Debug, Args)]
struct Which {
    /// Requests' ids, or events' ids
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Every failed request
    #[arg(long, conflicts_with = "ids")]
    failed: bool,
    /// Every dead letter
    #[arg(long, conflicts_with = "ids")]
    dead: bool,
    /// The same by a state: failed or dead
    #[arg(long, value_parser = state, conflicts_with_all = ["ids", "failed", "dead"])]
    state: Option<ListedState>,
    /// Only what came in at this source
    #[arg(long, value_name = "NAME", conflicts_with = "ids")]
    source: Option<String>,
    /// Only what came in since: a duration, as in 24h or 7d, or a time
    #[arg(long, value_name = "WHEN", value_parser = since, conflicts_with = "ids")]
    since: Option<Timestamp>,
    /// Only what came in before: a duration, as in 24h or 7d, or a time
    #[arg(
        long,
        value_name = "WHEN",
        value_parser = since,
        visible_alias = "until",
        conflicts_with = "ids"
    )]
    older_than: Option<Timestamp>,
    /// List what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

impl Which {
    /// Returns the choice.
    ///
    /// # Errors
    /// Where nothing is chosen, or something that waits for no operator.
    fn selection(&self) -> Result<Selection, Failure> {
        let narrowed = self.source.is_some() || self.since.is_some() || self.older_than.is_some();
        let by_state = self.failed || self.dead || self.state.is_some();
        if self.ids.is_empty() && !narrowed && !by_state {
            return Err(Failure::Usage(
                "name ids, or choose by --failed, --dead, --source, --since or --older-than; \
                 see: alert-gateway events list"
                    .to_owned(),
            ));
        }
        Ok(Selection {
            ids: self.ids.clone(),
            part: self.part()?,
            source: self.source.clone(),
            since_ms: self.since.map(Timestamp::as_millisecond),
            until_ms: self.older_than.map(Timestamp::as_millisecond),
            limit: None,
            unasked: None,
        })
    }

    fn part(&self) -> Result<Part, Failure> {
        match (self.failed, self.dead, self.state) {
            (true, false, _) | (_, _, Some(ListedState::Failed)) => Ok(Part::Failed),
            (false, true, _) | (_, _, Some(ListedState::Dead)) => Ok(Part::Dead),
            (_, _, None) => Ok(Part::All),
            (_, _, Some(other)) => Err(Failure::Usage(format!(
                "what is {} waits for no operator: only failed requests and dead letters are \
                 replayed or dismissed (--state failed, --state dead)",
                other.as_str()
            ))),
        }
    }

    /// Finds what waits within the choice, and prints it where nothing is to be done yet.
    fn find(
        &self,
        file: &ConfigFile,
        selection: &Selection,
        effect: fn(&WaitingRequest) -> String,
    ) -> Result<Option<Waiting>, Failure> {
        let history = super::open(file)?;
        let found = history.waiting(selection)?;
        let waiting = found.map_err(|UnknownId(id)| super::unknown(&id))?;
        let mut out = std::io::stdout().lock();
        if waiting.requests.is_empty() {
            if let Some(source) = &self.source {
                is_known(source, file)?;
            }
            writeln!(out, "{}", self.nothing())?;
            return Ok(None);
        }
        if !self.dry_run {
            return Ok(Some(waiting));
        }
        let affected = waiting.requests.iter().map(|one| Affected {
            request: one.request.clone(),
            source: one.source.clone(),
            received_at: one.received_at.clone(),
            effect: effect(one),
        });
        preview(&mut out, &affected.collect::<Vec<_>>())?;
        Ok(None)
    }

    fn nothing(&self) -> &'static str {
        if self.ids.is_empty() {
            "nothing to do: no failed request and no dead letter is chosen by this"
        } else {
            "nothing to do: none of these failed, and none of their alerts is a dead letter"
        }
    }
}

/// Replays, or compares.
pub fn replay(what: &Replay) -> Outcome {
    let which = &what.which;
    if what.diff {
        let state = match which.part()? {
            Part::All => None,
            Part::Failed => Some(ListedState::Failed),
            Part::Dead => {
                return Err(Failure::Usage(
                    "--diff compares how requests are read: dead letters are of requests that were \
                     read, so choose without --dead"
                        .to_owned(),
                ));
            }
        };
        if what.place.remote()?.is_some() {
            return Err(Failure::Usage(
                "--diff reads the store and the plugins of this machine: run it where the gateway runs"
                    .to_owned(),
            ));
        }
        return difference::show(&Difference {
            file: &what.place.file,
            env_file: &what.env_file,
            plugin: what.plugin.as_deref(),
            ids: &which.ids,
            failed: state.is_some(),
            source: which.source.as_deref(),
            since: which.since,
            until: which.older_than,
            last: what.last,
        });
    }
    let selection = which.selection()?;
    if let Some(client) = what.place.remote()? {
        return block_on(there(&client, "replay", which, &selection, None));
    }
    let file = &what.place.file;
    // One job stands for all dead letters, however many they are.
    let is_all_dead = selection.part == Part::Dead
        && [selection.since_ms, selection.until_ms] == [None, None]
        && selection.source.is_none();
    let Some(waiting) = which.find(file, &selection, WaitingRequest::replayed)? else {
        return Ok(());
    };
    let targets = if is_all_dead {
        vec![JobTarget::AllDead]
    } else {
        targets(&waiting)
    };
    ask(file, &JobKind::Replay, &selection, &waiting, &targets)
}

/// Dismisses.
pub fn dismiss(what: &Dismiss) -> Outcome {
    let why = what.why.trim();
    if why.is_empty() {
        return Err(Failure::Usage(
            "--why: say why it is dismissed, for whoever looks at it later".to_owned(),
        ));
    }
    let selection = what.which.selection()?;
    if let Some(client) = what.place.remote()? {
        return block_on(there(
            &client,
            "dismiss",
            &what.which,
            &selection,
            Some(why),
        ));
    }
    let file = &what.place.file;
    let effect = WaitingRequest::dismissed;
    let Some(waiting) = what.which.find(file, &selection, effect)? else {
        return Ok(());
    };
    let why = why.to_owned();
    let kind = JobKind::Dismiss { why };
    ask(file, &kind, &selection, &waiting, &targets(&waiting))
}

fn targets(waiting: &Waiting) -> Vec<JobTarget> {
    let requests = waiting.requests.iter();
    requests.flat_map(WaitingRequest::targets).collect()
}

/// Asks the gateway to do it, and writes into the audit who asked.
fn ask(
    file: &ConfigFile,
    kind: &JobKind,
    selection: &Selection,
    waiting: &Waiting,
    targets: &[JobTarget],
) -> Outcome {
    let at_ms = clock::wall_ms();
    let why = match kind {
        JobKind::Replay => None,
        JobKind::Dismiss { why } => Some(why.clone()),
    };
    let about = selection.about(&waiting.requests);
    let entry = entry(kind.as_str(), about, why, at_ms);
    let new = store::ask_for(&file.store()?, kind, targets, &entry)?;
    told(waiting.requests.len(), new == 0)
}

/// A request that an action is about.
#[derive(Debug, Deserialize)]
struct Affected {
    request: String,
    source: String,
    received_at: String,
    effect: String,
}

/// The answer of another gateway.
#[derive(Debug, Deserialize)]
struct Done {
    requests: Vec<Affected>,
    more: bool,
}

/// Has another gateway do it, or say what it would do.
async fn there(
    client: &Client,
    act: &str,
    which: &Which,
    selection: &Selection,
    why: Option<&str>,
) -> Outcome {
    let time = |ms: Option<i64>| ms.map(clock::rfc3339);
    let mut body = serde_json::json!({ "preview": which.dry_run });
    if let Some(why) = why {
        body["reason"] = why.into();
    }
    let mut paths = Vec::new();
    if selection.ids.is_empty() {
        body["all"] = true.into();
        body["source"] = selection.source.clone().into();
        body["since"] = time(selection.since_ms).into();
        body["until"] = time(selection.until_ms).into();
        if selection.part != Part::Dead {
            paths.push(format!("/failed/{act}"));
        }
        if selection.part != Part::Failed {
            paths.push(format!("/dead-letters/{act}"));
        }
    } else {
        let ids = selection.ids.iter();
        paths.extend(ids.map(|id| format!("/events/{}/{act}", segment(id))));
    }
    let mut affected: Vec<Affected> = Vec::new();
    let mut more = false;
    let mut nothing = None;
    for path in paths {
        let mut ids = HashSet::new();
        // So many at a time, each time the oldest that nobody asked for.
        loop {
            match client.act::<Done>(&path, body.clone()).await? {
                Ok(done) => {
                    let before = ids.len();
                    ids.extend(done.requests.iter().map(|one| one.request.clone()));
                    affected.extend(done.requests);
                    if done.more && !which.dry_run {
                        if ids.len() == before {
                            let host = client.host();
                            return Err(
                                anyhow!("{host} says that there are more, and names none").into()
                            );
                        }
                        continue;
                    }
                    more |= done.more;
                }
                Err(why) => nothing = Some(why),
            }
            break;
        }
    }
    let mut out = std::io::stdout();
    if affected.is_empty() {
        let said = nothing.unwrap_or_else(|| which.nothing().to_owned());
        return Ok(writeln!(out, "{said}")?);
    }
    // A request may have failed, and have dead letters.
    let key = |one: &Affected| (one.received_at.clone(), one.request.clone());
    affected.sort_by_key(key);
    if which.dry_run {
        preview(&mut out, &affected)?;
    } else {
        affected.dedup_by_key(|one| one.request.clone());
        told(affected.len(), false)?;
    }
    if more {
        eprintln!("there are more than these, which come next");
    }
    Ok(())
}

/// Prints what would be done.
fn preview(out: &mut impl Write, affected: &[Affected]) -> std::io::Result<()> {
    for one in affected {
        let at = &one.received_at;
        let source = &one.source;
        let id = &one.request;
        let line = format!("{id}  {at}  {source}: {}", one.effect);
        writeln!(out, "{}", plain::line(&line))?;
    }
    let count = check::counted(affected.len(), "request");
    writeln!(out, "{count}; nothing was done, because of --dry-run")
}

/// Says that it was asked for, now or before.
fn told(requests: usize, before: bool) -> Outcome {
    let count = check::counted(requests, "request");
    let before = if before { " already" } else { "" };
    writeln!(
        std::io::stdout(),
        "{count}: asked for{before}; the gateway does it within a second, or when it starts. \
         See: alert-gateway events list"
    )?;
    Ok(())
}

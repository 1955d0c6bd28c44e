//! `groups`: lists groups, of which each is one alert at the destination for many events.

use std::io::Write;

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use serde::de::IgnoredAny;

use super::events::choice;
use super::remote::segment;
use super::{Failure, Outcome, Place, block_on, columns, owner, plain, remote};
use crate::clock::wall_ms;
use crate::store::{GroupFilter, GroupState, History};

/// The arguments of `groups`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway groups
  alert-gateway groups --state open --source twilio-prod
  alert-gateway events list --group 7
  alert-gateway groups --json | jq -r .key")]
pub struct Groups {
    #[command(flatten)]
    place: Place,
    /// Only those of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only those in this state
    #[arg(long)]
    state: Option<State>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// One JSON object a line, with times in UTC
    #[arg(long)]
    json: bool,
}

/// The states of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    /// Its alert is open at the destination
    Open,
    /// It is over
    Resolved,
}

/// Prints the newest groups, newest first.
pub fn groups(what: &Groups) -> Outcome {
    let (groups, is_cut) = newest(what)?;
    if groups.is_empty()
        && let Some(source) = &what.source
    {
        is_known(what, source)?;
    }
    let mut out = std::io::stdout().lock();
    if what.json {
        for group in &groups {
            writeln!(out, "{}", plain::json(&serde_json::to_string(group)?))?;
        }
    } else if groups.is_empty() {
        writeln!(out, "no groups")?;
    } else {
        let zone = TimeZone::system();
        let opened = format!("OPENED ({})", columns::zone_name(wall_ms(), &zone));
        let header = [
            "ID",
            "STATE",
            "SOURCE",
            &opened,
            "RESOLVED",
            "EVENTS",
            "KEY",
            "NEWEST EVENT",
        ];
        columns::print(
            &mut out,
            header,
            groups.iter().map(|group| cells(group, &zone)),
        )?;
    }
    if is_cut {
        out.flush()?;
        eprintln!(
            "there are more: these are the newest {}; see --limit, --source and --state",
            what.limit
        );
    }
    Ok(())
}

/// Tells a source without groups from one that is not configured.
fn is_known(what: &Groups, source: &str) -> Outcome {
    let Some(client) = what.place.remote()? else {
        return choice::is_known(source, &what.place.file);
    };
    let path = format!("/sources/{}", segment(source));
    block_on(client.get::<IgnoredAny>(&path)).map(drop)
}

fn newest(what: &Groups) -> Result<(Vec<GroupState>, bool), Failure> {
    let is_open = what.state.map(|state| state == State::Open);
    if let Some(client) = what.place.remote()? {
        let state = is_open.map(|open| if open { "open" } else { "resolved" });
        let all = [
            ("source", what.source.clone()),
            ("state", state.map(str::to_owned)),
        ];
        let given = all.into_iter();
        let given = given.filter_map(|(name, value)| Some((name, value?)));
        let parameters: Vec<_> = given.collect();
        return block_on(remote::rows(
            &client,
            "groups",
            &parameters,
            what.limit,
            |_| true,
        ));
    }
    let store = what.place.file.store()?;
    owner::become_owner(store.folder())?;
    let mut groups = History::open(&store)?.groups(&GroupFilter {
        source: what.source.clone(),
        is_open,
        // One more, to know whether there are more.
        limit: what.limit.saturating_add(1),
        ..GroupFilter::default()
    })?;
    let is_cut = groups.len() > what.limit;
    groups.truncate(what.limit);
    Ok((groups, is_cut))
}

/// Returns the number, state, source, times, count, key and newest event of a group, as a person
/// reads them.
fn cells(group: &GroupState, zone: &TimeZone) -> [String; 8] {
    let local = |time: &str| columns::local_text(time, zone);
    let last = group.last.as_ref();
    [
        group.id.to_string(),
        group.state.clone(),
        group.source.clone(),
        local(&group.opened_at),
        group.resolved_at.as_deref().map_or("-".to_owned(), local),
        group.events.to_string(),
        group.key.clone(),
        last.map_or_else(String::new, |last| last.title.clone()),
    ]
}

//! The lines that `events list` and `events tail` print: from the store and the memory of the
//! gateway on this machine, or from the API of another.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use jiff::Timestamp;
use plugin_sdk::contract::Priority;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::remote::{self, Client, Place, segment};
use super::super::{Failure, Outcome, owner};
use super::choice::{is_known, since, state};
use super::memory;
use crate::clock::rfc3339;
use crate::config::{OWN_SOURCE, did_you_mean, listed};
use crate::store::{Filter, History, Line, ListedState};

/// The choice of lines.
#[derive(Debug, Args)]
pub struct Wanted {
    /// Only this source
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Only alerts of this key; of a source, named with --source
    #[arg(long, value_name = "KEY", requires = "source")]
    key: Option<String>,
    /// Only this state: pending, delivered, dead, failed, rejected, ignored, grouped, muted or
    /// dismissed. The last rejected and ignored requests of each source are in the memory of the
    /// gateway that runs, which is asked for them
    #[arg(long, value_parser = state)]
    pub state: Option<ListedState>,
    /// Only alerts of this priority: critical, high, medium or low
    #[arg(long, value_parser = priority)]
    priority: Option<Priority>,
    /// Only alerts with this label; may be given more than once
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Only what has this text in its title, message, labels or id
    #[arg(long, value_name = "TEXT", alias = "grep")]
    text: Option<String>,
    /// Only members of this group: its number, or its key, as in group/error_code=30006
    #[arg(long, value_name = "KEY|ID")]
    group: Option<String>,
    /// Only what this mute has held
    #[arg(long, value_name = "ID")]
    mute: Option<i64>,
    /// Only what came in since: a duration, as in 90min, 24h or 7d, or a time, as in
    /// 2026-01-31T08:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Timestamp>,
    /// Only what came in before, as --since has it
    #[arg(long, value_name = "WHEN", value_parser = since)]
    until: Option<Timestamp>,
}

/// The place where lines come from.
pub enum Lines {
    /// The store on this machine, and the gateway that runs with it.
    Here {
        history: Box<History>,
        data_dir: PathBuf,
        filter: Box<Filter>,
    },
    /// Another gateway.
    There {
        client: Client,
        parameters: Vec<(&'static str, String)>,
        /// True if requests that only memory has are wanted.
        traced: bool,
    },
}

/// The place to which the lines of a gateway were looked at.
#[derive(Debug, Default)]
pub struct Mark(Option<i64>);

/// The lines that are among the newest in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whole {
    /// All that are wanted.
    All,
    /// Those received at this time or later: RFC 3339.
    Since(String),
    /// None for certain: the search has found nothing yet.
    Unknown,
}

/// The newest lines.
#[derive(Debug, Default)]
pub struct Newest {
    /// The lines, newest first.
    pub lines: Vec<Line>,
    /// True if there are more.
    pub is_cut: bool,
    /// The reason why those of memory are missing, where they are wanted.
    pub forgotten: Option<String>,
}

/// A row of the API.
#[derive(Deserialize)]
struct Row {
    #[serde(flatten)]
    line: Line,
    trace: Option<IgnoredAny>,
}

impl Wanted {
    /// Opens the place where its lines come from.
    ///
    /// # Errors
    /// There is no store, or another gateway cannot be asked.
    pub fn open(&self, place: &Place) -> Result<Lines, Failure> {
        if let Some(client) = place.remote()? {
            return Ok(Lines::There {
                client,
                parameters: self.parameters(),
                traced: self.is_of_memory(),
            });
        }
        let store = place.file.store()?;
        owner::become_owner(store.folder())?;
        Ok(Lines::Here {
            history: Box::new(History::open(&store)?),
            data_dir: store.folder().to_owned(),
            filter: Box::new(Filter {
                source: self.source.clone(),
                key: self.key.clone(),
                state: self.state,
                group: self.group.clone(),
                mute: self.mute,
                priority: self.priority,
                labels: self.labels.clone(),
                text: self.text.clone(),
                until_ms: self.until.map(Timestamp::as_millisecond),
                since_ms: self.since.map_or(i64::MIN, Timestamp::as_millisecond),
                ..Filter::default()
            }),
        })
    }

    /// Tells a source without events from one that is not configured.
    ///
    /// # Errors
    /// The sources that are.
    pub async fn is_known(&self, place: &Place, lines: &Lines) -> Outcome {
        let Some(source) = &self.source else {
            return Ok(());
        };
        match lines {
            Lines::Here { .. } => is_known(source, &place.file),
            Lines::There { .. } if source == OWN_SOURCE => Ok(()),
            Lines::There { client, .. } => {
                let path = format!("/sources/{}", segment(source));
                client.get::<IgnoredAny>(&path).await.map(drop)
            }
        }
    }

    fn is_of_memory(&self) -> bool {
        matches!(
            self.state,
            Some(ListedState::Rejected | ListedState::Ignored)
        ) && self.group.is_none()
            && self.key.is_none()
            && self.mute.is_none()
            && self.priority.is_none()
            && self.labels.is_empty()
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let time = |time: Timestamp| rfc3339(time.as_millisecond());
        let mute = self.mute.map(|mute| mute.to_string());
        let state = self.state.map(|state| state.as_str().to_owned());
        let all = [
            ("source", self.source.clone()),
            ("key", self.key.clone()),
            ("state", state),
            ("group", self.group.clone()),
            ("mute", mute),
            ("since", self.since.map(time)),
            ("until", self.until.map(time)),
            ("q", self.text.clone()),
            ("priority", self.priority.map(|one| one.as_str().to_owned())),
        ];
        let given = all.into_iter();
        let given = given.filter_map(|(name, value)| Some((name, value?)));
        let labels = self.labels.iter();
        given
            .chain(labels.map(|(name, value)| ("label", format!("{name}={value}"))))
            .collect()
    }
}

impl Lines {
    /// Returns the newest lines, at most `limit` of them.
    ///
    /// # Errors
    /// What the disk or another gateway said.
    pub async fn newest(&self, wanted: &Wanted, limit: usize) -> Result<Newest, Failure> {
        match self {
            Self::Here {
                history,
                data_dir,
                filter,
            } => {
                let mut filter = Filter::clone(filter);
                // One more, to know whether there are more.
                filter.limit = limit.saturating_add(1);
                let mut lines = history.list(&filter)?;
                let mut forgotten = None;
                if wanted.is_of_memory() {
                    match memory::traced(data_dir).await {
                        Ok(traced) => {
                            let traced = traced.iter().map(|traced| traced.line());
                            lines.extend(traced.filter(|line| wanted.fits(line)));
                            // RFC 3339 in UTC sorts like time.
                            lines.sort_by(|a, b| b.received_at.cmp(&a.received_at));
                        }
                        Err(why) => forgotten = Some(why.to_string()),
                    }
                }
                let is_cut = lines.len() > limit;
                lines.truncate(limit);
                Ok(Newest {
                    lines,
                    is_cut,
                    forgotten,
                })
            }
            Self::There {
                client,
                parameters,
                traced,
            } => {
                let is_wanted = |row: &Row| *traced || row.trace.is_none();
                let (rows, is_cut) =
                    remote::rows(client, "events", parameters, limit, is_wanted).await?;
                Ok(Newest {
                    lines: rows.into_iter().map(|row| row.line).collect(),
                    is_cut,
                    forgotten: None,
                })
            }
        }
    }

    /// Returns the lines since the last look, and those of the `watched` newest requests, as these may
    /// have changed: at most `limit` of them, the newest first. So a look at a
    /// large store costs no more than one at a small one; the first finds the newest that there are.
    ///
    /// # Errors
    /// As [`Self::newest`].
    pub async fn news(
        &mut self,
        wanted: &Wanted,
        mark: &mut Mark,
        watched: usize,
        limit: usize,
    ) -> Result<(Vec<Line>, Whole), Failure> {
        let is_first = mark.0.is_none();
        let mut whole = Whole::All;
        match self {
            Self::Here {
                history, filter, ..
            } => {
                let top = history
                    .place_behind(0)?
                    .map_or(i64::MIN, |(place, _)| place);
                filter.from = match (mark.0, history.place_behind(watched)?) {
                    (Some(before), Some((place, at))) => {
                        whole = Whole::Since(at);
                        Some(place.min(before))
                    }
                    _ => None,
                };
                mark.0 = Some(top);
            }
            Self::There {
                client, parameters, ..
            } if !is_first => {
                let (rows, more) =
                    remote::first::<Row>(client, "events", parameters, limit).await?;
                return Ok(self.first_page(rows, more));
            }
            Self::There { .. } => mark.0 = Some(0),
        }
        let newest = self.newest(wanted, limit).await?;
        if newest.is_cut
            && let Some(last) = newest.lines.last()
        {
            whole = Whole::Since(last.received_at.clone());
        }
        Ok((newest.lines, whole))
    }

    /// Returns the wanted lines of a first page, and how far they are all there are.
    fn first_page(&self, rows: Vec<Row>, more: bool) -> (Vec<Line>, Whole) {
        let last = rows.last().map(|row| row.line.received_at.clone());
        let whole = match (more, last) {
            (false, _) => Whole::All,
            (true, Some(at)) => Whole::Since(at),
            (true, None) => Whole::Unknown,
        };
        let traced = matches!(self, Self::There { traced: true, .. });
        let is_wanted = |row: &Row| traced || row.trace.is_none();
        let rows = rows.into_iter().filter(is_wanted);
        (rows.map(|row| row.line).collect(), whole)
    }
}

impl Wanted {
    /// Returns whether a line of memory is chosen.
    fn fits(&self, line: &Line) -> bool {
        self.state.is_none_or(|state| state.as_str() == line.state)
            && self
                .source
                .as_ref()
                .is_none_or(|source| *source == line.source)
            && line.received_at.parse::<Timestamp>().is_ok_and(|at| {
                self.since.is_none_or(|since| at >= since)
                    && self.until.is_none_or(|until| at < until)
            })
            && self.text.as_ref().is_none_or(|text| {
                let text = text.to_lowercase();
                line.title.to_lowercase().contains(&text) || line.request == text
            })
    }
}

fn priority(text: &str) -> anyhow::Result<Priority> {
    Priority::named(text).ok_or_else(|| {
        let words = Priority::ALL.map(Priority::as_str);
        match did_you_mean(text, words) {
            Some(near) => anyhow!("did you mean {near:?}?"),
            None => anyhow!("write {}", listed(words, "or")),
        }
    })
}

fn label(text: &str) -> anyhow::Result<(String, String)> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .context("write a name and a value, as in error_code=30006")?;
    Ok((name.to_owned(), value.to_owned()))
}

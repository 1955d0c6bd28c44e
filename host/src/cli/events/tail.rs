//! `events tail`: prints events as they come in, and again when their state changes.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use clap::Args;
use jiff::tz::TimeZone;

use super::super::{Failure, Outcome, Place, block_on, plain};
use super::lines::{Lines, Mark, Wanted, Whole};
use super::list::cells;
use crate::store::Line;

/// The interval between two looks at the store.
const EVERY: Duration = Duration::from_millis(500);
/// The newest requests, looked at again each time: an older event changes its state unseen.
const WATCHED: usize = 1_000;
/// The most events that are printed after one look.
const LIMIT: usize = 10_000;
/// The same for another gateway, which has to answer each time.
const EVERY_THERE: Duration = Duration::from_secs(2);
const LIMIT_THERE: usize = 199;
/// The events whose states are remembered.
const REMEMBERED: usize = 20_000;

/// The arguments of `events tail`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway events tail
  alert-gateway events tail --source twilio-prod --lines 100
  alert-gateway events tail --state rejected
  alert-gateway events tail --json | jq -r .title")]
pub struct Tail {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    wanted: Wanted,
    /// So many of the newest events first
    #[arg(long, value_name = "N", default_value_t = 10)]
    lines: usize,
    /// One JSON object a line, with times in UTC
    #[arg(long)]
    json: bool,
}

/// Prints events until it is interrupted.
pub fn tail(what: &Tail) -> Outcome {
    let mut lines = what.wanted.open(&what.place)?;
    let zone = TimeZone::system();
    let mut seen = Seen::default();
    block_on(async {
        what.wanted.is_known(&what.place, &lines).await?;
        let (limit, every) = match lines {
            Lines::Here { .. } => (LIMIT, EVERY),
            Lines::There { .. } => (LIMIT_THERE, EVERY_THERE),
        };
        let mut mark = Mark::default();
        loop {
            // The first look finds so many as are printed or watched.
            let limit = if seen.begun {
                limit
            } else {
                limit.min(WATCHED.max(what.lines))
            };
            let (newest, whole) = lines.news(&what.wanted, &mut mark, WATCHED, limit).await?;
            let fresh = seen.news(newest, &whole, what.lines);
            let mut out = std::io::stdout().lock();
            for line in &fresh {
                if what.json {
                    writeln!(out, "{}", plain::json(&serde_json::to_string(line)?))?;
                } else {
                    writeln!(
                        out,
                        "{}",
                        cells(line, &zone).map(|cell| plain::line(&cell)).join("  ")
                    )?;
                }
            }
            out.flush()?;
            drop(out);
            tokio::time::sleep(every).await;
        }
        #[expect(unreachable_code, reason = "it names the type of the block")]
        Ok::<(), Failure>(())
    })
}

/// A line's time of receipt, request and event.
type Key = (String, String, Option<String>);

/// Returns what tells a line from all others. RFC 3339 in UTC sorts like time.
fn key(line: &Line) -> Key {
    (
        line.received_at.clone(),
        line.request.clone(),
        line.event_id.clone(),
    )
}

/// The events that were printed, with their states: those of the newest lines alone.
#[derive(Debug, Default)]
struct Seen {
    states: BTreeMap<Key, String>,
    /// The newest that was forgotten, to make room.
    forgotten: Option<Key>,
    begun: bool,
}

impl Seen {
    /// Returns the lines that are new, or have another state than before, oldest first. Of the
    /// first ones, only the `first` newest. What is missing among the `whole` of them is forgotten:
    /// it is news if it comes back.
    fn news(&mut self, lines: Vec<Line>, whole: &Whole, first: usize) -> Vec<Line> {
        let found: BTreeMap<_, _> = lines
            .iter()
            .map(|line| (key(line), line.state.clone()))
            .collect();
        let is_new = |line: &Line| {
            let key = key(line);
            self.states.get(&key) != Some(&line.state)
                && self
                    .forgotten
                    .as_ref()
                    .is_none_or(|forgotten| key > *forgotten)
        };
        let mut fresh: Vec<_> = lines.into_iter().filter(is_new).collect();
        if !self.begun {
            fresh.truncate(first);
        }
        self.begun = true;
        self.states.retain(|key, _| {
            let is_among = match whole {
                Whole::All => true,
                Whole::Since(at) => key.0 >= *at,
                Whole::Unknown => false,
            };
            !is_among || found.contains_key(key)
        });
        self.states.extend(found);
        while self.states.len() > REMEMBERED
            && let Some((oldest, _)) = self.states.pop_first()
        {
            self.forgotten = Some(oldest);
        }
        fresh.reverse();
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(place: i64, state: &str) -> Line {
        Line {
            place,
            request: place.to_string(),
            received_at: String::new(),
            source: "s".to_owned(),
            state: state.to_owned(),
            event_id: None,
            priority: None,
            status: None,
            title: String::new(),
            repeated: 0,
            last_at: None,
            receipts: Vec::new(),
            note: None,
        }
    }

    #[test]
    fn new_lines_and_new_states_are_told_once_oldest_first() {
        let mut seen = Seen::default();
        let mut told = |lines: &[(i64, &str)], first| -> Vec<i64> {
            let lines = lines.iter().map(|(place, state)| line(*place, state));
            let news = seen.news(lines.collect(), &Whole::All, first);
            news.iter().map(|line| line.place).collect()
        };
        assert_eq!(
            told(&[(3, "pending"), (2, "delivered"), (1, "dead")], 2),
            [2, 3]
        );
        assert_eq!(
            told(&[(3, "pending"), (2, "delivered"), (1, "dead")], 2),
            [0_i64; 0]
        );
        assert_eq!(
            told(
                &[
                    (5, "pending"),
                    (4, "pending"),
                    (3, "delivered"),
                    (2, "delivered")
                ],
                2
            ),
            [3, 4, 5]
        );
    }

    #[test]
    fn line_is_told_again_only_where_it_was_surely_gone() {
        let mut seen = Seen::default();
        let at = |place: i64| Line {
            received_at: place.to_string(),
            ..line(place, "dead")
        };
        let mut told = |places: &[i64], whole: Whole| {
            let lines = places.iter().copied().map(at);
            seen.news(lines.collect(), &whole, 9).len()
        };
        assert_eq!(told(&[3, 2, 1], Whole::All), 3);
        assert_eq!(told(&[], Whole::Unknown), 0);
        assert_eq!(told(&[3], Whole::Since("2".to_owned())), 0);
        assert_eq!(told(&[3, 2, 1], Whole::All), 1, "2 was gone, and 1 unknown");
    }
}

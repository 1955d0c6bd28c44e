//! `events tail`: prints events as they come in, and again when their state changes.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use clap::Args;
use jiff::tz::TimeZone;

use super::super::{Failure, Outcome, Place, block_on, plain};
use super::lines::{Lines, Wanted};
use super::list::cells;
use crate::store::Line;

/// The interval between two looks at the store.
const EVERY: Duration = Duration::from_millis(500);
/// The newest events that are looked at: one that is older changes its state unseen.
const WATCHED: usize = 1_000;
/// The same for another gateway, which has to answer each time.
const EVERY_THERE: Duration = Duration::from_secs(2);
const WATCHED_THERE: usize = 199;

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
    let lines = what.wanted.open(&what.place)?;
    let zone = TimeZone::system();
    let mut seen = Seen::default();
    block_on(async {
        what.wanted.is_known(&what.place, &lines).await?;
        let (watched, every) = match lines {
            Lines::Here { .. } => (WATCHED, EVERY),
            Lines::There { .. } => (WATCHED_THERE, EVERY_THERE),
        };
        loop {
            let newest = lines.newest(&what.wanted, watched).await?;
            let fresh = seen.news(newest.lines, what.lines);
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

/// A line's request and event.
type Key = (String, Option<String>);

/// Returns what tells a line from all others.
fn key(line: &Line) -> Key {
    (line.request.clone(), line.event_id.clone())
}

/// The events that were printed, with their states: those of the newest lines alone.
#[derive(Debug, Default)]
struct Seen {
    states: BTreeMap<Key, String>,
    begun: bool,
}

impl Seen {
    /// Returns the lines that are new, or have another state than before, oldest first. Of the
    /// first ones, only the `first` newest.
    fn news(&mut self, lines: Vec<Line>, first: usize) -> Vec<Line> {
        let states: BTreeMap<_, _> = lines
            .iter()
            .map(|line| (key(line), line.state.clone()))
            .collect();
        let is_new = |line: &Line| self.states.get(&key(line)) != Some(&line.state);
        let mut fresh: Vec<_> = lines.into_iter().filter(is_new).collect();
        if !self.begun {
            fresh.truncate(first);
        }
        self.begun = true;
        self.states = states;
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
            let news = seen.news(lines.collect(), first);
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
}

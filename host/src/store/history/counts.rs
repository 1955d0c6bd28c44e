//! The number of events in each state, as far as it is cheap to know.
//!
//! A state whose events have a table of their own is counted there, the others in one walk over the
//! newest requests. A count ends at [`COUNTED`], and all of them with their patience.

use std::time::Instant;

use rusqlite::types::Value;

use super::list::{self, BARE, Sought, Walk, Windows};
use super::{Filter, ListedState};
use crate::store::StoreError;
use crate::store::sql::{Connection, params_from_iter};

/// The most events that are counted in a state.
const COUNTED: i64 = 10_000;

/// The number of events that a filter finds in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The state; none for all of them.
    pub state: Option<ListedState>,
    /// The events that were found.
    pub events: i64,
    /// True if there may be more.
    pub is_at_least: bool,
}

/// Counts what a filter without labels and text finds in each state, whatever its own state.
pub fn counts(connection: &Connection, filter: &Filter) -> Result<Vec<Count>, StoreError> {
    let started = Instant::now();
    let states = [None].into_iter().chain(ListedState::ALL.map(Some));
    let nothing = |state| Count {
        state,
        events: 0,
        is_at_least: false,
    };
    let Sought::Lines { source } = list::sought(connection, filter)? else {
        return Ok(states.map(nothing).collect());
    };
    let mut walks: Vec<(Walk, Vec<Count>)> = Vec::new();
    for state in states {
        let walk = Walk::of(&Filter {
            state,
            ..filter.clone()
        });
        match walks.iter_mut().find(|(other, _)| *other == walk) {
            Some((_, counts)) => counts.push(nothing(state)),
            None => walks.push((walk, vec![nothing(state)])),
        }
    }
    // The longest walk is the last one, and has the time that the others leave.
    walks.sort_by_key(|(walk, _)| *walk == Walk::Requests);
    let number = u32::try_from(walks.len()).unwrap_or(1);
    for (turn, (walk, counts)) in (1..).zip(&mut walks) {
        let until = filter
            .patience
            .map(|patience| started + patience * turn / number);
        Counting::new(connection, filter, *walk, source, counts).walk(until)?;
    }
    Ok(walks.into_iter().flat_map(|(_, counts)| counts).collect())
}

/// A walk that counts.
struct Counting<'a> {
    connection: &'a Connection,
    filter: &'a Filter,
    walk: Walk,
    sql: String,
    values: Vec<Value>,
    counts: &'a mut [Count],
}

impl<'a> Counting<'a> {
    fn new(
        connection: &'a Connection,
        filter: &'a Filter,
        walk: Walk,
        source: Option<i64>,
        counts: &'a mut [Count],
    ) -> Self {
        let (mut conditions, mut values) = list::narrowed(filter, source);
        conditions.push(format!("{} < ?3", walk.place_of_row()));
        let mut sums: Vec<_> = counts
            .iter()
            .map(|count| {
                format!(
                    "count(CASE WHEN {} THEN 1 END)",
                    list::condition(count.state)
                )
            })
            .collect();
        // A request beside its internal alert has a line of its own, where any state is wanted.
        if walk == Walk::Requests {
            let beside = match source {
                Some(source) => {
                    values.push(source.into());
                    format!("{BARE} AND a.source <> ?{}", values.len() + 4)
                }
                None => BARE.to_owned(),
            };
            sums.push(format!("count(CASE WHEN {beside} THEN 1 END)"));
        }
        let sql = format!(
            "SELECT {} FROM {} WHERE {} LIMIT ?4",
            sums.join(", "),
            walk.tables(),
            conditions.join(" AND ")
        );
        Self {
            connection,
            filter,
            walk,
            sql,
            values,
            counts,
        }
    }

    fn walk(mut self, until: Option<Instant>) -> Result<(), StoreError> {
        let mut windows = Windows::of(self.connection, self.filter, self.walk)?;
        loop {
            let window = windows.present()?;
            self.window(window)?;
            if windows.advance()?.is_none() {
                return Ok(());
            }
            let is_over = until.is_some_and(|until| Instant::now() >= until);
            if is_over || self.counts.iter().all(|count| count.is_at_least) {
                for count in self.counts {
                    count.is_at_least = true;
                }
                return Ok(());
            }
        }
    }

    /// Counts the lines of a window.
    fn window(&mut self, [first, last, place]: [i64; 3]) -> Result<(), StoreError> {
        let window = [first, last, place, 1].map(Value::from);
        let values = window.iter().chain(self.values.iter());
        let mut statement = self.connection.prepare_cached(&self.sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let Some(row) = rows.next()? else {
            return Ok(());
        };
        let beside: i64 = match self.walk {
            Walk::Requests => row.get(self.counts.len())?,
            _ => 0,
        };
        for (column, count) in self.counts.iter_mut().enumerate() {
            count.events += row.get::<_, i64>(column)?;
            if count.state.is_none() {
                count.events += beside;
            }
            if count.events > COUNTED {
                (count.events, count.is_at_least) = (COUNTED, true);
            }
        }
        Ok(())
    }
}

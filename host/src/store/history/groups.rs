//! Lists of groups, newest first.

use crate::store::sql::Row;
use plugin_sdk::contract::Priority;
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::History;
use crate::alert::group::{Group, Mention};
use crate::clock::rfc3339;
use crate::store::{StoreError, json};

/// A filter for a list of groups.
#[derive(Debug, Clone, Default)]
pub struct GroupFilter {
    /// Only this one.
    pub id: Option<i64>,
    /// Only those of this source.
    pub source: Option<String>,
    /// Only those that are open, or only the others.
    pub is_open: Option<bool>,
    /// Only those with a smaller number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

/// A group: one alert at the destination for many events.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GroupState {
    /// Its number.
    pub id: i64,
    /// The source.
    pub source: String,
    /// Its key at the destination.
    pub key: String,
    /// `open` or `resolved`.
    pub state: String,
    /// The destinations of its alert.
    pub destinations: Vec<String>,
    /// RFC 3339.
    pub opened_at: String,
    /// RFC 3339; none while it is open.
    pub resolved_at: Option<String>,
    /// The label values that its events share.
    pub labels: Vec<(String, String)>,
    /// The number of its events, those that are kept no longer as well.
    pub events: u64,
    /// The highest priority of them; none where the state of the group cannot be read.
    pub priority: Option<Priority>,
    /// The first event.
    pub first: Option<Mention>,
    /// The newest event.
    pub last: Option<Mention>,
    /// The time of its next update: RFC 3339; none where its destinations know of all its events.
    #[serde(default)]
    pub next_update: Option<String>,
    /// The time at which it resolves, if no other event comes: RFC 3339; none once it has.
    #[serde(default)]
    pub resolves_at: Option<String>,
    /// The most frequent values of other labels, each with its number of events.
    #[serde(default)]
    pub frequent: Vec<(String, String, u64)>,
}

/// The values of labels that are told of a group.
const FREQUENT: usize = 5;

impl History {
    /// Returns the groups that fit a filter, newest first.
    ///
    /// # Errors
    /// What the disk said.
    pub fn groups(&self, filter: &GroupFilter) -> Result<Vec<GroupState>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT g.id, s.name, g.key, g.look_at IS NOT NULL, g.destinations, g.opened_at, g.closed_at, g.state
             FROM groups g JOIN sources s ON s.id = g.source
             WHERE g.id < ?1 AND (g.id = ?2 OR ?2 IS NULL) AND (s.name = ?3 OR ?3 IS NULL)
               AND ((g.look_at IS NOT NULL) = ?4 OR ?4 IS NULL)
             ORDER BY g.id DESC LIMIT ?5",
        )?;
        let values = params![
            filter.before.unwrap_or(i64::MAX),
            filter.id,
            filter.source,
            filter.is_open,
            filter.limit as i64
        ];
        let rows = statement.query_map(values, group)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn group(row: Row<'_>) -> rusqlite::Result<GroupState> {
    let is_open: bool = row.get(3)?;
    // A list must not end at a bad row.
    let group: Option<Group> = json(row, 7).ok();
    let tally = group.as_ref().map(Group::tally);
    let outlook = group.as_ref().filter(|_| is_open).map(Group::outlook);
    Ok(GroupState {
        id: row.get(0)?,
        source: row.get(1)?,
        key: row.get(2)?,
        state: if is_open { "open" } else { "resolved" }.to_owned(),
        destinations: json(row, 4).unwrap_or_default(),
        opened_at: rfc3339(row.get(5)?),
        resolved_at: row.get::<_, Option<i64>>(6)?.map(rfc3339),
        labels: group
            .as_ref()
            .map_or_else(Vec::new, |group| group.shared().clone()),
        events: tally.map_or(0, |tally| tally.count),
        priority: tally.map(|tally| tally.priority),
        first: tally.map(|tally| tally.first.clone()),
        last: tally.map(|tally| tally.last.clone()),
        next_update: outlook.and_then(|(update, _)| update).map(rfc3339),
        resolves_at: outlook.map(|(_, quiet)| rfc3339(quiet)),
        frequent: group.as_ref().map_or_else(Vec::new, |group| {
            group.tally().frequent(group.shared(), FREQUENT)
        }),
    })
}

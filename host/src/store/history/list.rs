//! Lists of what is kept, newest first, a page at a time.
//!
//! A page costs the same whatever is stored. A walk goes through a primary key or a small index in
//! windows of [`WINDOW`] rows, and stops at the end of a window once the page is full or its
//! patience is over. The position where it stopped is the cursor of the next page, so a search for
//! something rare comes as several short pages and holds up nobody.

use std::time::Instant;

use crate::store::sql::{Connection, Row, params_from_iter};
use plugin_sdk::contract::Alert;
use rusqlite::OptionalExtension;
use rusqlite::types::Value;

use super::{Filter, Line, ListedReceipt, ListedState, MISSING, Page, event};
use crate::clock::rfc3339;
use crate::store::StoreError;
use crate::store::due::priority;
use crate::store::ids::{
    ALERTS_PER_REQUEST, DELIVERIES_PER_ALERT, StoredEventId, delivery_ids, request_id,
    request_id_text,
};
use crate::store::request::{ordering_key, rank};

/// Rows of a window: some milliseconds' worth.
const WINDOW: i64 = 500;
/// The same where a row costs no more than a look at its key.
const KEYED_WINDOW: i64 = 5_000;
/// The most by which the order of acceptance may differ from the order of receipt, because the
/// machine's clock was set: a filter by time looks as far beyond its bounds.
const CLOCK_SLACK_MS: i64 = 24 * 60 * 60 * 1000;

const PER_REQUEST: i64 = ALERTS_PER_REQUEST as i64;
const PER_ALERT: i64 = DELIVERIES_PER_ALERT as i64;

/// The rows that a list walks through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walk {
    /// Requests, by `seq`.
    Requests,
    /// Failed requests, by the index that holds only those.
    Failed,
    /// A small table of deliveries, by their ids.
    Deliveries(&'static str),
    /// A table of what became of some alerts, by their ids.
    Alerts(&'static str),
    /// All alerts, by their ids: those of one key have no index.
    Keyed,
}

impl Walk {
    pub(super) fn of(filter: &Filter) -> Self {
        match filter.state {
            Some(ListedState::Failed) => Self::Failed,
            Some(ListedState::Pending) => Self::Deliveries("queue"),
            Some(ListedState::Dead) => Self::Deliveries("dead"),
            Some(ListedState::Grouped) => Self::Alerts("members"),
            Some(ListedState::Muted) => Self::Alerts("muted"),
            _ if filter.group.is_some() => Self::Alerts("members"),
            _ if filter.mute.is_some() => Self::Alerts("muted"),
            _ if filter.key.is_some() => Self::Keyed,
            _ => Self::Requests,
        }
    }

    /// Returns the greatest key whose rows may have a place before `place`.
    fn key_before(self, place: i64) -> i64 {
        match self {
            Self::Requests | Self::Failed => place.saturating_sub(1).div_euclid(PER_REQUEST),
            Self::Deliveries(_) => place.saturating_mul(PER_ALERT).saturating_sub(1),
            Self::Alerts(_) | Self::Keyed => place.saturating_sub(1),
        }
    }

    /// Returns the first place of the rows with this key.
    fn place(self, key: i64) -> i64 {
        match self {
            Self::Requests | Self::Failed => key.saturating_mul(PER_REQUEST),
            Self::Deliveries(_) => key.div_euclid(PER_ALERT),
            Self::Alerts(_) | Self::Keyed => key,
        }
    }

    /// Returns the least key of the window that ends with `last`; none where it is the last one.
    fn window(self, connection: &Connection, last: i64) -> Result<Option<i64>, StoreError> {
        let (key, rows, window) = match self {
            Self::Requests => ("seq", "requests WHERE TRUE".to_owned(), WINDOW),
            Self::Failed => ("seq", "requests WHERE state = 'failed'".to_owned(), WINDOW),
            Self::Deliveries(table) => ("id", format!("{table} WHERE TRUE"), WINDOW),
            Self::Alerts(table) => ("alert", format!("{table} WHERE TRUE"), WINDOW),
            Self::Keyed => ("id", "alerts WHERE TRUE".to_owned(), KEYED_WINDOW),
        };
        let sql = format!(
            "SELECT {key} FROM {rows} AND {key} <= ? ORDER BY {key} DESC LIMIT 1 OFFSET {window}"
        );
        let first = connection
            .prepare_cached(&sql)?
            .query_row([last], |row| row.get::<_, i64>(0))
            .optional()?;
        // A window holds all deliveries of its alerts.
        Ok(first.map(|first| match self {
            Self::Deliveries(_) => first.div_euclid(PER_ALERT).saturating_mul(PER_ALERT),
            _ => first,
        }))
    }

    /// Returns the place of a row, as a statement has it.
    pub(super) fn place_of_row(self) -> String {
        match self {
            // A request beside its internal alert has the last place of the two.
            Self::Requests => {
                format!("CASE WHEN {BARE} THEN r.seq * 1024 ELSE ifnull(a.id, r.seq * 1024) END")
            }
            Self::Failed => "r.seq * 1024".to_owned(),
            Self::Deliveries(_) | Self::Alerts(_) | Self::Keyed => "a.id".to_owned(),
        }
    }

    pub(super) fn tables(self) -> String {
        match self {
            Self::Requests => {
                "(SELECT * FROM requests WHERE seq BETWEEN ?1 AND ?2) r LEFT JOIN alerts a
                 ON a.id BETWEEN r.seq * 1024 AND r.seq * 1024 + 1023"
                    .to_owned()
            }
            // The state is written out, so that SQLite can use the index that holds only those.
            Self::Failed => {
                "(SELECT * FROM requests WHERE state = 'failed' AND seq BETWEEN ?1 AND ?2) r
                 LEFT JOIN alerts a ON a.id = -1"
                    .to_owned()
            }
            Self::Deliveries(table) => format!(
                "(SELECT DISTINCT id / {PER_ALERT} AS alert FROM {table} WHERE id BETWEEN ?1 AND ?2) walked
                 CROSS JOIN alerts a ON a.id = walked.alert JOIN requests r ON r.seq = a.id / 1024"
            ),
            Self::Alerts(table) => format!(
                "(SELECT alert FROM {table} WHERE alert BETWEEN ?1 AND ?2) walked
                 CROSS JOIN alerts a ON a.id = walked.alert JOIN requests r ON r.seq = a.id / 1024"
            ),
            Self::Keyed => "(SELECT * FROM alerts WHERE id BETWEEN ?1 AND ?2) a
                 CROSS JOIN requests r ON r.seq = a.id / 1024"
                .to_owned(),
        }
    }
}

/// Returns whether an alert has a delivery in a table: its deliveries are a range of ids.
fn has(table: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM {table} q WHERE q.id BETWEEN a.id * {PER_ALERT} AND a.id * {PER_ALERT} + {PER_ALERT} - 1)"
    )
}

/// Returns whether the last attempt at a delivery of an alert ended so.
fn ended(outcome: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM attempts q WHERE q.delivery BETWEEN a.id * {PER_ALERT} AND a.id * {PER_ALERT} + {PER_ALERT} - 1
                 AND outcome = '{outcome}')"
    )
}

/// Returns whether a mute has held an alert.
const MUTED: &str = "EXISTS (SELECT 1 FROM muted m WHERE m.alert = a.id)";

/// Returns whether an alert belongs to a group.
const GROUPED: &str = "EXISTS (SELECT 1 FROM members m WHERE m.alert = a.id)";

/// Returns the condition that a row of the walk is in a state.
pub(super) fn condition(state: Option<ListedState>) -> String {
    match state {
        None
        | Some(
            ListedState::Failed | ListedState::Pending | ListedState::Dead | ListedState::Grouped,
        ) => "TRUE".to_owned(),
        Some(ListedState::Muted) => format!(
            "(NOT {} AND NOT {} AND NOT {} AND NOT {GROUPED})",
            has("queue"),
            has("dead"),
            ended("accepted")
        ),
        Some(ListedState::Ignored) => {
            "(a.ignored IS NOT NULL OR (a.id IS NULL AND r.state = 'ignored'))".to_owned()
        }
        Some(ListedState::Rejected) => "(a.id IS NULL AND r.state = 'rejected')".to_owned(),
        Some(ListedState::Dismissed) => {
            format!("(r.state = 'dismissed' OR {})", ended("dismissed"))
        }
        // SQLite makes joins of a plain `NOT NULL` and a plain `EXISTS`, and begins them with all
        // alerts or all attempts. It leaves functions and CASE as they are.
        Some(ListedState::Delivered) => format!(
            "(ifnull(a.id, -1) >= 0 AND NOT {} AND NOT {} AND CASE WHEN {} THEN TRUE ELSE FALSE END)",
            has("queue"),
            has("dead"),
            ended("accepted")
        ),
    }
}

/// Takes down a value that stands in a statement behind the window, the place and the limit.
/// Returns its placeholder.
fn bound(values: &mut Vec<Value>, value: Value) -> String {
    values.push(value);
    format!("?{}", values.len() + 4)
}

/// Returns the conditions of a filter but for its state, its labels and its text, with their values.
pub(super) fn narrowed(filter: &Filter, source: Option<i64>) -> (Vec<String>, Vec<Value>) {
    let mut values: Vec<Value> = Vec::new();
    let mut conditions = Vec::new();
    let mut bind = |value: Value| bound(&mut values, value);
    if filter.since_ms > i64::MIN {
        let since = bind(filter.since_ms.into());
        conditions.push(format!("r.received_at >= {since}"));
    }
    if let Some(until_ms) = filter.until_ms {
        conditions.push(format!("r.received_at < {}", bind(until_ms.into())));
    }
    if let Some(source) = source {
        let source = bind(source.into());
        conditions.push(format!("(r.source = {source} OR a.source = {source})"));
    }
    if let (Some(key), Some(source)) = (&filter.key, &filter.source) {
        let key = bind(ordering_key(source, key).into());
        conditions.push(format!("a.ordering_key = {key}"));
    }
    if let Some(priority) = filter.priority {
        conditions.push(format!("a.priority = {}", bind(rank(priority).into())));
    }
    if let Some(group) = &filter.group {
        let id = bind(group.parse::<i64>().unwrap_or_default().into());
        let key = bind(group.clone().into());
        conditions.push(format!(
            "a.id IN (SELECT alert FROM members m JOIN groups g ON g.id = m.grp
                      WHERE g.key = {key} OR g.id = {id})"
        ));
    }
    if let Some(mute) = filter.mute {
        let mute = bind(mute.into());
        conditions.push(format!(
            "a.id IN (SELECT alert FROM muted WHERE mute = {mute})"
        ));
    }
    (conditions, values)
}

/// The one internal alert of a request that has no other: the request has a line beside it.
pub(super) const BARE: &str = "(a.id IS NOT NULL AND a.source <> r.source
    AND NOT EXISTS (SELECT 1 FROM alerts b WHERE b.id >= r.seq * 1024 AND b.id < a.id))";

/// A list under way.
struct Listing<'a> {
    connection: &'a Connection,
    filter: &'a Filter,
    walk: Walk,
    sql: String,
    /// What stands in the statement after the window, the place and the limit.
    values: Vec<Value>,
    lines: Vec<Line>,
}

/// The newest lines that fit the filter, and where the next page begins.
pub fn page(connection: &Connection, filter: &Filter) -> Result<Page, StoreError> {
    let Sought::Lines { source } = sought(connection, filter)? else {
        return Ok(Page::default());
    };
    let walk = Walk::of(filter);
    let mut listing = Listing::new(connection, filter, walk, source);
    if let (Some(text), None) = (&filter.text, filter.before)
        && listing.known_by_id(text)?
    {
        return Ok(listing.end(None));
    }
    listing.walk()
}

/// The steps by which SQLite reads a window of a list.
#[cfg(test)]
pub fn plan(connection: &Connection, filter: &Filter) -> Result<Vec<String>, StoreError> {
    let listing = Listing::new(connection, filter, Walk::of(filter), Some(1));
    let mut statement =
        connection.prepare_cached(&format!("EXPLAIN QUERY PLAN {}", listing.sql))?;
    let window = [Value::from(1), 2.into(), 3.into(), 4.into()];
    let values = params_from_iter(window.iter().chain(listing.values.iter()));
    let steps = statement.query_map(values, |row| row.get(3))?;
    Ok(steps.collect::<Result<_, _>>()?)
}

/// The lines that a filter may find.
pub(super) enum Sought {
    /// Those of one source, or of all.
    Lines { source: Option<i64> },
    /// None: the store knows no such source.
    Nothing,
}

/// Returns the lines that a filter may find, by its source alone.
pub(super) fn sought(connection: &Connection, filter: &Filter) -> Result<Sought, StoreError> {
    let Some(name) = &filter.source else {
        return Ok(Sought::Lines { source: None });
    };
    let source = source(connection, name)?;
    Ok(source.map_or(Sought::Nothing, |id| Sought::Lines { source: Some(id) }))
}

fn source(connection: &Connection, name: &str) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id FROM sources WHERE name = ?";
    Ok(connection
        .prepare_cached(sql)?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

impl<'a> Listing<'a> {
    fn new(
        connection: &'a Connection,
        filter: &'a Filter,
        walk: Walk,
        source: Option<i64>,
    ) -> Self {
        let (mut conditions, mut values) = narrowed(filter, source);
        conditions.push(condition(filter.state));
        let mut bind = |value: Value| bound(&mut values, value);
        let json = "(SELECT json FROM events e WHERE e.alert = a.id)";
        for (name, value) in &filter.labels {
            // As it is written into the row; the line is looked at again once it is read.
            let pair = bind(format!("{}:{}", quoted(name), quoted(value)).into());
            conditions.push(format!("instr({json}, {pair}) > 0"));
        }
        if let Some(text) = &filter.text {
            let within = bind(like(unquoted(&quoted(text))).into());
            // A label, as `name=value`.
            let label = text.split_once('=').map(|(name, value)| {
                like(unquoted(&format!("{}:{}", quoted(name), quoted(value))))
            });
            let label = bind(label.map_or(Value::Null, Value::from));
            let plain = bind(like(text).into());
            conditions.push(format!(
                "({json} LIKE {within} ESCAPE '\\' OR {json} LIKE {label} ESCAPE '\\'
                  OR a.event_id LIKE {plain} ESCAPE '\\' OR r.reason LIKE {plain} ESCAPE '\\'
                  OR a.ignored LIKE {plain} ESCAPE '\\')"
            ));
        }
        let state = format!(
            "CASE WHEN a.id IS NULL THEN r.state WHEN a.ignored IS NOT NULL THEN 'ignored' WHEN {} THEN 'pending' WHEN {} THEN 'dead'
                  WHEN {} THEN 'dismissed' WHEN {GROUPED} THEN 'grouped' WHEN {} THEN 'delivered' WHEN {MUTED} THEN 'muted'
                  ELSE 'delivered' END",
            has("queue"),
            has("dead"),
            ended("dismissed"),
            ended("accepted")
        );
        let place = walk.place_of_row();
        let sql = format!(
            "SELECT r.received_at, s.name, own.name, {state}, r.state, r.id, a.event_id, r.reason, r.duplicates,
                    {json}, a.priority, {BARE}, a.id, r.seq, a.ignored,
                    (SELECT times FROM repeats t WHERE t.alert = a.id), (SELECT last_at FROM repeats t WHERE t.alert = a.id)
             FROM {} JOIN sources s ON s.id = r.source LEFT JOIN sources own ON own.id = a.source
             WHERE {place} < ?3 AND {} ORDER BY r.seq DESC, a.id DESC LIMIT ?4",
            walk.tables(),
            conditions.join(" AND ")
        );
        Self {
            connection,
            filter,
            walk,
            sql,
            values,
            lines: Vec::new(),
        }
    }

    /// Reads the lines of the requests that `text` names by an id. Returns whether there are any.
    fn known_by_id(&mut self, text: &str) -> Result<bool, StoreError> {
        let seqs = super::named(self.connection, text)?;
        let known: Vec<i64> = seqs.iter().rev().copied().collect();
        if known.is_empty() {
            return Ok(false);
        }
        // The id stands for the text: the rest of the filter holds.
        let filter = Filter {
            text: None,
            before: None,
            ..self.filter.clone()
        };
        let id = request_id(text);
        for seq in known {
            let source = match &filter.source {
                Some(name) => source(self.connection, name)?,
                None => None,
            };
            let mut one = Listing::new(self.connection, &filter, Walk::Requests, source);
            one.window(seq, seq, i64::MAX)?;
            let is_named = |line: &Line| {
                request_id(&line.request) == id || line.event_id.as_deref() == Some(text)
            };
            let state = filter.state.map(ListedState::as_str);
            self.lines.extend(
                one.lines
                    .into_iter()
                    .filter(|line| is_named(line) && state.is_none_or(|state| state == line.state)),
            );
        }
        Ok(!self.lines.is_empty())
    }

    fn walk(mut self) -> Result<Page, StoreError> {
        let started = Instant::now();
        let mut windows = Windows::of(self.connection, self.filter, self.walk)?;
        loop {
            let [first, last, place] = windows.present()?;
            self.window(first, last, place)?;
            if self.lines.len() > self.filter.limit {
                self.lines.truncate(self.filter.limit);
                let next = self.lines.last().map_or(place, |line| line.place);
                return Ok(self.end(Some(next)));
            }
            let Some(place) = windows.advance()? else {
                return Ok(self.end(None));
            };
            if self
                .filter
                .patience
                .is_some_and(|patience| started.elapsed() >= patience)
            {
                return Ok(self.end(Some(place)));
            }
        }
    }

    fn end(self, next: Option<i64>) -> Page {
        Page {
            lines: self.lines,
            next,
        }
    }

    /// Reads the lines of a window that have a place before `before`, up to one more than the limit.
    fn window(&mut self, first: i64, last: i64, before: i64) -> Result<(), StoreError> {
        let limit = (self.filter.limit as i64).saturating_add(1);
        let window = [first, last, before, limit].map(Value::from);
        let mut statement = self.connection.prepare_cached(&self.sql)?;
        let mut rows =
            statement.query(params_from_iter(window.iter().chain(self.values.iter())))?;
        while let Some(row) = rows.next()? {
            if self.lines.len() > self.filter.limit {
                break;
            }
            let (mut line, event) = line(row)?;
            let is_wanted =
                |place| place < before && self.filter.from.is_none_or(|from| place >= from);
            let bare = row.get::<_, Option<bool>>(11)? == Some(true) && self.filter.state.is_none();
            let beside = if bare && self.filter.source.as_ref() != Some(&line.source) {
                let seq: i64 = row.get(13)?;
                Some(Line {
                    place: seq.saturating_mul(PER_REQUEST),
                    source: row.get(1)?,
                    state: row.get(4)?,
                    event_id: None,
                    priority: None,
                    status: None,
                    title: without_alert(row)?,
                    repeated: 0,
                    last_at: None,
                    ..line.clone()
                })
            } else {
                None
            };
            if is_wanted(line.place) && self.fits(&line, event.as_ref()) {
                if line.event_id.is_some() {
                    line.receipts = receipts(self.connection, line.place)?;
                }
                self.lines.push(line);
            }
            if let Some(beside) = beside
                && is_wanted(beside.place)
                && self.fits(&beside, None)
            {
                self.lines.push(beside);
            }
        }
        Ok(())
    }

    /// Returns whether a line has the labels and the text that are looked for. The statement has
    /// compared what a row looks like; this compares what it says.
    fn fits(&self, line: &Line, event: Option<&Alert>) -> bool {
        let labels = event.map(|event| &event.labels);
        let has = |(name, value): &(String, String)| {
            labels.is_some_and(|labels| labels.get(name) == Some(value))
        };
        if !self.filter.labels.iter().all(has) {
            return false;
        }
        let Some(text) = &self.filter.text else {
            return true;
        };
        let text = text.to_lowercase();
        let within = |found: &str| found.to_lowercase().contains(&text);
        within(&line.title)
            || line.event_id.as_deref().is_some_and(within)
            || line.note.as_deref().is_some_and(within)
            || event.is_some_and(|event| {
                event.message.as_deref().is_some_and(within)
                    || event
                        .labels
                        .iter()
                        .any(|(name, value)| within(&format!("{name}={value}")))
            })
    }
}

/// The windows of a walk, the newest first, as far as a filter wants them.
pub(super) struct Windows<'a> {
    connection: &'a Connection,
    filter: &'a Filter,
    walk: Walk,
    /// The place before which the lines of the present window are.
    place: i64,
    /// The least key of the present window; none of the last one.
    first: Option<i64>,
}

impl<'a> Windows<'a> {
    pub(super) fn of(
        connection: &'a Connection,
        filter: &'a Filter,
        walk: Walk,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            connection,
            filter,
            walk,
            place: beyond(connection, filter)?,
            first: None,
        })
    }

    /// Finds the present window. Returns its least and its greatest key, and the place before which
    /// its lines are.
    pub(super) fn present(&mut self) -> Result<[i64; 3], StoreError> {
        let last = self.walk.key_before(self.place);
        self.first = self.walk.window(self.connection, last)?;
        Ok([self.first.unwrap_or(i64::MIN), last, self.place])
    }

    /// Goes on to the next window. Returns the place before which its lines are; none where nothing
    /// is left.
    pub(super) fn advance(&mut self) -> Result<Option<i64>, StoreError> {
        let Some(first) = self.first else {
            return Ok(None);
        };
        self.place = self.walk.place(first);
        let is_over = self.filter.from.is_some_and(|from| self.place <= from)
            || is_before_all(self.connection, self.filter, self.place)?;
        Ok((!is_over).then_some(self.place))
    }
}

/// Returns a place beyond all that a filter wants.
fn beyond(connection: &Connection, filter: &Filter) -> Result<i64, StoreError> {
    let place = filter.before.unwrap_or(i64::MAX);
    match filter.until_ms {
        Some(until_ms) => {
            let after = place_after(connection, until_ms.saturating_add(CLOCK_SLACK_MS))?;
            Ok(place.min(after))
        }
        None => Ok(place),
    }
}

/// Returns whether all that is left was received before the filter begins.
fn is_before_all(connection: &Connection, filter: &Filter, place: i64) -> Result<bool, StoreError> {
    if filter.since_ms == i64::MIN {
        return Ok(false);
    }
    let sql = "SELECT received_at FROM requests WHERE seq <= ? ORDER BY seq DESC LIMIT 1";
    let received_at: Option<i64> = connection
        .prepare_cached(sql)?
        .query_row([place.div_euclid(PER_REQUEST)], |row| row.get(0))
        .optional()?;
    let earliest = filter.since_ms.saturating_sub(CLOCK_SLACK_MS);
    Ok(received_at.is_none_or(|received_at| received_at < earliest))
}

/// Returns a place beyond all that was received up to `at_ms`: a binary search by the order of
/// acceptance.
fn place_after(connection: &Connection, at_ms: i64) -> Result<i64, StoreError> {
    let (mut low, mut high): (i64, i64) = connection.query_row(
        "SELECT ifnull((SELECT min(seq) FROM requests), 0), ifnull((SELECT max(seq) FROM requests), 0) + 1",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let mut later =
        connection.prepare_cached("SELECT received_at FROM requests WHERE seq >= ? LIMIT 1")?;
    while low < high {
        let middle = low + (high - low) / 2;
        let received_at: Option<i64> = later.query_row([middle], |row| row.get(0)).optional()?;
        if received_at.is_some_and(|received_at| received_at <= at_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low.saturating_add(1).saturating_mul(PER_REQUEST))
}

/// Returns a text as JSON has it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Returns a text of JSON without the first and the last quote, which stand at the ends of more
/// than what is looked for.
fn unquoted(json: &str) -> &str {
    json.strip_prefix('"')
        .and_then(|json| json.strip_suffix('"'))
        .unwrap_or(json)
}

/// Returns the pattern of `LIKE` for a text that stands within another.
fn like(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for char in text.chars() {
        if matches!(char, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        // Only ASCII is compared without case by SQLite: any other letter fits, and is compared
        // once the row is read.
        pattern.push(if char.is_ascii() { char } else { '_' });
    }
    pattern.push('%');
    pattern
}

fn line(row: Row<'_>) -> rusqlite::Result<(Line, Option<Alert>)> {
    let event_id = row
        .get::<_, Option<StoredEventId>>(6)?
        .map(|event_id| event_id.shown());
    let rank: Option<i64> = row.get(10)?;
    let event = event_id
        .as_deref()
        .map(|event_id| event(row, 9, event_id, rank.unwrap_or_default()));
    let state: String = row.get(3)?;
    let is_missing = matches!(row.get_ref(9)?, rusqlite::types::ValueRef::Null);
    let title = match &event {
        // Nothing is evicted that is not delivered.
        Some(_) if is_missing && matches!(state.as_str(), "dead" | "pending") => MISSING.to_owned(),
        Some(event) => event.title.clone(),
        None => without_alert(row)?,
    };
    let own: Option<String> = row.get(2)?;
    let seq: i64 = row.get(13)?;
    let line = Line {
        place: row
            .get::<_, Option<i64>>(12)?
            .unwrap_or_else(|| seq.saturating_mul(PER_REQUEST)),
        received_at: rfc3339(row.get(0)?),
        source: own.map_or_else(|| row.get(1), Ok)?,
        state,
        request: request_id_text(row.get_ref(5)?.as_blob()?),
        event_id: event.as_ref().map(|event| event.event_id.clone()),
        priority: rank.map(priority),
        status: event
            .as_ref()
            .filter(|_| !is_missing)
            .map(|event| event.status),
        title,
        repeated: row.get::<_, Option<i64>>(15)?.unwrap_or_default(),
        last_at: row.get::<_, Option<i64>>(16)?.map(rfc3339),
        note: row.get(14)?,
        receipts: Vec::new(),
    };
    Ok((line, event))
}

/// The destinations that have accepted an alert; to be told that another one has it is no receipt.
fn receipts(connection: &Connection, alert: i64) -> rusqlite::Result<Vec<ListedReceipt>> {
    let mut statement = connection.prepare_cached(
        "SELECT d.name, ifnull(t.receipt, ''), o.name FROM attempts t JOIN destinations d ON d.id = t.destination
         LEFT JOIN fallbacks f ON f.id = t.delivery LEFT JOIN destinations o ON o.id = f.destination
         WHERE t.delivery BETWEEN ?1 AND ?2 AND t.outcome = 'accepted' AND f.reason IS DISTINCT FROM 'taken' ORDER BY t.delivery",
    )?;
    let rows = statement.query_map(delivery_ids(alert), |row| {
        let text = |index| -> rusqlite::Result<String> {
            Ok(String::from_utf8_lossy(row.get_ref(index)?.as_bytes()?).into_owned())
        };
        Ok(ListedReceipt {
            destination: text(0)?,
            receipt: text(1)?,
            fallback_for: row.get(2)?,
        })
    })?;
    rows.collect()
}

/// The text in place of a title where a request has no alert.
fn without_alert(row: Row<'_>) -> rusqlite::Result<String> {
    let duplicates: i64 = row.get(8)?;
    Ok(match row.get::<_, Option<String>>(7)? {
        Some(reason) => reason,
        None if duplicates > 0 => format!("nothing new: {duplicates} known already"),
        None => "no alerts".to_owned(),
    })
}

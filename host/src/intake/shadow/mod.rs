//! Shadow reading: stored requests are read once more, by plugins and rules that are not in use,
//! and the alerts before and after are compared. Nothing is sent or stored.
//!
//! Plugins and policies are pure, so the difference is exact.

mod made;

use std::collections::HashSet;
use std::fmt;

use plugin_sdk::case;

pub use made::{DROPPED, Made, MadeAlert};

use super::{Entrance, Intake};
use crate::policy::Policy;
use crate::sources::Source;
use crate::store::{History, RequestRecord, StoreError};

/// The newest requests of each source that a changed plugin or rule is tried on.
pub const NEWEST: usize = 100;

/// The difference that a plugin or rules make for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// None.
    Same,
    /// Other alerts.
    Changed,
    /// The plugin fails, and did not before.
    Fails,
    /// The plugin failed before, and does not now.
    Recovers,
    /// The sender is not believed any more.
    Rejected,
}

/// A request before and after.
#[derive(Debug)]
pub struct Compared {
    /// The difference.
    pub verdict: Verdict,
    /// The outcome before.
    pub before: Made,
    /// The outcome after.
    pub after: Made,
}

/// The count of differences of one source.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The source.
    pub source: String,
    /// The requests that were read once more.
    pub read: usize,
    /// Requests with other alerts.
    pub changed: usize,
    /// Requests on which the plugin fails now.
    pub fails: usize,
    /// Requests on which it fails no more.
    pub recovers: usize,
    /// Requests whose senders are not believed any more.
    pub rejected: usize,
    /// Requests that were not read: their content is gone or masked, or the plugin was busy.
    pub unread: usize,
    /// The first request on which the plugin fails now, and why.
    pub first_failure: Option<(String, String)>,
}

/// A reader of stored requests: a source with its policy.
#[derive(Debug)]
pub struct Reader<'s> {
    source: &'s Source,
    policy: Policy,
}

impl<'s> Reader<'s> {
    /// Reads as this source is configured.
    pub fn new(source: &'s Source) -> Self {
        let policy = Policy::of(&source.configured);
        Self { source, policy }
    }

    /// Compares a stored request with its reading now; none where it cannot be read.
    ///
    /// # Errors
    /// What the disk said.
    pub async fn against_stored(
        &self,
        history: &History,
        request: &RequestRecord,
    ) -> Result<Option<Compared>, StoreError> {
        let Some(before) = Made::stored(request) else {
            return Ok(None);
        };
        let Some(mut after) = self.made(request).await else {
            return Ok(None);
        };
        if let Made::Alerts(alerts) = &mut after {
            let mut kept = Vec::with_capacity(alerts.len());
            let mut seen = HashSet::new();
            for alert in alerts.drain(..) {
                // A repeat is known by its event id, and makes nothing of a request.
                let id = &alert.alert.event_id;
                let first = history.first_request_of(&request.source, id)?;
                if first.is_none_or(|first| first == request.seq) && seen.insert(id.clone()) {
                    kept.push(alert);
                }
            }
            *alerts = kept;
        }
        if let Made::Alerts(stored) = &before {
            for alert in after.alerts_mut() {
                let same = |one: &&MadeAlert| one.alert.event_id == alert.alert.event_id;
                if let Some(stored) = stored.iter().find(same) {
                    alert.align(stored);
                }
            }
        }
        Ok(Some(Compared::new(before, after)))
    }

    /// Compares the readings of a stored request by `before` and by this one; none where it cannot
    /// be read.
    async fn against(&self, before: &Entrance, request: &RequestRecord) -> Option<Compared> {
        if request.evicted.is_some() {
            return None;
        }
        let before = Made::of(&before.source, &before.policy, request).await?;
        let after = self.made(request).await?;
        Some(Compared::new(before, after))
    }

    async fn made(&self, request: &RequestRecord) -> Option<Made> {
        Made::of(self.source, &self.policy, request).await
    }
}

impl Compared {
    fn new(before: Made, after: Made) -> Self {
        // Values compare what JSON says, and not how it is written. An alert always becomes JSON.
        let value = |made: &Made| serde_json::to_value(made).unwrap_or_default();
        let verdict = match (&before, &after) {
            (Made::Failed(_), Made::Failed(_)) | (Made::Rejected(_), Made::Rejected(_)) => {
                Verdict::Same
            }
            (_, Made::Failed(_)) => Verdict::Fails,
            (_, Made::Rejected(_)) => Verdict::Rejected,
            (Made::Failed(_), _) => Verdict::Recovers,
            _ if value(&before) == value(&after) => Verdict::Same,
            _ => Verdict::Changed,
        };
        Self {
            verdict,
            before,
            after,
        }
    }

    /// Returns the unified diff of the two outcomes.
    ///
    /// # Errors
    /// Where one does not become JSON.
    pub fn diff(&self, before: &str, after: &str) -> Result<String, serde_json::Error> {
        let pretty = |made: &Made| case::pretty(&serde_json::to_string(made)?);
        let texts = [pretty(&self.before)?, pretty(&self.after)?];
        Ok(case::unified([before, &texts[0]], [after, &texts[1]]))
    }
}

impl Summary {
    /// Begins to count for a source.
    pub fn of(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            ..Self::default()
        }
    }

    /// Counts a request.
    pub fn count(&mut self, request: &RequestRecord, compared: Option<&Compared>) {
        let Some(compared) = compared else {
            self.unread += 1;
            return;
        };
        self.read += 1;
        match compared.verdict {
            Verdict::Same => {}
            Verdict::Changed => self.changed += 1,
            Verdict::Fails => {
                self.fails += 1;
                if let (None, Made::Failed(why)) = (&self.first_failure, &compared.after) {
                    self.first_failure = Some((request.id.clone(), why.clone()));
                }
            }
            Verdict::Recovers => self.recovers += 1,
            Verdict::Rejected => self.rejected += 1,
        }
    }

    /// Returns whether anything differs.
    pub fn differs(&self) -> bool {
        self.changed + self.fails + self.recovers + self.rejected > 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            read,
            changed,
            fails,
            recovers,
            rejected,
            unread,
            first_failure,
        } = self;
        let requests = if *read == 1 { "request" } else { "requests" };
        let same = read - changed - fails - recovers - rejected;
        write!(
            f,
            "source {source}: {read} stored {requests} read once more: {same} as before"
        )?;
        for (count, what) in [
            (changed, "with other alerts"),
            (recovers, "on which the plugin fails no more"),
            (rejected, "whose senders are rejected now"),
            (fails, "on which the plugin fails now"),
        ] {
            if *count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        if let Some((request, why)) = first_failure {
            write!(f, " (first {request}: {why})")?;
        }
        if *unread > 0 {
            write!(f, "; {unread} cannot be read once more")?;
        }
        Ok(())
    }
}

/// The stored requests, read beside the threads that answer senders.
#[derive(Debug)]
pub struct Kept(Option<History>);

impl Kept {
    /// Reads this history.
    pub fn new(history: History) -> Self {
        Self(Some(history))
    }

    /// Reads the store where waiting for the disk holds up nothing else.
    ///
    /// # Errors
    /// What the disk said.
    pub async fn look<T: Send + 'static>(
        &mut self,
        read: impl FnOnce(&History) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let history = self.0.take().ok_or(StoreError::Closed)?;
        let looked = tokio::task::spawn_blocking(move || (read(&history), history));
        let (read, history) = looked.await.map_err(|_| StoreError::Closed)?;
        self.0 = Some(history);
        read
    }
}

impl Intake {
    /// Returns true for a source that reads or treats requests otherwise than the one in use of its
    /// name. A new source changes nothing.
    pub fn is_changed(&self, source: &Source) -> bool {
        let entrances = self.entrances();
        let Some(Entrance { source: old, .. }) = entrances.get(&source.name) else {
            return false;
        };
        let old_plugin = old.plugin.sha256();
        let plugin = source.plugin.sha256();
        let old = &old.configured;
        let new = &source.configured;
        old_plugin != plugin
            || old.settings.json().get() != new.settings.json().get()
            || old.destinations != new.destinations
            || old.labels != new.labels
            || old.redact != new.redact
            || old.redact_stored != new.redact_stored
            || old.resolve_after != new.resolve_after
            || format!("{:?}{:?}", old.rules, old.group)
                != format!("{:?}{:?}", new.rules, new.group)
    }

    /// Compares the readings of a stored request by the source in use and by a changed one of the
    /// same name; none where it cannot be read.
    pub async fn compare(&self, reader: &Reader<'_>, request: &RequestRecord) -> Option<Compared> {
        let entrances = self.entrances();
        let before = entrances.get(&reader.source.name)?;
        reader.against(before, request).await
    }
}

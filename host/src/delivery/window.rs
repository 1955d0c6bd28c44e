//! The prefetch window: due alerts of one destination, read ahead into memory, bounded in alerts
//! and in bytes.
//!
//! What has just come due is handed over by the store's writer. It is taken where all else that is
//! due has been read and the window has room; otherwise it is read from the store in its turn. A
//! claim is released only after the offer was looked at: an alert that is offered and has been read
//! as well is recognised by its claim.
//!
//! Where it must yield to a later arrival, what waits is given back: that costs nothing, as it is
//! only claimed. It is read anew in the order that holds now.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use plugin_sdk::contract::Priority;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::IDLE;
use super::turns::must_yield;
use crate::clock::Clock;
use crate::store::{Due, DueReader, Handover, Offer, READ_BYTES, Store, StoreError, Unreadable};

/// The number of alerts that are read at once, unless they come to [`READ_BYTES`] before.
const READ: usize = 1024;
/// The window is filled up when fewer than this wait in it,
const LOW: usize = READ / 2;
/// and they have no more bytes than this.
const LOW_BYTES: usize = READ_BYTES / 2;
/// The shortest time between two looks of a full window for later arrivals: much less than an
/// attempt takes, and rare enough that looking costs little while every commit brings some.
const PEEK: Duration = Duration::from_millis(20);
/// The longest time between two such looks: an alert whose backoff ends comes without a commit.
const LONGEST_PEEK: Duration = Duration::from_secs(1);
/// The pause after a store could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// Due alerts of one destination, read ahead.
#[derive(Debug)]
pub struct PrefetchWindow {
    destination: Arc<str>,
    waiting: VecDeque<Due>,
    unreadable: Vec<Unreadable>,
    /// The alerts in `waiting` or `unreadable`, under way, or not yet settled on disk.
    claimed: HashSet<i64>,
    reader: Option<DueReader>,
    reading: Option<JoinHandle<Read>>,
    handover: Handover,
    clock: Clock,
    /// Set where the store may hold more than was read.
    more: bool,
    /// The time of the next look at the store, where no commit asks for one before.
    again: Instant,
    /// Set where later arrivals may have to go before what waits.
    arrivals: bool,
    /// The earliest time of the next look for them.
    peek_at: Instant,
}

/// The result of one look at the store.
#[derive(Debug)]
struct Read {
    reader: DueReader,
    found: Found,
}

#[derive(Debug)]
enum Found {
    /// What is due, and when to look again.
    Due(Result<(Vec<Due>, Instant), StoreError>),
    /// The priorities and sources of what is due and not claimed.
    Unclaimed {
        unclaimed: Result<Vec<(Priority, String)>, StoreError>,
        took: Duration,
    },
}

impl PrefetchWindow {
    pub fn new(destination: Arc<str>, store: &Store) -> Result<Self, StoreError> {
        Ok(Self {
            waiting: VecDeque::new(),
            unreadable: Vec::new(),
            claimed: HashSet::new(),
            reader: Some(store.due_reader()?),
            reading: None,
            handover: store.handover(&destination),
            destination,
            clock: store.clock(),
            more: true,
            again: Instant::now(),
            arrivals: false,
            peek_at: Instant::now(),
        })
    }

    /// Forgets all that was read, and reads anew.
    pub async fn forget(&mut self) {
        if let Some(reading) = self.reading.take()
            && let Ok(read) = reading.await
        {
            self.reader = Some(read.reader);
        }
        drop(self.handover.take());
        self.waiting.clear();
        self.unreadable.clear();
        self.claimed.clear();
        self.more = true;
    }

    /// Returns the next alert to send.
    pub fn next(&mut self) -> Option<Due> {
        self.waiting.pop_front()
    }

    /// Returns the waiting alert that was tried least: its outcome says most about the destination,
    /// and a fresh alert does not wait behind all that failed before.
    pub fn next_least_tried(&mut self) -> Option<Due> {
        let (index, _) = self
            .waiting
            .iter()
            .enumerate()
            .min_by_key(|(_, due)| due.attempts)?;
        self.waiting.remove(index)
    }

    /// Returns the due rows that hold no alert, to become dead letters.
    pub fn take_unreadable(&mut self) -> Vec<Unreadable> {
        std::mem::take(&mut self.unreadable)
    }

    /// Releases the claim on an alert whose outcome the store has; `pending` says that it is to be
    /// sent again.
    pub fn settled(&mut self, alert: i64, pending: bool) {
        self.take_offer();
        self.claimed.remove(&alert);
        // The store may have been read between that commit and now, when the claim hid what was due
        // again already.
        self.more |= pending;
    }

    /// Returns when more alerts wait than before. Safe to drop at any point and call again.
    pub async fn refilled(&mut self) {
        loop {
            if self.take_offer() {
                return;
            }
            self.look();
            if let Some(reading) = &mut self.reading {
                let read = reading.await;
                self.reading = None;
                match read {
                    Ok(read) => {
                        if self.take(read) {
                            return;
                        }
                    }
                    // Only a bug in the reading panics; the alerts are on disk, and a restart
                    // delivers them.
                    Err(error) => {
                        tracing::error!(%error, destination = &*self.destination, "reading what is due panicked");
                        std::future::pending::<()>().await;
                    }
                }
            } else if self.has_enough() && self.arrivals {
                tokio::time::sleep_until(self.peek_at).await;
                self.arrivals = false;
                self.peek();
            } else if self.has_enough() {
                // The caller calls again after it has sent some.
                tokio::select! {
                    () = self.handover.changed() => {}
                    () = tokio::time::sleep_until(self.peek_at + LONGEST_PEEK) => self.arrivals = true,
                }
            } else {
                tokio::select! {
                    () = self.handover.changed() => {}
                    () = tokio::time::sleep_until(self.again) => self.more = true,
                }
            }
        }
    }

    /// Returns whether enough alerts wait for now.
    fn has_enough(&self) -> bool {
        self.waiting.len() >= LOW
            || self.waiting.iter().map(|due| due.bytes).sum::<usize>() > LOW_BYTES
    }

    /// Starts to read, where there is room and there may be more.
    fn look(&mut self) {
        if !self.more || self.has_enough() {
            return;
        }
        let Some(mut reader) = self.reader.take() else {
            // It is under way, or it panicked; then there is nothing to look with, and no hurry.
            self.again = Instant::now() + IDLE;
            return;
        };
        self.more = false;
        let destination = Arc::clone(&self.destination);
        let claimed = self.claimed.clone();
        // Of one moment, however long the store takes to be read.
        let now = Instant::now();
        let now_ms = self.clock.now_ms();
        self.reading = Some(tokio::task::spawn_blocking(move || {
            let due = reader
                .due(&destination, now_ms, &claimed, READ)
                .and_then(|due| {
                    let next = if due.len() < READ && !reader.was_cut() {
                        reader.next_due_at(&destination, now_ms)?
                    } else {
                        None
                    };
                    let wait = next.map_or(IDLE, |next| {
                        Duration::from_millis((next - now_ms).unsigned_abs())
                    });
                    Ok((due, now + wait.min(IDLE)))
                });
            let found = Found::Due(due);
            Read { reader, found }
        }));
    }

    /// Takes what the writer offers, where all else that is due has been read. Returns whether more
    /// waits than before.
    fn take_offer(&mut self) -> bool {
        let Offer { mut due, more, .. } = self.handover.take();
        due.retain(|due| !self.claimed.contains(&due.id));
        if more || (!due.is_empty() && (self.more || self.reading.is_some() || self.has_enough())) {
            // What is read meanwhile may be older than this.
            (self.more, self.arrivals) = (true, true);
            return false;
        }
        let turns = due
            .iter()
            .map(|due| (due.priority, due.alert.source.clone()));
        if due.is_empty() || self.yields_to(&turns.collect::<Vec<_>>()) {
            return false;
        }
        self.claimed.extend(due.iter().map(|due| due.id));
        self.waiting.extend(in_turns(due));
        true
    }

    /// Starts to look for what must go before what waits.
    fn peek(&mut self) {
        let Some(mut reader) = self.reader.take() else {
            return;
        };
        let destination = Arc::clone(&self.destination);
        let claimed = self.claimed.clone();
        let now_ms = self.clock.now_ms();
        self.reading = Some(tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let unclaimed = reader.unclaimed(&destination, now_ms, &claimed);
            let took = began.elapsed();
            let found = Found::Unclaimed { unclaimed, took };
            Read { reader, found }
        }));
    }

    /// Gives back what waits, to be read anew, where it must yield to what is not claimed. Returns
    /// whether it did.
    fn yields_to(&mut self, unclaimed: &[(Priority, String)]) -> bool {
        let yields = must_yield(&self.waiting, unclaimed);
        if yields {
            for due in self.waiting.drain(..) {
                self.claimed.remove(&due.id);
            }
            self.more = true;
        }
        yields
    }

    /// Takes in what was read. Returns whether there is something new.
    fn take(&mut self, read: Read) -> bool {
        match read.found {
            Found::Due(due) => self.take_due(read.reader, due),
            Found::Unclaimed { unclaimed, took } => {
                self.reader = Some(read.reader);
                // However many sources wait, looking takes a small part of the time.
                self.peek_at = Instant::now() + PEEK.max(took * 10);
                // Where it cannot be read, the next look at what is due says so.
                self.yields_to(&unclaimed.unwrap_or_default());
                false
            }
        }
    }

    fn take_due(
        &mut self,
        mut reader: DueReader,
        due: Result<(Vec<Due>, Instant), StoreError>,
    ) -> bool {
        let unreadable = reader.take_unreadable();
        self.claimed.extend(unreadable.iter().map(|one| one.id));
        self.unreadable.extend(unreadable);
        let cut = reader.was_cut();
        self.reader = Some(reader);
        match due {
            Ok((due, again)) => {
                self.more |= cut || due.len() == READ;
                self.again = again;
                let turns = due
                    .iter()
                    .map(|due| (due.priority, due.alert.source.clone()));
                if self.yields_to(&turns.collect::<Vec<_>>()) {
                    return !self.unreadable.is_empty();
                }
                self.claimed.extend(due.iter().map(|due| due.id));
                let any = !due.is_empty() || !self.unreadable.is_empty();
                self.waiting.extend(due);
                any
            }
            Err(error) => {
                tracing::error!(%error, destination = &*self.destination, "what is due could not be read");
                self.again = Instant::now() + PAUSE;
                false
            }
        }
    }
}

/// Brings alerts that came at once into the order in which they are to go out: by priority, within
/// it the sources in turns.
fn in_turns(mut due: Vec<Due>) -> Vec<Due> {
    let mut places = HashMap::<(Priority, String), usize>::new();
    due.sort_by_cached_key(|due| {
        let place = places
            .entry((due.priority, due.alert.source.clone()))
            .or_default();
        *place += 1;
        (due.priority, *place)
    });
    due
}

#[cfg(test)]
pub(super) mod tests {
    use hyper::body::Bytes;
    use plugin_sdk::contract::{self, Priority};

    use super::*;
    use crate::alert::{Alert, Outcome, Receipt};
    use crate::clock::wall_ms;
    use crate::metrics::Metrics;
    use crate::store::{self, Closing, NewAlert, NewRequest, PluginRecord, Reading, Settlement};

    /// A window on a store with so many alerts, each with a message of so many bytes.
    pub(in crate::delivery) async fn with(
        alerts: usize,
        bytes: usize,
    ) -> (PrefetchWindow, Store, Closing, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let (store, closing) =
            Store::open(folder.path(), &store::Options::default(), Metrics::new()).unwrap();
        let plugin = PluginRecord {
            name: "p".into(),
            version: "1".into(),
            sha256: "0".into(),
        };
        let id = "r".to_owned();
        let source = "s".to_owned();
        let received_at = wall_ms();
        let alerts = (0..alerts).map(|number| {
            let event = contract::Alert::new(format!("e{number}"), Priority::High, "Hello");
            let event = contract::Alert {
                message: Some("x".repeat(bytes)),
                ..event
            };
            let received_at = crate::clock::rfc3339(received_at);
            let alert = Alert {
                source: source.clone(),
                request: id.clone(),
                received_at,
                event,
            };
            NewAlert::new(&alert, ["d"]).unwrap()
        });
        let alerts = Reading::alerts(alerts.collect());
        let request = NewRequest {
            redacted: None,
            sender: None,
            began: None,
            id,
            source,
            received_at,
            method: "POST".into(),
            url: String::new(),
            headers: "[]".into(),
            body: Bytes::new(),
            plugin: store.plugin(plugin).await.unwrap(),
        };
        let mut window = PrefetchWindow::new("d".into(), &store).unwrap();
        store.append(request, alerts).await.unwrap();
        window.refilled().await;
        (window, store, closing, folder)
    }

    fn settlement(alert: i64, outcome: Outcome, due_at: i64) -> Settlement {
        Settlement {
            delivery: alert,
            at: wall_ms(),
            duration_us: 1,
            status: None,
            outcome,
            answer: None,
            due_at,
            not_before: 0,
            fallback: None,
        }
    }

    /// A window from which the one alert there is was taken, which the destination then blocked.
    async fn blocked() -> (PrefetchWindow, i64, Closing, tempfile::TempDir) {
        let (mut window, store, closing, folder) = with(1, 0).await;
        let alert = window.next().unwrap().id;
        let outcome = Outcome::Blocked {
            why: "not now".into(),
        };
        let due_at = window.clock.now_ms();
        store
            .settle(settlement(alert, outcome, due_at))
            .await
            .unwrap();
        // The plugin, the request and this: when the last of them was announced, nothing more will
        // wake the window.
        let mut commits = store.commits();
        commits.wait_for(|commits| *commits == 3).await.unwrap();
        window.more = true;
        window.look();
        (window, alert, closing, folder)
    }

    async fn comes_again(mut window: PrefetchWindow, alert: i64) {
        tokio::time::timeout(IDLE / 2, window.refilled())
            .await
            .expect("the alert is forgotten");
        assert_eq!(window.next().map(|due| due.id), Some(alert));
    }

    #[tokio::test]
    async fn alert_due_again_before_its_claim_ended_is_found() {
        let (mut window, alert, _closing, _folder) = blocked().await;
        let read = window.reading.take().unwrap().await.unwrap();
        assert!(
            !window.take(read),
            "it was claimed while the store was read"
        );
        window.settled(alert, true);
        comes_again(window, alert).await;
    }

    #[tokio::test]
    async fn alert_whose_claim_ends_during_a_read_is_found() {
        let (mut window, alert, _closing, _folder) = blocked().await;
        window.settled(alert, true);
        comes_again(window, alert).await;
    }

    #[tokio::test]
    async fn store_that_is_read_slowly_makes_no_alert_late() {
        let (mut window, store, _closing, _folder) = with(1, 0).await;
        let alert = window.next().unwrap().id;
        tokio::time::pause();
        let failed = Outcome::Retry {
            why: "not now".into(),
            retry_after: None,
        };
        let due = Instant::now() + Duration::from_secs(10);
        let due_ms = window.clock.now_ms() + 10_000;
        store
            .settle(settlement(alert, failed, due_ms))
            .await
            .unwrap();
        window.settled(alert, true);
        window.look();
        tokio::time::advance(Duration::from_secs(9)).await;
        let read = window.reading.take().unwrap().await.unwrap();
        assert!(!window.take(read), "it is not due yet");
        assert!(window.again <= due, "{:?} late", window.again - due);
    }

    /// Appends one alert of another source.
    async fn append(store: &Store, source: &str, event_id: &str, priority: Priority) {
        let alert = Alert {
            source: source.to_owned(),
            request: "r".to_owned(),
            received_at: crate::clock::rfc3339(wall_ms()),
            event: contract::Alert::new(event_id, priority, "Hello"),
        };
        let plugin = PluginRecord {
            name: "p".into(),
            version: "1".into(),
            sha256: "0".into(),
        };
        let request = NewRequest {
            redacted: None,
            sender: None,
            began: None,
            id: uuid::Uuid::now_v7().to_string(),
            source: source.to_owned(),
            received_at: wall_ms(),
            method: "POST".into(),
            url: String::new(),
            headers: "[]".into(),
            body: Bytes::new(),
            plugin: store.plugin(plugin).await.unwrap(),
        };
        let alerts = vec![NewAlert::new(&alert, ["d"]).unwrap().at_hand(alert)];
        store
            .append(request, Reading::alerts(alerts))
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn later_alert_that_must_go_first_does_so() {
        let cases = [Priority::Critical, Priority::High]
            .into_iter()
            .flat_map(|priority| [(LOW + 1, priority), (10, priority)]);
        for (waiting, priority) in cases {
            let (mut window, store, _closing, _folder) = with(waiting, 0).await;
            let first = window.next().unwrap();
            append(&store, "other", "later", priority).await;
            let place = loop {
                let mut ids = window.waiting.iter().map(|due| &due.alert.event.event_id);
                match ids.position(|id| id == "later") {
                    Some(place) => break place,
                    None => window.refilled().await,
                }
            };
            assert!(place <= 1, "{place} of {waiting}, {priority:?}");
            let mut sent = HashSet::from([first.id]);
            while sent.len() < waiting + 1 {
                match window.next() {
                    Some(due) => assert!(sent.insert(due.id), "each goes out once"),
                    None => window.refilled().await,
                }
            }
        }
    }

    /// Settles an alert that was accepted, in the store and then in the window.
    async fn accept(window: &mut PrefetchWindow, store: &Store, alert: i64) {
        let accepted = Outcome::Accepted(Receipt::default());
        store.settle(settlement(alert, accepted, 0)).await.unwrap();
        window.settled(alert, false);
    }

    /// A window that has read all that there was.
    async fn caught_up() -> (PrefetchWindow, Store, Closing, tempfile::TempDir) {
        let (mut window, store, closing, folder) = with(1, 0).await;
        let first = window.next().unwrap().id;
        accept(&mut window, &store, first).await;
        tokio::time::timeout(Duration::from_millis(200), window.refilled())
            .await
            .expect_err("there is nothing more");
        assert!(window.reading.is_none() && !window.more);
        (window, store, closing, folder)
    }

    #[tokio::test]
    async fn fresh_alert_is_taken_without_a_read_where_all_else_was() {
        let (mut window, store, _closing, _folder) = caught_up().await;
        append(&store, "s", "fresh", Priority::High).await;
        assert!(window.take_offer());
        assert!(window.reading.is_none());
        let due = window.next().unwrap();
        assert_eq!(due.alert.event.event_id, "fresh");
        accept(&mut window, &store, due.id).await;
        assert!(!window.take_offer() && !window.more && window.claimed.is_empty());
    }

    #[tokio::test]
    async fn alert_that_is_offered_and_read_goes_out_once() {
        let (mut window, store, _closing, _folder) = caught_up().await;
        append(&store, "s", "fresh", Priority::High).await;
        window.more = true;
        window.look();
        let read = window.reading.take().unwrap().await.unwrap();
        assert!(window.take(read));
        let due = window.next().unwrap();
        accept(&mut window, &store, due.id).await;
        assert!(!window.take_offer() && window.next().is_none());
    }

    #[tokio::test]
    async fn offer_during_a_read_is_left_to_the_next_one() {
        let (mut window, store, _closing, _folder) = caught_up().await;
        window.more = true;
        window.look();
        append(&store, "s", "fresh", Priority::High).await;
        assert!(!window.take_offer() && window.more);
        let mut sent = Vec::new();
        while sent.is_empty() {
            window.refilled().await;
            sent.extend(std::iter::from_fn(|| window.next()));
        }
        assert_eq!(sent.len(), 1);
        accept(&mut window, &store, sent[0].id).await;
        assert!(window.next().is_none());
    }

    #[tokio::test]
    async fn fresh_alerts_go_out_by_priority_and_in_turns() {
        let (mut window, store, _closing, _folder) = caught_up().await;
        for (source, event, priority) in [
            ("a", "1", Priority::Low),
            ("a", "2", Priority::High),
            ("a", "3", Priority::High),
            ("b", "4", Priority::High),
            ("b", "5", Priority::Critical),
        ] {
            append(&store, source, event, priority).await;
        }
        assert!(window.take_offer());
        let sent = std::iter::from_fn(|| window.next());
        let sent: Vec<_> = sent.map(|due| due.alert.event.event_id.clone()).collect();
        assert_eq!(sent, ["5", "2", "4", "3", "1"]);
    }

    #[tokio::test]
    async fn alerts_are_read_ahead_by_size_and_none_is_forgotten() {
        let (mut window, _store, _closing, _folder) = with(20, READ_BYTES / 4).await;
        assert_eq!(window.waiting.len(), 4, "with these it has its bytes");
        let mut sent = HashSet::new();
        while sent.len() < 20 {
            let Some(due) = window.next() else {
                window.refilled().await;
                continue;
            };
            sent.insert(due.id);
            window.look();
            assert!(
                window.reading.is_none() || window.waiting.len() <= 2,
                "it waits until half of its bytes are sent"
            );
            assert!(window.waiting.len() <= 6);
        }
    }

    #[tokio::test]
    async fn alert_larger_than_one_read_is_read_alone() {
        let (mut window, _store, _closing, _folder) = with(2, 2 * READ_BYTES).await;
        let first = window.next().unwrap().id;
        assert!(window.waiting.is_empty());
        window.refilled().await;
        assert!(window.next().is_some_and(|due| due.id != first));
    }
}

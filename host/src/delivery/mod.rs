//! Delivery: from the store to a destination, until the destination has it.
//!
//! One task drives one destination. It holds a prefetch window of due alerts, sends as many at once
//! as the [circuit breaker](breaker) and its [concurrency limiter](limiter) permit, and hands each
//! outcome to the store. The window, bounded in alerts and in bytes, is all that is in memory: a
//! backlog of any length stays on disk, and what a crash interrupts is due again at the next start.
//! An alert stays claimed until the store has its outcome, so it cannot be sent twice meanwhile;
//! and the store shows only the head of line of an ordering key, so two alerts of one key are never
//! under way at once.
//!
//! A crash between the destination's answer and the commit of the settlement sends the alert again,
//! with the same fingerprint: the destination updates the alert that is open and opens none.

mod backlog;
mod breaker;
mod fallback;
mod limiter;
mod original;
mod settle;
#[cfg(test)]
mod tests;
mod turns;
mod window;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::alert::{Outcome, Receipt};
use crate::clock;
use crate::destinations::{Destination, Sent};
use crate::health::{Breaker, BreakerState, DestinationHealth, DestinationState, Health};
use crate::log_throttle::LogThrottle;
use crate::metrics::{DeliveryLabels, DestinationLabel, DestinationStateLabels, Metrics};
use crate::spans::{Active, Spans};
use crate::store::{Due, Lease, Settlement, Store, StoreError};

use breaker::{CircuitBreaker, State};
use fallback::FallbackTimer;
use settle::Settled;
use window::PrefetchWindow;

/// The number of outcomes that may wait for the disk, or be given up because the file is damaged
/// where they are to stand. Beyond that nothing new is sent: an alert whose outcome is not written
/// down would be sent again after a crash.
const UNSETTLED: usize = 512;
/// The wait where nothing is due and nothing is known to become due.
const IDLE: Duration = Duration::from_secs(60);

/// Drives one destination.
#[derive(Debug)]
pub struct Delivery {
    name: Arc<str>,
    destination: Destination,
    /// The destination as the configuration in use has it, where that may change.
    configured: Option<watch::Receiver<Destination>>,
    /// The number of times that another configuration of it was taken up.
    generation: u64,
    store: Store,
    /// The right to deliver: another gateway may have it.
    lease: Lease,
    window: PrefetchWindow,
    breaker: CircuitBreaker,
    /// The number of outcomes that were given up.
    unwritten: usize,
    rng: fastrand::Rng,
    throttle: LogThrottle,
    shown: Option<DestinationHealth>,
    shown_breaker: Option<Breaker>,
    /// The beginning of the outage that is shown.
    failing_since: Option<Instant>,
    /// The next probe that `shown` tells.
    next_probe: Option<Instant>,
    health: Health,
    metrics: Metrics,
    spans: Spans,
}

/// An attempt that has ended.
struct Attempt {
    /// The configuration of the destination that it was made with.
    generation: u64,
    alert: i64,
    attempts: u32,
    at_ms: i64,
    sent: Sent,
}

impl Delivery {
    /// Returns the delivery of all that the store holds for the destination `name`, at most
    /// `concurrency` alerts at once.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn new(
        name: Arc<str>,
        destination: Destination,
        concurrency: usize,
        store: Store,
        health: Health,
        metrics: Metrics,
    ) -> Result<Self, StoreError> {
        let window = PrefetchWindow::new(Arc::clone(&name), &store)?;
        let breaker = CircuitBreaker::new(concurrency);
        let rng = fastrand::Rng::new();
        Ok(Self {
            name,
            destination,
            configured: None,
            generation: 0,
            lease: store.leads(),
            store,
            window,
            breaker,
            unwritten: 0,
            rng,
            throttle: LogThrottle::default(),
            shown: None,
            shown_breaker: None,
            failing_since: None,
            next_probe: None,
            health,
            metrics,
            spans: Spans::default(),
        })
    }

    /// Sends with the latest of `configured` from each change on.
    pub fn following(self, configured: watch::Receiver<Destination>) -> Self {
        Self {
            configured: Some(configured),
            ..self
        }
    }

    /// Records a span for each attempt.
    pub fn traced(self, spans: Spans) -> Self {
        Self { spans, ..self }
    }

    /// Runs until `stop` is cancelled; then the attempts under way are finished and settled, for
    /// which the caller sets the time.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut sending: JoinSet<Attempt> = JoinSet::new();
        let mut settling: JoinSet<Settled> = JoinSet::new();
        let mut waking: JoinSet<()> = JoinSet::new();
        let mut timer = self.timer();
        backlog::set(&self.metrics, &self.name, 0, 0.0);
        let name = Arc::clone(&self.name);
        let store = self.store.clone();
        let mut showing = JoinSet::new();
        showing.spawn(backlog::show(name, store, self.metrics.clone()));
        let mut underway = self.lease.underway();
        loop {
            if !self.lease.holds() {
                // What is under way is dropped, and what was read: another gateway sends it.
                sending.shutdown().await;
                settling.shutdown().await;
                self.stand_by().await;
                drop(underway.take());
                tokio::select! {
                    () = self.lease.held() => {
                        underway = self.lease.underway();
                        self.window.forget().await;
                        continue;
                    }
                    () = stop.cancelled() => break,
                }
            }
            // At each turn: a destination that takes nothing is reported after a time, whether or
            // not it is tried meanwhile.
            self.show();
            for unreadable in self.window.take_unreadable() {
                let settlement = settle::dead_letter(unreadable, &self.name, &self.throttle);
                settling.spawn(settle::write_down(self.store.clone(), settlement));
            }
            let now = Instant::now();
            if self.breaker.take_recovery() {
                waking.spawn(settle::wake(self.store.clone(), Arc::clone(&self.name)));
            }
            let room = UNSETTLED.saturating_sub(settling.len() + self.unwritten);
            for _ in 0..self.breaker.permits(now, sending.len()).min(room) {
                let next = if self.breaker.is_open() {
                    self.window.next_least_tried()
                } else {
                    self.window.next()
                };
                let Some(due) = next else { break };
                let destination = self.destination.clone();
                let span = self.begin(&due);
                let attempt = attempt(destination, self.generation, due, self.store.clone(), span);
                sending.spawn(while_held(self.lease.clone(), attempt));
            }
            let wake = self
                .breaker
                .next_wake(now)
                .map_or(IDLE, |wake| wake.saturating_duration_since(now));
            tokio::select! {
                // Whatever else has ended meanwhile is part of this turn: a turn costs more than
                // any of it.
                Some(attempt) = sending.join_next() => {
                    self.ended(attempt, &mut settling);
                    while let Some(attempt) = sending.try_join_next() {
                        self.ended(attempt, &mut settling);
                    }
                }
                Some(Ok(settled)) = settling.join_next() => {
                    self.settled(settled);
                    while let Some(Ok(settled)) = settling.try_join_next() {
                        self.settled(settled);
                    }
                }
                // The window finds what is due by the commits.
                Some(_) = waking.join_next() => {}
                Some(Err(error)) = timer.join_next() => {
                    tracing::error!(%error, destination = &*self.name, "the fallback's timer panicked");
                }
                () = self.window.refilled() => {}
                destination = changed(&mut self.configured) => {
                    self.take_up(destination);
                    timer = self.timer();
                }
                () = tokio::time::sleep(wake) => {}
                () = self.lease.lapsed() => {}
                () = stop.cancelled() => break,
            }
        }
        while let Some(attempt) = sending.join_next().await {
            self.ended(attempt, &mut settling);
        }
        while settling.join_next().await.is_some() {}
        // Ended, and not only told to: the metrics of a removed destination are removed after this.
        showing.shutdown().await;
    }

    /// Forgets what was read and learnt: by the time that this gateway delivers again, all of it may
    /// be otherwise.
    async fn stand_by(&mut self) {
        self.window.forget().await;
        self.breaker = CircuitBreaker::new(self.destination.concurrency());
        self.generation += 1;
        self.unwritten = 0;
        self.show();
    }

    /// Starts the timer of the fallback, where there is one.
    fn timer(&self) -> JoinSet<()> {
        let mut timer = JoinSet::new();
        if let Some(fallback) = self.destination.fallback() {
            let store = self.store.clone();
            let metrics = self.metrics.clone();
            let one = FallbackTimer::new(Arc::clone(&self.name), fallback.clone(), store, metrics);
            timer.spawn(one.run());
        }
        timer
    }

    /// Takes up another configuration of the destination: a new token, for example. Nothing is known
    /// of it yet, so the breaker begins anew, and what waits for the next attempt is due now.
    fn take_up(&mut self, destination: Destination) {
        self.destination = destination;
        self.breaker = CircuitBreaker::new(self.destination.concurrency());
        self.generation += 1;
        // Otherwise the log would say that it takes alerts again.
        self.shown = None;
        let store = self.store.clone();
        let name = Arc::clone(&self.name);
        tokio::spawn(async move {
            if let Err(error) = store.wake(&name).await {
                tracing::warn!(%error, destination = &*name, "what waits could not be made due; each alert is tried at its own time");
            }
        });
    }

    /// Counts an attempt, teaches the breaker, and has the outcome written down.
    fn ended(&mut self, attempt: Result<Attempt, JoinError>, settling: &mut JoinSet<Settled>) {
        let attempt = match attempt {
            Ok(attempt) => attempt,
            // Only a bug panics. The alert stays claimed, so that it cannot bring down the next
            // attempt as well.
            Err(error) => {
                return tracing::error!(%error, destination = &*self.name, "an attempt panicked; a restart repeats it");
            }
        };
        let Attempt { alert, sent, .. } = &attempt;
        let destination = || Arc::clone(&self.name);
        let labels = DeliveryLabels {
            destination: destination(),
            outcome: sent.outcome.as_str(),
        };
        self.metrics.deliveries.get_or_create(&labels).inc();
        if matches!(sent.outcome, Outcome::Accepted(_)) {
            self.metrics.activity.delivered(&self.name);
        }
        self.warn_of_failure(&attempt);
        let label = DestinationLabel {
            destination: destination(),
        };
        self.metrics.durations.took(&self.name, sent.duration);
        self.metrics
            .delivery_duration
            .get_or_create(&label)
            .observe(sent.duration.as_secs_f64());
        // A destination that takes an alert for some recipients works.
        let in_part = sent
            .left_out
            .as_ref()
            .map(|_| Outcome::Accepted(Receipt::default()));
        let outcome = in_part.as_ref().unwrap_or(&sent.outcome);
        // What was sent with an earlier configuration says nothing of this one.
        let poison = attempt.generation == self.generation
            && self
                .breaker
                .record(Instant::now(), *alert, outcome, &mut self.rng);
        let waits_alone = poison || in_part.is_some();
        let longest = (!waits_alone).then(|| self.breaker.longest_wait(Instant::now()));
        let now_ms = self.store.clock().now_ms();
        let settlement = Settlement {
            fallback: self
                .destination
                .fallback()
                .map(|one| one.destination.clone()),
            ..settle::settlement(
                attempt,
                longest,
                now_ms,
                &mut self.rng,
                &self.name,
                &self.throttle,
            )
        };
        settling.spawn(settle::write_down(self.store.clone(), settlement));
    }

    /// Logs an attempt that failed because of the destination: the first at once, and then one a
    /// minute.
    fn warn_of_failure(&self, Attempt { alert, sent, .. }: &Attempt) {
        if let Outcome::Retry { why, .. } | Outcome::Blocked { why } = &sent.outcome
            && let Some(suppressed) = self.throttle.due(&self.name, "failed attempt")
        {
            let destination = &*self.name;
            let outcome = sent.outcome.as_str();
            tracing::warn!(
                destination,
                outcome,
                why,
                alert,
                suppressed,
                "a delivery attempt failed; it is retried"
            );
        }
    }

    /// Releases the claim on an alert, unless the store does not have its outcome.
    fn settled(
        &mut self,
        Settled {
            alert,
            pending,
            written,
        }: Settled,
    ) {
        let error = match written {
            Ok(fell_back) => {
                if fell_back && let Some(fallback) = self.destination.fallback() {
                    let why = "its destination rejected it";
                    fallback::note(
                        &self.metrics,
                        &self.throttle,
                        (&self.name, fallback),
                        1,
                        why,
                    );
                }
                return self.window.settled(alert, pending);
            }
            Err(error) => error,
        };
        let destination = &*self.name;
        if let Some(suppressed) = self.throttle.due(destination, "unwritten") {
            let what = "an outcome cannot be written down; a restart sends the alert again";
            tracing::error!(%error, alert, destination, suppressed, "{what}");
        }
        // A row that cannot be changed must not hold up the others, however many there are.
        if !matches!(error, StoreError::Row(_)) {
            self.unwritten += 1;
            if self.unwritten == UNSETTLED {
                tracing::error!(
                    destination,
                    "nothing more is sent: so many outcomes cannot be written down"
                );
            }
        }
    }

    /// Publishes the circuit breaker, where it has opened, closed, or sent a probe.
    fn show_breaker(&mut self) {
        let state = self.breaker.shown();
        let is_closed = |state: BreakerState| state == BreakerState::Closed;
        let since = match &self.shown_breaker {
            Some(shown) if shown.state == state => return,
            // A probe opens and closes nothing yet.
            Some(shown) if is_closed(shown.state) == is_closed(state) => shown.since.clone(),
            _ => clock::rfc3339(clock::wall_ms()),
        };
        let shown = Breaker { state, since };
        self.health.set_breaker(&self.name, shown.clone());
        self.shown_breaker = Some(shown);
    }

    /// Publishes the destination's state, where that or the reason for it has changed: one thing is
    /// fixed, and the next is wrong.
    fn show(&mut self) {
        self.show_breaker();
        let State {
            state,
            why,
            failing_since,
            proven,
        } = self.breaker.state(Instant::now());
        let next_probe = self.breaker.next_probe();
        let since = match &self.shown {
            Some(shown)
                if shown.state == state
                    && shown.why == why
                    && shown.proven == proven
                    && self.next_probe == next_probe
                    && self.failing_since == failing_since =>
            {
                return;
            }
            Some(shown) if shown.state == state => shown.since.clone(),
            _ => {
                self.announce(state, why.as_deref());
                clock::rfc3339(clock::wall_ms())
            }
        };
        let failing_since = self.show_failing_since(failing_since);
        self.next_probe = next_probe;
        let wait = |probe: Instant| probe.saturating_duration_since(Instant::now()).as_millis();
        let next_probe = next_probe.map(|probe| clock::wall_ms() + wait(probe) as i64);
        let health = DestinationHealth {
            state,
            since,
            failing_since,
            why,
            next_probe: next_probe.map(clock::rfc3339),
            proven,
        };
        self.health.set_destination(&self.name, health.clone());
        self.shown = Some(health);
    }

    /// Publishes the beginning of an outage. Returns it as a person reads it.
    fn show_failing_since(&mut self, failing_since: Option<Instant>) -> Option<String> {
        let shown = self
            .shown
            .as_ref()
            .and_then(|shown| shown.failing_since.clone());
        if self.failing_since == failing_since {
            return shown;
        }
        self.failing_since = failing_since;
        let at_ms =
            failing_since.map(|since| clock::wall_ms() - since.elapsed().as_millis() as i64);
        let label = DestinationLabel {
            destination: Arc::clone(&self.name),
        };
        let seconds = at_ms.map_or(0.0, |at_ms| at_ms as f64 / 1000.0);
        self.metrics
            .destination_failing_since
            .get_or_create(&label)
            .set(seconds);
        at_ms.map(clock::rfc3339)
    }

    /// Logs a change of the destination's state. Only that: a reason may change with every answer.
    fn announce(&self, state: DestinationState, why: Option<&str>) {
        let destination = &*self.name;
        match (state, why) {
            // At the start nothing is known of it.
            (DestinationState::Healthy, _) if self.shown.is_none() => {}
            (DestinationState::Healthy, _) => {
                tracing::info!(destination, "the destination takes alerts again")
            }
            (DestinationState::Failing, why) => {
                tracing::warn!(
                    destination,
                    why,
                    "the destination is failing; alerts wait on disk and are tried again"
                );
            }
            (DestinationState::Held, why) => {
                tracing::error!(
                    destination,
                    why,
                    "the destination is held; alerts wait on disk until this is fixed"
                );
            }
        }
        let label = DestinationLabel {
            destination: Arc::clone(&self.name),
        };
        drop(self.metrics.destination_failing_since.get_or_create(&label));
        for one in DestinationState::ALL {
            let labels = DestinationStateLabels {
                destination: Arc::clone(&self.name),
                state: one.as_str(),
            };
            self.metrics
                .destination_state
                .get_or_create(&labels)
                .set(i64::from(one == state));
        }
    }
}

impl Delivery {
    /// Begins the span of an attempt.
    fn begin(&self, due: &Due) -> Active {
        let alert = &due.alert;
        let mut span = self.spans.attempt(&alert.request);
        span.set("alert_gateway.request_id", &*alert.request);
        span.set("alert_gateway.source", &*alert.source);
        span.set("alert_gateway.destination", &*self.name);
        span.set("alert_gateway.event_id", &*alert.event.event_id);
        span.set("alert_gateway.attempts_before", i64::from(due.attempts));
        span
    }
}

/// Returns the next change of a destination's configuration, if one can come.
async fn changed(configured: &mut Option<watch::Receiver<Destination>>) -> Destination {
    if let Some(configured) = configured
        && configured.changed().await.is_ok()
    {
        return configured.borrow_and_update().clone();
    }
    std::future::pending().await
}

/// Makes an attempt as long as the lease is held. The look at it stands directly before the attempt.
async fn while_held(lease: Lease, attempt: impl Future<Output = Attempt>) -> Attempt {
    tokio::select! {
        biased;
        // The delivery drops this, and what it would have sent.
        () = lease.lapsed() => std::future::pending().await,
        attempt = attempt => attempt,
    }
}

async fn attempt(
    destination: Destination,
    generation: u64,
    due: Due,
    store: Store,
    mut span: Active,
) -> Attempt {
    let at_ms = clock::wall_ms();
    let sending = async {
        if destination.takes_original() {
            original::send(&destination, &due, store).await
        } else {
            destination.send(&due.alert).await
        }
    };
    let sent = span.sent(sending).await;
    span.set("alert_gateway.outcome", sent.outcome.as_str());
    if let Some(status) = sent.status {
        span.set("http.response.status_code", i64::from(status));
    }
    if let Some(why) = sent.outcome.why() {
        span.fail(|| why.to_owned());
    }
    drop(span);
    Attempt {
        generation,
        alert: due.id,
        attempts: due.attempts,
        at_ms,
        sent,
    }
}

//! Delivery: from the store to a destination, until the destination has it.
//!
//! One task drives one destination. It holds a window of due alerts, sends as many at once as the [gate] permits,
//! and hands each outcome to the store. The window, bounded in alerts and in bytes, is all that is in memory: a backlog of
//! any length stays on disk, and what a crash interrupts is due again at the next start. An alert stays claimed until the
//! store has its outcome, so it cannot be sent twice meanwhile; and the store shows only one pending alert of a key, its
//! head, so two of one key are never under way at once.
//!
//! A crash between the destination's answer and the commit of the settlement sends the alert again, with the same
//! fingerprint: the destination updates the alert that is open and opens none.

mod gate;
mod settle;
#[cfg(test)]
mod tests;
mod window;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::clock;
use crate::health::{DestinationHealth, DestinationState, Health};
use crate::itoc360::{Itoc360, Sent};
use crate::log_throttle::LogThrottle;
use crate::metrics::{DeliveryLabels, DestinationLabel, DestinationStateLabels, Metrics};
use crate::store::{self, Due, Store, StoreError};

use gate::{Gate, State};
use settle::Settled;
use window::Window;

/// How many outcomes may wait for the disk, or be given up because the file is damaged where they are to stand. Beyond that
/// nothing new is sent: what was sent and is not written down would be sent again after a crash.
const UNSETTLED: usize = 512;
/// How long to wait when nothing is due and nothing is known to become due.
const IDLE: Duration = Duration::from_secs(60);

/// Drives one destination.
#[derive(Debug)]
pub struct Delivery {
    name: Arc<str>,
    itoc360: Itoc360,
    store: Store,
    window: Window,
    gate: Gate,
    /// How many outcomes were given up.
    unwritten: usize,
    rng: fastrand::Rng,
    throttle: LogThrottle,
    shown: Option<DestinationHealth>,
    health: Health,
    metrics: Metrics,
}

/// An attempt that has come to an end.
struct Attempt {
    alert: i64,
    attempts: u32,
    at_ms: i64,
    sent: Sent,
}

impl Delivery {
    /// Delivers what the store holds for the destination `name`, at most `concurrency` alerts at once.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn new(
        name: Arc<str>,
        itoc360: Itoc360,
        concurrency: usize,
        store: Store,
        health: Health,
        metrics: Metrics,
    ) -> Result<Self, StoreError> {
        let window = Window::new(Arc::clone(&name), &store)?;
        let gate = Gate::new(concurrency);
        let rng = fastrand::Rng::new();
        Ok(Self {
            name,
            itoc360,
            store,
            window,
            gate,
            unwritten: 0,
            rng,
            throttle: LogThrottle::default(),
            shown: None,
            health,
            metrics,
        })
    }

    /// Until `stop` says so; then what is under way is finished and settled, for which the caller sets the time.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut sending: JoinSet<Attempt> = JoinSet::new();
        let mut settling: JoinSet<Settled> = JoinSet::new();
        loop {
            // At each turn: that a destination takes nothing is told after a time, whether or not it is tried meanwhile.
            self.show();
            for unreadable in self.window.take_unreadable() {
                let settlement = settle::set_aside(unreadable, &self.name, &self.throttle);
                settling.spawn(settle::write_down(self.store.clone(), settlement));
            }
            let now = Instant::now();
            let room = UNSETTLED.saturating_sub(settling.len() + self.unwritten);
            for _ in 0..self.gate.permits(now, sending.len()).min(room) {
                let next = if self.gate.is_closed() { self.window.next_least_tried() } else { self.window.next() };
                let Some(due) = next else { break };
                sending.spawn(attempt(self.itoc360.clone(), due));
            }
            let wake = self.gate.next_wake(now).map_or(IDLE, |wake| wake.saturating_duration_since(now));
            tokio::select! {
                Some(attempt) = sending.join_next() => self.ended(attempt, &mut settling),
                Some(Ok(settled)) = settling.join_next() => self.settled(settled),
                () = self.window.refilled() => {}
                () = tokio::time::sleep(wake) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        while let Some(attempt) = sending.join_next().await {
            self.ended(attempt, &mut settling);
        }
        while settling.join_next().await.is_some() {}
    }

    /// Counts an attempt, learns from it, and has it written down.
    fn ended(&mut self, attempt: Result<Attempt, JoinError>, settling: &mut JoinSet<Settled>) {
        let attempt = match attempt {
            Ok(attempt) => attempt,
            // Only a bug panics. The alert stays claimed, so that it cannot bring the next attempt down as well.
            Err(error) => {
                return tracing::error!(%error, destination = &*self.name, "an attempt panicked; a restart repeats it");
            }
        };
        let Attempt { alert, sent, .. } = &attempt;
        let destination = || Arc::clone(&self.name);
        let labels = DeliveryLabels { destination: destination(), outcome: sent.outcome.as_str() };
        self.metrics.deliveries.get_or_create(&labels).inc();
        let label = DestinationLabel { destination: destination() };
        self.metrics.delivery_duration.get_or_create(&label).observe(sent.duration.as_secs_f64());
        let own_trouble = self.gate.record(Instant::now(), *alert, &sent.outcome, &mut self.rng);
        let now_ms = self.store.clock().now_ms();
        let settlement = settle::settlement(attempt, own_trouble, now_ms, &mut self.rng, &self.name, &self.throttle);
        settling.spawn(settle::write_down(self.store.clone(), settlement));
    }

    /// Lets an alert go, unless the store has not got its outcome.
    fn settled(&mut self, Settled { alert, pending, written }: Settled) {
        let Err(error) = written else { return self.window.settled(alert, pending) };
        let destination = &*self.name;
        if let Some(left_out) = self.throttle.due(destination, "unwritten") {
            let what = "an outcome cannot be written down; a restart sends the alert again";
            tracing::error!(%error, alert, destination, left_out, "{what}");
        }
        // Rows that nothing can be changed in are as many as somebody wrote, and must not hold up the others.
        if !matches!(error, StoreError::Row(_)) {
            self.unwritten += 1;
            if self.unwritten == UNSETTLED {
                tracing::error!(destination, "nothing more is sent: so many outcomes cannot be written down");
            }
        }
    }

    /// Shows how the destination is, where that or the reason for it has changed: one thing is mended, and the next is wrong.
    fn show(&mut self) {
        let State { state, why, proven } = self.gate.state(Instant::now());
        let since = match &self.shown {
            Some(shown) if shown.state == state && shown.why == why && shown.proven == proven => return,
            Some(shown) if shown.state == state => shown.since.clone(),
            _ => {
                self.announce(state, why.as_deref());
                store::rfc3339(clock::wall_ms())
            }
        };
        let health = DestinationHealth { state, since, why, proven };
        self.health.set_destination(&self.name, health.clone());
        self.shown = Some(health);
    }

    /// Tells the operator that the destination's state has changed. Only that: a reason may change with every answer.
    fn announce(&self, state: DestinationState, why: Option<&str>) {
        let destination = &*self.name;
        match (state, why) {
            // At the start nothing is known of it.
            (DestinationState::Healthy, _) if self.shown.is_none() => {}
            (DestinationState::Healthy, _) => tracing::info!(destination, "the destination takes alerts again"),
            (DestinationState::Failing, why) => {
                tracing::warn!(destination, why, "the destination is failing; alerts wait on disk and are tried again");
            }
            (DestinationState::Held, why) => {
                tracing::error!(destination, why, "the destination is held; alerts wait on disk until this is mended");
            }
        }
        for one in DestinationState::ALL {
            let labels = DestinationStateLabels { destination: Arc::clone(&self.name), state: one.as_str() };
            self.metrics.destination_state.get_or_create(&labels).set(i64::from(one == state));
        }
    }
}

async fn attempt(itoc360: Itoc360, due: Due) -> Attempt {
    let at_ms = clock::wall_ms();
    let body = itoc360.body(&due.alert);
    let sent = itoc360.send(body).await;
    Attempt { alert: due.id, attempts: due.attempts, at_ms, sent }
}

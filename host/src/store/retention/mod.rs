//! Retention: removal of old and of large data, in order.
//!
//! By age, a request goes whole, with its alerts and all by which they are known again. By size,
//! content goes and identity stays: first what requests looked like when they came in, then what
//! alerts say and all but their last attempts, the oldest first. What identifies an alert (its
//! event id, its key, when it came, its receipt) goes for no size but its own bound, and before the
//! first of these goes, the operator is told: from then on a repeat of it would open it again.
//!
//! What is not delivered is never removed: not what waits, not a dead letter, not a failed request
//! of a sender that has proved itself. None of these is bounded by anything but the disk, because
//! each was accepted, and nobody has heard of it. Where they alone exceed the size, the log says so
//! and what to do; where they fill the disk, senders are told 503. (A failed request whose sender
//! has proved nothing is bounded when it comes in, and goes by age.)
//!
//! Sweeps follow growth: the writer says after each commit how much is in use. A sweep is made of
//! slices, each a command of its own, so that commits of the day's work come between.

mod sweep;
mod told;

use std::fs::metadata;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Store, StoreError, files};
use crate::clock::wall_ms;
use crate::metrics::{CauseLabel, Metrics};
use told::Told;

pub use sweep::{Bounds, IDENTITY_BYTES, Removed, Stage, Sweep, Swept};

/// The interval between two sweeps for age.
const EVERY: Duration = Duration::from_secs(60);

/// The interval at which counts of repeats are written down and the log is measured.
const TICK: Duration = Duration::from_secs(1);

/// The number of slices in a row that may find nothing. What is not delivered may be millions of
/// requests, and each slice over them takes the writer some milliseconds: the next sweep goes on
/// where this one left off.
const FRUITLESS: u32 = 64;

/// The time a sweep that could not reach the size waits for the next try: whatever may go is gone.
const IN_VAIN: Duration = Duration::from_secs(10);

/// The limits of what is kept.
#[derive(Debug, Clone)]
pub struct Retention {
    /// The time a delivered alert is kept.
    pub age: Duration,
    /// The number of bytes that all of it may take.
    pub size: u64,
    /// The number of bytes that identities may take.
    pub identities: u64,
    /// The destination for the alert before identities are forgotten.
    pub operator_destination: Option<String>,
}

/// Removes what may go under `retention`, until `stop` says so.
///
/// Age is counted by the earlier of two clocks: the steady one and the machine's. So a clock that
/// is set forward by mistake removes nothing early. One that was behind when the gateway started,
/// and was then put right, leaves the steady one behind until a restart: meanwhile all is kept for
/// that much longer, within the size.
pub async fn keep_within(
    store: Store,
    retention: Retention,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let mut keeper = Keeper {
        told: Told::of_earlier_runs(&store),
        store,
        retention,
        metrics,
        cursors: [0; 4],
    };
    tokio::select! {
        () = keeper.run() => {}
        () = stop.cancelled() => {}
    }
}

/// Does once what [`keep_within`] does again and again.
#[cfg(test)]
pub async fn keep_once(store: Store, retention: Retention, metrics: Metrics) {
    let mut keeper = Keeper {
        told: Told::of_earlier_runs(&store),
        store,
        retention,
        metrics,
        cursors: [0; 4],
    };
    keeper.old().await.unwrap();
    if *keeper.store.bytes().borrow() > keeper.retention.size {
        keeper.large().await.unwrap();
    }
    keeper.tick().await.unwrap();
}

struct Keeper {
    store: Store,
    retention: Retention,
    metrics: Metrics,
    told: Told,
    /// The place where the next slice of each stage begins.
    cursors: [i64; 4],
}

impl Keeper {
    async fn run(&mut self) {
        let mut age_at = Instant::now();
        let mut size_at = Instant::now();
        let mut bytes = self.store.bytes();
        let lease = self.store.leads();
        loop {
            let now = Instant::now();
            if age_at <= now && lease.holds() {
                age_at = now + EVERY;
                self.told.of_drift(&self.store);
                match self.old().await {
                    Ok(()) => {
                        self.metrics
                            .retention_last_sweep
                            .set(wall_ms() as f64 / 1000.0);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "retention could not remove what is old; it tries again")
                    }
                }
            }
            let size = self.retention.size;
            if size_at <= now && *bytes.borrow_and_update() > size {
                match self.large().await {
                    Ok(true) => {}
                    Ok(false) => size_at = now + IN_VAIN,
                    Err(error) => {
                        tracing::warn!(%error, "retention could not keep to the size; it tries again");
                        size_at = now + TICK;
                    }
                }
            } else if let Err(error) = self.tick().await {
                tracing::warn!(%error, "counts of repeats could not be written down, or space given back; it tries again");
            }
            if let Some(file) = self.store.file() {
                let log = metadata(files::log(&file)).map_or(0, |log| log.len());
                self.told.of_log(log, &self.metrics);
            }
            let grown = async {
                tokio::time::sleep_until(size_at).await;
                if bytes.wait_for(|bytes| *bytes > size).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = grown => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    fn bounds(&self) -> Bounds {
        let before_ms = self
            .store
            .clock()
            .earliest_ms()
            .saturating_sub(self.retention.age.as_millis() as i64);
        Bounds {
            before_ms,
            now_ms: wall_ms(),
            size: self.retention.size,
            identities: self.retention.identities,
        }
    }

    /// Removes what is too old, and the oldest identities where these are too many.
    async fn old(&mut self) -> Result<(), StoreError> {
        let removed = self.stage(Stage::Age).await?.0;
        if removed > 0 {
            tracing::info!(
                requests = removed,
                "retention removed old requests, all of them delivered"
            );
        }
        let used = self.store.identities().saturating_mul(IDENTITY_BYTES);
        if self
            .told
            .of_identities(&self.store, &self.retention, used)
            .await?
            && used > self.retention.identities
        {
            let removed = self.stage(Stage::Identities).await?.0;
            let bound = self.retention.identities;
            tracing::warn!(
                requests = removed,
                bound,
                "retention forgot the oldest identities: what was paged for then would open again if it were repeated"
            );
        }
        Ok(())
    }

    /// Evicts content until the size is kept to. Returns whether it is.
    async fn large(&mut self) -> Result<bool, StoreError> {
        let mut last = None;
        for stage in [Stage::Bodies, Stage::Events] {
            let (_, swept) = self.stage(stage).await?;
            if swept.bytes <= self.retention.size {
                self.told.of_size(&swept, &self.retention);
                return Ok(true);
            }
            last = Some(swept);
        }
        if let Some(swept) = last {
            self.told.of_size(&swept, &self.retention);
        }
        Ok(false)
    }

    /// Writes down counts of repeats, and gives back space, where there is any.
    async fn tick(&mut self) -> Result<(), StoreError> {
        loop {
            let spare = self.store.spare_bytes();
            if !self.store.has_repeats() && spare <= self.retention.size / 20 {
                return Ok(());
            }
            let sweep = Sweep {
                stage: Stage::Space,
                from: 0,
                bounds: self.bounds(),
            };
            let swept = self.store.sweep(sweep).await?;
            if swept.next.is_none() {
                self.told.of_size(&swept, &self.retention);
                return Ok(());
            }
        }
    }

    /// Runs the slices of one stage until it has nothing more to do for now. Returns how much was
    /// removed, and what the last slice said.
    async fn stage(&mut self, stage: Stage) -> Result<(u64, Swept), StoreError> {
        let mut removed = 0;
        let mut fruitless = 0;
        let mut began_at = self.cursors[stage as usize];
        loop {
            let from = self.cursors[stage as usize];
            let swept = self
                .store
                .sweep(Sweep {
                    stage,
                    from,
                    bounds: self.bounds(),
                })
                .await?;
            let Removed { by_age, by_size } = swept.removed;
            // A request counts when its content goes, or all of it; and not again for what its
            // alerts said.
            let requests = if stage == Stage::Events { 0 } else { by_size };
            for (cause, count) in [("age", by_age), ("size", requests)] {
                self.metrics
                    .retention_removed
                    .get_or_create(&CauseLabel { cause })
                    .inc_by(count);
            }
            removed += by_age + by_size;
            fruitless = if by_age + by_size == 0 {
                fruitless + 1
            } else {
                0
            };
            match swept.next {
                Some(next) => {
                    self.cursors[stage as usize] = next;
                    if fruitless == FRUITLESS || swept.is_enough {
                        return Ok((removed, swept));
                    }
                }
                // What was delivered behind the place where it began may go as well.
                None if began_at > 0 && !swept.is_enough => {
                    (self.cursors[stage as usize], began_at) = (0, 0)
                }
                None => {
                    self.cursors[stage as usize] = 0;
                    return Ok((removed, swept));
                }
            }
        }
    }
}

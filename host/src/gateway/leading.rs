//! The monitor of several gateways: one of them has it at a time.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::health::Health;
use crate::metrics::Metrics;
use crate::monitor::{Monitor, Plan, Reloaded};
use crate::store::Store;

/// The time between two tries to begin.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// The parts of a monitor.
pub struct Leading {
    pub plan: Plan,
    pub store: Store,
    pub health: Health,
    pub metrics: Metrics,
}

impl Leading {
    /// Runs a monitor while this gateway leads the others, until `stop` is cancelled. One that
    /// begins again goes on from what the store remembers, as after a restart; `only` is that of a
    /// gateway that is alone.
    pub async fn monitor(
        self,
        only: Option<Monitor>,
        mut reloaded: watch::Receiver<Reloaded>,
        stop: CancellationToken,
    ) {
        if let Some(only) = only {
            self.metrics.leads.set(1);
            return only.run(reloaded, stop).await;
        }
        let mut lease = self.store.leads();
        loop {
            self.health.set_leads(false);
            self.metrics.leads.set(0);
            tokio::select! {
                () = lease.held() => {}
                () = stop.cancelled() => return,
            }
            let Self {
                plan,
                store,
                health,
                metrics,
            } = &self;
            let made = Monitor::new(plan, store.clone(), health.clone(), metrics.clone());
            let monitor = match made {
                Ok(monitor) => monitor,
                Err(error) => {
                    tracing::warn!(%error, "the monitor could not begin; it tries again");
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => continue,
                        () = stop.cancelled() => return,
                    }
                }
            };
            self.health.set_leads(true);
            self.metrics.leads.set(1);
            // What was reloaded since the start is taken up at once.
            reloaded.mark_changed();
            tokio::select! {
                () = monitor.run(reloaded.clone(), stop.clone()) => return,
                // Dropped as it stands: the next leader goes on from the store.
                () = lease.lapsed() => {}
            }
        }
    }
}

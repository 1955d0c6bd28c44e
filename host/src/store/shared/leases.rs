//! Leases: the right to do something for all gateways, for a time.
//!
//! No clocks are compared. A holder lets its lease's beat go up; another gateway takes it over once
//! it has seen the same beat for the whole term by its own clock. The holder counts from before it
//! asked, and stops some time before the term ends. The clock is one that goes on while the machine
//! sleeps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

/// The longest time between two looks at whether a lease is still there.
const LOOK: Duration = Duration::from_millis(250);

/// The clock of leases. It goes on while the machine sleeps.
#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// A point in time, by a clock that is never set and never rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// Returns the present one.
    pub fn now() -> Self {
        let time = clock_gettime(CLOCK);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
        Self(Duration::new(seconds, nanos))
    }

    /// Returns the one that comes so much later.
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }

    /// Returns the time since then.
    pub fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

/// The leases that this gateway wants, and has.
#[derive(Debug)]
pub struct Leases {
    wanted: Mutex<BTreeSet<String>>,
    /// Each with the moment until which it is certain.
    held: Mutex<BTreeMap<String, Moment>>,
    changed: watch::Sender<u64>,
    /// The number of tasks under way for a lease.
    underway: AtomicUsize,
}

/// A task under way for a lease, until this is dropped.
#[derive(Debug)]
pub struct Underway(Arc<Leases>);

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.underway.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Default for Leases {
    fn default() -> Self {
        Self {
            wanted: Mutex::default(),
            held: Mutex::default(),
            changed: watch::Sender::new(0),
            underway: AtomicUsize::new(0),
        }
    }
}

impl Leases {
    /// Returns whether no task does what a lease is for.
    pub fn is_idle(&self) -> bool {
        self.underway.load(Ordering::SeqCst) == 0
    }

    /// Returns the names of those that are wanted.
    pub fn wanted(&self) -> Vec<String> {
        self.wanted.lock().iter().cloned().collect()
    }

    /// Sets those that are held, and until when.
    pub fn set(&self, names: impl IntoIterator<Item = String>, until: Moment) {
        let new: BTreeMap<_, _> = names.into_iter().map(|name| (name, until)).collect();
        let mut held = self.held.lock();
        // One that ran out is news where it is held again.
        let now = Moment::now();
        let before = held.iter().filter(|(_, until)| now < **until);
        let changed = !before.map(|(name, _)| name).eq(new.keys());
        *held = new;
        drop(held);
        if changed {
            self.changed.send_modify(|changes| *changes += 1);
        }
    }

    fn holds(&self, name: &str) -> bool {
        self.held
            .lock()
            .get(name)
            .is_some_and(|until| Moment::now() < *until)
    }
}

/// The right to do something that only one gateway may do.
#[derive(Debug, Clone)]
pub struct Lease {
    /// None where there is one gateway only.
    shared: Option<(Arc<Leases>, String)>,
    changed: watch::Receiver<u64>,
}

impl Lease {
    /// Returns one that is always held.
    pub fn alone() -> Self {
        Self {
            shared: None,
            changed: watch::channel(0).1,
        }
    }

    /// Returns one that is held in turns, and asks for it.
    pub fn among(leases: &Arc<Leases>, name: String) -> Self {
        leases.wanted.lock().insert(name.clone());
        let changed = leases.changed.subscribe();
        Self {
            shared: Some((Arc::clone(leases), name)),
            changed,
        }
    }

    /// Returns whether it is held now.
    pub fn holds(&self) -> bool {
        match &self.shared {
            None => true,
            Some((leases, name)) => leases.holds(name),
        }
    }

    /// Counts the caller's task as under way for the lease. The caller drops this once nothing of
    /// it is; there is none where a gateway is alone.
    pub fn underway(&self) -> Option<Underway> {
        let (leases, _) = self.shared.as_ref()?;
        leases.underway.fetch_add(1, Ordering::SeqCst);
        Some(Underway(Arc::clone(leases)))
    }

    /// Returns when it may have come or gone.
    pub async fn changed(&mut self) {
        if self.changed.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns once it is not held.
    pub async fn lapsed(&self) {
        let Some((leases, name)) = &self.shared else {
            return std::future::pending().await;
        };
        loop {
            let until = leases.held.lock().get(name).copied();
            let Some(left) = until.and_then(|until| until.0.checked_sub(Moment::now().0)) else {
                return;
            };
            // It may be given back before.
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }

    /// Returns once it is held.
    pub async fn held(&mut self) {
        while !self.holds() {
            self.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lease_is_held_until_its_moment_and_no_longer() {
        let leases = Arc::new(Leases::default());
        let mut lease = Lease::among(&leases, "a".into());
        assert!(!lease.holds() && leases.wanted() == ["a"]);
        leases.set(
            ["a".to_owned()],
            Moment::now().after(Duration::from_secs(60)),
        );
        lease.held().await;
        leases.set(["a".to_owned()], Moment::now());
        assert!(
            !lease.holds(),
            "its time is over, whatever the database says"
        );
        let later = Moment::now().after(Duration::from_secs(60));
        leases.set(["a".to_owned()], later);
        lease.held().await;
        assert!(Lease::alone().holds());
    }
}

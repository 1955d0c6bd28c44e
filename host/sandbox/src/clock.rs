//! The epoch clock that interrupts plugins, and the time slices of slow calls.
//!
//! Compiled plugins check the engine's epoch at each loop and function. One thread increments it
//! every [`TICK`]. A call whose deadline has passed returns to the host. The host stops the call if
//! it has used up its time, and lets other tasks run otherwise. No call is cut short by another
//! one: the epoch only interrupts, and the decision depends on this call's own run time.
//!
//! A healthy call ends within its first tick (it takes some ten microseconds) and is never
//! interrupted. Any other call is slow and queues with the other slow ones: one fewer of them run
//! at once than the machine has processors. So a looping plugin gets slices of a few milliseconds
//! on one processor, and the other sources are answered on the rest.

use super::error::CallError;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::{Engine, UpdateDeadline};

/// The interval of the epoch. Short: a looping plugin delays others by no more than a network's
/// jitter, even on one processor. Long: 200 wake-ups a second cost about 0.1 % of one processor.
const TICK: Duration = Duration::from_millis(5);

/// A call is looked at for the first time after this many ticks. Two, because the first one may
/// come at once: so every call has at least one whole tick without interruption.
pub(super) const FIRST_TICKS: u64 = 2;

/// Later turns end with the next tick.
const NEXT_TICKS: u64 = 1;

/// The most that one turn counts: its length on an idle machine. A longer turn means that the
/// machine was busy or paused; this must not cost a healthy plugin its call.
const LONGEST_TURN: Duration = TICK.saturating_mul(FIRST_TICKS as u32);

/// After a second without a call the clock stops, and the first call starts it again. At once under
/// test.
const IDLE_TICKS: u32 = if cfg!(test) { 2 } else { 200 };

/// The thread that increments the epoch, with the queue of slow calls. It stops when this is
/// dropped.
pub(super) struct Clock {
    shared: Arc<Shared>,
    slow: Arc<Semaphore>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// A call has started since the last tick. Mostly read, so that calls on several processors do
    /// not fight for it.
    used: AtomicBool,
    asleep: AtomicBool,
    stop: AtomicBool,
}

impl Clock {
    pub(super) fn start(engine: &Engine) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new().name("plugin-clock".into()).spawn({
            let shared = Arc::clone(&shared);
            let engine = engine.clone();
            move || shared.tick(&engine)
        })?;
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let slow = Arc::new(Semaphore::new(processors.saturating_sub(1).max(1)));
        Ok(Self {
            shared,
            slow,
            thread: Some(thread),
        })
    }

    /// The time of a call that starts now.
    pub(super) fn turn(self: &Arc<Self>, limit: Duration) -> Turn {
        self.wake();
        Turn {
            clock: Arc::clone(self),
            limit,
            ran: Duration::ZERO,
            slice: Slice::Fast(Instant::now()),
        }
    }

    /// Returns whether the thread has stopped because no call was running.
    #[cfg(test)]
    pub(super) fn is_asleep(&self) -> bool {
        self.shared.asleep.load(Ordering::SeqCst)
    }

    fn wake(&self) {
        // Either the clock sees `used` before it sleeps, or this sees `asleep`: each side writes
        // before it reads.
        if !self.shared.used.load(Ordering::SeqCst) {
            self.shared.used.store(true, Ordering::SeqCst);
        }
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.unpark();
        }
    }

    fn unpark(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.unpark();
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked, and if it had there would be nothing to do about it here.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn tick(&self, engine: &Engine) {
        let mut idle = 0;
        while !self.stop.load(Ordering::SeqCst) {
            thread::park_timeout(TICK);
            engine.increment_epoch();
            idle = if self.used.swap(false, Ordering::SeqCst) {
                0
            } else {
                idle + 1
            };
            if idle >= IDLE_TICKS {
                self.asleep.store(true, Ordering::SeqCst);
                if !self.used.load(Ordering::SeqCst) && !self.stop.load(Ordering::SeqCst) {
                    thread::park();
                }
                self.asleep.store(false, Ordering::SeqCst);
                idle = 0;
            }
        }
    }
}

/// The time of one call.
pub(super) struct Turn {
    clock: Arc<Clock>,
    limit: Duration,
    /// The run time of the finished turns.
    ran: Duration,
    slice: Slice,
}

enum Slice {
    /// In its first turn, since then.
    Fast(Instant),
    /// In a later one. The waiter for the turn fills it in.
    Slow(Arc<Mutex<Option<SlowSlice>>>),
}

struct SlowSlice {
    since: Instant,
    /// Held while the call runs, so that no other slow one does.
    _place: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// Returns the run time until now, as the limit counts it.
    pub(super) fn ran(&self) -> Duration {
        let slice = match &self.slice {
            Slice::Fast(since) => since.elapsed(),
            Slice::Slow(slice) => slice
                .lock()
                .as_ref()
                .map(|slice| slice.since.elapsed())
                .unwrap_or_default(),
        };
        self.ran + slice
    }

    /// The deadline has passed: stops the call, or lets the others have their turn before it goes
    /// on.
    pub(super) fn deadline(&mut self) -> wasmtime::Result<UpdateDeadline> {
        let turn = match &self.slice {
            Slice::Fast(since) => since.elapsed(),
            Slice::Slow(slice) => slice
                .lock()
                .take()
                .map(|slice| slice.since.elapsed())
                .unwrap_or_default(),
        };
        self.ran += turn.min(LONGEST_TURN);
        if self.ran >= self.limit {
            return Err(CallError::Time { limit: self.limit }.into());
        }
        let slice = Arc::new(Mutex::new(None));
        self.slice = Slice::Slow(Arc::clone(&slice));
        let clock = Arc::clone(&self.clock);
        Ok(UpdateDeadline::YieldCustom(
            NEXT_TICKS,
            Box::pin(async move {
                tokio::task::yield_now().await;
                // It is never closed; were it, the call would go on without a place.
                let place = Arc::clone(&clock.slow).acquire_owned().await.ok();
                clock.wake();
                *slice.lock() = Some(SlowSlice {
                    since: Instant::now(),
                    _place: place,
                });
            }),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paused_machine_costs_a_call_one_turn_only() {
        let clock = Arc::new(Clock::start(&Engine::default()).unwrap());
        let limit = LONGEST_TURN * 5;
        let long_ago = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        let mut turn = clock.turn(limit);
        for stalls in 1..=5 {
            turn.slice = Slice::Fast(long_ago);
            assert_eq!(turn.deadline().is_ok(), stalls < 5, "after {stalls} turns");
        }
    }
}

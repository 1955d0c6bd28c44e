//! Waiting on a thread that may block, for a bounded time: for an answer of the database, or for the
//! writer's queue.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// The bell of one wait. The thread's own token would do, but a late ring would end the thread's next
/// pause.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    rings: Condvar,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *self.rung.lock() = true;
        self.rings.notify_one();
    }
}

/// Waits for a future, at most for so long. It must need no runtime of this thread: an answer of the
/// database waits for its connection, whose socket another thread watches.
pub fn wait<F: Future>(future: F, within: Duration) -> Option<F::Output> {
    let bell = Arc::<Bell>::default();
    let waker = Waker::from(Arc::clone(&bell));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let started = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        let left = within.checked_sub(started.elapsed())?;
        let mut rung = bell.rung.lock();
        if !*rung {
            bell.rings.wait_for(&mut rung, left);
        }
        *rung = false;
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn ring_after_the_wait_ends_no_later_pause() {
        let (sender, receiver) = std::sync::mpsc::channel::<Waker>();
        let late = thread::spawn(move || receiver.recv().unwrap().wake());
        let taken = std::future::poll_fn(|context| {
            sender.send(context.waker().clone()).unwrap();
            Poll::Ready(1)
        });
        assert_eq!(wait(taken, Duration::ZERO), Some(1));
        late.join().unwrap();
        let pause = Duration::from_millis(1);
        let started = Instant::now();
        thread::park_timeout(pause);
        assert!(started.elapsed() >= pause, "the thread was woken");
    }

    #[test]
    fn answer_of_another_thread_is_waited_for() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let answering = thread::spawn(move || {
            thread::park_timeout(Duration::from_millis(5));
            sender.send(7)
        });
        assert_eq!(wait(receiver, Duration::from_secs(60)), Some(Ok(7)));
        answering.join().unwrap().unwrap();
        let never = std::future::pending::<()>();
        assert_eq!(wait(never, Duration::from_millis(1)), None);
    }
}

//! The tasks of one part of the gateway: they stop together, and one that ends early raises the
//! alarm.

use std::time::Instant;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::http::Following;

/// Tasks that stop together.
#[derive(Debug)]
pub struct Tasks {
    stop: CancellationToken,
    tasks: JoinSet<()>,
    broken: CancellationToken,
}

/// Accompanies a task, and raises the alarm if the task ends or panics before the shutdown.
struct Alarm {
    what: &'static str,
    stopped: CancellationToken,
    broken: CancellationToken,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if !self.stopped.is_cancelled() {
            tracing::error!(
                what = self.what,
                "a part of the gateway has ended and should not have: this is a bug"
            );
            self.broken.cancel();
        }
    }
}

impl Tasks {
    /// Returns none yet. `broken` is cancelled when one of them ends early.
    pub fn new(broken: &CancellationToken) -> Self {
        Self {
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
            broken: broken.clone(),
        }
    }

    /// Returns the token that stops them all.
    pub fn stopped(&self) -> &CancellationToken {
        &self.stop
    }

    /// Runs the task that `begin` makes until the shutdown; `what` names it.
    pub fn spawn<T>(&mut self, what: &'static str, begin: impl FnOnce(CancellationToken) -> T)
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.clone();
        let task = begin(stop.clone());
        self.spawn_until(what, stop, task);
    }

    /// Runs a task that is to end once `stopped` is cancelled.
    pub fn spawn_until(
        &mut self,
        what: &'static str,
        stopped: CancellationToken,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let alarm = Alarm {
            what,
            stopped,
            broken: self.broken.clone(),
        };
        self.tasks.spawn(async move {
            task.await;
            drop(alarm);
        });
    }

    /// Keeps a listener's certificate, if it has one, in step with its files.
    pub fn follow(&mut self, certificate: Option<Following>) {
        if let Some(certificate) = certificate {
            self.spawn("the certificate", |stop| certificate.run(stop));
        }
    }

    /// Stops the tasks, and waits for them until `deadline`; `what` names them.
    pub async fn stop(mut self, deadline: Instant, what: &str) {
        self.stop.cancel();
        let finish = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout_at(deadline.into(), finish)
            .await
            .is_err()
        {
            tracing::warn!(
                what,
                "not all of it finished in time; what was accepted is on disk and goes on at the next start"
            );
            self.tasks.shutdown().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn part_that_ends_or_panics_early_raises_the_alarm() {
        let broken = CancellationToken::new();
        let mut tasks = Tasks::new(&broken);
        tasks.spawn("one that stops in order", |stop| async move {
            stop.cancelled().await
        });
        tasks
            .stop(Instant::now() + Duration::from_secs(60), "all")
            .await;
        assert!(!broken.is_cancelled());

        for panics in [false, true] {
            let broken = CancellationToken::new();
            let mut tasks = Tasks::new(&broken);
            tasks.spawn("one that is gone", |_| async move {
                assert!(!panics, "on purpose")
            });
            broken.cancelled().await;
        }
    }
}

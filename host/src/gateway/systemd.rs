//! Tells systemd how the gateway is (`Type=notify-reload`), where the unit asks for it by
//! `NOTIFY_SOCKET`, and pings its watchdog while every part of the gateway runs.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

/// Says that requests are taken, with a line for `systemctl status`.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Asks for more time to start, again and again until the guard is dropped: an older store is copied
/// and brought up, which takes as long as it is large.
pub fn starting() -> Starting {
    let task = tokio::spawn(async {
        loop {
            tokio::time::sleep(STEP).await;
            let more = u32::try_from(3 * STEP.as_micros()).unwrap_or(u32::MAX);
            tell(&[NotifyState::ExtendTimeoutUsec(more)]);
        }
    });
    Starting(task)
}

/// The time between two of these requests: less than any usual `TimeoutStartSec=`.
const STEP: Duration = Duration::from_secs(20);

/// A start under way.
#[derive(Debug)]
pub struct Starting(tokio::task::JoinHandle<()>);

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Says that the configuration is being read again. [`ready`] must follow.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        // Both in one message, as systemd wants them.
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "systemd is not told of the reload"),
    }
}

/// Says that the gateway is stopping.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(
            %error,
            "systemd is not told how the gateway is: does the unit allow AF_UNIX in RestrictAddressFamilies?"
        );
    }
}

/// Pings systemd's watchdog until `stop` is cancelled, while nothing is `broken`. A gateway whose
/// tasks do not run any more pings no more either, so systemd restarts it.
pub async fn watchdog(broken: CancellationToken, stop: CancellationToken) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return stop.cancelled().await;
    };
    // As systemd advises: twice within the limit.
    let every = (limit / 2).max(Duration::from_millis(1));
    while !broken.is_cancelled() {
        tell(&[NotifyState::Watchdog]);
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = stop.cancelled() => return,
        }
    }
    stop.cancelled().await;
}

//! `run`: the gateway itself.

use anyhow::{Context, anyhow};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigFile, Outcome, block_on, check, compile};
use crate::config::Config;
use crate::gateway::{Gateway, Options};
use crate::log_filter::LogFilter;

/// The arguments of `run`.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    file: ConfigFile,
    /// Bring up a store of an older schema without a copy of it: there is a backup
    #[arg(long)]
    no_copy: bool,
}

/// Runs the gateway until it is told to stop.
pub fn run(what: &Run, log: LogFilter) -> Outcome {
    no_dumps();
    small_pages();
    let path = what.file.path()?;
    let config = match Config::load(&path) {
        Ok(config) => config,
        // The plugins say in the same pass what is wrong with their settings.
        Err(_) => return Err(check::failure(&path)?),
    };
    block_on(async {
        // Before anything is started, so that a signal during the start is not lost.
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
        let mut options = Options {
            log,
            compiler: Some(compile::command),
            ..Options::default()
        };
        options.store.copy_for = (!what.no_copy).then_some(config.retention.age);
        let mut gateway = Gateway::start(&config, &options).await?;
        let broken = gateway.broken();
        let whole = tokio::select! {
            _ = terminate.recv() => true,
            _ = interrupt.recv() => true,
            () = broken.cancelled() => false,
            never = gateway.attend(hangup) => match never {},
        };
        gateway.stop().await;
        if whole {
            Ok(())
        } else {
            Err(
                anyhow!("a part of the gateway ended by itself: start it again, and see the log")
                    .into(),
            )
        }
    })
}

/// Keeps memory in small pages. A page of 2 MiB is resident as a whole, however little of it is used:
/// 12 MB of an idle gateway and 10 MB of a busy one, for no less processor time. The allocator asks
/// for none by itself; a kernel may give them to everything.
fn small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "memory may come in pages of 2 MiB");
    }
}

/// Keeps secrets and requests out of core dumps, and out of reach of other processes of the same
/// user.
fn no_dumps() {
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        tracing::warn!(%error, "a core dump of this process would hold its secrets");
    }
}

//! `run`: the gateway itself.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigFile, Outcome, block_on};
use crate::gateway::{Gateway, Options};

pub fn run(file: &ConfigFile) -> Outcome {
    let config = file.load()?;
    block_on(async {
        // Before anything is started, so that a signal during the start is not lost.
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let gateway = Gateway::start(&config, &Options::default()).await?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        gateway.stop().await;
        Ok(())
    })
}

//! `run`: the gateway itself.

use std::convert::Infallible;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{ConfigFile, Outcome, block_on};
use crate::gateway::{Gateway, Options};

pub fn run(file: &ConfigFile) -> Outcome {
    let config = file.load()?;
    block_on(async {
        // Before anything is started, so that a signal during the start is not lost.
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
        let mut gateway = Gateway::start(&config, &Options::default()).await?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            never = reload_at(hangup, &mut gateway) => match never {},
        }
        gateway.stop().await;
        Ok(())
    })
}

/// Reloads at each signal. One that comes during a reload is remembered and leads to another, which reads what is written
/// by then.
async fn reload_at(mut hangup: Signal, gateway: &mut Gateway) -> Infallible {
    loop {
        hangup.recv().await;
        gateway.reload().await;
    }
}

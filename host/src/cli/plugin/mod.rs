//! `plugin`: an author's way from nothing to a plugin that runs.

pub mod build;
mod dev;
mod new;

use clap::Subcommand;

use super::{ConfigFile, Failure, Outcome, block_on, trial};

/// What to do with a plugin.
#[derive(Debug, Subcommand)]
pub enum Plugins {
    /// Make a plugin to start from
    New(new::New),
    /// Compile a plugin to wasm, and print the line that configures it
    Build(build::Build),
    /// Serve a plugin's source on this machine while you write it
    Dev(dev::Dev),
}

pub fn plugin(what: &Plugins) -> Outcome {
    match what {
        Plugins::New(what) => new::new(what),
        Plugins::Build(what) => build::build(what),
        Plugins::Dev(what) => dev::dev(what),
    }
}

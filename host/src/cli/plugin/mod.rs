//! `plugin`: an author's way from nothing to a plugin that runs.

pub mod build;
mod new;

use clap::Subcommand;

use super::{Failure, Outcome};

/// What to do with a plugin.
#[derive(Debug, Subcommand)]
pub enum Plugins {
    /// Make a plugin to start from
    New(new::New),
    /// Compile a plugin to wasm, and print the line that configures it
    Build(build::Build),
}

pub fn plugin(what: &Plugins) -> Outcome {
    match what {
        Plugins::New(what) => new::new(what),
        Plugins::Build(what) => build::build(what),
    }
}

//! `plugin`: an author's way from nothing to a plugin that runs.

pub mod build;

use clap::Subcommand;

use super::{Failure, Outcome};

/// What to do with a plugin.
#[derive(Debug, Subcommand)]
pub enum Plugins {
    /// Compile a plugin to wasm, and print the line that configures it
    Build(build::Build),
}

pub fn plugin(what: &Plugins) -> Outcome {
    match what {
        Plugins::Build(what) => build::build(what),
    }
}

//! `man`: the man pages, one for each command, made of the same words as `--help`.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};

use super::{Cli, Outcome};

/// Writes the man pages of all commands into a folder.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway man /tmp/man && man -l /tmp/man/alert-gateway.1
  sudo alert-gateway man /usr/local/share/man/man1")]
pub struct Manual {
    /// The folder, which is made if need be
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Writes them.
pub fn manual(what: &Manual) -> Outcome {
    let failed = || format!("cannot write man pages into {}", what.dir.display());
    std::fs::create_dir_all(&what.dir).with_context(failed)?;
    clap_mangen::generate_to(Cli::command(), &what.dir).with_context(failed)?;
    Ok(())
}

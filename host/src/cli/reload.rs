//! `reload`: has the running gateway read its configuration again, and waits for the outcome.

use std::io::Write;

use anyhow::anyhow;
use clap::Args;

use super::{ConfigFile, Failure, Outcome, block_on, plain};
use crate::gateway::control::{Answer, NoAnswer, Question, ask};

/// Has the gateway that runs here read its configuration again, and waits for the outcome.
///
/// The gateway checks everything first, and applies all of it or nothing; no request is lost, and
/// none is refused for it. Destinations, sources with their plugins, secrets and limits are taken
/// up. A change of another table needs a restart and is refused. Environment variables stay as they
/// were at the start.
///
/// The gateway is reached by a Unix socket in `data_dir`, so the command runs as root or as the
/// gateway's user, and `admin = "off"` does not matter.
///
/// Exit codes: 0, the configuration is in use; 1, it was refused, or no gateway runs; 2, `data_dir`
/// cannot be read from the configuration.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway reload
  sudo alert-gateway reload --config /etc/alert-gateway/gateway.toml")]
pub struct Reload {
    #[command(flatten)]
    file: ConfigFile,
}

pub fn reload(what: &Reload) -> Outcome {
    let data_dir = what.file.data_dir()?;
    match block_on(async { Ok(ask(&data_dir, &Question::Reload).await?) })? {
        Answer::Reloaded { summary, warnings } => {
            for warning in warnings {
                eprintln!("warning: {}", plain::lines(&warning));
            }
            writeln!(std::io::stdout(), "reloaded: {summary}")?;
            Ok(())
        }
        Answer::Hop(_)
        | Answer::Tested
        | Answer::Traced { .. }
        | Answer::Answered { .. }
        | Answer::Log { .. }
        | Answer::Looked { .. } => Err(NoAnswer::Stopped.into()),
        Answer::Refused { problems, why } => {
            if problems.is_empty() {
                return Err(Failure::Run(anyhow!("{why}; all goes on as it was")));
            }
            for problem in &problems {
                eprintln!("error: {}", plain::lines(problem));
            }
            let problems = super::check::counted(problems.len(), "problem");
            Err(Failure::Run(anyhow!(
                "the configuration has {problems}; all goes on as it was"
            )))
        }
    }
}

//! `log-level`: shows and changes which lines the running gateway logs.

use std::io::Write;

use anyhow::anyhow;
use clap::Args;
use serde::Deserialize;

use super::{Outcome, Place, audit, block_on, plain};
use crate::gateway::control::{Answer, NoAnswer, Question, ask};

/// Shows which lines the running gateway logs, or changes it until the next start.
///
/// Nothing else changes, and no restart is needed. The change stands in the audit.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway log-level
  alert-gateway log-level debug
  alert-gateway log-level info,alert_gateway::delivery=debug
  alert-gateway log-level --reset
  alert-gateway log-level debug --remote https://gateway.example.com:9090")]
pub struct LogLevel {
    #[command(flatten)]
    place: Place,
    /// error, warn, info, debug or trace, also for one part
    #[arg(value_name = "FILTER")]
    filter: Option<String>,
    /// Return to what the gateway began with
    #[arg(long, conflicts_with = "filter")]
    reset: bool,
}

/// The answer of another gateway.
#[derive(Deserialize)]
struct Filter {
    filter: String,
}

/// Shows or changes the filter.
pub fn log_level(what: &LogLevel) -> Outcome {
    let changes = what.reset || what.filter.is_some();
    let filter = if let Some(client) = what.place.remote()? {
        let answer: Filter = block_on(async {
            if !changes {
                return client.get("/log").await;
            }
            let body = serde_json::json!({ "filter": what.filter });
            let changed = client.act("/log", body).await?;
            Ok(changed.map_err(|why| anyhow!(why))?)
        })?;
        answer.filter
    } else {
        let data_dir = what.place.file.data_dir()?;
        let question = if changes {
            Question::Log {
                filter: what.filter.clone(),
                who: audit::user(),
            }
        } else {
            Question::LogShown
        };
        match block_on(async { Ok(ask(&data_dir, &question).await?) })? {
            Answer::Log { filter } => filter,
            Answer::Refused { why, .. } => return Err(super::Failure::Usage(why)),
            _ => return Err(NoAnswer::Stopped.into()),
        }
    };
    Ok(writeln!(std::io::stdout(), "{}", plain::line(&filter))?)
}

//! Logs, to standard error: text for a person, JSON for a machine.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// The options of every command have a heading of their own, behind those of the command.
const GLOBAL: &str = "Global options";

/// The options of the log.
#[derive(Debug, Args)]
pub struct Logging {
    /// The form of log lines [default: text on a terminal, else json]
    #[arg(long, global = true, value_name = "FORMAT", help_heading = GLOBAL)]
    log_format: Option<Format>,
    /// The lines that are logged: error, warn, info, debug or trace, also for one part, as in
    /// info,alert_gateway::intake=debug
    #[arg(long, global = true, value_name = "FILTER", env = "ALERT_GATEWAY_LOG", help_heading = GLOBAL)]
    log: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For a person
    Text,
    /// One object a line
    Json,
}

impl Logging {
    /// Starts logging. A command other than the gateway itself logs only errors, unless it is asked
    /// for more.
    pub fn start(&self, gateway: bool) {
        let default = if gateway { "info" } else { "error" };
        let wanted = self.log.as_deref().unwrap_or(default);
        let filter = EnvFilter::try_new(wanted).unwrap_or_else(|error| {
            eprintln!("--log {wanted}: {error}; logging at {default}");
            EnvFilter::new(default)
        });
        let terminal = std::io::stderr().is_terminal();
        let format = self.log_format.unwrap_or(if terminal || !gateway {
            Format::Text
        } else {
            Format::Json
        });
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr);
        match format {
            Format::Text => subscriber.with_ansi(terminal).with_target(false).init(),
            Format::Json => subscriber.json().flatten_event(true).init(),
        }
    }
}

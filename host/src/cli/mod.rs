//! What a person types, and what the program says back.
//!
//! Exit codes: 0, it worked; 1, it failed while it ran; 2, what was asked for or configured is wrong.

mod check;
mod demo;
mod events;
mod logging;
mod plain;
mod plugin;
mod run;
mod single;
mod store;
mod trial;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::config::{Config, Problems};

/// Takes webhooks, lets sandboxed plugins read them, and delivers the alerts to ITOC360 until it has them.
///
/// Start with `alert-gateway demo`, which shows one alert going all the way on this machine alone. Then write a
/// gateway.toml, see what `alert-gateway check` thinks of it, and `alert-gateway run`.
#[derive(Debug, Parser)]
#[command(name = "alert-gateway", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    logging: logging::Logging,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until SIGTERM or SIGINT; SIGHUP has it read its configuration again
    ///
    /// SIGHUP (systemctl reload) takes up `[sources]`, with their plugins and the files that secrets are in, and `[limits]`, all
    /// in one step; no request is lost, and none is refused for it. If anything in the configuration is wrong, or something
    /// has changed in another table, nothing is taken up, the log says why, and all goes on as it was. Environment variables
    /// stay as they were at the start.
    Run(ConfigFile),
    /// Say what a configuration means, or all that is wrong with it
    Check(ConfigFile),
    /// Read a request from a file through the real sandbox, and show what would be sent; nothing is stored or sent
    Try(trial::Try),
    /// What came in and what became of it
    #[command(subcommand)]
    Events(events::Events),
    /// Whether what is kept is whole, and a copy of it
    #[command(subcommand)]
    Store(store::Stores),
    /// Write a plugin of your own: from nothing to a wasm file that is tested, measured and runs
    #[command(subcommand)]
    Plugin(plugin::Plugins),
    /// Show one alert going all the way, on this machine alone: sender, gateway, a stand-in for ITOC360
    Demo(demo::Demo),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// How long a read that nobody waits for any more may hold up the end.
const LEFT_OVER: Duration = Duration::from_secs(1);

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
struct ConfigFile {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", default_value = "gateway.toml")]
    config: PathBuf,
}

/// Why a command failed, as an exit code and a message.
#[derive(Debug)]
enum Failure {
    /// What was asked for or configured is wrong.
    Usage(String),
    /// It failed while it ran.
    Run(anyhow::Error),
}

type Outcome = Result<(), Failure>;

/// Does what the command line asks.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.logging.start(matches!(cli.command, Command::Run(_)));
    let outcome = match cli.command {
        Command::Run(file) => run::run(&file),
        Command::Check(file) => check::check(&file),
        Command::Try(what) => trial::try_out(&what),
        Command::Events(what) => events::events(&what),
        Command::Store(what) => store::store(&what),
        Command::Plugin(what) => plugin::plugin(&what),
        Command::Demo(what) => demo::demo(&what),
        Command::Completions { shell } => {
            // Into memory first, because it panics where it cannot write.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "alert-gateway", &mut script);
            std::io::stdout().write_all(&script).map_err(Failure::from)
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure @ Failure::Usage(_)) => {
            eprintln!("{failure}");
            ExitCode::from(2)
        }
        // Who reads this through `head` has seen enough.
        Err(Failure::Run(error)) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

impl ConfigFile {
    fn load(&self) -> Result<Config, Failure> {
        Ok(Config::load(&self.config)?)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Usage(message) => f.write_str(message.trim_end()),
            Self::Run(error) => write!(f, "error: {error:#}"),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        match error.downcast::<Problems>() {
            Ok(problems) => Self::Usage(problems.to_string()),
            Err(error) => Self::Run(error),
        }
    }
}

/// Runs a future to its end on this thread and one more for each further processor.
fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(future);
    // What is still read then is read for nobody, and may be on a disk that never answers.
    runtime.shutdown_timeout(LEFT_OVER);
    outcome
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

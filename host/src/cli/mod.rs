//! The command line: its commands, their arguments, and the words of their answers.
//!
//! Exit codes: 0, it worked; 1, it failed while it ran; 2, the arguments or the configuration are
//! wrong.

mod audit;
mod caches;
mod case_files;
mod check;
mod columns;
mod compile;
mod demo;
mod env_file;
mod events;
mod groups;
mod hash_password;
mod health;
mod init;
mod location;
mod log_level;
mod logging;
mod manual;
mod mute;
mod owner;
mod plain;
mod plugin;
mod reload;
mod remote;
mod run;
mod schema;
mod single;
mod store;
mod test;
mod top;
mod trial;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{Problem, Problems, causes};
use location::ConfigFile;
use remote::Place;

/// Takes webhooks, lets sandboxed plugins read them, and delivers the alerts to ITOC360 until it
/// has them.
///
/// Start with `alert-gateway demo`, which shows one alert going all the way on this machine alone.
/// Then let `alert-gateway init` write a gateway.toml, see what `alert-gateway check` thinks of it,
/// and `alert-gateway run`.
#[derive(Debug, Parser)]
#[command(name = "alert-gateway", version, max_term_width = 100)]
#[command(after_help = "Examples:
  alert-gateway demo
  alert-gateway init
  alert-gateway check --config gateway.toml
  alert-gateway run --config gateway.toml
  alert-gateway events list --state pending")]
struct Cli {
    #[command(flatten)]
    logging: logging::Logging,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a first configuration, with a folder for its secrets and one for its data
    Init(init::Init),
    /// Run the gateway until SIGTERM or SIGINT; SIGHUP has it read its configuration again
    ///
    /// SIGHUP takes up `[destinations]`, `[sources]` with their plugins, and `[limits]`, all in one
    /// step; no request is lost, and none is refused for it. If anything in the configuration is
    /// wrong, or something has changed in another table, nothing is taken up, the log says why, and
    /// all goes on as it was. The files that secrets are in are followed: a replaced one is taken
    /// up within seconds. Environment variables stay as they were at the start.
    ///
    /// `alert-gateway reload` does the same, and waits for the outcome. Under systemd
    /// (`Type=notify-reload`) the gateway says when it is ready, reloads and stops, and pings the
    /// watchdog while all of its parts run.
    #[command(after_help = RUN_EXAMPLES)]
    Run(run::Run),
    /// Have the gateway that runs here read its configuration again, and wait for the outcome
    Reload(reload::Reload),
    /// Show or change which lines the running gateway logs, without a restart
    LogLevel(log_level::LogLevel),
    /// Explain a configuration, or list everything that is wrong with it
    Check(check::Check),
    /// Ask the gateway that runs here whether it answers: exit code 0 or 1, and one line
    Health(health::Health),
    /// Read a request from a file through the real sandbox, and show what would be sent; nothing is
    /// stored or sent
    Try(trial::Try),
    /// Try the way of an alert with a genuine one: from the sender's side of the proxy to the receipt
    Test(test::Test),
    /// List, show, replay and export what came in
    #[command(subcommand)]
    Events(events::Events),
    /// List the actions of operators: who did what, when, from where, why
    Audit(audit::Audit),
    /// Hold alerts back for a time: add, list and end mutes
    #[command(subcommand)]
    Mute(mute::Mute),
    /// List groups: each is one alert at the destination for many events
    Groups(groups::Groups),
    /// Show what a gateway does now, again and again
    ///
    /// Its sources, its destinations, what waits and the newest events. It asks the gateway's socket in
    /// data_dir; users whom that does not let in ask the admin listener, with its token. `q` ends it,
    /// the space bar looks at once.
    /// Where the output is no terminal all of it is printed once.
    Top(top::Top),
    /// Print the hash of a password, for `password` in [[admin.users]]
    ///
    /// It reads the password from the terminal, which does not show it, or one line of the standard
    /// input.
    HashPassword(hash_password::HashPassword),
    /// Check the store, or copy it while the gateway runs
    #[command(subcommand)]
    Store(store::Stores),
    /// Write a plugin of your own: from nothing to a wasm file that is tested, measured and runs
    #[command(subcommand)]
    Plugin(plugin::Plugins),
    /// Show one alert going all the way, on this machine alone: sender, gateway, a stand-in for
    /// ITOC360
    Demo(demo::Demo),
    /// Compile the plugin on the standard input into the cache of a gateway that starts
    #[command(hide = true)]
    Compile(compile::Compile),
    /// Print the JSON Schema of the configuration, for editors; the settings of bundled plugins are in
    /// it
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema,
    /// Write the man pages
    Man(manual::Manual),
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

const RUN_EXAMPLES: &str = "Examples:
  alert-gateway run
  alert-gateway run --config /etc/alert-gateway/gateway.toml --log debug
  alert-gateway reload";

const SCHEMA_EXAMPLES: &str = "Examples:
  alert-gateway schema > gateway.schema.json
  # then, as the first line of gateway.toml:
  #:schema ./gateway.schema.json";

const COMPLETIONS_EXAMPLES: &str = "Examples:
  alert-gateway completions bash > /etc/bash_completion.d/alert-gateway
  alert-gateway completions zsh > ~/.zfunc/_alert-gateway";

/// The longest time that an abandoned read may delay the end.
const LEFT_OVER: Duration = Duration::from_secs(1);

/// The failure of a command: an exit code and a message.
#[derive(Debug)]
enum Failure {
    /// The arguments are wrong.
    Usage(String),
    /// The configuration is wrong.
    Configuration {
        /// Everything that is wrong with it.
        errors: Vec<Problem>,
        /// The number of warnings, which were printed already.
        warnings: usize,
    },
    /// The configuration is wrong, and the output says so already.
    Told,
    /// The command failed while it ran.
    Run(anyhow::Error),
}

type Outcome = Result<(), Failure>;

/// Does what the command line asks.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // Before root gives its privileges up.
    audit::user();
    let log = cli.logging.start(matches!(cli.command, Command::Run(_)));
    let outcome = match cli.command {
        Command::Init(what) => init::init(&what),
        Command::Run(what) => run::run(&what, log),
        Command::Reload(what) => reload::reload(&what),
        Command::LogLevel(what) => log_level::log_level(&what),
        Command::Check(what) => check::check(&what),
        Command::Try(what) => trial::try_out(&what),
        Command::Test(what) => test::test(&what),
        Command::Events(what) => events::events(&what),
        Command::Audit(what) => audit::audit(&what),
        Command::Mute(what) => mute::mute(&what),
        Command::Groups(what) => groups::groups(&what),
        Command::Top(what) => top::top(&what),
        Command::HashPassword(what) => hash_password::hash_password(&what),
        Command::Store(what) => store::store(&what),
        Command::Plugin(what) => plugin::plugin(&what),
        Command::Health(what) => health::health(&what),
        Command::Compile(what) => compile::compile(what),
        Command::Schema => schema::schema(),
        Command::Man(what) => manual::manual(&what),
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
        Err(Failure::Told) => ExitCode::from(2),
        // A reader such as `head` has seen enough.
        Err(Failure::Run(error)) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(failure) => {
            // It may quote a file, a database or a server of others.
            let told = plain::lines(&failure.to_string());
            // Where nothing reads it, the exit code says enough.
            let _ = writeln!(std::io::stderr(), "{told}");
            if matches!(failure, Failure::Run(_)) {
                ExitCode::FAILURE
            } else {
                ExitCode::from(2)
            }
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Usage(message) => write!(f, "error: {}", message.trim_end()),
            Self::Configuration { errors, warnings } => {
                for cause in causes(errors) {
                    writeln!(f, "error: {cause}")?;
                }
                f.write_str(&check::counted(errors.len(), "error"))?;
                match warnings {
                    0 => Ok(()),
                    warnings => write!(f, ", {}", check::counted(*warnings, "warning")),
                }
            }
            Self::Told => Ok(()),
            Self::Run(error) => write!(f, "error: {error:#}"),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        match error.downcast::<Problems>() {
            Ok(Problems(errors)) => Self::Configuration {
                errors,
                warnings: 0,
            },
            Err(error) => Self::Run(error),
        }
    }
}

/// Runs a future to its end on this thread and one more for each further processor.
fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(future);
    // A read that still runs then is wanted by nobody, and may be on a disk that never answers.
    runtime.shutdown_timeout(LEFT_OVER);
    outcome
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

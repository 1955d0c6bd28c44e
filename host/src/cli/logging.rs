//! Logs, to standard error: text for a person, JSON for a machine. The journal of systemd is told
//! the level of each line, and keeps the time itself.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use clap::{Args, ValueEnum};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, Writer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use super::plain;
use crate::log_filter::LogFilter;

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person
    Text,
    /// One object a line
    Json,
}

impl Logging {
    /// Starts logging, and returns the filter. A command other than the gateway itself logs only
    /// errors, unless it is asked for more.
    pub fn start(&self, gateway: bool) -> LogFilter {
        let default = if gateway { "info" } else { "error" };
        let wanted = self.log.as_deref().unwrap_or(default);
        let made = LogFilter::new(wanted).or_else(|error| {
            eprintln!("--log {wanted}: {error}; logging at {default}");
            LogFilter::new(default)
        });
        let Ok((filter, layer)) = made else {
            return LogFilter::default();
        };
        let terminal = io::stderr().is_terminal();
        let format = self.log_format.unwrap_or(if terminal || !gateway {
            Format::Text
        } else {
            Format::Json
        });
        let lines = lines(format, terminal, goes_to_the_journal());
        Registry::default().with(layer).with(lines).init();
        filter
    }
}

type Filtered = tracing_subscriber::layer::Layered<
    tracing_subscriber::reload::Layer<tracing_subscriber::EnvFilter, Registry>,
    Registry,
>;

/// Returns the layer that writes lines.
fn lines(format: Format, ansi: bool, journal: bool) -> Box<dyn Layer<Filtered> + Send + Sync> {
    let layer = tracing_subscriber::fmt::layer().with_writer(|| Plain(io::stderr()));
    let text = format::format().with_target(false).with_ansi(ansi);
    let json = format::format().json().flatten_event(true);
    match (format, journal) {
        (Format::Text, false) => layer.with_ansi(ansi).event_format(text).boxed(),
        (Format::Json, false) => layer
            .fmt_fields(format::JsonFields::new())
            .event_format(json)
            .boxed(),
        (Format::Text, true) => layer
            .with_ansi(false)
            .event_format(Journal(text.with_ansi(false).without_time()))
            .boxed(),
        (Format::Json, true) => layer
            .fmt_fields(format::JsonFields::new())
            .event_format(Journal(json.without_time()))
            .boxed(),
    }
}

/// Writes lines whose text of strangers hides or turns nothing on a terminal.
struct Plain<W>(W);

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A line is written at once.
        let text = String::from_utf8_lossy(line);
        self.0.write_all(plain::logged(&text).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Returns whether standard error is a stream of the journal, as systemd says in `JOURNAL_STREAM`.
fn goes_to_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let metadata = io::stderr()
        .as_fd()
        .try_clone_to_owned()
        .and_then(|stderr| std::fs::File::from(stderr).metadata());
    metadata.is_ok_and(|found| stream == format!("{}:{}", found.dev(), found.ino()))
}

/// A line for the journal: it begins with its level, as sd-daemon(3) says.
struct Journal<F>(F);

impl<S, N, F> FormatEvent<S, N> for Journal<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str(prefix(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// Returns the words by which the journal knows a level.
fn prefix(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

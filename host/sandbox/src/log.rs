//! The log lines of plugins go to the gateway's own log, with the source and the plugin beside it,
//! and not without end: a plugin runs once for each request, so its lines are limited for each
//! call, and over time for each source and level.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;
use tracing::{Level, debug, error, info, trace, warn};

/// Lines that one call may log. What is beyond is counted, and said in one line.
pub(super) const MAX_LINES: u32 = 64;

/// The most bytes that one call may log; its last line is cut there.
pub(super) const MAX_BYTES: usize = 8 * 1024;

/// The most lines and bytes that one source's calls may log at one level within [`PERIOD`]: two
/// calls' full allowance.
const PERIOD_LINES: u32 = 2 * MAX_LINES;
const PERIOD_BYTES: usize = 2 * MAX_BYTES;

/// The time the lines of a source are counted together.
const PERIOD: Duration = Duration::from_secs(60);

/// Bytes of an error that are kept.
pub(super) const MAX_ERROR: usize = 4 * 1024;

/// The recent log lines of one plugin's sources. A request costs a stranger little, so a plugin
/// with a log line for each must not fill the log's disk.
#[derive(Default)]
pub(super) struct Throttle(Mutex<HashMap<(Arc<str>, Kind), Period>>);

/// The kinds of lines that are counted together.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// The plugin's own, of a level.
    Line(Level),
    /// Those that say that a call logged too much.
    Cut,
}

#[derive(Clone, Copy)]
struct Period {
    began: Instant,
    lines: u32,
    bytes: usize,
    suppressed: u32,
}

impl Throttle {
    /// Returns whether a line of so many bytes may be written now, and if so, how many were
    /// suppressed before it.
    fn admit(&self, source: &Arc<str>, kind: Kind, bytes: usize, now: Instant) -> Option<u32> {
        let mut periods = self.0.lock();
        let fresh = Period {
            began: now,
            lines: 0,
            bytes: 0,
            suppressed: 0,
        };
        let period = periods.entry((Arc::clone(source), kind)).or_insert(fresh);
        let suppressed = if now.duration_since(period.began) >= PERIOD {
            std::mem::replace(period, fresh).suppressed
        } else {
            0
        };
        let most = match kind {
            Kind::Line(_) => PERIOD_LINES,
            Kind::Cut => 1,
        };
        if period.lines >= most || period.bytes >= PERIOD_BYTES {
            period.suppressed = period.suppressed.saturating_add(1);
            return None;
        }
        period.lines += 1;
        period.bytes += bytes;
        Some(suppressed)
    }
}

/// The log of one call.
pub(super) struct CallLog {
    throttle: Arc<Throttle>,
    plugin: Arc<str>,
    source: Arc<str>,
    lines: u32,
    bytes: usize,
    suppressed: u32,
    is_muted: bool,
}

impl CallLog {
    pub(super) fn new(throttle: Arc<Throttle>, plugin: Arc<str>, source: &str) -> Self {
        Self {
            throttle,
            plugin,
            source: source.into(),
            lines: 0,
            bytes: 0,
            suppressed: 0,
            is_muted: false,
        }
    }

    /// Logs nothing from now on.
    pub(super) fn mute(&mut self) {
        self.is_muted = true;
    }

    /// Logs this text, or as much of it as the call may still log.
    pub(super) fn write(&mut self, level: Level, text: &[u8]) {
        // A level that nobody reads costs the call nothing, in time or in lines.
        if self.is_muted || level > LevelFilter::current() {
            return;
        }
        if self.lines >= MAX_LINES || self.bytes >= MAX_BYTES {
            self.suppressed = self.suppressed.saturating_add(1);
            return;
        }
        let text = &text[..text.len().min(MAX_BYTES - self.bytes)];
        self.lines += 1;
        self.bytes += text.len();
        let source = &*self.source;
        let plugin = &*self.plugin;
        let kind = Kind::Line(level);
        match self
            .throttle
            .admit(&self.source, kind, text.len(), Instant::now())
        {
            None => return,
            Some(0) => {}
            Some(suppressed) => {
                let level = level.as_str();
                warn!(
                    source,
                    plugin,
                    level,
                    suppressed,
                    "the plugin logged too much in a minute; lines were suppressed"
                );
            }
        }
        let text = one_line(text);
        match level {
            Level::ERROR => error!(source, plugin, "{text}"),
            Level::WARN => warn!(source, plugin, "{text}"),
            Level::INFO => info!(source, plugin, "{text}"),
            Level::DEBUG => debug!(source, plugin, "{text}"),
            _ => trace!(source, plugin, "{text}"),
        }
    }

    /// The level that Extism's `get_log_level` answers: 0 for trace to 4 for error, and the largest
    /// number for none.
    pub(super) fn level() -> i32 {
        match LevelFilter::current().into_level() {
            Some(Level::TRACE) => 0,
            Some(Level::DEBUG) => 1,
            Some(Level::INFO) => 2,
            Some(Level::WARN) => 3,
            Some(Level::ERROR) => 4,
            None => i32::MAX,
        }
    }
}

impl Drop for CallLog {
    fn drop(&mut self) {
        if self.suppressed == 0 {
            return;
        }
        let now = Instant::now();
        if let Some(left_out) = self.throttle.admit(&self.source, Kind::Cut, 0, now) {
            warn!(
                source = &*self.source,
                plugin = &*self.plugin,
                suppressed = self.suppressed,
                left_out,
                "the plugin logged too much in one call; {} further lines were suppressed",
                self.suppressed
            );
        }
    }
}

/// A plugin's message, where it goes into an error that is kept: on one line, and no more than
/// [`MAX_ERROR`] of it.
pub(super) fn said(text: &[u8]) -> String {
    one_line(&text[..text.len().min(MAX_ERROR)])
}

/// The text on one line: what could end a line, or steer a terminal, is written as an escape.
fn one_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).trim_end().chars().fold(
        String::with_capacity(text.len()),
        |mut line, c| {
            if c.is_control() {
                let _ = write!(line, "{}", c.escape_default());
            } else {
                line.push(c);
            }
            line
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_source_are_throttled_over_time_and_by_level() {
        let throttle = Throttle::default();
        let (flood, calm): (Arc<str>, Arc<str>) = ("flood".into(), "calm".into());
        let start = Instant::now();
        let admitted = (0..1000)
            .filter(|_| {
                throttle
                    .admit(&flood, Kind::Line(Level::WARN), 10, start)
                    .is_some()
            })
            .count();
        assert_eq!(admitted, PERIOD_LINES as usize);
        assert_eq!(
            throttle.admit(&flood, Kind::Line(Level::ERROR), 10, start),
            Some(0),
            "another level"
        );
        assert_eq!(
            throttle.admit(&calm, Kind::Line(Level::WARN), 10, start),
            Some(0),
            "another source"
        );
        assert_eq!(
            throttle.admit(&flood, Kind::Line(Level::WARN), 10, start + PERIOD),
            Some(1000 - PERIOD_LINES)
        );
        assert_eq!(
            throttle.admit(&flood, Kind::Line(Level::WARN), 10, start + PERIOD),
            Some(0)
        );
    }

    #[test]
    fn long_lines_are_throttled_by_their_bytes() {
        let (throttle, source): (_, Arc<str>) = (Throttle::default(), "a".into());
        let now = Instant::now();
        assert_eq!(
            (0..100)
                .filter(|_| throttle
                    .admit(&source, Kind::Line(Level::INFO), MAX_BYTES, now)
                    .is_some())
                .count(),
            2
        );
    }
}

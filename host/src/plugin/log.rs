//! What a plugin logs goes to the gateway's own log, with the source and the plugin beside it, and not without end: a
//! plugin runs once for each request, so what it may say is limited a call.

use std::fmt::Write as _;
use std::sync::Arc;
use tracing::level_filters::LevelFilter;
use tracing::{Level, debug, error, info, trace, warn};

/// Lines that one call may log. What is beyond is counted, and said in one line.
pub(super) const MAX_LINES: u32 = 64;

/// Bytes that one call may log; the line that passes the limit is cut there.
pub(super) const MAX_BYTES: usize = 8 * 1024;

/// Bytes of an error that are kept.
const MAX_ERROR: usize = 4 * 1024;

/// The log of one call.
pub(super) struct CallLog {
    plugin: Arc<str>,
    source: String,
    lines: u32,
    bytes: usize,
    suppressed: u32,
}

impl CallLog {
    pub(super) fn new(plugin: Arc<str>, source: &str) -> Self {
        Self { plugin, source: source.to_owned(), lines: 0, bytes: 0, suppressed: 0 }
    }

    /// Logs this text, or as much of it as the call may still log.
    pub(super) fn write(&mut self, level: Level, text: &[u8]) {
        // A level that nobody reads costs the call nothing, in time or in lines.
        if level > LevelFilter::current() {
            return;
        }
        if self.lines >= MAX_LINES || self.bytes >= MAX_BYTES {
            self.suppressed = self.suppressed.saturating_add(1);
            return;
        }
        let text = &text[..text.len().min(MAX_BYTES - self.bytes)];
        self.lines += 1;
        self.bytes += text.len();
        let (source, plugin, text) = (self.source.as_str(), &*self.plugin, one_line(text));
        match level {
            Level::ERROR => error!(source, plugin, "{text}"),
            Level::WARN => warn!(source, plugin, "{text}"),
            Level::INFO => info!(source, plugin, "{text}"),
            Level::DEBUG => debug!(source, plugin, "{text}"),
            _ => trace!(source, plugin, "{text}"),
        }
    }

    /// The level that Extism's `get_log_level` answers: 0 for trace to 4 for error, and the largest number for none.
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
        if self.suppressed > 0 {
            warn!(
                source = self.source.as_str(),
                plugin = &*self.plugin,
                suppressed = self.suppressed,
                "the plugin logged too much in one call; {} further lines were suppressed",
                self.suppressed
            );
        }
    }
}

/// What a plugin said, where it goes into an error that is kept: on one line, and no more than [`MAX_ERROR`] of it.
pub(super) fn said(text: &[u8]) -> String {
    one_line(&text[..text.len().min(MAX_ERROR)])
}

/// The text on one line: what could end a line, or steer a terminal, is written as an escape.
fn one_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).trim_end().chars().fold(String::with_capacity(text.len()), |mut line, c| {
        if c.is_control() {
            let _ = write!(line, "{}", c.escape_default());
        } else {
            line.push(c);
        }
        line
    })
}

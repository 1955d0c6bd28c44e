//! The log lines of plugins, and their limits.

use super::*;
use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::Level;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt;

/// The log of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn at(level: Level) -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = fmt()
            .with_ansi(false)
            .with_max_level(level)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().clone()).unwrap();
        text.lines()
            .filter(|line| line.contains("sandbox::log"))
            .map(str::to_owned)
            .collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const TEXT: &str = r#"(data (i32.const 32768) "all is \1b[1mwell\nreally\ff")
    (func $line (result i64) (call $text (i32.const 32768) (i32.const 24)))"#;

async fn log(read: &str) {
    let plugin = load(ByHand {
        read,
        more: TEXT,
        ..ByHand::default()
    })
    .await;
    assert_answered(&plugin.read("twilio-prod", INPUT, &LIMITS).await);
}

#[tokio::test]
async fn a_line_names_its_source_and_its_plugin_and_stays_one_line() {
    let (found, _guard) = Log::at(Level::TRACE);
    log("(call $log_warn (call $line)) (call $log_trace (call $line)) (call $answer)").await;
    let lines = found.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].contains(" WARN ") && lines[1].contains("TRACE "),
        "{lines:?}"
    );
    assert!(
        lines[0].contains(r#"all is \u{1b}[1mwell\nreally"#),
        "{lines:?}"
    );
    assert!(
        lines[0].contains(r#"source="twilio-prod" plugin="hand-made""#),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_flood_is_cut_off_and_said_so_in_one_line() {
    let (found, _guard) = Log::at(Level::INFO);
    let plugin = load(ByHand {
        read: "(loop $next
            (call $log_info (call $line))
            (local.set $a (i64.add (local.get $a) (i64.const 1)))
            (br_if $next (i64.lt_u (local.get $a) (i64.const 5000))))
        (call $answer)",
        more: TEXT,
        ..ByHand::default()
    })
    .await;
    assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
    let lines = found.lines();
    assert_eq!(lines.len(), 65, "{lines:?}");
    assert!(
        lines[64].contains("4936 further lines were suppressed"),
        "{lines:?}"
    );
    // Each call is cut off, and a minute has one line about it.
    for _ in 0..5 {
        assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
    }
    assert_eq!(found.lines().len(), 65 + 64);
}

#[tokio::test]
async fn long_lines_are_cut_at_the_limit_of_bytes() {
    let (found, _guard) = Log::at(Level::INFO);
    let more = format!(r##"(data (i32.const 32768) "{}")"##, "#".repeat(20_000));
    let read = "(call $log_error (call $text (i32.const 32768) (i32.const 20000)))
        (call $log_error (call $text (i32.const 32768) (i32.const 20000))) (call $answer)";
    let plugin = load(ByHand {
        read,
        more: &more,
        ..ByHand::default()
    })
    .await;
    assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
    let lines = found.lines();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].matches('#').count(), 8192);
    assert!(lines[1].contains("1 further lines were suppressed"));
}

#[tokio::test]
async fn a_message_is_freed_and_one_at_no_handle_is_ignored() {
    let read = checked(
        "(local.set $a (call $alloc (i64.const 8)))
         (call $log_error (local.get $a))
         (call $log_error (i64.const -1))
         (call $log_info (i64.const 3))",
        &[("(call $length (local.get $a))", 0)],
    );
    assert_answered(&super::read(&read).await);
}

#[tokio::test]
async fn the_level_is_one_that_extism_knows() {
    let (_log, _guard) = Log::at(Level::TRACE);
    assert_answered(
        &read(&checked(
            "",
            &[("(i64.extend_i32_s (call $get_log_level))", 0)],
        ))
        .await,
    );
}

//! The mail for an alert: subject, thread, and the same words as text and as HTML.
//!
//! Each event has a `Message-ID` of its own, which its repeats share, so that a mailbox that knows
//! it shows it once. All mails about one fingerprint name the same message in `References` and
//! `In-Reply-To`, so mail programs show them as one thread. That message does not exist: were the
//! first mail to have that id, the first one of the next incident would have it too, and mailboxes
//! would drop it as a duplicate.

use std::fmt::Write as _;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};
use plugin_sdk::contract::{Priority, Status};
use sha2::{Digest, Sha256};

use super::super::words::{cut, facts, heading, link, priority};
use crate::alert::Alert;

/// The most characters of a subject, of the message, of a fact and of the details.
const SUBJECT_MAX: usize = 200;
const MESSAGE_MAX: usize = 20_000;
const FACT_MAX: usize = 500;
const DETAILS_MAX: usize = 20_000;

/// A mail, ready to be sent.
pub(super) struct Rendered {
    pub(super) bytes: Vec<u8>,
    /// Its `Message-ID`, which repeats of its event share.
    pub(super) id: String,
    /// The id that all mails of its thread name.
    pub(super) thread: String,
}

/// Renders the mail for `alert`.
pub(super) fn render(alert: &Alert, from: &Mailbox, to: &[Mailbox]) -> Rendered {
    let fingerprint = alert.fingerprint();
    let domain = from.email.domain();
    let thread = format!("<{fingerprint}@{domain}>");
    let id = format!("<{}.{fingerprint}@{domain}>", event(alert));
    let mut message = Message::builder()
        .from(from.clone())
        .subject(subject(alert))
        .message_id(Some(id.clone()))
        .in_reply_to(thread.clone())
        .references(thread.clone())
        .date_now();
    for to in to {
        message = message.to(to.clone());
    }
    let mut message = message
        .multipart(MultiPart::alternative_plain_html(text(alert), html(alert)))
        .expect("a mail with a sender and a recipient is one");
    // So that no absence note answers it.
    add(&mut message, "Auto-Submitted", "auto-generated");
    if alert.event.status == Status::Trigger
        && matches!(alert.event.priority, Priority::Critical | Priority::High)
    {
        add(&mut message, "Importance", "high");
    }
    Rendered {
        bytes: message.formatted(),
        id,
        thread,
    }
}

fn add(message: &mut Message, name: &'static str, value: &str) {
    let name = HeaderName::new_from_ascii_str(name);
    message
        .headers_mut()
        .insert_raw(HeaderValue::new(name, value.to_owned()));
}

/// Returns what tells the event from others of its fingerprint.
fn event(alert: &Alert) -> String {
    let mut digest = Sha256::new();
    for part in [
        &*alert.source,
        &*alert.event.event_id,
        alert.event.status.as_str(),
    ] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let bytes = digest.finalize();
    bytes.iter().take(8).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Returns priority and title in one line: what breaks a line in a header would begin another
/// header.
fn subject(alert: &Alert) -> String {
    let line = one_line(&heading(alert));
    let priority = priority(alert.event.priority).to_uppercase();
    cut(&format!("[{priority}] {line}"), SUBJECT_MAX).into_owned()
}

fn one_line(text: &str) -> String {
    let is_break = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let line: String = text
        .chars()
        .map(|c| if is_break(c) { ' ' } else { c })
        .collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the details as a person reads them.
fn details(alert: &Alert) -> Option<String> {
    let raw = alert.event.details.as_ref()?.get();
    // What is cut anyway need not be laid out.
    let pretty = (raw.len() <= 8 * DETAILS_MAX)
        .then(|| serde_json::from_str::<serde_json::Value>(raw).ok())
        .flatten()
        .and_then(|value| serde_json::to_string_pretty(&value).ok());
    let text = pretty.unwrap_or_else(|| raw.to_owned());
    Some(cut(&text, DETAILS_MAX).into_owned())
}

fn text(alert: &Alert) -> String {
    let mut text = format!("{}\n", one_line(&cut(&heading(alert), FACT_MAX)));
    if let Some(message) = &alert.event.message {
        let _ = write!(text, "\n{}\n", cut(message, MESSAGE_MAX));
    }
    text.push('\n');
    for (name, value) in facts(alert) {
        let value = one_line(&cut(&value, FACT_MAX));
        let _ = writeln!(text, "{}: {value}", one_line(&cut(&name, FACT_MAX)));
    }
    if let Some(link) = link(alert) {
        let _ = write!(text, "\n{}\n", one_line(link));
    }
    if let Some(details) = details(alert) {
        let _ = write!(text, "\n{details}\n");
    }
    text
}

fn html(alert: &Alert) -> String {
    let mut html = format!(
        "<!doctype html><html><body style=\"font-family:sans-serif\"><h2>{}</h2>\n",
        escaped(&cut(&heading(alert), FACT_MAX))
    );
    if let Some(message) = &alert.event.message {
        let message = escaped(&cut(message, MESSAGE_MAX));
        let _ = writeln!(html, "<p style=\"white-space:pre-wrap\">{message}</p>");
    }
    html.push_str("<table cellpadding=\"4\">\n");
    for (name, value) in facts(alert) {
        let name = escaped(&cut(&name, FACT_MAX));
        let value = escaped(&cut(&value, FACT_MAX));
        let _ = writeln!(
            html,
            "<tr><th align=\"left\">{name}</th><td>{value}</td></tr>"
        );
    }
    html.push_str("</table>\n");
    if let Some(link) = link(alert) {
        let link = escaped(link);
        let _ = writeln!(html, "<p><a href=\"{link}\">{link}</a></p>");
    }
    if let Some(details) = details(alert) {
        let _ = writeln!(html, "<pre>{}</pre>", escaped(&details));
    }
    html.push_str("</body></html>\n");
    html
}

/// Returns text that is no markup, neither between tags nor in an attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::{alert, long};
    use super::*;

    fn rendered(alert: &Alert) -> String {
        let mailbox = |text: &str| text.parse::<Mailbox>().unwrap();
        let to = [mailbox("a@example.com"), mailbox("B <b@example.com>")];
        let mail = render(alert, &mailbox("Alerts <alerts@example.org>"), &to);
        String::from_utf8(mail.bytes).unwrap()
    }

    /// The head, with what was folded in one line each.
    fn head(mail: &str) -> Vec<String> {
        let head = mail.split("\r\n\r\n").next().unwrap();
        head.replace("\r\n ", " ")
            .split("\r\n")
            .map(str::to_owned)
            .collect()
    }

    fn header(mail: &str, name: &str) -> String {
        let start = format!("{name}: ");
        let found: Vec<_> = head(mail)
            .into_iter()
            .filter(|line| line.starts_with(&start))
            .collect();
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        found[0][start.len()..].to_owned()
    }

    #[test]
    fn mail_has_subject_recipients_and_both_parts() {
        let mail = rendered(&alert(Status::Trigger));
        assert_eq!(
            header(&mail, "Subject"),
            "[HIGH] 11200 <HTTP> retrieval failure"
        );
        assert_eq!(header(&mail, "To"), "a@example.com, B <b@example.com>");
        assert_eq!(header(&mail, "From"), "Alerts <alerts@example.org>");
        assert_eq!(header(&mail, "Auto-Submitted"), "auto-generated");
        assert_eq!(header(&mail, "Importance"), "high");
        for part in [
            "Content-Type: text/plain",
            "Content-Type: text/html",
            "error_code: 11200",
            "https://example.com/NO1",
            "11200 &lt;HTTP&gt; retrieval failure",
            "line 1",
        ] {
            // Without the breaks of long lines.
            let whole = mail.replace("=\r\n", "");
            assert!(whole.contains(part), "{part}: {mail}");
        }
        let resolved = rendered(&alert(Status::Resolve));
        assert_eq!(
            header(&resolved, "Subject"),
            "[HIGH] Resolved: 11200 <HTTP> retrieval failure"
        );
    }

    #[test]
    fn open_update_and_resolve_are_one_thread_and_three_mails() {
        let open = alert(Status::Trigger);
        let mut update = alert(Status::Trigger);
        update.event.key = Some(open.event.key().to_owned());
        update.event.event_id = "NO2".into();
        let mut resolve = alert(Status::Resolve);
        resolve.event.key = Some(open.event.key().to_owned());
        resolve.event.event_id = "NO3".into();
        let mails = [&open, &update, &resolve].map(rendered);
        let thread = header(&mails[0], "References");
        assert_eq!(thread, format!("<{}@example.org>", open.fingerprint()));
        for mail in &mails {
            assert_eq!(header(mail, "References"), thread);
            assert_eq!(header(mail, "In-Reply-To"), thread);
        }
        let mut ids = mails.each_ref().map(|mail| header(mail, "Message-ID"));
        ids.sort();
        assert!(ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
        // A repeat is the same mail.
        assert_eq!(
            header(&rendered(&open), "Message-ID"),
            header(&mails[0], "Message-ID")
        );
    }

    #[test]
    fn title_of_a_stranger_adds_no_header() {
        for title in [
            "x\r\nBcc: eve@example.com",
            "x\nBcc: eve@example.com",
            "x\r\n\r\nBcc: eve@example.com",
            "ü\u{2028}\r\nBcc: eve@example.com",
            &("y".repeat(190) + "\r\nBcc: eve@example.com"),
            "=?utf-8?q?x=0D=0ABcc: eve@example.com?=",
        ] {
            let mut alert = alert(Status::Trigger);
            alert.event.title = title.to_owned();
            alert
                .event
                .labels
                .insert(title.to_owned(), title.to_owned());
            let mail = rendered(&alert);
            let lines = head(&mail);
            assert!(
                lines.iter().all(|line| !line.starts_with("Bcc")),
                "{title:?}: {lines:?}"
            );
            assert_eq!(
                lines.len(),
                head(&rendered(&super::super::super::fixture::alert(
                    Status::Trigger
                )))
                .len()
            );
        }
    }

    #[test]
    fn markup_of_a_stranger_is_text() {
        let mut alert = alert(Status::Trigger);
        alert.event.title = "<script>alert('x')</script>".into();
        alert.event.link = Some("https://example.com/\"onmouseover=\"x".into());
        let html = html(&alert);
        assert!(
            !html.contains("<script") && !html.contains("\"onmouseover"),
            "{html}"
        );
        alert.event.link = Some("javascript:alert(1)".into());
        assert!(!super::html(&alert).contains("javascript"));
    }

    #[test]
    fn long_alert_becomes_a_bounded_mail_of_short_lines() {
        let mail = rendered(&long());
        assert!(mail.len() < 2 * 1024 * 1024, "{}", mail.len());
        assert!(mail.split("\r\n").all(|line| line.len() <= 998));
        assert!(mail.is_ascii(), "it needs no 8BITMIME");
    }
}

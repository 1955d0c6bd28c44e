//! One alert from one member of a notification, however odd the member is.

use std::collections::BTreeMap;

use plugin_sdk::contract::{Alert, Note, NoteKind, Request, Status};
use plugin_sdk::json::{Object, text};
use plugin_sdk::time;
use serde_json::value::RawValue;

use crate::notification::Notification;
use crate::settings::Settings;
use crate::words::{PLACES, Words};
use crate::{details, identity};

/// The host keeps no more.
const MAX_LABELS: usize = 64;

/// The host keeps no longer one.
const MAX_LINK: usize = 2048;

/// The alert that a member is.
pub fn alert(
    member: &RawValue,
    notification: &Notification<'_>,
    request: &Request,
    settings: &Settings,
) -> Alert {
    let fields = Object::read(member.get());
    let labels = fields.object("labels");
    let annotations = fields.object("annotations");
    let group = &notification.group;
    let status = status(&fields, notification);
    let identity = identity::of(
        member,
        &fields,
        &labels,
        status,
        settings.repeats,
        &request.received_at,
    );
    let severity = labels.text(&settings.severity_label);
    let (priority, known) = settings.priority(severity.as_deref());
    let mut notes = Vec::new();
    if !known {
        notes.push(Note::new(
            NoteKind::UnknownPriority,
            &settings.severity_label,
            &severity.unwrap_or_default(),
        ));
    }
    let word = fields.text("status").or_else(|| group.text("status"));
    if let Some(word) = word.filter(|word| !is_known(word)) {
        notes.push(Note::new(NoteKind::UnknownStatus, "status", &word));
    }
    let words = Words {
        json: member.get(),
        fields: &fields,
        labels: &labels,
        annotations: &annotations,
    };
    let title = words.title();
    let when = match status {
        Status::Trigger => "startsAt",
        Status::Resolve => "endsAt",
    };
    let sent = identity::time(&fields, when);
    let occurred_at = sent.as_deref().and_then(time::as_sent);
    if occurred_at.is_none() {
        let (kind, found) = match &sent {
            Some(sent) => (NoteKind::UnreadableTime, &**sent),
            None => (NoteKind::NoTime, ""),
        };
        notes.push(Note::new(kind, when, found));
    }
    Alert {
        key: Some(identity.key),
        status,
        notes,
        message: words.message(&title),
        occurred_at,
        link: link(&fields, &annotations, &notification.group),
        labels: passed_on(&labels, &settings.severity_label),
        details: details::of(member, &notification.group),
        ..Alert::new(identity.event_id, priority, title)
    }
}

/// The status of a member, or of the notification. A word that is not known is better heard than
/// missed: it closes nothing.
fn status(fields: &Object<'_>, notification: &Notification<'_>) -> Status {
    let status = fields
        .text("status")
        .or_else(|| notification.group.text("status"));
    match status.is_some_and(|status| status.eq_ignore_ascii_case("resolved")) {
        true => Status::Resolve,
        false => Status::Trigger,
    }
}

/// Returns whether a word is one of the two of Alertmanager's protocol. Those of other vendors are
/// none of it.
fn is_known(word: &str) -> bool {
    ["firing", "resolved"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(word))
}

/// The page about this very event: the query's graph, or Grafana's rule. Where the sender does not
/// know its own address, the next best.
fn link(fields: &Object<'_>, annotations: &Object<'_>, group: &Object<'_>) -> Option<String> {
    let is_link = |link: &str| {
        let plain = link.bytes().all(|byte| byte.is_ascii_graphic());
        plain
            && link.len() <= MAX_LINK
            && (link.starts_with("https://") || link.starts_with("http://"))
    };
    let candidates = [
        (fields, "generatorURL"),
        (annotations, "runbook_url"),
        (fields, "dashboardURL"),
        (group, "externalURL"),
    ];
    candidates
        .into_iter()
        .filter_map(|(of, name)| of.text(name))
        .find(|link| is_link(link))
}

/// The labels. Of more than the host keeps, those go first that say least about where it is.
fn passed_on(labels: &Object<'_>, severity_label: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, value) in labels.members() {
        if let Some(value) = text(value) {
            all.insert(name.to_owned(), value);
        }
    }
    if all.len() <= MAX_LABELS {
        return all;
    }
    let tells =
        |name: &str| name == "alertname" || name == severity_label || PLACES.contains(&name);
    let mut passed = BTreeMap::new();
    for telling in [true, false] {
        for (name, value) in all.iter().filter(|(name, _)| tells(name) == telling) {
            if passed.len() < MAX_LABELS {
                passed.insert(name.clone(), value.clone());
            }
        }
    }
    passed
}

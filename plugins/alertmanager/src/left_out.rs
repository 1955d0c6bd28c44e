//! Alerts that nobody would hear of, told as an alert of its own.
//!
//! Alertmanager cuts a group at the receiver's `max_alerts` and says how many are missing. They can
//! be firing as well as resolved, and nothing more is known of them: so somebody is paged, as
//! urgently as for the most urgent one that was not cut. The same goes for what exceeds the host's
//! limit on one request. The group's alert says so once a day and number; it is for a person to
//! close, because no notification tells that an earlier one was cut.

use plugin_sdk::contract::{Alert, MAX_ALERTS, Priority, Request};
use plugin_sdk::signature::sha256;
use plugin_sdk::text::line;

use crate::details;
use crate::notification::Notification;

/// The length of a date, of which the time of receipt begins with one.
const DATE_BYTES: usize = 10;

const MAX_GROUP_CHARS: usize = 150;

/// The number of missing alerts of a group.
pub struct LeftOut {
    /// Cut by Alertmanager.
    pub by_sender: u64,
    /// Beyond the limit of one request.
    pub by_plugin: usize,
}

impl LeftOut {
    /// Returns whether any is missing.
    pub fn any(&self) -> bool {
        self.by_sender > 0 || self.by_plugin > 0
    }
}

/// The alert that says so.
pub fn alert(
    left_out: &LeftOut,
    notification: &Notification<'_>,
    request: &Request,
    priority: Priority,
) -> Alert {
    let LeftOut {
        by_sender,
        by_plugin,
    } = left_out;
    let group = notification.group_key();
    let key = format!("left-out:{}", sha256(group.as_bytes()).hex());
    let day = request
        .received_at
        .get(..DATE_BYTES)
        .unwrap_or(&request.received_at);
    let count = by_sender.saturating_add(*by_plugin as u64);
    let name = if group.is_empty() {
        "a group".to_owned()
    } else {
        format!("group {}", line(&group, MAX_GROUP_CHARS))
    };
    let noun = if count == 1 {
        "1 alert is"
    } else {
        &format!("{count} alerts are")
    };
    let mut lines = Vec::new();
    if *by_sender > 0 {
        lines.push(format!(
            "Alertmanager cut {by_sender} off its notification, because the group has more than the receiver's \
             `max_alerts`. What is missing may be firing: look at Alertmanager. To fix it, set `max_alerts: 0` (no \
             limit), or group by more labels."
        ));
    }
    if *by_plugin > 0 {
        lines.push(format!(
            "One notification can open {MAX_ALERTS} alerts at most, and {by_plugin} of this one did not fit. What is \
             missing may be firing: look at Alertmanager. To fix it, group by more labels."
        ));
    }
    lines.extend(
        notification
            .group
            .text("externalURL")
            .map(|url| format!("Alertmanager: {}", line(&url, 400))),
    );
    Alert {
        key: Some(key.clone()),
        message: Some(lines.join("\n")),
        details: details::of_group(&notification.group),
        ..Alert::new(
            format!("{key}/{day}/{count}"),
            priority,
            format!("{noun} missing from Alertmanager's {name}"),
        )
    }
}

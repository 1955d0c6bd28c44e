//! Internal alerts: the words and keys of every alert that the gateway raises about itself.
//!
//! Each is about something that has a name, and its key is made of topic and name, so that the
//! alert that fires and the one that resolves it meet at the destination. None repeats what a
//! sender or a plugin said: that stays with `events show`, which needs the store.

use std::time::Duration;

use plugin_sdk::contract::{Alert, Priority, Status};

use super::group::{Guard, Shared, shown_time};

/// The label by which rules find internal alerts of a topic.
const ABOUT: &str = "about";

/// The topic of an internal alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A source whose plugin fails.
    PluginFailed,
    /// A source of which nothing came for longer than its `expect_every`.
    MissedHeartbeat,
    /// A destination that refuses everything until the operator fixes something.
    DestinationHeld,
    /// A destination that has not answered for long.
    DestinationFailing,
    /// A destination that is no longer configured, and that alerts wait for.
    DestinationGone,
    /// A destination with dead letters: it rejected alerts, or they cannot be read from the store.
    DeadLetters,
    /// A source that refuses requests of a proved sender for their shape.
    Rejected,
    /// A source that keeps no more failed requests of unproved senders.
    QuotaUsedUp,
    /// A source that sends so much that its events are grouped.
    Storm,
    /// Nothing can be stored.
    StoreFailing,
    /// The identities of events exceed their bound.
    IdentitiesFull,
}

impl Topic {
    /// Every topic.
    const ALL: [Self; 11] = [
        Self::PluginFailed,
        Self::MissedHeartbeat,
        Self::DestinationHeld,
        Self::DestinationFailing,
        Self::DestinationGone,
        Self::DeadLetters,
        Self::Rejected,
        Self::QuotaUsedUp,
        Self::Storm,
        Self::StoreFailing,
        Self::IdentitiesFull,
    ];

    /// Returns the topic of a key, and the name in it; none of a key that an earlier version knew.
    pub fn of(key: &str) -> Option<(Self, &str)> {
        Self::ALL.into_iter().find_map(|topic| {
            let name = topic.name_in(key).or((key == topic.as_str()).then_some(""));
            name.map(|name| (topic, name))
        })
    }

    /// Returns the word in keys and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PluginFailed => "plugin-failed",
            Self::MissedHeartbeat => "missed-heartbeat",
            Self::DestinationHeld => "destination-held",
            Self::DestinationFailing => "destination-failing",
            Self::DestinationGone => "destination-gone",
            Self::DeadLetters => "dead-letters",
            Self::Rejected => "rejected",
            Self::QuotaUsedUp => "quota-used-up",
            Self::Storm => "storm",
            Self::StoreFailing => "store-failing",
            Self::IdentitiesFull => "identities-full",
        }
    }

    /// Returns the key of the alert on this topic about the source or destination `name`.
    pub fn key(self, name: &str) -> String {
        if name.is_empty() {
            self.as_str().to_owned()
        } else {
            format!("{}/{name}", self.as_str())
        }
    }

    /// Returns the name in a key of this topic.
    pub fn name_in(self, key: &str) -> Option<&str> {
        key.strip_prefix(self.as_str())?.strip_prefix('/')
    }

    /// Returns an alert that fires. The store gives it its event id.
    pub fn fires(self, name: &str, title: String, message: String) -> Alert {
        let mut alert = Alert::new("", Priority::High, title);
        alert.key = Some(self.key(name));
        alert.message = Some(message);
        alert
            .labels
            .insert(ABOUT.to_owned(), self.as_str().to_owned());
        if !name.is_empty() {
            alert.labels.insert("name".to_owned(), name.to_owned());
        }
        alert
    }

    /// Returns the alert that resolves it.
    pub fn resolves(self, name: &str) -> Alert {
        let (title, message) = match self {
            Self::PluginFailed => (
                format!("No failed request of source {name} is left"),
                "Every request that the plugin had failed on has been read or dismissed."
                    .to_owned(),
            ),
            Self::MissedHeartbeat => (
                format!("Source {name} is heard of again"),
                "A request came in, or none is expected any more.".to_owned(),
            ),
            Self::DestinationHeld | Self::DestinationFailing => (
                format!("Destination {name} takes alerts again"),
                "What waited on disk is on its way; nothing was lost. If it rejects an alert, another \
                 one tells so."
                    .to_owned(),
            ),
            Self::DestinationGone => (
                format!("No alert waits for the missing destination {name} any more"),
                "A destination has this name again, or nothing waits for it.".to_owned(),
            ),
            Self::DeadLetters => (
                format!("Destination {name} has no dead letter any more"),
                "Every dead letter was sent again, was dismissed, or is kept no longer.".to_owned(),
            ),
            Self::Rejected => (
                format!("Requests of source {name} are accepted again"),
                "Nothing of a proved sender has been refused for ten minutes.".to_owned(),
            ),
            Self::QuotaUsedUp => (
                format!("Requests of source {name} are accepted again"),
                "There is room for failed requests again.".to_owned(),
            ),
            Self::Storm => (
                format!("The storm of source {name} is over"),
                "Its rate has been below the threshold for long enough. Its events are alerts of \
                 their own again."
                    .to_owned(),
            ),
            Self::StoreFailing => (
                "The alert gateway stores requests again".to_owned(),
                "The disk takes what is written.".to_owned(),
            ),
            Self::IdentitiesFull => (
                "The alert gateway has room for identities again".to_owned(),
                "All events of [retention] age are known again when they are repeated.".to_owned(),
            ),
        };
        Alert {
            status: Status::Resolve,
            ..self.fires(name, title, message)
        }
    }
}

/// Returns the alert that resolves `event` at its former destination, because its topic is reported
/// elsewhere now. It says nothing of the condition itself.
pub fn moved(event: Alert) -> Alert {
    let title = "This is told at another destination of the alert gateway now".to_owned();
    let message = "The configuration names another. Whether it is over shows there.".to_owned();
    Alert {
        status: Status::Resolve,
        title,
        message: Some(message),
        ..event
    }
}

/// Returns the alert that resolves one whose topic an earlier version knew under another name.
pub fn obsolete(key: &str) -> Alert {
    let mut alert = Alert::new(
        "",
        Priority::High,
        "This version of the alert gateway reports this under another name",
    );
    alert.status = Status::Resolve;
    alert.key = Some(key.to_owned());
    alert
}

/// A plugin failed on a request: `kind` is the word for how, `advice` what its author can do.
pub fn plugin_failed(source: &str, plugin: &str, kind: &str, advice: &str, request: &str) -> Alert {
    let mut alert = Topic::PluginFailed.fires(
        source,
        format!("Plugin {plugin} failed on a request of source {source} ({kind})"),
        format!(
            "The request is kept, and no alert was made of it. What failed: alert-gateway events show {request}\n\
             {advice}\n\
             Once the plugin is fixed and the gateway reloaded (SIGHUP) or restarted: alert-gateway events replay {request}\n\
             All that wait: alert-gateway events list --source {source} --state failed\n\
             Further failures of this source within an hour are kept and not reported."
        ),
    );
    for (name, value) in [("plugin", plugin), ("kind", kind), ("request", request)] {
        alert.labels.insert(name.to_owned(), value.to_owned());
    }
    alert
}

/// Nothing came from a source for as long as `expect_every` says.
pub fn missed_heartbeat(source: &str, expect_every: &str, last_seen: Option<&str>) -> Alert {
    let last_seen = last_seen.map_or_else(
        || "It has never been heard of.".to_owned(),
        |at| format!("Last heard of: {at}."),
    );
    Topic::MissedHeartbeat.fires(
        source,
        format!("Nothing has come from source {source} for {expect_every}"),
        format!(
            "{last_seen} Time during which the gateway did not run is not counted.\n\
             Look whether the sender still has this source's URL, and whether its requests are rejected, or its plugin fails \
             on them: the gateway's log and alert_gateway_requests_total{{source=\"{source}\"}} tell."
        ),
    )
}

/// A destination refuses everything.
pub fn destination_held(name: &str, why: &str) -> Alert {
    Topic::DestinationHeld.fires(
        name,
        format!("Destination {name} is held: it refuses every alert"),
        format!("{why}\nAlerts wait on disk, and go out by themselves once this is fixed."),
    )
}

/// A destination has failed for as long as `lasting` says, or longer: where few alerts wait, it
/// takes longer to be sure.
pub fn destination_failing(name: &str, why: &str, lasting: &str) -> Alert {
    Topic::DestinationFailing.fires(
        name,
        format!("Destination {name} has been failing for {lasting} or longer"),
        format!("{why}\nAlerts wait on disk, and go out by themselves once it answers."),
    )
}

/// Alerts wait for a destination that is not configured.
pub fn destination_gone(name: &str, alerts: i64) -> Alert {
    Topic::DestinationGone.fires(
        name,
        match alerts {
            1 => format!("1 alert waits for destination {name}, which is not configured any more"),
            _ => format!(
                "{alerts} alerts wait for destination {name}, which is not configured any more"
            ),
        },
        "They are kept, and go out once a destination has this name again.".to_owned(),
    )
}

/// A destination has dead letters: it rejected alerts, or the store cannot read them.
pub fn dead_letters(name: &str, alerts: i64) -> Alert {
    Topic::DeadLetters.fires(
        name,
        match alerts {
            1 => format!("Destination {name} has 1 dead letter"),
            _ => format!("Destination {name} has {alerts} dead letters"),
        },
        "The destination rejected them, or they are unreadable in the store.\n\
         Which: alert-gateway events list --state dead\n\
         Why, for each: alert-gateway events show <request>. What is unreadable: alert-gateway store check\n\
         Once the cause is fixed: alert-gateway events replay --dead"
            .to_owned(),
    )
}

/// A sender that proved itself is refused for the shape of its requests: `outcome` is the word for
/// why, as in the metric.
pub fn rejected(source: &str, outcome: &str, request: &str) -> Alert {
    let mut alert = Topic::Rejected.fires(
        source,
        format!("Source {source} refuses requests of its own sender ({outcome})"),
        format!(
            "The sender proved itself, and what it sends is not what the source is set up for, so events are lost.\n\
             The log has the reason under request {request}. too_large: raise `body` in [sources.{source}.limits]; method: \
             have it send POST; malformed: look whether the source has the right plugin.\n\
             How many: alert_gateway_requests_total{{source=\"{source}\",outcome=\"{outcome}\"}}"
        ),
    );
    for (name, value) in [("outcome", outcome), ("request", request)] {
        alert.labels.insert(name.to_owned(), value.to_owned());
    }
    alert
}

/// A source keeps as many failed requests of unproved senders as it may.
pub fn quota_used_up(source: &str, requests: i64, mebibytes: i64) -> Alert {
    Topic::QuotaUsedUp.fires(
        source,
        format!("Source {source} keeps no more requests that its plugin fails on"),
        format!(
            "Its plugin fails on requests whose sender nothing has proved, and {requests} of them, or {mebibytes} MiB, are \
             kept. Senders are answered 503 until some are read or dismissed.\n\
             Look at them: alert-gateway events list --source {source} --state failed\n\
             A `token` for the source proves its sender before the plugin is called, and keeps strangers out."
        ),
    )
}

/// A source sends more than its threshold, and its events are grouped. `by` names the labels.
pub fn storm(source: &str, guard: Guard, by: &Shared) -> Alert {
    let Guard {
        count,
        within_ms,
        calm_after_ms,
    } = guard;
    let time = |ms: i64| shown_time(Duration::from_millis(ms.unsigned_abs()));
    let by: Vec<_> = by.iter().map(|(name, _)| name.as_str()).collect();
    let grouped = match by.as_slice() {
        [] => "are one group, and so one alert".to_owned(),
        by => format!("are grouped by {}, one alert for each group", by.join(", ")),
    };
    Topic::Storm.fires(
        source,
        format!("Source {source} has sent more than {count} events in {}", time(within_ms)),
        format!(
            "From now on its events {grouped}, until the rate has been below the threshold for {}. Each event is stored.\n\
             See: alert-gateway events list --source {source} --state grouped",
            time(calm_after_ms)
        ),
    )
}

/// Nothing can be stored.
pub fn store_failing(why: &str) -> Alert {
    let mut alert = Topic::StoreFailing.fires(
        "",
        "The alert gateway cannot store requests".to_owned(),
        format!(
            "{why}. Senders are answered 503 and asked to try again; what was accepted before is safe.\n\
             Give the disk of data_dir room, or repair it; the gateway goes on by itself."
        ),
    );
    alert.priority = Priority::Critical;
    alert
}

/// The identities of events are about to exceed their bound.
pub fn identities_full(bytes: u64, bound: u64) -> Alert {
    Topic::IdentitiesFull.fires(
        "",
        "The alert gateway is about to forget events that were paged for".to_owned(),
        format!(
            "Identities take {bytes} bytes of the {bound} that [retention] identities allows. The oldest are forgotten, and \
             open again if they are repeated. Raise `identities`, or lower `age`, in [retention]."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A storm of a source whose events are grouped by `by`.
    fn storm_by(by: &[&str]) -> Alert {
        let guard = Guard {
            count: 20,
            within_ms: 300_000,
            calm_after_ms: 600_000,
        };
        let by = by.iter().map(|name| ((*name).to_owned(), String::new()));
        storm("x", guard, &by.collect())
    }

    #[test]
    fn storm_says_by_which_labels_its_events_are_grouped() {
        for (by, said) in [
            (
                &["code", "site"][..],
                "are grouped by code, site, one alert for each group, until",
            ),
            (&[], "its events are one group, and so one alert, until"),
        ] {
            let message = storm_by(by).message.unwrap_or_default();
            assert!(message.contains(said), "{message}");
        }
    }

    #[test]
    fn firing_and_resolving_alert_share_a_key() {
        let pairs = [
            (
                Topic::PluginFailed,
                plugin_failed("x", "p", "trap", "", "r"),
            ),
            (Topic::MissedHeartbeat, missed_heartbeat("x", "1d", None)),
            (Topic::DestinationHeld, destination_held("x", "401")),
            (
                Topic::DestinationFailing,
                destination_failing("x", "500", "5m"),
            ),
            (Topic::DestinationGone, destination_gone("x", 1)),
            (Topic::DeadLetters, dead_letters("x", 1)),
            (Topic::Rejected, rejected("x", "too_large", "r")),
            (Topic::QuotaUsedUp, quota_used_up("x", 1, 1)),
            (Topic::Storm, storm_by(&[])),
        ];
        for (topic, opens) in pairs {
            let ends = topic.resolves("x");
            assert_eq!(
                (opens.key(), opens.status, ends.status),
                (ends.key(), Status::Trigger, Status::Resolve)
            );
            assert_eq!(topic.name_in(opens.key()), Some("x"));
        }
        assert_eq!(
            store_failing("full").key(),
            Topic::StoreFailing.resolves("").key()
        );
        assert_eq!(Topic::MissedHeartbeat.name_in("missed/x"), None);
    }
}

//! What the gateway tells of itself: the words and keys of every alert whose source is the gateway.
//!
//! Each is about something that has a name, and its key is made of both, so that what opens and what ends it meet at the
//! destination. None repeats what a sender or a plugin said: that stays with `events show`, which needs the store.

use plugin_sdk::contract::{Alert, Priority, Status};

/// The label under which rules find what an alert of the gateway is about.
const ABOUT: &str = "about";

/// What the gateway has something to say about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A source whose plugin fails.
    PluginFailed,
    /// A source of which nothing is heard.
    Silent,
    /// A destination that refuses everything until the operator mends it.
    DestinationHeld,
    /// A destination that has not answered for long.
    DestinationFailing,
    /// A destination that is no longer configured, and that alerts wait for.
    DestinationGone,
    /// A destination whose alerts are set aside: it refused them, or they cannot be read from the store.
    SetAside,
    /// The store cannot keep anything.
    StoreFailing,
}

impl Topic {
    /// The word in keys and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PluginFailed => "plugin-failed",
            Self::Silent => "silent",
            Self::DestinationHeld => "destination-held",
            Self::DestinationFailing => "destination-failing",
            Self::DestinationGone => "destination-gone",
            Self::SetAside => "set-aside",
            Self::StoreFailing => "store-failing",
        }
    }

    /// The key of the alert on this topic about the source or destination `name`.
    pub fn key(self, name: &str) -> String {
        if name.is_empty() { self.as_str().to_owned() } else { format!("{}/{name}", self.as_str()) }
    }

    /// The name in a key of this topic.
    pub fn name_in(self, key: &str) -> Option<&str> {
        key.strip_prefix(self.as_str())?.strip_prefix('/')
    }

    /// An alert that opens. Who keeps it gives it its event id.
    pub fn opens(self, name: &str, title: String, message: String) -> Alert {
        let mut alert = Alert::new("", Priority::High, title);
        alert.key = Some(self.key(name));
        alert.message = Some(message);
        alert.labels.insert(ABOUT.to_owned(), self.as_str().to_owned());
        if !name.is_empty() {
            alert.labels.insert("name".to_owned(), name.to_owned());
        }
        alert
    }

    /// The alert that ends it.
    pub fn ends(self, name: &str) -> Alert {
        let (title, message) = match self {
            Self::PluginFailed => (
                format!("No request of source {name} waits for its plugin any more"),
                "All that was kept raw because the plugin failed has been read.".to_owned(),
            ),
            Self::Silent => (
                format!("Source {name} is heard of again"),
                "A request came in, or none is expected any more.".to_owned(),
            ),
            Self::DestinationHeld | Self::DestinationFailing => (
                format!("Destination {name} takes alerts again"),
                "What waited on disk is on its way; nothing was lost.".to_owned(),
            ),
            Self::DestinationGone => (
                format!("No alert waits for the missing destination {name} any more"),
                "A destination has this name again, or nothing waits for it.".to_owned(),
            ),
            Self::SetAside => (
                format!("No alert is set aside for destination {name} any more"),
                "What was set aside was sent again, or is kept no longer.".to_owned(),
            ),
            Self::StoreFailing => {
                ("The alert gateway keeps requests again".to_owned(), "The disk takes what is written.".to_owned())
            }
        };
        Alert { status: Status::Resolve, ..self.opens(name, title, message) }
    }
}

/// What ends an alert where it was told, because what `event` is about is told elsewhere now. It says nothing of how that is.
pub fn moved(event: Alert) -> Alert {
    let title = "This is told at another destination of the alert gateway now".to_owned();
    let message = "The configuration names another. Whether it is over shows there.".to_owned();
    Alert { status: Status::Resolve, title, message: Some(message), ..event }
}

/// A plugin failed on a request: `kind` is the word for how, `advice` what its author can do.
pub fn plugin_failed(source: &str, plugin: &str, kind: &str, advice: &str, request: &str) -> Alert {
    let mut alert = Topic::PluginFailed.opens(
        source,
        format!("Plugin {plugin} failed on a request of source {source} ({kind})"),
        format!(
            "The request is kept raw, and no alert was made of it. What failed: alert-gateway events show {request}\n\
             {advice}\n\
             Once the plugin is mended and the gateway reloaded (SIGHUP) or restarted: alert-gateway events replay {request}\n\
             All that wait: alert-gateway events list --source {source} --state failed\n\
             Further failures of this source within an hour are kept and not told."
        ),
    );
    for (name, value) in [("plugin", plugin), ("kind", kind), ("request", request)] {
        alert.labels.insert(name.to_owned(), value.to_owned());
    }
    alert
}

/// Nothing came from a source for as long as `expect_every` says.
pub fn silent(source: &str, expect_every: &str, last_seen: Option<&str>) -> Alert {
    let last_seen =
        last_seen.map_or_else(|| "It has never been heard of.".to_owned(), |at| format!("Last heard of: {at}."));
    Topic::Silent.opens(
        source,
        format!("Nothing has come from source {source} for {expect_every}"),
        format!(
            "{last_seen} Time during which the gateway did not run is not counted.\n\
             Look whether the sender still has this source's URL, and whether its requests are rejected, or its plugin fails \
             on them: the gateway's log and gateway_requests_total{{source=\"{source}\"}} tell."
        ),
    )
}

/// A destination refuses everything.
pub fn destination_held(name: &str, why: &str) -> Alert {
    Topic::DestinationHeld.opens(
        name,
        format!("Destination {name} is held: it refuses every alert"),
        format!("{why}\nAlerts wait on disk, and go out by themselves once this is mended."),
    )
}

/// A destination has failed for as long as `lasting` says, or longer: where few alerts wait, it takes longer to be sure.
pub fn destination_failing(name: &str, why: &str, lasting: &str) -> Alert {
    Topic::DestinationFailing.opens(
        name,
        format!("Destination {name} has been failing for {lasting} or longer"),
        format!("{why}\nAlerts wait on disk, and go out by themselves once it answers."),
    )
}

/// Alerts wait for a destination that is not configured.
pub fn destination_gone(name: &str, alerts: i64) -> Alert {
    Topic::DestinationGone.opens(
        name,
        format!("{alerts} alerts wait for destination {name}, which is not configured any more"),
        "They are kept, and go out once a destination has this name again.".to_owned(),
    )
}

/// Alerts that no destination will have as they are: it refused them, or the store cannot give them to it.
pub fn set_aside(name: &str, alerts: i64) -> Alert {
    Topic::SetAside.opens(
        name,
        format!("{alerts} alerts for destination {name} are set aside"),
        "They were refused by the destination, or are unreadable in the store.\n\
         Which: alert-gateway events list --state set-aside\n\
         Why, for each: alert-gateway events show <request>. What is unreadable: alert-gateway store check\n\
         Once what was refused is mended: alert-gateway events replay --set-aside"
            .to_owned(),
    )
}

/// The store cannot keep anything.
pub fn store_failing(why: &str) -> Alert {
    let mut alert = Topic::StoreFailing.opens(
        "",
        "The alert gateway cannot keep requests".to_owned(),
        format!(
            "{why}. Senders are answered 503 and asked to come back; what was accepted before is safe.\n\
             Give the disk of data_dir room, or mend it; the gateway goes on by itself."
        ),
    );
    alert.priority = Priority::Critical;
    alert
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_and_what_ends_have_one_key() {
        let pairs = [
            (Topic::PluginFailed, plugin_failed("x", "p", "trap", "", "r")),
            (Topic::Silent, silent("x", "1d", None)),
            (Topic::DestinationHeld, destination_held("x", "401")),
            (Topic::DestinationFailing, destination_failing("x", "500", "5m")),
            (Topic::DestinationGone, destination_gone("x", 1)),
            (Topic::SetAside, set_aside("x", 1)),
        ];
        for (topic, opens) in pairs {
            let ends = topic.ends("x");
            assert_eq!((opens.key(), opens.status, ends.status), (ends.key(), Status::Trigger, Status::Resolve));
            assert_eq!(topic.name_in(opens.key()), Some("x"));
        }
        assert_eq!(store_failing("full").key(), Topic::StoreFailing.ends("").key());
        assert_eq!(Topic::Silent.name_in("silence/x"), None);
    }
}

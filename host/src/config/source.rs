//! `[sources.<name>]`: a sender, the plugin that reads it, and where its alerts go.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::limits::{self, Limits};
use super::name;
use super::network::Networks;
use super::plugin::{self, PluginRef};
use super::policy::{Group, Redaction, Rule, group, redaction, rule};
use super::problem::Position;
use super::raw::Table;
use super::secret::Secret;
use super::settings::{self, Settings};
use super::url::PublicUrl;

/// The time a source may be expected to be silent. Less than a minute is a sender's pause; after a
/// quarter of a year an expectation is forgotten.
const EXPECT_EVERY: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(90 * 24 * 60 * 60);

/// The meaning of a `[sources.<name>]`.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name, which is also the last part of its URL.
    pub name: String,
    /// The plugin that reads its requests.
    pub plugin: PluginRef,
    /// The line of the configuration that names the plugin.
    pub plugin_position: Position,
    /// The names of the destinations that its alerts go to. They exist.
    pub destinations: Vec<String>,
    /// The destinations, its rules' as well, that are sent its requests as they came.
    pub originals: Vec<String>,
    /// The destination of internal alerts about it, where the first one takes none; empty otherwise.
    pub internal: String,
    /// The networks from which requests are taken; none where it takes them from anywhere.
    pub clients: Networks,
    /// Any one of these proves the sender; empty where the plugin proves it by itself.
    pub tokens: Vec<Secret>,
    /// The settings that the plugin receives with every request.
    pub settings: Settings,
    /// The limits of a request and of a plugin call.
    pub limits: Limits,
    /// The time without requests before a missed heartbeat is reported. `None`, the default:
    /// however long.
    pub expect_every: Option<Duration>,
    /// Labels that every alert gets, in place of the sender's of the same names.
    pub labels: BTreeMap<String, String>,
    /// The operator's rules for its alerts, in order.
    pub rules: Vec<Rule>,
    /// The redactions of its alerts.
    pub redact: Vec<Redaction>,
    /// True if the same is masked in its requests before they are stored.
    pub redact_stored: bool,
    /// The time without an event of its key until the gateway resolves an alert. `None`: never.
    pub resolve_after: Option<Duration>,
    /// The grouping of its alerts. `None`: each event is an alert.
    pub group: Option<Group>,
    /// The place where the source begins in the configuration.
    pub position: Position,
}

impl Source {
    /// Returns whether alerts of this source can go to the destination of this name.
    pub fn sends_to(&self, destination: &str) -> bool {
        self.routes().flatten().any(|name| name == destination)
    }

    /// Returns each list of destinations that an alert of this source may go to: those that rules
    /// choose, and its own.
    pub fn routes(&self) -> impl Iterator<Item = &Vec<String>> {
        let chosen = self
            .rules
            .iter()
            .filter_map(|rule| rule.destinations.as_ref());
        chosen.chain([&self.destinations])
    }

    /// Returns the destination of internal alerts about this source, where no other is configured
    /// for those: the first one that takes alerts.
    pub fn destination(&self) -> &str {
        if !self.internal.is_empty() {
            return &self.internal;
        }
        self.destinations.first().map_or("", String::as_str)
    }

    /// Returns the URL at which senders reach this source: `<public_url>/in/<name>`.
    pub fn url(&self, public_url: &PublicUrl) -> String {
        format!("{public_url}/in/{}", self.name)
    }
}

/// Reads one source. `destinations` are the names of those that were written, right or wrong.
///
/// A source is returned as soon as its plugin is known, whatever else is wrong with it, so that the
/// plugin can judge the rest in the same pass. Its problems are recorded, and keep the gateway from
/// running it.
pub(super) fn read(
    name: &str,
    mut table: Table<'_>,
    destinations: &[&str],
    inherited: Limits,
) -> Option<Source> {
    let section = table.name.trim_end_matches(']').to_owned();
    let reading = table.reading;
    let position = reading.position(table.span.start);
    let plugin = table.required(
        "plugin",
        "plugin = \"twilio-errors\", or whichever reads this sender",
        |value| Some((plugin::read(&value)?, reading.position(value.span.start))),
    );
    let example = format!(
        "destination = {:?}",
        destinations.first().unwrap_or(&"itoc360")
    );
    let chosen = table.required("destination", example, |value| {
        name::of_destinations(&value, destinations)
    });
    let clients = table.optional("clients", Networks::default(), |value| {
        value.networks("54.172.60.0/23")
    });
    let tokens = table.optional("token", Vec::new(), |value| value.tokens());
    let expect_every = table.optional("expect_every", None, |value| {
        value.duration(&EXPECT_EVERY).map(Some)
    });
    let labels = table.optional("labels", BTreeMap::new(), |value| rule::labels(&value));
    let rules = table.optional("rules", Vec::new(), |value| {
        rule::read(&value, destinations)
    });
    let redact = table.optional("redact", Vec::new(), |value| redaction::read(&value));
    let redact_stored = table.optional("redact_stored", false, |value| {
        let stored = value.boolean()?;
        let masks_nothing = redact.as_ref().is_some_and(Vec::is_empty)
            && rules.iter().flatten().all(|rule| rule.redact.is_empty());
        if stored && masks_nothing {
            let found = format!("{} is true, and nothing is redacted", value.label);
            value.warning(found, "say what is masked with redact = [ … ]");
        }
        Some(stored)
    });
    let resolve_after = table.optional("resolve_after", None, |value| {
        value.duration(&rule::RESOLVE_AFTER).map(Some)
    });
    let group = table.optional("group", None, |value| {
        group::read(&value, &format!("{section}.group]")).map(Some)
    });
    let settings = table.table("settings", format!("{section}.settings]"));
    let settings = settings::read(&settings);
    let limits = table.table("limits", format!("{section}.limits]"));
    let limits = limits::read(limits, inherited);
    table.finish();
    let (plugin, plugin_position) = plugin?;
    Some(Source {
        name: name.to_owned(),
        plugin,
        plugin_position,
        destinations: chosen.unwrap_or_default(),
        originals: Vec::new(),
        internal: String::new(),
        clients: clients.unwrap_or_default(),
        // One that cannot be read is there nevertheless.
        tokens: tokens.unwrap_or_else(|| vec![Secret::new("unreadable")]),
        settings,
        limits: limits.unwrap_or(inherited),
        expect_every: expect_every.unwrap_or_default(),
        labels: labels.unwrap_or_default(),
        rules: rules.unwrap_or_default(),
        redact: redact.unwrap_or_default(),
        redact_stored: redact_stored.unwrap_or_default(),
        resolve_after: resolve_after.unwrap_or_default(),
        group: group.unwrap_or_default(),
        position,
    })
}

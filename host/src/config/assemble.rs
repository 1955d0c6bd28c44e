//! The whole from its sections, and what only shows when they stand side by side.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeTable;

use super::destination::Written;
use super::policy::{Mute, Pattern, mute};
use super::problem::{Span, did_you_mean, listed};
use super::quantity::size_text;
use super::raw::Table;
use super::reading::Reading;
use super::{
    Config, Gateway, Limits, Listen, OWN_SOURCE, Source, StoreKind, destination, gateway, include,
    limits, name, retention, source, store, users,
};

/// The most destinations that one alert may have, fallbacks included; the store has room for so many.
pub(crate) const DELIVERIES_PER_ALERT: usize = 16;

/// The tables that a configuration is made of.
const SECTIONS: [&str; 9] = [
    "gateway",
    "store",
    "admin",
    "retention",
    "limits",
    "destinations",
    "sources",
    "mutes",
    "include",
];

/// An early document of Twilio's names this limit for the URL of a webhook.
const LONGEST_SOURCE_URL: usize = 100;

/// Returns the table that has all sections.
fn root<'t>(document: &'t Spanned<DeTable<'t>>, reading: &'t Reading<'t>) -> Table<'t> {
    Table::new(
        "the file",
        document.span(),
        Some(document.get_ref()),
        reading,
    )
}

/// Reads `[gateway]` alone.
///
/// # Errors
/// The gateway with assumptions in the places of what could not be read.
pub(super) fn gateway<'t>(
    document: &'t Spanned<DeTable<'t>>,
    reading: &'t Reading<'t>,
) -> Result<Gateway, Box<Gateway>> {
    let mut root = root(document, reading);
    let users = users::read(section(&mut root, "admin"));
    gateway::read(section(&mut root, "gateway"), users, None)
}

/// Reads `[store]` alone. `None` means that a problem was recorded.
pub(super) fn store<'t>(
    document: &'t Spanned<DeTable<'t>>,
    reading: &'t Reading<'t>,
) -> Option<StoreKind> {
    let mut root = root(document, reading);
    store::read(section(&mut root, "store"), None)
}

/// Reads every section, right or wrong. An unreadable part is left out, or replaced by an
/// assumption, so that the rest can be judged in the same pass; its problem is recorded. `None`
/// means that there is nothing.
pub(super) fn assemble<'t>(
    document: &'t Spanned<DeTable<'t>>,
    reading: &'t Reading<'t>,
) -> Option<Config> {
    let mut root = root(document, reading);
    if root.is_empty() {
        reading.absent(
            0..0,
            "nothing is configured",
            "write [gateway], [destinations.<name>] and [sources.<name>]",
        );
        return None;
    }
    let gateway = section(&mut root, "gateway");
    let admin = section(&mut root, "admin");
    let store = section(&mut root, "store");
    let retention = section(&mut root, "retention");
    let limits = section(&mut root, "limits");
    let destinations = section(&mut root, "destinations");
    let sources = section(&mut root, "sources");
    let mutes = root.optional("mutes", Vec::new(), |value| mute::read(&value));
    // The files are read already; here its mistakes are told.
    root.optional("include", Vec::new(), |value| include::read(&value));
    root.finish();

    let size = retention.entries().find(|(key, _)| key.get_ref() == "size");
    let store = store::read(store, size.map(|(key, _)| key.span())).unwrap_or_default();
    let retention = retention::read(retention).unwrap_or_default();
    let limits = limits::read(limits, Limits::default()).unwrap_or_default();
    let destinations = children(&destinations, "destination", "itoc360");
    let sources = children(&sources, "source", "twilio-prod");

    let names: Vec<&str> = destinations.iter().map(|(name, _)| *name).collect();
    let users = users::read(admin);
    let mut gateway =
        gateway::read(gateway, users, Some(&names)).unwrap_or_else(|assumed| *assumed);
    let mut sources: Vec<_> = sources
        .into_iter()
        .map(|(name, table)| {
            (
                table.span.clone(),
                source::read(name, table, &names, limits),
            )
        })
        .collect();
    let destinations: Vec<_> = destinations
        .into_iter()
        .map(|(name, table)| destination::read(name, table, &names))
        .collect();
    destination::check_fallbacks(&destinations, reading);
    destination::check_originals(
        &destinations,
        &mut sources,
        gateway.operator_destination.as_deref(),
        reading,
    );
    leave_places(&sources, &destinations, reading);
    warn_of_long_urls(&sources, &gateway, reading);
    warn_of_hidden_clients(&sources, &gateway, reading);
    warn_of_unknown_sources(mutes.as_deref().unwrap_or_default(), &sources, reading);
    make_room(&sources, &mut gateway, reading);
    warn_of_idle_destinations(
        &destinations,
        &sources,
        gateway.operator_destination.as_deref(),
        reading,
    );
    let places = destinations.iter().map(|one| {
        let position = reading.position(one.span.start);
        (one.name.to_owned(), position)
    });
    let places = places.collect();
    Some(Config {
        path: PathBuf::new(),
        gateway,
        retention,
        store,
        destinations: destinations
            .into_iter()
            .filter_map(|one| one.destination)
            .collect(),
        sources: sources
            .into_iter()
            .filter_map(|(_, source)| source)
            .collect(),
        mutes: mutes.unwrap_or_default(),
        places,
        warnings: Vec::new(),
        text: reading.text().clone(),
        files: BTreeMap::new(),
    })
}

/// Returns a section of the file. A misspelt name is a problem already. The section's keys are read
/// nevertheless: mistakes in them are reported too, and none of the keys present is called missing.
fn section<'t>(root: &mut Table<'t>, key: &'static str) -> Table<'t> {
    let name = format!("[{key}]");
    match root.misspelt(key, &SECTIONS) {
        Some(value) => {
            let entries = value.table(&name);
            // It counts as asked for, or the correction would not be offered.
            root.value(key);
            Table::new(name, value.span, entries, root.reading)
        }
        None => root.table(key, name),
    }
}

/// Returns the tables of a section, in the order of the file. There must be one.
fn children<'t>(section: &Table<'t>, what: &str, example: &str) -> Vec<(&'t str, Table<'t>)> {
    let reading = section.reading;
    let section_name = section.name.trim_matches(['[', ']']);
    if section.is_empty() {
        let found = format!("there is no {what}");
        reading.absent(
            section.span.clone(),
            found,
            format!("add [{section_name}.{example}]"),
        );
    }
    let mut children = Vec::new();
    for (key, value) in section.entries() {
        let name = key.get_ref().as_ref();
        let valid = name::is_valid(what, name, key.span(), reading);
        let header = if valid {
            format!("[{section_name}.{name}]")
        } else {
            format!("[{section_name}.{name:?}]")
        };
        if let Some(entries) = value.table(&header) {
            children.push((name, Table::new(header, value.span, Some(entries), reading)));
        }
    }
    children.sort_by_key(|(_, table)| table.span.start);
    children
}

fn warn_of_long_urls(sources: &[(Span, Option<Source>)], gateway: &Gateway, reading: &Reading<'_>) {
    for (span, source) in sources {
        let length = source
            .as_ref()
            .map_or(0, |source| source.url(&gateway.public_url).len());
        if length > LONGEST_SOURCE_URL {
            let found = format!(
                "the URL of this source has {length} characters, and some senders take no more than 100"
            );
            reading.warning(span.clone(), found, "shorten its name or public_url");
        }
    }
}

/// The permission of everybody to connect to a Unix socket.
const OTHERS_CONNECT: u32 = 0o002;

/// Warns of sources that cannot see their clients, or not for certain. A listener on loopback hears only a proxy; where
/// the proxy is not trusted, its own address is the only one known.
fn warn_of_hidden_clients(
    sources: &[(Span, Option<Source>)],
    gateway: &Gateway,
    reading: &Reading<'_>,
) {
    let trusts_this_machine = match &gateway.listen {
        Listen::Unix { mode, .. } => (mode & OTHERS_CONNECT != 0)
            .then_some("listen_mode in [gateway] lets in everybody here"),
        Listen::Tcp(_) => gateway
            .trusted_proxies
            .contains_loopback()
            .then_some("trusted_proxies in [gateway] has this machine itself"),
    };
    for (span, source) in sources {
        let Some(source) = source.as_ref().filter(|source| !source.clients.is_empty()) else {
            continue;
        };
        let address = gateway.listen.address().map(|address| address.ip());
        if let Some(why) = trusts_this_machine {
            let found = format!(
                "[sources.{}] takes requests from its clients only, and {why}",
                source.name
            );
            let help = "any user or program of this machine that reaches it can claim to be such a client; let the \
                proxy alone come in, by listen = \"unix:/run/alert-gateway/in.sock\" and listen_mode = \"660\" in [gateway]";
            reading.warning(span.clone(), found, help);
        } else if address.is_some_and(|address| address.is_loopback())
            && !source.clients.contains_loopback()
        {
            let found = format!(
                "[sources.{}] takes requests from its clients only, and listen is on loopback",
                source.name
            );
            let help = "all of them come from the proxy there and are refused; let it say for whom it asks: \
                trusted_proxies = [\"127.0.0.1\"] in [gateway]";
            reading.warning(span.clone(), found, help);
        }
    }
}

/// Warns of mutes and rules that hold for no alert, because no source has the name in their `when`.
fn warn_of_unknown_sources(
    mutes: &[Mute],
    sources: &[(Span, Option<Source>)],
    reading: &Reading<'_>,
) {
    for source in sources.iter().filter_map(|(_, source)| source.as_ref()) {
        let name = source.name.as_str();
        for rule in &source.rules {
            let number = rule.number;
            let patterns = rule.when.sources();
            if !patterns.is_empty() && !patterns.iter().any(|pattern| pattern.matches(name)) {
                let found = format!(
                    "rule {number} of [sources.{name}] is for alerts of {}",
                    written(patterns)
                );
                let help = format!("all that it sees are of {name}: leave the source out");
                reading.warning_at(rule.position, found, help);
            }
        }
    }
    let read = sources.iter().map(|(_, source)| source.as_ref());
    // One that could not be read may be the one that is meant.
    let Some(read) = read.collect::<Option<Vec<_>>>() else {
        return;
    };
    let names = || read.iter().map(|source| source.name.as_str());
    for mute in mutes {
        let number = mute.number;
        for pattern in mute.when.sources() {
            let is_known = names()
                .chain([OWN_SOURCE])
                .any(|name| pattern.matches(name));
            if is_known {
                continue;
            }
            let text = pattern.to_string();
            let found = format!("mute {number} names the source {text:?}, and there is none");
            let near = did_you_mean(&text, names())
                .map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
            let help = format!("the sources are {}{near}", listed(names(), "and"));
            reading.warning_at(mute.position, found, help);
        }
    }
}

/// Returns patterns as they are written.
fn written(patterns: &[Pattern]) -> String {
    let texts: Vec<_> = patterns.iter().map(ToString::to_string).collect();
    listed(texts.iter().map(String::as_str), "or")
}

/// Makes the memory large enough for the largest body and output of each source. Otherwise such a
/// body could never be accepted, and its alerts could never be stored.
fn make_room(sources: &[(Span, Option<Source>)], gateway: &mut Gateway, reading: &Reading<'_>) {
    for (span, source) in sources {
        let Some(source) = source else { continue };
        let Limits { body, output, .. } = source.limits;
        let needed_for_all = [
            (
                body.saturating_mul(gateway::BODIES),
                body,
                "takes bodies of",
                "body",
            ),
            (
                body.saturating_add(output).saturating_mul(gateway::OUTPUTS),
                output,
                "may make alerts of",
                "output",
            ),
        ];
        for (needed, limit, does, key) in needed_for_all {
            if !gateway.memory_is_written {
                gateway.memory = gateway.memory.max(needed);
            } else if gateway.memory < needed {
                let limit = size_text(limit);
                let memory = size_text(gateway.memory);
                let found = format!(
                    "this source {does} {limit}, which memory = {memory} in [gateway] has no room for"
                );
                let help = format!("write memory = {}, or a smaller {key}", size_text(needed));
                reading.problem(span.clone(), found, help);
            }
        }
    }
}

/// An alert has so many deliveries at most, those to fallbacks included.
fn leave_places(
    sources: &[(Span, Option<Source>)],
    destinations: &[Written<'_>],
    reading: &Reading<'_>,
) {
    let places = |names: &Vec<String>| -> usize {
        let each = names
            .iter()
            .map(|name| destination::places(destinations, name));
        each.sum()
    };
    for (span, source) in sources {
        let Some(source) = source else { continue };
        let most = source.routes().map(places).max().unwrap_or_default();
        if most > DELIVERIES_PER_ALERT {
            let found = format!(
                "an alert of [sources.{}] may have {most} deliveries with those to fallbacks, and {DELIVERIES_PER_ALERT} are the most",
                source.name
            );
            let help = "name fewer destinations, or shorten the chain of fallbacks";
            reading.problem(span.clone(), found, help);
        }
    }
}

fn warn_of_idle_destinations(
    destinations: &[Written<'_>],
    sources: &[(Span, Option<Source>)],
    operator: Option<&str>,
    reading: &Reading<'_>,
) {
    for Written { name, span, .. } in destinations {
        // A source whose destination could not be read may send to this one.
        let used = |(_, source): &(_, Option<Source>)| {
            source
                .as_ref()
                .is_none_or(|source| source.sends_to(name) || source.destinations.is_empty())
        };
        let stands_in = |one: &Written<'_>| one.fallback.as_ref().is_some_and(|one| one.0 == *name);
        let is_used = sources.iter().any(used) || destinations.iter().any(stands_in);
        if !is_used && operator != Some(*name) {
            let found = format!("no source sends to [destinations.{name}]");
            reading.warning(
                span.clone(),
                found,
                format!("write destination = {name:?} in a source"),
            );
        }
    }
}

//! Now: trouble first, then counts, what is open, sources, destinations and the last day.

use maud::{Markup, html};
use plugin_sdk::contract::Priority;

use super::words::{clip, counted, head, number, span};
use super::{Page, chart, form};
use crate::admin::api::{Destination, MuteState, Node, SourceState};
use crate::admin::desk::Desk;
use crate::health::{DestinationState, SpoolHealth};
use crate::store::{GroupState, OpenAlert};

/// The time for which an alert may wait while a destination does not take it. Beyond it, and where
/// no other destination or fallback has it, alerts do not get through.
pub const STUCK_MS: i64 = 2 * 60 * 1000;

/// The facts of the page.
#[derive(Debug)]
pub struct Now {
    /// This node.
    pub node: Node,
    /// The sources.
    pub sources: Vec<SourceState>,
    /// The destinations.
    pub destinations: Vec<Destination>,
    /// True if an alert has waited for longer than [`STUCK_MS`], and nobody has it.
    pub is_stuck: bool,
    /// The open alerts among the newest, newest first.
    pub open: Vec<OpenAlert>,
    /// The listeners that speak TLS, each with the end of its certificate: Unix seconds.
    pub certificates: Vec<(&'static str, f64)>,
    /// The sources in a storm.
    pub stormy: Vec<String>,
    /// The open groups, newest first; one more than are shown.
    pub groups: Vec<GroupState>,
    /// The mutes that hold or will.
    pub mutes: Vec<MuteState>,
    /// The reason why the store cannot be read, where all of this is from memory.
    pub unread: Option<String>,
}

/// The time before the end of a certificate in which its renewal has failed.
const RENEWED_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// The rows of each list.
const ROWS: usize = 12;

/// A count that leads to what it counts.
struct Tile {
    address: &'static str,
    shape: &'static str,
    word: &'static str,
    /// None where the store alone knows it, and cannot be read.
    count: Option<i64>,
    note: String,
}

/// Something that an operator should look at.
struct Trouble {
    shape: &'static str,
    title: String,
    since: Option<String>,
    text: String,
    link: (String, String),
}

/// The verdict over all.
struct Verdict {
    shape: &'static str,
    title: String,
}

/// Draws the page, and returns its title.
pub fn draw(page: &Page<'_>, desk: &Desk, now: &Now) -> (String, Markup) {
    let troubles = troubles(page, now);
    let verdict = verdict(now, troubles.len());
    let activity = &desk.about.metrics.activity;
    let series = activity.all();
    let title = match troubles.len() {
        0 => "Now".to_owned(),
        1 => "1 needs attention".to_owned(),
        count => format!("{count} need attention"),
    };
    let counts = tiles(page, now);
    let content = html! {
        section.verdict.(verdict.shape) id="verdict" data-card {
            h1.s.(verdict.shape) aria-live="polite" { (verdict.title) }
            p { (sentence(page, now)) }
        }
        ul.strip id="counts" data-card {
            @for tile in &counts {
                li { a href=(tile.address) {
                    b { @match tile.count { Some(count) => (number(count)), None => "–" } }
                    span.s.(tile.shape) { (tile.word) } small { (tile.note) }
                } }
            }
        }
        div.two {
            div.col {
                section.card id="attention" data-card {
                    @if troubles.is_empty() {
                        h2 { "Nothing needs attention" }
                        p { "What a destination does not take, a source that is silent, and what was refused stand here." }
                    } @else {
                        h2 { "Needs attention" }
                        ul.todo {
                            @for trouble in troubles.iter().take(2 * ROWS) {
                                li {
                                    div {
                                        div.head {
                                            span.s.(trouble.shape) { (trouble.title) }
                                            @if let Some(since) = &trouble.since {
                                                small { "since " (page.when.clock(since)) }
                                            }
                                        }
                                        p { (trouble.text) }
                                    }
                                    a.btn href=(trouble.link.0) { (trouble.link.1) }
                                }
                            }
                        }
                    }
                }
                (open(page, &now.open, now.unread.as_deref()))
                section.card id="day" data-card { (chart::draw(&series, activity.counted_for())) }
            }
            div.col {
                (sources(page, &now.sources))
                (destinations(page, &now.destinations))
                (quiet(page, now))
            }
        }
    };
    (title, content)
}

/// Returns the counts, which are always in the same places.
fn tiles(page: &Page<'_>, now: &Now) -> [Tile; 6] {
    let stored = |count: i64| now.unread.is_none().then_some(count);
    let of = |priority| {
        now.open
            .iter()
            .filter(|one| one.priority == priority)
            .count()
    };
    let urgent: Vec<_> = [Priority::Critical, Priority::High]
        .into_iter()
        .filter(|priority| of(*priority) > 0)
        .map(|priority| format!("{} {}", of(priority), priority.as_str()))
        .collect();
    let waits = now.destinations.iter();
    let oldest = waits
        .filter_map(|one| Some((one.oldest_pending.as_deref()?, &one.facts.name)))
        .min();
    let oldest = oldest.and_then(|(at, name)| {
        let waits = page.when.since_ms(at)?;
        Some(format!("oldest {}, {name}", span(waits)))
    });
    let refusing = || now.sources.iter().filter(|one| one.last_hour.rejected > 0);
    let rejected: u32 = refusing().map(|one| one.last_hour.rejected).sum();
    let grouped: u64 = now.groups.iter().map(|group| group.events).sum();
    let mutes = || now.mutes.iter().filter(|one| one.state == "active");
    let muted: i64 = mutes().map(|mute| mute.events).sum();
    [
        Tile {
            address: "#open",
            shape: if now.open.is_empty() { "ok" } else { "bad" },
            word: "open",
            count: stored(now.open.len() as i64),
            note: match urgent.as_slice() {
                [] => "of the newest alerts".to_owned(),
                urgent => urgent.join(", "),
            },
        },
        Tile {
            address: "/events?state=pending",
            shape: "wait",
            word: "waiting",
            count: stored(now.node.pending),
            note: oldest.unwrap_or_else(|| "for a destination".to_owned()),
        },
        Tile {
            address: "/events?state=rejected",
            shape: "rej",
            word: "rejected",
            count: Some(i64::from(rejected)),
            note: match refusing().count() {
                0 => "in the last hour".to_owned(),
                count => format!("last hour, {}", counted(count as i64, "source")),
            },
        },
        Tile {
            address: "/dead-letters",
            shape: "dead",
            word: "dead letters",
            count: stored(now.node.dead),
            note: match now.node.failed {
                0 => "until replayed or dismissed".to_owned(),
                failed => format!("and {}", counted(failed, "failed request")),
            },
        },
        Tile {
            address: "/mutes#groups",
            shape: "grp",
            word: "grouped",
            count: stored(i64::try_from(grouped).unwrap_or(i64::MAX)),
            note: match now.groups.len() as i64 {
                0 => "as one alert".to_owned(),
                count => format!("as {}", counted(count, "alert")),
            },
        },
        Tile {
            address: "/mutes",
            shape: "hush",
            word: "muted",
            count: stored(muted),
            note: format!("by {}", counted(mutes().count() as i64, "mute")),
        },
    ]
}

/// Returns whether the last attempt at a destination has failed, whatever its circuit breaker says.
fn does_not_take(destination: &Destination) -> bool {
    let is_healthy = matches!(destination.state, Some(DestinationState::Healthy) | None);
    !is_healthy || destination.failing_since.is_some()
}

fn verdict(now: &Now, troubles: usize) -> Verdict {
    let things = match troubles {
        1 => "1 thing needs attention".to_owned(),
        count => format!("{count} things need attention"),
    };
    if now.node.ready == Some(false) {
        let title = "Requests are not accepted".to_owned();
        Verdict {
            shape: "bad",
            title,
        }
    } else if now.unread.is_some() || now.is_stuck && now.destinations.iter().any(does_not_take) {
        let title = "Alerts are not getting through".to_owned();
        Verdict {
            shape: "bad",
            title,
        }
    } else if troubles > 0 {
        let title = format!("Alerts are getting through; {things}");
        Verdict {
            shape: "warn",
            title,
        }
    } else {
        let title = "All is well".to_owned();
        Verdict { shape: "ok", title }
    }
}

fn sentence(page: &Page<'_>, now: &Now) -> Markup {
    let heard = now
        .sources
        .iter()
        .filter_map(|source| Some((source.last_heard.as_deref()?, &source.summary.name)))
        .max();
    let receipts = now.destinations.iter();
    let receipt = receipts
        .filter_map(|one| Some((one.last_receipt.as_deref()?, &one.facts.name)))
        .max();
    html! {
        @if let Some((at, name)) = receipt {
            (name) " took the last one " b { (page.when.ago(at)) } ". "
        }
        @match heard {
            Some((at, name)) => { (name) " was heard " b { (page.when.ago(at)) } ". " }
            None => { "No request has come yet. " }
        }
        @match (&now.unread, now.node.pending) {
            (Some(_), _) => "What waits is not known.",
            (None, 0) => "No alert waits.",
            (None, 1) => "1 alert waits.",
            (None, count) => { (number(count)) " alerts wait." }
        }
        @match critical(now) {
            0 => {}
            1 => { " " a.critical href="#open" { "1 critical alert is open." } }
            count => { " " a.critical href="#open" { (count) " critical alerts are open." } }
        }
        @if let Some(note) = &now.node.note { " " (note) "." }
    }
}

fn critical(now: &Now) -> usize {
    let open = now.open.iter();
    open.filter(|one| one.priority == Priority::Critical)
        .count()
}

fn troubles(page: &Page<'_>, now: &Now) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    if now.node.ready == Some(false) {
        troubles.push(Trouble {
            shape: "bad",
            title: "Nothing can be stored".to_owned(),
            since: None,
            text: now.node.note.clone().unwrap_or_default(),
            link: ("/configuration".to_owned(), "Configuration".to_owned()),
        });
    }
    if let Some(why) = &now.unread {
        troubles.push(Trouble {
            shape: "bad",
            title: "The store cannot be read".to_owned(),
            since: None,
            text: format!(
                "{}. Nothing is delivered that cannot be written down. This page is from memory; the others come back with the store.",
                clip(why.trim_end_matches('.'), 400)
            ),
            link: ("/configuration".to_owned(), "Configuration".to_owned()),
        });
    }
    troubles.extend(now.node.spool.as_ref().and_then(spooled));
    let mut failing: Vec<_> = now.destinations.iter().collect();
    // What only an operator can fix comes first.
    failing.sort_by_key(|one| one.state != Some(DestinationState::Held));
    for destination in failing {
        let name = &destination.facts.name;
        if !does_not_take(destination) {
            continue;
        }
        let (shape, word) = match destination.state {
            Some(DestinationState::Held) => ("bad", "is held"),
            Some(DestinationState::Failing) => ("bad", "is failing"),
            Some(DestinationState::Healthy) | None => ("warn", "is tried again"),
        };
        let waits = match destination.pending {
            _ if now.unread.is_some() => "What waits for it is not known.".to_owned(),
            0 => "Nothing waits for it.".to_owned(),
            1 => "1 alert waits for it.".to_owned(),
            count => format!("{} alerts wait for it.", number(count)),
        };
        let oldest = destination.oldest_pending.as_deref();
        let waits = match oldest.and_then(|at| page.when.since_ms(at)) {
            Some(ms) => format!("{} The oldest has waited for {}.", waits, span(ms)),
            None => waits,
        };
        let why = destination.why.clone().unwrap_or_default();
        let next = destination.next_attempt.as_deref();
        let next = next.map_or_else(String::new, |at| {
            format!(" Next attempt {}.", page.when.until(at))
        });
        troubles.push(Trouble {
            shape,
            title: format!("{name} {word}"),
            since: destination
                .failing_since
                .clone()
                .or(destination.since.clone()),
            text: format!("{}. {waits}{next}", clip(why.trim_end_matches('.'), 400)),
            link: (super::destinations::address(name), format!("Open {name}")),
        });
    }
    for source in now.sources.iter().filter(|source| source.missed_heartbeat) {
        let name = &source.summary.name;
        let expected = &source.summary.expected;
        let silent = source
            .last_heard
            .as_deref()
            .and_then(|at| page.when.since_ms(at));
        let silent = silent.map_or("ever".to_owned(), |ms| format!("for {}", span(ms)));
        troubles.push(Trouble {
            shape: "warn",
            title: format!("{name} missed its heartbeat"),
            since: source.last_heard.clone(),
            text: format!(
                "Nothing {silent}; expected every {}.",
                expected.as_deref().unwrap_or_default()
            ),
            link: (form::source(name), format!("Open {name}")),
        });
    }
    let waiting = [
        (
            now.node.failed,
            "bad",
            "failed request",
            "Their plugin failed on them. They are kept for a replay with a fixed plugin.",
            "/dead-letters#failed",
        ),
        (
            now.node.dead,
            "dead",
            "dead letter",
            "Rejected for good. They stay until replayed or dismissed.",
            "/dead-letters#dead",
        ),
    ];
    for (count, shape, word, text, address) in waiting {
        if count > 0 {
            troubles.push(Trouble {
                shape,
                title: counted(count, word),
                since: None,
                text: text.to_owned(),
                link: (address.to_owned(), format!("Review {}", number(count))),
            });
        }
    }
    for source in now.sources.iter().filter(|one| one.last_hour.rejected > 0) {
        let name = &source.summary.name;
        let why = source
            .rejected
            .first()
            .map(|last| last.trace.reason.as_str());
        troubles.push(Trouble {
            shape: "rej",
            title: format!(
                "{} to {name} rejected",
                counted(i64::from(source.last_hour.rejected), "request")
            ),
            since: None,
            text: format!(
                "The last one: {}.",
                clip(why.unwrap_or("its reason is kept no longer"), 300)
            ),
            link: (form::source(name), "Reasons".to_owned()),
        });
    }
    for (listener, end) in &now.certificates {
        let left = (end * 1000.0) as i64 - page.when.now_ms();
        if left > RENEWED_MS {
            continue;
        }
        let when = match left {
            ..=0 => format!("expired {} ago", span(-left)),
            left => format!("expires in {}", span(left)),
        };
        troubles.push(Trouble {
            shape: if left > 0 { "warn" } else { "bad" },
            title: format!("The certificate of {listener} {when}"),
            since: None,
            text: "A renewed one in its place is taken up without a restart.".to_owned(),
            link: ("/configuration".to_owned(), "Configuration".to_owned()),
        });
    }
    troubles
}

/// Returns what an operator should know of the spool; none where it is empty and of use.
fn spooled(spool: &SpoolHealth) -> Option<Trouble> {
    let waiting = i64::try_from(spool.requests).unwrap_or(i64::MAX);
    let on_one_disk =
        "They are on this machine alone, and their alerts go out once the database has them.";
    let (shape, title, text) = match (&spool.why, waiting) {
        (None, 0) => return None,
        (None, _) => ("warn", None, on_one_disk.to_owned()),
        (Some(why), 0) => (
            "bad",
            Some("The spool takes nothing"),
            clip(why, 400).into_owned(),
        ),
        (Some(why), _) => {
            let text = format!("It takes no more: {}. {on_one_disk}", clip(why, 400));
            ("bad", None, text)
        }
    };
    let title = title.map_or_else(
        || format!("{} in the spool", counted(waiting, "request")),
        str::to_owned,
    );
    Some(Trouble {
        shape,
        title,
        since: None,
        text,
        link: ("/nodes".to_owned(), "Gateways".to_owned()),
    })
}

/// Draws the open alerts, the most urgent first.
fn open(page: &Page<'_>, open: &[OpenAlert], unread: Option<&str>) -> Markup {
    let mut urgent_first: Vec<_> = open.iter().collect();
    urgent_first.sort_by_key(|one| one.priority);
    html! {
        section.card id="open" data-card {
            div.head { h2 { "Open alerts" } a href="/events" { "All events" } }
            @if let Some(why) = unread {
                p { "Not known: " (clip(why, 400)) "." }
            } @else if open.is_empty() {
                p { "None of the newest alerts is open." }
            } @else {
                table.cards role="table" {
                    (head(&["Priority", "Last event", "Alert", "Source"]))
                    tbody role="rowgroup" {
                        @for alert in urgent_first.iter().take(ROWS) {
                            tr role="row" {
                                td.nw.(alert.priority.as_str()) role="cell" { (alert.priority.as_str()) }
                                td.nw role="cell" { (page.when.ago(&alert.received_at)) }
                                td.main role="cell" { a href=(form::event(&alert.request)) { (clip(&alert.title, 200)) } }
                                td role="cell" { (alert.source) }
                            }
                        }
                    }
                }
                @if open.len() > ROWS { p { small { "The most urgent of " (open.len()) "." } } }
            }
        }
    }
}

fn sources(page: &Page<'_>, sources: &[SourceState]) -> Markup {
    let mut oldest_first: Vec<_> = sources.iter().collect();
    oldest_first.sort_by_key(|one| (!one.missed_heartbeat, one.last_heard.clone()));
    html! {
        section.card id="sources" data-card {
            div.head { h2 { "Sources" } a href="/sources" { "All sources" } }
            table {
                (head(&["Source", "#Last heard", "#Last hour"]))
                tbody {
                    @for source in oldest_first.iter().take(ROWS) {
                        @let name = &source.summary.name;
                        @let shape = if source.missed_heartbeat { "warn" } else if source.last_heard.is_none() { "idle" } else { "ok" };
                        tr {
                            td {
                                a.s.(shape) href=(form::source(name)) { (name) }
                                @if source.missed_heartbeat { small { "missed heartbeat" } }
                                @if source.last_hour.rejected > 0 { small { (source.last_hour.rejected) " rejected" } }
                            }
                            td.num {
                                @match &source.last_heard {
                                    Some(at) => (page.when.ago(at)),
                                    None => "never",
                                }
                                @if let Some(expected) = &source.summary.expected { small { "expected every " (expected) } }
                            }
                            td.num { (number(i64::from(source.last_hour.requests()))) }
                        }
                    }
                }
            }
        }
    }
}

fn destinations(page: &Page<'_>, destinations: &[Destination]) -> Markup {
    let mut unhealthy_first: Vec<_> = destinations.iter().collect();
    unhealthy_first.sort_by_key(|one| !does_not_take(one));
    html! {
        section.card id="destinations" data-card {
            div.head { h2 { "Destinations" } a href="/destinations" { "All destinations" } }
            table {
                (head(&["Destination", "#Last receipt", "#Waiting"]))
                tbody {
                    @for destination in unhealthy_first.into_iter().take(ROWS) {
                        @let (shape, word) = super::destinations::state(destination);
                        tr {
                            td {
                                a.s.(shape) href=(super::destinations::address(&destination.facts.name)) { (destination.facts.name) }
                                small { (word) }
                            }
                            td.num {
                                @match &destination.last_receipt { Some(at) => (page.when.ago(at)), None => "–" }
                                small { (number(i64::from(destination.delivered_last_hour))) " in the last hour" }
                            }
                            td.num {
                                (number(destination.pending))
                                @if let Some(oldest) = &destination.oldest_pending { small { "oldest " (page.when.ago(oldest)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn quiet(page: &Page<'_>, now: &Now) -> Markup {
    let active = || now.mutes.iter().filter(|one| one.state == "active");
    html! {
        @if !now.groups.is_empty() || !now.stormy.is_empty() || active().next().is_some() {
            section.card id="quiet" data-card {
                div.head { h2 { "Quiet on purpose" } a href="/mutes" { "Groups and mutes" } }
                ul.plain {
                    @for source in now.stormy.iter().take(ROWS) {
                        li {
                            a.s.grp href=(form::source(source)) { "Storm of " (source) }
                            small { "it sends more than " code { "above" } " of its group, so that its events are grouped" }
                        }
                    }
                    @for group in now.groups.iter().take(ROWS) {
                        li {
                            a.s.grp href={ "/events?group=" (group.id) } { (clip(&super::quiet::words(group), 100)) }
                            small { (counted(i64::try_from(group.events).unwrap_or(i64::MAX), "event")) " of " (group.source) " in one alert" }
                        }
                    }
                    @for mute in active().take(ROWS) {
                        li {
                            span.s.hush { (clip(&mute.when, 100)) }
                            small {
                                "muted" @if let Some(until) = &mute.until { " until " (page.when.clock(until)) }
                                ": " (clip(&mute.why, 100))
                            }
                        }
                    }
                }
            }
        }
    }
}

//! Groups and mutes: the alerts that are quiet on purpose, until when, and by whose word.

use maud::{Markup, html};

use super::words::{badge, clip, counted, head, number};
use super::{Page, form};
use crate::admin::api::{MuteState, Paged, Preview};
use crate::config::{CONFIGURATION, Condition};
use crate::store::{AlertRecord, GroupState};

/// The mutes that are shown; all of them are in the API.
const MUTES: usize = 50;
/// The labels that are offered for a mute of alerts like one, and the longest.
const PAIRS: usize = 12;
const LONGEST_PAIR: usize = 120;
/// The times that are offered for a mute.
const TIMES: [(&str, &str); 6] = [
    ("30m", "30 minutes"),
    ("1h", "1 hour"),
    ("2h", "2 hours"),
    ("8h", "8 hours"),
    ("24h", "1 day"),
    ("7d", "7 days"),
];

/// The facts of the page.
#[derive(Debug)]
pub struct Quiet {
    /// The groups, newest first.
    pub groups: Paged<GroupState>,
    /// The mutes, active ones first.
    pub mutes: Vec<MuteState>,
}

/// Draws the page.
pub fn draw(page: &Page<'_>, parameters: &[(String, String)], quiet: &Quiet) -> Markup {
    let all = form::value(parameters, "all") == "true";
    html! {
        div.head { h1 { "Groups and mutes" } small { "Quiet on purpose" } }
        section.card id="mutes" data-card {
            (mutes(page, &quiet.mutes))
            p {
                @if all { a href="/mutes" { "Without those that have ended" } }
                @else { a href="/mutes?all=true" { "With those that have ended" } }
            }
        }
        section.card id="new" {
            h2 { "New mute" }
            @match page.may_act() {
                Err(advice) => p { (advice) },
                Ok(()) => (new(page, parameters)),
            }
        }
        section.card id="groups" data-card {
            (groups(page, &quiet.groups.rows))
            @if let Some(next) = &quiet.groups.next {
                p { a.btn rel="next" href=(form::address("/mutes", parameters, &[("cursor", next)])) { "Older groups" } }
            }
        }
    }
}

fn mutes(page: &Page<'_>, mutes: &[MuteState]) -> Markup {
    html! {
        @if mutes.is_empty() {
            h2 { "No mute" }
            p { "A mute keeps alerts from their destinations for a time. They are stored, and summed up at its end." }
        } @else {
            h2 { "Mutes" }
            table.cards role="table" {
                (head(&["State", "Alerts", "Until", "#Held", "Reason", "Action"]))
                tbody role="rowgroup" {
                    @for mute in mutes.iter().take(MUTES) {
                        tr role="row" {
                            td role="cell" { (badge(mute.state)) }
                            td.main role="cell" { code { (clip(&mute.when, 200)) } }
                            td role="cell" { (time(page, mute)) }
                            td.num role="cell" data-l="held" {
                                @match mute.id {
                                    Some(id) if mute.events > 0 => a href={ "/events?mute=" (id) } { (number(mute.events)) },
                                    _ => (number(mute.events)),
                                }
                            }
                            td role="cell" { (clip(&mute.why, 200)) small { (mute.who) } }
                            td role="cell" { (end(page, mute)) }
                        }
                    }
                }
            }
        }
    }
}

fn time(page: &Page<'_>, mute: &MuteState) -> Markup {
    html! {
        @if let Some(ended) = &mute.ended_at { "ended " (page.when.clock(ended)) }
        @else if let Some(until) = &mute.until { (page.when.clock(until)) }
        @if let Some(from) = mute.from.as_ref().filter(|_| mute.state == "active") { small { "since " (page.when.clock(from)) } }
        @if let Some(weekly) = &mute.weekly { small { (weekly) } }
        @if let Some(from) = mute.from.as_ref().filter(|_| mute.state == "planned") { small { "from " (page.when.clock(from)) } }
    }
}

fn end(page: &Page<'_>, mute: &MuteState) -> Markup {
    html! {
        @match mute.id {
            Some(id) if mute.state != "ended" && mute.who != CONFIGURATION && page.may_act().is_ok() => {
                form method="post" action="/mutes/end" {
                    input type="hidden" name="csrf" value=(page.csrf);
                    input type="hidden" name="id" value=(id);
                    button { "End" span.hide { " mute " (id) } }
                }
            }
            _ => {}
        }
    }
}

fn new(page: &Page<'_>, parameters: &[(String, String)]) -> Markup {
    html! {
        form.row method="post" action="/mutes/add" {
            input type="hidden" name="csrf" value=(page.csrf);
            div.grow {
                label for="when" { "Alerts, as name=pattern or not.name=pattern; several with spaces" }
                input id="when" name="when" required maxlength="1000" value=(form::value(parameters, "when")) placeholder="source=twilio-prod error_code=3000*";
            }
            (time_and_reason(""))
            div { button.primary name="do" value="preview" { "Preview…" } }
            div { button { "Mute" } }
        }
    }
}

/// Draws the fields of a mute beside its alerts. Their ids end so.
fn time_and_reason(ending: &str) -> Markup {
    html! {
        div {
            label for={ "for" (ending) } { "For" }
            select id={ "for" (ending) } name="for" { @for (time, words) in TIMES { option value=(time) { (words) } } }
        }
        div.grow {
            label for={ "why" (ending) } { "Reason, for whoever looks at it later" }
            input id={ "why" (ending) } name="why" required maxlength="500";
        }
    }
}

/// Draws the form that mutes alerts like one: by its source and those of its labels that are left
/// ticked. `number` tells several forms of a page apart.
pub fn like(page: &Page<'_>, number: usize, alert: &AlertRecord) -> Markup {
    let labels = alert.event.labels.iter();
    let pairs = labels.filter_map(|(name, value)| Condition::of_label(name, value));
    let pairs = pairs.filter(|pair| pair.len() <= LONGEST_PAIR).take(PAIRS);
    let source = format!("source={}", alert.source);
    html! {
        details {
            summary { "Mute alerts like this…" }
            form method="post" action="/mutes/add" {
                input type="hidden" name="csrf" value=(page.csrf);
                fieldset {
                    legend { "Alerts with all of these" }
                    @for pair in std::iter::once(source).chain(pairs) {
                        label.tick { input type="checkbox" name="term" value=(pair) checked; code { (pair) } }
                    }
                }
                div.row {
                    (time_and_reason(&format!("-{number}")))
                    div { button name="do" value="preview" { "Preview…" } }
                }
                p { small { "The preview says how many alerts of the last 24 hours it would have held." } }
            }
        }
    }
}

/// Draws what a mute would have held, with the button that makes it.
pub fn preview(page: &Page<'_>, fields: &[(String, String)], preview: &Preview) -> Markup {
    let matched = i64::try_from(preview.matched).unwrap_or(i64::MAX);
    let looked_at = i64::try_from(preview.looked_at).unwrap_or(i64::MAX);
    html! {
        div.head { h1 { "New mute" } small { code { (clip(&preview.when, 300)) } } }
        section.card {
            h2 { (number(matched)) " of " (counted(looked_at, "alert")) " would have been held" }
            @if let Some(note) = &preview.note { p.note.warn { "No source is called so: " (note) } }
            p {
                @match &preview.since {
                    Some(since) => { "Of the newest alerts of the last 24 hours, since " (page.when.clock(since)) "." },
                    None => "No alert of a sender came in the last 24 hours.",
                }
                " What is open already stays open, and its resolve is delivered."
            }
            @if !preview.newest.is_empty() {
                table.cards role="table" {
                    (head(&["Received", "Alert"]))
                    tbody role="rowgroup" {
                        @for one in &preview.newest {
                            tr role="row" {
                                td.nw role="cell" { (page.when.clock(&one.received_at)) }
                                td.main role="cell" { a href=(form::event(&one.request)) { (clip(&one.title, 200)) } }
                            }
                        }
                    }
                }
            }
            form method="post" action="/mutes/add" {
                input type="hidden" name="csrf" value=(page.csrf);
                @for name in ["when", "for", "why"] {
                    input type="hidden" name=(name) value=(form::value(fields, name));
                }
                div.row {
                    div { button.primary { "Mute for " (form::value(fields, "for")) } }
                    div { a.btn href=(form::address("/mutes", &[], &[("when", form::value(fields, "when"))])) { "Back" } }
                }
            }
        }
    }
}

fn groups(page: &Page<'_>, groups: &[GroupState]) -> Markup {
    html! {
        @if groups.is_empty() {
            h2 { "No group" }
            p { "A group is one alert at the destination for many events with equal labels: " code { "[sources.<name>.group]" } "." }
        } @else {
            h2 { "Groups" }
            table.cards role="table" {
                (head(&["State", "Group", "#Events", "Priority", "Opened", "Newest event", "Action"]))
                tbody role="rowgroup" {
                    @for group in groups {
                        @let priority = group.priority.map_or("", |priority| priority.as_str());
                        tr role="row" {
                            td role="cell" { (badge(&group.state)) }
                            td.main role="cell" {
                                a href={ "/events?group=" (group.id) } { (clip(&words(group), 150)) }
                                small { (group.source) " to " (clip(&group.destinations.join(", "), 80)) }
                                @if !group.frequent.is_empty() { small { "Most frequent: " (clip(&frequent(group), 200)) } }
                                @if let Some(at) = &group.resolves_at {
                                    small {
                                        @if let Some(at) = &group.next_update { "Next update " (page.when.clock(at)) "; resolves " } @else { "Resolves " }
                                        "at " (page.when.clock(at)) " if no other event comes"
                                    }
                                }
                            }
                            td.num role="cell" data-l="events" { (counted_events(group)) }
                            td.nw.(priority) role="cell" { (priority) }
                            td.nw role="cell" { (page.when.clock(&group.opened_at)) }
                            td role="cell" {
                                @if let Some(last) = &group.last {
                                    (page.when.ago(&last.received_at)) small { (clip(&last.title, 120)) }
                                }
                            }
                            td role="cell" {
                                @if group.state == "open" && page.may_act().is_ok() {
                                    form method="post" action="/groups/resolve" {
                                        input type="hidden" name="csrf" value=(page.csrf);
                                        input type="hidden" name="id" value=(group.id);
                                        button { "Resolve" span.hide { " group " (group.id) } }
                                    }
                                    p { a href={ (form::address("/mutes", &[], &[("when", &mute_of(group))])) "#new" } { "Mute…" span.hide { " group " (group.id) } } }
                                } @else if let Some(at) = &group.resolved_at { "resolved " (page.when.clock(at)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn counted_events(group: &GroupState) -> String {
    number(i64::try_from(group.events).unwrap_or(i64::MAX))
}

/// Returns the line of a mute that holds the events of a group.
fn mute_of(group: &GroupState) -> String {
    let labels = group.labels.iter();
    let pairs = labels.filter_map(|(name, value)| Condition::of_label(name, value));
    let source = format!("source={}", group.source);
    std::iter::once(source)
        .chain(pairs)
        .map(|pair| quoted(&pair))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Returns a name and a pattern as they stand in the line of a mute.
pub fn quoted(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, pattern)) if pattern.contains(char::is_whitespace) => {
            format!("{name}=\"{pattern}\"")
        }
        _ => pair.to_owned(),
    }
}

/// Returns the most frequent labels of a group, in words.
fn frequent(group: &GroupState) -> String {
    let all = group.frequent.iter();
    let words = all.map(|(name, value, count)| {
        let count = number(i64::try_from(*count).unwrap_or(i64::MAX));
        format!("{name}={value} {count}")
    });
    words.collect::<Vec<_>>().join(" · ")
}

/// Returns the words for a group: what its events share.
pub fn words(group: &GroupState) -> String {
    let labels: Vec<_> = group
        .labels
        .iter()
        .map(|(name, value)| format!("{name} {}", if value.is_empty() { "(none)" } else { value }))
        .collect();
    if labels.is_empty() {
        "all of its source".to_owned()
    } else {
        labels.join(", ")
    }
}

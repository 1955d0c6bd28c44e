//! Events: where is the one that I look for?

use maud::{Markup, html};
use plugin_sdk::contract::Priority;

use super::words::{badge, between, clip, head, number, state, states};
use super::{Page, form};
use crate::admin::api::{Listed, Paged};
use crate::admin::problem::Problem;
use crate::store::{Count, ListedState};

/// The times since which events are looked for, as they are offered.
const SINCE: [(&str, &str); 5] = [
    ("", "any time"),
    ("1h", "1 hour"),
    ("24h", "24 hours"),
    ("7d", "7 days"),
    ("30d", "30 days"),
];
/// The most sources that are offered in a list.
const OFFERED: usize = 100;

/// Draws the list that fits the parameters of the page.
pub fn draw(
    page: &Page<'_>,
    parameters: &[(String, String)],
    found: Result<&Paged<Listed>, &Problem>,
    counts: &[Count],
    sources: &[String],
) -> Markup {
    let with = |changes: &[(&str, &str)]| form::address("/events", parameters, changes);
    let is_first = form::value(parameters, "cursor").is_empty();
    html! {
        div.head { h1 { "Events" } small { "Newest first" } }
        (filter(parameters, counts, sources))
        @match found {
            Err(problem) => section.verdict.bad role="alert" { p { (problem.detail) } },
            Ok(found) if found.rows.is_empty() => section.card {
                @if found.next.is_some() {
                    h2 { "Nothing among the newest yet" }
                    p { "The search has not reached the end: go on to older ones." }
                } @else {
                    h2 { "No event fits" }
                    p { "Events are kept for as long as retention says; rejected and ignored requests until a restart." }
                    p { a href="/events" { "All events" } }
                }
            },
            Ok(found) => section.card id="list" data-list[is_first] { (table(page, &found.rows)) },
        }
        @if let Ok(Some(next)) = found.map(|found| &found.next) {
            nav.head aria-label="Pages" {
                @if is_first { span {} } @else { a href=(with(&[("cursor", "")])) { "Newest" } }
                a.btn rel="next" href=(with(&[("cursor", next)])) { "Older" }
            }
        }
    }
}

fn filter(parameters: &[(String, String)], counts: &[Count], sources: &[String]) -> Markup {
    let value = |name: &str| form::value(parameters, name);
    let with = |changes: &[(&str, &str)]| form::address("/events", parameters, changes);
    let current = value("state");
    let labels = || parameters.iter().filter(|(name, _)| name == "label");
    html! {
        section.card aria-label="Filter" {
            form.row method="get" action="/events" {
                div.grow {
                    label for="q" { "Title, message, id or label=value" }
                    input id="q" name="q" type="search" maxlength="500" value=(value("q"));
                }
                div {
                    label for="source" { "Source" }
                    @if sources.len() > OFFERED {
                        input id="source" name="source" value=(value("source")) maxlength="100";
                    } @else {
                        select id="source" name="source" {
                            option value="" { "any" }
                            @for source in sources {
                                option value=(source) selected[*source == value("source")] { (source) }
                            }
                            @if !value("source").is_empty() && !sources.iter().any(|one| one == value("source")) {
                                option value=(value("source")) selected { (value("source")) }
                            }
                        }
                    }
                }
                div {
                    label for="priority" { "Priority" }
                    select id="priority" name="priority" {
                        option value="" { "any" }
                        @for priority in Priority::ALL.map(Priority::as_str) {
                            option value=(priority) selected[priority == value("priority")] { (priority) }
                        }
                    }
                }
                div {
                    label for="since" { "Since" }
                    select id="since" name="since" {
                        @for (since, words) in SINCE {
                            option value=(since) selected[since == value("since")] { (words) }
                        }
                        @if !SINCE.iter().any(|(since, _)| *since == value("since")) {
                            option value=(value("since")) selected { (value("since")) }
                        }
                    }
                }
                @for name in ["key", "state", "until", "group", "mute"] {
                    @if !value(name).is_empty() { input type="hidden" name=(name) value=(value(name)); }
                }
                @for (_, label) in labels() { input type="hidden" name="label" value=(label); }
                div { button.primary { "Search" } }
            }
            ul.chips id="states" data-card aria-label="State" {
                li { a href=(with(&[("state", ""), ("cursor", "")])) aria-current=[current.is_empty().then_some("true")] { "all" (count(counts, "")) } }
                @for (name, word) in states() {
                    @let shape = state(name).0;
                    li {
                        a href=(with(&[("state", name), ("cursor", "")])) aria-current=[(current == name).then_some("true")] {
                            span.s.(shape) { (word) } (count(counts, name))
                        }
                    }
                }
                @for (_, label) in labels() {
                    li { (removable(&form::without_label("/events", parameters, label), label)) }
                }
                @for name in ["key", "group", "mute", "until"] {
                    @if !value(name).is_empty() {
                        li { (removable(&with(&[(name, ""), ("cursor", "")]), &format!("{name} {}", value(name)))) }
                    }
                }
            }
        }
    }
}

/// Draws the number of events in a state; nothing where it is not known.
fn count(counts: &[Count], state: &str) -> Markup {
    let is_it = |count: &&Count| count.state.map_or("", ListedState::as_str) == state;
    let known = counts.iter().find(is_it);
    html! {
        @match known {
            Some(count) if !count.is_at_least => { " " b { (number(count.events)) } }
            Some(count) if count.events > 0 => { " " b { (number(rounded(count.events))) "+" } }
            _ => {}
        }
    }
}

/// Returns a number with two digits that count, not above it: a walk that ends in time has found
/// some more or less.
fn rounded(events: i64) -> i64 {
    let mut unit = 1;
    while events / unit >= 100 {
        unit *= 10;
    }
    events / unit * unit
}

fn removable(address: &str, what: &str) -> Markup {
    html! { a href=(address) { span.hide { "Without " } (clip(what, 80)) " ×" } }
}

fn table(page: &Page<'_>, rows: &[Listed]) -> Markup {
    html! {
        table.cards role="table" {
            (head(&["Received", "State", "Event", "Source", "Priority"]))
            tbody role="rowgroup" {
                @for row in rows {
                    @let line = &row.line;
                    @let priority = line.priority.map_or("", |priority| priority.as_str());
                    @let id = line.event_id.as_deref().filter(|_| row.trace.is_none()).unwrap_or(&line.request);
                    tr role="row" {
                        td.nw role="cell" { (page.when.clock(&line.received_at)) }
                        td role="cell" { (badge(&line.state)) }
                        td.main role="cell" {
                            a href=(form::event(id)) { (clip(&line.title, 200)) }
                            small { (clip(&became(row), 300)) }
                        }
                        td.source role="cell" { (line.source) }
                        td.nw.(priority) role="cell" { (priority) }
                    }
                }
            }
        }
    }
}

/// Returns the sentence on what became of an event.
fn became(row: &Listed) -> String {
    let mut words: Vec<String> = row
        .deliveries
        .iter()
        .map(|delivery| {
            let name = &delivery.destination;
            match delivery.state.as_str() {
                "pending" => format!("waits for {name}"),
                "dead" => format!("rejected by {name}"),
                "dismissed" => format!("not sent to {name}"),
                _ => {
                    let settled = delivery.settled_at.as_deref();
                    let after = settled.and_then(|at| between(&row.line.received_at, at));
                    let after = after.map_or_else(String::new, |after| format!(" after {after}"));
                    format!("delivered to {name}{after}")
                }
            }
        })
        .collect();
    if let Some(group) = &row.group {
        let events = i64::try_from(group.events).unwrap_or(i64::MAX);
        words.push(format!("in a group of {}", number(events)));
    }
    if let Some(mute) = &row.mute {
        let held = if mute.holds { "held" } else { "was held" };
        words.push(format!("{held} by {}: {}", mute.who, mute.why));
    }
    if let Some(trace) = &row.trace {
        words.push(format!("{} from {}", trace.outcome, trace.client));
    }
    words.extend(row.line.note.clone());
    match row.line.repeated {
        0 => {}
        1 => words.push("came once more".to_owned()),
        times => words.push(format!("came {times} times more")),
    }
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_may_be_more_say_so() {
        let known = |state, events, is_at_least| Count {
            state,
            events,
            is_at_least,
        };
        let counts = [
            known(None, 10_003, true),
            known(Some(ListedState::Dead), 0, false),
            known(Some(ListedState::Muted), 0, true),
            known(Some(ListedState::Ignored), 3_412, true),
        ];
        for (state, shown) in [
            ("", " <b>10,000+</b>"),
            ("dead", " <b>0</b>"),
            ("muted", ""),
            ("ignored", " <b>3,400+</b>"),
            ("failed", ""),
        ] {
            assert_eq!(count(&counts, state).into_string(), shown, "{state}");
        }
    }
}

//! Destinations: does it take alerts; if not, since when, why, and what waits?

use maud::{Markup, html};

use super::sources::fact;
use super::words::{badge, clip, counted, head, number, said, span};
use super::{Page, form, tested};
use crate::admin::api::Destination;
use crate::admin::desk::REMOVED;
use crate::health::DestinationState;
use crate::store::Attempted;

/// The attempts that are shown of one destination.
const ATTEMPTS: usize = 3;
/// The destinations of a page.
const CARDS: usize = 10;
/// The bytes of a reason that are shown, of a title and of an answer.
const WHY: usize = 500;
const TITLE: usize = 100;
const ANSWER: usize = 150;

/// Returns the address of the page with this destination.
pub fn address(name: &str) -> String {
    format!(
        "{}#{name}",
        form::address("/destinations", &[], &[("q", name)])
    )
}

/// Returns the shape and the word for the state of a destination.
pub fn state(destination: &Destination) -> (&'static str, &'static str) {
    match destination.state {
        Some(DestinationState::Healthy) if destination.failing_since.is_some() => {
            ("warn", "retrying")
        }
        Some(DestinationState::Healthy) => ("ok", "healthy"),
        Some(DestinationState::Failing) => ("bad", "failing"),
        Some(DestinationState::Held) => ("bad", "held"),
        None => ("idle", "not tried yet"),
    }
}

/// Draws the page: what is unhealthy comes first.
pub fn draw(
    page: &Page<'_>,
    parameters: &[(String, String)],
    found: &[Destination],
    attempts: &[Attempted],
) -> Markup {
    let q = form::value(parameters, "q");
    let number_of_page = form::number_of_page(parameters);
    let mut destinations: Vec<&Destination> = found
        .iter()
        .filter(|one| one.facts.name.contains(q))
        .collect();
    destinations.sort_by_key(|one| match one.state {
        Some(DestinationState::Held) => 0,
        Some(DestinationState::Failing) => 1,
        _ if one.failing_since.is_some() => 2,
        Some(DestinationState::Healthy) | None => 3,
    });
    let count = destinations.len();
    let shown = destinations.into_iter().skip(number_of_page * CARDS);
    let at =
        |page: usize| form::address("/destinations", parameters, &[("page", &page.to_string())]);
    html! {
        div.head { h1 { "Destinations" } small { (counted(found.len() as i64, "destination")) } }
        @if !q.is_empty() { p { a href="/destinations" { "All destinations" } } }
        @for destination in shown.take(CARDS) {
            @let name = destination.facts.name.as_str();
            @let of_it = attempts.iter().filter(|one| one.attempt.destination == name).take(ATTEMPTS);
            (card(page, destination, &of_it.collect::<Vec<_>>()))
        }
        @if count > CARDS {
            nav.head aria-label="Pages" {
                @if number_of_page > 0 { a.btn rel="prev" href=(at(number_of_page - 1)) { "Before" } } @else { span {} }
                @if (number_of_page + 1) * CARDS < count { a.btn rel="next" href=(at(number_of_page + 1)) { "More" } }
            }
        }
    }
}

/// Returns a time in milliseconds, as a person reads it.
fn took_ms(ms: f64) -> String {
    match ms {
        ..100.0 => format!("{ms:.1}\u{a0}ms"),
        ..1000.0 => format!("{ms:.0}\u{a0}ms"),
        _ => format!("{:.1}\u{a0}s", ms / 1000.0),
    }
}

fn card(page: &Page<'_>, destination: &Destination, attempts: &[&Attempted]) -> Markup {
    let facts = &destination.facts;
    let (shape, word) = state(destination);
    let at_least = if destination.pending_is_at_least {
        " or more"
    } else {
        ""
    };
    html! {
        section.card id=(facts.name) data-card {
            div.head {
                h2 { (facts.name) }
                span.s.(shape) {
                    (word)
                    @if let Some(since) = destination.failing_since.as_ref().or(destination.since.as_ref()) {
                        " since " (page.when.clock(since))
                    }
                }
            }
            dl.facts {
                (fact("Kind", facts.kind))
                (fact("Address", &clip(&facts.address, 200)))
                div { dt { "Waiting" } dd {
                    b { (number(destination.pending)) (at_least) }
                    @if let Some(oldest) = &destination.oldest_pending { ", oldest " (page.when.ago(oldest)) }
                } }
                div { dt { "Dead letters" } dd { a href="/dead-letters#dead" { (number(destination.dead)) } } }
                @if let Some(at) = &destination.last_receipt { div { dt { "Last receipt" } dd { (page.when.ago(at)) } } }
                (fact("Last hour", &format!("{} delivered", number(i64::from(destination.delivered_last_hour)))))
                (fact("24 hours", &format!("{} delivered", number(i64::from(destination.delivered_last_day)))))
                @if let Some(breaker) = &destination.breaker {
                    div { dt { "Circuit breaker" } dd { (breaker.state.as_str()) " since " (page.when.clock(&breaker.since)) } }
                }
                @if let Some(took) = &destination.attempt_ms {
                    (fact("Half of attempts within", &took_ms(took.p50)))
                    (fact("95 %, 99 % within", &format!("{}, {}", took_ms(took.p95), took_ms(took.p99))))
                }
                @if let Some(fallback) = &facts.fallback {
                    div { dt { "Fallback" } dd {
                        (fallback)
                        @if let Some(after) = facts.fallback_after_s { " after " (span((after * 1000.0) as i64)) }
                    } }
                }
                @if facts.operator { (fact("Role", "hears of trouble")) }
            }
            @if let Some(why) = destination.why.as_ref().filter(|_| shape != "ok") {
                p.note.(shape) { (clip(why, WHY)) }
                p {
                    "Its alerts wait, and go out by themselves once it takes them."
                    @if let Some(at) = &destination.next_attempt {
                        " One is tried at " (page.when.clock(at)) ", " (page.when.until(at)) "."
                    }
                }
            }
            @if let Some(to) = &destination.next_fallback {
                p { "What has waited longest goes to " (to.destination) " as well at " (page.when.clock(&to.at)) ", " (page.when.until(&to.at)) "." }
            }
            @if facts.kind != REMOVED { (tested::button(page, "destinations", &facts.name)) }
            @if !attempts.is_empty() {
                details {
                    summary { "Last attempts at " (facts.name) }
                    table.cards role="table" {
                        (head(&["Attempt", "Outcome", "Alert", "Answer"]))
                        tbody role="rowgroup" {
                            @for one in attempts {
                                tr role="row" {
                                    td.nw role="cell" { (page.when.clock(&one.attempt.at)) }
                                    td role="cell" { (badge(&one.attempt.outcome)) }
                                    td.main role="cell" {
                                        a href=(form::event(&one.request)) { (clip(one.title.as_deref().unwrap_or("(evicted)"), TITLE)) }
                                    }
                                    td role="cell" { (said(&one.attempt, ANSWER)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

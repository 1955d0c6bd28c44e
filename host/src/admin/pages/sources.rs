//! Sources: what do I paste at the sender, and why is it refused?

use std::time::Duration;

use maud::{Markup, html};

use super::words::{clip, copied, counted, head, number};
use super::{Page, chart, form, markdown, tested};
use crate::admin::api::{SourceState, Sources};
use crate::metrics::Series;
use crate::store::Traced;

/// The sources of a page.
const ROWS: usize = 25;
/// The rejected requests that are shown of one source.
const REJECTED: usize = 10;
/// The bytes of setup steps that are shown; `plugin inspect` prints all.
const SETUP: usize = 12_000;
/// The requests to unknown paths that are shown.
const UNKNOWN: usize = 15;

/// Draws the list: what is in trouble comes first.
pub fn draw(page: &Page<'_>, parameters: &[(String, String)], found: &Sources) -> Markup {
    let q = form::value(parameters, "q").to_lowercase();
    let number_of_page = form::number_of_page(parameters);
    let all = &found.sources;
    let mut sources: Vec<&SourceState> = all
        .iter()
        .filter(|one| one.summary.name.contains(&q))
        .collect();
    sources.sort_by_key(|one| {
        (
            !one.missed_heartbeat,
            one.failed == 0,
            one.last_hour.rejected == 0,
        )
    });
    let missed = all.iter().filter(|one| one.missed_heartbeat).count();
    let shown: Vec<_> = sources
        .iter()
        .skip(number_of_page * ROWS)
        .take(ROWS)
        .collect();
    let at = |page: usize| form::address("/sources", parameters, &[("page", &page.to_string())]);
    html! {
        div.head {
            h1 { "Sources" }
            small { (counted(all.len() as i64, "source")) @if missed > 0 { "; " (missed) " missed a heartbeat" } }
        }
        @if all.len() > ROWS || !q.is_empty() {
            section.card aria-label="Filter" {
                form.row method="get" action="/sources" {
                    div.grow { label for="q" { "Name" } input id="q" name="q" type="search" maxlength="100" value=(q); }
                    div { button.primary { "Search" } }
                }
            }
        }
        section.card id="sources" data-card {
            @if shown.is_empty() {
                h2 { "No source has such a name" }
                p { a href="/sources" { "All sources" } }
            } @else {
                table.cards role="table" {
                    (head(&["Source", "Last heard", "#Last hour", "#Rejected", "#Failed", "Address for its sender"]))
                    tbody role="rowgroup" { @for source in &shown { (row(page, source)) } }
                }
            }
        }
        @if sources.len() > ROWS {
            nav.head aria-label="Pages" {
                @if number_of_page > 0 { a.btn rel="prev" href=(at(number_of_page - 1)) { "Before" } } @else { span {} }
                @if (number_of_page + 1) * ROWS < sources.len() { a.btn rel="next" href=(at(number_of_page + 1)) { "More" } }
            }
        }
        @if !found.unknown_paths.is_empty() { (unknown(page, &found.unknown_paths)) }
    }
}

fn row(page: &Page<'_>, source: &SourceState) -> Markup {
    let name = &*source.summary.name;
    html! {
        tr role="row" {
            td.main role="cell" {
                a href=(form::source(name)) { (name) }
                small { (source.summary.plugin) " to " (clip(&source.summary.destinations.join(", "), 80)) }
            }
            td role="cell" { (heard(page, source)) }
            td.num role="cell" data-l="last hour" { (number(i64::from(source.last_hour.requests()))) }
            td.num role="cell" data-l="rejected" { (number(i64::from(source.last_hour.rejected))) }
            td.num role="cell" data-l="failed" { (number(source.failed)) }
            td role="cell" { (copied(&format!("url-{name}"), &source.summary.url, &format!("the URL of {name}"))) }
        }
    }
}

fn unknown(page: &Page<'_>, unknown: &[Traced]) -> Markup {
    html! {
        section.card id="unknown" data-card {
            h2 { "Requests to paths that no source has" }
            table.cards role="table" {
                (head(&["Path", "Received", "Client", "Advice"]))
                tbody role="rowgroup" {
                    @for traced in unknown.iter().take(UNKNOWN) {
                        tr role="row" {
                            td.main role="cell" { code { (traced.trace.method) " " (clip(&traced.trace.url, 120)) } }
                            td.nw role="cell" { (page.when.clock(&traced.received_at)) }
                            td role="cell" { (traced.trace.client) }
                            td role="cell" { (clip(traced.trace.help.as_deref().unwrap_or_default(), 200)) }
                        }
                    }
                }
            }
        }
    }
}

/// Draws one source: its address, its requests since `counted_for` ago, the steps at its sender, and
/// its refusals.
pub fn draw_one(
    page: &Page<'_>,
    source: &SourceState,
    series: &Series,
    counted_for: Duration,
) -> Markup {
    let summary = &source.summary;
    let name = &*summary.name;
    let expected = summary.expected.as_deref();
    let proof = if summary.proof.is_empty() {
        "none".to_owned()
    } else {
        summary.proof.join(", ")
    };
    html! {
        nav aria-label="Breadcrumb" { a href="/sources" { "Sources" } " / " (name) }
        div.head { h1 { (name) } (heard(page, source)) }
        section.card {
            h2 { "Address for its sender" }
            (copied("url", &summary.url, "the URL"))
        }
        section.card id="facts" data-card {
            h2 { "Facts" }
            dl.facts {
                (fact("Expected", &expected.map_or("at any time".to_owned(), |every| format!("every {every}"))))
                (fact("Last hour", &counted(i64::from(source.last_hour.requests()), "request")))
                (fact("24 hours", &counted(i64::from(source.last_day.requests()), "request")))
                (fact("Rejected in 24 hours", &number(i64::from(source.last_day.rejected))))
                (fact("Failed", &number(source.failed)))
                (fact("To", &summary.destinations.join(", ")))
                (fact("Proof", &proof))
                (fact("Plugin", &format!("{} {}", summary.plugin, summary.plugin_version)))
            }
            @if source.missed_heartbeat {
                p.note.warn {
                    "Nothing came for longer than is expected"
                    @if source.rejected.is_empty() {
                        ", and no request of it was rejected: its sender is down, or cannot reach this gateway."
                    } @else { "; requests were rejected: see below." }
                }
            }
            p {
                a href=(form::address("/events", &[], &[("source", name)])) { "Events of " (name) } " · "
                a href={ (form::address("/mutes", &[], &[("when", &format!("source={name}"))])) "#new" } { "Mute " (name) "…" }
            }
        }
        section.card id="day" data-card { (chart::draw_requests(series, counted_for)) }
        section.card { h2 { "Test" } (tested::button(page, "sources", name)) }
        section.card id="rejected" data-card {
            @if source.rejected.is_empty() {
                h2 { "No request was rejected" }
                p { "What is refused stands here with its reason, until a restart." }
            } @else { (rejected(page, source)) }
        }
        section.card {
            h2 { "Set up at the sender" }
            @if summary.setup.trim().is_empty() {
                p { "Its plugin says no more than this: have the sender post to the address above." }
            } @else { div.prose { (markdown::draw(&clip(summary.setup.trim(), SETUP))) } }
        }
    }
}

fn heard(page: &Page<'_>, source: &SourceState) -> Markup {
    html! {
        @match &source.last_heard {
            Some(at) if source.missed_heartbeat => span.s.warn { "missed heartbeat; heard " (page.when.ago(at)) },
            Some(at) => span.s.ok { "heard " (page.when.ago(at)) },
            None if source.missed_heartbeat => span.s.warn { "missed heartbeat" },
            None => span.s.idle { "never heard" },
        }
    }
}

/// Draws one fact of a list of them.
pub fn fact(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn rejected(page: &Page<'_>, source: &SourceState) -> Markup {
    let last = &source.rejected[0].trace;
    html! {
        h2 { "Rejected requests" }
        p { "The last one: " b { (last.reason) } }
        @if let Some(help) = &last.help { p { (help) } }
        table.cards role="table" {
            (head(&["Received", "Reason", "Client", "URL"]))
            tbody role="rowgroup" {
                @for traced in source.rejected.iter().take(REJECTED) {
                    tr role="row" {
                        td.nw role="cell" { (page.when.clock(&traced.received_at)) }
                        td.main role="cell" { a href=(form::event(&traced.trace.request)) { (clip(&traced.trace.reason, 200)) } }
                        td role="cell" { (traced.trace.client) }
                        td role="cell" { code { (clip(&traced.trace.url, 200)) } }
                    }
                }
            }
        }
    }
}

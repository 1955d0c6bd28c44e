//! One event: did the page go out? The chain from the sender to the receipt.

use std::collections::BTreeMap;

use maud::{Markup, html};
use plugin_sdk::contract::Status;

use super::words::{badge, between, clip, copied, counted, said, span};
use super::{Page, form, quiet, waiting};
use crate::admin::api::{Chain, Shown};
use crate::admin::problem::Problem;
use crate::alert::change::by_rule;
use crate::alert::fallback::Reason;
use crate::config::OWN_SOURCE;
use crate::recent::BODY_BYTES;
use crate::sources::Summary;
use crate::store::{
    AlertRecord, AttemptRecord, DeliveryRecord, Line, RequestRecord, SameKey, Traced,
};

/// The alerts of a request that are shown, and their deliveries; all of them are in the API.
const ALERTS: usize = 8;
const DELIVERIES: usize = 16;
/// The bytes of an answer that are shown.
const ANSWER: usize = 200;

/// The attempts that are shown of one delivery.
#[derive(Debug, Clone, Copy)]
struct Room {
    /// The most that are all shown.
    most: usize,
    /// Those at the beginning and at the end of more,
    ends: usize,
    /// and those between.
    between: usize,
}

impl Room {
    /// The room of each of so many deliveries.
    fn of(deliveries: usize) -> Self {
        let [most, ends, between] = match deliveries {
            0..=2 => [8, 3, 20],
            3..=6 => [4, 1, 4],
            _ => [2, 1, 0],
        };
        Self {
            most,
            ends,
            between,
        }
    }
}
/// The alerts of a request that are shown with all they say.
const WHOLE: usize = 2;
/// The most marks on the line of time, and the shortest time that has one.
const MARKS: usize = 60;
const SHORT_MS: i64 = 1000;
/// The rules of an alert that are shown, and the changes of each.
const RULES: usize = 4;
const CHANGES: usize = 4;
/// The requests of an id that are shown.
const REQUESTS: usize = 2;
/// The bytes of headers that are shown, and of a message.
const HEADERS: usize = 4000;
const MESSAGE: usize = 1500;
/// The number of labels that are shown, and the longest one with a link to a search.
const LABELS: usize = 12;
const LONGEST_LABEL: usize = 100;

/// Draws all that is known of an id, and returns its title. `sources` are those that are loaded.
pub fn draw(page: &Page<'_>, chain: &Chain, sources: &[Summary]) -> (String, Markup) {
    let title = chain
        .requests
        .iter()
        .flat_map(|request| &request.record.alerts)
        .map(|alert| alert.event.title.clone())
        .next()
        .or_else(|| chain.traced.first().map(|one| one.trace.reason.clone()))
        .unwrap_or_else(|| format!("Request {}", chain.id));
    let content = html! {
        nav aria-label="Breadcrumb" { a href="/events" { "Events" } " / " (clip(&chain.id, 100)) }
        h1 { (clip(&title, 300)) }
        @for request in chain.requests.iter().take(REQUESTS) { (stored(page, request, sources)) }
        @if chain.requests.len() > REQUESTS {
            p {
                "Other sources have the same id: "
                @for request in chain.requests.iter().skip(REQUESTS).take(10) { a href=(form::event(&request.record.id)) { (request.record.source) } " " }
            }
        }
        @for traced in &chain.traced { (refused(page, traced)) }
    };
    (title, content)
}

fn stored(page: &Page<'_>, request: &Shown, sources: &[Summary]) -> Markup {
    let record = &request.record;
    let loaded = sources.iter().find(|one| *one.name == *record.source);
    let is_loaded = loaded.map(|loaded| loaded.plugin_sha256 == record.plugin_sha256);
    let (shape, answer) = answer(request);
    let mut deliveries = 0;
    let alerts = record.alerts.iter().take_while(|alert| {
        deliveries += alert.deliveries.len();
        deliveries <= DELIVERIES
    });
    let alerts: Vec<_> = alerts.take(ALERTS).collect();
    let room = Room::of(alerts.iter().map(|alert| alert.deliveries.len()).sum());
    html! {
        section.verdict.(shape) id={ "answer-" (record.id) } data-card { h2.s.(shape) { (answer) } }
        div.two {
            section.card id={ "chain-" (record.id) } data-card {
                div.head { h2 { "Receipt chain" } small { (page.when.clock(&record.received_at)) } }
                (strip(page, record))
                ol.chain {
                    (received(page, request))
                    @if let Some(sender) = &record.sender {
                        li.ok { h3 { "Proof" } p { (clip(&sender.proof(), 500)) } }
                    }
                    li.(if record.state == "failed" { "bad" } else { "ok" }) {
                        h3 { "Plugin" }
                        p {
                            (record.plugin) " " (record.plugin_version)
                            ", " (counted(record.alerts.len() as i64, "alert"))
                            @if record.duplicates > 0 { ", " (record.duplicates) " known already" }
                        }
                        @if let Some(reason) = &record.reason { p { (badge(&record.state)) ": " (clip(reason, 1000)) } }
                        small {
                            "sha256 " code { (record.plugin_sha256.get(..16).unwrap_or(&record.plugin_sha256)) "…" }
                            @match is_loaded {
                                Some(true) => ", the one loaded now",
                                Some(false) => ", another one is loaded now",
                                None => "",
                            }
                        }
                    }
                    @for alert in &alerts { (alert_chain(page, record.received_at.as_str(), alert, room)) }
                    @if record.alerts.len() > alerts.len() {
                        li.idle {
                            h3 { (counted((record.alerts.len() - alerts.len()) as i64, "alert")) " more" }
                            p { a href={ "/api/v1" (form::event(&record.id)) } { "All of them as JSON" } }
                        }
                    }
                }
            }
            div.col {
                (waiting::actions(page, request))
                @for (number, alert) in record.alerts.iter().enumerate().take(WHOLE) {
                    (facts(page, number, alert))
                    @if let Some(key) = &alert.same_key { (same_key(page, record, key)) }
                }
                (case(record))
            }
        }
    }
}

/// Draws the attempts on a line of time, from the request to the last of them; nothing where all of
/// it took no time to speak of.
fn strip(page: &Page<'_>, record: &RequestRecord) -> Markup {
    let Some(received) = page.when.since_ms(&record.received_at) else {
        return html! {};
    };
    let attempts = record.alerts.iter().take(ALERTS);
    let attempts = attempts.flat_map(|alert| &alert.attempts);
    let tried: Vec<(i64, &AttemptRecord)> = attempts
        .filter_map(|attempt| {
            let after = received - page.when.since_ms(&attempt.at)?;
            Some((after + attempt.duration_us / 1000, attempt))
        })
        .collect();
    let end = tried.iter().map(|(after, _)| *after).max().unwrap_or(0);
    if end < SHORT_MS {
        return html! {};
    }
    let first = tried
        .iter()
        .filter(|(_, attempt)| attempt.outcome == "accepted")
        .min_by_key(|(after, _)| *after);
    // Of very many attempts the last ones, and each that was accepted.
    let marked = tried.iter().enumerate().filter(|(place, (_, attempt))| {
        place + MARKS >= tried.len() || attempt.outcome == "accepted"
    });
    let words = match first {
        Some((after, attempt)) => format!("{}, {}", attempt.destination, span(*after)),
        None => "no receipt yet".to_owned(),
    };
    html! {
        figure {
            svg.strip-line viewBox="0 0 240 8" preserveAspectRatio="none" role="img"
                aria-label={ (counted(tried.len() as i64, "attempt")) " within " (span(end)) "; " (words) } {
                path.zero d="M0 4H240" {}
                @for (_, (after, attempt)) in marked {
                    @let place = (after.clamp(&0, &end) * 2380 / end) as f64 / 10.0 + 1.0;
                    path.(super::words::state(&attempt.outcome).0) d={ "M" (place) " 0v8" } {}
                }
            }
            div.head.dim { span { "request" } span { (words) } span { "+" (span(end)) } }
        }
    }
}

fn received(page: &Page<'_>, request: &Shown) -> Markup {
    let record = &request.record;
    html! {
        li.ok {
            span.at { (page.when.clock(&record.received_at)) "+0\u{a0}ms" }
            h3 { "Request" }
            p { (record.method) " " code { (clip(&request.url, 500)) } ", " (request.body_bytes) " bytes"
                @if let Some(client) = record.sender.as_ref().and_then(|sender| sender.client.as_ref()) { " from " (clip(client, 100)) }
                ", to source " (record.source)
            }
            @if let Some(places) = record.redacted { p { small { "Masked in " (counted(places, "place")) " before it was stored" } } }
            small {
                @if let Some(wait) = record.wait() { "Answered " (wait) " · " }
                "request " code { (record.id) }
            }
            @match &record.evicted {
                Some(evicted) => p { small { "URL, headers and body: " (evicted) } },
                None => details {
                    summary { "Headers and body" }
                    (headers(&request.headers))
                    p { a href={ "/api/v1" (form::event(&record.id)) "/body" } download { "Download the body" } }
                },
            }
        }
    }
}

fn alert_chain(page: &Page<'_>, received_at: &str, alert: &AlertRecord, room: Room) -> Markup {
    let key = alert.same_key.as_ref();
    html! {
        (rules(alert))
        li.(if alert.state == "ignored" { "idle" } else { "ok" }) {
            h3 { "Alert" }
            p { span.(alert.event.priority.as_str()) { (alert.event.priority.as_str()) } ", " (alert.event.status.as_str()) ": " (clip(&alert.event.title, 300)) }
            @if let Some(note) = &alert.note { p { small { (clip(note, 500)) } } }
            @if let Some(group) = &alert.group {
                p { span.s.grp { "in a group" } ", " (group.state) ": " a href={ "/events?group=" (group.id) } { (counted(group.members, "event")) } }
            }
            @if let Some(mute) = &alert.mute {
                p {
                    span.s.hush { @if mute.holds { "held by" } @else { "was held by" } " mute " (mute.id) } ": "
                    a href={ "/events?mute=" (mute.id) } { (clip(&mute.why, 200)) } " (" (mute.who) ")"
                }
            }
            @if let Some(last_at) = &alert.last_at {
                p { small { "Repeated " (alert.repeated) " times, last at " (page.when.clock(last_at)) } }
            }
        }
        @for delivery in &alert.deliveries {
            @let attempts: Vec<_> = alert.attempts.iter().filter(|one| one.destination == delivery.destination).collect();
            li.lane { div.head { h3 { "To " (delivery.destination) } (badge(&delivery.state)) }
                @if let Some(other) = &delivery.fallback_for { p { small { "The fallback of " (other) ": " (delivery.fallback_reason.as_deref().unwrap_or_default()) } } }
            }
            (tries(page, received_at, &attempts, room))
            @if delivery.state == "pending" {
                (next(page, delivery))
                @if let Some(to) = &delivery.falls_back {
                    li.idle {
                        span.at { (page.when.clock(&to.at)) (page.when.until(&to.at)) }
                        h3 { "Fallback to " (to.destination) }
                        p { "It goes there as well, if " (delivery.destination) " has not taken it by then" }
                    }
                }
            }
            @if delivery.state == "dead" {
                li.dead { h3 { "Dead letter" } p { "Rejected for good. It waits for a replay or a dismissal." } }
            }
        }
        @if let Some((at, after)) = key.and_then(|key| key.resolves_at.as_ref().zip(key.resolve_after.as_ref()))
            && alert.event.status == Status::Trigger && !alert.deliveries.is_empty() {
            li.idle {
                span.at { (page.when.clock(at)) (page.when.until(at)) }
                h3 { "Resolves by itself" }
                p { (after) " after the last event of its key (" code { "resolve_after" } ")" }
            }
        }
    }
}

/// Draws the rules of an alert with their changes.
fn rules(alert: &AlertRecord) -> Markup {
    let under = &alert.under;
    if under.rules.is_empty() && under.masked == 0 {
        return html! {};
    }
    html! {
        li.ok {
            h3 { "Rules" }
            @for (rule, changes) in by_rule(&under.rules, &under.changes).take(RULES) {
                p {
                    "Rule " (rule) " of " (alert.source) ": "
                    @if changes.is_empty() { "changed no field" }
                    @for (number, change) in changes.iter().enumerate().take(CHANGES) {
                        @if number > 0 { ", " }
                        code { (clip(&change.field, 60)) } " "
                        @if let Some(from) = &change.from { (clip(from, 60)) " → " }
                        b { (clip(&change.to, 60)) }
                    }
                    @if changes.len() > CHANGES { " and " (changes.len() - CHANGES) " more" }
                }
            }
            @if under.rules.len() > RULES { p { (under.rules.len() - RULES) " more rules applied" } }
            @if under.masked > 0 { small { "Masked in " (counted(under.masked as i64, "place")) } }
        }
    }
}

/// Draws when a delivery that waits is tried next.
fn next(page: &Page<'_>, delivery: &DeliveryRecord) -> Markup {
    let held_up = delivery.held_up.as_ref();
    html! {
        li.wait {
            @let at = delivery.due_at.as_ref().filter(|at| page.when.since_ms(at).is_some_and(|ms| ms < 0));
            @if let (Some(at), None) = (at, held_up) {
                span.at { (page.when.clock(at)) (page.when.until(at)) }
            }
            h3 { "Next attempt" }
            p {
                @match (&delivery.due_at, held_up, at) {
                    (None, ..) => "After the alert of the same key that waits before it",
                    (_, Some(held_up), _) => {
                        "Once " (delivery.destination) " takes alerts again: it is " (held_up.state) " since " (page.when.clock(&held_up.since)) ". "
                        @match &held_up.next_attempt {
                            Some(at) => { "One alert is tried at " (page.when.clock(at)) ", " (page.when.until(at)) "; the others follow." },
                            None => "One alert is being tried; the others follow.",
                        }
                    },
                    (_, None, Some(_)) => "It is tried then, if not before",
                    (_, None, None) => "As soon as it is its turn",
                }
            }
            @if let Some(why) = held_up.and_then(|held_up| held_up.why.as_ref()) { small { (clip(why, 500)) } }
        }
    }
}

/// Draws the events of a key, and whether it is open.
fn same_key(page: &Page<'_>, request: &RequestRecord, key: &SameKey) -> Markup {
    let all = [("source", &*key.source), ("key", &*key.key)];
    let is_this = |line: &Line| line.request == request.id;
    html! {
        section.card {
            div.head {
                h2 { "Same key" }
                a href=(form::address("/events", &[], &all)) {
                    @if key.more { "All" } @else { (counted(key.events.len() as i64, "event")) }
                }
            }
            p {
                @match key.is_open {
                    Some(true) => span.s.grp { "open: its newest event opens it" },
                    Some(false) => span.s.ok { "resolved: its newest event resolves it" },
                    None => span.s.idle { "its newest event is kept no longer" },
                }
                @if let Some(at) = &key.resolves_at { "; resolves by itself at " (page.when.clock(at)) }
            }
            table { tbody {
                @for line in &key.events {
                    tr {
                        td.nw {
                            @if is_this(line) { b { (page.when.clock(&line.received_at)) } }
                            @else { a href=(form::event(&line.request)) { (page.when.clock(&line.received_at)) } }
                        }
                        td { (badge(&line.state)) }
                        td {
                            @match line.status {
                                Some(Status::Trigger) => "opens",
                                Some(Status::Resolve) => "resolves",
                                None => "",
                            }
                            @if is_this(line) { " (this one)" }
                            @if line.repeated > 0 { small { "repeated " (line.repeated) " times" } }
                        }
                    }
                }
            } }
        }
    }
}

/// Draws the attempts at one destination; of many, the first and the last.
fn tries(page: &Page<'_>, received_at: &str, attempts: &[&AttemptRecord], room: Room) -> Markup {
    let Room {
        most,
        ends,
        between,
    } = room;
    let one = |number: usize| attempt(page, received_at, number + 1, attempts[number]);
    let count = attempts.len();
    html! {
        @if count <= most {
            @for number in 0..count { (one(number)) }
        } @else {
            @for number in 0..ends { (one(number)) }
            li.idle {
                @let more = count - 2 * ends;
                @if between == 0 { p { (counted(more as i64, "more attempt")) } } @else {
                    details {
                        summary { (more) " more attempts" @if more > between { ", the first " (between) } }
                        table { tbody { @for attempt in &attempts[ends..count - ends][..more.min(between)] {
                            tr { td.nw { (page.when.clock(&attempt.at)) } td { (badge(&attempt.outcome)) } td { (said(attempt, ANSWER)) } }
                        } } }
                    }
                }
            }
            @for number in count - ends..count { (one(number)) }
        }
    }
}

fn attempt(page: &Page<'_>, received_at: &str, number: usize, attempt: &AttemptRecord) -> Markup {
    let shape = super::words::state(&attempt.outcome).0;
    let after = page
        .when
        .since_ms(received_at)
        .zip(page.when.since_ms(&attempt.at))
        .map(|(received, tried)| span(received - tried));
    html! {
        li.(shape) {
            span.at { (page.when.clock(&attempt.at)) @if let Some(after) = after { "+" (after) } }
            @if attempt.outcome == "dismissed" {
                h3 { "Dismissed" }
                p { (clip(attempt.said.as_deref().unwrap_or_default(), 500)) }
            } @else {
                h3 { "Attempt " (number) ": " (attempt.outcome) }
                p { (said(attempt, ANSWER)) }
            }
            @if let Some(receipt) = attempt.receipt.as_ref().filter(|receipt| !receipt.is_empty()) {
                p { "Receipt " b { (clip(receipt, 200)) } }
            }
            @if let Some(fingerprint) = attempt.fingerprint.as_ref().filter(|it| !it.is_empty()) { small { "Fingerprint " code { (clip(fingerprint, 100)) } } }
        }
    }
}

/// Draws headers, as many as there is room for.
fn headers(headers: &[(String, String)]) -> Markup {
    let mut room = HEADERS;
    let shown = headers.iter().take_while(|(name, value)| {
        let fits = room > 0;
        room = room.saturating_sub(name.len() + value.len());
        fits
    });
    html! {
        pre tabindex="0" aria-label="Headers" {
            @for (name, value) in shown { (name) ": " (clip(value, 500)) "\n" }
        }
    }
}

/// Draws the form that makes a test case of a request, and the command that does the same.
fn case(request: &RequestRecord) -> Markup {
    if request.source == OWN_SOURCE || request.evicted.is_some() {
        return html! {};
    }
    let id = &request.id;
    let command = format!("alert-gateway events export {id} --case NAME");
    html! {
        section.card {
            h2 { "Make a case" }
            p { "For the author of the plugin: the request and its alerts as a test, without credentials. Look for personal data in it before you share it." }
            form.row action={ "/api/v1" (form::event(id)) "/case.tar" } method="get" {
                div.grow {
                    label for={ "name-" (id) } { "Name of the case" }
                    input id={ "name-" (id) } name="case" value=(id) required pattern="[A-Za-z0-9_\\-]+" maxlength="100";
                }
                div { button { "Download" } }
            }
            p { small { "Unpack it into the folder " code { "cases" } " of the plugin. In a terminal:" } }
            (copied(&format!("case-{id}"), &command, "the command"))
        }
    }
}

fn facts(page: &Page<'_>, number: usize, alert: &AlertRecord) -> Markup {
    let event = &alert.event;
    html! {
        section.card {
            div.head {
                h2 { "Alert" }
                @if let Some(link) = event.link.as_deref().filter(|link| link.starts_with("https://") || link.starts_with("http://")) {
                    a href=(link) rel="noreferrer noopener" { "At the sender" }
                }
            }
            dl.kv {
                dt { "State" } dd { (badge(&alert.state)) }
                dt { "Priority" } dd.(event.priority.as_str()) { (event.priority.as_str()) }
                dt { "Source" } dd { a href=(form::source(&alert.source)) { (alert.source) } }
                dt { "Event id" } dd { code { (clip(&event.event_id, 256)) } }
                @if let Some(key) = &event.key { dt { "Key" } dd { code { (clip(key, 256)) } } }
                @if let Some(occurred_at) = &event.occurred_at { dt { "Occurred" } dd { (page.when.clock(&occurred_at.to_string())) } }
            }
            @if let Some(message) = &event.message { p.steps { (clip(message, MESSAGE)) } }
            @if !event.labels.is_empty() {
                ul.chips aria-label="Labels" {
                    @for (name, value) in event.labels.iter().take(LABELS) {
                        @let label = format!("{name}={value}");
                        li {
                            @if label.len() <= LONGEST_LABEL { a href=(form::address("/events", &[], &[("label", &label)])) { (label) } }
                            @else { (clip(&label, LONGEST_LABEL)) }
                        }
                    }
                }
            }
            @if page.may_act().is_ok() && alert.source != OWN_SOURCE { (quiet::like(page, number, alert)) }
        }
    }
}

fn refused(page: &Page<'_>, traced: &Traced) -> Markup {
    html! {
        section.verdict.(if traced.state == "ignored" { "ok" } else { "bad" }) {
            h2 { (badge(&traced.state)) " at " (page.when.clock(&traced.received_at)) }
            p { (traced.trace.reason) }
            @if let Some(help) = &traced.trace.help { p { (help) } }
        }
        section.card {
            h2 { "Request" }
            dl.kv {
                dt { "Source" } dd { (traced.trace.source) }
                dt { "Client" } dd { (traced.trace.client) }
                dt { "Outcome" } dd { (traced.trace.outcome) }
                dt { "Method" } dd { (traced.trace.method) }
                dt { "URL" } dd { code { (traced.trace.url) } }
                dt { "Request" } dd { (traced.trace.request) }
            }
            @if !traced.trace.headers.is_empty() { (headers(&traced.trace.headers)) }
            @if let Some(bytes) = traced.trace.body_bytes {
                p {
                    a href={ "/api/v1" (form::event(&traced.trace.request)) "/body" } download {
                        @if bytes > BODY_BYTES as u64 { "Download the beginning of its " (bytes) " bytes of body" }
                        @else { "Download its body" }
                    }
                }
            }
            p { small { "Kept in memory; a restart forgets it." } }
        }
    }
}

/// Draws the page for an id that nothing has. `age` is the time for which events are kept.
pub fn missing(problem: &Problem, age: &str) -> Markup {
    html! {
        section.verdict.bad role="alert" { h1.s.bad { "Not found" } p { (problem.detail) ". Events are kept for " (age) "." } }
        section.card aria-label="Search" {
            form.row method="get" action="/events" {
                div.grow {
                    label for="q" { "Title, message, id or label=value" }
                    input id="q" name="q" type="search" maxlength="500";
                }
                div { button.primary { "Search" } }
            }
        }
    }
}

/// Returns the answer to the question of the page: its shape and its words.
fn answer(request: &Shown) -> (&'static str, String) {
    let record = &request.record;
    if record.state == "failed" {
        return (
            "bad",
            "No alert yet: the plugin failed on this request".to_owned(),
        );
    }
    if record.state == "dismissed" {
        return ("hush", "The request was dismissed".to_owned());
    }
    let deliveries: Vec<_> = record
        .alerts
        .iter()
        .flat_map(|alert| &alert.deliveries)
        .collect();
    let in_state = |state: &str| {
        let found = deliveries.iter().filter(|one| one.state == state);
        let mut names: Vec<_> = found.map(|one| one.destination.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    };
    let dead = in_state("dead");
    let pending = in_state("pending");
    let delivered = delivered(record, &deliveries);
    match (dead.is_empty(), pending.is_empty(), delivered.is_empty()) {
        (false, _, false) => ("dead", format!("{delivered}; {dead} rejected it for good")),
        (false, _, true) => (
            "dead",
            format!("It did not go out: {dead} rejected it for good"),
        ),
        (true, false, false) => ("wait", format!("{delivered}; it waits for {pending}")),
        (true, false, true) => (
            "wait",
            format!("It has not gone out yet: it waits for {pending}"),
        ),
        (true, true, false) => ("ok", format!("It went out: {delivered}")),
        (true, true, true) => nowhere(request),
    }
}

/// Returns the destinations that have it, each with the time until it had the last of it; nothing
/// where none has it.
fn delivered(record: &RequestRecord, deliveries: &[&DeliveryRecord]) -> String {
    let mut have: BTreeMap<&str, &str> = BTreeMap::new();
    // What a fallback is told later is no alert.
    let alerts = deliveries.iter().filter(|one| {
        one.state == "delivered" && one.fallback_reason.as_deref() != Some(Reason::Taken.as_str())
    });
    for one in alerts {
        let at = one.settled_at.as_deref().unwrap_or_default();
        let last = have.entry(&one.destination).or_insert(at);
        *last = at.max(*last);
    }
    let mut have: Vec<_> = have.into_iter().map(|(name, at)| (at, name)).collect();
    have.sort_unstable();
    let words = have.iter().map(|(at, name)| {
        let after = between(&record.received_at, at);
        let after = after.map_or_else(String::new, |after| format!(" after {after}"));
        format!("{name} has it{after}")
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Returns the answer for a request of which nothing was to be delivered, or nothing more is.
fn nowhere(request: &Shown) -> (&'static str, String) {
    let record = &request.record;
    let alert = record.alerts.first();
    match alert.map(|alert| alert.state.as_str()) {
        Some("grouped") => ("grp", "It went out with its group".to_owned()),
        Some("muted") => ("hush", "It was muted".to_owned()),
        Some("dismissed") => ("hush", "It was dismissed".to_owned()),
        Some(_) => ("idle", "It was to go nowhere".to_owned()),
        None => match record.state.as_str() {
            "ignored" => ("idle", "The plugin ignored it".to_owned()),
            "rejected" => (
                "rej",
                "The plugin rejected it when it was read again".to_owned(),
            ),
            _ if record.duplicates > 0 => ("idle", "It brought nothing new".to_owned()),
            _ => ("idle", "It has no alert".to_owned()),
        },
    }
}

//! Dead letters and failed requests: the things that wait for a person, and the effect of a replay.

use maud::{Markup, html};
use plugin_sdk::contract::Status;

use super::words::{clip, counted, head, said};
use super::{Page, form};
use crate::admin::api::{Act, Affected, Audited, Done, Listed, Paged, Shown};
use crate::store::RequestRecord;

/// The destinations shown of those that rejected an alert, and the bytes of an answer.
const REJECTIONS: usize = 3;
const ANSWER: usize = 150;
/// The requests whose effect is shown before an action.
const EFFECTS: usize = 100;

/// The facts of the page.
#[derive(Debug)]
pub struct Waiting {
    /// Dead letters.
    pub dead: Paged<Listed>,
    /// Failed requests.
    pub failed: Paged<Listed>,
    /// The latest actions of operators.
    pub done: Vec<Audited>,
}

/// Draws the page.
pub fn draw(page: &Page<'_>, waiting: &Waiting) -> Markup {
    html! {
        div.head { h1 { "Dead letters and failed requests" } small { "Kept until replayed or dismissed" } }
        (list(
            page, "dead", &waiting.dead, "dead letter",
            "An alert stands here when its destination rejected it for good. Nothing is lost: it can be sent again.",
        ))
        (list(
            page, "failed", &waiting.failed, "failed request",
            "A request stands here when its plugin failed on it: the sender was answered 202, and the request is kept for a \
             replay with a fixed plugin.",
        ))
        section.card {
            div.head { h2 { "Lately replayed or dismissed" } a href="/audit" { "Audit" } }
            @if waiting.done.is_empty() { p { "Nothing yet." } } @else { (super::audit::table(page, &waiting.done)) }
        }
    }
}

fn list(page: &Page<'_>, what: &str, found: &Paged<Listed>, name: &str, empty: &str) -> Markup {
    let is_dead = what == "dead";
    let may_act = page.may_act();
    html! {
        section.card id=(what) data-card {
            @if found.rows.is_empty() {
                h2 { "No " (name) "s" }
                p { (empty) }
            } @else {
                h2 { @if found.next.is_some() { "The newest " } (counted(found.rows.len() as i64, name)) }
                form method="post" action="/act" {
                    (hidden(page, what))
                    table.cards role="table" {
                        @let columns = ["Select", if is_dead { "Alert" } else { "Request" }, if is_dead { "Rejected by" } else { "Reason" }, "Received"];
                        (head(if may_act.is_ok() { &columns } else { &columns[1..] }))
                        tbody role="rowgroup" {
                            @for row in &found.rows {
                                @let line = &row.line;
                                tr role="row" {
                                    @if may_act.is_ok() {
                                        td role="cell" {
                                            input type="checkbox" name="id" value=(line.request) aria-label={ "Select " (clip(&line.title, 100)) ", request " (line.request) };
                                        }
                                    }
                                    td.main role="cell" {
                                        a href=(form::event(line.event_id.as_deref().unwrap_or(&line.request))) {
                                            @if is_dead { (clip(&line.title, 200)) } @else { "Request " (line.request) }
                                        }
                                        small { (line.source) }
                                    }
                                    td role="cell" {
                                        @if is_dead {
                                            @for attempt in row.rejected_by.iter().take(REJECTIONS) {
                                                span.s.dead { (attempt.destination) } " " (said(attempt, ANSWER))
                                            }
                                            @if row.rejected_by.len() > REJECTIONS { " and " (row.rejected_by.len() - REJECTIONS) " more" }
                                        } @else { (clip(&line.title, 300)) }
                                    }
                                    td.nw role="cell" { (page.when.clock(&line.received_at)) }
                                }
                            }
                        }
                    }
                    @match may_act {
                        Err(advice) => p.note { (advice) },
                        Ok(()) => {
                            p.note {
                                "What is replayed comes after what was delivered meanwhile: an old alert can open again what is \
                                 over. The next page shows what each would do before anything is done."
                            }
                            div.row {
                                div { button.primary name="do" value="replay" { "Replay selected…" } }
                                div.grow {
                                    label for={ "why-" (what) } { "Reason, for a dismissal" }
                                    input id={ "why-" (what) } name="reason" maxlength="500";
                                }
                                div { button.danger name="do" value="dismiss" { "Dismiss selected…" } }
                                div { button name="do" value="replay-all" { "Replay all…" } }
                                div { button.danger name="do" value="dismiss-all" { "Dismiss all…" } }
                            }
                        }
                    }
                }
                @if let Some(next) = &found.next {
                    p { a.btn rel="next" href=(form::address("/dead-letters", &[], &[(what, next)])) { "Older" } }
                }
            }
        }
    }
}

/// Draws the effects of an action, with the button for it.
pub fn preview(
    page: &Page<'_>,
    act: Act,
    what: &str,
    is_all: bool,
    reason: &str,
    done: &Done,
) -> Markup {
    let verb = match act {
        Act::Replay => "Replay",
        Act::Dismiss => "Dismiss",
    };
    let count = done.requests.len();
    html! {
        h1 { (verb) " " (counted(count as i64, "request")) "?" }
        section.card {
            @if done.more { p { "There are more: they are asked for after these." } }
            (effects(page, &done.requests))
            form method="post" action="/act" {
                (hidden(page, what))
                @if !is_all {
                    @for affected in &done.requests { input type="hidden" name="id" value=(affected.request); }
                }
                input type="hidden" name="confirmed" value="yes";
                @if act == Act::Dismiss {
                    p {
                        label for="reason" { "Reason, for whoever looks at it later" }
                        input id="reason" name="reason" required maxlength="500" value=(reason);
                    }
                }
                p.row {
                    button.primary name="do" value={ (act.as_str()) @if is_all { "-all" } } { "Confirm: " (verb.to_lowercase()) }
                    a.btn href="/dead-letters" { "Back" }
                }
            }
        }
    }
}

fn effects(page: &Page<'_>, affected: &[Affected]) -> Markup {
    html! {
        table.cards role="table" {
            (head(&["Request", "Effect", "Source", "Received"]))
            tbody role="rowgroup" {
                @for one in affected.iter().take(EFFECTS) {
                    tr role="row" {
                        td.main role="cell" { a href=(form::event(&one.request)) { (one.request) } }
                        td role="cell" { (one.effect) }
                        td role="cell" { (one.source) }
                        td.nw role="cell" { (page.when.clock(&one.received_at)) }
                    }
                }
            }
        }
        @if affected.len() > EFFECTS { p { "And " (counted((affected.len() - EFFECTS) as i64, "request")) " more, with the like effect." } }
    }
}

fn hidden(page: &Page<'_>, what: &str) -> Markup {
    html! {
        input type="hidden" name="csrf" value=(page.csrf);
        input type="hidden" name="what" value=(what);
    }
}

/// Draws the actions for one request; nothing where there is nothing to do.
pub fn actions(page: &Page<'_>, request: &Shown) -> Markup {
    let record = &request.record;
    let is_failed = record.state == "failed";
    let is_dead = record.alerts.iter().any(|alert| {
        let mut deliveries = alert.deliveries.iter();
        deliveries.any(|delivery| delivery.state == "dead")
    });
    let is_open = record.alerts.iter().any(|alert| {
        let sends = alert.event.status == Status::Trigger && alert.group.is_none();
        sends && matches!(&*alert.state, "delivered" | "pending")
    });
    let subject = if is_failed {
        "the request"
    } else {
        "the dead letter"
    };
    html! {
        @if is_failed || is_dead || is_open {
            section.card {
                h2 { "Actions" }
                @match page.may_act() {
                    Err(advice) => p { (advice) },
                    Ok(()) => {
                        @if is_failed || is_dead { (again(page, record, is_failed, subject)) }
                        @if is_open {
                            form method="post" action="/events/resolve" {
                                input type="hidden" name="csrf" value=(page.csrf);
                                input type="hidden" name="id" value=(record.id);
                                label for={ "resolve-" (record.id) } { "Resolve it at its destinations; a reason, if you like" }
                                div.row {
                                    div.grow { input id={ "resolve-" (record.id) } name="reason" maxlength="500"; }
                                    button { "Resolve" }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn again(page: &Page<'_>, record: &RequestRecord, is_failed: bool, subject: &str) -> Markup {
    html! {
        form method="post" action="/act" {
            (one(page, &record.id))
            button.primary name="do" value="replay" {
                @if is_failed { "Read it again" } @else { "Send it again" }
            }
        }
        form method="post" action="/act" {
            (one(page, &record.id))
            label for={ "why-" (record.id) } { "Dismiss " (subject) "; the reason is recorded" }
            div.row {
                div.grow { input id={ "why-" (record.id) } name="reason" required maxlength="500"; }
                button.danger name="do" value="dismiss" { "Dismiss" }
            }
        }
    }
}

fn one(page: &Page<'_>, id: &str) -> Markup {
    html! {
        (hidden(page, "one"))
        input type="hidden" name="id" value=(id);
        input type="hidden" name="confirmed" value="yes";
    }
}

//! Audit: the actions of operators, with time, place and reason.

use maud::{Markup, html};

use super::words::{clip, head, number};
use super::{Page, form};
use crate::admin::api::{Audited, FILED, Paged};

/// Draws the page.
pub fn draw(page: &Page<'_>, parameters: &[(String, String)], found: &Paged<Audited>) -> Markup {
    html! {
        div.head {
            h1 { "Audit" }
            small {
                "The actions of operators, newest first. "
                a href="/api/v1/audit.jsonl" download { "Download the newest " (number(FILED as i64)) " as lines of JSON" }
            }
        }
        section.card id="audit" data-card[form::value(parameters, "cursor").is_empty()] {
            @if found.rows.is_empty() {
                h2 { "No action yet" }
                p { "A replay, a dismissal, a mute or a resolve stands here, with its reason." }
            } @else { (table(page, &found.rows)) }
        }
        @if let Some(next) = &found.next {
            p { a.btn rel="next" href=(form::address("/audit", &[], &[("cursor", next)])) { "Older" } }
        }
    }
}

/// Draws entries as a table.
pub fn table(page: &Page<'_>, entries: &[Audited]) -> Markup {
    html! {
        table.cards role="table" {
            (head(&["When", "What", "Who", "From", "Reason"]))
            tbody role="rowgroup" {
                @for Audited { at, entry } in entries {
                    tr role="row" {
                        td.nw role="cell" { (page.when.clock(at)) }
                        td.main role="cell" { b { (entry.action) } " " (clip(&entry.about, 300)) }
                        td role="cell" { (entry.who) }
                        td role="cell" { (entry.origin) }
                        td role="cell" { (entry.why.as_deref().unwrap_or_default()) }
                    }
                }
            }
        }
    }
}

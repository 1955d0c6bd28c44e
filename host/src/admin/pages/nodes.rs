//! Gateways: which of them run, and which delivers?

use maud::{Markup, html};

use super::Page;
use super::words::{counted, head, span};
use crate::admin::api::Node;

/// The gateways that are shown; all of them are in the API.
const NODES: usize = 100;

/// Draws the page.
pub fn draw(page: &Page<'_>, nodes: &[Node]) -> Markup {
    let differ = nodes
        .iter()
        .filter(|node| !node.alike && node.state != "stopped");
    let awaited = nodes.iter().filter(|node| node.awaited);
    html! {
        div.head {
            h1 { "Gateways" }
            small {
                @match nodes.len() {
                    1 => { "This one shares its store with no other." },
                    more => { (counted(more as i64, "gateway")) " on one store" },
                }
            }
        }
        @for node in awaited {
            section.verdict.warn {
                p {
                    b { (node.name) } " led, and did not say that nothing of it is under way. Younger alerts of the keys \
                    that it may be delivering wait for that, or until the quarantine is over. Where its process has ended, "
                    "say so: they go out at once."
                }
                @if page.may_act().is_ok() {
                    form method="post" action="/nodes/gone" {
                        input type="hidden" name="csrf" value=(page.csrf);
                        input type="hidden" name="id" value=(node.name);
                        button { (node.name) " is gone" }
                    }
                }
            }
        }
        @for node in differ {
            section.verdict.warn {
                p {
                    b { (node.name) } " has other sources, destinations or mutes than this one. Give all gateways the same: \
                    the one that delivers knows its own alone."
                }
            }
        }
        section.card id="nodes" data-card {
            table.cards role="table" {
                (head(&["Name", "State", "Role", "Version", "Seen", "Runs since", "Configuration"]))
                tbody role="rowgroup" {
                    @for node in nodes.iter().take(NODES) { (row(page, node)) }
                }
            }
        }
    }
}

fn row(page: &Page<'_>, node: &Node) -> Markup {
    let (shape, word) = match node.state {
        "running" if node.ready == Some(false) => ("bad", "not ready"),
        "running" => ("ok", "running"),
        "silent" => ("bad", "silent"),
        stopped => ("idle", stopped),
    };
    let role = match node.leads {
        true => "delivers",
        false if node.state == "running" => "takes requests",
        false => "",
    };
    let spooled = node.spool.as_ref().filter(|spool| spool.requests > 0);
    html! {
        tr role="row" {
            td.main role="cell" {
                b { (node.name) } @if node.this { " (this one)" }
                @if let Some(spool) = spooled {
                    small { (counted(spool.requests as i64, "request")) " in its spool" }
                }
            }
            td role="cell" { span.s.(shape) { (word) } }
            td role="cell" { (role) }
            td role="cell" { (node.version) }
            td.nw role="cell" { @if node.this { "now" } @else { (page.when.ago(&node.seen_at)) } }
            td.nw role="cell" {
                (page.when.clock(&node.started_at))
                @if node.state != "running" { ", for " (span(node.uptime_s.saturating_mul(1000))) }
            }
            td role="cell" { @if node.alike { "the same" } @else { "differs" } }
        }
    }
}

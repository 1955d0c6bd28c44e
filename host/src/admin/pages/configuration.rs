//! Configuration: what does the gateway make of its file? Secrets are never shown.

use maud::{Markup, html};

use super::form;
use super::words::{clip, counted, head};
use crate::admin::api::Configuration;

/// The sources that are shown; all of them are in the API.
const SOURCES: usize = 60;

/// Draws the page.
pub fn draw(found: &Configuration) -> Markup {
    html! {
        div.head { h1 { "Configuration" } small { "As understood, from " code { (found.file) } "; secrets are never shown" } }
        section.card {
            h2 { "Gateway" }
            dl.kv { @for (name, value) in &found.settings { dt { (name) } dd { (value) } } }
        }
        section.card {
            h2 { "Destinations" }
            table.cards role="table" {
                (head(&["Name", "Kind", "Address", "#At once", "Fallback"]))
                tbody role="rowgroup" {
                    @for one in found.destinations.iter().take(SOURCES) {
                        tr role="row" {
                            td.main role="cell" { a href=(super::destinations::address(&one.name)) { (one.name) } }
                            td role="cell" { (one.kind) }
                            td role="cell" { (clip(&one.address, 200)) }
                            td.num role="cell" data-l="at once" { (one.concurrency) }
                            td role="cell" { (one.fallback.as_deref().unwrap_or_default()) }
                        }
                    }
                }
            }
        }
        section.card {
            h2 { "Sources" }
            table.cards role="table" {
                (head(&["Name", "Plugin", "To", "Proof", "Labels", "#Rules", "#Redacted"]))
                tbody role="rowgroup" {
                    @for one in found.sources.iter().take(SOURCES) {
                        @let labels: Vec<_> = one.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
                        tr role="row" {
                            td.main role="cell" { a href=(form::source(&one.name)) { (one.name) } }
                            td role="cell" {
                                (one.plugin) " " (one.plugin_version)
                                small { code { (one.plugin_sha256.get(..16).unwrap_or_default()) "…" } }
                            }
                            td role="cell" { (clip(&one.destinations.join(", "), 80)) }
                            td role="cell" { (one.proof.join(", ")) }
                            td role="cell" { (clip(&labels.join(" "), 120)) }
                            td.num role="cell" data-l="rules" { (one.rules) }
                            td.num role="cell" data-l="redacted" { (one.redacted) }
                        }
                    }
                }
            }
            @if found.sources.len() > SOURCES {
                p { (counted((found.sources.len() - SOURCES) as i64, "source")) " more: " a href="/sources" { "Sources" } }
            }
        }
    }
}

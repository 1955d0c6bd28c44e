//! Tests of a way: the button, and the hops that were passed.

use maud::{Markup, html};

use super::words::{clip, head};
use super::{Page, form};
use crate::admin::api::Tested;

/// Draws the button that tests a source or a destination; for a caller who may not act, the reason.
pub fn button(page: &Page<'_>, kind: &str, name: &str) -> Markup {
    let is_source = kind == "sources";
    html! {
        @match page.may_act() {
            Err(advice) => @if is_source { p { (advice) } },
            Ok(()) => form method="post" action="/test" {
                input type="hidden" name="csrf" value=(page.csrf);
                input type="hidden" name="kind" value=(kind);
                input type="hidden" name="name" value=(name);
                div.row {
                    button { "Test the way" span.hide { " of " (name) } }
                    @if is_source {
                        button name="local" value="yes" { "Test past the proxy" span.hide { ", " (name) } }
                    }
                }
                @if is_source {
                    p { small { "Posts a genuine request, follows its alert to the receipt, and resolves it at once." } }
                }
            },
        }
    }
}

/// Draws the hops of a test.
pub fn draw(kind: &str, name: &str, tested: &Tested) -> Markup {
    let back = if kind == "sources" {
        form::source(name)
    } else {
        "/destinations".to_owned()
    };
    let of = if kind == "sources" {
        "source"
    } else {
        "destination"
    };
    let (shape, verdict) = if tested.ok {
        ("ok", "works")
    } else {
        ("bad", "does not work")
    };
    html! {
        nav aria-label="Breadcrumb" { a href=(back) { (name) } " / test" }
        h1 { "Test of " (of) " " (name) }
        section.verdict.(shape) { h2.s.(shape) { "The way " (verdict) } }
        section.card {
            h2 { "Hops" }
            table.cards role="table" {
                (head(&["Hop", "Passed", "Time", "Found"]))
                tbody role="rowgroup" {
                    @for hop in &tested.hops {
                        tr role="row" {
                            td.main role="cell" { (hop.hop) }
                            td role="cell" { @if hop.ok { span.s.ok { "passed" } } @else { span.s.bad { "failed" } } }
                            td.num role="cell" { @if let Some(took) = hop.took_ms { (took) "\u{a0}ms" } }
                            td role="cell" {
                                (clip(&hop.found, 500))
                                @if let Some(fix) = &hop.fix { p { b { "Fix: " } (clip(fix, 500)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

//! The frame of every page: title, navigation, clock and footer.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Page;
use super::words::number;
use crate::admin::caller::KnownBy;

/// The pages of the navigation, with their addresses.
const PAGES: [(&str, &str); 6] = [
    ("/", "Now"),
    ("/events", "Events"),
    ("/dead-letters", "Dead letters"),
    ("/sources", "Sources"),
    ("/destinations", "Destinations"),
    ("/mutes", "Groups and mutes"),
];

/// The sign beside the name.
const SIGN: PreEscaped<&str> = PreEscaped(
    r#"<svg width="18" height="18" viewBox="0 0 20 20" aria-hidden="true" fill="currentColor"><path d="M2 2h3v16H2zM15 2h3v16h-3zM7 8.5h3V5l4 5-4 5v-3.5H7z"/></svg>"#,
);

/// Returns a page within its frame. `here` is the address of its entry in the navigation.
pub fn frame(page: &Page<'_>, title: &str, here: &str, content: &Markup) -> Markup {
    let when = &page.when;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Alert gateway" }
                link rel="stylesheet" href="/style.css";
                link rel="icon" href="/icon.svg" type="image/svg+xml";
                script src="/live.js" defer {}
            }
            body data-live[page.is_live] {
                a.skip href="#main" { "Skip to content" }
                header.top {
                    div {
                        a.brand href="/" { (SIGN) " Alert gateway" }
                        @if page.caller.is_some() { (navigation(page, here)) }
                    }
                }
                main id="main" tabindex="-1" {
                    @if let Some(outcome) = &page.outcome {
                        section.verdict.ok role="status" { p { (outcome) } }
                    }
                    (content)
                }
                footer.foot {
                    @if let Some(caller) = page.caller {
                        span { (caller.who) ", " (caller.role.as_str()) }
                        @if caller.known_by == KnownBy::Session {
                            form method="post" action="/logout" {
                                input type="hidden" name="csrf" value=(page.csrf);
                                button.link { "Log out" }
                            }
                        } @else if caller.known_by == KnownBy::Nothing && page.has_login {
                            a href="/login" { "Log in" }
                        }
                    }
                    span { "Times in " (when.zone_name()) }
                    span { (page.node) " " (env!("CARGO_PKG_VERSION")) }
                    @if page.caller.is_some() {
                        span { a href="/configuration" { "Configuration" } }
                        span { a href="/nodes" { "Gateways" } }
                        span { a href="/audit" { "Audit" } }
                        span { a href="/api/v1/openapi.json" { "API" } }
                    }
                }
            }
        }
    }
}

fn navigation(page: &Page<'_>, here: &str) -> Markup {
    html! {
        nav aria-label="Main" {
            ul {
                @for (address, name) in PAGES {
                    li {
                        a href=(address) aria-current=[(address == here).then_some("page")] {
                            (name)
                            @if address == "/dead-letters" && page.waiting > 0 {
                                " " span.n { (number(page.waiting)) }
                            }
                        }
                    }
                }
            }
        }
        span.dim id="as-of" { "As of " (page.when.time()) " · " a href=(page.address) { "Refresh" } }
    }
}

//! The login: a token, or a name and a password, become a session.

use maud::{DOCTYPE, Markup, html};

use super::Page;

/// Draws the form. `next` is the page that was asked for; `wrong` is the reason why the last try
/// did not succeed.
pub fn draw(page: &Page<'_>, next: &str, wrong: Option<&str>, has_passwords: bool) -> Markup {
    html! {
        div.narrow {
            h1 { "Log in" }
            @if let Some(wrong) = wrong { p.note.bad role="alert" { (wrong) } }
            section.card {
                form method="post" action="/login" {
                    input type="hidden" name="next" value=(next);
                    input type="hidden" name="csrf" value=(page.csrf);
                    @if has_passwords {
                        p {
                            label for="name" { "Name; empty with a token" }
                            input id="name" name="name" autocomplete="username" maxlength="100";
                        }
                    }
                    p {
                        label for="secret" { @if has_passwords { "Password or token" } @else { "Token" } }
                        input id="secret" name="secret" type="password" autocomplete="current-password" required maxlength="1000";
                    }
                    p { button.primary { "Log in" } }
                }
            }
        }
    }
}

/// Draws the page that leads a browser from another site's link to `address` once more. Only then
/// does it show its cookie.
pub fn doorway(address: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content={ "0;url=" (address) };
                title { "Alert gateway" }
            }
            body { main { h1 { "Alert gateway" } p { a href=(address) { "Continue" } } } }
        }
    }
}

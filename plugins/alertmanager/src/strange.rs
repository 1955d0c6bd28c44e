//! Bodies of an authenticated sender that are no notifications: carried whole, for a person to look
//! at.

use plugin_sdk::contract::{Alert, Priority, Request, Unreadable};
use plugin_sdk::text::line;
use plugin_sdk::{attempt, body, json};

/// As much of the body as a title shows.
const MAX_SHOWN_CHARS: usize = 120;

/// The alert that a body of another kind is. The same body again is a second attempt for some
/// minutes, and news afterwards: nothing in it tells which.
pub fn alert(request: &Request, text: &str, priority: Priority) -> Alert {
    let title = format!(
        "A notification that is not Alertmanager's: {}",
        line(text, MAX_SHOWN_CHARS)
    );
    Alert {
        message: Some(
            "The sender showed the right token or login, and then something that has no list of `alerts`. All of it is in \
             the details. If this is Alertmanager, a proxy changes what it sends; if it is another program, configure a \
             source of its own for it, with another plugin."
                .to_owned(),
        ),
        details: json::details("body_text", text),
        ..Alert::new(event_id(request), priority, title)
    }
}

/// The alert of an unreadable body: it may be any alert, cut off.
pub fn unreadable(request: &Request, why: &Unreadable, priority: Priority) -> Alert {
    Alert {
        event_id: event_id(request),
        ..body::unreadable::alert(request, why, priority)
    }
}

fn event_id(request: &Request) -> String {
    let url = request.url.as_bytes();
    attempt::event_id(
        &[url, &[0xff], &request.body.bytes()].concat(),
        &request.received_at,
    )
}

//! What an authenticated sender sends that is no notification: carried whole, for a person to look at.

use plugin_sdk::contract::{Alert, Priority};
use plugin_sdk::json;
use plugin_sdk::signature::sha256;
use plugin_sdk::text::line;

/// As much of the body as a title shows.
const MAX_SHOWN_CHARS: usize = 120;

/// The alert that a body of another kind is. The same body again is the same event.
pub fn alert(body: &[u8], text: &str, priority: Priority) -> Alert {
    let title = format!("A notification that is not Alertmanager's: {}", line(text, MAX_SHOWN_CHARS));
    Alert {
        message: Some(
            "The sender showed the right token or login, and then something that has no list of `alerts`. All of it is in \
             the details. If this is Alertmanager, a proxy changes what it sends; if it is another program, give it a \
             source with a plugin of its own."
                .to_owned(),
        ),
        details: json::details("body_text", text),
        ..Alert::new(format!("sha256:{}", sha256(body).hex()), priority, title)
    }
}

//! The rejections of a request, beyond those of its proof.

use plugin_sdk::contract::{Rejection, RejectionKind};
use plugin_sdk::text::line;

/// Twilio only posts.
pub fn not_a_post(method: &str) -> Rejection {
    Rejection::new(
        RejectionKind::Malformed,
        format!("Twilio sends POST, and this was {}", line(method, 20)),
        "Something other than Twilio calls this URL: a browser, a scanner, a probe.",
    )
}

/// The signed time is older than the operator's `max_age`, or there is none to be seen.
pub fn too_old(time: Option<&str>, max_age: &str) -> Rejection {
    let found = match time {
        Some(time) => format!("The signed time is {:?}.", line(time, 64)),
        None => "No time can be read in what was signed, so its age is not known.".to_owned(),
    };
    Rejection::new(
        RejectionKind::Forbidden,
        "the signed time is older than this source takes",
        format!(
            "{found} This source's `max_age` is {max_age:?}. Either somebody has recorded the request and sends it again, or \
             Twilio delivered it late: then a larger `max_age` lets it in."
        ),
    )
}

//! Puts into words why no answer came.

use super::connect::NoAnswer;

/// What failed and its causes, outermost first, in one line. It may repeat what the peer sent, so it is to be masked.
pub(super) fn describe(error: &NoAnswer, host: &str) -> String {
    let mut text = match error.connected {
        false => format!("cannot connect to {host}"),
        true => format!("the connection to {host} broke before an answer came"),
    };
    // The outermost says in other words what was just said.
    let mut cause = error.cause.source();
    while let Some(error) = cause {
        // Some errors quote their cause themselves.
        let words = error.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

//! Puts into words why no answer came.

use std::error::Error;

use hyper_util::client::legacy;

/// The error and its causes, outermost first, in one line. It may repeat what the peer sent, so it is to be masked.
pub(super) fn describe(error: &legacy::Error, host: &str) -> String {
    let mut text = match error.is_connect() {
        true => format!("cannot connect to {host}"),
        false => format!("the connection to {host} broke before an answer came"),
    };
    let mut cause = error.source();
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

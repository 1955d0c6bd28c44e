//! Puts into words why no answer came.

use super::connect::NoAnswer;

/// The last words of hyper about a connection that the peer has ended without a word.
const ENDED: [&str; 4] = [
    "channel closed",
    "operation was canceled: connection closed",
    "operation was canceled: connection was not ready",
    "stream closed because of a broken pipe",
];

/// What failed and its causes, outermost first, in one line. It may repeat what the peer sent, so
/// it is to be masked.
pub(crate) fn describe(error: &NoAnswer, host: &str) -> String {
    describe_for(error, host, "client_cert and client_key")
}

/// The same, where the operator gives a client certificate by `options`.
pub(crate) fn describe_for(error: &NoAnswer, host: &str, options: &str) -> String {
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
    // The alert of a peer that ends a new connection may be lost.
    if ENDED.iter().any(|words| text.ends_with(words)) {
        text.push_str("; where the service asks for a client certificate, see ");
        text.push_str(options);
    }
    // What an operator can fix; the rest recovers by itself, or is the peer's to fix.
    if text.contains("dns error") {
        text.push_str("; check the host in the url, and this machine's DNS");
    } else if text.contains("invalid peer certificate") {
        text.push_str(
            "; check the url, this machine's clock, and the certificate authorities that it trusts",
        );
    }
    text
}

//! Puts into words why no answer came.

use super::connect::NoAnswer;
use super::network::FORBIDDEN;

/// The words of rustls about a first answer that is none of TLS.
pub(crate) const NO_TLS: &str = "corrupt message";

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
    if text.contains(FORBIDDEN) {
        // The name was found.
        text = text.replacen("dns error: ", "", 1);
    } else if text.contains("dns error") {
        text.push_str("; check the host in the url, and this machine's DNS");
    } else if text.contains(NO_TLS) {
        text.push_str("; the port does not speak TLS: is it http:// in place of https://?");
    } else {
        text.push_str(about_certificate(&text));
    }
    text
}

/// Returns what to do about a certificate of the peer that is not taken.
pub(crate) fn about_certificate(text: &str) -> &'static str {
    if text.contains("CaUsedAsEndEntity") {
        "; the server's certificate is marked as one of an authority (CA:TRUE): make it anew, with `openssl req -x509 \
         -addext basicConstraints=critical,CA:FALSE`, or sign it by an authority of its own"
    } else if text.contains("invalid peer certificate") {
        "; check the url, this machine's clock, and the certificate authorities that it trusts"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Cause {
        words: &'static str,
        source: Option<Box<Cause>>,
    }

    #[test]
    fn reason_names_the_cause_and_its_fix() {
        for (words, expected) in [
            (
                &["dns error", FORBIDDEN][..],
                "cannot connect to host:443: the name stands for addresses that `egress = \"public\"` forbids",
            ),
            (
                &["dns error", "no such name"],
                "cannot connect to host:443: dns error: no such name; check the host in the url, and this machine's DNS",
            ),
            (
                &["received corrupt message of type InvalidContentType"],
                "InvalidContentType; the port does not speak TLS: is it http:// in place of https://?",
            ),
            (
                &["invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))"],
                "(CA:TRUE): make it anew, with `openssl req -x509 -addext basicConstraints=critical,CA:FALSE`, or sign it \
                 by an authority of its own",
            ),
            (
                &["invalid peer certificate: UnknownIssuer"],
                "UnknownIssuer; check the url, this machine's clock, and the certificate authorities that it trusts",
            ),
        ] {
            let chain = words.iter().rev().fold(None, |source, words| {
                Some(Box::new(Cause { words, source }))
            });
            let cause: Box<dyn Error + Send + Sync> = Box::new(Cause {
                words: "client error",
                source: chain,
            });
            let connected = false;
            let said = describe(&NoAnswer { connected, cause }, "host:443");
            assert!(said.ends_with(expected), "{said}");
        }
    }
}

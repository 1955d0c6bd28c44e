//! Access to monitoring: a token where one is configured, and nobody whose browser was led here.
//!
//! A page on the internet can have a browser on this network ask anything by name, and read the
//! answer once that name resolves to this listener's address (DNS rebinding). The browser then says
//! the name, as `Host`, and the page's address, as `Origin`. So a name that is not this listener's
//! is refused, as is the page of another origin. Browsers also say in `Sec-Fetch-Site` that another
//! site's page asks, even where there is no `Origin`; only a person who follows a link may come
//! from there. All of it is looked at before the token.

use std::net::IpAddr;

use hyper::header::{HOST, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, StatusCode};

use super::caller::{Caller, KnownBy, Role};
use crate::config::{Admin, Secret};
use crate::http::{self, Answer, Client};

/// Says only that the process answers, which a probe may ask: it can hold no secret.
pub(super) const OPEN: &str = "/healthz";

/// The conditions for answering a request.
#[derive(Debug)]
pub struct Guard {
    tokens: Vec<Secret>,
    /// True if every connection has shown a client certificate.
    certificate: bool,
    hosts: Vec<String>,
}

/// The reason why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The request names a host that is not this listener.
    ForeignHost,
    /// The page of another origin asks.
    ForeignOrigin,
    /// There is no token.
    NoToken,
    /// The token is none of those configured.
    WrongToken,
}

impl Guard {
    /// The guard that the operator configured.
    pub fn new(admin: &Admin) -> Self {
        Self {
            tokens: admin.tokens.clone(),
            certificate: admin
                .tls
                .as_ref()
                .is_some_and(|tls| tls.client_ca.is_some()),
            hosts: admin.hosts.clone(),
        }
    }

    /// Returns the caller of a request with this head.
    ///
    /// # Errors
    /// Why it is not answered.
    pub fn admit(&self, head: &Parts, client: Client) -> Result<Caller, Refusal> {
        self.is_at_home(head)?;
        let caller = |who: &str, role, known_by| Caller {
            who: who.to_owned(),
            role,
            origin: client.to_string(),
            known_by,
        };
        if head.uri.path() == OPEN {
            return Ok(caller("nobody", Role::Viewer, KnownBy::Nothing));
        }
        if self.tokens.is_empty() {
            return Ok(if self.certificate {
                caller("client certificate", Role::Operator, KnownBy::Certificate)
            } else {
                caller("nobody", Role::Viewer, KnownBy::Nothing)
            });
        }
        let shown = http::bearer(&head.headers).ok_or(Refusal::NoToken)?;
        let known = self
            .tokens
            .iter()
            .any(|token| token.matches(shown.as_bytes()));
        if known {
            Ok(caller("admin token", Role::Operator, KnownBy::Token))
        } else {
            Err(Refusal::WrongToken)
        }
    }

    /// Checks that a request means this listener, and that no other page has a browser ask.
    fn is_at_home(&self, head: &Parts) -> Result<(), Refusal> {
        // HTTP/2 names the host in the URL, HTTP/1.1 in a header, and odd clients in both. One that
        // names none is no browser.
        let mut named = Vec::new();
        named.extend(head.uri.authority().cloned());
        for host in head.headers.get_all(HOST) {
            named.push(Authority::try_from(host.as_bytes()).map_err(|_| Refusal::ForeignHost)?);
        }
        if !named.iter().all(|named| self.is_ours(named.host())) {
            return Err(Refusal::ForeignHost);
        }
        let is_own = |origin: &HeaderValue| {
            let origin = origin.to_str().unwrap_or_default();
            let origin = origin
                .strip_prefix("http://")
                .or_else(|| origin.strip_prefix("https://"));
            origin.is_some_and(|origin| {
                named
                    .iter()
                    .any(|named| named.as_str().eq_ignore_ascii_case(origin))
            })
        };
        if !head.headers.get_all(ORIGIN).iter().all(is_own) {
            return Err(Refusal::ForeignOrigin);
        }
        if is_embedded(head) {
            return Err(Refusal::ForeignOrigin);
        }
        Ok(())
    }

    /// An address is no name that could be pointed elsewhere.
    fn is_ours(&self, host: &str) -> bool {
        let address = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let is = |name: &str| host.eq_ignore_ascii_case(name);
        address.parse::<IpAddr>().is_ok()
            || is("localhost")
            || self.hosts.iter().any(|name| is(name))
    }
}

/// Returns whether a page of another site asks, rather than a person who follows a link (Fetch
/// Metadata).
fn is_embedded(head: &Parts) -> bool {
    let said = |name: &str| head.headers.get(name).map(HeaderValue::as_bytes);
    let foreign =
        said("sec-fetch-site").is_some_and(|site| !matches!(site, b"same-origin" | b"none"));
    let link = matches!(head.method, Method::GET | Method::HEAD)
        && said("sec-fetch-mode") == Some(b"navigate")
        && said("sec-fetch-dest") == Some(b"document");
    foreign && !link
}

impl Refusal {
    /// Its word in the log.
    pub(super) fn outcome(self) -> &'static str {
        match self {
            Self::ForeignHost => "foreign_host",
            Self::ForeignOrigin => "foreign_origin",
            Self::NoToken => "unauthenticated",
            Self::WrongToken => "forbidden",
        }
    }

    /// The advice to the operator.
    pub fn help(self) -> &'static str {
        match self {
            Self::ForeignHost => {
                "the Host of this request is not this listener's: ask by an IP address or localhost, or add the name to \
                 admin_hosts in [gateway]"
            }
            Self::ForeignOrigin => {
                "the Origin of this request is another page than this listener's: open the address itself, or ask \
                 without a browser"
            }
            Self::NoToken => {
                "this listener wants admin_token in [gateway], as Authorization: Bearer <token>"
            }
            Self::WrongToken => "the token is not admin_token in [gateway]",
        }
    }

    pub(super) fn into_answer(self) -> Answer {
        let status = if self == Self::NoToken {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::FORBIDDEN
        };
        let mut answer = http::problem(status, self.help(), None);
        if self == Self::NoToken {
            answer
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;
    use hyper::header::AUTHORIZATION;

    use super::*;

    fn admitted(uri: &str, headers: &[(&str, &str)], tokens: &[&str]) -> Result<(), Refusal> {
        let tokens = tokens.iter().map(|token| Secret::new(*token)).collect();
        let guard = Guard {
            tokens,
            certificate: false,
            hosts: vec!["gateway.internal".to_owned()],
        };
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let client = Client {
            address: None,
            claims_another: false,
        };
        let head = request.body(()).unwrap().into_parts().0;
        guard.admit(&head, client).map(drop)
    }

    #[test]
    fn only_address_localhost_and_configured_names_are_ours() {
        for ours in [
            "127.0.0.1",
            "127.0.0.1:9090",
            "[::1]:9090",
            "10.1.2.3",
            "localhost",
            "LocalHost:9090",
            "gateway.internal",
            "Gateway.Internal:443",
        ] {
            assert_eq!(
                admitted("/metrics", &[("host", ours)], &[]),
                Ok(()),
                "{ours}"
            );
        }
        for foreign in [
            "evil.example",
            "evil.example:9090",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "gateway.internal.",
            "127.1",
            "0x7f.1",
            "",
            "a b",
            "[::1",
            "user@localhost@evil.example",
        ] {
            assert_eq!(
                admitted("/metrics", &[("host", foreign)], &[]),
                Err(Refusal::ForeignHost),
                "{foreign}"
            );
        }
        assert_eq!(
            admitted("/metrics", &[], &[]),
            Ok(()),
            "a probe of HTTP/1.0 names no host"
        );
    }

    #[test]
    fn every_host_that_a_request_names_must_be_ours() {
        let two = &[("host", "localhost"), ("host", "evil.example")];
        assert_eq!(admitted("/metrics", two, &[]), Err(Refusal::ForeignHost));
        assert_eq!(
            admitted("http://evil.example/metrics", &[("host", "localhost")], &[]),
            Err(Refusal::ForeignHost)
        );
        assert_eq!(
            admitted("http://localhost/metrics", &[("host", "evil.example")], &[]),
            Err(Refusal::ForeignHost)
        );
        assert_eq!(admitted("http://localhost/metrics", &[], &[]), Ok(()));
    }

    #[test]
    fn a_page_may_ask_of_its_own_origin_only() {
        let from = |origin| {
            admitted(
                "/metrics",
                &[("host", "localhost:9090"), ("origin", origin)],
                &[],
            )
        };
        assert_eq!(from("http://localhost:9090"), Ok(()));
        assert_eq!(from("https://LOCALHOST:9090"), Ok(()));
        for foreign in [
            "http://localhost",
            "http://localhost:80",
            "http://127.0.0.1:9090",
            "https://evil.example",
            "null",
            "",
        ] {
            assert_eq!(from(foreign), Err(Refusal::ForeignOrigin), "{foreign}");
        }
        assert_eq!(
            admitted("/metrics", &[("origin", "http://localhost")], &[]),
            Err(Refusal::ForeignOrigin)
        );
    }

    #[test]
    fn page_of_another_site_may_link_here_and_not_embed() {
        let fetch = |site, mode, dest| {
            let headers = [
                ("host", "localhost"),
                ("sec-fetch-site", site),
                ("sec-fetch-mode", mode),
                ("sec-fetch-dest", dest),
            ];
            admitted("/metrics", &headers, &[])
        };
        for own in ["same-origin", "none"] {
            assert_eq!(fetch(own, "cors", "empty"), Ok(()), "{own}");
        }
        for other in ["cross-site", "same-site", "", "anything"] {
            assert_eq!(fetch(other, "navigate", "document"), Ok(()), "{other}");
            for (mode, dest) in [
                ("navigate", "iframe"),
                ("no-cors", "image"),
                ("cors", "empty"),
                ("no-cors", "script"),
            ] {
                assert_eq!(
                    fetch(other, mode, dest),
                    Err(Refusal::ForeignOrigin),
                    "{other} {mode} {dest}"
                );
            }
        }
    }

    #[test]
    fn token_opens_all_and_without_it_only_liveness() {
        let with = |uri, value| admitted(uri, &[(AUTHORIZATION.as_str(), value)], &["old", "new"]);
        for page in ["/", "/readyz", "/metrics", "/nothing", "/healthz/"] {
            assert_eq!(
                admitted(page, &[], &["old", "new"]),
                Err(Refusal::NoToken),
                "{page}"
            );
            assert_eq!(with(page, "Basic old"), Err(Refusal::NoToken));
            assert_eq!(with(page, "Bearer other"), Err(Refusal::WrongToken));
            assert_eq!(with(page, "Bearer ol"), Err(Refusal::WrongToken));
            assert_eq!(with(page, "Bearer old"), Ok(()));
            assert_eq!(with(page, "Bearer new"), Ok(()));
        }
        assert_eq!(admitted("/healthz", &[], &["old"]), Ok(()));
        assert_eq!(
            admitted("/healthz", &[("host", "evil.example")], &["old"]),
            Err(Refusal::ForeignHost)
        );
    }
}

//! Access to the admin listener: a credential where one is configured, and nobody whose browser was
//! led here.
//!
//! A page on the internet can have a browser on this network ask anything by name, and read the
//! answer once that name resolves to this listener's address (DNS rebinding). The browser then says
//! the name, as `Host`, and the page's address, as `Origin`. So a name that is not this listener's
//! is refused, as is the page of another origin. Browsers also say in `Sec-Fetch-Site` that another
//! site's page asks, even where there is no `Origin`; only a person who follows a link may come
//! from there. All of it is looked at before the credential.
//!
//! | credential | caller |
//! |---|---|
//! | `Authorization: Bearer` | the holder of `admin_token`, an operator; or a user of `[[admin.users]]` |
//! | the cookie of a session | the person who has logged in |
//! | `user_header` from a trusted proxy | the user of that name; one that is not listed is a viewer |
//! | a client certificate, with nothing else configured | an operator |
//! | none, with nothing configured | a viewer |

use std::io;
use std::net::IpAddr;

use hyper::header::{HOST, HeaderMap, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, StatusCode};

use super::caller::{Caller, KnownBy, Role};
use super::logins::{Login, Logins, role};
use super::session::{self, Sessions};
use crate::config::{self, Admin, CERTIFICATE, NOBODY, Networks, Users};
use crate::http::{self, Answer, Client, Peer};

/// The longest name that a proxy may give.
const LONGEST_NAME: usize = 100;
/// The subject of the form for a login.
const LOGIN: &str = "login";

/// Says only that the process answers, which a probe may ask: it can hold no secret.
pub(super) const OPEN: &str = "/healthz";

/// The conditions for answering a request.
#[derive(Debug)]
pub struct Guard {
    logins: Logins,
    sessions: Sessions,
    proxies: Networks,
    /// True if every connection has shown a client certificate.
    certificate: bool,
    over_tls: bool,
    hosts: Vec<String>,
}

/// The reason why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The request names a host that is not this listener.
    ForeignHost,
    /// The page of another origin asks.
    ForeignOrigin,
    /// There is no credential.
    NoToken,
    /// The token is none of those configured.
    WrongToken,
    /// The form is not one of this listener for this caller.
    ForeignForm,
    /// Name or secret of a login are wrong.
    WrongLogin,
    /// Too many logins were wrong before.
    TooManyLogins,
}

impl Guard {
    /// The guard that the operator configured. `proxies` are believed.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn new(admin: &Admin, proxies: &Networks) -> io::Result<Self> {
        Ok(Self {
            logins: Logins::new(&admin.tokens, &admin.users),
            sessions: Sessions::new()?,
            proxies: proxies.clone(),
            certificate: admin
                .tls
                .as_ref()
                .is_some_and(|tls| tls.client_ca.is_some()),
            over_tls: admin.tls.is_some(),
            hosts: admin.hosts.clone(),
        })
    }

    /// Takes up the tokens and users of another configuration. Sessions end whose person it does not
    /// know any more, or by another credential, or with other rights.
    pub fn take_up(&self, admin: &Admin) {
        let (before, now) = self.logins.replace(&admin.tokens, &admin.users);
        self.sessions.retain(|who| before.stays(who, &now));
    }

    /// Returns the caller of a request with this head.
    ///
    /// # Errors
    /// Why it is not answered.
    pub fn admit(&self, head: &Parts, peer: Peer, client: Client) -> Result<Caller, Refusal> {
        self.is_at_home(head)?;
        let caller = |who: &str, role, known_by| self.caller(who, role, known_by, who, client);
        if head.uri.path() == OPEN {
            return Ok(caller(NOBODY, Role::Viewer, KnownBy::Nothing));
        }
        let people = self.logins.people();
        if let Some(shown) = http::bearer(&head.headers).filter(|_| people.ask()) {
            let (who, role) = people.by_token(shown).ok_or(Refusal::WrongToken)?;
            return Ok(caller(&who, role, KnownBy::Token));
        }
        if let Some(cookie) = session::cookie(&head.headers, self.over_tls)
            && let Some(session) = self.sessions.find(cookie)
        {
            let known_by = KnownBy::Session;
            return Ok(self.caller(&session.who, session.role, known_by, cookie, client));
        }
        if let Some(name) = self.named_by_proxy(people.users(), head, peer) {
            let user = people.users().list.iter().find(|user| user.name == name);
            return Ok(caller(
                &name,
                user.map_or(Role::Viewer, role),
                KnownBy::Proxy,
            ));
        }
        if people.ask() {
            Err(Refusal::NoToken)
        } else if self.certificate {
            Ok(caller(CERTIFICATE, Role::Operator, KnownBy::Certificate))
        } else {
            Ok(caller(NOBODY, Role::Viewer, KnownBy::Nothing))
        }
    }

    /// Makes a caller; its forms are bound to `subject`, which it is known by.
    fn caller(
        &self,
        who: &str,
        role: Role,
        known_by: KnownBy,
        subject: &str,
        client: Client,
    ) -> Caller {
        Caller {
            who: who.to_owned(),
            role,
            origin: client.to_string(),
            known_by,
            csrf: self.sessions.csrf(subject),
        }
    }

    /// Returns the name of the user that a trusted proxy gives.
    fn named_by_proxy(&self, users: &Users, head: &Parts, peer: Peer) -> Option<String> {
        let header = users.header.as_ref()?;
        let is_trusted = match peer {
            Peer::Network(peer) => self.proxies.contains(peer.ip().to_canonical()),
            Peer::Unix => true,
        };
        // Of two, one may be the client's own.
        let mut values = head.headers.get_all(header).iter();
        let (Some(value), None, true) = (values.next(), values.next(), is_trusted) else {
            return None;
        };
        let name = value.to_str().ok()?.trim();
        let is_one = !name.is_empty() && name.len() <= LONGEST_NAME && !config::is_taken(name);
        is_one.then(|| name.to_owned())
    }

    /// Returns a text that no caller can know, for the place of a caller's token.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn mark(&self) -> io::Result<String> {
        session::random_text()
    }

    /// Returns the token of the form for a login.
    pub fn login_csrf(&self) -> String {
        self.sessions.csrf(LOGIN)
    }

    /// Begins a session for a person who proves a name, and returns the header with its cookie.
    ///
    /// # Errors
    /// Why there is none; with the seconds to wait where there were too many tries.
    pub async fn log_in(
        &self,
        head: &Parts,
        form: (&str, &str, &str),
        client: Client,
    ) -> Result<(String, String), (Refusal, u64)> {
        let (csrf, name, secret) = form;
        // A browser sends the origin with a form, and the guard has compared it.
        if !self.sessions.is_own(LOGIN, csrf) || !head.headers.contains_key(ORIGIN) {
            return Err((Refusal::ForeignForm, 0));
        }
        let (who, role) = match self.logins.check(name, secret, client.address).await {
            Login::Known(who, role) => (who, role),
            Login::Wrong => return Err((Refusal::WrongLogin, 0)),
            Login::TooMany(seconds) => return Err((Refusal::TooManyLogins, seconds)),
        };
        let cookie = self
            .sessions
            .begin(&who, role)
            .map_err(|_| (Refusal::WrongLogin, 0))?;
        // Behind a proxy the browser says whether it speaks TLS.
        let origin = head.headers.get(ORIGIN).map(HeaderValue::as_bytes);
        let secure = self.over_tls || origin.is_some_and(|origin| origin.starts_with(b"https://"));
        Ok((who, session::set_cookie(&cookie, secure)))
    }

    /// Returns whether a form was made for its caller, in this run of the gateway.
    pub fn is_own_form(&self, token: &str, caller: &Caller) -> bool {
        // The caller's own token is one of the request's credential.
        !token.is_empty() && self.sessions.is_same(token, &caller.csrf)
    }

    /// Ends the session of a request, and returns the headers that have a browser forget it.
    pub fn log_out(&self, head: &HeaderMap) -> [String; 2] {
        if let Some(cookie) = session::cookie(head, self.over_tls) {
            self.sessions.end(cookie);
        }
        [true, false].map(|secure| session::set_cookie("", secure))
    }

    /// Returns the logins.
    pub fn logins(&self) -> &Logins {
        &self.logins
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
            Self::ForeignForm => "foreign_form",
            Self::WrongLogin => "wrong_login",
            Self::TooManyLogins => "too_many_logins",
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
                "this listener wants admin_token in [gateway], or the token of a user in [admin], as Authorization: Bearer \
                 <token>; in a browser, log in at /login"
            }
            Self::WrongToken => {
                "the token is not admin_token in [gateway], and not that of a user in [admin]"
            }
            Self::ForeignForm => {
                "this form is older than the gateway's last start, or not its own: load the page again"
            }
            Self::WrongLogin => "the name, or the password or token, is wrong",
            Self::TooManyLogins => "too many logins were tried: wait a little",
        }
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::NoToken => StatusCode::UNAUTHORIZED,
            Self::TooManyLogins => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::FORBIDDEN,
        }
    }

    pub(super) fn into_answer(self) -> Answer {
        let mut answer = http::problem(self.status(), self.help(), None);
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
    use hyper::header::{AUTHORIZATION, HeaderName};

    use super::*;
    use crate::config::{Secret, User};

    fn admitted(uri: &str, headers: &[(&str, &str)], tokens: &[&str]) -> Result<(), Refusal> {
        let admin = Admin {
            address: config::ADMIN,
            tokens: tokens.iter().map(|token| Secret::new(*token)).collect(),
            tls: None,
            hosts: vec!["gateway.internal".to_owned()],
            users: Users::default(),
        };
        let guard = Guard::new(&admin, &Networks::default()).unwrap();
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let client = Client {
            address: None,
            claims_another: false,
        };
        let head = request.body(()).unwrap().into_parts().0;
        guard.admit(&head, Peer::Unix, client).map(drop)
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

    fn head(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::get("/events");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn user_of_a_header_is_believed_from_a_trusted_proxy_only() {
        let user = |name: &str, operates| User {
            name: name.to_owned(),
            operates,
            password: None,
            tokens: Vec::new(),
        };
        let admin = Admin {
            address: config::ADMIN,
            tokens: Vec::new(),
            tls: None,
            hosts: Vec::new(),
            users: Users {
                header: Some(HeaderName::from_static("x-user")),
                list: vec![user("kim", true), user("lee", false)],
            },
        };
        let guard = Guard::new(&admin, &Networks::default()).unwrap();
        let client = Client {
            address: None,
            claims_another: false,
        };
        let of = |headers: &[(&str, &str)], peer| {
            let caller = guard.admit(&head(headers), peer, client);
            caller.map(|caller| (caller.who, caller.role))
        };
        let known = |who: &str, role| Ok((who.to_owned(), role));
        assert_eq!(
            of(&[("x-user", "kim")], Peer::Unix),
            known("kim", Role::Operator)
        );
        assert_eq!(
            of(&[("x-user", "lee")], Peer::Unix),
            known("lee", Role::Viewer)
        );
        assert_eq!(
            of(&[("x-user", "sam")], Peer::Unix),
            known("sam", Role::Viewer)
        );
        let stranger = Peer::Network("192.0.2.1:4711".parse().unwrap());
        assert_eq!(of(&[("x-user", "kim")], stranger), Err(Refusal::NoToken));
        let two = [("x-user", "lee"), ("x-user", "kim")];
        assert_eq!(of(&two, Peer::Unix), Err(Refusal::NoToken));
        assert_eq!(of(&[("x-user", " ")], Peer::Unix), Err(Refusal::NoToken));
        assert_eq!(of(&[], Peer::Unix), Err(Refusal::NoToken));
    }

    #[tokio::test]
    async fn session_opens_by_login_and_closes_by_logout() {
        let admin = Admin {
            address: config::ADMIN,
            tokens: vec![Secret::new("the-token")],
            tls: None,
            hosts: Vec::new(),
            users: Users::default(),
        };
        let guard = Guard::new(&admin, &Networks::default()).unwrap();
        let client = Client {
            address: None,
            claims_another: false,
        };
        let csrf = guard.login_csrf();
        let home = [("host", "localhost"), ("origin", "http://localhost")];
        let log_in = async |headers: &[(&str, &str)], csrf: &str, secret: &str| {
            let head = head(headers);
            guard.log_in(&head, (csrf, "", secret), client).await
        };
        let refused = log_in(&home, "", "the-token").await;
        assert_eq!(refused, Err((Refusal::ForeignForm, 0)));
        let refused = log_in(&[], &csrf, "the-token").await;
        assert_eq!(refused, Err((Refusal::ForeignForm, 0)));
        let refused = log_in(&home, &csrf, "the-toke").await;
        assert_eq!(refused, Err((Refusal::WrongLogin, 0)));
        let (who, cookie) = log_in(&home, &csrf, "the-token").await.unwrap();
        assert_eq!(who, "admin token");
        let cookie = cookie.split(';').next().unwrap();
        let asking = head(&[("cookie", cookie)]);
        let caller = guard.admit(&asking, Peer::Unix, client).unwrap();
        assert_eq!(
            (caller.role, caller.known_by),
            (Role::Operator, KnownBy::Session)
        );
        assert_ne!(caller.csrf, csrf);
        let forgotten = guard.log_out(&asking.headers);
        assert!(forgotten.iter().all(|cookie| cookie.contains("Max-Age=0")));
        let again = guard.admit(&asking, Peer::Unix, client);
        assert_eq!(again, Err(Refusal::NoToken));
    }
}

//! The front of the admin listener: logins, logouts, and what a browser without a credential is
//! shown.

use hyper::body::Incoming;
use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::asked::Asked;
use super::caller::{Caller, KnownBy, Role};
use super::guard::{OPEN, Refusal};
use super::problem::Problem;
use super::{Inner, pages, report};
use crate::config::NOBODY;
use crate::http::{self, Answer, Client};

/// The longest address that a login leads back to.
const LONGEST_NEXT: usize = 2000;

impl Inner {
    /// Answers a request that the guard refuses: a browser is led to the login.
    pub(super) async fn turn_away(
        &self,
        refusal: Refusal,
        head: Parts,
        body: Option<Incoming>,
        client: Client,
        is_page: bool,
    ) -> Answer {
        let is_unknown = refusal == Refusal::NoToken;
        let path = head.uri.path();
        if is_unknown && (path == "/login" || path == "/logout") {
            let nobody = Caller {
                who: NOBODY.to_owned(),
                role: Role::Viewer,
                origin: client.to_string(),
                known_by: KnownBy::Nothing,
                csrf: String::new(),
            };
            return self
                .log_in_or_out(Asked::new(head, body, nobody), client)
                .await;
        }
        if let Some(body) = body {
            http::discard(body);
        }
        if is_unknown && matches!(head.method, Method::GET | Method::HEAD) {
            if let Some(file) = pages::file(path) {
                return file;
            }
            if is_page && !path.starts_with("/api/") && path != OPEN && path != "/metrics" {
                return lead(&head);
            }
        }
        report(refusal, client, &self.throttle);
        refusal.into_answer()
    }

    /// Answers the login and the logout.
    pub(super) async fn log_in_or_out(&self, mut asked: Asked, client: Client) -> Answer {
        let is_logout = asked.path() == "/logout";
        let people = self.guard.logins().people();
        let shown = |next: &str, wrong: Option<(StatusCode, &str)>| {
            let csrf = self.guard.login_csrf();
            pages::login(&self.desk, &csrf, next, wrong, people.have_passwords())
        };
        if !people.can_log_in() {
            let none = "there is nothing to log in with: write admin_token in [gateway], or [[admin.users]]";
            return Problem::missing(none).into_answer();
        }
        if !is_logout && matches!(*asked.method(), Method::GET | Method::HEAD) {
            let next = next(asked.query());
            return shown(&next, None);
        }
        if *asked.method() != Method::POST {
            return Problem::method(if is_logout { "POST" } else { "GET, HEAD, POST" })
                .into_answer();
        }
        let body = match asked.body().await {
            Ok(body) => body,
            Err(problem) => return problem.into_answer(),
        };
        let form: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
        let value = |name: &str| {
            let found = form.iter().find(|(found, _)| found == name);
            found.map_or("", |(_, value)| value.as_str())
        };
        if is_logout {
            let is_known = asked.caller.known_by == KnownBy::Session;
            if is_known && !self.guard.is_own_form(value("csrf"), &asked.caller) {
                return Refusal::ForeignForm.into_answer();
            }
            let forgotten = self.guard.log_out(asked.headers());
            return pages::see("/login", &forgotten);
        }
        let next = checked(value("next"));
        let form = (value("csrf"), value("name").trim(), value("secret"));
        match self.guard.log_in(asked.head(), form, client).await {
            Ok((who, cookie)) => {
                tracing::info!(who, client = %client, "logged in at the admin listener");
                pages::see(&next, &[cookie])
            }
            Err((refusal, seconds)) => {
                report(refusal, client, &self.throttle);
                let status = refusal.status();
                let mut answer = shown(&next, Some((status, refusal.help())));
                if let Ok(seconds) = HeaderValue::from_str(&seconds.to_string())
                    && status == StatusCode::TOO_MANY_REQUESTS
                {
                    answer.headers_mut().insert(RETRY_AFTER, seconds);
                }
                answer
            }
        }
    }
}

/// Leads a browser without a session to the login; one that came by a link of another site once
/// more to where it was going, because it kept back its cookie.
fn lead(head: &Parts) -> Answer {
    let address = head.uri.path_and_query().map_or("/", |it| it.as_str());
    let address = checked(address);
    let site = head.headers.get("sec-fetch-site");
    let is_foreign = site.is_some_and(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    if is_foreign {
        return pages::doorway(&address);
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("next", &address);
    pages::see(&format!("/login?{}", query.finish()), &[])
}

fn next(query: &[u8]) -> String {
    let mut parameters = form_urlencoded::parse(query);
    let found = parameters.find(|(name, _)| name == "next");
    found.map_or_else(|| "/".to_owned(), |(_, next)| checked(&next))
}

/// Returns an address of this listener; the first page where it is another's, or none to go to.
fn checked(address: &str) -> String {
    // Two slashes, or a backslash that browsers read as one, begin the name of another host.
    let is_here = address.starts_with('/')
        && !address.starts_with("//")
        && !address.contains('\\')
        && address.len() <= LONGEST_NEXT
        && address.bytes().all(|byte| byte.is_ascii_graphic())
        && !address.starts_with("/log");
    if is_here { address } else { "/" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_leads_to_no_other_host() {
        for here in ["/", "/events?q=a%20b", "/events/NO1"] {
            assert_eq!(checked(here), here);
        }
        for other in [
            "",
            "//evil.example/",
            "https://evil.example/",
            "/\\evil.example",
            "javascript:alert(1)",
            "/a\r\nSet-Cookie: x=y",
            "/login",
            "/logout",
        ] {
            assert_eq!(checked(other), "/", "{other}");
        }
    }
}

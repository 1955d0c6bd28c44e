//! Pages for people over the same functions as the API: drawn on the server, readable without
//! JavaScript. A small script updates what has changed, and copies.
//!
//! A page is drawn at most once a second for all its viewers. Its forms carry a mark in the place
//! of the caller's own token, and the token is put in as the page is sent.

mod audit;
mod chart;
mod configuration;
mod destinations;
mod draw;
mod event;
mod events;
mod form;
mod frame;
mod kept;
mod login;
mod markdown;
mod nodes;
mod now;
mod quiet;
mod sources;
mod submit;
mod tested;
mod waiting;
mod words;

use hyper::StatusCode;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
    SET_COOKIE,
};
use maud::{Markup, html};

use super::asked::Asked;
use super::caller::{Caller, Role};
use super::desk::Desk;
use super::problem::Problem;
use crate::http::{self, Answer};
use words::When;

pub use kept::Kept;
pub use submit::submit;

/// The content security policy of a page: everything comes from this listener.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// The media type of a page.
const HTML: &str = "text/html; charset=utf-8";
/// The addresses at which forms are submitted.
pub const FORMS: [&str; 7] = [
    "/act",
    "/events/resolve",
    "/groups/resolve",
    "/mutes/add",
    "/mutes/end",
    "/nodes/gone",
    "/test",
];
/// The sign of the gateway, for the tab of a browser.
const ICON: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 20 20\"><path fill=\"#2f7de1\" \
                    d=\"M2 2h3v16H2zM15 2h3v16h-3zM7 8.5h3V5l4 5-4 5v-3.5H7z\"/></svg>";

/// The facts for the frame of a page and for its parts.
#[derive(Debug)]
struct Page<'p> {
    when: When,
    caller: Option<&'p Caller>,
    /// The token of its forms, or the mark in its place.
    csrf: &'p str,
    node: &'p str,
    /// True if there is anything to log in with.
    has_login: bool,
    /// Dead letters and failed requests.
    waiting: i64,
    /// The address of the page itself.
    address: String,
    /// The outcome of the action that led here.
    outcome: Option<String>,
    /// True if the page updates itself: a problem and the outcome of a form stay to be read.
    is_live: bool,
}

impl<'p> Page<'p> {
    fn new(desk: &'p Desk, caller: Option<&'p Caller>, csrf: &'p str, address: String) -> Self {
        Self {
            when: When::now(),
            caller,
            csrf,
            node: &desk.facts.node,
            has_login: desk.catalogue().has_login,
            waiting: 0,
            address,
            outcome: None,
            is_live: false,
        }
    }

    /// Returns whether the caller of a page may act; else the sentence in place of the actions.
    fn may_act(&self) -> Result<(), &'static str> {
        match self.caller {
            Some(caller) if caller.role == Role::Operator => Ok(()),
            Some(caller) => Err(caller.known_by.advice()),
            None => Err(""),
        }
    }

    fn framed(&self, title: &str, here: &str, content: &Markup) -> String {
        frame::frame(self, title, here, content).into_string()
    }
}

/// Returns a page as an answer, with the limits for its browser.
fn page(status: StatusCode, text: String) -> Answer {
    let mut answer = http::answer(status, HTML, text);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    let isolated = HeaderValue::from_static("same-origin");
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        isolated.clone(),
    );
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        isolated,
    );
    answer
}

/// Returns the answer that sends a browser to another page, with these cookies.
pub fn see(address: &str, cookies: &[String]) -> Answer {
    let mut answer = page(StatusCode::SEE_OTHER, String::new());
    let headers = answer.headers_mut();
    if let Ok(address) = HeaderValue::from_str(address) {
        headers.insert(LOCATION, address);
    }
    for cookie in cookies {
        if let Ok(cookie) = HeaderValue::from_str(cookie) {
            headers.append(SET_COOKIE, cookie);
        }
    }
    answer
}

/// Returns the stylesheet, the script or the sign; these are no secret.
pub fn file(path: &str) -> Option<Answer> {
    let (media_type, content) = match path {
        "/style.css" => ("text/css; charset=utf-8", include_str!("style.css")),
        "/live.js" => ("text/javascript; charset=utf-8", include_str!("live.js")),
        "/icon.svg" => ("image/svg+xml", ICON),
        _ => return None,
    };
    let mut answer = http::answer(StatusCode::OK, media_type, content);
    // Another version of the gateway has others.
    let kept = HeaderValue::from_static("private, max-age=300");
    answer.headers_mut().insert(CACHE_CONTROL, kept);
    Some(answer)
}

/// Draws the login. `next` is the page that was asked for; `wrong` says why the last try did not
/// succeed.
pub fn login(
    desk: &Desk,
    csrf: &str,
    next: &str,
    wrong: Option<(StatusCode, &str)>,
    has_passwords: bool,
) -> Answer {
    let frame = Page::new(desk, None, csrf, "/login".to_owned());
    let content = login::draw(&frame, next, wrong.map(|(_, wrong)| wrong), has_passwords);
    let status = wrong.map_or(StatusCode::OK, |(status, _)| status);
    page(status, frame.framed("Log in", "", &content))
}

/// Returns the page that leads a browser from another site's link to its goal.
pub fn doorway(address: &str) -> Answer {
    page(StatusCode::OK, login::doorway(address).into_string())
}

/// Answers a request for a page.
pub async fn answer(desk: &Desk, kept: &Kept, asked: &Asked) -> Answer {
    let parameters = form::parameters(asked.query());
    let address = form::address(asked.path(), &parameters, &[]);
    let drawn = kept
        .drawn(&asked.caller, &address, draw::draw(desk, kept, asked))
        .await;
    let mut frame = Page::new(desk, Some(&asked.caller), kept.mark(), address);
    frame.outcome = submit::outcome(&parameters);
    frame.waiting = drawn.waiting;
    frame.is_live = drawn.status.is_success();
    let text = frame.framed(&drawn.title, drawn.here, &drawn.content);
    page(drawn.status, text.replace(kept.mark(), &asked.caller.csrf))
}

/// Returns the page of a problem.
fn problem(frame: &Page<'_>, problem: &Problem) -> Answer {
    let title = problem.status.canonical_reason().unwrap_or("Error");
    page(
        problem.status,
        frame.framed(title, "", &said(title, problem)),
    )
}

/// Draws a problem.
fn said(title: &str, problem: &Problem) -> Markup {
    html! {
        section.verdict.bad role="alert" { h1.s.bad { (title) } p { (problem.detail) } }
        p { a href="/events" { "Search the events" } }
    }
}

//! The addresses of the API, and what each answers.

use hyper::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::super::asked::Asked;
use super::super::desk::Desk;
use super::super::problem::Problem;
use super::super::query::Query;
use super::act::{self, Act, Asking};
use super::nodes::{gone, nodes};
use super::{Paged, case, events, groups, log, mutes, state, test};
use crate::http::{self, Answer};

/// The description of the API.
const OPENAPI: &str = include_str!("openapi.json");

/// The addresses, for those who ask for another.
const ADDRESSES: &str = "there are sources, events, failed, dead-letters, groups, mutes, destinations, configuration, audit, log, nodes and openapi.json below \
                         /api/v1/";

impl<T: Serialize> Paged<T> {
    fn into_answer(self) -> Answer {
        http::json(
            StatusCode::OK,
            &serde_json::json!({ self.name: self.rows, "next": self.next }),
        )
    }
}

/// Answers a request for `path`, which begins behind `/api/v1`.
pub async fn answer(desk: &Desk, path: &str, mut asked: Asked) -> Result<Answer, Problem> {
    let segments: Vec<String> = path
        .trim_matches('/')
        .split('/')
        .map(|segment| {
            percent_decode_str(segment)
                .decode_utf8()
                .map(|text| text.into_owned())
                .map_err(|_| Problem::wrong("the path is not UTF-8"))
        })
        .collect::<Result<_, _>>()?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    if let Some((act, target)) = Act::of(&segments) {
        asked.acts()?;
        let what: Asking = asked.json().await?;
        let done = act::act(desk, act, target, what, &asked.caller).await?;
        let status = if done.preview {
            StatusCode::OK
        } else {
            StatusCode::ACCEPTED
        };
        return Ok(http::json(status, &done));
    }
    match *segments.as_slice() {
        ["events", id, "resolve"] => {
            asked.acts()?;
            let what = asked.json().await?;
            let done = groups::resolve_event(desk, id, &what, &asked.caller).await?;
            return Ok(http::json(StatusCode::ACCEPTED, &done));
        }
        ["groups", id, "resolve"] => {
            asked.acts()?;
            let what = asked.json().await?;
            let done = groups::resolve(desk, id, &what, &asked.caller).await?;
            return Ok(http::json(StatusCode::ACCEPTED, &done));
        }
        ["mutes"] if asked.method() == Method::POST => {
            asked.acts()?;
            let what: mutes::Asking = asked.json().await?;
            if what.preview {
                let preview = mutes::preview(desk, &what, &asked.caller).await?;
                return Ok(http::json(StatusCode::OK, &preview));
            }
            let mute = mutes::add(desk, &what, &asked.caller).await?;
            return Ok(http::json(StatusCode::CREATED, &mute));
        }
        ["log"] if asked.method() == Method::POST => {
            asked.acts()?;
            let what = asked.json().await?;
            let filter = log::change(desk, what, &asked.caller).await?;
            return Ok(http::json(StatusCode::OK, &filter));
        }
        [kind @ ("sources" | "destinations"), name, "test"] => {
            asked.acts()?;
            let what = asked.json().await?;
            let tested = test::test(desk, kind, name, what, &asked.caller).await?;
            return Ok(http::json(StatusCode::OK, &tested));
        }
        ["nodes", name, "gone"] => {
            asked.acts()?;
            let what = asked.json().await?;
            let node = gone(desk, name, &what, &asked.caller).await?;
            return Ok(http::json(StatusCode::OK, &node));
        }
        ["mutes", id, "end"] => {
            asked.acts()?;
            let what = asked.json().await?;
            let mute = mutes::end(desk, id, &what, &asked.caller).await?;
            return Ok(http::json(StatusCode::OK, &mute));
        }
        _ => {}
    }
    if matches!(*segments, ["mutes" | "log"]) && asked.reads().is_err() {
        return Err(Problem::method("GET, HEAD, POST"));
    }
    asked.reads()?;
    let query = asked.query();
    match *segments.as_slice() {
        ["openapi.json"] => Ok(http::answer(StatusCode::OK, "application/json", OPENAPI)),
        ["events"] => Ok(events::list(desk, query).await?.into_answer()),
        ["events", id] => Ok(http::json(StatusCode::OK, &events::find(desk, id).await?)),
        ["events", id, "body"] => events::body(desk, id).await,
        ["events", id, "case"] => Ok(http::json(
            StatusCode::OK,
            &case::make(desk, id, query).await?,
        )),
        ["events", id, "case.tar"] => case::archive(desk, id, query).await,
        ["failed"] => Ok(events::failed(desk, query).await?.into_answer()),
        ["dead-letters"] => Ok(events::dead_letters(desk, query).await?.into_answer()),
        ["groups"] => Ok(groups::list(desk, query).await?.into_answer()),
        ["groups", id] => {
            no_parameters(query)?;
            Ok(http::json(StatusCode::OK, &groups::find(desk, id).await?))
        }
        ["mutes"] => {
            let body = serde_json::json!({ "mutes": mutes::list(desk, query).await? });
            Ok(http::json(StatusCode::OK, &body))
        }
        ["sources"] => {
            no_parameters(query)?;
            let sources = state::sources(desk).await?;
            Ok(http::json(StatusCode::OK, &sources))
        }
        ["sources", name] => {
            no_parameters(query)?;
            Ok(http::json(
                StatusCode::OK,
                &state::source(desk, name).await?,
            ))
        }
        ["destinations"] => {
            no_parameters(query)?;
            let destinations = state::destinations(desk).await?;
            let body = serde_json::json!({ "destinations": destinations });
            Ok(http::json(StatusCode::OK, &body))
        }
        ["configuration"] => {
            no_parameters(query)?;
            Ok(http::json(StatusCode::OK, &state::configuration(desk)))
        }
        ["log"] => {
            no_parameters(query)?;
            Ok(http::json(StatusCode::OK, &log::shown(desk)?))
        }
        ["audit"] => Ok(state::audit(desk, query).await?.into_answer()),
        ["audit.jsonl"] => {
            no_parameters(query)?;
            state::audit_file(desk).await
        }
        ["nodes"] => {
            no_parameters(query)?;
            let body = serde_json::json!({ "nodes": nodes(desk).await? });
            Ok(http::json(StatusCode::OK, &body))
        }
        _ => Err(Problem::missing(ADDRESSES)),
    }
}

fn no_parameters(query: &[u8]) -> Result<(), Problem> {
    Query::parse(query, &[]).map(drop)
}

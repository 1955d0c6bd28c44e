//! The pages by their addresses: what each is drawn from.

use hyper::StatusCode;
use maud::Markup;
use percent_encoding::percent_decode_str;

use super::kept::{Drawn, Kept};
use super::{
    Page, audit, configuration, destinations, event, events, form, nodes, now, quiet, sources,
    waiting,
};
use crate::admin::api;
use crate::admin::asked::Asked;
use crate::admin::desk::Desk;
use crate::admin::problem::Problem;
use crate::clock::wall_ms;
use crate::store::GroupFilter;

/// Attempts among which those of each destination are looked for.
const ATTEMPTS: usize = 200;
/// Replays and dismissals that are shown beside what waits for one.
const DONE: usize = 5;
/// Rows of a list.
const ROWS: (&str, &str) = ("limit", "25");
/// Rows of each of two lists, whose rows say more.
const FEWER: (&str, &str) = ("limit", "15");

/// A page as it was drawn: its title, its entry in the navigation, and the part within the frame.
type Found = (StatusCode, String, &'static str, Markup);

/// Draws a page, or the problem that there is none.
pub async fn draw(desk: &Desk, kept: &Kept, asked: &Asked) -> Drawn {
    let address = asked.path().to_owned();
    let page = Page::new(desk, Some(&asked.caller), kept.mark(), address);
    let (node, found) = tokio::join!(api::node(desk), find(desk, asked, &page));
    let waiting = node.map_or(0, |node| node.dead + node.failed);
    let (status, title, here, content) = found.unwrap_or_else(|problem| {
        let title = problem.status.canonical_reason().unwrap_or("Error");
        let content = super::said(title, &problem);
        (problem.status, title.to_owned(), "", content)
    });
    Drawn {
        status,
        title,
        here,
        content,
        waiting,
    }
}

async fn find(desk: &Desk, asked: &Asked, page: &Page<'_>) -> Result<Found, Problem> {
    let parameters = &form::parameters(asked.query());
    let ok = |title: &str, here, content| Ok((StatusCode::OK, title.to_owned(), here, content));
    let path = asked.path().trim_end_matches('/');
    match path {
        "" => {
            let now = match now(desk).await {
                Ok(now) => now,
                Err(problem) => in_memory(desk, problem),
            };
            let (title, content) = now::draw(page, desk, &now);
            ok(&title, "/", content)
        }
        "/events" => {
            let query = form::address("", parameters, &[ROWS]);
            let query = query.trim_start_matches('?').as_bytes();
            let (found, counts) = tokio::join!(api::list(desk, query), api::counts(desk, query));
            // Without them, the page is as good.
            let counts = counts.unwrap_or_default();
            let sources = desk.sources();
            let names: Vec<String> = sources.iter().map(|one| one.name.to_string()).collect();
            let content = events::draw(page, parameters, found.as_ref(), &counts, &names);
            let status = found
                .as_ref()
                .err()
                .map_or(StatusCode::OK, |problem| problem.status);
            Ok((status, "Events".to_owned(), "/events", content))
        }
        "/dead-letters" => {
            let query = |name: &str| {
                let cursor = form::value(parameters, name);
                let query = form::address("", &[], &[("cursor", cursor), FEWER]);
                query.trim_start_matches('?').to_owned().into_bytes()
            };
            let waiting = waiting::Waiting {
                dead: api::dead_letters(desk, &query("dead")).await?,
                failed: api::failed(desk, &query("failed")).await?,
                done: done(api::audit(desk, b"limit=200").await?),
            };
            let content = waiting::draw(page, &waiting);
            ok("Dead letters and failed requests", "/dead-letters", content)
        }
        "/sources" => {
            let found = api::sources(desk).await?;
            let content = sources::draw(page, parameters, &found);
            ok("Sources", "/sources", content)
        }
        "/destinations" => {
            let found = api::destinations(desk).await?;
            let attempts = desk
                .readers
                .read(|history| history.attempted(ATTEMPTS))
                .await?;
            let content = destinations::draw(page, parameters, &found, &attempts);
            ok("Destinations", "/destinations", content)
        }
        "/mutes" => {
            let cursor = form::value(parameters, "cursor");
            let groups = form::address("", &[], &[("cursor", cursor), ROWS]);
            let mutes = form::address("", &[], &[("all", form::value(parameters, "all"))]);
            let quiet = quiet::Quiet {
                groups: api::groups(desk, groups.trim_start_matches('?').as_bytes()).await?,
                mutes: api::mutes(desk, mutes.trim_start_matches('?').as_bytes()).await?,
            };
            let content = quiet::draw(page, parameters, &quiet);
            ok("Groups and mutes", "/mutes", content)
        }
        "/configuration" => {
            let content = configuration::draw(&api::configuration(desk));
            ok("Configuration", "", content)
        }
        "/nodes" => {
            let found = api::nodes(desk).await?;
            ok("Gateways", "", nodes::draw(page, &found))
        }
        "/audit" => {
            let found = api::audit(desk, &form::query(parameters)).await?;
            ok("Audit", "", audit::draw(page, parameters, &found))
        }
        path => one(desk, page, path).await,
    }
}

/// Returns the latest replays and dismissals of a page of the audit.
fn done(page: api::Paged<api::Audited>) -> Vec<api::Audited> {
    let is_one = |one: &api::Audited| {
        [api::Act::Replay, api::Act::Dismiss]
            .iter()
            .any(|act| act.as_str() == one.entry.action)
    };
    page.rows.into_iter().filter(is_one).take(DONE).collect()
}

/// Draws the page of one event or one source.
async fn one(desk: &Desk, page: &Page<'_>, path: &str) -> Result<Found, Problem> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    if let Some(id) = path.strip_prefix("/events/") {
        let chain = match api::find(desk, &decoded(id)).await {
            Err(problem) if problem.status == StatusCode::NOT_FOUND => {
                let catalogue = desk.catalogue();
                let mut settings = catalogue.settings.iter();
                let age = settings.find(|(name, _)| *name == "retention age");
                let age = age.map_or("", |(_, age)| age);
                let content = event::missing(&problem, age);
                return Ok((problem.status, "Not found".to_owned(), "/events", content));
            }
            found => found?,
        };
        let (title, content) = event::draw(page, &chain, &desk.sources());
        return Ok((StatusCode::OK, title, "/events", content));
    }
    if let Some(name) = path.strip_prefix("/sources/") {
        let source = api::source(desk, &decoded(name)).await?;
        let activity = &desk.about.metrics.activity;
        let series = activity.of_source(&source.summary.name);
        let content = sources::draw_one(page, &source, &series, activity.counted_for());
        let title = source.summary.name.to_string();
        return Ok((StatusCode::OK, title, "/sources", content));
    }
    Err(Problem::missing("there is no such page"))
}

async fn now(desk: &Desk) -> Result<now::Now, Problem> {
    let open = GroupFilter {
        is_open: Some(true),
        limit: 20,
        ..GroupFilter::default()
    };
    let before_ms = wall_ms() - now::STUCK_MS;
    let (is_stuck, alerts, stormy, groups) = desk
        .readers
        .read(move |history| {
            Ok((
                history.is_stuck(before_ms)?,
                history.open_alerts()?,
                history.stormy()?,
                history.groups(&open)?,
            ))
        })
        .await?;
    Ok(now::Now {
        node: api::node(desk).await?,
        sources: api::sources(desk).await?.sources,
        destinations: api::destinations(desk).await?,
        is_stuck,
        open: alerts,
        certificates: desk.about.metrics.certificates(),
        stormy,
        groups,
        mutes: api::mutes(desk, b"").await?,
        unread: None,
    })
}

/// Returns what memory knows while the store cannot be read.
fn in_memory(desk: &Desk, problem: Problem) -> now::Now {
    now::Now {
        node: api::node_in_memory(desk),
        sources: api::sources_with(desk, &[], &[]).sources,
        destinations: api::destinations_with(desk, &(Vec::new(), false), &[], &[]),
        is_stuck: true,
        open: Vec::new(),
        certificates: desk.about.metrics.certificates(),
        stormy: Vec::new(),
        groups: Vec::new(),
        mutes: api::mutes_with(desk, &[], false),
        unread: Some(problem.detail),
    }
}

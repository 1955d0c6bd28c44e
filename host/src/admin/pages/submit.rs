//! Forms: what a person has done by a button, as the API does it.

use hyper::StatusCode;
use serde_json::{Map, Value};

use super::kept::Kept;
use super::words::counted;
use super::{Page, form, page, problem, quiet, see, tested, waiting};
use crate::admin::api::{self, Act, Asking, AskingMute, AskingTest, Reason, Target};
use crate::admin::asked::Asked;
use crate::admin::desk::Desk;
use crate::admin::guard::Guard;
use crate::admin::problem::Problem;
use crate::http::Answer;

/// Acts as a form asks, or draws the effects of it.
pub async fn submit(desk: &Desk, kept: &Kept, guard: &Guard, asked: &mut Asked) -> Answer {
    let body = asked.body().await;
    let path = asked.path().to_owned();
    let mut frame = Page::new(
        desk,
        Some(&asked.caller),
        &asked.caller.csrf,
        "/dead-letters".to_owned(),
    );
    if path.starts_with("/mutes") || path.starts_with("/groups") {
        frame.address = "/mutes".to_owned();
    }
    if path.starts_with("/nodes") {
        frame.address = "/nodes".to_owned();
    }
    if path == "/test" {
        frame.address = "/".to_owned();
    }
    let done = match body {
        Ok(body) => {
            let form = form::parameters(&body);
            let is_own = guard.is_own_form(form::value(&form, "csrf"), &asked.caller);
            act(desk, asked, &frame, &path, &form, is_own).await
        }
        Err(problem) => Err(problem),
    };
    kept.clear();
    done.unwrap_or_else(|refused| problem(&frame, &refused))
}

async fn act(
    desk: &Desk,
    asked: &Asked,
    frame: &Page<'_>,
    path: &str,
    form: &[(String, String)],
    is_own: bool,
) -> Result<Answer, Problem> {
    asked.acts()?;
    if !is_own {
        return Err(Problem::forbidden(
            "this form is older than the gateway's last start, or of another caller: go back, load the page again, and retry",
        ));
    }
    let value = |name: &str| form::value(form, name);
    let id = value("id");
    let caller = &asked.caller;
    let reason = Reason {
        reason: Some(value("reason").to_owned()),
    };
    let done = |page: &str, did: &str, count: usize| {
        see(
            &form::address(page, &[], &[("did", did), ("n", &count.to_string())]),
            &[],
        )
    };
    Ok(match path {
        "/events/resolve" => {
            let resolved = api::resolve_event(desk, id, &reason, caller).await?;
            done(&form::event(id), "resolve", resolved.resolved)
        }
        "/groups/resolve" => {
            let resolved = api::resolve_group(desk, id, &reason, caller).await?;
            done("/mutes", "resolve-group", resolved.resolved)
        }
        "/mutes/add" if value("do") == "preview" => {
            let form = with_terms(form);
            let preview = api::preview_mute(desk, &mute(&form)?, caller).await?;
            let content = quiet::preview(frame, &form, &preview);
            page(StatusCode::OK, frame.framed("New mute", "/mutes", &content))
        }
        "/mutes/add" => {
            api::add_mute(desk, &mute(form)?, caller).await?;
            done("/mutes", "mute", 1)
        }
        "/mutes/end" => {
            api::end_mute(desk, id, &reason, caller).await?;
            done("/mutes", "unmute", 1)
        }
        "/nodes/gone" => {
            api::gone(desk, id, &reason, caller).await?;
            done("/nodes", "gone", 1)
        }
        "/test" => test(desk, asked, frame, form).await?,
        _ => replay_or_dismiss(desk, asked, frame, form).await?,
    })
}

/// Tests a way, and draws its hops.
async fn test(
    desk: &Desk,
    asked: &Asked,
    frame: &Page<'_>,
    form: &[(String, String)],
) -> Result<Answer, Problem> {
    let kind = match form::value(form, "kind") {
        kind @ ("sources" | "destinations") => kind,
        _ => return Err(Problem::wrong("kind: sources or destinations")),
    };
    let name = form::value(form, "name");
    let asking = AskingTest {
        local: form::value(form, "local") == "yes",
        request: None,
    };
    let found = api::test_way(desk, kind, name, asking, &asked.caller).await?;
    let here = if kind == "sources" {
        "/sources"
    } else {
        "/destinations"
    };
    let content = tested::draw(kind, name, &found);
    let text = frame.framed(&format!("Test of {name}"), here, &content);
    Ok(page(StatusCode::OK, text))
}

/// Reads the form of a mute: patterns stand in one line, as on the command line.
fn mute(form: &[(String, String)]) -> Result<AskingMute, Problem> {
    let mut when = Map::new();
    for word in words(form::value(form, "when")) {
        let (name, pattern) = word.split_once('=').ok_or_else(|| {
            Problem::wrong("write the alerts as name=pattern, like source=twilio-prod; a pattern with spaces in quotes, like title=\"a *\"")
        })?;
        let patterns = when.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(patterns) = patterns {
            patterns.push(pattern.into());
        }
    }
    Ok(AskingMute {
        when,
        time: Some(form::value(form, "for").to_owned()),
        until: None,
        preview: false,
        why: form::value(form, "why").to_owned(),
    })
}

/// Returns the form of a mute with its ticked pairs as a line, as a person would write them.
fn with_terms(form: &[(String, String)]) -> Vec<(String, String)> {
    let (terms, mut rest): (Vec<_>, Vec<_>) =
        form.iter().cloned().partition(|(name, _)| name == "term");
    if !terms.is_empty() {
        let line: Vec<_> = terms.iter().map(|(_, pair)| quiet::quoted(pair)).collect();
        rest.retain(|(name, _)| name != "when");
        rest.push(("when".to_owned(), line.join(" ")));
    }
    rest
}

/// Splits a line at its spaces; those between quotes belong to a word.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for char in line.chars() {
        match char {
            '"' => quoted = !quoted,
            char if char.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            char => word.push(char),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

async fn replay_or_dismiss(
    desk: &Desk,
    asked: &Asked,
    frame: &Page<'_>,
    form: &[(String, String)],
) -> Result<Answer, Problem> {
    let value = |name: &str| form::value(form, name);
    let (verb, is_all) = match value("do").strip_suffix("-all") {
        Some(verb) => (verb, true),
        None => (value("do"), false),
    };
    let act = match verb {
        "replay" => Act::Replay,
        "dismiss" => Act::Dismiss,
        _ => return Err(Problem::wrong("do: replay or dismiss")),
    };
    let ids = form
        .iter()
        .filter(|(name, id)| name == "id" && !id.is_empty());
    let ids: Vec<String> = ids.map(|(_, id)| id.clone()).collect();
    let waiting = "/dead-letters".to_owned();
    let (target, ids, back) = match (value("what"), ids.first().cloned()) {
        ("one", Some(id)) => (Target::One(id.clone()), Vec::new(), form::event(&id)),
        ("dead", _) if is_all => (Target::Dead, Vec::new(), waiting),
        ("failed", _) if is_all => (Target::Failed, Vec::new(), waiting),
        ("dead", Some(_)) => (Target::Dead, ids, waiting),
        ("failed", Some(_)) => (Target::Failed, ids, waiting),
        ("dead" | "failed", None) => {
            return Err(Problem::wrong("nothing is selected: tick at least one"));
        }
        _ => return Err(Problem::wrong("what: one, dead or failed")),
    };
    let asking = Asking {
        ids,
        all: is_all,
        reason: Some(value("reason").to_owned()),
        preview: value("confirmed") != "yes",
        ..Asking::default()
    };
    let done = api::act(desk, act, target, asking, &asked.caller).await?;
    if done.preview {
        let what = value("what");
        let reason = value("reason");
        let content = waiting::preview(frame, act, what, is_all, reason, &done);
        let text = frame.framed("Confirm", "/dead-letters", &content);
        return Ok(page(StatusCode::OK, text));
    }
    let count = done.asked.to_string();
    let outcome = [("did", act.as_str()), ("n", &*count)];
    Ok(see(&form::address(&back, &[], &outcome), &[]))
}

/// Returns the sentence on an action, from the parameters that it led here with.
pub fn outcome(parameters: &[(String, String)]) -> Option<String> {
    let count: i64 = form::value(parameters, "n").parse().ok()?;
    let requests = counted(count, "request");
    Some(match form::value(parameters, "did") {
        "replay" => format!("Replay of {requests} asked for; it is done within a second."),
        "dismiss" => format!("Dismissal of {requests} asked for; it is done within a second."),
        "resolve" => format!(
            "Resolve of {} is on its way to its destinations.",
            counted(count, "alert")
        ),
        "resolve-group" => "The resolve of the group is on its way to its destinations.".to_owned(),
        "mute" => "The mute holds within a second.".to_owned(),
        "unmute" => {
            "The mute ends: what it holds is summed up and opened within a second.".to_owned()
        }
        "gone" => "The keys that waited for it go on within a second.".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_spaces_belong_to_a_pattern() {
        assert_eq!(
            words(" source=a  title=\"a *\" b=\"\" "),
            ["source=a", "title=a *", "b="]
        );
        assert!(words("  ").is_empty());
    }

    #[test]
    fn ticked_pairs_become_the_line_of_a_mute() {
        let form = form::parameters(b"term=source%3Da&term=said%3Da+b&term=x%3D%3D&for=1h");
        let form = with_terms(&form);
        let line = form::value(&form, "when");
        assert_eq!(words(line), ["source=a", "said=a b", "x=="]);
        assert_eq!(form::value(&form, "for"), "1h");
        let written = form::parameters(b"when=source%3Da");
        assert_eq!(with_terms(&written), written);
    }

    #[test]
    fn outcome_is_told_for_known_actions_only() {
        let told = |query: &[u8]| outcome(&form::parameters(query));
        assert!(
            told(b"did=replay&n=3")
                .unwrap()
                .starts_with("Replay of 3 requests")
        );
        assert_eq!(told(b"did=<script>&n=3"), None);
        assert_eq!(told(b"did=replay&n=x"), None);
    }
}

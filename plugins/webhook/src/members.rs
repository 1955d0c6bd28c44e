//! A request's events: the body itself, or every member of a list in it.

use std::cell::Cell;
use std::collections::BTreeSet;

use plugin_sdk::contract::{Answer, MAX_ALERTS, Request};

use crate::alert::{self, Event};
use crate::body;
use crate::condition;
use crate::place::Place;
use crate::scope::{self, Scope};
use crate::tree::Node;

/// What becomes of an authenticated request: alerts, or a reason to ignore it.
pub fn read(request: &Request, settings: &Node<'_>) -> Answer {
    let bytes = request.body.bytes();
    let text = request.body.text();
    let json = body::json(request, &text, settings.get("decode"));
    let body = json.as_deref().and_then(Node::read);
    let unread = Cell::new(scope::readable(bytes.len()));
    let whole = Scope { whole: false, request, body: body.as_ref(), event: body.as_ref(), unread: &unread };
    let sent = json.as_deref().unwrap_or(&text).len();
    let Some(members) = members(settings, body.as_ref()) else {
        let details = match &body {
            Some(body) => Some(body.json().to_owned()),
            None => body::as_details(&text),
        };
        let event = Event { scope: whole, bytes: &bytes, text: &text, details };
        return match ignored(settings, &whole) {
            Some(reason) => Answer::ignored(reason),
            None => Answer::alert(alert::of(event, settings, &mut alert::room(1, sent))),
        };
    };
    let mut room = alert::room(members.len().min(MAX_ALERTS), sent);
    let (mut alerts, mut ids, mut reason) = (Vec::new(), BTreeSet::new(), None);
    let (read, left) = members.split_at(if members.len() > MAX_ALERTS { MAX_ALERTS - 1 } else { members.len() });
    for member in read {
        let scope = Scope { event: Some(member), ..whole };
        if let Some(ignored) = ignored(settings, &scope) {
            reason.get_or_insert(ignored);
            continue;
        }
        let text = member.json().get();
        let details = Some(member.json().to_owned());
        let mut alert = alert::of(Event { scope, bytes: text.as_bytes(), text, details }, settings, &mut room);
        // Two events of one request that are given the same id are two all the same.
        let given = alert.event_id.clone();
        if !ids.insert(given.clone()) {
            alert::identify(&mut alert, None, text.as_bytes(), request);
            alert.key.get_or_insert(given);
        }
        alerts.push(alert);
    }
    if !left.is_empty() {
        alerts.push(alert::of_the_rest(request, &bytes, left));
    }
    match (alerts.is_empty(), reason) {
        (false, _) => Answer::alerts(alerts),
        (true, Some(reason)) => Answer::ignored(reason),
        (true, None) => {
            let each = settings.get("each").and_then(Node::string).unwrap_or_default();
            Answer::ignored(format!("the list at {each} is empty"))
        }
    }
}

/// The members of the list that the settings name, if it is one.
fn members<'n, 'j>(settings: &Node<'_>, body: Option<&'n Node<'j>>) -> Option<&'n [Node<'j>]> {
    match Place::parse(&settings.get("each")?.string()?).ok()? {
        Place::Event(pointer) | Place::Body(pointer) => body?.at(pointer)?.items(),
        _ => None,
    }
}

fn ignored(settings: &Node<'_>, scope: &Scope<'_, '_>) -> Option<String> {
    let conditions = settings.get("ignore").and_then(Node::items)?;
    conditions.iter().find_map(|condition| condition::holds(condition, scope))
}

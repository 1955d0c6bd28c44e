//! A request's events: the body itself, or every member of a list in it.

use std::collections::BTreeSet;

use plugin_sdk::contract::{
    Alert, Alerts, Answer, MAX_ALERTS, Note, NoteKind, Priority, ProofIdentity, Request,
};
use plugin_sdk::{body, json};

use crate::alert::{self, Event};
use crate::condition::{self, Held};
use crate::decode;
use crate::identity::Identity;
use crate::place::Place;
use crate::scope::{Asked, Scope};
use crate::tree::Node;

/// Reads an authenticated request, which this proof covers where the sender signs: alerts, or a
/// reason to ignore it.
pub fn read(request: &Request, settings: &Node<'_>, proof: Option<&ProofIdentity>) -> Answer {
    let bytes = request.body.bytes();
    let reading = body::read(request);
    let json = reading.as_ref().ok().and_then(|reading| reading.json());
    let json = json.map(|json| decode::all(json, settings.get("decode")));
    let unpacks = settings.get("decode").is_some();
    let checked = reading.as_ref().ok().and_then(|reading| reading.checked());
    let body = match checked.filter(|_| !unpacks) {
        Some(checked) => Some(Node::new(checked)),
        None => json.as_deref().and_then(Node::read),
    };
    let start = settings.get("root").and_then(Node::string);
    let start = start
        .as_deref()
        .and_then(|root| body.as_ref()?.at(root))
        .or(body.as_ref());
    let asked = Asked::new(json.as_ref().map_or(bytes.len(), |json| json.len()));
    let whole = Scope {
        whole: false,
        request,
        body: body.as_ref(),
        event: start,
        asked: &asked,
    };
    let identity = Identity::new(request, settings, body.as_ref(), proof);
    let mut alerts = match members(settings, &whole) {
        Some(members) => match of_members(members, whole, settings, &identity, &bytes) {
            Ok(alerts) => alerts,
            Err(reason) => return Answer::ignored(reason),
        },
        None => {
            if let Some(reason) = ignored(settings, &whole) {
                return Answer::ignored(reason);
            }
            let text = request.body.text();
            let (text, unreadable) = match &reading {
                Ok(reading) => (&*reading.text, None),
                Err(why) => (&*text, Some(why)),
            };
            let details = match (&body, unreadable) {
                (Some(body), _) => Some(body.json().to_owned()),
                (None, Some(why)) => body::unreadable::alert(request, why, Priority::High).details,
                (None, None) => json::as_text("body_text", text),
            };
            let room = details.as_ref().map_or(0, |details| details.get().len());
            let event = Event {
                scope: whole,
                bytes: &bytes,
                text,
                details,
                unreadable,
            };
            vec![alert::of(
                event,
                settings,
                &identity,
                &mut alert::room(1, room),
            )]
        }
    };
    let repairs = reading.iter().flat_map(|reading| &reading.repairs);
    if let Some(first) = alerts.first_mut() {
        first
            .notes
            .extend(repairs.map(|repair| Note::new(NoteKind::Repaired, "", repair.as_str())));
    }
    let proof = proof.cloned().or_else(|| identity.attempt(&alerts));
    Answer::Alerts(Alerts {
        list: alerts,
        proof,
    })
}

/// Returns an alert for each member, except ignored ones, and one for members left out by the
/// sender or the host's limit; or the reason why there is none.
fn of_members<'a, 'j>(
    members: &'a [Node<'j>],
    whole: Scope<'a, 'j>,
    settings: &'a Node<'_>,
    identity: &Identity<'_, '_, '_>,
    bytes: &[u8],
) -> Result<Vec<Alert>, String> {
    let sent = whole.body.map_or(0, |body| body.json().get().len());
    let mut room = alert::room(members.len().min(MAX_ALERTS), sent);
    let mut alerts = Vec::new();
    let mut ids = BTreeSet::new();
    let mut reason = None;
    let left_out = left_out(settings, &whole);
    // A place is kept for each alert about what is left out.
    let places = MAX_ALERTS - usize::from(left_out.is_some());
    let (read, left) = members.split_at(if members.len() > places {
        places - 1
    } else {
        members.len()
    });
    for member in read {
        let scope = Scope {
            event: Some(member),
            ..whole
        };
        if let Some(ignored) = ignored(settings, &scope) {
            reason.get_or_insert(ignored);
            continue;
        }
        let text = member.json().get();
        let details = Some(member.json().to_owned());
        let event = Event {
            scope,
            bytes: text.as_bytes(),
            text,
            details,
            unreadable: None,
        };
        let mut alert = alert::of(event, settings, identity, &mut room);
        // Two events of one request that are given the same id are two all the same.
        let given = alert.event_id.clone();
        if !ids.insert(given.clone()) {
            alert::identify(&mut alert, None, text.as_bytes(), identity);
            alert.key.get_or_insert(given);
        }
        alerts.push(alert);
    }
    let most_urgent = alerts.iter().map(|alert| alert.priority).min();
    let priority = most_urgent.unwrap_or(Priority::High);
    if !left.is_empty() {
        let priority = priority.min(Priority::High);
        alerts.push(alert::of_the_rest(whole.request, bytes, left, priority));
    }
    if let Some(count) = left_out {
        alerts.push(alert::of_the_left_out(whole.request, count, priority));
    }
    match (alerts.is_empty(), reason) {
        (false, _) => Ok(alerts),
        (true, Some(reason)) => Err(reason),
        (true, None) => {
            let each = settings
                .get("each")
                .and_then(Node::string)
                .unwrap_or_default();
            Err(format!("the list at {each} is empty"))
        }
    }
}

/// The number of events left out, where the sender says so.
fn left_out(settings: &Node<'_>, whole: &Scope<'_, '_>) -> Option<u64> {
    let place = settings.get("left_out")?.string()?;
    let count = whole.at(Place::parse(&place).ok()?)?;
    count.trim().parse().ok().filter(|count| *count > 0)
}

/// The members of the list in the settings, or the one object in its place. Without such a setting,
/// those of a body made of a list of objects, if no setting finds anything in the list itself.
fn members<'n, 'j>(settings: &Node<'_>, whole: &Scope<'n, 'j>) -> Option<&'n [Node<'j>]> {
    let is_object = |node: &Node<'_>| !node.members().is_empty();
    let Some(each) = settings.get("each") else {
        let items = whole.event?.items()?;
        let is_batch = !items.is_empty()
            && items.iter().all(is_object)
            && !alert::finds_anything(settings, whole);
        return is_batch.then_some(items);
    };
    let node = match Place::parse(&each.string()?).ok()? {
        Place::Event(pointer) => whole.event?.at(pointer)?,
        Place::Body(pointer) => whole.body?.at(pointer)?,
        _ => return None,
    };
    match node.items() {
        None if is_object(node) => Some(std::slice::from_ref(node)),
        items => items,
    }
}

fn ignored(settings: &Node<'_>, scope: &Scope<'_, '_>) -> Option<String> {
    let conditions = settings.get("ignore").and_then(Node::items)?;
    let found = conditions
        .iter()
        .find_map(|condition| match condition::holds(condition, scope) {
            Held::Yes(reason) => Some(reason),
            Held::No | Held::Unknown(_) => None,
        });
    scope.asked.missing.borrow_mut().clear();
    found
}

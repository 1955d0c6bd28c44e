//! What is wrong with a mapping, found when the gateway starts: the schema knows the shape of the settings, this knows
//! what they mean.

use plugin_sdk::contract::{Mistake, Priority, Status};

use crate::choice::Choice;
use crate::place::{NoPlace, Place};
use crate::template::Source;
use crate::tree::Node;
use crate::words;

/// Everything that is wrong.
pub fn mistakes(settings: &Node<'_>) -> Vec<Mistake> {
    let shown = settings.get("sender").and_then(|sender| sender.get("header")).map(text);
    let mut check = Check { mistakes: Vec::new(), shown };
    check.sender(settings);
    let listed = |name| settings.get(name).and_then(Node::items).unwrap_or_default();
    for (index, place) in listed("decode").iter().enumerate() {
        check.list_place(&format!("/decode/{index}"), place);
    }
    if let Some(place) = settings.get("each") {
        check.list_place("/each", place);
    }
    for (index, condition) in listed("ignore").iter().enumerate() {
        check.condition(&format!("/ignore/{index}"), condition);
    }
    for (name, literal) in FIELDS {
        if let Some(setting) = settings.get(name) {
            check.choice(&format!("/{name}"), setting, literal);
        }
    }
    for (name, setting) in settings.get("labels").map(Node::members).unwrap_or_default() {
        check.choice(&format!("/labels/{}", escaped(name)), setting, any_text);
    }
    check.resolving(settings);
    check.mistakes
}

/// What is wrong with a text that is neither a place nor a template, and what would be right.
type Fault = Option<(String, String)>;

/// What a text that is the same for every event may be.
type Literal = fn(&str) -> Fault;

/// The fields of an alert, and what such a text may be in each.
const FIELDS: [(&str, Literal); 8] = [
    ("title", any_text),
    ("message", any_text),
    ("event_id", |text| {
        let found = format!("{text:?} is the same for every event, so all but the first would be dropped as repeats");
        Some((found, "name the place of an id, or leave event_id out: then it is a hash of the event".to_owned()))
    }),
    ("key", |text| {
        let found = format!("{text:?} is the same for every event, so all of them would be one alert");
        let help = "a place begins with /, as in /monitor/id; where that is meant, \"$source\" makes all events of the \
                    source one alert";
        Some((found, help.to_owned()))
    }),
    ("link", |text| {
        let right = text.starts_with("https://") || text.starts_with("http://");
        let help = "a link begins with https://; a place begins with /, as in /url";
        (!right).then(|| (format!("{text:?} is no link"), help.to_owned()))
    }),
    ("time", |text| {
        let help = "name the place of the time, as in /created_at, or leave it out";
        Some((format!("{text:?} is the same for every event"), help.to_owned()))
    }),
    ("status", |word| {
        let help = "the words are trigger and resolve; a place begins with /, as in /status";
        words::status(word).is_none().then(|| (format!("{word:?} is no status"), help.to_owned()))
    }),
    ("priority", |word| {
        let help = "the words are critical, high, medium and low; a place begins with /, as in /severity";
        Priority::from_word(word).is_none().then(|| (format!("{word:?} is no priority"), help.to_owned()))
    }),
];

fn any_text(_: &str) -> Fault {
    None
}

/// A name as a step of a JSON Pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A setting that is a text, as the schema demands where this is asked.
fn text(setting: &Node<'_>) -> String {
    setting.string().unwrap_or_default().into_owned()
}

struct Check {
    mistakes: Vec<Mistake>,
    /// The header in which the sender shows its secret.
    shown: Option<String>,
}

impl Check {
    fn add(&mut self, path: &str, found: impl Into<String>, help: impl Into<String>) {
        self.mistakes.push(Mistake { path: path.to_owned(), found: found.into(), help: help.into() });
    }

    fn sender(&mut self, settings: &Node<'_>) {
        match (settings.get("sender"), settings.get("secret")) {
            (Some(_), None) => {
                self.add("/sender", "there is no secret to prove the sender with", "add secret = { env = \"NAME\" }");
            }
            (None, Some(_)) => self.add(
                "/secret",
                "nothing says how the sender shows this secret",
                "add sender, such as \"github\", \"bearer\" or { hmac = \"x-signature\" }",
            ),
            _ => {}
        }
    }

    /// A place of a list, or of a text to decode: nothing but a JSON Pointer will do.
    fn list_place(&mut self, path: &str, place: &Node<'_>) {
        let place = text(place);
        match Place::parse(&place) {
            Ok(Place::Event(_) | Place::Body(_)) => {}
            Ok(_) => self.add(path, format!("{place:?} is not in the body"), "write a JSON Pointer, as in /alerts"),
            Err(error) => self.add(path, error.to_string(), error.help()),
        }
    }

    fn condition(&mut self, path: &str, condition: &Node<'_>) {
        let [is, is_not, present] = ["is", "is_not", "present"].map(|name| condition.get(name));
        if is.is_none() && is_not.is_none() && present.is_none() {
            let help = "add is = \"…\", is_not = [\"…\", \"…\"] or present = false";
            self.add(path, "this condition compares with nothing", help);
        }
        if is.is_some() && present.is_some_and(|present| present.json().get() == "false") {
            self.add(path, "what is not there is equal to nothing", "leave out is, or present");
        }
        let when = condition.get("when").map(text).unwrap_or_default();
        self.source(&format!("{path}/when"), &when, |text| {
            let help = "a place begins with /, as in /action";
            Some((format!("{text:?} is the same for every event"), help.to_owned()))
        });
    }

    fn choice(&mut self, path: &str, setting: &Node<'_>, literal: Literal) {
        let Choice { from, values, default } = Choice::new(setting);
        let list = setting.get("from").map_or((path.to_owned(), setting), |from| (format!("{path}/from"), from));
        for (index, source) in from.iter().enumerate() {
            let path = if list.1.items().is_some() { format!("{}/{index}", list.0) } else { list.0.clone() };
            let source = text(source);
            self.source(&path, &source, literal);
            let constant = matches!(Source::parse(&source), Ok(Source::Literal(_)));
            if constant && (!values.is_empty() || index + 1 < from.len()) {
                let found = format!("{source:?} is the same for every event, so what follows is never used");
                self.add(&path, found, format!("a place begins with /, as in /{}", source.replace([' ', '.'], "/")));
            }
        }
        for (name, source) in values {
            self.source(&format!("{path}/values/{}", escaped(name)), &text(source), literal);
        }
        if let Some(source) = default {
            self.source(&format!("{path}/default"), &text(source), literal);
        }
    }

    fn source(&mut self, path: &str, source: &str, literal: Literal) {
        match Source::parse(source) {
            Err(error) => self.add(path, error.found(), error.help()),
            Ok(Source::Literal(text)) if text.starts_with("$.") || text.starts_with('.') => {
                let Err(error) = Place::parse(text) else { return };
                self.add(path, format!("{text:?} is a path of another language"), error.help());
            }
            Ok(Source::Literal(text)) => self.literal(path, text, literal),
            Ok(other) => {
                let places = other.places();
                let same = |place: &Place<'_>| matches!(place, Place::Source | Place::Method);
                // A key may be the source's name on purpose; an id is of no use then.
                if places.is_empty() || (path.starts_with("/event_id") && places.iter().all(same)) {
                    self.literal(path, source, literal);
                }
                self.credential(path, &places);
            }
        }
    }

    fn literal(&mut self, path: &str, text: &str, literal: Literal) {
        if let Some((found, help)) = literal(text) {
            self.add(path, found, help);
        }
    }

    /// What the sender proves itself with is in no alert, and no reason to ignore one.
    fn credential(&mut self, path: &str, places: &[Place<'_>]) {
        let Some(shown) = self.shown.as_deref() else { return };
        let of = |place: &Place<'_>| matches!(place, Place::Header(name) if name.eq_ignore_ascii_case(shown));
        if let Some(Place::Header(name)) = places.iter().find(|place| of(place)) {
            let error = NoPlace::Credential(name);
            self.add(path, error.to_string(), error.help());
        }
    }

    /// An event that resolves closes the alert of its key.
    fn resolving(&mut self, settings: &Node<'_>) {
        let Some(status) = settings.get("status").map(Choice::new) else { return };
        let always_triggers = matches!(status.from, [word] if words::status(&text(word)) == Some(Status::Trigger));
        if always_triggers && status.values.is_empty() {
            return;
        }
        if settings.get("key").is_none() {
            let help = "let key name what the events that open and close one alert have in common";
            self.add("/status", "nothing can be resolved without a key: each event has its own", help);
        }
    }
}

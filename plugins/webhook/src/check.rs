//! What is wrong with a mapping, found when the gateway starts: the schema knows the shape of the settings, this knows
//! what they mean.

use plugin_sdk::contract::{Mistake, Priority};

use crate::choice::Choice;
use crate::condition::Condition;
use crate::place::Place;
use crate::settings::{AnyChoice, Settings};
use crate::template::Source;
use crate::words;

/// Everything that is wrong.
pub fn mistakes(settings: &Settings) -> Vec<Mistake> {
    let mut check = Check(Vec::new());
    check.sender(settings);
    for (index, place) in settings.decode.iter().enumerate() {
        check.list_place(&format!("/decode/{index}"), place);
    }
    if let Some(place) = &settings.each {
        check.list_place("/each", place);
    }
    for (index, condition) in settings.ignore.iter().enumerate() {
        check.condition(&format!("/ignore/{index}"), condition);
    }
    check.choice("/title", Some(&settings.title), |_| None);
    check.choice("/message", settings.message.as_ref(), |_| None);
    check.choice("/event_id", settings.event_id.as_ref(), |text| {
        let found = format!("{text:?} is the same for every event, so all but the first would be dropped as repeats");
        Some((found, "name the place of an id, or leave event_id out: then it is a hash of the event".to_owned()))
    });
    check.choice("/key", settings.key.as_ref(), |_| None);
    check.choice("/link", settings.link.as_ref(), |text| {
        let right = text.starts_with("https://") || text.starts_with("http://");
        let help = "a link begins with https://; a place begins with /, as in /url";
        (!right).then(|| (format!("{text:?} is no link"), help.to_owned()))
    });
    check.choice("/time", settings.time.as_ref(), |text| {
        let help = "name the place of the time, as in /created_at, or leave it out";
        Some((format!("{text:?} is the same for every event"), help.to_owned()))
    });
    check.choice("/status", settings.status.as_ref(), |word| {
        let help = "the words are trigger and resolve; a place begins with /, as in /status";
        words::status(word).is_none().then(|| (format!("{word:?} is no status"), help.to_owned()))
    });
    check.choice("/priority", settings.priority.as_ref(), |word| {
        let help = "the words are critical, high, medium and low; a place begins with /, as in /severity";
        Priority::from_word(word).is_none().then(|| (format!("{word:?} is no priority"), help.to_owned()))
    });
    for (name, choice) in &settings.labels {
        check.choice(&format!("/labels/{}", name.replace('~', "~0").replace('/', "~1")), Some(choice), |_| None);
    }
    check.resolving(settings);
    check.0
}

struct Check(Vec<Mistake>);

/// What is wrong with a text that is neither a place nor a template, and what would be right.
type Fault = Option<(String, String)>;

impl Check {
    fn add(&mut self, path: &str, found: impl Into<String>, help: impl Into<String>) {
        self.0.push(Mistake { path: path.to_owned(), found: found.into(), help: help.into() });
    }

    fn sender(&mut self, settings: &Settings) {
        match (&settings.sender, settings.secrets()) {
            (Some(_), []) => {
                self.add("/sender", "there is no secret to prove the sender with", "add secret = { env = \"NAME\" }");
            }
            (None, [_, ..]) => self.add(
                "/secret",
                "nothing says how the sender shows this secret",
                "add sender, such as \"github\", \"bearer\" or { hmac = \"x-signature\" }",
            ),
            _ => {}
        }
    }

    /// A place of a list, or of a text to decode: nothing but a JSON Pointer will do.
    fn list_place(&mut self, path: &str, place: &str) {
        match Place::parse(place) {
            Ok(Place::Event(_) | Place::Body(_)) => {}
            Ok(_) => self.add(path, format!("{place:?} is not in the body"), "write a JSON Pointer, as in /alerts"),
            Err(error) => self.add(path, error.to_string(), error.help()),
        }
    }

    fn condition(&mut self, path: &str, condition: &Condition) {
        if condition.is.is_none() && condition.is_not.is_none() && condition.present.is_none() {
            let help = "add is = \"…\", is_not = [\"…\", \"…\"] or present = false";
            self.add(path, "this condition compares with nothing", help);
        }
        if condition.present == Some(false) && condition.is.is_some() {
            self.add(path, "what is not there is equal to nothing", "leave out is, or present");
        }
        self.source(&format!("{path}/when"), &condition.when, |text| {
            let help = "a place begins with /, as in /action";
            Some((format!("{text:?} is the same for every event"), help.to_owned()))
        });
    }

    fn choice(&mut self, path: &str, choice: Option<&AnyChoice>, literal: fn(&str) -> Fault) {
        let Some(AnyChoice(Choice { from, values, default })) = choice else { return };
        let below = |rest: &str| format!("{path}{rest}");
        let is_table = !values.is_empty() || default.is_some();
        let start = below(if is_table { "/from" } else { "" });
        for (index, source) in from.0.iter().enumerate() {
            let path = if from.0.len() > 1 { format!("{start}/{index}") } else { start.clone() };
            self.source(&path, source, literal);
            let constant = matches!(Source::parse(source), Ok(Source::Literal(_)));
            if constant && (!values.is_empty() || index + 1 < from.0.len()) {
                let found = format!("{source:?} is the same for every event, so what follows is never used");
                self.add(&path, found, format!("a place begins with /, as in /{}", source.replace([' ', '.'], "/")));
            }
        }
        for (name, source) in values {
            let name = name.replace('~', "~0").replace('/', "~1");
            self.source(&below(&format!("/values/{name}")), source, literal);
        }
        if let Some(source) = default {
            self.source(&below("/default"), source, literal);
        }
    }

    fn source(&mut self, path: &str, source: &str, literal: fn(&str) -> Fault) {
        match Source::parse(source) {
            Err(error) => self.add(path, error.found(), error.help()),
            Ok(Source::Literal(text)) if text.starts_with("$.") || text.starts_with('.') => {
                let Err(error) = Place::parse(text) else { return };
                self.add(path, format!("{text:?} is a path of another language"), error.help());
            }
            Ok(Source::Literal(text)) => {
                if let Some((found, help)) = literal(text) {
                    self.add(path, found, help);
                }
            }
            Ok(Source::Place(_) | Source::Template(_)) => {}
        }
    }

    /// An event that resolves closes the alert of its key, and a repeated id is no event at all.
    fn resolving(&mut self, settings: &Settings) {
        let Some(AnyChoice(status)) = &settings.status else { return };
        let always_triggers = matches!(&status.from.0[..], [word] if words::status(word).is_some());
        if always_triggers && status.values.is_empty() {
            return;
        }
        let help = "let key name what the events that open and close one alert have in common, and let event_id differ \
                    between them: leave it out, and it is a hash of the event";
        match (&settings.key, &settings.event_id) {
            (None, _) => self.add("/status", "nothing can be resolved without a key: each event has its own", help),
            (Some(AnyChoice(key)), Some(AnyChoice(id))) if key.from.0 == id.from.0 => {
                self.add("/event_id", "the event that resolves has the id of the one that it ends, a repeat", help);
            }
            _ => {}
        }
    }
}

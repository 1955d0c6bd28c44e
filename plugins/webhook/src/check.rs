//! The mistakes of a mapping, found when the gateway starts: the schema knows the shape of the
//! settings, this knows what they mean.

use plugin_sdk::contract::{Mistake, Priority, Status};

use crate::challenge;
use crate::choice::Choice;
use crate::condition::{MAX_DEPTH, NUMERIC};
use crate::filter;
use crate::labels::escaped;
use crate::place::{NoPlace, Place};
use crate::sender;
use crate::template::Source;
use crate::tree::Node;

/// Everything that is wrong, wherever it stands: one mistake hides no other.
pub fn mistakes(settings: &Node<'_>) -> Vec<Mistake> {
    let shown = settings
        .get("sender")
        .and_then(|sender| sender.get("header"))
        .map(text);
    let mut check = Check {
        mistakes: Vec::new(),
        shown,
    };
    check.sender(settings);
    let listed = |name| settings.get(name).and_then(Node::items).unwrap_or_default();
    for (index, place) in listed("decode").iter().enumerate() {
        check.list_place(&format!("/decode/{index}"), place);
    }
    for name in ["root", "each", "left_out"] {
        if let Some(place) = settings.get(name) {
            check.list_place(&format!("/{name}"), place);
        }
    }
    if settings.get("left_out").is_some() && settings.get("each").is_none() {
        check.add(
            "/left_out",
            "there is no list that something is left out of",
            "add each, as in each = \"/alerts\"",
        );
    }
    for (index, condition) in listed("ignore").iter().enumerate() {
        check.condition(&format!("/ignore/{index}"), condition, 0);
    }
    for (name, literal) in FIELDS {
        if let Some(setting) = settings.get(name) {
            check.choice(&format!("/{name}"), setting, literal);
        }
    }
    for (name, setting) in settings
        .get("labels")
        .map(Node::members)
        .unwrap_or_default()
    {
        check.choice(&format!("/labels/{}", escaped(name)), setting, any_text);
    }
    if let Some(setting) = settings.get("labels_from") {
        check.labels_from(setting);
    }
    check.resolving(settings);
    if settings.get("order").is_some() && settings.get("key").is_none() {
        let help = "let key name what the events that follow one another have in common";
        check.add(
            "/order",
            "nothing is ordered without a key: each event has its own",
            help,
        );
    }
    check.mistakes
}

/// Warnings: settings that are allowed, and hardly meant.
pub fn warnings(settings: &Node<'_>) -> Vec<Mistake> {
    let mut warnings = Vec::new();
    let signs = settings.get("sender").is_some_and(sender::signs);
    let event_id = settings.get("event_id").map(Choice::new);
    for source in event_id
        .iter()
        .flat_map(|choice| choice.from)
        .filter_map(Node::string)
    {
        let Ok(source) = Source::parse(&source) else {
            continue;
        };
        let unsigned =
            |place: Place<'_>| matches!(place, Place::Header(_) | Place::Query(_) | Place::Method);
        if signs && source.asks().next().is_some() && source.asks().all(|ask| unsigned(ask.place)) {
            warnings.push(Mistake::new(
                "/event_id",
                "the sender signs the body, and this is not in it: a recorded request that is sent again with \
                 another one counts as a new event",
                "leave event_id out: then the id is made of what is signed",
            ));
        }
    }
    warnings
}

/// The fault of a text that is neither a place nor a template, and its remedy.
type Fault = Option<(String, String)>;

/// The judge of a text that is the same for every event.
type Literal = fn(&str) -> Fault;

/// The fields of an alert, and what such a text may be in each.
const FIELDS: [(&str, Literal); 9] = [
    ("title", any_text),
    ("message", any_text),
    ("event_id", |text| {
        let found = format!(
            "{text:?} is the same for every event, so all but the first would be dropped as repeats"
        );
        Some((
            found,
            "name the place of an id, or leave event_id out: then it is a hash of the event"
                .to_owned(),
        ))
    }),
    ("key", |text| {
        let found =
            format!("{text:?} is the same for every event, so all of them would be one alert");
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
        Some((
            format!("{text:?} is the same for every event"),
            help.to_owned(),
        ))
    }),
    ("order", |text| {
        let help = "name the place of a number that grows, as in /run_number, or leave it out";
        Some((
            format!("{text:?} is the same for every event"),
            help.to_owned(),
        ))
    }),
    ("status", |word| {
        let help = "the words are trigger and resolve; a place begins with /, as in /status";
        Status::from_word(word)
            .is_none()
            .then(|| (format!("{word:?} is no status"), help.to_owned()))
    }),
    ("priority", |word| {
        let help =
            "the words are critical, high, medium and low; a place begins with /, as in /severity";
        Priority::from_word(word)
            .is_none()
            .then(|| (format!("{word:?} is no priority"), help.to_owned()))
    }),
];

fn any_text(_: &str) -> Fault {
    None
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
        self.mistakes.push(Mistake::new(path, found, help));
    }

    fn sender(&mut self, settings: &Node<'_>) {
        let has = |name: &str| settings.get(name).is_some();
        let needed = challenge::needs_secret(settings);
        match (has("sender"), has("secret")) {
            (true, false) => {
                self.add(
                    "/sender",
                    "there is no secret to prove the sender with",
                    "add secret = { env = \"NAME\" }",
                );
            }
            (false, true) if !needed => self.add(
                "/secret",
                "nothing says how the sender shows this secret",
                "add sender, such as \"github\", \"bearer\" or { hmac = \"x-signature\" }",
            ),
            _ => {}
        }
        if needed && !has("challenge_secret") && !has("secret") {
            let help = "add challenge_secret = { env = \"NAME\" }: the text that is entered at the sender for this";
            self.add(
                "/challenge",
                "the answer to this challenge needs a secret",
                help,
            );
        }
        if has("challenge_secret") && !needed {
            self.add(
                "/challenge_secret",
                "no challenge needs this secret",
                "leave it out, or add challenge",
            );
        }
        if let Some(found) = settings.get("sender").and_then(sender::flaw) {
            self.add(
                "/sender",
                found,
                "the vendor's documentation says what is signed, such as \"{time}.{body}\"",
            );
        }
    }

    /// A place of a list, or of a text to decode: nothing but a JSON Pointer will do.
    fn list_place(&mut self, path: &str, place: &Node<'_>) {
        let place = text(place);
        match Place::parse(&place) {
            Ok(Place::Event(_) | Place::Body(_)) => {}
            Ok(_) => self.add(
                path,
                format!("{place:?} is not in the body"),
                "write a JSON Pointer, as in /alerts",
            ),
            Err(error) => self.add(path, error.to_string(), error.help()),
        }
    }

    fn condition(&mut self, path: &str, condition: &Node<'_>, depth: usize) {
        if depth > MAX_DEPTH {
            let found = format!("conditions stand more than {MAX_DEPTH} deep in each other");
            return self.add(path, found, "write fewer of them, or several in `ignore`");
        }
        for name in ["all", "any"] {
            for (index, inner) in condition
                .get(name)
                .and_then(Node::items)
                .unwrap_or_default()
                .iter()
                .enumerate()
            {
                self.condition(&format!("{path}/{name}/{index}"), inner, depth + 1);
            }
        }
        if let Some(inner) = condition.get("not") {
            self.condition(&format!("{path}/not"), inner, depth + 1);
        }
        let Some(when) = condition.get("when").map(text) else {
            return;
        };
        let compares = |name: &str| condition.get(name).is_some();
        let numeric = NUMERIC.map(|(name, _)| name);
        let others = ["is", "is_not", "same_as", "matches"];
        if !compares("present") && !others.iter().chain(&numeric).any(|name| compares(name)) {
            let help = "add is = \"…\", is_not = [\"…\", \"…\"], above = 5, matches = \"…\" or present = false";
            self.add(path, "this condition compares with nothing", help);
        }
        let absent = condition
            .get("present")
            .is_some_and(|present| present.json().get() == "false");
        if let Some(name) = others
            .iter()
            .chain(&numeric)
            .find(|name| absent && compares(name))
        {
            let help = format!("leave out {name}, or present");
            self.add(path, "what is not there is equal to nothing", help);
        }
        let constant: Literal = |text| {
            let help = "a place begins with /, as in /action";
            Some((
                format!("{text:?} is the same for every event"),
                help.to_owned(),
            ))
        };
        self.source(&format!("{path}/when"), &when, constant);
        if let Some(other) = condition.get("same_as").map(text) {
            self.source(&format!("{path}/same_as"), &other, constant);
        }
        if let Some(pattern) = condition.get("matches").map(text) {
            let fault = filter::Filter::Match(pattern.as_str().into()).fault();
            if let Some(error) = fault {
                self.add(&format!("{path}/matches"), error.to_string(), error.help());
            }
        }
    }

    fn labels_from(&mut self, setting: &Node<'_>) {
        for (index, all) in setting.one_or_several().iter().enumerate() {
            let path = if setting.items().is_some() {
                format!("/labels_from/{index}")
            } else {
                "/labels_from".to_owned()
            };
            let (path, from) = all
                .get("from")
                .map_or((path.clone(), all), |from| (format!("{path}/from"), from));
            for place in from.one_or_several() {
                self.list_place(&path, place);
            }
        }
    }

    fn choice(&mut self, path: &str, setting: &Node<'_>, literal: Literal) {
        let Choice {
            from,
            values,
            default,
        } = Choice::new(setting);
        let list = setting
            .get("from")
            .map_or((path.to_owned(), setting), |from| {
                (format!("{path}/from"), from)
            });
        for (index, source) in from.iter().enumerate() {
            let path = if list.1.items().is_some() {
                format!("{}/{index}", list.0)
            } else {
                list.0.clone()
            };
            if let Some(condition) = source.get("if") {
                self.condition(&format!("{path}/if"), condition, 0);
                self.source(
                    &format!("{path}/then"),
                    &source.get("then").map(text).unwrap_or_default(),
                    literal,
                );
                continue;
            }
            let source = text(source);
            self.source(&path, &source, literal);
            let constant = matches!(Source::parse(&source), Ok(Source::Literal(_)));
            if constant && (!values.is_empty() || index + 1 < from.len()) {
                let found = format!(
                    "{source:?} is the same for every event, so what follows is never used"
                );
                self.add(
                    &path,
                    found,
                    format!(
                        "a place begins with /, as in /{}",
                        source.replace([' ', '.'], "/")
                    ),
                );
            }
        }
        for (name, source) in values {
            self.source(
                &format!("{path}/values/{}", escaped(name)),
                &text(source),
                literal,
            );
        }
        if let Some(source) = default {
            self.source(&format!("{path}/default"), &text(source), literal);
        }
    }

    fn source(&mut self, path: &str, source: &str, literal: Literal) {
        match Source::parse(source) {
            Err(error) => self.add(path, error.found(), error.help()),
            Ok(Source::Literal(text)) if text.starts_with("$.") || text.starts_with('.') => {
                let Err(error) = Place::parse(text) else {
                    return;
                };
                self.add(
                    path,
                    format!("{text:?} is a path of another language"),
                    error.help(),
                );
            }
            Ok(Source::Literal(text)) => self.literal(path, text, literal),
            Ok(other) => {
                for error in other
                    .asks()
                    .flat_map(|ask| &ask.filters)
                    .filter_map(filter::Filter::fault)
                {
                    self.add(path, error.to_string(), error.help());
                }
                let places: Vec<_> = other.asks().map(|ask| ask.place).collect();
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

    /// Refuses a mapping that reads the sender's credential: it is in no alert, and no reason to
    /// ignore one.
    fn credential(&mut self, path: &str, places: &[Place<'_>]) {
        let Some(shown) = self.shown.as_deref() else {
            return;
        };
        let of = |place: &Place<'_>| matches!(place, Place::Header(name) if name.eq_ignore_ascii_case(shown));
        if let Some(Place::Header(name)) = places.iter().find(|place| of(place)) {
            let error = NoPlace::Credential(name);
            self.add(path, error.to_string(), error.help());
        }
    }

    /// An event that resolves closes the alert of its key.
    fn resolving(&mut self, settings: &Node<'_>) {
        let Some(status) = settings.get("status").map(Choice::new) else {
            return;
        };
        let always_triggers = matches!(status.from, [word] if Status::from_word(&text(word)) == Some(Status::Trigger));
        if always_triggers && status.values.is_empty() {
            return;
        }
        if settings.get("key").is_none() {
            let help = "let key name what the events that open and close one alert have in common";
            self.add(
                "/status",
                "nothing can be resolved without a key: each event has its own",
                help,
            );
        }
    }
}

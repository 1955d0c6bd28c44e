//! The template of a webhook's body, tried on alerts of each kind before the first one comes.
//!
//! A mistake that no alert can heal, such as an unknown filter, is refused with the configuration.
//! Others are doubts: a name that no alert has, and a template that fails on one of the samples,
//! which may have what the sender's alerts never lack.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, ErrorKind};
use plugin_sdk::contract::{self, Priority, Status};
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::fields;
use crate::alert::group::{Group, Member, Mention, Terms};
use crate::alert::internal::{Topic, missed_heartbeat};
use crate::alert::{Alert, fallback};
use crate::config::{did_you_mean, listed};
use crate::destinations::kind::NotUsable;

/// The name under which the template is known to its own error messages.
const NAME: &str = "body";

/// A template over the fields of an alert.
pub(super) struct Template {
    environment: Environment<'static>,
    /// True if values are written as JSON.
    json: bool,
}

impl Template {
    /// Returns the template of a body; with `json`, its values are written as JSON.
    pub(super) fn new(body: &str, json: bool) -> Result<Self, NotUsable> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(move |_| match json {
            true => AutoEscape::Json,
            false => AutoEscape::None,
        });
        let wrong = |error: Error| NotUsable::Template(error.to_string());
        environment
            .add_template_owned(NAME, body.to_owned())
            .map_err(wrong)?;
        let template = Self { environment, json };
        let failed = samples()
            .iter()
            .find_map(|(_, alert)| template.render(alert).err().filter(fails_always));
        failed.map_or(Ok(template), |error| Err(wrong(error)))
    }

    /// Renders the body for an alert.
    pub(super) fn render(&self, alert: &Alert) -> Result<String, Error> {
        let template = self.environment.get_template(NAME)?;
        template.render(Serde(&values(alert)))
    }

    /// Returns what is likely a mistake, each with its help.
    pub(super) fn doubts(&self) -> Vec<(String, String)> {
        let mut doubts = self.unknown_names();
        for (kind, alert) in samples() {
            let rendered = match self.render(&alert) {
                Ok(rendered) => rendered,
                Err(error) => {
                    let found = format!("its body fails on a sample of {kind}: {error}");
                    let help = "such an alert becomes a dead letter; ask by {% if %} for what an alert may lack";
                    doubts.push((found, help.to_owned()));
                    break;
                }
            };
            let read = serde_json::from_str::<IgnoredAny>(&rendered);
            if let Some(error) = read.err().filter(|_| self.json) {
                let found = format!("its body is no JSON for a sample of {kind}: {error}");
                let help = "correct it, or name another Content-Type in headers";
                doubts.push((found, help.to_owned()));
                break;
            }
        }
        doubts
    }

    fn unknown_names(&self) -> Vec<(String, String)> {
        let Ok(template) = self.environment.get_template(NAME) else {
            return Vec::new();
        };
        let known = values(&full());
        let known = known.as_object().into_iter().flatten();
        let known: Vec<_> = known.map(|(name, _)| name).collect();
        let mut unknown: Vec<_> = template.undeclared_variables(false).into_iter().collect();
        unknown.retain(|name| {
            !known.contains(&name) && self.environment.globals().all(|(global, _)| global != name)
        });
        unknown.sort();
        let doubt = |name: String| {
            let names = || known.iter().map(|name| name.as_str());
            let help = did_you_mean(&name, names()).map_or_else(
                || format!("an alert has {}", listed(names(), "and")),
                |near| format!("did you mean {near:?}?"),
            );
            (
                format!("its body names {name:?}, and no alert has that"),
                help,
            )
        };
        unknown.into_iter().map(doubt).collect()
    }
}

/// Returns the fields of an alert: `RawValue` means something to serde_json alone.
fn values(alert: &Alert) -> Value {
    serde_json::from_slice(&fields(alert)).unwrap_or_default()
}

/// Returns whether the template fails so on every alert with which it comes to this place.
fn fails_always(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownMethod
            | ErrorKind::TooManyArguments
            | ErrorKind::MissingArgument
            | ErrorKind::TemplateNotFound
    )
}

/// Returns an alert of each kind.
fn samples() -> Vec<(&'static str, Alert)> {
    let mut bare = contract::Alert::new("sample/2", Priority::Low, "A sample");
    bare.status = Status::Resolve;
    let mut fallen_back = full();
    fallback::mark(&mut fallen_back.event, fallback::Reason::Late, "main");
    let shared = vec![("code".to_owned(), "11200".to_owned())];
    let member = Member {
        mention: Mention {
            event_id: "sample/3".to_owned(),
            received_at: RECEIVED_AT.to_owned(),
            title: "A sample".to_owned(),
        },
        priority: Priority::High,
        labels: shared.iter().cloned().collect(),
    };
    let terms = Terms {
        update_every_ms: 60_000,
        resolve_after_ms: 60_000,
        in_storm: false,
    };
    let group = Group::open(shared, terms, &member, 0).look(false, 0);
    let group = group.map(|notice| ("a group", sample(notice.event)));
    let others = [
        ("a trigger", full()),
        (
            "a resolve without message, labels and details",
            sample(bare),
        ),
        ("an alert at a fallback", fallen_back),
        (
            "an internal alert",
            sample(missed_heartbeat("sample", "1h", None)),
        ),
        (
            "the end of an internal alert",
            sample(Topic::MissedHeartbeat.resolves("sample")),
        ),
    ];
    others.into_iter().chain(group).collect()
}

const RECEIVED_AT: &str = "2026-01-02T03:04:06.001Z";

/// Returns an alert with everything that an alert can have.
fn full() -> Alert {
    let mut event = contract::Alert::new("sample/1", Priority::Critical, "A \"sample\"");
    event.message = Some("Two\nlines".to_owned());
    event.link = Some("https://example.com/1".to_owned());
    event.occurred_at = Some("2026-01-02T03:04:05Z".to_owned());
    event.labels.insert("code".to_owned(), "11200".to_owned());
    event.details = RawValue::from_string(r#"{"a":1}"#.to_owned()).ok();
    sample(event)
}

fn sample(event: contract::Alert) -> Alert {
    Alert {
        source: "sample".to_owned(),
        request: "00000000-0000-7000-8000-000000000000".to_owned(),
        received_at: RECEIVED_AT.to_owned(),
        event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubts(body: &str, json: bool) -> Vec<String> {
        let doubts = Template::new(body, json).unwrap().doubts();
        let line = |(found, help)| format!("{found}; {help}");
        doubts.into_iter().map(line).collect()
    }

    #[test]
    fn mistake_that_no_alert_heals_is_refused() {
        for (body, word) in [
            ("{{ title | uper }}", "uper"),
            (
                "{% if title is nothing_known %}x{% endif %}",
                "nothing_known",
            ),
            ("{{ nothing() }}", "nothing"),
            ("{{ title.upper() }}", "upper"),
            (
                "{% if status == \"resolve\" %}{{ title | uper }}{% endif %}",
                "uper",
            ),
            ("{{ title | replace(1) }}", "argument"),
        ] {
            let refused = Template::new(body, false).err();
            assert!(
                matches!(&refused, Some(NotUsable::Template(why)) if why.contains(word)),
                "{body}: {refused:?}"
            );
        }
    }

    #[test]
    fn likely_mistakes_are_doubts() {
        assert_eq!(
            doubts("{ \"a\": {{ titel }} }", true),
            ["its body names \"titel\", and no alert has that; did you mean \"title\"?"]
        );
        let fails = doubts("{ \"a\": {{ details.a.b.c }} }", true).remove(0);
        assert!(
            fails.starts_with("its body fails on a sample of a trigger: "),
            "{fails}"
        );
        let fails = doubts("{ \"a\": {{ details.a }} }", true).remove(0);
        assert!(fails.contains("a resolve without message"), "{fails}");
        let broken = doubts("{ \"a\": {{ title }}", true).remove(0);
        assert!(
            broken.starts_with("its body is no JSON for a sample of a trigger"),
            "{broken}"
        );
    }

    #[test]
    fn right_template_has_no_doubts() {
        for (body, json) in [
            (
                "{ \"a\": {{ labels.code }}, \"b\": {{ message | default(\"\") }} }",
                true,
            ),
            (
                "{% for name in labels %}{{ name }}{{ loop.index }}{% endfor %}",
                false,
            ),
            (
                "{% set x = range(3) %}{{ x }} {{ none }} {{ fingerprint }}",
                false,
            ),
            ("{% if details %}{{ details.a }}{% endif %}", false),
        ] {
            assert!(
                doubts(body, json).is_empty(),
                "{body}: {:?}",
                doubts(body, json)
            );
        }
    }

    #[test]
    fn form_keeps_its_fields_whatever_a_title_holds() {
        let form = Template::new("text={{ title | urlencode }}&p={{ priority }}", false).unwrap();
        let mut alert = full();
        alert.event.title = "a=b&c=d é".to_owned();
        assert_eq!(
            form.render(&alert).unwrap(),
            "text=a%3Db%26c%3Dd%20%C3%A9&p=critical"
        );
    }
}

//! The words for a person, woken at night: what broke, where, and where to look.

use plugin_sdk::json::Object;
use plugin_sdk::text::line;

/// A title is read on a lock screen.
const MAX_TITLE_CHARS: usize = 200;

/// A line of the message.
const MAX_LINE_CHARS: usize = 400;

/// A URL that is cut leads nowhere, so it may be longer.
const MAX_URL_CHARS: usize = 2_000;

/// Lines of a description. Templates put whole tables into it.
const MAX_DESCRIPTION_LINES: usize = 30;

/// Labels that name the subject of an alert, the most telling first. `rulename` is Grafana's, whose
/// rules all share the name `DatasourceNoData` while they find no data.
pub const PLACES: [&str; 10] = [
    "rulename",
    "instance",
    "host",
    "hostname",
    "node",
    "pod",
    "service",
    "job",
    "namespace",
    "cluster",
];

/// The most of them in a message.
const MAX_PLACES: usize = 4;

/// A member of a notification, for its words.
pub struct Words<'m, 'a> {
    /// All of it, as it was sent.
    pub json: &'m str,
    /// All of it, where it is an object.
    pub fields: &'m Object<'a>,
    /// Its labels.
    pub labels: &'m Object<'a>,
    /// Its annotations.
    pub annotations: &'m Object<'a>,
}

impl Words<'_, '_> {
    /// The title, in one line: what the rule's author wrote, or the rule's name and where it is.
    pub fn title(&self) -> String {
        let own = self
            .without_data()
            .or_else(|| self.annotations.text("summary"))
            .or_else(|| self.annotations.text("title"));
        let title = own.or_else(|| self.rule(1)).or_else(|| self.description());
        let title = title
            .map(|title| line(&title, MAX_TITLE_CHARS))
            .filter(|title| !title.is_empty());
        title.unwrap_or_else(|| {
            line(
                &format!("An alert without a name: {}", self.json),
                MAX_TITLE_CHARS,
            )
        })
    }

    /// The message: everything helpful, apart from the title's own words.
    pub fn message(&self, title: &str) -> Option<String> {
        let mut message = String::with_capacity(1024);
        let mut say = |name: &str, text: &str, max_chars: usize| {
            let text = line(text, max_chars);
            if !text.is_empty() && text != title {
                for part in [if message.is_empty() { "" } else { "\n" }, name, &text] {
                    message += part;
                }
            }
        };
        for text in self
            .description()
            .as_deref()
            .unwrap_or_default()
            .lines()
            .take(MAX_DESCRIPTION_LINES)
        {
            say("", text, MAX_LINE_CHARS);
        }
        say(
            "Error: ",
            &self.annotations.text("Error").unwrap_or_default(),
            MAX_LINE_CHARS,
        );
        say(
            "",
            &self.rule(MAX_PLACES).unwrap_or_default(),
            MAX_LINE_CHARS,
        );
        say(
            "Values: ",
            &self.values().unwrap_or_default(),
            MAX_LINE_CHARS,
        );
        for (name, url) in [
            ("Runbook: ", self.annotations.text("runbook_url")),
            ("Source: ", self.fields.text("generatorURL")),
            ("Dashboard: ", self.fields.text("dashboardURL")),
            ("Panel: ", self.fields.text("panelURL")),
            ("Silence: ", self.fields.text("silenceURL")),
        ] {
            say(name, &url.unwrap_or_default(), MAX_URL_CHARS);
        }
        (!message.is_empty()).then_some(message)
    }

    /// The title of an alert of Grafana's without data: `No data: CPU high (instance web-1)`. The
    /// rule's own words claim a condition that nothing has met.
    fn without_data(&self) -> Option<String> {
        let name = self.labels.text("alertname").unwrap_or_default();
        let reason = self.annotations.text("grafana_state_reason");
        let reason = reason.unwrap_or_default();
        let named = name.strip_prefix("Datasource").unwrap_or_default();
        let reasons = reason.split(',').map(str::trim);
        let what = reasons.chain([named]).find_map(|reason| match reason {
            "NoData" => Some("No data"),
            "Error" => Some("Query failed"),
            _ => None,
        })?;
        let rule = self.labels.text("rulename").unwrap_or(name);
        let mut places = PLACES.iter().filter(|place| **place != "rulename");
        let place = places.find_map(|name| Some((name, self.labels.text(name)?)));
        let place = place.map_or_else(String::new, |(name, place)| format!(" ({name} {place})"));
        Some(format!("{what}: {rule}{place}"))
    }

    fn description(&self) -> Option<String> {
        self.annotations
            .text("description")
            .or_else(|| self.annotations.text("message"))
    }

    /// The rule's name and so many places: `InstanceDown (instance web-1:9100, job node)`.
    fn rule(&self, places: usize) -> Option<String> {
        let mut rule = self.labels.text("alertname")?;
        let found = PLACES
            .iter()
            .filter_map(|name| Some((name, self.labels.text(name)?)));
        let mut before = " (";
        for (name, place) in found.take(places) {
            for part in [before, name, " ", &place] {
                rule += part;
            }
            before = ", ";
        }
        if before == ", " {
            rule.push(')');
        }
        Some(rule)
    }

    /// Grafana's measurements.
    fn values(&self) -> Option<String> {
        let values = self
            .fields
            .get("values")
            .filter(|json| json.starts_with("{\""));
        values
            .map(str::to_owned)
            .or_else(|| self.fields.text("valueString"))
    }
}

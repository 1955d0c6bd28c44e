//! `redact = [ … ]`: what is masked before an alert leaves for a destination.

use toml::de::DeValue;

use super::super::problem::did_you_mean;
use super::super::raw::Value;

/// One thing to mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redaction {
    /// A member of the alert's details: the parts of a JSON Pointer (RFC 6901), unescaped. `*` is
    /// any member or index.
    Details(Vec<String>),
    /// A label, by its name.
    Label(String),
    /// Every text that looks like one of these, in title, message, link, labels and details.
    Named(NamedPattern),
}

/// A kind of personal or secret data that is found by its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NamedPattern {
    /// Telephone numbers: E.164 (`+14155550100`) and the common forms with blanks, dashes, dots and
    /// parentheses.
    PhoneNumbers,
    /// E-mail addresses.
    EmailAddresses,
    /// The user and password of a URL, and the values of its parameters that hold credentials.
    UrlCredentials,
    /// Payment card numbers: 13 to 19 digits with a valid Luhn check digit.
    CardNumbers,
    /// IPv4 and IPv6 addresses.
    IpAddresses,
}

impl NamedPattern {
    /// Every pattern.
    pub const ALL: [Self; 5] = [
        Self::UrlCredentials,
        Self::EmailAddresses,
        Self::CardNumbers,
        Self::IpAddresses,
        Self::PhoneNumbers,
    ];

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PhoneNumbers => "phone-numbers",
            Self::EmailAddresses => "email-addresses",
            Self::UrlCredentials => "url-credentials",
            Self::CardNumbers => "card-numbers",
            Self::IpAddresses => "ip-addresses",
        }
    }
}

/// Reads a `redact`: one text, or a list.
pub(in crate::config) fn read(value: &Value<'_>) -> Option<Vec<Redaction>> {
    match value.value {
        DeValue::Array(items) => {
            let read: Vec<_> = items
                .iter()
                .map(|item| one(&Value::new(value.label.clone(), item, value.reading)))
                .collect();
            read.into_iter().collect()
        }
        _ => one(value).map(|redaction| vec![redaction]),
    }
}

fn one(value: &Value<'_>) -> Option<Redaction> {
    let text = value.text("phone-numbers")?;
    if let Some(pattern) = NamedPattern::ALL
        .into_iter()
        .find(|pattern| pattern.as_str() == text)
    {
        return Some(Redaction::Named(pattern));
    }
    if let Some(pointer) = text.strip_prefix('/') {
        let parts = pointer
            .split('/')
            .map(|part| part.replace("~1", "/").replace("~0", "~"));
        return Some(Redaction::Details(parts.collect()));
    }
    if let Some(label) = text
        .strip_prefix("label:")
        .filter(|label| !label.is_empty())
    {
        return Some(Redaction::Label(label.to_owned()));
    }
    let names = NamedPattern::ALL.map(NamedPattern::as_str);
    let help = match did_you_mean(text, names) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!(
            "write a JSON Pointer into details such as \"/webhook/request/parameters/From\", \"label:<name>\", or one of {}",
            names.join(", ")
        ),
    };
    value.wrong_text(text, help);
    None
}

/// The mark that stands where something was redacted.
pub const REDACTED: &str = "[redacted]";

/// Returns what stands in place of a text of this kind: the mark with its name.
pub fn mark(pattern: NamedPattern) -> String {
    format!("[redacted {}]", pattern.as_str())
}

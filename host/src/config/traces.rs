//! `traces` in `[gateway]`: where spans go, by OTLP over HTTP.

use super::raw::{Table, Value};
use super::secret::Secret;
use super::url::in_the_clear;

/// The path of traces at a collector (OTLP/HTTP).
const PATH: &str = "/v1/traces";

/// The place where spans go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// The URL that spans are posted to.
    pub url: hyper::Uri,
    /// The token that the collector wants.
    pub token: Option<Secret>,
    /// The percentage of requests that are traced, where their senders do not say. Default 100.
    pub percent: usize,
}

/// Reads the table.
pub(super) fn read(value: &Value<'_>) -> Option<Traces> {
    let name = value.label.clone();
    let entries = value.table(&name)?;
    let mut table = Table::new(name, value.span.clone(), Some(entries), value.reading);
    let example = "url = \"http://127.0.0.1:4318\"";
    let url = table.required("url", example, |value| {
        let text = value.text("http://127.0.0.1:4318")?;
        let url = value.url(
            text,
            "write the collector's address, as in http://127.0.0.1:4318",
        )?;
        with_path(&url).or_else(|| {
            value.wrong_text(text, "write the address alone, as in http://127.0.0.1:4318");
            None
        })
    });
    let token = table.optional("token", None, |value| {
        if url.as_ref().is_some_and(in_the_clear) {
            value.warning(
                format!("{} goes over the network in the clear", value.label),
                "take https in url",
            );
        }
        value.token().map(Some)
    });
    let percent = table.optional("percent", 100, |value| value.count(&(1..=100)));
    table.finish();
    Some(Traces {
        url: url?,
        token: token?,
        percent: percent?,
    })
}

/// Returns the URL with the path of traces, which may be left out.
fn with_path(url: &hyper::Uri) -> Option<hyper::Uri> {
    if url.query().is_some() {
        return None;
    }
    let path = url.path().trim_end_matches('/');
    let path = match path.strip_suffix(PATH) {
        Some(_) => path.to_owned(),
        None => format!("{path}{PATH}"),
    };
    let mut parts = url.clone().into_parts();
    parts.path_and_query = Some(path.parse().ok()?);
    hyper::Uri::from_parts(parts).ok()
}

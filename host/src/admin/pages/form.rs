//! Parameters of pages and forms, and the addresses made of them.

use form_urlencoded::Serializer;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The parameters by which a page is told the outcome of an action.
pub const OUTCOME: [&str; 2] = ["did", "n"];

/// Returns the parameters of a query or a form.
pub fn parameters(query: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(query).into_owned().collect()
}

/// Returns the value of a parameter; empty where there is none.
pub fn value<'p>(parameters: &'p [(String, String)], name: &str) -> &'p str {
    let found = parameters.iter().find(|(found, _)| found == name);
    found.map_or("", |(_, value)| value)
}

/// Returns the number of the page of a list that is asked for, from 0.
pub fn number_of_page(parameters: &[(String, String)]) -> usize {
    value(parameters, "page")
        .parse::<u16>()
        .unwrap_or_default()
        .into()
}

/// Returns these parameters as the query of a list, without those of an action's outcome.
pub fn query(parameters: &[(String, String)]) -> Vec<u8> {
    let kept = parameters.iter();
    let kept = kept.filter(|(name, _)| !OUTCOME.contains(&name.as_str()));
    let mut query = Serializer::new(String::new());
    query.extend_pairs(kept);
    query.finish().into_bytes()
}

/// Returns the address of a page with these parameters, some of them changed; an empty one is left
/// out.
pub fn address(page: &str, parameters: &[(String, String)], changes: &[(&str, &str)]) -> String {
    let kept = parameters.iter().filter(|(name, _)| {
        !OUTCOME.contains(&name.as_str()) && changes.iter().all(|(changed, _)| changed != name)
    });
    let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
    written(page, kept.chain(changes.iter().copied()))
}

/// Returns the address of the first page of a list without one of its labels.
pub fn without_label(page: &str, parameters: &[(String, String)], label: &str) -> String {
    let kept = parameters.iter().filter(|(name, value)| {
        !OUTCOME.contains(&name.as_str()) && name != "cursor" && (name != "label" || value != label)
    });
    written(
        page,
        kept.map(|(name, value)| (name.as_str(), value.as_str())),
    )
}

fn written<'p>(page: &str, parameters: impl Iterator<Item = (&'p str, &'p str)>) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in parameters.filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    match query.finish() {
        query if query.is_empty() => page.to_owned(),
        query => format!("{page}?{query}"),
    }
}

/// Returns the address of the page of an event or a request.
pub fn event(id: &str) -> String {
    format!("/events/{}", utf8_percent_encode(id, NON_ALPHANUMERIC))
}

/// Returns the address of the page of a source.
pub fn source(name: &str) -> String {
    format!("/sources/{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_encoded_and_keep_the_filter() {
        let parameters = parameters(b"q=a%26b&label=x%3Dy&label=z%3D1&cursor=c&did=replay");
        assert_eq!(
            address("/events", &parameters, &[("state", "dead"), ("cursor", "")]),
            "/events?q=a%26b&label=x%3Dy&label=z%3D1&state=dead"
        );
        assert_eq!(
            without_label("/events", &parameters, "x=y"),
            "/events?q=a%26b&label=z%3D1"
        );
        assert_eq!(event("a/b?\"<"), "/events/a%2Fb%3F%22%3C");
        assert_eq!(value(&parameters, "q"), "a&b");
        assert_eq!(
            query(&parameters),
            b"q=a%26b&label=x%3Dy&label=z%3D1&cursor=c"
        );
    }
}

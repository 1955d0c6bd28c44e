//! Redaction of a request before it is stored: `redact_stored = true`.
//!
//! What is masked in the alerts is masked in the URL, the headers and the body that they were read
//! from: by its form, by its place where the body or a field of a form is JSON, and by its value,
//! in every spelling, wherever else it stands. What cannot be read as text is left out whole, as
//! nothing can be looked for in it, and so is all but the names where more is masked than can be
//! looked for.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;

use super::details::{self, Masks};
use super::redact::{Redactor, digest};
use super::texts::{SHORTEST, hide_texts};
use crate::config::{REDACTED, Redaction};
use crate::mask::{MOST_BYTES, Mask};
use plugin_sdk::body;
use plugin_sdk::contract::{Alert, Body, Request};

/// The masking of the stored requests of one source.
#[derive(Debug, Clone)]
pub struct StoredRedactor {
    redactor: Redactor,
}

/// The parts of a request that are masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The URL.
    pub url: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The number of masked places.
    pub places: usize,
}

impl Stored {
    /// Returns a request of which only the path and the names of headers are left.
    fn without_values(url: &str, headers: Vec<(String, String)>, places: usize) -> Self {
        let path = url.split('?').next().unwrap_or_default();
        let headers = headers.into_iter();
        Self {
            url: path.to_owned(),
            headers: headers
                .map(|(name, _)| (name, REDACTED.to_owned()))
                .collect(),
            body: REDACTED.as_bytes().to_vec(),
            places,
        }
    }
}

impl StoredRedactor {
    /// Masks what these redactions mask in alerts.
    pub(super) fn new(redactions: Vec<Redaction>) -> Self {
        Self {
            redactor: Redactor::new(redactions),
        }
    }

    /// Masks a request. `masked` are the texts that were masked in its alerts.
    pub fn redact(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: &[u8],
        masked: &[String],
    ) -> Stored {
        let found = RefCell::new(masked.to_vec());
        let (url, mut places) = self.url(url, &found);
        let mut masked_headers = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            let (value, count) = self.text(value);
            places += count;
            masked_headers.push((name.clone(), value));
        }
        // UTF-16 reads as text with NULs, and none of its words is found.
        let text = std::str::from_utf8(body).ok();
        let body = match text.filter(|text| !text.contains('\0')) {
            Some(text) => {
                self.find_read(headers, body, &found);
                let (text, count) = self.body(text, &found);
                places += count;
                text
            }
            None => {
                places += 1;
                REDACTED.to_owned()
            }
        };
        // Now every text is known that is masked somewhere.
        let found = found.into_inner();
        let values = found.iter().map(String::as_str);
        let values: BTreeSet<_> = values.filter(|text| text.len() >= SHORTEST).collect();
        if values.iter().map(|text| text.len()).sum::<usize>() > MOST_BYTES {
            return Stored::without_values(&url, masked_headers, places + values.len());
        }
        let mask = Mask::new(values);
        let mut by_value = |text: String| match mask.replace(text.as_bytes(), REDACTED.as_bytes()) {
            Some((hidden, count)) => {
                places += count;
                String::from_utf8_lossy(&hidden).into_owned()
            }
            None => text,
        };
        let url = by_value(url);
        let body = by_value(body).into_bytes();
        let headers = masked_headers
            .into_iter()
            .map(|(name, value)| (name, by_value(value)))
            .collect();
        Stored {
            url,
            headers,
            body,
            places,
        }
    }

    /// Adds what stands at a masked place of a body, as a plugin reads it: JSON with small mistakes, in
    /// several values or in a part, or a form.
    fn find_read(&self, headers: &[(String, String)], body: &[u8], found: &RefCell<Vec<String>>) {
        let pointers: Vec<_> = self.redactor.pointers().collect();
        if pointers.is_empty() {
            return;
        }
        let request = Request {
            source: String::new(),
            received_at: String::new(),
            method: "POST".to_owned(),
            url: String::new(),
            headers: headers.to_vec(),
            body: Body::from_bytes(body.to_vec()),
            content: None,
            proved: None,
            settings: Box::default(),
        };
        let mut below = BTreeSet::new();
        let value = body::read(&request)
            .ok()
            .as_ref()
            .and_then(details::value_of);
        if let Some(value) = value {
            details::leaves_anywhere(&value, &pointers, &mut below);
        }
        found.borrow_mut().extend(below);
    }

    /// Masks texts that were masked in an alert wherever else they stand in it. Identity survives:
    /// within a key or an event id a digest takes their place. Returns the number of places.
    pub(super) fn hide(alert: &mut Alert, masked: &[String]) -> usize {
        let mut values: Vec<&String> = masked
            .iter()
            .filter(|text| text.len() >= SHORTEST)
            .collect();
        values.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let mut places = 0;
        for text in [Some(&mut alert.event_id), alert.key.as_mut()]
            .into_iter()
            .flatten()
        {
            for value in &values {
                if text.contains(value.as_str()) {
                    *text = text.replace(value.as_str(), &digest(value));
                    places += 1;
                }
            }
        }
        places + hide_texts(alert, masked)
    }

    /// Masks what is found in a text by its form, and returns the number of places.
    pub fn text(&self, text: &str) -> (String, usize) {
        let mut text = text.to_owned();
        let places = self.redactor.replace(&mut text);
        (text, places)
    }

    fn url(&self, url: &str, found: &RefCell<Vec<String>>) -> (String, usize) {
        let Some((path, query)) = url.split_once('?') else {
            return self.text(url);
        };
        let (path, in_path) = self.text(path);
        let (query, in_query) = self.form(query, found);
        (format!("{path}?{query}"), in_path + in_query)
    }

    fn body(&self, text: &str, found: &RefCell<Vec<String>>) -> (String, usize) {
        if let Some(masked) = self.json(text, found) {
            return masked;
        }
        let is_form = text.contains('=') && !text.contains(|c: char| c.is_whitespace() || c == '<');
        if is_form {
            self.form(text, found)
        } else {
            self.text(text)
        }
    }

    /// Masks within JSON, by form and by place; none where the text is none.
    fn json(&self, text: &str, found: &RefCell<Vec<String>>) -> Option<(String, usize)> {
        let is_container = text.trim_start().starts_with(['{', '[']);
        if !is_container || serde_json::from_str::<serde_json::Value>(text).is_err() {
            return None;
        }
        let mask = |text: &mut String| match self.json(text, found) {
            Some((masked, places)) => {
                if places > 0 {
                    *text = masked;
                }
                places
            }
            None => self.redactor.replace(text),
        };
        let pointers = self.redactor.pointers().collect();
        Some(details::masked(
            text,
            &Masks {
                pointers,
                anywhere: Some(found),
                text: mask,
            },
        ))
    }

    /// Masks within a form, field by field. Fields in which nothing is masked stay as they are.
    fn form(&self, text: &str, found: &RefCell<Vec<String>>) -> (String, usize) {
        let mut places = 0;
        let fields = text.split('&').map(|field| {
            let Some((name, value)) = form_urlencoded::parse(field.as_bytes()).next() else {
                return Cow::Borrowed(field);
            };
            let (masked_name, in_name) = self.text(&name);
            let (masked, in_value) = match self.json(&value, found) {
                Some(masked) => masked,
                None => self.parameter(&masked_name, &value),
            };
            if in_name + in_value == 0 {
                return Cow::Borrowed(field);
            }
            places += in_name + in_value;
            let mut written = form_urlencoded::Serializer::new(String::new());
            written.append_pair(&masked_name, &masked);
            Cow::Owned(written.finish())
        });
        let fields: Vec<_> = fields.collect();
        (fields.join("&"), places)
    }

    /// Masks the value of a parameter, whose name may say that it is a credential.
    fn parameter(&self, name: &str, value: &str) -> (String, usize) {
        let before = format!("&{name}=");
        let (masked, places) = self.text(&format!("{before}{value}"));
        match masked.strip_prefix(&before) {
            Some(masked) => (masked.to_owned(), places),
            None => self.text(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{NamedPattern, mark};

    fn redactor() -> StoredRedactor {
        let pointer = ["a", "From"].map(str::to_owned).to_vec();
        let mut redactions: Vec<_> = NamedPattern::ALL.map(Redaction::Named).to_vec();
        redactions.push(Redaction::Details(pointer));
        StoredRedactor::new(redactions)
    }

    fn body(text: &str, masked: &[&str]) -> String {
        let masked: Vec<_> = masked.iter().map(ToString::to_string).collect();
        let stored = redactor().redact("https://x.example/in/a", &[], text.as_bytes(), &masked);
        String::from_utf8(stored.body).unwrap()
    }

    #[test]
    fn place_is_found_in_whatever_plugins_read_as_json() {
        for text in [
            "\u{feff}{\"a\":{\"From\":\"hunter2\"}}",
            r#"{"a":{"From":"hunter2"},}"#,
            r#"{"a":{"From":"hunter2"},"n":NaN}"#,
            "{'a':{'From':'hunter2'}}",
            r#""{\"a\":{\"From\":\"hunter2\"}}""#,
            "{\"t\":\"raw\nline\",\"a\":{\"From\":\"hunter2\"}}",
            "{\"a\":1}\n{\"a\":{\"From\":\"hunter2\"}}",
            "--x\r\nContent-Disposition: form-data; name=\"p\"\r\n\r\n{\"a\":{\"From\":\"hunter2\"}}\r\n--x--\r\n",
            "p={'a':{'From':'hunter2'}}",
        ] {
            let masked = body(text, &[]);
            assert!(
                !masked.contains("hunter2") && masked.contains(REDACTED),
                "{text}: {masked}"
            );
        }
    }

    #[test]
    fn json_form_and_text_are_masked_in_their_form() {
        let phone = mark(NamedPattern::PhoneNumbers);
        let json = body(r#"{"a":{"From":"x1","n":4111111111111111},"b":1.50}"#, &[]);
        let expected = format!(
            r#"{{"a":{{"From":"{REDACTED}","n":"{}"}},"b":1.50}}"#,
            mark(NamedPattern::CardNumbers)
        );
        assert_eq!(json, expected);
        let form = body(
            "Sid=1&To=%2B1+415+555+0100&P=%7B%22a%22%3A%7B%22From%22%3A%22x%22%7D%7D&z=%2A",
            &[],
        );
        let fields: Vec<_> = form_urlencoded::parse(form.as_bytes())
            .into_owned()
            .collect();
        assert_eq!(fields[1].1, phone);
        assert_eq!(fields[2].1, format!(r#"{{"a":{{"From":"{REDACTED}"}}}}"#));
        assert!(
            form.starts_with("Sid=1&") && form.ends_with("&z=%2A"),
            "{form}"
        );
        assert_eq!(
            body("call +14155550100\nnow", &[]),
            format!("call {phone}\nnow")
        );
    }

    #[test]
    fn place_counts_at_any_depth_and_its_text_everywhere() {
        let json = body(
            r#"{"event":[{"a":{"From":"ann of 5"}}],"note":"by ann of 5","a":{"To":"x"}}"#,
            &[],
        );
        let expected = format!(
            r#"{{"event":[{{"a":{{"From":"{REDACTED}"}}}}],"note":"by {REDACTED}","a":{{"To":"x"}}}}"#
        );
        assert_eq!(json, expected);
    }

    #[test]
    fn masked_value_is_found_in_every_spelling() {
        for text in [
            r#"{"x":"order 77-alpha"}"#,
            r#"{"x":"order 77\u002dalpha"}"#,
            "x=order+77%2Dalpha",
            "eD03Ny1hbHBoYQ 77-alpha",
        ] {
            let masked = body(text, &["77-alpha"]);
            assert!(
                !masked.contains("alpha") && masked.contains(REDACTED),
                "{masked}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_left_out() {
        for body in [
            &b"\x1f\x8b\x08\xff"[..],
            b"+\x001\x004\x001\x005\x005\x005\x000\x001\x000\x000\x00",
        ] {
            let stored = redactor().redact("https://x.example/", &[], body, &[]);
            assert_eq!(
                (stored.body.as_slice(), stored.places),
                (REDACTED.as_bytes(), 1)
            );
        }
    }

    #[test]
    fn too_many_texts_leave_the_names_alone() {
        let texts: Vec<_> = (0..10_000).map(|at| format!("text-{at}")).collect();
        let headers = [("x".to_owned(), "text-7".to_owned())];
        let url = "https://x.example/in/a?b=text-7";
        let stored = redactor().redact(url, &headers, b"text-7", &texts);
        assert_eq!(stored.url, "https://x.example/in/a");
        assert_eq!(stored.headers, [("x".to_owned(), REDACTED.to_owned())]);
        assert_eq!(stored.body, REDACTED.as_bytes());
    }

    #[test]
    fn url_and_headers_are_masked() {
        let headers = [("x-forwarded-for", "203.0.113.7, 10.0.0.1"), ("x", "plain")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let url = "https://x.example/in/a?mail=ann%40example.com&sig=s3cr3t&n=1";
        let stored = redactor().redact(url, &headers, b"", &[]);
        let ip = mark(NamedPattern::IpAddresses);
        assert_eq!(stored.headers[0].1, format!("{ip}, {ip}"));
        assert_eq!(stored.headers[1].1, "plain");
        assert!(stored.url.ends_with("&n=1"), "{}", stored.url);
        assert!(
            !stored.url.contains("example.com&") && !stored.url.contains("s3cr3t"),
            "{}",
            stored.url
        );
    }
}

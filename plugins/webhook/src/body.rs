//! One JSON text of what was sent, whatever its form.

use std::borrow::Cow;

use plugin_sdk::contract::Request;
use plugin_sdk::form::Form;
use plugin_sdk::json;
use serde_json::value::RawValue;

use crate::tree::Node;

/// A form field more often than this becomes no list that anybody could use.
const MAX_FIELDS: usize = 1_000;

/// The body as JSON: as it was sent, or, of a form, an object of texts, with a list where a field is repeated. Where a
/// place is to be decoded, the JSON in its text takes the place of the text. `None` where the body is none of it.
pub fn json<'a>(request: &Request, text: &'a str, decode: Option<&Node<'_>>) -> Option<Cow<'a, str>> {
    let mut json = if request.is_media_type("application/x-www-form-urlencoded") {
        Cow::Owned(of_form(text)?)
    } else {
        Cow::Borrowed(text)
    };
    for pointer in decode.and_then(Node::items).unwrap_or_default() {
        if let Some(decoded) = pointer.string().and_then(|pointer| decoded(&json, &pointer)) {
            json = Cow::Owned(decoded);
        }
    }
    Some(json)
}

fn of_form(text: &str) -> Option<String> {
    let form = Form::parse(text.as_bytes());
    let mut fields: Vec<(String, Vec<String>)> = Vec::new();
    for (name, value) in form.fields().iter().take(MAX_FIELDS) {
        let text = |bytes| json::printable(&String::from_utf8_lossy(bytes));
        let (name, value) = (text(name), text(value));
        match fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => fields.push((name, vec![value])),
        }
    }
    let mut json = String::with_capacity(text.len() + 16);
    for (name, values) in &fields {
        json.push(if json.is_empty() { '{' } else { ',' });
        json.push_str(&serde_json::to_string(name).ok()?);
        json.push(':');
        json.push_str(&match &values[..] {
            [value] => serde_json::to_string(value).ok()?,
            values => serde_json::to_string(values).ok()?,
        });
    }
    json.push_str(if json.is_empty() { "{}" } else { "}" });
    Some(json)
}

/// The whole with the JSON that the text at `pointer` holds in place of that text; `None` where it holds none.
fn decoded(json: &str, pointer: &str) -> Option<String> {
    let whole = Node::read(json)?;
    let packed = whole.at(pointer)?.json().get();
    let inner: String = serde_json::from_str(packed).ok()?;
    let inner: &RawValue = serde_json::from_str(&inner).ok()?;
    let start = packed.as_ptr() as usize - json.as_ptr() as usize;
    Some([&json[..start], inner.get(), &json[start + packed.len()..]].concat())
}

/// The body for an alert's details where it is not JSON.
pub fn as_details(text: &str) -> Option<Box<RawValue>> {
    json::as_text("body_text", text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::testing;

    fn of(content_type: &str, body: &str, decode: &[&str]) -> String {
        let request = testing::post("https://a.example/").header("content-type", content_type).build();
        let decode = serde_json::to_string(decode).unwrap();
        json(&request, body, Node::read(&decode).as_ref()).unwrap().into_owned()
    }

    const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

    #[test]
    fn a_form_is_an_object_of_texts_and_lists() {
        assert_eq!(of(FORM, "b=1&a=%22x%22&b=2&c", &[]), r#"{"b":["1","2"],"a":"\"x\"","c":""}"#);
        assert_eq!(of(FORM, "", &[]), "{}");
        assert_eq!(of(FORM, "%ff=%ff", &[]), "{\"\u{fffd}\":\"\u{fffd}\"}");
        assert_eq!(of(FORM, "a=%00%0A", &[]), "{\"a\":\"\u{fffd}\\n\"}");
    }

    #[test]
    fn what_is_no_form_stays_as_it_is() {
        assert_eq!(of("application/json", " {\"a\" : 1.10} ", &[]), " {\"a\" : 1.10} ");
        assert_eq!(of("text/plain", "a=1", &["/a"]), "a=1");
    }

    #[test]
    fn json_within_a_text_takes_its_place() {
        assert_eq!(of(FORM, "x=1&payload=%7B%22a%22:1.10%7D", &["/payload"]), r#"{"x":"1","payload":{"a":1.10}}"#);
        let twice = r#"{"m":"{\"n\":\"[1]\"}","k":"[2]"}"#;
        assert_eq!(of("application/json", twice, &["/m", "/m/n", "/x"]), r#"{"m":{"n":[1]},"k":"[2]"}"#);
        assert_eq!(of("application/json", r#"{"m":"{oops"}"#, &["/m"]), r#"{"m":"{oops"}"#);
    }
}

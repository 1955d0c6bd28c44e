//! JSON that stands as text within a body, such as in the field of a form.

use std::borrow::Cow;

use plugin_sdk::{body, text};

use crate::tree::Node;

/// The body with the JSON that the texts at these places hold in place of the texts.
pub fn all<'a>(json: Cow<'a, str>, places: Option<&Node<'_>>) -> Cow<'a, str> {
    let mut json = json;
    for pointer in places.and_then(Node::items).unwrap_or_default() {
        if let Some(decoded) = pointer
            .string()
            .and_then(|pointer| decoded(&json, &pointer))
        {
            json = Cow::Owned(decoded);
        }
    }
    json
}

/// Returns the whole, with the text at `pointer` replaced by the JSON in it, which may be in base64
/// (Google's Pub/Sub); `None` where it holds none.
fn decoded(json: &str, pointer: &str) -> Option<String> {
    let whole = Node::read(json)?;
    let packed = whole
        .at(pointer.strip_prefix("$body").unwrap_or(pointer))?
        .json()
        .get();
    let text: String = serde_json::from_str(packed).ok()?;
    let inner = json_of(&text).or_else(|| {
        let bytes = text::of_base64(&text)?;
        json_of(&text::of_bytes(&bytes))
    })?;
    let start = packed.as_ptr() as usize - json.as_ptr() as usize;
    Some([&json[..start], &inner, &json[start + packed.len()..]].concat())
}

fn json_of(text: &str) -> Option<String> {
    match body::read_text(text).ok()?.body {
        body::Body::Json(json) => Some(json.into_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_within_a_text_takes_its_place() {
        for (json, places, expected) in [
            (
                r#"{"x":"1","payload":"{\"a\":1.10}"}"#,
                r#"["/payload"]"#,
                r#"{"x":"1","payload":{"a":1.10}}"#,
            ),
            (
                r#"{"m":"{\"n\":\"[1]\"}","k":"[2]"}"#,
                r#"["/m","$body/m/n","/x"]"#,
                r#"{"m":{"n":[1]},"k":"[2]"}"#,
            ),
            (
                r#"{"message":{"data":"eyJhIjpbMV19Cg=="}}"#,
                r#"["/message/data","/message/data/a"]"#,
                r#"{"message":{"data":{"a":[1]}}}"#,
            ),
            (r#"{"m":"eyJhIjo="}"#, r#"["/m"]"#, r#"{"m":"eyJhIjo="}"#),
            (r#"{"m":"{oops"}"#, r#"["/m"]"#, r#"{"m":"{oops"}"#),
            (r#"{"m":"words"}"#, r#"["/m"]"#, r#"{"m":"words"}"#),
        ] {
            assert_eq!(all(json.into(), Node::read(places).as_ref()), expected);
        }
        assert_eq!(all("{}".into(), None), "{}");
    }
}

//! Questions of an author to a [`Request`].

use std::borrow::Cow;

use crate::contract::{Body, Content, Request};
use crate::form::Form;

impl Request {
    /// The value of the first header of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_all(name).next()
    }

    /// The values of every header of this name, in the order received.
    pub fn header_all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self
            .headers
            .iter()
            .filter(move |(header, _)| header.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// Sets a header, in place of all that have this name.
    pub fn set_header(&mut self, name: &str, value: &str) {
        self.headers
            .retain(|(header, _)| !header.eq_ignore_ascii_case(name));
        self.headers
            .push((name.to_ascii_lowercase(), value.to_owned()));
    }

    /// Returns whether `Content-Type` names this media type, such as `application/json`, whatever
    /// its case and parameters.
    pub fn is_media_type(&self, media_type: &str) -> bool {
        let essence = self
            .header("content-type")
            .and_then(|value| value.split(';').next());
        essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(media_type))
    }

    /// The fields of the URL's query string.
    pub fn query(&self) -> Form<'_> {
        query(&self.url)
    }

    /// The body as text for reading, without its encodings and a byte order mark. Bytes that are
    /// not UTF-8 become U+FFFD. [`crate::body::read`] tells what it is.
    pub fn text(&self) -> Cow<'_, str> {
        let text = match &self.content {
            Some(Content::Text(text)) => Cow::Borrowed(&**text),
            Some(Content::Base64(text)) => {
                Cow::Owned(Body::Base64(text.clone()).text().into_owned())
            }
            Some(Content::Unreadable(_)) | None => self.body.text(),
        };
        match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text)),
            owned => owned,
        }
    }
}

/// The fields of a URL's query string.
pub(crate) fn query(url: &str) -> Form<'_> {
    let url = url.split('#').next().unwrap_or_default();
    let query = url.split_once('?').map_or("", |(_, query)| query);
    Form::parse(query.as_bytes())
}

#[cfg(test)]
mod tests {
    use crate::testing;

    #[test]
    fn headers_are_found_whatever_their_case() {
        let request = testing::post("https://a.example/in/x")
            .header("x-a", "1")
            .header("x-a", "2")
            .build();
        assert_eq!(request.header("X-A"), Some("1"));
        assert_eq!(request.header_all("x-a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(request.header("x-b"), None);
    }

    #[test]
    fn a_header_that_is_set_is_there_once() {
        let mut request = testing::post("https://a.example/")
            .header("x-a", "1")
            .header("x-a", "2")
            .build();
        request.set_header("X-A", "3");
        assert_eq!(request.headers, [("x-a".to_owned(), "3".to_owned())]);
    }

    #[test]
    fn a_media_type_is_compared_without_case_and_parameters() {
        let request = testing::post("https://a.example/")
            .header("content-type", "Application/JSON; charset=x")
            .build();
        assert!(request.is_media_type("application/json"));
        assert!(!request.is_media_type("application/js"));
        assert!(
            !testing::post("https://a.example/")
                .build()
                .is_media_type("application/json")
        );
    }

    #[test]
    fn a_query_ends_at_the_fragment() {
        let request = testing::post("https://a.example/in/x?a=1&b=%20?c#d=2").build();
        let query = request.query();
        assert_eq!(query.get("a").as_deref(), Some("1"));
        assert_eq!(query.get("b").as_deref(), Some(" ?c"));
        assert_eq!(query.fields().len(), 2);
        assert!(
            testing::post("https://a.example/")
                .build()
                .query()
                .fields()
                .is_empty()
        );
    }
}

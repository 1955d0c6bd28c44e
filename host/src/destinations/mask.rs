//! Text from outside, made fit for logs and the store: no token, no control characters, no more than is worth reading.

use std::borrow::Cow;

/// What stands where the token stood.
const MASKED: &str = "***";

/// Knows one token by every spelling that an echo may give it.
pub(crate) struct Mask {
    /// Never empty strings. As sent first; then as JSON writes it, with and without the escaped slash that some writers
    /// use.
    spellings: Vec<String>,
}

impl Mask {
    pub(crate) fn new(token: &str) -> Self {
        let json = serde_json::Value::from(token).to_string();
        let json = json[1..json.len() - 1].to_owned();
        let mut spellings = vec![token.to_owned(), json.replace('/', "\\/"), json];
        spellings.retain(|spelling| !spelling.is_empty());
        spellings.dedup();
        Self { spellings }
    }

    /// `text` without the token.
    pub(crate) fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for spelling in &self.spellings {
            if text.contains(&**spelling) {
                text = Cow::Owned(text.replace(&**spelling, MASKED));
            }
        }
        text
    }

    /// The first `max_chars` characters of `bytes` as one line, without the token. A token at the cut is masked whole,
    /// because the cut comes last.
    pub(crate) fn excerpt(&self, bytes: &[u8], max_chars: usize) -> String {
        let text = String::from_utf8_lossy(bytes);
        let plain = |char: char| if char.is_control() { ' ' } else { char };
        self.hide(text.trim()).chars().take(max_chars).map(plain).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_the_token_is_masked() {
        let mask = Mask::new("a/b\"c");
        for echo in ["a/b\"c", r#"a/b\"c"#, r#"a\/b\"c"#] {
            assert_eq!(mask.hide(&format!("bad token {echo}!")), "bad token ***!");
        }
        assert_eq!(mask.hide("nothing here"), "nothing here");
    }

    #[test]
    fn token_across_the_cut_shows_no_part() {
        assert_eq!(Mask::new("s3cret").excerpt(b"token s3cret", 8), "token **");
    }

    #[test]
    fn excerpt_is_one_line_of_text() {
        assert_eq!(Mask::new("t").excerpt(b" a\r\nb\x1b[31m\xff ", 99), "a  b [31m\u{fffd}");
    }
}

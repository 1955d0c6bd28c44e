//! Text from outside, made fit for logs and the store: no token, no control characters, no more than is worth reading.

use std::borrow::Cow;

/// The text in place of the token.
const MASKED: &str = "***";

/// The secrets of one destination, by every spelling that an echo may give them.
pub(crate) struct Mask {
    /// Never empty strings. Each as sent, and as JSON writes it, with and without the escaped slash that some writers use.
    spellings: Vec<String>,
}

impl Mask {
    /// Returns a mask for one token.
    #[cfg(test)]
    pub(crate) fn new(token: &str) -> Self {
        Self::of(&[token])
    }

    /// Returns a mask for each of these secrets.
    pub(crate) fn of(secrets: &[&str]) -> Self {
        let mut mask = Self { spellings: Vec::new() };
        mask.add(secrets);
        mask
    }

    /// Masks these secrets as well.
    pub(crate) fn add(&mut self, secrets: &[&str]) {
        secrets.iter().for_each(|secret| self.add_one(secret));
        // The longest first: a secret may be a part of another.
        self.spellings.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
        self.spellings.dedup();
    }

    fn add_one(&mut self, token: &str) {
        let json = serde_json::Value::from(token).to_string();
        let json = json[1..json.len() - 1].to_owned();
        let spellings = [token.to_owned(), json.replace('/', "\\/"), json];
        self.spellings.extend(spellings.into_iter().filter(|spelling| !spelling.is_empty()));
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

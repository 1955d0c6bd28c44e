//! The token that a request shows.

use hyper::header::{AUTHORIZATION, HeaderMap};

/// The token of `Authorization: Bearer <token>`.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn a_token_follows_the_word_bearer_however_that_is_written() {
        for (value, token) in [
            (&b"Bearer t"[..], Some("t")),
            (b"bearer  t", Some("t")),
            (b"BEARER a b", Some("a b")),
            (b"Bearer", None),
            (b"Basic dTpw", None),
            (b"t", None),
            (b"Bearer \xff", None),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap())]);
            assert_eq!(bearer(&headers), token, "{}", String::from_utf8_lossy(value));
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}

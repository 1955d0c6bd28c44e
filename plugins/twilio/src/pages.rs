//! Twilio's pages about an error.

/// The page about an error code, for a code of digits.
pub fn of_code(code: &str) -> Option<String> {
    let has_page = (1..=9).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit());
    has_page.then(|| format!("https://www.twilio.com/docs/api/errors/{code}"))
}

/// An event's page in Twilio's console, for a Sid of the documented form: `NO` and 32 hex digits.
pub fn of_event(sid: &str) -> Option<String> {
    let is_hex =
        |digits: &str| digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    sid.strip_prefix("NO")
        .is_some_and(is_hex)
        .then(|| format!("https://www.twilio.com/console/debugger/{sid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_have_a_page_has_one() {
        assert_eq!(
            of_code("11200").as_deref(),
            Some("https://www.twilio.com/docs/api/errors/11200")
        );
        let sid = "NO0123456789abcdef0123456789ABCDEF";
        assert_eq!(
            of_event(sid),
            Some(format!("https://www.twilio.com/console/debugger/{sid}"))
        );
        for odd in ["", "x", "-1", "1234567890", "../..", "11200?"] {
            assert_eq!((of_code(odd), of_event(odd)), (None, None), "{odd}");
        }
        assert_eq!(of_event(&sid.replace('a', "g")), None);
    }
}

//! Flaws of secrets, found before the first request fails: text around a secret, a placeholder in
//! its place, and a secret that is too short.
//!
//! The judgement is pure, and its words show nothing of the secret.

/// Fewer characters than this can be guessed.
const SHORTEST: usize = 16;

/// Fewer different characters than this are a row of crosses or dots, and no secret.
const FEWEST: usize = 4;

/// A shorter row is called short.
const LONG_ROW: usize = 8;

/// Words that examples write in the place of a secret, between dashes, underscores and blanks.
const PLACEHOLDERS: [&str; 20] = [
    "changeme",
    "changeit",
    "mysecret",
    "mytoken",
    "supersecret",
    "change",
    "replaceme",
    "replace",
    "placeholder",
    "example",
    "todo",
    "fixme",
    "insert",
    "dummy",
    "redacted",
    "yoursecret",
    "yourtoken",
    "yourkey",
    "yourpassword",
    "your",
];

/// A flaw of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flaw {
    /// The flaw, worded to follow the secret's name.
    pub found: &'static str,
    /// The advice.
    pub help: &'static str,
}

/// Returns the first flaw of a secret, in the order in which they are to be fixed.
pub fn secret_flaw(secret: &str) -> Option<Flaw> {
    let flaw = |found, help| Some(Flaw { found, help });
    // Keys in PEM have lines, and are no words.
    if secret.contains("-----BEGIN ") {
        return None;
    }
    if let Some(flaw) = stray_character(secret) {
        return Some(flaw);
    }
    if is_quoted(secret) {
        return flaw(
            "stands in quotes, which nothing removes there",
            "write it without the quotes",
        );
    }
    if secret.starts_with(['"', '\'']) || secret.ends_with(['"', '\'']) {
        return flaw(
            "has a quote at its beginning or end",
            "write it without, or copy all of it",
        );
    }
    if secret.ends_with("\\n") || secret.ends_with("\\r") {
        return flaw(
            "ends with the two characters of an escaped line end",
            "write it without, as printf %s does",
        );
    }
    if let Some(flaw) = surplus(secret) {
        return Some(flaw);
    }
    if is_placeholder(secret) {
        return flaw(
            "reads like the placeholder of an example",
            "write the secret itself",
        );
    }
    if is_account(secret) {
        let help = "copy the Auth Token, which stands beside it in the console";
        return flaw(
            "has the form of a Twilio SID, which is a name and no secret",
            help,
        );
    }
    if secret.starts_with("webhooks_sharedkey_") {
        return flaw(
            "has the form of the id of a Twilio shared key, which is a name and no secret",
            "write the value that Twilio showed once, when the key was created",
        );
    }
    let is_number = secret.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && secret.contains("1234567890") {
        return flaw(
            "has the digits in their order, so that it can be guessed",
            "make another: openssl rand -hex 32",
        );
    }
    if secret.chars().count() < SHORTEST {
        return flaw(
            "has fewer than 16 characters, so that it can be guessed",
            "make a longer one: openssl rand -hex 32",
        );
    }
    None
}

/// Returns the flaw of a secret with a character that was not meant to be in it.
pub(super) fn stray_character(secret: &str) -> Option<Flaw> {
    let flaw = |found, help| Some(Flaw { found, help });
    if secret.contains('\u{feff}') {
        return flaw(
            "holds a byte order mark, which is no part of it",
            "save the file as UTF-8 without BOM",
        );
    }
    if secret.trim() != secret {
        return flaw(
            "has a blank or a line end at its beginning or end",
            "write it without, as printf %s does",
        );
    }
    if secret.contains(char::is_control) {
        return flaw(
            "holds a line end or another control character",
            "write it on one line",
        );
    }
    if secret.contains([
        '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{ad}', '\u{a0}',
    ]) {
        return flaw(
            "holds a character that is not seen",
            "copy it again from where it is shown",
        );
    }
    None
}

/// Returns the flaw of a secret with more than itself: the scheme of a header, the name of a
/// variable, or all of a JSON document.
fn surplus(secret: &str) -> Option<Flaw> {
    let flaw = |found, help| Some(Flaw { found, help });
    let schemes = ["Bearer ", "Authorization:"];
    let is_scheme = |scheme: &&str| {
        let start = secret.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    if schemes.iter().any(is_scheme) {
        return flaw(
            "begins with the scheme of a header, which is no part of it",
            "write only what follows",
        );
    }
    let assigned = secret.strip_prefix("export ").unwrap_or(secret);
    if let Some((name, value)) = assigned.split_once(['=', ':']) {
        // Base64 ends with the sign.
        if is_name(name) && !value.trim_start_matches('=').is_empty() {
            return flaw(
                "begins with a name and the sign behind it, as a file of settings has it",
                "write only what follows",
            );
        }
    }
    if secret.starts_with("{\"") && secret.ends_with('}') {
        return flaw(
            "is a JSON document, not the secret in it",
            "write only the secret",
        );
    }
    None
}

/// Returns whether a text is the name of a variable, or that of a setting for a secret.
fn is_name(text: &str) -> bool {
    let is_variable = text.starts_with(|c: char| c.is_ascii_uppercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    let lower = text.to_ascii_lowercase();
    let last = lower.rsplit(['_', '-']).next().unwrap_or_default();
    let is_setting = matches!(
        last,
        "token" | "authtoken" | "secret" | "password" | "key" | "apikey"
    );
    text.len() > 2 && (is_variable || is_setting)
}

fn is_quoted(secret: &str) -> bool {
    [
        ('"', '"'),
        ('\'', '\''),
        ('`', '`'),
        ('“', '”'),
        ('‘', '’'),
        ('„', '“'),
        ('«', '»'),
    ]
    .iter()
    .any(|(open, close)| secret.len() > 1 && secret.starts_with(*open) && secret.ends_with(*close))
}

fn is_placeholder(secret: &str) -> bool {
    let enclosed = [
        ("<", ">"),
        ("{{", "}}"),
        ("${", "}"),
        ("$(", ")"),
        ("[", "]"),
        ("%", "%"),
    ];
    if enclosed
        .iter()
        .any(|(open, close)| secret.starts_with(open) && secret.ends_with(close))
    {
        return true;
    }
    // A variable that nothing has replaced.
    if secret.strip_prefix('$').is_some_and(is_name) {
        return true;
    }
    if secret.contains('…') || secret.contains("...") {
        return true;
    }
    let mut different: Vec<_> = secret.chars().collect();
    different.sort_unstable();
    different.dedup();
    if different.len() < FEWEST && secret.chars().count() >= LONG_ROW {
        return true;
    }
    let lower = secret.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric());
    words.any(|word| {
        PLACEHOLDERS.contains(&word) || word.len() > 3 && word.bytes().all(|byte| byte == b'x')
    })
}

/// Returns true for an id of Twilio's: two letters and 32 hex digits. An account's begins with AC,
/// a key's with SK, a user's with US, an organization's with OR.
fn is_account(secret: &str) -> bool {
    let Some((kind, digits)) = secret.split_at_checked(2) else {
        return false;
    };
    matches!(kind, "AC" | "SK" | "US" | "OR")
        && digits.len() == 32
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flaw_is_found() {
        for (secret, found) in [
            ("\u{feff}0123456789abcdef0123", "byte order mark"),
            (" 0123456789abcdef0123", "blank"),
            ("0123456789abcdef0123\n", "blank"),
            ("0123456789abcdef0123\r", "blank"),
            ("0123456789\nabcdef0123", "line end"),
            ("\"0123456789abcdef0123\"", "quotes"),
            ("'0123456789abcdef0123'", "quotes"),
            ("“0123456789abcdef0123”", "quotes"),
            ("your_auth_token", "placeholder"),
            ("YOUR-TOKEN-HERE-1234567", "placeholder"),
            ("<the token of the account>", "placeholder"),
            ("{{ twilio_auth_token }}", "placeholder"),
            ("${lower_case_variable}", "placeholder"),
            ("$(cat /run/secrets/token)", "placeholder"),
            ("…", "placeholder"),
            ("0123456789abcdef...", "placeholder"),
            ("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "placeholder"),
            ("********************", "placeholder"),
            ("token-xxxx-xxxx-xxxx", "placeholder"),
            ("please-change-me-soon", "placeholder"),
            ("AC0123456789abcdef0123456789abcdef", "Twilio SID"),
            ("SK0123456789ABCDEF0123456789ABCDEF", "Twilio SID"),
            ("US0123456789abcdef0123456789abcdef", "Twilio SID"),
            ("0123456789abcde", "fewer than 16"),
            ("hunter2", "fewer than 16"),
            ("0123456789\u{200b}abcdef0123", "not seen"),
            ("0123456789\u{a0}abcdef0123", "not seen"),
            ("Bearer 0123456789abcdef0123", "scheme of a header"),
            (
                "authorization: Bearer 0123456789abcdef",
                "scheme of a header",
            ),
            ("AUTH_TOKEN=0123456789abcdef0123", "a name and the sign"),
            ("export TOKEN=0123456789abcdef0123", "a name and the sign"),
            (r#"{"token":"0123456789abcdef0123"}"#, "JSON document"),
            ("auth_token: 0123456789abcdef", "a name and the sign"),
            ("client-secret=0123456789abcdef", "a name and the sign"),
            ("$TWILIO_AUTH_TOKEN", "placeholder"),
            ("\"0123456789abcdef0123", "a quote at"),
            ("0123456789abcdef0123'", "a quote at"),
            ("0123456789abcdef0123\\n", "escaped line end"),
            ("1234567890123456", "digits in their order"),
            ("webhooks_sharedkey_0123456789abcdef", "shared key"),
            ("my-mysecret-0123456789", "placeholder"),
            ("t", "fewer than 16"),
        ] {
            let flaw = secret_flaw(secret).unwrap_or_else(|| panic!("{secret:?} has a flaw"));
            assert!(flaw.found.contains(found), "{secret:?}: {}", flaw.found);
            let shown = [flaw.found, flaw.help].concat();
            assert!(
                secret.len() < 4 || !shown.contains(secret),
                "{secret:?} is shown"
            );
        }
    }

    #[test]
    fn real_secrets_have_none() {
        for secret in [
            "0123456789abcdef0123456789abcdef",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "8f742231b10e8888abcd99yyyzzz85a5",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "correct horse battery staple",
            "xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx",
            "ABCDEFGHIJKLMNOPQRSTUVWX0123456=",
            "bearer0123456789abcdef0123",
            "user:0123456789abcdef",
            "$2y$10$abcdefghijklmnopqrstuv",
            "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n",
        ] {
            assert_eq!(secret_flaw(secret), None, "{secret}");
        }
    }
}

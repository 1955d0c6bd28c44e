//! Secrets as operators paste them: what is probably not the secret that the sender has.

/// Fewer characters than this are guessed, or are no secret but a name.
const MIN_CHARS: usize = 16;

/// What looks wrong with a secret, for an operator who has just set it, each with what would be
/// right. No word of it holds the secret. The caller says where it stands; an empty list says
/// nothing of whether it is the right one.
pub fn doubts(secret: &str) -> Vec<(&'static str, &'static str)> {
    let mut doubts = Vec::new();
    let trimmed = secret.trim_start_matches('\u{feff}').trim();
    if secret.starts_with('\u{feff}') {
        doubts.push((
            "it begins with a byte order mark",
            "save the file as UTF-8 without one",
        ));
    }
    if trimmed.is_empty() {
        doubts.push(("it is empty", "set the secret that the sender has"));
        return doubts;
    }
    if secret.ends_with(['\n', '\r']) {
        doubts.push((
            "it ends with a line end",
            "write the file without one, as `printf %s` does",
        ));
    } else if secret.trim_start_matches('\u{feff}') != trimmed {
        doubts.push((
            "there is white space around it",
            "remove it, unless the sender's secret has it as well",
        ));
    }
    if trimmed.contains(['\n', '\r']) && !trimmed.starts_with("-----BEGIN ") {
        doubts.push((
            "it has several lines",
            "set the secret alone, without anything before or after it",
        ));
    }
    let quoted = [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”')];
    if trimmed.chars().count() > 1
        && quoted
            .iter()
            .any(|(open, close)| trimmed.starts_with(*open) && trimmed.ends_with(*close))
    {
        doubts.push((
            "there are quotes around it",
            "remove them: they are part of the secret as it stands",
        ));
    }
    let bare = trimmed.trim_matches(['"', '\'', '`', '“', '”'].as_slice());
    if is_placeholder(bare) {
        doubts.push((
            "it is a placeholder from an example",
            "set the secret that the sender has",
        ));
    } else if is_sid(bare) {
        doubts.push((
            "it is an AccountSid, which is a name and no secret",
            "set the auth token, which stands beside it in Twilio's console",
        ));
    } else if bare.chars().count() < MIN_CHARS {
        doubts.push((
            "it has fewer than 16 characters",
            "choose a longer one, such as `openssl rand -hex 32` makes",
        ));
    } else if bare.chars().all(|char| bare.starts_with(char)) {
        doubts.push((
            "it is one character, repeated",
            "set the secret that the sender has",
        ));
    }
    doubts
}

fn is_placeholder(text: &str) -> bool {
    const WORDS: [&str; 18] = [
        "your",
        "changeme",
        "change_me",
        "change-me",
        "change me",
        "replace",
        "example",
        "placeholder",
        "todo",
        "insert",
        "xxxx",
        "secret_here",
        "token_here",
        "key_here",
        "redacted",
        "dummy",
        "fill_in",
        "fixme",
    ];
    let lower = text.to_ascii_lowercase();
    let starts = WORDS.iter().any(|word| lower.starts_with(word));
    let ends = ["_here", "-here", " here"]
        .iter()
        .any(|end| lower.ends_with(end));
    let bracketed = [('<', '>'), ('[', ']'), ('{', '}')]
        .iter()
        .any(|(open, close)| lower.starts_with(*open) && lower.ends_with(*close));
    let reference = (lower.starts_with("${") || lower.starts_with("$("))
        || (lower.starts_with('%') && lower.ends_with('%'));
    let nothing = lower
        .chars()
        .all(|char| matches!(char, '.' | '…' | '*' | '-' | '_' | '•'));
    let plain = matches!(
        &*lower,
        "secret" | "token" | "password" | "auth_token" | "none" | "null" | "test" | "undefined"
    );
    starts || ends || bracketed || reference || nothing || plain
}

/// An AccountSid, or another of Twilio's Sids: two letters and 32 hex digits.
fn is_sid(text: &str) -> bool {
    let Some((kind, digits)) = text.split_at_checked(2) else {
        return false;
    };
    matches!(kind, "AC" | "SK" | "US" | "OR")
        && digits.len() == 32
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(secret: &str) -> Vec<&'static str> {
        doubts(secret).into_iter().map(|(found, _)| found).collect()
    }

    #[test]
    fn sound_secrets_raise_no_doubt() {
        for secret in [
            "0123456789abcdef0123456789abcdee",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "correct horse battery staple",
            "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----",
            "example-corp-production-7f3a9c2e11".trim_start_matches("example-"),
        ] {
            assert!(found(secret).is_empty(), "{secret}: {:?}", found(secret));
        }
    }

    #[test]
    fn each_mistake_is_named() {
        let sound = "0123456789abcdef0123456789abcdee";
        for (secret, said) in [
            (format!("\u{feff}{sound}"), "byte order mark"),
            (format!("{sound}\n"), "line end"),
            (format!("{sound}\r\n"), "line end"),
            (format!(" {sound}"), "white space"),
            (format!("{sound}\nanother"), "several lines"),
            (format!("\"{sound}\""), "quotes"),
            (String::new(), "empty"),
            (" \n".to_owned(), "empty"),
            ("your_auth_token".to_owned(), "placeholder"),
            ("YOUR-SECRET-GOES-IN-HERE".to_owned(), "placeholder"),
            ("…".to_owned(), "placeholder"),
            ("<paste the token>".to_owned(), "placeholder"),
            ("${TWILIO_AUTH_TOKEN}".to_owned(), "placeholder"),
            ("changeme-changeme".to_owned(), "placeholder"),
            (format!("AC{sound}"), "AccountSid"),
            ("short".to_owned(), "fewer than 16"),
            ("a".repeat(32), "one character"),
        ] {
            assert!(
                found(&secret).iter().any(|found| found.contains(said)),
                "{secret:?}: {:?}",
                found(&secret)
            );
        }
    }

    #[test]
    fn no_word_holds_the_secret() {
        let secret = "\u{feff}\"hunter2-hunter2\"\n";
        let said = format!("{:?}", doubts(secret));
        assert!(!said.contains("hunter2"), "{said}");
    }
}

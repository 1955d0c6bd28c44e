//! Whatever the text, reading it ends in a configuration or in problems.

use proptest::prelude::*;

use super::{GOOD, parse};
use crate::config::Config;

/// Reads it, and holds what every reading promises.
fn read(text: &str) {
    if let Err(problems) = parse(text) {
        assert!(
            !problems.0.is_empty(),
            "no configuration, and no reason:\n{text}"
        );
        let lines = text.matches('\n').count() + 1;
        for problem in &problems.0 {
            let position = problem.position.expect("a place");
            assert!(
                position.line >= 1 && position.line <= lines && position.column >= 1,
                "{problem}"
            );
            assert!(!problem.to_string().contains('\n'), "{problem}");
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>()) {
        read(&text);
    }

    #[test]
    fn any_soup_of_toml_is_read_without_a_panic(
        words in prop::collection::vec(prop::sample::select(WORDS), 0..60),
    ) {
        read(&words.concat());
    }

    #[test]
    fn mutated_configuration_is_read_without_a_panic(
        start in 0..GOOD.len(), length in 0..60usize, put in prop::sample::select(WORDS),
    ) {
        let end = (start + length).min(GOOD.len());
        read(&format!("{}{put}{}", &GOOD[..start], &GOOD[end..]));
    }

    #[test]
    fn any_bytes_in_a_file_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("written");
        prop_assert!(Config::load(file.path()).is_err());
    }
}

#[rustfmt::skip]
const WORDS: &[&str] = &[
    "[gateway]\n", "[destinations.a]\n", "[sources.a]\n", "[sources.a.settings]\n", "[limits]\n", "[[sources]]\n", "[sources]\n",
    "[", "]", "{", "}", "\"", "'", "\"\"\"", "=", " = ", ".", ",", "\n", "\r\n", "#", "token", "url", "env", "file", "settings",
    "plugin", "limits", "public_url", "listen", "\"https://a\"", "\"127.0.0.1:1\"", "1", "-1e9", "nan", "0x", "true",
    "1979-05-27", "\u{feff}", "é", "\u{0}", "\u{1b}", "a", "token = { env = \"A\" }\n", "a.b.c = 1\n",
];

#[test]
fn settings_nested_too_deep_are_refused() {
    for nested in [
        format!("a = {}{}", "[".repeat(60), "]".repeat(60)),
        format!("a = {}1{}", "{ a = ".repeat(60), " }".repeat(60)),
        format!("a{} = 1", ".a".repeat(60)),
    ] {
        let text = GOOD.replace("auth_token = { env = \"TWILIO_AUTH_TOKEN\" }", &nested);
        let problems = super::problems(&text);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].contains("is nested too deep; 32 levels are the most"),
            "{problems:?}"
        );
    }
    let bottomless = GOOD.replace("{ env = \"TWILIO_AUTH_TOKEN\" }", &"[".repeat(100_000));
    assert!(parse(&bottomless).is_err());
}

#[test]
fn file_of_wrong_size_or_encoding_is_refused() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let load = |bytes: &[u8]| {
        std::fs::write(file.path(), bytes).expect("written");
        let problems = Config::load(file.path()).expect_err("problems").to_string();
        problems
            .trim_start_matches(&file.path().display().to_string())
            .to_owned()
    };
    let help = "name the configuration with --config FILE";
    assert_eq!(
        load(&[b'#'; (1 << 20) + 1]),
        format!(": is larger than 1 MiB, so it is not a configuration; {help}")
    );
    assert_eq!(
        load(b"[gateway]\na = \"\xff\""),
        format!(":2:6: is not UTF-8 text from here on; {help}")
    );
    let missing = Config::load("none/gateway.toml".as_ref())
        .expect_err("problems")
        .to_string();
    assert_eq!(
        missing,
        format!(
            "none/gateway.toml: cannot be read: No such file or directory (os error 2); {help}"
        )
    );
}

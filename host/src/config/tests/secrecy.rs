//! A secret is nowhere but in the one method that exposes it.

use super::{GOOD, environment, printed};
use crate::config::{Config, Problems};
use std::path::Path;

const CANARY: &str = "canary-8d1f60";

#[test]
fn no_secret_is_in_what_is_printed_of_a_configuration() {
    let canaries = |name: &str| Some(format!("{CANARY}-{name}"));
    let text = GOOD
        .replace(
            "{ env = \"SOURCE_TOKEN\" }",
            &format!("[\"{CANARY}\", {{ env = \"A\" }}]"),
        )
        .replace(
            "auth_token = { env = \"TWILIO_AUTH_TOKEN\" }",
            &format!("auth_token = {{ AC1 = \"{CANARY}\", AC2 = [{{ env = \"B\" }}] }}"),
        );
    let config = Config::parse(&text, Path::new("gateway.toml"), &canaries).expect("no problems");
    assert!(
        config.sources[0].settings.json().get().contains(CANARY),
        "the plugin is given it"
    );
    let printed = format!("{config:?}\n{config:#?}\n{:?}", config.warnings);
    assert!(!printed.contains(CANARY), "{printed}");
    assert!(printed.contains("[secret]"));
}

#[test]
fn no_secret_is_in_a_problem_wherever_it_was_written() {
    // The canary in every place where a secret is written in earnest or by mistake.
    for (from, to) in [
        ("{ env = \"ITOC360_TOKEN\" }", "\"CANARY and a blank\""),
        ("{ env = \"ITOC360_TOKEN\" }", "CANARY"),
        ("{ env = \"ITOC360_TOKEN\" }", "\"CANARY"),
        ("{ env = \"ITOC360_TOKEN\" }", "[\"CANARY\"]"),
        ("{ env = \"ITOC360_TOKEN\" }", "{ evn = \"CANARY\" }"),
        ("{ env = \"ITOC360_TOKEN\" }", "{ env = \"CANARY\" }"),
        ("{ env = \"ITOC360_TOKEN\" }", "{ file = \"CANARY\" }"),
        (
            "{ env = \"ITOC360_TOKEN\" }",
            "{ env = \"CANARY\", file = \"CANARY\" }",
        ),
        ("{ env = \"SOURCE_TOKEN\" }", "[\"CANARY\\n\"]"),
        ("{ env = \"SOURCE_TOKEN\" }", "[[\"CANARY\"]]"),
        ("token = { env = \"SOURCE_TOKEN\" }", "tokne = \"CANARY\""),
        ("{ env = \"TWILIO_AUTH_TOKEN\" }", "[\"CANARY\", nan]"),
        ("{ env = \"TWILIO_AUTH_TOKEN\" }", "{ env = \"CANARY\" }"),
        (
            "\"https://alerts.example.com\"",
            "\"https://user:CANARY@alerts.example.com\"",
        ),
        (
            "/functions/v1/events\"",
            "/functions/v1/events?token=CANARY\"",
        ),
    ] {
        let nothing_set = |_: &str| None;
        let text = GOOD.replace(from, &to.replace("CANARY", CANARY));
        assert_ne!(text, GOOD);
        let Err(problems) = Config::parse(&text, Path::new("gateway.toml"), &nothing_set) else {
            panic!("{to}")
        };
        let printed = format!("{problems}\n{problems:?}");
        assert!(!printed.contains(CANARY), "{to}: {printed}");
    }
}

#[test]
fn file_that_holds_no_secret_is_refused_and_not_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    let text = GOOD.replace("{ env = \"ITOC360_TOKEN\" }", "{ file = \"secret\" }");
    for (content, said) in [
        (
            CANARY.repeat(6000).into_bytes(),
            "a file that is larger than 64 KiB",
        ),
        (
            [CANARY.as_bytes(), &[0xff]].concat(),
            "a file that is not UTF-8 text",
        ),
        (b"\n".to_vec(), "a file that is empty"),
        (
            format!("{CANARY}\n\n").into_bytes(),
            "has a blank or a line end at its beginning or end",
        ),
        (
            format!("\u{feff}{CANARY}").into_bytes(),
            "holds a byte order mark",
        ),
        (
            format!("a {CANARY}").into_bytes(),
            "a space, a line break or another character that no token has",
        ),
    ] {
        std::fs::write(&file, content).expect("written");
        let parsed = Config::parse(&text, &folder.path().join("gateway.toml"), &environment);
        let Err(Problems(problems)) = parsed else {
            panic!("{said}")
        };
        assert_eq!(problems.len(), 1);
        let printed = format!("{} {:?}", problems[0], problems[0]);
        assert!(
            printed.contains(said) && !printed.contains(CANARY),
            "{printed}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_plain_token_in_a_file_that_everybody_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;

    let file = tempfile::NamedTempFile::new().expect("a file");
    let plain = |text: &str| {
        text.replace("{ env = \"ITOC360_TOKEN\" }", "\"t0123456789abcdef\"")
            .replace("{ env = \"SOURCE_TOKEN\" }", "[\"t0123456789abcdef\"]")
    };
    std::fs::write(
        file.path(),
        plain(GOOD).replace("{ env = \"TWILIO_AUTH_TOKEN\" }", "1"),
    )
    .expect("written");
    for (mode, lines) in [(0o600, vec![]), (0o640, vec![]), (0o644, vec![21, 29])] {
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).expect("set");
        let config = Config::load(file.path()).expect("no problems");
        let warned: Vec<_> = config
            .warnings
            .iter()
            .filter_map(|warning| Some(warning.position?.line))
            .collect();
        let whole_file = config.sources[0].position;
        assert_eq!(
            (config.text.is_exposed(whole_file), warned),
            (mode == 0o644, lines)
        );
    }
}

#[test]
fn a_credential_is_read_from_the_folder_of_the_service() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(
        folder.path().join("itoc360-token"),
        "credential-of-the-service\n",
    )
    .expect("written");
    let text = GOOD.replace(
        "{ env = \"ITOC360_TOKEN\" }",
        "{ credential = \"itoc360-token\" }",
    );
    let with = |name: &str, value: Option<String>| {
        let env = move |asked: &str| {
            if asked == "CREDENTIALS_DIRECTORY" {
                value.clone()
            } else {
                environment(asked)
            }
        };
        Config::parse(
            &text.replace("itoc360-token", name),
            Path::new("gateway.toml"),
            &env,
        )
    };
    let here = folder.path().to_str().map(str::to_owned);
    let config = with("itoc360-token", here.clone()).expect("a configuration");
    assert_eq!(
        config.destinations[0].kind.secrets()[0].expose(),
        "credential-of-the-service"
    );
    assert_eq!(
        printed(&config.warnings),
        [""; 0],
        "its mode is systemd's to choose"
    );
    for (name, folder, said) in [
        (
            "itoc360-token",
            None,
            "names the credential itoc360-token, and CREDENTIALS_DIRECTORY is not set; add \
            LoadCredential=itoc360-token:/path/of/the/file to the systemd unit",
        ),
        (
            "other",
            here.clone(),
            "names a credential that cannot be read",
        ),
        (
            "../secret",
            here.clone(),
            "names a credential by a name that is none",
        ),
        ("", here, "names a credential by a name that is none"),
    ] {
        let Err(problems) = with(name, folder) else {
            panic!("{name}")
        };
        assert!(problems.to_string().contains(said), "{problems}");
    }
}

#[test]
fn each_secret_with_a_flaw_is_warned_of_at_its_place() {
    let text = GOOD
        .replace("{ env = \"ITOC360_TOKEN\" }", "\"your_auth_token\"")
        .replace(
            "{ env = \"SOURCE_TOKEN\" }",
            "[\"AC0123456789abcdef0123456789abcdef\", \"0123456789abcde\", \"0123456789abcdef\"]",
        );
    let config =
        Config::parse(&text, Path::new("gateway.toml"), &environment).expect("a configuration");
    let said = printed(&config.warnings);
    for (said, start) in said.iter().zip([
        "21:9: token in [destinations.itoc360] reads like the placeholder of an example;",
        "29:10: token in [sources.twilio-prod] has the form of a Twilio SID,",
        "29:48: token in [sources.twilio-prod] has fewer than 16 characters,",
    ]) {
        assert!(said.starts_with(start), "{said}");
    }
    assert_eq!(said.len(), 3, "{said:?}");
}

#[cfg(unix)]
#[test]
fn a_secret_file_that_everybody_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    std::fs::write(&file, "0123456789abcdef\n").expect("written");
    let text = GOOD.replace("{ env = \"ITOC360_TOKEN\" }", "{ file = \"secret\" }");
    for (mode, count) in [(0o640, 0), (0o644, 1)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("set");
        let config = Config::parse(&text, &folder.path().join("gateway.toml"), &environment)
            .expect("a configuration");
        assert_eq!(config.warnings.len(), count, "{:?}", config.warnings);
    }
}

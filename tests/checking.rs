//! `check`: everything that is wrong is told in one pass, each cause once, and what it means for a
//! program to read.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::harness::{Gateway, Itoc360, Output, Place, Setup, twilio};

/// A configuration in which each table has a mistake: some in the file, some that only a plugin can
/// find.
const WRONG_EVERYWHERE: &str = r#"
[gateway]
public_url = "https://gw.example.com"
listen = "nowhere"

[retention]
age = "1s"

[destinations.itoc360]
kind = "itoc360"
token = { env = "NOT_SET" }
format = "alertmanagr"

[sources.first]
plugin = "twilio-errors"
destination = "nowhere"
settings.auth_tokn = "0123456789abcdef"

[sources.second]
plugin = "twilio-errors"
destination = "itoc360"
settings = { auth_token = { env = "NOT_SET_EITHER" }, colour = "red" }

[sources.third]
plugin = "webhok"
destination = "itoc360"

[sources.fourth]
plugin = "webhook"
destination = "itoc360"
settings = { titel = "/t" }
limits.time = "1h"

[destinations.unvouched]
kind = "webhook"
url = "https://hook.example.com"
ca = "no-such.pem"

[destinations.unsigned]
kind = "webhook"
url = "https://hook.example.com"
secret = "no-secret-of-a-signature"
"#;

fn json(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[tokio::test]
async fn mistake_in_one_table_hides_none_in_another() {
    let place = Place::of(WRONG_EVERYWHERE);
    for command in ["check", "run"] {
        let output = place.run(&[command]).await;
        assert_eq!((output.code, &*output.stdout), (Some(2), ""), "{output:?}");
        for part in [
            "error: gateway.toml:4:10: listen in [gateway]",
            "error: gateway.toml:7:7: age in [retention]",
            "error: gateway.toml:11:17: token in [destinations.itoc360] names the environment variable NOT_SET, which",
            "error: gateway.toml:12:10: format in [destinations.itoc360]",
            "error: gateway.toml:16:15: destination in [sources.first]",
            "unknown setting \"auth_tokn\" in [sources.first.settings]; did you mean \"auth_token\"?",
            "auth_token in [sources.second.settings] names the environment variable NOT_SET_EITHER",
            "unknown setting \"colour\" in [sources.second.settings]",
            "there is no bundled plugin \"webhok\"",
            "unknown setting \"titel\" in [sources.fourth.settings]; did you mean \"title\"?",
            "time in [sources.fourth.limits]",
            "error: gateway.toml:34:1: [destinations.unvouched] can never be sent to: no-such.pem cannot be used",
            "error: gateway.toml:39:1: [destinations.unsigned] can never be sent to: the secret must be whsec_",
        ] {
            assert!(
                output.stderr.contains(part),
                "{part:?} is not in\n{}",
                output.stderr
            );
        }
        let count = output
            .stderr
            .lines()
            .filter(|line| line.starts_with("error: "))
            .count();
        let last = output.stderr.lines().last().unwrap();
        assert!(
            last.starts_with(&format!("{count} errors")),
            "{last} of {count}"
        );
    }
}

#[tokio::test]
async fn one_cause_in_a_thousand_sources_is_one_line() {
    let mut config =
        String::from("[gateway]\npublic_url = \"https://gw.example.com\"\nadmin = \"off\"\n");
    config += "[destinations.itoc360]\nkind = \"itoc360\"\ntoken = { env = \"ITOC360_TOKEN\" }\n";
    for number in 0..1000 {
        config += &format!(
            "[sources.s{number}]\nplugin = \"twilio-errors\"\ndestination = \"itoc360\"\n"
        );
        config += "settings.auth_token = \"0123456789abcdef\"\n";
    }
    let place = Place::of(&config);
    fs::set_permissions(place.config(), fs::Permissions::from_mode(0o644)).unwrap();
    let output = place.run(&["check"]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let said: Vec<_> = output
        .stderr
        .lines()
        .filter(|line| line.contains("auth_token"))
        .collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with(
            "warning: gateway.toml:10:23: auth_token in [sources.s0.settings] is plain text"
        ) && said[0].contains("(and so in 999 other places: lines 14, 18, 22, …)"),
        "{}",
        said[0]
    );
    assert!(
        output
            .stdout
            .starts_with("gateway.toml: can be used, with "),
        "{}",
        output.stdout
    );
    let names: Vec<_> = output
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("source "))
        .collect();
    assert_eq!(names[..3], ["s0", "s1", "s2"], "in the order of the file");
    assert_eq!(
        output
            .stdout
            .matches("to set up   as source s0, with this URL")
            .count(),
        999
    );
    let strict = place.run(&["check", "--strict"]).await;
    assert_eq!(strict.code, Some(2), "{}", strict.stderr);
}

#[tokio::test]
async fn check_speaks_json_whatever_is_wrong() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let good = place.run(&["check", "--json", "--strict"]).await;
    let document = json(&good);
    assert_eq!(
        (good.code, &document["ok"]),
        (Some(0), &true.into()),
        "{good:?}"
    );
    assert_eq!(
        document["sources"][0]["url"],
        "https://gw.example.com/in/twilio#rc=3&rp=all"
    );
    let bad = Place::of(WRONG_EVERYWHERE).run(&["check", "--json"]).await;
    let document = json(&bad);
    assert_eq!(
        (bad.code, &document["ok"], &*bad.stderr),
        (Some(2), &false.into(), "")
    );
    let first = &document["errors"][0];
    assert_eq!(
        (&first["line"], &first["column"]),
        (&4.into(), &10.into()),
        "{first}"
    );
    assert!(
        first["help"].as_str().unwrap().contains("IP address"),
        "{first}"
    );
}

#[tokio::test]
async fn check_reads_the_environment_of_the_service() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    place.write("env", "# of the service\nITOC360_TOKEN='0123456789abcdef'\nTWILIO_AUTH_TOKEN=\"fedcba9876543210\"\n");
    assert_eq!(place.run_without_secrets(&["check"]).await.code, Some(2));
    let output = place
        .run_without_secrets(&["check", "--env-file", "env"])
        .await;
    assert_eq!(output.code, Some(0), "{output:?}");
    place.write("env", "ITOC360_TOKEN\n");
    let output = place
        .run_without_secrets(&["check", "--env-file", "env"])
        .await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(
        output.stderr.contains("env: line 1 is not NAME=value"),
        "{}",
        output.stderr
    );
}

#[tokio::test]
async fn configuration_is_found_where_it_is_named_or_usual() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    fs::rename(place.config(), place.path("other.toml")).unwrap();
    // The machine that runs the tests may have a gateway of its own.
    let is_installed = std::path::Path::new("/etc/alert-gateway/gateway.toml").exists();
    for command in [
        &["check"][..],
        &["run"],
        &["events", "list"],
        &["events", "show", "x"],
        &["store", "check"],
    ] {
        let output = place.run(command).await;
        let said = output
            .stderr
            .contains("neither gateway.toml in this folder nor /etc/alert-gateway/gateway.toml");
        assert!(
            is_installed || said && output.code == Some(2),
            "{command:?}: {output:?}"
        );
    }
    let named = place
        .run_with(&["check"], [("ALERT_GATEWAY_CONFIG", "other.toml")])
        .await;
    assert!(
        named.code == Some(0) && named.stdout.starts_with("other.toml: configuration OK"),
        "{named:?}"
    );
    let both = place
        .run_with(
            &["check", "--config", "none.toml"],
            [("ALERT_GATEWAY_CONFIG", "other.toml")],
        )
        .await;
    assert!(
        both.code == Some(2) && both.stderr.contains("none.toml"),
        "{both:?}"
    );
}

#[tokio::test]
async fn open_data_is_told_by_check_and_repaired_at_the_start() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    gateway.stop().await;
    let mode = |name: &str| place.path(name).metadata().unwrap().permissions().mode() & 0o777;
    let open = |name: &str, mode| {
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap()
    };
    open("data", 0o755);
    open("data/gateway.db", 0o644);
    open("data/lock", 0o666);
    let checked = place.run(&["check"]).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    for part in [
        "data can be read or written by other users of this machine (mode 0755)",
        "gateway.db can be",
        "lock can",
    ] {
        assert!(
            checked.stderr.contains(part),
            "{part:?} is not in\n{}",
            checked.stderr
        );
    }
    let mut gateway = Gateway::ready(place.launch(&["run"])).await;
    let log = gateway.log("the repair", |line| {
        let is_it = line["path"].as_str()?.ends_with("gateway.db");
        is_it.then(|| line["message"].as_str().unwrap().to_owned())
    });
    assert!(log.await.ends_with("its mode is 0600 now"));
    assert_eq!(
        ["data", "data/gateway.db", "data/lock"].map(mode),
        [0o700, 0o600, 0o600]
    );
    assert_eq!(place.run(&["check", "--strict"]).await.code, Some(0));
}

#[tokio::test]
async fn data_for_everybody_is_refused() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    fs::create_dir(place.path("data")).unwrap();
    fs::set_permissions(place.path("data"), fs::Permissions::from_mode(0o1777)).unwrap();
    let refused = place.run(&["run"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("is a folder for everybody (mode 1777)"),
        "{}",
        refused.stderr
    );
    let checked = place.run(&["check"]).await;
    assert!(
        checked.code == Some(2) && checked.stderr.contains("is a folder for everybody"),
        "{checked:?}"
    );
}

#[tokio::test]
async fn source_that_is_not_there_is_answered_with_those_that_are() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, _gateway) = Setup::new(&itoc360).twilio("other").start().await;
    let output = place
        .run_without_secrets(&["events", "list", "--source", "twillio"])
        .await;
    assert_eq!((output.code, &*output.stdout), (Some(2), ""), "{output:?}");
    let said = "the sources are twilio, other and alert-gateway; did you mean \"twilio\"?";
    assert!(output.stderr.contains(said), "{}", output.stderr);
    let none = place
        .run_without_secrets(&["events", "list", "--source", "other"])
        .await;
    assert_eq!((none.code, &*none.stdout), (Some(0), "no events\n"));
    let state = place
        .run_without_secrets(&["events", "list", "--state", "waiting"])
        .await;
    assert_eq!(state.code, Some(2), "{state:?}");
    assert!(
        state.stderr.contains("did you mean \"pending\"?"),
        "{}",
        state.stderr
    );
}

#[tokio::test]
async fn demo_shows_every_bundled_plugin() {
    for plugin in alert_gateway_plugins::all() {
        let output = Place::of("")
            .run_without_secrets(&["demo", "--plugin", plugin.name])
            .await;
        assert_eq!(output.code, Some(0), "{}: {output:?}", plugin.name);
        assert!(
            output.stdout.contains("\nreceipt   "),
            "{}: {}",
            plugin.name,
            output.stdout
        );
    }
    let unknown = Place::of("")
        .run_without_secrets(&["demo", "--plugin", "webhok"])
        .await;
    assert!(
        unknown.code == Some(2) && unknown.stderr.contains("did you mean \"webhook\"?"),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn root_reads_the_store_as_its_owner() {
    use std::os::unix::fs::{MetadataExt, chown};

    const OTHER: u32 = 12345;
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    gateway.stop().await;
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["data", "data/gateway.db", "data/lock"] {
            chown(place.path(name), Some(OTHER), Some(OTHER)).unwrap();
        }
    }
    let sid = twilio::sid(1);
    assert_eq!(place.list(&[]).await.len(), 1);
    let exported = place
        .run_without_secrets(&["events", "export", &sid, "--case", "one"])
        .await;
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let this_user = rustix::process::geteuid().as_raw();
    assert_eq!(
        place.path("cases/one.http").metadata().unwrap().uid(),
        this_user,
        "the case belongs to who asked"
    );
    // Root could read it nevertheless, and its owner cannot.
    fs::set_permissions(
        place.path("data/gateway.db"),
        fs::Permissions::from_mode(0o000),
    )
    .unwrap();
    for command in [
        &["events", "list"][..],
        &["events", "show", &sid],
        &["events", "replay", &sid],
        &["store", "check"],
    ] {
        let output = place.run_without_secrets(command).await;
        assert_eq!(
            output.code,
            Some(1),
            "{command:?} as root, {is_root}: {output:?}"
        );
    }
    if is_root {
        let run = place.run(&["run"]).await;
        let said = format!("belongs to user {OTHER}, and the gateway runs as user 0");
        assert!(run.code == Some(1) && run.stderr.contains(&said), "{run:?}");
    }
}

//! The log: its filter changes while the gateway runs, and the journal of systemd is told levels.

use std::process::Command;

use hyper::Method;
use serde_json::Value;

use crate::harness::{Itoc360, Place, Process, Setup, program, twilio, until, with_secrets};

const TOKEN: &str = "admin-token-4f1c9a7e2b";

#[tokio::test]
async fn filter_of_the_log_changes_without_a_restart() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360)
        .gateway(&format!("admin_token = \"{TOKEN}\""))
        .start()
        .await;
    let level = async |more: &[&str]| {
        let arguments = [&["log-level"], more].concat();
        place.run_without_secrets(&arguments).await
    };
    assert_eq!(level(&[]).await.stdout, "info\n");
    gateway
        .post(&twilio::unsigned("/in/twilio", "a=b"))
        .await
        .is_problem(401);
    assert!(
        !gateway.logged().contains("\"DEBUG\""),
        "{}",
        gateway.logged()
    );
    let debug = "info,alert_gateway=debug";
    assert_eq!(level(&[debug]).await.stdout, format!("{debug}\n"));
    assert_eq!(level(&[]).await.stdout, format!("{debug}\n"));
    gateway
        .post(&twilio::unsigned("/in/twilio", "a=b"))
        .await
        .is_problem(401);
    until("a line of the lower level", async || {
        gateway.logged().contains("\"DEBUG\"").then_some(())
    })
    .await;
    let wrong = level(&["loud"]).await;
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong.stderr.contains("\"loud\" is no level"),
        "{}",
        wrong.stderr
    );

    // Over the API the same; and only an operator may.
    let url = format!("http://{}", gateway.admin);
    let remotely = ["--reset", "--remote", &url, "--token", TOKEN];
    let reset = level(&remotely).await;
    assert_eq!(
        (reset.code, &*reset.stdout),
        (Some(0), "info\n"),
        "{}",
        reset.stderr
    );
    let nobody = gateway.admin(Method::POST, "/api/v1/log").await;
    assert_eq!(nobody.status, 401);
    let audit = place.run_without_secrets(&["audit", "--json"]).await.stdout;
    let entries: Vec<Value> = audit
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told = |entry: &Value| (entry["action"].clone(), entry["about"].clone());
    assert_eq!(
        entries.iter().map(told).collect::<Vec<_>>(),
        [
            ("log-level".into(), "info".into()),
            ("log-level".into(), debug.into())
        ]
    );
}

/// Starts the gateway with a standard error that is a stream of the journal, as systemd says it.
fn in_a_journal(place: &Place, options: &str) -> Process {
    let mut command: Command = program("sh");
    let script = format!(
        "JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec '{}' run {options}",
        env!("CARGO_BIN_EXE_alert-gateway")
    );
    command.current_dir(place.path("")).args(["-c", &script]);
    Process::start(with_secrets(command))
}

#[tokio::test]
async fn journal_is_told_levels_and_no_second_time() {
    let itoc360 = Itoc360::alertmanager().await;
    for (options, beginnings) in [
        ("", ["<6>{\"level\":\"INFO\"", "<4>{\"level\":\"WARN\""]),
        ("--log-format text", ["<6> INFO ", "<4> WARN "]),
    ] {
        // A secret that others can read is worth a warning.
        let place = Setup::new(&itoc360).place();
        let mut permissions = std::fs::metadata(place.config()).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
        std::fs::set_permissions(place.config(), permissions).unwrap();
        let process = in_a_journal(&place, options);
        let logged = until("it is ready", async || {
            let logged = process.logged();
            logged.contains("ready").then_some(logged)
        })
        .await;
        assert!(logged.contains(beginnings[0]), "{logged}");
        for line in logged.lines() {
            assert!(
                beginnings
                    .iter()
                    .any(|beginning| line.starts_with(beginning)),
                "{line}"
            );
            assert!(!line.contains("timestamp"), "{line}");
        }
        process.terminate();
        process.output().await;
    }
}

#[tokio::test]
async fn first_start_compiles_plugins_in_another_process() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let mut command: Command = program(env!("CARGO_BIN_EXE_alert-gateway"));
    command
        .current_dir(place.path(""))
        .args(["run", "--log", "info,alert_gateway_sandbox=debug"]);
    let process = Process::start(with_secrets(command));
    let logged = until("it is ready", async || {
        let logged = process.logged();
        logged.contains("ready").then_some(logged)
    })
    .await;
    // What it says where it had to compile by itself.
    assert!(!logged.contains("compiled in this process"), "{logged}");
    let cached = std::fs::read_dir(place.path("data/cache")).unwrap();
    assert_eq!(cached.count(), 1);
    process.terminate();
    process.output().await;
}

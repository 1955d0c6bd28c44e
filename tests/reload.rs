//! Hot reload while requests come in: by SIGHUP, by the command, and when the file of a secret has
//! changed. The whole configuration is applied or nothing, and no request notices.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use plugin_sdk::signature::sha256;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;

use crate::harness::{
    Gateway, Itoc360, Load, PATIENCE, Place, Post, Setup, each_opened_once, events, plugin, read,
    twilio, until,
};

mod destinations;

const TAKEN_UP: &str = "alert_gateway_reloads_total{outcome=\"taken_up\"}";
const REFUSED: &str = "alert_gateway_reloads_total{outcome=\"refused\"}";

/// Writes another configuration.
fn change(place: &Place, change: impl FnOnce(String) -> String) {
    let before = std::fs::read_to_string(place.config()).unwrap();
    let after = change(before.clone());
    assert_ne!(before, after);
    place.write("gateway.toml", after);
}

/// Returns the tables of one more source.
fn with_source(name: &str) -> String {
    format!(
        "\n[sources.{name}]\nplugin = \"twilio-errors\"\ndestination = \"itoc360\"\n\
         settings.auth_token = {{ env = \"TWILIO_AUTH_TOKEN\" }}\n"
    )
}

/// Reloads, and waits until `times` reloads have been applied.
async fn taken_up(gateway: &Gateway, times: usize) {
    gateway.hang_up();
    gateway
        .metric(TAKEN_UP, |count| count == times as f64)
        .await;
}

/// Reloads, waits for the refusal, and returns its reason.
async fn refused(gateway: &mut Gateway) -> String {
    gateway.hang_up();
    let why = |line: &Value| {
        (line["outcome"] == "refused").then(|| line["why"].as_str().unwrap().to_owned())
    };
    let why = gateway.log("a configuration is refused", why).await;
    gateway.metric(REFUSED, |count| count == 1.0).await;
    assert_eq!(gateway.metrics().await[TAKEN_UP], 0.0);
    why
}

fn event(number: usize, source: &str) -> Post {
    twilio::error(&twilio::sid(number)).to(source)
}

#[tokio::test]
async fn added_source_answers_and_removed_one_is_404() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, mut gateway) = Setup::new(&itoc360).start().await;
    gateway.post(&event(1, "new")).await.is_problem(404);
    change(&place, |text| text + &with_source("new"));
    taken_up(&gateway, 1).await;
    gateway.accept(&event(1, "new")).await;
    gateway.accept(&event(2, "twilio")).await;
    let line = gateway
        .log("what is new", |line| {
            (line["new"] == "new").then(|| line.clone())
        })
        .await;
    assert_eq!(
        (&line["sources"], &line["gone"]),
        (&2.into(), &"".into()),
        "{line}"
    );

    change(&place, |text| {
        text.replace("[sources.twilio]", "[sources.other]")
    });
    taken_up(&gateway, 2).await;
    gateway.post(&event(3, "twilio")).await.is_problem(404);
    // Earlier events are still known as duplicates, and no source's URL is logged twice.
    let again = gateway.post(&event(1, "new")).await;
    assert_eq!(
        (again.status, &again.json()["duplicates"]),
        (200, &1.into())
    );
    itoc360.opens_only(2).await;
    let said = gateway.stop().await.stderr;
    for source in ["twilio", "new", "other"] {
        let url = format!(
            "paste this URL at the sender: {}/in/{source}#",
            twilio::PUBLIC_URL
        );
        assert_eq!(said.matches(&url).count(), 1, "{source}: {said}");
    }
}

#[tokio::test]
async fn changed_token_file_of_a_source_counts_without_a_signal() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360)
        .file("token", "canary-old\n")
        .plugin(
            "parrot",
            &plugin::parrot_of_strangers(),
            "token = { file = \"token\" }",
        )
        .start()
        .await;
    let post = |event_id: &str, token: &str| {
        plugin::alerts("parrot", &[plugin::alert(event_id)])
            .header("Authorization", &format!("Bearer {token}"))
    };
    gateway.accept(&post("1", "canary-old")).await;
    place.write("token", "canary-new\n");
    until("the new token counts", async || {
        let answer = gateway.post(&post("2", "canary-new")).await;
        (answer.status == 200).then_some(())
    })
    .await;
    gateway.post(&post("3", "canary-old")).await.is_problem(403);
}

#[tokio::test]
async fn rate_limit_survives_a_reload_unless_it_changes() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360)
        .plugin("parrot", &plugin::parrot(), "limits.rate = \"2/h\"")
        .start()
        .await;
    let post = |event_id: &str| plugin::alerts("parrot", &[plugin::alert(event_id)]);
    gateway.accept(&post("1")).await;
    taken_up(&gateway, 1).await;
    gateway.accept(&post("2")).await;
    taken_up(&gateway, 2).await;
    gateway.post(&post("3")).await.is_problem(429);
    change(&place, |text| text.replace("2/h", "3/h"));
    taken_up(&gateway, 3).await;
    gateway.accept(&post("3")).await;
}

#[tokio::test]
async fn broken_configuration_is_refused_with_every_problem() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, mut gateway) = Setup::new(&itoc360).start().await;
    let broken =
        with_source("new").replace("twilio-errors", "twilio-errers") + "colour = \"red\"\n";
    change(&place, |text| text + &with_source("fine") + &broken);
    // A mistake in the file hides those that only a plugin can find.
    let lines = |what: &str| {
        let text = std::fs::read_to_string(place.config()).unwrap();
        1 + text.lines().position(|line| line.contains(what)).unwrap()
    };
    let colour = format!("gateway.toml:{}:1: unknown key \"colour\"", lines("colour"));
    assert!(refused(&mut gateway).await.contains("told above"));
    assert!(
        gateway.logged().contains(&colour.replace('"', "\\\"")),
        "{colour}"
    );

    change(&place, |text| {
        text.replace("colour = \"red\"\n", "")
            + &with_source("old").replace("auth_token", "auth_tokn")
    });
    gateway.hang_up();
    gateway.metric(REFUSED, |count| count == 2.0).await;
    let places = [
        format!(
            "gateway.toml:{}:10: there is no bundled plugin",
            lines("twilio-errers")
        ),
        format!("gateway.toml:{}:10: unknown setting", lines("auth_tokn")),
    ];
    for place in places {
        let problem = |line: &Value| line["message"].as_str()?.contains(&place).then_some(());
        gateway.log(&place, problem).await;
    }
    for gone in ["new", "fine", "old"] {
        gateway.post(&event(1, gone)).await.is_problem(404);
    }
    gateway.accept(&event(1, "twilio")).await;
}

#[tokio::test]
async fn exchanged_pinned_plugin_is_refused_at_reload_and_start() {
    let itoc360 = Itoc360::alertmanager().await;
    let pin = format!(
        "plugin = {{ path = \"pinned.wasm\", sha256 = \"{}\" }}",
        sha256(&plugin::parrot()).hex()
    );
    let (place, mut gateway) = Setup::new(&itoc360)
        .file("pinned.wasm", plugin::parrot())
        .source("pinned", &pin)
        .start()
        .await;
    let post = |event_id: &str| plugin::alerts("pinned", &[plugin::alert(event_id)]);
    gateway.accept(&post("1")).await;

    place.write("pinned.wasm", plugin::hostile("(unreachable)"));
    let text = std::fs::read_to_string(place.config()).unwrap();
    let line = 1 + text
        .lines()
        .position(|line| line.contains("sha256"))
        .unwrap();
    let problem = format!("gateway.toml:{line}:10: ");
    refused(&mut gateway).await;
    let said = gateway
        .log("the file is another", |line| {
            let message = line["message"].as_str()?;
            message
                .contains("is not the file that its sha256 names")
                .then(|| message.to_owned())
        })
        .await;
    assert!(said.starts_with(&problem), "{said}");
    gateway.accept(&post("2")).await;
    assert_eq!(gateway.stop().await.code, Some(0));

    let started = place.run(&["run"]).await;
    assert_eq!(started.code, Some(2));
    assert!(
        started.stderr.contains(&said) && !started.stderr.contains("\"ready\""),
        "{}",
        started.stderr
    );

    // An operator who trusts the new file pins it.
    let changed = sha256(&plugin::hostile("(unreachable)")).hex();
    assert!(said.contains(&changed), "{said}");
    place.write("pinned.wasm", plugin::parrot());
    let gateway = place.start().await;
    place.write("pinned.wasm", plugin::hostile("(unreachable)"));
    change(&place, |text| {
        text.replace(&sha256(&plugin::parrot()).hex(), &changed)
    });
    taken_up(&gateway, 1).await;
    assert_eq!(gateway.post(&post("3")).await.status, 202);
}

#[tokio::test]
async fn change_that_needs_a_restart_is_named_and_not_applied() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, mut gateway) = Setup::new(&itoc360).start().await;
    change(&place, |text| {
        let text = text.replace(
            "token = { env = \"ITOC360_TOKEN\" }",
            "token = \"canary-of-a-new-one\"",
        );
        text.replace("[limits]", "shutdown_grace = \"11s\"\n\n[limits]")
            + "\n[retention]\nage = \"9d\"\n"
            + &with_source("new")
    });
    let why = refused(&mut gateway).await;
    assert_eq!(
        why,
        "what has changed in [gateway] and [retention] needs a restart, and a restart loses nothing"
    );
    gateway.post(&event(1, "new")).await.is_problem(404);
    gateway.accept(&event(1, "twilio")).await;
    itoc360.opens_only(1).await;
    assert!(!gateway.stop().await.stderr.contains("canary-of"));
}

#[tokio::test]
async fn request_ends_with_the_source_it_began_with() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).twilio("going").start().await;
    let post = event(1, "going");
    let mut connection = gateway.connect().await;
    let more = format!(
        "Content-Length: {}\r\nExpect: 100-continue\r\n",
        post.body.len()
    );
    connection
        .write_all(&post.clone().body("").wire(&more))
        .await
        .unwrap();
    let mut line = String::new();
    BufReader::new(&mut connection)
        .read_line(&mut line)
        .await
        .unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");

    change(&place, |text| {
        text.split("\n[sources.going]").next().unwrap().to_owned()
    });
    taken_up(&gateway, 1).await;
    gateway.post(&event(2, "going")).await.is_problem(404);
    connection.write_all(&post.body).await.unwrap();
    connection
        .write_all(b"POST /in/going HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let answers = read(connection).await;
    assert!(
        answers.contains("HTTP/1.1 200 OK") && answers.contains("\"accepted\":1"),
        "{answers}"
    );
    // The next one on the same connection meets what is configured now.
    assert!(answers.contains("HTTP/1.1 404 Not Found"), "{answers}");
    itoc360.opens_only(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_reloads_under_load_lose_and_repeat_nothing() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    let waiting = events(1_000_000);
    let mut load = Load::on(&gateway, &waiting);
    for reload in 1..=10 {
        load.accepted_beyond(20).await;
        let limits = |size: usize| format!("[limits]\nbody = \"{size}KiB\"\n");
        change(&place, |text| {
            let text = text
                .replace(&limits(99 + reload), "[limits]\n")
                .replace("[limits]\n", &limits(100 + reload));
            if reload % 2 == 1 {
                text + &with_source("second")
            } else {
                text.replace(&with_source("second"), "")
            }
        });
        taken_up(&gateway, reload).await;
        let second = gateway.post(&event(0, "second").body("")).await;
        second.is_problem(if reload % 2 == 1 { 403 } else { 404 });
    }
    load.accepted_beyond(20).await;
    let count = {
        let mut waiting = waiting.lock();
        let next = *waiting.front().unwrap();
        waiting.clear();
        next
    };
    let answered = load.until(|answered| answered.accepted >= count).await;
    assert_eq!((answered.accepted, answered.broken), (count, 0));
    assert!(load.end().await);
    println!("{count} events during ten reloads");
    each_opened_once(&itoc360, &place, count).await;
}

/// Starts a gateway whose reload blocks: it reads the token of a source from a pipe.
async fn reading_a_pipe(itoc360: &Itoc360) -> (Place, Gateway, std::fs::File) {
    let (place, gateway) = Setup::new(itoc360)
        .file("token", "canary-token")
        .plugin(
            "parrot",
            &plugin::parrot_of_strangers(),
            "token = { file = \"token\" }",
        )
        .start()
        .await;
    let pipe = place.path("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    change(&place, |text| text.replace("\"token\"", "\"pipe\""));
    gateway.hang_up();
    // Opening for writing returns as soon as the gateway reads.
    let opened = tokio::task::spawn_blocking(|| OpenOptions::new().write(true).open(pipe).unwrap());
    let pipe = timeout(PATIENCE, opened)
        .await
        .expect("the token is never read")
        .unwrap();
    (place, gateway, pipe)
}

#[tokio::test]
async fn signal_during_a_reload_leads_to_another() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway, mut pipe) = reading_a_pipe(&itoc360).await;
    // The file was read already, so only another reload can find this.
    change(&place, |text| {
        text.replace("\"pipe\"", "\"token\"") + &with_source("late")
    });
    gateway.hang_up();
    gateway.accept(&event(1, "twilio")).await;
    pipe.write_all(b"canary-other").unwrap();
    drop(pipe);
    gateway.metric(TAKEN_UP, |count| count == 2.0).await;
    gateway.accept(&event(2, "late")).await;
}

#[tokio::test]
async fn stop_does_not_wait_for_a_reload() {
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway, pipe) = reading_a_pipe(&itoc360).await;
    gateway.accept(&event(1, "twilio")).await;
    let stopped = gateway.stop().await;
    assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
    assert!(
        stopped
            .stderr
            .contains("stopped; all that was accepted is on disk"),
        "{}",
        stopped.stderr
    );
    drop(pipe);
    assert_eq!(place.list(&[]).await.len(), 1);
}

#[tokio::test]
async fn reload_command_waits_for_the_outcome_with_admin_off() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let stopped = place.run(&["reload"]).await;
    assert_eq!(stopped.code, Some(1));
    assert!(
        stopped
            .stderr
            .contains("no gateway runs with the data directory"),
        "{}",
        stopped.stderr
    );

    change(&place, |text| {
        text.replace("admin = \"127.0.0.1:0\"", "admin = \"off\"")
    });
    let mut process = place.launch(&["run"]);
    let ready = |line: &Value| (line["message"] == "ready").then_some(());
    process.log("ready", ready).await;
    change(&place, |text| text + &with_source("new"));
    let reloaded = place.run_without_secrets(&["reload"]).await;
    assert_eq!(
        (reloaded.code, &*reloaded.stdout),
        (Some(0), "reloaded: 2 sources, 1 destination\n"),
        "{}",
        reloaded.stderr
    );

    // Two mistakes, both of which are named, and a change that needs a restart.
    let good = std::fs::read_to_string(place.config()).unwrap();
    change(&place, |text| {
        text + "colour = \"red\"\n" + &with_source("old").replace("auth_token", "auth_tokn")
    });
    let refused = place.run_without_secrets(&["reload"]).await;
    assert_eq!((refused.code, &*refused.stdout), (Some(1), ""));
    assert!(
        refused.stderr.contains("unknown key \"colour\"")
            && refused.stderr.contains("all goes on as it was"),
        "{}",
        refused.stderr
    );
    place.write(
        "gateway.toml",
        good.replace("[limits]", "shutdown_grace = \"11s\"\n[limits]"),
    );
    let refused = place.run_without_secrets(&["reload"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("[gateway] needs a restart"),
        "{}",
        refused.stderr
    );
    process.terminate();
    assert_eq!(process.output().await.code, Some(0));
    assert!(!place.path("data/control.sock").exists());
}

#[tokio::test]
async fn metrics_say_whether_the_last_reload_succeeded() {
    const SUCCESSFUL: &str = "alert_gateway_config_last_reload_successful";
    const SUCCESS: &str = "alert_gateway_config_last_reload_success_timestamp_seconds";
    let itoc360 = Itoc360::alertmanager().await;
    let (place, mut gateway) = Setup::new(&itoc360).start().await;
    let start = gateway.metrics().await;
    assert_eq!(start[SUCCESSFUL], 1.0);
    change(&place, |text| text + "colour = \"red\"\n");
    refused(&mut gateway).await;
    let after = gateway.metrics().await;
    assert_eq!((after[SUCCESSFUL], after[SUCCESS]), (0.0, start[SUCCESS]));
    change(&place, |text| text.replace("colour = \"red\"\n", ""));
    taken_up(&gateway, 1).await;
    let after = gateway.metrics().await;
    assert!(after[SUCCESSFUL] == 1.0 && after[SUCCESS] > start[SUCCESS]);
}

#[tokio::test]
async fn systemd_hears_of_start_reload_watchdog_and_stop() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let path = place.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let next = move |prefix: &str| loop {
        let mut bytes = [0; 4096];
        let length = socket.recv(&mut bytes).unwrap();
        let said = String::from_utf8(bytes[..length].to_vec()).unwrap();
        if said.starts_with(prefix) {
            return said;
        }
        assert_eq!(said.trim_end(), "WATCHDOG=1", "before {prefix}");
    };
    let mut command = place.launch_with(
        &["run"],
        [
            ("NOTIFY_SOCKET", path.to_str().unwrap()),
            ("WATCHDOG_USEC", "100000"),
        ],
    );
    assert!(next("READY=1").contains("STATUS=1 source, 1 destination"));
    next("WATCHDOG=1");
    command.hang_up();
    let reloading = next("RELOADING=1");
    let now = reloading.split_once("MONOTONIC_USEC=").unwrap().1;
    assert!(now.trim_end().parse::<u64>().is_ok(), "{reloading}");
    next("READY=1");
    // One that is refused ends as well.
    change(&place, |text| text + "colour = \"red\"\n");
    command.hang_up();
    next("RELOADING=1");
    assert!(next("READY=1").contains("refused"));
    let ready = |line: &Value| (line["message"] == "ready").then_some(());
    command.log("ready", ready).await;
    command.terminate();
    next("STOPPING=1");
    assert_eq!(command.output().await.code, Some(0));
}

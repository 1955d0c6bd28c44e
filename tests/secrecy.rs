//! No secret is in anything that the program says, in whatever command, log, page or answer.

use itoc360_double::Reply;

use crate::harness::{ITOC360_TOKEN, Itoc360, Post, Setup, plugin, twilio};

const SOURCE_TOKEN: &str = "canary-of-a-source-91aa";

/// Words that begin every secret of these tests.
const CANARY: &str = "canary";

#[tokio::test]
async fn no_secret_is_in_anything_that_is_said() {
    let itoc360 = Itoc360::alertmanager().await;
    // An ITOC360, or what stands between, that repeats what it was sent.
    itoc360.answers(|number| match number {
        1 => Reply::error(400, &format!("no such token: {ITOC360_TOKEN}")),
        2 => Reply::error(500, &format!("Bearer {ITOC360_TOKEN} failed")),
        _ => Reply::Ok,
    });
    let place = Setup::new(&itoc360)
        .plugin("parrot", &plugin::parrot_of_strangers(), "token = { env = \"TWILIO_AUTH_TOKEN\" }")
        .source(
            "by-file",
            &format!("plugin = {{ path = \"parrot.wasm\" }}\ntoken = [{{ file = \"token\" }}, \"{SOURCE_TOKEN}\"]"),
        )
        .place();
    place.write("token", format!("{SOURCE_TOKEN}-file\n"));
    let mut said = Vec::new();

    let mut gateway = crate::harness::Gateway::ready({
        let mut process = place.launch(&["run", "--log", "trace"]);
        process.wait_for_lines(1).await;
        process
    })
    .await;
    let first = gateway.accept(&twilio::error(&twilio::sid(1)).to("twilio")).await;
    place.event_in_state(&first, "set_aside").await;
    let second = gateway.accept(&twilio::error(&twilio::sid(2)).to("twilio")).await;
    place.event_in_state(&second, "delivered").await;
    let post = |path: &str| Post { path: path.to_owned(), ..plugin::alerts("parrot", &[plugin::alert(path)]) };
    gateway
        .accept(
            &post(&format!("/in/parrot?token={}", twilio::AUTH_TOKEN))
                .body(plugin::alerts("", &[plugin::alert("1")]).body),
        )
        .await;
    let by_file = plugin::alerts("by-file", &[plugin::alert("2")]);
    gateway.accept(&by_file.clone().header("Authorization", &format!("Bearer {SOURCE_TOKEN}-file"))).await;
    for refused in [
        twilio::error(&twilio::sid(3)).signed("twilio", "another"),
        twilio::unsigned(format!("/in/twilio?token={SOURCE_TOKEN}"), "a=b").header("X-Twilio-Signature", "AAAA"),
        by_file.clone().header("Authorization", &format!("Bearer {SOURCE_TOKEN}-wrong")),
        post(&format!("/in/nobody?token={SOURCE_TOKEN}")),
    ] {
        let answer = gateway.post(&refused).await;
        said.push(format!("{} {:?}", answer.body, answer.headers));
    }
    for page in ["/", "/healthz", "/readyz", "/metrics", "/nothing"] {
        said.push(gateway.admin(hyper::Method::GET, page).await.body);
    }
    let request =
        place.write("request.http", b"POST https://gw.example.com/in/twilio HTTP/1.1\r\n\r\nSid=NO1".as_slice());
    for arguments in [
        &["check"][..],
        &["check", "--log", "trace"],
        &["run", "--log", "trace"],
        &["try", "--source", "twilio", request.to_str().unwrap(), "--log", "trace"],
        &["events", "list"],
        &["events", "list", "--json"],
        &["events", "show", &first],
        &["events", "show", &first, "--json"],
        &["events", "show", &second, "--log", "trace"],
        &["events", "replay", "--set-aside"],
    ] {
        let output = place.run(arguments).await;
        said.push(format!("{} {}", output.stdout, output.stderr));
    }
    gateway.log("the replay", |line| line["message"].as_str()?.contains("sent again").then_some(())).await;
    itoc360.opens_only(4).await;
    // The same with the secrets wrong: what is refused is not shown either.
    let broken = std::fs::read_to_string(place.config()).unwrap().replace(
        "plugin = \"twilio-errors\"",
        "plugin = \"twilio-errors\"\nsettings.other = \"canary-5\"\nx = \"canary-6\"",
    );
    let broken = place.write("broken.toml", broken.replace(SOURCE_TOKEN, "canary\\u0007 with a control character"));
    let output = place.run(&["check", "--config", broken.to_str().unwrap()]).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    said.push(output.stderr);
    let ended = gateway.stop().await;
    assert!(ended.stderr.lines().count() > 20, "a log at trace is long: {}", ended.stderr);
    said.extend([ended.stdout, ended.stderr]);

    for text in said {
        if let Some(line) = text.lines().find(|line| line.contains(CANARY)) {
            panic!("a secret is shown: {line}");
        }
    }
}

#[tokio::test]
async fn what_is_kept_on_disk_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let gateway = place.start_with_an_open_umask().await;
    gateway.accept(&twilio::error(&twilio::sid(1)).to("twilio")).await;
    let (mut folders, mut files) = (vec![place.path("data")], Vec::new());
    while let Some(folder) = folders.pop() {
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700, "{}", folder.display());
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", entry.display());
            files.push(entry.strip_prefix(place.path("data")).unwrap().display().to_string());
        }
    }
    for expected in ["gateway.db", "gateway.db-wal", "gateway.db-shm", "lock", ".cwasm"] {
        assert!(files.iter().any(|file| file.ends_with(expected)), "{expected} is not among {files:?}");
    }
}

//! No secret is in anything that the program says, in whatever command, log, page or answer.

use base64::{Engine, engine::general_purpose::STANDARD};
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
    let panics = plugin::panicking(&format!("I was given {SOURCE_TOKEN}"));
    let place = Setup::new(&itoc360)
        .plugin("parrot", &plugin::parrot_of_strangers(), "token = { env = \"TWILIO_AUTH_TOKEN\" }")
        .plugin("panics", &panics, &format!("token = \"{SOURCE_TOKEN}\""))
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
    let first = gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    place.event_in_state(&first, "dead").await;
    let second = gateway
        .accept(&twilio::error(&twilio::sid(2)).to("twilio"))
        .await;
    place.event_in_state(&second, "delivered").await;
    let post = |path: &str| Post {
        path: path.to_owned(),
        ..plugin::alerts("parrot", &[plugin::alert(path)])
    };
    gateway
        .accept(
            &post(&format!("/in/parrot?token={}", twilio::AUTH_TOKEN))
                .body(plugin::alerts("", &[plugin::alert("1")]).body),
        )
        .await;
    let by_file = plugin::alerts("by-file", &[plugin::alert("2")]);
    gateway
        .accept(
            &by_file
                .clone()
                .header("Authorization", &format!("Bearer {SOURCE_TOKEN}-file")),
        )
        .await;
    for refused in [
        twilio::error(&twilio::sid(3)).signed("twilio", "another"),
        twilio::unsigned(format!("/in/twilio?token={SOURCE_TOKEN}"), "a=b")
            .header("X-Twilio-Signature", "AAAA"),
        by_file
            .clone()
            .header("Authorization", &format!("Bearer {SOURCE_TOKEN}-wrong")),
        post(&format!("/in/nobody?token={SOURCE_TOKEN}")),
    ] {
        let answer = gateway.post(&refused).await;
        said.push(format!("{} {:?}", answer.body, answer.headers));
    }
    for page in ["/", "/healthz", "/readyz", "/metrics", "/nothing"] {
        said.push(gateway.admin(hyper::Method::GET, page).await.body);
    }
    let request = place.write(
        "request.http",
        b"POST https://gw.example.com/in/twilio HTTP/1.1\r\n\r\nSid=NO1".as_slice(),
    );
    for arguments in [
        &["check"][..],
        &["check", "--log", "trace"],
        &["run", "--log", "trace"],
        &[
            "try",
            "--source",
            "twilio",
            request.to_str().unwrap(),
            "--log",
            "trace",
        ],
        &["events", "list"],
        &["events", "list", "--json"],
        &["events", "show", &first],
        &["events", "show", &first, "--json"],
        &["events", "show", &second, "--log", "trace"],
        &["events", "replay", "--dead"],
    ] {
        let output = place.run(arguments).await;
        said.push(format!("{} {}", output.stdout, output.stderr));
    }
    gateway
        .log("the replay", |line| {
            line["message"]
                .as_str()?
                .contains("sent again")
                .then_some(())
        })
        .await;
    itoc360.opens_only(4).await;
    let proved =
        plugin::alerts("panics", &[]).header("Authorization", &format!("Bearer {SOURCE_TOKEN}"));
    let failed = gateway.post(&proved).await;
    assert_eq!(failed.status, 202, "{failed:?}");
    let kept: serde_json::Value = serde_json::from_str(&failed.body).unwrap();
    let kept = kept["request"].as_str().unwrap();
    let output = place.run(&["events", "show", kept]).await;
    assert!(output.stdout.contains("I was given"), "{output:?}");
    said.push(output.stdout);
    // The same with the secrets wrong: what is refused is not shown either.
    let broken = std::fs::read_to_string(place.config()).unwrap().replace(
        "plugin = \"twilio-errors\"",
        "plugin = \"twilio-errors\"\nsettings.other = \"canary-5\"\nx = \"canary-6\"",
    );
    let broken = place.write(
        "broken.toml",
        broken.replace(SOURCE_TOKEN, "canary\\u0007 with a control character"),
    );
    let output = place
        .run(&["check", "--config", broken.to_str().unwrap()])
        .await;
    assert_eq!(output.code, Some(2), "{output:?}");
    said.push(output.stderr);
    let ended = gateway.stop().await;
    assert!(
        ended.stderr.lines().count() > 20,
        "a log at trace is long: {}",
        ended.stderr
    );
    said.extend([ended.stdout, ended.stderr]);

    for text in said {
        if let Some(line) = text.lines().find(|line| line.contains(CANARY)) {
            panic!("a secret is shown: {line}");
        }
    }
}

/// The spellings of a token that senders, proxies and frameworks write.
fn spellings(token: &str) -> Vec<String> {
    let each = |spell: &dyn Fn(u8) -> String| token.bytes().map(spell).collect::<String>();
    vec![
        token.to_owned(),
        each(&|byte| format!("%{byte:02X}")),
        each(&|byte| format!("%{byte:02x}")),
        each(&|byte| format!("%25{byte:02X}")),
        token.replace('-', "%2D"),
        each(&|byte| format!("\\u{byte:04x}")),
        token.replace('-', "\\u002d"),
        each(&|byte| format!("&#{byte};")),
        each(&|byte| format!("&#x{byte:x};")),
        STANDARD.encode(token),
        STANDARD.encode(format!("user:{token}")),
        STANDARD.encode(format!("a:{token}:z")),
    ]
}

#[tokio::test]
async fn token_in_forty_places_of_a_request_is_nowhere_afterwards() {
    const TOKEN: &str = "canary-40-places-5b1f9c";
    let itoc360 = Itoc360::alertmanager().await;
    let setup = Setup::new(&itoc360).plugin(
        "parrot",
        &plugin::parrot_of_strangers(),
        &format!("token = \"{TOKEN}\""),
    );
    let place = setup
        .plugin(
            "failing",
            &plugin::hostile("(unreachable)"),
            &format!("token = \"{TOKEN}\""),
        )
        .place();
    let mut gateway =
        crate::harness::Gateway::ready(place.launch(&["run", "--log", "trace"])).await;

    let mut places = 0;
    let mut headers = Vec::new();
    let mut ids = Vec::new();
    let names = [
        "Cookie",
        "Referer",
        "X-Original-URI",
        "Forwarded",
        "Via",
        "User-Agent",
        "X-Forwarded-For",
        "Origin",
    ];
    for (number, spelling) in spellings(TOKEN).iter().enumerate() {
        headers.push((
            names[number % names.len()].to_owned(),
            format!("before {spelling} after"),
        ));
        headers.push((format!("X-Of-{number}"), spelling.clone()));
        places += 2;
    }
    headers.push((format!("X-{TOKEN}"), "in a name".to_owned()));
    headers.push(("Authorization".to_owned(), format!("Bearer {TOKEN}")));
    let in_url: Vec<_> = spellings(TOKEN)
        .into_iter()
        .filter(|spelling| !spelling.contains(['\\', '#', '&']))
        .collect();
    let path = format!(
        "{}/{}?token={TOKEN}&{}=1&x={}",
        TOKEN,
        in_url[1],
        in_url[2],
        in_url[in_url.len() - 1]
    );
    places += 7;
    // The parrot reads no escape but of quotes and backslashes, so in its body stand the spellings
    // without one.
    let plain: Vec<_> = spellings(TOKEN)
        .into_iter()
        .filter(|spelling| !spelling.contains('\\'))
        .collect();
    let mut alert = plugin::alert(TOKEN);
    alert["message"] = plain.join(" | ").into();
    alert["labels"] = serde_json::json!({ TOKEN: plain[1] });
    places += plain.len() + 3;
    for source in ["parrot", "failing"] {
        let mut post = Post {
            path: format!("/in/{source}/{path}"),
            ..plugin::alerts(source, &[alert.clone()])
        };
        if source == "failing" {
            post.body = spellings(TOKEN).join("\n").into_bytes();
        }
        post.headers.extend(headers.iter().cloned());
        let answer = gateway.post(&post).await;
        assert!(matches!(answer.status, 200 | 202), "{}", answer.body);
        ids.push(answer.json()["request"].as_str().unwrap().to_owned());
    }
    assert!(places >= 40, "{places}");

    let mut said = vec![("delivered", itoc360.open(1).await.remove(0).to_string())];
    for page in ["/", "/readyz", "/metrics"] {
        said.push((page, gateway.admin(hyper::Method::GET, page).await.body));
    }
    for id in &ids {
        for arguments in [
            &["events", "show", id][..],
            &["events", "show", id, "--json"],
            &["events", "export", id],
        ] {
            let output = place.run(arguments).await;
            said.push(("events", format!("{} {}", output.stdout, output.stderr)));
        }
    }
    said.push((
        "events list",
        place.run(&["events", "list", "--json"]).await.stdout,
    ));
    // Those of the rejected go to the log alone.
    gateway
        .post(&twilio::unsigned(format!("/in/nobody/{path}"), "a=b"))
        .await
        .is_problem(404);
    gateway
        .log("the path", |line| {
            line["message"]
                .as_str()?
                .contains("no source has")
                .then_some(())
        })
        .await;
    said.push(("the log", gateway.stop().await.stderr));
    // Every byte that is kept, whether or not a command shows it.
    let mut folders = vec![place.path("")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            match entry.file_name().unwrap().to_str().unwrap() {
                "gateway.toml" | "cache" => {}
                _ if entry.is_dir() => folders.push(entry),
                _ => said.push((
                    "a file",
                    String::from_utf8_lossy(&std::fs::read(entry).unwrap()).into_owned(),
                )),
            }
        }
    }
    let parts: Vec<_> = [0, 1, 2]
        .map(|cut| {
            STANDARD
                .encode(&TOKEN[cut..])
                .trim_end_matches('=')
                .to_owned()
        })
        .into();
    for (name, text) in said {
        for spelling in spellings(TOKEN).iter().chain(&parts) {
            // Of what a JSON text shows, a backslash is doubled.
            let escaped = spelling.replace('\\', "\\\\");
            for found in [spelling, &escaped] {
                let place = text.find(&found[..found.len() - 2]);
                assert!(
                    place.is_none(),
                    "{name} has {found}: {}",
                    &text[place.unwrap()..].chars().take(200).collect::<String>()
                );
            }
        }
    }
}

#[tokio::test]
async fn what_is_kept_on_disk_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let gateway = place.start_with_an_open_umask().await;
    gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    let mut folders = vec![place.path("data")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        assert_eq!(
            folder.metadata().unwrap().permissions().mode() & 0o777,
            0o700,
            "{}",
            folder.display()
        );
        for entry in std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            assert_eq!(
                entry.metadata().unwrap().permissions().mode() & 0o777,
                0o600,
                "{}",
                entry.display()
            );
            files.push(
                entry
                    .strip_prefix(place.path("data"))
                    .unwrap()
                    .display()
                    .to_string(),
            );
        }
    }
    for expected in [
        "gateway.db",
        "gateway.db-wal",
        "gateway.db-shm",
        "lock",
        ".cwasm",
    ] {
        assert!(
            files.iter().any(|file| file.ends_with(expected)),
            "{expected} is not among {files:?}"
        );
    }
}

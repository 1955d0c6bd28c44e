//! `init`: the first configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use std::process::Command;

use crate::harness::tls::Authority;
use crate::harness::{Output, Place, Program, needs};

async fn init(place: &Place, arguments: &[&str]) -> Output {
    let dir = place.path("new");
    let mut all = vec!["init", "--dir", dir.to_str().unwrap()];
    all.extend(arguments);
    place.run_without_secrets(&all).await
}

fn mode(place: &Place, name: &str) -> u32 {
    fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777
}

const URL: [&str; 2] = ["--public-url", "https://alerts.example.com"];

#[tokio::test]
async fn written_configuration_lacks_its_secrets_alone() {
    let place = Place::of("");
    let output = init(&place, &[&URL[..], &["--plugin", "twilio-errors"]].concat()).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let url = "https://alerts.example.com/in/twilio-errors";
    assert!(output.stdout.contains(url), "{output:?}");
    let config = place.path("new/gateway.toml");
    let written = fs::read_to_string(&config).unwrap();
    assert!(
        written.contains("\n# trusted_proxies = [\"127.0.0.1\"]\n"),
        "no proxy is known of: {written}"
    );
    let config = config.to_str().unwrap();
    let check = ["check", "--config", config];
    let before = place.run_without_secrets(&check).await;
    assert_eq!(before.code, Some(2), "{before:?}");
    assert_eq!(before.stderr.matches("error: ").count(), 2, "{before:?}");
    assert_eq!(
        before.stderr.matches("a file that is empty").count(),
        2,
        "{before:?}"
    );
    for name in ["itoc360-token", "twilio-errors-auth-token"] {
        let name = format!("new/secrets/{name}");
        assert_eq!(mode(&place, &name), 0o600);
        place.write(&name, "4f1c0a9be7d2436c8f5512ab90de77c1\n");
    }
    assert_eq!(
        (mode(&place, "new/secrets"), mode(&place, "new/data")),
        (0o700, 0o700)
    );
    let after = place.run_without_secrets(&check).await;
    assert_eq!(
        (after.code, after.stderr.as_str()),
        (Some(0), ""),
        "{after:?}"
    );
}

#[tokio::test]
async fn token_of_a_source_is_chosen_at_random() {
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let place = Place::of("");
        let source = ["--plugin", "webhook", "--source", "door"];
        let output = init(&place, &[&URL[..], &source].concat()).await;
        assert_eq!(output.code, Some(0), "{output:?}");
        let token = fs::read_to_string(place.path("new/secrets/door-token")).unwrap();
        assert!(
            token.len() == 64 && !output.stdout.contains(&token),
            "{output:?}"
        );
        tokens.push(token);
    }
    assert_ne!(tokens[0], tokens[1]);
}

#[tokio::test]
async fn nothing_is_written_over_or_half_done() {
    let place = Place::of("");
    for (arguments, said) in [
        (&["--plugin", "webhook"][..], "add --public-url"),
        (&URL[..], "add --plugin"),
        (
            &[URL[0], URL[1], "--plugin", "twilio-error"],
            "did you mean \"twilio-errors\"?",
        ),
        (
            &[URL[0], "alerts.example.com", "--plugin", "webhook"],
            "public_url",
        ),
        (
            &[URL[0], URL[1], "--plugin", "webhook", "--source", "No name"],
            "not a name for a source",
        ),
    ] {
        let output = init(&place, arguments).await;
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(output.stderr.contains(said), "{said}: {output:?}");
        assert!(!place.path("new").exists(), "{said}");
    }
    let right = [&URL[..], &["--plugin", "webhook"]].concat();
    assert_eq!(init(&place, &right).await.code, Some(0));
    let again = init(&place, &right).await;
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(again.stderr.contains("exists"), "{again:?}");
}

#[tokio::test]
async fn proxy_has_a_snippet_for_the_host() {
    for (proxy, line) in [
        ("caddy", "reverse_proxy 127.0.0.1:8080"),
        ("nginx", "server_name alerts.example.com;"),
        ("traefik", "rule: Host(`alerts.example.com`)"),
    ] {
        let place = Place::of("");
        let arguments = [&URL[..], &["--plugin", "webhook", "--proxy", proxy]].concat();
        let output = init(&place, &arguments).await;
        assert!(output.stdout.contains(line), "{output:?}");
    }
}

#[tokio::test]
async fn proxy_and_unit_are_written_beside_the_configuration() {
    for (proxy, file) in [
        ("caddy", "Caddyfile"),
        ("nginx", "nginx.conf"),
        ("traefik", "traefik.yml"),
    ] {
        let place = Place::of("");
        let arguments = [&URL[..], &["--plugin", "webhook", "--proxy", proxy]].concat();
        let output = init(&place, &arguments).await;
        let snippet = fs::read_to_string(place.path(&format!("new/{file}"))).unwrap();
        assert!(output.stdout.contains(&snippet), "{output:?}");
        let written = fs::read_to_string(place.path("new/gateway.toml")).unwrap();
        assert!(
            written.contains("\ntrusted_proxies = [\"127.0.0.1\"]\n"),
            "{written}"
        );
        let unit = fs::read_to_string(place.path("new/alert-gateway.service")).unwrap();
        let config = place.path("new/gateway.toml");
        assert!(
            unit.contains(&format!("run --config {}\n", config.display())),
            "{unit}"
        );
        let data = place.path("new/data");
        assert!(
            unit.contains(&format!("ReadWritePaths={}\n", data.display())),
            "{unit}"
        );
        assert!(
            unit.contains("\nUser=") && !unit.contains("DynamicUser"),
            "{unit}"
        );
        assert!(!unit.contains("/usr/local/bin"), "{unit}");
    }
    let place = Place::of("");
    fs::create_dir(place.path("new")).unwrap();
    place.write("new/Caddyfile", "mine");
    let output = init(
        &place,
        &[&URL[..], &["--plugin", "webhook", "--proxy", "caddy"]].concat(),
    )
    .await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(
        !place.path("new/gateway.toml").exists(),
        "nothing is half done"
    );
    assert_eq!(
        fs::read_to_string(place.path("new/Caddyfile")).unwrap(),
        "mine"
    );
}

#[tokio::test]
async fn nginx_takes_the_configuration_that_is_written_for_it() {
    let Some(nginx) = needs(Program::Nginx) else {
        return;
    };
    let place = Place::of("");
    let url = ["--public-url", "https://gw.example.com/alerts"];
    let output = init(
        &place,
        &[&url[..], &["--plugin", "webhook", "--proxy", "nginx"]].concat(),
    )
    .await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let issued = Authority::new().issue();
    place.write("gw.example.com.pem", &issued.cert);
    place.write("gw.example.com.key", &issued.key);
    let folder = place.path("").display().to_string();
    let written = fs::read_to_string(place.path("new/nginx.conf")).unwrap();
    assert!(written.contains("location /alerts/in/ {"), "{written}");
    // Port 443 takes root, and the certificate is another machine's.
    let written = written
        .replace("/etc/ssl/", &folder)
        .replace("listen 443", "listen 127.0.0.1:8443")
        .replace("listen [::]:443", "listen [::1]:8443");
    let whole =
        format!("pid {folder}nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{written}}}\n");
    let file = place.write("whole.conf", whole);
    let mut command: Command = nginx.command();
    command
        .args(["-t", "-e", "stderr", "-p", &folder, "-c"])
        .arg(&file);
    let tested = command.output().unwrap();
    assert!(
        tested.status.success(),
        "{}",
        String::from_utf8_lossy(&tested.stderr)
    );
}

#[tokio::test]
async fn file_of_comments_only_is_moved_aside() {
    let place = Place::of("");
    fs::create_dir(place.path("new")).unwrap();
    let packaged = include_str!("../packaging/linux/gateway.toml");
    place.write("new/gateway.toml", packaged);
    let right = [&URL[..], &["--plugin", "webhook"]].concat();
    let output = init(&place, &right).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(
        fs::read_to_string(place.path("new/gateway.toml.orig")).unwrap(),
        packaged
    );
    assert!(
        fs::read_to_string(place.path("new/gateway.toml"))
            .unwrap()
            .contains("[gateway]")
    );
}

#[tokio::test]
async fn included_files_count_when_a_configuration_is_written() {
    let place = Place::of("");
    fs::create_dir_all(place.path("new/conf.d")).unwrap();
    place.write(
        "new/conf.d/a.toml",
        "[destinations.itoc360]\nkind = \"slack\"\n",
    );
    let output = init(&place, &[&URL[..], &["--plugin", "webhook"]].concat()).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(
        output
            .stderr
            .contains("itoc360 in [destinations] is written twice"),
        "{output:?}"
    );
    assert!(!place.path("new/gateway.toml").exists());
}

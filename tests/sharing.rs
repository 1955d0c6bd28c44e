//! Plugins from elsewhere: fetched by a command, held to their digest and to a signature, and never
//! fetched by the gateway that runs.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::harness::plugin::{self, alert, alerts, parrot};
use crate::harness::registry::{REPOSITORY, Registry, SigningKey, USER, sha256};
use crate::harness::{Itoc360, Output, Place, Process, Program, Setup, needs, until, with_secrets};

const LIBRARY: &str =
    "\n[destinations.itoc360]\nkind = \"itoc360\"\nurl = \"http://127.0.0.1:9\"\ntoken = \"t\"\n";

/// A configuration whose source has this plugin, with more lines in `[gateway]`.
fn config(plugin: &str, gateway: &str) -> String {
    format!(
        "[gateway]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\npublic_url = \"https://gw.example.com\"\n{gateway}\n\
         [sources.bell]\nplugin = {plugin} # kept\ndestination = \"itoc360\"\n{LIBRARY}"
    )
}

fn of_registry(registry: &Registry, tag: &str, digest: &str) -> String {
    format!("{{ oci = \"{}@sha256:{digest}\" }}", registry.artifact(tag))
}

#[track_caller]
fn assert_said(output: &Output, code: i32, parts: &[&str]) {
    let said = format!("{}{}", output.stdout, output.stderr);
    assert_eq!(output.code, Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
}

/// A parrot that is of another version.
fn version(version: &str) -> Vec<u8> {
    let mut description = plugin::description();
    description["version"] = version.into();
    plugin::made_of(&description.to_string(), "(call $parrot)", "")
}

#[tokio::test]
async fn fetched_plugin_runs_without_its_registry() {
    let registry = Registry::start().await;
    let digest = registry.push("1.2", &parrot());
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::empty()
        .destination("itoc360", &itoc360)
        .source(
            "bell",
            &format!("plugin = {}", of_registry(&registry, "1.2", &digest)),
        )
        .place();
    // Neither `check` nor the start fetches it, and both say what to do.
    let missing = &[
        "it was not fetched yet",
        "alert-gateway plugin add --config gateway.toml",
        "gateway.toml:",
    ];
    assert_said(&place.run(&["check"]).await, 2, missing);
    assert_said(&place.run(&["run"]).await, 2, missing);
    assert!(registry.asked().is_empty(), "{:?}", registry.asked());
    let added = place.run_without_secrets(&["plugin", "add"]).await;
    assert_said(&added, 0, &["acme/bell:1.2 (of bell) was fetched: "]);
    let mode = |path: &str| fs::metadata(place.path(path)).unwrap().mode() & 0o777;
    let stored = format!("data/plugins/{}.wasm", sha256(&parrot()));
    assert_eq!(
        (mode("data"), mode("data/plugins"), mode(&stored)),
        (0o700, 0o700, 0o600)
    );
    let checked = place.run(&["check"]).await;
    assert_said(&checked, 0, &[]);
    assert!(
        !checked.stderr.contains("other users"),
        "{}",
        checked.stderr
    );
    let asked = registry.asked().len();
    let again = place.run_without_secrets(&["plugin", "add"]).await;
    assert_said(&again, 0, &["acme/bell:1.2 (of bell) is there"]);
    assert_eq!(registry.asked().len(), asked);
    drop(registry);
    let gateway = place.start().await;
    let answer = gateway.post(&alerts("bell", &[alert("1")])).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    drop(gateway);
    // The folder is not trusted.
    let stored = place.path(&format!("data/plugins/{}.wasm", sha256(&parrot())));
    fs::write(&stored, version("6.6.6")).unwrap();
    let changed = ["its content has the SHA-256", "plugin add"];
    assert_said(&place.run(&["check"]).await, 2, &changed);
    let stored = place.path(&format!("data/plugins/{digest}.manifest.json"));
    fs::write(&stored, "{}").unwrap();
    assert_said(&place.run(&["check"]).await, 2, &changed);
}

#[tokio::test]
async fn wasm_that_is_no_plugin_is_not_kept() {
    let registry = Registry::start().await;
    // A module, but none of a plugin.
    let digest = registry.push("1.2", b"\0asm\x01\0\0\0");
    let place = Place::of(&config(&of_registry(&registry, "1.2", &digest), ""));
    let artifact = registry.artifact("1.2");
    for arguments in [&["plugin", "add"][..], &["plugin", "add", &artifact]] {
        let refused = place.run_without_secrets(arguments).await;
        assert_said(&refused, 1, &["describe"]);
        let kept = fs::read_dir(place.path("data/plugins")).map(Iterator::count);
        assert_eq!(kept.unwrap_or(0), 0, "{arguments:?}");
    }
}

#[tokio::test]
async fn one_plugin_more_is_fetched_and_its_lines_are_printed() {
    let registry = Registry::start().await;
    let digest = registry.push("1.2", &parrot());
    registry.put("/files/bell.wasm", parrot());
    registry.redirect("/bell.wasm", "/files/bell.wasm");
    let place = Place::of(&config("\"javascript\"", ""));
    let artifact = registry.artifact("1.2");
    let added = place
        .run_without_secrets(&["plugin", "add", &artifact])
        .await;
    let line = format!("plugin      = {{ oci = \"{artifact}@sha256:{digest}\" }}");
    assert_said(&added, 0, &["[sources.hand-made]", &line]);
    let url = registry.url("/bell.wasm");
    let added = place.run_without_secrets(&["plugin", "add", &url]).await;
    let hash = sha256(&parrot());
    let line = format!("plugin      = {{ url = \"{url}\", sha256 = \"{hash}\" }}");
    assert_said(&added, 0, &[&line]);
    fs::write(
        place.config(),
        config(&format!("{{ url = \"{url}\", sha256 = \"{hash}\" }}"), ""),
    )
    .unwrap();
    assert_said(&place.run(&["check"]).await, 0, &[]);
}

#[tokio::test]
async fn plugins_outside_the_data_are_kept_for_all_users() {
    let registry = Registry::start().await;
    let digest = registry.push("1.2", &parrot());
    let plugin = of_registry(&registry, "1.2", &digest);
    let place = Place::of(&config(&plugin, "plugin_store = \"plugins\""));
    assert_said(&place.run(&["plugin", "add"]).await, 0, &["was fetched"]);
    assert_said(&place.run(&["check"]).await, 0, &[]);
    let mode = |path: &str| fs::metadata(place.path(path)).unwrap().mode() & 0o777;
    let stored = format!("plugins/{}.wasm", sha256(&parrot()));
    assert_eq!((mode("plugins"), mode(&stored)), (0o755, 0o644));
}

#[tokio::test]
async fn only_plugins_that_a_configured_key_signed_are_run() {
    let registry = Registry::start().await;
    let ours = SigningKey::new();
    let theirs = SigningKey::new();
    let unsigned = "it has no signature, and plugin_keys in [gateway] asks for one";
    let stranger = "is one of this content by a key of plugin_keys";
    let signed = "signed by the key in ";
    let keys = "plugin_keys = [\"cosign.pub\"]";
    for (tag, sign) in [
        ("tag", Registry::sign as fn(&Registry, &str, &SigningKey)),
        ("bundle", Registry::sign_with_a_bundle),
    ] {
        let wasm = version(&format!("1.0.0-{tag}"));
        let digest = registry.push(tag, &wasm);
        let plugin = of_registry(&registry, tag, &digest);
        let place = Place::of(&config(&plugin, keys));
        place.write("cosign.pub", ours.public());
        let add = || place.run_without_secrets(&["plugin", "add"]);
        assert_said(&add().await, 1, &[unsigned]);
        sign(&registry, &digest, &theirs);
        assert_said(&add().await, 1, &[stranger]);
        assert!(!place.path("data/plugins").exists());
        sign(&registry, &digest, &ours);
        assert_said(&add().await, 0, &[signed, "cosign.pub"]);
        assert_said(&place.run(&["check"]).await, 0, &[]);
        // Another key is taken up at the next start, without the network.
        place.write("cosign.pub", theirs.public());
        assert_said(&place.run(&["check"]).await, 2, &[stranger]);
    }
    registry.put("/bell.wasm", parrot());
    let hash = sha256(&parrot());
    let plugin = format!(
        "{{ url = \"{}\", sha256 = \"{hash}\" }}",
        registry.url("/bell.wasm")
    );
    let place = Place::of(&config(&plugin, keys));
    place.write("cosign.pub", ours.public());
    let add = || place.run_without_secrets(&["plugin", "add"]);
    assert_said(&add().await, 1, &[unsigned]);
    registry.put("/bell.wasm.sig", theirs.sign(&parrot()));
    assert_said(&add().await, 1, &[stranger]);
    let bundle = json!({ "messageSignature": { "signature": ours.sign(&parrot()) } });
    registry.put("/bell.wasm.sigstore.json", bundle.to_string());
    assert_said(&add().await, 0, &[signed]);
    assert_said(&place.run(&["check"]).await, 0, &[]);
    // Without keys the digest suffices; keys that are none are told at their line.
    fs::write(place.config(), config(&plugin, "")).unwrap();
    assert_said(&place.run(&["check"]).await, 0, &[]);
    place.write(
        "cosign.key",
        "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\ncanary\n",
    );
    for (key, part) in [
        ("cosign.key", "is a private key"),
        ("absent.pub", "names a file that cannot be read"),
        ("gateway.toml", "is no public key of ECDSA P-256 or Ed25519"),
    ] {
        fs::write(
            place.config(),
            config(&plugin, &format!("plugin_keys = \"{key}\"")),
        )
        .unwrap();
        let said = place.run(&["check"]).await;
        assert_said(&said, 2, &["gateway.toml:5:", part]);
        assert!(!said.stderr.contains("canary"), "{}", said.stderr);
    }
}

#[tokio::test]
async fn private_registry_lets_its_user_in_and_no_other_host() {
    let registry = Registry::start().await;
    let elsewhere = Registry::start().await;
    let digest = registry.push("1.2", &parrot());
    registry.is_private();
    let place = Place::of(&config(&of_registry(&registry, "1.2", &digest), ""));
    let authority = registry
        .artifact("1.2")
        .replace(&format!("/{REPOSITORY}:1.2"), "");
    let refused = place.run_without_secrets(&["plugin", "add"]).await;
    assert_said(&refused, 1, &["docker login ", &authority]);
    let auths = json!({ "auths": { &authority: { "auth": USER } } });
    place.write("config.json", auths.to_string());
    let folder = place.path("");
    let add = || place.run_with(&["plugin", "add"], [("DOCKER_CONFIG", &folder)]);
    // A content may stand elsewhere; the private network of this machine is not that.
    let blob = format!("/v2/{REPOSITORY}/blobs/sha256:{}", sha256(&parrot()));
    registry.redirect(&blob, &elsewhere.url("/blob"));
    assert_said(&add().await, 1, &["and 127.0.0.1", "is not"]);
    registry.redirect(&blob, "https://127.0.0.1:9/blob");
    assert_said(&add().await, 1, &["a redirect leads to a private address"]);
    assert!(elsewhere.asked().is_empty());
    registry.put(&blob, parrot());
    let added = add().await;
    assert_said(&added, 0, &["was fetched"]);
    let said = format!("{}{}", added.stdout, added.stderr);
    assert!(!said.contains("canary") && !said.contains(USER), "{said}");
    let (path, authorization) = registry.asked().last().unwrap().clone();
    assert_eq!((path, &*authorization), (blob, "Bearer canary-token"));
}

#[tokio::test]
async fn hostile_server_of_plugins_is_refused_with_the_reason() {
    let registry = Registry::start().await;
    let place = Place::of(&config("\"javascript\"", ""));
    registry.put("/text.wasm", "<html>");
    registry.put("/large.wasm", vec![0; 64 * 1024 * 1024 + 1]);
    registry.redirect("/loop.wasm", "/loop.wasm");
    registry.redirect("/file.wasm", "file:///etc/passwd");
    registry.redirect("/to.wasm", "");
    for (path, part) in [
        ("/absent.wasm", "/absent.wasm answered 404"),
        ("/text.wasm", "its file is no WebAssembly"),
        ("/large.wasm", "answers with more than 67108864 bytes"),
        ("/loop.wasm", "redirects more than 5 times"),
        ("/file.wasm", "file:///etc/passwd is not a URL"),
        ("/to.wasm", "is not a URL"),
    ] {
        let url = registry.url(path);
        let added = place.run_without_secrets(&["plugin", "add", &url]).await;
        assert_said(&added, 1, &[part]);
    }
    // The artifact is not what its digest says, its layer is another, or it is none.
    let manifests = format!("/v2/{REPOSITORY}/manifests");
    let digest = registry.push("1.2", &parrot());
    registry.put(&format!("{manifests}/sha256:{digest}"), "{}");
    let named = format!("{}@sha256:{digest}", registry.artifact("1.2"));
    let added = place.run_without_secrets(&["plugin", "add", &named]).await;
    assert_said(&added, 1, &["with a manifest of sha256:44136fa355b3"]);
    registry.push("1.2", &parrot());
    let blob = format!("/v2/{REPOSITORY}/blobs/sha256:{}", sha256(&parrot()));
    registry.put(&blob, version("6.6.6"));
    let artifact = registry.artifact("1.2");
    let added = place
        .run_without_secrets(&["plugin", "add", &artifact])
        .await;
    assert_said(&added, 1, &["with another content"]);
    for (manifest, part) in [
        ("no JSON", "is none: "),
        ("{\"layers\":[]}", "has 0 layers that can be the plugin"),
        (
            "{\"manifests\":[{\"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"}]}",
            "is an index of several artifacts",
        ),
    ] {
        registry.put(&format!("{manifests}/1.2"), manifest);
        let added = place
            .run_without_secrets(&["plugin", "add", &artifact])
            .await;
        assert_said(&added, 1, &[part]);
    }
    let absent = registry.artifact("9");
    let added = place.run_without_secrets(&["plugin", "add", &absent]).await;
    assert_said(&added, 1, &["has no artifact 9"]);
    assert!(!place.path("data/plugins").exists());
}

#[tokio::test]
async fn newer_version_is_shown_tried_and_written() {
    let registry = Registry::start().await;
    let digest = registry.push("1.2", &version("1.2.0"));
    let text = config(&of_registry(&registry, "1.2", &digest), "");
    let place = Place::of(&text);
    assert_said(&place.run_without_secrets(&["plugin", "add"]).await, 0, &[]);
    let outdated = || place.run_without_secrets(&["plugin", "outdated"]);
    assert_said(
        &outdated().await,
        0,
        &["acme/bell:1.2 (of bell): up to date"],
    );
    registry.push("1.3", &version("1.3.0"));
    let mut wants = plugin::description();
    wants["settings"] = json!({ "type": "object", "required": ["room"], "properties": { "room": { "type": "string" } } });
    let demanding = plugin::made_of(&wants.to_string(), "(call $parrot)", "");
    registry.push("2.0", &demanding);
    let newer = "1.3 is newer; 2.0 is newer and not compatible by its number";
    assert_said(&outdated().await, 0, &[newer]);
    let listed = place
        .run_without_secrets(&["plugin", "outdated", "--json"])
        .await;
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let now = json!([{ "plugin": registry.artifact("1.2"), "sources": ["bell"], "moved": false,
        "compatible": "1.3", "newest": "2.0" }]);
    assert_eq!(listed, now);
    let upgrade = |arguments: &'static [&'static str]| {
        let all = [&["plugin", "upgrade"], arguments].concat();
        let place = &place;
        async move { place.run(&all).await }
    };
    let dry = upgrade(&["--dry-run"]).await;
    assert_said(
        &dry,
        0,
        &["acme/bell:1.2 (of bell) becomes plugin = { oci = "],
    );
    assert_eq!(fs::read_to_string(place.config()).unwrap(), text);
    let refused = upgrade(&["--latest"]).await;
    assert_said(
        &refused,
        1,
        &["acme/bell:2.0 is fetched and not taken", "room"],
    );
    assert_eq!(fs::read_to_string(place.config()).unwrap(), text);
    assert_said(
        &upgrade(&["door"]).await,
        2,
        &["there is no source \"door\""],
    );
    let done = upgrade(&["bell"]).await;
    assert_said(
        &done,
        0,
        &["gateway.toml is written; alert-gateway reload takes it up"],
    );
    let newer = registry.push("1.3", &version("1.3.0"));
    let expected = config(&of_registry(&registry, "1.3", &newer), "");
    assert_eq!(fs::read_to_string(place.config()).unwrap(), expected);
    assert_said(&place.run(&["check"]).await, 0, &[]);
    // The same tag has another content now.
    let moved = registry.push("1.3", &version("1.3.1"));
    assert_said(&outdated().await, 0, &["another content stands there now"]);
    assert_said(&upgrade(&[]).await, 0, &["is written"]);
    let expected = config(&of_registry(&registry, "1.3", &moved), "");
    assert_eq!(fs::read_to_string(place.config()).unwrap(), expected);
    drop(registry);
    assert_said(
        &outdated().await,
        1,
        &["unknown: cannot connect to 127.0.0.1"],
    );
}

#[tokio::test]
async fn names_of_plugins_elsewhere_are_told_right_from_wrong() {
    let hash = sha256(b"");
    for (plugin, part) in [
        (
            "{ url = \"http://a.example/b.wasm\", sha256 = \"HASH\" }",
            "is plain http; write https",
        ),
        (
            "{ url = \"https://a.example/b.wasm\" }",
            "has no sha256; add sha256 = \"…\", as `alert-gateway plugin add`",
        ),
        (
            "{ url = \"https://a.example/b.wasm?x\", sha256 = \"HASH\" }",
            "has a query",
        ),
        (
            "{ url = \"https://u:p@a.example/b\", sha256 = \"HASH\" }",
            "holds a user name or password",
        ),
        (
            "{ url = \"https://a.example/b\", sha256 = \"12\" }",
            "write the 64 hex digits",
        ),
        (
            "{ url = \"https://a.example/b\", sha256 = \"HASH\", path = \"a\" }",
            "unknown key \"path\"",
        ),
        (
            "{ oci = \"ghcr.io/acme/bell:1.2\" }",
            "has no digest; run `alert-gateway plugin add ghcr.io/acme/bell:1.2`",
        ),
        (
            "{ ocl = \"ghcr.io/acme/bell:1.2@sha256:HASH\" }",
            "unknown key \"ocl\" in plugin in [sources.bell]; did you mean \"oci\"?",
        ),
        (
            "{ oci = \"bell@sha256:HASH\" }",
            "names no registry; write it as in ghcr.io/acme/bell",
        ),
        (
            "{ oci = \"ghcr.io/acme/bell@sha256:HASH\", sha256 = \"HASH\" }",
            "unknown key \"sha256\"",
        ),
        (
            "\"https://a.example/b.wasm\"",
            "run `alert-gateway plugin add` with this URL",
        ),
    ] {
        let place = Place::of(&config(&plugin.replace("HASH", &hash), ""));
        let said = place.run_without_secrets(&["plugin", "add"]).await;
        assert_said(&said, 2, &["gateway.toml:7:", part]);
        assert!(!said.stderr.contains("u:p@"), "{}", said.stderr);
    }
}

#[tokio::test]
async fn plugin_comes_from_a_real_registry() {
    let Some(registry) = needs(Program::DockerRegistry) else {
        return;
    };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let place = Place::of("");
    let yaml = format!(
        "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\nhttp: {{ addr: \"{address}\" }}\n",
        place.path("registry").display()
    );
    let yaml = place.write("registry.yml", yaml);
    let mut command: Command = registry.command();
    command.arg("serve").arg(yaml);
    let _running = Process::start(with_secrets(command));
    until("the registry answers", async || {
        send("GET", &format!("http://{address}/v2/"), "", Vec::new())
            .await
            .ok()
    })
    .await;
    let wasm = parrot();
    let base = format!("http://{address}/v2/{REPOSITORY}");
    for content in [&b"{}"[..], &wasm] {
        let (status, location) = send("POST", &format!("{base}/blobs/uploads/"), "", Vec::new())
            .await
            .unwrap();
        assert_eq!(status, 202);
        let to = format!("{location}&digest=sha256:{}", sha256(content));
        let (status, _) = send("PUT", &to, "application/octet-stream", content.to_vec())
            .await
            .unwrap();
        assert_eq!(status, 201);
    }
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let layer = |kind: &str, content: &[u8]| json!({ "mediaType": kind, "digest": format!("sha256:{}", sha256(content)), "size": content.len() });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": kind,
        "config": layer("application/vnd.wasm.config.v0+json", b"{}"),
        "layers": [layer("application/wasm", &wasm)],
    });
    let manifest = manifest.to_string().into_bytes();
    for tag in ["1.0", "1.1"] {
        let to = format!("{base}/manifests/{tag}");
        let (status, _) = send("PUT", &to, kind, manifest.clone()).await.unwrap();
        assert_eq!(status, 201);
    }
    let artifact = format!("{address}/{REPOSITORY}:1.0");
    let plugin = format!("{{ oci = \"{artifact}@sha256:{}\" }}", sha256(&manifest));
    fs::write(place.config(), config(&plugin, "")).unwrap();
    assert_said(&place.run(&["plugin", "add"]).await, 0, &["was fetched"]);
    assert_said(&place.run(&["check"]).await, 0, &[]);
    assert_said(
        &place.run(&["plugin", "outdated"]).await,
        0,
        &["1.1 is newer"],
    );
    assert_said(&place.run(&["plugin", "upgrade"]).await, 0, &["is written"]);
    assert_said(&place.run(&["check"]).await, 0, &[]);
}

/// Sends a request, and returns the status and the `Location` of its answer.
async fn send(method: &str, url: &str, kind: &str, body: Vec<u8>) -> Result<(u16, String), String> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header("content-type", kind);
    let request = request.body(Full::<Bytes>::from(body)).unwrap();
    let response = client
        .request(request)
        .await
        .map_err(|error| error.to_string())?;
    let location = response.headers().get("location");
    let location = location
        .map_or("", |value| value.to_str().unwrap())
        .to_owned();
    let status = response.status().as_u16();
    response.into_body().collect().await.unwrap();
    Ok((status, location))
}

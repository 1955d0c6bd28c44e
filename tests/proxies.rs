//! Real proxies in front: nginx and HAProxy with their health checks, over TCP and over a Unix
//! socket.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::proxy::Proxy;
use crate::harness::{
    Itoc360, Place, Post, Process, Program, Setup, needs, plugin, read, twilio, until,
};

/// Sends these bytes, and returns the status and all that is answered.
async fn ask(address: SocketAddr, bytes: &[u8]) -> (u16, String) {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(bytes).await.unwrap();
    let answer = read(connection).await;
    (
        answer
            .get(9..12)
            .unwrap_or_default()
            .parse()
            .unwrap_or_default(),
        answer,
    )
}

async fn post(address: SocketAddr, post: &Post) -> (u16, String) {
    ask(address, &post.wire_as("POST")).await
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: gw.example.com\r\nConnection: close\r\n\r\n").into_bytes()
}

/// Starts a gateway that listens at a Unix socket in its folder, and waits until it takes requests.
async fn start_at_a_socket(place: &Place) -> Process {
    let config = std::fs::read_to_string(place.config()).unwrap();
    place.write(
        "gateway.toml",
        config.replace("listen = \"127.0.0.1:0\"", "listen = \"unix:in.sock\""),
    );
    let mut process = place.launch(&["run"]);
    let ready = |line: &Value| {
        (line["message"] == "ready").then(|| line["address"].as_str().unwrap().to_owned())
    };
    assert!(process.log("ready", ready).await.ends_with("in.sock"));
    process
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn nginx_comes_in_by_a_unix_socket_and_names_its_clients() {
    let Some(nginx) = needs(Program::Nginx) else {
        return;
    };
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360)
        .plugin("near", &plugin::parrot(), "clients = \"127.0.0.1\"")
        .plugin("far", &plugin::parrot(), "clients = \"192.0.2.0/24\"")
        .place();
    let mut gateway = start_at_a_socket(&place).await;
    let socket = place.path("in.sock");
    assert_eq!(mode(&socket), 0o660);
    let server = "location / { proxy_pass http://gateway; proxy_set_header Host $host;\n\
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }";
    let proxy = Proxy::nginx(&nginx, &format!("unix:{}", socket.display()), server).await;
    assert_eq!(ask(proxy.address, &get("/healthz")).await.0, 200);
    assert_eq!(
        post(proxy.address, &twilio::error(&twilio::sid(1)).to("twilio"))
            .await
            .0,
        200
    );
    let claims = |source: &str| {
        plugin::alerts(source, &[plugin::alert(source)]).header("X-Forwarded-For", "192.0.2.1")
    };
    assert_eq!(
        post(proxy.address, &claims("near")).await.0,
        200,
        "nginx names 127.0.0.1, whatever the client says"
    );
    assert_eq!(post(proxy.address, &claims("far")).await.0, 403);
    let refused =
        |line: &Value| (line["outcome"] == "foreign_client").then(|| line["client"].clone());
    assert_eq!(
        gateway.log("the refused client", refused).await,
        "127.0.0.1"
    );
    itoc360.opens_only(2).await;
    // A gateway that is killed leaves the file; the next one takes its place, and removes it when
    // it stops.
    gateway.kill().await;
    assert!(socket.exists());
    let gateway = start_at_a_socket(&place).await;
    assert_eq!(
        post(proxy.address, &twilio::error(&twilio::sid(2)).to("twilio"))
            .await
            .0,
        200
    );
    gateway.terminate();
    gateway.output().await;
    assert!(!socket.exists());
    place.is_whole().await;
}

#[tokio::test]
async fn path_that_nginx_takes_for_another_is_404() {
    let Some(nginx) = needs(Program::Nginx) else {
        return;
    };
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360)
        .plugin("parrot", &plugin::parrot(), "")
        .start()
        .await;
    // The operator lets the internet reach one path of the source.
    let server =
        "location / { return 403; }\nlocation = /in/parrot/open { proxy_pass http://gateway; }";
    let proxy = Proxy::nginx(&nginx, &gateway.address.to_string(), server).await;
    let to = |path: &str| Post {
        path: path.to_owned(),
        ..plugin::alerts("parrot", &[plugin::alert(path)])
    };
    assert_eq!(post(proxy.address, &to("/in/parrot/open")).await.0, 200);
    assert_eq!(post(proxy.address, &to("/in/parrot/private")).await.0, 403);
    for path in [
        "/in/parrot/private/../open",
        "/in/parrot/private/..%2fopen",
        "/in/parrot//open",
        "/in/parrot/%2e/open",
    ] {
        assert_eq!(post(proxy.address, &to(path)).await.0, 404, "{path}");
    }
    itoc360.opens_only(1).await;
}

#[tokio::test]
async fn haproxy_sees_whether_the_gateway_is_there() {
    let Some(haproxy) = needs(Program::Haproxy) else {
        return;
    };
    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    let proxy = Proxy::haproxy(&haproxy, &gateway.address.to_string()).await;
    let state =
        async |wanted: u16| (ask(proxy.address, &get("/state")).await.0 == wanted).then_some(());
    until("haproxy finds the gateway", || state(200)).await;
    assert_eq!(
        post(proxy.address, &twilio::error(&twilio::sid(1)).to("twilio"))
            .await
            .0,
        200
    );
    gateway.kill().await;
    until("haproxy misses the gateway", || state(503)).await;
    place.is_whole().await;
}

//! The gateway beside programs that are used in its place: `cargo bench --bench load -- others`.
//!
//! Each takes one event a request over the usual connections and knows the same double of ITOC360.
//! The answer 2xx says something else of each, which is printed beside the figures:
//!
//! - the gateway: the event is proved, read in the sandbox, and on the disk;
//! - Alertmanager's own API: the alert is in memory, to be written every 15 minutes;
//! - Node-RED, with the flow that its manual leads to: ITOC360 has answered. Nothing is proved or
//!   kept, and what ITOC360 does not take is lost with the answer 5xx.
//!
//! Alertmanager is Debian's `prometheus-alertmanager`. Node-RED is where `NODE_RED` says, the folder
//! of `npm install node-red@4`; without that it is left out, and said to be.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::child::Child;
use super::requests::{self, Script};
use super::rounds::{self, Figures};
use super::{ANY_PORT, TOKEN, USUAL, double, wrk};

/// The number of rounds. The other load of the machine changes, so that each has all.
const ROUNDS: usize = 3;
/// The media type of JSON.
const JSON: &str = "application/json";

/// Measures all that are there.
pub async fn measure(folder: &Path, seconds: u64) {
    let twilio = requests::write(folder, requests::SOURCES[0], seconds);
    let alerts = requests::write_each(folder, "alerts", seconds, |number| {
        requests::post("/api/v2/alerts", JSON, "", &alert(number))
    });
    let node_red = std::env::var_os("NODE_RED");
    let mut gateways = Vec::new();
    let mut alertmanagers = Vec::new();
    let mut node_reds = Vec::new();
    for round in 0..ROUNDS {
        let folder = folder.join(round.to_string());
        std::fs::create_dir_all(&folder).expect("a folder");
        gateways.push(rounds::gateway(&folder, &twilio, seconds, "sync").await);
        alertmanagers.push(alertmanager(&folder, &alerts, seconds).await);
        if let Some(place) = &node_red {
            node_reds.push(self::node_red(place.as_ref(), &folder, &twilio, seconds).await);
        }
        // The files of a round are large.
        let _ = std::fs::remove_dir_all(&folder);
    }
    let gateway = Figures::median(&gateways);
    println!("gateway       {gateway}");
    println!("              2xx: proved, read, and on the disk");
    let alertmanager = Figures::median(&alertmanagers);
    println!("Alertmanager  {alertmanager}");
    println!("              2xx: in memory");
    println!(
        "gateway:      {}",
        gateway.taken_beside(&alertmanager, "Alertmanager")
    );
    if node_reds.is_empty() {
        println!("Node-RED was left out: NODE_RED names no folder of `npm install node-red@4`");
    } else {
        let node_red = Figures::median(&node_reds);
        println!("Node-RED      {node_red}");
        println!("              2xx: ITOC360 has answered; nothing is proved or kept");
        println!(
            "gateway:      {}",
            gateway.taken_beside(&node_red, "Node-RED")
        );
    }
}

/// An alert in the words of Alertmanager's API, with the facts of the body for Twilio.
fn alert(number: u64) -> String {
    json!([{
        "labels": { "alertname": "twilio", "severity": "high", "error_code": "11200", "sid": format!("NO{number:05x}") },
        "annotations": { "summary": "HTTP retrieval failure", "details": requests::body(number) },
    }])
    .to_string()
}

async fn alertmanager(folder: &Path, script: &Script, seconds: u64) -> Figures {
    let double = double(ANY_PORT).await;
    let configuration = json!({
        "route": { "receiver": "itoc360" },
        "receivers": [{ "name": "itoc360", "webhook_configs": [{
            "url": double.url(), "http_config": { "authorization": { "credentials": TOKEN } } }] }],
    });
    // JSON is YAML.
    let file = folder.join("alertmanager.yml");
    std::fs::write(&file, configuration.to_string()).expect("room on the disk");
    let address = free().await;
    let mut command = Command::new("prometheus-alertmanager");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!(
            "--storage.path={}",
            folder.join("alertmanager").display()
        ))
        .arg(format!("--web.listen-address={address}"))
        .arg("--cluster.listen-address=");
    let install = "`apt-get install prometheus-alertmanager` installs it on Debian";
    taken(&mut command, address, script, seconds, install).await
}

async fn node_red(place: &Path, folder: &Path, script: &Script, seconds: u64) -> Figures {
    let double = double(ANY_PORT).await;
    let node = |id: &str, kind: &str, next: &str, more: serde_json::Value| {
        let mut node = json!({ "id": id, "type": kind, "z": "flow", "wires": [[next]] });
        if let (Some(node), serde_json::Value::Object(more)) = (node.as_object_mut(), more) {
            node.extend(more);
        }
        node
    };
    let function = format!(
        "const p = JSON.parse(msg.payload.Payload);\n\
         msg.headers = {{ 'content-type': 'application/json', authorization: 'Bearer {TOKEN}' }};\n\
         msg.payload = {{ status: 'firing', alerts: [{{ status: 'firing', fingerprint: msg.payload.Sid,\n\
         labels: {{ alertname: 'twilio', severity: 'high', error_code: p.error_code }},\n\
         annotations: {{ summary: 'Twilio error ' + p.error_code, details: JSON.stringify(p) }},\n\
         startsAt: new Date().toISOString() }}] }};\nreturn msg;"
    );
    let flow = json!([
        { "id": "flow", "type": "tab", "label": "alerts" },
        node("in", "http in", "read", json!({ "url": "/in/twilio", "method": "post" })),
        node("read", "function", "send", json!({ "func": function, "outputs": 1 })),
        node("send", "http request", "out", json!({ "method": "POST", "url": double.url(), "ret": "txt", "persist": true })),
        node("out", "http response", "", json!({ "headers": {} })),
    ]);
    let file = folder.join("flows.json");
    std::fs::write(&file, flow.to_string()).expect("room on the disk");
    let address = free().await;
    let mut command = Command::new("node");
    command
        .arg(place.join("node_modules/node-red/red.js"))
        .arg("--userDir")
        .arg(folder)
        .arg("--port")
        .arg(address.port().to_string())
        .arg(&file);
    taken(
        &mut command,
        address,
        script,
        seconds,
        "NODE_RED is the folder of `npm install node-red@4`",
    )
    .await
}

/// Starts a program and sends it the requests. Each counts that is answered 2xx.
async fn taken(
    command: &mut Command,
    address: SocketAddr,
    script: &Script,
    seconds: u64,
    advice: &str,
) -> Figures {
    let child = Child::program(command, address)
        .await
        .unwrap_or_else(|error| panic!("{}: {error}; {advice}", command.get_program().display()));
    let report = wrk::run(&format!("http://{address}"), script, USUAL, seconds).await;
    Figures::of(&report, &child, 0.0)
}

/// Finds a port that is free now.
async fn free() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(ANY_PORT).await;
    listener.and_then(|port| port.local_addr()).expect("a port")
}

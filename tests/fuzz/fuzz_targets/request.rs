//! Any bytes on a connection: the answer is HTTP with one of the gateway's statuses, and the next
//! request is accepted.
#![no_main]

use std::cell::RefCell;
use std::convert::Infallible;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use alert_gateway::config::Config;
use alert_gateway::health::Health;
use alert_gateway::http::{Client, Peer};
use alert_gateway::intake::Intake;
use alert_gateway::metrics::Metrics;
use alert_gateway::recent::Recent;
use alert_gateway::store::{self, Closing, PluginRecord, Store};
use alert_gateway::{gateway, sources};
use alert_gateway_fuzz::cases;
use alert_gateway_sandbox::Sandbox;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

/// The inputs for one store; it keeps every request.
const INPUTS: usize = 20_000;

/// The gateway's statuses; see docs/answers.md.
const STATUSES: [&str; 12] = [
    "200", "202", "400", "401", "403", "404", "405", "408", "413", "429", "431", "503",
];

const CONFIGURATION: &str = r#"
[gateway]
public_url = "https://alerts.example.com"
[destinations.d]
kind = "itoc360"
token = "t"
[sources.twilio]
plugin = "twilio-errors"
destination = "d"
[sources.twilio.settings]
auth_token = "12345"
[sources.any]
plugin = "webhook"
destination = "d"
token = "secret"
[sources.any.settings]
title = "{/title}"
[sources.any.limits]
body = "4KiB"
"#;

struct House {
    runtime: Runtime,
    config: Config,
    sandbox: Sandbox,
    _data: TempDir,
    open: Option<Open>,
}

/// An intake with a store of its own.
struct Open {
    way_in: Arc<Intake>,
    closing: Closing,
    _data: TempDir,
    left: usize,
}

thread_local!(static HOUSE: RefCell<House> = RefCell::new(House::new()));

libfuzzer_sys::fuzz_target!(init: seed().expect("a corpus"), |data: &[u8]| HOUSE.with_borrow_mut(|house| house.take(data)));

impl House {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let data = tempfile::tempdir().expect("a folder");
        let mut config = Config::parse(CONFIGURATION, Path::new("fuzz.toml"), &|_| None)
            .expect("a configuration");
        data.path()
            .join("data")
            .clone_into(&mut config.gateway.data_dir);
        fs::create_dir(&config.gateway.data_dir).expect("a folder");
        let sandbox = runtime
            .block_on(async { gateway::sandbox(&config, None) })
            .expect("a sandbox");
        Self {
            runtime,
            config,
            sandbox,
            _data: data,
            open: None,
        }
    }

    fn take(&mut self, data: &[u8]) {
        if self.open.as_ref().is_none_or(|open| open.left == 0) {
            if let Some(Open {
                way_in, closing, ..
            }) = self.open.take()
            {
                drop(way_in);
                self.runtime.block_on(closing.close());
            }
            self.open = Some(self.runtime.block_on(open(&self.config, &self.sandbox)));
        }
        let Some(open) = &mut self.open else { return };
        open.left -= 1;
        let said = self.runtime.block_on(converse(&open.way_in, data));
        for answer in said.split("HTTP/1.1 ").skip(1) {
            let status = answer.get(..3).unwrap_or_default();
            assert!(STATUSES.contains(&status), "{said}");
        }
        let next = b"DELETE /in/any HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        assert!(
            self.runtime
                .block_on(converse(&open.way_in, next))
                .starts_with("HTTP/1.1 405")
        );
    }
}

async fn open(config: &Config, sandbox: &Sandbox) -> Open {
    let data = tempfile::tempdir().expect("a folder");
    let metrics = Metrics::new();
    let health = Health::default();
    let options = store::Options {
        sync: false,
        ..store::Options::default()
    };
    let (store, closing) = Store::open(data.path(), &options, metrics.clone()).expect("a store");
    let way_in = Intake::new(
        config.gateway.memory,
        "",
        None,
        store.clone(),
        health,
        metrics,
        Recent::default(),
    );
    let mut sources = Vec::new();
    for source in sources::load(config, sandbox)
        .await
        .expect("the sources")
        .sources
    {
        let record = PluginRecord {
            name: "p".to_owned(),
            version: "1".to_owned(),
            sha256: String::new(),
        };
        let plugin = store.plugin(record).await.expect("a number");
        sources.push((source, plugin));
    }
    way_in.open(sources, Vec::new(), Arc::default());
    Open {
        way_in: Arc::new(way_in),
        closing,
        _data: data,
        left: INPUTS,
    }
}

/// Returns the whole answer to a client that sends these bytes.
async fn converse(way_in: &Arc<Intake>, data: &[u8]) -> String {
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    let service = service_fn(|request| {
        let way_in = Arc::clone(way_in);
        let peer = Peer::Network(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        let from = Client::of(peer, hyper::Request::headers(&request), &Default::default());
        async move { Ok::<_, Infallible>(way_in.answer(request, from).await) }
    });
    let serving = http1::Builder::new()
        .half_close(true)
        .max_buf_size(32 * 1024)
        .serve_connection(TokioIo::new(server), service);
    let talking = async {
        let _ = client.write_all(data).await;
        let _ = client.shutdown().await;
        let mut said = Vec::new();
        let _ = client.read_to_end(&mut said).await;
        String::from_utf8_lossy(&said).into_owned()
    };
    tokio::join!(serving, talking).1
}

/// Seeds the corpus with the cases of two plugins, at the addresses of two sources.
fn seed() -> std::io::Result<()> {
    let corpus = cases::corpus("request")?;
    for (plugin, path) in [
        ("twilio-errors", "/in/twilio"),
        ("webhook", "/in/any?token=secret"),
    ] {
        for entry in fs::read_dir(cases::project().join("plugins").join(plugin).join("cases"))? {
            let case = entry?.path();
            if case.extension().is_none_or(|ending| ending != "http") {
                continue;
            }
            let message = fs::read(&case)?;
            let line = message
                .iter()
                .position(|byte| *byte == b'\n')
                .unwrap_or_default();
            let head = format!("POST {path} HTTP/1.1");
            let name = format!(
                "{plugin}-{}",
                case.file_stem().unwrap_or_default().to_string_lossy()
            );
            fs::write(
                corpus.join(name),
                [head.as_bytes(), &message[line..]].concat(),
            )?;
        }
    }
    Ok(())
}

//! `demo`: shows one alert all the way, on this machine alone.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::AUTHORIZATION;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use plugin_sdk::case;
use plugin_sdk::contract;
use tokio::signal::unix::{SignalKind, signal};

use super::single::{self, Single, TOKEN};
use super::{Failure, Outcome, block_on, events};
use crate::config::{Format, did_you_mean, listed};
use crate::gateway::{Gateway, Options};
use crate::store::{History, RequestRecord};
use itoc360_double::{Double, Setup};

/// The longest that the demonstration waits for its alert to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause between two looks for the receipt in the store.
const LOOK: Duration = Duration::from_millis(20);

/// Starts a gateway on loopback with a store in a temporary folder and a double for ITOC360, posts
/// a correctly signed sample of the plugin through HTTP, and shows the request, the alert and the
/// receipt.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway demo
  alert-gateway demo --plugin webhook
  alert-gateway demo --keep")]
pub struct Demo {
    /// The bundled plugin to show
    #[arg(long, value_name = "NAME", default_value = alert_gateway_plugins::SHOWN_FIRST)]
    plugin: String,
    /// Keep running afterwards, so that you can look around; Ctrl-C ends it
    #[arg(long)]
    keep: bool,
}

pub fn demo(what: &Demo) -> Outcome {
    if alert_gateway_plugins::find(&what.plugin).is_none() {
        let names = || {
            alert_gateway_plugins::all()
                .iter()
                .map(|plugin| plugin.name)
        };
        let near = did_you_mean(&what.plugin, names())
            .map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
        let found = format!(
            "there is no bundled plugin {:?}, only {}",
            what.plugin,
            listed(names(), "and")
        );
        return Err(Failure::Usage(found + &near));
    }
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    block_on(async { Ok(show(what, folder.path()).await?) })
}

async fn show(what: &Demo, folder: &Path) -> anyhow::Result<()> {
    let sample = alert_gateway_plugins::find(&what.plugin)
        .and_then(|plugin| plugin.sample)
        .with_context(|| format!("the plugin {} has no sample", what.plugin))?;
    let request =
        case::parse_request(sample.request, case::no_settings(), None, case::RECEIVED_AT)?;
    let double = Double::start(Setup {
        token: TOKEN.to_owned(),
        ..Setup::default()
    })
    .await?;
    let config = Single {
        plugin: &what.plugin,
        url: &request.url,
        settings: single::from_json(sample.settings)?,
        file: Path::new("the sample's settings"),
        itoc360: &double.url(),
        format: Format::Alertmanager.as_str(),
        data_dir: folder,
    }
    .config()?;
    let gateway = Gateway::start(&config, &Options::default()).await?;
    let shown = tell(&gateway, &double, &request, folder).await;
    if shown.is_ok() && what.keep {
        // Before the line, so that its reader can rely on it.
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let admin = gateway
            .admin
            .map_or_else(|| "nowhere".to_owned(), |admin| format!("http://{admin}"));
        writeln!(
            std::io::stdout(),
            "\nstill running: senders at http://{}, health and metrics at {admin}; Ctrl-C ends it",
            gateway.address
        )?;
        interrupt.recv().await;
    }
    gateway.stop().await;
    shown
}

async fn tell(
    gateway: &Gateway,
    double: &Double,
    request: &contract::Request,
    data_dir: &Path,
) -> anyhow::Result<()> {
    let path = request
        .url
        .find("/in/")
        .map_or("/", |start| &request.url[start..]);
    let (status, answer) = post(&format!("http://{}{path}", gateway.address), request).await?;
    // `println!` would panic where nobody reads any more.
    let mut out = std::io::stdout();
    writeln!(
        out,
        "1. The sender posts {} bytes to {}",
        request.body.bytes().len(),
        request.url
    )?;
    writeln!(out, "   and is answered {status}: {answer}")?;
    ensure!(status == 200, "the sample was not accepted");
    ensure!(
        double.wait_for(1, PATIENCE).await,
        "no alert arrived within {PATIENCE:?}"
    );
    let received = double.received();
    let alert = received.first().map(|one| one.json()).unwrap_or_default();
    writeln!(out, "\n2. ITOC360 (a double on this machine) receives:")?;
    writeln!(out, "{}", serde_json::to_string_pretty(&alert)?)?;
    let id = serde_json::from_str::<serde_json::Value>(&answer)?["request"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let record = settled(data_dir, &id).await?;
    writeln!(
        out,
        "\n3. The chain from the request to the receipt, as `alert-gateway events show {id}` prints it:"
    )?;
    events::chain(&mut out, &record)?;
    Ok(out.flush()?)
}

async fn post(url: &str, request: &contract::Request) -> anyhow::Result<(u16, String)> {
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    // The source's token stands in the URL where the sample shows its plugin a credential in the
    // header.
    let is_taken = request
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let mut message = Request::builder().method(request.method.as_str());
    message = if is_taken {
        let and = if url.contains('?') { '&' } else { '?' };
        message.uri(format!("{url}{and}token={TOKEN}"))
    } else {
        message
            .uri(url)
            .header(AUTHORIZATION, format!("Bearer {TOKEN}"))
    };
    for (name, value) in &request.headers {
        // The client addresses and frames the message by itself.
        if !["host", "content-length", "connection"].contains(&name.as_str()) {
            message = message.header(name, value);
        }
    }
    let message = message.body(Full::from(request.body.bytes().into_owned()))?;
    let answer = tokio::time::timeout(PATIENCE, client.request(message))
        .await
        .context("no answer")??;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// The request, once the store has the receipt of its alert.
async fn settled(data_dir: &Path, id: &str) -> anyhow::Result<RequestRecord> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let record = History::open(data_dir)?
            .find(id)?
            .pop()
            .ok_or_else(|| anyhow!("the request is not in the store"))?;
        if record.alerts.iter().all(|alert| alert.state == "delivered")
            || tokio::time::Instant::now() > deadline
        {
            return Ok(record);
        }
        tokio::time::sleep(LOOK).await;
    }
}

//! Answers senders as the gateway would, and tells the author what the plugin said. Nothing is
//! stored.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::watch::RECORDED;
use crate::cli::case_files::CaseFiles;
use crate::cli::plain;
use crate::http::{self, Client};
use crate::intake::{self, Ending, Fetcher, Gate, Received, route};
use crate::sources::{CaseMaker, Recorded, Source};

/// The source, read by one build of its plugin.
#[derive(Debug)]
pub struct Serving {
    /// The number of that build.
    pub build: u32,
    /// The source.
    pub source: Source,
    /// The way to it.
    pub gate: Gate,
    /// Gets the key of its sender.
    pub fetcher: Fetcher,
    /// The path of the public URL.
    pub public_path: String,
    /// The folder in which each request becomes a case.
    pub record: Option<PathBuf>,
}

/// The author's view of a request.
enum Seen {
    /// The plugin's answer.
    Answer(String),
    /// The reason why there is no answer.
    Failure(String),
    /// The plugin was not asked.
    Nothing,
}

impl Serving {
    /// Answers a request of `client`, and prints what became of it.
    pub async fn answer(&self, request: Request<Incoming>, client: Client) -> http::Answer {
        let id = Uuid::now_v7().to_string();
        // Without the query, which may hold the token.
        let asked = format!("{} {}", request.method(), request.uri().path());
        let started = Instant::now();
        let (ending, seen) = self.read(&id, client, request).await;
        let took = started.elapsed();
        let (head, body) = ending.into_answer(&id, Some(&self.source)).into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(never) => match never {},
        };
        let said = match seen {
            Seen::Answer(answer) => answer,
            Seen::Failure(error) => error,
            Seen::Nothing => serde_json::from_slice(&body)
                .map_or_else(|_| String::new(), |body: Value| pretty(&body)),
        };
        self.print(&format!("{asked}: {}", head.status), took, &said);
        Response::from_parts(head, http::AnswerBody::Whole(Full::new(body)))
    }

    async fn read(&self, id: &str, client: Client, request: Request<Incoming>) -> (Ending, Seen) {
        let path = request.uri().path().to_owned();
        let Some(route) = route::find(&self.public_path, &path)
            .filter(|route| *route.source == *self.source.name)
        else {
            return (Ending::NoSource, Seen::Nothing);
        };
        let received = match intake::receive(
            id,
            &self.source,
            &self.gate,
            &self.fetcher,
            route.suffix,
            client,
            request,
        )
        .await
        {
            Ok(received) => received,
            Err(refusal) => return (refusal.ending, Seen::Nothing),
        };
        self.record(&received).await;
        match received.read(&self.source).await {
            Ok(answer) => {
                let seen = Seen::Answer(pretty(&answer));
                let accepted = |alerts: Vec<_>| Ending::Accepted {
                    accepted: alerts.len(),
                    duplicates: 0,
                };
                (
                    intake::alerts_of(answer).map_or_else(|ending| ending, accepted),
                    seen,
                )
            }
            Err(error) => {
                let seen = Seen::Failure(error.to_string());
                (
                    if error.is_busy() {
                        Ending::Busy(error)
                    } else {
                        Ending::Kept
                    },
                    seen,
                )
            }
        }
    }

    /// Makes a case of a request, where that is asked for. Its sender is answered all the same.
    async fn record(&self, received: &Received) {
        let Some(dir) = &self.record else { return };
        let recorded = Recorded {
            method: received.method.as_str(),
            url: &received.url,
            headers: received.headers.get(),
            body: &received.body,
        };
        let written = async {
            let (name, files) = (1..u32::MAX)
                .map(|number| format!("{RECORDED}{number:03}"))
                .map(|name| (name.clone(), CaseFiles::new(dir, &name)))
                .find(|(_, files)| files.taken().is_none())
                .ok_or_else(|| anyhow!("there is no free name"))?;
            let maker = CaseMaker::of(&self.source);
            let case = maker.make(&name, recorded, &[], &[]).await;
            files.write(&case.map_err(anyhow::Error::from)?)
        };
        let said = match written.await {
            Ok(said) => said,
            Err(failure) => format!("not recorded: {failure}\n"),
        };
        let _ = write!(std::io::stdout().lock(), "\n{}", plain::lines(&said));
    }

    fn print(&self, line: &str, took: Duration, said: &str) {
        // Whoever reads no more has seen enough; the sender is answered nevertheless.
        let said = plain::lines(said);
        let _ = writeln!(
            std::io::stdout().lock(),
            "\n{line} (build {}, {took:.1?})\n{said}",
            self.build
        );
    }
}

fn pretty(answer: &impl Serialize) -> String {
    serde_json::to_string_pretty(answer).unwrap_or_else(|error| error.to_string())
}

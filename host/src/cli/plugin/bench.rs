//! `plugin bench`: the time of a call.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use clap::Args;
use plugin_sdk::case;
use plugin_sdk::contract::Request;
use plugin_sdk::signature::verify;

use super::subject::{self, Subject};
use super::{Failure, Outcome, block_on, cases, figures};
use crate::cli::plain;
use crate::config::{Limits, parse_duration};
use crate::sources::call_limits;
use alert_gateway_sandbox::{Beginning, CallLimits, Measured, Plugin, Used};

/// The longest that one case is measured.
const LONGEST: Duration = Duration::from_secs(60);
/// Calls of one case after which its figures do not change any more.
const MOST_CALLS: usize = 1_000_000;
/// Calls before the measurement, so that memory and caches are as warm as in a running gateway.
const WARM_UP: usize = 20;
/// Calls that tell what the plugin's start takes.
const STARTS: usize = 50;
/// The one case of a bundled plugin that the gateway carries.
const SAMPLE: &str = "sample";

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway plugin bench
  alert-gateway plugin bench twilio-errors --time 5s")]
pub struct Bench {
    #[command(flatten)]
    plugin: subject::Which,
    /// The folder of the cases, instead of `cases` in the plugin's folder or beside the file
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// Only this case
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// The time to measure each case, at most a minute
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = time)]
    time: Duration,
}

/// The times of one case's calls.
struct Figures {
    calls: usize,
    median: Duration,
    p99: Duration,
    used: Used,
    beginning: Beginning,
    /// The time of a call that starts the plugin anew, where the others do not.
    anew: Option<Duration>,
}

pub fn bench(what: &Bench) -> Outcome {
    let subject = Subject::find(&what.plugin)?;
    let folder = what.cases.as_ref().or(subject.cases.as_ref());
    let cases = match folder {
        Some(folder) => requests(&subject, folder, what.case.as_deref())?,
        None => vec![sample(&subject, what.case.as_deref())?],
    };
    let all_answered = block_on(async {
        let (plugin, limits) = subject.ready(what.plugin.limits).await?;
        let out = &mut io::stdout().lock();
        Ok(measure_all(&plugin, &limits, &cases, what.time, out).await?)
    })?;
    if all_answered {
        Ok(())
    } else {
        Err(Failure::Run(anyhow!("not every case can be measured")))
    }
}

async fn measure_all(
    plugin: &Plugin,
    limits: &Limits,
    cases: &[(String, Request)],
    time: Duration,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    let description = plugin.description();
    let name = plain::lines(&description.name);
    let version = plain::lines(&description.version);
    writeln!(
        out,
        "{name} {version}, one call at a time, each in a fresh instance: the request in, the answer out and checked"
    )?;
    if cfg!(debug_assertions) {
        writeln!(
            out,
            "This is a debug build of the gateway: only a release build (cargo build --release) gives figures."
        )?;
    }
    let width = cases
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or_default()
        .max("limit".len());
    let mut all_answered = true;
    let mut starts: Vec<(Beginning, Option<Duration>)> = Vec::new();
    writeln!(
        out,
        "{:<width$} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "case", "median", "p99", "memory", "output", "calls"
    )?;
    for (name, request) in cases {
        let Some(request) = proven(plugin, request) else {
            writeln!(
                out,
                "{name:<width$} no call: the gateway refuses the sender"
            )?;
            continue;
        };
        match measure(plugin, &request, &call_limits(limits), time).await {
            Ok(Figures {
                calls,
                median,
                p99,
                used,
                beginning,
                anew,
            }) => {
                writeln!(
                    out,
                    "{name:<width$} {:>10} {:>10} {:>10} {:>10} {calls:>10}",
                    figures::time(median),
                    figures::time(p99),
                    figures::size(used.memory),
                    figures::size(used.output)
                )?;
                match starts.iter_mut().find(|(known, _)| *known == beginning) {
                    Some((_, longest)) => *longest = anew.max(*longest),
                    None => starts.push((beginning, anew)),
                }
            }
            Err(why) => {
                all_answered = false;
                writeln!(out, "{name:<width$} {}", plain::lines(&why))?;
            }
        }
    }
    let time = limits.time;
    let memory = figures::size(limits.memory);
    let output = figures::size(limits.output);
    writeln!(
        out,
        "{:<width$} {:>10} {:>10} {memory:>10} {output:>10}",
        "limit",
        "",
        figures::time(time)
    )?;
    for (beginning, anew) in starts {
        write!(out, "{}", plain::lines(&start(&beginning, anew)))?;
    }
    Ok(all_answered)
}

/// The requests of a folder's cases.
fn requests(
    subject: &Subject,
    folder: &Path,
    only: Option<&str>,
) -> Result<Vec<(String, Request)>, Failure> {
    let mut requests = Vec::new();
    for path in cases::selected(folder, only)? {
        let mut case = case::load_one(&path)?;
        subject.complete(&mut case.request);
        requests.push((case.name, case.request));
    }
    Ok(requests)
}

fn sample(subject: &Subject, only: Option<&str>) -> Result<(String, Request), Failure> {
    let name = &subject.name;
    let Some(sample) = alert_gateway_plugins::find(name).and_then(|bundled| bundled.sample) else {
        return Err(Failure::Usage(format!(
            "the gateway carries no sample of {name}: name a folder of cases with --cases DIR, or measure its crate, as in \
             `alert-gateway plugin bench plugins/{name}`"
        )));
    };
    if let Some(only) = only.filter(|only| *only != SAMPLE) {
        return Err(cases::unknown(only, &[SAMPLE.to_owned()]));
    }
    let settings =
        serde_json::from_str(sample.settings).context("the sample's settings are not JSON")?;
    let request = case::parse_request(sample.request, settings, None, case::RECEIVED_AT)?;
    Ok((SAMPLE.to_owned(), request))
}

/// A request as the gateway hands it to a plugin, with the proof of its sender checked. `None` where
/// it is refused before.
fn proven(plugin: &Plugin, request: &Request) -> Option<Request> {
    let demands = &plugin.description().proof;
    let proved = verify(demands, request.settings.get(), request).ok()?;
    Some(Request {
        proved,
        ..request.clone()
    })
}

async fn measure(
    plugin: &Plugin,
    request: &Request,
    limits: &CallLimits,
    time: Duration,
) -> Result<Figures, String> {
    let source = request.source.as_str();
    let plugin = plugin.prepared(request.settings.get().as_bytes()).await;
    let request = serde_json::to_vec(request).map_err(|error| error.to_string())?;
    let Measured { answer, used, .. } = plugin.measure(source, &request, limits).await;
    answer.map_err(|error| format!("cannot be measured: {error}"))?;
    let calls = async |plugin: &Plugin, most: usize, time: Duration| {
        let end = Instant::now() + time;
        let mut times = Vec::new();
        while times.is_empty() || (times.len() < most && Instant::now() < end) {
            let start = Instant::now();
            let answer = plugin.read(source, &request, limits).await;
            answer.map_err(|error| error.to_string())?;
            times.push(start.elapsed());
        }
        times.sort_unstable();
        Ok::<_, String>(times)
    };
    // The smallest time that so many of a hundred calls stay within.
    let within = |times: &[Duration], percent: usize| {
        times[(times.len() * percent).div_ceil(100).max(1) - 1]
    };
    let beginning = plugin.beginning();
    let anew = match beginning.snapshot {
        0 => None,
        _ => Some(within(
            &calls(&plugin.unprepared(), STARTS, time).await?,
            50,
        )),
    };
    calls(&plugin, WARM_UP, time).await?;
    let times = calls(&plugin, MOST_CALLS, time).await?;
    Ok(Figures {
        calls: times.len(),
        median: within(&times, 50),
        p99: within(&times, 99),
        used,
        beginning,
        anew,
    })
}

/// Tells where the plugin's start is done, in lines; none where it has no start.
fn start(beginning: &Beginning, longest: Option<Duration>) -> String {
    let mut lines = String::new();
    if let Some(longest) = longest {
        lines += &format!(
            "The plugin starts once, and each call begins with the {} that this leaves. A call that starts it anew takes {}.\n",
            figures::size(beginning.snapshot),
            figures::time(longest)
        );
    }
    if let Some(why) = &beginning.anew {
        let part = match beginning.snapshot {
            0 => "The plugin's start",
            _ => "A part of its start",
        };
        lines += &format!("{part} is done in each call: {why}.\n");
    }
    lines
}

fn time(text: &str) -> anyhow::Result<Duration> {
    parse_duration(text)
        .filter(|time| (Duration::from_millis(1)..=LONGEST).contains(time))
        .ok_or_else(|| anyhow!("write a duration from 1ms to 1m"))
}

//! `plugin inspect`: description, settings and imports of a plugin.

mod kind;
mod page;
mod settings;

use std::io::{self, Write};

use anyhow::anyhow;
use clap::Args;
use plugin_sdk::contract::{Fetch, Purpose};
use serde::Serialize;

use super::contract::unknown;
use super::snippet::{Named, snippet};
use super::subject::{self, Origin, Subject};
use super::{Failure, Outcome, block_on, figures};
use crate::cli::plain;
use crate::config::Limits;
use crate::sources::schema;
use alert_gateway_plugins::script;
use alert_gateway_sandbox::{Beginning, Description, Import, Plugin};
use settings::{Row, settings};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway plugin inspect twilio-errors
  alert-gateway plugin inspect my-sender.wasm --json | jq .problems")]
pub struct Inspect {
    #[command(flatten)]
    plugin: subject::Which,
    /// As one JSON object: the fields of the contract's Description, and size (bytes), sha256,
    /// imports (`module.name`), exports and problems, which is empty where all is well
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// As the page for the plugin's documentation
    #[arg(long)]
    markdown: bool,
}

/// All that is known of a plugin.
#[derive(Serialize)]
struct Known<'a> {
    #[serde(flatten)]
    description: &'a Description,
    size: usize,
    sha256: &'a str,
    imports: Vec<String>,
    exports: Vec<String>,
    problems: &'a [String],
}

pub fn inspect(what: &Inspect) -> Outcome {
    let subject = Subject::find(&what.plugin)?;
    let (plugin, limits, warnings) = block_on(async {
        let (plugin, limits) = subject.ready(what.plugin.limits).await?;
        let warnings = unknown::of_description(&plugin).await;
        Ok((plugin, limits, warnings))
    })?;
    let description = plugin.description();
    let mut problems = description.flaws();
    problems.extend(schema::flaw(description).map(|flaw| {
        format!("the settings' schema is no JSON Schema (draft 2020-12), so no source can use the plugin; {flaw}")
    }));
    let mut out = io::stdout().lock();
    if what.json {
        let known = Known {
            description,
            size: subject.size(),
            sha256: plugin.sha256(),
            imports: plugin
                .imports()
                .into_iter()
                .map(|import| import.function)
                .collect(),
            exports: plugin.exports(),
            problems: &problems,
        };
        writeln!(out, "{}", serde_json::to_string_pretty(&known)?)?;
    } else if what.markdown {
        write!(out, "{}", page::page(description, &named(&subject, None)))?;
    } else {
        write!(out, "{}", plain::lines(&shown(&subject, &plugin, &limits)))?;
    }
    for warning in &warnings {
        eprintln!("warning: {}", plain::lines(warning));
    }
    for problem in &problems {
        eprintln!("problem: {}", plain::lines(problem));
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::Run(anyhow!(
            "the plugin does not keep the contract"
        )))
    }
}

fn named<'a>(subject: &'a Subject, sha256: Option<&'a str>) -> Named<'a> {
    match &subject.origin {
        Origin::Bundled(bundled) => Named::Bundled(bundled.name),
        Origin::File(path) => Named::File(path, sha256),
        Origin::Script => Named::Bundled(script::ENGINE),
        Origin::Folder => Named::Bundled(&subject.name),
    }
}

fn shown(subject: &Subject, plugin: &Plugin, limits: &Limits) -> String {
    let description = plugin.description();
    let Description {
        name,
        version,
        summary,
        license,
        homepage,
        contract,
        url_suffix,
        setup,
        authenticates,
        ..
    } = description;
    let sender = if *authenticates {
        "the plugin proves who sends; a source needs no token"
    } else {
        "a source needs a token, unless a setting makes the plugin prove who sends"
    };
    let suffix = if url_suffix.is_empty() {
        "nothing"
    } else {
        url_suffix.as_str()
    };
    let mut origin = String::new();
    if !license.is_empty() {
        origin += &format!("licence     {license}\n");
    }
    if !homepage.is_empty() {
        origin += &format!("homepage    {homepage}\n");
    }
    let size = figures::size(subject.size());
    let limits = figures::limits(limits);
    let sha256 = plugin.sha256();
    let exports = plugin.exports().join(", ");
    let start = start(&plugin.beginning());
    let mut setup = setup
        .trim()
        .replace("{url}", &format!("<public_url>/in/<source>{url_suffix}"));
    if setup.is_empty() {
        setup.push_str("The plugin says nothing of it.");
    }
    format!(
        "{name} {version}\n{summary}\n\n{origin}contract    {contract}\nsender      {sender}\nURL suffix  {suffix}\n\
         limits      {limits}\nsize        {size}\nsha256      {sha256}\n{start}exports     {exports}\n\nSettings\n{}\nWhat it can do\n{}\n\
         What it cannot do\n  See a clock, a file, the network, the environment or a random number; or keep anything from\n  \
         one request to the next.\n\nSetup\n{}\n\nConfiguration\n{}",
        settings_shown(description),
        reach(&plugin.imports()) + &fetched(&description.fetch),
        below(&setup),
        below(&snippet(description, &named(subject, Some(sha256)))) + "\n",
    )
}

/// Tells where the plugin's start is done, where it has one.
fn start(beginning: &Beginning) -> String {
    let Beginning { snapshot, anew } = beginning;
    let done = match (snapshot, anew) {
        (0, None) => return String::new(),
        (0, Some(why)) => format!("in each call: {why}"),
        (snapshot, None) => format!(
            "once; each call begins with the {} that it leaves",
            figures::size(*snapshot)
        ),
        (_, Some(why)) => format!("a part of it in each call: {why}"),
    };
    format!("start       {done}\n")
}

fn settings_shown(description: &Description) -> String {
    let settings = settings(description);
    let mut lines = String::new();
    for Row {
        name,
        kind,
        required,
        secret,
        default,
        description,
    } in &settings.rows
    {
        let marks = [(*required, "required"), (*secret, "secret")];
        let marks: Vec<_> = marks
            .iter()
            .filter(|(is, _)| *is)
            .map(|(_, mark)| *mark)
            .collect();
        let marks = if marks.is_empty() {
            String::new()
        } else {
            format!("  ({})", marks.join(", "))
        };
        lines += &format!("  {name}{marks}\n      {kind}\n");
        if let Some(default) = default {
            lines += &format!("      {default} where it is not given\n");
        }
        if !description.is_empty() {
            lines += &format!("      {}\n", description.replace('\n', "\n      "));
        }
    }
    if !settings.complete {
        lines += "  The schema says more than this: see --json.\n";
    } else if settings.rows.is_empty() {
        lines += "  none\n";
    }
    lines
}

/// Lists the meanings of the imports, each once, with its functions.
fn reach(imports: &[Import]) -> String {
    let mut meanings: Vec<(&str, Vec<&str>)> = Vec::new();
    for Import { function, meaning } in imports {
        let name = function.rsplit('.').next().unwrap_or(function);
        match meanings.iter_mut().find(|(known, _)| known == meaning) {
            Some((_, functions)) => functions.push(name),
            None => meanings.push((meaning, vec![name])),
        }
    }
    if meanings.is_empty() {
        return "  nothing: it imports no function\n".to_owned();
    }
    meanings
        .iter()
        .map(|(meaning, functions)| format!("  {meaning} ({})\n", functions.join(", ")))
        .collect()
}

/// Lists the addresses that the gateway gets for the plugin.
fn fetched(fetches: &[Fetch]) -> String {
    let mut lines = String::new();
    for Fetch {
        purpose,
        url,
        at,
        setting,
        ..
    } in fetches
    {
        let what = match purpose {
            Purpose::Key => "the key of the sender",
            Purpose::Confirmation => "a confirmation",
        };
        lines += &format!(
            "  has the gateway get {what} at {url}\n      where {setting} = true, from {at} of a request\n"
        );
    }
    lines
}

fn below(text: &str) -> String {
    text.trim_end()
        .lines()
        .map(|line| format!("  {line}").trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

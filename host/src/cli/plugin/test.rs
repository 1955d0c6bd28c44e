//! `plugin test`: every case of a plugin through the real sandbox, under the limits of a real
//! source, and compared with the answer that is written down.

mod trial;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use plugin_sdk::case;

use super::contract::unknown;
use super::subject::{self, Subject};
use super::{Failure, Outcome, block_on, cases, figures};
use crate::cli::plain;
use crate::config::Limits;
use crate::sources::schema;
use alert_gateway_sandbox::Plugin;
use trial::{Trial, Verdict};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway plugin test
  alert-gateway plugin test --case http-502 --bless
  alert-gateway plugin test alertmanager")]
pub struct Test {
    #[command(flatten)]
    plugin: subject::Which,
    /// The folder of the cases, instead of `cases` in the plugin's folder or beside the file; a
    /// bundled plugin has none
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    #[command(flatten)]
    chosen: Chosen,
}

/// The options of a run of cases.
#[derive(Debug, Default, Args)]
pub struct Chosen {
    /// Only this case
    #[arg(long = "case", value_name = "NAME")]
    pub only: Option<String>,
    /// Write down each answer that is new or another one, instead of complaining of it
    #[arg(long)]
    pub bless: bool,
}

pub fn test(what: &Test) -> Outcome {
    let subject = Subject::find(&what.plugin)?;
    let Some(cases) = what.cases.as_ref().or(subject.cases.as_ref()) else {
        let name = &subject.name;
        return Err(Failure::Usage(format!(
            "the gateway carries {name} without its cases: name their folder with --cases DIR, or test the crate, as in \
             `alert-gateway plugin test plugins/{name}`"
        )));
    };
    let passed = block_on(async {
        let (plugin, limits) = subject.ready(what.plugin.limits).await?;
        run(
            cases,
            &plugin,
            Some(&subject),
            &limits,
            &what.chosen,
            &mut io::stdout().lock(),
        )
        .await
    })?;
    if passed {
        Ok(())
    } else {
        Err(Failure::Run(anyhow::anyhow!(
            "not every case is answered as written"
        )))
    }
}

/// Runs the cases of a folder, says of each what became of it, and gives whether all is well.
///
/// # Errors
/// Where there is nothing to run, or nowhere to say it. What is wrong with a case or with the
/// plugin is said, and is no error.
pub async fn run(
    folder: &Path,
    plugin: &Plugin,
    subject: Option<&Subject>,
    limits: &Limits,
    chosen: &Chosen,
    out: &mut impl Write,
) -> Result<bool, Failure> {
    let paths = cases::selected(folder, chosen.only.as_deref())?;
    let description = plugin.description();
    let name = plain::lines(&description.name);
    let version = plain::lines(&description.version);
    writeln!(
        out,
        "{name} {version}, each case in a fresh instance; limits: {}",
        figures::limits(limits)
    )?;
    let mut passed = 0;
    let mut failed = 0;
    let mut new = 0;
    for warning in unknown::of_description(plugin).await {
        writeln!(out, "warning  {}", plain::lines(&warning))?;
    }
    for flaw in description
        .flaws()
        .into_iter()
        .chain(schema::flaw(description).map(|flaw| settings_flaw(folder, &flaw)))
    {
        writeln!(out, "failed   describe\n{}", indented(&flaw))?;
        failed += 1;
    }
    let width = paths
        .iter()
        .map(|path| case::name(path).chars().count())
        .max()
        .unwrap_or_default();
    for path in &paths {
        let Trial {
            verdict,
            used,
            warnings,
        } = trial::of(path, plugin, subject, limits, chosen.bless).await;
        let used = used.map_or_else(String::new, |used| {
            let time = used.time;
            let memory = used.memory;
            let output = used.output;
            format!(
                "{:>10} {:>10} {:>10}",
                figures::time(time),
                figures::size(memory),
                figures::size(output)
            )
        });
        let line = format!("{:<8} {:<width$} {used}", verdict.word(), case::name(path));
        writeln!(out, "{}", line.trim_end())?;
        match verdict {
            Verdict::Ok => passed += 1,
            Verdict::Written(file) => {
                passed += 1;
                writeln!(
                    out,
                    "    wrote {}: read it before you keep it",
                    file.display()
                )?;
            }
            Verdict::New(why) => {
                new += 1;
                writeln!(out, "{}", indented(&why))?;
            }
            Verdict::Changed(why) | Verdict::Failed(why) => {
                failed += 1;
                writeln!(out, "{}", indented(&why))?;
            }
        }
        for warning in warnings {
            writeln!(out, "{}", indented(&format!("warning: {warning}")))?;
        }
    }
    let news = if new == 0 {
        String::new()
    } else {
        format!(", {new} new")
    };
    writeln!(out, "{passed} passed, {failed} failed{news}")?;
    Ok(failed + new == 0)
}

fn settings_flaw(cases: &Path, flaw: &str) -> String {
    let place = schema_file(cases).map_or_else(
        || "its settings' schema".to_owned(),
        |file| format!("its settings' schema, {},", file.display()),
    );
    format!("{place} is no JSON Schema (draft 2020-12), so no source could use it; {flaw}")
}

/// The file in which the author of these cases keeps the schema, where it has the usual name.
fn schema_file(cases: &Path) -> Option<PathBuf> {
    let folder = cases.parent()?;
    ["src/settings.schema.json", "settings.schema.json"]
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
}

fn indented(text: &str) -> String {
    plain::lines(text)
        .trim_end()
        .lines()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

//! The trial of one case.

use std::path::{Path, PathBuf};

use plugin_sdk::case::{self, Case, Difference};
use plugin_sdk::contract::Mistake;
use serde_json::Value;

use crate::cli::plugin::contract::unknown;
use crate::cli::plugin::subject::Subject;
use crate::config::Limits;
use crate::sources::{call_limits, schema};
use alert_gateway_sandbox::{Measured, Plugin, Used};

/// The result of a case.
pub struct Trial {
    /// The comparison with the expected answer.
    pub verdict: Verdict,
    /// The resources of the call, if there was one.
    pub used: Option<Used>,
    /// The parts of the answer that the host ignores.
    pub warnings: Vec<String>,
}

/// The comparison of an answer with the expected one.
pub enum Verdict {
    /// The answer is the expected one.
    Ok,
    /// The answer was written into this file as the expected one.
    Written(PathBuf),
    /// No answer is expected yet.
    New(String),
    /// The answer differs from the expected one.
    Changed(String),
    /// There is no valid answer.
    Failed(String),
}

impl Verdict {
    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Written(_) => "written",
            Self::New(_) => "new",
            Self::Changed(_) => "changed",
            Self::Failed(_) => "failed",
        }
    }
}

/// Tries the case of this `.http` file.
pub async fn of(
    path: &Path,
    plugin: &Plugin,
    subject: Option<&Subject>,
    limits: &Limits,
    bless: bool,
) -> Trial {
    let prepared = async {
        let mut case = case::load_one(path).map_err(|error| error.to_string())?;
        if let Some(subject) = subject {
            subject.complete(&mut case.request);
        }
        let script = subject.and_then(|subject| subject.script.as_ref());
        let script = script.map(|(file, _)| &**file);
        let request = prepare(&case, path, script, plugin, limits).await?;
        Ok((case, request))
    };
    let (case, request) = match prepared.await {
        Ok(prepared) => prepared,
        Err(why) => {
            return Trial {
                verdict: Verdict::Failed(why),
                used: None,
                warnings: Vec::new(),
            };
        }
    };
    let Measured {
        answer,
        output,
        used,
    } = plugin
        .prepared(case.request.settings.get().as_bytes())
        .await
        .measure(&case.request.source, &request, &call_limits(limits))
        .await;
    let warnings = match answer {
        Ok(_) => unknown::fields(
            "Answer",
            &serde_json::from_slice(&output).unwrap_or_default(),
        ),
        Err(_) => Vec::new(),
    };
    let verdict = match answer {
        Ok(_) => judge(&case, &String::from_utf8_lossy(&output), bless),
        // In a log it is one line; here an author reads it.
        Err(error) => Verdict::Failed(format!(
            "{}\n{}",
            error.to_string().replace("\\n", "\n"),
            error.advice()
        )),
    };
    Trial {
        verdict,
        used: Some(used),
        warnings,
    }
}

/// The request as the sandbox takes it, if a source would let it come that far.
async fn prepare(
    case: &Case,
    path: &Path,
    script: Option<&Path>,
    plugin: &Plugin,
    limits: &Limits,
) -> Result<Vec<u8>, String> {
    let length = case.request.body.bytes().len();
    if length > limits.body {
        return Err(format!(
            "the body has {length} bytes, and a source takes {}: shorten it, or tell operators to set `body` in the \
             source's limits",
            limits.body
        ));
    }
    let settings: Value =
        serde_json::from_str(case.request.settings.get()).map_err(|error| error.to_string())?;
    let mut misfits = schema::misfits(plugin.description(), &settings);
    let mut what = "fit the plugin's own schema";
    if misfits.is_empty() {
        what = "pass the plugin's own check";
        let checked = plugin
            .check(&case.request.source, case.request.settings.get().as_bytes())
            .await;
        let checked = checked.map_err(|error| {
            format!(
                "it could not check the settings: {error}\n{}",
                error.advice()
            )
        })?;
        let told =
            |mistake: &Mistake| format!("{}: {}; {}", mistake.path, mistake.found, mistake.help);
        misfits.extend(checked.mistakes.iter().map(told));
        if let (Some(script), [mistake]) = (script, &checked.mistakes[..])
            && mistake.path == "/script"
        {
            return Err(format!(
                "the script {} cannot be run, so `check` would refuse a source that has it:\n  {}; {}",
                script.display(),
                mistake.found,
                mistake.help
            ));
        }
    }
    if misfits.is_empty() {
        return serde_json::to_vec(&case.request).map_err(|error| error.to_string());
    }
    let schema = path.parent().and_then(super::schema_file);
    let schema = schema.map_or_else(
        || "the schema".to_owned(),
        |file| format!("the schema in {}", file.display()),
    );
    let own = path.with_extension("settings.json");
    let shared = path.with_file_name("settings.json");
    let place = if own.exists() {
        format!("{}, or {schema}", own.display())
    } else if shared.exists() {
        format!("{}, or {schema}", shared.display())
    } else {
        format!("{schema}, or write settings into {}", shared.display())
    };
    Err(format!(
        "its settings do not {what}, so `check` would refuse a source that has them:\n  {}\nFix {place}.",
        misfits.join("\n  ")
    ))
}

fn judge(case: &Case, output: &str, bless: bool) -> Verdict {
    match case.compare(output) {
        Ok(()) => Verdict::Ok,
        Err(Difference::NotJson(error)) => {
            Verdict::Failed(format!("the answer nests too deep to be compared: {error}"))
        }
        Err(_) if bless => {
            let written = case::pretty(output).map_err(|error| error.to_string());
            let file = case.answer_path.clone();
            match written
                .and_then(|text| std::fs::write(&file, text).map_err(|error| error.to_string()))
            {
                Ok(()) => Verdict::Written(file),
                Err(error) => Verdict::Failed(format!("cannot write {}: {error}", file.display())),
            }
        }
        Err(missing @ Difference::Missing { .. }) => Verdict::New(format!(
            "{missing}If it is right, write it down with --bless."
        )),
        Err(other) => Verdict::Changed(format!(
            "{other}\nIf the new answer is right, write it down with --bless."
        )),
    }
}

//! The cases that are asked for.

use std::path::{Path, PathBuf};

use anyhow::Context;
use plugin_sdk::case;

use super::Failure;
use crate::config::{did_you_mean, listed};

/// The `.http` files of a folder, or the one of the case that is meant.
pub fn selected(folder: &Path, only: Option<&str>) -> Result<Vec<PathBuf>, Failure> {
    let shown = folder.display();
    if !folder.is_dir() {
        return Err(Failure::Usage(format!(
            "there is no folder {shown}: make it, and put a request that the plugin is to read into {shown}/<case>.http"
        )));
    }
    let mut paths = case::list(folder).context("cannot look for cases")?;
    if paths.is_empty() {
        return Err(Failure::Usage(format!(
            "{shown} holds no case: put a request into a file `<case>.http` there, as `POST https://<host>/in/<source> \
             HTTP/1.1`, headers, an empty line and the body; `plugin test --bless` then writes the answer beside it"
        )));
    }
    if let Some(only) = only {
        let names: Vec<_> = paths.iter().map(|path| case::name(path)).collect();
        paths.retain(|path| case::name(path) == only);
        if paths.is_empty() {
            return Err(unknown(only, &names));
        }
    }
    Ok(paths)
}

/// There is no case of this name, only of these.
pub fn unknown(only: &str, names: &[String]) -> Failure {
    let names = || names.iter().map(String::as_str);
    let near = did_you_mean(only, names())
        .map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
    Failure::Usage(format!(
        "there is no case \"{only}\", only {}{near}",
        listed(names(), "and")
    ))
}

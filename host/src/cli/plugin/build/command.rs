//! Builds by the command of a `plugin.toml`.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow};

use super::{Built, Failure};
use crate::cli::plugin::folder::MANIFEST;

/// Runs the command in the folder, and reads the wasm that it leaves. The command's words go to
/// standard error.
///
/// # Errors
/// Each says what to do next.
pub fn wasm_of(dir: &Path, build: Option<&str>, wasm: &Path) -> Result<Built, Failure> {
    let manifest = dir.join(MANIFEST);
    let manifest = manifest.display();
    if let Some(build) = build {
        let done = Command::new("sh")
            .args(["-c", build])
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .status()
            .context("cannot run sh")?;
        if !done.success() {
            return Err(anyhow!(
                "the build of {manifest} failed ({done}); its words are above: {build}"
            )
            .into());
        }
    }
    let content = std::fs::read(wasm).map_err(|error| {
        let help = match build {
            Some(_) => "its build ended well, so `wasm` is not the file that it makes",
            None => "without a `build` the file must be there",
        };
        Failure::Usage(format!(
            "cannot read {}, the wasm of {manifest}: {error}; {help}",
            wasm.display()
        ))
    })?;
    let name = wasm.file_stem().unwrap_or(wasm.as_os_str());
    Ok(Built {
        name: name.to_string_lossy().into_owned(),
        path: wasm.to_owned(),
        wasm: content,
    })
}

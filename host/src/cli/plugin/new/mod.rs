//! `plugin new`: writes a plugin that compiles, with passing cases, as a start.

mod name;
mod template;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};

use super::{Failure, Outcome};
use name::Name;

/// The same plugin in each language, with the same cases. A crate brings the SDK with it, as this
/// program was made with it, and needs nothing else but crates.io; a script needs no toolchain; the
/// others are built by the command in their plugin.toml.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway plugin new my-sender
  alert-gateway plugin new my-sender --lang js")]
pub struct New {
    /// The plugin's name: lower-case letters, digits and dashes
    name: String,
    /// The folder to make; one of the plugin's name unless this says more
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The language
    #[arg(long, value_enum, default_value_t = Lang::Rust)]
    lang: Lang,
}

/// The languages of a new plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// A crate with the SDK inside
    Rust,
    /// A script for the plugin `javascript`
    #[value(alias = "javascript")]
    Js,
    /// Go 1.24 or later, with the Extism functions that it needs
    Go,
    /// C, built by `zig cc` or a clang for WASI
    C,
    /// Zig
    Zig,
    /// AssemblyScript, by npm
    #[value(alias = "as")]
    Assemblyscript,
}

pub fn new(what: &New) -> Outcome {
    let name = Name::new(&what.name).map_err(Failure::Usage)?;
    let folder = what.dir.clone().unwrap_or_else(|| name.package().into());
    make(&folder, &name, what.lang)?;
    let mut out = std::io::stdout().lock();
    let shown = folder.display();
    let (content, next): (_, [(&str, &str); 3]) = match what.lang {
        Lang::Js => (
            "a script, and cases that pass",
            [
                ("plugin test .", "its cases, through the sandbox"),
                SERVE,
                (
                    "check --config gateway.toml",
                    "mistakes in the script, at their line",
                ),
            ],
        ),
        Lang::Rust => (
            "a plugin that compiles, and cases that pass",
            [
                ("plugin test .", "its cases, through the sandbox"),
                SERVE,
                BUILD,
            ],
        ),
        _ => (
            "a plugin, and cases that pass; README.md names the compiler that it needs",
            [
                (
                    "plugin test .",
                    "builds it, and its cases through the sandbox",
                ),
                SERVE,
                BUILD,
            ],
        ),
    };
    writeln!(out, "{shown} holds {content}. Next:\n\n    cd {shown}")?;
    for (command, purpose) in next {
        writeln!(out, "    alert-gateway {command:<40}  # {purpose}")?;
    }
    Ok(())
}

/// The command that serves a plugin.
const SERVE: (&str, &str) = (
    "plugin dev . --config gateway.toml",
    "serve it here while you change it",
);
/// The command that builds a plugin.
const BUILD: (&str, &str) = ("plugin build .", "the wasm, and the line to configure it");

/// A folder that was not there is there as a whole, or not at all.
fn make(folder: &Path, name: &Name, lang: Lang) -> Result<(), Failure> {
    if std::fs::read_dir(folder)
        .map_or_else(|_| folder.exists(), |mut entries| entries.next().is_some())
    {
        let what = if folder.is_dir() {
            "is there already, and not empty"
        } else {
            "is there already, and no folder"
        };
        let help = "name another folder with --dir, or remove this one";
        return Err(Failure::Usage(format!(
            "{} {what}; {help}",
            folder.display()
        )));
    }
    let folder = std::path::absolute(folder)?;
    let parent = folder
        .parent()
        .ok_or_else(|| anyhow!("{} is no folder for a plugin", folder.display()))?;
    let cannot = || {
        format!(
            "cannot write in {}; name another folder with --dir",
            parent.display()
        )
    };
    std::fs::create_dir_all(parent).with_context(cannot)?;
    let half = half_made(parent).with_context(cannot)?;
    template::write(half.path(), name, lang)
        .map_err(|(path, error)| anyhow!("cannot write {}: {error}", path.display()))?;
    if folder.is_dir() {
        // Into the empty one that is there: somebody may stand in it, or it may be a link.
        for entry in std::fs::read_dir(half.path()).with_context(cannot)? {
            let entry = entry.with_context(cannot)?;
            std::fs::rename(entry.path(), folder.join(entry.file_name())).with_context(cannot)?;
        }
        return Ok(());
    }
    std::fs::rename(half.path(), &folder).with_context(cannot)?;
    // It has moved, so there is nothing to remove.
    let _ = half.keep();
    Ok(())
}

/// A folder that is removed again where the work is not finished, with the rights of any other new
/// folder.
fn half_made(parent: &Path) -> std::io::Result<tempfile::TempDir> {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .prefix(".plugin-")
        .permissions(Permissions::from_mode(0o777))
        .tempdir_in(parent)
}

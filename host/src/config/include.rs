//! `include`: further files of the configuration, by default those of the folder `conf.d` beside it.
//!
//! They are read in the order of the patterns, and those of one pattern in the order of their
//! names, byte by byte. Relative paths in them start at the folder of the main file, so that a
//! table can be moved from one file to another.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use toml::de::DeValue;
use wildmatch::WildMatch;

use super::Environment;
use super::problem::{Problem, Problems, Span};
use super::raw::{Table, Value};
use super::reading::Reading;
use super::text::{self, Text};

/// The pattern where none is written. Without such a folder there are no further files.
const USUAL: &str = "conf.d/*.toml";

/// A folder of more files than this is another folder.
const MOST: usize = 1024;

/// The files of one text: a path with `*` and `?` in its last part, if need be.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: String,
    /// The place where it was written; none for the usual one.
    span: Option<Span>,
}

impl Pattern {
    /// The pattern where none is written.
    fn usual() -> Self {
        Self {
            text: USUAL.to_owned(),
            span: None,
        }
    }

    /// Finds its files. `main` is the file whose folder a relative path starts at, and never one of
    /// them.
    ///
    /// # Errors
    /// The file or folder, the mistake to follow its name, and the remedy.
    fn files(&self, main: &Path) -> Result<Vec<PathBuf>, (PathBuf, String, String)> {
        let path = main.parent().unwrap_or(Path::new("")).join(&self.text);
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let Some(name) = name.filter(|name| name.contains(['*', '?'])) else {
            return Ok(vec![path]);
        };
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let listed = if folder.as_os_str().is_empty() {
            Path::new(".").read_dir()
        } else {
            folder.read_dir()
        };
        let listed = listed.and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let entries = match listed {
            Ok(entries) => entries,
            Err(error)
                if self.span.is_none()
                    && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(Vec::new());
            }
            Err(error) => {
                let help = "its files belong to the configuration; let the gateway's user read it";
                return Err((folder, format!("cannot be read: {error}"), help.to_owned()));
            }
        };
        let pattern = WildMatch::new(&name);
        let mut names: Vec<_> = entries.into_iter().map(|entry| entry.file_name()).collect();
        // A name that begins with a dot is an editor's, or one of Kubernetes' own in a ConfigMap.
        names.retain(|found| {
            let text = found.to_string_lossy();
            (!text.starts_with('.') || name.starts_with('.')) && pattern.matches(&text)
        });
        names.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        if names.len() > MOST {
            let found = format!("has {} files that are included", names.len());
            return Err((folder, found, format!("{MOST} are the most")));
        }
        let is_main = |path: &PathBuf| {
            path == main
                || matches!((path.canonicalize(), main.canonicalize()), (Ok(a), Ok(b)) if a == b)
        };
        let files = names.iter().map(|name| folder.join(name));
        Ok(files.filter(|path| !is_main(path)).collect())
    }
}

/// Reads a file and those that it includes.
///
/// # Errors
/// The problem of an unreadable main file.
pub(super) fn load(path: &Path, env: Environment<'_>) -> Result<Text, Problems> {
    let help = "name the configuration with --config FILE";
    let (text, exposed) = text::read(path, help).map_err(|problem| Problems(vec![*problem]))?;
    Ok(with_included(Text::only(&text, path, exposed), env))
}

/// Adds the files that a text includes.
pub(super) fn with_included(mut text: Text, env: Environment<'_>) -> Text {
    let main = text.files().next().map(Path::to_owned).unwrap_or_default();
    let mut seen = BTreeSet::new();
    for pattern in patterns(&text, env) {
        let at = pattern.span.as_ref().map(|span| text.position(span.start));
        let files = match pattern.files(&main) {
            Ok(files) => files,
            Err((file, found, help)) => {
                let problem = match at {
                    Some(position) => Problem {
                        file: main.clone(),
                        position: Some(position),
                        found: format!("the included folder {} {found}", file.display()),
                        help,
                    },
                    None => Problem {
                        file,
                        position: None,
                        found,
                        help,
                    },
                };
                text.unread.push(problem);
                continue;
            }
        };
        for file in files {
            if !seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())) {
                continue;
            }
            match one(&file) {
                Ok((content, exposed)) => text.push(&content, &file, exposed),
                Err(problem) => text.unread.push(*problem),
            }
        }
    }
    text
}

/// Reads one included file.
fn one(file: &Path) -> Result<(zeroize::Zeroizing<String>, bool), Box<Problem>> {
    let help = "it is included; put it right, or name it so that no pattern of include fits";
    // A pipe would be waited for.
    if file.metadata().is_ok_and(|found| !found.is_file()) {
        return Err(Box::new(Problem {
            file: file.to_owned(),
            position: None,
            found: "is no file".to_owned(),
            help: help.to_owned(),
        }));
    }
    text::read(file, help)
}

/// Returns the patterns of `include`. What is wrong with them is told when the whole is read.
fn patterns(text: &Text, env: Environment<'_>) -> Vec<Pattern> {
    let reading = Reading::new(text, env);
    let document = reading.document();
    let entries = Some(document.get_ref());
    let mut root = Table::new("the file", document.span(), entries, &reading);
    match root.value("include") {
        Some(value) => read(&value).unwrap_or_default(),
        None => vec![Pattern::usual()],
    }
}

/// Reads the key: one text, or a list of them, which may be empty.
pub(super) fn read(value: &Value<'_>) -> Option<Vec<Pattern>> {
    match value.value {
        DeValue::Array(items) => {
            // Each is read before any is given up, so that every problem is told.
            let read: Vec<_> = items.iter().map(|one| pattern(&value.item(one))).collect();
            read.into_iter().collect()
        }
        _ => Some(vec![pattern(value)?]),
    }
}

fn pattern(value: &Value<'_>) -> Option<Pattern> {
    const HELP: &str = "write paths such as \"conf.d/*.toml\", with * and ? in the last part only";
    let text = value.text(USUAL)?;
    let path = Path::new(text);
    let is_plain = |folder: &Path| !folder.to_string_lossy().contains(['*', '?']);
    if path.file_name().is_none() || !path.parent().is_none_or(is_plain) {
        value.wrong_text(text, HELP);
        return None;
    }
    Some(Pattern {
        text: text.to_owned(),
        span: Some(value.span.clone()),
    })
}

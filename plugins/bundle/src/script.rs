//! A plugin that is a script: a folder with the files below, for the bundled engine.
//!
//! Two callers share this file: this crate's build script, which embeds the folders under
//! `plugins/`, and the commands for authors, which read one from disk.

use std::path::Path;
use std::{fs, io};

/// The plugin that runs scripts.
pub const ENGINE: &str = "javascript";

/// The file that makes a folder a script.
pub const SCRIPT: &str = "plugin.js";

/// The files that the engine is configured with, each by the name that it asks for. Beside them it
/// is given the plugin's `name`.
pub const FILES: [(&str, &str); 4] = [
    ("script", SCRIPT),
    ("description", "description.json"),
    ("settings", "settings.schema.json"),
    ("setup", "setup.md"),
];

/// Reads the files of a folder, as the engine is configured with them.
///
/// # Errors
/// Names the file that cannot be read.
pub fn read(folder: &Path, name: &str) -> io::Result<Vec<(&'static str, String)>> {
    let mut configuration = vec![("name", name.to_owned())];
    for (asked, file) in FILES {
        let path = folder.join(file);
        let text = fs::read_to_string(&path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        configuration.push((asked, text));
    }
    Ok(configuration)
}

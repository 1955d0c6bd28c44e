//! Any text as a configuration: every problem is reported, and no secret with it.
#![no_main]

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use alert_gateway::config::Config;
use alert_gateway_fuzz::cases;

/// The value of every environment variable.
const SECRET: &str = "canary-9c41e7";

libfuzzer_sys::fuzz_target!(init: seed().expect("a corpus"), |text: &str| {
    // A path is the operator's own; here it would be any file of this machine.
    if text.contains("file") || text.contains("path") || text.contains(SECRET) {
        return;
    }
    let mut said = String::new();
    match Config::parse(text, Path::new("fuzz.toml"), &|_| Some(SECRET.to_owned())) {
        Ok(config) => {
            for warning in &config.warnings {
                let _ = writeln!(said, "{warning}");
            }
            let _ = write!(said, "{config:?}");
        }
        Err(problems) => {
            let _ = write!(said, "{problems}");
        }
    }
    assert!(!said.contains(SECRET), "{said}");
});

/// Seeds the corpus with the project's examples.
fn seed() -> io::Result<()> {
    let corpus = cases::corpus("configuration")?;
    for entry in fs::read_dir(cases::project().join("examples"))? {
        let path = entry?.path();
        if let Some(name) = path
            .file_stem()
            .filter(|_| path.extension().is_some_and(|ending| ending == "toml"))
        {
            // Its comments speak of files.
            let text = fs::read_to_string(&path)?;
            let lines = text
                .split_inclusive('\n')
                .filter(|line| !line.starts_with('#'));
            fs::write(corpus.join(name), lines.collect::<String>())?;
        }
    }
    Ok(())
}

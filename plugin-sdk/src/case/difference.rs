//! Compares a case's answer with the expected one. The test kit, which runs a plugin natively, and
//! the host share this.

use std::path::PathBuf;

use serde_json::Value;
use similar::TextDiff;

use super::Case;

/// Lines that are shown around each change.
const AROUND: usize = 3;

/// The difference between an answer and the expected one.
#[derive(Debug, thiserror::Error)]
pub enum Difference {
    /// No answer is expected yet.
    #[error("{} is missing. The answer was:\n{found}", path.display())]
    Missing {
        /// The missing file.
        path: PathBuf,
        /// The answer that was given, as it could be written down.
        found: String,
    },
    /// The expected answer is no JSON.
    #[error("{}: not JSON: {source}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The place in it, and the reason.
        source: serde_json::Error,
    },
    /// The answer is no JSON.
    #[error("the answer is not JSON: {0}")]
    NotJson(serde_json::Error),
    /// Both are answers, and not the same.
    #[error("the answer is another one.\n{diff}")]
    Another {
        /// A unified diff: `-` expected, `+` answered.
        diff: String,
    },
}

impl Case {
    /// Compares an answer, as JSON, with the expected one. The order of keys and white space do not
    /// count.
    ///
    /// # Errors
    /// The difference, for the author.
    pub fn compare(&self, answer: &str) -> Result<(), Difference> {
        let found = pretty(answer).map_err(Difference::NotJson)?;
        let path = &self.answer_path;
        let Some(expected) = &self.answer else {
            return Err(Difference::Missing {
                path: path.clone(),
                found,
            });
        };
        let expected = pretty(expected).map_err(|source| Difference::Broken {
            path: path.clone(),
            source,
        })?;
        if expected == found {
            return Ok(());
        }
        let header = path.display().to_string();
        let diff = unified([&header, &expected], ["the answer", &found]);
        Err(Difference::Another { diff })
    }
}

/// Returns the unified diff of two texts, each behind its name: `-` before, `+` after.
pub fn unified(before: [&str; 2], after: [&str; 2]) -> String {
    let diff = TextDiff::from_lines(before[1], after[1]);
    diff.unified_diff()
        .context_radius(AROUND)
        .header(before[0], after[0])
        .to_string()
}

/// JSON in the one spelling in which answers are written down and compared: pretty, keys in
/// alphabetical order, and a line end after it.
///
/// # Errors
/// Where it is no JSON.
pub fn pretty(json: &str) -> Result<String, serde_json::Error> {
    let value: Value = serde_json::from_str(json)?;
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

//! The text of a configuration: its file and the included ones, one behind the other, so that an
//! offset is a place in one of them.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::exposed;
use super::lines::Lines;
use super::problem::{Position, Problem};

/// A configuration is a few pages; a file beyond this is another file.
const LARGEST_FILE: u64 = 1024 * 1024;

/// The text of a configuration. It may hold secrets: its `Debug` shows the files' names.
#[derive(Clone)]
pub struct Text {
    joined: Zeroizing<String>,
    /// The main file first; never empty.
    parts: Vec<Part>,
    /// The files that could not be read.
    pub(super) unread: Vec<Problem>,
}

/// One file of it.
#[derive(Debug, Clone)]
struct Part {
    path: PathBuf,
    start: usize,
    lines: Lines,
    /// True if users other than the owner and the group can read the file.
    exposed: bool,
}

impl Text {
    /// Makes the text of a file that includes no other.
    pub(super) fn of(text: &str, path: &Path) -> Self {
        Self::only(text, path, false)
    }

    pub(super) fn only(text: &str, path: &Path, exposed: bool) -> Self {
        let mut whole = Self {
            joined: Zeroizing::new(String::new()),
            parts: Vec::new(),
            unread: Vec::new(),
        };
        whole.push(text, path, exposed);
        whole
    }

    /// Adds a file.
    pub(super) fn push(&mut self, text: &str, path: &Path, exposed: bool) {
        self.parts.push(Part {
            path: path.to_owned(),
            start: self.joined.len(),
            lines: Lines::of(text),
            exposed,
        });
        // Growing in place would leave copies behind that are not overwritten.
        let mut joined = Zeroizing::new(String::with_capacity(self.joined.len() + text.len() + 1));
        joined.push_str(&self.joined);
        joined.push_str(text);
        // An offset behind the last line is still one of this file.
        joined.push('\n');
        self.joined = joined;
    }

    /// Iterates over the files: each with its offset and its text.
    pub(super) fn parts(&self) -> impl Iterator<Item = (usize, &str)> {
        let ends = self.parts.iter().skip(1).map(|part| part.start);
        let ends = ends.chain([self.joined.len()]);
        let joined = self.joined.as_str();
        let spans = self.parts.iter().map(|part| part.start).zip(ends);
        spans.map(move |(start, end)| {
            let text = joined.get(start..end).unwrap_or_default();
            (start, text.strip_suffix('\n').unwrap_or(text))
        })
    }

    /// Returns the place of an offset.
    pub(super) fn position(&self, offset: usize) -> Position {
        let file = self.parts.partition_point(|part| part.start <= offset) - 1;
        let Part { start, lines, .. } = &self.parts[file];
        let text = self.joined.get(*start..).unwrap_or_default();
        let (line, column) = lines.place(text, offset - start);
        Position { file, line, column }
    }

    /// Returns the line that a place is in.
    pub fn line(&self, position: Position) -> &str {
        let part = self.parts().nth(position.file);
        let text = part.map_or("", |(_, text)| text);
        let line = text.lines().nth(position.line.saturating_sub(1));
        line.unwrap_or_default()
    }

    /// Returns the files, the main one first.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().map(|part| part.path.as_path())
    }

    /// Returns the file that a place is in.
    pub fn file(&self, position: Position) -> &Path {
        &self.parts[position.file.min(self.parts.len() - 1)].path
    }

    /// Returns true if every user of the machine can read the file that a place is in.
    pub fn is_exposed(&self, position: Position) -> bool {
        self.parts
            .get(position.file)
            .is_some_and(|part| part.exposed)
    }

    /// Returns the same files without their content.
    pub(super) fn without_content(mut self) -> Self {
        self.joined = Zeroizing::new(String::new());
        self
    }

    #[cfg(test)]
    pub(crate) fn expose_to_all(&mut self) {
        self.parts.iter_mut().for_each(|part| part.exposed = true);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.files()).finish()
    }
}

/// Reads the text of a file, and returns true beside it if every user of the machine can read it.
pub(super) fn read(path: &Path, help: &str) -> Result<(Zeroizing<String>, bool), Box<Problem>> {
    let unreadable = |found: String, position| {
        Box::new(Problem {
            file: path.to_owned(),
            position,
            found,
            help: help.to_owned(),
        })
    };
    let (mut bytes, exposed) =
        read_bytes(path).map_err(|why| unreadable(format!("cannot be read: {why}"), None))?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(unreadable(
            "is larger than 1 MiB, so it is not a configuration".to_owned(),
            None,
        ));
    }
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok((Zeroizing::new(text), exposed)),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let before =
                Zeroizing::new(String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned());
            let position = Text::of(&before, path).position(before.len());
            let found = "is not UTF-8 text from here on".to_owned();
            Err(unreadable(found, Some(position)))
        }
    }
}

/// Reads the bytes of a file, one more than allowed at most, as [`read`] does.
fn read_bytes(path: &Path) -> std::io::Result<(Zeroizing<Vec<u8>>, bool)> {
    let file = File::open(path)?;
    let exposed = exposed(&file.metadata()?);
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    Ok((bytes, exposed))
}

//! `--env-file`: the variables of a systemd `EnvironmentFile`, so that a command sees the secrets
//! of the service.
//!
//! The rules are systemd's (systemd.exec(5)) and not a shell's: nothing is expanded, so that a `$`
//! in a secret stays one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use crate::config::of_process;

/// An environment is a few pages.
const LARGEST: u64 = 1024 * 1024;

/// The environment of a command.
#[derive(Debug, Default, Args)]
pub struct EnvFile {
    /// Read environment variables from this file too, as systemd's EnvironmentFile= does
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
}

/// The variables of the file, before those of this process.
#[derive(Default)]
pub struct Variables(BTreeMap<String, String>);

impl EnvFile {
    /// Reads the file, if one is named.
    ///
    /// # Errors
    /// The flaw of the file, without any of its content.
    pub fn read(&self) -> Result<Variables, Failure> {
        let Some(path) = &self.env_file else {
            return Ok(Variables::default());
        };
        let failed = |why: String| Failure::Usage(format!("{}: {why}", path.display()));
        let text = read(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
        parse(&text)
            .map(Variables)
            .map_err(|line| failed(format!("line {line} is not NAME=value")))
    }
}

impl Variables {
    /// Returns the value of a variable.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned().or_else(|| of_process(name))
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(LARGEST)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// Parses the text of a file; the error is the number of a line without a variable.
fn parse(text: &str) -> Result<BTreeMap<String, String>, usize> {
    let mut variables = BTreeMap::new();
    let mut rest = text.chars().peekable();
    let mut line = 1;
    loop {
        while let Some(blank) = rest.next_if(|c| c.is_whitespace()) {
            line += usize::from(blank == '\n');
        }
        match rest.peek() {
            None => return Ok(variables),
            Some('#' | ';') => while rest.next_if(|c| *c != '\n').is_some() {},
            Some(_) => {
                let start = line;
                let mut name = String::new();
                while let Some(c) = rest.next_if(|c| *c != '=' && *c != '\n') {
                    name.push(c);
                }
                let name = name.trim();
                let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                    && name.starts_with(|c: char| !c.is_ascii_digit());
                if !is_name || rest.next() != Some('=') {
                    return Err(start);
                }
                let value = value(&mut rest, &mut line).ok_or(start)?;
                variables.insert(name.to_owned(), value);
            }
        }
    }
}

/// Reads a value up to the end of its line; `None` if a quote is never closed.
fn value(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, line: &mut usize) -> Option<String> {
    let mut value = String::new();
    // Blanks at the end of a value count only where they are quoted.
    let mut kept = 0;
    while rest.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
    while let Some(c) = rest.next() {
        match c {
            '\n' => {
                *line += 1;
                break;
            }
            '\'' => loop {
                match rest.next()? {
                    '\'' => break,
                    c => value.push(c),
                }
                kept = value.len();
            },
            '"' => loop {
                match rest.next()? {
                    '"' => break,
                    '\\' => match rest.next()? {
                        '\n' => *line += 1,
                        c @ ('"' | '\\' | '`' | '$') => value.push(c),
                        c => value.extend(['\\', c]),
                    },
                    c => value.push(c),
                }
                kept = value.len();
            },
            // A backslash at the end of a line joins it with the next one.
            '\\' => match rest.next() {
                Some('\n') => *line += 1,
                Some(c) => {
                    value.push(c);
                    kept = value.len();
                }
                None => {}
            },
            c => {
                value.push(c);
                if !c.is_whitespace() {
                    kept = value.len();
                }
            }
        }
    }
    value.truncate(kept);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_systemd_reads_them() {
        let text = "# a comment\n; another\n\nA=1\n B = two words \nC='single $X \\ quoted'\nD=\"double \\\"x\\\" \\$Y\"\r\n\
            E=a\\\nb\nF=\nG=$H${I}\nJ=x#y\nK=\"a \"' b'\nL=a=b\n";
        let variables = parse(text).unwrap();
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "single $X \\ quoted"),
            ("D", "double \"x\" $Y"),
            ("E", "ab"),
            ("F", ""),
            ("G", "$H${I}"),
            ("J", "x#y"),
            ("K", "a  b"),
            ("L", "a=b"),
        ];
        assert_eq!(
            variables,
            expected
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into()
        );
    }

    #[test]
    fn a_line_without_a_variable_is_named_and_not_shown() {
        for (text, line) in [
            ("A=1\nnonsense\n", 2),
            ("A=1\n\n9=1", 3),
            ("A=\"never closed\n\n", 1),
            ("export A=1", 1),
        ] {
            assert_eq!(parse(text), Err(line), "{text:?}");
        }
    }
}

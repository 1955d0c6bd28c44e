//! `hash-password`: the hash of a password, for a user of the admin listener.

use std::io::{BufRead, IsTerminal, Write, stdin};

use anyhow::{Context, anyhow};
use argon2::{Argon2, PasswordHasher};
use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::Outcome;
use crate::random;

/// The fewest characters of a password that can be guessed by nobody in a life.
const SHORTEST: usize = 12;
/// The bytes of a salt.
const SALT: usize = 16;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway hash-password
  printf %s \"$PASSWORD\" | alert-gateway hash-password > kim-password-hash")]
pub struct HashPassword {}

/// Reads a password from the standard input, and prints its hash.
pub fn hash_password(_what: &HashPassword) -> Outcome {
    let password = read()?;
    if password.chars().count() < SHORTEST {
        return Err(anyhow!("a password needs at least {SHORTEST} characters").into());
    }
    let salt = random::bytes::<SALT>()?;
    let hash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| anyhow!("the password cannot be hashed: {error}"))?;
    Ok(writeln!(std::io::stdout(), "{hash}")?)
}

fn read() -> anyhow::Result<Zeroizing<String>> {
    let silence = if stdin().is_terminal() {
        eprint!("Password: ");
        Silence::begin()
    } else {
        None
    };
    let mut line = Zeroizing::new(String::new());
    let read = stdin().lock().read_line(&mut line);
    if silence.is_some() {
        eprintln!();
    }
    drop(silence);
    read.context("the password cannot be read")?;
    Ok(Zeroizing::new(
        line.trim_end_matches(['\r', '\n']).to_owned(),
    ))
}

/// A terminal that does not show what is typed, until this is dropped.
struct Silence(Termios);

impl Silence {
    fn begin() -> Option<Self> {
        let before = tcgetattr(stdin()).ok()?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin(), OptionalActions::Flush, &silent).ok()?;
        Some(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // The terminal is gone then.
        let _ = tcsetattr(stdin(), OptionalActions::Flush, &self.0);
    }
}

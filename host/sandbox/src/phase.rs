//! The phases of a plugin's run, and the things that it may not ask for before the last of them.

use super::error::CallError;
use std::fmt;

/// The part of a plugin's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its initializer sets up a library, before it knows of any request.
    Initialize,
    /// Its export `prepare` makes ready for the requests of a source with the settings that are its
    /// input, or of any source.
    Prepare,
    /// It answers.
    Answer,
}

/// A thing that belongs to a call, and that a plugin asked for before there was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Input,
    Log,
    Random,
    Sleep,
    Time,
    Variables,
}

impl Phase {
    /// Returns whether a thing belongs to a later phase.
    pub(super) fn is_too_early_for(self, asked: Asked) -> bool {
        match (self, asked) {
            (Self::Answer, _) | (Self::Prepare, Asked::Input) => false,
            // An initializer has random bytes of its own.
            (Self::Initialize, Asked::Random) => false,
            _ => true,
        }
    }
}

/// The reason why a plugin cannot be prepared.
#[derive(Debug)]
pub(super) enum Unfit {
    /// It asked for this.
    Asked(Asked),
    /// It left blocks of the host's memory, or an answer.
    Left,
    /// It failed. A call says more of it.
    Failed(CallError),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = match self {
            Self::Asked(Asked::Input) => "it asks for the request",
            Self::Asked(Asked::Log) => "it logs",
            Self::Asked(Asked::Random) => "it asks for random bytes",
            Self::Asked(Asked::Sleep) => "it sleeps",
            Self::Asked(Asked::Time) => "it asks for the time",
            Self::Asked(Asked::Variables) => "it uses variables",
            Self::Left => "it keeps memory of the host's",
            Self::Failed(error) => return write!(f, "its start fails: {error}"),
        };
        write!(f, "{asked} as it starts")
    }
}

//! The answers to the last stored requests, with the time until each: the store is written before
//! the answer, so that it cannot have it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Answers that are remembered, of 32 bytes each.
const ANSWERS: usize = 8 * 1024;

/// The answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The time that the sender waited for it, from the end of the request's head on, in
    /// microseconds.
    pub after_us: u64,
}

/// The last answers, by the ids of their requests. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Answers(Arc<Mutex<VecDeque<(u128, Answered)>>>);

impl Answers {
    /// Remembers an answer, and forgets the oldest one for it.
    pub fn push(&self, request: u128, status: u16, after: Duration) {
        let after_us = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        let mut answers = self.0.lock();
        if answers.len() == ANSWERS {
            answers.pop_front();
        }
        answers.push_back((request, Answered { status, after_us }));
    }

    /// Returns the answer to a request.
    pub fn of(&self, request: u128) -> Option<Answered> {
        let answers = self.0.lock();
        let found = answers.iter().rev().find(|(id, _)| *id == request);
        found.map(|(_, answered)| *answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_answers_are_remembered() {
        let answers = Answers::default();
        for request in 0..=ANSWERS as u128 {
            answers.push(request, 200, Duration::from_micros(7));
        }
        assert_eq!(answers.of(0), None);
        let answered = Answered {
            status: 200,
            after_us: 7,
        };
        assert_eq!(answers.of(1), Some(answered));
        assert_eq!(answers.of(ANSWERS as u128), Some(answered));
    }
}

//! The limits of one call, and the guard that holds a plugin's own memory and tables to them.
//!
//! A plugin that asks for more than its limit is stopped at once, rather than told that there is no more: what a guest
//! makes of a refusal is a crash elsewhere, and then nobody can say which limit was the cause.

use super::error::CallError;
use std::time::Duration;
use wasmtime::ResourceLimiter;

/// Elements that a plugin's table of functions may have. A plugin of 2 MB has some hundreds.
pub(super) const MAX_TABLE_ELEMENTS: usize = 10_000;

/// Tables that one plugin may have; compilers make one.
pub(super) const MAX_TABLES: u32 = 4;

/// What one call may use. Each limit stops the call that passes it, and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// How long the plugin may run. Time in which it waits for its turn is not counted.
    pub time: Duration,
    /// Bytes of the plugin's own memory.
    pub memory: usize,
    /// Bytes of the plugin's answer.
    pub output: usize,
}

impl CallLimits {
    /// The bytes that the host lends for answers and messages, beside the input: an answer, and three times as much for
    /// the pieces that it was made of.
    pub(super) fn host_memory(&self) -> usize {
        self.output.saturating_mul(4)
    }
}

/// Holds the plugin's memory to the limit. wasmtime asks it before each growth, the first allocation included.
pub(super) struct Guard {
    limit: usize,
    /// What it has, which is the most that it had: a memory never shrinks.
    has: usize,
}

impl Guard {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, has: 0 }
    }

    /// Bytes of the plugin's memory.
    pub(super) fn memory(&self) -> usize {
        self.has
    }
}

impl ResourceLimiter for Guard {
    fn memory_growing(&mut self, _: usize, asked: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if asked > self.limit {
            return Err(CallError::Memory { asked, limit: self.limit }.into());
        }
        let granted = maximum.is_none_or(|maximum| asked <= maximum);
        if granted {
            self.has = asked;
        }
        Ok(granted)
    }

    fn table_growing(&mut self, _: usize, asked: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if asked > MAX_TABLE_ELEMENTS {
            return Err(CallError::Table { asked, limit: MAX_TABLE_ELEMENTS }.into());
        }
        Ok(maximum.is_none_or(|maximum| asked <= maximum))
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        MAX_TABLES as usize
    }

    fn memories(&self) -> usize {
        1
    }
}

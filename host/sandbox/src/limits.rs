//! The limits of one call, and the guard that holds a plugin's own memory and tables to them.
//!
//! A plugin that asks for more than its limit is stopped at once instead of being refused memory: a
//! guest turns a refusal into a crash elsewhere, and the cause could no longer be named.

use super::error::CallError;
use std::time::Duration;
use wasmtime::ResourceLimiter;

/// Elements that a plugin's table of functions may have. A plugin of 2 MB in Rust has some hundreds;
/// a language whose every method is a table's element, such as Swift or C#, has ten thousands.
pub(super) const MAX_TABLE_ELEMENTS: usize = 65_536;

/// Tables that one plugin may have; compilers make one.
pub(super) const MAX_TABLES: u32 = 4;

/// The limits of one call. Each stops the call that passes it, and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// The longest run time of the plugin, without the time in which it waits for its turn.
    pub time: Duration,
    /// Bytes of the plugin's own memory.
    pub memory: usize,
    /// Bytes of the plugin's answer.
    pub output: usize,
}

impl CallLimits {
    /// Returns the bytes that the host lends for answers and messages, besides the input: an
    /// answer, and three times as much for the pieces of its construction.
    pub(super) fn host_memory(&self) -> usize {
        self.output.saturating_mul(4)
    }
}

/// Holds the plugin's memory to the limit. wasmtime asks it before each growth, the first
/// allocation included.
pub(super) struct Guard {
    limit: usize,
    /// Its present size, in bytes; also its peak, because a memory never shrinks.
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
    fn memory_growing(
        &mut self,
        _: usize,
        asked: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if asked > self.limit {
            return Err(CallError::Memory {
                asked,
                limit: self.limit,
            }
            .into());
        }
        let granted = maximum.is_none_or(|maximum| asked <= maximum);
        if granted {
            self.has = asked;
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        _: usize,
        asked: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if asked > MAX_TABLE_ELEMENTS {
            return Err(CallError::Table {
                asked,
                limit: MAX_TABLE_ELEMENTS,
            }
            .into());
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

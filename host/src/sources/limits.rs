//! The limits of a source: the operator's, or else those that the plugin asks for.

use std::time::Duration;

use crate::config::{Config, Limits, Problem, Source, largest_body, largest_output, size_text};
use alert_gateway_sandbox::{Description, SMALLER_MEMORY};

/// The most memory that a plugin may ask for. An operator may grant more.
pub const LARGEST_ASKED_MEMORY: usize = 256 * 1024 * 1024;

/// The memory of a plugin besides its input: its code's data, its stack, and its runtime's.
const PLUGIN: usize = 2 * 1024 * 1024;

/// The memory of a request in a plugin, as a multiple of its body: the input as JSON, at most two
/// and a third times the body; the body out of it; and the parsed value, kept as details and
/// written as an answer.
const TIMES: usize = 6;

/// The longest time that a plugin may ask for: few senders wait for longer.
const LONGEST_ASKED_TIME: Duration = Duration::from_secs(10);

/// Returns the limits of a source of this plugin: the operator's where they are written, otherwise
/// the larger ones that the plugin asks for, as far as the gateway's memory has room for them.
pub fn of(source: &Source, description: &Description, config: &Config) -> Limits {
    extended(source.limits, description, config.gateway.memory)
}

/// Returns `given` limits with the larger ones that the plugin asks for, where none are written.
/// `gateway` is the memory of the gateway.
pub fn extended(given: Limits, description: &Description, gateway: usize) -> Limits {
    let mut limits = given;
    let written = limits.written;
    let asked = description.limits;
    let bytes =
        |asked: Option<u64>| asked.map_or(0, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    let fits = if written.memory {
        limits.memory.saturating_sub(PLUGIN) / TIMES
    } else {
        usize::MAX
    };
    if !written.body {
        limits.body = limits
            .body
            .max(bytes(asked.body).min(largest_body(gateway)).min(fits));
    }
    if !written.memory {
        // With a larger body comes the memory that it needs.
        let needed = if limits.body > given.body {
            PLUGIN + TIMES * limits.body
        } else {
            0
        };
        limits.memory = limits
            .memory
            .max(bytes(asked.memory).max(needed).min(LARGEST_ASKED_MEMORY));
    }
    if !written.output {
        let room = largest_output(gateway, limits.body);
        limits.output = limits.output.max(bytes(asked.output).min(room));
    }
    if !written.time {
        let time = Duration::from_millis(asked.time_ms.unwrap_or_default());
        limits.time = limits.time.max(time.min(LONGEST_ASKED_TIME));
    }
    limits
}

/// Returns the problem of a plugin that starts with more memory than the source's limit: every call
/// would fail.
pub fn too_small(
    source: &Source,
    limits: &Limits,
    initial_memory: u64,
    config: &Config,
) -> Option<Problem> {
    let initial = usize::try_from(initial_memory).unwrap_or(usize::MAX);
    (initial > limits.memory).then(|| {
        let found = format!(
            "the plugin starts with {} of memory, and the limit of this source is {}",
            size_text(initial),
            size_text(limits.memory)
        );
        let help = format!(
            "write memory = {} in [sources.{}.limits]; or its author: {SMALLER_MEMORY}",
            size_text(initial.saturating_mul(2)),
            source.name
        );
        config.problem(source.plugin_position, found, help)
    })
}

/// Returns the problem of limits that do not fit each other.
pub fn misfit(source: &Source, limits: &Limits, config: &Config) -> Option<Problem> {
    let needed = PLUGIN + TIMES * limits.body;
    (limits.memory < needed).then(|| {
        let body = size_text(limits.body);
        let memory = size_text(limits.memory);
        let found = format!("a plugin with memory = {memory} cannot read a body of {body}, and this source takes such");
        let largest = size_text((limits.memory.saturating_sub(PLUGIN) / TIMES / 1024).max(1) * 1024);
        let help = format!(
            "write memory = {} in [sources.{}.limits], or body = {largest}",
            size_text(needed.next_multiple_of(1024 * 1024)),
            source.name
        );
        config.problem(source.position, found, help)
    })
}

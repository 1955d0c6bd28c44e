//! The engine's settings: what plugins may be, and what makes a fresh instance for each request cheap.

use super::error::SandboxError;
use super::limits::{MAX_TABLE_ELEMENTS, MAX_TABLES};
use wasmtime::{Config, Engine, PoolingAllocationConfig};

/// Stack that a plugin may use before it is stopped. A recursive JSON reader needs some tens of KiB.
const WASM_STACK: usize = 512 * 1024;

/// The stack of a call: the plugin's own, and as much again for the host's functions that it calls (a log line goes
/// through the whole of tracing). Only the pages that are touched exist.
const CALL_STACK: usize = 2 * WASM_STACK;

/// The engine for at most `instances` calls at once, none with more memory than `max_memory` bytes.
pub(super) fn engine(instances: u32, max_memory: usize) -> Result<Engine, SandboxError> {
    let mut config = Config::new();
    config
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(CALL_STACK)
        .allocation_strategy(pool(instances, max_memory));
    Engine::new(&config).map_err(|error| SandboxError::Engine(format!("{error:#}")))
}

fn pool(instances: u32, max_memory: usize) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(instances)
        .total_memories(instances)
        .total_tables(instances.saturating_mul(MAX_TABLES))
        .total_stacks(instances)
        .max_memories_per_module(1)
        .max_tables_per_module(MAX_TABLES)
        .max_memory_size(max_memory)
        .table_elements(MAX_TABLE_ELEMENTS);
    pool
}

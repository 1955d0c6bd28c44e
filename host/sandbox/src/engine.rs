//! The engine's settings: the kinds of plugin that are allowed, and a cheap fresh instance for each
//! request.
//!
//! # Where the time of a call goes
//!
//! Instantiating takes 3 µs. A naive set-up pays for the memory behind it. Wasmtime gives used
//! memory back to the system after each call (`madvise`), so each call takes a page fault for every
//! page that it touches. Both interrupt all other processors. Measured on two shared cores with
//! twilio-errors (256 KiB of initial memory, a request of 1.2 KB, an answer of 2 KB), processor
//! time a call, median of 40 runs of 500 calls:
//!
//! | kept resident | µs | `madvise` a call |
//! |---|---|---|
//! | nothing | 60.7 | 2 |
//! | the memory | 54.1 | 1 |
//! | the memory and the table | 40.4 | 0 |
//!
//! Of the last figure half is the plugin's own code (14 µs natively), a fifth is the `memset` and
//! `memcpy` that put the memory back as it was, and 0.6 % is the kernel. Two threads then take 41
//! µs a call each, so they are not in each other's way. Also tried: no copy-on-write images (46.3:
//! the data is copied when the instance starts as well as when it ends), and small reservations
//! without guard pages (50.3). The latter save the `mprotect` of a memory that grows and then
//! shrinks, but need a check at each access.
//!
//! So a plugin is fast if its memory is small from the start (each 64 KiB cost about 2 µs a call)
//! and does not have to grow: a stack of 64 KiB instead of Rust's 1 MiB, and an allocator with room
//! in the initial memory. The SDK sees to both.

use super::error::SandboxError;
use super::limits::{MAX_TABLE_ELEMENTS, MAX_TABLES};
use wasmtime::{Config, Engine, PoolingAllocationConfig};

/// Stack that a plugin may use before it is stopped. A recursive JSON reader needs some tens of
/// KiB.
const WASM_STACK: usize = 512 * 1024;

/// The stack of a call: the plugin's own, and as much again for the host's functions that it calls
/// (a log line goes through the whole of tracing). Only the pages that are touched exist.
const CALL_STACK: usize = 2 * WASM_STACK;

/// The first bytes of a plugin's memory, cleared by hand after a call; the rest goes back to the
/// system. Twice what a plugin of ours has. It bounds the memory of an idle place in the pool: 64
/// places, all of them used at once before, hold 32 MiB if their plugins have as much. The bundled
/// plugins hold half of that.
const KEPT_MEMORY: usize = 512 * 1024;

/// The same for the table of functions: all of it where it has some hundred elements, as that of
/// most languages. It costs a system call otherwise.
const KEPT_TABLE: usize = 10_000 * size_of::<usize>();

/// The part of a call's stack that is cleared by hand after it; the rest goes back to the system. A
/// call of ours touches less than half of it.
const KEPT_STACK: usize = 32 * 1024;

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
        // What a call of one plugin left on its stack is nothing that the next one could reach; it
        // is cleared all the same.
        .async_stack_zeroing(true)
        .allocation_strategy(pool(instances, max_memory));
    Engine::new(&config).map_err(|error| SandboxError::Engine(format!("{error:#}")))
}

/// Returns the settings of the instance pool. `pagemap_scan` is never among them: wasmtime 48 then
/// takes a swapped-out page for an untouched one, and so can show a call the data of another.
fn pool(instances: u32, max_memory: usize) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(instances)
        .total_memories(instances)
        .total_tables(instances.saturating_mul(MAX_TABLES))
        .total_stacks(instances)
        .max_memories_per_module(1)
        .max_tables_per_module(MAX_TABLES)
        .max_memory_size(max_memory)
        .table_elements(MAX_TABLE_ELEMENTS)
        .async_stack_keep_resident(KEPT_STACK)
        .linear_memory_keep_resident(KEPT_MEMORY)
        .table_keep_resident(KEPT_TABLE);
    pool
}

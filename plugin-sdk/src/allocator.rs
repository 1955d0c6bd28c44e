//! The allocator of plugins.
//!
//! The host starts a fresh instance for every request, so what counts is the first few
//! microseconds: growing linear memory is a system call and a page fault for each page, and the
//! allocator of Rust's standard library always grows it before it hands out the first byte. Here
//! the first [`ARENA_BYTES`] are part of the memory that an instance starts with, and a typical
//! request needs no more. A larger one grows memory in steps, as far as the host allows. Small
//! blocks come from [lists](super::small) before that.

#![allow(unsafe_code, reason = "an allocator is handed raw memory")]

use std::alloc::Layout;
use std::arch::wasm32::memory_grow;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use talc::base::{Talc, binning::Binning};
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

use super::small::Small;

#[global_allocator]
static ALLOCATOR: Small<TalcSyncCell<Memory, WasmBinning>> =
    Small::before(TalcSyncCell::new_wasm(Memory::Untouched));

/// Every case of twilio-errors fits in 16 KiB, its answer included. The host clears this much after
/// every call.
const ARENA_BYTES: usize = 40 * 1024;

static mut ARENA: [MaybeUninit<u8>; ARENA_BYTES] = [MaybeUninit::uninit(); ARENA_BYTES];

/// A page of linear memory.
const PAGE_BYTES: usize = 64 * 1024;

/// Memory grows by 512 KiB at least: every step costs a system call.
const STEP_PAGES: usize = 8;

/// More than what the allocator adds to one allocation for its own books.
const OVERHEAD_BYTES: usize = 256;

/// The memory handed to the allocator.
#[derive(Debug)]
enum Memory {
    /// Nothing yet.
    Untouched,
    /// The arena.
    Arena,
    /// The arena, and grown memory up to here.
    GrownTo(NonNull<u8>),
}

// SAFETY: `acquire` allocates nothing, and uses the allocator only through the reference that it is
// given.
unsafe impl Source for Memory {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        if matches!(talc.source, Self::Untouched) {
            talc.source = Self::Arena;
            // SAFETY: nobody else refers to the arena, and this branch runs once.
            return unsafe { talc.claim((&raw mut ARENA).cast(), ARENA_BYTES) }
                .map(drop)
                .ok_or(());
        }
        let needed = layout
            .size()
            .saturating_add(layout.align())
            .saturating_add(OVERHEAD_BYTES)
            .div_ceil(PAGE_BYTES);
        let (start, pages) = grow(needed.max(STEP_PAGES))
            .or_else(|| grow(needed))
            .ok_or(())?;
        let bytes = pages * PAGE_BYTES;
        let end = match talc.source {
            // SAFETY: these pages follow the grown memory directly, and belong to nobody else.
            Self::GrownTo(end) if end.as_ptr() == start => {
                Some(unsafe { talc.extend(end, start.wrapping_add(bytes)) })
            }
            // SAFETY: these pages are new, so they belong to nobody else.
            _ => unsafe { talc.claim(start, bytes) },
        };
        talc.source = Self::GrownTo(end.ok_or(())?);
        Ok(())
    }
}

/// The first byte of so many new pages, where the host allows them.
fn grow(pages: usize) -> Option<(*mut u8, usize)> {
    let before = memory_grow::<0>(pages);
    (before != usize::MAX).then(|| ((before * PAGE_BYTES) as *mut u8, pages))
}

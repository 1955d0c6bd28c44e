//! Small blocks, from lists by size.
//!
//! Most of what reading JSON and forms allocates are short strings. A general allocator spends a
//! hundred instructions on each; here it is a dozen. Freed blocks are used again for the same size
//! and never merged: an instance does not live long enough for that to matter.

#![allow(unsafe_code, reason = "an allocator is handed raw memory")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr::null_mut;

/// Blocks are of multiples of so many bytes, and aligned to as many.
const UNIT: usize = 16;

/// The largest small block.
const LARGEST: usize = 512;

/// The bytes that are taken from the other allocator at once.
const CHUNK: usize = 2048;

/// An allocator for one thread, which leaves large blocks to another one.
pub struct Small<A> {
    lists: UnsafeCell<Lists>,
    large: A,
}

struct Lists {
    /// By size, the first free block. Each holds the address of the next one.
    free: [*mut u8; LARGEST / UNIT],
    /// The rest of the latest chunk.
    next: *mut u8,
    left: usize,
}

// SAFETY: WebAssembly has one thread here; a test has one allocator for each.
unsafe impl<A: Sync> Sync for Small<A> {}

impl<A> Small<A> {
    /// Leaves large blocks to `large`.
    pub const fn before(large: A) -> Self {
        Self {
            lists: UnsafeCell::new(Lists {
                free: [null_mut(); LARGEST / UNIT],
                next: null_mut(),
                left: 0,
            }),
            large,
        }
    }
}

/// Returns the list of a layout, where it is small.
const fn list(layout: Layout) -> Option<usize> {
    // The size is never 0.
    if layout.size() <= LARGEST && layout.align() <= UNIT {
        Some((layout.size() - 1) / UNIT)
    } else {
        None
    }
}

// SAFETY: each block is either on a list or with the program, is as large as its list says, and
// lies within a chunk that no other block overlaps.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Small<A> {
    // Inlined, it makes a plugin a tenth larger.
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(list) = list(layout) else {
            // SAFETY: the caller's promise is passed on.
            return unsafe { self.large.alloc(layout) };
        };
        // SAFETY: there is one thread, and nothing below calls back into this allocator.
        let lists = unsafe { &mut *self.lists.get() };
        let block = lists.free[list];
        if !block.is_null() {
            // SAFETY: a free block holds the address of the next one.
            lists.free[list] = unsafe { block.cast::<*mut u8>().read() };
            return block;
        }
        let size = (list + 1) * UNIT;
        if lists.left < size {
            // SAFETY: the layout is not empty, and its alignment is a power of two.
            let chunk = unsafe {
                self.large
                    .alloc(Layout::from_size_align_unchecked(CHUNK, UNIT))
            };
            if chunk.is_null() {
                return chunk;
            }
            lists.next = chunk;
            lists.left = CHUNK;
        }
        let block = lists.next;
        // SAFETY: so many bytes are left of the chunk.
        lists.next = unsafe { block.add(size) };
        lists.left -= size;
        block
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(list) = list(layout) else {
            // SAFETY: the caller's promise is passed on.
            return unsafe { self.large.dealloc(block, layout) };
        };
        // SAFETY: as in `alloc`; a block has room for an address, and the program has given it back.
        unsafe {
            let lists = &mut *self.lists.get();
            block.cast::<*mut u8>().write(lists.free[list]);
            lists.free[list] = block;
        }
    }

    #[inline(never)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller has made sure that the size fits the alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (list(layout), list(wanted)) {
            // SAFETY: the caller's promise is passed on.
            (None, None) => unsafe { self.large.realloc(block, layout, size) },
            (Some(before), Some(after)) if before == after => block,
            _ => {
                // SAFETY: both blocks have at least as many bytes as are copied, and are two.
                unsafe {
                    let moved = self.alloc(wanted);
                    if !moved.is_null() {
                        moved.copy_from_nonoverlapping(block, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                    moved
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::alloc::System;

    /// A block with the bytes that were written into it.
    struct Block {
        at: *mut u8,
        layout: Layout,
        byte: u8,
    }

    impl Block {
        fn fill(&self) {
            // SAFETY: the block is of this size.
            unsafe { self.at.write_bytes(self.byte, self.layout.size()) }
        }

        fn is_whole(&self, bytes: usize) -> bool {
            // SAFETY: the block is of this size at least, and was filled.
            unsafe { std::slice::from_raw_parts(self.at, bytes) }
                .iter()
                .all(|byte| *byte == self.byte)
        }
    }

    #[test]
    fn blocks_are_aligned_apart_and_keep_their_bytes() {
        let allocator = Small::before(System);
        let mut random = fastrand::Rng::with_seed(7);
        let mut blocks: Vec<Block> = Vec::new();
        for round in 0..20_000 {
            let size = random.usize(1..=2 * LARGEST);
            match random.u8(..4) {
                0 | 1 => {
                    let layout = Layout::from_size_align(size, 1 << random.usize(..6)).unwrap();
                    // SAFETY: the size is not 0.
                    let at = unsafe { allocator.alloc(layout) };
                    assert_eq!(at.align_offset(layout.align()), 0, "{layout:?}");
                    let byte = round as u8;
                    blocks.push(Block { at, layout, byte });
                    blocks.last().unwrap().fill();
                }
                2 if !blocks.is_empty() => {
                    let index = random.usize(..blocks.len());
                    let block = &mut blocks[index];
                    // SAFETY: the block is of this allocator and layout.
                    block.at = unsafe { allocator.realloc(block.at, block.layout, size) };
                    assert!(block.is_whole(size.min(block.layout.size())));
                    block.layout = Layout::from_size_align(size, block.layout.align()).unwrap();
                    block.fill();
                }
                _ if !blocks.is_empty() => {
                    let block = blocks.swap_remove(random.usize(..blocks.len()));
                    assert!(block.is_whole(block.layout.size()), "{:?}", block.layout);
                    // SAFETY: the block is of this allocator and layout.
                    unsafe { allocator.dealloc(block.at, block.layout) }
                }
                _ => {}
            }
        }
        assert!(
            blocks
                .iter()
                .all(|block| block.is_whole(block.layout.size()))
        );
    }

    #[test]
    fn freed_block_is_used_again_for_its_size() {
        let allocator = Small::before(System);
        let [small, other] = [17, 40].map(|size| Layout::from_size_align(size, 8).unwrap());
        // SAFETY: no size is 0, and each block is given back once with its layout.
        unsafe {
            let first = allocator.alloc(small);
            allocator.dealloc(first, small);
            assert_ne!(allocator.alloc(other), first);
            assert_eq!(allocator.alloc(small), first);
        }
    }
}

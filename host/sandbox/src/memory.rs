//! The memory that the host lends a plugin for one call: Extism's second memory. A plugin reads its
//! input there, and writes its answer and its messages.
//!
//! Plugins reach it through functions that move one byte or one word of eight, so these must cost
//! next to nothing: all blocks lie back to back in one vector, an address is an index plus
//! [`BASE`], and a load is one comparison. Loads and stores are checked against the whole vector
//! and not against a block, for all of it belongs to this one call; it is made anew for each, so
//! nothing is ever left over from another. A block that is used again is cleared first.

use super::error::CallError;

/// The first address. Extism's PDKs take 0 for "nothing", and keep tables of handles that expect
/// more than a byte.
const BASE: u64 = 8;

/// Every block starts at a multiple of this, so that the PDKs' word-wise copies never straddle two
/// blocks.
const ALIGN: usize = 8;

/// The most blocks of a plugin at once. A plugin needs a handful: one for each message, variable
/// and answer.
pub(super) const MAX_BLOCKS: usize = 4096;

/// Room for an ordinary answer, so that a call allocates once.
const ROOM: usize = 8 * 1024;

/// The blocks of one call.
pub(super) struct HostMemory {
    bytes: Vec<u8>,
    /// In order of address, without a gap between them.
    blocks: Vec<Block>,
    /// The number of free blocks, so that the usual `alloc` need not search for one.
    free: usize,
    input: usize,
    max_bytes: usize,
}

struct Block {
    start: usize,
    size: usize,
    /// The requested length, or `None` while the block is free.
    len: Option<usize>,
}

impl HostMemory {
    /// The memory of a call with this input, and at most `max_bytes` beside it.
    pub(super) fn new(input: &[u8], max_bytes: usize) -> Self {
        let size = input.len().next_multiple_of(ALIGN);
        let mut bytes = Vec::with_capacity(size + ROOM.min(max_bytes));
        bytes.extend_from_slice(input);
        bytes.resize(size, 0);
        let mut blocks = Vec::with_capacity(8);
        if !input.is_empty() {
            blocks.push(Block {
                start: 0,
                size,
                len: Some(input.len()),
            });
        }
        Self {
            bytes,
            blocks,
            free: 0,
            input: input.len(),
            max_bytes: max_bytes.saturating_add(size),
        }
    }

    /// The input.
    pub(super) fn input(&self) -> &[u8] {
        self.bytes.get(..self.input).unwrap_or_default()
    }

    /// Returns whether the plugin holds no block beside its input.
    pub(super) fn is_clear(&self) -> bool {
        let held = self.blocks.iter().filter(|block| block.len.is_some());
        held.into_iter()
            .all(|block| block.start == 0 && self.input > 0)
    }

    /// The length of the input.
    pub(super) fn input_length(&self) -> u64 {
        self.input as u64
    }

    /// The handle of the input; 0 where it is empty.
    pub(super) fn input_offset(&self) -> u64 {
        if self.input == 0 { 0 } else { BASE }
    }

    /// `N` bytes of the input, or zeros where not all of them are inside it.
    pub(super) fn load_input<const N: usize>(&self, offset: u64) -> [u8; N] {
        read(self.input(), offset)
    }

    /// `N` bytes at this address, or zeros where not all of them are inside the memory.
    pub(super) fn load<const N: usize>(&self, address: u64) -> [u8; N] {
        read(&self.bytes, address.wrapping_sub(BASE))
    }

    /// Writes these bytes at this address, or does nothing where not all of them are inside the
    /// memory.
    pub(super) fn store<const N: usize>(&mut self, address: u64, value: [u8; N]) {
        let place =
            index(address.wrapping_sub(BASE), N).and_then(|range| self.bytes.get_mut(range));
        if let Some(place) = place {
            place.copy_from_slice(&value);
        }
    }

    /// A cleared block of this length, and its handle; 0 for a length of 0.
    pub(super) fn alloc(&mut self, length: u64) -> Result<u64, CallError> {
        if length == 0 {
            return Ok(0);
        }
        let too_much = CallError::HostMemory {
            limit: self.max_bytes,
            unit: "bytes",
        };
        let Ok(len) = usize::try_from(length) else {
            return Err(too_much);
        };
        let Some(size) = len
            .checked_next_multiple_of(ALIGN)
            .filter(|size| *size <= self.max_bytes)
        else {
            return Err(too_much);
        };
        if self.free > 0
            && let Some(at) = self
                .blocks
                .iter()
                .position(|block| block.len.is_none() && block.size >= size)
        {
            return self.take(at, len, size);
        }
        if self.bytes.len() + size > self.max_bytes {
            return Err(too_much);
        }
        self.room_for_block()?;
        let start = self.bytes.len();
        self.bytes.resize(start + size, 0);
        self.blocks.push(Block {
            start,
            size,
            len: Some(len),
        });
        Ok(start as u64 + BASE)
    }

    /// A cleared block that holds these bytes, and its handle.
    pub(super) fn alloc_from(&mut self, bytes: &[u8]) -> Result<u64, CallError> {
        let handle = self.alloc(bytes.len() as u64)?;
        if let Some(range) = index(handle.wrapping_sub(BASE), bytes.len())
            && let Some(place) = self.bytes.get_mut(range)
        {
            place.copy_from_slice(bytes);
        }
        Ok(handle)
    }

    /// Gives a block back. A handle that is none, or no longer one, is ignored.
    pub(super) fn free(&mut self, handle: u64) {
        let Some(mut at) = self.find(handle) else {
            return;
        };
        self.blocks[at].len = None;
        self.free += 1;
        if self.is_free(at + 1) {
            self.merge_with_next(at);
        }
        if at > 0 && self.is_free(at - 1) {
            at -= 1;
            self.merge_with_next(at);
        }
    }

    /// The length of the block of this handle; 0 where there is none.
    pub(super) fn length(&self, handle: u64) -> u64 {
        self.block(handle).map_or(0, |bytes| bytes.len() as u64)
    }

    /// The bytes of the block of this handle.
    pub(super) fn block(&self, handle: u64) -> Option<&[u8]> {
        let block = &self.blocks[self.find(handle)?];
        self.bytes.get(block.start..block.start + block.len?)
    }

    /// These bytes, if all of them are inside the memory.
    pub(super) fn range(&self, address: u64, length: u64) -> Option<&[u8]> {
        if length == 0 {
            return Some(&[]);
        }
        let length = usize::try_from(length).ok()?;
        self.bytes.get(index(address.checked_sub(BASE)?, length)?)
    }

    /// The position of the live block that starts at this handle.
    fn find(&self, handle: u64) -> Option<usize> {
        let start = usize::try_from(handle.checked_sub(BASE)?).ok()?;
        let at = self
            .blocks
            .binary_search_by_key(&start, |block| block.start)
            .ok()?;
        self.blocks[at].len.is_some().then_some(at)
    }

    /// Makes the free block at this position a live one, and leaves what is too much of it free.
    fn take(&mut self, at: usize, len: usize, size: usize) -> Result<u64, CallError> {
        let Block {
            start, size: whole, ..
        } = self.blocks[at];
        if whole > size && self.room_for_block().is_ok() {
            self.blocks[at].size = size;
            self.blocks.insert(
                at + 1,
                Block {
                    start: start + size,
                    size: whole - size,
                    len: None,
                },
            );
        } else {
            self.free -= 1;
        }
        self.blocks[at].len = Some(len);
        let end = start + self.blocks[at].size;
        self.bytes[start..end].fill(0);
        Ok(start as u64 + BASE)
    }

    fn room_for_block(&self) -> Result<(), CallError> {
        if self.blocks.len() < MAX_BLOCKS {
            Ok(())
        } else {
            Err(CallError::HostMemory {
                limit: MAX_BLOCKS,
                unit: "blocks",
            })
        }
    }

    fn is_free(&self, at: usize) -> bool {
        self.blocks.get(at).is_some_and(|block| block.len.is_none())
    }

    fn merge_with_next(&mut self, at: usize) {
        let next = self.blocks.remove(at + 1);
        self.blocks[at].size += next.size;
        self.free -= 1;
    }
}

#[inline]
fn index(offset: u64, length: usize) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    Some(start..start.checked_add(length)?)
}

#[inline]
fn read<const N: usize>(bytes: &[u8], offset: u64) -> [u8; N] {
    index(offset, N)
        .and_then(|range| bytes.get(range))
        .and_then(|found| found.try_into().ok())
        .unwrap_or([0; N])
}

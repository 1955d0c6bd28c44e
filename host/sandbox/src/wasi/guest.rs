//! The plugin's own memory, as WASI's functions see it: each access is checked.

use super::{Errno, FAULT, SUCCESS};
use crate::call::Call;
use wasmtime::{Caller, Extern};

/// The memory that the plugin exports; a plugin without one has none that could be reached.
pub(super) struct Guest<'m>(&'m mut [u8]);

/// Lets `work` reach the plugin's memory and the call's state, and returns its errno.
pub(super) fn with(
    caller: &mut Caller<'_, Call>,
    work: impl FnOnce(Guest<'_>, &mut Call) -> Result<(), Errno>,
) -> i32 {
    let exported = caller.get_export("memory").and_then(Extern::into_memory);
    let result = match exported {
        Some(memory) => {
            let (bytes, call) = memory.data_and_store_mut(caller);
            work(Guest(bytes), call)
        }
        None => work(Guest(&mut []), caller.data_mut()),
    };
    match result {
        Ok(()) => SUCCESS.0,
        Err(errno) => errno.0,
    }
}

impl Guest<'_> {
    /// These bytes.
    pub(super) fn bytes(&self, at: u32, length: u32) -> Result<&[u8], Errno> {
        let at = at as usize;
        let length = length as usize;
        at.checked_add(length)
            .and_then(|end| self.0.get(at..end))
            .ok_or(FAULT)
    }

    /// These bytes, to be written.
    pub(super) fn bytes_mut(&mut self, at: u32, length: u32) -> Result<&mut [u8], Errno> {
        let at = at as usize;
        let length = length as usize;
        at.checked_add(length)
            .and_then(|end| self.0.get_mut(at..end))
            .ok_or(FAULT)
    }

    /// `N` bytes: a number in little-endian order, or a record.
    pub(super) fn load<const N: usize>(&self, at: u32) -> Result<[u8; N], Errno> {
        let length = u32::try_from(N).map_err(|_| FAULT)?;
        self.bytes(at, length)?.try_into().map_err(|_| FAULT)
    }

    /// Writes these bytes: all of them or none.
    pub(super) fn store(&mut self, at: u32, value: &[u8]) -> Result<(), Errno> {
        let length = u32::try_from(value.len()).map_err(|_| FAULT)?;
        self.bytes_mut(at, length)?.copy_from_slice(value);
        Ok(())
    }
}

/// The address of a record in a list of records of this size.
pub(super) fn element(list: u32, index: u32, size: u32) -> Result<u32, Errno> {
    index
        .checked_mul(size)
        .and_then(|offset| list.checked_add(offset))
        .ok_or(FAULT)
}

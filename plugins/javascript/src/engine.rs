//! QuickJS, compiled from C and linked as `engine/engine.o`, and the functions that it needs of
//! this plugin. The only file with unsafe code beside the exports.

#![allow(unsafe_code, reason = "the engine is written in C")]

use std::alloc::{Layout, alloc, dealloc, realloc};
use std::cell::RefCell;
use std::ffi::{CString, c_char};

use plugin_sdk::contract::{Request, Unreadable};

use crate::prelude::{self, Failure};

/// What a script finds beside the language.
pub(crate) const PRELUDE: &str = include_str!("prelude.js");

/// Bytes of the stack in memory that scripts may use, of those that `build.rs` asks for: some 350
/// calls within each other. Beyond, an error is thrown at the script's line. The host's own stack,
/// of which each call takes more, ends later.
const STACK: usize = 128 * 1024;

/// Bytes before each of the engine's blocks, for its size. Blocks are aligned to as much.
const HEADER: usize = 16;

unsafe extern "C" {
    fn engine_open(stack: usize) -> i32;
    fn engine_eval(text: *const c_char, length: usize, name: *const c_char, compile: i32) -> i32;
    fn engine_call(function: *const c_char, json: *const c_char, length: usize) -> i32;
    fn engine_text(at: i32, length: *mut usize) -> *const u8;
}

/// What the helpers know of the call.
#[derive(Default)]
struct State {
    request: Option<Request>,
    unreadable: Option<Unreadable>,
    /// What a helper returned last; the engine copies it.
    result: String,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// The engine of this call.
pub(crate) struct Engine(());

/// An error that a script did not catch.
pub(crate) struct Thrown {
    pub(crate) message: String,
    pub(crate) stack: String,
    /// The request, where its body could not be read, and the reason.
    pub(crate) unreadable: Option<(Request, Unreadable)>,
}

impl Engine {
    /// Starts the engine, with the prelude.
    pub(crate) fn open() -> Result<Self, Thrown> {
        // SAFETY: an engine that was opened before is not used any more: only one value refers to it.
        if unsafe { engine_open(STACK) } != 0 {
            return Err(thrown());
        }
        let mut engine = Self(());
        engine.run("prelude", PRELUDE)?;
        Ok(engine)
    }

    /// Runs a script.
    pub(crate) fn run(&mut self, name: &str, text: &str) -> Result<(), Thrown> {
        let length = text.len();
        let name = c_text(name);
        let text = c_text(text);
        // SAFETY: both texts end with a zero, and outlive the call.
        match unsafe { engine_eval(text.as_ptr(), length, name.as_ptr(), 0) } {
            0 => Ok(()),
            _ => Err(thrown()),
        }
    }

    /// Calls a function of the prelude with a value in JSON, and returns its text.
    pub(crate) fn call(&mut self, function: &str, json: &str) -> Result<String, Thrown> {
        let function = c_text(function);
        let text = c_text(json);
        // SAFETY: both texts end with a zero, and outlive the call.
        match unsafe { engine_call(function.as_ptr(), text.as_ptr(), json.len()) } {
            0 => Ok(text_at(0)),
            _ => Err(thrown()),
        }
    }

    /// Hands the helpers the request.
    pub(crate) fn set_request(&mut self, request: Request) {
        STATE.with_borrow_mut(|state| state.request = Some(request));
    }
}

/// A text of a script or of JSON has no zero but in an escape; were it otherwise, it would end
/// there.
fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|error| {
        let end = error.nul_position();
        CString::new(&text.as_bytes()[..end]).unwrap_or_default()
    })
}

fn thrown() -> Thrown {
    STATE.with_borrow_mut(|state| Thrown {
        message: text_at(0),
        stack: text_at(1),
        unreadable: state.request.take().zip(state.unreadable.take()),
    })
}

fn text_at(at: i32) -> String {
    let mut length = 0;
    // SAFETY: the engine returns a text of its own of this length, or none.
    let bytes = unsafe {
        let text = engine_text(at, &mut length);
        if text.is_null() {
            return String::new();
        }
        std::slice::from_raw_parts(text, length)
    };
    String::from_utf8_lossy(bytes).into_owned()
}

/// Answers a call of `host(name, text)`: see `engine/glue.c`.
#[unsafe(no_mangle)]
unsafe extern "C" fn engine_host(
    name: *const u8,
    name_length: usize,
    text: *const u8,
    text_length: usize,
    result: *mut *const u8,
    result_length: *mut usize,
) -> i32 {
    // SAFETY: the engine hands over two texts of these lengths.
    let [name, text] = unsafe {
        [(name, name_length), (text, text_length)]
            .map(|(text, length)| std::slice::from_raw_parts(text, length))
    }
    .map(String::from_utf8_lossy);
    STATE.with_borrow_mut(|state| {
        let (code, answer) = match log(&name, &text) {
            Some(()) => (0, "null".to_owned()),
            None => match prelude::call(&name, &text, state.request.as_ref()) {
                Ok(value) => (0, value),
                Err(Failure::Misused(why)) => (1, why),
                Err(Failure::Unreadable(why)) => {
                    let told = format!("the body cannot be read: {why}");
                    state.unreadable = Some(why);
                    (1, told)
                }
            },
        };
        state.result = answer;
        // SAFETY: the engine reads the result before it calls again.
        unsafe {
            *result = state.result.as_ptr();
            *result_length = state.result.len();
        }
        code
    })
}

/// Logs a line, where this is what the script asks for.
fn log(name: &str, text: &str) -> Option<()> {
    let level = name.strip_prefix("log ")?;
    plugin_sdk::log::write(plugin_sdk::log::Level::of_word(level), text);
    Some(())
}

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(HEADER)?, HEADER).ok()
}

#[unsafe(no_mangle)]
extern "C" fn engine_alloc(size: usize) -> *mut u8 {
    let Some(layout) = layout(size) else {
        return std::ptr::null_mut();
    };
    // SAFETY: the layout has a size, and the header lies within the block.
    unsafe {
        let block = alloc(layout);
        if block.is_null() {
            return block;
        }
        block.cast::<usize>().write(size);
        block.add(HEADER)
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn engine_size(block: *const u8) -> usize {
    if block.is_null() {
        return 0;
    }
    // SAFETY: every block of the engine's has its header before it.
    unsafe { block.sub(HEADER).cast::<usize>().read() }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn engine_free(block: *mut u8) {
    if block.is_null() {
        return;
    }
    // SAFETY: the block is one of `engine_alloc`'s, of the size in its header.
    unsafe {
        if let Some(layout) = layout(engine_size(block)) {
            dealloc(block.sub(HEADER), layout);
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn engine_realloc(block: *mut u8, size: usize) -> *mut u8 {
    if block.is_null() {
        return engine_alloc(size);
    }
    if size == 0 {
        // SAFETY: as the caller promises.
        unsafe { engine_free(block) };
        return std::ptr::null_mut();
    }
    // SAFETY: the block is one of `engine_alloc`'s, of the size in its header.
    unsafe {
        let (Some(old), Some(new)) = (layout(engine_size(block)), layout(size)) else {
            return std::ptr::null_mut();
        };
        let moved = realloc(block.sub(HEADER), old, new.size());
        if moved.is_null() {
            return moved;
        }
        moved.cast::<usize>().write(size);
        moved.add(HEADER)
    }
}

//! Advice for the plugin author about a failed call. The errors themselves are written for the
//! operator's log, and leave it out.

use super::answer::AnswerError;
use super::error::CallError;

impl CallError {
    /// Returns advice for the plugin author, in a sentence or two.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Trap { trap, .. } if trap.contains("call stack exhausted") => {
                "It calls itself too often. Bound the depth, as what a stranger sends may nest without end."
            }
            Self::Trap {
                message: Some(_), ..
            } => {
                "Fix the line that it names: whatever comes in, a plugin answers, with `rejected` where it is not its \
                 own. `cargo test` runs the same case natively, and with RUST_BACKTRACE=1 shows how it came there."
            }
            Self::Trap { message: None, .. } => {
                "It left no message. A plugin of the Rust SDK says where it panicked; in another language, print one to \
                 standard error before you abort, or hand it to Extism's `error_set`. An access outside its memory is often a stack that is too \
                 small for deep recursion."
            }
            Self::Time { .. } => {
                "Look for a loop that the request keeps going. `alert-gateway plugin bench` shows what the other cases \
                 take; the limit of a source is `time` in its limits, and few senders wait for longer."
            }
            Self::Memory { .. } => {
                "Look for a collection that grows with the request. The limit of a source is `memory` in its limits; a \
                 plugin that starts with more is to be linked with less: `--initial-memory=1048576` of wasm-ld."
            }
            Self::Table { .. } => {
                "A plugin needs some hundred elements; grow no table while it runs."
            }
            Self::Output(_) => {
                "Hand `output_set` a block that `alloc` gave, whole; a command writes its answer to standard output. An answer repeats its request at most: cut what is \
                 long before it goes into an alert. The limit of a source is `output` in its limits."
            }
            Self::HostMemory { .. } => {
                "Free what `alloc` gave once it is used, and write the answer in one piece. Host memory is four times \
                 the limit of the output."
            }
            Self::Denied(_) => "Take what is needed from the request, or from the settings.",
            Self::Exit { .. } => {
                "A library returns from `read` instead of ending the program; a command ends with 0 whatever comes in, with \
                 `rejected` where it is not its own."
            }
            Self::Failed { .. } => {
                "The plugin returned an error instead of an answer. Settings that fit its schema and not its code are a \
                 schema that allows too much; any other request is answered, with `rejected` where it is not its own."
            }
            Self::Answer(AnswerError::Shape { .. }) => {
                "An answer is one of {\"alerts\": […]}, {\"ignored\": {…}}, {\"rejected\": {…}} and {\"reply\": {…}}, and \
                 its fields are those of contract 1: see `plugin_sdk::contract`."
            }
            Self::Answer(AnswerError::Value { .. }) => {
                "The shape is right, and a value cannot be used: hash or cut what may become too long."
            }
            Self::Busy { .. } => "The machine is too busy to run it: try again.",
            Self::Host(_) => {
                "This is the gateway's own failure: try again, and report it if it stays."
            }
        }
    }
}

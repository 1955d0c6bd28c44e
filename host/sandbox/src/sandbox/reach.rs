//! The reach of a plugin: its imports, in words, and its exports. The list is complete: a function
//! that is not imported cannot be called, and [`super::Sandbox::load`] refuses imports outside this
//! list.

use super::{Plugin, exposed};
use crate::{abi, wasi};

/// A function of the host that a plugin imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The function, as `module.name`.
    pub function: String,
    /// The capability that it gives the plugin. Several functions have the same meaning.
    pub meaning: &'static str,
}

impl Plugin {
    /// Returns its imports, in the order of the module.
    pub fn imports(&self) -> Vec<Import> {
        let imports = self.loaded.code.instance.module().imports();
        let import = |import: wasmtime::ImportType<'_>| Import {
            function: format!("{}.{}", import.module(), import.name()),
            meaning: meaning(import.module(), import.name()),
        };
        imports.map(import).collect()
    }

    /// Returns the names of its exports, in the order of the module.
    pub fn exports(&self) -> Vec<String> {
        let exports = self.loaded.code.instance.module().exports();
        let names = exports.map(|export| export.name().to_owned());
        names.filter(|name| !exposed::is_ours(name)).collect()
    }
}

/// Returns the capability of a function; empty for a function outside the sandbox.
fn meaning(module: &str, name: &str) -> &'static str {
    match (module, name) {
        (abi::MODULE, "input_length" | "input_offset" | "input_load_u8" | "input_load_u64") => {
            "reads the request"
        }
        (
            abi::MODULE,
            "length" | "length_unsafe" | "alloc" | "free" | "load_u8" | "load_u64" | "store_u8"
            | "store_u64",
        ) => "uses memory that the host lends for one call",
        (abi::MODULE, "output_set") => "answers",
        (abi::MODULE, "error_set") => "says why it failed",
        (abi::MODULE, "config_get") => {
            "asks for configuration, of which there is none beside the settings"
        }
        (abi::MODULE, "var_get" | "var_set") => "keeps variables, which end with the call",
        (abi::MODULE, "http_request" | "http_status_code" | "http_headers") => {
            "links HTTP, which it cannot use: asking for a request ends the call"
        }
        (
            abi::MODULE,
            "log_trace" | "log_debug" | "log_info" | "log_warn" | "log_error" | "get_log_level",
        ) => "writes to the gateway's log",
        (wasi::MODULE, "fd_write") => {
            "prints: a command its answer, and all else to the gateway's log"
        }
        (wasi::MODULE, "fd_read") => "reads the request, from standard input",
        (wasi::MODULE, "args_get" | "args_sizes_get") => {
            "asks for its arguments: a command is asked to `describe` or to `read`"
        }
        (wasi::MODULE, "clock_res_get" | "clock_time_get") => {
            "reads a clock, which stands at the time of receipt"
        }
        (wasi::MODULE, "poll_oneoff") => "sleeps, which moves its clock and takes no time",
        (wasi::MODULE, "random_get") => {
            "asks for random bytes, which are a function of the request and the plugin"
        }
        (wasi::MODULE, "proc_exit") => "may end itself",
        (wasi::MODULE, _) => "links files, sockets and an environment, of which there are none",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_that_a_plugin_may_import_has_a_meaning() {
        let of_extism = abi::FUNCTIONS.map(|name| (abi::MODULE, name));
        let of_wasi = wasi::functions().map(|name| (wasi::MODULE, name));
        for (module, name) in of_extism.into_iter().chain(of_wasi) {
            assert_ne!(meaning(module, name), "", "{module}.{name}");
        }
        assert_eq!(meaning("env", "abort"), "");
    }
}

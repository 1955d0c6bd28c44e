//! One call of one export, in a fresh instance: its state, from the input to the result.

use super::clock::{Clock, FIRST_TICKS, Turn};
use super::error::CallError;
use super::limits::{CallLimits, Guard};
use super::log::{CallLog, said};
use super::memory::HostMemory;
use super::phase::{Asked, Phase, Unfit};
use super::sandbox::{Configuration, Identity, Used};
use super::snapshot::Snapshot;
use super::wasi::Wasi;
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmtime::{Engine, Func, Instance, InstancePre, ModuleExport, Store, Trap, WasmBacktrace};

/// The most variables of one call, and the most bytes of them together with their names.
const MAX_VARIABLES: usize = 64;
const MAX_VARIABLE_BYTES: usize = 64 * 1024;

/// The function of a plugin that a call enters, by the plugin's ABI.
#[derive(Clone, Copy)]
pub(super) enum Entry<'p> {
    /// An export of a library, after its initializer. It asks for its input, and hands over its
    /// output, by Extism's functions.
    Export {
        /// The state that it begins with.
        start: Start<'p>,
        /// The export.
        export: &'p ModuleExport,
    },
    /// A whole program: the input is its standard input, and its standard output is the output.
    Command {
        /// Its `_start`.
        start: &'p ModuleExport,
        /// Its one argument: the name of the export that a library would have.
        argument: &'static str,
    },
}

/// The beginning of a call.
#[derive(Clone, Copy)]
pub(super) enum Start<'p> {
    /// The initializer runs first, where there is one.
    Anew(Option<&'p ModuleExport>),
    /// It ran already, and left this.
    Prepared(&'p Snapshot),
}

/// The state of a call: what the functions of [`super::abi`] and [`super::wasi`] work on.
pub(super) struct Call {
    pub(super) memory: HostMemory,
    pub(super) log: CallLog,
    pub(super) wasi: Wasi,
    configuration: Configuration,
    guard: Guard,
    turn: Turn,
    phase: Phase,
    /// The first thing that it asked for before it was asked to answer.
    asked: Option<Asked>,
    max_output: usize,
    /// Address and length of the answer.
    output: (u64, u64),
    error: Option<String>,
    variables: BTreeMap<Vec<u8>, Vec<u8>>,
    variable_bytes: usize,
}

impl Call {
    /// The state of a call of this plugin.
    pub(super) fn new(
        clock: &Arc<Clock>,
        log: CallLog,
        plugin: &Identity,
        input: &[u8],
        limits: &CallLimits,
    ) -> Self {
        Self {
            memory: HostMemory::new(input, limits.host_memory()),
            log,
            wasi: Wasi::new(plugin),
            configuration: Arc::clone(&plugin.configuration),
            guard: Guard::new(limits.memory),
            turn: clock.turn(limits.time),
            phase: Phase::Answer,
            asked: None,
            max_output: limits.output,
            output: (0, 0),
            error: None,
            variables: BTreeMap::new(),
            variable_bytes: 0,
        }
    }

    /// Enters a fresh instance, and lets `answer` read what it put out. The instance is
    /// gone when this returns, or when the future is dropped; no other call notices either.
    pub(super) async fn run<T>(
        self,
        plugin: &InstancePre<Self>,
        entry: Entry<'_>,
        answer: impl FnOnce(&[u8]) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let mut store = self.store(plugin.module().engine())?;
        answer(output(&mut store, plugin, entry).await?)
    }

    /// Runs like [`Call::run`], and also returns a copy of the output and the used resources,
    /// however the call ended.
    pub(super) async fn measure(
        self,
        plugin: &InstancePre<Self>,
        entry: Entry<'_>,
    ) -> (Result<Vec<u8>, CallError>, Used) {
        let mut store = match self.store(plugin.module().engine()) {
            Ok(store) => store,
            Err(error) => return (Err(error), Used::default()),
        };
        let output = output(&mut store, plugin, entry).await.map(<[u8]>::to_vec);
        let Self { turn, guard, .. } = store.data();
        let time = turn.ran();
        let memory = guard.memory();
        let used = Used {
            time,
            memory,
            output: output.as_ref().map_or(0, Vec::len),
        };
        (output, used)
    }

    /// Creates the wasmtime store of the instance, with its limits.
    pub(super) fn store(self, engine: &Engine) -> Result<Store<Self>, CallError> {
        let mut store =
            Store::try_new(engine, self).map_err(|error| CallError::Host(format!("{error:#}")))?;
        store.limiter(|call| &mut call.guard);
        store.set_epoch_deadline(FIRST_TICKS);
        store.epoch_deadline_callback(|mut store| store.data_mut().turn.deadline());
        Ok(store)
    }

    /// Begins a part of the plugin's run.
    pub(super) fn begin(&mut self, phase: Phase) {
        self.phase = phase;
        self.wasi.begin();
    }

    /// The part of the plugin's run.
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Takes note of something that belongs to a call.
    pub(super) fn asks(&mut self, asked: Asked) {
        if self.phase.is_too_early_for(asked) {
            self.asked.get_or_insert(asked);
        }
    }

    /// Judges a step of a preparation that returned this code.
    pub(super) fn prepared(&mut self, code: i32) -> Result<(), Unfit> {
        if let Some(asked) = self.asked {
            return Err(Unfit::Asked(asked));
        }
        if code != 0 || self.error.is_some() {
            return Err(Unfit::Failed(CallError::Failed {
                code,
                message: self.error.take(),
            }));
        }
        if self.output.1 > 0 || !self.memory.is_clear() {
            return Err(Unfit::Left);
        }
        Ok(())
    }

    /// Takes note of where the answer lies.
    pub(super) fn set_output(&mut self, address: u64, length: u64) -> Result<(), CallError> {
        self.within_output(length)?;
        if self.memory.range(address, length).is_none() {
            return Err(CallError::Output(
                "it is no range of the memory that the plugin allocated for it".into(),
            ));
        }
        self.output = (address, length);
        Ok(())
    }

    /// Adds to what a command writes to its standard output.
    pub(super) fn print(&mut self, text: &[u8]) -> Result<(), CallError> {
        let printed = self.wasi.printed().len();
        self.within_output(printed.saturating_add(text.len()) as u64)?;
        self.wasi.print(text);
        Ok(())
    }

    fn within_output(&self, length: u64) -> Result<(), CallError> {
        if length > self.max_output as u64 {
            return Err(CallError::Output(format!(
                "it has {length} bytes, and the limit is {}",
                self.max_output
            )));
        }
        Ok(())
    }

    /// Keeps the message of this block; a handle of 0 takes it back.
    pub(super) fn set_error(&mut self, handle: u64) {
        let text = self.memory.block(handle).unwrap_or_default();
        self.error = (!text.is_empty()).then(|| said(text));
    }

    /// A new block with the configured text that this block names; 0 where there is none.
    pub(super) fn configured(&mut self, name: u64) -> Result<u64, CallError> {
        let text = self.memory.block(name).and_then(|name| {
            let mut all = self.configuration.iter();
            all.find(|(known, _)| known.as_bytes() == name)
        });
        let handle = match text {
            Some((_, text)) => self.memory.alloc_from(text.as_bytes())?,
            None => 0,
        };
        self.memory.free(name);
        Ok(handle)
    }

    /// A new block with the value of the variable that this block names; 0 where there is none.
    pub(super) fn variable(&mut self, name: u64) -> Result<u64, CallError> {
        self.asks(Asked::Variables);
        let value = self
            .memory
            .block(name)
            .and_then(|name| self.variables.get(name));
        let handle = match value {
            Some(value) => self.memory.alloc_from(value)?,
            None => 0,
        };
        self.memory.free(name);
        Ok(handle)
    }

    /// Sets the variable named in block `name` to the bytes of block `value`, or removes it where
    /// the handle `value` is 0.
    pub(super) fn set_variable(&mut self, name: u64, value: u64) -> Result<(), CallError> {
        self.asks(Asked::Variables);
        let Some(key) = self.memory.block(name) else {
            return Ok(());
        };
        if let Some(old) = self.variables.remove(key) {
            self.variable_bytes -= key.len() + old.len();
        }
        if let Some(value) = self.memory.block(value) {
            if self.variables.len() >= MAX_VARIABLES {
                return Err(CallError::HostMemory {
                    limit: MAX_VARIABLES,
                    unit: "variables",
                });
            }
            let bytes = self.variable_bytes + key.len() + value.len();
            if bytes > MAX_VARIABLE_BYTES {
                return Err(CallError::HostMemory {
                    limit: MAX_VARIABLE_BYTES,
                    unit: "bytes of variables",
                });
            }
            self.variable_bytes = bytes;
            self.variables.insert(key.to_vec(), value.to_vec());
        }
        self.memory.free(name);
        Ok(())
    }
}

/// Enters a fresh instance, and gives what it put out.
async fn output<'s>(
    store: &'s mut Store<Call>,
    plugin: &InstancePre<Call>,
    entry: Entry<'_>,
) -> Result<&'s [u8], CallError> {
    if let Entry::Command { argument, .. } = entry {
        store.data_mut().wasi.start(argument);
    }
    let entered = enter(store, plugin, entry).await.map_err(failure);
    let call = store.data_mut();
    call.wasi.flush(&mut call.log);
    let code = match (entered, entry) {
        (Ok(code), _) => code,
        (Err(CallError::Exit { code: 0, .. }), Entry::Command { .. }) => 0,
        (Err(error), _) => {
            let said = call.error.take().or_else(|| call.wasi.last_words());
            return Err(error.with_message(said));
        }
    };
    if code != 0 || call.error.is_some() {
        return Err(CallError::Failed {
            code,
            message: call.error.take().or_else(|| call.wasi.last_words()),
        });
    }
    match entry {
        Entry::Export { .. } => {
            let (address, length) = call.output;
            // The plugin cannot have made the memory smaller since it named the range.
            Ok(call.memory.range(address, length).unwrap_or_default())
        }
        Entry::Command { .. } if call.wasi.printed().is_empty() => Err(CallError::Output(
            "the program wrote nothing to its standard output".into(),
        )),
        Entry::Command { .. } => Ok(call.wasi.printed()),
    }
}

/// Instantiates (which runs a start function, if there is one), prepares and calls.
async fn enter(
    store: &mut Store<Call>,
    plugin: &InstancePre<Call>,
    entry: Entry<'_>,
) -> wasmtime::Result<i32> {
    let instance = plugin.instantiate_async(&mut *store).await?;
    match entry {
        Entry::Export { start, export } => {
            match start {
                Start::Prepared(snapshot) => snapshot.restore(store, &instance)?,
                Start::Anew(None) => {}
                Start::Anew(Some(initialize)) => {
                    store.data_mut().begin(Phase::Initialize);
                    run(store, &instance, initialize).await?;
                    store.data_mut().begin(Phase::Answer);
                }
            }
            ask(store, &instance, export).await
        }
        Entry::Command { start, .. } => {
            run(store, &instance, start).await?;
            Ok(0)
        }
    }
}

/// Calls a function without parameters and results.
pub(super) async fn run(
    store: &mut Store<Call>,
    instance: &Instance,
    export: &ModuleExport,
) -> wasmtime::Result<()> {
    function(store, instance, export)?
        .typed::<(), ()>(&store)?
        .call_async(&mut *store, ())
        .await
}

/// Calls a function that returns a code: 0 where it did what it was asked for.
pub(super) async fn ask(
    store: &mut Store<Call>,
    instance: &Instance,
    export: &ModuleExport,
) -> wasmtime::Result<i32> {
    function(store, instance, export)?
        .typed::<(), i32>(&store)?
        .call_async(&mut *store, ())
        .await
}

/// Returns a function that the plugin exports.
fn function(
    store: &mut Store<Call>,
    instance: &Instance,
    export: &ModuleExport,
) -> wasmtime::Result<Func> {
    instance
        .get_module_export(store, export)
        .and_then(|export| export.into_func())
        .ok_or_else(|| {
            wasmtime::Error::msg("an export that was there when the plugin was loaded is gone")
        })
}

/// Converts the engine's error into the error of the call.
pub(super) fn failure(error: wasmtime::Error) -> CallError {
    if let Some(trap) = error.downcast_ref::<Trap>() {
        let place = error
            .downcast_ref::<WasmBacktrace>()
            .and_then(|trace| trace.frames().iter().find_map(|frame| frame.func_name()));
        let trap = trap.to_string();
        let trap = trap.strip_prefix("wasm trap: ").unwrap_or(&trap);
        let trap = match place {
            Some(function) => format!("{trap} (in {})", said(function.as_bytes())),
            None => trap.to_owned(),
        };
        return CallError::Trap {
            trap,
            message: None,
        };
    }
    error
        .downcast::<CallError>()
        .unwrap_or_else(|error| CallError::Host(format!("{error:#}")))
}

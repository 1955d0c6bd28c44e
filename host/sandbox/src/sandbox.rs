//! The sandbox, and the plugins that were loaded into it.

mod code;
mod exposed;
mod header;
mod identity;
mod measure;
mod modules;
mod prepared;
mod reach;

pub(crate) use identity::{Configuration, Identity};
pub use measure::{Measured, Used};
pub use prepared::Beginning;
pub use reach::Import;

use super::answer;
use super::cache::Cache;
use super::call::{Call, Entry};
use super::clock::Clock;
use super::compiler::{self, Compiler};
use super::error::{CallError, LoadError, SandboxError};
use super::limits::CallLimits;
use super::log::{CallLog, Throttle};
use super::{abi, engine, wasi};
use code::Code;
use modules::{Compiled, Modules, Shared};
use plugin_sdk::contract::{Answer, CONTRACT_VERSION, Checked};
use plugin_sdk::signature::sha256;
use prepared::Prepared;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit, TryAcquireError};
use tracing::debug;
use wasmtime::{Engine, Linker, Module};

/// One plugin may have this part of the places, so that a slow one leaves some to the others.
const SHARE: usize = 4;

/// The time a call waits for a place before it fails. The calls ahead of it are stopped at their
/// own limits, so a wait as long as this says that there are far too many of them.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// The limits of a plugin's `describe` and `check`. Both are asked when it is loaded, so nobody
/// waits.
const DESCRIBE: CallLimits = CallLimits {
    time: Duration::from_secs(1),
    memory: usize::MAX,
    output: 1024 * 1024,
};

/// Options of a [`Sandbox`].
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// The folder of compiled plugins; without it they are compiled at each start.
    pub cache_dir: Option<PathBuf>,
    /// The number of calls that may run at once, of all plugins; one plugin gets at most a quarter
    /// of them. A place costs 4 GiB of address space and, once it was used, some hundred KiB of
    /// memory.
    pub instances: u32,
    /// The largest memory limit of any source, in bytes.
    pub max_memory: usize,
}

/// Compiles and runs plugins. A clone is another handle on the same one.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    engine: Engine,
    linker: Linker<Call>,
    clock: Arc<Clock>,
    cache: Option<Cache>,
    compiler: Option<Compiler>,
    modules: Modules,
    places: Semaphore,
    options: SandboxOptions,
    log: Arc<Throttle>,
}

/// A plugin that is ready to be called. A clone is another handle on the same one.
#[derive(Clone)]
pub struct Plugin {
    loaded: Arc<Loaded>,
    prepared: Prepared,
}

struct Loaded {
    sandbox: Sandbox,
    name: Arc<str>,
    sha256: String,
    initial_memory: u64,
    description: Description,
    code: Code,
    /// Kept, so that the same wasm is compiled once for all loaded plugins.
    _compiled: Compiled,
    places: Semaphore,
}

/// A plugin's description of itself, with its schema as a tree to look into.
pub type Description = plugin_sdk::contract::Description<serde_json::Value>;

impl Sandbox {
    /// Sets up the engine and its clock, and opens the cache.
    pub fn new(options: SandboxOptions) -> Result<Self, SandboxError> {
        Self::with_compiler(options, None)
    }

    /// As [`Sandbox::new`]. Plugins that are not in the cache are compiled by another program, and
    /// by this one where that fails.
    pub fn with_compiler(
        options: SandboxOptions,
        compiler: Option<Compiler>,
    ) -> Result<Self, SandboxError> {
        let options = SandboxOptions {
            instances: options.instances.max(1),
            ..options
        };
        let engine = engine::engine(options.instances, options.max_memory)?;
        let mut linker = Linker::new(&engine);
        abi::link(&mut linker)
            .and_then(|()| wasi::link(&mut linker))
            .map_err(|error| SandboxError::Engine(format!("{error:#}")))?;
        Ok(Self(Arc::new(Inner {
            clock: Arc::new(Clock::start(&engine).map_err(SandboxError::Clock)?),
            cache: options
                .cache_dir
                .as_ref()
                .and_then(|dir| Cache::open(dir, &engine)),
            compiler,
            modules: Modules::default(),
            places: Semaphore::new(options.instances as usize),
            options,
            log: Arc::default(),
            engine,
            linker,
        })))
    }

    /// Compiles a plugin, or takes it from the cache; checks its imports and exports; and asks it
    /// what it is. Several can be loaded at once.
    pub async fn load(&self, name: &str, wasm: &[u8]) -> Result<Plugin, LoadError> {
        self.load_configured(name, wasm, &[]).await
    }

    /// As [`Sandbox::load`], with texts that the plugin may ask for by name (Extism's `config_get`):
    /// the script of an engine. However many plugins there are of one wasm, it is compiled once.
    pub async fn load_configured(
        &self,
        name: &str,
        wasm: &[u8],
        configuration: &[(&str, &str)],
    ) -> Result<Plugin, LoadError> {
        let initial_memory = self.initial_memory(name, wasm)?;
        let compiled = self.0.modules.of(Sha256::digest(wasm).into());
        let name: Arc<str> = name.into();
        let compiling = || async {
            let compiling = tokio::task::spawn_blocking({
                let sandbox = self.clone();
                let name = Arc::clone(&name);
                let wasm = wasm.to_vec();
                move || sandbox.compile(&name, &wasm, &sha256(&wasm).hex())
            });
            let module = compiling.await.map_err(|_| LoadError::Stopped {
                plugin: name.to_string(),
            })??;
            let code = Code::link(&self.0.linker, &name, &module, Identity::new(wasm, &[]))?;
            let prepared = self.prepare_wasm(&name, &code).await;
            Ok::<_, LoadError>(Shared { module, prepared })
        };
        let shared = compiled.get_or_try_init(compiling).await?;
        let identity = Identity::new(wasm, configuration);
        let sha256 = identity.hex();
        let code = Code::link(&self.0.linker, &name, &shared.module, identity)?;
        let mut prepared = shared.prepared.clone();
        if !configuration.is_empty() {
            prepared = self
                .prepare(&name, &code, prepared, code.prepare(), &[])
                .await;
        }
        let description = self.describe(&name, &code, &prepared).await?;
        let places = Semaphore::new((self.0.options.instances as usize / SHARE).max(1));
        let loaded = Loaded {
            sandbox: self.clone(),
            name,
            sha256,
            initial_memory,
            description,
            code,
            _compiled: compiled,
            places,
        };
        Ok(Plugin {
            loaded: Arc::new(loaded),
            prepared,
        })
    }

    /// Returns the bytes of memory that the module starts with, unless no call may have so many.
    fn initial_memory(&self, name: &str, wasm: &[u8]) -> Result<u64, LoadError> {
        let asked = header::initial_memory(wasm);
        let limit = self.0.options.max_memory;
        if usize::try_from(asked).is_ok_and(|asked| asked <= limit) {
            return Ok(asked);
        }
        Err(LoadError::Memory {
            plugin: name.to_owned(),
            asked,
            limit,
        })
    }

    /// Compiles a plugin into the cache of a sandbox with the same options, which waits for it.
    ///
    /// # Errors
    /// It is no plugin.
    pub fn compile_into_cache(&self, wasm: &[u8]) -> Result<(), LoadError> {
        self.compile("", wasm, &sha256(wasm).hex()).map(drop)
    }

    /// Returns the compiled plugin, if the cache has it or another program puts it there.
    fn compiled(&self, name: &str, wasm: &[u8], sha256: &str) -> Option<Module> {
        let Inner { engine, cache, .. } = &*self.0;
        let cache = cache.as_ref()?;
        if let Some(module) = cache.load(engine, sha256) {
            return Some(module);
        }
        match compiler::compile(self.0.compiler?, &self.0.options, wasm) {
            Ok(()) => cache.load(engine, sha256),
            Err(error) => {
                debug!(plugin = name, %error, "compiled in this process, which keeps the memory that it takes");
                None
            }
        }
    }

    fn compile(&self, name: &str, wasm: &[u8], sha256: &str) -> Result<Module, LoadError> {
        let Inner { engine, cache, .. } = &*self.0;
        let not_a_module = |error: wasmtime::Error| LoadError::Module {
            plugin: name.to_owned(),
            reason: format!("{error:#}"),
        };
        let module = match self.compiled(name, wasm, sha256) {
            Some(module) => module,
            None => {
                if let Some(mistaken) = header::mistaken(wasm) {
                    return Err(LoadError::Module {
                        plugin: name.to_owned(),
                        reason: mistaken.to_owned(),
                    });
                }
                // Not `new`, which would take WebAssembly's text format as well where that is
                // compiled in.
                let module = match exposed::exposed(wasm) {
                    Some(exposed) => Module::from_binary(engine, &exposed),
                    None => Module::from_binary(engine, wasm),
                };
                let module = module.map_err(not_a_module)?;
                if let Some(cache) = cache {
                    cache.store(&module, sha256);
                }
                module
            }
        };
        // Now, and not in the first call.
        module
            .initialize_copy_on_write_image()
            .map_err(not_a_module)?;
        Ok(module)
    }

    async fn describe(
        &self,
        name: &Arc<str>,
        code: &Code,
        prepared: &Prepared,
    ) -> Result<Description, LoadError> {
        #[derive(Deserialize)]
        struct Version {
            contract: u32,
        }
        let failed = |error| LoadError::Describe {
            plugin: name.to_string(),
            error,
        };
        let answer = self.described(name, code, prepared).await.map_err(failed)?;
        // The version first: what another version of the contract has beside it is its own affair.
        let Version { contract } = answer::read(&answer)
            .map_err(CallError::from)
            .map_err(failed)?;
        if contract != CONTRACT_VERSION {
            return Err(LoadError::Contract {
                plugin: name.to_string(),
                found: contract,
                expected: CONTRACT_VERSION,
            });
        }
        answer::read(&answer)
            .map_err(CallError::from)
            .map_err(failed)
    }

    /// Returns a plugin's description as it writes it.
    async fn described(
        &self,
        name: &Arc<str>,
        code: &Code,
        prepared: &Prepared,
    ) -> Result<Vec<u8>, CallError> {
        let log = self.log(name, "");
        let answer = |answer: &[u8]| Ok(answer.to_vec());
        self.ask(code, code.describe(prepared.snapshot()), log, &[], answer)
            .await
    }

    /// The log of one call, throttled together with all calls of its source.
    fn log(&self, plugin: &Arc<str>, source: &str) -> CallLog {
        CallLog::new(Arc::clone(&self.0.log), Arc::clone(plugin), source)
    }

    /// A call at the time of loading.
    async fn ask<T>(
        &self,
        code: &Code,
        entry: Entry<'_>,
        log: CallLog,
        input: &[u8],
        answer: impl FnOnce(&[u8]) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let _place = self.place(&self.0.places).await?;
        Call::new(&self.0.clock, log, &code.identity, input, &DESCRIBE)
            .run(&code.instance, entry, answer)
            .await
    }

    /// Returns whether the clock has stopped.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.0.clock.is_asleep()
    }

    /// Returns the number of functions that plugins can import.
    #[cfg(test)]
    pub(super) fn functions(&self) -> usize {
        let log = self.log(&"none".into(), "");
        let mut store = wasmtime::Store::new(
            &self.0.engine,
            Call::new(&self.0.clock, log, &Identity::default(), &[], &DESCRIBE),
        );
        self.0.linker.iter(&mut store).count()
    }

    /// A place to run in.
    async fn place<'a>(&self, places: &'a Semaphore) -> Result<SemaphorePermit<'a>, CallError> {
        let closed = |_: AcquireError| CallError::Host("it is stopping".into());
        match places.try_acquire() {
            Ok(place) => Ok(place),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
                tokio::time::timeout(MAX_WAIT, places.acquire())
                    .await
                    .map_err(|_| CallError::Busy { waited: MAX_WAIT })?
                    .map_err(closed)
            }
        }
    }
}

impl Plugin {
    /// The name that it was loaded by.
    pub fn name(&self) -> &str {
        &self.loaded.name
    }

    /// Returns its description of itself.
    pub fn description(&self) -> &Description {
        &self.loaded.description
    }

    /// Asks it once more to describe itself, and returns its JSON to the letter, which may have fields
    /// that [`Plugin::description`] does not have.
    pub async fn describe(&self) -> Result<Vec<u8>, CallError> {
        let loaded = &*self.loaded;
        let sandbox = &loaded.sandbox;
        sandbox
            .described(&loaded.name, &loaded.code, &self.prepared)
            .await
    }

    /// The SHA-256 of its WebAssembly, and of its configuration where it has one, in hex.
    pub fn sha256(&self) -> &str {
        &self.loaded.sha256
    }

    /// Returns the bytes of memory of its own that it starts with.
    pub fn initial_memory(&self) -> u64 {
        self.loaded.initial_memory
    }

    /// Returns whether it has something to say of settings.
    pub fn has_check(&self) -> bool {
        self.loaded.code.has_check()
    }

    /// Returns the plugin's objections to a source's `settings`, a JSON text that fits its schema.
    /// A plugin without the optional export `check` has nothing to say.
    pub async fn check(&self, source: &str, settings: &[u8]) -> Result<Checked, CallError> {
        let Loaded {
            sandbox,
            name,
            code,
            ..
        } = &*self.loaded;
        let Some(check) = code.check(self.prepared.snapshot()) else {
            return Ok(Checked::default());
        };
        let log = sandbox.log(name, source);
        sandbox
            .ask(code, check, log, settings, |answer| {
                Ok(answer::read(answer)?)
            })
            .await
    }

    /// Lets a fresh instance read a request: the JSON of a [`plugin_sdk::contract::Request`].
    /// `source` is for its log lines. Dropping the future ends the call, and disturbs no other.
    pub async fn read(
        &self,
        source: &str,
        request: &[u8],
        limits: &CallLimits,
    ) -> Result<Answer, CallError> {
        let Loaded {
            sandbox,
            name,
            code,
            places,
            ..
        } = &*self.loaded;
        // The plugin's own line first, so that whoever waits in it keeps no place from the others.
        // Both places are given back after the instance is gone, which is what there is a limited
        // number of.
        let _share = sandbox.place(places).await?;
        let _place = sandbox.place(&sandbox.0.places).await?;
        let log = sandbox.log(name, source);
        Call::new(&sandbox.0.clock, log, &code.identity, request, limits)
            .run(
                &code.instance,
                code.read(self.prepared.snapshot()),
                |bytes| Ok(answer::answer(bytes)?),
            )
            .await
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("instances", &self.0.options.instances)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.name())
            .field("sha256", &self.sha256())
            .finish_non_exhaustive()
    }
}

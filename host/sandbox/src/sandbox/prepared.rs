//! The preparations of a plugin: once for its wasm, once for what it is configured with, and once for
//! each source's settings.

use super::code::Code;
use super::{DESCRIBE, Loaded, Plugin, Sandbox};
use crate::call::Call;
use crate::phase::Unfit;
use crate::preparation::Step;
use crate::snapshot::Snapshot;
use std::sync::Arc;

/// The state that the calls of a plugin begin with.
#[derive(Clone, Default)]
pub(super) struct Prepared {
    snapshot: Option<Arc<Snapshot>>,
    /// The reason why the last step was not done.
    unfit: Option<Arc<Unfit>>,
    /// The initializer runs in each call, so nothing can follow it before.
    is_closed: bool,
}

impl Prepared {
    /// The snapshot of it, where there is one.
    pub(super) fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_deref()
    }
}

/// The beginning of a plugin's calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// Bytes of the state that each call begins with; 0 where there is none.
    pub snapshot: usize,
    /// The reason why each call does a part of the plugin's start, or all of it, anew.
    pub anew: Option<String>,
}

impl Plugin {
    /// Returns the plugin for the requests of one source: it has made ready for these settings, a
    /// JSON text that fits its schema. Where it cannot, each call does so.
    pub async fn prepared(&self, settings: &[u8]) -> Self {
        let Loaded {
            sandbox,
            name,
            code,
            ..
        } = &*self.loaded;
        let prepared = self.prepared.clone();
        Self {
            loaded: Arc::clone(&self.loaded),
            prepared: sandbox
                .prepare(name, code, prepared, code.prepare(), settings)
                .await,
        }
    }

    /// Returns the plugin without what it has made ready: each call does all of it. The answers are
    /// the same.
    pub fn unprepared(&self) -> Self {
        Self {
            loaded: Arc::clone(&self.loaded),
            prepared: Prepared::default(),
        }
    }

    /// Returns how its calls begin.
    pub fn beginning(&self) -> Beginning {
        Beginning {
            snapshot: self.prepared.snapshot().map_or(0, Snapshot::copied),
            anew: self.prepared.unfit.as_ref().map(|unfit| unfit.to_string()),
        }
    }
}

impl Sandbox {
    /// Prepares a plugin before any source is known.
    pub(super) async fn prepare_wasm(&self, name: &Arc<str>, code: &Code) -> Prepared {
        let mut prepared = Prepared::default();
        for step in code.steps() {
            prepared = self.prepare(name, code, prepared, Some(step), &[]).await;
        }
        prepared
    }

    /// Adds a step to a preparation, whose input is this. Where the plugin is not fit for it, the
    /// preparation stays as it is, and no step follows.
    pub(super) async fn prepare(
        &self,
        name: &Arc<str>,
        code: &Code,
        prepared: Prepared,
        step: Option<Step<'_>>,
        input: &[u8],
    ) -> Prepared {
        let (Some(step), Some(state), false) = (step, &code.state, prepared.is_closed) else {
            return prepared;
        };
        let is_first = matches!(step, Step::Initialize(_));
        let below = prepared.snapshot.as_ref();
        let snapshot = async {
            let _place = self.place(&self.0.places).await.map_err(Unfit::Failed)?;
            let log = self.log(name, "");
            Call::new(&self.0.clock, log, &code.identity, input, &DESCRIBE)
                .prepare(&code.instance, state, below, step)
                .await
        };
        match snapshot.await {
            Ok(snapshot) => Prepared {
                snapshot: Some(Arc::new(snapshot)),
                ..Prepared::default()
            },
            Err(unfit) => Prepared {
                unfit: Some(Arc::new(unfit)),
                is_closed: is_first,
                ..prepared
            },
        }
    }
}

//! Preparing a plugin for its calls: its initializer and its export `prepare` run once, in an
//! instance of their own, and a snapshot keeps the state that they leave.
//!
//! A call that begins with the snapshot must give the same answer as one that does all of it anew.
//! So a plugin is only fit for one if its preparation depends on nothing that belongs to a call, and
//! leaves nothing with the host: [`Asked`](super::phase::Asked) names what it may not do. Otherwise its calls prepare
//! themselves, as if there were no snapshots.

use super::call::{Call, ask, failure, run};
use super::phase::{Phase, Unfit};
use super::snapshot::{Snapshot, State};
use std::sync::Arc;
use wasmtime::{InstancePre, ModuleExport};

/// One step of a preparation.
pub(super) enum Step<'p> {
    /// The initializer.
    Initialize(&'p ModuleExport),
    /// The export `prepare`.
    Prepare(&'p ModuleExport),
}

impl Call {
    /// Runs a step in a fresh instance that begins with the snapshot below, and takes the state that
    /// it leaves.
    pub(super) async fn prepare(
        self,
        plugin: &InstancePre<Self>,
        state: &Arc<State>,
        below: Option<&Arc<Snapshot>>,
        step: Step<'_>,
    ) -> Result<Snapshot, Unfit> {
        let failed = |error| Unfit::Failed(failure(error));
        let mut store = self
            .store(plugin.module().engine())
            .map_err(Unfit::Failed)?;
        store.data_mut().log.mute();
        let instance = plugin.instantiate_async(&mut store).await.map_err(failed)?;
        if let Some(below) = below {
            below.restore(&mut store, &instance).map_err(failed)?;
        }
        let before = state.before(&mut store, &instance).map_err(failed)?;
        let code = match step {
            Step::Initialize(export) => {
                store.data_mut().begin(Phase::Initialize);
                run(&mut store, &instance, export).await.map(|()| 0)
            }
            Step::Prepare(export) => {
                store.data_mut().begin(Phase::Prepare);
                ask(&mut store, &instance, export).await
            }
        };
        let code = code.map_err(failed)?;
        store.data_mut().prepared(code)?;
        Snapshot::take(state, below, &before, &mut store, &instance).map_err(failed)
    }
}

//! The API: JSON below `/api/v1/`, described by `/api/v1/openapi.json`.

mod act;
mod case;
mod events;
mod groups;
mod log;
mod look;
mod mutes;
mod nodes;
mod route;
mod state;
mod test;

use serde::Serialize;

pub use act::{Act, Affected, Asking, Done, Target, act};
pub use events::{Chain, Listed, Shown, counts, dead_letters, failed, find, list};
pub use groups::{Reason, list as groups, resolve as resolve_group, resolve_event};
pub use look::look;
pub use mutes::{
    Asking as AskingMute, MuteState, Preview, add as add_mute, end as end_mute, list as mutes,
    list_with as mutes_with, preview as preview_mute,
};
pub use nodes::{Node, gone, node, node_in_memory, nodes};
pub use route::answer;
pub use state::{
    Audited, Configuration, Destination, FILED, SourceState, Sources, audit, configuration,
    destinations, destinations_with, source, sources, sources_with,
};
pub use test::{Asking as AskingTest, Tested, test as test_way};

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct Paged<T> {
    /// The rows.
    #[serde(skip)]
    pub name: &'static str,
    /// The rows.
    #[serde(skip)]
    pub rows: Vec<T>,
    /// The cursor of the next page; none where this is the last one.
    pub next: Option<String>,
}

//! The vocabulary: a [`Place`] with a configuration, a [`Gateway`] that runs there, a scripted
//! [`Itoc360`], [`twilio`] events with their signatures, a [`Load`] of them, [`tls`] authorities
//! and clients, [`plugin`]s made for one purpose, a [`registry`] of them, and [`disk`]s that fail. A test that starts a
//! program of others [`needs`] it.
//!
//! Nothing here waits for a time to pass. Tests follow another process by its output, by its
//! requests, or, without either, by [`until`].

mod alertmanager;
pub mod disk;
mod gateway;
mod itoc360;
mod line;
mod load;
mod machine;
mod mail;
mod place;
pub mod plugin;
pub mod postgres;
mod process;
pub mod programs;
pub mod proxy;
pub mod registry;
mod sink;
pub mod tls;
pub mod twilio;
mod wait;

pub use alertmanager::Alertmanager;
pub use gateway::{Answer, Gateway, read};
pub use itoc360::{Itoc360, TOKEN as ITOC360_TOKEN};
pub use line::{Line, State};
pub use load::{Load, Waiting, each_opened_once, events, keep_first, opened_once};
pub use machine::Machine;
pub use mail::{Mail, MailServer, MailWays, Step};
pub use place::{Place, Setup, caches, program, with_secrets};
pub use process::{Output, Process};
pub use programs::{Installed, Program, needs};
pub use sink::{Sent, Sink};
pub use twilio::Post;
pub use wait::{PATIENCE, a_moment, until};

use std::path::PathBuf;

/// The project's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Returns a random generator and prints its seed. A failure is repeated by `SEED=… cargo test …`.
pub fn random() -> fastrand::Rng {
    let seed =
        std::env::var("SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

//! `plugin`: the commands for plugin authors, from an empty folder to a running plugin.

mod add;
mod bench;
pub mod build;
mod cases;
mod contract;
mod dev;
mod fetch;
mod figures;
mod folder;
mod inspect;
mod list;
mod new;
mod outdated;
mod proof;
mod sign;
pub mod snippet;
pub mod subject;
mod test;
mod upgrade;

use clap::Subcommand;

use super::{ConfigFile, Failure, Outcome, block_on, trial};

/// The commands on plugins.
#[derive(Debug, Subcommand)]
pub enum Plugins {
    /// Make a plugin to start from
    New(new::New),
    /// Make a plugin's wasm, and print the line that configures it
    Build(build::Build),
    /// Run a plugin's cases through the real sandbox, and compare the answers with those written
    /// down
    ///
    /// A case is a request in `cases/<case>.http` and the answer that it owes in
    /// `cases/<case>.json`, with the source's settings in `cases/<case>.settings.json` or
    /// `cases/settings.json`. Each is read by a fresh instance, under the limits of a source that
    /// has none of its own.
    Test(test::Test),
    /// Show a plugin's description, its settings, and the reach of its imports
    ///
    /// The plugin is compiled and asked to describe itself, in the sandbox; it reads no request.
    Inspect(inspect::Inspect),
    /// Measure what a call of a plugin takes, beside its limits
    ///
    /// One call at a time, each in a fresh instance: from the request's JSON to the checked answer.
    /// The gateway has checked the sender's proof before, where the plugin declares one. Only a
    /// release build of the gateway gives figures that mean anything.
    Bench(bench::Bench),
    /// The plugins that the gateway carries with it
    ///
    /// Each of them can be named in a source's `plugin = "<name>"`. `plugin inspect NAME` tells
    /// more of one.
    List(list::List),
    /// Serve a plugin's source on this machine while you write it
    Dev(dev::Dev),
    /// Sign the requests of a plugin's cases as their sender would
    Sign(sign::Sign),
    /// Fetch the plugins that the configuration names by URL or registry, or one more
    ///
    /// The gateway that runs never fetches a plugin: this does, before the start or a reload. Each is
    /// held to its digest, and to a signature where `[gateway]` has plugin_keys; from then on at each
    /// start as well.
    Add(add::Add),
    /// List fetched plugins, and whether there are newer ones where they came from
    Outdated(outdated::Outdated),
    /// Fetch newer versions of fetched plugins, and write them into the configuration
    ///
    /// Of a registry's artifact that is the newest tag of the same form that is compatible by its
    /// number, or what the tag names now; of a URL what stands there now. A plugin that does not take
    /// the settings of its sources is left as it is.
    Upgrade(upgrade::Upgrade),
    /// Print the contract between gateway and plugin, as types of your language
    Contract(contract::Contract),
}

pub fn plugin(what: &Plugins) -> Outcome {
    match what {
        Plugins::New(what) => new::new(what),
        Plugins::Build(what) => build::build(what),
        Plugins::Test(what) => test::test(what),
        Plugins::Inspect(what) => inspect::inspect(what),
        Plugins::Bench(what) => bench::bench(what),
        Plugins::List(what) => list::list(what),
        Plugins::Dev(what) => dev::dev(what),
        Plugins::Sign(what) => sign::sign(what),
        Plugins::Add(what) => add::add(what),
        Plugins::Outdated(what) => outdated::outdated(what),
        Plugins::Upgrade(what) => upgrade::upgrade(what),
        Plugins::Contract(what) => contract::contract(what),
    }
}

//! `plugin contract`: the contract in the language of an author.
//!
//! All forms are made of one schema, and that is made of the SDK's types
//! ([`plugin_sdk::contract`]) by the test `tests/contract.rs`, which holds both together.

mod c;
mod go;
mod model;
mod typescript;
pub mod unknown;

use std::io::Write;

use clap::{Args, ValueEnum};
use plugin_sdk::contract;
use serde_json::Value;

use super::Outcome;
use model::Model;

/// The contract as JSON Schema: `$defs` has a definition for each type.
const SCHEMA: &str = include_str!("contract.schema.json");

/// What a plugin is handed and what it answers, as types with their meaning beside each field.
#[derive(Debug, Args)]
pub struct Contract {
    /// The form
    #[arg(long, value_enum, default_value_t = Format::JsonSchema)]
    format: Format,
}

/// The forms of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON Schema (draft 2020-12), with a definition for each type
    JsonSchema,
    /// Interfaces
    #[value(alias = "ts")]
    Typescript,
    /// Structs for encoding/json, in package main
    Go,
    /// A header: structs and enumerations
    C,
}

pub fn contract(what: &Contract) -> Outcome {
    Ok(std::io::stdout()
        .lock()
        .write_all(text(what.format).as_bytes())?)
}

/// Returns the contract in a form.
pub fn text(format: Format) -> String {
    let model = Model::of(&schema());
    match format {
        Format::JsonSchema => SCHEMA.to_owned(),
        Format::Typescript => typescript::write(&model),
        Format::Go => go::write(&model),
        Format::C => c::write(&model),
    }
}

fn schema() -> Value {
    // It is part of this program, and every form's test reads it.
    serde_json::from_str(SCHEMA).unwrap_or_default()
}

/// The first line of each form in a programming language, after its comment sign.
fn made_by(format: &str) -> String {
    format!(
        "Made by `alert-gateway plugin contract --format {format}`: version {} of the contract.",
        contract::CONTRACT_VERSION
    )
}

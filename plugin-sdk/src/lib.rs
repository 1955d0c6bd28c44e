//! Write a plugin for the alert gateway.

pub mod contract;

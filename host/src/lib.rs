//! The alert gateway.

pub mod alert;
pub mod metrics;
pub mod store;

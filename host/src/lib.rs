//! The alert gateway.

pub mod alert;

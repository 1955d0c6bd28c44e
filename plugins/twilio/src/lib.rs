//! The common parts of the plugins for Twilio's webhooks.
//!
//! [`signature`] proves a request to be from an account of the operator's, by the keys in the
//! [`settings`], and [`identity`] makes ids of the proof; [`rejection`] says why not; [`codes`] has
//! the names of error codes, [`pages`] where to read more, and [`level`] how urgent it is.

pub mod codes;
pub mod identity;
pub mod level;
pub mod pages;
pub mod rejection;
pub mod settings;
pub mod signature;

//! What the plugins for Twilio's webhooks have in common.
//!
//! [`signature`] proves that an account of the operator's sent a request, by the keys in the
//! [`settings`], and [`identity`] names what is proved; [`rejection`] says why not; [`codes`] knows
//! what an error code is called, [`pages`] where to read more, and [`level`] how urgent it is.

pub mod codes;
pub mod identity;
pub mod level;
pub mod pages;
pub mod rejection;
pub mod settings;
pub mod signature;

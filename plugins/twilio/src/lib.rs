//! What the plugins for Twilio's webhooks have in common.
//!
//! [`signature`] proves that an account of the operator's sent a request, by the tokens in the [`settings`];
//! [`rejection`] says why not; [`codes`] knows what an error code is called.

pub mod codes;
pub mod rejection;
pub mod settings;
pub mod signature;

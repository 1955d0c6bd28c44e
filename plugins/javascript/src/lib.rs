//! A plugin whose code stands in the source's settings: `settings.script` is JavaScript with a
//! function `read(request, options)`.
//!
//! `engine` is QuickJS, compiled from C and linked into this plugin. `prelude.js` is what a script
//! finds beside the language. Its words, times, forms and signatures are the SDK's (`prelude`), and
//! so mean the same in every plugin. The host has the engine started and the script run once (the
//! export `prepare`), and each call of its function begins with that state. A script that asks for the
//! time or a random number as it starts is run in each call.
//!
//! The sender is proved before the script sees anything, by `settings.sender` and
//! `settings.secret`, as in the plugin `webhook`.
//!
//! The host carries scripts of its own as well, each a plugin with settings of its own: it runs this
//! engine configured with the files of such a plugin ([`Carried`]).

mod carried;
#[cfg(target_family = "wasm")]
mod engine;
#[cfg(any(test, target_family = "wasm"))]
mod place;
#[cfg(target_family = "wasm")]
mod plugin;
#[cfg(any(test, target_family = "wasm"))]
mod prelude;
mod settings;

pub use carried::Carried;
pub use settings::{Settings, describe};

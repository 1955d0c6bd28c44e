//! A plugin whose code stands in the source's settings: `settings.script` is JavaScript with a
//! function `read(request, options)`.
//!
//! `engine` is QuickJS, compiled from C and linked into this plugin. `prelude.js` is what a script
//! finds beside the language. Its words, times, forms and signatures are the SDK's (`prelude`), and
//! so mean the same in every plugin. Each call starts the engine anew, runs the script, and calls its
//! function.
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

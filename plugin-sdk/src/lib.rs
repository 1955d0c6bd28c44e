#![doc = include_str!("../README.md")]

pub mod attempt;
pub mod body;
pub mod challenge;
pub mod cloud_events;
pub mod contract;
pub mod form;
pub mod json;
pub mod log;
pub mod secrets;
pub mod signature;
pub mod text;
pub mod time;
pub mod url;
pub mod wire;

mod answer;
mod describe;
mod request;
mod words;

#[cfg(target_family = "wasm")]
mod allocator;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod export;
#[cfg(any(test, target_family = "wasm"))]
#[path = "allocator/small.rs"]
mod small;

#[cfg(not(target_family = "wasm"))]
pub mod case;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

use serde::de::DeserializeOwned;

use contract::{Answer, Checked, Description, Request};

/// One kind of webhook, read.
pub trait Plugin {
    /// The source's `settings`, as the plugin wants them. The host has checked them against
    /// [`Description::settings`], so a type never fails to decode if it accepts everything that the
    /// schema does.
    type Settings: DeserializeOwned;

    /// Returns the plugin's description of itself. The host asks once, when it loads the plugin.
    fn describe() -> Description;

    /// Finds mistakes in a source's settings beyond the schema, such as a template that does not
    /// parse. The host asks once for each source, and shows every mistake at the operator's line.
    fn check(_settings: &Self::Settings) -> Checked {
        Checked::default()
    }

    /// Returns the plugin's answer to a request.
    fn read(request: &Request, settings: Self::Settings) -> Answer;
}

/// Reads a JSON Schema from a file beside the source, as `include_str!` does. Where the file holds
/// no JSON object, the plugin does not compile.
#[macro_export]
macro_rules! include_schema {
    ($path:literal) => {{
        const TEXT: &str = ::core::include_str!($path);
        const {
            ::core::assert!(
                $crate::json::is_object(TEXT),
                "the schema is no JSON object"
            )
        };
        $crate::contract::Schema::from(TEXT)
    }};
}

/// Makes the description of a plugin of its `Cargo.toml`, and of the file that its settings' schema
/// is in: `Description { authenticates: true, ..describe!("settings.schema.json") }`.
///
/// Name, version, summary, licence and homepage are those of the package (`description`, `license`,
/// and `homepage` or else `repository`).
#[macro_export]
macro_rules! describe {
    ($schema:literal) => {
        $crate::contract::Description {
            license: ::core::env!("CARGO_PKG_LICENSE").to_owned(),
            homepage: match ::core::env!("CARGO_PKG_HOMEPAGE") {
                "" => ::core::env!("CARGO_PKG_REPOSITORY"),
                homepage => homepage,
            }
            .to_owned(),
            ..$crate::contract::Description::new(
                ::core::env!("CARGO_PKG_NAME"),
                ::core::env!("CARGO_PKG_VERSION"),
                ::core::env!("CARGO_PKG_DESCRIPTION"),
                $crate::include_schema!($schema),
            )
        }
    };
}

/// Makes a [`Plugin`] the one that this crate exports: `export!(MyPlugin);`, once, anywhere in the
/// crate.
///
/// On wasm it writes the exports `describe`, `check` and `read` that the host calls. Elsewhere it
/// only checks that the type is a plugin: `cargo test` runs natively.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        #[cfg(not(target_family = "wasm"))]
        const _: fn() -> $crate::contract::Description = <$plugin as $crate::Plugin>::describe;

        #[cfg(target_family = "wasm")]
        const _: () = {
            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            extern "C" fn describe() -> i32 {
                $crate::export::describe::<$plugin>()
            }

            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            extern "C" fn check() -> i32 {
                $crate::export::check::<$plugin>()
            }

            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            extern "C" fn read() -> i32 {
                $crate::export::read::<$plugin>()
            }
        };
    };
}

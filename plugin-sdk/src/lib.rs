//! Write a plugin for the alert gateway.
//!
//! A plugin turns one kind of webhook into alerts. It is a function from a [`Request`] to an [`Answer`]: no clock, no
//! files, no network, no randomness, and nothing survives a call, because the host starts a fresh instance of it, as
//! wasm in a sandbox, for every request. The host does the rest: it keeps alerts on disk before the sender is answered,
//! drops repeats, delivers in order and tries again.
//!
//! # From nothing to a plugin
//!
//! A plugin is a crate of its own. Its `Cargo.toml` (`rlib` beside `cdylib`, so that tests can use it natively):
//!
//! ```toml
//! [package]
//! name = "door-bell"
//! version = "0.1.0"
//! edition = "2024"
//!
//! [lib]
//! crate-type = ["cdylib", "rlib"]
//!
//! [dependencies]
//! alert-gateway-plugin-sdk = { git = "…" }
//! serde = { version = "1", features = ["derive"] }
//! serde_json = { version = "1", features = ["raw_value"] }
//! ```
//!
//! The `main` of a `build.rs` beside it asks the linker for a small stack. The host clears a plugin's whole memory
//! after every call, and the linker's default is a stack of 1 MiB:
//!
//! ```no_run
//! if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
//!     println!("cargo::rustc-link-arg-cdylib=-zstack-size=65536");
//! }
//! ```
//!
//! And `src/lib.rs`:
//!
//! ```
//! use plugin_sdk::contract::{Alert, Answer, Description, Priority, Request};
//! use plugin_sdk::signature::{Scheme, sha256};
//! use plugin_sdk::{Plugin, export, json};
//!
//! struct DoorBell;
//!
//! export!(DoorBell);
//!
//! /// The source's `settings` table, already checked against the schema below.
//! #[derive(serde::Deserialize)]
//! struct Settings {
//!     token: String,
//! }
//!
//! /// What the sender sends, as far as the plugin needs it.
//! #[derive(serde::Deserialize)]
//! struct Ring {
//!     id: String,
//!     door: String,
//! }
//!
//! impl Plugin for DoorBell {
//!     type Settings = Settings;
//!
//!     fn describe() -> Description {
//!         let settings = r#"{
//!             "type": "object",
//!             "properties": { "token": { "type": "string", "minLength": 16, "description": "As set on the bell." } },
//!             "required": ["token"],
//!             "additionalProperties": false
//!         }"#;
//!         Description {
//!             secrets: vec!["token".into()],
//!             authenticates: true,
//!             setup: "Enter {url} at *Settings → Webhook* of the bell.".into(),
//!             ..Description::new("door-bell", "0.1.0", "Rings of a door bell.", settings)
//!         }
//!     }
//!
//!     fn read(request: &Request, settings: Settings) -> Answer {
//!         if let Err(rejection) = Scheme::Bearer.admit(request, [&*settings.token]) {
//!             return Answer::Rejected(rejection);
//!         }
//!         let body = request.body.text();
//!         let mut alert = match serde_json::from_str::<Ring>(&body) {
//!             Ok(ring) => Alert::new(ring.id, Priority::Low, format!("Someone is at the {}", ring.door)),
//!             // Genuine, and yet no ring: nobody knows what it says, so somebody should look.
//!             Err(_) => Alert::new(sha256(body.as_bytes()).hex(), Priority::Medium, "The bell says something new"),
//!         };
//!         alert.details = json::details("body_text", &body);
//!         Answer::alert(alert)
//!     }
//! }
//!
//! // By hand; a case does the same from files.
//! use plugin_sdk::testing;
//! let request = testing::post("https://alerts.example.com/in/bell")
//!     .settings(r#"{"token": "0123456789abcdef"}"#)
//!     .json(r#"{"id": "r-1", "door": "back door"}"#)
//!     .signed(&Scheme::Bearer, "0123456789abcdef")
//!     .build();
//! let Answer::Alerts(alerts) = testing::read::<DoorBell>(&request) else { panic!() };
//! assert_eq!(alerts[0].title, "Someone is at the back door");
//! ```
//!
//! # Cases
//!
//! Put real requests beside the code: `cases/ring.http` is an HTTP message with the whole URL in its first line,
//! `cases/ring.json` the answer it should get, `cases/settings.json` the settings. `tests/cases.rs` is one line, and
//! prints the answer where there is no `.json` yet (see [`case`](mod@case) and [`testing`]):
//!
//! ```no_run
//! # use plugin_sdk::contract::{Answer, Description, Request};
//! # struct DoorBell;
//! # impl plugin_sdk::Plugin for DoorBell {
//! #     type Settings = ();
//! #     fn describe() -> Description { unimplemented!() }
//! #     fn read(_: &Request, _: ()) -> Answer { unimplemented!() }
//! # }
//! #[test]
//! fn every_case_is_answered_as_written() {
//!     plugin_sdk::testing::run_cases::<DoorBell>("cases");
//! }
//! ```
//!
//! # Build it, try it, run it
//!
//! ```text
//! cargo rustc --release --target wasm32-unknown-unknown --crate-type cdylib
//! cp target/wasm32-unknown-unknown/release/door_bell.wasm .
//! alert-gateway try --plugin door_bell.wasm --settings cases/settings.json cases/ring.http
//! ```
//!
//! (`rustc --crate-type`, because a crate that is an `rlib` as well gets no link-time optimisation.) In the gateway's
//! configuration: `plugin = { path = "door_bell.wasm", sha256 = "…" }`.
//!
//! # What a good plugin does
//!
//! - **Prove the sender first** ([`signature`]), and only then look at what was sent. A plugin that cannot prove its
//!   sender says `authenticates: false`, and the host demands a token for the source.
//! - **Never refuse an authenticated event for its shape.** What does not decode is carried as text in `details`; what
//!   has no id of its own gets one from the hash of its body ([`signature::sha256`]).
//! - **Write the title for someone woken at night**: what broke and where, in one line ([`text::line`]).
//! - **Put no secret** in a reason or in a help text.
//!
//! A panic costs that one request its answer, and nothing else: the host keeps the request, tells the operator where
//! the plugin panicked, and replays it when the plugin is mended. A stack of 64 KiB ends deep recursion the same way.

pub mod cloud_events;
pub mod contract;
pub mod form;
pub mod json;
pub mod signature;
pub mod text;
pub mod time;
pub mod url;
pub mod wire;

mod answer;
mod describe;
mod priority;
mod request;

#[cfg(target_family = "wasm")]
mod allocator;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod export;

#[cfg(not(target_family = "wasm"))]
pub mod case;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

use serde::de::DeserializeOwned;

use contract::{Answer, Checked, Description, Request};

/// One kind of webhook, read.
pub trait Plugin {
    /// The source's `settings`, as the plugin wants them. The host has checked them against
    /// [`Description::settings`], so a type that accepts all that the schema accepts never fails to decode.
    type Settings: DeserializeOwned;

    /// What the plugin says of itself. The host asks once, when it loads the plugin.
    fn describe() -> Description;

    /// What is wrong with a source's settings that the schema cannot say, such as a template that does not parse. The
    /// host asks once for each source, and shows every mistake at the operator's line.
    fn check(_settings: &Self::Settings) -> Checked {
        Checked::default()
    }

    /// What the plugin makes of a request.
    fn read(request: &Request, settings: Self::Settings) -> Answer;
}

/// Makes a [`Plugin`] the one that this crate exports: `export!(MyPlugin);`, once, anywhere in the crate.
///
/// On wasm it writes the exports `describe`, `check` and `read` that the host calls. Elsewhere it only checks that the type is a
/// plugin, so that `cargo test` runs natively.
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

//! A plugin's cases as the start of every request, and its `read` natively, as the SDK's wrapper
//! calls it.
//!
//! A fuzzer's input is one byte that chooses a case's settings, then the request: a head as in a
//! `.http` file, a blank line, and the body.

use std::path::{Path, PathBuf};
use std::{fs, io};

use plugin_sdk::case::{self, Case, RECEIVED_AT};
use plugin_sdk::contract::{Body, Request};
use plugin_sdk::signature::Scheme;
use plugin_sdk::{Plugin, testing};
use serde_json::Value;

/// The cases of one plugin.
pub struct Cases {
    plugin: &'static str,
    cases: Vec<Case>,
}

impl Cases {
    /// Loads the cases of the plugin in the folder `plugins/<name>`.
    ///
    /// # Panics
    /// Where there is none.
    pub fn of(plugin: &'static str) -> Self {
        let folder = project().join("plugins").join(plugin).join("cases");
        Self {
            plugin,
            cases: case::load(&folder).unwrap_or_else(|error| panic!("{error}")),
        }
    }

    /// Has the plugin read a request as it came, and again with a valid signature.
    ///
    /// # Panics
    /// Where the plugin does, or answers what the host cannot use.
    pub fn try_out<P: Plugin>(&self, input: &[u8]) {
        let Some(mut request) = self.request(input) else {
            return;
        };
        let flaw = |request: &Request| testing::read::<P>(request).flaw();
        assert_eq!(flaw(&request), None);
        if let Some((scheme, secret)) = proof(&request) {
            scheme.sign(&mut request, &secret);
            assert_eq!(flaw(&request), None);
        }
    }

    /// Puts an input for each case into the plugin's corpus.
    ///
    /// # Errors
    /// What the disk says.
    pub fn seed(&self) -> io::Result<()> {
        let folder = corpus(self.plugin)?;
        for (index, case) in (0..).zip(&self.cases) {
            let message = case::write_request(&case.request);
            let (head, _) = split(&message);
            let lines = head.split_inclusive(|byte| *byte == b'\n');
            let kept = lines
                .filter(|line| !line.starts_with(b"content-length"))
                .flatten();
            let body = case.request.body.bytes();
            let seed: Vec<u8> = [index]
                .iter()
                .chain(kept)
                .chain(b"\n")
                .chain(&*body)
                .copied()
                .collect();
            fs::write(folder.join(&case.name), seed)?;
        }
        Ok(())
    }

    fn request(&self, input: &[u8]) -> Option<Request> {
        let (index, message) = input.split_first()?;
        let settings = &self.cases[usize::from(*index) % self.cases.len()]
            .request
            .settings;
        let (head, body) = split(message);
        let head = [head, b"\n"].concat();
        let mut request = case::parse_request(&head, settings.clone(), None, RECEIVED_AT).ok()?;
        request.body = Body::from_bytes(body.to_vec());
        Some(request)
    }
}

/// The lines of a head, and what follows the blank one.
fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let end = message
        .windows(2)
        .position(|two| two == b"\n\n")
        .map_or(message.len(), |at| at + 1);
    (&message[..end], message.get(end + 1..).unwrap_or_default())
}

/// Returns the scheme of a request's proof, with its secret from the settings.
fn proof(request: &Request) -> Option<(Scheme, String)> {
    let settings: Value = serde_json::from_str(request.settings.get()).ok()?;
    let (name, scheme) = [
        ("auth_token", Some(Scheme::Twilio)),
        ("bearer_token", Some(Scheme::Bearer)),
        ("secret", Scheme::of(request)),
    ]
    .into_iter()
    .find(|(name, _)| settings.get(name).is_some())?;
    let secret = match &settings[name] {
        Value::Array(list) => list.first()?.as_str()?,
        one => one.as_str()?,
    };
    Some((scheme?, secret.to_owned()))
}

/// The project's own folder.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the corpus of a target, with the target's seeds in it.
///
/// # Errors
/// What the disk says.
pub fn corpus(target: &str) -> io::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.join("corpus").join(target);
    let seeds = here.join("seeds").join(target);
    fs::create_dir_all(&folder)?;
    if seeds.is_dir() {
        for seed in fs::read_dir(seeds)? {
            let seed = seed?;
            fs::copy(seed.path(), folder.join(seed.file_name()))?;
        }
    }
    Ok(folder)
}

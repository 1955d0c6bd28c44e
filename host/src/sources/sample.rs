//! A genuine request of a source: its plugin's sample, at the source's own URL, with the present
//! time, and proved by the configured secrets.

use std::path::PathBuf;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use plugin_sdk::case::{self, MessageError};
use plugin_sdk::contract::Request;
use plugin_sdk::signature::Unsigned;

use super::Source;
use crate::config::PluginRef;

/// A request as the source's sender could have made it.
#[derive(Debug)]
pub struct Sample {
    /// The request.
    pub request: Request,
    /// The settings and keys by which it is proved.
    pub proved_by: Vec<String>,
    /// The reason why a proof is missing.
    pub unsigned: Option<Unsigned>,
}

/// The reason why there is no request to try a source with.
#[derive(Debug, thiserror::Error)]
pub enum NoSample {
    /// The plugin brings none.
    #[error("the plugin {0} brings no sample")]
    None(String),
    /// The plugin's file is one of the operator's, and no sample stands beside it.
    #[error("{} cannot be read: {error}", .path.display())]
    Unreadable {
        /// The place of the sample.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// The text is no HTTP request.
    #[error(transparent)]
    Message(#[from] MessageError),
}

impl Source {
    /// Returns a request of this source at `received_at`: `message`, or the plugin's sample.
    ///
    /// # Errors
    /// There is none.
    pub fn sample(&self, message: Option<&str>, received_at: &str) -> Result<Sample, NoSample> {
        let message = match message {
            Some(message) => message.as_bytes().to_vec(),
            None => self.own_sample()?,
        };
        let settings = case::no_settings();
        let mut request = case::parse_request(&message, settings, Some(&*self.name), received_at)?;
        request.url = self.own_url(&request.url);
        request.headers.retain(|(name, _)| {
            // The client addresses and frames the message by itself.
            ![
                "host",
                "content-length",
                "connection",
                "transfer-encoding",
                "authorization",
            ]
            .contains(&&**name)
        });
        case::refresh_times(&mut request);
        let mut proved_by = Vec::new();
        let mut unsigned = None;
        let mut sign = |request: &mut Request| match self.verifier.sign(request) {
            Ok(places) => proved_by = places.iter().map(|at| at[1..].replace('/', ".")).collect(),
            Err(error) => unsigned = Some(error),
        };
        sign(&mut request);
        let token = self.configured.tokens.first();
        if let Some(token) = token {
            if request.header("authorization").is_none() {
                request.set_header("authorization", &format!("Bearer {}", token.expose()));
            } else {
                let token = utf8_percent_encode(token.expose(), NON_ALPHANUMERIC);
                let and = if request.url.contains('?') { '&' } else { '?' };
                request.url = format!("{}{and}token={token}", request.url);
                sign(&mut request);
            }
            proved_by.push("token".to_owned());
        }
        Ok(Sample {
            request,
            proved_by,
            unsigned,
        })
    }

    fn own_sample(&self) -> Result<Vec<u8>, NoSample> {
        match &self.configured.plugin {
            PluginRef::Bundled(name) => alert_gateway_plugins::find(name)
                .and_then(|plugin| plugin.sample)
                .map(|sample| sample.request.to_vec())
                .ok_or_else(|| NoSample::None(name.clone())),
            PluginRef::Fetched(fetched) => Err(NoSample::None(fetched.from.to_string())),
            PluginRef::File { path, .. } => {
                let path = path.with_file_name("cases").join("sample.http");
                std::fs::read(&path).map_err(|error| NoSample::Unreadable { path, error })
            }
        }
    }

    /// Returns the source's URL, with the path and query behind the name in a sample's URL.
    fn own_url(&self, url: &str) -> String {
        let rest = url.split_once("/in/").map_or("", |(_, rest)| {
            rest.find(['/', '?']).map_or("", |end| &rest[end..])
        });
        format!("{}{rest}", self.url)
    }
}

//! A measured call: shows the author of a plugin its use of resources and its exact output. It
//! takes the path of [`Plugin::read`], which for its part counts nothing.

use super::Plugin;
use crate::answer;
use crate::call::Call;
use crate::error::CallError;
use crate::limits::CallLimits;
use plugin_sdk::contract::Answer;
use std::time::Duration;

/// A call, and all that is known of it.
#[derive(Debug)]
pub struct Measured {
    /// The result that [`Plugin::read`] would have returned.
    pub answer: Result<Answer, CallError>,
    /// The plugin's output, byte for byte; empty if there was none.
    pub output: Vec<u8>,
    /// The resources it used, also if it failed.
    pub used: Used,
}

/// The use that one call made of its [`CallLimits`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// The time the plugin ran, from an instance being made until it answered or was stopped.
    pub time: Duration,
    /// The most memory of its own that it had, in bytes.
    pub memory: usize,
    /// Bytes that it put out.
    pub output: usize,
}

impl Plugin {
    /// Reads a request as [`Plugin::read`] does, and returns the resources used.
    pub async fn measure(&self, source: &str, request: &[u8], limits: &CallLimits) -> Measured {
        let loaded = &*self.loaded;
        let sandbox = &loaded.sandbox;
        let code = &loaded.code;
        let places = async {
            Ok((
                sandbox.place(&loaded.places).await?,
                sandbox.place(&sandbox.0.places).await?,
            ))
        };
        let _places = match places.await {
            Ok(places) => places,
            Err(error) => {
                return Measured {
                    answer: Err(error),
                    output: Vec::new(),
                    used: Used::default(),
                };
            }
        };
        let log = sandbox.log(&loaded.name, source);
        let call = Call::new(&sandbox.0.clock, log, &code.identity, request, limits);
        let (result, used) = call
            .measure(&code.instance, code.read(self.prepared.snapshot()))
            .await;
        match result {
            Ok(output) => Measured {
                answer: answer::answer(&output).map_err(CallError::from),
                output,
                used,
            },
            Err(error) => Measured {
                answer: Err(error),
                output: Vec::new(),
                used,
            },
        }
    }
}

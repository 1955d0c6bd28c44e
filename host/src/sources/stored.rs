//! Reading stored requests once more: for a replay, and to compare plugins.

use std::borrow::Cow;

use plugin_sdk::contract::{Answer, Rejection};
use plugin_sdk::signature::View;
use serde_json::value::RawValue;

use super::{Proven, ReadError, Source};
use crate::store::{RequestRecord, Sender};

impl Source {
    /// Returns the plugin's answer to a stored request.
    ///
    /// # Errors
    /// As [`Source::read_proved`].
    pub async fn read_stored(&self, request: &RequestRecord) -> Result<Answer, ReadError> {
        let read = self.read_proved(request).await;
        read.map(|(answer, _)| answer)
    }

    /// Returns the plugin's answer to a stored request, with the proof of its sender, which is checked
    /// once more, at the time of receipt, unless the request was masked before it was stored.
    ///
    /// # Errors
    /// Where the plugin fails, or is busy for too long.
    pub async fn read_proved(
        &self,
        request: &RequestRecord,
    ) -> Result<(Answer, Option<Proven>), ReadError> {
        let Ok(headers) = serde_json::from_str::<Box<RawValue>>(&request.headers) else {
            return Err(ReadError::Headers);
        };
        let is_redacted = request.redacted.is_some();
        let proof = if is_redacted {
            // It was checked when the request came in, and its outcome was stored.
            let proved = request.sender.as_ref().and_then(Sender::proved);
            proved.map(Proven::checked_before)
        } else {
            match self.verify_stored(request) {
                Ok(proof) => proof,
                Err(rejection) => return Ok((Answer::Rejected(rejection), None)),
            }
        };
        let RequestRecord {
            received_at,
            method,
            url,
            body,
            ..
        } = request;
        let answer = self
            .read(
                received_at,
                method,
                url,
                &headers,
                body,
                proof.as_ref().map(|proven| &proven.proved),
            )
            .await?;
        match answer {
            // The plugin looks for a proof over the text that is masked. The sender was believed.
            Answer::Rejected(rejection) if is_redacted => {
                Err(ReadError::Redacted(rejection.reason))
            }
            answer => Ok((answer, proof)),
        }
    }

    /// Checks the proof of the sender over the request as it came: with the source's token in it,
    /// of which the store has the hash.
    fn verify_stored(&self, request: &RequestRecord) -> Result<Option<Proven>, Rejection> {
        if !self.demands_proof() {
            return Ok(None);
        }
        // The key is not fetched once more. Nothing that was not proved has come this far.
        if let Some(proof) = self.unchecked_proof() {
            return Ok(Some(Proven::checked_before(proof)));
        }
        let headers: Vec<(String, String)> =
            serde_json::from_str(&self.mask.restore(&request.headers)).unwrap_or_default();
        let body = match std::str::from_utf8(&request.body) {
            Ok(text) => Cow::Owned(self.mask.restore(text).into_bytes()),
            Err(_) => Cow::Borrowed(&request.body[..]),
        };
        self.verify(&View {
            received_at: &request.received_at,
            method: &request.method,
            url: &self.mask.restore(&request.url),
            headers: headers
                .iter()
                .map(|(name, value)| (&**name, Cow::Borrowed(&**value)))
                .collect(),
            body,
        })
    }
}

//! Follows a listener's certificate files.
//!
//! The files are polled every few seconds and compared by content. A certificate is renewed by
//! overwriting it, by a rename, or by moving a symbolic link of the file or its folder; watching
//! names misses one of these. The next handshake uses the new files, with a new session cache, so
//! that no client of a removed authority resumes a session. Unusable files are ignored: the old
//! ones stay.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Tls, TlsError, acceptor};
use crate::config::{Pem, TlsFiles, Validity};

/// The polling interval. The files are few and small.
const LOOK: Duration = Duration::from_secs(2);

/// Keeps a [`Tls`] in step with its files.
pub struct Following {
    tls: Tls,
    files: TlsFiles,
    in_use: Pem,
    validity: Validity,
    /// The logged reason why the certificate in use is not valid at present.
    objection: Option<String>,
    /// The reason why the latest files cannot be used, and whether it was logged.
    doubt: Option<(String, bool)>,
}

impl Following {
    /// Follows `files`, whose content `in_use` is the source of `tls`.
    pub(super) fn new(tls: Tls, files: TlsFiles, in_use: Pem, validity: Validity) -> Self {
        // What there is to object at the start was said of the configuration.
        let objection = validity.objection();
        Self {
            tls,
            files,
            in_use,
            validity,
            objection,
            doubt: None,
        }
    }

    /// Polls the files until `stop` is cancelled.
    pub async fn run(mut self, stop: CancellationToken) {
        let listener = self.tls.counted.listener;
        while tokio::time::timeout(LOOK, stop.cancelled()).await.is_err() {
            // The files may be on a disk that does not answer.
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            let looked = tokio::select! {
                looked = looked => looked,
                () = stop.cancelled() => return,
            };
            match looked {
                Ok(following) => self = following,
                Err(error) => {
                    tracing::error!(listener, %error, "the certificate is not looked at any more; restart the gateway");
                    return;
                }
            }
        }
    }

    /// Polls once. Unusable files are reported at the second time only, because a certificate and
    /// its key are not replaced at the same moment.
    pub(super) fn look(&mut self) {
        let found = self.files.read().map_err(TlsError::from);
        if found.as_ref().is_ok_and(|pem| *pem == self.in_use) {
            self.doubt = None;
        } else {
            self.take_up(found);
        }
        let objection = self.validity.objection();
        if let Some(why) = objection.as_ref().filter(|_| self.objection.is_none()) {
            let listener = self.tls.counted.listener;
            let cert = self.files.cert.display();
            tracing::error!(
                listener,
                "{cert} {why}: clients refuse it; put a renewed one in its place"
            );
        }
        self.objection = objection;
    }

    fn take_up(&mut self, found: Result<Pem, TlsError>) {
        let counted = &self.tls.counted;
        match found.and_then(|pem| Ok((acceptor(&self.files, &pem)?, pem))) {
            Ok(((acceptor, validity), pem)) => {
                self.tls.acceptor.send_replace(acceptor);
                (self.in_use, self.validity, self.objection, self.doubt) =
                    (pem, validity, None, None);
                counted.reloaded("replaced");
                counted.valid(validity);
                tracing::info!(
                    listener = counted.listener,
                    expires = validity.end(),
                    "the certificate was replaced"
                );
            }
            Err(error) => {
                let why = error.to_string();
                let told = match self.doubt.take() {
                    Some((before, told)) if before == why => {
                        if !told {
                            counted.reloaded("refused");
                            let listener = counted.listener;
                            tracing::error!(
                                listener,
                                why,
                                "the new certificate cannot be used; the old one stays"
                            );
                        }
                        true
                    }
                    _ => false,
                };
                self.doubt = Some((why, told));
            }
        }
    }
}

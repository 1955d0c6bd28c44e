//! Keeping a listener in step with its files.
//!
//! They are looked at every few seconds and compared by what they hold: a certificate is renewed by writing over it, by a
//! rename, or by pointing a symbolic link, or that of a folder, elsewhere, and whatever watches names misses one of these.
//! New ones are taken up by the next handshake, with a new memory of sessions, so that a client whose authority was removed
//! cannot resume one. Where new ones cannot be used, the old ones stay.

use std::time::Duration;

use tokio::sync::watch;

use super::{Tls, TlsError, acceptor};
use crate::config::{Pem, TlsFiles, Validity};

/// How often the files are looked at. They are few and small.
const LOOK: Duration = Duration::from_secs(2);

/// What keeps a [`Tls`] in step with its files.
pub struct Following {
    tls: Tls,
    files: TlsFiles,
    in_use: Pem,
    validity: Validity,
    /// Why the certificate in use is not valid at present, as far as the operator was told.
    objection: Option<String>,
    /// Why what was found last cannot be used, and whether the operator was told.
    doubt: Option<(String, bool)>,
}

impl Following {
    /// `tls` was made of `in_use`, which is what the files hold.
    pub(super) fn new(tls: Tls, files: TlsFiles, in_use: Pem, validity: Validity) -> Self {
        // What there is to object at the start was said of the configuration.
        let objection = validity.objection();
        Self { tls, files, in_use, validity, objection, doubt: None }
    }

    /// Looks at the files every few seconds, until `stop` says so.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let listener = self.tls.counted.listener;
        while tokio::time::timeout(LOOK, stop.wait_for(|stop| *stop)).await.is_err() {
            // The files may be on a disk that does not answer.
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            let looked = tokio::select! {
                looked = looked => looked,
                _ = stop.wait_for(|stop| *stop) => return,
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

    /// Looks once. What cannot be used is only called so when it is found a second time, because a certificate and its
    /// key are not replaced in the same moment.
    pub(super) fn look(&mut self) {
        let found = self.files.read().map_err(TlsError::from);
        if found.as_ref().is_ok_and(|pem| *pem == self.in_use) {
            self.doubt = None;
        } else {
            self.take_up(found);
        }
        let objection = self.validity.objection();
        if let Some(why) = objection.as_ref().filter(|_| self.objection.is_none()) {
            let (listener, cert) = (self.tls.counted.listener, self.files.cert.display());
            tracing::error!(listener, "{cert} {why}: clients refuse it; put a renewed one in its place");
        }
        self.objection = objection;
    }

    fn take_up(&mut self, found: Result<Pem, TlsError>) {
        let counted = &self.tls.counted;
        match found.and_then(|pem| Ok((acceptor(&self.files, &pem)?, pem))) {
            Ok(((acceptor, validity), pem)) => {
                self.tls.acceptor.send_replace(acceptor);
                (self.in_use, self.validity, self.objection, self.doubt) = (pem, validity, None, None);
                counted.reloaded("replaced");
                counted.valid(validity);
                tracing::info!(listener = counted.listener, expires = validity.end(), "the certificate was replaced");
            }
            Err(error) => {
                let why = error.to_string();
                let told = match self.doubt.take() {
                    Some((before, told)) if before == why => {
                        if !told {
                            counted.reloaded("refused");
                            let listener = counted.listener;
                            tracing::error!(listener, why, "the new certificate cannot be used; the old one stays");
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

//! Mail, by SMTP: over TLS, or by STARTTLS.
//!
//! Each alert is a message of its own, over a connection of its own. Mails about one fingerprint
//! stand in one thread. SMTP has no fingerprint: after a crash between the server's answer and the
//! commit, a mail may come twice, with the same `Message-ID`, which most mailboxes then show once.
//!
//! | answer | outcome |
//! |---|---|
//! | 250 to the message | accepted; the server's words are the receipt |
//! | 421 and any other 4xx, no connection, TLS errors, no or a broken answer | retry |
//! | 5xx to the greeting, EHLO, STARTTLS, AUTH (535) or MAIL FROM (the sender); no STARTTLS, or no AUTH by PLAIN or LOGIN | blocked |
//! | 530, 534, 535, 538 (log in first) at any step | blocked |
//! | any other 5xx to RCPT TO (550) for every recipient, to DATA, or to the message (552, 554) | rejected |
//!
//! A message that some recipients are refused for goes to the others; the receipt names the count.

mod message;
mod session;

use std::fmt;
use std::time::Duration;

use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use tokio::time::{Instant, timeout, timeout_at};

use self::session::{Session, Trouble};
use super::http::{ClientTls, is_private_literal};
use super::kind::{EXCERPT_MAX_CHARS, Kind, NotUsable, Probe, Probing, Sending, Sent, Shown};
use crate::alert::{Alert, Outcome, Receipt};
use crate::config::{self, Network};
use crate::mask::Mask;

/// The time that the goodbye may take, after the outcome is known.
const GOODBYE: Duration = Duration::from_secs(1);
/// The most characters of the server's words in a receipt.
const RECEIPT_MAX_CHARS: usize = 128;

/// A mail server.
pub(crate) struct Smtp {
    config: config::Smtp,
    public_only: bool,
    tls: Option<ClientTls>,
    mask: Mask,
    timeout: Duration,
}

impl Smtp {
    pub(crate) fn new(
        config: &config::Smtp,
        network: &Network,
        timeout: Duration,
    ) -> Result<Self, NotUsable> {
        if network.proxy.is_some() {
            return Err(NotUsable::SmtpProxy);
        }
        if network.public_only && is_private_literal(&config.host) {
            return Err(NotUsable::Private);
        }
        let tls = match config.tls {
            config::SmtpTls::Off => None,
            _ => Some(ClientTls::new(&config.host, network)?),
        };
        let password = config.login.iter().map(|(_, password)| password.expose());
        Ok(Self {
            config: config.clone(),
            public_only: network.public_only,
            tls,
            mask: Mask::new(password),
            timeout,
        })
    }

    async fn send_once(&self, alert: &Alert) -> Sent {
        let started = Instant::now();
        let result = match timeout_at(started + self.timeout, self.talk(alert)).await {
            Ok(result) => result,
            Err(_) => Err(Trouble::retry(format!(
                "no answer from {} within {:?}",
                self.place(),
                self.timeout
            ))),
        };
        let duration = started.elapsed();
        match result {
            Ok((session, receipt)) => {
                // The outcome stands, whatever becomes of this.
                let _ = timeout(GOODBYE, session.quit()).await;
                Sent {
                    outcome: Outcome::Accepted(receipt),
                    status: Some(250),
                    duration,
                    answer_excerpt: String::new(),
                    lacks_receipt: false,
                }
            }
            Err(trouble) => {
                let hide = |text: &str| self.mask.excerpt(text.as_bytes(), EXCERPT_MAX_CHARS);
                let outcome = match trouble.outcome {
                    Outcome::Retry { why, retry_after } => Outcome::Retry {
                        why: hide(&why),
                        retry_after,
                    },
                    Outcome::Blocked { why } => Outcome::Blocked { why: hide(&why) },
                    Outcome::Rejected { why } => Outcome::Rejected { why: hide(&why) },
                    accepted @ Outcome::Accepted(_) => accepted,
                };
                Sent {
                    outcome,
                    status: trouble.status,
                    duration,
                    answer_excerpt: hide(&trouble.said),
                    lacks_receipt: false,
                }
            }
        }
    }

    /// Sends one message, and returns the session and the receipt.
    async fn talk(&self, alert: &Alert) -> Result<(Session, Receipt), Trouble> {
        let mail = message::render(alert, &self.config.from, &self.config.to);
        let mut session = Session::open(&self.config, self.public_only, self.tls.as_ref()).await?;
        session.log_in(self.config.login.as_ref()).await?;
        let sender = self.config.from.email.clone();
        let from = session
            .command("MAIL FROM", Mail::new(Some(sender), vec![]))
            .await;
        from.map_err(|trouble| trouble.blocks("the server refuses the sender; check from"))?;
        let mut refused = Vec::new();
        for to in &self.config.to {
            let recipient = Rcpt::new(to.email.clone(), vec![]);
            match session.command("RCPT TO", recipient).await {
                Ok(_) => {}
                Err(trouble) if trouble.status.is_some_and(|status| status != 421) => {
                    refused.push(trouble);
                }
                Err(trouble) => return Err(trouble),
            }
        }
        let count = refused.len();
        if count == self.config.to.len() {
            // One that asks for patience may take it later.
            let patient = refused.iter().position(Trouble::is_retry).unwrap_or(0);
            return Err(refused.swap_remove(patient));
        }
        session.command("DATA", Data).await?;
        let said = session.message(&mail.bytes).await?;
        let mut said = self.mask.excerpt(said.as_bytes(), RECEIPT_MAX_CHARS);
        if count > 0 {
            said = format!(
                "{said} ({count} of {} recipients refused)",
                self.config.to.len()
            );
        }
        let receipt = Receipt {
            id: said,
            fingerprint: mail.thread,
            kind: String::new(),
        };
        Ok((session, receipt))
    }

    /// Connects and logs in, and sends nothing.
    async fn probe_once(&self) -> Probe {
        let started = Instant::now();
        let reach = async {
            let mut session =
                Session::open(&self.config, self.public_only, self.tls.as_ref()).await?;
            session.log_in(self.config.login.as_ref()).await?;
            Ok::<_, Trouble>(session)
        };
        let shown = match timeout_at(started + self.timeout, reach).await {
            Ok(Ok(session)) => {
                let _ = timeout(GOODBYE, session.quit()).await;
                Ok(if self.config.login.is_some() {
                    Shown::Credential
                } else {
                    Shown::Open
                })
            }
            Ok(Err(trouble)) => {
                let why = trouble.outcome.why().unwrap_or_default();
                Err(self.mask.excerpt(why.as_bytes(), EXCERPT_MAX_CHARS))
            }
            Err(_) => Err(format!(
                "no answer from {} within {:?}",
                self.place(),
                self.timeout
            )),
        };
        Probe {
            shown,
            date: None,
            duration: started.elapsed(),
        }
    }

    fn place(&self) -> String {
        format!("{}:{}", self.config.host, self.config.port)
    }
}

impl Kind for Smtp {
    fn preview(&self, alert: &Alert) -> String {
        let mail = message::render(alert, &self.config.from, &self.config.to);
        self.mask
            .hide(&String::from_utf8_lossy(&mail.bytes))
            .into_owned()
    }

    fn send<'a>(&'a self, alert: &'a Alert) -> Sending<'a> {
        Box::pin(self.send_once(alert))
    }

    fn probe(&self) -> Probing<'_> {
        Box::pin(self.probe_once())
    }
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp")
            .field("place", &self.place())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

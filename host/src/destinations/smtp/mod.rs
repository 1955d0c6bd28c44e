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
//! A message that some [`recipients`] are refused for goes to the others. With 5xx the receipt names
//! the refused ones. With 4xx the outcome is a retry, which leaves out those that have it.

mod message;
mod recipients;
mod session;

use std::fmt;
use std::time::Duration;

use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use tokio::time::{Instant, timeout, timeout_at};

use self::recipients::Recipients;
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
    recipients: Recipients,
}

/// The result of a session in which the server took the message for some recipients at least, now or
/// before.
struct Taken {
    session: Session,
    outcome: Outcome,
    status: u16,
    /// The recipients without the mail, each with the server's words.
    left_out: Option<String>,
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
            recipients: Recipients::default(),
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
            Ok(taken) => {
                // The outcome stands, whatever becomes of this.
                let _ = timeout(GOODBYE, taken.session.quit()).await;
                Sent {
                    outcome: taken.outcome,
                    status: Some(taken.status),
                    duration,
                    answer_excerpt: String::new(),
                    lacks_receipt: false,
                    left_out: taken.left_out,
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
                    left_out: None,
                }
            }
        }
    }

    /// Sends one message to those who do not have it yet.
    async fn talk(&self, alert: &Alert) -> Result<Taken, Trouble> {
        let mail = message::render(alert, &self.config.from, &self.config.to);
        let mut session = Session::open(&self.config, self.public_only, self.tls.as_ref()).await?;
        session.log_in(self.config.login.as_ref()).await?;
        let sender = self.config.from.email.clone();
        let from = session
            .command("MAIL FROM", Mail::new(Some(sender), vec![]))
            .await;
        from.map_err(|trouble| trouble.blocks("the server refuses the sender; check from"))?;
        let left = self.recipients.left(&mail.id, &self.config.to);
        let mut taken = Vec::new();
        let mut refused = Vec::new();
        for to in &left {
            let recipient = Rcpt::new(to.email.clone(), vec![]);
            match session.command("RCPT TO", recipient).await {
                Ok(_) => taken.push(to.email.clone()),
                Err(trouble) if trouble.status.is_some_and(|status| status != 421) => {
                    refused.push((&to.email, trouble));
                }
                Err(trouble) => return Err(trouble),
            }
        }
        // One that asks for patience may take it later.
        let patient = refused.iter().position(|(_, trouble)| trouble.is_retry());
        if refused.len() == self.config.to.len() {
            return Err(refused.swap_remove(patient.unwrap_or(0)).1);
        }
        let mut said = String::new();
        if !taken.is_empty() {
            session.command("DATA", Data).await?;
            said = session.message(&mail.bytes).await?;
            said = self.mask.excerpt(said.as_bytes(), RECEIPT_MAX_CHARS);
        }
        let left_out = refused.iter().map(|(to, trouble)| {
            let why = trouble.outcome.why().unwrap_or_default();
            format!("{to}: {why}")
        });
        let left_out = left_out.collect::<Vec<_>>().join("; ");
        let left_out = self.mask.excerpt(left_out.as_bytes(), EXCERPT_MAX_CHARS);
        let of = format!("{} of {}", refused.len(), self.config.to.len());
        if let Some(patient) = patient
            && self.recipients.taken(&mail.id, taken)
        {
            let why = format!("{of} recipients are tried again without the others: {left_out}");
            return Ok(Taken {
                session,
                outcome: Outcome::Retry {
                    why,
                    retry_after: None,
                },
                status: refused[patient].1.status.unwrap_or_default(),
                left_out: Some(left_out),
            });
        }
        self.recipients.forget(&mail.id);
        if !refused.is_empty() {
            said = format!("{said} ({of} recipients refused: {left_out})");
        }
        let receipt = Receipt {
            id: said.trim_start().to_owned(),
            fingerprint: mail.thread,
            kind: String::new(),
        };
        Ok(Taken {
            session,
            outcome: Outcome::Accepted(receipt),
            status: 250,
            left_out: (!refused.is_empty()).then_some(left_out),
        })
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

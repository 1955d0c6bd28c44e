//! `kind = "smtp"`: a mail server, the sender and the recipients.

use hyper::http::uri::Authority;
use lettre::message::Mailbox;
use percent_encoding::percent_decode_str;
use std::net::IpAddr;

use super::super::word::word;
use crate::config::raw::{Table, Value};
use crate::config::secret::Secret;

/// The attempts at once: each is a connection of its own, and mail servers count those.
pub(super) const CONCURRENCY: usize = 4;

/// The most recipients of a message.
const RECIPIENTS: usize = 100;

const URL_HELP: &str =
    "write it like \"smtps://user@mail.example.com\", or smtp:// for STARTTLS, without a path";
const ADDRESS_HELP: &str = "write an address of ASCII characters like \"alerts@example.com\" or \"Alerts <alerts@example.com>\"";

/// A mail server, the sender and the recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smtp {
    /// The host, without brackets.
    pub host: String,
    /// The port. Default 465 for `smtps` and 587 for `smtp`.
    pub port: u16,
    /// The use of TLS.
    pub tls: SmtpTls,
    /// The user and the password, where the server asks for them.
    pub login: Option<(String, Secret)>,
    /// The sender.
    pub from: Mailbox,
    /// The recipients, one at least.
    pub to: Vec<Mailbox>,
}

/// The use of TLS with a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// From the first byte: `smtps://`.
    Implicit,
    /// By STARTTLS, or nothing is sent: `smtp://`.
    StartTls,
    /// By STARTTLS where the server offers it: `smtp://` to this machine itself.
    Offered,
    /// Never: `tls = "off"`.
    Off,
}

/// Reads the keys of this kind.
pub(super) fn read(table: &mut Table<'_>) -> Option<Smtp> {
    let name = table.name.clone();
    let span = table.span.clone();
    let url = table.required("url", "url = \"smtps://user@mail.example.com\"", |value| {
        url(&value)
    });
    let tls = table.optional("tls", None, |value| {
        word(
            &value,
            &[
                ("starttls", Some(SmtpTls::StartTls)),
                ("off", Some(SmtpTls::Off)),
            ],
        )
    });
    let password = table.optional("password", None, |value| value.password().map(Some));
    let from = table.required("from", "from = \"alerts@example.com\"", |value| {
        mailbox(&value)
    });
    let to = table.required("to", "to = [\"on-call@example.com\"]", |value| {
        mailboxes(&value)
    });
    let url = url?;
    let tls = tls?;
    let password = password?;
    let problem = |found: String, help: &str| {
        table.reading.problem(span.clone(), found, help);
    };
    let is_local = url.is_local();
    let tls = match (url.is_tls, tls) {
        (true, None) => SmtpTls::Implicit,
        (true, Some(_)) => {
            problem(
                format!("{name} has tls and a url of smtps"),
                "leave tls out, or write smtp:// in url",
            );
            return None;
        }
        (false, None) if is_local => SmtpTls::Offered,
        (false, None) => SmtpTls::StartTls,
        (false, Some(tls)) => tls,
    };
    if tls == SmtpTls::Off && !is_local {
        let found = format!("{name} sends mail, and what stands in it, in the clear");
        table
            .reading
            .warning(span.clone(), found, "leave out tls = \"off\"");
    }
    let login = match (url.user, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        (Some(_), None) => {
            problem(
                format!("{name} has a user in its url and no password"),
                "add password = { env = \"SMTP_PASSWORD\" }",
            );
            return None;
        }
        (None, Some(_)) => {
            problem(
                format!("{name} has a password and no user in its url"),
                URL_HELP,
            );
            return None;
        }
    };
    Some(Smtp {
        host: url.host,
        port: url.port,
        tls,
        login,
        from: from?,
        to: to?,
    })
}

struct Url {
    is_tls: bool,
    user: Option<String>,
    host: String,
    port: u16,
}

impl Url {
    fn is_local(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        address.map_or(self.host == "localhost", |address| address.is_loopback())
    }
}

fn url(value: &Value<'_>) -> Option<Url> {
    let text = value.text("smtps://user@mail.example.com")?;
    let (is_tls, rest) = match text.split_once("://") {
        Some(("smtps", rest)) => (true, rest),
        Some(("smtp", rest)) => (false, rest),
        _ => {
            value.wrong_text(text, URL_HELP);
            return None;
        }
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, rest),
    };
    if user.is_some_and(|user| user.contains(':')) {
        // It is not shown: it may hold the password.
        value.problem(
            format!("{} holds a password", value.label),
            "write it as password = { env = \"SMTP_PASSWORD\" }",
        );
        return None;
    }
    let user = user.map(|user| percent_decode_str(user).decode_utf8());
    let is_text = |user: &str| !user.is_empty() && !user.chars().any(char::is_control);
    let user = match user {
        None => None,
        Some(Ok(user)) if is_text(&user) => Some(user.into_owned()),
        Some(_) => {
            value.wrong_text(text, URL_HELP);
            return None;
        }
    };
    let authority = place.parse::<Authority>().ok();
    let authority = authority.filter(|authority| !authority.host().is_empty());
    let Some(authority) = authority else {
        value.wrong_text(text, URL_HELP);
        return None;
    };
    let default = if is_tls { 465 } else { 587 };
    let port = match authority.port() {
        None => Some(default),
        Some(port) => Some(port.as_u16()).filter(|port| *port != 0),
    };
    let Some(port) = port else {
        value.wrong_text(text, URL_HELP);
        return None;
    };
    Some(Url {
        is_tls,
        user,
        host: authority.host().trim_matches(['[', ']']).to_owned(),
        port,
    })
}

fn mailbox(value: &Value<'_>) -> Option<Mailbox> {
    let text = value.text("alerts@example.com")?;
    let mailbox = text.parse::<Mailbox>().ok();
    let mailbox = mailbox.filter(|mailbox| AsRef::<str>::as_ref(&mailbox.email).is_ascii());
    if mailbox.is_none() {
        value.wrong_text(text, ADDRESS_HELP);
    }
    mailbox
}

fn mailboxes(value: &Value<'_>) -> Option<Vec<Mailbox>> {
    let Some(list) = value.value.as_array() else {
        return Some(vec![mailbox(value)?]);
    };
    if list.is_empty() || list.len() > RECIPIENTS {
        value.problem(
            format!("{} has {} addresses", value.label, list.len()),
            format!("write 1 to {RECIPIENTS}"),
        );
        return None;
    }
    // Each is read before any is given up, so that every problem is told.
    let mailboxes: Vec<_> = list.iter().map(|one| mailbox(&value.item(one))).collect();
    mailboxes.into_iter().collect()
}

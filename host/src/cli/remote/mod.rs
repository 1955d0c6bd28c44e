//! `--remote`: has a command ask the admin listener of a gateway elsewhere, in place of the store
//! and the socket on this machine. The answers are the API's; the output is that of the command.

mod address;
mod client;
mod list;

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{ConfigFile, Failure};
use crate::config::{Config, Network, Secret};
use crate::gateway::control::NoAnswer;

pub use address::reachable;
pub use client::Client;
pub use list::{first, rows};

/// The options of another gateway have a heading of their own.
const HEADING: &str = "Another gateway";
/// The variable that holds the token.
const TOKEN: &str = "ALERT_GATEWAY_TOKEN";
/// The longest file of a token.
const LONGEST_TOKEN: u64 = 4096;

/// The gateway that a command is about: that of a configuration on this machine, or another.
#[derive(Debug, Clone, Args)]
pub struct Place {
    #[command(flatten)]
    pub file: ConfigFile,
    #[command(flatten)]
    remote: Remote,
}

/// The admin listener of another gateway, and the credential for it.
#[derive(Debug, Clone, Args)]
struct Remote {
    /// Ask the gateway whose admin listener has this address, in place of the one of this machine,
    /// as in `https://gateway.example.com:9090`
    #[arg(long, value_name = "URL", help_heading = HEADING)]
    remote: Option<String>,
    /// The token for it: `admin_token`, or that of a user. Other users of this machine can see it
    /// here; ALERT_GATEWAY_TOKEN in the environment, or --token-file, is better
    #[arg(
        long,
        value_name = "TOKEN",
        requires = "remote",
        conflicts_with = "token_file",
        help_heading = HEADING
    )]
    token: Option<String>,
    /// The file that holds the token; - is the standard input
    #[arg(long, value_name = "FILE", requires = "remote", help_heading = HEADING)]
    token_file: Option<PathBuf>,
    /// The authorities that vouch for its certificate, in place of the machine's: PEM
    #[arg(long, value_name = "FILE", requires = "remote", help_heading = HEADING)]
    ca: Option<PathBuf>,
    /// The client certificate for it: PEM
    #[arg(
        long,
        value_name = "FILE",
        requires = "remote",
        requires = "client_key",
        help_heading = HEADING
    )]
    client_cert: Option<PathBuf>,
    /// The key of the client certificate: PEM
    #[arg(
        long,
        value_name = "FILE",
        requires = "remote",
        requires = "client_cert",
        help_heading = HEADING
    )]
    client_key: Option<PathBuf>,
}

impl Place {
    /// Returns the client of another gateway; none where the command is about this machine.
    ///
    /// # Errors
    /// The address or the credential cannot be used.
    pub fn remote(&self) -> Result<Option<Client>, Failure> {
        let remote = &self.remote;
        let Some(url) = &remote.remote else {
            return Ok(None);
        };
        let base = address::base(url).map_err(Failure::Usage)?;
        let network = Network {
            ca: remote.ca.clone(),
            client: remote.client_cert.clone().zip(remote.client_key.clone()),
            ..Network::default()
        };
        Ok(Some(Client::new(base, remote.token()?, &network)?))
    }

    /// Returns the client of the admin listener on this machine, whose gateway gives no answer at
    /// its socket for the reason `silent`.
    ///
    /// # Errors
    /// The credential cannot be used, or there is no address to ask.
    pub fn listener(&self, silent: &NoAnswer) -> Result<Client, Failure> {
        let path = self.file.path()?;
        // Whoever may not read its secrets shows a token of their own.
        let (gateway, knows_token) = match Config::gateway(&path, None) {
            Ok(gateway) => (gateway, true),
            Err(_) => (Config::gateway(&path, Some("unknown"))?, false),
        };
        // Only a fixed address without TLS is known without its name.
        let known = gateway.admin.filter(|admin| admin.address.port() != 0);
        let Some(admin) = known else {
            return Err(Failure::Run(anyhow!("{silent}")));
        };
        let address = reachable(admin.address);
        if admin.tls.is_some() {
            return Err(Failure::Run(anyhow!(
                "{silent}; or name its admin listener as the certificate does, with --remote https://NAME:{}",
                address.port()
            )));
        }
        let own = admin.tokens.into_iter().next().filter(|_| knows_token);
        let token = self.remote.token()?.or(own);
        Client::new(format!("http://{address}"), token, &Network::default())
    }
}

/// Returns a text as one segment of a path.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

impl Remote {
    /// Returns the token, where there is one.
    fn token(&self) -> Result<Option<Secret>, Failure> {
        let text = match (&self.token, &self.token_file) {
            (Some(token), _) => token.clone(),
            (None, Some(path)) => {
                let mut text = String::new();
                let read = if path.as_os_str() == "-" {
                    std::io::stdin()
                        .take(LONGEST_TOKEN)
                        .read_to_string(&mut text)
                } else {
                    std::fs::File::open(path)
                        .and_then(|file| file.take(LONGEST_TOKEN).read_to_string(&mut text))
                };
                read.with_context(|| format!("cannot read the token in {}", path.display()))?;
                text
            }
            (None, None) => std::env::var(TOKEN).unwrap_or_default(),
        };
        let token = text.trim();
        if token.is_empty() {
            return match (&self.token, &self.token_file) {
                (None, None) => Ok(None),
                _ => Err(Failure::Usage("the token is empty".to_owned())),
            };
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let why = "the token holds a space or another character that no token has";
            return Err(Failure::Usage(why.to_owned()));
        }
        Ok(Some(Secret::new(token)))
    }
}

//! `init`: a first configuration, with a place for its secrets and its data.

mod proxy;
mod unit;
mod user;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{IsTerminal, Write, stdin, stdout};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::plugin::snippet::{Named, write_source};
use super::plugin::subject::{Subject, sandbox};
use super::{Failure, Outcome, block_on, plain};
use crate::config::{Config, Problems, did_you_mean, listed};
use crate::random;
use alert_gateway_sandbox::Description;
use proxy::Proxy;
use user::User;

/// The name of the file.
const CONFIG: &str = "gateway.toml";
/// The name of a file without a key that stood in its place.
const ASIDE: &str = "gateway.toml.orig";
/// The folder of the secrets, beside the file.
const SECRETS: &str = "secrets";
/// The plugin that is proposed.
const PLUGIN: &str = "twilio-errors";
/// Random bytes of a token that the gateway chooses.
const TOKEN_BYTES: usize = 32;

/// Without a flag for it, a question is asked where there is a terminal to answer at. Nothing that
/// exists is written over, but for a gateway.toml of comments only, as in the packages.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway init
  alert-gateway init --public-url https://alerts.example.com --plugin twilio-errors
  sudo alert-gateway init --dir /etc/alert-gateway --data-dir /var/lib/alert-gateway \\
      --public-url https://alerts.example.com --plugin webhook --source doorbell --proxy nginx")]
pub struct Init {
    /// The folder to write gateway.toml and the secrets into; it is made if need be
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The address of the gateway as senders write it, without /in/...
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The bundled plugin that reads the first source; `plugin list` shows them all
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// The name of that source, the last part of its URL [default: the plugin's name]
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// The folder for requests and alerts, on a disk that survives; a relative one is in --dir
    /// [default: data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Write a configuration of this reverse proxy as well, and a systemd unit
    #[arg(long, value_name = "PROXY")]
    proxy: Option<Proxy>,
    /// The user that is to run the gateway and own its secrets and its data [default: this one; for
    /// root alert-gateway]
    #[arg(long, value_name = "USER")]
    user: Option<String>,
}

/// Writes the first configuration.
pub fn init(what: &Init) -> Outcome {
    let file = what.dir.join(CONFIG);
    let unused = holds_comments_only(&file);
    if file.symlink_metadata().is_ok() && !unused {
        let found = format!(
            "{} exists; see what is wrong with it: alert-gateway check --config {}",
            file.display(),
            file.display()
        );
        return Err(Failure::Usage(found));
    }
    let public_url = what.public_url()?;
    let bundled = what.plugin()?;
    let plugin = block_on(async { Ok(Subject::bundled(bundled).load(&sandbox()?).await?) })?;
    let description = plugin.description();
    let source = what.source.as_deref().unwrap_or(bundled.name);
    let first = First::new(source, bundled.name, description);
    let data_dir = what.data_dir.clone().unwrap_or_else(|| "data".into());
    let text = first.text(&public_url, &data_dir, what.proxy);
    let config = judged(&text, &file)?;

    let user = User::find(what.user.as_deref())?;
    let mut files = Vec::new();
    if let Some(proxy) = what.proxy {
        let unit = unit::unit(&user, &file, &config.gateway.data_dir)?;
        files.push((what.dir.join(proxy.file()), proxy.snippet(&config)));
        files.push((what.dir.join(unit::FILE), unit));
    }
    let secrets = what.dir.join(SECRETS);
    let taken = files.iter().map(|(path, _)| path.clone());
    let taken = taken.chain(first.secrets.keys().map(|name| secrets.join(name)));
    if let Some(taken) = taken
        .into_iter()
        .find(|path| path.symlink_metadata().is_ok())
    {
        let found = format!("{} exists, and nothing is written over", taken.display());
        return Err(Failure::Usage(found));
    }
    for path in [&secrets, &config.gateway.data_dir] {
        if folder(path)? {
            user.own(path)?;
        }
    }
    for (name, secret) in &first.secrets {
        let text = match secret {
            Secret::Chosen => token()?,
            Secret::Asked(_) => String::new(),
        };
        write_new(&secrets.join(name), &text, 0o600)?;
        user.own(&secrets.join(name))?;
    }
    if unused {
        let aside = what.dir.join(ASIDE);
        fs::rename(&file, &aside).with_context(|| format!("cannot make {}", aside.display()))?;
    }
    write_new(&file, &text, 0o640)?;
    user.read(&file)?;
    for (path, text) in &files {
        write_new(path, text, 0o644)?;
    }
    let mut out = stdout().lock();
    first.tell(&config, &file, &mut out)?;
    if !user.exists() {
        let name = &user.name;
        let data_dir = config.gateway.data_dir.display();
        writeln!(
            out,
            "\nThere is no user {name} yet, and what was written is root's:\n\
             sudo useradd --system --home-dir / --shell /usr/sbin/nologin {name}\n\
             sudo chown -R {name}: {} {data_dir}\n\
             sudo chgrp {name} {}",
            secrets.display(),
            file.display(),
        )?;
    }
    if let Some(proxy) = what.proxy {
        let unit = what.dir.join(unit::FILE);
        let snippet = what.dir.join(proxy.file());
        writeln!(
            out,
            "\nAs a service behind the proxy:\n\
             {} belongs to /etc/systemd/system/; then: sudo systemctl enable --now alert-gateway\n\
             {} belongs to {}:\n\n{}",
            plain::line(&unit.display().to_string()),
            plain::line(&snippet.display().to_string()),
            proxy.place(),
            proxy.snippet(&config)
        )?;
    }
    Ok(())
}

/// Returns true if a file is TOML without a key, so that nothing is lost with it.
fn holds_comments_only(file: &Path) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    !text.trim().is_empty()
        && text
            .parse::<toml::Table>()
            .is_ok_and(|table| table.is_empty())
}

impl Init {
    /// Returns the public URL, asked for if need be.
    fn public_url(&self) -> Result<String, Failure> {
        let question =
            "The address of the gateway as senders write it, such as https://alerts.example.com";
        let begins = |url: &str| {
            let is_one = ["https://", "http://"].iter().any(|it| url.starts_with(it));
            let why = "it begins with https://, or with http:// where nothing ends TLS";
            is_one.then(|| url.to_owned()).ok_or_else(|| why.to_owned())
        };
        match &self.public_url {
            // What is wrong with it is told with the rest of the configuration.
            Some(url) => Ok(url.clone()),
            None => ask(
                question,
                None,
                "--public-url https://alerts.example.com",
                begins,
            ),
        }
    }

    /// Returns the plugin, asked for if need be.
    fn plugin(&self) -> Result<&'static alert_gateway_plugins::Bundled, Failure> {
        let names = || alert_gateway_plugins::all().iter().map(|one| one.name);
        let all = listed(names(), "or");
        let find = |name: &str| {
            alert_gateway_plugins::find(name).ok_or_else(|| {
                let near = did_you_mean(name, names())
                    .map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
                format!("{name:?} is not bundled; there is {all}{near}")
            })
        };
        match &self.plugin {
            Some(name) => find(name).map_err(Failure::Usage),
            None => ask(
                &format!("The kind of sender: {all}"),
                Some(PLUGIN),
                "--plugin twilio-errors",
                find,
            ),
        }
    }
}

/// Asks a question at the terminal, until the answer can be `read`. An empty one is the default.
///
/// # Errors
/// There is no terminal, or no answer; `flag` says it without one.
fn ask<T>(
    question: &str,
    default: Option<&str>,
    flag: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Failure> {
    let missing = || Failure::Usage(format!("there is no answer to a question; add {flag}"));
    if !stdin().is_terminal() {
        return Err(missing());
    }
    let proposed = default.map_or_else(String::new, |default| format!(" [{default}]"));
    loop {
        print!("{question}{proposed}: ");
        stdout().flush()?;
        let mut line = String::new();
        let is_over = stdin().read_line(&mut line)? == 0;
        let answer = match (line.trim(), default) {
            ("", Some(default)) if !is_over => default,
            ("", _) => return Err(missing()),
            (answer, _) => answer,
        };
        match read(answer) {
            Ok(read) => return Ok(read),
            Err(why) => println!("{}", plain::line(&why)),
        }
    }
}

/// A secret of the first configuration.
enum Secret {
    /// The operator has it; this is what it is.
    Asked(String),
    /// The gateway chose it at random.
    Chosen,
}

/// The first source and the secrets of the configuration.
struct First {
    source: String,
    /// The source's tables.
    tables: String,
    /// By the names of their files.
    secrets: BTreeMap<String, Secret>,
}

impl First {
    fn new(source: &str, plugin: &str, description: &Description) -> Self {
        let itoc360 = "the token of the source that you created in ITOC360".to_owned();
        let secrets = RefCell::new(BTreeMap::from([(
            "itoc360-token".to_owned(),
            Secret::Asked(itoc360),
        )]));
        let reference = |setting: &str| {
            let name = format!("{source}-{}", setting.replace('_', "-"));
            let is_own = setting == "token" && !description.authenticates;
            let secret = if is_own {
                Secret::Chosen
            } else {
                Secret::Asked(format!("{setting} of the source {source}"))
            };
            secrets.borrow_mut().insert(name.clone(), secret);
            format!("{{ file = \"{SECRETS}/{name}\" }}")
        };
        let tables = write_source(source, description, &Named::Bundled(plugin), &reference);
        Self {
            source: source.to_owned(),
            tables,
            secrets: secrets.into_inner(),
        }
    }

    /// Returns the configuration.
    fn text(&self, public_url: &str, data_dir: &Path, proxy: Option<Proxy>) -> String {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let public_url = quoted(public_url);
        let data_dir = quoted(&data_dir.to_string_lossy());
        let trusted = proxy::trusted(proxy);
        format!(
            "# The alert gateway's configuration. examples/gateway.toml in its repository has every key.
# Relative paths start at the folder of this file. Further files are conf.d/*.toml beside it.

[gateway]
# The address of the gateway as senders write it. Signatures are made over it.
public_url = {public_url}
# Requests are taken here; a reverse proxy with TLS stands in front.
listen = \"127.0.0.1:8080\"
{trusted}# Health, metrics and pages for operators.
admin = \"127.0.0.1:9090\"
# Requests and alerts are kept here before a sender is answered: a disk that survives.
data_dir = {data_dir}

[destinations.itoc360]
kind = \"itoc360\"
token = {{ file = \"{SECRETS}/itoc360-token\" }}

# Its URL for the sender is the public_url with /in/{} behind it.
{}",
            self.source, self.tables
        )
    }

    /// Prints the next steps.
    fn tell(&self, config: &Config, file: &Path, out: &mut impl Write) -> anyhow::Result<()> {
        let folder = file.parent().unwrap_or(Path::new("."));
        let path = |path: &Path| plain::line(&path.display().to_string());
        writeln!(out, "{} is written. The next steps:\n", path(file))?;
        writeln!(out, "1. Write each secret into its file, with an editor:")?;
        for (name, secret) in &self.secrets {
            let meaning = match secret {
                Secret::Asked(meaning) => meaning,
                Secret::Chosen => "chosen at random; the sender shows it",
            };
            let secret = path(&folder.join(SECRETS).join(name));
            writeln!(out, "     {secret}: {meaning}")?;
        }
        let name = path(file);
        writeln!(out, "2. alert-gateway check --config {name}")?;
        writeln!(
            out,
            "   says what is wrong, and the steps at the sender, with this URL:"
        )?;
        for source in &config.sources {
            writeln!(out, "     {}", source.url(&config.gateway.public_url))?;
        }
        writeln!(out, "3. alert-gateway run --config {name}")?;
        Ok(())
    }
}

/// Returns the configuration of a text whose secrets are not there yet.
///
/// # Errors
/// What is wrong with what the operator answered.
fn judged(text: &str, file: &Path) -> Result<Config, Failure> {
    Config::parse_without_secrets(text, file, "unknown-0123456789abcdef").map_err(|problems| {
        let Problems(problems) = problems;
        // The file is not there, so its lines say nothing.
        let told: Vec<String> = problems
            .into_iter()
            .map(|problem| [problem.found, problem.help].join("; "))
            .collect();
        Failure::Usage(told.join("\nerror: "))
    })
}

/// Returns a token of 256 random bits, in hex.
fn token() -> anyhow::Result<String> {
    let bytes = random::bytes::<TOKEN_BYTES>()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Makes a folder that is its owner's alone, and returns true; one that exists stays as it is.
fn folder(path: &Path) -> anyhow::Result<bool> {
    if path.is_dir() {
        return Ok(false);
    }
    let failed = || format!("cannot make the folder {}", path.display());
    if let Some(above) = path.parent() {
        fs::create_dir_all(above).with_context(failed)?;
    }
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .with_context(failed)?;
    Ok(true)
}

/// Writes a file that does not exist yet.
fn write_new(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}

//! `store`: checks and copies the store, whether the gateway runs or not.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use bytesize::ByteSize;
use clap::{Args, Subcommand, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigFile, Failure, Outcome, block_on, owner, plain};
use crate::store::{self, Backup, Depth, Location, Moved, Report, SharedStore};

/// The commands for the store.
#[derive(Debug, Subcommand)]
pub enum Stores {
    /// Check that the store is whole, and advise where it is not
    ///
    /// Safe while the gateway runs. It reads every page and every index (SQLite's integrity_check),
    /// and then looks whether the rows agree with each other: totals, due times, alerts and their
    /// requests. Exits with 1 where it finds something.
    Check(Check),
    /// Copy the store into a new file, while the gateway runs or while it does not
    ///
    /// The copy is of one moment and needs no other file. It is readable by its owner only (it
    /// holds requests as they came), synced and checked before it gets its name, and never written
    /// over another file. A killed process leaves a folder FILE.….partial, which can be removed.
    ///
    /// To restore: stop the gateway; move gateway.db, gateway.db-wal and gateway.db-shm out of
    /// data_dir; copy the backup there as gateway.db, owned by the gateway's user; start the
    /// gateway. Requests after the backup are not in it. Alerts delivered after it are delivered
    /// again, with the same fingerprint: an open alert is updated, and one that was closed
    /// meanwhile opens again.
    Backup(BackUp),
    /// Move requests and alerts from the file into the database of `[store]`, or back
    ///
    /// Stop every gateway first. The configuration names both: data_dir has the file, and `[store]`
    /// with kind = "postgres" the database. Requests keep their numbers, what is known stays known,
    /// and what waits goes on where it stood; what waits in a spool goes into the database first, by
    /// a start of its gateway. Nothing is removed: the file is renamed to
    /// gateway.db.moved, and a database that was moved into a file takes no gateway until one is
    /// moved into it again.
    Move(Move),
    /// Say that nothing of a gateway is under way that died while it delivered
    ///
    /// Gateways that share a database hold back what is younger of the keys that it may have been
    /// delivering, until it says so itself or the quarantine of `[store]` is over. Say it where its
    /// process has ended, or its machine is off.
    Gone(Gone),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway store check
  alert-gateway store check --quick
  alert-gateway store check /backup/gateway.db --json")]
pub struct Check {
    #[command(flatten)]
    file: ConfigFile,
    /// Not the store of the configuration but this file, such as a backup
    #[arg(value_name = "FILE")]
    other: Option<PathBuf>,
    /// Leave out the indexes (quick_check): a fraction of the time for a store of gigabytes
    #[arg(long)]
    quick: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway store backup /backup/gateway-$(date +%F).db
  sudo alert-gateway store backup --config /etc/alert-gateway/gateway.toml /backup/gateway.db")]
pub struct BackUp {
    #[command(flatten)]
    file: ConfigFile,
    /// The new file
    #[arg(value_name = "FILE")]
    target: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway store move --to database
  alert-gateway store move --to file --config /etc/alert-gateway/gateway.toml")]
pub struct Move {
    #[command(flatten)]
    file: ConfigFile,
    /// The place to move to
    #[arg(long, value_enum)]
    to: To,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway store gone gw-a")]
pub struct Gone {
    #[command(flatten)]
    file: ConfigFile,
    /// The name of the gateway, as in its `[store]`
    node: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum To {
    /// From gateway.db in data_dir into the database of `[store]`
    Database,
    /// From the database of `[store]` into gateway.db in data_dir
    File,
}

pub fn store(what: &Stores) -> Outcome {
    match what {
        Stores::Move(what) => relocate(what),
        Stores::Gone(what) => gone(what),
        Stores::Check(check) => self::check(check),
        Stores::Backup(backup) => self::backup(backup),
    }
}

fn check(what: &Check) -> Outcome {
    let path = match &what.other {
        Some(path) => path.clone(),
        None => {
            let path = of_file(&what.file, "pg_amcheck")?;
            owner::become_owner(path.parent().unwrap_or(&path))?;
            path
        }
    };
    let depth = if what.quick {
        Depth::QuickCheck
    } else {
        Depth::IntegrityCheck
    };
    let report = store::check(&path, depth)?;
    let mut out = std::io::stdout().lock();
    if what.json {
        writeln!(
            out,
            "{}",
            plain::json(&serde_json::to_string_pretty(&report)?)
        )?;
    } else {
        print(&mut out, &report)?;
    }
    verdict(&report)
}

/// Returns the file of the store; `instead` is what does the same for a database.
fn of_file(file: &ConfigFile, instead: &str) -> Result<PathBuf, Failure> {
    let store = file.store()?;
    store.file().ok_or_else(|| {
        Failure::Usage(format!(
            "the store is the {}, and no file: use PostgreSQL's own {instead}",
            store.shown()
        ))
    })
}

/// Returns the database that the configuration names.
fn of_database(file: &ConfigFile) -> Result<Arc<SharedStore>, Failure> {
    match file.store()? {
        Location::Postgres(shared) => Ok(shared),
        Location::Folder(_) => Err(Failure::Usage(
            "the configuration names no database: write [store] with kind = \"postgres\" and its url".to_owned(),
        )),
    }
}

fn gone(what: &Gone) -> Outcome {
    let node = &what.node;
    if !store::is_gone(&*of_database(&what.file)?, node)? {
        return Err(Failure::Run(anyhow!(
            "no gateway of the name {node} is waited for"
        )));
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "nothing waits for {node} any more")?;
    Ok(())
}

fn relocate(what: &Move) -> Outcome {
    let shared = &of_database(&what.file)?;
    let moved = owner::as_owner(&shared.data_dir, || {
        Ok(match what.to {
            To::Database => store::to_database(shared)?,
            To::File => store::to_file(shared)?,
        })
    })?;
    let Moved {
        requests,
        alerts,
        pending,
        file,
    } = moved;
    if matches!(what.to, To::File) {
        owner::hand_over(&shared.data_dir)?;
    }
    let file = file.display();
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "moved {requests} requests and {alerts} alerts, {pending} of them pending"
    )?;
    match what.to {
        To::Database => writeln!(
            out,
            "They are in the {}. The file is kept as {file}.",
            shared.address.shown()
        )?,
        To::File => writeln!(
            out,
            "They are in {file}. Leave [store] out of the configuration, and start one gateway."
        )?,
    }
    Ok(())
}

fn print(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    let asked = match report.check {
        Depth::IntegrityCheck => "integrity_check",
        Depth::QuickCheck => "quick_check",
    };
    let Report {
        path,
        requests,
        alerts,
        pending,
        bytes,
        ..
    } = report;
    let path = path.display();
    let size = ByteSize(*bytes);
    writeln!(
        out,
        "{path}, {size}: {requests} requests, {alerts} alerts, {pending} of them pending"
    )?;
    if report.whole {
        return writeln!(
            out,
            "It is whole: SQLite's {asked} finds nothing, and the rows agree with each other."
        );
    }
    for finding in &report.findings {
        writeln!(out, "\n{} {}", finding.count, finding.what)?;
        for example in &finding.examples {
            writeln!(out, "    {}", plain::line(example))?;
        }
        if finding.count > finding.examples.len() {
            writeln!(out, "    …")?;
        }
        writeln!(out, "  {}", finding.advice)?;
        if let Some(cure) = finding.cure {
            writeln!(
                out,
                "  to set it right, with the gateway stopped and a backup made:"
            )?;
            writeln!(out, "    sqlite3 {path} \"{cure}\"")?;
        }
    }
    Ok(())
}

fn verdict(report: &Report) -> Outcome {
    match report.findings.len() {
        0 => Ok(()),
        count => Err(Failure::Run(anyhow!(
            "{} is not whole: {count} findings",
            report.path.display()
        ))),
    }
}

fn backup(what: &BackUp) -> Outcome {
    let source = of_file(&what.file, "pg_dump or pg_basebackup")?;
    let written = block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let backup = Backup::prepare(&source, &what.target)?;
        let stop = backup.stop();
        let mut writing = tokio::task::spawn_blocking(move || backup.write());
        let written = tokio::select! {
            written = &mut writing => written,
            // It ends with an error then, and takes what it has written with it.
            _ = async { tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} } } => {
                stop.now();
                writing.await
            }
        };
        Ok(written??)
    })?;
    let mut out = std::io::stdout().lock();
    let path = written.path.display();
    let size = ByteSize(written.bytes);
    writeln!(
        out,
        "{path}, {size}: {} requests, {} alerts",
        written.report.requests, written.report.alerts
    )?;
    if written.report.whole {
        writeln!(
            out,
            "The copy is whole. To restore it, see: alert-gateway store backup --help"
        )?;
        return Ok(());
    }
    print(&mut out, &written.report)?;
    verdict(&written.report)
}

//! The meaning of a configuration, for a person and for a program.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use bytesize::ByteSize;
use serde_json::{Value, json};

use super::super::{plain, test};
use super::{Examination, counted};
use crate::config::{self, Admin, Cause, Config, StoreKind, causes, shown_duration};
use crate::gateway::shadow::Summary;
use crate::sources::Source;

/// The lines that are shown of a plugin's setup page.
const LINES: usize = 12;

/// Prints it as text, `whole` with all of the plugins' setup pages.
pub fn text(path: &Path, examination: &Examination, whole: bool) -> std::io::Result<()> {
    let Some((config, loaded)) = &examination.known else {
        return Ok(());
    };
    let mut out = std::io::stdout().lock();
    let verdict = match examination.warnings.len() {
        0 => "configuration OK".to_owned(),
        count => format!("can be used, with {}", counted(count, "warning")),
    };
    writeln!(out, "{}: {verdict}\n", path.display())?;
    gateway(&mut out, config)?;
    if let Some(database) = &examination.database {
        writeln!(out, "{}", plain::line(database))?;
    }
    for destination in &config.destinations {
        writeln!(
            out,
            "\ndestination {}\n  {}",
            destination.name,
            destination.kind.shown()
        )?;
        if let Some(fallback) = &destination.fallback {
            let name = &fallback.destination;
            let after = shown_duration(fallback.after);
            writeln!(out, "  fallback {name}, after {after}")?;
        }
    }
    // The steps of a plugin are the same for all its sources, but for the URL.
    let mut told = HashMap::new();
    for source in &loaded.sources {
        self::source(&mut out, source, &mut told, whole)?;
    }
    if !examination.against_store.is_empty() {
        writeln!(out, "\nagainst the store")?;
    }
    for summary in &examination.against_store {
        writeln!(out, "  {}", plain::line(&summary.to_string()))?;
    }
    Ok(())
}

fn gateway(out: &mut impl Write, config: &Config) -> std::io::Result<()> {
    let gateway = &config.gateway;
    writeln!(
        out,
        "Listens at {}{} for {}; keeps its data in {}.",
        gateway.listen,
        if gateway.tls.is_some() {
            " with TLS"
        } else {
            ""
        },
        gateway.public_url,
        gateway.data_dir.display()
    )?;
    if let Some(tls) = &gateway.tls
        && let Ok(credentials) = tls.read().and_then(|pem| tls.understand(&pem))
    {
        let names = credentials.names().join(", ");
        writeln!(
            out,
            "Its certificate is for {}; it expires at {}.",
            plain::line(&names),
            credentials.validity.end()
        )?;
    }
    match &gateway.admin {
        Some(Admin {
            address,
            tokens,
            tls,
            ..
        }) => {
            let scheme = if tls.is_some() { "https" } else { "http" };
            let by_certificate = tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
            let asked = match (by_certificate, !tokens.is_empty()) {
                (true, true) => ", for clients with a certificate and a token",
                (true, false) => ", for clients with a certificate",
                (false, true) => ", for clients with a token",
                (false, false) => "",
            };
            writeln!(out, "Health and metrics at {scheme}://{address}{asked}.")?;
        }
        None => writeln!(out, "Health and metrics are off.")?,
    }
    if let StoreKind::Postgres(database) = &config.store
        && database.spool
    {
        writeln!(
            out,
            "Keeps up to {} of requests in its spool in data_dir while the database is away. They are on this machine alone \
             until they are handed over: a loss of its disk loses them.",
            ByteSize(database.spool_size)
        )?;
    }
    if let Some(destination) = &gateway.operator_destination {
        writeln!(
            out,
            "Reports trouble with destinations and the disk at {destination}."
        )?;
    }
    Ok(())
}

fn source<'s>(
    out: &mut impl Write,
    source: &'s Source,
    told: &mut HashMap<&'s str, &'s str>,
    whole: bool,
) -> std::io::Result<()> {
    let description = source.plugin.description();
    writeln!(out, "\nsource {}", source.name)?;
    let plugin = format!(
        "{} {}: {}",
        description.name, description.version, description.summary
    );
    writeln!(out, "  plugin      {}", plain::line(&plugin))?;
    writeln!(out, "  sha256      {}", source.plugin.sha256())?;
    let destinations = source.configured.destinations.join(", ");
    writeln!(out, "  destination {destinations}")?;
    if let Some(every) = source.configured.expect_every {
        writeln!(out, "  expected    every {}", shown_duration(every))?;
    }
    for (what, said) in policy(&source.configured) {
        writeln!(out, "  {what:<11} {}", plain::line(&said))?;
    }
    let url = plain::line(&format!("{}{}", source.url, description.url_suffix));
    writeln!(out, "  URL         {url}")?;
    match told.get(source.plugin.sha256()) {
        Some(first) => writeln!(out, "  to set up   as source {first}, with this URL"),
        None => {
            told.insert(source.plugin.sha256(), &source.name);
            let steps = plain::lines(&description.setup.replace("{url}", &url));
            let shown = if whole {
                steps.trim().to_owned()
            } else {
                beginning(steps.trim())
            };
            writeln!(
                out,
                "  to set up   {}",
                shown.replace('\n', "\n              ")
            )
        }
    }
}

/// Returns what the operator has made of the alerts of a source.
fn policy(source: &config::Source) -> Vec<(&'static str, String)> {
    let mut said = Vec::new();
    if !source.labels.is_empty() {
        let labels: Vec<_> = source.labels.iter().collect();
        let labels = labels.iter().map(|(name, value)| format!("{name}={value}"));
        said.push(("labels", labels.collect::<Vec<_>>().join(", ")));
    }
    if !source.rules.is_empty() {
        said.push(("rules", source.rules.len().to_string()));
    }
    if !source.redact.is_empty() {
        let stored = if source.redact_stored {
            ", in the stored request as well"
        } else {
            ""
        };
        let redactions = counted(source.redact.len(), "redaction");
        said.push(("redacted", redactions + stored));
    }
    if let Some(group) = &source.group {
        let by = match group.by.is_empty() {
            true => "all together".to_owned(),
            false => format!("by {}", group.by.join(", ")),
        };
        let above = group.above.map(|above| {
            let within = shown_duration(above.within);
            format!(", above {} in {within}", above.count)
        });
        said.push(("grouped", by + &above.unwrap_or_default()));
    }
    if let Some(after) = source.resolve_after {
        said.push(("resolved", format!("after {}", shown_duration(after))));
    }
    said
}

/// Prints what was found on the network.
pub fn online(examination: &Examination) -> std::io::Result<()> {
    let Some(hops) = &examination.online else {
        return Ok(());
    };
    writeln!(std::io::stdout(), "\nonline")?;
    hops.iter().try_for_each(|hop| test::show(hop, false))
}

/// Returns the beginning of a setup page, and how to read the rest.
fn beginning(page: &str) -> String {
    let count = page.lines().count();
    // A rest of two lines is no longer than the advice.
    if count <= LINES + 2 {
        return page.to_owned();
    }
    let mut shown: Vec<_> = page.lines().take(LINES).collect();
    while shown.last().is_some_and(|line| line.trim().is_empty()) {
        shown.pop();
    }
    let more = count - shown.len();
    format!(
        "{}\n… {more} more lines: alert-gateway check --setup",
        shown.join("\n")
    )
}

/// Prints it as one JSON document, whatever is wrong with it.
pub fn json(path: &Path, examination: &Examination) -> std::io::Result<()> {
    let Examination {
        known,
        errors,
        warnings,
        database,
        against_store,
        online,
    } = examination;
    let mut document = json!({
        "file": path,
        "ok": errors.is_empty() && warnings.is_empty() && examination.failed_online() == 0,
        "errors": causes(errors).iter().map(cause).collect::<Vec<_>>(),
        "warnings": causes(warnings).iter().map(cause).collect::<Vec<_>>(),
    });
    if let Some((config, loaded)) = known.as_ref().filter(|_| errors.is_empty()) {
        let gateway = &config.gateway;
        document["gateway"] = json!({
            "listen": gateway.listen.to_string(),
            "tls": gateway.tls.is_some(),
            "public_url": gateway.public_url.as_str(),
            "admin": gateway.admin.as_ref().map(|admin| admin.address.to_string()),
            "data_dir": gateway.data_dir,
        });
        let destinations = config.destinations.iter().map(|destination| {
            json!({
                "name": destination.name,
                "kind": destination.kind.as_str(),
                "address": destination.kind.shown(),
                "fallback": destination.fallback.as_ref().map(|fallback| &fallback.destination),
            })
        });
        document["destinations"] = destinations.collect();
        document["sources"] = loaded.sources.iter().map(source_json).collect();
    }
    if let Some(database) = database {
        document["database"] = database.as_str().into();
    }
    if !against_store.is_empty() {
        document["against_store"] = against_store.iter().map(summary).collect();
    }
    if let Some(hops) = online {
        document["online"] = serde_json::to_value(hops)?;
    }
    let text = plain::json(&serde_json::to_string_pretty(&document)?);
    writeln!(std::io::stdout(), "{text}")
}

fn summary(summary: &Summary) -> Value {
    json!({
        "source": summary.source,
        "read": summary.read,
        "changed": summary.changed,
        "fails": summary.fails,
        "recovers": summary.recovers,
        "rejected": summary.rejected,
        "unread": summary.unread,
    })
}

fn cause(cause: &Cause<'_>) -> Value {
    let at = cause.first.position;
    let also: Vec<_> = cause
        .others
        .iter()
        .map(|other| {
            let at = other.position;
            json!({
                "file": other.file,
                "line": at.map(|at| at.line),
                "column": at.map(|at| at.column),
            })
        })
        .collect();
    json!({
        "file": cause.first.file,
        "line": at.map(|at| at.line),
        "column": at.map(|at| at.column),
        "found": cause.first.found,
        "help": cause.first.help,
        "also": also,
    })
}

fn source_json(source: &Source) -> Value {
    let description = source.plugin.description();
    let url = format!("{}{}", source.url, description.url_suffix);
    json!({
        "name": &*source.name,
        "url": url,
        "destination": &*source.destination,
        "destinations": &source.configured.destinations,
        "plugin": description.name,
        "version": description.version,
        "sha256": source.plugin.sha256(),
        "expect_every_s": source.configured.expect_every.map(|every| every.as_secs()),
        "setup": description.setup.replace("{url}", &url),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_of_a_source_is_told_in_a_few_words() {
        let text = r#"
            [gateway]
            public_url = "https://gw.example.com"
            [destinations.a]
            kind = "itoc360"
            token = "0123456789abcdef"
            [sources.s]
            plugin = "webhook"
            destination = "a"
            labels = { team = "voice", site = "fra" }
            redact = ["phone-numbers", "/from"]
            redact_stored = true
            resolve_after = "4h"
            group = { by = ["code"], above = "20/5m" }
            [[sources.s.rules]]
            drop = true
            [sources.plain]
            plugin = "webhook"
            destination = "a"
        "#;
        let config = Config::parse(text, Path::new("gateway.toml"), &|_| None).unwrap();
        let said = |number: usize| policy(&config.sources[number]);
        let told = [
            ("labels", "site=fra, team=voice"),
            ("rules", "1"),
            ("redacted", "2 redactions, in the stored request as well"),
            ("grouped", "by code, above 20 in 5m"),
            ("resolved", "after 4h"),
        ];
        assert_eq!(said(0), told.map(|(what, said)| (what, said.to_owned())));
        assert_eq!(said(1), []);
    }

    #[test]
    fn long_setup_page_is_cut_with_the_way_to_the_rest() {
        let page = |lines: usize| {
            let lines: Vec<_> = (1..=lines).map(|line| format!("step {line}")).collect();
            lines.join("\n")
        };
        assert_eq!(beginning(&page(14)), page(14));
        assert_eq!(
            beginning(&page(100)),
            format!("{}\n… 88 more lines: alert-gateway check --setup", page(12))
        );
    }
}

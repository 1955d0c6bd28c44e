//! `check`: what a configuration means.

use std::io::Write;

use anyhow::Context;

use super::{ConfigFile, Outcome, block_on, plain};
use crate::config::{Admin, Config, shown_duration};
use crate::destinations::Destination;
use crate::gateway;
use crate::sources::{self, Source};

pub fn check(file: &ConfigFile) -> Outcome {
    let config = file.load()?;
    let loaded = block_on(async {
        let sandbox = gateway::sandbox(&config, false)?;
        Ok(sources::load(&config, &sandbox).await?)
    })?;
    for destination in &config.destinations {
        Destination::new(destination).with_context(|| format!("cannot use destination \"{}\"", destination.name))?;
    }
    for warning in gateway::warnings(&config, &loaded) {
        eprintln!("warning: {warning}");
    }
    Ok(print(&config, &loaded.sources)?)
}

fn print(config: &Config, sources: &[Source]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let gateway = &config.gateway;
    writeln!(out, "{} is right.\n", config.path.display())?;
    writeln!(
        out,
        "Listens at {}{} for {}; keeps its data in {}.",
        gateway.listen,
        if gateway.tls.is_some() { " with TLS" } else { "" },
        gateway.public_url,
        gateway.data_dir.display()
    )?;
    match &gateway.admin {
        Some(Admin { address, tokens, tls, .. }) => {
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
    if let Some(destination) = &gateway.operator_destination {
        writeln!(out, "Tells of trouble with destinations and the disk at {destination}.")?;
    }
    for destination in &config.destinations {
        writeln!(out, "\ndestination {}\n  {}", destination.name, destination.kind.shown())?;
    }
    for source in sources {
        let description = source.plugin.description();
        writeln!(out, "\nsource {}", source.name)?;
        let plugin = format!("{} {}: {}", description.name, description.version, description.summary);
        writeln!(out, "  plugin      {}", plain::line(&plugin))?;
        writeln!(out, "  sha256      {}", source.plugin.sha256())?;
        writeln!(out, "  destination {}", source.destination)?;
        if let Some(every) = source.configured.expect_every {
            writeln!(out, "  expected    every {}", shown_duration(every))?;
        }
        let url = plain::line(&format!("{}{}", source.url, description.url_suffix));
        writeln!(out, "  URL         {url}")?;
        writeln!(
            out,
            "  to set up   {}",
            plain::lines(&description.setup.replace("{url}", &url)).trim().replace('\n', "\n              ")
        )?;
    }
    Ok(())
}

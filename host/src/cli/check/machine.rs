//! The machine that a configuration is to run on: its data directory and its certificate.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Access, access};

use crate::config::{Config, Problem, listed};
use crate::store;

/// Looks at the machine, and adds what it finds.
pub fn look(config: &Config, errors: &mut Vec<Problem>, warnings: &mut Vec<Problem>) {
    let problem = |found: String, help: &str| Problem {
        file: config.path.clone(),
        position: None,
        found,
        help: help.to_owned(),
    };
    certificate(config, warnings, &problem);
    let data_dir = &config.gateway.data_dir;
    let this_user = rustix::process::geteuid();
    let Ok(metadata) = data_dir.metadata() else {
        let above = data_dir
            .ancestors()
            .skip(1)
            .find(|above| above.as_os_str().is_empty() || above.exists());
        let above = above
            .filter(|above| !above.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        if let Err(error) = access(above, Access::WRITE_OK | Access::EXEC_OK) {
            let found = format!(
                "data_dir {} is not there, and cannot be made in {}",
                data_dir.display(),
                above.display()
            );
            warnings.push(problem(
                format!("{found} by this user: {error}"),
                "make it for the user that the gateway runs as",
            ));
        }
        return;
    };
    if !metadata.is_dir() {
        errors.push(problem(
            format!("data_dir {} is not a folder", data_dir.display()),
            "name a folder",
        ));
        return;
    }
    if !this_user.is_root() && this_user.as_raw() != metadata.uid() {
        let found = format!(
            "data_dir {} belongs to another user than the one that runs this check",
            data_dir.display()
        );
        warnings.push(problem(
            found,
            "run the check as that user or as root, to have its owners and modes looked at",
        ));
        return;
    }
    if let Err(error) = access(
        data_dir,
        Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK,
    ) {
        let found = format!("data_dir {} cannot be written: {error}", data_dir.display());
        errors.push(problem(
            found,
            "let the user that the gateway runs as write to it, on a disk that is not read-only",
        ));
        return;
    }
    // Root asks for the user that the gateway runs as, which owns the folder.
    match store::exposed(data_dir, metadata.uid()) {
        Ok(exposed) => {
            for store::Exposed {
                path,
                found,
                repair,
            } in exposed
            {
                let found = format!("{} {found}", path.display());
                match repair {
                    Some(_) => {
                        warnings.push(problem(found, "the gateway repairs it at its next start"))
                    }
                    None => errors.push(problem(
                        found,
                        "let it belong to the user that the gateway runs as, and to no other",
                    )),
                }
            }
        }
        Err(error) => warnings.push(problem(
            format!(
                "data_dir {} cannot be looked at: {error}",
                data_dir.display()
            ),
            "",
        )),
    }
}

/// Warns of a certificate that is not for the host of `public_url`, where the gateway itself speaks
/// TLS.
fn certificate(
    config: &Config,
    warnings: &mut Vec<Problem>,
    problem: &dyn Fn(String, &str) -> Problem,
) {
    let Some(tls) = &config.gateway.tls else {
        return;
    };
    let credentials = tls.read().and_then(|pem| tls.understand(&pem));
    let (Ok(credentials), Some(host)) = (credentials, config.gateway.public_url.host()) else {
        return;
    };
    if credentials.is_for(&host) {
        return;
    }
    let names = credentials.names();
    let names = if names.is_empty() {
        "no name".to_owned()
    } else {
        listed(names.iter().map(String::as_str), "and")
    };
    let found = format!(
        "the certificate {} is for {names}, and public_url is for {host}",
        tls.cert.display()
    );
    warnings.push(problem(
        found,
        "senders refuse it: name a certificate for that host",
    ));
}

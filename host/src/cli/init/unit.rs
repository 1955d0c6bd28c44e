//! `init --proxy`: a systemd unit for what was written.

use std::path::Path;

use anyhow::Context;

use super::user::User;

/// The unit that packages and the documentation have.
const UNIT: &str = include_str!("../../../../examples/alert-gateway.service");
/// The paths in it.
const PROGRAM: &str = "/usr/local/bin/alert-gateway";
const CONFIG: &str = "/etc/alert-gateway/gateway.toml";

/// The name of the file.
pub const FILE: &str = "alert-gateway.service";

/// Returns the unit of a gateway that runs this program as `user`, with these files.
///
/// # Errors
/// The path that is none for a unit.
pub fn unit(user: &User, config: &Path, data_dir: &Path) -> anyhow::Result<String> {
    let program = std::env::current_exe().context("the path of this program is not known")?;
    let program = path(&program)?;
    let config = path(&std::path::absolute(config)?)?;
    let data_dir = path(&std::path::absolute(data_dir)?)?;
    let mut unit = String::with_capacity(UNIT.len());
    for line in UNIT.lines() {
        let line = line.replace(PROGRAM, &program).replace(CONFIG, &config);
        match line.as_str() {
            "DynamicUser=yes" => {
                unit.push_str(&format!("User={}\nReadWritePaths={data_dir}\n", user.name));
            }
            "StateDirectory=alert-gateway" | "StateDirectoryMode=0700" => {}
            // Files below a home are the user's own wish.
            "ProtectHome=yes" if in_a_home(&[&program, &config, &data_dir]) => {
                unit.push_str("ProtectHome=no\n");
            }
            _ => {
                unit.push_str(&line);
                unit.push('\n');
            }
        }
    }
    let comment = "# A user of its own, which owns /var/lib/alert-gateway and nothing else.";
    Ok(unit.replace(comment, "# The user that owns its data and its secrets."))
}

fn in_a_home(paths: &[&str]) -> bool {
    let homes = ["/home/", "/root/", "/run/user/"];
    paths
        .iter()
        .any(|path| homes.iter().any(|home| path.starts_with(home)))
}

/// Returns a path as a unit has it.
fn path(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().filter(|text| {
        let plain = |c: char| c.is_alphanumeric() || "/-_.+@:,".contains(c);
        text.chars().all(plain)
    });
    let text = text.with_context(|| {
        format!(
            "{} cannot stand in a unit: choose a path without blanks and quotes",
            path.display()
        )
    })?;
    Ok(text.to_owned())
}

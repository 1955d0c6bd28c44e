//! The database that a configuration names, the gateways that share it, and what waits for it in the
//! spool of this one.

use super::super::owner;
use crate::config::{Config, Problem, StoreKind};
use crate::store::{self, Location, NodeState, StoreError};

/// Looks at the spool, and adds what it finds.
pub fn spool(config: &Config, warnings: &mut Vec<Problem>) {
    let data_dir = &config.gateway.data_dir;
    let (found, help) = match owner::as_owner_of(data_dir, || Ok(store::spooled(data_dir))) {
        Ok(Ok(Some(left))) if left.requests > 0 => (
            format!("{left} wait in the spool in data_dir for the database"),
            match config.store {
                StoreKind::Postgres(_) => {
                    "the gateway hands them over while it runs, and first of all at its next start"
                }
                StoreKind::Embedded => {
                    "name the database in [store] again, and start the gateway: it hands them over. Without it they are not \
                     delivered"
                }
            },
        ),
        Ok(Ok(_)) => return,
        Ok(Err(error)) => (
            format!("the spool in data_dir cannot be used: {error}"),
            "until it can, requests are refused while the database is away",
        ),
        Err(_) => (
            "the spool in data_dir cannot be looked at by this user".to_owned(),
            "run the check as the user that the gateway runs as",
        ),
    };
    warnings.push(Problem {
        file: config.path.clone(),
        position: None,
        found,
        help: help.to_owned(),
    });
}

/// Looks at the database, and adds what it finds. Returns it in words.
pub fn look(
    config: &Config,
    errors: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Option<String> {
    let problem = |found: String, help: &str| Problem {
        file: config.path.clone(),
        position: None,
        found,
        help: help.to_owned(),
    };
    let examined = Location::of(config).and_then(|location| match location {
        Location::Folder(_) => Ok(None),
        Location::Postgres(shared) => Ok(Some((store::examine(&shared)?, shared))),
    });
    let ((server, neighbours), shared) = match examined {
        Ok(found) => found?,
        // It may only be reached from where the gateway runs.
        Err(StoreError::Away(why)) => {
            let found = format!("the database of [store] does not answer here: {why}");
            warnings.push(problem(found, "run the check where the gateway runs"));
            return None;
        }
        Err(error) => {
            errors.push(problem(
                error.to_string(),
                "see [store] and the database's configuration",
            ));
            return None;
        }
    };
    for warning in server.warnings {
        warnings.push(problem(
            warning,
            "see [store] and the database's configuration",
        ));
    }
    for one in &neighbours {
        if one.state != NodeState::Stopped && one.configuration != shared.configuration {
            let name = &one.name;
            warnings.push(problem(
                format!("gateway {name} shares the database, and has other sources, destinations or mutes"),
                "give all gateways the same: the one that delivers knows its own alone",
            ));
        }
    }
    let durable = match server.waits_for_standby {
        true => "a commit waits for a standby",
        false => "no commit waits for a standby",
    };
    let others: Vec<String> = neighbours
        .iter()
        .map(|one| {
            let state = match one.state {
                NodeState::Running => String::new(),
                state => format!(", {}", state.as_str()),
            };
            format!("{} ({}{state})", one.name, one.version)
        })
        .collect();
    let others = match others.is_empty() {
        true => "no other gateway".to_owned(),
        false => others.join(", "),
    };
    Some(format!(
        "Keeps requests and alerts as {} in the {}, PostgreSQL {}; {durable}. Shared with: {others}.",
        shared.node,
        shared.address.shown(),
        server.release,
    ))
}

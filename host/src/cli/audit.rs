//! `audit`: the actions of operators, from the command line and the admin listener; and the entries
//! that commands make.

use std::io::Write;
use std::sync::LazyLock;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Failure, Outcome, Place, block_on, owner, plain, remote};
use crate::store::{Entry, History};

/// The arguments of `audit`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alert-gateway audit
  alert-gateway audit --limit 1000 --json | jq -r 'select(.action == \"dismiss\")'")]
pub struct Audit {
    #[command(flatten)]
    place: Place,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// One JSON object a line, with times in Unix milliseconds
    #[arg(long)]
    json: bool,
}

/// Prints the newest actions, newest first.
pub fn audit(what: &Audit) -> Outcome {
    let (entries, is_cut) = entries(what)?;
    let mut out = std::io::stdout().lock();
    if entries.is_empty() && !what.json {
        writeln!(out, "no actions")?;
    }
    let zone = TimeZone::system();
    for entry in &entries {
        if what.json {
            writeln!(out, "{}", plain::json(&serde_json::to_string(entry)?))?;
        } else {
            writeln!(out, "{}", shown(entry, &zone))?;
        }
    }
    if is_cut {
        out.flush()?;
        eprintln!(
            "there are more: these are the newest {}; see --limit",
            what.limit
        );
    }
    Ok(())
}

/// Returns the newest actions, and whether there are more.
fn entries(what: &Audit) -> Result<(Vec<Entry>, bool), Failure> {
    if let Some(client) = what.place.remote()? {
        return block_on(remote::rows(&client, "audit", &[], what.limit, |_| true));
    }
    let store = what.place.file.store()?;
    owner::become_owner(store.folder())?;
    let history = History::open(&store)?;
    // One more, to know whether there are more.
    let entries = history.audit(None, what.limit.saturating_add(1))?;
    let is_cut = entries.len() > what.limit;
    let entries = entries.into_iter().take(what.limit);
    Ok((entries.map(|(_, entry)| entry).collect(), is_cut))
}

/// Returns an action as one line, with the reason last.
fn shown(entry: &Entry, zone: &TimeZone) -> String {
    let at = match Timestamp::from_millisecond(entry.at_ms) {
        Ok(at) => at
            .to_zoned_datetime(zone.clone())
            .strftime("%Y-%m-%d %H:%M:%S %Z")
            .to_string(),
        Err(_) => entry.at_ms.to_string(),
    };
    let mut line = format!(
        "{at}  {} ({})  {}  {}",
        entry.who, entry.origin, entry.action, entry.about
    );
    if let Some(why) = &entry.why {
        line += &format!("  why: {why}");
    }
    plain::line(&line)
}

/// Returns the entry of an action at the command line.
pub fn entry(action: &str, about: String, why: Option<String>, at_ms: i64) -> Entry {
    Entry {
        at_ms,
        who: user(),
        origin: "command line".to_owned(),
        action: action.to_owned(),
        about,
        why,
    }
}

/// Returns the user of this machine, behind sudo as well. It is found out once, and first before root
/// gives its privileges up.
pub fn user() -> String {
    static USER: LazyLock<String> = LazyLock::new(|| {
        let named = |name| std::env::var(name).ok().filter(|user| !user.is_empty());
        named("SUDO_USER")
            .or_else(|| named("USER"))
            .unwrap_or_else(|| {
                let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
                of_number(&users, rustix::process::getuid().as_raw())
            })
    });
    USER.clone()
}

/// Returns the name of a user in the lines of `/etc/passwd`, or else its number.
fn of_number(users: &str, number: u32) -> String {
    let number = number.to_string();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("user {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nameless_environment_leaves_the_name_of_the_system() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(of_number(users, 0), "root");
        assert_eq!(of_number(users, 1000), "ada");
        assert_eq!(of_number(users, 4711), "user 4711");
    }

    #[test]
    fn an_action_is_one_line_that_a_terminal_can_show() {
        let entry = Entry {
            at_ms: 1_769_846_400_000,
            who: "ada".to_owned(),
            origin: "192.0.2.7".to_owned(),
            action: "dismiss".to_owned(),
            about: "dead of twilio".to_owned(),
            why: Some("known\n\u{1b}[31mred".to_owned()),
        };
        let line = shown(&entry, &TimeZone::UTC);
        assert!(
            line.starts_with(
                "2026-01-31 08:00:00 UTC  ada (192.0.2.7)  dismiss  dead of twilio  why: known"
            ),
            "{line}"
        );
        assert!(!line.contains(['\n', '\u{1b}']), "{line:?}");
    }
}

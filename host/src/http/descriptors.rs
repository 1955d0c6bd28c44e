//! File descriptors: each connection takes one, and the system gives a process only so many.
//!
//! Without one left, neither the store nor a delivery could open anything, so senders never get the
//! last.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The descriptors for the store, plugins, names, and everything else besides connections.
const FILES: usize = 64;

/// As many connections as are wanted, or as this process may have beside `others`. Asks the system
/// for as many as it grants: what a process begins with is less, for the sake of old programs.
pub fn connections_beside(others: usize, wanted: usize) -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    );
    let limit = if raised.is_ok() { maximum } else { current };
    let connections = within(limit, others, wanted);
    if connections < wanted {
        let needed = wanted + others + FILES;
        let help = format!(
            "write LimitNOFILE={needed} in the systemd unit, or whatever grants so many file descriptors; \
             or less memory in [gateway]"
        );
        tracing::warn!(
            limit,
            connections,
            wanted,
            help,
            "there are not enough file descriptors for all connections"
        );
    }
    connections
}

/// Returns how many of the wanted connections fit into the limit, and one at least.
fn within(limit: Option<u64>, others: usize, wanted: usize) -> usize {
    let limit = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    wanted.min(limit.saturating_sub(others + FILES)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        assert_eq!(within(None, 72, 1365), 1365);
        assert_eq!(within(Some(8192), 72, 1365), 1365);
        assert_eq!(within(Some(1024), 72, 1365), 1024 - 72 - FILES);
        assert_eq!(within(Some(72 + FILES as u64), 72, 1365), 1);
        assert_eq!(within(Some(10), 72, 1365), 1);
        assert_eq!(within(Some(u64::MAX), 72, 1365), 1365);
    }
}

//! Processes that are killed with all that they have started.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// Returns the process whose number stands in the first line of a file.
pub fn written_in(file: &Path) -> Option<Pid> {
    let text = fs::read_to_string(file).ok()?;
    Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
}

/// Kills a process and those that it has started.
pub fn kill_whole(main: Pid) {
    let parts = parts_of(main);
    kill_process(main, Signal::KILL).unwrap();
    for part in parts {
        // It may have ended with the one above it.
        let _ = kill_process(part, Signal::KILL);
    }
}

/// Returns the processes that this one has started.
fn parts_of(main: Pid) -> Vec<Pid> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let parts = all.filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // Behind the name, which may hold anything: the state, and the parent.
        let parent = stat.rsplit(')').next()?.split_whitespace().nth(1)?;
        (parent.parse() == Ok(main.as_raw_nonzero().get())).then(|| Pid::from_raw(pid))?
    });
    parts.collect()
}

//! The last binary of `cargo test --workspace`. It prints once more which tests were skipped for
//! want of a program, since their own binary said so some hundred lines before.
//! `tests/harness/programs.rs` writes what is read here.

use std::io;
use std::os::unix::process::parent_id;
use std::path::Path;

fn main() -> io::Result<()> {
    // Both binaries are started by the same cargo.
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("skipped-{}.txt", parent_id()));
    match std::fs::read_to_string(&path) {
        Ok(skipped) => {
            print!("\n{skipped}");
            std::fs::remove_file(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

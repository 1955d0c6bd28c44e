//! The alert gateway's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    alert_gateway::cli::main()
}

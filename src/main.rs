//! The `rosterd` binary: parse the command line, run, exit with the documented code.

use std::process::ExitCode;

use clap::Parser;
use rosterd::cli::Cli;
use rosterd::exit;

/// Requests wait for the network, and the database has a thread of its own: more threads than this would only hold
/// memory, on a large machine a lot of it.
const WORKER_THREADS: usize = 2;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { exit::USAGE } else { exit::OK };
            // Nothing can be done where even the help cannot be printed.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = match builder.worker_threads(WORKER_THREADS).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::from(exit::FAILURE);
        }
    };
    ExitCode::from(runtime.block_on(rosterd::app::run(cli)))
}

//! The `rosterd` binary: parse the command line, run, exit with the documented code.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use clap::Parser;
use rosterd::cli::{Cli, Command};
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
    if matches!(cli.command, Some(Command::Daemon)) {
        begin_again_with_a_thrifty_allocator();
    }
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

/// How glibc's malloc gives back what a run has freed: one arena, little kept at its end, larger pieces apart, and no
/// cache of each thread's own (mallopt(3)).
const THRIFTY: [(&str, &str); 5] = [
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_TRIM_THRESHOLD_", "16384"),
    ("MALLOC_MMAP_THRESHOLD_", "16384"),
    ("MALLOC_TOP_PAD_", "4096"),
    ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0"),
];

/// malloc reads its settings when a process begins, so the daemon, which stays for months and is idle for most of them,
/// begins once more with them: the same process, by exec. Whoever has set one of them is not overruled. Where the program
/// cannot be found any more it goes on as it is.
fn begin_again_with_a_thrifty_allocator() {
    if THRIFTY.iter().any(|(name, _)| env::var_os(name).is_some()) {
        return;
    }
    if let Ok(program) = env::current_exe() {
        // It comes back only where it failed, and nothing depends on it.
        let _ = std::process::Command::new(program).args(env::args_os().skip(1)).envs(THRIFTY).exec();
    }
}

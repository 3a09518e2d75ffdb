//! The composition root: the only place that knows everything. It reads the configuration, opens the state and
//! both sides, starts runs and hands their reports to a renderer.

use std::io::Write;
use std::path::Path;

use self::command_context::CommandContext;
use self::console::Console;

use crate::cli::{Cli, ColorName, Command, LogFormatName, SHORT_HELP};
use crate::config::{self, Config, Environment};
use crate::exit;
use crate::telemetry::log::{self, LogFormat};

mod backup;
mod caller;
mod check;
mod client;
mod command_context;
mod command_error;
mod console;
mod daemon;
#[cfg(feature = "sim")]
mod demo;
mod erase;
mod explain;
mod forget;
mod holds;
mod keep;
mod plans;
mod rebuild;
mod runs;
mod secrets;
mod signal;
mod state_owner;
mod status;
mod transfer;
mod undo;
mod verify;

/// Runs the program and gives its exit code.
pub async fn run(cli: Cli) -> u8 {
    set_colours(cli.global.color);
    install_log(&cli);
    match &cli.command {
        Some(Command::Init { source }) => print(config::init::starter((*source).into())),
        Some(Command::Completions { shell }) => completions(*shell),
        Some(Command::Man { into }) => man(into.as_deref()),
        #[cfg(feature = "sim")]
        Some(Command::Demo { keep }) => Box::pin(demo::run(*keep)).await,
        // On the heap: a command's future holds a whole run, which is nested too deep for one layout.
        Some(_) => Box::pin(command(&cli)).await,
        None if cli.reconcile_now || cli.dry_run => Box::pin(command(&cli)).await,
        None => {
            eprint!("{SHORT_HELP}");
            exit::USAGE
        }
    }
}

/// A command that needs a configuration: carried out by a running daemon where there is one and it matters.
async fn command(cli: &Cli) -> u8 {
    let config = match load(cli) {
        Ok(config) => config,
        Err(code) => return code,
    };
    if matches!(cli.command, Some(Command::Daemon)) {
        return daemon::run(cli, config).await;
    }
    if is_the_daemons(cli)
        && let Some(stream) = client::connect(&config).await
    {
        return client::ask(cli, &config, stream).await;
    }
    Box::pin(dispatch(&CommandContext { cli, config: &config, console: &Console::Here, daemon: None })).await
}

/// Whether a command reads fresh or writes: a daemon that holds the state does that.
fn is_the_daemons(cli: &Cli) -> bool {
    match &cli.command {
        None => true,
        Some(Command::Check { offline }) => !offline,
        Some(Command::Explain(options)) => !options.offline,
        Some(Command::History(options)) => options.erase.is_some(),
        Some(
            Command::Approve { .. }
            | Command::Reject { .. }
            | Command::Pause { .. }
            | Command::Resume
            | Command::Undo { .. }
            | Command::Keep { .. }
            | Command::Forget(_)
            | Command::Plan { .. }
            | Command::Apply { .. }
            | Command::Rebuild { .. }
            | Command::Transfer(_)
            | Command::Verify { .. },
        ) => true,
        Some(
            Command::Daemon
            | Command::Status
            | Command::Holds
            | Command::Backup { .. }
            | Command::Init { .. }
            | Command::Completions { .. }
            | Command::Man { .. },
        ) => false,
        #[cfg(feature = "sim")]
        Some(Command::Demo { .. }) => false,
    }
}

/// Carries a command out at its desk.
async fn dispatch(context: &CommandContext<'_>) -> u8 {
    let decides = matches!(
        context.cli.command,
        Some(
            Command::Approve { .. }
                | Command::Reject { .. }
                | Command::Pause { .. }
                | Command::Resume
                | Command::Keep { .. }
        )
    );
    if context.cli.dry_run && decides {
        let message =
            "--dry-run does not go with a decision\nhelp: `rosterd holds` shows what waits, without deciding";
        return context.console.report_error(message, exit::USAGE);
    }
    match &context.cli.command {
        None => Box::pin(runs::run(context)).await,
        Some(Command::Check { offline }) => check::run(context, *offline).await,
        Some(Command::Holds) => holds::list(context).await,
        Some(Command::Approve { id, yes, no_run }) => {
            Box::pin(holds::approve(context, id, *yes, *no_run)).await
        }
        Some(Command::Reject { id, yes }) => holds::reject(context, id, *yes).await,
        Some(Command::Undo { run, yes }) => Box::pin(undo::undo(context, *run, *yes)).await,
        Some(Command::Keep { who, length, reason }) => {
            keep::keep(context, who, *length, reason.as_deref()).await
        }
        Some(Command::Forget(options)) => forget::run(context, options).await,
        Some(Command::Pause { length }) => holds::pause(context, Some(*length)).await,
        Some(Command::Resume) => holds::pause(context, None).await,
        Some(Command::Status) => status::show(context).await,
        Some(Command::Explain(options)) => Box::pin(explain::run(context, options)).await,
        Some(Command::History(options)) => status::history(context, options).await,
        Some(Command::Verify { repair, all }) => Box::pin(verify::run(context, *repair, *all)).await,
        Some(Command::Plan { out }) => plans::plan(context, out).await,
        Some(Command::Apply { file }) => plans::apply(context, file).await,
        Some(Command::Rebuild { yes }) => rebuild::run(context, *yes).await,
        Some(Command::Transfer(options)) => transfer::run(context, options).await,
        Some(Command::Backup { file, force }) => backup::run(context, file, *force).await,
        Some(Command::Daemon | Command::Init { .. } | Command::Completions { .. } | Command::Man { .. }) => {
            exit::USAGE
        }
        #[cfg(feature = "sim")]
        Some(Command::Demo { .. }) => exit::USAGE,
    }
}

fn load(cli: &Cli) -> Result<Config, u8> {
    config::load(&cli.global.config, &Environment::process()).map_err(|errors| {
        let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
        anstream::eprintln!("{}", errors.render(colour));
        exit::CONFIG
    })
}

fn set_colours(color: ColorName) {
    let choice = match color {
        ColorName::Auto => anstream::ColorChoice::Auto,
        ColorName::Always => anstream::ColorChoice::Always,
        ColorName::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}

fn install_log(cli: &Cli) {
    use tracing_subscriber::filter::LevelFilter;
    let terminal = log::stderr_is_terminal();
    // On a terminal the report and the progress bars tell; elsewhere the log is all there is.
    let level = match (cli.global.quiet, cli.global.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) if terminal => LevelFilter::WARN,
        (false, 0) => LevelFilter::INFO,
        (false, 1) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    let format = match cli.global.log_format {
        LogFormatName::Auto if log::stderr_is_the_journal() => LogFormat::Journald,
        LogFormatName::Auto | LogFormatName::Text => LogFormat::Text,
        LogFormatName::Journald => LogFormat::Journald,
        LogFormatName::Json => LogFormat::Json,
    };
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    log::install(format, level, colour);
}

fn print(text: &str) -> u8 {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => exit::OK,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => exit::OK,
        Err(_) => exit::FAILURE,
    }
}

fn completions(shell: clap_complete::Shell) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::cli::definition(), "rosterd", &mut script);
    print(&String::from_utf8_lossy(&script))
}

fn man(into: Option<&Path>) -> u8 {
    let mut page = Vec::new();
    let made = match into {
        Some(directory) => clap_mangen::generate_to(crate::cli::definition(), directory),
        None => {
            let mut definition = crate::cli::definition();
            definition.build();
            clap_mangen::Man::new(definition).render(&mut page)
        }
    };
    match made {
        Ok(()) => print(&String::from_utf8_lossy(&page)),
        Err(error) => {
            let place =
                into.map_or("standard output".to_owned(), |directory| directory.display().to_string());
            let help = "help: name a directory that exists and that this user may write to";
            let message = format!("cannot write the manual to {place}: {error}\n{help}");
            console::say_here(&format!("error: {message}"));
            exit::FAILURE
        }
    }
}

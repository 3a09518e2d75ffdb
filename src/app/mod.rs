//! The composition root: the only place that knows everything. It reads the configuration, opens the state and
//! both sides, starts runs and hands their reports to a renderer.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crate::cli::{Cli, ColorName, Command, LogFormatName, SHORT_HELP};
use crate::config::{self, Config, Environment};
use crate::exit;
use crate::report::{self, Format, SyncReport};
use crate::source::ResolveSecret;
use crate::telemetry::log::{self, LogFormat};

mod check;
#[cfg(feature = "sim")]
mod demo;
mod holds;
mod plans;
mod runs;
mod signal;
mod status;

/// Runs the program and gives its exit code.
pub async fn run(cli: Cli) -> u8 {
    set_colours(cli.global.color);
    install_log(&cli);
    match &cli.command {
        Some(Command::Init { source }) => print(config::init::starter((*source).into())),
        Some(Command::Completions { shell }) => completions(*shell),
        Some(Command::Man) => man(),
        #[cfg(feature = "sim")]
        Some(Command::Demo { keep }) => demo::run(*keep).await,
        Some(command) => match load(&cli) {
            Ok(config) => obey(&cli, &config, command).await,
            Err(code) => code,
        },
        None if cli.reconcile_now || cli.dry_run => match load(&cli) {
            Ok(config) => runs::run(&cli, &config).await,
            Err(code) => code,
        },
        None => {
            eprint!("{SHORT_HELP}");
            exit::USAGE
        }
    }
}

/// The commands that need a configuration.
async fn obey(cli: &Cli, config: &Config, command: &Command) -> u8 {
    match command {
        Command::Check { offline } => check::run(cli, config, *offline).await,
        Command::Holds => holds::list(config).await,
        Command::Approve { id, yes, no_run } => holds::approve(cli, config, id, *yes, *no_run).await,
        Command::Reject { id } => holds::reject(cli, config, id).await,
        Command::Pause { length } => holds::pause(cli, config, Some(*length)).await,
        Command::Resume => holds::pause(cli, config, None).await,
        Command::Status => status::show(cli, config).await,
        Command::History(options) => status::history(cli, config, options).await,
        Command::Plan { out } => plans::plan(cli, config, out).await,
        Command::Apply { file } => plans::apply(cli, config, file).await,
        Command::Init { .. } | Command::Completions { .. } | Command::Man => exit::USAGE,
        #[cfg(feature = "sim")]
        Command::Demo { .. } => exit::USAGE,
    }
}

fn load(cli: &Cli) -> Result<Config, u8> {
    config::load(&cli.global.config, &Environment::process()).map_err(|errors| {
        let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
        anstream::eprintln!("{}", errors.render(colour));
        exit::CONFIG
    })
}

/// The syncs that `--sync` chose; the error is for people.
fn chosen<'a>(cli: &Cli, config: &'a Config) -> Result<Vec<&'a config::Sync>, String> {
    let names = || config.syncs.iter().map(|sync| sync.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(unknown) =
        cli.run.sync.iter().find(|name| !config.syncs.iter().any(|sync| sync.name == **name))
    {
        let unknown = report::visible(unknown);
        return Err(format!("there is no sync \"{unknown}\"\nhelp: the configuration has {}", names()));
    }
    let wanted = |sync: &&config::Sync| cli.run.sync.is_empty() || cli.run.sync.contains(&sync.name);
    Ok(config.syncs.iter().filter(wanted).collect())
}

/// How secrets are read, whenever one is needed.
fn secrets() -> ResolveSecret {
    Arc::new(|reference| reference.resolve(&Environment::process()).map_err(|error| error.to_string()))
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
        LogFormatName::Auto | LogFormatName::Text => LogFormat::Text,
        LogFormatName::Json => LogFormat::Json,
    };
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    log::install(format, level, colour);
}

/// Writes a report to stdout, or atomically to a file.
fn deliver(format: Format, output: Option<&Path>, reports: &mut [SyncReport]) -> Result<(), String> {
    match output {
        None => {
            // Reports come in small pieces; a plan of thousands would be tens of thousands of writes.
            let mut out = std::io::BufWriter::new(anstream::stdout().lock());
            let written = report::write(format, reports, &mut out).and_then(|()| out.flush());
            written.or_else(|error| match error.kind() {
                // `| head` is not an error.
                std::io::ErrorKind::BrokenPipe => Ok(()),
                _ => Err(format!("cannot write the report to stdout: {error}")),
            })
        }
        Some(path) => {
            let failed = |error: &dyn std::fmt::Display| {
                format!(
                    "cannot write the report to {}: {error}\nhelp: check the directory and its rights",
                    path.display()
                )
            };
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let file = tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))
                .map_err(|error| failed(&error))?;
            let twin = file.reopen().map_err(|error| failed(&error))?;
            let boxed: Box<dyn Write + Send> = Box::new(std::io::BufWriter::new(twin));
            let mut plain = anstream::StripStream::new(boxed);
            report::write(format, reports, &mut plain)
                .and_then(|()| plain.flush())
                .map_err(|error| failed(&error))?;
            drop(plain);
            file.as_file().sync_all().map_err(|error| failed(&error))?;
            file.persist(path).map_err(|error| failed(&error.error))?;
            for report in reports {
                eprintln!("{}", report::summary_line(&report.facts));
            }
            Ok(())
        }
    }
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

fn man() -> u8 {
    let mut page = Vec::new();
    match clap_mangen::Man::new(crate::cli::definition()).render(&mut page) {
        Ok(()) => print(&String::from_utf8_lossy(&page)),
        Err(error) => {
            eprintln!("cannot make the manual page: {error}");
            exit::FAILURE
        }
    }
}

//! `rosterd daemon`: the service itself, and what its clients ask of it.

use std::sync::Arc;

use clap::Parser;

use super::command_context::{CommandContext, open_complaint};
use super::command_error::state_complaint;
use super::console::Console;
use super::runs;
use super::secrets::secrets;
use crate::cli::{Cli, Command};
use crate::config::Config;
use crate::daemon::control::Client;
use crate::daemon::control::wire::VERSION;
use crate::daemon::{self, DaemonError, Handle, Service};
use crate::exit;

/// Runs the service until a signal.
pub(super) async fn run(cli: &Cli, config: Config) -> u8 {
    let console = Console::Here;
    let context = CommandContext { cli, config: &config, console: &console, daemon: None };
    let syncs: Vec<_> = config.syncs.iter().collect();
    if let Some(message) = runs::unreadable_secrets(&syncs) {
        return console.report_error(&message, exit::CONFIG);
    }
    let store = match context.write().await {
        Ok(super::command_context::Writing::Own(store)) => store,
        Ok(super::command_context::Writing::Shared(_)) => return exit::FAILURE,
        Err(error) => return context.report_error(error),
    };
    let serve = Arc::new(|handle: Handle, client: Arc<Client>| {
        let serving: futures_util::future::BoxFuture<'static, u8> = Box::pin(serve(handle, client));
        serving
    });
    let service = Service { config: config.clone(), store, secrets: secrets(), serve };
    match daemon::run(service).await {
        Ok(()) => exit::OK,
        Err(DaemonError::Open(error)) => context.report_error(open_complaint(error)),
        Err(DaemonError::Store(error)) => context.report_error(state_complaint(error)),
        Err(DaemonError::Machine(message)) => console.report_error(&message, exit::FAILURE),
    }
}

/// Carries out what a client asks for, with its own command line and the daemon's state.
async fn serve(handle: Handle, client: Arc<Client>) -> u8 {
    let console = Console::Afar(client.clone());
    let request = &client.request;
    if request.version != VERSION {
        let text = format!(
            "the daemon speaks {VERSION}, this command {}\nhelp: restart the daemon, so that both are of one version",
            request.version
        );
        return console.report_error(&text, exit::BUSY);
    }
    let loaded = handle.loaded();
    if request.config != loaded.config.digest {
        let text = "the daemon runs another configuration than the file says now\nhelp: reload first: `systemctl reload \
                    rosterd`, or send it SIGHUP";
        return console.report_error(text, exit::CONFIG);
    }
    let words = std::iter::once("rosterd".to_owned()).chain(request.arguments.iter().cloned());
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => return console.report_error(&error.to_string(), exit::USAGE),
    };
    tracing::info!(by = console.who(), command = to_be_logged(&cli, &request.arguments), "a client asks");
    let context =
        CommandContext { cli: &cli, config: &loaded.config, console: &console, daemon: Some(&handle) };
    super::dispatch(&context).await
}

/// The command as the log shows it. Whom an erasure is about is not put on record again.
fn to_be_logged(cli: &Cli, arguments: &[String]) -> String {
    match &cli.command {
        Some(Command::History(options)) if options.erase.is_some() => "history --erase (erased)".to_owned(),
        Some(_) | None => arguments.join(" "),
    }
}

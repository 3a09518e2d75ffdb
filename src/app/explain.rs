//! `explain`: why one person has the account they have, or none. Both sides are asked, or with `--offline` nobody; nothing
//! is written anywhere.

use tokio::sync::watch;

use super::command_context::CommandContext;
use super::command_error::{CommandError, state_complaint};
use super::runs::unreadable_secrets;
use crate::cli::{ExplainOptions, ListFormat};
use crate::config;
use crate::engine::error::RunError;
use crate::exit;
use crate::http::pacer::Pacers;
use crate::model::explain::{Explanation, SyncExplained};
use crate::model::report::RunResult;
use crate::model::time::Millis;
use crate::operations::explain;
use crate::operations::explain::OfflineError;
use crate::report;

/// What could be explained, and what stood in the way elsewhere.
type Explained = (Vec<SyncExplained>, Vec<CommandError>);

/// `rosterd explain WHO`: exit 0 where somebody of that name is known, else 1.
pub(super) async fn run(context: &CommandContext<'_>, options: &ExplainOptions) -> u8 {
    match explained(context, options).await {
        Ok(code) => code,
        Err(error) => context.report_error(error),
    }
}

async fn explained(context: &CommandContext<'_>, options: &ExplainOptions) -> Result<u8, CommandError> {
    let format = context.list_format()?;
    let who = options.who.trim();
    if who.is_empty() {
        let help = "help: give a login, an e-mail address, a source id or an account id";
        return Err((format!("nobody is asked for\n{help}"), exit::USAGE));
    }
    let syncs = context.chosen()?;
    let (parts, errors) = if options.offline {
        (offline(context, &syncs, who).await?, Vec::new())
    } else {
        fresh(context, &syncs, who, options.raw).await?
    };
    let mut codes: Vec<u8> = Vec::new();
    for error in errors {
        codes.push(context.report_error(error));
    }
    if !parts.is_empty() {
        let explanation = Explanation::new(who, Millis::now(), parts);
        context
            .console
            .hand_out(format.into(), context.cli.run.output.as_deref(), &[], |out| match format {
                ListFormat::Text => report::write_explanation(&explanation, out),
                ListFormat::Json => report::write_explanation_json(&explanation, out),
            })
            .await
            .map_err(|message| (message, exit::FAILURE))?;
        // Where one side did not answer, it cannot be said that nobody knows.
        if !explanation.known && codes.is_empty() {
            codes.push(exit::FAILURE);
        }
    }
    Ok(exit::combine(codes))
}

async fn offline(
    context: &CommandContext<'_>,
    syncs: &[&config::Sync],
    who: &str,
) -> Result<Vec<SyncExplained>, CommandError> {
    let snapshot = context.read().await?;
    let now = Millis::now();
    let mut parts = Vec::new();
    for sync in syncs {
        let part = explain::offline(sync, &snapshot, who, now).await.map_err(|error| match error {
            OfflineError::Store(error) => state_complaint(error),
            OfflineError::Mapping(error) => (format!("sync \"{}\": {error}", sync.name), exit::CONFIG),
        })?;
        parts.push(part);
    }
    Ok(parts)
}

async fn fresh(
    context: &CommandContext<'_>,
    syncs: &[&config::Sync],
    who: &str,
    raw: bool,
) -> Result<Explained, CommandError> {
    if let Some(message) = unreadable_secrets(syncs) {
        return Err((message, exit::CONFIG));
    }
    // Nothing is half done where it is broken off, so a signal may simply end it.
    let (_running, not_interrupted) = watch::channel(false);
    let interrupted = context.daemon.map_or(not_interrupted, |daemon| daemon.stop());
    let snapshot = context.read().await?;
    let pacers = Pacers::new();
    let (mut parts, mut errors) = (Vec::new(), Vec::new());
    for sync in syncs {
        let session = context.session(sync, &pacers, &snapshot).await?;
        match crate::operations::explain::fresh(&session, who, raw, &snapshot, interrupted.clone()).await {
            Ok(part) => parts.push(part),
            Err(error) => errors.push(error_of(sync, &error)),
        }
    }
    Ok((parts, errors))
}

/// A side that does not answer; what is stored can still be told.
fn error_of(sync: &config::Sync, error: &RunError) -> CommandError {
    let code = match error.result() {
        RunResult::SourceIncomplete | RunResult::SourceUnavailable => exit::SOURCE,
        RunResult::TargetUnavailable => exit::TARGET,
        RunResult::Error if matches!(error, RunError::Binding(_)) => exit::CONFIG,
        RunResult::Ok | RunResult::Partial | RunResult::Held | RunResult::Interrupted | RunResult::Error => {
            exit::FAILURE
        }
    };
    let help = match code {
        exit::SOURCE | exit::TARGET => {
            "\nhelp: `rosterd explain WHO --offline` tells what is stored, without asking"
        }
        _ => "",
    };
    (format!("sync \"{}\": {error}{help}", sync.name), code)
}

//! `status` and `history`: what the state tells. Both only read it, beside whoever writes there.

use std::io::{self, Write};

use super::command_context::CommandContext;
use super::command_error::{CommandError, state_complaint};
use super::console::{to_file, to_stdout};
use super::erase;
use crate::cli::{HistoryOptions, ListFormat};
use crate::core::status::status;
use crate::exit;
use crate::model::status::Status;
use crate::model::time::Millis;
use crate::report::{self, History};
use crate::store::Past;

/// `rosterd status`: exit 1 where a removal waits although nobody wants it to, a sync is in quarantine, or its firings
/// were missed; else 0.
pub(super) async fn show(context: &CommandContext<'_>) -> u8 {
    let format = match context.cli.run.format.of_list() {
        Ok(format) => format,
        Err(message) => return context.report_error((message, exit::USAGE)),
    };
    match gathered(context).await {
        Ok(status) => {
            let written = write_out(context, format, |out| match format {
                ListFormat::Text => report::write_status(&status, out),
                ListFormat::Json => report::write_status_json(&status, out),
            });
            match written {
                Ok(()) if status.healthy => exit::OK,
                Ok(()) => exit::FAILURE,
                Err(message) => context.report_error((message, exit::FAILURE)),
            }
        }
        Err(error) => context.report_error(error),
    }
}

async fn gathered(context: &CommandContext<'_>) -> Result<Status, CommandError> {
    let syncs = context.chosen()?;
    let snapshot = context.read().await?;
    let now = Millis::now();
    let names = syncs.iter().map(|sync| sync.name.clone()).collect();
    let recorded = snapshot.recorded(names, now).await.map_err(state_complaint)?;
    // Whoever asks for one sync is told of that one.
    let unconfigured = match context.cli.run.sync.is_empty() {
        true => snapshot
            .unconfigured(context.config.syncs.iter().map(|sync| sync.name.clone()).collect())
            .await
            .map_err(state_complaint)?,
        false => Vec::new(),
    };
    Ok(status(syncs.into_iter().zip(recorded), unconfigured, now))
}

/// `rosterd history`.
pub(super) async fn history(context: &CommandContext<'_>, options: &HistoryOptions) -> u8 {
    let told = match (&options.erase, options.run) {
        (Some(who), _) => erase::erase(context, who, options.yes).await,
        (None, Some(run)) => again(context, run).await,
        (None, None) if options.verify => return verified(context).await,
        (None, None) => past(context, options).await,
    };
    match told {
        Ok(()) => exit::OK,
        Err(error) => context.report_error(error),
    }
}

/// Looks at the whole journal: exit 0 where it fits, else 1.
async fn verified(context: &CommandContext<'_>) -> u8 {
    match audited(context).await {
        Ok(true) => exit::OK,
        Ok(false) => exit::FAILURE,
        Err(error) => context.report_error(error),
    }
}

async fn audited(context: &CommandContext<'_>) -> Result<bool, CommandError> {
    let format = context.list_format()?;
    let snapshot = context.read().await?;
    let chain = snapshot.audit().await.map_err(state_complaint)?;
    let intact = chain.intact;
    let history = History::Chain { chain };
    write_out(context, format, |out| match format {
        ListFormat::Text if !snapshot.exists() => writeln!(out, "no run yet: there is no state"),
        ListFormat::Text => report::write_history(&history, out),
        ListFormat::Json => report::write_history_json(&history, Millis::now(), out),
    })
    .map_err(|message| (message, exit::FAILURE))?;
    Ok(intact)
}

async fn again(context: &CommandContext<'_>, number: i64) -> Result<(), CommandError> {
    let snapshot = context.read().await?;
    let Some(run) = snapshot.run_again(number).await.map_err(state_complaint)? else {
        let message = format!("there is no run {number} on record\nhelp: `rosterd history` lists the runs");
        return Err((message, exit::USAGE));
    };
    context
        .console
        .deliver(context.cli.run.format, context.cli.run.output.as_deref(), &mut [report::again(run)])
        .await
        .map_err(|message| (message, exit::FAILURE))
}

async fn past(context: &CommandContext<'_>, options: &HistoryOptions) -> Result<(), CommandError> {
    let format = context.cli.run.format.of_list().map_err(|message| (message, exit::USAGE))?;
    // A sync that is not configured any more has a history too, so the names are taken as they are.
    let past = Past {
        syncs: context.cli.run.sync.clone(),
        since: options.since,
        failed: options.failed,
        limit: options.limit,
    };
    let snapshot = context.read().await?;
    let history = match &options.user {
        Some(user) => History::Attempts {
            user: user.clone(),
            events: snapshot.events(Some(user), past.clone()).await.map_err(state_complaint)?,
            attempts: snapshot.attempts(user, past).await.map_err(state_complaint)?,
        },
        None => {
            let (runs, events) = snapshot.runs_and_events(past).await.map_err(state_complaint)?;
            History::Runs { runs, events }
        }
    };
    write_out(context, format, |out| match format {
        ListFormat::Text if !snapshot.exists() => writeln!(out, "no run yet: there is no state"),
        ListFormat::Text => report::write_history(&history, out),
        ListFormat::Json => report::write_history_json(&history, Millis::now(), out),
    })
    .map_err(|message| (message, exit::FAILURE))
}

/// Writes to stdout, or atomically to the file of `--output`. A reader that has seen enough is no error.
fn write_out(
    context: &CommandContext<'_>,
    format: ListFormat,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), String> {
    if let Some(path) = &context.cli.run.output {
        return to_file("the report", path, write);
    }
    to_stdout(format.into(), write)
}

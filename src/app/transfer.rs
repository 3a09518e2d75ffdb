//! `rosterd transfer`: links are handed over to another sync, or to a source that moved.

use super::command_context::{CommandContext, Reading};
use super::command_error::{CommandError, state_complaint};
use super::rebuild::{alone, run_complaint};
use super::runs;
use crate::cli::{ListFormat, TransferOptions};
use crate::config;
use crate::engine::session::SyncSession;
use crate::exit;
use crate::http::pacer::Pacers;
use crate::model::history::EventKind;
use crate::model::report::Mode;
use crate::model::time::Millis;
use crate::operations::transfer::{Transfer, TransferError, TransferRequest, carry_out, plan_transfer};
use crate::report::{TransferReport, visible, write_transfer, write_transfer_json};
use crate::store::{NewEvent, Snapshot, counted};

/// `rosterd transfer`.
pub(super) async fn run(context: &CommandContext<'_>, options: &TransferOptions) -> u8 {
    transfer(context, options).await.unwrap_or_else(|error| context.report_error(error))
}

async fn transfer(context: &CommandContext<'_>, options: &TransferOptions) -> Result<u8, CommandError> {
    context.list_format()?;
    let _alone = alone()?;
    let to = taker(context, options)?;
    if let Some(message) = runs::unreadable_secrets(&[to]) {
        return Err((message, exit::CONFIG));
    }
    let pacers = Pacers::new();
    if context.cli.dry_run {
        let snapshot: Reading = context.read().await?;
        let session = context.session(to, &pacers, &snapshot).await?;
        let progress = context.console.progress(context.cli.global.quiet);
        let request = request(options, &session, &snapshot, progress.as_ref());
        let found = plan_transfer(&request).await.map_err(|error| error_of(options, error))?;
        let pending = found.facts.handed_over > 0;
        deliver(context, found).await?;
        return Ok(if pending && context.cli.run.detailed_exitcode {
            exit::CHANGES_PENDING
        } else {
            exit::OK
        });
    }
    let store = context.write().await?;
    let session = context.session(to, &pacers, store.snapshot()).await?;
    let progress = context.console.progress(context.cli.global.quiet);
    let request = request(options, &session, store.snapshot(), progress.as_ref());
    let mut found = plan_transfer(&request).await.map_err(|error| error_of(options, error))?;
    let planned = found.facts.handed_over;
    if planned > 0 && !options.yes {
        let parked_as = found.parked_as.clone();
        let mut report = report(found);
        let mut text = Vec::new();
        write_transfer(&mut report, &mut text)
            .map_err(|error| (format!("cannot show the links: {error}"), exit::FAILURE))?;
        context.console.say(String::from_utf8_lossy(&text).trim_end());
        if !context.console.confirmed("Hand these links over?").await? {
            return Ok(context.console.report_error("nothing was handed over", exit::HELD));
        }
        let TransferReport { facts, links, left } = report;
        found = Transfer { facts, links, left, parked_as };
    }
    found.facts.mode = Mode::Apply;
    if planned > 0 {
        let done = carry_out(&request, &mut found, &store).await.map_err(|error| error_of(options, error))?;
        found.facts.handed_over = done;
        if done < planned {
            let note = format!("{} changed meanwhile and stay as they are", planned - done);
            found.facts.notes.push(note);
        }
        let by = context.console.who();
        tracing::info!(from = options.from, to = options.to, links = done, by, "handed over");
        let detail = Some(format!("from \"{}\" to \"{}\"", options.from, options.to));
        let (kind, sync, at) = (EventKind::Transfer, Some(options.to.clone()), Millis::now());
        let event = NewEvent { kind, sync, by, at, counts: counted([("links", done)]), detail };
        store.note_event(event).await.map_err(state_complaint)?;
    }
    drop(session);
    store.close().await?;
    deliver(context, found).await?;
    Ok(exit::OK)
}

/// The sync that takes, which has to be configured.
fn taker<'a>(
    context: &CommandContext<'a>,
    options: &TransferOptions,
) -> Result<&'a config::Sync, CommandError> {
    let config = context.config;
    config.syncs.iter().find(|sync| sync.name == options.to).ok_or_else(|| {
        let names: Vec<&str> = config.syncs.iter().map(|sync| sync.name.as_str()).collect();
        let text = format!(
            "there is no sync \"{}\"\nhelp: the configuration has {}",
            visible(&options.to),
            names.join(", ")
        );
        (text, exit::USAGE)
    })
}

fn request<'a>(
    options: &'a TransferOptions,
    session: &'a SyncSession,
    snapshot: &'a Snapshot,
    watcher: &'a dyn crate::model::run_event::RunWatcher,
) -> TransferRequest<'a, crate::scim::adapter::ScimTarget> {
    TransferRequest {
        from: &options.from,
        config: &session.config,
        mapping: &session.mapping,
        source: &session.source,
        target: &session.target,
        snapshot,
        who: &options.who,
        watcher,
    }
}

fn error_of(options: &TransferOptions, error: TransferError) -> CommandError {
    match error {
        TransferError::Unfit(text) => (text, exit::USAGE),
        TransferError::Busy(_) => (error.to_string(), exit::BUSY),
        TransferError::Run(error) => run_complaint(&options.to, error),
    }
}

fn report(found: Transfer) -> TransferReport {
    let Transfer { facts, links, left, parked_as: _ } = found;
    TransferReport { facts, links, left }
}

async fn deliver(context: &CommandContext<'_>, found: Transfer) -> Result<(), CommandError> {
    let mut report = report(found);
    let format = context.list_format()?;
    context
        .console
        .hand_out(format.into(), context.cli.run.output.as_deref(), &[], |out| match format {
            ListFormat::Text => write_transfer(&mut report, out),
            ListFormat::Json => write_transfer_json(&mut report, out),
        })
        .await
        .map_err(|message| (message, exit::FAILURE))
}

//! `rosterd verify`: what others changed in the workspace, told, and repaired where that is asked for.

use tokio::sync::watch;

use super::command_context::{CommandContext, Reading, Writing};
use super::command_error::{CommandError, state_complaint};
use super::runs::{interruption, unreadable_secrets, watcher};
use crate::config;
use crate::engine::run::RunRefusal;
use crate::exit;
use crate::http::pacer::Pacers;
use crate::model::report::{RunResult, Trigger};
use crate::operations::verify::FinishedVerification;
use crate::operations::verify::VerifyAccess;
use crate::operations::verify::spec::VerifySpec;
use crate::operations::verify::verify_session;
use crate::report::{
    Format, SyncReport, VerifyReport, verify_line, write_verify, write_verify_csv, write_verify_html,
    write_verify_json, write_verify_markdown,
};

/// The reports, and the exit codes.
type Ended = (Vec<VerifyReport>, Vec<u8>);

/// `rosterd verify`, and `--repair`.
pub(super) async fn run(context: &CommandContext<'_>, repair: bool, all: bool) -> u8 {
    match verify(context, repair, all).await {
        Ok(code) => code,
        Err(error) => context.report_error(error),
    }
}

async fn verify(context: &CommandContext<'_>, repair: bool, all: bool) -> Result<u8, CommandError> {
    let syncs = context.chosen()?;
    if let Some(message) = unreadable_secrets(&syncs) {
        return Err((message, exit::CONFIG));
    }
    let (signals, interrupted) = interruption(context)?;
    let asked = |sync: &config::Sync| VerifySpec {
        policies: if repair { sync.drift.repairing() } else { sync.drift.reporting() },
        all,
    };
    let (mut reports, codes) = if repair && !context.cli.dry_run {
        repairing(context, &syncs, &asked, &interrupted).await?
    } else {
        looking(context, &syncs, &asked, &interrupted).await?
    };
    let stopped = reports.iter().any(|report| report.facts.result == RunResult::Interrupted);
    let by_signal = signals.and_then(|signals| signals.exit_code()).filter(|_| stopped);
    let lines: Vec<String> = reports.iter().map(|report| verify_line(&report.facts)).collect();
    let (format, output) = (context.cli.run.format, context.cli.run.output.as_deref());
    let laid_out = context.console.laid_out(format, output);
    let written = context.console.hand_out(format.into(), output, &lines, |out| match laid_out {
        Format::Text(length) => write_verify(&mut reports, length, out),
        Format::Json => write_verify_json(&mut reports, out),
        Format::Markdown(_) => write_verify_markdown(&mut reports, out),
        Format::Csv => write_verify_csv(&mut reports, out),
        Format::Html => write_verify_html(&mut reports, out),
    });
    written.await.map_err(|message| (message, exit::FAILURE))?;
    Ok(by_signal.unwrap_or_else(|| exit::combine(codes)))
}

/// Without the right to write: anything that would be repaired is planned only.
async fn looking(
    context: &CommandContext<'_>,
    syncs: &[&config::Sync],
    asked: &(dyn Fn(&config::Sync) -> VerifySpec + Sync),
    interrupted: &watch::Receiver<bool>,
) -> Result<Ended, CommandError> {
    let snapshot: Reading = context.read().await?;
    let pacers = Pacers::new();
    let mut ended = (Vec::new(), Vec::new());
    for sync in syncs {
        let session = context.session(sync, &pacers, &snapshot).await?;
        let watcher = watcher(context, sync);
        let state = VerifyAccess::Reading(&snapshot);
        let interrupted = interrupted.clone();
        let verified =
            verify_session(&session, &asked(sync), Trigger::Manual, state, watcher.as_ref(), interrupted)
                .await;
        note(context, verified, &mut ended);
    }
    Ok(ended)
}

async fn repairing(
    context: &CommandContext<'_>,
    syncs: &[&config::Sync],
    asked: &(dyn Fn(&config::Sync) -> VerifySpec + Sync),
    interrupted: &watch::Receiver<bool>,
) -> Result<Ended, CommandError> {
    let store = context.write().await?;
    let pacers = Pacers::new();
    let mut ended = (Vec::new(), Vec::new());
    for sync in syncs {
        let watcher = watcher(context, sync);
        let verified = match (&store, context.daemon) {
            (Writing::Shared(_), Some(daemon)) => {
                daemon
                    .verify(&sync.name, asked(sync), context.console.progress(context.cli.global.quiet))
                    .await
            }
            (Writing::Own(_) | Writing::Shared(_), _) => {
                let session = context.session(sync, &pacers, store.snapshot()).await?;
                let (state, interrupted) = (VerifyAccess::Writing(&store), interrupted.clone());
                let (asked, watcher) = (asked(sync), watcher.as_ref());
                Some(verify_session(&session, &asked, Trigger::Manual, state, watcher, interrupted).await)
            }
        };
        let Some(verified) = verified else {
            let text = "the daemon ended before the verification did\nhelp: what was sent is recorded; `rosterd \
                        history` shows it";
            return Err((text.to_owned(), exit::FAILURE));
        };
        if let Some(run) = verified.repair.as_ref().and_then(|repair| repair.facts.run) {
            store.note_actor(run, &context.console.who()).await.map_err(state_complaint)?;
        }
        note(context, verified, &mut ended);
    }
    store.close().await?;
    Ok(ended)
}

fn note(context: &CommandContext<'_>, verified: FinishedVerification, (reports, codes): &mut Ended) {
    let FinishedVerification { facts, findings, repair, refusal } = verified;
    let code = match refusal {
        Some(RunRefusal::Binding) => exit::CONFIG,
        Some(RunRefusal::StalePlan) => exit::HELD,
        None => {
            let repair = repair.as_ref().map(|finished| &finished.facts);
            exit::of_verification(&facts, repair, context.cli.run.detailed_exitcode)
        }
    };
    codes.push(code);
    let repair = repair.map(|finished| SyncReport { facts: finished.facts, records: finished.records });
    reports.push(VerifyReport { facts, findings, repair });
}

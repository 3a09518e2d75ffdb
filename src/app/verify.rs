//! `rosterd verify`: what others changed in the workspace, told, and repaired where that is asked for.

use tokio::sync::watch;

use super::desk::{Desk, Reading, Writing};
use super::runs::{interruption, unreadable_secrets, watcher};
use super::{Complaint, state_complaint};
use crate::config;
use crate::exit;
use crate::http::pacer::Pacers;
use crate::model::report::{RunResult, Trigger};
use crate::reconcile::{Refused, State, Verification, Verified};
use crate::report::{
    Format, SyncReport, VerifyReport, verify_line, write_verify, write_verify_csv, write_verify_html,
    write_verify_json, write_verify_markdown,
};

/// The reports, and the exit codes.
type Ended = (Vec<VerifyReport>, Vec<u8>);

/// `rosterd verify`, and `--repair`.
pub(super) async fn run(desk: &Desk<'_>, repair: bool, all: bool) -> u8 {
    match verify(desk, repair, all).await {
        Ok(code) => code,
        Err(complaint) => desk.complain(complaint),
    }
}

async fn verify(desk: &Desk<'_>, repair: bool, all: bool) -> Result<u8, Complaint> {
    let syncs = desk.chosen()?;
    if let Some(message) = unreadable_secrets(&syncs) {
        return Err((message, exit::CONFIG));
    }
    let (signals, interrupted) = interruption(desk)?;
    let asked = |sync: &config::Sync| Verification {
        policies: if repair { sync.drift.repairing() } else { sync.drift.reporting() },
        all,
    };
    let (mut reports, codes) = if repair && !desk.cli.dry_run {
        repairing(desk, &syncs, &asked, &interrupted).await?
    } else {
        looking(desk, &syncs, &asked, &interrupted).await?
    };
    let stopped = reports.iter().any(|report| report.facts.result == RunResult::Interrupted);
    let by_signal = signals.and_then(|signals| signals.exit_code()).filter(|_| stopped);
    let lines: Vec<String> = reports.iter().map(|report| verify_line(&report.facts)).collect();
    let (format, output) = (desk.cli.run.format, desk.cli.run.output.as_deref());
    let laid_out = desk.console.laid_out(format, output);
    let written = desk.console.hand_out(format.into(), output, &lines, |out| match laid_out {
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
    desk: &Desk<'_>,
    syncs: &[&config::Sync],
    asked: &(dyn Fn(&config::Sync) -> Verification + Sync),
    interrupted: &watch::Receiver<bool>,
) -> Result<Ended, Complaint> {
    let snapshot: Reading = desk.read().await?;
    let pacers = Pacers::new();
    let mut ended = (Vec::new(), Vec::new());
    for sync in syncs {
        let sides = desk.sides(sync, &pacers, &snapshot).await?;
        let watcher = watcher(desk, sync);
        let state = State::Reading(&snapshot);
        let interrupted = interrupted.clone();
        let verified =
            sides.verify(&asked(sync), Trigger::Manual, state, watcher.as_ref(), interrupted).await;
        note(desk, verified, &mut ended);
    }
    Ok(ended)
}

async fn repairing(
    desk: &Desk<'_>,
    syncs: &[&config::Sync],
    asked: &(dyn Fn(&config::Sync) -> Verification + Sync),
    interrupted: &watch::Receiver<bool>,
) -> Result<Ended, Complaint> {
    let store = desk.write().await?;
    let pacers = Pacers::new();
    let mut ended = (Vec::new(), Vec::new());
    for sync in syncs {
        let watcher = watcher(desk, sync);
        let verified = match (&store, desk.daemon) {
            (Writing::Shared(_), Some(daemon)) => {
                daemon.verify(&sync.name, asked(sync), desk.console.progress(desk.cli.global.quiet)).await
            }
            (Writing::Own(_) | Writing::Shared(_), _) => {
                let sides = desk.sides(sync, &pacers, store.snapshot()).await?;
                let (state, interrupted) = (State::Writing(&store), interrupted.clone());
                let (asked, watcher) = (asked(sync), watcher.as_ref());
                Some(sides.verify(&asked, Trigger::Manual, state, watcher, interrupted).await)
            }
        };
        let Some(verified) = verified else {
            let text = "the daemon ended before the verification did\nhelp: what was sent is recorded; `rosterd \
                        history` shows it";
            return Err((text.to_owned(), exit::FAILURE));
        };
        if let Some(run) = verified.repair.as_ref().and_then(|repair| repair.facts.run) {
            store.note_actor(run, &desk.console.who()).await.map_err(state_complaint)?;
        }
        note(desk, verified, &mut ended);
    }
    store.close().await?;
    Ok(ended)
}

fn note(desk: &Desk<'_>, verified: Verified, (reports, codes): &mut Ended) {
    let Verified { facts, findings, repair, refused } = verified;
    let code = match refused {
        Some(Refused::Binding) => exit::CONFIG,
        Some(Refused::StalePlan) => exit::HELD,
        None => {
            let repair = repair.as_ref().map(|finished| &finished.facts);
            exit::of_verification(&facts, repair, desk.cli.run.detailed_exitcode)
        }
    };
    codes.push(code);
    let repair = repair.map(|finished| SyncReport { facts: finished.facts, records: finished.records });
    reports.push(VerifyReport { facts, findings, repair });
}

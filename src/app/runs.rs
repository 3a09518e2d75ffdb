//! `--reconcile-now` and `--dry-run`: one run per sync, one report, one exit code.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::command_context::{CommandContext, Writing};
use super::command_error::{CommandError, state_complaint};
use super::secrets::{secrets, secrets_of};
use super::signal::Signals;
use crate::config;
use crate::core::quarantine::Side;
use crate::daemon::Done;
use crate::engine::quarantine::put_off;
use crate::engine::retention::clear_up;
use crate::engine::run::{FinishedRun, RunRefusal};
use crate::engine::selection::Selection;
use crate::exit;
use crate::http::pacer::Pacers;
use crate::model::check::CheckLevel;
use crate::model::report::{ActionRecord, RunResult, Trigger};
use crate::model::run_event::RunWatcher;
use crate::model::time::Millis;
use crate::operations::run_task::RunSpec;
use crate::operations::run_task::{RunTask, dry_run, live_run};
use crate::report::{SyncReport, visible};
use crate::store::Store;
use crate::telemetry::log::LogWatcher;

/// What is to be run, beyond what the command line says of reports.
pub(super) struct RunBatch<'a> {
    /// The syncs.
    pub syncs: Vec<&'a config::Sync>,
    /// What it is for.
    pub task: RunTask,
    /// What started it.
    pub trigger: Trigger,
    /// Whether nothing may be written.
    pub dry: bool,
    /// A saved plan's actions, by sync.
    pub saved_plans: HashMap<String, Vec<ActionRecord>>,
}

impl RunBatch<'_> {
    fn of(&self, context: &CommandContext<'_>, sync: &config::Sync) -> RunSpec {
        let unattended = context.cli.run.unattended;
        RunSpec {
            task: self.task.clone(),
            trigger: self.trigger,
            unattended,
            actor: (!unattended && !self.dry).then(|| context.console.who()),
            saved_plan: self.saved_plans.get(&sync.name).cloned(),
        }
    }
}

/// The reports, and the exit codes.
type Ended = (Vec<SyncReport>, Vec<u8>);

/// `--reconcile-now` and `--dry-run`.
pub(super) async fn run(context: &CommandContext<'_>) -> u8 {
    let cli = context.cli;
    let syncs = match context.chosen() {
        Ok(syncs) => syncs,
        Err(error) => return context.report_error(error),
    };
    let everybody = cli.run.user.is_empty();
    let selection = if everybody { Selection::Everybody } else { Selection::Named(cli.run.user.clone()) };
    let task = RunTask::Reconcile(selection);
    let trigger = if cli.run.unattended { Trigger::Schedule } else { Trigger::Manual };
    carry_out(context, RunBatch { syncs, task, trigger, dry: cli.dry_run, saved_plans: HashMap::new() }).await
}

/// Carries orders out and delivers the report.
pub(super) async fn carry_out(context: &CommandContext<'_>, batch: RunBatch<'_>) -> u8 {
    carry_out_all(context, vec![batch]).await
}

/// Carries several orders out, one after the other, and delivers one report of all.
pub(super) async fn carry_out_all(context: &CommandContext<'_>, all: Vec<RunBatch<'_>>) -> u8 {
    let (mut reports, mut codes) = (Vec::new(), Vec::new());
    for batch in &all {
        match runs(context, batch).await {
            Ok((ended, code)) => {
                reports.extend(ended);
                codes.push(code);
            }
            Err(error) => return context.report_error(error),
        }
    }
    let code = exit::combine(codes);
    let options = &context.cli.run;
    match context.console.deliver(options.format, options.output.as_deref(), &mut reports).await {
        Ok(()) => code,
        Err(message) => context.report_error((message, exit::FAILURE)),
    }
}

/// Carries orders out: the reports, and the exit code.
pub(super) async fn runs(
    context: &CommandContext<'_>,
    batch: &RunBatch<'_>,
) -> Result<(Vec<SyncReport>, u8), CommandError> {
    if let Some(message) = unreadable_secrets(&batch.syncs) {
        return Err((message, exit::CONFIG));
    }
    let (signals, interrupted) = interruption(context)?;
    let (reports, codes) = if batch.dry {
        dry(context, batch, &interrupted).await?
    } else {
        real(context, batch, &interrupted).await?
    };
    let stopped = reports.iter().any(|report| report.facts.result == RunResult::Interrupted);
    let by_signal = signals.and_then(|signals| signals.exit_code()).filter(|_| stopped);
    Ok((reports, by_signal.unwrap_or_else(|| exit::combine(codes))))
}

/// What asks a run to stop: the daemon's end, or a signal.
pub(super) fn interruption(
    context: &CommandContext<'_>,
) -> Result<(Option<Signals>, watch::Receiver<bool>), CommandError> {
    // The daemon listens for its own signals; a client's are the client's.
    let signals = match context.daemon {
        Some(_) => None,
        None => Some(
            Signals::listen()
                .map_err(|error| (format!("cannot listen for signals: {error}"), exit::FAILURE))?,
        ),
    };
    let interrupted = match (context.daemon, &signals) {
        (Some(daemon), _) => daemon.stop(),
        (None, Some(signals)) => signals.interrupted(),
        (None, None) => watch::channel(false).1,
    };
    Ok((signals, interrupted))
}

/// What is wrong with the secrets of these syncs, all at once. A secret that cannot be read is a mistake in the
/// configuration and no answer of the side that it is for.
pub(super) fn unreadable_secrets(syncs: &[&config::Sync]) -> Option<String> {
    let lines: Vec<String> = syncs
        .iter()
        .flat_map(|sync| secrets_of(sync).into_iter().map(move |line| (sync, line)))
        .filter(|(_, line)| line.level == CheckLevel::Fail)
        .map(|(sync, line)| {
            let help = line.help.map(|help| format!("\nhelp: {help}")).unwrap_or_default();
            format!("sync \"{}\": {}{help}", sync.name, line.detail)
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\nerror: "))
}

async fn dry(
    context: &CommandContext<'_>,
    batch: &RunBatch<'_>,
    interrupted: &watch::Receiver<bool>,
) -> Result<Ended, CommandError> {
    let snapshot = context.read_undamaged().await?;
    let pacers = Pacers::new();
    let mut ended = (Vec::new(), Vec::new());
    for sync in &batch.syncs {
        let session = context.session(sync, &pacers, &snapshot).await?;
        let spec = batch.of(context, sync);
        let watcher = watcher(context, sync);
        let finished = dry_run(&session, &spec, &snapshot, watcher.as_ref(), interrupted.clone()).await;
        note(context, done(finished), &mut ended);
    }
    Ok(ended)
}

async fn real(
    context: &CommandContext<'_>,
    batch: &RunBatch<'_>,
    interrupted: &watch::Receiver<bool>,
) -> Result<Ended, CommandError> {
    let store = context.write().await?;
    let mut ended = (Vec::new(), Vec::new());
    let mut syncs = Vec::new();
    for sync in &batch.syncs {
        match quarantined(&store, sync, batch).await? {
            Some((message, code)) => {
                context.console.say(&message);
                ended.1.push(code);
            }
            None => syncs.push(*sync),
        }
    }
    match &store {
        Writing::Shared(_) => by_the_daemon(context, batch, &syncs, &mut ended).await?,
        Writing::Own(store) => {
            let pacers = Pacers::new();
            for sync in syncs {
                let session = context.session(sync, &pacers, store.snapshot()).await?;
                let spec = batch.of(context, sync);
                let watcher = watcher(context, sync);
                let finished = live_run(&session, &spec, store, watcher.as_ref(), interrupted.clone()).await;
                note(context, done(finished), &mut ended);
            }
            if !*interrupted.borrow() {
                clear_up(store, context.config.keep_history).await;
            }
        }
    }
    store.close().await?;
    Ok(ended)
}

/// The daemon's loop runs them, all syncs at once.
async fn by_the_daemon(
    context: &CommandContext<'_>,
    batch: &RunBatch<'_>,
    syncs: &[&config::Sync],
    ended: &mut Ended,
) -> Result<(), CommandError> {
    let Some(daemon) = context.daemon else { return Ok(()) };
    let runs = syncs.iter().map(|sync| {
        let spec = batch.of(context, sync);
        let progress = context.console.progress(context.cli.global.quiet);
        async move { daemon.run(&sync.name, spec, progress).await }
    });
    for done in futures_util::future::join_all(runs).await {
        let Some(done) = done else {
            let text = "the daemon ended before the run did\nhelp: what was sent is recorded; `rosterd history` shows it";
            return Err((text.to_owned(), exit::FAILURE));
        };
        note(context, done, ended);
    }
    Ok(())
}

/// A run that nobody started by hand does not try credentials that were refused just now.
async fn quarantined(
    store: &Store,
    sync: &config::Sync,
    batch: &RunBatch<'_>,
) -> Result<Option<CommandError>, CommandError> {
    if batch.trigger != Trigger::Schedule {
        return Ok(None);
    }
    let waits = put_off(store.snapshot(), sync, &secrets(), Millis::now()).await.map_err(state_complaint)?;
    let Some(resting) = waits else { return Ok(None) };
    let text = format!(
        "sync \"{}\" is not tried before {}, because its credentials were refused: {}\nhelp: mend the cause; \
         `rosterd --reconcile-now` tries at once",
        sync.name,
        resting.until.rfc3339(),
        visible(resting.reason.lines().next().unwrap_or_default())
    );
    let code = match resting.side {
        Side::Source => exit::SOURCE,
        Side::Target => exit::TARGET,
    };
    Ok(Some((text, code)))
}

fn note(context: &CommandContext<'_>, Done { report, refusal }: Done, (reports, codes): &mut Ended) {
    let code = match refusal {
        Some(RunRefusal::Binding) => exit::CONFIG,
        Some(RunRefusal::StalePlan) => exit::HELD,
        None => exit::of_run(&report.facts, context.cli.run.detailed_exitcode),
    };
    codes.push(code);
    reports.push(report);
}

fn done(finished: FinishedRun) -> Done {
    let FinishedRun { facts, records, refusal } = finished;
    Done { report: SyncReport { facts, records }, refusal }
}

/// Tells the log and whoever watches the command.
pub(super) fn watcher(context: &CommandContext<'_>, sync: &config::Sync) -> Arc<dyn RunWatcher> {
    let log: Arc<dyn RunWatcher> = Arc::new(LogWatcher::new(&sync.name));
    Arc::new(crate::daemon::event::All(vec![log, context.console.progress(context.cli.global.quiet)]))
}

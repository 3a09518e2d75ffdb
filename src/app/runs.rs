//! `--reconcile-now` and `--dry-run`: one run per sync, one report, one exit code.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use super::caller::user_name;
use super::check::secrets_of;
use super::desk::{Desk, Writing};
use super::signal::Signals;
use super::{Complaint, secrets, state_complaint};
use crate::config;
use crate::core::quarantine::Side;
use crate::daemon::Done;
use crate::exit;
use crate::http::pacer::Pacers;
use crate::model::check::CheckLevel;
use crate::model::report::{ActionRecord, RunResult, Trigger};
use crate::model::time::Millis;
use crate::reconcile::event::Watcher;
use crate::reconcile::{Finished, Order, Refused, Who, clear_up, put_off};
use crate::report::{SyncReport, visible};
use crate::store::Store;
use crate::telemetry::log::LogWatcher;

/// What is to be run, beyond what the command line says of reports.
pub(super) struct Orders<'a> {
    /// The syncs.
    pub syncs: Vec<&'a config::Sync>,
    /// Whom it is about.
    pub who: Who,
    /// What started it.
    pub trigger: Trigger,
    /// Whether nothing may be written.
    pub dry: bool,
    /// A saved plan's actions, by sync.
    pub only: HashMap<String, Vec<ActionRecord>>,
}

impl Orders<'_> {
    fn of(&self, desk: &Desk<'_>, sync: &config::Sync) -> Order {
        let unattended = desk.cli.run.unattended;
        Order {
            who: self.who.clone(),
            trigger: self.trigger,
            unattended,
            by: (!unattended && !self.dry).then(|| desk.console.who()),
            only: self.only.get(&sync.name).cloned(),
        }
    }
}

/// The reports, and the exit codes.
type Ended = (Vec<SyncReport>, Vec<u8>);

/// `--reconcile-now` and `--dry-run`.
pub(super) async fn run(desk: &Desk<'_>) -> u8 {
    let cli = desk.cli;
    let syncs = match desk.chosen() {
        Ok(syncs) => syncs,
        Err(complaint) => return desk.complain(complaint),
    };
    let who = if cli.run.user.is_empty() { Who::Everybody } else { Who::Named(cli.run.user.clone()) };
    let trigger = if cli.run.unattended { Trigger::Schedule } else { Trigger::Manual };
    carry_out(desk, Orders { syncs, who, trigger, dry: cli.dry_run, only: HashMap::new() }).await
}

/// Carries orders out and delivers the report.
pub(super) async fn carry_out(desk: &Desk<'_>, orders: Orders<'_>) -> u8 {
    carry_out_all(desk, vec![orders]).await
}

/// Carries several orders out, one after the other, and delivers one report of all.
pub(super) async fn carry_out_all(desk: &Desk<'_>, all: Vec<Orders<'_>>) -> u8 {
    let (mut reports, mut codes) = (Vec::new(), Vec::new());
    for orders in &all {
        match runs(desk, orders).await {
            Ok((ended, code)) => {
                reports.extend(ended);
                codes.push(code);
            }
            Err(complaint) => return desk.complain(complaint),
        }
    }
    let code = exit::combine(codes);
    let options = &desk.cli.run;
    match desk.console.deliver(options.format, options.output.as_deref(), &mut reports).await {
        Ok(()) => code,
        Err(message) => desk.complain((message, exit::FAILURE)),
    }
}

/// Carries orders out: the reports, and the exit code.
pub(super) async fn runs(desk: &Desk<'_>, orders: &Orders<'_>) -> Result<(Vec<SyncReport>, u8), Complaint> {
    if let Some(message) = unreadable_secrets(&orders.syncs) {
        return Err((message, exit::CONFIG));
    }
    let (signals, interrupted) = interruption(desk)?;
    let (reports, codes) = if orders.dry {
        dry(desk, orders, &interrupted).await?
    } else {
        real(desk, orders, &interrupted).await?
    };
    let stopped = reports.iter().any(|report| report.facts.result == RunResult::Interrupted);
    let by_signal = signals.and_then(|signals| signals.exit_code()).filter(|_| stopped);
    Ok((reports, by_signal.unwrap_or_else(|| exit::combine(codes))))
}

/// What asks a run to stop: the daemon's end, or a signal.
pub(super) fn interruption(desk: &Desk<'_>) -> Result<(Option<Signals>, watch::Receiver<bool>), Complaint> {
    // The daemon listens for its own signals; a client's are the client's.
    let signals = match desk.daemon {
        Some(_) => None,
        None => Some(
            Signals::listen()
                .map_err(|error| (format!("cannot listen for signals: {error}"), exit::FAILURE))?,
        ),
    };
    let interrupted = match (desk.daemon, &signals) {
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
    desk: &Desk<'_>,
    orders: &Orders<'_>,
    interrupted: &watch::Receiver<bool>,
) -> Result<Ended, Complaint> {
    let snapshot = desk.read().await?;
    let pacers = Pacers::new();
    let mut ended = (Vec::new(), Vec::new());
    for sync in &orders.syncs {
        let sides = desk.sides(sync, &pacers, &snapshot).await?;
        let order = orders.of(desk, sync);
        let watcher = watcher(desk, sync);
        let finished = sides.dry_run(&order, &snapshot, watcher.as_ref(), interrupted.clone()).await;
        note(desk, done(finished), &mut ended);
    }
    Ok(ended)
}

async fn real(
    desk: &Desk<'_>,
    orders: &Orders<'_>,
    interrupted: &watch::Receiver<bool>,
) -> Result<Ended, Complaint> {
    let store = desk.write().await?;
    let mut ended = (Vec::new(), Vec::new());
    let mut syncs = Vec::new();
    for sync in &orders.syncs {
        match quarantined(&store, sync, orders).await? {
            Some((message, code)) => {
                desk.console.say(&message);
                ended.1.push(code);
            }
            None => syncs.push(*sync),
        }
    }
    match &store {
        Writing::Shared(_) => by_the_daemon(desk, orders, &syncs, &mut ended).await?,
        Writing::Own(store) => {
            let pacers = Pacers::new();
            for sync in syncs {
                let sides = desk.sides(sync, &pacers, store.snapshot()).await?;
                let order = orders.of(desk, sync);
                let watcher = watcher(desk, sync);
                let finished = sides.reconcile(&order, store, watcher.as_ref(), interrupted.clone()).await;
                note(desk, done(finished), &mut ended);
            }
            if !*interrupted.borrow() {
                clear_up(store, desk.config.keep_history).await;
            }
        }
    }
    store.close().await?;
    Ok(ended)
}

/// The daemon's loop runs them, all syncs at once.
async fn by_the_daemon(
    desk: &Desk<'_>,
    orders: &Orders<'_>,
    syncs: &[&config::Sync],
    ended: &mut Ended,
) -> Result<(), Complaint> {
    let Some(daemon) = desk.daemon else { return Ok(()) };
    let runs = syncs.iter().map(|sync| {
        let order = orders.of(desk, sync);
        let progress = desk.console.progress(desk.cli.global.quiet);
        async move { daemon.run(&sync.name, order, progress).await }
    });
    for done in futures_util::future::join_all(runs).await {
        let Some(done) = done else {
            let text = "the daemon ended before the run did\nhelp: what was sent is recorded; `rosterd history` shows it";
            return Err((text.to_owned(), exit::FAILURE));
        };
        note(desk, done, ended);
    }
    Ok(())
}

/// A run that nobody started by hand does not try credentials that were refused just now.
async fn quarantined(
    store: &Store,
    sync: &config::Sync,
    orders: &Orders<'_>,
) -> Result<Option<Complaint>, Complaint> {
    if orders.trigger != Trigger::Schedule {
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

fn note(desk: &Desk<'_>, Done { report, refused }: Done, (reports, codes): &mut Ended) {
    let code = match refused {
        Some(Refused::Binding) => exit::CONFIG,
        Some(Refused::StalePlan) => exit::HELD,
        None => exit::of_run(&report.facts, desk.cli.run.detailed_exitcode),
    };
    codes.push(code);
    reports.push(report);
}

fn done(finished: Finished) -> Done {
    let Finished { facts, records, refused } = finished;
    Done { report: SyncReport { facts, records }, refused }
}

/// Tells the log and whoever watches the command.
pub(super) fn watcher(desk: &Desk<'_>, sync: &config::Sync) -> Arc<dyn Watcher> {
    let log: Arc<dyn Watcher> = Arc::new(LogWatcher::new(&sync.name));
    Arc::new(crate::daemon::event::All(vec![log, desk.console.progress(desk.cli.global.quiet)]))
}

/// Files that root makes in another user's state directory would lock that user's service out.
pub(super) fn refuse_root_in_somebody_elses_state(directory: &Path) -> Result<(), String> {
    let Ok(facts) = std::fs::metadata(directory) else { return Ok(()) };
    if !rustix::process::geteuid().is_root() || facts.uid() == 0 {
        return Ok(());
    }
    let owner = user_name(facts.uid()).unwrap_or_else(|| format!("'#{}'", facts.uid()));
    let words: Vec<String> = std::env::args().skip(1).collect();
    Err(format!(
        "{} belongs to {owner}: a run as root would leave files there that {owner} cannot use\nhelp: sudo -u {owner} \
         rosterd {}",
        directory.display(),
        words.join(" ")
    ))
}

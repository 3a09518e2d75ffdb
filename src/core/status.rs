//! How a sync is doing, judged from what the state holds and what the configuration wants.
//!
//! What lives here: the next run, what counts as healthy, and the sentences that say why not. What must not:
//! reading the state (`store::status`), words for a terminal (`report::status`).

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::DateTime;

use super::quarantine::{Health, Quarantine, quarantine};
use crate::config::{self, SourceKind};
use crate::model::owed::{OwedChange, OwedClass, WaitsFor};
use crate::model::plan::RemovalCause;
use crate::model::report::RunResult;
use crate::model::status::{
    Accounts, CredentialAges, DriftStatus, FailedRuns, FailedVerification, Failures, HoldStatus, LastRun,
    LeaverWithAccess, OpenRun, OwedCount, QuarantineStatus, SeatCount, SourceWords, Status, SyncStatus,
    TargetWords, UnconfiguredSync,
};
use crate::model::time::Millis;

/// Scheduled runs in a row that go without a success before that is a problem of its own.
const MISSED_RUNS: usize = 2;
/// How late the last of them may be: a run takes its time.
const LATEST: Duration = Duration::from_secs(3600);
/// A run that began this recently may still be going on, so nothing is late yet.
const LONGEST_RUN_MILLIS: i64 = 2 * 3600 * 1000;
/// The cadence assumed where the schedule does not tell one.
const FALLBACK_INTERVAL: Duration = Duration::from_secs(900);

/// What the state holds of one sync. Without any state, the default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recorded {
    /// When the last full run that reached both sides ended.
    pub last_success_at: Option<Millis>,
    /// The last run that ended.
    pub last_run: Option<LastRun>,
    /// The newest run, where it has not ended.
    pub open_run: Option<OpenRun>,
    /// People in the last complete read.
    pub people: Option<u64>,
    /// Links by state.
    pub accounts: Accounts,
    /// Billable links whose account exists.
    pub billable: u64,
    /// Open holds.
    pub holds: Vec<HoldStatus>,
    /// Whose last write was refused.
    pub failing: Failures,
    /// Everything that is wanted and not acknowledged, leavers first.
    pub owed: Vec<OwedChange>,
    /// Decisions that stand.
    pub pins: u64,
    /// Accounts of people who left that the configuration keeps.
    pub kept_by_configuration: u64,
    /// When the workspace last answered a run.
    pub target_answered_at: Option<Millis>,
    /// How the last runs ended.
    pub health: Health,
    /// Until when writes are stopped, if they are; [`Millis`]'s maximum = until somebody resumes.
    pub paused_until: Option<Millis>,
    /// Accounts by attribute that the target takes and does not keep.
    pub ignored_attributes: BTreeMap<String, u64>,
    /// Accounts by attribute whose value the target refused.
    pub refused_attributes: BTreeMap<String, u64>,
    /// What the last verification found.
    pub drift: Option<DriftStatus>,
    /// Why the last scheduled verification failed, if it did.
    pub failed_verification: Option<FailedVerification>,
    /// Since when the present credentials are in use.
    pub credentials: CredentialAges,
}

/// The standing of several syncs, in the order of the configuration; `unconfigured` are those that are only in the state.
pub fn status<'a>(
    syncs: impl IntoIterator<Item = (&'a config::Sync, Recorded)>,
    unconfigured: Vec<UnconfiguredSync>,
    now: Millis,
) -> Status {
    let syncs = syncs.into_iter().map(|(sync, recorded)| sync_status(sync, recorded, now)).collect();
    Status::new(now, syncs, unconfigured)
}

/// The standing of one sync.
pub fn sync_status(sync: &config::Sync, recorded: Recorded, now: Millis) -> SyncStatus {
    let interval = interval(sync, now).unwrap_or(FALLBACK_INTERVAL);
    let quarantine = quarantine(&recorded.health, interval);
    let problems = problems(sync, &recorded, quarantine.as_ref(), interval, now);
    let notices = notices(sync, &recorded, quarantine.as_ref());
    let Recorded {
        last_success_at,
        last_run,
        open_run,
        people,
        accounts,
        billable,
        holds,
        failing,
        owed,
        pins,
        kept_by_configuration,
        target_answered_at,
        health,
        paused_until,
        ignored_attributes,
        refused_attributes,
        drift,
        failed_verification,
        credentials,
    } = recorded;
    let failed_verification = failed_verification.filter(|_| is_verified(sync));
    SyncStatus {
        name: sync.name.clone(),
        healthy: problems.is_empty(),
        problems,
        notices,
        source: source_words(sync),
        target: TargetWords {
            dialect: sync.target.dialect.as_str(),
            url: sync.target.url.as_str().trim_end_matches('/').to_owned(),
        },
        last_success_at,
        last_success_seconds_ago: last_success_at.map(|at| seconds(now.since(at))),
        last_run,
        open_run,
        next_run_at: next_run_at(sync, quarantine.as_ref(), now),
        people,
        accounts,
        seats: SeatCount { billable, limit: sync.guard.max_seats.map(u64::from) },
        held: holds.iter().map(|hold| hold.count).sum(),
        holds,
        failing,
        leavers_with_access: owed.iter().filter(|change| change.keeps_access()).map(leaver).collect(),
        owed: owed_counts(&owed),
        pins,
        kept_by_configuration,
        target_answered_at,
        quarantine: quarantine
            .map(|Quarantine { until, reason, begins: _ }| QuarantineStatus { until, reason }),
        failed_runs: FailedRuns { count: health.failed_runs, reason: health.reason },
        paused: paused_until.is_some(),
        paused_until: paused_until.filter(|until| *until != Millis::FOR_GOOD),
        ignored_attributes,
        refused_attributes,
        drift,
        failed_verification,
        credentials,
    }
}

fn leaver(change: &OwedChange) -> LeaverWithAccess {
    LeaverWithAccess {
        user: change.user.clone(),
        source_id: change.source_id.clone(),
        since: change.since,
        cause: change.cause.map_or("unknown", RemovalCause::as_str),
        waits_for: change.waits_for,
        next_try: change.next_try_at,
        detail: change.detail.clone(),
    }
}

/// How many people wait for what, by class.
fn owed_counts(owed: &[OwedChange]) -> Vec<OwedCount> {
    let mut counts: BTreeMap<(OwedClass, WaitsFor), u64> = BTreeMap::new();
    for change in owed {
        *counts.entry((change.class, change.waits_for)).or_default() += 1;
    }
    counts.into_iter().map(|((class, waits_for), people)| OwedCount { class, waits_for, people }).collect()
}

pub(super) fn source_words(sync: &config::Sync) -> SourceWords {
    let kind = match sync.source.kind {
        SourceKind::OktaToken { .. } | SourceKind::OktaOauth { .. } => "okta",
        SourceKind::OneLogin { .. } => "onelogin",
    };
    let url = sync.source.url.origin().ascii_serialization();
    SourceWords { kind, url, app_id: sync.source.app_id.clone() }
}

/// The first firing of the schedule after now; in quarantine the hourly try where that comes first.
fn next_run_at(sync: &config::Sync, quarantine: Option<&Quarantine>, now: Millis) -> Option<Millis> {
    let hourly = quarantine.map(|quarantine| quarantine.until).filter(|until| *until > now);
    firings(sync, now, 1).pop().into_iter().chain(hourly).min()
}

/// The next firings of the schedule, without jitter.
fn firings(sync: &config::Sync, after: Millis, number: usize) -> Vec<Millis> {
    let schedule = &sync.schedule;
    let Some(start) = DateTime::from_timestamp_millis(after.0) else { return Vec::new() };
    std::iter::successors(schedule.next_after(start, sync.timezone), |last| {
        schedule.next_after(*last, sync.timezone)
    })
    .take(number)
    .map(|at| Millis(at.timestamp_millis()))
    .collect()
}

/// The shortest time between two of the next firings.
pub fn interval(sync: &config::Sync, now: Millis) -> Option<Duration> {
    sync.schedule.shortest_interval(sync.timezone, DateTime::from_timestamp_millis(now.0)?)
}

/// When so many scheduled runs in a row have gone without a success that somebody should look.
fn late_from(sync: &config::Sync, last_success_at: Millis, interval: Duration) -> Option<Millis> {
    let last = firings(sync, last_success_at, MISSED_RUNS).pop()?;
    let patience = interval.min(LATEST) + sync.jitter;
    Some(Millis(last.0.saturating_add(patience.as_millis() as i64)))
}

/// Everything that needs somebody's attention, a sentence each, the most important first: a removal that nobody wants to
/// wait, a quarantine, firings that were missed. All else is a notice.
fn problems(
    sync: &config::Sync,
    recorded: &Recorded,
    quarantine: Option<&Quarantine>,
    interval: Duration,
    now: Millis,
) -> Vec<String> {
    let mut problems: Vec<String> = leavers_problem(&recorded.owed).into_iter().collect();
    if let Some(quarantine) = quarantine {
        let reason = quarantine.reason.lines().next().unwrap_or_default();
        problems.push(format!("in quarantine until {}: {reason}", quarantine.until.rfc3339()));
    }
    match recorded.last_success_at {
        // Every firing so far was missed.
        None if recorded.last_run.is_none() && recorded.open_run.is_none() => {
            problems.push("no run yet".to_owned());
        }
        None => problems.push("no full run has succeeded yet".to_owned()),
        Some(at) => {
            let running =
                recorded.open_run.as_ref().is_some_and(|run| now.since(run.started_at) < LONGEST_RUN_MILLIS);
            let late = late_from(sync, at, interval).is_some_and(|late| now >= late);
            if late && !running && quarantine.is_none() {
                problems.push(format!(
                    "no success since {}, although the schedule \"{}\" has come due more than once",
                    at.rfc3339(),
                    sync.schedule
                ));
            }
        }
    }
    problems
}

/// What somebody wants so, what waits for somebody without keeping a leaver in, and what ends by itself.
fn notices(sync: &config::Sync, recorded: &Recorded, quarantine: Option<&Quarantine>) -> Vec<String> {
    let mut notices = Vec::new();
    let reason = failure_reason(recorded);
    match recorded.health.failed_runs {
        0 => {}
        _ if quarantine.is_some() => {}
        1 => notices.push(format!("the last run failed: {reason}")),
        runs => notices.push(format!("the last {runs} runs failed: {reason}")),
    }
    notices.extend(recorded.last_run.as_ref().and_then(|run| left_over(run, recorded)));
    match recorded.paused_until {
        None => {}
        Some(Millis::FOR_GOOD) => {
            notices.push("paused: nothing is written until `rosterd resume`".to_owned())
        }
        Some(until) => notices.push(format!("paused: nothing is written until {}", until.rfc3339())),
    }
    for hold in &recorded.holds {
        let people = if hold.count == 1 { "1 person waits" } else { &format!("{} people wait", hold.count) };
        notices.push(format!("{people} for approval to {}: {}", hold.class.as_str(), hold.approve));
    }
    match recorded.failing.count {
        0 => {}
        1 => notices.push("1 person's last write was refused".to_owned()),
        people => notices.push(format!("the last writes of {people} people were refused")),
    }
    if let Some(FailedVerification { at, reason }) =
        recorded.failed_verification.as_ref().filter(|_| is_verified(sync))
    {
        let reason = reason.lines().next().unwrap_or_default();
        notices.push(format!("the verification of {} failed: {reason}", at.rfc3339()));
    }
    notices
}

fn failure_reason(recorded: &Recorded) -> &str {
    let reason = recorded.health.reason.as_deref().and_then(|reason| reason.lines().next());
    reason.unwrap_or("the reason is not on record")
}

/// Leavers who still have access although nobody wants it so: the first thing that anybody should know.
fn leavers_problem(owed: &[OwedChange]) -> Option<String> {
    let keeps = |change: &&OwedChange| change.keeps_access() && change.waits_for.needs_attention();
    let mut waits: Vec<&str> = Vec::new();
    let mut people = 0u64;
    for change in owed.iter().filter(keeps) {
        people += 1;
        if !waits.contains(&change.waits_for.as_str()) {
            waits.push(change.waits_for.as_str());
        }
    }
    let waits = waits.join(", ");
    match people {
        0 => None,
        1 => Some(format!("1 person who left still has access (waits for: {waits})")),
        more => Some(format!("{more} people who left still have access (waits for: {waits})")),
    }
}

/// Whether anybody expects verifications: where the schedule was switched off since, one that failed is over.
fn is_verified(sync: &config::Sync) -> bool {
    sync.drift.schedule.is_some()
}

/// What the last run left undone that nothing else here tells.
fn left_over(run: &LastRun, recorded: &Recorded) -> Option<String> {
    let number = run.run;
    match run.result {
        RunResult::Interrupted => Some(format!("run {number} was interrupted")),
        RunResult::Partial if recorded.failing.count == 0 => Some(format!(
            "run {number} did not send everything that was wanted: `rosterd history --run {number}` tells more"
        )),
        RunResult::Held if recorded.holds.is_empty() => {
            Some(format!("run {number} left people waiting for an approval or a seat"))
        }
        // Failed runs are counted and told above.
        RunResult::Ok
        | RunResult::Partial
        | RunResult::Held
        | RunResult::SourceIncomplete
        | RunResult::SourceUnavailable
        | RunResult::TargetUnavailable
        | RunResult::Error => None,
    }
}

fn seconds(millis: i64) -> u64 {
    u64::try_from(millis / 1000).unwrap_or(0)
}

#[cfg(test)]
mod tests;

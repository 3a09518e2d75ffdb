//! Verifying: both sides read completely, compared with what was last acknowledged, and what the policies repair
//! carried out like any run.
//!
//! A repair begins with the truth: the link is stored as the account was seen, and the ordinary plan from there brings
//! the account back. So guards, proofs, holds and approvals are those of every run, and a crash half-way leaves
//! nothing but work for the next run.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use crate::engine::apply::recover::recover;
use crate::engine::apply::writer::StopReason;
use crate::engine::binding::{binding_of, check_binding};
use crate::engine::context::{RetryWait, RunContext};
use crate::engine::error::RunError;
use crate::engine::gather::read::everybody_closely;
use crate::engine::gather::read_set::Candidate;
use crate::engine::gather::read_set::ReadSet;
use crate::engine::live_run::{LiveAccess, LiveRun};
use crate::engine::pass::plan_and_apply;
use crate::engine::run::{FinishedRun, RunRefusal, defect, health_after, stopped};
use crate::engine::selection::Selection;
use crate::engine::session::SyncSession;
use crate::engine::summary::{RunStart, RunTotals};
use crate::engine::summary::{blame, blame_sides, facts, quarantine_notes, record_report_lines};
use crate::model::attributes::AttributePath;
use crate::model::digest::Digest;
use crate::model::drift::{DriftFinding, VerifyFacts};
use crate::model::id::SourceId;
use crate::model::order::OrderNumber;
use crate::model::report::{Outcome, RunFacts, RunResult, SourceFacts, TargetFacts, Trigger};
use crate::model::run_event::RunEvent;
use crate::model::run_event::RunWatcher;
use crate::model::time::Millis;
use crate::operations::verify::compare::{Comparison, Found};
use crate::operations::verify::spec::VerifySpec;
use crate::scim::adapter::Provisioner;
use crate::scim::target::{ListCursor, Observe, Provision, TargetError};
use crate::spool::Spool;
use crate::store::{Snapshot, Store};
use tokio::sync::watch;

mod compare;
mod owed;
pub mod spec;

/// Findings that go to the log one by one.
const LOGGED_FINDINGS: usize = 50;

/// A verification that ended, one way or the other.
#[derive(Debug)]
pub struct FinishedVerification {
    /// Everything but the findings.
    pub facts: VerifyFacts,
    /// What was found.
    pub findings: Spool<DriftFinding>,
    /// The run that repaired, or would; `None` where nothing was to be repaired.
    pub repair: Option<FinishedRun>,
    /// Why it was refused before it read anything.
    pub refusal: Option<RunRefusal>,
}

/// What a verification may do with the state.
#[derive(Debug, Clone, Copy)]
pub enum VerifyAccess<'a> {
    /// Read it: nothing is written anywhere.
    Reading(&'a Snapshot),
    /// Write it, and repair.
    Writing(&'a Store),
}

/// Verifies one sync. With a store it may repair, as far as the policies say so.
pub async fn verify_session(
    session: &SyncSession,
    spec: &VerifySpec,
    trigger: Trigger,
    access: VerifyAccess<'_>,
    watcher: &dyn RunWatcher,
    interrupted: watch::Receiver<bool>,
) -> FinishedVerification {
    let snapshot = match access {
        VerifyAccess::Writing(store) => store.snapshot(),
        VerifyAccess::Reading(snapshot) => snapshot,
    };
    let unattended = trigger == Trigger::Schedule;
    let context = RunContext { trigger, unattended, watcher, ..session.context(snapshot, interrupted) };
    match access {
        VerifyAccess::Writing(store) => {
            let provisioner = session.target.provisioner();
            let live = LiveAccess { store, provisioner: &provisioner };
            let finished = Box::pin(verify(context, spec, Some(&live))).await;
            session.remember(store, None).await;
            finished
        }
        VerifyAccess::Reading(_) => {
            let nothing: Option<&LiveAccess<'_, Provisioner>> = None;
            Box::pin(verify(context, spec, nothing)).await
        }
    }
}

/// Verifies one sync. Without access nothing is written, and what would be repaired is planned as a dry run.
pub async fn verify<O: Observe + Sync, P: Provision + Sync>(
    mut context: RunContext<'_, O>,
    spec: &VerifySpec,
    access: Option<&LiveAccess<'_, P>>,
) -> FinishedVerification {
    // A repair is an ordinary part of the schedule, and a verification by hand waits for nobody.
    context.reads_one_by_one = false;
    context.retry_wait =
        if context.trigger == Trigger::Schedule { RetryWait::Counted } else { RetryWait::Ignored };
    let start = RunStart::of(&context).await;
    let mut verifying =
        Verifying { totals: RunTotals::default(), found: Found::default(), live: None, repairing: false };
    let phases = AssertUnwindSafe(phases(&mut context, spec, access, &mut verifying));
    let outcome = phases.catch_unwind().await.unwrap_or_else(|panic| Err(defect(panic.as_ref())));
    let context = &context;
    let Verifying { totals, found, live, repairing } = verifying;
    let facts_of_run = facts(context, &totals, live.as_ref(), &start);
    let mut verify_facts = verify_facts(context, &found, &facts_of_run);
    let refusal = match &outcome {
        Err(RunError::Binding(_)) => Some(RunRefusal::Binding),
        Ok(()) | Err(_) => None,
    };
    let repair = if repairing {
        Some(end_repair(context, totals, live.as_ref(), facts_of_run, &outcome).await)
    } else {
        if let Err(error) = &outcome {
            blame_comparison(&mut verify_facts, error);
            if let Some(access) = access {
                note_failure(&verify_facts, access.store).await;
            }
        }
        None
    };
    let Found { mut findings, .. } = found;
    log_findings(&verify_facts, &mut findings, context.trigger);
    FinishedVerification { facts: verify_facts, findings, repair, refusal }
}

/// What is read_set on the way.
struct Verifying<'a, P> {
    totals: RunTotals,
    found: Found,
    live: Option<LiveRun<'a, P>>,
    /// The comparison is done, and something is being repaired.
    repairing: bool,
}

async fn phases<'a, O: Observe, P: Provision>(
    context: &mut RunContext<'_, O>,
    spec: &VerifySpec,
    access: Option<&'a LiveAccess<'a, P>>,
    verifying: &mut Verifying<'a, P>,
) -> Result<(), RunError> {
    let binding = binding_of(context.source, context.config);
    check_binding(context.snapshot, &context.config.name, &binding).await?;
    let mut tenure = None;
    if let Some(access) = access {
        let mine = access.store.tenure(&context.config.name).await?;
        access.store.bind(&mine, binding).await?;
        recover(context, access.store, &mine, None).await?;
        tenure = Some(mine);
    }
    let since = Millis::now();
    let found = &mut verifying.found;
    let read_set = compare(context, spec, since, found).await?;
    found.complete = true;
    let people = found.to_repair_ids();
    match (access, tenure) {
        (Some(access), Some(tenure)) => {
            let seen = std::mem::take(&mut found.corrected).into_values().chain(found.gone.drain(..));
            access.store.note_seen(&tenure, seen.collect(), since).await?;
            access.store.note_verified(&tenure, Millis::now(), found.counts).await?;
            if people.is_empty() {
                return Ok(());
            }
            let began = OrderNumber::next();
            let (trigger, unattended) = (context.trigger, context.unattended);
            let run = access.store.begin_run(&tenure, trigger, false, unattended, Millis::now()).await?;
            verifying.live = Some(LiveRun { access, tenure, run, began });
        }
        (_, _) if people.is_empty() => return Ok(()),
        (_, _) => context.corrected = std::mem::take(&mut found.corrected),
    }
    verifying.repairing = true;
    repair(context, people, read_set, verifying).await
}

/// Reads both sides completely and compares them. Gives what a plan needs to know of the source.
async fn compare<O: Observe>(
    context: &RunContext<'_, O>,
    spec: &VerifySpec,
    since: Millis,
    found: &mut Found,
) -> Result<ReadSet, RunError> {
    let mut read_set = everybody_closely(context).await?;
    (found.users, found.pages, found.source_complete) = (read_set.users, read_set.pages, true);
    let mut comparison = Comparison::new(context, spec, since, &mut read_set, found).await?;
    let mut interrupted = context.interrupted.clone();
    let mut cursor = ListCursor::default();
    loop {
        let page = tokio::select! {
            page = context.target.list(&mut cursor) => page?,
            _ = interrupted.wait_for(|stop| *stop) => return Err(RunError::Interrupted),
        };
        let Some(page) = page else { break };
        comparison.take_page(page.accounts).await?;
        let done = cursor.shown();
        context.watcher.tell(&RunEvent::Looking { done, total: page.total.unwrap_or(done).max(done) });
    }
    if cursor.is_short() {
        return Err(RunError::Target(TargetError::Unavailable(format!(
            "the target tells of more accounts than the {} it lists, so the listing is not complete\nhelp: try again; \
             where it stays so, check that the token's owner may see every account",
            cursor.shown()
        ))));
    }
    comparison.finish().await?;
    Ok(read_set)
}

async fn repair<O: Observe, P: Provision>(
    context: &RunContext<'_, O>,
    people: Vec<SourceId>,
    read_set: ReadSet,
    verifying: &mut Verifying<'_, P>,
) -> Result<(), RunError> {
    let Verifying { totals, found, live, repairing: _ } = verifying;
    let candidates: Spool<Candidate> = std::mem::take(&mut found.to_repair);
    let named = people.iter().cloned().collect();
    let read_set = ReadSet {
        candidates,
        unchanged: 0,
        named,
        newly_absent: Vec::new(),
        shown_again: Vec::new(),
        ..read_set
    };
    totals.passes = 1;
    let asked = people.len() as u64;
    plan_and_apply(context, &Selection::Ids(people), read_set, None, live.as_ref(), totals).await?;
    if totals.stop == Some(StopReason::TimeIsUp) {
        totals.stop = None;
        totals.notes.push("max_apply was over; what is left is repaired by the next run".to_owned());
    }
    let (repairs, brought_back) = carried_out(totals, &found.drifted)?;
    found.unrepaired += asked.saturating_sub(brought_back);
    if let Some(LiveRun { access, tenure, .. }) = live {
        access.store.note_repairs(tenure, repairs, Millis::now()).await?;
    }
    stopped(totals)
}

/// Who, what, and to which value.
type Repaired = (SourceId, AttributePath, Digest);

/// The attributes that this verification brought back, and how many people it did so for, or would.
fn carried_out(
    totals: &mut RunTotals,
    drifted: &HashMap<SourceId, Vec<(AttributePath, Digest)>>,
) -> Result<(Vec<Repaired>, u64), RunError> {
    let mut repairs = Vec::new();
    let mut people = 0;
    for record in totals.records.iter()? {
        let record = record?;
        people += u64::from(matches!(record.outcome, Outcome::Applied | Outcome::Planned));
        let Some(id) = record.source_id.filter(|_| record.outcome == Outcome::Applied) else { continue };
        for (path, wanted) in drifted.get(&id).into_iter().flatten() {
            if record.changes.iter().any(|change| change.path == *path) {
                repairs.push((id.clone(), path.clone(), *wanted));
            }
        }
    }
    Ok((repairs, people))
}

/// Ends the run that repaired, as any run ends.
async fn end_repair<O: Observe, P: Provision>(
    context: &RunContext<'_, O>,
    mut totals: RunTotals,
    live: Option<&LiveRun<'_, P>>,
    mut facts: RunFacts,
    outcome: &Result<(), RunError>,
) -> FinishedRun {
    if let Err(error) = outcome {
        blame(&mut facts, error);
    }
    let mut chain_head = String::new();
    if let Some(live @ LiveRun { access, tenure, .. }) = live {
        record_report_lines(live, &mut totals, &mut facts).await;
        let health = health_after(outcome);
        quarantine_notes(context, true, access.store, &mut facts, health).await;
        match access.store.finish_run(tenure, facts.clone(), health).await {
            Ok(head) => chain_head = head,
            Err(error) => facts.notes.push(error.to_string()),
        }
    }
    context.watcher.tell(&RunEvent::Finished { result: facts.result, chain_head });
    FinishedRun { facts, records: totals.records, refusal: None }
}

fn verify_facts<O>(context: &RunContext<'_, O>, found: &Found, run: &RunFacts) -> VerifyFacts {
    VerifyFacts {
        sync: context.config.name.clone(),
        trigger: context.trigger,
        result: RunResult::Ok,
        started_at: run.started_at,
        finished_at: run.finished_at,
        source: SourceFacts {
            users: found.users,
            pages: found.pages,
            complete: found.source_complete,
            ..run.source.clone()
        },
        target: TargetFacts { ..run.target.clone() },
        accounts: found.accounts,
        counts: found.counts,
        unrepaired: found.unrepaired,
        notes: Vec::new(),
    }
}

/// A comparison that is not complete tells nothing.
fn blame_comparison(facts: &mut VerifyFacts, error: &RunError) {
    facts.result = error.result();
    let VerifyFacts { source, target, notes, .. } = facts;
    blame_sides(error, source, target, notes, "interrupted: nothing was compared completely");
}

/// Nobody waits for a scheduled verification: that it failed has to be seen in the status.
async fn note_failure(facts: &VerifyFacts, store: &Store) {
    if facts.trigger != Trigger::Schedule || facts.result == RunResult::Interrupted {
        return;
    }
    let reason = facts.problem().unwrap_or("the reason is not on record").to_owned();
    let (sync, at) = (&facts.sync, facts.finished_at);
    if let Err(error) = store.note_verification_failed(sync, at, reason).await {
        tracing::warn!(sync, %error, "that the verification failed could not be noted");
    }
}

/// What nobody waits for goes to the log.
fn log_findings(facts: &VerifyFacts, findings: &mut Spool<DriftFinding>, trigger: Trigger) {
    if trigger != Trigger::Schedule {
        return;
    }
    let sync = &facts.sync;
    if facts.result != RunResult::Ok {
        let problem = facts.problem().and_then(|text| text.lines().next()).unwrap_or_default();
        tracing::warn!(sync, result = facts.result.as_str(), problem, "the workspace could not be verified");
        return;
    }
    let drift = findings.iter().into_iter().flatten().flatten().filter(|found| found.finding.is_drift());
    for finding in drift.take(LOGGED_FINDINGS) {
        let DriftFinding { finding, user, source_id: _, target_id, reason, repair, .. } = finding;
        let account = target_id.as_ref().map(|id| id.as_str()).unwrap_or_default();
        tracing::info!(sync, finding = finding.as_str(), user, account, repair, reason, "drift");
    }
    tracing::info!(
        sync,
        drift = facts.counts.drift(),
        unrepaired = facts.unrepaired,
        accounts = facts.accounts.listed,
        unmanaged = facts.counts.unmanaged,
        "the workspace was verified"
    );
}

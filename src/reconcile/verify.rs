//! Verifying: both sides read completely, compared with what was last acknowledged, and what the policies repair
//! carried out like any run.
//!
//! A repair begins with the truth: the link is stored as the account was seen, and the ordinary plan from there brings
//! the account back. So guards, proofs, holds and approvals are those of every run, and a crash half-way leaves
//! nothing but work for the next run.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use super::compare::{Comparison, Found};
use super::event::RunEvent;
use super::hand::Stop;
use super::people::{Gathered, everybody_closely};
use super::planning::People;
use super::roster::Candidate;
use super::run::{
    Beginning, Finished, Refused, Request, Tally, Who, Writing, Written, binding_of, check_binding, context,
    defect, plan_and_carry_out, stopped, target_url, verdict,
};
use super::settle::recover;
use super::telling::{blame, facts, keep_lines, quarantine_notes};
use super::{Context, RunError, Waiting};
use crate::config;
use crate::model::attributes::AttributePath;
use crate::model::digest::Digest;
use crate::model::drift::{DriftFinding, VerifyFacts};
use crate::model::id::SourceId;
use crate::model::order::OrderNumber;
use crate::model::report::{Outcome, RunFacts, RunResult, SourceFacts, TargetFacts, Trigger};
use crate::model::time::Millis;
use crate::store::{Spool, Store};
use crate::target::{ListCursor, Observe, Provision, TargetError};

/// Findings that go to the log one by one.
const LOGGED_FINDINGS: usize = 50;

/// What a verification is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// What is repaired.
    pub policies: config::Drift,
    /// Whether accounts that are nobody's are listed, too.
    pub all: bool,
}

/// A verification that ended, one way or the other.
#[derive(Debug)]
pub struct Verified {
    /// Everything but the findings.
    pub facts: VerifyFacts,
    /// What was found.
    pub findings: Spool<DriftFinding>,
    /// The run that repaired, or would; `None` where nothing was to be repaired.
    pub repair: Option<Finished>,
    /// Why it was refused before it read anything.
    pub refused: Option<Refused>,
}

/// Verifies one sync. Without `writing` nothing is written, and what would be repaired is planned as a dry run.
pub async fn verify<O: Observe, P: Provision>(
    request: Request<'_, O>,
    verification: &Verification,
    writing: Option<&Writing<'_, P>>,
) -> Verified {
    let beginning = Beginning {
        at: Millis::now(),
        census: request.snapshot.census(&request.config.name).await.unwrap_or_default(),
        source: request.source.counters(),
        target: request.target.counters(),
    };
    let mut verifying =
        Verifying { tally: Tally::default(), found: Found::default(), written: None, repairing: false };
    let phases = AssertUnwindSafe(phases(&request, verification, writing, &mut verifying));
    let outcome = phases.catch_unwind().await.unwrap_or_else(|panic| Err(defect(panic.as_ref())));
    let Verifying { tally, found, written, repairing } = verifying;
    let facts_of_run = facts(&request, &tally, written.as_ref(), &beginning);
    let mut told = verify_facts(&request, &found, &facts_of_run);
    let refused = match &outcome {
        Err(RunError::Binding(_)) => Some(Refused::Binding),
        Ok(()) | Err(_) => None,
    };
    let repair = if repairing {
        Some(end_repair(&request, tally, written.as_ref(), facts_of_run, &outcome).await)
    } else {
        if let Err(error) = &outcome {
            blame_comparison(&mut told, error);
            if let Some(writing) = writing {
                note_failure(&told, writing.store).await;
            }
        }
        None
    };
    let Found { mut findings, .. } = found;
    tell(&told, &mut findings, request.trigger);
    Verified { facts: told, findings, repair, refused }
}

/// What is gathered on the way.
struct Verifying<'a, P> {
    tally: Tally,
    found: Found,
    written: Option<Written<'a, P>>,
    /// The comparison is done, and something is being repaired.
    repairing: bool,
}

async fn phases<'a, O: Observe, P: Provision>(
    request: &Request<'_, O>,
    verification: &Verification,
    writing: Option<&'a Writing<'a, P>>,
    verifying: &mut Verifying<'a, P>,
) -> Result<(), RunError> {
    let target_url = target_url(&request.config.target);
    let binding = binding_of(request.source, request.config);
    check_binding(request.snapshot, &request.config.name, &binding).await?;
    let waiting = if request.trigger == Trigger::Schedule { Waiting::Counted } else { Waiting::Ignored };
    let mut context = context(request, target_url, waiting);
    let mut tenure = None;
    if let Some(writing) = writing {
        let mine = writing.store.tenure(&request.config.name).await?;
        writing.store.bind(&mine, binding).await?;
        recover(&context, writing.store, &mine, None).await?;
        tenure = Some(mine);
    }
    let since = Millis::now();
    let found = &mut verifying.found;
    let gathered = compare(&context, verification, since, found).await?;
    found.complete = true;
    let people = found.to_repair_ids();
    match (writing, tenure) {
        (Some(writing), Some(tenure)) => {
            let seen = std::mem::take(&mut found.corrected).into_values().chain(found.gone.drain(..));
            writing.store.note_seen(&tenure, seen.collect(), since).await?;
            writing.store.note_verified(&tenure, Millis::now(), found.counts).await?;
            if people.is_empty() {
                return Ok(());
            }
            let began = OrderNumber::next();
            let (trigger, unattended) = (request.trigger, request.unattended);
            let run = writing.store.begin_run(&tenure, trigger, false, unattended, Millis::now()).await?;
            verifying.written = Some(Written { writing, tenure, run, began });
        }
        (_, _) if people.is_empty() => return Ok(()),
        (_, _) => context.corrected = std::mem::take(&mut found.corrected),
    }
    verifying.repairing = true;
    repair(&context, people, gathered, verifying).await
}

/// Reads both sides completely and compares them. Gives what a plan needs to know of the source.
async fn compare<O: Observe>(
    context: &Context<'_, O>,
    verification: &Verification,
    since: Millis,
    found: &mut Found,
) -> Result<Gathered, RunError> {
    let mut gathered = everybody_closely(context).await?;
    (found.users, found.pages, found.source_complete) = (gathered.users, gathered.pages, true);
    let mut comparison = Comparison::new(context, verification, since, &mut gathered, found).await?;
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
    Ok(gathered)
}

async fn repair<O: Observe, P: Provision>(
    context: &Context<'_, O>,
    people: Vec<SourceId>,
    gathered: Gathered,
    verifying: &mut Verifying<'_, P>,
) -> Result<(), RunError> {
    let Verifying { tally, found, written, repairing: _ } = verifying;
    let candidates: Spool<Candidate> = std::mem::take(&mut found.to_repair);
    let named = people.iter().cloned().collect();
    let people_to_plan = People { candidates, unchanged: 0, named, ..gathered.people };
    let gathered =
        Gathered { people: people_to_plan, newly_absent: Vec::new(), shown_again: Vec::new(), ..gathered };
    tally.passes = 1;
    let asked = people.len() as u64;
    plan_and_carry_out(context, &Who::Ids(people), gathered, None, written.as_ref(), tally).await?;
    if tally.stop == Some(Stop::TimeIsUp) {
        tally.stop = None;
        tally.notes.push("max_apply was over; what is left is repaired by the next run".to_owned());
    }
    let (repairs, brought_back) = carried_out(tally, &found.drifted)?;
    found.unrepaired += asked.saturating_sub(brought_back);
    if let Some(Written { writing, tenure, .. }) = written {
        writing.store.note_repairs(tenure, repairs, Millis::now()).await?;
    }
    stopped(tally)
}

/// Who, what, and to which value.
type Repaired = (SourceId, AttributePath, Digest);

/// The attributes that this verification brought back, and how many people it did so for, or would.
fn carried_out(
    tally: &mut Tally,
    drifted: &HashMap<SourceId, Vec<(AttributePath, Digest)>>,
) -> Result<(Vec<Repaired>, u64), RunError> {
    let mut repairs = Vec::new();
    let mut people = 0;
    for record in tally.records.iter()? {
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
    request: &Request<'_, O>,
    mut tally: Tally,
    written: Option<&Written<'_, P>>,
    mut facts: RunFacts,
    outcome: &Result<(), RunError>,
) -> Finished {
    if let Err(error) = outcome {
        blame(&mut facts, error);
    }
    let mut chain_head = String::new();
    if let Some(written @ Written { writing, tenure, .. }) = written {
        keep_lines(written, &mut tally, &mut facts).await;
        let verdict = verdict(outcome);
        quarantine_notes(request, writing.store, &mut facts, verdict).await;
        match writing.store.finish_run(tenure, facts.clone(), verdict).await {
            Ok(head) => chain_head = head,
            Err(error) => facts.notes.push(error.to_string()),
        }
    }
    request.watcher.tell(&RunEvent::Finished { result: facts.result, chain_head });
    Finished { facts, records: tally.records, refused: None }
}

fn verify_facts<O>(request: &Request<'_, O>, found: &Found, run: &RunFacts) -> VerifyFacts {
    VerifyFacts {
        sync: request.config.name.clone(),
        trigger: request.trigger,
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
    match error {
        RunError::Source(error) => {
            facts.source.problem = Some(error.to_string());
            facts.source.complete = false;
        }
        RunError::Target(error) => facts.target.problem = Some(error.to_string()),
        RunError::Interrupted => facts.notes.push("interrupted: nothing was compared completely".to_owned()),
        RunError::Store(_)
        | RunError::Spool(_)
        | RunError::Binding(_)
        | RunError::NobodyNamed(_)
        | RunError::Defect(_)
        | RunError::Clock(_)
        | RunError::StalePlan(_) => {
            facts.notes.push(error.to_string());
        }
    }
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
fn tell(facts: &VerifyFacts, findings: &mut Spool<DriftFinding>, trigger: Trigger) {
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

//! The return of what a run did: planned from the journal and one fresh read of each account, then guarded,
//! journaled and sent as the actions of any run. The source is not asked.
//!
//! What lives here: reading for the plan and for the proof, and the two writes of one return. What must not: what is
//! taken back (`core::undo`), what a deactivation needs (`core::proof`).

use std::collections::HashSet;

use futures_util::{StreamExt, stream};

use crate::core::guard::Approved;
use crate::core::proof::{ProofOutcome, prove_return};
use crate::core::undo::{JournaledWrite, Present, take_back};
use crate::engine::apply::executor::{ApplyResult, Executor};
use crate::engine::apply::writer::{DryRunWriter, StopReason};
use crate::engine::context::RunContext;
use crate::engine::error::RunError;
use crate::engine::live_run::LiveAccess;
use crate::engine::live_run::LiveRun;
use crate::engine::pass::{apply_plan, merge, note_owed_changes, sync_holds};
use crate::engine::plan::Plan;
use crate::engine::plan::build::plan_decided;
use crate::engine::plan::decisions::Decisions;
use crate::engine::plan::seats::seats_of_a_change;
use crate::engine::prove::{Removal, RemovalProver};
use crate::engine::run::{FinishedRun, Procedure, conduct};
use crate::engine::summary::RunTotals;
use crate::engine::summary::holds_to_come;
use crate::http::Lane;
use crate::model::account::Account;
use crate::model::id::SourceId;
use crate::model::link::Link;
use crate::model::order::Observation;
use crate::model::plan::PlannedAction;
use crate::model::time::Millis;
use crate::scim::target::{Observe, Provision, TargetError};
use crate::store::{HoldScope, LineScope, OwedScope};
use crate::store::{StoreError, Tenure};

/// Proves the deactivations of one return.
pub(crate) struct ReturnProver<'a, O> {
    context: &'a RunContext<'a, O>,
    run: i64,
}

/// The procedure of an undo.
struct Undo<'a> {
    /// The run that is taken back.
    run: i64,
    actor: &'a str,
}

/// Takes back what run `run` did. Without access nothing is written.
pub async fn undo<O: Observe + Sync, P: Provision + Sync>(
    context: RunContext<'_, O>,
    run: i64,
    actor: &str,
    access: Option<&LiveAccess<'_, P>>,
) -> FinishedRun {
    conduct(context, &Undo { run, actor }, access).await
}

impl<O: Observe + Sync, P: Provision + Sync> Procedure<O, P> for Undo<'_> {
    fn is_full(&self) -> bool {
        false
    }

    fn is_whole(&self) -> bool {
        false
    }

    fn people_to_settle(&self) -> Option<HashSet<SourceId>> {
        None
    }

    async fn begin(
        &self,
        _context: &RunContext<'_, O>,
        access: &LiveAccess<'_, P>,
        tenure: &Tenure,
    ) -> Result<i64, StoreError> {
        access.store.begin_return(tenure, self.run, self.actor, Millis::now()).await
    }

    async fn pass(
        &self,
        context: &RunContext<'_, O>,
        live: Option<&LiveRun<'_, P>>,
        totals: &mut RunTotals,
    ) -> Result<(), RunError> {
        let run = self.run;
        totals.passes += 1;
        if totals.passes == 1 {
            totals.notes.push(format!("takes back what run {run} did; the source is not asked"));
        }
        let decisions = Decisions::of_return(context, run, Millis::now()).await?;
        let people = context.snapshot.written_by(context.sync_name(), run).await?;
        totals.users = people.len() as u64;
        let mut plan = make_plan(context, run, people, &decisions).await?;
        totals.guard_report = plan.guard_report.clone();
        let prover = ReturnProver { context, run };
        let applied = match live {
            None => {
                let report = plan.guard_report.clone();
                let executor = Executor::new(context, &prover, report, &decisions, &DryRunWriter, None);
                let applied = executor.carry_out(&mut plan).await?;
                totals.holds = holds_to_come(context, &applied.held).await?;
                applied
            }
            Some(live) => {
                let mut applied = ApplyResult::default();
                apply_plan(context, &prover, &decisions, &mut plan, live, &mut applied).await?;
                sync_holds(live, &mut applied, HoldScope::ReturnOf(run), totals).await?;
                note_owed_changes(live, &mut applied, OwedScope::OnlyMore, totals).await?;
                applied
            }
        };
        merge(totals, applied)?;
        totals.line_scope = Some(LineScope::AReturn).filter(|_| totals.stop != Some(StopReason::TimeIsUp));
        Ok(())
    }
}

async fn make_plan<O: Observe>(
    context: &RunContext<'_, O>,
    run: i64,
    people: Vec<SourceId>,
    decisions: &Decisions,
) -> Result<Plan, RunError> {
    let mut decided = Vec::new();
    let concurrency = context.config.target.concurrency.max(1);
    let mut looks = stream::iter(people)
        .map(|person| async move { one(context, run, &person).await })
        .buffered(concurrency);
    while let Some(one) = looks.next().await {
        if *context.interrupted.borrow() {
            return Err(RunError::Interrupted);
        }
        if let Some((action, link)) = one? {
            decided.push((decisions.apply_to_return(action, link.as_ref()), link));
        }
    }
    plan_decided(context, decided, decisions, Millis::now()).await
}

/// What takes back what the run did for one person; `None` where it turned out to have done nothing.
async fn one<O: Observe>(
    context: &RunContext<'_, O>,
    run: i64,
    person: &SourceId,
) -> Result<Option<(PlannedAction, Option<Link>)>, RunError> {
    let sync = context.sync_name();
    let trace = context.snapshot.trace(sync, run, person).await?;
    let Some(write) = JournaledWrite::of(run, &trace.applied) else { return Ok(None) };
    let link = context.snapshot.link(sync, person).await?;
    let observation = Observation::now();
    let read = match &link {
        Some(link) => context.target.get(&link.target_id, Lane::General).await,
        None => Ok(None),
    };
    let (account, unread) = match read {
        Ok(account) => (account, None),
        Err(TargetError::Unanswerable(why)) => (None, Some(why)),
        Err(error @ (TargetError::Unavailable(_) | TargetError::Credentials(_))) => return Err(error.into()),
    };
    let present = Present {
        link: link.as_ref(),
        account: account.as_ref(),
        observation,
        written_since: &trace.written_since,
        source_digest: trace.source_digest,
    };
    let mut action = take_back(&write, &present, &context.config.lifecycle);
    // An earlier type may take a seat, or give one back.
    match seats_of_a_change(context.mapping, &action.changes) {
        0 => {}
        more => action.billable = more > 0,
    }
    if let (Some(why), Some(_)) = (unread, &link) {
        action.reason = format!("the account cannot be read: {why}");
    }
    Ok(Some((action, link)))
}

impl<O: Observe> RemovalProver for ReturnProver<'_, O> {
    async fn judge(&self, approved: Approved, link: &Link) -> Removal {
        let observation = Observation::now();
        let trace = self.context.snapshot.trace(self.context.sync_name(), self.run, &link.source_id).await;
        let write = match trace {
            Ok(trace) => JournaledWrite::of(self.run, &trace.applied),
            Err(error) => return unproven(approved, &error),
        };
        let shown: Option<Account> = match self.context.target.get(&link.target_id, Lane::Removal).await {
            Ok(shown) => shown,
            Err(error) => return unproven(approved, &error),
        };
        Removal::Judged(prove_return(approved, write.as_ref(), shown.as_ref(), observation))
    }
}

fn unproven(approved: Approved, error: &dyn std::fmt::Display) -> Removal {
    Removal::Judged(ProofOutcome::Unproven(approved.into_action(), error.to_string()))
}

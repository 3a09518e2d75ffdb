//! One run of one sync, from its first look at the state to its last line on record.
//!
//! What lives here: how any run begins, passes and ends ([`conduct`]), and the ordinary one, a reconciliation. What must
//! not: phases (`gather`, `plan`, `apply`), operations with a plan of their own.

use std::any::Any;
use std::collections::HashSet;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use crate::engine::apply::recover::{look_after_overtaken, recover};
use crate::engine::apply::writer::StopReason;
use crate::engine::binding::{binding_of, check_binding};
use crate::engine::context::{RetryWait, RunContext};
use crate::engine::error::RunError;
use crate::engine::gather::named::{by_id, named};
use crate::engine::gather::read::everybody;
use crate::engine::live_run::{LiveAccess, LiveRun};
use crate::engine::pass::plan_and_apply;
use crate::engine::selection::Selection;
use crate::engine::summary::{RunStart, RunTotals, blame, facts, quarantine_notes, record_report_lines};
use crate::model::id::SourceId;
use crate::model::order::OrderNumber;
use crate::model::report::{ActionRecord, Mode, RunFacts};
use crate::model::run_event::RunEvent;
use crate::model::time::Millis;
use crate::scim::target::{Observe, Provision, TargetError};
use crate::source::SourceError;
use crate::spool::Spool;
use crate::store::{RunHealth, StoreError, Tenure};

/// Passes of one run: far beyond what `max_apply` needs, so that a run always ends.
const MOST_PASSES: u32 = 1000;

/// A run that ended, one way or the other.
#[derive(Debug)]
pub struct FinishedRun {
    /// Everything but the list.
    pub facts: RunFacts,
    /// Everybody but the unchanged.
    pub records: Spool<ActionRecord>,
    /// Why the run was refused before it wrote anything.
    pub refusal: Option<RunRefusal>,
}

/// Why a run was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunRefusal {
    /// The configuration does not fit the stored links.
    Binding,
    /// The saved plan does not fit what is there now.
    StalePlan,
}

/// One kind of run: how it begins on record, and what one pass of it does.
pub(crate) trait Procedure<O: Observe, P: Provision>: Sync {
    /// Whether the source is read completely.
    fn is_full(&self) -> bool;
    /// Whether its good end does what had asked for a full run.
    fn is_whole(&self) -> bool;
    /// Whose intents it settles first, in a run of some people.
    fn people_to_settle(&self) -> Option<HashSet<SourceId>>;
    /// Puts the run on record; gives its number.
    fn begin(
        &self,
        context: &RunContext<'_, O>,
        access: &LiveAccess<'_, P>,
        tenure: &Tenure,
    ) -> impl Future<Output = Result<i64, StoreError>> + Send;
    /// One pass: a run has more than one where applying takes longer than `max_apply`.
    fn pass(
        &self,
        context: &RunContext<'_, O>,
        live: Option<&LiveRun<'_, P>>,
        totals: &mut RunTotals,
    ) -> impl Future<Output = Result<(), RunError>> + Send;
}

/// The ordinary run: the workspace is made to follow the source.
struct Reconciliation<'a> {
    selection: &'a Selection,
    /// Only these actions, exactly as they are.
    saved_plan: Option<&'a [ActionRecord]>,
}

impl<O: Observe + Sync, P: Provision + Sync> Procedure<O, P> for Reconciliation<'_> {
    fn is_full(&self) -> bool {
        self.selection.is_full()
    }

    fn is_whole(&self) -> bool {
        self.selection.is_full() && self.saved_plan.is_none()
    }

    fn people_to_settle(&self) -> Option<HashSet<SourceId>> {
        match self.selection {
            Selection::Ids(ids) => Some(ids.iter().cloned().collect()),
            Selection::Everybody | Selection::Named(_) => None,
        }
    }

    async fn begin(
        &self,
        context: &RunContext<'_, O>,
        access: &LiveAccess<'_, P>,
        tenure: &Tenure,
    ) -> Result<i64, StoreError> {
        let (full, unattended) = (self.selection.is_full(), context.unattended);
        access.store.begin_run(tenure, context.trigger, full, unattended, Millis::now()).await
    }

    async fn pass(
        &self,
        context: &RunContext<'_, O>,
        live: Option<&LiveRun<'_, P>>,
        totals: &mut RunTotals,
    ) -> Result<(), RunError> {
        let gathered = match self.selection {
            Selection::Everybody => everybody(context).await?,
            Selection::Named(names) => named(context, names).await?,
            Selection::Ids(ids) => by_id(context, ids.clone()).await?,
        };
        // Boxed: the whole of a run is a deep type otherwise.
        Box::pin(plan_and_apply(context, self.selection, gathered, self.saved_plan, live, totals)).await
    }
}

/// Runs one sync. Without access nothing is written. A failure is part of what is returned, never a panic or a lost report.
pub async fn run<O: Observe + Sync, P: Provision + Sync>(
    context: RunContext<'_, O>,
    selection: &Selection,
    saved_plan: Option<&[ActionRecord]>,
    access: Option<&LiveAccess<'_, P>>,
) -> FinishedRun {
    conduct(context, &Reconciliation { selection, saved_plan }, access).await
}

/// Conducts a run of any kind.
pub(crate) async fn conduct<O: Observe + Sync, P: Provision + Sync, Q: Procedure<O, P>>(
    mut context: RunContext<'_, O>,
    procedure: &Q,
    access: Option<&LiveAccess<'_, P>>,
) -> FinishedRun {
    context.reads_one_by_one = !procedure.is_full();
    context.retry_wait = match (procedure.is_full(), access.is_some()) {
        (false, _) => RetryWait::Ignored,
        (true, true) => RetryWait::Counted,
        (true, false) => RetryWait::AsIfNext,
    };
    let context = &context;
    let start = RunStart::of(context).await;
    let mut totals = RunTotals::default();
    let mut live = None;
    // A defect ends the run like any other failure: on record, counted, and told.
    let phases = AssertUnwindSafe(Box::pin(phases(context, procedure, access, &mut live, &mut totals)));
    let outcome = phases.catch_unwind().await.unwrap_or_else(|panic| Err(defect(panic.as_ref())));
    let mut facts = facts(context, &totals, live.as_ref(), &start);
    // A run that failed before it had a number is no dry run.
    facts.mode = if access.is_some() { Mode::Apply } else { Mode::DryRun };
    match &outcome {
        Ok(()) => {}
        Err(error) => blame(&mut facts, error),
    }
    let mut chain_head = String::new();
    if let Some(live @ LiveRun { access, tenure, .. }) = &live {
        let health = health_after(&outcome);
        if outcome.is_ok() && procedure.is_whole() {
            end_owed_full_run(live, &mut facts).await;
        }
        quarantine_notes(context, procedure.is_full(), access.store, &mut facts, health).await;
        match access.store.finish_run(tenure, facts.clone(), health).await {
            Ok(head) => chain_head = head,
            Err(error) => facts.notes.push(error.to_string()),
        }
        // Only now: after a stop, everybody who is left over has a line, and the end must be on record before patience
        // runs out. A run whose lines did not get there is repeated as one whose list is not whole.
        record_report_lines(live, &mut totals, &mut facts).await;
    }
    context.watcher.tell(&RunEvent::Finished { result: facts.result, chain_head });
    FinishedRun { facts, records: totals.records, refusal: refusal_of(&outcome) }
}

fn refusal_of(outcome: &Result<(), RunError>) -> Option<RunRefusal> {
    match outcome {
        Err(RunError::Binding(_)) => Some(RunRefusal::Binding),
        Err(RunError::StalePlan(_)) => Some(RunRefusal::StalePlan),
        Ok(())
        | Err(
            RunError::Source(_)
            | RunError::Target(_)
            | RunError::Store(_)
            | RunError::Spool(_)
            | RunError::NobodyNamed(_)
            | RunError::Defect(_)
            | RunError::Clock(_)
            | RunError::Interrupted,
        ) => None,
    }
}

/// What the end says of the sync's health.
pub(crate) fn health_after(outcome: &Result<(), RunError>) -> RunHealth {
    match outcome {
        Err(
            RunError::Source(SourceError::Credentials(_)) | RunError::Target(TargetError::Credentials(_)),
        ) => RunHealth::CredentialsRefused,
        Err(RunError::StalePlan(_) | RunError::NobodyNamed(_)) => RunHealth::Nothing,
        Ok(())
        | Err(
            RunError::Source(_)
            | RunError::Target(_)
            | RunError::Store(_)
            | RunError::Spool(_)
            | RunError::Binding(_)
            | RunError::Defect(_)
            | RunError::Clock(_)
            | RunError::Interrupted,
        ) => RunHealth::ByResult,
    }
}

/// A panic as the error of a run.
pub(crate) fn defect(panic: &(dyn Any + Send)) -> RunError {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    RunError::Defect(text.unwrap_or_else(|| "a panic without words".to_owned()))
}

async fn phases<'a, O: Observe + Sync, P: Provision + Sync, Q: Procedure<O, P>>(
    context: &RunContext<'_, O>,
    procedure: &Q,
    access: Option<&'a LiveAccess<'a, P>>,
    live: &mut Option<LiveRun<'a, P>>,
    totals: &mut RunTotals,
) -> Result<(), RunError> {
    let binding = binding_of(context.source, context.config);
    check_binding(context.snapshot, context.sync_name(), &binding).await?;
    let began = OrderNumber::next();
    if let Some(access) = access {
        let tenure = access.store.tenure(context.sync_name()).await?;
        access.store.bind(&tenure, binding).await?;
        let run = procedure.begin(context, access, &tenure).await?;
        if let Some(actor) = context.actor {
            access.store.note_actor(run, actor).await?;
        }
        let LiveRun { access, tenure, .. } = live.insert(LiveRun { access, tenure, run, began });
        let only = procedure.people_to_settle();
        let settled = recover(context, access.store, tenure, only.as_ref()).await?;
        if settled > 0 {
            totals.notes.push(format!("settled {settled} writes that an earlier run had left open"));
        }
        look_after_overtaken(context, access.store, tenure).await?;
    }
    while totals.passes < MOST_PASSES {
        // Names of groups are resolved afresh, once a pass.
        context.source.begin_pass();
        procedure.pass(context, live.as_ref(), totals).await?;
        if totals.stop != Some(StopReason::TimeIsUp) {
            break;
        }
        totals.stop = None;
    }
    stopped(totals)
}

/// Why a run stopped early, as its error.
pub(crate) fn stopped(totals: &RunTotals) -> Result<(), RunError> {
    match &totals.stop {
        Some(StopReason::Interrupted) => Err(RunError::Interrupted),
        Some(StopReason::TargetUnavailable(why)) => {
            Err(RunError::Target(TargetError::Unavailable(why.clone())))
        }
        Some(StopReason::CredentialsRefused(why)) => {
            Err(RunError::Target(TargetError::Credentials(why.clone())))
        }
        Some(StopReason::State(why)) => Err(RunError::Store(crate::store::StoreError::Database(why.clone()))),
        Some(StopReason::TimeIsUp) | None => Ok(()),
    }
}

/// A full run that ended well does what had asked for one.
async fn end_owed_full_run<P>(live: &LiveRun<'_, P>, facts: &mut RunFacts) {
    let LiveRun { access, tenure, began, .. } = live;
    if let Err(error) = access.store.end_full_run(tenure, *began).await {
        facts.notes.push(error.to_string());
    }
}

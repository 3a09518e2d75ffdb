//! One run of one sync, phase by phase.

use std::collections::{HashMap, HashSet};

use tokio::sync::watch;

use super::apply::WriteHand;
use super::event::{RunEvent, Watcher};
use super::execute::{Carried, Executor};
use super::hand::{DryHand, Stop};
use super::narrowing::Narrowing;
use super::people::{Gathered, by_id, everybody, named};
use super::planning::{Plan, make_plan};
use super::prove::{Judge, Prover};
use super::rulings::Rulings;
use super::settle::recover;
use super::telling::{
    blame, facts, hold_fact, holds_to_come, keep_lines, quarantine_notes, remind, tell_holds, told_of,
};
use super::{Context, RunError, Waiting};
use crate::config;
use crate::core::mapping::Mapping;
use crate::http::Lane;
use crate::http::counters::Counters;
use crate::model::id::SourceId;
use crate::model::order::Observation;
use crate::model::plan::Verb;
use crate::model::report::{ActionRecord, HoldFact, Outcome, RunFacts, Summary, Trigger};
use crate::model::time::Millis;
use crate::source::{Source, SourceError};
use crate::store::{Binding, Census, HoldScope, Snapshot, Spool, Store, Tenure, ToldOf, Verdict};
use crate::target::{Observe, Provision, TargetError};

/// Passes of one run: far beyond what `max_apply` needs, so that a run always ends.
const MOST_PASSES: u32 = 1000;

/// Whom a run is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Everybody.
    Everybody,
    /// These, by login, e-mail, source id or target id.
    Named(Vec<String>),
    /// These.
    Ids(Vec<SourceId>),
    /// Everybody for whom a run wrote something: that is taken back.
    ReturnOf {
        /// The run.
        run: i64,
        /// Who asked for it, for the record.
        by: String,
    },
}

/// What is asked for.
pub struct Request<'a, O> {
    /// The sync.
    pub config: &'a config::Sync,
    /// The compiled mapping.
    pub mapping: &'a Mapping,
    /// The identity provider.
    pub source: &'a Source,
    /// The workspace, for reading.
    pub target: &'a O,
    /// The state, for reading.
    pub snapshot: &'a Snapshot,
    /// Whom it is about.
    pub who: Who,
    /// Only these actions, exactly as they are: a saved plan.
    pub only: Option<&'a [ActionRecord]>,
    /// What started it.
    pub trigger: Trigger,
    /// Nobody stands behind it: the limits for unattended runs apply.
    pub unattended: bool,
    /// Who is told.
    pub watcher: &'a dyn Watcher,
    /// Becomes true when a signal asks to stop.
    pub interrupted: watch::Receiver<bool>,
}

/// The right to write. A dry run has none.
pub struct Writing<'a, P> {
    /// The state.
    pub store: &'a Store,
    /// The workspace, for writing.
    pub provisioner: &'a P,
}

/// A run that ended, one way or the other.
#[derive(Debug)]
pub struct Finished {
    /// Everything but the list.
    pub facts: RunFacts,
    /// Everybody but the unchanged.
    pub records: Spool<ActionRecord>,
    /// Why the run was refused before it wrote anything.
    pub refused: Option<Refused>,
}

/// Why a run was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The configuration does not fit the stored links.
    Binding,
    /// The saved plan does not fit what is there now.
    StalePlan,
}

/// What is gathered over the passes of a run.
#[derive(Default)]
pub(super) struct Tally {
    pub records: Spool<ActionRecord>,
    pub summary: Summary,
    pub unsent_removals: u64,
    pub seats_delta: i64,
    pub list_was_short: u64,
    pub left_out: u64,
    pub passes: u32,
    pub users: u64,
    pub pages: u64,
    pub complete: bool,
    pub judgement: crate::core::guard::Judgement,
    pub stop: Option<Stop>,
    pub holds: Vec<HoldFact>,
    /// People whose actions ended in an earlier pass.
    pub done: HashSet<SourceId>,
    /// Of them, those who have a link.
    pub linked: u64,
    pub notes: Vec<String>,
    /// Whose lines `records` holds, once it holds all of them.
    pub told: Option<ToldOf>,
}

/// How things stood when a run began.
pub(super) struct Beginning {
    pub at: Millis,
    pub census: Census,
    pub source: Counters,
    pub target: Counters,
}

pub(super) struct Written<'a, P> {
    pub writing: &'a Writing<'a, P>,
    pub tenure: Tenure,
    pub run: i64,
}

/// Runs one sync. A failure is part of what is returned, never a panic or a lost report.
pub async fn run<O: Observe, P: Provision>(
    request: Request<'_, O>,
    writing: Option<&Writing<'_, P>>,
) -> Finished {
    let beginning = Beginning {
        at: Millis::now(),
        census: request.snapshot.census(&request.config.name).await.unwrap_or_default(),
        source: request.source.counters(),
        target: request.target.counters(),
    };
    let mut tally = Tally::default();
    let mut written = None;
    let outcome = phases(&request, writing, &mut written, &mut tally).await;
    let mut facts = facts(&request, &tally, written.as_ref(), &beginning);
    match &outcome {
        Ok(()) => {}
        Err(error) => blame(&mut facts, error),
    }
    let mut chain_head = String::new();
    if let Some(written @ Written { writing, tenure, .. }) = &written {
        let verdict = verdict(&outcome);
        quarantine_notes(&request, writing.store, &mut facts, verdict).await;
        match writing.store.finish_run(tenure, facts.clone(), verdict).await {
            Ok(head) => chain_head = head,
            Err(error) => facts.notes.push(error.to_string()),
        }
        // Only now: after a stop, everybody who is left over has a line, and the end must be on record before patience
        // runs out. A run whose lines did not get there is repeated as one whose list is not whole.
        keep_lines(written, &mut tally, &mut facts).await;
    }
    request.watcher.tell(&RunEvent::Finished { result: facts.result, chain_head });
    let refused = match &outcome {
        Err(RunError::Binding(_)) => Some(Refused::Binding),
        Err(RunError::StalePlan(_)) => Some(Refused::StalePlan),
        Ok(())
        | Err(
            RunError::Source(_)
            | RunError::Target(_)
            | RunError::Store(_)
            | RunError::Spool(_)
            | RunError::Interrupted,
        ) => None,
    };
    Finished { facts, records: tally.records, refused }
}

/// What the end says of the sync's health.
pub(super) fn verdict(outcome: &Result<(), RunError>) -> Verdict {
    match outcome {
        Err(
            RunError::Source(SourceError::Credentials(_)) | RunError::Target(TargetError::Credentials(_)),
        ) => Verdict::CredentialsRefused,
        Err(RunError::StalePlan(_)) => Verdict::Nothing,
        Ok(())
        | Err(
            RunError::Source(_)
            | RunError::Target(_)
            | RunError::Store(_)
            | RunError::Spool(_)
            | RunError::Binding(_)
            | RunError::Interrupted,
        ) => Verdict::ByResult,
    }
}

async fn phases<'a, O: Observe, P: Provision>(
    request: &Request<'_, O>,
    writing: Option<&'a Writing<'a, P>>,
    written: &mut Option<Written<'a, P>>,
    tally: &mut Tally,
) -> Result<(), RunError> {
    let target_url = target_url(&request.config.target);
    let binding = binding_of(request.source, request.config);
    check_binding(request.snapshot, &request.config.name, &binding).await?;
    let full = request.who == Who::Everybody;
    if let Some(writing) = writing {
        let tenure = writing.store.tenure(&request.config.name).await?;
        writing.store.bind(&tenure, binding).await?;
        let run = match &request.who {
            Who::ReturnOf { run, by } => writing.store.begin_return(&tenure, *run, by, Millis::now()).await?,
            Who::Everybody | Who::Named(_) | Who::Ids(_) => {
                writing.store.begin_run(&tenure, request.trigger, full, Millis::now()).await?
            }
        };
        *written = Some(Written { writing, tenure, run });
    }
    let waiting = match (full, writing.is_some()) {
        (false, _) => Waiting::Ignored,
        (true, true) => Waiting::Counted,
        (true, false) => Waiting::AsIfNext,
    };
    let context = context(request, target_url, waiting);
    if let Some(Written { writing, tenure, .. }) = written {
        let settled = recover(&context, writing.store, tenure).await?;
        if settled > 0 {
            tally.notes.push(format!("settled {settled} writes that an earlier run had left open"));
        }
    }
    while tally.passes < MOST_PASSES {
        pass(&context, &request.who, request.only, written.as_ref(), tally).await?;
        if tally.stop != Some(Stop::TimeIsUp) {
            break;
        }
        tally.stop = None;
    }
    stopped(tally)
}

/// Why a run stopped early, as its error.
pub(super) fn stopped(tally: &Tally) -> Result<(), RunError> {
    match &tally.stop {
        Some(Stop::Interrupted) => Err(RunError::Interrupted),
        Some(Stop::TargetUnavailable(why)) => Err(RunError::Target(TargetError::Unavailable(why.clone()))),
        Some(Stop::State(why)) => Err(RunError::Store(crate::store::StoreError::Database(why.clone()))),
        Some(Stop::TimeIsUp) | None => Ok(()),
    }
}

/// What the phases of a run may look at.
pub(super) fn context<'a, O>(
    request: &Request<'a, O>,
    target_url: String,
    waiting: Waiting,
) -> Context<'a, O> {
    Context {
        config: request.config,
        mapping: request.mapping,
        source: request.source,
        target: request.target,
        snapshot: request.snapshot,
        target_url,
        watcher: request.watcher,
        interrupted: request.interrupted.clone(),
        waiting,
        unattended: request.unattended,
        lane: if request.trigger == Trigger::Watch { Lane::Removal } else { Lane::General },
        corrected: HashMap::new(),
    }
}

/// One pass: read, plan, carry out. A run has more than one where applying takes longer than `max_apply`.
async fn pass<O: Observe, P: Provision>(
    context: &Context<'_, O>,
    who: &Who,
    only: Option<&[ActionRecord]>,
    written: Option<&Written<'_, P>>,
    tally: &mut Tally,
) -> Result<(), RunError> {
    let gathered = match who {
        Who::ReturnOf { run, .. } => return super::undo::pass(context, *run, written, tally).await,
        Who::Everybody => everybody(context).await?,
        Who::Named(names) => named(context, names).await?,
        Who::Ids(ids) => by_id(context, ids.clone()).await?,
    };
    plan_and_carry_out(context, who, gathered, only, written, tally).await
}

/// The second half of a pass: plan, guard, prove, apply.
pub(super) async fn plan_and_carry_out<O: Observe, P: Provision>(
    context: &Context<'_, O>,
    who: &Who,
    gathered: Gathered,
    only: Option<&[ActionRecord]>,
    written: Option<&Written<'_, P>>,
    tally: &mut Tally,
) -> Result<(), RunError> {
    let Gathered { people, witnesses, complete_read_at, newly_absent, shown_again, looks, users, pages } =
        gathered;
    tally.passes += 1;
    tally.users = users;
    tally.pages += pages;
    tally.complete = complete_read_at.is_some();
    let prover =
        Prover::new(context.source, context.mapping, &context.config.lifecycle, witnesses, complete_read_at);
    let scope = scope_of(who, &people, complete_read_at);
    let told = told_of(who, only, &people);
    if let Some(Written { writing, tenure, .. }) = written {
        // Before planning: a full run that read earlier must not act on what it saw then.
        writing.store.note_looks(tenure, looks).await?;
    }
    let rulings = Rulings::load(context, !people.candidates.is_empty(), Millis::now()).await?;
    let mut narrowing = only.map(|actions| Narrowing::new(actions, &tally.done));
    let mut plan = make_plan(context, people, &prover, &rulings, narrowing.as_mut(), Millis::now()).await?;
    narrowing.map_or(Ok(()), Narrowing::verify)?;
    tally.judgement = plan.judgement.clone();
    let carried = match written {
        None => {
            let executor = Executor::new(context, &prover, plan.judgement.clone(), &rulings, &DryHand, None);
            let carried = executor.carry_out(&mut plan).await?;
            tally.holds = holds_to_come(context, &carried.held).await?;
            carried
        }
        Some(written @ Written { writing, tenure, .. }) => {
            let read_at = complete_read_at.unwrap_or_else(Observation::now);
            writing.store.note_absences(tenure, newly_absent, shown_again, read_at.at).await?;
            writing.store.refresh_digests(tenure, std::mem::take(&mut plan.refresh)).await?;
            writing.store.note_looks(tenure, std::mem::take(&mut plan.looks)).await?;
            writing.store.drop_pins(tenure, std::mem::take(&mut plan.stale_pins)).await?;
            let mut carried = apply_pass(context, &prover, &rulings, &mut plan, written).await?;
            hold_what_is_held(written, &mut carried, scope, tally).await?;
            carried
        }
    };
    merge(tally, carried)?;
    tally.told = Some(told).filter(|_| tally.stop != Some(Stop::TimeIsUp));
    Ok(())
}

/// Brings the open holds in line with what a pass held.
pub(super) async fn hold_what_is_held<P>(
    written: &Written<'_, P>,
    carried: &mut Carried,
    scope: HoldScope,
    tally: &mut Tally,
) -> Result<(), RunError> {
    // A run that stopped early has not asked the guards about everybody.
    if carried.stop.is_none() {
        let (held, wanted) = (std::mem::take(&mut carried.held), std::mem::take(&mut carried.wanted));
        let store = written.writing.store;
        let holds = store.sync_holds(&written.tenure, held, wanted, scope, Millis::now()).await?;
        tell_holds(&holds);
        remind(&holds, &mut tally.notes);
        tally.holds = holds.iter().map(hold_fact).collect();
    }
    Ok(())
}

/// Carries a plan out for real.
pub(super) async fn apply_pass<O: Observe, P: Provision, J: Judge>(
    context: &Context<'_, O>,
    judge: &J,
    rulings: &Rulings,
    plan: &mut Plan,
    written: &Written<'_, P>,
) -> Result<Carried, RunError> {
    let Written { writing, tenure, run } = written;
    let hand = WriteHand::new(
        context,
        writing.store,
        tenure,
        writing.provisioner,
        rulings,
        *run,
        plan.judgement.as_of(),
    );
    let deadline = tokio::time::Instant::now() + context.config.max_apply;
    Executor::new(context, judge, plan.judgement.clone(), rulings, &hand, Some(deadline))
        .carry_out(plan)
        .await
}

/// Whom the holds are brought in line for.
fn scope_of(who: &Who, people: &super::planning::People, read_at: Option<Observation>) -> HoldScope {
    match who {
        Who::Everybody => HoldScope::Everybody(read_at.unwrap_or_else(Observation::now).at),
        Who::Named(_) | Who::Ids(_) => HoldScope::Named(people.named.clone()),
        Who::ReturnOf { run, .. } => HoldScope::ReturnOf(*run),
    }
}

/// Adds a pass to the run. A pass that ran out of time gives only what it did: the rest is planned afresh.
pub(super) fn merge(tally: &mut Tally, mut carried: Carried) -> Result<(), RunError> {
    let again = carried.stop == Some(Stop::TimeIsUp);
    let mut linked = 0;
    for record in carried.records.iter()? {
        let record = record?;
        let ended = matches!(record.outcome, Outcome::Applied | Outcome::Failed);
        let repeated = record.source_id.as_ref().is_some_and(|id| tally.done.contains(id));
        if !ended && (again || repeated) {
            continue;
        }
        if ended {
            tally.done.extend(record.source_id.clone());
            linked += u64::from(record.outcome == Outcome::Applied && record.action != Verb::Delete);
        }
        tally.summary.count(record.action, record.outcome);
        tally.records.push(&record)?;
    }
    // People done in an earlier pass are linked and unchanged in this one, but they count there already.
    tally.summary.unchanged = carried.summary.unchanged.saturating_sub(tally.linked);
    tally.linked += linked;
    tally.unsent_removals = carried.unsent_removals;
    tally.list_was_short += carried.list_was_short;
    tally.left_out = carried.left_out;
    tally.seats_delta += carried.seats_delta;
    tally.stop = carried.stop;
    Ok(())
}

/// What a sync is bound to, in words: saved plans and messages name it.
pub fn bound_to(source: &Source, config: &config::Sync) -> String {
    let origin = source.origin().origin().ascii_serialization();
    let kind = source.vendor().as_str();
    format!("{kind} app {} at {origin} -> {}", config.source.app_id, target_url(&config.target))
}

/// The workspace's base URL in one spelling.
pub fn target_url(target: &config::Target) -> String {
    target.url.as_str().trim_end_matches('/').to_owned()
}

/// What a configured sync is bound to.
pub(super) fn binding_of(source: &Source, config: &config::Sync) -> Binding {
    Binding {
        source_kind: source.vendor().as_str().to_owned(),
        source_origin: source.origin().origin().ascii_serialization(),
        source_app: config.source.app_id.clone(),
        target_url: target_url(&config.target),
    }
}

/// A sync is bound to its source and workspace: other links than its own are never touched.
pub(super) async fn check_binding(snapshot: &Snapshot, sync: &str, now: &Binding) -> Result<(), RunError> {
    let Some(bound) = snapshot.binding(sync).await? else { return Ok(()) };
    if bound == *now || snapshot.census(sync).await?.links == 0 {
        return Ok(());
    }
    let side = |binding: &Binding| {
        format!(
            "{} app {} at {} -> {}",
            binding.source_kind, binding.source_app, binding.source_origin, binding.target_url
        )
    };
    Err(RunError::Binding(format!(
        "sync \"{sync}\" holds links of {}, and the configuration now says {}\nhelp: if the source moved, hand the \
         links over with `rosterd transfer --from {sync} --to {sync}`; if this is another workspace, give it a sync name \
         of its own, and `rosterd rebuild` fills that one's empty state",
        side(&bound),
        side(now)
    )))
}

//! One run of one sync, phase by phase.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;

use futures_util::FutureExt;
use tokio::sync::watch;

use super::apply::WriteHand;
use super::clock::trust_in_clock;
use super::event::{RunEvent, Watcher};
use super::execute::{Carried, Executor, wanted_entry};
use super::hand::{DryHand, Stop};
use super::heartbeat::beat;
use super::narrowing::Narrowing;
use super::people::{Gathered, by_id, everybody, named};
use super::planning::{Plan, PlanMaker, plan_changed_causes};
use super::prove::{Judge, Prover};
use super::relook::{Relooked, causes_that_changed, split_kept};
use super::rulings::Rulings;
use super::settle::{look_after_overtaken, recover};
use super::telling::{
    blame, facts, hold_fact, holds_to_come, keep_lines, quarantine_notes, remind, tell_holds, told_of,
};
use super::{Context, RunError, Waiting};
use crate::config;
use crate::core::clock::ClockTrust;
use crate::core::mapping::Mapping;
use crate::http::Lane;
use crate::http::counters::Counters;
use crate::model::id::SourceId;
use crate::model::order::{Observation, OrderNumber};
use crate::model::owed::OwedEntry;
use crate::model::plan::{Disposition, PlannedAction, Verb};
use crate::model::report::{ActionRecord, HoldFact, Mode, Outcome, RunFacts, Summary, Trigger};
use crate::model::time::Millis;
use crate::source::{Source, SourceError};
use crate::store::{
    Binding, Census, HoldScope, OwedRemovals, OwedScope, Snapshot, Spool, Store, Tenure, ToldOf, Verdict,
};
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
    /// Who started it by hand, for the record.
    pub by: Option<&'a str>,
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
    /// What the removals that are still owed mean for the exit code.
    pub owed: OwedRemovals,
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
    /// When it began, in the order of things.
    pub began: OrderNumber,
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
    // A defect ends the run like any other failure: on record, counted, and told.
    let phases = AssertUnwindSafe(Box::pin(phases(&request, writing, &mut written, &mut tally)));
    let outcome = phases.catch_unwind().await.unwrap_or_else(|panic| Err(defect(panic.as_ref())));
    let mut facts = facts(&request, &tally, written.as_ref(), &beginning);
    // A run that failed before it had a number is no dry run.
    facts.mode = if writing.is_some() { Mode::Apply } else { Mode::DryRun };
    match &outcome {
        Ok(()) => {}
        Err(error) => blame(&mut facts, error),
    }
    let mut chain_head = String::new();
    if let Some(written @ Written { writing, tenure, .. }) = &written {
        let verdict = verdict(&outcome);
        if outcome.is_ok() && request.who == Who::Everybody && request.only.is_none() {
            end_what_asked_for_it(written, &mut facts).await;
        }
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
            | RunError::NobodyNamed(_)
            | RunError::Defect(_)
            | RunError::Clock(_)
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
        Err(RunError::StalePlan(_) | RunError::NobodyNamed(_)) => Verdict::Nothing,
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
        ) => Verdict::ByResult,
    }
}

/// A panic as the error of a run.
pub(super) fn defect(panic: &(dyn Any + Send)) -> RunError {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    RunError::Defect(text.unwrap_or_else(|| "a panic without words".to_owned()))
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
    let began = OrderNumber::next();
    if let Some(writing) = writing {
        let tenure = writing.store.tenure(&request.config.name).await?;
        writing.store.bind(&tenure, binding).await?;
        let run = match &request.who {
            Who::ReturnOf { run, by } => writing.store.begin_return(&tenure, *run, by, Millis::now()).await?,
            Who::Everybody | Who::Named(_) | Who::Ids(_) => {
                let unattended = request.unattended;
                writing.store.begin_run(&tenure, request.trigger, full, unattended, Millis::now()).await?
            }
        };
        if let Some(by) = request.by {
            writing.store.note_actor(run, by).await?;
        }
        *written = Some(Written { writing, tenure, run, began });
    }
    let waiting = match (full, writing.is_some()) {
        (false, _) => Waiting::Ignored,
        (true, true) => Waiting::Counted,
        (true, false) => Waiting::AsIfNext,
    };
    let context = context(request, target_url, waiting);
    if let Some(Written { writing, tenure, .. }) = written {
        let named = match &request.who {
            Who::Ids(ids) => Some(ids.iter().cloned().collect::<HashSet<SourceId>>()),
            Who::Everybody | Who::Named(_) | Who::ReturnOf { .. } => None,
        };
        let settled = recover(&context, writing.store, tenure, named.as_ref()).await?;
        if settled > 0 {
            tally.notes.push(format!("settled {settled} writes that an earlier run had left open"));
        }
        look_after_overtaken(&context, writing.store, tenure).await?;
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
        Some(Stop::CredentialsRefused(why)) => Err(RunError::Target(TargetError::Credentials(why.clone()))),
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
        reads_one_by_one: request.who != Who::Everybody,
        clock: OnceLock::new(),
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
    // Names of groups are resolved afresh, once a pass.
    context.source.begin_pass();
    let gathered = match who {
        Who::ReturnOf { run, .. } => return super::undo::pass(context, *run, written, tally).await,
        Who::Everybody => everybody(context).await?,
        Who::Named(names) => named(context, names).await?,
        Who::Ids(ids) => by_id(context, ids.clone()).await?,
    };
    // Boxed: the whole of a run is a deep type otherwise.
    Box::pin(plan_and_carry_out(context, who, gathered, only, written, tally)).await
}

/// The second half of a pass: plan, guard, prove, apply; who leaves before everybody else is looked up.
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
    let read = complete_read_at.unwrap_or_else(Observation::now);
    let scopes = Scopes::of(who, only, &people, read);
    let told = told_of(who, only, &people);
    if let Some(Written { writing, tenure, .. }) = written {
        // Before planning: a full run that read earlier must not act on what it saw then.
        writing.store.note_looks(tenure, looks).await?;
        writing.store.note_absences(tenure, newly_absent, shown_again, read.at).await?;
    }
    let asks_holds = *who == Who::Everybody && only.is_none();
    let rulings = Rulings::load(context, !people.candidates.is_empty(), asks_holds, Millis::now()).await?;
    let mut narrowing = only.map(|actions| Narrowing::new(actions, &tally.done));
    let mut maker = PlanMaker::new(context, people, &prover, &rulings, Millis::now()).await?;
    let mut leavers = maker.leavers(narrowing.as_mut()).await?;
    // Of a saved plan nothing is written before all of it was compared.
    let mut others = match &narrowing {
        None => None,
        Some(_) => Some(maker.others(narrowing.as_mut(), &prover).await?),
    };
    narrowing.map_or(Ok(()), Narrowing::verify)?;
    let pass = Pass { context, prover: &prover, rulings: &rulings, written, scopes: &scopes };
    let mut carried = Carried::default();
    pass.carry_out_leavers(&mut leavers, &mut carried, tally).await?;
    let planned = match others.take() {
        Some(others) => Ok(others),
        None => maker.others(None, &prover).await,
    };
    let outcome = match planned {
        Ok(mut plan) => {
            context.watcher.tell(&RunEvent::Planned { writes: leavers.writes + plan.writes });
            pass.carry_out_others(&mut plan, &mut carried, tally).await
        }
        Err(error) => Err(error),
    };
    // Whatever became of the others: the lines of those who are left alone, and what was held.
    pass.carry_out_quiet(&mut leavers, &mut carried).await?;
    let scopes_of_end = if outcome.is_ok() { &scopes } else { &Scopes::only_more() };
    pass.note_what_is_left(&mut carried, scopes_of_end, tally).await?;
    merge(tally, carried)?;
    tally.told = Some(told).filter(|_| outcome.is_ok() && tally.stop != Some(Stop::TimeIsUp));
    outcome?;
    if asks_holds && tally.stop.is_none() {
        beat(context, written.map(|Written { writing, tenure, .. }| (writing.store, tenure))).await?;
    }
    Ok(())
}

/// For whom a pass brings holds and owed rows in line.
pub(super) struct Scopes {
    pub holds: HoldScope,
    pub owed: OwedScope,
}

impl Scopes {
    fn of(
        who: &Who,
        only: Option<&[ActionRecord]>,
        people: &super::planning::People,
        read: Observation,
    ) -> Scopes {
        if let Some(actions) = only {
            // A saved plan asks about its own people, and about nothing else that they want.
            let _ = actions;
            return Scopes::only_more();
        }
        match who {
            Who::Everybody => {
                Scopes { holds: HoldScope::Everybody(read.number), owed: OwedScope::Everybody(read.number) }
            }
            Who::Named(_) | Who::Ids(_) => Scopes {
                holds: HoldScope::Named(people.named.clone()),
                owed: OwedScope::These(people.named.clone(), read.number),
            },
            Who::ReturnOf { run, .. } => {
                Scopes { holds: HoldScope::ReturnOf(*run), owed: OwedScope::OnlyMore }
            }
        }
    }

    /// What is added and nothing ended: the pass did less than its people need.
    pub(super) fn only_more() -> Scopes {
        Scopes { holds: HoldScope::OnlyMore, owed: OwedScope::OnlyMore }
    }
}

/// What the stages of a pass share.
struct Pass<'a, 'c, O, P> {
    context: &'a Context<'c, O>,
    prover: &'a Prover<'a>,
    rulings: &'a Rulings,
    written: Option<&'a Written<'a, P>>,
    scopes: &'a Scopes,
}

impl<O: Observe, P: Provision> Pass<'_, '_, O, P> {
    /// Removals first; then those who are kept are asked about in turn, and a cause that has changed is planned,
    /// judged, proven and sent as well.
    async fn carry_out_leavers(
        &self,
        plan: &mut Plan,
        carried: &mut Carried,
        tally: &mut Tally,
    ) -> Result<(), RunError> {
        self.note_plan(plan).await?;
        tally.judgement = plan.judgement.clone();
        self.hear_witnesses(plan.writes > 0, tally).await?;
        let mut quiet = std::mem::take(&mut plan.quiet);
        let mut kept = split_kept(plan, &mut quiet, self.rulings)?;
        self.go_on(plan, carried).await?;
        if carried.stop.is_none() && self.asks_everybody() {
            let Relooked { changed, looks } =
                causes_that_changed(self.context, &mut kept, &mut quiet).await?;
            if let Some(Written { writing, tenure, .. }) = self.written {
                writing.store.note_looks(tenure, looks).await?;
            }
            if !changed.is_empty() {
                let mut again =
                    plan_changed_causes(self.context, changed, self.rulings, Millis::now()).await?;
                self.note_plan(&mut again).await?;
                tally.judgement = std::mem::take(&mut tally.judgement).and(again.judgement.clone());
                self.go_on(&mut again, carried).await?;
            }
        }
        let mut rest = Plan { removals: kept, judgement: plan.judgement.clone(), ..Plan::default() };
        self.go_on(&mut rest, carried).await?;
        plan.quiet = quiet;
        Ok(())
    }

    fn asks_everybody(&self) -> bool {
        matches!(self.scopes.owed, OwedScope::Everybody(_))
    }

    async fn carry_out_others(
        &self,
        plan: &mut Plan,
        carried: &mut Carried,
        tally: &mut Tally,
    ) -> Result<(), RunError> {
        self.note_plan(plan).await?;
        tally.judgement = std::mem::take(&mut tally.judgement).and(plan.judgement.clone());
        self.hear_witnesses(plan.writes > 0, tally).await?;
        self.go_on(plan, carried).await
    }

    /// Both sides are heard before the first write; two that agree that our clock is wrong stop the run.
    async fn hear_witnesses(&self, writes: bool, tally: &mut Tally) -> Result<(), RunError> {
        let context = self.context;
        let ask = writes && self.written.is_some();
        if context.clock.get().is_some() && !ask {
            return Ok(());
        }
        let trust = trust_in_clock(context, ask).await?;
        if let Some(note) = trust.note().filter(|note| !tally.notes.iter().any(|known| known == note)) {
            tally.notes.push(note.to_owned());
        }
        if let (ClockTrust::Wrong(text), true) = (&trust, self.written.is_some()) {
            tally.notes.retain(|note| note != text);
            return Err(RunError::Clock(text.clone()));
        }
        if let (true, Some(Written { writing, tenure, .. })) = (trust.is_confirmed(), self.written)
            && context.clock.get().is_none()
            && self.asks_everybody()
        {
            writing.store.note_clock_confirmed(tenure, Millis::now()).await?;
        }
        let _ = context.clock.set(trust);
        Ok(())
    }

    /// The lines of those to whom nothing is sent.
    async fn carry_out_quiet(&self, leavers: &mut Plan, carried: &mut Carried) -> Result<(), RunError> {
        let mut rest = Plan { quiet: std::mem::take(&mut leavers.quiet), ..Plan::default() };
        self.go_on(&mut rest, carried).await
    }

    /// What a plan found out, and its removals as soon as they are judged: a crash before they are sent leaves them to
    /// be seen.
    async fn note_plan(&self, plan: &mut Plan) -> Result<(), RunError> {
        let Some(Written { writing, tenure, .. }) = self.written else { return Ok(()) };
        let store = writing.store;
        store.refresh_digests(tenure, std::mem::take(&mut plan.refresh)).await?;
        store.note_looks(tenure, std::mem::take(&mut plan.looks)).await?;
        store.note_causes(tenure, std::mem::take(&mut plan.causes)).await?;
        store.note_pin_causes(tenure, std::mem::take(&mut plan.pin_causes)).await?;
        store.drop_pins(tenure, std::mem::take(&mut plan.stale_pins)).await?;
        let mut judged: Vec<OwedEntry> = Vec::new();
        for stage in [&mut plan.removals, &mut plan.refused_removals] {
            for action in stage.iter()? {
                let action: PlannedAction = action?;
                if action.disposition == Disposition::Send {
                    judged.extend(wanted_entry(&action));
                }
            }
        }
        store.note_judged_removals(tenure, judged, Millis::now()).await?;
        Ok(())
    }

    async fn go_on(&self, plan: &mut Plan, carried: &mut Carried) -> Result<(), RunError> {
        match self.written {
            None => {
                let judgement = plan.judgement.clone();
                Executor::new(self.context, self.prover, judgement, self.rulings, &DryHand, None)
                    .go_on(plan, carried)
                    .await
            }
            Some(written) => {
                apply_plan(self.context, self.prover, self.rulings, plan, written, carried).await
            }
        }
    }

    /// Holds and owed rows in line with what the pass came to.
    async fn note_what_is_left(
        &self,
        carried: &mut Carried,
        scopes: &Scopes,
        tally: &mut Tally,
    ) -> Result<(), RunError> {
        match self.written {
            None => tally.holds = holds_to_come(self.context, &carried.held).await?,
            Some(written) => {
                hold_what_is_held(written, carried, scopes.holds.clone(), tally).await?;
                note_what_is_owed(written, carried, scopes.owed.clone(), tally).await?;
            }
        }
        Ok(())
    }
}

/// What a pass leaves owed, and what that means for the exit code.
pub(super) async fn note_what_is_owed<P>(
    written: &Written<'_, P>,
    carried: &mut Carried,
    scope: OwedScope,
    tally: &mut Tally,
) -> Result<(), RunError> {
    let Written { writing, tenure, .. } = written;
    let people = match &scope {
        OwedScope::These(people, _) => Some(people.clone()),
        OwedScope::Everybody(_) => None,
        // A saved plan and a return answer for nobody but the people of their own lines.
        OwedScope::OnlyMore => Some(HashSet::new()),
    };
    // A pass that stopped has not been asked about everybody.
    let scope = if carried.stop.is_none() { scope } else { OwedScope::OnlyMore };
    writing.store.note_owed(tenure, &mut carried.owed, scope, Millis::now()).await?;
    tally.owed = writing.store.snapshot().owed_removals(tenure.sync(), people).await?;
    Ok(())
}

/// A full run that ended well does what had asked for one.
async fn end_what_asked_for_it<P>(written: &Written<'_, P>, facts: &mut RunFacts) {
    let Written { writing, tenure, began, .. } = written;
    if let Err(error) = writing.store.end_full_run(tenure, *began).await {
        facts.notes.push(error.to_string());
    }
}

/// Brings the open holds in line with what a pass held.
pub(super) async fn hold_what_is_held<P>(
    written: &Written<'_, P>,
    carried: &mut Carried,
    scope: HoldScope,
    tally: &mut Tally,
) -> Result<(), RunError> {
    // A run that stopped early has not asked the guards about everybody.
    let scope = if carried.stop.is_none() { scope } else { HoldScope::OnlyMore };
    {
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
pub(super) async fn apply_plan<O: Observe, P: Provision, J: Judge>(
    context: &Context<'_, O>,
    judge: &J,
    rulings: &Rulings,
    plan: &mut Plan,
    written: &Written<'_, P>,
    carried: &mut Carried,
) -> Result<(), RunError> {
    let Written { writing, tenure, run, .. } = written;
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
        .go_on(plan, carried)
        .await
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

//! One pass of a run after the reading: who leaves is planned, judged, proven and sent, then everybody else; then what was
//! held and what is still owed is stored.

use std::collections::HashSet;

use crate::core::clock::ClockTrust;
use crate::engine::apply::executor::{ApplyResult, Executor, wanted_entry};
use crate::engine::apply::live_writer::LiveWriter;
use crate::engine::apply::writer::{DryRunWriter, StopReason};
use crate::engine::clock_check::trust_in_clock;
use crate::engine::context::RunContext;
use crate::engine::error::RunError;
use crate::engine::gather::read_set::ReadSet;
use crate::engine::heartbeat::beat;
use crate::engine::live_run::LiveRun;
use crate::engine::plan::Plan;
use crate::engine::plan::decisions::Decisions;
use crate::engine::plan::kept_people::{KeptPeopleLooks, causes_that_changed, split_kept};
use crate::engine::plan::plan_maker::{PlanMaker, plan_changed_causes};
use crate::engine::plan::saved_plan::SavedPlanMatcher;
use crate::engine::prove::{Prover, RemovalProver};
use crate::engine::selection::Selection;
use crate::engine::summary::RunTotals;
use crate::engine::summary::{fill_owed_since, hold_fact, holds_to_come, line_scope, log_holds, remind};
use crate::model::order::Observation;
use crate::model::owed::OwedEntry;
use crate::model::plan::{Disposition, PlannedAction, Verb};
use crate::model::report::{ActionRecord, Outcome};
use crate::model::run_event::RunEvent;
use crate::model::time::Millis;
use crate::scim::target::{Observe, Provision};
use crate::store::{HoldScope, OwedScope};

/// The second half of a pass: plan, guard, prove, apply; who leaves before everybody else is looked up.
pub(crate) async fn plan_and_apply<O: Observe, P: Provision>(
    context: &RunContext<'_, O>,
    selection: &Selection,
    mut read_set: ReadSet,
    saved_plan: Option<&[ActionRecord]>,
    live: Option<&LiveRun<'_, P>>,
    totals: &mut RunTotals,
) -> Result<(), RunError> {
    totals.passes += 1;
    totals.users = read_set.users;
    totals.pages += read_set.pages;
    let complete_read_at = read_set.complete_read_at;
    totals.complete = complete_read_at.is_some();
    let witnesses = std::mem::take(&mut read_set.witnesses);
    let prover =
        Prover::new(context.source, context.mapping, &context.config.lifecycle, witnesses, complete_read_at);
    let read = complete_read_at.unwrap_or_else(Observation::now);
    let scopes = Scopes::of(selection, saved_plan, &read_set, read);
    let lines = line_scope(selection, saved_plan, &read_set);
    if let Some(LiveRun { access, tenure, .. }) = live {
        // Before planning: a full run that read earlier must not act on what it saw then.
        let looks = std::mem::take(&mut read_set.looks);
        access.store.note_looks(tenure, looks).await?;
        let missed = std::mem::take(&mut read_set.newly_absent);
        let shown_again = std::mem::take(&mut read_set.shown_again);
        access.store.note_absences(tenure, missed, shown_again, read.at).await?;
    }
    let asks_holds = selection.is_full() && saved_plan.is_none();
    let decisions =
        Decisions::load(context, !read_set.candidates.is_empty(), asks_holds, Millis::now()).await?;
    let mut matcher = saved_plan.map(|actions| SavedPlanMatcher::new(actions, &totals.done));
    let mut maker = PlanMaker::new(context, read_set, &prover, &decisions, Millis::now()).await?;
    let mut leavers = maker.leavers(matcher.as_mut()).await?;
    // Of a saved plan nothing is written before all of it was compared.
    let mut others = match &matcher {
        None => None,
        Some(_) => Some(maker.others(matcher.as_mut(), &prover).await?),
    };
    matcher.map_or(Ok(()), SavedPlanMatcher::verify)?;
    let pass = Pass { context, prover: &prover, decisions: &decisions, live, scopes: &scopes };
    let mut applied = ApplyResult::default();
    pass.apply_leavers(&mut leavers, &mut applied, totals).await?;
    let planned = match others.take() {
        Some(others) => Ok(others),
        None => maker.others(None, &prover).await,
    };
    let outcome = match planned {
        Ok(mut plan) => {
            context.watcher.tell(&RunEvent::Planned { writes: leavers.writes + plan.writes });
            pass.apply_others(&mut plan, &mut applied, totals).await
        }
        Err(error) => Err(error),
    };
    // Whatever became of the others: the lines of those who are left alone, and what was held.
    pass.apply_quiet(&mut leavers, &mut applied).await?;
    let scopes_of_end = if outcome.is_ok() { &scopes } else { &Scopes::only_more() };
    pass.note_what_is_left(&mut applied, scopes_of_end, totals).await?;
    merge(totals, applied)?;
    totals.line_scope = Some(lines).filter(|_| outcome.is_ok() && totals.stop != Some(StopReason::TimeIsUp));
    outcome?;
    if asks_holds && totals.stop.is_none() {
        beat(context, live.map(|LiveRun { access, tenure, .. }| (access.store, tenure))).await?;
    }
    Ok(())
}

/// For whom a pass brings holds and owed rows in line.
pub(crate) struct Scopes {
    pub holds: HoldScope,
    pub owed: OwedScope,
}

impl Scopes {
    fn of(
        selection: &Selection,
        saved_plan: Option<&[ActionRecord]>,
        read_set: &ReadSet,
        read: Observation,
    ) -> Scopes {
        // A saved plan asks about its own people, and about nothing else that they want.
        if saved_plan.is_some() {
            return Scopes::only_more();
        }
        match selection {
            Selection::Everybody => {
                Scopes { holds: HoldScope::Everybody(read.number), owed: OwedScope::Everybody(read.number) }
            }
            Selection::Named(_) | Selection::Ids(_) => Scopes {
                holds: HoldScope::Named(read_set.named.clone()),
                owed: OwedScope::These(read_set.named.clone(), read.number),
            },
        }
    }

    /// What is added and nothing ended: the pass did less than its people need.
    pub(crate) fn only_more() -> Scopes {
        Scopes { holds: HoldScope::OnlyMore, owed: OwedScope::OnlyMore }
    }
}

/// What the stages of a pass share.
struct Pass<'a, 'c, O, P> {
    context: &'a RunContext<'c, O>,
    prover: &'a Prover<'a>,
    decisions: &'a Decisions,
    live: Option<&'a LiveRun<'a, P>>,
    scopes: &'a Scopes,
}

impl<O: Observe, P: Provision> Pass<'_, '_, O, P> {
    /// Removals first; then those who are kept are asked about in turn, and a cause that has changed is planned,
    /// judged, proven and sent as well.
    async fn apply_leavers(
        &self,
        plan: &mut Plan,
        applied: &mut ApplyResult,
        totals: &mut RunTotals,
    ) -> Result<(), RunError> {
        self.note_plan(plan).await?;
        totals.guard_report = plan.guard_report.clone();
        self.hear_witnesses(plan.writes > 0, totals).await?;
        let mut quiet = std::mem::take(&mut plan.quiet);
        let mut kept = split_kept(plan, &mut quiet, self.decisions)?;
        self.go_on(plan, applied).await?;
        if applied.stop.is_none() && self.asks_everybody() {
            let KeptPeopleLooks { changed, looks } =
                causes_that_changed(self.context, &mut kept, &mut quiet).await?;
            if let Some(LiveRun { access, tenure, .. }) = self.live {
                access.store.note_looks(tenure, looks).await?;
            }
            if !changed.is_empty() {
                let nobody_to_compare = self.prover.has_nobody_to_ask();
                let now = Millis::now();
                let mut again =
                    plan_changed_causes(self.context, changed, self.decisions, nobody_to_compare, now)
                        .await?;
                self.note_plan(&mut again).await?;
                totals.guard_report =
                    std::mem::take(&mut totals.guard_report).and(again.guard_report.clone());
                self.go_on(&mut again, applied).await?;
            }
        }
        let mut rest = Plan { removals: kept, guard_report: plan.guard_report.clone(), ..Plan::default() };
        self.go_on(&mut rest, applied).await?;
        plan.quiet = quiet;
        Ok(())
    }

    fn asks_everybody(&self) -> bool {
        matches!(self.scopes.owed, OwedScope::Everybody(_))
    }

    async fn apply_others(
        &self,
        plan: &mut Plan,
        applied: &mut ApplyResult,
        totals: &mut RunTotals,
    ) -> Result<(), RunError> {
        self.note_plan(plan).await?;
        let notes = std::mem::take(&mut plan.notes).into_iter();
        totals.notes.extend(notes.filter(|note| !totals.notes.contains(note)).collect::<Vec<_>>());
        totals.guard_report = std::mem::take(&mut totals.guard_report).and(plan.guard_report.clone());
        self.hear_witnesses(plan.writes > 0, totals).await?;
        self.go_on(plan, applied).await
    }

    /// Both sides are heard before the first write; two that agree that our clock is wrong stop the run.
    async fn hear_witnesses(&self, writes: bool, totals: &mut RunTotals) -> Result<(), RunError> {
        let context = self.context;
        let ask = writes && self.live.is_some();
        if context.clock.get().is_some() && !ask {
            return Ok(());
        }
        let trust = trust_in_clock(context, ask).await?;
        if let Some(note) = trust.note().filter(|note| !totals.notes.iter().any(|known| known == note)) {
            totals.notes.push(note.to_owned());
        }
        if let (ClockTrust::Wrong(text), true) = (&trust, self.live.is_some()) {
            totals.notes.retain(|note| note != text);
            return Err(RunError::Clock(text.clone()));
        }
        if let (true, Some(LiveRun { access, tenure, .. })) = (trust.is_confirmed(), self.live)
            && context.clock.get().is_none()
            && self.asks_everybody()
        {
            access.store.note_clock_confirmed(tenure, Millis::now()).await?;
        }
        let _ = context.clock.set(trust);
        Ok(())
    }

    /// The lines of those to whom nothing is sent.
    async fn apply_quiet(&self, leavers: &mut Plan, applied: &mut ApplyResult) -> Result<(), RunError> {
        let mut rest = Plan { quiet: std::mem::take(&mut leavers.quiet), ..Plan::default() };
        self.go_on(&mut rest, applied).await
    }

    /// What a plan found out, and its removals as soon as they are judged: a crash before they are sent leaves them to
    /// be seen.
    async fn note_plan(&self, plan: &mut Plan) -> Result<(), RunError> {
        let Some(LiveRun { access, tenure, .. }) = self.live else { return Ok(()) };
        let store = access.store;
        store.refresh_digests(tenure, std::mem::take(&mut plan.refresh)).await?;
        store.note_looks(tenure, std::mem::take(&mut plan.looks)).await?;
        store.note_causes(tenure, std::mem::take(&mut plan.causes)).await?;
        store.note_vanished(tenure, std::mem::take(&mut plan.vanished), Millis::now()).await?;
        store.note_pin_causes(tenure, std::mem::take(&mut plan.pin_causes)).await?;
        store.drop_pins(tenure, std::mem::take(&mut plan.stale_pins)).await?;
        if let Some(why) = plan.left_to_full_run.take() {
            store.owe_full_run(tenure.sync(), why, Millis::now()).await?;
        }
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

    async fn go_on(&self, plan: &mut Plan, applied: &mut ApplyResult) -> Result<(), RunError> {
        match self.live {
            None => {
                let guard_report = plan.guard_report.clone();
                Executor::new(self.context, self.prover, guard_report, self.decisions, &DryRunWriter, None)
                    .go_on(plan, applied)
                    .await
            }
            Some(live) => apply_plan(self.context, self.prover, self.decisions, plan, live, applied).await,
        }
    }

    /// Holds and owed rows in line with what the pass came to.
    async fn note_what_is_left(
        &self,
        applied: &mut ApplyResult,
        scopes: &Scopes,
        totals: &mut RunTotals,
    ) -> Result<(), RunError> {
        match self.live {
            None => {
                totals.holds = holds_to_come(self.context, &applied.held).await?;
                let sync = self.context.sync_name();
                fill_owed_since(self.context.snapshot, sync, &mut applied.records).await?;
            }
            Some(live) => {
                sync_holds(live, applied, scopes.holds.clone(), totals).await?;
                note_owed_changes(live, applied, scopes.owed.clone(), totals).await?;
            }
        }
        Ok(())
    }
}

/// What a pass leaves owed, and what that means for the exit code.
pub(crate) async fn note_owed_changes<P>(
    live: &LiveRun<'_, P>,
    applied: &mut ApplyResult,
    scope: OwedScope,
    totals: &mut RunTotals,
) -> Result<(), RunError> {
    let LiveRun { access, tenure, .. } = live;
    let people = match &scope {
        OwedScope::These(people, _) => Some(people.clone()),
        OwedScope::Everybody(_) => None,
        // A saved plan and a return answer for nobody but the people of their own lines.
        OwedScope::OnlyMore => Some(HashSet::new()),
    };
    // A pass that stopped has not been asked about everybody.
    let scope = if applied.stop.is_none() { scope } else { OwedScope::OnlyMore };
    access.store.note_owed(tenure, &mut applied.owed, scope, Millis::now()).await?;
    let snapshot = access.store.snapshot();
    totals.owed = snapshot.owed_totals(tenure.sync(), people).await?;
    fill_owed_since(snapshot, tenure.sync(), &mut applied.records).await
}

/// Brings the open holds in line with what a pass held.
pub(crate) async fn sync_holds<P>(
    live: &LiveRun<'_, P>,
    applied: &mut ApplyResult,
    scope: HoldScope,
    totals: &mut RunTotals,
) -> Result<(), RunError> {
    // A run that stopped early has not asked the guards about everybody.
    let scope = if applied.stop.is_none() { scope } else { HoldScope::OnlyMore };
    {
        let (held, wanted) = (std::mem::take(&mut applied.held), std::mem::take(&mut applied.wanted));
        let store = live.access.store;
        let holds = store.sync_holds(&live.tenure, held, wanted, scope, Millis::now()).await?;
        log_holds(&holds);
        remind(&holds, &mut totals.notes);
        totals.holds = holds.iter().map(hold_fact).collect();
    }
    Ok(())
}

/// Carries a plan out for real.
pub(crate) async fn apply_plan<O: Observe, P: Provision, J: RemovalProver>(
    context: &RunContext<'_, O>,
    judge: &J,
    decisions: &Decisions,
    plan: &mut Plan,
    live: &LiveRun<'_, P>,
    applied: &mut ApplyResult,
) -> Result<(), RunError> {
    let LiveRun { access, tenure, run, .. } = live;
    let writer = LiveWriter::new(
        context,
        access.store,
        tenure,
        access.provisioner,
        decisions,
        *run,
        plan.guard_report.as_of(),
    );
    let deadline = tokio::time::Instant::now() + context.config.max_apply;
    Executor::new(context, judge, plan.guard_report.clone(), decisions, &writer, Some(deadline))
        .go_on(plan, applied)
        .await
}

/// Adds a pass to the run. A pass that ran out of time gives only what it did: the rest is planned afresh.
pub(crate) fn merge(totals: &mut RunTotals, mut applied: ApplyResult) -> Result<(), RunError> {
    let again = applied.stop == Some(StopReason::TimeIsUp);
    let mut linked = 0;
    for record in applied.records.iter()? {
        let record = record?;
        let ended = matches!(record.outcome, Outcome::Applied | Outcome::Failed);
        let repeated = record.source_id.as_ref().is_some_and(|id| totals.done.contains(id));
        if !ended && (again || repeated) {
            continue;
        }
        if ended {
            totals.done.extend(record.source_id.clone());
            linked += u64::from(record.outcome == Outcome::Applied && record.action != Verb::Delete);
        }
        totals.summary.count(record.action, record.outcome);
        totals.records.push(&record)?;
    }
    // People done in an earlier pass are linked and unchanged in this one, but they count there already.
    totals.summary.unchanged = applied.summary.unchanged.saturating_sub(totals.linked);
    totals.linked += linked;
    totals.unsent_removals = applied.unsent_removals;
    totals.list_was_short += applied.list_was_short;
    totals.left_out = applied.left_out;
    totals.seats_delta += applied.seats_delta;
    totals.stop = applied.stop;
    Ok(())
}

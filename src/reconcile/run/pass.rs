//! One pass of a run after the reading: who leaves is planned, judged, proven and sent, then everybody else; then what was
//! held and what is still owed is stored.

use std::collections::HashSet;

use super::{Tally, Who, Written};
use crate::core::clock::ClockTrust;
use crate::model::order::Observation;
use crate::model::owed::OwedEntry;
use crate::model::plan::{Disposition, PlannedAction, Verb};
use crate::model::report::{ActionRecord, Outcome};
use crate::model::time::Millis;
use crate::reconcile::apply::WriteHand;
use crate::reconcile::clock::trust_in_clock;
use crate::reconcile::event::RunEvent;
use crate::reconcile::execute::{Carried, Executor, wanted_entry};
use crate::reconcile::hand::{DryHand, Stop};
use crate::reconcile::heartbeat::beat;
use crate::reconcile::narrowing::Narrowing;
use crate::reconcile::people::Gathered;
use crate::reconcile::planning::{People, Plan, PlanMaker, plan_changed_causes};
use crate::reconcile::prove::{Judge, Prover};
use crate::reconcile::relook::{Relooked, causes_that_changed, split_kept};
use crate::reconcile::rulings::Rulings;
use crate::reconcile::telling::{fill_owed_since, hold_fact, holds_to_come, remind, tell_holds, told_of};
use crate::reconcile::{Context, RunError};
use crate::store::{HoldScope, OwedScope};
use crate::target::{Observe, Provision};

/// The second half of a pass: plan, guard, prove, apply; who leaves before everybody else is looked up.
pub(in crate::reconcile) async fn plan_and_carry_out<O: Observe, P: Provision>(
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
pub(in crate::reconcile) struct Scopes {
    pub holds: HoldScope,
    pub owed: OwedScope,
}

impl Scopes {
    fn of(who: &Who, only: Option<&[ActionRecord]>, people: &People, read: Observation) -> Scopes {
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
    pub(in crate::reconcile) fn only_more() -> Scopes {
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
                let nobody_to_compare = self.prover.has_nobody_to_ask();
                let now = Millis::now();
                let mut again =
                    plan_changed_causes(self.context, changed, self.rulings, nobody_to_compare, now).await?;
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
            None => {
                tally.holds = holds_to_come(self.context, &carried.held).await?;
                let sync = self.context.sync_name();
                fill_owed_since(self.context.snapshot, sync, &mut carried.records).await?;
            }
            Some(written) => {
                hold_what_is_held(written, carried, scopes.holds.clone(), tally).await?;
                note_what_is_owed(written, carried, scopes.owed.clone(), tally).await?;
            }
        }
        Ok(())
    }
}

/// What a pass leaves owed, and what that means for the exit code.
pub(in crate::reconcile) async fn note_what_is_owed<P>(
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
    let snapshot = writing.store.snapshot();
    tally.owed = snapshot.owed_totals(tenure.sync(), people).await?;
    fill_owed_since(snapshot, tenure.sync(), &mut carried.records).await
}

/// Brings the open holds in line with what a pass held.
pub(in crate::reconcile) async fn hold_what_is_held<P>(
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
pub(in crate::reconcile) async fn apply_plan<O: Observe, P: Provision, J: Judge>(
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
pub(in crate::reconcile) fn merge(tally: &mut Tally, mut carried: Carried) -> Result<(), RunError> {
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

//! The return of what a run did: planned from the journal and one fresh read of each account, then guarded,
//! journaled and sent as the actions of any run. The source is not asked.
//!
//! What lives here: reading for the plan and for the proof, and the two writes of one return. What must not: what is
//! taken back (`core::undo`), what a deactivation needs (`core::proof`).

use futures_util::{StreamExt, stream};

use super::execute::{Carried, Executor};
use super::hand::{DryHand, Stop};
use super::planning::{Plan, plan_decided};
use super::prove::{Judge, Removal};
use super::rulings::Rulings;
use super::run::{Tally, Written, apply_plan, hold_what_is_held, merge, note_what_is_owed};
use super::seats::seats_of_a_change;
use super::telling::holds_to_come;
use super::{Context, RunError};
use crate::core::guard::Approved;
use crate::core::proof::{Verdict, prove_return};
use crate::core::undo::{Deed, Present, take_back};
use crate::http::Lane;
use crate::model::account::Account;
use crate::model::id::SourceId;
use crate::model::link::Link;
use crate::model::order::Observation;
use crate::model::plan::PlannedAction;
use crate::model::time::Millis;
use crate::store::{HoldScope, OwedScope, ToldOf};
use crate::target::{Observe, Provision, TargetError};

/// Judges the deactivations of one return.
pub(super) struct Returns<'a, O> {
    context: &'a Context<'a, O>,
    run: i64,
}

/// One pass of the return of `run`.
pub(super) async fn pass<O: Observe, P: Provision>(
    context: &Context<'_, O>,
    run: i64,
    written: Option<&Written<'_, P>>,
    tally: &mut Tally,
) -> Result<(), RunError> {
    tally.passes += 1;
    if tally.passes == 1 {
        tally.notes.push(format!("takes back what run {run} did; the source is not asked"));
    }
    let rulings = Rulings::of_return(context, run, Millis::now()).await?;
    let people = context.snapshot.written_by(context.sync_name(), run).await?;
    tally.users = people.len() as u64;
    let mut plan = make_plan(context, run, people, &rulings).await?;
    tally.judgement = plan.judgement.clone();
    let judge = Returns { context, run };
    let carried = match written {
        None => {
            let executor = Executor::new(context, &judge, plan.judgement.clone(), &rulings, &DryHand, None);
            let carried = executor.carry_out(&mut plan).await?;
            tally.holds = holds_to_come(context, &carried.held).await?;
            carried
        }
        Some(written) => {
            let mut carried = Carried::default();
            apply_plan(context, &judge, &rulings, &mut plan, written, &mut carried).await?;
            hold_what_is_held(written, &mut carried, HoldScope::ReturnOf(run), tally).await?;
            note_what_is_owed(written, &mut carried, OwedScope::OnlyMore, tally).await?;
            carried
        }
    };
    merge(tally, carried)?;
    tally.told = Some(ToldOf::AReturn).filter(|_| tally.stop != Some(Stop::TimeIsUp));
    Ok(())
}

async fn make_plan<O: Observe>(
    context: &Context<'_, O>,
    run: i64,
    people: Vec<SourceId>,
    rulings: &Rulings,
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
            decided.push((rulings.apply_to_return(action, link.as_ref()), link));
        }
    }
    plan_decided(context, decided, rulings, Millis::now()).await
}

/// What takes back what the run did for one person; `None` where it turned out to have done nothing.
async fn one<O: Observe>(
    context: &Context<'_, O>,
    run: i64,
    person: &SourceId,
) -> Result<Option<(PlannedAction, Option<Link>)>, RunError> {
    let sync = context.sync_name();
    let trace = context.snapshot.trace(sync, run, person).await?;
    let Some(deed) = Deed::of(run, &trace.applied) else { return Ok(None) };
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
    let mut action = take_back(&deed, &present, &context.config.lifecycle);
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

impl<O: Observe> Judge for Returns<'_, O> {
    async fn judge(&self, approved: Approved, link: &Link) -> Removal {
        let observation = Observation::now();
        let trace = self.context.snapshot.trace(self.context.sync_name(), self.run, &link.source_id).await;
        let deed = match trace {
            Ok(trace) => Deed::of(self.run, &trace.applied),
            Err(error) => return unproven(approved, &error),
        };
        let shown: Option<Account> = match self.context.target.get(&link.target_id, Lane::Removal).await {
            Ok(shown) => shown,
            Err(error) => return unproven(approved, &error),
        };
        Removal::Judged(prove_return(approved, deed.as_ref(), shown.as_ref(), observation))
    }
}

fn unproven(approved: Approved, error: &dyn std::fmt::Display) -> Removal {
    Removal::Judged(Verdict::Unproven(approved.into_action(), error.to_string()))
}

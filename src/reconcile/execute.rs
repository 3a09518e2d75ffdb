//! Carrying a plan out, stage by stage, leavers first: disposition, guard, proof, then the hand.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use super::event::RunEvent;
use super::hand::{Done, Hand, Stop, record};
use super::planning::Plan;
use super::prove::{Judge, Removal};
use super::rulings::Rulings;
use super::seats::seats_of_a_change;
use super::{Context, RunError};
use crate::core::guard::{Approved, Judgement, Released};
use crate::core::mapping::Mapping;
use crate::core::proof::Verdict;
use crate::model::id::SourceId;
use crate::model::link::Link;
use crate::model::plan::{Disposition, PlannedAction, RemovalCause, Verb};
use crate::model::report::{ActionRecord, Outcome, Summary};
use crate::store::{HeldPair, Spool};
use crate::target::Observe;

/// The outcome of carrying a plan out.
#[derive(Debug, Default)]
pub struct Carried {
    /// Everybody but the unchanged.
    pub records: Spool<ActionRecord>,
    /// Each person once.
    pub summary: Summary,
    /// Why it stopped early, if it did.
    pub stop: Option<Stop>,
    /// Removals that were wanted and neither sent, held nor switched off.
    pub unsent_removals: u64,
    /// People whom the list left out although they are assigned.
    pub list_was_short: u64,
    /// Change in billable accounts, as done or as it would be.
    pub seats_delta: i64,
    /// Adoptions of which a part waits.
    pub left_out: u64,
    /// What waits for an approval.
    pub held: Vec<HeldPair>,
    /// Every write that is still wanted after this.
    pub wanted: HashSet<(SourceId, Verb)>,
}

/// Carries out plans.
pub struct Executor<'a, O, H, J> {
    context: &'a Context<'a, O>,
    judge: &'a J,
    judgement: Judgement,
    rulings: &'a Rulings,
    hand: &'a H,
    /// Actions in flight at once.
    concurrency: usize,
    /// When `max_apply` is over.
    deadline: Option<tokio::time::Instant>,
    interrupted: watch::Receiver<bool>,
}

/// One action's end, with what the totals need.
struct Ended {
    done: Done,
    unsent_removal: bool,
    list_was_short: bool,
    billable: bool,
    /// What waits for an approval.
    held: Vec<HeldPair>,
}

/// Gives back in order what ends in any order; holds no more than what runs ahead of the slowest.
#[derive(Default)]
struct InOrder {
    early: BTreeMap<usize, Ended>,
    next: usize,
}

impl InOrder {
    fn put(&mut self, index: usize, ended: Ended) {
        self.early.insert(index, ended);
    }

    fn take(&mut self) -> Option<Ended> {
        let ended = self.early.remove(&self.next)?;
        self.next += 1;
        Some(ended)
    }

    fn is_empty(&self) -> bool {
        self.early.is_empty()
    }
}

impl<'a, O: Observe, H: Hand, J: Judge> Executor<'a, O, H, J> {
    /// Prepares to carry out `plan`.
    pub fn new(
        context: &'a Context<'a, O>,
        judge: &'a J,
        judgement: Judgement,
        rulings: &'a Rulings,
        hand: &'a H,
        deadline: Option<tokio::time::Instant>,
    ) -> Executor<'a, O, H, J> {
        let concurrency = context.config.target.concurrency.max(1);
        let interrupted = context.interrupted.clone();
        Executor { context, judge, judgement, rulings, hand, concurrency, deadline, interrupted }
    }

    /// Carries a plan out. What a stop leaves over is recorded as deferred.
    pub async fn carry_out(&self, plan: &mut Plan) -> Result<Carried, RunError> {
        let mut carried = Carried::default();
        carried.summary.unchanged = plan.unchanged;
        carried.list_was_short = plan.list_was_short;
        self.stage(&mut plan.removals, &mut carried).await?;
        self.chains(&mut plan.chains, &mut carried).await?;
        for stage in [
            &mut plan.updates,
            &mut plan.reactivations,
            &mut plan.adoptions,
            &mut plan.creations,
            &mut plan.quiet,
        ] {
            self.stage(stage, &mut carried).await?;
        }
        Ok(carried)
    }

    /// A stage: many people at once, bounded; told in the order of the plan.
    async fn stage(&self, actions: &mut Spool<PlannedAction>, carried: &mut Carried) -> Result<(), RunError> {
        let mut waiting = actions.iter()?.enumerate();
        let mut running = FuturesUnordered::new();
        let mut ended = InOrder::default();
        loop {
            while running.len() < self.concurrency {
                let Some((index, action)) = waiting.next() else { break };
                let action = action?;
                if carried.stop.is_none() {
                    carried.stop = self.stops_now();
                }
                match &carried.stop {
                    Some(stop) => ended.put(index, left_over(&action, stop)),
                    None => running.push(async move { (index, self.one(action).await) }),
                }
            }
            while let Some(next) = ended.take() {
                self.note(next, carried)?;
            }
            match running.next().await {
                Some((index, end)) => {
                    if carried.stop.is_none() {
                        carried.stop.clone_from(&end.done.stop);
                    }
                    ended.put(index, end);
                }
                None if ended.is_empty() => return Ok(()),
                None => {}
            }
        }
    }

    /// Chains of renames: one after the other within a chain; a failure ends its chain.
    async fn chains(
        &self,
        chains: &mut Spool<Vec<PlannedAction>>,
        carried: &mut Carried,
    ) -> Result<(), RunError> {
        for chain in chains.iter()? {
            let mut broken: Option<String> = None;
            for action in chain? {
                if carried.stop.is_none() {
                    carried.stop = self.stops_now();
                }
                let ended = match (&carried.stop, &broken) {
                    (Some(stop), _) => left_over(&action, stop),
                    (None, Some(why)) => unsent(record(&action, Outcome::Deferred, Some(why.clone())), false),
                    (None, None) => self.one(action).await,
                };
                if !matches!(ended.done.record.outcome, Outcome::Applied | Outcome::Planned) {
                    broken = Some("waits for a userName that was not released".to_owned());
                }
                self.note(ended, carried)?;
            }
        }
        Ok(())
    }

    fn stops_now(&self) -> Option<Stop> {
        if *self.interrupted.borrow() {
            return Some(Stop::Interrupted);
        }
        self.deadline.filter(|deadline| tokio::time::Instant::now() >= *deadline).map(|_| Stop::TimeIsUp)
    }

    fn note(&self, ended: Ended, carried: &mut Carried) -> Result<(), RunError> {
        let Ended { done, unsent_removal, list_was_short, billable, held } = ended;
        let Done { record, stop, held: held_after_all } = done;
        carried.left_out += u64::from(!held.is_empty() && record.outcome != Outcome::Held);
        carried.held.extend(held.into_iter().chain(held_after_all));
        if let (Some(id), false) = (&record.source_id, record.outcome == Outcome::Applied) {
            carried.wanted.insert((id.clone(), record.action));
        }
        carried.summary.count(record.action, record.outcome);
        carried.unsent_removals += u64::from(unsent_removal);
        carried.list_was_short += u64::from(list_was_short);
        carried.seats_delta += seats_delta(self.context.mapping, &record, billable);
        if carried.stop.is_none() {
            carried.stop = stop;
        }
        carried.records.push(&record)?;
        Ok(())
    }

    async fn one(&self, action: PlannedAction) -> Ended {
        let started = Instant::now();
        let ended = self.decide(action).await;
        self.context.watcher.tell(&RunEvent::Acted {
            record: Box::new(ended.done.record.clone()),
            duration_millis: started.elapsed().as_millis() as u64,
        });
        ended
    }

    async fn decide(&self, action: PlannedAction) -> Ended {
        let removes = action.verb.is_removal();
        let is_approved = self.rulings.is_approved(&action);
        let outcome = match &action.disposition {
            Disposition::Send => None,
            Disposition::Held(_) if is_approved => None,
            Disposition::Held(why) => return held(&action, why.clone()),
            Disposition::NoSeat(why) => Some((Outcome::Held, Some(why.clone()))),
            Disposition::Deferred(why) => Some((Outcome::Deferred, Some(why.clone()))),
            Disposition::Disabled(why) => Some((Outcome::Disabled, Some(why.clone()))),
            Disposition::Nothing => Some((Outcome::Skipped, None)),
        };
        if let Some((outcome, detail)) = outcome {
            return unsent(record(&action, outcome, detail), false);
        }
        let billable = action.billable;
        match self.judgement.release(action, is_approved) {
            Err(waits) => held(&waits.action, waits.reason),
            Ok(released) if removes => self.remove(released.approved).await,
            Ok(Released { approved, left_out }) => {
                let pairs = left_out.into_iter().map(|(verb, reason)| HeldPair {
                    verb,
                    source_id: approved.action().source_id.clone(),
                    user: approved.action().user.clone(),
                    reason,
                    source_digest: approved.action().source_digest,
                });
                let mut pairs: Vec<HeldPair> = pairs.collect();
                let mut done = self.hand.write(approved).await;
                for HeldPair { verb, reason, .. } in &pairs {
                    let part = if *verb == Verb::Update { "update" } else { "activation" };
                    done.record.reason.push_str(&format!("; its {part} is held: {reason}"));
                }
                // A later activation writes the attributes too.
                if pairs.iter().any(|pair| pair.verb == Verb::Reactivate) {
                    pairs.retain(|pair| pair.verb == Verb::Reactivate);
                }
                // Where the link itself was not stored, there is nothing yet that could be approved.
                let stored = matches!(done.record.outcome, Outcome::Applied | Outcome::Planned);
                let held = if stored { pairs } else { Vec::new() };
                Ended { done, unsent_removal: false, list_was_short: false, billable, held }
            }
        }
    }

    async fn remove(&self, approved: Approved) -> Ended {
        let action = approved.action();
        let not_listed = action.cause == Some(RemovalCause::NotListed);
        let link = match self.context.link(&action.source_id).await {
            Ok(Some(link)) => link,
            Ok(None) => {
                let why = "there is no link any more".to_owned();
                return unsent(record(action, Outcome::Deferred, Some(why)), true);
            }
            Err(error) => {
                let mut ended = unsent(record(action, Outcome::Deferred, Some(error.to_string())), true);
                ended.done.stop = Some(Stop::State(error.to_string()));
                return ended;
            }
        };
        self.remove_proven(approved, &link, not_listed).await
    }

    /// Proves and removes. Where what is proven asks for a deletion although the guards were asked about a
    /// deactivation, they are asked once more.
    async fn remove_proven(&self, mut approved: Approved, link: &Link, not_listed: bool) -> Ended {
        let billable = approved.action().billable;
        let deferred =
            |action: &PlannedAction, why| unsent(record(action, Outcome::Deferred, Some(why)), true);
        let mut asked_again = false;
        loop {
            let verdict = match self.judge.judge(approved, link).await {
                Removal::Judged(verdict) => verdict,
                Removal::NoControl(action, why) => return deferred(&action, why),
            };
            match verdict {
                Verdict::Proven(proven) => {
                    let done = self.hand.remove(*proven, link).await;
                    let unsent_removal = done.record.outcome == Outcome::Deferred;
                    return Ended { done, unsent_removal, list_was_short: false, billable, held: Vec::new() };
                }
                Verdict::Kept(action, why) => {
                    return unsent(record(&action, Outcome::Disabled, Some(why)), false);
                }
                Verdict::Stronger(action, why) if asked_again => return deferred(&action, why),
                Verdict::Stronger(action, _) => {
                    let is_approved = self.rulings.is_approved(&action);
                    match self.judgement.release(action, is_approved) {
                        Err(waits) => return held(&waits.action, waits.reason),
                        Ok(again) => {
                            asked_again = true;
                            approved = again.approved;
                        }
                    }
                }
                Verdict::StillAssigned(action, why) => {
                    return Ended { list_was_short: not_listed, ..deferred(&action, why) };
                }
                Verdict::Unproven(action, why) => return deferred(&action, why),
            }
        }
    }
}

fn left_over(action: &PlannedAction, stop: &Stop) -> Ended {
    let (outcome, detail) = match &action.disposition {
        Disposition::Send => (Outcome::Deferred, Some(stop.reason().to_owned())),
        Disposition::Held(why) | Disposition::NoSeat(why) => (Outcome::Held, Some(why.clone())),
        Disposition::Deferred(why) => (Outcome::Deferred, Some(why.clone())),
        Disposition::Disabled(why) => (Outcome::Disabled, Some(why.clone())),
        Disposition::Nothing => (Outcome::Skipped, None),
    };
    let removal = action.verb.is_removal() && outcome == Outcome::Deferred;
    unsent(record(action, outcome, detail), removal)
}

fn unsent(record: ActionRecord, unsent_removal: bool) -> Ended {
    let done = Done::with(record);
    Ended { done, unsent_removal, list_was_short: false, billable: false, held: Vec::new() }
}

/// The end of an action that waits for an approval.
fn held(action: &PlannedAction, reason: String) -> Ended {
    let done = Done::held(action, reason);
    Ended { done, unsent_removal: false, list_was_short: false, billable: false, held: Vec::new() }
}

fn seats_delta(mapping: &Mapping, record: &ActionRecord, billable: bool) -> i64 {
    if !matches!(record.outcome, Outcome::Applied | Outcome::Planned) {
        return 0;
    }
    match record.action {
        Verb::Create | Verb::Adopt => i64::from(billable),
        Verb::Delete => -i64::from(billable),
        Verb::Update | Verb::Reactivate | Verb::Deactivate => seats_of_a_change(mapping, &record.changes),
        Verb::HoldBack | Verb::Skip => 0,
    }
}

//! Carrying a plan out, stage by stage, leavers first: disposition, guard, proof, then the hand.

use std::collections::BTreeMap;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use crate::core::content::part_digest;
use crate::core::guard::{Approved, GuardReport, HoldClass, Intent, LeftOut, Released, judge_others};
use crate::core::proof::{ProofOutcome, Proven};
use crate::engine::apply::writer::{ActionResult, StopReason, Writer, record};
use crate::engine::context::RunContext;
use crate::engine::error::RunError;
use crate::engine::plan::Plan;
use crate::engine::plan::decisions::Decisions;
use crate::engine::plan::seats::seats_delta;
use crate::engine::prove::{Removal, RemovalProver};
use crate::model::link::{Link, LinkState};
use crate::model::owed::{OwedEntry, WaitsFor};
use crate::model::plan::{
    DeletionBarrier, Disposition, PlannedAction, RemovalCause, RemovalKind, Situation, Verb,
};
use crate::model::report::{ActionRecord, Outcome, Summary};
use crate::model::run_event::RunEvent;
use crate::model::time::Millis;
use crate::scim::target::Observe;
use crate::spool::Spool;
use crate::store::{HeldPair, Wanted};

/// Actions in a row that one may lead to: a 409 to an adoption, a proof that ended to a fresh one.
const MOST_FOLLOWERS: usize = 4;

/// The outcome of carrying a plan out.
#[derive(Debug, Default)]
pub struct ApplyResult {
    /// Everybody but the unchanged.
    pub records: Spool<ActionRecord>,
    /// Each person once.
    pub summary: Summary,
    /// Why it stopped early, if it did.
    pub stop: Option<StopReason>,
    /// Removals that would be wanted and neither sent, held nor switched off; a run that writes has them on record.
    pub unsent_removals: u64,
    /// What is left owed.
    pub owed: Spool<OwedEntry>,
    /// People whom the list left out although they are assigned.
    pub list_was_short: u64,
    /// Change in billable accounts, as done or as it would be.
    pub seats_delta: i64,
    /// Adoptions of which a part waits.
    pub left_out: u64,
    /// What waits for an approval.
    pub held: Vec<HeldPair>,
    /// Every write that is still wanted after this.
    pub wanted: Wanted,
}

/// Carries out plans.
pub struct Executor<'a, O, H, J> {
    context: &'a RunContext<'a, O>,
    judge: &'a J,
    guard_report: GuardReport,
    decisions: &'a Decisions,
    writer: &'a H,
    /// Actions in flight at once.
    concurrency: usize,
    /// When `max_apply` is over.
    deadline: Option<tokio::time::Instant>,
    interrupted: watch::Receiver<bool>,
}

/// One action's end, with what the totals need.
struct ExecutedAction {
    done: ActionResult,
    unsent_removal: bool,
    list_was_short: bool,
    billable: bool,
    /// What waits for an approval.
    held: Vec<HeldPair>,
    /// What was wanted, for what is left owed.
    wanted: Option<OwedEntry>,
}

/// Gives back in order what ends in any order; holds no more than what runs ahead of the slowest.
#[derive(Default)]
struct InOrder {
    early: BTreeMap<usize, ExecutedAction>,
    next: usize,
}

impl InOrder {
    fn put(&mut self, index: usize, ended: ExecutedAction) {
        self.early.insert(index, ended);
    }

    fn take(&mut self) -> Option<ExecutedAction> {
        let ended = self.early.remove(&self.next)?;
        self.next += 1;
        Some(ended)
    }

    fn is_empty(&self) -> bool {
        self.early.is_empty()
    }
}

impl<'a, O: Observe, H: Writer, J: RemovalProver> Executor<'a, O, H, J> {
    /// Prepares to carry out `plan`.
    pub fn new(
        context: &'a RunContext<'a, O>,
        judge: &'a J,
        guard_report: GuardReport,
        decisions: &'a Decisions,
        writer: &'a H,
        deadline: Option<tokio::time::Instant>,
    ) -> Executor<'a, O, H, J> {
        let concurrency = context.config.target.concurrency.max(1);
        let interrupted = context.interrupted.clone();
        Executor { context, judge, guard_report, decisions, writer, concurrency, deadline, interrupted }
    }

    /// Carries a plan out. What a stop leaves over is recorded as deferred.
    pub async fn carry_out(&self, plan: &mut Plan) -> Result<ApplyResult, RunError> {
        let mut applied = ApplyResult::default();
        self.go_on(plan, &mut applied).await?;
        Ok(applied)
    }

    /// The same, after what was carried out before.
    pub async fn go_on(&self, plan: &mut Plan, applied: &mut ApplyResult) -> Result<(), RunError> {
        applied.summary.unchanged += plan.unchanged;
        applied.list_was_short += plan.list_was_short;
        self.stage(&mut plan.removals, applied).await?;
        // Accounts that were not refused before come first: those that nobody may change keep nobody else in.
        self.writer.begin_refused_before();
        self.stage(&mut plan.refused_removals, applied).await?;
        self.chains(&mut plan.chains, applied).await?;
        for stage in [
            &mut plan.updates,
            &mut plan.reactivations,
            &mut plan.adoptions,
            &mut plan.creations,
            &mut plan.quiet,
        ] {
            self.stage(stage, applied).await?;
        }
        Ok(())
    }

    /// A stage: many people at once, bounded; told in the order of the plan.
    async fn stage(
        &self,
        actions: &mut Spool<PlannedAction>,
        applied: &mut ApplyResult,
    ) -> Result<(), RunError> {
        let mut waiting = actions.iter()?.enumerate();
        let mut running = FuturesUnordered::new();
        let mut ended = InOrder::default();
        loop {
            while running.len() < self.concurrency {
                let Some((index, action)) = waiting.next() else { break };
                let action = action?;
                if applied.stop.is_none() {
                    applied.stop = self.stops_now();
                }
                match &applied.stop {
                    Some(stop) => ended.put(index, left_over(&action, stop)),
                    None => running.push(async move { (index, self.one(action).await) }),
                }
            }
            while let Some(next) = ended.take() {
                self.note(next, applied)?;
            }
            match running.next().await {
                Some((index, end)) => {
                    if applied.stop.is_none() {
                        applied.stop.clone_from(&end.done.stop);
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
        applied: &mut ApplyResult,
    ) -> Result<(), RunError> {
        for chain in chains.iter()? {
            let mut broken: Option<String> = None;
            for action in chain? {
                if applied.stop.is_none() {
                    applied.stop = self.stops_now();
                }
                let ended = match (&applied.stop, &broken) {
                    (Some(stop), _) => left_over(&action, stop),
                    (None, Some(why)) => waiting(&action, Outcome::Deferred, WaitsFor::Retry, why.clone()),
                    (None, None) => self.one(action).await,
                };
                if !matches!(ended.done.record.outcome, Outcome::Applied | Outcome::Planned) {
                    broken = Some("waits for a userName that was not released".to_owned());
                }
                self.note(ended, applied)?;
            }
        }
        Ok(())
    }

    /// Since when what a line leaves is owed: what is new is owed from this pass on.
    fn owed_since(&self, record: &ActionRecord, wanted: Option<&OwedEntry>) -> Option<Millis> {
        record.waits_for?;
        let known = self.decisions.owed_since(record.source_id.as_ref()?, wanted?.class()?);
        known.or(H::IS_ON_RECORD.then(|| self.decisions.now()))
    }

    fn stops_now(&self) -> Option<StopReason> {
        if *self.interrupted.borrow() {
            return Some(StopReason::Interrupted);
        }
        self.deadline
            .filter(|deadline| tokio::time::Instant::now() >= *deadline)
            .map(|_| StopReason::TimeIsUp)
    }

    fn note(&self, ended: ExecutedAction, applied: &mut ApplyResult) -> Result<(), RunError> {
        let ExecutedAction { done, unsent_removal, list_was_short, billable, held, wanted } = ended;
        let ActionResult { mut record, stop, held: held_after_all, attempted, next: _ } = done;
        record.owed_since = self.owed_since(&record, wanted.as_ref());
        applied.left_out += u64::from(!held.is_empty() && record.outcome != Outcome::Held);
        applied.held.extend(held.into_iter().chain(held_after_all));
        let is_over = record.outcome == Outcome::Applied || record.waits_for == Some(WaitsFor::Decision);
        if let (Some(id), Some(wanted), false) = (&record.source_id, &wanted, is_over) {
            let kind = wanted
                .verb
                .is_removal()
                .then(|| wanted.cause.map_or(RemovalKind::Unassigned, RemovalCause::kind));
            applied.wanted.insert((id.clone(), HoldClass { verb: wanted.verb, kind }));
        }
        if let (Some(wanted), Some(waits_for)) = (wanted, record.waits_for) {
            let refused = attempted && record.status.is_some_and(|status| (400..500).contains(&status));
            let detail = record.detail.clone().unwrap_or_else(|| record.reason.clone());
            let entry = OwedEntry { waits_for, attempted, refused, detail, ..wanted };
            applied.owed.push(&entry)?;
        }
        applied.summary.count(record.action, record.outcome);
        applied.unsent_removals += u64::from(unsent_removal);
        applied.list_was_short += u64::from(list_was_short);
        applied.seats_delta += seats_delta(self.context.mapping, &record, billable);
        if applied.stop.is_none() {
            applied.stop = stop;
        }
        applied.records.push(&record)?;
        Ok(())
    }

    async fn one(&self, action: PlannedAction) -> ExecutedAction {
        let started = Instant::now();
        let mut ended = Box::pin(self.decide(action, &self.guard_report)).await;
        // A 409 leads to an adoption, which is a planned action like any other and is asked everything again.
        for _ in 0..MOST_FOLLOWERS {
            let Some(next) = ended.done.next.take() else { break };
            let attempts = ended.done.record.attempts;
            ended = match self.judge_follower(&next).await {
                Ok(guard_report) => Box::pin(self.decide(*next, &guard_report)).await,
                Err(error) => left_over(&next, &StopReason::State(error.to_string())),
            };
            ended.done.record.attempts += attempts;
        }
        self.context.watcher.tell(&RunEvent::Acted {
            record: Box::new(ended.done.record.clone()),
            duration_millis: started.elapsed().as_millis() as u64,
        });
        ended
    }

    /// The plan did not count an adoption that a 409 led to: the guards are asked about it with what was sent so far.
    async fn judge_follower(&self, action: &PlannedAction) -> Result<GuardReport, RunError> {
        if action.verb != Verb::Adopt {
            return Ok(self.guard_report.clone());
        }
        let ledger = self.context.snapshot.ledger(self.context.sync_name(), Millis::now()).await?;
        let mut intent = Intent {
            unattended: self.context.unattended,
            already_sent: ledger.people.clone(),
            ..Intent::default()
        };
        intent.add(action);
        let alone = judge_others(&intent, &ledger, &self.context.config.guard);
        let mut guard_report = self.guard_report.clone().and(alone);
        guard_report.judged_alone = true;
        Ok(guard_report)
    }

    async fn decide(&self, action: PlannedAction, guard_report: &GuardReport) -> ExecutedAction {
        let wanted = wanted_entry(&action);
        let mut ended = self.decide_action(action, guard_report).await;
        // What a proof has shown since is what is wanted now.
        ended.wanted = wanted.map(|wanted| OwedEntry {
            cause: ended.done.record.cause.or(wanted.cause),
            target_id: ended.done.record.target_id.clone().or(wanted.target_id.clone()),
            ..wanted
        });
        ended
    }

    async fn decide_action(&self, action: PlannedAction, guard_report: &GuardReport) -> ExecutedAction {
        let removes = action.verb.is_removal();
        let is_approved = self.decisions.is_approved(&action);
        match &action.disposition {
            Disposition::Send => {}
            Disposition::Held(_) if is_approved => {}
            Disposition::Held(why) => return self.held(&action, why.clone()),
            Disposition::NoSeat(why) => return waiting(&action, Outcome::Held, WaitsFor::Seat, why.clone()),
            Disposition::Deferred(why) => {
                return waiting(&action, Outcome::Deferred, WaitsFor::Retry, why.clone());
            }
            Disposition::Failed(why) => {
                let mut ended = waiting(&action, Outcome::Failed, WaitsFor::Retry, why.clone());
                ended.done.attempted = true;
                return ended;
            }
            Disposition::Disabled(why) => {
                return waiting(&action, Outcome::Disabled, WaitsFor::Switch, why.clone());
            }
            Disposition::Paused(why) => {
                return waiting(&action, Outcome::Disabled, WaitsFor::Pause, why.clone());
            }
            Disposition::Dated(why) => {
                return waiting(&action, Outcome::Deferred, WaitsFor::Date, why.clone());
            }
            Disposition::Nothing => return self.nothing_to_send(&action),
        }
        let billable = action.billable;
        match guard_report.release(action, is_approved) {
            Err(waits) => self.held(&waits.action, waits.reason),
            Ok(released) if removes => self.remove(released.approved, is_approved).await,
            Ok(Released { approved, left_out }) => {
                let pairs = self.pairs_left_out(approved.action(), &left_out);
                let mut done = self.writer.write(approved, is_approved).await;
                for LeftOut { verb, reason, .. } in &left_out {
                    let part = if *verb == Verb::Update { "update" } else { "activation" };
                    done.record.reason.push_str(&format!("; its {part} is held: {reason}"));
                }
                // Where the link itself was not stored, there is nothing yet that could be approved.
                let stored = matches!(done.record.outcome, Outcome::Applied | Outcome::Planned);
                let held = if stored { pairs } else { Vec::new() };
                ExecutedAction { billable, held, ..ExecutedAction::of(done) }
            }
        }
    }

    /// A line without a write: blocked, skipped, or kept by a decision.
    fn nothing_to_send(&self, action: &PlannedAction) -> ExecutedAction {
        match (action.kept_from, action.verb) {
            // Nobody can judge somebody with an active account: it may be a leaver who is hidden. Or somebody left, and
            // nobody can tell whether there is an account.
            (Some(_), Verb::Block) => {
                let mut ended = unsent(record(action, Outcome::Skipped, None), true);
                let left = action.situation == Situation::Leaver;
                ended.done.record.waits_for = Some(if left { WaitsFor::Unsettled } else { WaitsFor::Look });
                ended
            }
            (Some(_), _) => {
                let mut done = ActionResult::with(record(action, Outcome::Skipped, None));
                done.record.waits_for = Some(WaitsFor::Decision);
                ExecutedAction::of(done)
            }
            (None, _) => unsent(record(action, Outcome::Skipped, None), false),
        }
    }

    fn held(&self, action: &PlannedAction, reason: String) -> ExecutedAction {
        ExecutedAction::of(ActionResult::held(action, reason, self.decisions.key()))
    }

    /// The parts of an adoption that wait, each as what a later action of that verb will be.
    fn pairs_left_out(&self, action: &PlannedAction, left_out: &[LeftOut]) -> Vec<HeldPair> {
        let key = self.decisions.key();
        let pairs = left_out.iter().map(|LeftOut { verb, reason, changes }| HeldPair {
            class: HoldClass::plain(*verb),
            cause: None,
            target_id: action.target_id.clone(),
            content: part_digest(key, action, *verb, changes),
            source_id: action.source_id.clone(),
            user: action.user.clone(),
            reason: reason.clone(),
            source_digest: action.source_digest,
        });
        let mut pairs: Vec<HeldPair> = pairs.collect();
        // A later activation writes the attributes too.
        if pairs.iter().any(|pair| pair.class.verb == Verb::Reactivate) {
            pairs.retain(|pair| pair.class.verb == Verb::Reactivate);
        }
        pairs
    }

    async fn remove(&self, approved: Approved, is_approved: bool) -> ExecutedAction {
        let action = approved.action();
        // A complete read lists everybody who is assigned.
        let not_listed = !self.context.reads_one_by_one
            && matches!(
                action.cause,
                Some(RemovalCause::NotListed | RemovalCause::NotAssigned | RemovalCause::Deleted)
            );
        let link = match self.context.link(&action.source_id).await {
            Ok(Some(link)) => link,
            Ok(None) => {
                let why = "there is no link any more".to_owned();
                return waiting(action, Outcome::Deferred, WaitsFor::Retry, why);
            }
            Err(error) => {
                let mut ended = waiting(action, Outcome::Deferred, WaitsFor::Retry, error.to_string());
                ended.done.stop = Some(StopReason::State(error.to_string()));
                return ended;
            }
        };
        self.remove_proven(approved, &link, not_listed, is_approved).await
    }

    /// Proves and removes. Where what is proven asks for something else than the guards were asked about (a deletion, or
    /// a cause of the other kind), they are asked once more.
    async fn remove_proven(
        &self,
        mut approved: Approved,
        link: &Link,
        not_listed: bool,
        is_approved: bool,
    ) -> ExecutedAction {
        let billable = approved.action().billable;
        let unproven = |action: &PlannedAction, why| waiting(action, Outcome::Deferred, WaitsFor::Proof, why);
        let mut asked_again = false;
        loop {
            let verdict = match self.judge.judge(approved, link).await {
                Removal::Judged(verdict) => verdict,
                Removal::NoControl(action, why) => return unproven(&action, why),
            };
            match verdict {
                ProofOutcome::Proven(proven) => {
                    let waits = proven
                        .needs_approval()
                        .map(str::to_owned)
                        .or_else(|| self.guard_report.reason_to_hold(proven.action()))
                        .filter(|_| !is_approved);
                    if let Some(reason) = waits {
                        return self.held(proven.action(), reason);
                    }
                    return self.send_proven(*proven, link, billable, is_approved).await;
                }
                ProofOutcome::Kept(action, why) => {
                    return waiting(&action, Outcome::Disabled, WaitsFor::Switch, why);
                }
                ProofOutcome::Stronger(action, why) if asked_again => return unproven(&action, why),
                ProofOutcome::Stronger(action, _) => {
                    let stronger_approved = self.decisions.is_approved(&action);
                    match self.guard_report.release(action, stronger_approved) {
                        Err(waits) => return self.held(&waits.action, waits.reason),
                        Ok(again) => {
                            asked_again = true;
                            approved = again.approved;
                        }
                    }
                }
                ProofOutcome::StillAssigned(action, why) => {
                    // Nothing is wanted any more, and the list was short.
                    let ended = unsent(record(&action, Outcome::Deferred, Some(why)), true);
                    return ExecutedAction { list_was_short: not_listed, ..ended };
                }
                ProofOutcome::Unproven(action, why) => return unproven(&action, why),
            }
        }
    }

    async fn send_proven(
        &self,
        proven: Proven,
        link: &Link,
        billable: bool,
        is_approved: bool,
    ) -> ExecutedAction {
        let (proven, is_approved) = match self.without_irreversible(proven, link, is_approved) {
            Ok(milder) => milder,
            Err(ended) => return *ended,
        };
        let done = self.writer.remove(proven, link, is_approved).await;
        let unsent_removal =
            done.record.outcome == Outcome::Deferred && done.record.waits_for != Some(WaitsFor::Date);
        ExecutedAction { unsent_removal, billable, ..ExecutedAction::of(done) }
    }
}

impl<O: Observe, H: Writer, J: RemovalProver> Executor<'_, O, H, J> {
    /// What cannot be taken back needs a clock that a witness confirmed in this run. Without one the access of a leaver is
    /// taken all the same, by a deactivation on the same proof.
    fn without_irreversible(
        &self,
        proven: Proven,
        link: &Link,
        is_approved: bool,
    ) -> Result<(Proven, bool), Box<ExecutedAction>> {
        let is_taken = matches!(link.state, LinkState::Deactivated(_));
        if is_taken && proven.verb() == Verb::Deactivate && proven.action().situation == Situation::Gone {
            let why = "what is known now asks for no deletion, and the access is taken already".to_owned();
            return Err(Box::new(unsent(record(proven.action(), Outcome::Skipped, Some(why)), false)));
        }
        if proven.verb() != Verb::Delete || self.context.is_clock_confirmed() {
            return Ok((proven, is_approved));
        }
        if is_taken {
            let why = DeletionBarrier::Clock.describe();
            let mut ended = waiting(proven.action(), Outcome::Deferred, WaitsFor::Date, why);
            // It was to be sent, so that an earlier refusal does not count any more.
            ended.done.attempted = true;
            return Err(Box::new(ended));
        }
        let instead = proven.as_deactivation(DeletionBarrier::Clock);
        let approved = self.decisions.is_approved(instead.action());
        if self.context.config.guard.approval.contains(&Verb::Deactivate) && !is_approved && !approved {
            let why = "guard.approval lists deactivate".to_owned();
            return Err(Box::new(self.held(instead.action(), why)));
        }
        Ok((instead, approved))
    }
}

impl ExecutedAction {
    fn of(done: ActionResult) -> ExecutedAction {
        ExecutedAction {
            done,
            unsent_removal: false,
            list_was_short: false,
            billable: false,
            held: Vec::new(),
            wanted: None,
        }
    }
}

/// What an action wants, as it would be owed.
pub fn wanted_entry(action: &PlannedAction) -> Option<OwedEntry> {
    let verb = action.kept_from.unwrap_or(action.verb);
    verb.is_write().then(|| OwedEntry {
        source_id: action.source_id.clone(),
        user: action.user.clone(),
        target_id: action.target_id.clone(),
        verb,
        cause: action.cause,
        waits_for: WaitsFor::Retry,
        attempted: false,
        refused: false,
        detail: action.reason.clone(),
        desired: action.desired.as_ref().map(|desired| desired.digest),
    })
}

fn left_over(action: &PlannedAction, stop: &StopReason) -> ExecutedAction {
    let mut ended = match &action.disposition {
        Disposition::Send => waiting(action, Outcome::Deferred, WaitsFor::Retry, stop.reason().to_owned()),
        Disposition::Held(why) => waiting(action, Outcome::Held, WaitsFor::Approval, why.clone()),
        Disposition::NoSeat(why) => waiting(action, Outcome::Held, WaitsFor::Seat, why.clone()),
        Disposition::Deferred(why) => waiting(action, Outcome::Deferred, WaitsFor::Retry, why.clone()),
        Disposition::Failed(why) => waiting(action, Outcome::Failed, WaitsFor::Retry, why.clone()),
        Disposition::Disabled(why) => waiting(action, Outcome::Disabled, WaitsFor::Switch, why.clone()),
        Disposition::Paused(why) => waiting(action, Outcome::Disabled, WaitsFor::Pause, why.clone()),
        Disposition::Dated(why) => waiting(action, Outcome::Deferred, WaitsFor::Date, why.clone()),
        Disposition::Nothing => unsent(record(action, Outcome::Skipped, None), false),
    };
    if action.kept_from.is_some() {
        ended.done.record.waits_for = Some(WaitsFor::Decision);
    }
    ended.wanted = wanted_entry(action);
    ended
}

fn unsent(record: ActionRecord, unsent_removal: bool) -> ExecutedAction {
    ExecutedAction { unsent_removal, ..ExecutedAction::of(ActionResult::with(record)) }
}

/// The end of an action that waits for something; a removal that nobody wants to wait is unsent.
fn waiting(action: &PlannedAction, outcome: Outcome, waits_for: WaitsFor, why: String) -> ExecutedAction {
    let unsent_removal =
        action.verb.is_removal() && outcome == Outcome::Deferred && waits_for != WaitsFor::Date;
    ExecutedAction {
        unsent_removal,
        ..ExecutedAction::of(ActionResult::waiting(action, outcome, waits_for, why))
    }
}

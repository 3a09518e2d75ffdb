//! The plan of a run: every candidate correlated and planned, renames put in order, the guards asked.

use std::collections::{HashMap, HashSet};

use crate::core::eligibility::Eligibility;
use crate::core::guard::{Intent, judge};
use crate::core::order::{Rename, order_renames};
use crate::core::planner::{Decision, Match, Person, Policy, changes_login, plan};
use crate::engine::context::RunContext;
use crate::engine::error::RunError;
use crate::engine::gather::login_holder::linked_holders;
use crate::engine::gather::read_set::Candidate;
use crate::engine::gather::uncertain_access::UncertainAccess;
use crate::engine::plan::Plan;
use crate::engine::plan::decisions::Decisions;
use crate::engine::plan::saved_plan::SavedPlanMatcher;
use crate::model::attributes::AttributePath;
use crate::model::folding::fold_address;
use crate::model::id::{SourceId, TargetId};
use crate::model::link::Link;
use crate::model::owed::{OwedChange, WaitsFor};
use crate::model::plan::{Disposition, PlannedAction, RemovalCause, Situation, Verb};
use crate::model::run_event::RunEvent;
use crate::model::time::Millis;
use crate::scim::target::{Criterion, Observe, TargetError};

const DAY_MILLIS: i64 = 24 * 3600 * 1000;

/// A rename under way: whose, and from what to what.
pub(crate) struct PendingRename {
    action: PlannedAction,
    rename: Rename,
}

/// A plan of actions that are decided already: renames put in order, the guards asked.
pub async fn plan_decided<O: Observe>(
    context: &RunContext<'_, O>,
    decided: Vec<(PlannedAction, Option<Link>)>,
    decisions: &Decisions,
    now: Millis,
) -> Result<Plan, RunError> {
    let mut plan = Plan::default();
    let ledger = context.snapshot.ledger(context.sync_name(), now).await?;
    let mut intent =
        Intent { unattended: context.unattended, already_sent: ledger.people.clone(), ..Intent::default() };
    let (owed, uncertain, refused_removals) = (HashMap::new(), UncertainAccess::default(), HashMap::new());
    let owed_deletions = HashMap::new();
    let mut planner = Planner {
        context,
        owed: &owed,
        uncertain: &uncertain,
        refused_removals: &refused_removals,
        owed_deletions: &owed_deletions,
        decisions,
        matcher: None,
        now,
        plan: &mut plan,
        intent: &mut intent,
        renames: Vec::new(),
        login_holder: None,
    };
    for (action, link) in decided {
        planner.file(action, link.as_ref())?;
    }
    planner.settle_renames().await?;
    plan.guard_report = judge(&intent, &ledger, &context.config.guard);
    context.watcher.tell(&RunEvent::Planned { writes: plan.writes });
    Ok(plan)
}

pub(crate) struct Planner<'a, 'c, O> {
    pub(crate) context: &'a RunContext<'c, O>,
    pub(crate) owed: &'a HashMap<SourceId, OwedChange>,
    pub(crate) uncertain: &'a UncertainAccess,
    pub(crate) refused_removals: &'a HashMap<SourceId, u32>,
    pub(crate) owed_deletions: &'a HashMap<SourceId, OwedChange>,
    pub(crate) decisions: &'a Decisions,
    pub(crate) matcher: Option<&'a mut SavedPlanMatcher>,
    pub(crate) now: Millis,
    pub(crate) plan: &'a mut Plan,
    pub(crate) intent: &'a mut Intent,
    pub(crate) renames: Vec<PendingRename>,
    /// Of the person whose turn it is: another account that has the login which an adoption would set.
    pub(crate) login_holder: Option<TargetId>,
}

impl<O: Observe> Planner<'_, '_, O> {
    /// Plans one person and files the action.
    pub(crate) fn take(
        &mut self,
        candidate: &Candidate,
        link: Option<&Link>,
        hits: &Match,
    ) -> Result<(), RunError> {
        if let (None, Some(action)) = (link, self.uncertain.block(candidate)) {
            return self.file(action, None);
        }
        // Several people for one login: all of them are blocked, whether linked or not.
        let shared;
        let eligibility = match (hits, link) {
            (Match::Several(text), Some(link)) if !link.state.is_gone() => {
                shared = Eligibility::Blocked(text.clone());
                &shared
            }
            _ => &candidate.eligibility,
        };
        let waits = self.waits(candidate);
        let person = Person {
            id: &candidate.id,
            user: link.map_or(candidate.user.as_str(), |link| link.user_name.as_str()),
            eligibility,
            link,
            hits,
            waits: waits.as_deref(),
            owed_deletion: self.owed_deletions.get(&candidate.id).and_then(|change| change.cause),
            observation: candidate.observation,
            assigned_at: candidate.assigned_at,
        };
        let policy = Policy {
            lifecycle: &self.context.config.lifecycle,
            adopt: &self.context.config.adopt,
            mapping: self.context.mapping,
        };
        if self.decisions.has_stale_pin(candidate) {
            self.plan.stale_pins.push(candidate.id.clone());
        }
        self.plan
            .pin_causes
            .extend(self.decisions.cause_for_pin(candidate).map(|cause| (candidate.id.clone(), cause)));
        match plan(&person, &policy, self.now) {
            Decision::Unchanged { refresh } => {
                self.plan.unchanged += 1;
                self.plan.refresh.extend(refresh.map(|digest| (candidate.id.clone(), digest)));
                Ok(())
            }
            Decision::Act(action) => {
                let action = without_login(*action, self.login_holder.as_ref());
                let action = self.decisions.apply(self.dated(action), candidate, link);
                let action = self.leave_to_full_run(action, candidate);
                if self.matcher.as_mut().is_some_and(|matcher| !matcher.admits(&action)) {
                    return Ok(());
                }
                self.file(action, link)
            }
        }
    }

    /// A record that lacks a name of `scope.filter` may lack it because the attribute was renamed for everybody. A run of
    /// named people cannot tell; a full run can, and holds everybody then.
    fn leave_to_full_run(&mut self, mut action: PlannedAction, candidate: &Candidate) -> PlannedAction {
        let goes = action.verb.is_removal()
            && action.cause == Some(RemovalCause::OutOfScope)
            && action.disposition == Disposition::Send
            && !self.decisions.is_approved(&action);
        if goes && self.context.reads_one_by_one && !candidate.lacks.is_empty() {
            let why = format!(
                "the record has no {}, which scope.filter uses: a full run decides whether one person lacks it or \
                 everybody",
                candidate.lacks.join(", ")
            );
            self.plan.left_to_full_run = Some(why.clone());
            action.disposition = Disposition::Deferred(why);
        }
        action
    }

    /// A person to whom something was sent in vain waits a growing number of runs, at most a day, and not at all where the
    /// values changed; a run of named people does not wait.
    fn waits(&self, candidate: &Candidate) -> Option<String> {
        // Whether an earlier write was settled is the door's question.
        let owed = self.owed.get(&candidate.id).filter(|owed| owed.waits_for != WaitsFor::Unsettled)?;
        let wanted = match &candidate.eligibility {
            Eligibility::Qualifies(mapped) => Some(mapped.desired.digest),
            Eligibility::Pending
            | Eligibility::Suspended
            | Eligibility::Leaver(_)
            | Eligibility::OutOfScope
            | Eligibility::Blocked(_)
            | Eligibility::Unknown(_) => None,
        };
        if owed.desired.is_some() && owed.desired != wanted {
            return None;
        }
        let runs = self.context.runs_to_wait(owed.wait_runs);
        (runs > 0 && owed.attempts > 0).then(|| {
            format!(
                "failed {} times, tried again in {} run{}: {}",
                owed.attempts,
                runs,
                if runs == 1 { "" } else { "s" },
                owed.detail
            )
        })
    }

    /// A deletion after a while cannot be taken back: an earlier run, at least a day before, must have come to the same.
    /// Where the access is taken and the workspace does not delete, nothing is sent and nobody is asked to approve it again:
    /// only a run about that person tries once more.
    fn dated(&self, mut action: PlannedAction) -> PlannedAction {
        if action.verb != Verb::Delete || action.disposition != Disposition::Send {
            return action;
        }
        let owed = self.owed_deletions.get(&action.source_id);
        let has_waited_a_day = owed.is_some_and(|owed| {
            owed.cause == Some(RemovalCause::DeleteAfter) && self.now.since(owed.since) >= DAY_MILLIS
        });
        let is_refused = |owed: &&OwedChange| owed.waits_for == WaitsFor::Date && owed.refusals > 0;
        let refused = owed.filter(is_refused).filter(|_| !self.context.reads_one_by_one);
        if let Some(refused) = refused {
            action.disposition = Disposition::Dated(refused.detail.clone());
        } else if action.cause == Some(RemovalCause::DeleteAfter) && !has_waited_a_day {
            action.disposition = Disposition::Dated(
                "lifecycle.delete_after has passed; a run a day later deletes, if it comes to the same"
                    .to_owned(),
            );
        }
        action
    }

    fn file(&mut self, action: PlannedAction, link: Option<&Link>) -> Result<(), RunError> {
        let sends = action.disposition == Disposition::Send;
        let writes_login =
            matches!(action.verb, Verb::Update | Verb::Reactivate) && changes_login(&action.changes);
        if let (true, true, Some(link)) = (sends, writes_login, link) {
            let to = login_to_be(&action);
            let rename = Rename { from: link.user_name.clone(), to };
            self.renames.push(PendingRename { action, rename });
            return Ok(());
        }
        self.file_in_order(action)
    }

    fn file_in_order(&mut self, action: PlannedAction) -> Result<(), RunError> {
        self.count(&action);
        let refused_before = self.refused_removals.contains_key(&action.source_id);
        let stage = match action.verb {
            Verb::Deactivate | Verb::Delete if refused_before => &mut self.plan.refused_removals,
            Verb::Deactivate | Verb::Delete => &mut self.plan.removals,
            Verb::Update => &mut self.plan.updates,
            Verb::Reactivate => &mut self.plan.reactivations,
            Verb::Adopt => &mut self.plan.adoptions,
            Verb::Create => &mut self.plan.creations,
            Verb::Block | Verb::Skip => &mut self.plan.quiet,
        };
        stage.push(&action)?;
        Ok(())
    }

    /// What somebody approved does not count for the guards, and is sent all the same.
    fn count(&mut self, action: &PlannedAction) {
        let is_approved = self.decisions.is_approved(action);
        let goes = action.disposition == Disposition::Send || is_approved;
        self.plan.writes += u64::from(action.verb.is_write() && goes);
        if !is_approved {
            self.intent.add(action);
        }
    }

    /// Orders the renames and blocks those that cannot be done. Gives the accounts that release a name.
    pub(crate) async fn settle_renames(&mut self) -> Result<HashSet<TargetId>, RunError> {
        let mut pending = Vec::new();
        for rename in std::mem::take(&mut self.renames) {
            match self.holders_of(&rename).await {
                Ok(holders) => pending.push((rename, holders)),
                // That the workspace does not tell about one login is one person's matter.
                Err(RunError::Target(TargetError::Unanswerable(why))) => {
                    let mut action = rename.action;
                    action.disposition = Disposition::Failed(why);
                    self.file_in_order(action)?;
                }
                Err(error) => return Err(error),
            }
        }
        // Each rename that cannot be done keeps its old name, which may be what another one waits for.
        loop {
            let renaming: HashSet<TargetId> =
                pending.iter().filter_map(|(rename, _)| rename.action.target_id.clone()).collect();
            let in_the_way = |holders: &[TargetId]| holders.iter().find(|id| !renaming.contains(id)).cloned();
            let before = pending.len();
            for (rename, holders) in std::mem::take(&mut pending) {
                match in_the_way(&holders) {
                    None => pending.push((rename, holders)),
                    Some(holder) => {
                        let to = &rename.rename.to;
                        let reason = format!("cannot take the userName {to}: account {holder} has it");
                        self.file_in_order(blocked(rename.action, reason))?;
                    }
                }
            }
            if pending.len() == before {
                break;
            }
        }
        let pending: Vec<PendingRename> = pending.into_iter().map(|(rename, _)| rename).collect();
        let renames: Vec<Rename> = pending.iter().map(|pending| pending.rename.clone()).collect();
        let ordered = order_renames(&renames);
        let mut slots: Vec<Option<PendingRename>> = pending.into_iter().map(Some).collect();
        for index in ordered.blocked {
            let Some(rename) = slots[index].take() else { continue };
            let reason = format!("swaps the userName {} with somebody else in a circle", rename.rename.to);
            self.file_in_order(blocked(rename.action, reason))?;
        }
        let mut releasing = HashSet::new();
        for chain in ordered.chains {
            let actions: Vec<PlannedAction> =
                chain.iter().filter_map(|index| slots[*index].take()).map(|pending| pending.action).collect();
            releasing.extend(actions.iter().filter_map(|action| action.target_id.clone()));
            match <[PlannedAction; 1]>::try_from(actions) {
                Ok([alone]) => self.file_in_order(alone)?,
                Err(actions) => {
                    actions.iter().for_each(|action| self.count(action));
                    self.plan.chains.push(&actions)?;
                }
            }
        }
        Ok(releasing)
    }

    /// The other accounts that hold the wanted login.
    async fn holders_of(&mut self, rename: &PendingRename) -> Result<Vec<TargetId>, RunError> {
        if fold_address(&rename.rename.from) == fold_address(&rename.rename.to) {
            return Ok(Vec::new());
        }
        let hits = self.context.target.find(&Criterion::UserName(rename.rename.to.clone())).await?;
        let others = hits.accounts.into_iter().map(|account| account.id);
        let mut others: Vec<TargetId> =
            others.filter(|id| Some(id) != rename.action.target_id.as_ref()).collect();
        if others.is_empty() {
            let linked = linked_holders(self.context, &rename.action.source_id, &rename.rename.to).await?;
            self.plan.vanished.extend(linked.vanished);
            others.extend(linked.account.map(|account| account.id));
        }
        Ok(others)
    }
}

/// The login that an action gives.
fn login_to_be(action: &PlannedAction) -> String {
    let change = action.changes.iter().find(|change| change.path == AttributePath::user_name());
    let to = change.and_then(|change| change.to.as_ref());
    to.map(|to| to.as_text().into_owned()).unwrap_or_default()
}

/// A name that belongs to an account outside the plan is blocked, and everything else of the adoption is not: the link is
/// stored, and what is left is a rename like any other.
fn without_login(mut action: PlannedAction, holder: Option<&TargetId>) -> PlannedAction {
    if let (Verb::Adopt, Some(holder), true) = (action.verb, holder, changes_login(&action.changes)) {
        action.changes.retain(|change| change.path != AttributePath::user_name());
        action
            .reason
            .push_str(&format!("; its userName stays as it is, because account {holder} has the new one"));
    }
    action
}

/// A rename that may not be sent, as a block.
fn blocked(mut action: PlannedAction, reason: String) -> PlannedAction {
    action.verb = Verb::Block;
    action.situation = Situation::Blocked;
    action.reason = reason;
    action.changes.retain(|change| change.path == AttributePath::user_name());
    action.disposition = Disposition::Nothing;
    action
}

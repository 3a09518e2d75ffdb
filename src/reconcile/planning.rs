//! The plan of a run: every candidate correlated and planned, renames put in order, the guards asked.

use std::collections::{HashMap, HashSet};

use super::event::RunEvent;
use super::look::{Finder, Owner, choose_finder, climb_all, judge_hits};
use super::narrowing::Narrowing;
use super::prove::Prover;
use super::roster::Candidate;
use super::rulings::Rulings;
use super::seats::{hold_for_seats, seats_of_changes};
use super::unlisted::{Looked, Unlisted};
use super::{Context, RunError};
use crate::core::guard::{Intent, Judgement, judge};
use crate::core::normalize::fold_address;
use crate::core::order::{Rename, order_renames};
use crate::core::planner::{Decision, Match, Person, Policy, changes_login, plan};
use crate::core::standing::Standing;
use crate::model::account::Account;
use crate::model::attributes::AttributePath;
use crate::model::digest::Digest;
use crate::model::id::{SourceId, TargetId};
use crate::model::link::{Link, LinkState};
use crate::model::order::Observation;
use crate::model::plan::{Disposition, PlannedAction, Situation, Verb};
use crate::model::time::Millis;
use crate::store::{Failing, Spool};
use crate::target::{Criterion, Observe};

/// People looked up or planned at a time: bounds memory, not correctness.
const CHUNK: usize = 512;

/// The stages of a run, in the order in which they are sent. Leavers first.
#[derive(Debug, Default)]
pub struct Plan {
    /// Deactivations and deletions.
    pub removals: Spool<PlannedAction>,
    /// Renames that wait for each other: within a chain one after the other.
    pub chains: Spool<Vec<PlannedAction>>,
    /// All other updates.
    pub updates: Spool<PlannedAction>,
    /// Reactivations.
    pub reactivations: Spool<PlannedAction>,
    /// Adoptions.
    pub adoptions: Spool<PlannedAction>,
    /// Creations.
    pub creations: Spool<PlannedAction>,
    /// Hold-backs and skips: told, not sent.
    pub quiet: Spool<PlannedAction>,
    /// Linked people with nothing to do.
    pub unchanged: u64,
    /// Digests that changed although no value did.
    pub refresh: Vec<(SourceId, Digest)>,
    /// The guards' verdict.
    pub judgement: Judgement,
    /// Actions that would be sent.
    pub writes: u64,
    /// People whose pins no longer hold because the source changed.
    pub stale_pins: Vec<SourceId>,
    /// People who were looked at one by one while planning, and when.
    pub looks: Vec<(SourceId, Observation)>,
    /// People whom the list left out although they are assigned.
    pub list_was_short: u64,
}

/// Everybody a plan is made for.
#[derive(Debug)]
pub struct People {
    /// Those who need a closer look.
    pub candidates: Spool<Candidate>,
    /// Those who do not.
    pub unchanged: u64,
    /// Who is listed at the source and linked.
    pub listed: HashSet<SourceId>,
    /// Who shares a login with somebody else.
    pub shared_logins: HashSet<SourceId>,
    /// Names of `scope.filter` that nobody had.
    pub scope_names_nobody_has: Vec<String>,
    /// Whom a run of named people is about.
    pub named: HashSet<SourceId>,
}

/// A rename under way: whose, and from what to what.
struct PendingRename {
    action: PlannedAction,
    rename: Rename,
}

/// Makes the plan.
pub async fn make_plan<O: Observe>(
    context: &Context<'_, O>,
    mut people: People,
    prover: &Prover<'_>,
    rulings: &Rulings,
    narrowing: Option<&mut Narrowing>,
    now: Millis,
) -> Result<Plan, RunError> {
    let failing = failing_by_id(context).await?;
    let mut plan = Plan { unchanged: people.unchanged, ..Plan::default() };
    let mut intent = Intent {
        scope_names_nobody_has: std::mem::take(&mut people.scope_names_nobody_has),
        nobody_to_compare: prover.has_nobody_to_ask(),
        unattended: context.unattended,
        ..Intent::default()
    };
    let renames = Vec::new();
    let mut planner =
        Planner { context, failing, rulings, narrowing, now, plan: &mut plan, intent: &mut intent, renames };
    let (mut unlinked, to_look_up) = planner.take_those_who_need_no_look(&mut people).await?;
    let releasing = planner.settle_renames().await?;
    if to_look_up > 0 {
        let tell = |event: RunEvent| context.watcher.tell(&event);
        let mut finder =
            choose_finder(context.target, &context.config.adopt.ladder, to_look_up, &tell).await?;
        let mut done = 0u64;
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut rest = unlinked.iter()?.peekable();
        while let Some(candidate) = rest.next() {
            chunk.push(candidate?);
            if chunk.len() < CHUNK && rest.peek().is_some() {
                continue;
            }
            done += chunk.len() as u64;
            planner
                .match_chunk(std::mem::take(&mut chunk), &mut finder, &releasing, &people.listed, prover)
                .await?;
            context.watcher.tell(&RunEvent::Looking { done, total: to_look_up });
        }
    }
    let ledger = context.snapshot.ledger(context.sync_name(), now).await?;
    if let Some(limit) = context.config.guard.max_seats {
        let census = context.snapshot.census(context.sync_name()).await?;
        let mut taken = census.billable + billable(&mut plan.adoptions)?;
        for stage in [&mut plan.updates, &mut plan.reactivations] {
            taken = taken.saturating_add_signed(seats_of_changes(context.mapping, stage)?);
        }
        hold_for_seats(&mut plan.creations, taken, limit)?;
    }
    plan.judgement = judge(&intent, &ledger, &context.config.guard);
    plan.writes = intent.total();
    context.watcher.tell(&RunEvent::Planned { writes: plan.writes });
    Ok(plan)
}

/// A plan of actions that are decided already: renames put in order, the guards asked.
pub async fn plan_decided<O: Observe>(
    context: &Context<'_, O>,
    decided: Vec<(PlannedAction, Option<Link>)>,
    rulings: &Rulings,
    now: Millis,
) -> Result<Plan, RunError> {
    let mut plan = Plan::default();
    let mut intent = Intent { unattended: context.unattended, ..Intent::default() };
    let mut planner = Planner {
        context,
        failing: HashMap::new(),
        rulings,
        narrowing: None,
        now,
        plan: &mut plan,
        intent: &mut intent,
        renames: Vec::new(),
    };
    for (action, link) in decided {
        planner.file(action, link.as_ref())?;
    }
    planner.settle_renames().await?;
    let ledger = context.snapshot.ledger(context.sync_name(), now).await?;
    plan.judgement = judge(&intent, &ledger, &context.config.guard);
    plan.writes = intent.total();
    context.watcher.tell(&RunEvent::Planned { writes: plan.writes });
    Ok(plan)
}

/// Adoptions that will take a seat.
fn billable(adoptions: &mut Spool<PlannedAction>) -> Result<u64, RunError> {
    let mut seats = 0;
    for action in adoptions.iter()? {
        let action = action?;
        seats += u64::from(action.billable && action.disposition == Disposition::Send);
    }
    Ok(seats)
}

async fn failing_by_id<O: Observe>(context: &Context<'_, O>) -> Result<HashMap<SourceId, Failing>, RunError> {
    let failing = context.snapshot.failing(context.sync_name()).await?;
    Ok(failing.into_iter().map(|failing| (failing.source_id.clone(), failing)).collect())
}

fn shared_login(candidate: &Candidate) -> String {
    format!("another person maps to the userName {} too", candidate.user)
}

struct Planner<'a, 'c, O> {
    context: &'a Context<'c, O>,
    failing: HashMap<SourceId, Failing>,
    rulings: &'a Rulings,
    narrowing: Option<&'a mut Narrowing>,
    now: Millis,
    plan: &'a mut Plan,
    intent: &'a mut Intent,
    renames: Vec<PendingRename>,
}

impl<O: Observe> Planner<'_, '_, O> {
    /// Plans one person and files the action.
    fn take(&mut self, candidate: &Candidate, link: Option<&Link>, hits: &Match) -> Result<(), RunError> {
        // Several people for one login: all of them are held back, whether linked or not.
        let shared;
        let standing = match (hits, link) {
            (Match::Several(text), Some(link)) if !matches!(link.state, LinkState::Gone(_)) => {
                shared = Standing::HeldBack(text.clone());
                &shared
            }
            _ => &candidate.standing,
        };
        let waits = self.waits(&candidate.id);
        let person = Person {
            id: &candidate.id,
            user: link.map_or(candidate.user.as_str(), |link| link.user_name.as_str()),
            standing,
            link,
            hits,
            waits: waits.as_deref(),
            observation: candidate.observation,
            assigned_at: candidate.assigned_at,
        };
        let policy = Policy {
            lifecycle: &self.context.config.lifecycle,
            adopt: &self.context.config.adopt,
            mapping: self.context.mapping,
        };
        if self.rulings.has_stale_pin(candidate) {
            self.plan.stale_pins.push(candidate.id.clone());
        }
        match plan(&person, &policy, self.now) {
            Decision::Unchanged { refresh } => {
                self.plan.unchanged += 1;
                self.plan.refresh.extend(refresh.map(|digest| (candidate.id.clone(), digest)));
                Ok(())
            }
            Decision::Act(action) => {
                let action = self.rulings.apply(*action, candidate, link);
                if self.narrowing.as_mut().is_some_and(|narrowing| !narrowing.admits(&action)) {
                    return Ok(());
                }
                self.file(action, link)
            }
        }
    }

    /// Plans everybody who needs no look at the target; gives the others, and how many they are.
    async fn take_those_who_need_no_look(
        &mut self,
        people: &mut People,
    ) -> Result<(Spool<Candidate>, u64), RunError> {
        let mut unlinked = Spool::<Candidate>::default();
        let mut to_look_up = 0u64;
        let mut unlisted = Unlisted::default();
        for candidate in people.candidates.iter()? {
            let candidate = candidate?;
            let link = if candidate.linked { self.context.link(&candidate.id).await? } else { None };
            let qualifies = matches!(candidate.standing, Standing::Qualifies(_));
            if people.shared_logins.contains(&candidate.id) {
                self.take(&candidate, link.as_ref(), &Match::Several(shared_login(&candidate)))?;
            } else if qualifies && link.as_ref().is_none_or(|link| matches!(link.state, LinkState::Gone(_))) {
                to_look_up += 1;
                unlinked.push(&candidate)?;
            } else if (self.rulings.is_pinned_and_not_listed(&candidate)
                || Unlisted::needs_a_look(&candidate, link.as_ref(), &self.context.config.lifecycle))
                && let Some(link) = link
            {
                unlisted.push(candidate, link);
            } else {
                self.take(&candidate, link.as_ref(), &Match::None)?;
            }
        }
        self.take_unlisted(unlisted).await?;
        Ok((unlinked, to_look_up))
    }

    /// People whom the list leaves out, as a look shows them.
    async fn take_unlisted(&mut self, unlisted: Unlisted) -> Result<(), RunError> {
        let Looked { seen, unseen, list_was_short } = unlisted.look(self.context).await?;
        self.plan.list_was_short += list_was_short;
        for (candidate, link) in seen {
            self.plan.looks.push((candidate.id.clone(), candidate.observation));
            self.take(&candidate, Some(&link), &Match::None)?;
        }
        for (candidate, link) in unseen {
            self.file(later_look(&candidate, &link), None)?;
        }
        Ok(())
    }

    /// A person who failed waits a growing number of runs; a run of named people does not wait.
    fn waits(&self, id: &SourceId) -> Option<String> {
        let failing = self.failing.get(id)?;
        let runs = self.context.runs_to_wait(failing.wait_runs);
        (runs > 0).then(|| {
            format!(
                "failed {} times, tried again in {} run{}: {}",
                failing.failures,
                runs,
                if runs == 1 { "" } else { "s" },
                failing.detail
            )
        })
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
        let stage = match action.verb {
            Verb::Deactivate | Verb::Delete => &mut self.plan.removals,
            Verb::Update => &mut self.plan.updates,
            Verb::Reactivate => &mut self.plan.reactivations,
            Verb::Adopt => &mut self.plan.adoptions,
            Verb::Create => &mut self.plan.creations,
            Verb::HoldBack | Verb::Skip => &mut self.plan.quiet,
        };
        stage.push(&action)?;
        Ok(())
    }

    /// What somebody approved does not count for the guards.
    fn count(&mut self, action: &PlannedAction) {
        if !self.rulings.is_approved(action) {
            self.intent.add(action);
        }
    }

    /// Orders the renames and holds back those that cannot be done. Gives the accounts that release a name.
    async fn settle_renames(&mut self) -> Result<HashSet<TargetId>, RunError> {
        let mut pending = Vec::new();
        for rename in std::mem::take(&mut self.renames) {
            let holders = self.holders_of(&rename).await?;
            pending.push((rename, holders));
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
                        self.file_in_order(held_back(rename.action, reason))?;
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
            self.file_in_order(held_back(rename.action, reason))?;
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
    async fn holders_of(&self, rename: &PendingRename) -> Result<Vec<TargetId>, RunError> {
        if fold_address(&rename.rename.from) == fold_address(&rename.rename.to) {
            return Ok(Vec::new());
        }
        let hits = self.context.target.find(&Criterion::UserName(rename.rename.to.clone())).await?;
        let others = hits.accounts.into_iter().map(|account| account.id);
        Ok(others.filter(|id| Some(id) != rename.action.target_id.as_ref()).collect())
    }

    async fn match_chunk(
        &mut self,
        chunk: Vec<Candidate>,
        finder: &mut Finder,
        releasing: &HashSet<TargetId>,
        listed: &HashSet<SourceId>,
        prover: &Prover<'_>,
    ) -> Result<(), RunError> {
        let ladder = &self.context.config.adopt.ladder;
        let concurrency = self.context.config.target.concurrency;
        let found = climb_all(self.context.target, finder, ladder, chunk, releasing, concurrency).await?;
        for (candidate, found) in found {
            let mut owners = HashMap::new();
            if let Some((_, accounts)) = &found
                && let [account] = accounts.as_slice()
            {
                let owner = owner_of(self.context, &candidate.id, account, listed, prover).await?;
                owners.insert(account.id.clone(), owner);
            }
            let link = if candidate.linked { self.context.link(&candidate.id).await? } else { None };
            self.take(&candidate, link.as_ref(), &judge_hits(found, &owners))?;
        }
        Ok(())
    }
}

/// Who an account is linked to, as seen from a person.
pub(super) async fn owner_of<O: Observe>(
    context: &Context<'_, O>,
    person: &SourceId,
    account: &Account,
    listed: &HashSet<SourceId>,
    prover: &Prover<'_>,
) -> Result<Owner, RunError> {
    let owner = context.snapshot.owner_of_account(&context.target_url, &account.id).await?;
    let Some((sync, link)) = owner else { return Ok(Owner::Nobody) };
    if sync != context.sync_name() {
        return Ok(Owner::OtherSync(sync));
    }
    if link.source_id == *person {
        return Ok(Owner::Same);
    }
    if !listed.contains(&link.source_id) && prover.is_proven_gone(&link).await {
        return Ok(Owner::ProvenGone(link.source_id));
    }
    Ok(Owner::Living(format!("{} ({})", link.user_name, link.source_id)))
}

/// The login that an action gives.
fn login_to_be(action: &PlannedAction) -> String {
    let change = action.changes.iter().find(|change| change.path == AttributePath::user_name());
    let to = change.and_then(|change| change.to.as_ref());
    to.map(|to| to.as_text().into_owned()).unwrap_or_default()
}

/// Somebody who is not listed and whose turn to be looked at comes in a later run.
fn later_look(candidate: &Candidate, link: &Link) -> PlannedAction {
    PlannedAction {
        situation: Situation::Leaver,
        reason: "not listed; how this person left is looked at in a later run".to_owned(),
        target_id: Some(link.target_id.clone()),
        ..PlannedAction::blank(candidate.id.clone(), link.user_name.clone(), candidate.observation)
    }
}

/// A rename that may not be sent, as a hold-back.
fn held_back(mut action: PlannedAction, reason: String) -> PlannedAction {
    action.verb = Verb::HoldBack;
    action.situation = Situation::HeldBack;
    action.reason = reason;
    action.changes.retain(|change| change.path == AttributePath::user_name());
    action.disposition = Disposition::Nothing;
    action
}

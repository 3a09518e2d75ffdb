//! The plan of a run: every candidate correlated and planned, renames put in order, the guards asked.

use std::collections::{HashMap, HashSet};

use super::event::RunEvent;
use super::look::{Found, LookupResult, choose_finder, climb_all, judge_hits};
use super::matches::{AccountClaims, MatchedPerson};
use super::narrowing::Narrowing;
use super::owners::{Owner, owner_of};
use super::prove::Prover;
use super::roster::Candidate;
use super::rulings::Rulings;
use super::seats::{hold_for_seats, seats_of_changes};
use super::unlisted::{Looked, Question, Unlisted};
use super::{Context, RunError};
use crate::config::MatchBy;
use crate::core::guard::{Intent, Judgement, Ledger, judge, judge_others, judge_removals};
use crate::core::normalize::fold_address;
use crate::core::order::{Rename, order_renames};
use crate::core::planner::{Decision, Match, Person, Policy, changes_login, plan, removal_cause};
use crate::core::standing::Standing;
use crate::model::attributes::AttributePath;
use crate::model::digest::Digest;
use crate::model::id::{SourceId, TargetId};
use crate::model::link::{Link, LinkState};
use crate::model::order::Observation;
use crate::model::owed::OwedChange;
use crate::model::plan::{Disposition, PlannedAction, RemovalCause, Situation, Verb};
use crate::model::time::Millis;
use crate::store::Spool;
use crate::target::{Criterion, Observe, TargetError};

const DAY_MILLIS: i64 = 24 * 3600 * 1000;
/// People looked up or planned at a time: bounds memory, not correctness.
const CHUNK: usize = 512;

/// The stages of a run, in the order in which they are sent. Leavers first.
#[derive(Debug, Default)]
pub struct Plan {
    /// Deactivations and deletions.
    pub removals: Spool<PlannedAction>,
    /// Those that the target refused before: they come after the others.
    pub refused_removals: Spool<PlannedAction>,
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
    /// Why people are not listed, as these looks showed it.
    pub causes: Vec<(SourceId, RemovalCause)>,
    /// Pins from before causes were stored, with the cause of this first look.
    pub pin_causes: Vec<(SourceId, RemovalCause)>,
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

/// Makes the plan of a pass in two parts: who leaves first, and everybody else after that. The second part looks at the
/// target, and nothing that goes wrong there may keep a leaver in.
pub struct PlanMaker<'a, 'c, O> {
    context: &'a Context<'c, O>,
    rulings: &'a Rulings,
    people: People,
    nobody_to_compare: bool,
    now: Millis,
    owed: HashMap<SourceId, OwedChange>,
    refused_removals: HashSet<SourceId>,
    /// Deletions after a while that an earlier run came to, and when it did first.
    dated: HashMap<SourceId, Millis>,
    taken: HashMap<SourceId, (TargetId, Option<Digest>)>,
    /// People whose turn comes after the leavers.
    others: Spool<Candidate>,
    /// How many of them need a look at the target.
    to_look_up: u64,
    listed_names: Vec<String>,
}

impl<'a, 'c, O: Observe> PlanMaker<'a, 'c, O> {
    /// Reads what the plan of these people depends on.
    pub async fn new(
        context: &'a Context<'c, O>,
        mut people: People,
        prover: &Prover<'_>,
        rulings: &'a Rulings,
        now: Millis,
    ) -> Result<PlanMaker<'a, 'c, O>, RunError> {
        let mut owed = HashMap::new();
        let (mut refused_removals, mut dated) = (HashSet::new(), HashMap::new());
        for change in context.snapshot.owed(context.sync_name()).await? {
            if change.is_removal() && !change.keeps_access() {
                dated.insert(change.source_id, change.since);
            } else if !change.is_removal() {
                owed.insert(change.source_id.clone(), change);
            } else if change.refusals > 0 {
                refused_removals.insert(change.source_id);
            }
        }
        let listed_names = std::mem::take(&mut people.scope_names_nobody_has);
        Ok(PlanMaker {
            context,
            rulings,
            people,
            nobody_to_compare: prover.has_nobody_to_ask(),
            now,
            owed,
            refused_removals,
            dated,
            taken: context.snapshot.taken_accounts(context.sync_name()).await?,
            others: Spool::default(),
            to_look_up: 0,
            listed_names,
        })
    }

    fn intent(&self, ledger: &Ledger) -> Intent {
        Intent {
            scope_names_nobody_has: self.listed_names.clone(),
            nobody_to_compare: self.nobody_to_compare,
            unattended: self.context.unattended,
            holds: self.rulings.holds_asked(),
            already_sent: ledger.people.clone(),
            ..Intent::default()
        }
    }

    fn planner<'p>(
        &'p self,
        plan: &'p mut Plan,
        intent: &'p mut Intent,
        narrowing: Option<&'p mut Narrowing>,
    ) -> Planner<'p, 'c, O> {
        Planner {
            context: self.context,
            owed: &self.owed,
            refused_removals: &self.refused_removals,
            dated: &self.dated,
            rulings: self.rulings,
            narrowing,
            now: self.now,
            plan,
            intent,
            renames: Vec::new(),
        }
    }

    /// The plan of those who leave, judged. Nobody is looked up at the target for it.
    pub async fn leavers(&mut self, mut narrowing: Option<&mut Narrowing>) -> Result<Plan, RunError> {
        let mut plan = Plan { unchanged: self.people.unchanged, ..Plan::default() };
        let ledger = self.context.snapshot.ledger(self.context.sync_name(), self.now).await?;
        let mut intent = self.intent(&ledger);
        let mut candidates = std::mem::take(&mut self.people.candidates);
        let mut unlisted = Unlisted::default();
        for candidate in candidates.iter()? {
            let candidate = candidate?;
            let link = if candidate.linked { self.context.link(&candidate.id).await? } else { None };
            if !leaves(&candidate, link.as_ref()) || self.people.shared_logins.contains(&candidate.id) {
                let qualifies = matches!(candidate.standing, Standing::Qualifies(_));
                let shares = self.people.shared_logins.contains(&candidate.id);
                let free = link.as_ref().is_none_or(|link| matches!(link.state, LinkState::Gone(_)));
                self.to_look_up += u64::from(qualifies && free && !shares);
                self.others.push(&candidate)?;
                continue;
            }
            match link {
                Some(link) if self.needs_whole_look(&candidate, &link) => {
                    unlisted.push(candidate, link, Question::Whole);
                }
                Some(link) if Unlisted::is_unexplained(&candidate, &link) => {
                    unlisted.push(candidate, link, Question::OwnRecord);
                }
                link => {
                    let mut planner = self.planner(&mut plan, &mut intent, narrowing.as_deref_mut());
                    planner.take(&candidate, link.as_ref(), &Match::None)?;
                }
            }
        }
        let Looked { seen, unseen } = unlisted.look(self.context).await?;
        for (candidate, link) in seen {
            plan.causes.extend(cause_seen(&candidate));
            plan.looks.push((candidate.id.clone(), candidate.observation));
            let mut planner = self.planner(&mut plan, &mut intent, narrowing.as_deref_mut());
            planner.take(&candidate, Some(&link), &Match::None)?;
        }
        // Who was not looked at counts as unassigned.
        for (candidate, link) in unseen {
            let mut planner = self.planner(&mut plan, &mut intent, narrowing.as_deref_mut());
            planner.take(&candidate, Some(&link), &Match::None)?;
        }
        // Somebody who turned out to be assigned after all may be owed an update.
        let judge = if intent.plain > 0 { judge } else { judge_removals };
        plan.judgement = judge(&intent, &ledger, &self.context.config.guard);
        plan.writes = intent.total();
        Ok(plan)
    }

    /// Whether record and assignment are asked for: of somebody whom a decision binds and whom the list leaves out, and
    /// of somebody with access whom nobody could judge.
    fn needs_whole_look(&self, candidate: &Candidate, link: &Link) -> bool {
        match &candidate.standing {
            Standing::Unknown(_) => link.state == LinkState::Active,
            Standing::Leaver(RemovalCause::NotListed) => self.rulings.is_pinned(&candidate.id),
            Standing::Leaver(_)
            | Standing::Suspended
            | Standing::OutOfScope
            | Standing::Qualifies(_)
            | Standing::Pending
            | Standing::HeldBack(_) => false,
        }
    }

    /// The plan of everybody else: whoever has no account is looked for at the target.
    pub async fn others(
        &mut self,
        mut narrowing: Option<&mut Narrowing>,
        prover: &Prover<'_>,
    ) -> Result<Plan, RunError> {
        let mut plan = Plan::default();
        let ledger = self.context.snapshot.ledger(self.context.sync_name(), self.now).await?;
        let mut intent = self.intent(&ledger);
        let mut others = std::mem::take(&mut self.others);
        let mut unlinked = Spool::<Candidate>::default();
        let releasing = {
            let mut planner = self.planner(&mut plan, &mut intent, narrowing.as_deref_mut());
            for candidate in others.iter()? {
                let candidate = candidate?;
                let link = if candidate.linked { self.context.link(&candidate.id).await? } else { None };
                let qualifies = matches!(candidate.standing, Standing::Qualifies(_));
                if self.people.shared_logins.contains(&candidate.id) {
                    let hits = Match::Several(shared_login(&candidate));
                    planner.take(&candidate, link.as_ref(), &hits)?;
                } else if qualifies
                    && link.as_ref().is_none_or(|link| matches!(link.state, LinkState::Gone(_)))
                {
                    unlinked.push(&candidate)?;
                } else {
                    planner.take(&candidate, link.as_ref(), &Match::None)?;
                }
            }
            planner.settle_renames().await?
        };
        if self.to_look_up > 0 {
            self.look_up(&mut unlinked, &releasing, prover, &mut plan, &mut intent, narrowing).await?;
        }
        if let Some(limit) = self.context.config.guard.max_seats {
            let census = self.context.snapshot.census(self.context.sync_name()).await?;
            let mut taken = census.billable + billable(&mut plan.adoptions)?;
            for stage in [&mut plan.updates, &mut plan.reactivations] {
                taken = taken.saturating_add_signed(seats_of_changes(self.context.mapping, stage)?);
            }
            hold_for_seats(&mut plan.creations, taken, limit)?;
        }
        plan.judgement = judge_others(&intent, &ledger, &self.context.config.guard);
        plan.writes = intent.total();
        Ok(plan)
    }

    async fn look_up(
        &self,
        unlinked: &mut Spool<Candidate>,
        releasing: &HashSet<TargetId>,
        prover: &Prover<'_>,
        plan: &mut Plan,
        intent: &mut Intent,
        mut narrowing: Option<&mut Narrowing>,
    ) -> Result<(), RunError> {
        let context = self.context;
        let tell = |event: RunEvent| context.watcher.tell(&event);
        let mut finder =
            choose_finder(context.target, &context.config.adopt.ladder, self.to_look_up, &tell).await?;
        let mut claims = AccountClaims::default();
        let mut done = 0u64;
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut rest = unlinked.iter()?.peekable();
        while let Some(candidate) = rest.next() {
            chunk.push(candidate?);
            if chunk.len() < CHUNK && rest.peek().is_some() {
                continue;
            }
            done += chunk.len() as u64;
            let ladder = &context.config.adopt.ladder;
            let concurrency = context.config.target.concurrency;
            let people = std::mem::take(&mut chunk);
            let found =
                climb_all(context.target, &mut finder, ladder, people, releasing, concurrency).await?;
            for looked in found {
                claims.push(self.matched(looked, prover).await?)?;
            }
            context.watcher.tell(&RunEvent::Looking { done, total: self.to_look_up });
        }
        let mut planner = self.planner(plan, intent, narrowing.as_deref_mut());
        claims.each(|candidate, link, hits| planner.take(candidate, link, hits))?;
        Ok(())
    }

    /// What the ladder found for one person, with whose it is.
    async fn matched(
        &self,
        (candidate, found): (Candidate, LookupResult),
        prover: &Prover<'_>,
    ) -> Result<MatchedPerson, RunError> {
        let link = if candidate.linked { self.context.link(&candidate.id).await? } else { None };
        let found = match found {
            Ok(found) => found,
            Err(why) => {
                return Ok(MatchedPerson { candidate, link, hits: Match::Unreadable(why), marked: None });
            }
        };
        if let Some(hits) = self.taken_before(&candidate, &found) {
            return Ok(MatchedPerson { candidate, link, hits, marked: None });
        }
        let (mut owners, mut marked) = (HashMap::new(), None);
        if let Some((_, accounts)) = &found
            && let [account] = accounts.as_slice()
        {
            let owner = owner_of(self.context, &candidate.id, account, &self.people.listed, prover).await?;
            if let (Owner::Marked(mark), true) =
                (&owner, self.context.config.adopt.ladder.contains(&MatchBy::ExternalId))
            {
                marked = Some((mark.clone(), account.clone()));
            }
            owners.insert(account.id.clone(), owner);
        }
        Ok(MatchedPerson { hits: judge_hits(found, &owners), candidate, link, marked })
    }

    /// A creation that was answered with somebody else's account is not sent again until the person's values, or that
    /// link, change.
    fn taken_before(&self, candidate: &Candidate, found: &Found) -> Option<Match> {
        let (account, desired) = self.taken.get(&candidate.id)?;
        let Standing::Qualifies(mapped) = &candidate.standing else { return None };
        (found.is_none() && *desired == Some(mapped.desired.digest)).then(|| {
            Match::LinkedElsewhere(format!(
                "the target answered the creation with account {account}, which belongs to somebody else"
            ))
        })
    }
}

/// Whether somebody belongs to the first part of a plan: an account that may have to go, or to be deleted.
fn leaves(candidate: &Candidate, link: Option<&Link>) -> bool {
    link.is_some()
        && match &candidate.standing {
            Standing::Leaver(_) | Standing::Suspended | Standing::OutOfScope | Standing::Unknown(_) => true,
            Standing::Qualifies(_) | Standing::Pending | Standing::HeldBack(_) => false,
        }
}

/// The cause that a look at somebody who is not listed showed.
fn cause_seen(candidate: &Candidate) -> Option<(SourceId, RemovalCause)> {
    match &candidate.standing {
        Standing::Leaver(_) | Standing::Suspended | Standing::OutOfScope => {
            Some((candidate.id.clone(), removal_cause(&candidate.standing)))
        }
        Standing::Qualifies(_) | Standing::Pending | Standing::HeldBack(_) | Standing::Unknown(_) => None,
    }
}

/// The plan of people who are kept and of whom a later look shows another cause than the one that was judged.
pub async fn plan_changed_causes<O: Observe>(
    context: &Context<'_, O>,
    changed: Vec<(Candidate, Link)>,
    rulings: &Rulings,
    now: Millis,
) -> Result<Plan, RunError> {
    let people = People {
        candidates: Spool::default(),
        unchanged: 0,
        listed: HashSet::new(),
        shared_logins: HashSet::new(),
        scope_names_nobody_has: Vec::new(),
        named: HashSet::new(),
    };
    let maker = PlanMaker {
        context,
        rulings,
        people,
        nobody_to_compare: false,
        now,
        owed: HashMap::new(),
        refused_removals: HashSet::new(),
        dated: HashMap::new(),
        taken: HashMap::new(),
        others: Spool::default(),
        to_look_up: 0,
        listed_names: Vec::new(),
    };
    let mut plan = Plan::default();
    let ledger = context.snapshot.ledger(context.sync_name(), now).await?;
    let mut intent = maker.intent(&ledger);
    for (candidate, link) in changed {
        plan.causes.extend(cause_seen(&candidate));
        plan.looks.push((candidate.id.clone(), candidate.observation));
        let mut planner = maker.planner(&mut plan, &mut intent, None);
        planner.take(&candidate, Some(&link), &Match::None)?;
    }
    plan.judgement = judge_removals(&intent, &ledger, &context.config.guard);
    plan.writes = intent.total();
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
    let ledger = context.snapshot.ledger(context.sync_name(), now).await?;
    let mut intent =
        Intent { unattended: context.unattended, already_sent: ledger.people.clone(), ..Intent::default() };
    let (owed, refused_removals, dated) = (HashMap::new(), HashSet::new(), HashMap::new());
    let mut planner = Planner {
        context,
        owed: &owed,
        refused_removals: &refused_removals,
        dated: &dated,
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

fn shared_login(candidate: &Candidate) -> String {
    format!("another person maps to the userName {} too", candidate.user)
}

struct Planner<'a, 'c, O> {
    context: &'a Context<'c, O>,
    owed: &'a HashMap<SourceId, OwedChange>,
    refused_removals: &'a HashSet<SourceId>,
    dated: &'a HashMap<SourceId, Millis>,
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
        let waits = self.waits(candidate);
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
        self.plan
            .pin_causes
            .extend(self.rulings.cause_for_pin(candidate).map(|cause| (candidate.id.clone(), cause)));
        match plan(&person, &policy, self.now) {
            Decision::Unchanged { refresh } => {
                self.plan.unchanged += 1;
                self.plan.refresh.extend(refresh.map(|digest| (candidate.id.clone(), digest)));
                Ok(())
            }
            Decision::Act(action) => {
                let action = self.rulings.apply(self.dated(*action), candidate, link);
                if self.narrowing.as_mut().is_some_and(|narrowing| !narrowing.admits(&action)) {
                    return Ok(());
                }
                self.file(action, link)
            }
        }
    }

    /// A person to whom something was sent in vain waits a growing number of runs, at most a day, and not at all where the
    /// values changed; a run of named people does not wait.
    fn waits(&self, candidate: &Candidate) -> Option<String> {
        let owed = self.owed.get(&candidate.id)?;
        let wanted = match &candidate.standing {
            Standing::Qualifies(mapped) => Some(mapped.desired.digest),
            Standing::Pending
            | Standing::Suspended
            | Standing::Leaver(_)
            | Standing::OutOfScope
            | Standing::HeldBack(_)
            | Standing::Unknown(_) => None,
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
    fn dated(&self, mut action: PlannedAction) -> PlannedAction {
        let is_dated = action.cause == Some(RemovalCause::DeleteAfter);
        let waited =
            self.dated.get(&action.source_id).is_some_and(|since| self.now.since(*since) >= DAY_MILLIS);
        if is_dated && !waited && action.disposition == Disposition::Send {
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
        let refused_before = self.refused_removals.contains(&action.source_id);
        let stage = match action.verb {
            Verb::Deactivate | Verb::Delete if refused_before => &mut self.plan.refused_removals,
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
}

/// The login that an action gives.
fn login_to_be(action: &PlannedAction) -> String {
    let change = action.changes.iter().find(|change| change.path == AttributePath::user_name());
    let to = change.and_then(|change| change.to.as_ref());
    to.map(|to| to.as_text().into_owned()).unwrap_or_default()
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

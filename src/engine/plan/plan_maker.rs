//! The plan of a pass in two parts: whom it is made for, who leaves, who is looked for at the target. What becomes of one
//! person is decided by the planner beside it.

use std::collections::{HashMap, HashSet};

use crate::config::MatchBy;
use crate::core::eligibility::Eligibility;
use crate::core::guard::{Intent, Ledger, judge, judge_others, judge_removals};
use crate::core::planner::Match;
use crate::core::removal_cause::removal_cause;
use crate::engine::context::RunContext;
use crate::engine::error::RunError;
use crate::engine::gather::account_owner::{AccountOwner, owner_of};
use crate::engine::gather::login_holder::linked_holders;
use crate::engine::gather::lookup::{
    AccountLookup, FoundAccount, Listing, LookupResult, choose_finder, climb, climb_all, judge_hits,
};
use crate::engine::gather::read_set::Candidate;
use crate::engine::gather::read_set::ReadSet;
use crate::engine::gather::uncertain_access::UncertainAccess;
use crate::engine::gather::unlisted_people::{Looked, Question, Unlisted};
use crate::engine::plan::Plan;
use crate::engine::plan::account_claims::{AccountClaims, MatchedPerson};
use crate::engine::plan::build::Planner;
use crate::engine::plan::decisions::Decisions;
use crate::engine::plan::saved_plan::SavedPlanMatcher;
use crate::engine::plan::seats::{hold_for_seats, seats_of_changes};
use crate::engine::prove::Prover;
use crate::model::account::Account;
use crate::model::digest::Digest;
use crate::model::folding::fold_address;
use crate::model::id::{SourceId, TargetId};
use crate::model::link::Link;
use crate::model::order::Observation;
use crate::model::owed::OwedChange;
use crate::model::plan::{Disposition, PlannedAction, RemovalCause};
use crate::model::run_event::RunEvent;
use crate::model::time::Millis;
use crate::scim::target::{Criterion, Observe, TargetError};
use crate::spool::Spool;

/// People looked up or planned at a time: bounds memory, not correctness.
const CHUNK: usize = 512;

/// What the report says where nothing makes up for it.
const FILTER_TELLS_CASE_APART: &str = "the workspace's filter tells upper from lower case, and its accounts cannot be \
     listed: an account whose login differs in case only is not found before somebody is created";

/// Makes the plan of a pass in two parts: who leaves first, and everybody else after that. The second part looks at the
/// target, and nothing that goes wrong there may keep a leaver in.
pub struct PlanMaker<'a, 'c, O> {
    context: &'a RunContext<'c, O>,
    decisions: &'a Decisions,
    read_set: ReadSet,
    nobody_to_compare: bool,
    now: Millis,
    owed: HashMap<SourceId, OwedChange>,
    uncertain: UncertainAccess,
    complete_read: Option<Observation>,
    /// Removals that the target refused before, with the tries so far.
    refused_removals: HashMap<SourceId, u32>,
    /// Deletions of accounts whose access is taken already, as an earlier run left them.
    owed_deletions: HashMap<SourceId, OwedChange>,
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
        context: &'a RunContext<'c, O>,
        mut read_set: ReadSet,
        prover: &Prover<'_>,
        decisions: &'a Decisions,
        now: Millis,
    ) -> Result<PlanMaker<'a, 'c, O>, RunError> {
        let mut owed = HashMap::new();
        let (mut refused_removals, mut owed_deletions) = (HashMap::new(), HashMap::new());
        let changes = context.snapshot.owed(context.sync_name()).await?;
        let uncertain = UncertainAccess::of(&changes);
        for change in changes {
            if change.is_deletion_alone() {
                owed_deletions.insert(change.source_id.clone(), change);
            } else if !change.is_removal() {
                owed.insert(change.source_id.clone(), change);
            } else if change.refusals > 0 {
                refused_removals.insert(change.source_id, change.attempts);
            }
        }
        let listed_names = std::mem::take(&mut read_set.scope_names_nobody_has);
        Ok(PlanMaker {
            context,
            decisions,
            read_set,
            nobody_to_compare: prover.has_nobody_to_ask(),
            now,
            owed,
            uncertain,
            complete_read: prover.complete_read(),
            refused_removals,
            owed_deletions,
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
            holds: self.decisions.holds_asked(),
            already_sent: ledger.people.clone(),
            ..Intent::default()
        }
    }

    fn planner<'p>(
        &'p self,
        plan: &'p mut Plan,
        intent: &'p mut Intent,
        matcher: Option<&'p mut SavedPlanMatcher>,
    ) -> Planner<'p, 'c, O> {
        Planner {
            context: self.context,
            owed: &self.owed,
            uncertain: &self.uncertain,
            refused_removals: &self.refused_removals,
            owed_deletions: &self.owed_deletions,
            decisions: self.decisions,
            matcher,
            now: self.now,
            plan,
            intent,
            renames: Vec::new(),
            login_holder: None,
        }
    }

    /// The plan of those who leave, judged. Nobody is looked up at the target for it.
    pub async fn leavers(&mut self, mut matcher: Option<&mut SavedPlanMatcher>) -> Result<Plan, RunError> {
        let mut plan = Plan { unchanged: self.read_set.unchanged, ..Plan::default() };
        let ledger = self.context.snapshot.ledger(self.context.sync_name(), self.now).await?;
        let mut intent = self.intent(&ledger);
        let mut candidates = std::mem::take(&mut self.read_set.candidates);
        let mut unlisted = Unlisted::default();
        let mut uncertain = HashSet::new();
        for candidate in candidates.iter()? {
            let candidate = candidate?;
            let link = if candidate.linked { self.context.link(&candidate.id).await? } else { None };
            let link = link.map(|link| self.uncertain.at_worst(link));
            if self.uncertain.ids().any(|id| *id == candidate.id) {
                uncertain.insert(candidate.id.clone());
            }
            if !leaves(&candidate, link.as_ref()) || self.read_set.shared_logins.contains(&candidate.id) {
                let qualifies = matches!(candidate.eligibility, Eligibility::Qualifies(_));
                let shares = self.read_set.shared_logins.contains(&candidate.id);
                let free = link.as_ref().is_none_or(|link| link.state.is_gone());
                let untold = self.read_set.untold_logins.contains_key(&candidate.id);
                self.to_look_up += u64::from(qualifies && free && !shares && !untold);
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
                    let mut planner = self.planner(&mut plan, &mut intent, matcher.as_deref_mut());
                    planner.take(&candidate, link.as_ref(), &Match::None)?;
                }
            }
        }
        if let Some(read) = self.complete_read {
            for candidate in self.uncertain.unlisted(&uncertain, read) {
                self.planner(&mut plan, &mut intent, matcher.as_deref_mut()).take(
                    &candidate,
                    None,
                    &Match::None,
                )?;
            }
        }
        let Looked { seen, unseen } = unlisted.look(self.context).await?;
        for (candidate, link) in seen {
            plan.causes.extend(cause_seen(&candidate));
            plan.looks.push((candidate.id.clone(), candidate.observation));
            let mut planner = self.planner(&mut plan, &mut intent, matcher.as_deref_mut());
            planner.take(&candidate, Some(&link), &Match::None)?;
        }
        // Who was not looked at counts as unassigned.
        for (candidate, link) in unseen {
            let mut planner = self.planner(&mut plan, &mut intent, matcher.as_deref_mut());
            planner.take(&candidate, Some(&link), &Match::None)?;
        }
        self.put_in_turn(&mut plan.refused_removals)?;
        // Somebody who turned out to be assigned after all may be owed an update.
        let judge = if intent.plain > 0 { judge } else { judge_removals };
        plan.guard_report = judge(&intent, &ledger, &self.context.config.guard);
        Ok(plan)
    }

    /// Whoever was tried least often comes first, so that each of them gets a turn.
    fn put_in_turn(&self, refused: &mut Spool<PlannedAction>) -> Result<(), RunError> {
        let mut actions: Vec<PlannedAction> = refused.iter()?.collect::<Result<_, _>>()?;
        actions.sort_by_key(|action| self.refused_removals.get(&action.source_id).copied().unwrap_or(0));
        let mut in_turn = Spool::default();
        actions.iter().try_for_each(|action| in_turn.push(action).map(drop))?;
        *refused = in_turn;
        Ok(())
    }

    /// Whether record and assignment are asked for: of somebody whom a decision binds and whom the list leaves out, and
    /// of somebody with access whom nobody could judge.
    fn needs_whole_look(&self, candidate: &Candidate, link: &Link) -> bool {
        match &candidate.eligibility {
            Eligibility::Unknown(_) => link.state.may_give_access(),
            Eligibility::Leaver(RemovalCause::NotListed) => self.decisions.is_pinned(&candidate.id),
            Eligibility::Leaver(_)
            | Eligibility::Suspended
            | Eligibility::OutOfScope
            | Eligibility::Qualifies(_)
            | Eligibility::Pending
            | Eligibility::Blocked(_) => false,
        }
    }

    /// The plan of everybody else: whoever has no account is looked for at the target.
    pub async fn others(
        &mut self,
        mut matcher: Option<&mut SavedPlanMatcher>,
        prover: &Prover<'_>,
    ) -> Result<Plan, RunError> {
        let mut plan = Plan::default();
        let ledger = self.context.snapshot.ledger(self.context.sync_name(), self.now).await?;
        let mut intent = self.intent(&ledger);
        let mut others = std::mem::take(&mut self.others);
        let mut unlinked = Spool::<Candidate>::default();
        let releasing = {
            let mut planner = self.planner(&mut plan, &mut intent, matcher.as_deref_mut());
            for candidate in others.iter()? {
                let candidate = candidate?;
                let link = if candidate.linked { self.context.link(&candidate.id).await? } else { None };
                let qualifies = matches!(candidate.eligibility, Eligibility::Qualifies(_));
                if self.read_set.shared_logins.contains(&candidate.id) {
                    let hits = Match::Several(shared_login(&candidate));
                    planner.take(&candidate, link.as_ref(), &hits)?;
                } else if let Some(why) = self.read_set.untold_logins.get(&candidate.id) {
                    planner.take(&candidate, link.as_ref(), &Match::Unreadable(why.clone()))?;
                } else if qualifies && link.as_ref().is_none_or(|link| link.state.is_gone()) {
                    unlinked.push(&candidate)?;
                } else {
                    planner.take(&candidate, link.as_ref(), &Match::None)?;
                }
            }
            planner.settle_renames().await?
        };
        if self.to_look_up > 0 {
            self.look_up(&mut unlinked, &releasing, prover, &mut plan, &mut intent, matcher).await?;
        }
        if let Some(limit) = self.context.config.guard.max_seats {
            let link_counts = self.context.snapshot.link_counts(self.context.sync_name()).await?;
            let mut taken = link_counts.billable + billable(&mut plan.adoptions)?;
            for stage in [&mut plan.updates, &mut plan.reactivations] {
                taken = taken.saturating_add_signed(seats_of_changes(self.context.mapping, stage)?);
            }
            hold_for_seats(&mut plan.creations, taken, limit)?;
        }
        plan.guard_report = judge_others(&intent, &ledger, &self.context.config.guard);
        Ok(plan)
    }

    async fn look_up(
        &self,
        unlinked: &mut Spool<Candidate>,
        releasing: &HashSet<TargetId>,
        prover: &Prover<'_>,
        plan: &mut Plan,
        intent: &mut Intent,
        matcher: Option<&mut SavedPlanMatcher>,
    ) -> Result<(), RunError> {
        let context = self.context;
        let tell = |event: RunEvent| context.watcher.tell(&event);
        let mut lookup =
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
                climb_all(context.target, &mut lookup, ladder, people, releasing, concurrency).await?;
            let found = self.beside_lookups(&mut lookup, found, releasing, plan).await?;
            for looked in found {
                claims.push(self.matched(looked, releasing, prover, plan).await?)?;
            }
            context.watcher.tell(&RunEvent::Looking { done, total: self.to_look_up });
        }
        let mut planner = self.planner(plan, intent, matcher);
        for person in claims.eligibility()?.iter()? {
            let MatchedPerson { candidate, link, hits, marked: _ } = person?;
            planner.login_holder =
                self.login_holder(&mut lookup, &candidate, &hits, releasing, planner.plan).await?;
            planner.take(&candidate, link.as_ref(), &hits)?;
        }
        Ok(())
    }

    /// The other account that has the login which this person's adoption would set, if there is one.
    async fn login_holder(
        &self,
        lookup: &mut AccountLookup,
        candidate: &Candidate,
        hits: &Match,
        releasing: &HashSet<TargetId>,
        plan: &mut Plan,
    ) -> Result<Option<TargetId>, RunError> {
        let (Some((account, by)), Eligibility::Qualifies(mapped)) = (hits.account(), &candidate.eligibility)
        else {
            return Ok(None);
        };
        let keeps = account.user_name().map(fold_address) == Some(fold_address(mapped.desired.user_name()));
        if keeps || by == MatchBy::Email {
            return Ok(None);
        }
        let ladder = [MatchBy::UserName];
        match climb(self.context.target, lookup, &ladder, &mapped.desired, releasing).await {
            Ok(found) => {
                let mut holders = found.into_iter().flat_map(|(_, accounts)| accounts);
                if let Some(holder) = holders.find(|holder| holder.id != account.id) {
                    return Ok(Some(holder.id));
                }
                let linked = linked_holders(self.context, &candidate.id, mapped.desired.user_name()).await?;
                plan.vanished.extend(linked.vanished);
                let holder = linked.account.map(|holder| holder.id);
                Ok(holder.filter(|id| *id != account.id && !releasing.contains(id)))
            }
            // The target's own answer decides then.
            Err(RunError::Target(TargetError::Unanswerable(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the ladder found for one person, with whose it is.
    async fn matched(
        &self,
        (candidate, found): (Candidate, LookupResult),
        releasing: &HashSet<TargetId>,
        prover: &Prover<'_>,
        plan: &mut Plan,
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
        if let Some(hits) = self.has_account_elsewhere(&candidate).await? {
            return Ok(MatchedPerson { candidate, link, hits, marked: None });
        }
        let found = match self.higher_rungs(&candidate, link.as_ref(), found, releasing, plan).await {
            Ok(found) => found,
            Err(RunError::Target(TargetError::Unanswerable(why))) => {
                return Ok(MatchedPerson { candidate, link, hits: Match::Unreadable(why), marked: None });
            }
            Err(error) => return Err(error),
        };
        let (mut owners, mut marked) = (HashMap::new(), None);
        if let Some((_, accounts)) = &found
            && let [account] = accounts.as_slice()
        {
            let owner = owner_of(self.context, &candidate.id, account, &self.read_set.living, prover).await?;
            if let (AccountOwner::Marked(mark), true) =
                (&owner, self.context.config.adopt.ladder.contains(&MatchBy::ExternalId))
            {
                marked = Some((mark.clone(), account.clone()));
            }
            owners.insert(account.id.clone(), owner);
        }
        Ok(MatchedPerson { hits: judge_hits(found, &owners), candidate, link, marked })
    }

    /// Another sync of the same source has given this person an account here. A lookup need not show it: the mark may not be
    /// searched, and the login may have changed at the source since.
    async fn has_account_elsewhere(&self, candidate: &Candidate) -> Result<Option<Match>, RunError> {
        let snapshot = self.context.snapshot;
        let linked = snapshot.linked_in_another_sync(self.context.sync_name(), &candidate.id).await?;
        Ok(linked.map(|(sync, account)| {
            Match::LinkedElsewhere(format!("account {account} of this person is managed by sync \"{sync}\""))
        }))
    }

    /// What the state knows of accounts that lookups do not show, on rungs above the one that found something.
    async fn higher_rungs(
        &self,
        candidate: &Candidate,
        link: Option<&Link>,
        found: FoundAccount,
        releasing: &HashSet<TargetId>,
        plan: &mut Plan,
    ) -> Result<FoundAccount, RunError> {
        let rung = found.as_ref().map(|(rung, _)| *rung);
        let Eligibility::Qualifies(mapped) = &candidate.eligibility else { return Ok(found) };
        let ladder = &self.context.config.adopt.ladder;
        if rung != Some(MatchBy::ExternalId)
            && !self.context.target.finds_external_id()
            && ladder.contains(&MatchBy::ExternalId)
            && let Some(marked) = self.remembered(candidate, mapped.desired.external_id(), link).await?
        {
            return Ok(Some((MatchBy::ExternalId, marked)));
        }
        let above_login = matches!(rung, Some(MatchBy::ExternalId | MatchBy::UserName));
        if above_login || !ladder.contains(&MatchBy::UserName) {
            return Ok(found);
        }
        let linked = linked_holders(self.context, &candidate.id, mapped.desired.user_name()).await?;
        plan.vanished.extend(linked.vanished);
        let holder = linked.account.filter(|account| !releasing.contains(&account.id));
        Ok(holder.map(|account| (MatchBy::UserName, vec![account])).or(found))
    }

    /// An account with this person's mark, where marks cannot be searched: one that waits for approval as theirs because an
    /// earlier run saw it on the way to somebody else, or one with the login that the account had which is gone.
    async fn remembered(
        &self,
        candidate: &Candidate,
        mark: &str,
        link: Option<&Link>,
    ) -> Result<Option<Vec<Account>>, RunError> {
        let context = self.context;
        let bears_it = |account: &Account| account.external_id() == Some(mark);
        let waiting = context.snapshot.account_that_waits_for(context.sync_name(), &candidate.id).await?;
        if let Some(id) = waiting
            && let Some(account) = context.target.get(&id, context.lane()).await?.filter(bears_it)
        {
            return Ok(Some(vec![account]));
        }
        let Some(gone) = link.filter(|link| link.state.is_gone()) else { return Ok(None) };
        let had = context.target.find(&Criterion::UserName(gone.user_name.clone())).await?;
        let marked: Vec<Account> = had.accounts.into_iter().filter(bears_it).collect();
        Ok((!marked.is_empty()).then_some(marked))
    }

    /// A filter may tell upper from lower case where a creation does not ask for it. Then a complete listing decides who has
    /// no account, beside the lookups and never instead of them.
    async fn beside_lookups(
        &self,
        lookup: &mut AccountLookup,
        found: Vec<(Candidate, LookupResult)>,
        releasing: &HashSet<TargetId>,
        plan: &mut Plan,
    ) -> Result<Vec<(Candidate, LookupResult)>, RunError> {
        let (context, ladder) = (self.context, &self.context.config.adopt.ladder);
        let is_absent = |(_, found): &(Candidate, LookupResult)| matches!(found, Ok(None));
        if !matches!(lookup, AccountLookup::Lookups) || !found.iter().any(is_absent) {
            return Ok(found);
        }
        let known = context.snapshot.some_active(context.sync_name(), 1).await?;
        let login = known.first().map(|link| link.user_name.as_str());
        if !context.target.tells_case_apart(login).await? {
            return Ok(found);
        }
        let tell = |event: RunEvent| context.watcher.tell(&event);
        let Some(listing) = Listing::whole(context.target, &tell).await? else {
            plan.notes.push(FILTER_TELLS_CASE_APART.to_owned());
            return Ok(found);
        };
        *lookup = AccountLookup::Listing(Box::new(listing.beside_lookups()));
        let (absent, mut all): (Vec<_>, Vec<_>) = found.into_iter().partition(is_absent);
        let absent = absent.into_iter().map(|(candidate, _)| candidate).collect();
        all.extend(climb_all(context.target, lookup, ladder, absent, releasing, 1).await?);
        Ok(all)
    }

    /// A creation that was answered with somebody else's account is not sent again until the person's values, or that
    /// link, change.
    fn taken_before(&self, candidate: &Candidate, found: &FoundAccount) -> Option<Match> {
        let (account, desired) = self.taken.get(&candidate.id)?;
        let Eligibility::Qualifies(mapped) = &candidate.eligibility else { return None };
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
        && match &candidate.eligibility {
            Eligibility::Leaver(_)
            | Eligibility::Suspended
            | Eligibility::OutOfScope
            | Eligibility::Unknown(_) => true,
            Eligibility::Qualifies(_) | Eligibility::Pending | Eligibility::Blocked(_) => false,
        }
}

/// The cause that a look at somebody who is not listed showed.
fn cause_seen(candidate: &Candidate) -> Option<(SourceId, RemovalCause)> {
    match &candidate.eligibility {
        Eligibility::Leaver(_) | Eligibility::Suspended | Eligibility::OutOfScope => {
            Some((candidate.id.clone(), removal_cause(&candidate.eligibility)))
        }
        Eligibility::Qualifies(_)
        | Eligibility::Pending
        | Eligibility::Blocked(_)
        | Eligibility::Unknown(_) => None,
    }
}

/// The plan of people who are kept and of whom a later look shows another cause than the one that was judged.
pub async fn plan_changed_causes<O: Observe>(
    context: &RunContext<'_, O>,
    changed: Vec<(Candidate, Link)>,
    decisions: &Decisions,
    nobody_to_compare: bool,
    now: Millis,
) -> Result<Plan, RunError> {
    let maker = PlanMaker {
        context,
        decisions,
        read_set: ReadSet::default(),
        nobody_to_compare,
        now,
        owed: HashMap::new(),
        uncertain: UncertainAccess::default(),
        complete_read: None,
        refused_removals: HashMap::new(),
        owed_deletions: HashMap::new(),
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
    plan.guard_report = judge_removals(&intent, &ledger, &context.config.guard);
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

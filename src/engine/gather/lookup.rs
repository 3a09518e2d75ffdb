//! Looking at the target: as little as possible, and never a creation without it.
//!
//! People with a link need no look. For people without one there is a lookup each, or one complete listing where
//! that takes fewer requests. Every hit is verified by comparing it.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use futures_util::{StreamExt, TryStreamExt};

use crate::config::MatchBy;
use crate::core::planner::Match;
use crate::engine::error::RunError;
use crate::engine::gather::account_owner::AccountOwner;
use crate::engine::gather::read_set::Candidate;
use crate::model::account::Account;
use crate::model::folding::fold_address;
use crate::model::id::TargetId;
use crate::model::plan::DesiredAccount;
use crate::model::run_event::RunEvent;
use crate::scim::target::{Criterion, ListCursor, Observe, TargetError};
use crate::spool::{Spool, SpoolOffset};

/// Below this many people a listing is not even tried.
const LOOKUPS_WITHOUT_A_THOUGHT: u64 = 3;

/// Every account of the workspace, compactly.
#[derive(Debug, Default)]
pub struct Listing {
    accounts: Spool<serde_json::Map<String, serde_json::Value>>,
    /// Hashes of external ids and addresses, and where the account stands; sorted before it is searched. A hash
    /// only says where to look: every hit is compared.
    index: Vec<(u64, SpoolOffset)>,
    hasher: RandomState,
    /// The target told of more accounts than it showed: whom the listing lacks is asked for alone.
    is_short: bool,
    /// Lookups are asked as well: the listing is there for what their filter does not find.
    beside_lookups: bool,
}

/// How accounts are found in this run.
#[derive(Debug)]
pub enum AccountLookup {
    /// In a complete listing.
    Listing(Box<Listing>),
    /// One lookup each.
    Lookups,
}

/// Chooses the cheaper way for `people` without a link, and lists where that is it.
pub async fn choose_finder<O: Observe>(
    target: &O,
    ladder: &[MatchBy],
    people: u64,
    tell: &(dyn Fn(RunEvent) + Sync),
) -> Result<AccountLookup, RunError> {
    let rungs = ladder.iter().filter(|rung| is_searchable(target, **rung)).count() as u64;
    let lookups = people * rungs;
    if people <= LOOKUPS_WITHOUT_A_THOUGHT && target.lookups_are_cheap() {
        return Ok(AccountLookup::Lookups);
    }
    let mut listing = Listing::default();
    let mut cursor = ListCursor::default();
    let (mut pages, mut listed) = (0u64, 0u64);
    loop {
        let page = match target.list(&mut cursor).await {
            Ok(Some(page)) => page,
            Ok(None) => {
                listing.index.sort_unstable();
                listing.is_short = cursor.is_short();
                return Ok(AccountLookup::Listing(Box::new(listing)));
            }
            // A target that cannot list can still be asked one by one.
            Err(TargetError::Unanswerable(_)) => return Ok(AccountLookup::Lookups),
            Err(error) => return Err(error.into()),
        };
        pages += 1;
        listed += page.accounts.len() as u64;
        // At the first page the total tells what the rest would cost; later only the pages themselves count,
        // because totals lie.
        let left = match page.total {
            Some(total) if pages == 1 && listed > 0 => total.saturating_sub(listed).div_ceil(listed),
            Some(_) | None => 0,
        };
        if pages + left > lookups.max(1) && target.lookups_are_cheap() {
            return Ok(AccountLookup::Lookups);
        }
        tell(RunEvent::Looking { done: listed, total: page.total.unwrap_or(listed).max(listed) });
        for account in page.accounts {
            listing.add(account)?;
        }
    }
}

impl Listing {
    /// The whole workspace; `None` where it does not list its accounts.
    pub(crate) async fn whole<O: Observe>(
        target: &O,
        tell: &(dyn Fn(RunEvent) + Sync),
    ) -> Result<Option<Listing>, RunError> {
        let mut listing = Listing::default();
        let mut cursor = ListCursor::default();
        loop {
            let page = match target.list(&mut cursor).await {
                Ok(Some(page)) => page,
                Ok(None) => {
                    listing.index.sort_unstable();
                    listing.is_short = cursor.is_short();
                    return Ok(Some(listing));
                }
                Err(TargetError::Unanswerable(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            for account in page.accounts {
                listing.add(account)?;
            }
            let done = listing.accounts.len();
            tell(RunEvent::Looking { done, total: page.total.unwrap_or(done).max(done) });
        }
    }

    /// Whether the target told of more accounts than it showed.
    pub(crate) fn is_short(&self) -> bool {
        self.is_short
    }

    /// The same listing, for use beside lookups.
    pub(crate) fn beside_lookups(self) -> Listing {
        Listing { beside_lookups: true, ..self }
    }

    /// Accounts.
    pub(crate) fn len(&self) -> u64 {
        self.accounts.len()
    }

    /// Every account, in the order of the listing.
    pub(crate) fn each(&mut self) -> Result<impl Iterator<Item = std::io::Result<Account>>, RunError> {
        let accounts = self.accounts.iter()?;
        Ok(accounts.filter_map(|resource| resource.map(Account::from_resource).transpose()))
    }

    fn add(&mut self, account: Account) -> Result<(), RunError> {
        let mut keys: HashSet<u64> =
            account.emails().into_iter().map(|email| self.hasher.hash_one(fold_address(email))).collect();
        keys.extend(account.user_name().map(|name| self.hasher.hash_one(fold_address(name))));
        keys.extend(account.external_id().map(|id| self.hasher.hash_one(id)));
        let offset = self.accounts.push(&account.resource)?;
        self.index.extend(keys.into_iter().map(|key| (key, offset)));
        Ok(())
    }

    fn find(&mut self, criterion: &Criterion) -> Result<Vec<Account>, RunError> {
        let key = match criterion {
            Criterion::ExternalId(id) => self.hasher.hash_one(id.as_str()),
            Criterion::UserName(text) | Criterion::Email(text) => self.hasher.hash_one(fold_address(text)),
        };
        let start = self.index.partition_point(|(found, _)| *found < key);
        let mut hits = Vec::new();
        for (_, offset) in self.index[start..].iter().take_while(|(found, _)| *found == key) {
            let account = Account::from_resource(self.accounts.get(*offset)?);
            hits.extend(account.filter(|account| is_hit(account, criterion)));
        }
        Ok(hits)
    }
}

/// Whether an account is what was asked for: the comparison that every hit must pass.
fn is_hit(account: &Account, criterion: &Criterion) -> bool {
    match criterion {
        Criterion::ExternalId(id) => account.external_id() == Some(id),
        Criterion::UserName(name) => {
            account.user_name().is_some_and(|found| fold_address(found) == fold_address(name))
        }
        Criterion::Email(email) => {
            account.emails().iter().any(|found| fold_address(found) == fold_address(email))
        }
    }
}

/// Whether the target can be asked on this rung.
pub(crate) fn is_searchable<O: Observe>(target: &O, rung: MatchBy) -> bool {
    match rung {
        MatchBy::ExternalId => target.finds_external_id(),
        MatchBy::UserName | MatchBy::Email => true,
    }
}

/// What a rung asks for; `None` where the person has no such value.
pub(crate) fn criterion(rung: MatchBy, desired: &DesiredAccount) -> Option<Criterion> {
    match rung {
        MatchBy::ExternalId => Some(Criterion::ExternalId(desired.external_id().to_owned())),
        MatchBy::UserName => Some(Criterion::UserName(desired.user_name().to_owned())),
        MatchBy::Email => desired.email().map(|email| Criterion::Email(email.to_owned())),
    }
}

/// The accounts that the ladder finds for one person, from the first rung that finds any.
pub async fn climb<O: Observe>(
    target: &O,
    lookup: &mut AccountLookup,
    ladder: &[MatchBy],
    desired: &DesiredAccount,
    releasing: &HashSet<TargetId>,
) -> Result<Option<(MatchBy, Vec<Account>)>, RunError> {
    for rung in ladder {
        let Some(criterion) = criterion(*rung, desired) else { continue };
        let (listed, ask) = match lookup {
            AccountLookup::Listing(listing) => {
                (listing.find(&criterion)?, listing.is_short || listing.beside_lookups)
            }
            AccountLookup::Lookups => (Vec::new(), true),
        };
        let hits = if listed.is_empty() && ask && is_searchable(target, *rung) {
            target.find(&criterion).await?.accounts
        } else {
            listed
        };
        // An account that gives this very name up in the same plan is no match by name.
        let hits: Vec<Account> = hits
            .into_iter()
            .filter(|account| *rung == MatchBy::ExternalId || !releasing.contains(&account.id))
            .collect();
        if !hits.is_empty() {
            return Ok(Some((*rung, hits)));
        }
    }
    Ok(None)
}

/// Climbs for many people, a bounded number at a time, and gives each with what was found.
pub async fn climb_all<O: Observe>(
    target: &O,
    lookup: &mut AccountLookup,
    ladder: &[MatchBy],
    people: Vec<Candidate>,
    releasing: &HashSet<TargetId>,
    concurrency: usize,
) -> Result<Vec<(Candidate, LookupResult)>, RunError> {
    use crate::core::eligibility::Eligibility;
    let desired_of = |candidate: &Candidate| match &candidate.eligibility {
        Eligibility::Qualifies(mapped) => Some(mapped.desired.clone()),
        Eligibility::Pending
        | Eligibility::Suspended
        | Eligibility::Leaver(_)
        | Eligibility::OutOfScope
        | Eligibility::Blocked(_)
        | Eligibility::Unknown(_) => None,
    };
    if let AccountLookup::Listing(_) = lookup {
        let mut results = Vec::with_capacity(people.len());
        for candidate in people {
            let found = match desired_of(&candidate) {
                Some(desired) => of_one_person(climb(target, lookup, ladder, &desired, releasing).await)?,
                None => Ok(None),
            };
            results.push((candidate, found));
        }
        return Ok(results);
    }
    let asked = people.into_iter().map(|candidate| {
        let desired = desired_of(&candidate);
        async move {
            let found = match desired {
                Some(desired) => {
                    let found = climb(target, &mut AccountLookup::Lookups, ladder, &desired, releasing).await;
                    of_one_person(found)?
                }
                None => Ok(None),
            };
            Ok((candidate, found))
        }
    });
    // In the order of asking, whoever is answered first: the same plan reads the same twice.
    futures_util::stream::iter(asked).buffered(concurrency.max(1)).try_collect().await
}

/// After "exists already": once more by lookups and, where they find nobody, by comparing everybody. Some servers
/// tell cases apart in a filter and not in a create.
pub async fn climb_after_conflict<O: Observe>(
    target: &O,
    ladder: &[MatchBy],
    desired: &DesiredAccount,
) -> Result<FoundAccount, RunError> {
    let found = climb(target, &mut AccountLookup::Lookups, ladder, desired, &HashSet::new()).await?;
    if found.is_some() || !ladder.contains(&MatchBy::UserName) {
        return Ok(found);
    }
    let criterion = Criterion::UserName(desired.user_name().to_owned());
    match target.find_by_listing(&criterion).await {
        Ok(lookup) if lookup.accounts.is_empty() => Ok(None),
        Ok(lookup) => Ok(Some((MatchBy::UserName, lookup.accounts))),
        Err(TargetError::Unanswerable(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A question about one person that the target does not answer is that person's; anything else is the run's.
fn of_one_person(found: Result<FoundAccount, RunError>) -> Result<LookupResult, RunError> {
    match found {
        Ok(found) => Ok(Ok(found)),
        Err(RunError::Target(TargetError::Unanswerable(why))) => Ok(Err(why)),
        Err(error) => Err(error),
    }
}

/// What the ladder found for one person, or why the target does not tell.
pub type LookupResult = Result<FoundAccount, String>;

/// What the ladder found: the rung and the accounts.
pub type FoundAccount = Option<(MatchBy, Vec<Account>)>;

/// Turns raw hits into what the planner decides on.
pub fn judge_hits(found: FoundAccount, owner_of: &HashMap<TargetId, AccountOwner>) -> Match {
    let Some((by, mut accounts)) = found else { return Match::None };
    if accounts.len() > 1 {
        let names: Vec<String> = accounts
            .iter()
            .take(5)
            .map(|account| format!("{} ({})", account.id, account.user_name().unwrap_or("no userName")))
            .collect();
        return Match::Several(format!("{} accounts match: {}", accounts.len(), names.join(", ")));
    }
    let Some(account) = accounts.pop() else { return Match::None };
    match owner_of.get(&account.id).cloned().unwrap_or(AccountOwner::Nobody) {
        AccountOwner::Nobody | AccountOwner::Same => Match::One { account, by },
        AccountOwner::Living(who) => {
            Match::LinkedElsewhere(format!("account {} belongs to {who}", account.id))
        }
        AccountOwner::OtherSync(sync) => {
            Match::LinkedElsewhere(format!("account {} is managed by sync \"{sync}\"", account.id))
        }
        AccountOwner::Marked(mark) => Match::LinkedElsewhere(format!(
            "account {} bears the mark of {mark}, who exists at the source",
            account.id
        )),
        AccountOwner::Untold(mark, why) => Match::LinkedElsewhere(format!(
            "account {} bears the mark of {mark}, about whom the source does not tell now: {why}",
            account.id
        )),
        AccountOwner::ProvenGone(predecessor, tie) => Match::LinkedToGone { account, by, predecessor, tie },
        AccountOwner::UnknownMark(mark) => Match::UnknownMark { account, by, mark },
    }
}

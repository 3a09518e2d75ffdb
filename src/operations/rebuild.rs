//! Rebuild: links that were lost are found again in the workspace by the matching ladder, without a write there.
//!
//! What lives here: reading both sides completely and pairing them. What must not: how what was found is shown and
//! confirmed (`app`), what a link remembers (`core`).
//!
//! *Invariant*: nothing here can write at the target, and a read of either side that is not complete gives no links.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::config::{self, MatchBy};
use crate::core::eligibility::{Eligibility, ScopeNames, eligibility};
use crate::core::lifecycle::lifecycle;
use crate::core::mapping::{Mapped, Mapping};
use crate::core::recovered::{Found, recovered_link};
use crate::engine::binding::{binding_of, check_binding};
use crate::engine::context::target_url;
use crate::engine::error::RunError;
use crate::engine::gather::lookup::{AccountLookup, Listing, climb};
use crate::model::account::Account;
use crate::model::attributes::{AttributePath, Attributes, Scalar};
use crate::model::digest::Digest;
use crate::model::handover::{FoundBy, Left, Proposal, RebuildFacts};
use crate::model::id::{SourceId, TargetId, Vendor};
use crate::model::identity::Identity;
use crate::model::link::{Link, LinkState};
use crate::model::order::Observation;
use crate::model::plan::DesiredAccount;
use crate::model::report::Mode;
use crate::model::run_event::{RunEvent, RunWatcher};
use crate::scim::target::Observe;
use crate::source::Source;
use crate::spool::Spool;
use crate::store::{Restored, Snapshot, Store};

mod unlisted_accounts;

/// Links stored in one transaction.
const CHUNK: usize = 512;

/// Which account belongs to whom already: the sync and the person.
pub type Taken = HashMap<TargetId, (String, SourceId)>;

/// What a rebuild works with.
pub struct RebuildRequest<'a, O> {
    /// The sync.
    pub config: &'a config::Sync,
    /// The compiled mapping.
    pub mapping: &'a Mapping,
    /// The identity provider.
    pub source: &'a Source,
    /// The workspace, for reading.
    pub target: &'a O,
    /// The state, for reading.
    pub snapshot: &'a Snapshot,
    /// Vendors of other syncs into this workspace: what bears their mark is theirs.
    pub others: Vec<Vendor>,
    /// Who is told how it goes on.
    pub watcher: &'a dyn RunWatcher,
}

/// What was found.
#[derive(Debug)]
pub struct Rebuild {
    /// Everything but the lists.
    pub facts: RebuildFacts,
    /// Links to be stored.
    pub links: Spool<Proposal>,
    /// People and accounts that are left as they are.
    pub left: Spool<Left>,
}

/// A person and the one account that the ladder found.
#[derive(Debug, Serialize, Deserialize)]
struct Claim {
    id: SourceId,
    user: String,
    mapped: Option<Mapped>,
    by: FoundBy,
    account: serde_json::Map<String, serde_json::Value>,
    observation: Observation,
}

/// Who lays claim to one account.
#[derive(Debug, Default)]
struct Claimants {
    marked: Option<SourceId>,
    by_name: u32,
}

/// What becomes of a claim.
enum Decision {
    Kept,
    Link {
        instead_of: Option<TargetId>,
    },
    Left(String),
    /// The account bears the mark of somebody who is not listed, and that person is to be asked for first.
    Contested,
}

/// Pairs people and accounts; stores nothing. `None` where the workspace does not list its accounts. `taken` says
/// what belongs to whom already, and learns what is found.
pub async fn plan_rebuild<O: Observe>(
    request: &RebuildRequest<'_, O>,
    taken: &mut Taken,
) -> Result<Option<Rebuild>, RunError> {
    let binding = binding_of(request.source, request.config);
    check_binding(request.snapshot, &request.config.name, &binding).await?;
    let tell = |event: RunEvent| request.watcher.tell(&event);
    let Some(listing) = Listing::whole(request.target, &tell).await? else { return Ok(None) };
    let mut work = Work::begin(request, listing, taken)?;
    work.read_source().await?;
    work.settle_claims()?;
    work.settle_strangers().await?;
    let mut rebuild = work.end();
    for proposal in rebuild.links.iter()? {
        let link = proposal?.link;
        taken.insert(link.target_id, (request.config.name.clone(), link.source_id));
    }
    Ok(Some(rebuild))
}

/// Which accounts of a sync's workspace belong to whom, by the state.
pub async fn taken(snapshot: &Snapshot, config: &config::Sync) -> Result<Taken, RunError> {
    let pairs = snapshot.pairs(&target_url(&config.target)).await?;
    Ok(pairs.into_iter().map(|pair| (pair.target_id, (pair.sync, pair.source_id))).collect())
}

/// Stores what was found. Whoever was linked meanwhile is left out.
pub async fn store_rebuild(
    store: &Store,
    config: &config::Sync,
    source: &Source,
    rebuild: &mut Rebuild,
) -> Result<Restored, RunError> {
    let tenure = store.tenure(&config.name).await?;
    let binding = binding_of(source, config);
    check_binding(store.snapshot(), &config.name, &binding).await?;
    store.bind(&tenure, binding).await?;
    let mut restored = Restored::default();
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut links = rebuild.links.iter()?.peekable();
    while let Some(proposal) = links.next() {
        let Proposal { link, instead_of, .. } = proposal?;
        chunk.push((link, instead_of));
        if chunk.len() == CHUNK || links.peek().is_none() {
            let Restored { stored, taken } = store.restore_links(&tenure, std::mem::take(&mut chunk)).await?;
            restored.stored += stored;
            restored.taken += taken;
        }
    }
    Ok(restored)
}

struct Work<'a, 'r, O> {
    request: &'a RebuildRequest<'r, O>,
    lookup: AccountLookup,
    /// When the workspace was listed.
    listed_at: Observation,
    ladder: Vec<MatchBy>,
    /// Accounts that belong to somebody already.
    taken: &'a Taken,
    /// This sync's links.
    own: HashMap<SourceId, TargetId>,
    /// Accounts in the listing that this sync's links lead to, without a contradiction.
    confirmed: HashSet<TargetId>,
    people: HashSet<SourceId>,
    claims: Spool<Claim>,
    claimants: HashMap<TargetId, Claimants>,
    contested: HashMap<TargetId, Left>,
    replaced: u64,
    out: Rebuild,
}

impl<'a, 'r, O: Observe> Work<'a, 'r, O> {
    fn begin(
        request: &'a RebuildRequest<'r, O>,
        mut listing: Listing,
        taken: &'a Taken,
    ) -> Result<Self, RunError> {
        let sync = &request.config.name;
        let own: HashMap<SourceId, TargetId> = taken
            .iter()
            .filter(|(_, (owner, _))| owner == sync)
            .map(|(account, (_, id))| (id.clone(), account.clone()))
            .collect();
        let mut notes = Vec::new();
        if listing.is_short() {
            notes.push(
                "the workspace counts more accounts than it lists; whoever is not found here is looked up by the next \
                 run"
                    .to_owned(),
            );
        }
        let accounts = listing.len();
        let mut confirmed = HashSet::new();
        for account in listing.each()? {
            let account = account?;
            let Some((_, owner)) = taken.get(&account.id).filter(|(owner, _)| owner == sync) else {
                continue;
            };
            let mark = mark_of(request.source.vendor(), &account);
            if mark.is_none_or(|marked| marked == *owner) {
                confirmed.insert(account.id);
            }
        }
        let rest = request.config.adopt.ladder.iter().copied().filter(|rung| *rung != MatchBy::ExternalId);
        let facts = RebuildFacts {
            sync: sync.clone(),
            mode: Mode::DryRun,
            people: 0,
            accounts,
            linked: 0,
            kept: 0,
            without_account: 0,
            unmanaged: 0,
            notes,
        };
        Ok(Work {
            request,
            lookup: AccountLookup::Listing(Box::new(listing)),
            listed_at: Observation::now(),
            ladder: std::iter::once(MatchBy::ExternalId).chain(rest).collect(),
            taken,
            own,
            confirmed,
            people: HashSet::new(),
            claims: Spool::default(),
            claimants: HashMap::new(),
            contested: HashMap::new(),
            replaced: 0,
            out: Rebuild { facts, links: Spool::default(), left: Spool::default() },
        })
    }

    /// Reads everybody, complete or nothing, and climbs the ladder for each.
    async fn read_source(&mut self) -> Result<(), RunError> {
        let expected = self.request.snapshot.people_last_read(&self.request.config.name).await?;
        let mut reader = self.request.source.open().await?;
        let mut pages = 0;
        while let Some(page) = reader.next().await? {
            pages += 1;
            for identity in &page.identities {
                self.take(identity).await?;
            }
            let people = self.people.len() as u64;
            self.request.watcher.tell(&RunEvent::PageRead { pages, people, expected });
        }
        let read = reader.finish()?;
        self.request.watcher.tell(&RunEvent::ReadComplete { people: read.users() });
        self.out.facts.people = read.users();
        Ok(())
    }

    async fn take(&mut self, identity: &Identity) -> Result<(), RunError> {
        self.people.insert(identity.id.clone());
        let mapping = self.request.mapping;
        let mapped = qualifies(identity, mapping, self.request.config);
        let nobody = HashSet::new();
        let found = match &mapped {
            Some(mapped) => {
                climb(self.request.target, &mut self.lookup, &self.ladder, &mapped.desired, &nobody).await?
            }
            // Whoever does not qualify is told by our mark alone: an account of the same name may never have been ours.
            None => {
                let marked = only_marked(self.request.source.vendor(), &identity.id);
                let rung = [MatchBy::ExternalId];
                climb(self.request.target, &mut self.lookup, &rung, &marked, &nobody).await?
            }
        };
        let user = match (&mapped, &identity.profile.user_name, &identity.profile.email) {
            (Some(mapped), _, _) => mapped.desired.user_name().to_owned(),
            (None, Some(name), _) | (None, None, Some(name)) => name.clone(),
            (None, None, None) => identity.id.to_string(),
        };
        let Some((by, mut accounts)) = found else {
            if mapped.is_none() {
                return self.tell_of_a_namesake(identity, user).await;
            }
            self.out.facts.without_account += u64::from(!self.own.contains_key(&identity.id));
            return Ok(());
        };
        let several = accounts.len();
        // Whoever is told of here is nobody's stranger.
        for account in &accounts {
            self.claimants.entry(account.id.clone()).or_default();
        }
        let (Some(account), 1) = (accounts.pop(), several) else {
            let reason = format!("{several} accounts match by {}", found_by(by).as_str());
            return self.leave(user, Some(&identity.id), None, reason);
        };
        let claimants = self.claimants.entry(account.id.clone()).or_default();
        match by {
            MatchBy::ExternalId => claimants.marked = Some(identity.id.clone()),
            MatchBy::UserName | MatchBy::Email => claimants.by_name += 1,
        }
        self.claims.push(&Claim {
            id: identity.id.clone(),
            user,
            mapped,
            by: found_by(by),
            account: account.resource,
            observation: identity.observation,
        })?;
        Ok(())
    }

    /// Somebody who should have no access, and an account with that login that does not bear the mark.
    async fn tell_of_a_namesake(&mut self, identity: &Identity, user: String) -> Result<(), RunError> {
        let mapping = self.request.mapping;
        let eligibility = stands(identity, mapping, self.request.config);
        if !matches!(eligibility, Eligibility::Suspended | Eligibility::Leaver(_))
            || self.own.contains_key(&identity.id)
        {
            return Ok(());
        }
        let word = lifecycle(&identity.status, true).as_str();
        let Ok(names) = mapping.names(identity, word) else { return Ok(()) };
        let Ok(mapped) = mapping.map(identity, names.as_ref()) else { return Ok(()) };
        let nobody = HashSet::new();
        let rung = [MatchBy::UserName];
        let found = climb(self.request.target, &mut self.lookup, &rung, &mapped.desired, &nobody).await?;
        for account in found.into_iter().flat_map(|(_, accounts)| accounts) {
            if account.active() != Some(false) && !self.taken.contains_key(&account.id) {
                self.claimants.entry(account.id.clone()).or_default();
                let reason =
                    format!("{word} at the source; the account has this login and not this person's mark");
                self.leave(user.clone(), Some(&identity.id), Some(&account.id), reason)?;
            }
        }
        Ok(())
    }

    fn settle_claims(&mut self) -> Result<(), RunError> {
        let mut claims = std::mem::take(&mut self.claims);
        for claim in claims.iter()? {
            let claim = claim?;
            let Some(account) = Account::from_resource(claim.account.clone()) else { continue };
            match self.decide(&claim, &account) {
                Decision::Kept => {}
                Decision::Left(reason) => {
                    self.leave(claim.user, Some(&claim.id), Some(&account.id), reason)?;
                }
                Decision::Contested => {
                    let left = Left {
                        user: claim.user,
                        source_id: Some(claim.id),
                        target_id: Some(account.id.clone()),
                        reason: String::new(),
                    };
                    self.contested.insert(account.id, left);
                }
                Decision::Link { instead_of } => {
                    let note = instead_of
                        .as_ref()
                        .map(|old| format!("instead of account {old}, which is not this person's"));
                    let link =
                        self.link(&claim.id, &account, claim.mapped.as_ref(), claim.by, claim.observation);
                    self.replaced += u64::from(instead_of.is_some());
                    self.propose(Proposal { link, by: claim.by, note, instead_of })?;
                }
            }
        }
        Ok(())
    }

    fn decide(&self, claim: &Claim, account: &Account) -> Decision {
        let taken = self.taken.get(&account.id);
        if let Some(linked) = self.own.get(&claim.id) {
            let marked = claim.by == FoundBy::ExternalId;
            return match linked {
                linked if *linked == account.id => Decision::Kept,
                linked if marked && taken.is_none() && !self.confirmed.contains(linked) => {
                    Decision::Link { instead_of: Some(linked.clone()) }
                }
                linked => Decision::Left(format!("linked to account {linked} already")),
            };
        }
        match taken {
            Some((sync, _)) if *sync != self.request.config.name => {
                return Decision::Left(format!("taken_elsewhere: the account is managed by sync \"{sync}\""));
            }
            Some((_, id)) => return Decision::Left(format!("the account is linked to {id} already")),
            None => {}
        }
        if claim.by == FoundBy::ExternalId {
            return Decision::Link { instead_of: None };
        }
        let claimants = self.claimants.get(&account.id);
        if let Some(id) = claimants.and_then(|claimants| claimants.marked.as_ref()) {
            return Decision::Left(format!("the account bears the mark of {id}"));
        }
        if let Some(several) = claimants.map(|claimants| claimants.by_name).filter(|several| *several > 1) {
            return Decision::Left(format!("{several} people match this account"));
        }
        let vendor = self.request.source.vendor();
        match mark_of(vendor, account).filter(|id| *id != claim.id) {
            Some(id) if self.people.contains(&id) => {
                return Decision::Left(format!("the account bears the mark of {id}"));
            }
            Some(_) => return Decision::Contested,
            None => {}
        }
        let others = self.request.others.iter().copied().filter(|other| *other != vendor);
        match others.filter_map(|other| Some((other, mark_of(other, account)?))).next() {
            Some((other, id)) => Decision::Left(format!(
                "taken_elsewhere: the account bears the mark of {id} at {}, which another sync reads",
                other.display_name()
            )),
            None => Decision::Link { instead_of: None },
        }
    }

    fn link(
        &self,
        id: &SourceId,
        account: &Account,
        mapped: Option<&Mapped>,
        by: FoundBy,
        seen: Observation,
    ) -> Link {
        let observation = seen.older(self.listed_at);
        let found = Found { id, account, mapped, by_email: by == FoundBy::Email, observation };
        recovered_link(&found, self.request.mapping, self.listed_at.at)
    }

    fn propose(&mut self, mut proposal: Proposal) -> Result<(), RunError> {
        if proposal.link.state == LinkState::Inactive && proposal.note.is_none() {
            proposal.note = Some("the account is inactive".to_owned());
        }
        self.out.facts.linked += 1;
        self.out.links.push(&proposal)?;
        Ok(())
    }

    fn leave(
        &mut self,
        user: String,
        source_id: Option<&SourceId>,
        target_id: Option<&TargetId>,
        reason: String,
    ) -> Result<(), RunError> {
        let (source_id, target_id) = (source_id.cloned(), target_id.cloned());
        self.out.left.push(&Left { user, source_id, target_id, reason })?;
        Ok(())
    }

    fn end(mut self) -> Rebuild {
        self.out.facts.kept = self.own.len() as u64 - self.replaced;
        self.out
    }
}

/// Where a person stands, as somebody who had an account.
fn stands(identity: &Identity, mapping: &Mapping, config: &config::Sync) -> Eligibility {
    eligibility(identity, true, mapping, &config.lifecycle, &mut ScopeNames::new(mapping))
}

fn qualifies(identity: &Identity, mapping: &Mapping, config: &config::Sync) -> Option<Mapped> {
    match stands(identity, mapping, config) {
        Eligibility::Qualifies(mapped) => Some(*mapped),
        Eligibility::Pending
        | Eligibility::Suspended
        | Eligibility::Leaver(_)
        | Eligibility::OutOfScope
        | Eligibility::Blocked(_)
        | Eligibility::Unknown(_) => None,
    }
}

/// The person whom an account is marked for.
fn mark_of(vendor: Vendor, account: &Account) -> Option<SourceId> {
    account.external_id().and_then(|mark| vendor.marked(mark))
}

/// An account of which only the mark is known.
fn only_marked(vendor: Vendor, id: &SourceId) -> DesiredAccount {
    let mark = Scalar::Text(vendor.external_id(id));
    let set = Attributes::from([(AttributePath::external_id(), mark)]);
    DesiredAccount { set, clear: Vec::new(), digest: Digest([0; 16]) }
}

pub(crate) fn found_by(rung: MatchBy) -> FoundBy {
    match rung {
        MatchBy::ExternalId => FoundBy::ExternalId,
        MatchBy::UserName => FoundBy::UserName,
        MatchBy::Email => FoundBy::Email,
    }
}

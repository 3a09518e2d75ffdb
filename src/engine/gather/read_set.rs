//! The read set: what a read showed, in compact form, and what of it needs a closer look.
//!
//! Per linked person it keeps a digest and a mark; only those who differ go to the spool, with the account to be.
//! *Invariant*: a [`ReadSet`] is complete only if it is made from a [`CompleteRead`].

use std::collections::{HashMap, HashSet};
use std::io;

use serde::{Deserialize, Serialize};

use crate::config::LifecyclePolicy;
use crate::core::eligibility::{Eligibility, ScopeNames, eligibility};
use crate::core::mapping::Mapping;
use crate::model::digest::{Digest, DigestKey};
use crate::model::folding::fold_address;
use crate::model::id::SourceId;
use crate::model::identity::Identity;
use crate::model::link::{LinkDigest, LinkState};
use crate::model::order::Observation;
use crate::model::plan::RemovalCause;
use crate::model::time::Millis;
use crate::source::CompleteRead;
use crate::spool::Spool;

/// People who may serve as a positive control.
const WITNESSES: usize = 3;

/// A person who needs a closer look.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Candidate {
    /// Who.
    pub id: SourceId,
    /// The best name the source gives.
    pub user: String,
    /// Where the person stands.
    pub eligibility: Eligibility,
    /// Whether there is a link.
    pub linked: bool,
    /// When the request that showed this was sent.
    pub observation: Observation,
    /// When the person was assigned.
    pub assigned_at: Option<Millis>,
    /// Names of `scope.filter` that the record of somebody out of scope lacks, where the person was read alone.
    #[serde(default)]
    pub lacks: Vec<String>,
}

#[derive(Debug)]
struct Slot {
    digest: Option<Digest>,
    state: LinkState,
    absent_since: Option<Millis>,
    cause: Option<RemovalCause>,
    name_key: u64,
    seen: bool,
    /// Shown, and the identity is at its end: a list may show whoever is disabled.
    ended: bool,
}

/// Collects what a read shows, page by page.
#[derive(Debug)]
pub struct ReadSetBuilder<'a> {
    mapping: &'a Mapping,
    policy: &'a LifecyclePolicy,
    key: DigestKey,
    pinned: HashSet<SourceId>,
    slots: HashMap<SourceId, Slot>,
    newcomers: Vec<(SourceId, u64)>,
    spool: Spool<Candidate>,
    scope_names: ScopeNames,
    witnesses: Vec<SourceId>,
    people: u64,
}

/// The people of a run, and what the proofs need to know of how they were read.
#[derive(Debug, Default)]
pub struct ReadSet {
    /// People who need a closer look, linked ones who are missing from a complete read included.
    pub candidates: Spool<Candidate>,
    /// People with nothing to do.
    pub unchanged: u64,
    /// Who is listed at the source, not disabled there, and has a link: these identities live, and nobody has to ask.
    pub living: HashSet<SourceId>,
    /// Who shares a login with somebody else.
    pub shared_logins: HashSet<SourceId>,
    /// Whose login the source cannot be asked for, and why: whether somebody shares it is not known.
    pub untold_logins: HashMap<SourceId, String>,
    /// Names of `scope.filter` that nobody had.
    pub scope_names_nobody_has: Vec<String>,
    /// Whom a run of named people is about.
    pub named: HashSet<SourceId>,
    /// People listed, active and assigned: the positive control asks for them.
    pub witnesses: Vec<SourceId>,
    /// When the complete read began; `None` for named people. Only a [`CompleteRead`] gives one.
    pub complete_read_at: Option<Observation>,
    /// Linked people whom this complete read missed and no earlier one had.
    pub newly_absent: Vec<SourceId>,
    /// Linked people whom an earlier read missed and this one shows.
    pub shown_again: Vec<SourceId>,
    /// People who were looked at one by one, and when.
    pub looks: Vec<(SourceId, Observation)>,
    /// People read.
    pub users: u64,
    /// Pages read.
    pub pages: u64,
}

impl<'a> ReadSetBuilder<'a> {
    /// Starts from the links as they stand. Whoever is pinned gets a closer look in any case: a pin ends with the
    /// first change at the source.
    pub fn new(
        mapping: &'a Mapping,
        policy: &'a LifecyclePolicy,
        key: DigestKey,
        links: Vec<LinkDigest>,
        pinned: HashSet<SourceId>,
    ) -> ReadSetBuilder<'a> {
        let slots = links
            .into_iter()
            .map(|link| {
                let LinkDigest { source_id, digest, state, absent_since, cause } = link;
                (
                    source_id,
                    Slot { digest, state, absent_since, cause, name_key: 0, seen: false, ended: false },
                )
            })
            .collect();
        ReadSetBuilder {
            mapping,
            policy,
            key,
            pinned,
            slots,
            newcomers: Vec::new(),
            spool: Spool::default(),
            scope_names: ScopeNames::new(mapping),
            witnesses: Vec::new(),
            people: 0,
        }
    }

    /// People so far.
    pub fn people(&self) -> u64 {
        self.people
    }

    /// Takes one person in.
    pub fn add(&mut self, identity: &Identity) -> io::Result<()> {
        self.people += 1;
        let slot = self.slots.get_mut(&identity.id);
        let linked = slot.is_some();
        let eligibility = eligibility(identity, linked, self.mapping, self.policy, &mut self.scope_names);
        let name_key = match &eligibility {
            Eligibility::Qualifies(mapped) => name_key(&self.key, mapped.desired.user_name()),
            Eligibility::Pending
            | Eligibility::Suspended
            | Eligibility::Leaver(_)
            | Eligibility::OutOfScope
            | Eligibility::Blocked(_)
            | Eligibility::Unknown(_) => 0,
        };
        if name_key != 0 && self.witnesses.len() < WITNESSES {
            self.witnesses.push(identity.id.clone());
        }
        let settled = match slot {
            Some(slot) => {
                slot.seen = true;
                slot.ended = has_ended(&eligibility);
                slot.name_key = name_key;
                is_settled(&eligibility, slot, self.policy) && !self.pinned.contains(&identity.id)
            }
            None => {
                if name_key != 0 {
                    self.newcomers.push((identity.id.clone(), name_key));
                }
                false
            }
        };
        if settled { Ok(()) } else { self.spool.push(&candidate(identity, eligibility, linked)).map(drop) }
    }

    /// Makes the read set. People with an active account whom the read missed join the candidates as leavers whose
    /// leaving is still to be proven.
    pub fn seal(mut self, read: CompleteRead) -> io::Result<ReadSet> {
        let shared = self.shared_name_keys();
        let began = read.started_at();
        let mut read_set = ReadSet {
            witnesses: std::mem::take(&mut self.witnesses),
            scope_names_nobody_has: self.scope_names.never_seen().to_vec(),
            complete_read_at: Some(began),
            users: read.users(),
            pages: read.pages(),
            ..ReadSet::default()
        };
        let mut unsettled = std::mem::take(&mut self.spool);
        let spooled: HashSet<SourceId> = if shared.is_empty() {
            HashSet::new()
        } else {
            unsettled.iter()?.map(|record| record.map(|candidate| candidate.id)).collect::<Result<_, _>>()?
        };
        let linked_spooled = unsettled.iter()?.filter(|r| r.as_ref().is_ok_and(|c| c.linked)).count() as u64;
        let mut seen = 0;
        let mut late = Vec::new();
        for (id, slot) in self.slots {
            if slot.seen {
                seen += 1;
                if slot.absent_since.is_some() {
                    read_set.shown_again.push(id.clone());
                }
                if slot.name_key != 0 && shared.contains(&slot.name_key) {
                    read_set.shared_logins.insert(id.clone());
                    if !spooled.contains(&id) {
                        late.push(shares_a_login(&id, began));
                        seen -= 1;
                    }
                }
                if !slot.ended {
                    read_set.living.insert(id);
                }
                continue;
            }
            if slot.absent_since.is_none() {
                read_set.newly_absent.push(id.clone());
            }
            // Why somebody is not listed is what the last look showed; without one it is still to be asked.
            let left = Eligibility::Leaver(slot.cause.unwrap_or(RemovalCause::NotListed));
            if is_settled(&left, &slot, self.policy) && !self.pinned.contains(&id) {
                read_set.unchanged += 1;
            } else {
                late.push(missed(id, left, began));
            }
        }
        // The slots have no order, and the same plan should read the same twice.
        late.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
        late.iter().try_for_each(|candidate| unsettled.push(candidate).map(drop))?;
        read_set.unchanged += seen - linked_spooled;
        read_set
            .shared_logins
            .extend(self.newcomers.iter().filter(|(_, key)| shared.contains(key)).map(|(id, _)| id.clone()));
        read_set.candidates = unsettled;
        Ok(read_set)
    }

    /// Logins that two or more people map to.
    fn shared_name_keys(&self) -> HashSet<u64> {
        let mut keys: Vec<u64> = self
            .slots
            .values()
            .map(|slot| slot.name_key)
            .chain(self.newcomers.iter().map(|(_, key)| *key))
            .filter(|key| *key != 0)
            .collect();
        keys.sort_unstable();
        keys.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect()
    }
}

/// Whether this standing is the end of an identity.
fn has_ended(eligibility: &Eligibility) -> bool {
    match eligibility {
        Eligibility::Leaver(cause) => cause.bound_by_decision() == RemovalCause::Disabled,
        Eligibility::Qualifies(_)
        | Eligibility::Pending
        | Eligibility::Suspended
        | Eligibility::OutOfScope
        | Eligibility::Blocked(_)
        | Eligibility::Unknown(_) => false,
    }
}

/// Whether a linked person needs no closer look.
fn is_settled(eligibility: &Eligibility, slot: &Slot, policy: &LifecyclePolicy) -> bool {
    match eligibility {
        Eligibility::Qualifies(mapped) => {
            slot.state == LinkState::Active
                && slot.digest == Some(mapped.desired.digest)
                && mapped.user_type_problem.is_none()
        }
        Eligibility::Pending => true,
        Eligibility::Suspended | Eligibility::Leaver(_) | Eligibility::OutOfScope => match slot.state {
            LinkState::Active | LinkState::Vanished(_) => false,
            LinkState::Deactivated(_) => policy.delete_after.is_none(),
            LinkState::Inactive | LinkState::Gone(_) => true,
        },
        Eligibility::Blocked(_) | Eligibility::Unknown(_) => false,
    }
}

/// The candidate for a person as the source showed them.
pub fn candidate(identity: &Identity, eligibility: Eligibility, linked: bool) -> Candidate {
    let user = match &eligibility {
        Eligibility::Qualifies(mapped) => mapped.desired.user_name().to_owned(),
        Eligibility::Pending
        | Eligibility::Suspended
        | Eligibility::Leaver(_)
        | Eligibility::OutOfScope
        | Eligibility::Blocked(_)
        | Eligibility::Unknown(_) => identity
            .profile
            .user_name
            .clone()
            .or_else(|| identity.profile.email.clone())
            .unwrap_or_else(|| identity.id.to_string()),
    };
    Candidate {
        id: identity.id.clone(),
        user,
        eligibility,
        linked,
        observation: identity.observation,
        assigned_at: identity.assigned_at,
        lacks: Vec::new(),
    }
}

fn missed(id: SourceId, eligibility: Eligibility, observation: Observation) -> Candidate {
    Candidate {
        user: id.to_string(),
        id,
        eligibility,
        linked: true,
        observation,
        assigned_at: None,
        lacks: Vec::new(),
    }
}

fn shares_a_login(id: &SourceId, observation: Observation) -> Candidate {
    let eligibility = Eligibility::Blocked("another person maps to the same userName".to_owned());
    missed(id.clone(), eligibility, observation)
}

/// A login's key; never 0, which means "none".
fn name_key(key: &DigestKey, login: &str) -> u64 {
    let digest = key.digest([fold_address(login).as_bytes()]);
    let mut bytes = [0u8; 8];
    bytes.copy_from_slice(&digest.0[..8]);
    u64::from_le_bytes(bytes).max(1)
}

//! Comparing a complete listing of the workspace with the roster and the links, account by account.
//!
//! What lives here: who an account belongs to, and what is said of it. What must not: the comparison of values
//! (`core::drift`), repairs.

use std::collections::{HashMap, HashSet};

use crate::config::{Drift, DriftPolicy};
use crate::core::drift::{AccessDrift, MOST_REPAIRS, compare, compare_access, corrected, marked};
use crate::core::eligibility::Eligibility;
use crate::core::removal_cause::{removal_cause, removal_reason};
use crate::core::settlement::settle_state;
use crate::engine::context::RunContext;
use crate::engine::error::RunError;
use crate::engine::gather::read_set::Candidate;
use crate::engine::gather::read_set::ReadSet;
use crate::http::Lane;
use crate::model::account::Account;
use crate::model::attributes::{AttributePath, Scalar};
use crate::model::digest::{Digest, DigestKey};
use crate::model::drift::{
    AccountCounts, AttributeDrift, DriftCounts, DriftFinding, DriftedAttribute, FindingKind,
};
use crate::model::folding::fold_address;
use crate::model::id::{SourceId, TargetId, Vendor};
use crate::model::link::{Link, LinkState};
use crate::model::order::Observation;
use crate::model::plan::RemovalCause;
use crate::model::time::Millis;
use crate::operations::verify::owed::Owed;
use crate::operations::verify::spec::VerifySpec;
use crate::scim::target::Observe;
use crate::spool::{Spool, SpoolOffset};
use crate::store::RepairsByPath;

/// What a comparison found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The findings.
    pub findings: Spool<DriftFinding>,
    /// By kind.
    pub counts: DriftCounts,
    /// Accounts.
    pub accounts: AccountCounts,
    /// Drift that is not repaired.
    pub unrepaired: u64,
    /// People whose drift is repaired.
    pub to_repair: Spool<Candidate>,
    /// Their links as the accounts were seen.
    pub corrected: HashMap<SourceId, Link>,
    /// Links whose account is gone.
    pub gone: Vec<Link>,
    /// Attributes that are repaired, and the value they are repaired to.
    pub drifted: HashMap<SourceId, Vec<(AttributePath, Digest)>>,
    /// People read.
    pub users: u64,
    /// Pages read.
    pub pages: u64,
    /// Whether the source was read completely.
    pub source_complete: bool,
    /// Whether both sides were.
    pub complete: bool,
}

impl Found {
    /// Whose drift is repaired, in a lasting order.
    pub(super) fn to_repair_ids(&self) -> Vec<SourceId> {
        let mut ids: Vec<SourceId> = self.corrected.keys().cloned().collect();
        ids.sort();
        ids
    }
}

/// Compares page by page.
pub(super) struct Comparison<'a, 'c, O> {
    context: &'a RunContext<'c, O>,
    policies: &'a Drift,
    all: bool,
    /// Where everybody who is listed at the source and worth a look stands.
    roster: HashMap<SourceId, SpoolOffset>,
    people: Spool<Candidate>,
    read_at: Observation,
    repairs: RepairsByPath,
    /// What is owed to whom, and what it waits for.
    owed: Owed,
    /// When this began: whom another run acts on meanwhile is not judged.
    since: Millis,
    key: DigestKey,
    /// Marks and logins, and the first account that has them.
    names: HashMap<Digest, TargetId>,
    seen: HashSet<SourceId>,
    found: &'a mut Found,
}

/// What is to be said of one account, before it is known whether another run acted on the person meanwhile.
#[derive(Default)]
struct Judged {
    id: Option<SourceId>,
    findings: Vec<DriftFinding>,
    repair: Option<Repair>,
    gone: Option<Link>,
}

/// What of somebody's drift is repaired.
struct Repair {
    candidate: Candidate,
    /// The link as the account was seen.
    seen: Link,
    /// The attributes, and the values they are repaired to.
    wanted: Vec<(AttributePath, Digest)>,
}

impl<'a, 'c, O: Observe> Comparison<'a, 'c, O> {
    /// Prepares to compare with what `read_set` shows; takes its people.
    pub(super) async fn new(
        context: &'a RunContext<'c, O>,
        verification: &'a VerifySpec,
        since: Millis,
        read_set: &mut ReadSet,
        found: &'a mut Found,
    ) -> Result<Comparison<'a, 'c, O>, RunError> {
        let mut people = Spool::default();
        let mut roster = HashMap::new();
        for candidate in read_set.candidates.iter()? {
            let candidate = candidate?;
            roster.insert(candidate.id.clone(), people.push(&candidate)?);
        }
        Ok(Comparison {
            context,
            policies: &verification.policies,
            all: verification.all,
            roster,
            people,
            read_at: read_set.complete_read_at.unwrap_or(Observation::before_numbers(since)),
            owed: Owed::load(context).await?,
            repairs: context.snapshot.drift_repairs(context.sync_name(), since).await?,
            since,
            key: context.snapshot.digest_key(),
            names: HashMap::new(),
            seen: HashSet::new(),
            found,
        })
    }

    /// Compares the accounts of one page.
    pub(super) async fn take_page(&mut self, accounts: Vec<Account>) -> Result<(), RunError> {
        let mut judged = Vec::with_capacity(accounts.len());
        for account in accounts {
            judged.push(self.judge(account).await?);
        }
        self.file(judged).await
    }

    /// Looks for the links whose account was not listed. Not every target lists everybody to everybody, so each is
    /// asked for alone.
    pub(super) async fn finish(mut self) -> Result<(), RunError> {
        let mut unseen: Vec<SourceId> = Vec::new();
        for link in self.context.snapshot.link_digests(self.context.sync_name()).await? {
            if !self.seen.contains(&link.source_id) {
                unseen.push(link.source_id);
            }
        }
        unseen.sort();
        for id in unseen {
            if *self.context.interrupted.borrow() {
                return Err(RunError::Interrupted);
            }
            let Some(link) = self.context.link(&id).await? else { continue };
            let judged = match self.context.target.get(&link.target_id, Lane::General).await? {
                Some(account) => self.judge(account).await?,
                None => match link.state {
                    LinkState::Active | LinkState::Inactive => gone(link),
                    // Some targets hide whom they deactivated; and whoever comes back is looked at then.
                    LinkState::Deactivated(_) | LinkState::Vanished(_) | LinkState::Gone(_) => continue,
                },
            };
            self.file(vec![judged]).await?;
        }
        Ok(())
    }

    /// Takes in what was said, except of people on whom another run acted meanwhile.
    async fn file(&mut self, judged: Vec<Judged>) -> Result<(), RunError> {
        let acted_on = self.context.snapshot.acted_on_since(self.context.sync_name(), self.since).await?;
        for Judged { id, findings, repair, gone } in judged {
            if id.as_ref().is_some_and(|id| acted_on.contains(id)) {
                continue;
            }
            for finding in findings {
                self.found.counts.count(finding.finding);
                self.found.unrepaired += u64::from(finding.finding.is_drift() && !finding.repair);
                if self.all || finding.finding != FindingKind::Unmanaged {
                    self.found.findings.push(&finding)?;
                }
            }
            self.found.gone.extend(gone);
            if let Some(Repair { candidate, seen, wanted }) = repair {
                self.found.to_repair.push(&candidate)?;
                self.found.drifted.insert(seen.source_id.clone(), wanted);
                self.found.corrected.insert(seen.source_id.clone(), seen);
            }
        }
        Ok(())
    }

    async fn judge(&mut self, account: Account) -> Result<Judged, RunError> {
        self.found.accounts.listed += 1;
        let owner = self.context.snapshot.owner_of_account(&self.context.target_url, &account.id).await?;
        let duplicate = self.duplicate(&account);
        let mut judged = match owner {
            Some((sync, link)) if sync == self.context.sync_name() => {
                self.found.accounts.linked += 1;
                self.seen.insert(link.source_id.clone());
                self.linked(link, &account)?
            }
            Some(_) => {
                self.found.accounts.other_syncs += 1;
                Judged::default()
            }
            None => {
                self.found.accounts.unlinked += 1;
                self.unlinked(&account)?
            }
        };
        if let Some((other, what)) = duplicate {
            let reason = format!("has the same {what} as account {other}: one person, two accounts");
            let mut finding = finding(FindingKind::Duplicate, login(&account), reason);
            finding.source_id.clone_from(&judged.id);
            finding.target_id = Some(account.id.clone());
            finding.other_target_id = Some(other);
            judged.findings.push(finding);
        }
        Ok(judged)
    }

    /// The account that showed this one's mark or login before.
    fn duplicate(&mut self, account: &Account) -> Option<(TargetId, &'static str)> {
        let mark = account.external_id().filter(|mark| !mark.is_empty());
        let mark = mark.map(|mark| (self.key.digest([b"mark".as_slice(), mark.as_bytes()]), "externalId"));
        let name = account.user_name().filter(|name| !name.trim().is_empty());
        let name = name
            .map(|name| (self.key.digest([b"name".as_slice(), fold_address(name).as_bytes()]), "userName"));
        let mut first = None;
        for (key, what) in [mark, name].into_iter().flatten() {
            match self.names.get(&key) {
                Some(other) => first = first.or(Some((other.clone(), what))),
                None => {
                    self.names.insert(key, account.id.clone());
                }
            }
        }
        first
    }

    /// Where a linked person stands. Whoever the complete read does not show is not listed.
    fn standing_of(&mut self, link: &Link) -> Result<Candidate, RunError> {
        match self.roster.get(&link.source_id) {
            Some(offset) => Ok(self.people.get(*offset)?),
            None => Ok(Candidate {
                id: link.source_id.clone(),
                user: link.user_name.clone(),
                eligibility: Eligibility::Leaver(RemovalCause::NotListed),
                linked: true,
                observation: self.read_at,
                assigned_at: None,
                lacks: Vec::new(),
            }),
        }
    }

    fn linked(&mut self, link: Link, account: &Account) -> Result<Judged, RunError> {
        let candidate = self.standing_of(&link)?;
        let mut judged = Judged { id: Some(link.source_id.clone()), ..Judged::default() };
        let access = compare_access(
            &candidate.eligibility,
            link.state,
            account.active(),
            &self.context.config.lifecycle,
        );
        let differing = match &candidate.eligibility {
            Eligibility::Qualifies(mapped) => compare(&mapped.desired, &link, account, self.since),
            Eligibility::Pending
            | Eligibility::Suspended
            | Eligibility::Leaver(_)
            | Eligibility::OutOfScope
            | Eligibility::Blocked(_)
            | Eligibility::Unknown(_) => Vec::new(),
        };
        let (flapping, rest): (Vec<_>, Vec<_>) =
            differing.into_iter().partition(|attribute| self.flaps(&link.source_id, attribute));
        let (drifted, mut moved): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|attribute| attribute.state.is_drift());
        let repairs_attributes = self.policies.attributes == DriftPolicy::Repair && !drifted.is_empty();
        let (state, flaps) =
            self.access(access, &candidate, &link, account, &mut judged.findings, &mut moved);
        if !drifted.is_empty() {
            let reason = format!("{} changed at the target", names(&drifted));
            let mut found = about(FindingKind::Attributes, &link, account, reason, drifted.clone());
            found.repair = repairs_attributes;
            judged.findings.push(found);
        }
        let flapping: Vec<_> = flapping.into_iter().chain(flaps).collect();
        if !flapping.is_empty() {
            let reason = format!(
                "{} was repaired {MOST_REPAIRS} times and changed again: somebody else writes it, so it is left alone",
                names(&flapping)
            );
            judged.findings.push(about(FindingKind::Flapping, &link, account, reason, flapping));
        }
        if !moved.is_empty() {
            let reason = self.owed.moved(&link.source_id, &names(&moved));
            judged.findings.push(about(FindingKind::SourceChanged, &link, account, reason, moved));
        }
        if repairs_attributes || state.is_some() {
            let attributes = if repairs_attributes { drifted } else { Vec::new() };
            let mut wanted: Vec<(AttributePath, Digest)> =
                attributes.iter().map(|one| (one.path.clone(), self.digest(one.source.as_ref()))).collect();
            if state == Some(LinkState::Inactive) {
                wanted.push((AttributePath::active(), self.digest(Some(&Scalar::Flag(true)))));
            }
            let seen = corrected(&link, &attributes, state.unwrap_or(link.state));
            judged.repair = Some(Repair { candidate, seen, wanted });
        }
        Ok(judged)
    }

    /// Tells of somebody's access; gives the state to store where it is repaired, and what flaps.
    fn access(
        &self,
        access: AccessDrift,
        candidate: &Candidate,
        link: &Link,
        account: &Account,
        findings: &mut Vec<DriftFinding>,
        moved: &mut Vec<DriftedAttribute>,
    ) -> (Option<LinkState>, Option<DriftedAttribute>) {
        let wanted = matches!(candidate.eligibility, Eligibility::Qualifies(_));
        let active = DriftedAttribute {
            path: AttributePath::active(),
            state: AttributeDrift::TargetDrifted,
            source: Some(Scalar::Flag(wanted)),
            acknowledged: Some(Scalar::Flag(link.state == LinkState::Active)),
            target: account.active().map(Scalar::Flag),
        };
        match access {
            AccessDrift::Unchanged => (None, None),
            AccessDrift::SourceChanged => {
                moved.push(DriftedAttribute { state: AttributeDrift::SourceChanged, ..active });
                (None, None)
            }
            AccessDrift::LeaverActive => {
                let reason = format!(
                    "{}, and the account is active again{}",
                    removal_reason(removal_cause(&candidate.eligibility)),
                    self.owed.waits(&link.source_id)
                );
                let mut found = about(FindingKind::LeaverActive, link, account, reason, vec![active]);
                found.repair = self.policies.access == DriftPolicy::Repair;
                let state = found.repair.then_some(LinkState::Active);
                findings.push(found);
                (state, None)
            }
            AccessDrift::SwitchedOff if self.flaps(&link.source_id, &active) => (None, Some(active)),
            AccessDrift::SwitchedOff => {
                let reason = "active when rosterd last wrote it, and inactive now: somebody at the target switched \
                              the account off";
                let mut found =
                    about(FindingKind::SwitchedOff, link, account, reason.to_owned(), vec![active]);
                found.repair = self.policies.reactivate == DriftPolicy::Repair;
                let state = found.repair.then_some(LinkState::Inactive);
                findings.push(found);
                (state, None)
            }
        }
    }

    fn flaps(&self, id: &SourceId, attribute: &DriftedAttribute) -> bool {
        let known = self.repairs.get(&(id.clone(), attribute.path.as_str().to_owned()));
        attribute.state.is_drift()
            && known.is_some_and(|repairs| {
                repairs.count >= MOST_REPAIRS && repairs.wanted == self.digest(attribute.source.as_ref())
            })
    }

    fn digest(&self, value: Option<&Scalar>) -> Digest {
        let text = value.map(Scalar::as_text);
        self.key.digest(text.iter().map(|text| text.as_bytes()))
    }

    fn unlinked(&mut self, account: &Account) -> Result<Judged, RunError> {
        let vendor = self.context.source.vendor();
        let mark = account.external_id().unwrap_or_default();
        let listed = claimed(vendor, mark).filter(|id| self.roster.contains_key(id));
        let Some(id) = listed.clone().or_else(|| marked(vendor, mark)) else {
            let reason = "no person of this app, and no link: nobody here manages it".to_owned();
            let mut unmanaged = finding(FindingKind::Unmanaged, login(account), reason);
            unmanaged.target_id = Some(account.id.clone());
            return Ok(Judged { findings: vec![unmanaged], ..Judged::default() });
        };
        let eligibility = match listed.and_then(|id| self.roster.get(&id)) {
            Some(offset) => Some(self.people.get(*offset)?.eligibility),
            None => None,
        };
        let what_follows = match eligibility {
            Some(Eligibility::Qualifies(_)) => "who is assigned: the next run adopts it".to_owned(),
            Some(
                Eligibility::Pending
                | Eligibility::Suspended
                | Eligibility::Leaver(_)
                | Eligibility::OutOfScope
                | Eligibility::Blocked(_)
                | Eligibility::Unknown(_),
            )
            | None => "who is not to have an account: `rosterd rebuild` links it, so that the next run \
                       deals with it"
                .to_owned(),
        };
        let reason = format!("carries the mark of {id}, {what_follows}");
        let mut unlinked = finding(FindingKind::Unlinked, login(account), reason);
        unlinked.source_id = Some(id.clone());
        unlinked.target_id = Some(account.id.clone());
        Ok(Judged { id: Some(id), findings: vec![unlinked], ..Judged::default() })
    }
}

/// The person whom a mark would name, whatever its form.
fn claimed(vendor: Vendor, mark: &str) -> Option<SourceId> {
    match vendor {
        Vendor::Okta => Some(SourceId::new(mark)),
        Vendor::OneLogin => mark.strip_prefix("onelogin:").map(SourceId::new),
    }
}

fn gone(link: Link) -> Judged {
    let reason = "the linked account is not there any more: the next run deals with it \
                  (lifecycle.recreate)";
    let mut found = finding(FindingKind::AccountGone, link.user_name.clone(), reason.to_owned());
    found.source_id = Some(link.source_id.clone());
    found.target_id = Some(link.target_id.clone());
    let gone = settle_state(&link, LinkState::Vanished(Millis::now()), link.observation);
    Judged { id: Some(link.source_id), findings: vec![found], repair: None, gone: Some(gone) }
}

fn about(
    kind: FindingKind,
    link: &Link,
    account: &Account,
    reason: String,
    attributes: Vec<DriftedAttribute>,
) -> DriftFinding {
    DriftFinding {
        source_id: Some(link.source_id.clone()),
        target_id: Some(account.id.clone()),
        attributes,
        ..finding(kind, account.user_name().unwrap_or(&link.user_name).to_owned(), reason)
    }
}

fn finding(kind: FindingKind, user: String, reason: String) -> DriftFinding {
    DriftFinding {
        finding: kind,
        user,
        source_id: None,
        target_id: None,
        other_target_id: None,
        reason,
        attributes: Vec::new(),
        repair: false,
    }
}

fn login(account: &Account) -> String {
    account.user_name().map_or_else(|| account.id.to_string(), str::to_owned)
}

fn names(attributes: &[DriftedAttribute]) -> String {
    attributes.iter().map(|one| one.path.as_str()).collect::<Vec<_>>().join(", ")
}

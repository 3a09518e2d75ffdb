//! Transfer: links are handed over from one sync to another, or to the people of a source that moved, without a write at
//! the target.
//!
//! What lives here: pairing the links of one sync with the people of another's source. What must not: how it is shown and
//! confirmed (`app`), how a link changes hands (`store`).

use std::collections::{HashMap, HashSet};

use tokio::sync::watch;

use crate::config::{self, MatchBy};
use crate::core::eligibility::{Eligibility, ScopeNames, eligibility};
use crate::core::mapping::Mapping;
use crate::engine::apply::recover::recover;
use crate::engine::binding::{binding_of, check_binding};
use crate::engine::context::RunContext;
use crate::engine::error::RunError;
use crate::engine::plan::decisions::digest_of;
use crate::model::attributes::AttributePath;
use crate::model::digest::Digest;
use crate::model::folding::fold_address;
use crate::model::handover::{FoundBy, Handover, Left, TransferFacts};
use crate::model::id::{SourceId, Vendor};
use crate::model::identity::Identity;
use crate::model::link::{Link, LinkState};
use crate::model::plan::RemovalCause;
use crate::model::report::Mode;
use crate::model::run_event::{RunEvent, RunWatcher};
use crate::operations::rebuild::found_by;
use crate::scim::target::{Observe, TargetError};
use crate::source::Source;
use crate::spool::Spool;
use crate::store::{Binding, Snapshot, Store, Tenure};

/// What a transfer works with: the sync that takes, opened, and the name of the one that gives.
pub struct TransferRequest<'a, O> {
    /// The sync that gives; it need not be configured any more.
    pub from: &'a str,
    /// The sync that takes.
    pub config: &'a config::Sync,
    /// Its compiled mapping.
    pub mapping: &'a Mapping,
    /// Its identity provider.
    pub source: &'a Source,
    /// Its workspace, for reading.
    pub target: &'a O,
    /// The state, for reading.
    pub snapshot: &'a Snapshot,
    /// Only these: logins, source ids or account ids. Empty = everybody.
    pub who: &'a [String],
    /// Who is told how it goes on.
    pub watcher: &'a dyn RunWatcher,
}

/// What goes over, and what stays.
#[derive(Debug)]
pub struct Transfer {
    /// Everything but the lists.
    pub facts: TransferFacts,
    /// Links that go over.
    pub links: Spool<Handover>,
    /// Links that stay.
    pub left: Spool<Left>,
    /// The name under which a sync that moved to another source leaves what stays: the same id may be somebody else
    /// there.
    pub parked_as: Option<String>,
}

/// Why a transfer is not possible.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// What was asked for does not fit; the text ends with what to do.
    #[error("{0}")]
    Unfit(String),
    /// A run of one of the syncs is under way.
    #[error("a run of sync \"{0}\" is under way\nhelp: wait for its end (`rosterd status`), then repeat")]
    Busy(String),
    /// Reading either side, or the state, failed.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl From<crate::store::StoreError> for TransferError {
    fn from(error: crate::store::StoreError) -> TransferError {
        TransferError::Run(error.into())
    }
}

impl From<std::io::Error> for TransferError {
    fn from(error: std::io::Error) -> TransferError {
        TransferError::Run(error.into())
    }
}

/// Pairs the links of one sync with the people of another's source; changes nothing.
pub async fn plan_transfer<O: Observe>(request: &TransferRequest<'_, O>) -> Result<Transfer, TransferError> {
    let (from, to) = (request.from, &request.config.name);
    let Some(bound) = request.snapshot.binding(from).await? else {
        return Err(TransferError::Unfit(format!(
            "sync \"{from}\" has no links\nhelp: `rosterd status` and `rosterd history` name the syncs that ran"
        )));
    };
    let now = binding_of(request.source, request.config);
    if bound.target_url != now.target_url {
        return Err(TransferError::Unfit(format!(
            "the links of sync \"{from}\" are of {}, and sync \"{to}\" writes to {}\nhelp: links go over within one \
             workspace; for another one give the sync a new name and run `rosterd rebuild`",
            bound.target_url, now.target_url
        )));
    }
    refuse_a_stale_binding(request, &now).await?;
    if from == to && !request.who.is_empty() {
        return Err(TransferError::Unfit(
            "a sync whose source moved goes over as a whole\nhelp: leave the names out".to_owned(),
        ));
    }
    if from == to && bound == now {
        return Err(TransferError::Unfit(format!(
            "the links of sync \"{from}\" fit the configuration as they are\nhelp: --from names the sync that gives, --to \
             the one that takes; both the same is for a sync whose source moved"
        )));
    }
    let moved = (&bound.source_kind, &bound.source_origin) != (&now.source_kind, &now.source_origin);
    let parked_as = if from == to && moved { Some(free_name(request.snapshot, from).await?) } else { None };
    let mut pairing = Pairing::begin(request, bound, &now).await?;
    pairing.read_source().await?;
    pairing.finish(parked_as).await
}

/// A name for what a sync leaves behind.
async fn free_name(snapshot: &Snapshot, sync: &str) -> Result<String, TransferError> {
    let mut name = format!("{sync}.before");
    let mut number = 1;
    while snapshot.link_counts(&name).await?.links > 0 {
        number += 1;
        name = format!("{sync}.before-{number}");
    }
    Ok(name)
}

/// The sync that takes must fit its own links, unless it is the one that moved.
async fn refuse_a_stale_binding<O: Observe>(
    request: &TransferRequest<'_, O>,
    now: &Binding,
) -> Result<(), TransferError> {
    if request.from == request.config.name {
        return Ok(());
    }
    Ok(check_binding(request.snapshot, &request.config.name, now).await?)
}

/// Hands the links over: each in one transaction, or all in one where the source of a sync moved. Gives how many went
/// over.
pub async fn carry_out<O: Observe>(
    request: &TransferRequest<'_, O>,
    transfer: &mut Transfer,
    store: &Store,
) -> Result<u64, TransferError> {
    let (from, to) = (request.from, &request.config.name);
    for sync in [from, to] {
        store.tenure(sync).await?;
        if store.snapshot().is_running(sync).await? {
            return Err(TransferError::Busy(sync.to_owned()));
        }
    }
    // New tenures: a run that begins now with what it read before does not write any more.
    store.give_up_tenure(from).await;
    store.give_up_tenure(to).await;
    let giver = store.tenure(from).await?;
    let taker = store.tenure(to).await?;
    // What was sent and not settled must not be settled into a link that belongs to somebody else by then.
    recover(&context(request), store, &giver, None).await?;
    let unsettled = store.snapshot().in_flight(&giver).await?.len();
    if unsettled > 0 {
        return Err(RunError::Target(TargetError::Unanswerable(format!(
            "what became of {unsettled} writes is not known, so their links cannot be handed over\nhelp: try again once \
             `rosterd status` shows nothing unsettled, or give them up with `rosterd forget WHO --unsettled`"
        )))
        .into());
    }
    let binding = binding_of(request.source, request.config);
    if from == to {
        // All or nobody: a source that moved half-way would be two.
        let all = transfer.links.iter()?.collect::<Result<Vec<_>, _>>()?;
        if let Some(name) = &transfer.parked_as {
            park(store, &giver, name, &all).await?;
        }
        let handed_over = store.hand_over(&giver, &taker, all).await?;
        store.bind(&taker, binding).await?;
        return Ok(handed_over);
    }
    store.bind(&taker, binding).await?;
    let mut handed_over = 0;
    for handover in transfer.links.iter()? {
        handed_over += store.hand_over(&giver, &taker, vec![handover?]).await?;
    }
    Ok(handed_over)
}

/// Puts what stays under a name of its own: nothing runs for it, and it can be handed over later.
async fn park(store: &Store, giver: &Tenure, name: &str, going: &[Handover]) -> Result<(), TransferError> {
    let going: HashSet<&SourceId> = going.iter().map(|handover| &handover.link.source_id).collect();
    let links = store.snapshot().links(giver.sync()).await?;
    let staying = links.into_iter().filter(|link| !going.contains(&link.source_id));
    let staying: Vec<Handover> = staying
        .map(|link| Handover {
            new_id: link.source_id.clone(),
            link,
            by: FoundBy::SourceId,
            note: None,
            eligibility: Digest([0; 16]),
        })
        .collect();
    if staying.is_empty() {
        return Ok(());
    }
    let tenure = store.tenure(name).await?;
    if let Some(bound) = store.snapshot().binding(giver.sync()).await? {
        store.bind(&tenure, bound).await?;
    }
    store.hand_over(giver, &tenure, staying).await?;
    Ok(())
}

fn context<'a, O>(request: &TransferRequest<'a, O>) -> RunContext<'a, O> {
    let TransferRequest { config, mapping, source, target, snapshot, watcher, .. } = request;
    let nobody_interrupts = watch::channel(false).1;
    RunContext {
        watcher: *watcher,
        reads_one_by_one: false,
        ..RunContext::new(config, mapping, source, *target, snapshot, nobody_interrupts)
    }
}

/// A link that may go over, and who was found for it.
struct Giving {
    link: Link,
    found: Option<Taker>,
    /// Further people whom the same rung found.
    others: u32,
}

/// A person of the new source.
struct Taker {
    id: SourceId,
    by: FoundBy,
    eligibility: Eligibility,
}

struct Pairing<'a, 'r, O> {
    request: &'a TransferRequest<'r, O>,
    links: Vec<Giving>,
    by_id: HashMap<SourceId, usize>,
    by_login: HashMap<String, Vec<usize>>,
    by_email: HashMap<String, Vec<usize>>,
    /// An id means the same person on both sides.
    same_ids: bool,
    /// Both syncs read the same app.
    same_app: bool,
    people: u64,
}

impl<'a, 'r, O: Observe> Pairing<'a, 'r, O> {
    async fn begin(
        request: &'a TransferRequest<'r, O>,
        bound: Binding,
        now: &Binding,
    ) -> Result<Self, TransferError> {
        let mut links = request.snapshot.links(request.from).await?;
        links.sort_by(|one, other| one.user_name.cmp(&other.user_name));
        if !request.who.is_empty() {
            links = chosen(links, request)?;
        }
        let same_source = bound.source_kind == now.source_kind && bound.source_origin == now.source_origin;
        // Okta's ids are unique over all organisations, OneLogin's are numbers.
        let same_ids =
            same_source || (request.source.vendor() == Vendor::Okta && bound.source_kind == now.source_kind);
        let mut pairing = Pairing {
            request,
            links: Vec::with_capacity(links.len()),
            by_id: HashMap::new(),
            by_login: HashMap::new(),
            by_email: HashMap::new(),
            same_ids,
            same_app: same_source && bound.source_app == now.source_app,
            people: 0,
        };
        let matches_email = request.config.adopt.ladder.contains(&MatchBy::Email);
        for (place, link) in links.into_iter().enumerate() {
            pairing.by_id.insert(link.source_id.clone(), place);
            pairing.by_login.entry(fold_address(&link.user_name)).or_default().push(place);
            if let (true, Some(email)) =
                (matches_email, link.acknowledged.get(&AttributePath::primary_email()))
            {
                pairing.by_email.entry(fold_address(&email.as_text())).or_default().push(place);
            }
            pairing.links.push(Giving { link, found: None, others: 0 });
        }
        Ok(pairing)
    }

    async fn read_source(&mut self) -> Result<(), TransferError> {
        let expected = self.request.snapshot.people_last_read(&self.request.config.name).await?;
        let mut reader = self.request.source.open().await.map_err(RunError::from)?;
        let mut pages = 0;
        while let Some(page) = reader.next().await.map_err(RunError::from)? {
            pages += 1;
            self.people += page.identities.len() as u64;
            for identity in &page.identities {
                self.take(identity);
            }
            self.request.watcher.tell(&RunEvent::PageRead { pages, people: self.people, expected });
        }
        reader.finish().map_err(RunError::from)?;
        self.request.watcher.tell(&RunEvent::ReadComplete { people: self.people });
        Ok(())
    }

    fn take(&mut self, identity: &Identity) {
        let TransferRequest { mapping, config, .. } = self.request;
        let eligibility =
            eligibility(identity, true, mapping, &config.lifecycle, &mut ScopeNames::new(mapping));
        if self.same_ids
            && let Some(place) = self.by_id.get(&identity.id)
        {
            return self.pair(&[*place], identity, FoundBy::SourceId, &eligibility);
        }
        // Whoever does not qualify is known by the login that the source gives.
        let (login, email) = match &eligibility {
            Eligibility::Qualifies(mapped) => {
                (Some(mapped.desired.user_name().to_owned()), mapped.desired.email().map(str::to_owned))
            }
            Eligibility::Pending
            | Eligibility::Suspended
            | Eligibility::Leaver(_)
            | Eligibility::OutOfScope
            | Eligibility::Blocked(_)
            | Eligibility::Unknown(_) => (identity.profile.user_name.clone(), identity.profile.email.clone()),
        };
        for rung in &config.adopt.ladder {
            let places = match rung {
                MatchBy::ExternalId => None,
                MatchBy::UserName => login.as_ref().and_then(|login| self.by_login.get(&fold_address(login))),
                MatchBy::Email => email.as_ref().and_then(|email| self.by_email.get(&fold_address(email))),
            };
            if let Some(places) = places.cloned() {
                return self.pair(&places, identity, found_by(*rung), &eligibility);
            }
        }
    }

    /// Several links for one person, or several people for one link, are nobody's.
    fn pair(&mut self, places: &[usize], identity: &Identity, by: FoundBy, eligibility: &Eligibility) {
        for place in places {
            let giving = &mut self.links[*place];
            let taker = Taker { id: identity.id.clone(), by, eligibility: eligibility.clone() };
            match &giving.found {
                // The same id is the same person, whoever else has the login.
                Some(found) if found.by == FoundBy::SourceId => {}
                Some(_) if by == FoundBy::SourceId => (giving.found, giving.others) = (Some(taker), 0),
                Some(_) => giving.others += 1,
                None => giving.found = Some(taker),
            }
            giving.others += u32::from(places.len() > 1);
        }
    }

    async fn finish(self, parked_as: Option<String>) -> Result<Transfer, TransferError> {
        let Pairing { request, links, same_ids, same_app, people, .. } = self;
        let key = request.snapshot.digest_key();
        let own: HashSet<SourceId> = match request.from == request.config.name {
            true => HashSet::new(),
            false => {
                let links = request.snapshot.link_digests(&request.config.name).await?;
                links.into_iter().map(|link| link.source_id).collect()
            }
        };
        let facts = TransferFacts {
            from: request.from.to_owned(),
            to: request.config.name.clone(),
            mode: Mode::DryRun,
            people,
            handed_over: 0,
            stays: 0,
            notes: Vec::new(),
        };
        let mut transfer = Transfer { facts, links: Spool::default(), left: Spool::default(), parked_as };
        let (mut marked, mut left_behind) = (0u64, 0u64);
        for Giving { link, found, others } in links {
            let active = link.state == LinkState::Active;
            match judge(&link, found, others, &own, (same_ids, same_app)) {
                Ok(taker) => {
                    marked += u64::from(active && taker.by != FoundBy::SourceId);
                    let note = note(&link, &taker);
                    let eligibility = digest_of(&taker.eligibility, &key);
                    let Taker { id: new_id, by, .. } = taker;
                    transfer.links.push(&Handover { link, new_id, by, note, eligibility })?;
                    transfer.facts.handed_over += 1;
                }
                Err(reason) => {
                    left_behind += u64::from(active);
                    transfer.facts.stays += 1;
                    transfer.left.push(&Left {
                        user: link.user_name,
                        source_id: Some(link.source_id),
                        target_id: Some(link.target_id),
                        reason,
                    })?;
                }
            }
        }
        transfer.facts.notes =
            notes(request, &transfer.facts, transfer.parked_as.as_deref(), marked, left_behind);
        Ok(transfer)
    }
}

/// To whom a link goes over; else why it stays.
fn judge(
    link: &Link,
    found: Option<Taker>,
    others: u32,
    own: &HashSet<SourceId>,
    (same_ids, same_app): (bool, bool),
) -> Result<Taker, String> {
    if others > 0 {
        return Err("several people or several links match by this name".to_owned());
    }
    let active = link.state == LinkState::Active;
    let taker = match found {
        Some(taker) => taker,
        // Of one and the same source, an id says enough: whoever left is found by the next run.
        None if same_app || (same_ids && !active) => {
            let eligibility = Eligibility::Leaver(RemovalCause::NotListed);
            Taker { id: link.source_id.clone(), by: FoundBy::SourceId, eligibility }
        }
        None => return Err("nobody whom the new source lists matches".to_owned()),
    };
    if own.contains(&taker.id) {
        return Err("the person has another account there already".to_owned());
    }
    match &taker.eligibility {
        Eligibility::Blocked(why) | Eligibility::Unknown(why) => {
            Err(format!("{} cannot be decided there: {why}", taker.id))
        }
        Eligibility::Leaver(_) if active && !same_app => {
            Err(format!("{} is not active or not assigned there", taker.id))
        }
        Eligibility::OutOfScope if active && !same_app => {
            Err(format!("{} is out of scope there by scope.filter", taker.id))
        }
        Eligibility::Qualifies(_)
        | Eligibility::Pending
        | Eligibility::Suspended
        | Eligibility::Leaver(_)
        | Eligibility::OutOfScope => Ok(taker),
    }
}

/// What the next run makes of a link that went over, where that is not plain.
fn note(link: &Link, taker: &Taker) -> Option<String> {
    match (link.state, &taker.eligibility) {
        (LinkState::Active, Eligibility::Suspended) => {
            Some("suspended there: the next run acts on it".to_owned())
        }
        (LinkState::Active, Eligibility::Leaver(_) | Eligibility::OutOfScope) => {
            Some("not active there: the next run acts on it".to_owned())
        }
        (LinkState::Deactivated(_) | LinkState::Inactive, Eligibility::Qualifies(_)) => {
            Some("deactivated, and assigned there: the next run reactivates the account".to_owned())
        }
        (LinkState::Deactivated(_) | LinkState::Inactive, _) => Some("stays deactivated".to_owned()),
        (LinkState::Vanished(_) | LinkState::Gone(_), _) => {
            Some("the account was deleted at the workspace".to_owned())
        }
        (
            LinkState::Active,
            Eligibility::Qualifies(_)
            | Eligibility::Pending
            | Eligibility::Blocked(_)
            | Eligibility::Unknown(_),
        ) => None,
    }
}

fn notes<O>(
    request: &TransferRequest<'_, O>,
    facts: &TransferFacts,
    parked_as: Option<&str>,
    marked: u64,
    left_behind: u64,
) -> Vec<String> {
    let (from, to) = (&facts.from, &facts.to);
    let mut notes = Vec::new();
    if marked > 0 {
        notes.push(format!(
            "the next run of \"{to}\" writes externalId, and nothing else, to up to {marked} accounts; where that is more \
             than guard.max_updates_percent allows it is held, and `rosterd approve` releases it"
        ));
    }
    if let Some(name) = parked_as.filter(|_| facts.stays > 0) {
        notes.push(format!(
            "what stays is kept under the name \"{name}\", for which nothing runs: the accounts stay as they are, until \
             `rosterd transfer --from {name} --to {to}` finds their people at the new source"
        ));
    } else if from == to && facts.stays > 0 {
        notes.push(
            "what stays is treated as people who left: the next runs remove the accounts, each after a proof and \
             within the guards"
                .to_owned(),
        );
    } else if left_behind > 0 {
        notes.push(format!("{left_behind} active accounts stay with \"{from}\""));
    }
    if from != to && request.who.is_empty() && facts.stays == 0 {
        notes.push(format!("nothing is left with \"{from}\": take it out of the configuration"));
    }
    notes
}

/// The links that were asked for; a name that means none of them is a mistake.
fn chosen<O>(links: Vec<Link>, request: &TransferRequest<'_, O>) -> Result<Vec<Link>, TransferError> {
    let is = |link: &Link, who: &String| {
        link.source_id.as_str() == who
            || link.target_id.as_str() == who
            || fold_address(&link.user_name) == fold_address(who)
    };
    let unknown: Vec<&str> = request
        .who
        .iter()
        .filter(|who| !links.iter().any(|link| is(link, who)))
        .map(String::as_str)
        .collect();
    if !unknown.is_empty() {
        return Err(TransferError::Unfit(format!(
            "sync \"{}\" has no link of {}\nhelp: give a login, a source id or an account id",
            request.from,
            unknown.join(", ")
        )));
    }
    Ok(links.into_iter().filter(|link| request.who.iter().any(|who| is(link, who))).collect())
}

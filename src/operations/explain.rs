//! One person explained: the same reads, the same plan and the same guards as a run that may not write, with every
//! account at the target that could be meant, and what is stored beside it. From stored data alone, no request is sent.
//!
//! What must not live here: decisions (the line explained is the run's own), sentences (`core::explain`).

use std::collections::HashSet;

use crate::config;
use crate::config::MatchBy;
use crate::core::eligibility::{Eligibility, lifecycle_of};
use crate::core::explain::{Explainer, Seen, Stored, StoredSync};
use crate::core::mapping::MappingError;
use crate::engine::binding::{binding_of, check_binding};
use crate::engine::context::{RetryWait, RunContext};
use crate::engine::error::RunError;
use crate::engine::gather::account_owner::{AccountOwner, owner_of};
use crate::engine::gather::lookup::{criterion, is_searchable};
use crate::engine::gather::named::{candidate_of, gather, ids_of};
use crate::engine::live_run::LiveRun;
use crate::engine::pass::plan_and_apply;
use crate::engine::prove::Prover;
use crate::engine::run::stopped;
use crate::engine::selection::Selection;
use crate::engine::session::SyncSession;
use crate::engine::session::mapping_of;
use crate::engine::summary::RunTotals;
use crate::model::account::Account;
use crate::model::explain::{MatchCandidate, MatchKey, PersonExplained, SyncExplained};
use crate::model::id::{SourceId, TargetId};
use crate::model::identity::{Finding, Identity, PointRead};
use crate::model::link::{Link, LinkState};
use crate::model::plan::{DesiredAccount, Verb};
use crate::model::report::ActionRecord;
use crate::model::time::Millis;
use crate::scim::adapter::Provisioner;
use crate::scim::target::{Criterion, Observe, TargetError};
use crate::store::{Snapshot, StoreError};
use tokio::sync::watch;

/// Why nothing can be explained from stored data.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The configuration.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// The state.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One sync's part from stored data alone. Nothing is sent anywhere.
///
/// # Errors
/// Where the state cannot be read, or the mapping does not compile.
pub async fn offline(
    config: &config::Sync,
    snapshot: &Snapshot,
    who: &str,
    now: Millis,
) -> Result<SyncExplained, OfflineError> {
    let mapping = mapping_of(config, snapshot)?;
    let stored = snapshot.explained(&config.name, who, now).await?;
    Ok(Explainer { config, mapping: &mapping, now }.offline(who, stored))
}

/// One sync's part with both sides asked. Nothing is written.
///
/// # Errors
/// If a side or the state cannot be read, or the configuration does not fit the stored links.
pub async fn fresh(
    session: &SyncSession,
    who: &str,
    raw: bool,
    snapshot: &Snapshot,
    interrupted: watch::Receiver<bool>,
) -> Result<SyncExplained, RunError> {
    // As the next run would be: nobody stands behind it.
    let context = RunContext {
        unattended: true,
        retry_wait: RetryWait::AsIfNext,
        ..session.context(snapshot, interrupted)
    };
    Box::pin(explain(&context, who, raw)).await
}

async fn explain<O: Observe>(
    context: &RunContext<'_, O>,
    who: &str,
    raw: bool,
) -> Result<SyncExplained, RunError> {
    let (config, snapshot, now) = (context.config, context.snapshot, Millis::now());
    check_binding(snapshot, &config.name, &binding_of(context.source, config)).await?;
    let by_name = snapshot.explained(&config.name, who, now).await?;
    let mut ids = ids_of(context, who).await?;
    for person in &by_name.people {
        if !ids.contains(&person.source_id) {
            ids.push(person.source_id.clone());
        }
    }
    let explainer = Explainer { config, mapping: context.mapping, now };
    if ids.is_empty() {
        return Ok(explainer.fresh_nobody(who, by_name, nobodys_accounts(context, who).await?));
    }
    let mut stored = snapshot.stored(&config.name, ids, now).await?;
    let mut people = Vec::new();
    for person in std::mem::take(&mut stored.people) {
        people.push(one(context, &explainer, person, &stored, raw).await?);
    }
    Ok(explainer.fresh(stored, people))
}

/// Accounts with this login or id, though nobody at the source is called that: they may be all that somebody sees.
async fn nobodys_accounts<O: Observe>(
    context: &RunContext<'_, O>,
    who: &str,
) -> Result<Vec<MatchCandidate>, RunError> {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    let mut accounts: Vec<(MatchKey, Account)> = Vec::new();
    if who.contains('@') {
        match context.target.find(&Criterion::UserName(who.to_owned())).await {
            Ok(lookup) => {
                accounts.extend(lookup.accounts.into_iter().map(|account| (MatchKey::UserName, account)));
            }
            Err(TargetError::Unanswerable(_)) => {}
            Err(error) => return Err(error.into()),
        }
    } else if !who.is_empty() && who.chars().all(is_plain) {
        // What is no id of this target may be answered with any error.
        let found = context.target.get(&TargetId::new(who), context.lane()).await.unwrap_or(None);
        accounts.extend(found.map(|account| (MatchKey::Link, account)));
    }
    let mut found = Vec::new();
    for (key, account) in accounts {
        let owner = context.snapshot.owner_of_account(&context.target_url, &account.id).await?;
        let why = match owner {
            Some((sync, link)) => format!("sync \"{sync}\" manages it for {}", link.user_name),
            None => "nobody manages it: rosterd leaves accounts alone that it neither made nor took over"
                .to_owned(),
        };
        found.push(MatchCandidate {
            target_id: account.id.clone(),
            user_name: account.user_name().map(str::to_owned),
            active: account.active(),
            key,
            accepted: false,
            why,
        });
    }
    Ok(found)
}

async fn one<O: Observe>(
    context: &RunContext<'_, O>,
    explainer: &Explainer<'_>,
    person: Stored,
    stored: &StoredSync,
    raw: bool,
) -> Result<PersonExplained, RunError> {
    let id = person.source_id.clone();
    let link = person.link.clone();
    let read = context.source.point_read(&id, context.lane()).await?;
    let candidate = candidate_of(context, &id, link.as_ref(), &read);
    let eligibility = candidate.as_ref().map(|candidate| candidate.eligibility.clone());
    let read_set = gather(context, vec![(id.clone(), candidate)]).await?;
    let (living, witnesses) = (read_set.living.clone(), read_set.witnesses.clone());
    let nothing: Option<&LiveRun<'_, Provisioner>> = None;
    let mut totals = RunTotals::default();
    plan_and_apply(context, &Selection::Ids(vec![id.clone()]), read_set, None, nothing, &mut totals).await?;
    stopped(&totals)?;
    let record: Option<ActionRecord> = totals.records.iter()?.next().transpose()?;
    let prover = Prover::new(context.source, context.mapping, &context.config.lifecycle, witnesses, None);
    let mut look = Look { context, prover, living, id: &id, record: record.as_ref(), found: Vec::new() };
    look.at_the_link(link.as_ref()).await?;
    look.by_the_ladder(link.as_ref(), eligibility.as_ref(), &read, &person).await?;
    let account = look.account_meant();
    let matches = look.found.iter().map(|(candidate, _)| candidate.clone()).collect();
    let writes = record.as_ref().is_some_and(|record| record.action.is_write());
    Ok(explainer.seen_person(
        person,
        stored,
        Seen {
            read: &read,
            eligibility: eligibility.as_ref(),
            record: record.clone(),
            matches,
            account: account.as_ref(),
            token_owner: context.target.own_account().await,
            limits: if writes { totals.guard_report.facts().to_vec() } else { Vec::new() },
            raw,
        },
    ))
}

/// A look at every account that could be one person's.
struct Look<'a, 'c, O> {
    context: &'a RunContext<'c, O>,
    prover: Prover<'a>,
    living: HashSet<SourceId>,
    id: &'a SourceId,
    record: Option<&'a ActionRecord>,
    found: Vec<(MatchCandidate, Option<Account>)>,
}

impl<O: Observe> Look<'_, '_, O> {
    /// The linked account, as it is now.
    async fn at_the_link(&mut self, link: Option<&Link>) -> Result<(), RunError> {
        let Some(link) = link else { return Ok(()) };
        let account = self.context.target.get(&link.target_id, self.context.lane()).await?;
        let why = match &account {
            Some(account) => match (account.active(), link.state) {
                (Some(false), LinkState::Active) => {
                    "inactive at the target although rosterd did not make it so: `rosterd verify` \
                     tells more"
                }
                (Some(true), LinkState::Deactivated(_)) => {
                    "active at the target although rosterd deactivated it: `rosterd verify` tells more"
                }
                (Some(_) | None, _) => "it is what this person has",
            },
            None => "the target does not know it any more",
        };
        self.found.push((
            MatchCandidate {
                target_id: link.target_id.clone(),
                user_name: account.as_ref().and_then(Account::user_name).map(str::to_owned),
                active: account.as_ref().and_then(Account::active),
                key: MatchKey::Link,
                accepted: true,
                why: why.to_owned(),
            },
            account,
        ));
        Ok(())
    }

    /// Where there is no link, or its account is gone: every rung, not only the first that finds somebody.
    async fn by_the_ladder(
        &mut self,
        link: Option<&Link>,
        eligibility: Option<&Eligibility>,
        read: &PointRead,
        person: &Stored,
    ) -> Result<(), RunError> {
        if link.is_some_and(|link| !link.state.is_gone()) {
            return Ok(());
        }
        let qualifies = matches!(eligibility, Some(Eligibility::Qualifies(_)));
        let mut decided = false;
        for (key, criterion) in self.criteria(eligibility, read, person) {
            let accounts = match self.context.target.find(&criterion).await {
                Ok(lookup) => lookup.accounts,
                Err(TargetError::Unanswerable(_)) => continue,
                Err(error) => return Err(error.into()),
            };
            let several = accounts.len() > 1;
            for account in accounts {
                if self.found.iter().any(|(candidate, _)| candidate.target_id == account.id) {
                    continue;
                }
                let owner = owner_of(self.context, self.id, &account, &self.living, &self.prover).await?;
                let accepted = self.is_taken(&account.id);
                let why = why(&owner, accepted, qualifies, several, decided);
                let candidate = MatchCandidate {
                    target_id: account.id.clone(),
                    user_name: account.user_name().map(str::to_owned),
                    active: account.active(),
                    key,
                    accepted,
                    why,
                };
                self.found.push((candidate, Some(account)));
            }
            decided |= self.found.iter().any(|(candidate, _)| candidate.key == key);
        }
        Ok(())
    }

    /// What is looked for. Somebody who does not qualify is looked for all the same: an account that nobody manages is
    /// part of the answer.
    fn criteria(
        &self,
        eligibility: Option<&Eligibility>,
        read: &PointRead,
        person: &Stored,
    ) -> Vec<(MatchKey, Criterion)> {
        let identity = match &read.finding {
            Finding::Assigned(identity) | Finding::NotAssigned(identity) => Some(&**identity),
            Finding::UserGone | Finding::Inconclusive(_) => None,
        };
        let desired = match eligibility {
            Some(Eligibility::Qualifies(mapped)) => Some(mapped.desired.clone()),
            Some(
                Eligibility::Pending
                | Eligibility::Suspended
                | Eligibility::Leaver(_)
                | Eligibility::OutOfScope
                | Eligibility::Blocked(_)
                | Eligibility::Unknown(_),
            )
            | None => identity.and_then(|identity| self.would_be(identity, person)),
        };
        if let Some(desired) = desired {
            let rungs = self.context.config.adopt.ladder.iter();
            let asked = rungs.filter(|rung| is_searchable(self.context.target, **rung));
            return asked.filter_map(|rung| Some((key_of(*rung), criterion(*rung, &desired)?))).collect();
        }
        let login = identity.and_then(|identity| identity.profile.user_name.clone());
        let login = login.or_else(|| person.told.as_ref().map(|told| told.record.user.clone()));
        let login = login.filter(|login| login.contains('@'));
        login.map(|login| (MatchKey::UserName, Criterion::UserName(login))).into_iter().collect()
    }

    /// The account that somebody would have who does not qualify.
    fn would_be(&self, identity: &Identity, person: &Stored) -> Option<DesiredAccount> {
        let (mapping, policy) = (self.context.mapping, &self.context.config.lifecycle);
        let lifecycle = lifecycle_of(identity, person.link.is_some(), policy);
        let names = mapping.names(identity, lifecycle.as_str()).ok()?;
        mapping.map(identity, names.as_ref()).ok().map(|mapped| mapped.desired)
    }

    fn is_taken(&self, account: &TargetId) -> bool {
        let record = self.record.filter(|record| record.action == Verb::Adopt);
        record.is_some_and(|record| record.target_id.as_ref() == Some(account))
    }

    /// The account that the attributes are compared with.
    fn account_meant(&self) -> Option<Account> {
        let accepted = self.found.iter().filter(|(candidate, _)| candidate.accepted);
        accepted.filter_map(|(_, account)| account.clone()).next_back()
    }
}

fn key_of(rung: MatchBy) -> MatchKey {
    match rung {
        MatchBy::ExternalId => MatchKey::ExternalId,
        MatchBy::UserName => MatchKey::UserName,
        MatchBy::Email => MatchKey::Email,
    }
}

/// Why an account is, or is not, taken for the person's.
fn why(owner: &AccountOwner, accepted: bool, qualifies: bool, several: bool, decided: bool) -> String {
    match owner {
        AccountOwner::Nobody if accepted => "it is nobody's, and is taken over".to_owned(),
        AccountOwner::Nobody if !qualifies => {
            "nobody manages it: rosterd leaves accounts alone that it neither made nor \
                                        took over, and this person does not qualify for one"
                .to_owned()
        }
        AccountOwner::Nobody if several => "one of several that match, so none is taken".to_owned(),
        AccountOwner::Nobody if decided => "an earlier key found another one already".to_owned(),
        AccountOwner::Nobody => "it is nobody's, and is not taken over: see the action".to_owned(),
        AccountOwner::Same => "it is this person's linked account".to_owned(),
        AccountOwner::Living(who) => format!("it belongs to {who}"),
        AccountOwner::OtherSync(sync) => format!("it is managed by sync \"{sync}\""),
        AccountOwner::ProvenGone(predecessor, _) => {
            format!("it belongs to {predecessor}, who is gone from the source: handing it on needs approval")
        }
        AccountOwner::Marked(mark) => format!("it bears the mark of {mark}, who exists at the source"),
        AccountOwner::UnknownMark(mark) => {
            format!(
                "it bears the mark of {mark}, whom the source does not know: taking it over needs approval"
            )
        }
        AccountOwner::Untold(mark, why) => {
            format!("it bears the mark of {mark}, about whom the source does not tell now: {why}")
        }
    }
}

//! Settling by reading: what a lost reply or a crash left open is looked up before anything is repeated.

use super::event::RunEvent;
use super::{Context, RunError};
use crate::core::normalize::{fold_address, same_value};
use crate::core::settlement::{Written, settle_state, settle_write};
use crate::http::Lane;
use crate::model::account::Account;
use crate::model::attributes::AttributePath;
use crate::model::link::{Link, LinkState};
use crate::model::plan::{PlannedAction, Verb};
use crate::model::report::Outcome;
use crate::model::time::Millis;
use crate::store::{LinkWrite, Settled, Settlement, Store, Tenure};
use crate::target::{Criterion, Observe, TargetError};

/// What reading showed.
#[derive(Debug)]
pub enum Reading {
    /// It happened; the account as it is now, where there is one.
    Happened(Option<Account>),
    /// It did not.
    DidNotHappen,
    /// The target did not tell.
    CannotTell(String),
}

/// Reads whether a write happened.
pub async fn read_back<O: Observe>(target: &O, action: &PlannedAction) -> Reading {
    let reading = match action.verb {
        Verb::Create => read_creation(target, action).await,
        Verb::Deactivate | Verb::Delete => read_removal(target, action).await,
        Verb::Adopt | Verb::Update | Verb::Reactivate => read_update(target, action).await,
        Verb::HoldBack | Verb::Skip => Ok(Reading::DidNotHappen),
    };
    reading.unwrap_or_else(|error| Reading::CannotTell(format!("reading it back failed: {error}")))
}

async fn read_creation<O: Observe>(target: &O, action: &PlannedAction) -> Result<Reading, TargetError> {
    let Some(desired) = &action.desired else { return Ok(Reading::DidNotHappen) };
    let mut hits = Vec::new();
    if target.finds_external_id() {
        hits = target.find(&Criterion::ExternalId(desired.external_id().to_owned())).await?.accounts;
    }
    if hits.is_empty() {
        hits = target.find(&Criterion::UserName(desired.user_name().to_owned())).await?.accounts;
    }
    // Nobody had this login when we looked before creating. An account that bears another mark is not ours.
    hits.retain(|account| account.external_id().is_none_or(|id| id == desired.external_id()));
    Ok(match <[Account; 1]>::try_from(hits) {
        Ok([account]) => Reading::Happened(Some(account)),
        Err(hits) if hits.is_empty() => Reading::DidNotHappen,
        Err(hits) => Reading::CannotTell(format!("{} accounts have this login now", hits.len())),
    })
}

async fn read_removal<O: Observe>(target: &O, action: &PlannedAction) -> Result<Reading, TargetError> {
    let Some(id) = &action.target_id else { return Ok(Reading::DidNotHappen) };
    Ok(match target.get(id, Lane::Removal).await? {
        None => Reading::Happened(None),
        Some(account) if action.verb == Verb::Deactivate && account.active() == Some(false) => {
            Reading::Happened(Some(account))
        }
        Some(_) => Reading::DidNotHappen,
    })
}

async fn read_update<O: Observe>(target: &O, action: &PlannedAction) -> Result<Reading, TargetError> {
    let Some(id) = &action.target_id else { return Ok(Reading::DidNotHappen) };
    let Some(account) = target.get(id, Lane::General).await? else { return Ok(Reading::DidNotHappen) };
    let active_as_wanted = !action.activate || account.active() != Some(false);
    let shows = |path: &AttributePath| account.value(path);
    let all = action.changes.iter().filter(|change| change.path != AttributePath::active()).all(|change| {
        match (&change.to, shows(&change.path)) {
            (Some(to), Some(shown)) => {
                same_value(&change.path, to, &shown)
                    || fold_address(&to.as_text()) == fold_address(&shown.as_text())
            }
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    });
    Ok(if all && active_as_wanted { Reading::Happened(Some(account)) } else { Reading::DidNotHappen })
}

/// What follows for the link once reading showed that a write happened.
pub fn ending_of(
    action: &PlannedAction,
    link: Option<&Link>,
    account: Option<&Account>,
) -> Option<LinkWrite> {
    let now = Millis::now();
    match (action.verb, link, account) {
        (Verb::Delete, _, _) => Some(LinkWrite::Remove),
        (Verb::Deactivate, Some(link), Some(_)) => Some(LinkWrite::Put(Box::new(settle_state(
            link,
            LinkState::Deactivated(now),
            action.observation,
        )))),
        (Verb::Deactivate, Some(link), None) => {
            Some(LinkWrite::Put(Box::new(settle_state(link, LinkState::Gone(now), action.observation))))
        }
        (Verb::Create | Verb::Adopt | Verb::Update | Verb::Reactivate, link, Some(account)) => {
            let settled = settle_write(&Written {
                action,
                link,
                target_id: &account.id,
                account: Some(account),
                refused: &[],
                now,
            });
            Some(LinkWrite::Put(Box::new(settled.link)))
        }
        (Verb::Deactivate, None, _)
        | (Verb::Create | Verb::Adopt | Verb::Update | Verb::Reactivate, _, None)
        | (Verb::HoldBack | Verb::Skip, _, _) => None,
    }
}

/// Settles what a crash, or a target that went away, left in flight. Runs before anything else of a run.
pub async fn recover<O: Observe>(
    context: &Context<'_, O>,
    store: &Store,
    tenure: &Tenure,
) -> Result<u64, RunError> {
    let mut settled = 0;
    for in_flight in store.snapshot().in_flight(tenure).await? {
        let action = &in_flight.action;
        let link = store.snapshot().link(tenure.sync(), &action.source_id).await?;
        let (how, link, detail) = match read_back(context.target, action).await {
            Reading::Happened(account) => (
                Settled::Applied,
                ending_of(action, link.as_ref(), account.as_ref()).unwrap_or(LinkWrite::Keep),
                "settled by reading after an interruption: it had happened",
            ),
            Reading::DidNotHappen => (
                Settled::NotSent,
                LinkWrite::Keep,
                "settled by reading after an interruption: it had not happened",
            ),
            Reading::CannotTell(why) => return Err(RunError::Target(TargetError::Unavailable(why))),
        };
        let settlement = Settlement {
            intent: in_flight.id,
            settled: how,
            status: None,
            detail: Some(detail.to_owned()),
            attempts: 0,
            link,
            at: Millis::now(),
        };
        store.settle(tenure, settlement).await?;
        settled += 1;
        let outcome = if how == Settled::Applied { Outcome::Applied } else { Outcome::Deferred };
        let line = super::hand::record(action, outcome, Some(detail.to_owned()));
        context.watcher.tell(&RunEvent::Acted { record: Box::new(line), duration_millis: 0 });
    }
    Ok(settled)
}

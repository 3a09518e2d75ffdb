//! Settling by reading: what a write came to whose reply was lost, in a run or in a crash.
//!
//! What lives here: reading back, and recovery, intent by intent. What must not: whether the write is wanted (`planning`).
//!
//! *Invariant*: an intent that nobody can settle concerns one person. It fails no run.

use std::collections::HashSet;

use crate::core::settlement::{AcknowledgedWrite, settle_state, settle_write};
use crate::engine::context::RunContext;
use crate::engine::error::RunError;
use crate::http::Lane;
use crate::model::account::Account;
use crate::model::attributes::{AttributePath, Scalar};
use crate::model::folding::{fold_address, same_value};
use crate::model::id::SourceId;
use crate::model::link::{Link, LinkState};
use crate::model::plan::{PlannedAction, Verb};
use crate::model::report::Outcome;
use crate::model::run_event::RunEvent;
use crate::model::time::Millis;
use crate::scim::target::{Criterion, Observe, TargetError};
use crate::store::{InFlight, IntentOutcome, IntentSettlement, LinkWrite, Store, Tenure};

/// Targets index late: an empty search so soon after a creation tells nothing.
const INDEXED_AFTER_MILLIS: i64 = 10 * 60 * 1000;
/// A request that was given up may still arrive for so long.
const LATE_MILLIS: i64 = 10 * 60 * 1000;
/// Where no listing can be had, two empty searches so far apart decide.
const EMPTY_TWICE_APART_MILLIS: i64 = 3600 * 1000;

/// What reading showed.
#[derive(Debug)]
pub enum Reading {
    /// It happened; the account as it is now, where there is one.
    Happened(Option<Account>),
    /// It did not.
    DidNotHappen,
    /// The account does not show what the write was about: whether it is active.
    Unseen,
    /// A search came back empty, which may be too early to tell.
    Nothing(String),
    /// The target did not tell.
    CannotTell(String),
}

/// Reads whether a write happened.
pub async fn read_back<O: Observe>(target: &O, action: &PlannedAction) -> Reading {
    let reading = match action.verb {
        Verb::Create => read_creation(target, action).await,
        Verb::Deactivate | Verb::Delete => read_removal(target, action).await,
        Verb::Adopt | Verb::Update | Verb::Reactivate => read_update(target, action).await,
        Verb::Block | Verb::Skip => Ok(Reading::DidNotHappen),
    };
    reading.unwrap_or_else(|error| Reading::CannotTell(format!("reading it back failed: {error}")))
}

/// An unsettled creation is searched by the mark and the login that were sent.
async fn read_creation<O: Observe>(target: &O, action: &PlannedAction) -> Result<Reading, TargetError> {
    let Some(desired) = &action.desired else { return Ok(Reading::DidNotHappen) };
    let mut hits = Vec::new();
    if target.finds_external_id() {
        hits = target.find(&Criterion::ExternalId(desired.external_id().to_owned())).await?.accounts;
    }
    if hits.is_empty() {
        hits = target.find(&Criterion::UserName(desired.user_name().to_owned())).await?.accounts;
    }
    Ok(created_among(hits, action))
}

/// Nobody had this login when we looked before creating. An account that bears another mark is not ours, and one without a
/// mark is ours only if it holds everything else that was sent: somebody may have made it by hand since.
fn created_among(mut hits: Vec<Account>, action: &PlannedAction) -> Reading {
    let Some(desired) = &action.desired else { return Reading::DidNotHappen };
    hits.retain(|account| match account.external_id().filter(|id| !id.is_empty()) {
        Some(mark) => mark == desired.external_id(),
        None => desired
            .set
            .iter()
            .filter(|(path, _)| **path != AttributePath::external_id() && **path != AttributePath::active())
            .all(|(path, value)| account.value(path).is_some_and(|shown| is_same(path, value, &shown))),
    });
    match <[Account; 1]>::try_from(hits) {
        Ok([account]) => Reading::Happened(Some(account)),
        Err(hits) if hits.is_empty() => {
            Reading::Nothing("no account has the mark or the login yet".to_owned())
        }
        Err(hits) => Reading::CannotTell(format!("{} accounts have this login now", hits.len())),
    }
}

async fn read_removal<O: Observe>(target: &O, action: &PlannedAction) -> Result<Reading, TargetError> {
    let Some(id) = &action.target_id else { return Ok(Reading::DidNotHappen) };
    Ok(match target.get(id, Lane::Removal).await? {
        None => Reading::Happened(None),
        Some(account) if action.verb == Verb::Deactivate => match account.active() {
            Some(false) => Reading::Happened(Some(account)),
            Some(true) => Reading::DidNotHappen,
            None => Reading::Unseen,
        },
        Some(_) => Reading::DidNotHappen,
    })
}

fn is_same(path: &AttributePath, sent: &Scalar, shown: &Scalar) -> bool {
    same_value(path, sent, shown) || fold_address(&sent.as_text()) == fold_address(&shown.as_text())
}

async fn read_update<O: Observe>(target: &O, action: &PlannedAction) -> Result<Reading, TargetError> {
    let Some(id) = &action.target_id else { return Ok(Reading::DidNotHappen) };
    let Some(account) = target.get(id, Lane::General).await? else { return Ok(Reading::DidNotHappen) };
    let mut values = action.changes.iter().filter(|change| change.path != AttributePath::active()).peekable();
    let sends_values = values.peek().is_some();
    let all = values.all(|change| match (&change.to, account.value(&change.path)) {
        (Some(to), Some(shown)) => is_same(&change.path, to, &shown),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    });
    Ok(match (all, action.activate, account.active()) {
        // The values went in the same request.
        (true, true, None) if !sends_values => Reading::Unseen,
        (true, true, Some(false)) | (false, _, _) => Reading::DidNotHappen,
        (true, true, Some(true) | None) | (true, false, _) => Reading::Happened(Some(account)),
    })
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
            Some(LinkWrite::Put(Box::new(settle_state(link, LinkState::Vanished(now), action.observation))))
        }
        (Verb::Create | Verb::Adopt | Verb::Update | Verb::Reactivate, link, Some(account)) => {
            let settled = settle_write(&AcknowledgedWrite {
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
        | (Verb::Block | Verb::Skip, _, _) => None,
    }
}

/// Whether a write is about access and got no answer of its own. What was given up may arrive late all the same (a proxy had
/// it), and the account is not looked at again: it is believed not to have happened only once it would have arrived.
pub(crate) fn may_come_late(action: &PlannedAction, status: Option<u16>) -> bool {
    (action.activate || action.verb.is_removal()) && matches!(status, None | Some(504))
}

/// The link to an account of which nobody will ever see whether it is active: it is taken for active, so that a leaver
/// is removed, and known for unseen, so that somebody who comes back is activated.
pub(crate) fn unseen(link: &Link) -> Link {
    Link { state: LinkState::Active, removal_seen: false, digest: None, ..link.clone() }
}

/// Settles what a crash, or a target that did not tell, left: everybody's, or these people's. What cannot be settled
/// stays unsettled, and delays nobody else. Gives how many were settled.
pub async fn recover<O: Observe>(
    context: &RunContext<'_, O>,
    store: &Store,
    tenure: &Tenure,
    people: Option<&HashSet<SourceId>>,
) -> Result<u64, RunError> {
    let mut settled = 0;
    for open in store.snapshot().in_flight(tenure).await? {
        if people.is_some_and(|people| !people.contains(&open.action.source_id)) {
            continue;
        }
        settled += u64::from(settle_one(context, store, tenure, &open).await?);
    }
    Ok(settled)
}

async fn settle_one<O: Observe>(
    context: &RunContext<'_, O>,
    store: &Store,
    tenure: &Tenure,
    open: &InFlight,
) -> Result<bool, RunError> {
    let action = &open.action;
    let link = store.snapshot().link(tenure.sync(), &action.source_id).await?;
    let now = Millis::now();
    let (how, link, detail) = match read_once_more(context.target, open, now).await {
        // 404 on a leaver's account is a question. The removal is planned again, and its 404 is looked into.
        Reading::Happened(None) if action.verb.is_removal() => (
            IntentOutcome::NotSent,
            LinkWrite::Keep,
            "settled by reading after an interruption: the account is gone, and may have been made anew",
        ),
        Reading::Happened(account) => (
            IntentOutcome::Applied,
            ending_of(action, link.as_ref(), account.as_ref()).unwrap_or(LinkWrite::Keep),
            "settled by reading after an interruption: it had happened",
        ),
        Reading::DidNotHappen => (
            IntentOutcome::NotSent,
            LinkWrite::Keep,
            "settled by reading after an interruption: it had not happened",
        ),
        Reading::Unseen => (
            IntentOutcome::GivenUp,
            link.as_ref().map_or(LinkWrite::Keep, |link| LinkWrite::Put(Box::new(unseen(link)))),
            "the workspace does not show whether it happened, and it is over by now",
        ),
        Reading::Nothing(why) => {
            let first_empty = now.since(open.sent_at) >= INDEXED_AFTER_MILLIS;
            store.leave_unsettled(tenure, open.id, why, first_empty.then_some(now), now).await?;
            return Ok(false);
        }
        Reading::CannotTell(why) => {
            store.leave_unsettled(tenure, open.id, why, None, now).await?;
            return Ok(false);
        }
    };
    let settlement = IntentSettlement {
        intent: open.id,
        settled: how,
        status: None,
        detail: Some(detail.to_owned()),
        attempts: 0,
        link,
        at: now,
    };
    store.settle(tenure, settlement).await?;
    let outcome = if how == IntentOutcome::Applied { Outcome::Applied } else { Outcome::Deferred };
    let line = crate::engine::apply::writer::record(action, outcome, Some(detail.to_owned()));
    context.watcher.tell(&RunEvent::Acted { record: Box::new(line), duration_millis: 0 });
    Ok(true)
}

/// An empty search is believed once the target has had time to index: then a complete listing decides, and where none
/// can be had, two empty searches an hour apart do.
async fn read_once_more<O: Observe>(target: &O, open: &InFlight, now: Millis) -> Reading {
    let may_still_come = open.action.verb != Verb::Create
        && open.first_empty_at.is_some_and(|first| (0..LATE_MILLIS).contains(&now.since(first)));
    let why = match read_back(target, &open.action).await {
        Reading::DidNotHappen | Reading::Unseen if may_still_come => {
            return Reading::CannotTell("it has not happened yet".to_owned());
        }
        Reading::Nothing(why) => why,
        reading @ (Reading::Happened(_)
        | Reading::DidNotHappen
        | Reading::Unseen
        | Reading::CannotTell(_)) => return reading,
    };
    let Some(desired) = &open.action.desired else { return Reading::DidNotHappen };
    if (0..INDEXED_AFTER_MILLIS).contains(&now.since(open.sent_at)) {
        return Reading::Nothing(why);
    }
    let login = Criterion::UserName(desired.user_name().to_owned());
    match target.find_by_listing(&login).await {
        Ok(listed) => match created_among(listed.accounts, &open.action) {
            Reading::Nothing(_) => Reading::DidNotHappen,
            reading @ (Reading::Happened(_)
            | Reading::DidNotHappen
            | Reading::Unseen
            | Reading::CannotTell(_)) => reading,
        },
        Err(_) => match open.first_empty_at {
            Some(first) if now.since(first) >= EMPTY_TWICE_APART_MILLIS => Reading::DidNotHappen,
            Some(_) | None => Reading::Nothing(why),
        },
    }
}

/// Looks at the accounts whose removal overtook an older write, ten minutes after: where one is active after all, the
/// link says so, and the removal is wanted again.
pub async fn look_after_overtaken<O: Observe>(
    context: &RunContext<'_, O>,
    store: &Store,
    tenure: &Tenure,
) -> Result<(), RunError> {
    for person in store.snapshot().due_overtaken(tenure.sync(), Millis::now()).await? {
        let Some(link) = store.snapshot().link(tenure.sync(), &person).await? else {
            store.end_overtaken(tenure, &person, None).await?;
            continue;
        };
        match context.target.get(&link.target_id, Lane::Removal).await {
            Ok(Some(account)) => {
                let state = match (account.active(), link.state) {
                    (Some(false), LinkState::Active) => LinkState::Deactivated(Millis::now()),
                    (Some(false), state) => state,
                    (Some(true) | None, _) => LinkState::Active,
                };
                // What the older write touched is not known any more; the link takes it from this look.
                let seen = Link {
                    state,
                    user_name: account.user_name().unwrap_or(&link.user_name).to_owned(),
                    acknowledged: account.values(&context.mapping.owned_paths()),
                    digest: None,
                    ..link
                };
                store.end_overtaken(tenure, &person, Some(seen)).await?;
            }
            Ok(None) => store.end_overtaken(tenure, &person, None).await?,
            Err(error) => {
                tracing::debug!(%error, "an account that an older write may have reached could not be read")
            }
        }
    }
    Ok(())
}

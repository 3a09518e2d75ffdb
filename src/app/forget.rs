//! `forget`: a link is dropped and its person pinned, so that the account is not rosterd's any more; `--lift` takes a
//! pin away again. Nothing is sent to either side.

use super::desk::Desk;
use super::{Complaint, state_complaint};
use crate::core::normalize::fold_address;
use crate::exit;
use crate::model::id::SourceId;
use crate::model::link::Link;
use crate::model::time::Millis;
use crate::report::visible;
use crate::store::Snapshot;

/// A link of some sync.
struct Linked {
    sync: String,
    link: Link,
}

/// A pin of some sync.
struct Pinned {
    sync: String,
    source_id: SourceId,
    reason: String,
}

/// Drops the link of a person.
pub(super) async fn forget(desk: &Desk<'_>, who: &str, yes: bool) -> u8 {
    match forgotten(desk, who, yes).await {
        Ok(()) => exit::OK,
        Err(complaint) => desk.complain(complaint),
    }
}

async fn forgotten(desk: &Desk<'_>, who: &str, yes: bool) -> Result<(), Complaint> {
    let found = links_of(desk, who).await?;
    let Linked { sync, link } = one(
        found,
        |linked| &linked.sync,
        || {
            let text = format!(
                "no link of {} is on record\nhelp: give a login, a source id or an account id; `rosterd history --user` \
             shows whom rosterd knows",
                visible(who)
            );
            (text, exit::USAGE)
        },
    )?;
    let (login, account) = (visible(&link.user_name), &link.target_id);
    desk.console.say(&format!(
        "{login} ({}) and account {account} of sync \"{}\": the link is dropped, the account stays as it is and is not \
         touched again until the source changes for this person",
        link.source_id,
        visible(&sync)
    ));
    if desk.cli.dry_run || (!yes && !desk.console.confirmed("Forget this link?").await?) {
        desk.console.say("nothing was forgotten");
        return Ok(());
    }
    let store = desk.write().await?;
    let tenure = store.tenure(&sync).await.map_err(state_complaint)?;
    let by = desk.console.who();
    let done = store.forget(&tenure, &link.source_id, &by, Millis::now()).await.map_err(state_complaint)?;
    if !done {
        let text = format!(
            "a write for {login} is not settled yet, so nothing was forgotten\nhelp: repeat this after `rosterd \
             --reconcile-now --user {}`",
            link.source_id
        );
        return Err((text, exit::FAILURE));
    }
    tracing::info!(sync, user = link.user_name, account = account.as_str(), by, "forgotten");
    store.close().await?;
    desk.console.say(&format!(
        "forgotten: {login}; `rosterd forget --lift {}` lets rosterd plan for this person again",
        link.source_id
    ));
    Ok(())
}

/// Takes the pin of a person away, whatever it came from.
pub(super) async fn lift(desk: &Desk<'_>, who: &str) -> u8 {
    match lifted(desk, who).await {
        Ok(()) => exit::OK,
        Err(complaint) => desk.complain(complaint),
    }
}

async fn lifted(desk: &Desk<'_>, who: &str) -> Result<(), Complaint> {
    let found = pins_of(desk, who).await?;
    let Pinned { sync, source_id, reason } = one(
        found,
        |pinned| &pinned.sync,
        || {
            let text = format!(
                "nothing is pinned for {}\nhelp: give a login, a source id or an account id",
                visible(who)
            );
            (text, exit::USAGE)
        },
    )?;
    let (name, reason) = (visible(&sync), visible(&reason));
    if desk.cli.dry_run {
        desk.console.say(&format!("{source_id} of sync \"{name}\" stays pinned: {reason}"));
        return Ok(());
    }
    let store = desk.write().await?;
    let tenure = store.tenure(&sync).await.map_err(state_complaint)?;
    let by = desk.console.who();
    store.lift(&tenure, &source_id, &by, Millis::now()).await.map_err(state_complaint)?;
    tracing::info!(sync, source_id = source_id.as_str(), by, "a pin was lifted");
    store.close().await?;
    desk.console.say(&format!(
        "lifted for {source_id} of sync \"{name}\": {reason}; the next run plans for them again"
    ));
    Ok(())
}

/// The links that a login, a source id or an account id means, in the chosen syncs.
async fn links_of(desk: &Desk<'_>, who: &str) -> Result<Vec<Linked>, Complaint> {
    let snapshot = desk.read().await?;
    let mut found: Vec<Linked> = Vec::new();
    for sync in desk.chosen()? {
        for link in in_sync(&snapshot, &sync.name, who).await? {
            let known =
                found.iter().any(|other| other.sync == sync.name && other.link.source_id == link.source_id);
            if !known {
                found.push(Linked { sync: sync.name.clone(), link });
            }
        }
    }
    Ok(found)
}

async fn in_sync(snapshot: &Snapshot, sync: &str, who: &str) -> Result<Vec<Link>, Complaint> {
    let by = [
        snapshot.link(sync, &SourceId::new(who)).await.map_err(state_complaint)?,
        snapshot.link_by_account(sync, who).await.map_err(state_complaint)?,
        snapshot.link_by_login(sync, who).await.map_err(state_complaint)?,
    ];
    Ok(by.into_iter().flatten().collect())
}

/// The pins that a login, a source id or an account id means, in the chosen syncs.
async fn pins_of(desk: &Desk<'_>, who: &str) -> Result<Vec<Pinned>, Complaint> {
    let snapshot = desk.read().await?;
    let mut found = Vec::new();
    for sync in desk.chosen()? {
        let linked: Vec<SourceId> =
            in_sync(&snapshot, &sync.name, who).await?.into_iter().map(|link| link.source_id).collect();
        for (source_id, pin) in snapshot.pins(&sync.name).await.map_err(state_complaint)? {
            let is_meant = source_id.as_str() == who
                || linked.contains(&source_id)
                || pin.target_id.as_ref().is_some_and(|id| id.as_str() == who)
                || pin.user_name.as_ref().is_some_and(|name| fold_address(name) == fold_address(who));
            if is_meant {
                found.push(Pinned { sync: sync.name.clone(), source_id, reason: pin.reason });
            }
        }
    }
    Ok(found)
}

/// The only one of those found.
fn one<T>(
    mut found: Vec<T>,
    sync: impl Fn(&T) -> &String,
    nobody: impl FnOnce() -> Complaint,
) -> Result<T, Complaint> {
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(nobody()),
        (Some(last), false) => {
            let mut names: Vec<&str> = found.iter().chain([&last]).map(|one| sync(one).as_str()).collect();
            names.dedup();
            let names = visible(&names.join(", ")).into_owned();
            let text = format!(
                "that is more than one person (sync {names})\nhelp: give the source id, and --sync where it is the \
                 same in several"
            );
            Err((text, exit::USAGE))
        }
    }
}

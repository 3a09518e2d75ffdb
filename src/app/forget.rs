//! `forget`: a link is dropped and its person pinned, so that the account is not rosterd's any more; `--lift` takes a
//! pin away again, `--unsettled` gives up a write that nobody can settle, and without a person a sync that is configured
//! no more is dropped. Nothing is sent to either side.

use super::command_context::CommandContext;
use super::{CommandError, state_complaint};
use crate::cli::ForgetOptions;
use crate::exit;
use crate::model::folding::fold_address;
use crate::model::id::SourceId;
use crate::model::link::Link;
use crate::model::status::UnconfiguredSync;
use crate::model::time::Millis;
use crate::report::visible;
use crate::store::{ForgottenSync, Snapshot, Unsettled};

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

/// `rosterd forget`, in each of its forms.
pub(super) async fn run(context: &CommandContext<'_>, options: &ForgetOptions) -> u8 {
    let done = match (&options.who, options.lift, options.unsettled) {
        (Some(who), true, _) => lifted(context, who).await,
        (Some(who), false, true) => given_up(context, who, options.yes).await,
        (Some(who), false, false) => forgotten(context, who, options.yes).await,
        (None, _, _) => drop_syncs(context, options.yes).await,
    };
    match done {
        Ok(()) => exit::OK,
        Err(error) => context.report_error(error),
    }
}

/// Gives up the writes of a person whose outcome nobody can tell.
async fn given_up(context: &CommandContext<'_>, who: &str, yes: bool) -> Result<(), CommandError> {
    let (sync, writes) = unsettled_of(context, who).await?;
    let Some(first) = writes.first() else { return Ok(()) };
    let (id, name) = (first.source_id.clone(), visible(&sync).into_owned());
    for Unsettled { user, verb, sent_at, reason, .. } in &writes {
        context.console.say(&format!(
            "the {} for {} ({id}) of sync \"{name}\", sent {}, is not settled: {}",
            verb.as_str(),
            visible(user),
            sent_at.rfc3339(),
            if reason.is_empty() { "nobody has looked yet".to_owned() } else { visible(reason).into_owned() }
        ));
    }
    context.console.say(
        "whether it was done stays unknown; the next run looks at the workspace first, then plans afresh",
    );
    if context.cli.dry_run || (!yes && !context.console.confirmed("Give this up?").await?) {
        context.console.say("nothing was given up");
        return Ok(());
    }
    let store = context.write().await?;
    let tenure = store.tenure(&sync).await.map_err(state_complaint)?;
    let by = context.console.who();
    let done = store.give_up_unsettled(&tenure, &id, &by, Millis::now()).await.map_err(state_complaint)?;
    if done == 0 {
        let text = format!(
            "the request for {id} is still on its way, so nothing was given up\nhelp: repeat this in a minute"
        );
        return Err((text, exit::FAILURE));
    }
    tracing::info!(sync, source_id = id.as_str(), by, "an unsettled write was given up");
    store.close().await?;
    context
        .console
        .say(&format!("given up for {id}; `rosterd --reconcile-now --user {id}` looks and plans at once"));
    Ok(())
}

/// The sync and the unsettled writes of the only person of this name.
async fn unsettled_of(
    context: &CommandContext<'_>,
    who: &str,
) -> Result<(String, Vec<Unsettled>), CommandError> {
    let snapshot = context.read().await?;
    let mut found: Vec<(String, Vec<Unsettled>)> = Vec::new();
    // A sync that is not configured any more may have left something, so the state's names are asked too.
    let mut names: Vec<String> = match context.cli.run.sync.as_slice() {
        [] => context.config.syncs.iter().map(|sync| sync.name.clone()).collect(),
        named => named.to_vec(),
    };
    if context.cli.run.sync.is_empty() {
        let left = snapshot.unconfigured(names.clone()).await.map_err(state_complaint)?;
        names.extend(left.into_iter().map(|sync| sync.name));
    }
    for name in names {
        let writes = snapshot.unsettled_of(&name, who).await.map_err(state_complaint)?;
        if !writes.is_empty() {
            found.push((name, writes));
        }
    }
    let (sync, writes) = one(
        found,
        |(sync, _)| sync,
        || {
            let text = format!(
                "nothing of {} is unsettled\nhelp: `rosterd status` lists what waits for an earlier write",
                visible(who)
            );
            (text, exit::USAGE)
        },
    )?;
    if writes.iter().any(|write| write.source_id != writes[0].source_id) {
        let text = "that is more than one person\nhelp: give the source id";
        return Err((text.to_owned(), exit::USAGE));
    }
    Ok((sync, writes))
}

/// Drops what is left of syncs that are configured no more.
async fn drop_syncs(context: &CommandContext<'_>, yes: bool) -> Result<(), CommandError> {
    if context.cli.run.sync.is_empty() {
        let text = "nobody is named\nhelp: rosterd forget WHO; `rosterd forget --sync NAME` drops a sync that is \
                    configured no more";
        return Err((text.to_owned(), exit::USAGE));
    }
    let configured: Vec<String> = context.config.syncs.iter().map(|sync| sync.name.clone()).collect();
    let left = context.read().await?.unconfigured(configured.clone()).await.map_err(state_complaint)?;
    let mut chosen = Vec::new();
    for name in &context.cli.run.sync {
        let shown = visible(name);
        if configured.contains(name) {
            let text = format!(
                "sync \"{shown}\" is configured, so it is not dropped\nhelp: take it out of the configuration first; \
                 `rosterd forget WHO` drops one link"
            );
            return Err((text, exit::USAGE));
        }
        let Some(sync) = left.iter().find(|sync| sync.name == *name) else {
            let text = format!(
                "nothing is left of a sync \"{shown}\"\nhelp: `rosterd status` names the syncs that are configured no \
                 more"
            );
            return Err((text, exit::USAGE));
        };
        chosen.push(sync.clone());
    }
    for sync in &chosen {
        drop_sync(context, sync, yes).await?;
    }
    Ok(())
}

async fn drop_sync(
    context: &CommandContext<'_>,
    sync: &UnconfiguredSync,
    yes: bool,
) -> Result<(), CommandError> {
    let UnconfiguredSync { name, links, unsettled, leavers_with_access, .. } = sync;
    let shown = visible(name);
    context.console.say(&format!(
        "sync \"{shown}\": {links} links and {unsettled} unsettled writes are dropped; the accounts stay as they are, those \
         of {leavers_with_access} people who left and still have access among them; its history stays"
    ));
    if context.cli.dry_run || (!yes && !context.console.confirmed("Drop this sync?").await?) {
        context.console.say("nothing was forgotten");
        return Ok(());
    }
    let store = context.write().await?;
    store.tenure(name).await.map_err(state_complaint)?;
    if store.snapshot().is_running(name).await.map_err(state_complaint)? {
        let text = format!("a run of sync \"{shown}\" is under way\nhelp: wait for its end, then repeat");
        return Err((text, exit::FAILURE));
    }
    // A new tenure: nothing that began before writes any more, and nothing is on its way.
    store.give_up_tenure(name).await;
    let tenure = store.tenure(name).await.map_err(state_complaint)?;
    let by = context.console.who();
    let ForgottenSync { links, unsettled } =
        store.forget_sync(&tenure, &by, Millis::now()).await.map_err(state_complaint)?;
    tracing::info!(sync = name, links, unsettled, by, "a sync was dropped");
    store.close().await?;
    context.console.say(&format!("forgotten: sync \"{shown}\" with {links} links"));
    Ok(())
}

async fn forgotten(context: &CommandContext<'_>, who: &str, yes: bool) -> Result<(), CommandError> {
    let found = links_of(context, who).await?;
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
    context.console.say(&format!(
        "{login} ({}) and account {account} of sync \"{}\": the link is dropped, the account stays as it is and is not \
         touched again until the source changes for this person",
        link.source_id,
        visible(&sync)
    ));
    if context.cli.dry_run || (!yes && !context.console.confirmed("Forget this link?").await?) {
        context.console.say("nothing was forgotten");
        return Ok(());
    }
    let store = context.write().await?;
    let tenure = store.tenure(&sync).await.map_err(state_complaint)?;
    let by = context.console.who();
    let done = store.forget(&tenure, &link.source_id, &by, Millis::now()).await.map_err(state_complaint)?;
    if !done {
        let text = format!(
            "a write for {login} is not settled yet, so nothing was forgotten\nhelp: repeat this after `rosterd \
             --reconcile-now --user {}`; where nobody can settle it, `rosterd forget {} --unsettled` gives it up",
            link.source_id, link.source_id
        );
        return Err((text, exit::FAILURE));
    }
    tracing::info!(sync, user = link.user_name, account = account.as_str(), by, "forgotten");
    store.close().await?;
    context.console.say(&format!(
        "forgotten: {login}; `rosterd forget --lift {}` lets rosterd plan for this person again",
        link.source_id
    ));
    Ok(())
}

/// Takes the pin of a person away, whatever it came from.
async fn lifted(context: &CommandContext<'_>, who: &str) -> Result<(), CommandError> {
    let found = pins_of(context, who).await?;
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
    if context.cli.dry_run {
        context.console.say(&format!("{source_id} of sync \"{name}\" stays pinned: {reason}"));
        return Ok(());
    }
    let store = context.write().await?;
    let tenure = store.tenure(&sync).await.map_err(state_complaint)?;
    let by = context.console.who();
    store.lift(&tenure, &source_id, &by, Millis::now()).await.map_err(state_complaint)?;
    tracing::info!(sync, source_id = source_id.as_str(), by, "a pin was lifted");
    store.close().await?;
    context.console.say(&format!(
        "lifted for {source_id} of sync \"{name}\": {reason}; the next run plans for them again"
    ));
    Ok(())
}

/// The links that a login, a source id or an account id means, in the chosen syncs.
async fn links_of(context: &CommandContext<'_>, who: &str) -> Result<Vec<Linked>, CommandError> {
    let snapshot = context.read().await?;
    let mut found: Vec<Linked> = Vec::new();
    for sync in context.chosen()? {
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

async fn in_sync(snapshot: &Snapshot, sync: &str, who: &str) -> Result<Vec<Link>, CommandError> {
    let by = [
        snapshot.link(sync, &SourceId::new(who)).await.map_err(state_complaint)?,
        snapshot.link_by_account(sync, who).await.map_err(state_complaint)?,
        snapshot.link_by_login(sync, who).await.map_err(state_complaint)?,
    ];
    Ok(by.into_iter().flatten().collect())
}

/// The pins that a login, a source id or an account id means, in the chosen syncs.
async fn pins_of(context: &CommandContext<'_>, who: &str) -> Result<Vec<Pinned>, CommandError> {
    let snapshot = context.read().await?;
    let mut found = Vec::new();
    for sync in context.chosen()? {
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
    nobody: impl FnOnce() -> CommandError,
) -> Result<T, CommandError> {
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

//! `holds`, `approve`, `reject`, `pause`, `resume`: what waits for a person, and what the person decides.

use std::collections::HashMap;
use std::time::Duration;

use super::command_context::CommandContext;
use super::command_error::{CommandError, state_complaint};
use super::runs::{RunBatch, carry_out_all};
use crate::engine::selection::Selection;
use crate::exit;
use crate::model::owed::WaitsFor;
use crate::model::report::Trigger;
use crate::model::time::Millis;
use crate::operations::run_task::RunTask;
use crate::report::visible;
use crate::store::{Decided, Hold, Snapshot, Store, StoreError};

/// Pairs that a list shows before it is cut.
const SHOWN: usize = 200;

/// Prints the open holds.
pub(super) async fn list(context: &CommandContext<'_>) -> u8 {
    match listed(context).await {
        Ok(()) => exit::OK,
        Err(error) => context.report_error(error),
    }
}

async fn listed(context: &CommandContext<'_>) -> Result<(), CommandError> {
    let snapshot = context.read().await?;
    let holds = snapshot.open_holds(None, Millis::now()).await.map_err(state_complaint)?;
    if holds.is_empty() {
        context.console.print("nothing is held\n");
    }
    for hold in holds {
        context.console.print(&shown(&snapshot, &hold, hold.revision).await?);
    }
    Ok(())
}

/// Releases the pairs of a hold and runs them.
pub(super) async fn approve(context: &CommandContext<'_>, id: &str, yes: bool, no_run: bool) -> u8 {
    let decided = match release(context, id, yes, no_run).await {
        Ok(Some(decided)) => decided,
        Ok(None) => return context.report_error(("nothing was approved".to_owned(), exit::HELD)),
        Err(error) => return context.report_error(error),
    };
    let count = people(decided.people.len());
    context.console.say(&format!("approved {count} of sync \"{}\"", visible(&decided.sync)));
    if no_run {
        context.console.say("the next run sends them; an approval that cannot be sent lasts 24 hours");
        for run in decided.of_returns.keys() {
            context
                .console
                .say(&format!("`rosterd undo --run {run} --yes` sends those that take back run {run}"));
        }
        return exit::OK;
    }
    let ordinary = decided.of_no_return();
    let mut tasks = Vec::new();
    if !ordinary.is_empty() {
        tasks.push((RunTask::Reconcile(Selection::Ids(ordinary)), Trigger::Approval));
    }
    // What a return held is sent by the same return again: what went back already is not sent twice.
    let actor = context.console.who();
    let returns = decided.of_returns.keys().map(|run| RunTask::Undo { run: *run, actor: actor.clone() });
    tasks.extend(returns.map(|task| (task, Trigger::Undo)));
    let batch = |(task, trigger)| {
        let syncs = context.config.syncs.iter().filter(|sync| sync.name == decided.sync).collect();
        RunBatch { syncs, task, trigger, dry: false, saved_plans: HashMap::new() }
    };
    carry_out_all(context, tasks.into_iter().map(batch).collect()).await
}

async fn release(
    context: &CommandContext<'_>,
    id: &str,
    yes: bool,
    no_run: bool,
) -> Result<Option<Decided>, CommandError> {
    let (number, revision) = parse(id)?;
    let store = context.write().await?;
    let hold = find(store.snapshot(), number).await?;
    let revision = revision.unwrap_or(hold.revision);
    if !(1..=hold.revision).contains(&revision) {
        let (id, now) = (hold.id(), hold.revision);
        let message =
            format!("{id} has revision {now} now, and no {revision}\nhelp: `rosterd holds` lists what waits");
        return Err((message, exit::USAGE));
    }
    // On stderr, as the question is: standard output belongs to the report.
    context.console.say(shown(store.snapshot(), &hold, revision).await?.trim_end());
    let question =
        if no_run { "Release these? The next run sends them." } else { "Release these and run them now?" };
    if !yes && !context.console.confirmed(question).await? {
        return Ok(None);
    }
    let by = context.console.who();
    let decided = store.approve(number, revision, &by, Millis::now()).await.map_err(state_complaint)?;
    tracing::info!(sync = decided.sync, hold = hold.id(), by, "approved");
    store.close().await?;
    Ok(Some(decided))
}

/// Drops a hold and pins its pairs.
pub(super) async fn reject(context: &CommandContext<'_>, id: &str, yes: bool) -> u8 {
    let rejected = async {
        let (number, revision) = parse(id)?;
        if revision.is_some() {
            let message =
                format!("reject drops a whole hold, not a revision of it\nhelp: rosterd reject h{number}");
            return Err((message, exit::USAGE));
        }
        let store = context.write().await?;
        if !yes && context.console.is_interactive() {
            let hold = find(store.snapshot(), number).await?;
            context.console.say(shown(store.snapshot(), &hold, hold.revision).await?.trim_end());
            if !context.console.confirmed("Drop these? They are not planned this way again.").await? {
                return Ok(None);
            }
        }
        let by = context.console.who();
        let decided = store.reject(number, &by, Millis::now()).await.map_err(state_complaint)?;
        tracing::info!(sync = decided.sync, hold = id, by, "rejected");
        store.close().await?;
        Ok::<_, CommandError>(Some(decided))
    };
    match rejected.await {
        Ok(None) => context.report_error(("nothing was rejected".to_owned(), exit::HELD)),
        Ok(Some(decided)) => {
            context.console.say(&format!(
                "rejected: {} of sync \"{}\", not planned this way again until the source changes for them",
                people(decided.people.len()),
                visible(&decided.sync)
            ));
            exit::OK
        }
        Err(error) => context.report_error(error),
    }
}

/// Stops (`Some`) or starts (`None`) the writes of the chosen syncs.
pub(super) async fn pause(context: &CommandContext<'_>, pause: Option<Option<Duration>>) -> u8 {
    let until = pause.map(|length| match length {
        Some(length) => Millis(Millis::now().0.saturating_add(length.as_millis() as i64)),
        None => Millis::FOR_GOOD,
    });
    let set = async {
        let syncs = context.chosen()?;
        let store = context.write().await?;
        let by = context.console.who();
        for sync in &syncs {
            store.set_pause(&sync.name, until, &by, Millis::now()).await.map_err(state_complaint)?;
            if let Some(daemon) = context.daemon {
                daemon.pause_was_set(&sync.name, until.is_some()).await;
            }
            context.console.say(&match until {
                None => format!("sync \"{}\" writes again", sync.name),
                Some(Millis::FOR_GOOD) => {
                    format!("sync \"{}\" writes nothing until `rosterd resume`", sync.name)
                }
                Some(until) => format!("sync \"{}\" writes nothing until {}", sync.name, until.rfc3339()),
            });
            if until.is_some() {
                list_unsettled(context, &store, &sync.name).await?;
            }
        }
        store.close().await
    };
    match set.await {
        Ok(()) => exit::OK,
        Err(error) => context.report_error(error),
    }
}

/// Who is unsettled does not delay a pause, and is named: such a write may have reached the workspace.
async fn list_unsettled(context: &CommandContext<'_>, store: &Store, sync: &str) -> Result<(), CommandError> {
    let owed = store.snapshot().owed(sync).await.map_err(state_complaint)?;
    for change in owed.iter().filter(|change| change.waits_for == WaitsFor::Unsettled) {
        context.console.say(&format!(
            "not settled yet: {}: {}",
            visible(&change.user),
            visible(&change.detail)
        ));
    }
    Ok(())
}

async fn find(snapshot: &Snapshot, number: i64) -> Result<Hold, CommandError> {
    let holds = snapshot.open_holds(None, Millis::now()).await.map_err(state_complaint)?;
    holds
        .into_iter()
        .find(|hold| hold.number == number)
        .ok_or_else(|| state_complaint(StoreError::NoSuchHold(number)))
}

/// A hold as people see it: the pairs up to a revision, why they wait, and the commands that decide.
async fn shown(snapshot: &Snapshot, hold: &Hold, revision: u32) -> Result<String, CommandError> {
    let mut pairs = snapshot.waiting(hold.number).await.map_err(state_complaint)?;
    pairs.retain(|pair| pair.revision <= revision);
    let (id, verb) = (hold.id(), hold.verb.as_str());
    let mut lines = vec![
        format!(
            "{id}@{revision}  sync \"{}\": {} to {verb}, waiting since {}, open until {}",
            visible(&hold.sync),
            pairs.len(),
            hold.opened_at.rfc3339(),
            hold.expires_at.rfc3339()
        ),
        format!("  why: {}", visible(&hold.reason)),
    ];
    let people = pairs.iter().take(SHOWN);
    lines.extend(people.map(|pair| {
        let back = pair.undoes.map(|run| format!(", to take back run {run}")).unwrap_or_default();
        format!("  {verb}  {} ({}){back}", visible(&pair.user), pair.source_id)
    }));
    if pairs.len() > SHOWN {
        lines.push(format!("  … and {} more", pairs.len() - SHOWN));
    }
    lines.push(format!("  release: rosterd approve {id}@{revision}    drop: rosterd reject {id}\n"));
    Ok(lines.join("\n"))
}

fn people(number: usize) -> String {
    format!("{number} {}", if number == 1 { "person" } else { "people" })
}

/// `h7` or `h7@2`.
fn parse(id: &str) -> Result<(i64, Option<u32>), CommandError> {
    let wrong =
        || (format!("`{id}` is no hold\nhelp: write h7 or h7@2; `rosterd holds` lists them"), exit::USAGE);
    let (hold, revision) = match id.split_once('@') {
        Some((hold, revision)) => (hold, Some(revision.parse().map_err(|_| wrong())?)),
        None => (id, None),
    };
    let number = hold.strip_prefix('h').and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
    Ok((number, revision))
}

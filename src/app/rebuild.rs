//! `rosterd rebuild`: lost links are found again in the workspace; a damaged database is moved aside first.

use std::collections::HashMap;
use std::sync::Arc;

use super::command_context::{CommandContext, Reading, Writing};
use super::command_error::{CommandError, state_complaint};
use super::runs;
use super::state_owner::refuse_root_in_somebody_elses_state;
use crate::cli::ListFormat;
use crate::config;
use crate::engine::context::target_url;
use crate::engine::error::RunError;
use crate::engine::session::{SyncSession, vendor};
use crate::exit;
use crate::http::pacer::Pacers;
use crate::model::history::EventKind;
use crate::model::id::Vendor;
use crate::model::report::Mode;
use crate::model::time::Millis;
use crate::operations::rebuild::{Rebuild, RebuildRequest, Taken, plan_rebuild, store_rebuild, taken};
use crate::report::{RebuildReport, write_rebuilds, write_rebuilds_json};
use crate::store::{NewEvent, Restored, Snapshot, Store, StoreError, counted, set_aside};

/// One rebuild or transfer at a time in one process: a daemon may be asked twice.
pub(super) static UNDER_WAY: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// `rosterd rebuild`.
pub(super) async fn run(context: &CommandContext<'_>, yes: bool) -> u8 {
    rebuild(context, yes).await.unwrap_or_else(|error| context.report_error(error))
}

async fn rebuild(context: &CommandContext<'_>, yes: bool) -> Result<u8, CommandError> {
    context.list_format()?;
    let _alone = alone()?;
    let syncs = context.chosen()?;
    if let Some(message) = runs::unreadable_secrets(&syncs) {
        return Err((message, exit::CONFIG));
    }
    if context.cli.dry_run {
        let snapshot = read_or_empty(context).await?;
        let mut found = look(context, &syncs, &snapshot).await?;
        deliver(context, &mut found).await?;
        let pending = found.iter().any(|(_, rebuild)| rebuild.facts.linked > 0);
        return Ok(if pending && context.cli.run.detailed_exitcode {
            exit::CHANGES_PENDING
        } else {
            exit::OK
        });
    }
    let Some((store, was_damaged)) = write_or_set_aside(context, yes).await? else {
        return Ok(context.console.report_error("nothing was moved and nothing rebuilt", exit::HELD));
    };
    let mut found = look(context, &syncs, store.snapshot()).await?;
    if found.iter().any(|(_, rebuild)| rebuild.facts.linked > 0) && !yes {
        let mut text = Vec::new();
        let mut reports = reports(&mut found);
        let written = write_rebuilds(&mut reports, &mut text);
        give_back(&mut found, reports);
        written.map_err(|error| (format!("cannot show the links: {error}"), exit::FAILURE))?;
        context.console.say(String::from_utf8_lossy(&text).trim_end());
        if !context.console.confirmed("Store these links?").await? {
            return Ok(context.console.report_error("no link was stored", exit::HELD));
        }
    }
    for (session, rebuild) in &mut found {
        let restored = store_rebuild(&store, &session.config, &session.source, rebuild)
            .await
            .map_err(|error| run_complaint(&session.config.name, error))?;
        rebuild.facts.mode = Mode::Apply;
        rebuild.facts.linked = restored.stored;
        if restored.taken > 0 {
            let note =
                format!("{} were linked by somebody else meanwhile and stay as they are", restored.taken);
            rebuild.facts.notes.push(note);
        }
        let by = context.console.who();
        tracing::info!(sync = session.config.name, links = restored.stored, by, "rebuilt");
        note(&store, by, &session.config.name, restored, was_damaged).await?;
    }
    store.close().await?;
    deliver(context, &mut found).await?;
    Ok(exit::OK)
}

/// Puts on record what was stored; a rebuild that changed nothing is none.
async fn note(
    store: &Store,
    by: String,
    sync: &str,
    restored: Restored,
    was_damaged: bool,
) -> Result<(), CommandError> {
    let Restored { stored, taken: _ } = restored;
    if stored == 0 && !was_damaged {
        return Ok(());
    }
    let detail = was_damaged.then(|| "a damaged state was moved aside before".to_owned());
    let (kind, sync, at) = (EventKind::Rebuild, Some(sync.to_owned()), Millis::now());
    let event = NewEvent { kind, sync, by, at, counts: counted([("links", stored)]), detail };
    store.note_event(event).await.map_err(state_complaint)
}

/// The guard of [`UNDER_WAY`].
pub(super) fn alone() -> Result<tokio::sync::MutexGuard<'static, ()>, CommandError> {
    UNDER_WAY.try_lock().map_err(|_| {
        let text = "another rebuild or transfer is under way\nhelp: wait for its end, then repeat";
        (text.to_owned(), exit::BUSY)
    })
}

type Found = Vec<(Arc<SyncSession>, Rebuild)>;

/// Looks for the links of each sync. What one finds is no other's.
async fn look(
    context: &CommandContext<'_>,
    syncs: &[&config::Sync],
    snapshot: &Snapshot,
) -> Result<Found, CommandError> {
    let pacers = Pacers::new();
    let mut found = Vec::new();
    let mut taken_by_workspace: HashMap<String, Taken> = HashMap::new();
    for sync in syncs {
        let error = |error: RunError| run_complaint(&sync.name, error);
        let session = context.session(sync, &pacers, snapshot).await?;
        let workspace = target_url(&sync.target);
        let mut known = match taken_by_workspace.remove(&workspace) {
            Some(known) => known,
            None => taken(snapshot, sync).await.map_err(error)?,
        };
        let progress = context.console.progress(context.cli.global.quiet);
        let request = RebuildRequest {
            config: &session.config,
            mapping: &session.mapping,
            source: &session.source,
            target: &session.target,
            snapshot,
            others: vendors_of_others(context, sync),
            watcher: progress.as_ref(),
        };
        let rebuild = plan_rebuild(&request, &mut known).await.map_err(error)?;
        taken_by_workspace.insert(workspace, known);
        let Some(rebuild) = rebuild else { return Err(cannot_list(&sync.name)) };
        found.push((session, rebuild));
    }
    Ok(found)
}

/// The vendors of other syncs into the same workspace.
fn vendors_of_others(context: &CommandContext<'_>, sync: &config::Sync) -> Vec<Vendor> {
    let same = |other: &&config::Sync| {
        other.name != sync.name && target_url(&other.target) == target_url(&sync.target)
    };
    context.config.syncs.iter().filter(same).map(|other| vendor(&other.source)).collect()
}

fn cannot_list(sync: &str) -> CommandError {
    let text = format!(
        "sync \"{sync}\": the workspace does not list its accounts, so links cannot be found again from there\nhelp: \
         nothing is lost for whoever is assigned: the next run looks each person up and takes the account over; whoever \
         left while there was no state is not found that way, so compare the workspace's member list by hand"
    );
    (text, exit::FAILURE)
}

/// What a run's error means for a command that is none.
pub(super) fn run_complaint(sync: &str, error: RunError) -> CommandError {
    let code = match &error {
        RunError::Source(_) => exit::SOURCE,
        RunError::Target(_) => exit::TARGET,
        RunError::Binding(_) => exit::CONFIG,
        RunError::Store(_)
        | RunError::Spool(_)
        | RunError::StalePlan(_)
        | RunError::NobodyNamed(_)
        | RunError::Defect(_)
        | RunError::Clock(_)
        | RunError::Interrupted => exit::FAILURE,
    };
    match error {
        RunError::Store(error) => state_complaint(error),
        RunError::Binding(text) => (text, code),
        RunError::Source(_)
        | RunError::Target(_)
        | RunError::Spool(_)
        | RunError::StalePlan(_)
        | RunError::NobodyNamed(_)
        | RunError::Defect(_)
        | RunError::Clock(_)
        | RunError::Interrupted => (format!("sync \"{sync}\": {error}"), code),
    }
}

/// The state for a dry run; of a damaged one nothing is used.
async fn read_or_empty(context: &CommandContext<'_>) -> Result<Reading, CommandError> {
    if context.daemon.is_some() {
        return context.read().await;
    }
    let directory = &context.config.state_dir;
    let why = match Snapshot::open(directory).await {
        Err(StoreError::Damaged { why, .. }) => why,
        Err(error) => return Err(state_complaint(error)),
        Ok(snapshot) => match snapshot.damage().await {
            Some(why) => why,
            None => return Ok(Reading::Own(snapshot)),
        },
    };
    context.console.say(&format!(
        "the state database in {} is damaged: {why}\nwithout --dry-run it is moved aside",
        directory.display()
    ));
    Snapshot::empty().map(Reading::Own).map_err(state_complaint)
}

/// The state for writing, and whether a damaged one was moved aside first, once that was confirmed. `None` = it was
/// not.
async fn write_or_set_aside(
    context: &CommandContext<'_>,
    yes: bool,
) -> Result<Option<(Writing, bool)>, CommandError> {
    if context.daemon.is_some() {
        return context.write().await.map(|store| Some((store, false)));
    }
    let directory = &context.config.state_dir;
    refuse_root_in_somebody_elses_state(directory).map_err(|message| (message, exit::CONFIG))?;
    let take_over = context.cli.run.take_over;
    match Store::open(directory, take_over).await {
        Err(StoreError::Damaged { path, why }) => {
            context.console.say(&format!("the state database {} is damaged: {why}", path.display()));
            let question = "Move it aside and begin with an empty state?";
            if !yes && !context.console.confirmed(question).await? {
                return Ok(None);
            }
            let aside = set_aside(directory, Millis::now()).map_err(state_complaint)?;
            context.console.say(&format!("moved aside, not deleted: {}", aside.display()));
            let store = Store::open(directory, take_over).await.map_err(state_complaint)?;
            Ok(Some((Writing::Own(store), true)))
        }
        other => other.map(|store| Some((Writing::Own(store), false))).map_err(state_complaint),
    }
}

/// The lists are lent to the reports and given back.
fn reports(found: &mut Found) -> Vec<RebuildReport> {
    found
        .iter_mut()
        .map(|(_, rebuild)| RebuildReport {
            facts: rebuild.facts.clone(),
            links: std::mem::take(&mut rebuild.links),
            left: std::mem::take(&mut rebuild.left),
        })
        .collect()
}

fn give_back(found: &mut Found, reports: Vec<RebuildReport>) {
    for ((_, rebuild), report) in found.iter_mut().zip(reports) {
        (rebuild.links, rebuild.left) = (report.links, report.left);
    }
}

async fn deliver(context: &CommandContext<'_>, found: &mut Found) -> Result<(), CommandError> {
    let mut reports = reports(found);
    let format = context.list_format()?;
    context
        .console
        .hand_out(format.into(), context.cli.run.output.as_deref(), &[], |out| match format {
            ListFormat::Text => write_rebuilds(&mut reports, out),
            ListFormat::Json => write_rebuilds_json(&mut reports, out),
        })
        .await
        .map_err(|message| (message, exit::FAILURE))
}

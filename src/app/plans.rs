//! `plan --out` and `apply`: a dry run saved, and exactly that plan carried out.

use std::collections::HashMap;
use std::path::Path;

use super::command_context::CommandContext;
use super::command_error::CommandError;
use super::runs::{RunBatch, carry_out, runs};
use crate::engine::binding::bound_to;
use crate::engine::selection::Selection;
use crate::exit;
use crate::http::pacer::Pacers;
use crate::model::report::{Outcome, Trigger};
use crate::model::saved_plan::{SavedPlan, SavedSync};
use crate::model::time::Millis;
use crate::report::SyncReport;

/// Far beyond a plan for a million people.
const LARGEST_BYTES: u64 = 4 << 30;

/// Makes a dry run, shows it and saves it.
pub(super) async fn plan(context: &CommandContext<'_>, out: &Path) -> u8 {
    match saved(context, out).await {
        Ok(code) => code,
        Err(error) => context.report_error(error),
    }
}

async fn saved(context: &CommandContext<'_>, out: &Path) -> Result<u8, CommandError> {
    let syncs = context.chosen()?;
    let batch = RunBatch {
        syncs,
        task: Selection::Everybody.into(),
        trigger: Trigger::PlanFile,
        dry: true,
        saved_plans: HashMap::new(),
    };
    let (mut reports, code) = runs(context, &batch).await?;
    let options = &context.cli.run;
    context
        .console
        .deliver(options.format, options.output.as_deref(), &mut reports)
        .await
        .map_err(|message| (message, exit::FAILURE))?;
    if code != exit::OK && code != exit::CHANGES_PENDING {
        return Err(("the plan was not saved, because it could not be made completely".to_owned(), code));
    }
    let bindings = bindings(context).await?;
    let mut saved = Vec::new();
    for report in &mut reports {
        saved.push(saved_sync(report, &bindings)?);
    }
    let plan = SavedPlan::new(Millis::now(), context.config.digest.clone(), saved);
    context.console.save_plan(&plan, out).await.map_err(|message| (message, exit::FAILURE))?;
    context.console.say(&format!(
        "saved to {}; `rosterd apply {}` carries out exactly this, within 24 hours",
        out.display(),
        out.display()
    ));
    Ok(code)
}

fn saved_sync(
    report: &mut SyncReport,
    bindings: &HashMap<String, String>,
) -> Result<SavedSync, CommandError> {
    let failed = |error: std::io::Error| (format!("cannot read the plan back: {error}"), exit::FAILURE);
    let mut actions = Vec::new();
    for record in report.records.iter().map_err(failed)? {
        let record = record.map_err(failed)?;
        if record.outcome == Outcome::Planned {
            actions.push(record);
        }
    }
    let sync = report.facts.sync.clone();
    let bound_to = bindings.get(&sync).cloned().unwrap_or_default();
    Ok(SavedSync { sync, bound_to, actions })
}

/// Carries a saved plan out.
pub(super) async fn apply(context: &CommandContext<'_>, file: &Path) -> u8 {
    let plan = match read(context, file).await {
        Ok(plan) => plan,
        Err(error) => return context.report_error(error),
    };
    let saved_plans: HashMap<_, _> =
        plan.syncs.into_iter().map(|saved| (saved.sync, saved.actions)).collect();
    let syncs = context.config.syncs.iter().filter(|sync| saved_plans.contains_key(&sync.name)).collect();
    let (task, dry) = (Selection::Everybody.into(), context.cli.dry_run);
    carry_out(context, RunBatch { syncs, task, trigger: Trigger::PlanFile, dry, saved_plans }).await
}

async fn read(context: &CommandContext<'_>, file: &Path) -> Result<SavedPlan, CommandError> {
    let help = "help: make and read a new one with `rosterd plan --out FILE`";
    let refuse = |why: String| (format!("cannot apply {}: {why}\n{help}", file.display()), exit::HELD);
    let bytes = context
        .console
        .read_file(file, LARGEST_BYTES)
        .map_err(|error| (format!("cannot read {}: {error}\n{help}", file.display()), exit::USAGE))?;
    let plan: SavedPlan =
        serde_json::from_slice(&bytes).map_err(|error| refuse(format!("it is no plan: {error}")))?;
    if let Some(problem) = plan.problem(&context.config.digest, Millis::now()) {
        return Err(refuse(problem));
    }
    let bindings = bindings(context).await?;
    for saved in &plan.syncs {
        match bindings.get(&saved.sync) {
            None => return Err(refuse(format!("there is no sync \"{}\" here", saved.sync))),
            Some(here) if *here != saved.bound_to => {
                return Err(refuse(format!("it was made for {}, and here is {here}", saved.bound_to)));
            }
            Some(_) => {}
        }
    }
    Ok(plan)
}

/// What each sync is bound to.
async fn bindings(context: &CommandContext<'_>) -> Result<HashMap<String, String>, CommandError> {
    let snapshot = context.read().await?;
    let pacers = Pacers::new();
    let mut bindings = HashMap::new();
    for sync in &context.config.syncs {
        let session = context.session(sync, &pacers, &snapshot).await?;
        bindings.insert(sync.name.clone(), bound_to(&session.source, sync));
    }
    Ok(bindings)
}

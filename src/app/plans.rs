//! `plan --out` and `apply`: a dry run saved, and exactly that plan carried out.

use std::collections::HashMap;
use std::path::Path;

use super::Complaint;
use super::desk::Desk;
use super::runs::{Orders, carry_out, runs};
use crate::exit;
use crate::http::pacer::Pacers;
use crate::model::report::{Outcome, Trigger};
use crate::model::saved_plan::{SavedPlan, SavedSync};
use crate::model::time::Millis;
use crate::reconcile::{Who, bound_to};
use crate::report::SyncReport;

/// Far beyond a plan for a million people.
const LARGEST_BYTES: u64 = 4 << 30;

/// Makes a dry run, shows it and saves it.
pub(super) async fn plan(desk: &Desk<'_>, out: &Path) -> u8 {
    match saved(desk, out).await {
        Ok(code) => code,
        Err(complaint) => desk.complain(complaint),
    }
}

async fn saved(desk: &Desk<'_>, out: &Path) -> Result<u8, Complaint> {
    let syncs = desk.chosen()?;
    let orders =
        Orders { syncs, who: Who::Everybody, trigger: Trigger::PlanFile, dry: true, only: HashMap::new() };
    let (mut reports, code) = runs(desk, &orders).await?;
    let options = &desk.cli.run;
    desk.console
        .deliver(options.format, options.output.as_deref(), &mut reports)
        .await
        .map_err(|message| (message, exit::FAILURE))?;
    if code != exit::OK && code != exit::CHANGES_PENDING {
        return Err(("the plan was not saved, because it could not be made completely".to_owned(), code));
    }
    let bindings = bindings(desk).await?;
    let mut saved = Vec::new();
    for report in &mut reports {
        saved.push(saved_sync(report, &bindings)?);
    }
    let plan = SavedPlan::new(Millis::now(), desk.config.digest.clone(), saved);
    desk.console.save_plan(&plan, out).await.map_err(|message| (message, exit::FAILURE))?;
    desk.console.say(&format!(
        "saved to {}; `rosterd apply {}` carries out exactly this, within 24 hours",
        out.display(),
        out.display()
    ));
    Ok(code)
}

fn saved_sync(report: &mut SyncReport, bindings: &HashMap<String, String>) -> Result<SavedSync, Complaint> {
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
pub(super) async fn apply(desk: &Desk<'_>, file: &Path) -> u8 {
    let plan = match read(desk, file).await {
        Ok(plan) => plan,
        Err(complaint) => return desk.complain(complaint),
    };
    let only: HashMap<_, _> = plan.syncs.into_iter().map(|saved| (saved.sync, saved.actions)).collect();
    let syncs = desk.config.syncs.iter().filter(|sync| only.contains_key(&sync.name)).collect();
    let (who, dry) = (Who::Everybody, desk.cli.dry_run);
    carry_out(desk, Orders { syncs, who, trigger: Trigger::PlanFile, dry, only }).await
}

async fn read(desk: &Desk<'_>, file: &Path) -> Result<SavedPlan, Complaint> {
    let help = "help: make and read a new one with `rosterd plan --out FILE`";
    let refuse = |why: String| (format!("cannot apply {}: {why}\n{help}", file.display()), exit::HELD);
    let bytes = desk
        .console
        .read_file(file, LARGEST_BYTES)
        .map_err(|error| (format!("cannot read {}: {error}\n{help}", file.display()), exit::USAGE))?;
    let plan: SavedPlan =
        serde_json::from_slice(&bytes).map_err(|error| refuse(format!("it is no plan: {error}")))?;
    if let Some(problem) = plan.problem(&desk.config.digest, Millis::now()) {
        return Err(refuse(problem));
    }
    let bindings = bindings(desk).await?;
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
async fn bindings(desk: &Desk<'_>) -> Result<HashMap<String, String>, Complaint> {
    let snapshot = desk.read().await?;
    let pacers = Pacers::new();
    let mut bindings = HashMap::new();
    for sync in &desk.config.syncs {
        let sides = desk.sides(sync, &pacers, &snapshot).await?;
        bindings.insert(sync.name.clone(), bound_to(&sides.source, sync));
    }
    Ok(bindings)
}

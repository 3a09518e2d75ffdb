//! `plan --out` and `apply`: a dry run saved, and exactly that plan carried out.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::runs::{Complaint, Order, carry_out, complain, open, runs, state_complaint};
use super::{chosen, deliver};
use crate::cli::Cli;
use crate::config::Config;
use crate::exit;
use crate::http::pacer::Pacers;
use crate::model::report::{Outcome, Trigger};
use crate::model::saved_plan::{SavedPlan, SavedSync};
use crate::model::time::Millis;
use crate::reconcile::{Who, bound_to};
use crate::report::SyncReport;
use crate::store::Snapshot;

/// Far beyond a plan for a million people.
const LARGEST_BYTES: u64 = 4 << 30;

/// Makes a dry run, shows it and saves it.
pub(super) async fn plan(cli: &Cli, config: &Config, out: &Path) -> u8 {
    match saved(cli, config, out).await {
        Ok(code) => code,
        Err((message, code)) => complain(&message, code),
    }
}

async fn saved(cli: &Cli, config: &Config, out: &Path) -> Result<u8, Complaint> {
    let syncs = chosen(cli, config).map_err(|message| (message, exit::USAGE))?;
    let order =
        Order { syncs, who: Who::Everybody, trigger: Trigger::PlanFile, dry: true, only: HashMap::new() };
    let (mut reports, code) = runs(cli, config, &order).await?;
    deliver(cli.run.format.into(), cli.run.output.as_deref(), &mut reports)
        .map_err(|message| (message, exit::FAILURE))?;
    if code != exit::OK && code != exit::CHANGES_PENDING {
        return Err(("the plan was not saved, because it could not be made completely".to_owned(), code));
    }
    let bindings = bindings(config).await?;
    let mut saved = Vec::new();
    for report in &mut reports {
        saved.push(saved_sync(report, &bindings)?);
    }
    let plan = SavedPlan::new(Millis::now(), config.digest.clone(), saved);
    write(&plan, out).map_err(|error| {
        (
            format!("cannot write the plan to {}: {error}\nhelp: check the directory", out.display()),
            exit::FAILURE,
        )
    })?;
    eprintln!(
        "saved to {}; `rosterd apply {}` carries out exactly this, within 24 hours",
        out.display(),
        out.display()
    );
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
pub(super) async fn apply(cli: &Cli, config: &Config, file: &Path) -> u8 {
    match read(config, file).await {
        Err((message, code)) => complain(&message, code),
        Ok(plan) => {
            let only: HashMap<_, _> =
                plan.syncs.into_iter().map(|saved| (saved.sync, saved.actions)).collect();
            let syncs = config.syncs.iter().filter(|sync| only.contains_key(&sync.name)).collect();
            let dry = cli.dry_run;
            carry_out(
                cli,
                config,
                Order { syncs, who: Who::Everybody, trigger: Trigger::PlanFile, dry, only },
            )
            .await
        }
    }
}

async fn read(config: &Config, file: &Path) -> Result<SavedPlan, Complaint> {
    let help = "help: make and read a new one with `rosterd plan --out FILE`";
    let refuse = |why: String| (format!("cannot apply {}: {why}\n{help}", file.display()), exit::HELD);
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(LARGEST_BYTES).read_to_end(&mut bytes))
        .map_err(|error| (format!("cannot read {}: {error}\n{help}", file.display()), exit::USAGE))?;
    let plan: SavedPlan =
        serde_json::from_slice(&bytes).map_err(|error| refuse(format!("it is no plan: {error}")))?;
    if let Some(problem) = plan.problem(&config.digest, Millis::now()) {
        return Err(refuse(problem));
    }
    let bindings = bindings(config).await?;
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
async fn bindings(config: &Config) -> Result<HashMap<String, String>, Complaint> {
    let snapshot = Snapshot::open(&config.state_dir).await.map_err(state_complaint)?;
    let pacers = Pacers::new();
    let mut bindings = HashMap::new();
    for sync in &config.syncs {
        let sides = open(sync, &pacers, &snapshot).await?;
        bindings.insert(sync.name.clone(), bound_to(&sides.source, sync));
    }
    Ok(bindings)
}

/// Atomic, and nobody else's to read: a plan names people.
fn write(plan: &SavedPlan, out: &Path) -> std::io::Result<()> {
    let directory = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o600))?;
    serde_json::to_writer(std::io::BufWriter::new(file.as_file()), plan)?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist(out).map_err(|error| error.error)?;
    Ok(())
}

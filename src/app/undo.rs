//! `undo`: what a run did is shown the way back, confirmed, and taken back by a run of its own.

use std::collections::HashMap;

use super::desk::Desk;
use super::runs::{Orders, carry_out, runs};
use super::{Complaint, state_complaint};
use crate::config;
use crate::exit;
use crate::model::report::{RunResult, Trigger};
use crate::reconcile::Who;
use crate::report::{self, Format, SyncReport, visible};

/// What there is to do after the plan was made.
enum Planned {
    /// Take it back like this.
    Go,
    /// There is nothing that could be taken back.
    Nothing(Vec<SyncReport>),
    /// The plan could not be made, or nobody wants it.
    No(u8),
}

/// Takes back what a run did.
pub(super) async fn undo(desk: &Desk<'_>, run: i64, yes: bool) -> u8 {
    let sync = match sync_of(desk, run).await {
        Ok(sync) => sync,
        Err(complaint) => return desk.complain(complaint),
    };
    if desk.cli.dry_run {
        return carry_out(desk, orders(desk, sync, run, true)).await;
    }
    match planned(desk, sync, run, yes).await {
        Ok(Planned::Go) => carry_out(desk, orders(desk, sync, run, false)).await,
        Ok(Planned::Nothing(reports)) => {
            desk.console.say(&format!("nothing is left of run {run} that could be taken back"));
            deliver(desk, reports).await
        }
        Ok(Planned::No(code)) => code,
        Err(complaint) => desk.complain(complaint),
    }
}

/// Makes the plan, shows it and asks.
async fn planned(desk: &Desk<'_>, sync: &config::Sync, run: i64, yes: bool) -> Result<Planned, Complaint> {
    let (mut reports, code) = runs(desk, &orders(desk, sync, run, true)).await?;
    if reports.iter().any(|report| !report.facts.result.reached_both_sides()) {
        let interrupted = reports.iter().any(|report| report.facts.result == RunResult::Interrupted);
        show(desk, &mut reports)?;
        let code = if code == exit::OK && interrupted { exit::FAILURE } else { code };
        return Ok(Planned::No(code));
    }
    let wanted: u64 =
        reports.iter().map(|report| report.facts.summary.writes() + report.facts.summary.held).sum();
    if wanted == 0 {
        return Ok(Planned::Nothing(reports));
    }
    if yes {
        return Ok(Planned::Go);
    }
    show(desk, &mut reports)?;
    let question = format!("Take back what run {run} did, like this?");
    if desk.console.confirmed(&question).await? {
        return Ok(Planned::Go);
    }
    desk.console.say("nothing was taken back");
    Ok(Planned::No(exit::OK))
}

fn orders<'a>(desk: &Desk<'_>, sync: &'a config::Sync, run: i64, dry: bool) -> Orders<'a> {
    let who = Who::ReturnOf { run, by: desk.console.who() };
    Orders { syncs: vec![sync], who, trigger: Trigger::Undo, dry, only: HashMap::new() }
}

/// On stderr, as the question is: standard output belongs to the report of what was done.
fn show(desk: &Desk<'_>, reports: &mut [SyncReport]) -> Result<(), Complaint> {
    let mut text = Vec::new();
    report::write(Format::Text, reports, &mut text)
        .map_err(|error| (format!("cannot show the plan: {error}"), exit::FAILURE))?;
    desk.console.say(String::from_utf8_lossy(&text).trim_end());
    Ok(())
}

async fn deliver(desk: &Desk<'_>, mut reports: Vec<SyncReport>) -> u8 {
    let options = &desk.cli.run;
    match desk.console.deliver(options.format.into(), options.output.as_deref(), &mut reports).await {
        Ok(()) => exit::OK,
        Err(message) => desk.complain((message, exit::FAILURE)),
    }
}

/// The sync that a run belongs to, where that run can be taken back.
async fn sync_of<'a>(desk: &'a Desk<'_>, run: i64) -> Result<&'a config::Sync, Complaint> {
    let chosen = desk.chosen()?;
    let snapshot = desk.read().await?;
    let found = snapshot.run_to_undo(run).await.map_err(state_complaint)?;
    let Some(found) = found else {
        let text = format!("there is no run {run} on record\nhelp: `rosterd history` lists the runs");
        return Err((text, exit::USAGE));
    };
    let name = visible(&found.sync).into_owned();
    let Some(sync) = desk.config.syncs.iter().find(|sync| sync.name == found.sync) else {
        let text = format!(
            "run {run} is of sync \"{name}\", which is not configured any more\nhelp: configure it again, or change \
             the accounts at the workspace"
        );
        return Err((text, exit::USAGE));
    };
    if !chosen.iter().any(|chosen| chosen.name == found.sync) {
        let text = format!("run {run} is of sync \"{name}\"\nhelp: rosterd undo --run {run} --sync '{name}'");
        return Err((text, exit::USAGE));
    }
    if found.goes_on && desk.daemon.is_some() {
        let text = format!("run {run} is still under way\nhelp: `rosterd status` shows when it has ended");
        return Err((text, exit::FAILURE));
    }
    if found.people == 0 {
        desk.console.say(&format!("run {run} of sync \"{name}\" changed nothing at the workspace"));
    }
    Ok(sync)
}

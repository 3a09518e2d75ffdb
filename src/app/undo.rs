//! `undo`: what a run did is shown the way back, confirmed, and taken back by a run of its own.

use std::collections::HashMap;

use super::desk::Desk;
use super::runs::{Orders, runs};
use super::{Complaint, state_complaint};
use crate::cli::FormatName;
use crate::config;
use crate::exit;
use crate::model::report::Trigger;
use crate::reconcile::Who;
use crate::report::{self, SyncReport, visible};

/// Takes back what a run did.
pub(super) async fn undo(desk: &Desk<'_>, run: i64, yes: bool) -> u8 {
    match taken_back(desk, run, yes).await {
        Ok(code) => code,
        Err(complaint) => desk.complain(complaint),
    }
}

async fn taken_back(desk: &Desk<'_>, run: i64, yes: bool) -> Result<u8, Complaint> {
    let (sync, people) = sync_of(desk, run).await?;
    let dry = desk.cli.dry_run || people == 0;
    if dry || !yes {
        let (mut reports, code) = runs(desk, &orders(desk, sync, run, true)).await?;
        let reached = reports.iter().all(|report| report.facts.result.reached_both_sides());
        if dry || !reached || wanted(&reports) == 0 {
            return Ok(tell(desk, run, reports, code).await);
        }
        show(desk, &mut reports)?;
        if !desk.console.confirmed(&format!("Take back what run {run} did, like this?")).await? {
            desk.console.say("nothing was taken back");
            return Ok(exit::OK);
        }
    }
    let (reports, code) = runs(desk, &orders(desk, sync, run, false)).await?;
    Ok(tell(desk, run, reports, code).await)
}

/// What is, or would be, sent or held.
fn wanted(reports: &[SyncReport]) -> u64 {
    reports.iter().map(|report| report.facts.summary.writes() + report.facts.summary.held).sum()
}

async fn tell(desk: &Desk<'_>, run: i64, mut reports: Vec<SyncReport>, code: u8) -> u8 {
    if code == exit::OK && wanted(&reports) == 0 {
        desk.console.say(&format!("nothing is left of run {run} that could be taken back"));
    }
    let options = &desk.cli.run;
    match desk.console.deliver(options.format, options.output.as_deref(), &mut reports).await {
        Ok(()) => code,
        Err(message) => desk.complain((message, exit::FAILURE)),
    }
}

fn orders<'a>(desk: &Desk<'_>, sync: &'a config::Sync, run: i64, dry: bool) -> Orders<'a> {
    let who = Who::ReturnOf { run, by: desk.console.who() };
    Orders { syncs: vec![sync], who, trigger: Trigger::Undo, dry, only: HashMap::new() }
}

/// On stderr, as the question is: standard output belongs to the report of what was done.
fn show(desk: &Desk<'_>, reports: &mut [SyncReport]) -> Result<(), Complaint> {
    let mut text = Vec::new();
    report::write(desk.console.laid_out(FormatName::Text, None), reports, &mut text)
        .map_err(|error| (format!("cannot show the plan: {error}"), exit::FAILURE))?;
    desk.console.say(String::from_utf8_lossy(&text).trim_end());
    Ok(())
}

/// The sync that a run belongs to, where that run can be taken back, and for how many people it wrote something.
async fn sync_of<'a>(desk: &'a Desk<'_>, run: i64) -> Result<(&'a config::Sync, u64), Complaint> {
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
    Ok((sync, found.people))
}

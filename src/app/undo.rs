//! `undo`: what a run did is shown the way back, confirmed, and taken back by a run of its own.

use std::collections::HashMap;

use super::command_context::CommandContext;
use super::command_error::{CommandError, state_complaint};
use super::runs::{RunBatch, runs};
use crate::cli::FormatName;
use crate::config;
use crate::exit;
use crate::model::report::Trigger;
use crate::operations::run_task::RunTask;
use crate::report::{self, SyncReport, visible};

/// Takes back what a run did.
pub(super) async fn undo(context: &CommandContext<'_>, run: i64, yes: bool) -> u8 {
    match taken_back(context, run, yes).await {
        Ok(code) => code,
        Err(error) => context.report_error(error),
    }
}

async fn taken_back(context: &CommandContext<'_>, run: i64, yes: bool) -> Result<u8, CommandError> {
    let (sync, people) = sync_of(context, run).await?;
    let dry = context.cli.dry_run || people == 0;
    if dry || !yes {
        let (mut reports, code) = runs(context, &batch(context, sync, run, true)).await?;
        let reached = reports.iter().all(|report| report.facts.result.reached_both_sides());
        if dry || !reached || wanted(&reports) == 0 {
            return Ok(tell(context, run, reports, code).await);
        }
        show(context, &mut reports)?;
        if !context.console.confirmed(&format!("Take back what run {run} did, like this?")).await? {
            context.console.say("nothing was taken back");
            return Ok(exit::OK);
        }
    }
    let (reports, code) = runs(context, &batch(context, sync, run, false)).await?;
    Ok(tell(context, run, reports, code).await)
}

/// What is, or would be, sent or held.
fn wanted(reports: &[SyncReport]) -> u64 {
    reports.iter().map(|report| report.facts.summary.writes() + report.facts.summary.held).sum()
}

async fn tell(context: &CommandContext<'_>, run: i64, mut reports: Vec<SyncReport>, code: u8) -> u8 {
    if code == exit::OK && wanted(&reports) == 0 {
        context.console.say(&format!("nothing is left of run {run} that could be taken back"));
    }
    let options = &context.cli.run;
    match context.console.deliver(options.format, options.output.as_deref(), &mut reports).await {
        Ok(()) => code,
        Err(message) => context.report_error((message, exit::FAILURE)),
    }
}

fn batch<'a>(context: &CommandContext<'_>, sync: &'a config::Sync, run: i64, dry: bool) -> RunBatch<'a> {
    let task = RunTask::Undo { run, actor: context.console.who() };
    RunBatch { syncs: vec![sync], task, trigger: Trigger::Undo, dry, saved_plans: HashMap::new() }
}

/// On stderr, as the question is: standard output belongs to the report of what was done.
fn show(context: &CommandContext<'_>, reports: &mut [SyncReport]) -> Result<(), CommandError> {
    let mut text = Vec::new();
    report::write(context.console.laid_out(FormatName::Text, None), reports, &mut text)
        .map_err(|error| (format!("cannot show the plan: {error}"), exit::FAILURE))?;
    context.console.say(String::from_utf8_lossy(&text).trim_end());
    Ok(())
}

/// The sync that a run belongs to, where that run can be taken back, and for how many people it wrote something.
async fn sync_of<'a>(
    context: &'a CommandContext<'_>,
    run: i64,
) -> Result<(&'a config::Sync, u64), CommandError> {
    let chosen = context.chosen()?;
    let snapshot = context.read().await?;
    let found = snapshot.run_to_undo(run).await.map_err(state_complaint)?;
    let Some(found) = found else {
        let text = format!("there is no run {run} on record\nhelp: `rosterd history` lists the runs");
        return Err((text, exit::USAGE));
    };
    let name = visible(&found.sync).into_owned();
    let Some(sync) = context.config.syncs.iter().find(|sync| sync.name == found.sync) else {
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
    if found.goes_on && context.daemon.is_some() {
        let text = format!("run {run} is still under way\nhelp: `rosterd status` shows when it has ended");
        return Err((text, exit::FAILURE));
    }
    if found.people == 0 {
        context.console.say(&format!("run {run} of sync \"{name}\" changed nothing at the workspace"));
    }
    Ok((sync, found.people))
}

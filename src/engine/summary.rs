//! What a run says of itself: its totals, its facts, its holds, its health, and who is to blame.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::core::guard::GuardReport;
use crate::core::quarantine::quarantine;
use crate::engine::apply::writer::StopReason;
use crate::engine::context::RunContext;
use crate::engine::error::RunError;
use crate::engine::gather::read_set::ReadSet;
use crate::engine::live_run::LiveRun;
use crate::engine::selection::Selection;
use crate::http::counters::Counters;
use crate::model::id::SourceId;
use crate::model::owed::OwedClass;
use crate::model::plan::Verb;
use crate::model::report::{
    ActionRecord, HoldFact, Mode, RunFacts, RunResult, Seats, SourceFacts, Summary, TargetFacts,
};
use crate::model::time::Millis;
use crate::scim::target::Observe;
use crate::spool::Spool;
use crate::store::{HeldPair, Hold, LineScope, LinkCounts, OwedTotals, RunHealth, Snapshot, Store};

/// What is gathered over the passes of a run.
#[derive(Default)]
pub(crate) struct RunTotals {
    pub records: Spool<ActionRecord>,
    pub summary: Summary,
    pub unsent_removals: u64,
    pub seats_delta: i64,
    pub list_was_short: u64,
    pub left_out: u64,
    pub passes: u32,
    pub users: u64,
    pub pages: u64,
    pub complete: bool,
    pub guard_report: GuardReport,
    pub stop: Option<StopReason>,
    pub holds: Vec<HoldFact>,
    /// People whose actions ended in an earlier pass.
    pub done: HashSet<SourceId>,
    /// Of them, those who have a link.
    pub linked: u64,
    pub notes: Vec<String>,
    /// What the removals that are still owed mean for the exit code.
    pub owed: OwedTotals,
    /// Whose lines `records` holds, once it holds all of them.
    pub line_scope: Option<LineScope>,
}

/// How things stood when a run began.
pub(crate) struct RunStart {
    pub at: Millis,
    pub links: LinkCounts,
    pub source: Counters,
    pub target: Counters,
}

impl RunStart {
    /// How things stand now.
    pub(crate) async fn of<O: Observe>(context: &RunContext<'_, O>) -> RunStart {
        RunStart {
            at: Millis::now(),
            // What was there before is only told, so that a state that cannot be read fails in the run itself.
            links: context.snapshot.link_counts(context.sync_name()).await.unwrap_or_default(),
            source: context.source.counters(),
            target: context.target.counters(),
        }
    }
}

/// Whose lines a pass gives.
pub(crate) fn line_scope(
    selection: &Selection,
    saved_plan: Option<&[ActionRecord]>,
    read_set: &ReadSet,
) -> LineScope {
    match (selection, saved_plan) {
        (_, Some(actions)) => {
            LineScope::These(actions.iter().filter_map(|action| action.source_id.clone()).collect())
        }
        (Selection::Everybody, None) => LineScope::Everybody,
        (Selection::Named(_) | Selection::Ids(_), None) => LineScope::These(read_set.named.clone()),
    }
}

/// Keeps the lines of those for whom nothing was done; the journal has the others. A run that cannot is no worse a run.
pub(crate) async fn record_report_lines<P>(
    live: &LiveRun<'_, P>,
    totals: &mut RunTotals,
    facts: &mut RunFacts,
) {
    let Some(scope) = totals.line_scope.take() else { return };
    let LiveRun { access, tenure, run, .. } = live;
    if let Err(error) = access.store.record_lines(tenure, *run, scope, &mut totals.records).await {
        facts
            .notes
            .push(format!("what was told of people for whom nothing was done is not on record: {error}"));
    }
}

/// The lines of what is still owed say since when.
pub(crate) async fn fill_owed_since(
    snapshot: &Snapshot,
    sync: &str,
    records: &mut Spool<ActionRecord>,
) -> Result<(), RunError> {
    let rows = snapshot.owed(sync).await?;
    if rows.is_empty() {
        return Ok(());
    }
    let since: HashMap<(SourceId, OwedClass), Millis> =
        rows.into_iter().map(|row| ((row.source_id, row.class), row.since)).collect();
    let mut filled = Spool::default();
    for record in records.iter()? {
        let mut record: ActionRecord = record?;
        if let (Some(_), Some(id)) = (record.waits_for, &record.source_id) {
            // A line that sends nothing speaks of a removal that is kept from being sent.
            let class = OwedClass::of(record.action).unwrap_or(OwedClass::Removal);
            record.owed_since = since.get(&(id.clone(), class)).copied();
        }
        filled.push(&record)?;
    }
    *records = filled;
    Ok(())
}

/// Entering and leaving quarantine is told once, in the run that does it.
pub(crate) async fn quarantine_notes<O>(
    context: &RunContext<'_, O>,
    full: bool,
    store: &Store,
    facts: &mut RunFacts,
    health: RunHealth,
) {
    let Some(end) = health.end_of(facts, full) else { return };
    let Ok(before) = store.snapshot().health(&context.config.name).await else { return };
    let was = quarantine(&before, Duration::ZERO).is_some();
    let is = quarantine(&before.after(&end), Duration::ZERO).is_some();
    if is && !was {
        let reason = end.reason.lines().next().unwrap_or_default();
        tracing::warn!(sync = context.config.name, "in quarantine from now on: {reason}");
        facts.notes.push(
            "this sync is in quarantine now: it is tried at each firing of its schedule and at least once an hour, until \
             one run succeeds"
                .to_owned(),
        );
    } else if was && !is {
        facts.notes.push("recovered: this sync is out of quarantine".to_owned());
    }
}

/// What a run would hold: the open holds where there are some, else what the next run would open.
pub(crate) async fn holds_to_come<O: Observe>(
    context: &RunContext<'_, O>,
    held: &[HeldPair],
) -> Result<Vec<HoldFact>, RunError> {
    let open = context.snapshot.open_holds(Some(context.sync_name()), Millis::now()).await?;
    let mut facts: Vec<HoldFact> = open.iter().map(hold_fact).collect();
    for verb in Verb::ALL {
        let pairs: Vec<&HeldPair> = held.iter().filter(|pair| pair.class.verb == verb).collect();
        if let (Some(first), false) = (pairs.first(), facts.iter().any(|fact| fact.class == verb)) {
            facts.push(HoldFact {
                id: String::new(),
                revision: 0,
                class: verb,
                reason: first.reason.clone(),
                count: pairs.len() as u64,
                digest: String::new(),
                expires_at: String::new(),
                decided: None,
            });
        }
    }
    Ok(facts)
}

pub(crate) fn hold_fact(hold: &Hold) -> HoldFact {
    HoldFact {
        id: hold.id(),
        revision: hold.revision,
        class: hold.verb,
        reason: hold.reason.clone(),
        count: hold.count,
        digest: hold.digest.clone(),
        expires_at: hold.expires_at.rfc3339(),
        decided: None,
    }
}

/// The log says what waits, for whoever reads it alone.
pub(crate) fn log_holds(holds: &[Hold]) {
    for hold in holds {
        tracing::warn!(
            sync = hold.sync,
            hold = hold.id(),
            action = hold.verb.as_str(),
            people = hold.count,
            expires_at = hold.expires_at.rfc3339(),
            "held: {}; `rosterd approve {}@{}` releases",
            hold.reason,
            hold.id(),
            hold.revision
        );
    }
}

/// Held removals are never silently forgotten.
pub(crate) fn remind(holds: &[Hold], notes: &mut Vec<String>) {
    for hold in holds.iter().filter(|hold| hold.remind && hold.verb.is_removal()) {
        let text = format!(
            "{} removals wait since {} for `rosterd approve {}`",
            hold.count,
            hold.opened_at.rfc3339(),
            hold.id()
        );
        tracing::warn!(sync = hold.sync, hold = hold.id(), "{text}");
        notes.push(text);
    }
}

/// A run that ended by this error says so, and on which side it was.
pub(crate) fn blame(facts: &mut RunFacts, error: &RunError) {
    facts.result = error.result();
    let RunFacts { source, target, notes, .. } = facts;
    blame_sides(error, source, target, notes, "interrupted: what was sent is recorded");
}

/// Whose trouble an error is: the source's, the target's, or a note. `interrupted` says what a signal left behind.
pub(crate) fn blame_sides(
    error: &RunError,
    source: &mut SourceFacts,
    target: &mut TargetFacts,
    notes: &mut Vec<String>,
    interrupted: &str,
) {
    match error {
        RunError::Source(error) => {
            source.problem = Some(error.to_string());
            source.complete = false;
        }
        RunError::Target(error) => target.problem = Some(error.to_string()),
        RunError::Interrupted => notes.push(interrupted.to_owned()),
        RunError::Store(_)
        | RunError::Spool(_)
        | RunError::Binding(_)
        | RunError::NobodyNamed(_)
        | RunError::Clock(_)
        | RunError::StalePlan(_)
        | RunError::Defect(_) => notes.push(error.to_string()),
    }
}

pub(crate) fn facts<O: Observe, P>(
    context: &RunContext<'_, O>,
    totals: &RunTotals,
    live: Option<&LiveRun<'_, P>>,
    start: &RunStart,
) -> RunFacts {
    let RunStart { at, links, source: source_before, target: target_before } = start;
    let source = context.source.counters();
    let target = context.target.counters();
    let mut notes = totals.notes.clone();
    if totals.list_was_short > 0 {
        notes.push(format!(
            "the source's list was short: {} linked people were not on it and are assigned when asked for alone; \
             check that the credentials' admin role may see everybody",
            totals.list_was_short
        ));
    }
    if !context.snapshot.exists() {
        notes.push("there is no state yet: everybody is compared with the workspace as it is".to_owned());
    }
    RunFacts {
        sync: context.config.name.clone(),
        run: live.map(|live| live.run),
        mode: if live.is_some() { Mode::Apply } else { Mode::DryRun },
        trigger: context.trigger,
        result: result(totals),
        started_at: *at,
        finished_at: Millis::now(),
        passes: totals.passes,
        first_contact: links.links == 0,
        source: SourceFacts {
            kind: context.source.vendor().as_str().to_owned(),
            users: totals.users,
            pages: totals.pages,
            requests: source.requests - source_before.requests,
            complete: totals.complete,
            problem: None,
        },
        target: TargetFacts {
            dialect: context.config.target.dialect.as_str().to_owned(),
            requests: target.requests - target_before.requests,
            rate_limited: target.rate_limited - target_before.rate_limited,
            problem: None,
        },
        summary: totals.summary,
        seats: Seats {
            before: links.billable,
            after: links.billable.saturating_add_signed(totals.seats_delta),
            limit: context.config.guard.max_seats.map(u64::from),
        },
        guards: totals.guard_report.facts().to_vec(),
        holds: totals.holds.clone(),
        notes,
    }
}

fn result(totals: &RunTotals) -> RunResult {
    if totals.summary.failed > 0 || totals.unsent_removals > 0 || totals.owed.undone > 0 {
        RunResult::Partial
    } else if totals.summary.held > 0 || totals.left_out > 0 || totals.owed.held > 0 {
        RunResult::Held
    } else {
        RunResult::Ok
    }
}

//! One run of one sync, phase by phase.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;

use futures_util::FutureExt;
use tokio::sync::watch;

use super::event::{RunEvent, Watcher};
use super::hand::Stop;
use super::people::{by_id, everybody, named};
use super::settle::{look_after_overtaken, recover};
use super::telling::{blame, facts, keep_lines, quarantine_notes};
use super::{Context, RunError, Waiting};
use crate::config;
use crate::core::mapping::Mapping;
use crate::http::Lane;
use crate::http::counters::Counters;
use crate::model::id::SourceId;
use crate::model::order::OrderNumber;
use crate::model::report::{ActionRecord, HoldFact, Mode, RunFacts, Summary, Trigger};
use crate::model::time::Millis;
use crate::source::{Source, SourceError};
use crate::store::{Binding, Census, OwedTotals, Snapshot, Spool, Store, Tenure, ToldOf, Verdict};
use crate::target::{Observe, Provision, TargetError};

mod pass;

pub(super) use pass::{apply_plan, hold_what_is_held, merge, note_what_is_owed, plan_and_carry_out};

/// Passes of one run: far beyond what `max_apply` needs, so that a run always ends.
const MOST_PASSES: u32 = 1000;

/// Whom a run is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Everybody.
    Everybody,
    /// These, by login, e-mail, source id or target id.
    Named(Vec<String>),
    /// These.
    Ids(Vec<SourceId>),
    /// Everybody for whom a run wrote something: that is taken back.
    ReturnOf {
        /// The run.
        run: i64,
        /// Who asked for it, for the record.
        by: String,
    },
}

/// What is asked for.
pub struct Request<'a, O> {
    /// The sync.
    pub config: &'a config::Sync,
    /// The compiled mapping.
    pub mapping: &'a Mapping,
    /// The identity provider.
    pub source: &'a Source,
    /// The workspace, for reading.
    pub target: &'a O,
    /// The state, for reading.
    pub snapshot: &'a Snapshot,
    /// Whom it is about.
    pub who: Who,
    /// Only these actions, exactly as they are: a saved plan.
    pub only: Option<&'a [ActionRecord]>,
    /// What started it.
    pub trigger: Trigger,
    /// Nobody stands behind it: the limits for unattended runs apply.
    pub unattended: bool,
    /// Who started it by hand, for the record.
    pub by: Option<&'a str>,
    /// Who is told.
    pub watcher: &'a dyn Watcher,
    /// Becomes true when a signal asks to stop.
    pub interrupted: watch::Receiver<bool>,
}

/// The right to write. A dry run has none.
pub struct Writing<'a, P> {
    /// The state.
    pub store: &'a Store,
    /// The workspace, for writing.
    pub provisioner: &'a P,
}

/// A run that ended, one way or the other.
#[derive(Debug)]
pub struct Finished {
    /// Everything but the list.
    pub facts: RunFacts,
    /// Everybody but the unchanged.
    pub records: Spool<ActionRecord>,
    /// Why the run was refused before it wrote anything.
    pub refused: Option<Refused>,
}

/// Why a run was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The configuration does not fit the stored links.
    Binding,
    /// The saved plan does not fit what is there now.
    StalePlan,
}

/// What is gathered over the passes of a run.
#[derive(Default)]
pub(super) struct Tally {
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
    pub judgement: crate::core::guard::Judgement,
    pub stop: Option<Stop>,
    pub holds: Vec<HoldFact>,
    /// People whose actions ended in an earlier pass.
    pub done: HashSet<SourceId>,
    /// Of them, those who have a link.
    pub linked: u64,
    pub notes: Vec<String>,
    /// What the removals that are still owed mean for the exit code.
    pub owed: OwedTotals,
    /// Whose lines `records` holds, once it holds all of them.
    pub told: Option<ToldOf>,
}

/// How things stood when a run began.
pub(super) struct Beginning {
    pub at: Millis,
    pub census: Census,
    pub source: Counters,
    pub target: Counters,
}

pub(super) struct Written<'a, P> {
    pub writing: &'a Writing<'a, P>,
    pub tenure: Tenure,
    pub run: i64,
    /// When it began, in the order of things.
    pub began: OrderNumber,
}

/// Runs one sync. A failure is part of what is returned, never a panic or a lost report.
pub async fn run<O: Observe, P: Provision>(
    request: Request<'_, O>,
    writing: Option<&Writing<'_, P>>,
) -> Finished {
    let beginning = Beginning {
        at: Millis::now(),
        census: request.snapshot.census(&request.config.name).await.unwrap_or_default(),
        source: request.source.counters(),
        target: request.target.counters(),
    };
    let mut tally = Tally::default();
    let mut written = None;
    // A defect ends the run like any other failure: on record, counted, and told.
    let phases = AssertUnwindSafe(Box::pin(phases(&request, writing, &mut written, &mut tally)));
    let outcome = phases.catch_unwind().await.unwrap_or_else(|panic| Err(defect(panic.as_ref())));
    let mut facts = facts(&request, &tally, written.as_ref(), &beginning);
    // A run that failed before it had a number is no dry run.
    facts.mode = if writing.is_some() { Mode::Apply } else { Mode::DryRun };
    match &outcome {
        Ok(()) => {}
        Err(error) => blame(&mut facts, error),
    }
    let mut chain_head = String::new();
    if let Some(written @ Written { writing, tenure, .. }) = &written {
        let verdict = verdict(&outcome);
        if outcome.is_ok() && request.who == Who::Everybody && request.only.is_none() {
            end_what_asked_for_it(written, &mut facts).await;
        }
        quarantine_notes(&request, writing.store, &mut facts, verdict).await;
        match writing.store.finish_run(tenure, facts.clone(), verdict).await {
            Ok(head) => chain_head = head,
            Err(error) => facts.notes.push(error.to_string()),
        }
        // Only now: after a stop, everybody who is left over has a line, and the end must be on record before patience
        // runs out. A run whose lines did not get there is repeated as one whose list is not whole.
        keep_lines(written, &mut tally, &mut facts).await;
    }
    request.watcher.tell(&RunEvent::Finished { result: facts.result, chain_head });
    let refused = match &outcome {
        Err(RunError::Binding(_)) => Some(Refused::Binding),
        Err(RunError::StalePlan(_)) => Some(Refused::StalePlan),
        Ok(())
        | Err(
            RunError::Source(_)
            | RunError::Target(_)
            | RunError::Store(_)
            | RunError::Spool(_)
            | RunError::NobodyNamed(_)
            | RunError::Defect(_)
            | RunError::Clock(_)
            | RunError::Interrupted,
        ) => None,
    };
    Finished { facts, records: tally.records, refused }
}

/// What the end says of the sync's health.
pub(super) fn verdict(outcome: &Result<(), RunError>) -> Verdict {
    match outcome {
        Err(
            RunError::Source(SourceError::Credentials(_)) | RunError::Target(TargetError::Credentials(_)),
        ) => Verdict::CredentialsRefused,
        Err(RunError::StalePlan(_) | RunError::NobodyNamed(_)) => Verdict::Nothing,
        Ok(())
        | Err(
            RunError::Source(_)
            | RunError::Target(_)
            | RunError::Store(_)
            | RunError::Spool(_)
            | RunError::Binding(_)
            | RunError::Defect(_)
            | RunError::Clock(_)
            | RunError::Interrupted,
        ) => Verdict::ByResult,
    }
}

/// A panic as the error of a run.
pub(super) fn defect(panic: &(dyn Any + Send)) -> RunError {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    RunError::Defect(text.unwrap_or_else(|| "a panic without words".to_owned()))
}

async fn phases<'a, O: Observe, P: Provision>(
    request: &Request<'_, O>,
    writing: Option<&'a Writing<'a, P>>,
    written: &mut Option<Written<'a, P>>,
    tally: &mut Tally,
) -> Result<(), RunError> {
    let target_url = target_url(&request.config.target);
    let binding = binding_of(request.source, request.config);
    check_binding(request.snapshot, &request.config.name, &binding).await?;
    let full = request.who == Who::Everybody;
    let began = OrderNumber::next();
    if let Some(writing) = writing {
        let tenure = writing.store.tenure(&request.config.name).await?;
        writing.store.bind(&tenure, binding).await?;
        let run = match &request.who {
            Who::ReturnOf { run, by } => writing.store.begin_return(&tenure, *run, by, Millis::now()).await?,
            Who::Everybody | Who::Named(_) | Who::Ids(_) => {
                let unattended = request.unattended;
                writing.store.begin_run(&tenure, request.trigger, full, unattended, Millis::now()).await?
            }
        };
        if let Some(by) = request.by {
            writing.store.note_actor(run, by).await?;
        }
        *written = Some(Written { writing, tenure, run, began });
    }
    let waiting = match (full, writing.is_some()) {
        (false, _) => Waiting::Ignored,
        (true, true) => Waiting::Counted,
        (true, false) => Waiting::AsIfNext,
    };
    let context = context(request, target_url, waiting);
    if let Some(Written { writing, tenure, .. }) = written {
        let named = match &request.who {
            Who::Ids(ids) => Some(ids.iter().cloned().collect::<HashSet<SourceId>>()),
            Who::Everybody | Who::Named(_) | Who::ReturnOf { .. } => None,
        };
        let settled = recover(&context, writing.store, tenure, named.as_ref()).await?;
        if settled > 0 {
            tally.notes.push(format!("settled {settled} writes that an earlier run had left open"));
        }
        look_after_overtaken(&context, writing.store, tenure).await?;
    }
    while tally.passes < MOST_PASSES {
        pass(&context, &request.who, request.only, written.as_ref(), tally).await?;
        if tally.stop != Some(Stop::TimeIsUp) {
            break;
        }
        tally.stop = None;
    }
    stopped(tally)
}

/// Why a run stopped early, as its error.
pub(super) fn stopped(tally: &Tally) -> Result<(), RunError> {
    match &tally.stop {
        Some(Stop::Interrupted) => Err(RunError::Interrupted),
        Some(Stop::TargetUnavailable(why)) => Err(RunError::Target(TargetError::Unavailable(why.clone()))),
        Some(Stop::CredentialsRefused(why)) => Err(RunError::Target(TargetError::Credentials(why.clone()))),
        Some(Stop::State(why)) => Err(RunError::Store(crate::store::StoreError::Database(why.clone()))),
        Some(Stop::TimeIsUp) | None => Ok(()),
    }
}

/// What the phases of a run may look at.
pub(super) fn context<'a, O>(
    request: &Request<'a, O>,
    target_url: String,
    waiting: Waiting,
) -> Context<'a, O> {
    Context {
        config: request.config,
        mapping: request.mapping,
        source: request.source,
        target: request.target,
        snapshot: request.snapshot,
        target_url,
        watcher: request.watcher,
        interrupted: request.interrupted.clone(),
        waiting,
        unattended: request.unattended,
        lane: if request.trigger == Trigger::Watch { Lane::Removal } else { Lane::General },
        reads_one_by_one: request.who != Who::Everybody,
        clock: OnceLock::new(),
        corrected: HashMap::new(),
    }
}

/// One pass: read, plan, carry out. A run has more than one where applying takes longer than `max_apply`.
async fn pass<O: Observe, P: Provision>(
    context: &Context<'_, O>,
    who: &Who,
    only: Option<&[ActionRecord]>,
    written: Option<&Written<'_, P>>,
    tally: &mut Tally,
) -> Result<(), RunError> {
    // Names of groups are resolved afresh, once a pass.
    context.source.begin_pass();
    let gathered = match who {
        Who::ReturnOf { run, .. } => return super::undo::pass(context, *run, written, tally).await,
        Who::Everybody => everybody(context).await?,
        Who::Named(names) => named(context, names).await?,
        Who::Ids(ids) => by_id(context, ids.clone()).await?,
    };
    // Boxed: the whole of a run is a deep type otherwise.
    Box::pin(plan_and_carry_out(context, who, gathered, only, written, tally)).await
}

/// A full run that ended well does what had asked for one.
async fn end_what_asked_for_it<P>(written: &Written<'_, P>, facts: &mut RunFacts) {
    let Written { writing, tenure, began, .. } = written;
    if let Err(error) = writing.store.end_full_run(tenure, *began).await {
        facts.notes.push(error.to_string());
    }
}

/// What a sync is bound to, in words: saved plans and messages name it.
pub fn bound_to(source: &Source, config: &config::Sync) -> String {
    let origin = source.origin().origin().ascii_serialization();
    let kind = source.vendor().as_str();
    format!("{kind} app {} at {origin} -> {}", config.source.app_id, target_url(&config.target))
}

/// The workspace's base URL in one spelling.
pub fn target_url(target: &config::Target) -> String {
    target.url.as_str().trim_end_matches('/').to_owned()
}

/// What a configured sync is bound to.
pub(super) fn binding_of(source: &Source, config: &config::Sync) -> Binding {
    Binding {
        source_kind: source.vendor().as_str().to_owned(),
        source_origin: source.origin().origin().ascii_serialization(),
        source_app: config.source.app_id.clone(),
        target_url: target_url(&config.target),
    }
}

/// A sync is bound to its source and workspace: other links than its own are never touched.
pub(super) async fn check_binding(snapshot: &Snapshot, sync: &str, now: &Binding) -> Result<(), RunError> {
    let Some(bound) = snapshot.binding(sync).await? else { return Ok(()) };
    if bound == *now || snapshot.census(sync).await?.links == 0 {
        return Ok(());
    }
    let side = |binding: &Binding| {
        format!(
            "{} app {} at {} -> {}",
            binding.source_kind, binding.source_app, binding.source_origin, binding.target_url
        )
    };
    Err(RunError::Binding(format!(
        "sync \"{sync}\" holds links of {}, and the configuration now says {}\nhelp: if the source moved, hand the \
         links over with `rosterd transfer --from {sync} --to {sync}`; if this is another workspace, give it a sync name \
         of its own, and `rosterd rebuild` fills that one's empty state",
        side(&bound),
        side(now)
    )))
}

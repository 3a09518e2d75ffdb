//! A run as it is asked for: by the schedule, by the watch, by a command.
//!
//! What lives here: which kind of run is meant, and carrying it out with or without the right to write. What must not:
//! when it runs (`daemon`), what is printed (`app`).

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::engine::context::RunContext;
use crate::engine::live_run::LiveAccess;
use crate::engine::run::{FinishedRun, run};
use crate::engine::selection::Selection;
use crate::engine::session::SyncSession;
use crate::model::report::{ActionRecord, Trigger};
use crate::model::run_event::RunWatcher;
use crate::operations::undo::undo;
use crate::scim::adapter::Provisioner;
use crate::scim::target::{Observe, Provision};
use crate::store::{Snapshot, Store};

/// What a run is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunTask {
    /// The workspace is made to follow the source.
    Reconcile(Selection),
    /// What a run did is taken back.
    Undo {
        /// The run.
        run: i64,
        /// Who asked for it, for the record.
        actor: String,
    },
}

/// What a run is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSpec {
    /// What it is for.
    pub task: RunTask,
    /// What started it.
    pub trigger: Trigger,
    /// Nobody stands behind it: the limits for unattended runs apply.
    pub unattended: bool,
    /// Who started it by hand, for the record.
    pub actor: Option<String>,
    /// Only these actions, exactly as they are: a saved plan.
    pub saved_plan: Option<Vec<ActionRecord>>,
}

impl From<Selection> for RunTask {
    fn from(selection: Selection) -> RunTask {
        RunTask::Reconcile(selection)
    }
}

impl RunTask {
    /// Whether it reads everybody.
    pub fn is_full(&self) -> bool {
        match self {
            RunTask::Reconcile(selection) => selection.is_full(),
            RunTask::Undo { .. } => false,
        }
    }
}

impl RunSpec {
    /// A full run that nothing narrows: it does whatever is due.
    pub fn is_whole(&self) -> bool {
        self.task.is_full() && self.saved_plan.is_none()
    }
}

/// Carries a task out in this context. Without access nothing is written.
pub async fn perform<O: Observe + Sync, P: Provision + Sync>(
    context: RunContext<'_, O>,
    task: &RunTask,
    saved_plan: Option<&[ActionRecord]>,
    access: Option<&LiveAccess<'_, P>>,
) -> FinishedRun {
    match task {
        RunTask::Reconcile(selection) => run(context, selection, saved_plan, access).await,
        RunTask::Undo { run, actor } => undo(context, *run, actor, access).await,
    }
}

/// A run that may write. What the target was seen to do is kept for the next one.
pub async fn live_run(
    session: &SyncSession,
    spec: &RunSpec,
    store: &Store,
    watcher: &dyn RunWatcher,
    interrupted: watch::Receiver<bool>,
) -> FinishedRun {
    let provisioner = session.target.provisioner();
    let access = LiveAccess { store, provisioner: &provisioner };
    let context = context_of(session, spec, store.snapshot(), watcher, interrupted);
    // On the heap: the future of a run is nested too deep for the layout of whatever holds it.
    let performed: BoxFuture<'_, FinishedRun> =
        Box::pin(perform(context, &spec.task, spec.saved_plan.as_deref(), Some(&access)));
    let finished = performed.await;
    session.remember(store, Some(&finished)).await;
    finished
}

/// A run without the right to write.
pub async fn dry_run(
    session: &SyncSession,
    spec: &RunSpec,
    snapshot: &Snapshot,
    watcher: &dyn RunWatcher,
    interrupted: watch::Receiver<bool>,
) -> FinishedRun {
    let nothing: Option<&LiveAccess<'_, Provisioner>> = None;
    let context = context_of(session, spec, snapshot, watcher, interrupted);
    let performed: BoxFuture<'_, FinishedRun> =
        Box::pin(perform(context, &spec.task, spec.saved_plan.as_deref(), nothing));
    performed.await
}

fn context_of<'a>(
    session: &'a SyncSession,
    spec: &'a RunSpec,
    snapshot: &'a Snapshot,
    watcher: &'a dyn RunWatcher,
    interrupted: watch::Receiver<bool>,
) -> RunContext<'a, crate::scim::adapter::ScimTarget> {
    RunContext {
        trigger: spec.trigger,
        unattended: spec.unattended,
        actor: spec.actor.as_deref(),
        watcher,
        ..session.context(snapshot, interrupted)
    }
}

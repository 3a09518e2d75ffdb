//! Everything that can happen to the daemon, as one closed enum, and the handle by which others make it happen.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::config::Config;
use crate::daemon::pause::Retired;
use crate::daemon::verification::{VerifyEnded, VerifyRequest};
use crate::engine::run::{FinishedRun, RunRefusal};
use crate::engine::session::SyncSession;
use crate::model::order::OrderNumber;
use crate::model::run_event::{RunEvent, RunWatcher};
use crate::model::time::Millis;
use crate::operations::run_task::RunSpec;
use crate::report::SyncReport;
use crate::spool::Spool;
use crate::store::Store;

/// What the loop reacts to.
pub enum Event {
    /// Somebody wants a run and waits for its end.
    Asked(RunRequest),
    /// A run ended.
    Ended(Box<Ended>),
    /// Somebody wants a verification and waits for its end.
    AskedToVerify(VerifyRequest),
    /// A verification ended.
    Verified(Box<VerifyEnded>),
    /// The watch stored people to look at.
    LookOwed {
        /// The sync.
        sync: String,
    },
    /// A full run is wanted soon.
    Soon {
        /// The sync.
        sync: String,
        /// Why, for the log.
        reason: String,
    },
    /// Something was decided by hand: a sync in quarantine may try at once.
    Decided {
        /// The sync.
        sync: String,
    },
    /// The pause of a sync was set or lifted.
    PauseSet {
        /// The sync.
        sync: String,
    },
    /// Read the configuration again.
    Reload,
    /// End, once the writes under way are done.
    Stop,
}

/// A run that somebody wants.
pub struct RunRequest {
    /// The sync.
    pub sync: String,
    /// What is to be run.
    pub spec: RunSpec,
    /// Who is told while it runs.
    pub watcher: Arc<dyn RunWatcher>,
    /// Who waits for its end.
    pub reply: oneshot::Sender<Done>,
}

/// A run's end, as whoever asked for it gets it.
#[derive(Debug)]
pub struct Done {
    /// The report.
    pub report: SyncReport,
    /// Why the run was refused before it wrote anything.
    pub refusal: Option<RunRefusal>,
}

/// A run's end, as the loop gets it.
pub struct Ended {
    /// Which.
    pub id: u64,
    /// The sync.
    pub sync: String,
    /// What was run.
    pub spec: RunSpec,
    /// When it began.
    pub began_at: Millis,
    /// When it began, in the order of things.
    pub began: OrderNumber,
    /// How it ended; `None` = it broke off by a defect of the program.
    pub finished: Option<FinishedRun>,
}

/// Everything that a configuration file stands for, opened.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Its syncs, opened.
    pub session: BTreeMap<String, Arc<SyncSession>>,
}

/// How others reach the loop.
#[derive(Clone)]
pub struct Handle {
    pub(super) store: Arc<Store>,
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) loaded: watch::Receiver<Arc<Loaded>>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) retired: Retired,
}

impl Handle {
    /// The state.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The configuration as it is now.
    pub fn loaded(&self) -> Arc<Loaded> {
        self.loaded.borrow().clone()
    }

    /// Becomes true when the daemon ends.
    pub fn stop(&self) -> watch::Receiver<bool> {
        self.stop.clone()
    }

    /// Has the loop run something and waits for its end; `None` where the daemon ends first.
    pub async fn run(&self, sync: &str, spec: RunSpec, watcher: Arc<dyn RunWatcher>) -> Option<Done> {
        let (reply, done) = oneshot::channel();
        self.events.send(Event::Asked(RunRequest { sync: sync.to_owned(), spec, watcher, reply })).ok()?;
        done.await.ok()
    }

    /// Tells the loop that somebody decided something about a sync.
    pub fn decided(&self, sync: &str) {
        let _ = self.events.send(Event::Decided { sync: sync.to_owned() });
    }
}

/// Tells several.
pub struct All(pub Vec<Arc<dyn RunWatcher>>);

impl RunWatcher for All {
    fn tell(&self, event: &RunEvent) {
        self.0.iter().for_each(|watcher| watcher.tell(event));
    }
}

/// Whether two wishes are fulfilled by one run.
pub(super) fn is_same_wish(one: &RunSpec, other: &RunSpec) -> bool {
    one == other && one.is_whole()
}

/// Gives a run's end to everybody who waits for it. Nobody's report is taken from another.
pub(super) fn reply_to(waiting: Vec<oneshot::Sender<Done>>, finished: FinishedRun) {
    let FinishedRun { facts, mut records, refusal } = finished;
    let mut waiting = waiting.into_iter().peekable();
    while let Some(reply) = waiting.next() {
        let own = if waiting.peek().is_some() { copy(&mut records) } else { std::mem::take(&mut records) };
        // Who does not wait any more has lost interest in the report only.
        let _ = reply.send(Done { report: SyncReport { facts: facts.clone(), records: own }, refusal });
    }
}

fn copy<T: serde::Serialize + serde::de::DeserializeOwned>(records: &mut Spool<T>) -> Spool<T> {
    let mut twin = Spool::default();
    if let Ok(all) = records.iter() {
        for record in all.flatten() {
            if let Err(error) = twin.push(&record) {
                tracing::warn!(%error, "a report could not be copied whole");
                break;
            }
        }
    }
    twin
}

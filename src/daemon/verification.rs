//! Verifications: on their own schedule, or asked for by a client. One full run or verification of a sync at a time.
//!
//! What lives here: when one is due, and what becomes of its end. What must not: how it goes (`engine`).

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::oneshot;

use crate::config;
use crate::daemon::dispatch::{Dispatcher, Running, sentence};
use crate::daemon::due_times::DueTimes;
use crate::daemon::event::{All, Event, Handle};
use crate::engine::quarantine::quarantine_of;
use crate::exit;
use crate::model::report::Trigger;
use crate::model::run_event::RunWatcher;
use crate::model::time::Millis;
use crate::operations::verify::FinishedVerification;
use crate::operations::verify::VerifyAccess;
use crate::operations::verify::spec::VerifySpec;
use crate::operations::verify::verify_session;
use crate::store::{Store, StoreError};
use crate::telemetry::log::LogWatcher;

/// A verification that somebody wants.
pub struct VerifyRequest {
    /// The sync.
    pub sync: String,
    /// What is to be done.
    pub verification: VerifySpec,
    /// Who is told while it goes on.
    pub watcher: Arc<dyn RunWatcher>,
    /// Who waits for its end.
    pub reply: oneshot::Sender<FinishedVerification>,
}

/// The end of a verification, as the loop gets it.
pub struct VerifyEnded {
    id: u64,
    sync: String,
    /// `None` = it broke off by a defect of the program.
    verified: Option<FinishedVerification>,
    reply: Option<oneshot::Sender<FinishedVerification>>,
}

/// What the loop knows of one sync's verifications.
#[derive(Default)]
pub(crate) struct Verifying {
    pub due_times: Option<DueTimes>,
    pub queue: VecDeque<QueuedVerification>,
}

/// A verification that waits for its turn.
pub(crate) struct QueuedVerification {
    verification: VerifySpec,
    trigger: Trigger,
    watchers: Vec<Arc<dyn RunWatcher>>,
    reply: Option<oneshot::Sender<FinishedVerification>>,
}

impl Handle {
    /// Has the loop verify a sync and waits for the end; `None` where the daemon ends first.
    pub async fn verify(
        &self,
        sync: &str,
        verification: VerifySpec,
        watcher: Arc<dyn RunWatcher>,
    ) -> Option<FinishedVerification> {
        let (reply, end) = oneshot::channel();
        let wish = VerifyRequest { sync: sync.to_owned(), verification, watcher, reply };
        self.events.send(Event::AskedToVerify(wish)).ok()?;
        end.await.ok()
    }
}

/// When a sync is verified without being asked; `None` = never. A sync that was never verified waits for the first
/// firing: its first run comes first.
pub(crate) async fn due_times(
    sync: &config::Sync,
    store: &Store,
    now: Millis,
) -> Result<Option<DueTimes>, StoreError> {
    let Some(schedule) = &sync.drift.schedule else { return Ok(None) };
    let last = store.snapshot().last_verification(&sync.name).await?.map_or(now, |(at, _)| at);
    Ok(Some(DueTimes::following(schedule, sync, Some(last), now)))
}

impl Dispatcher {
    /// The schedule asks for a verification. In quarantine it waits for the next firing.
    pub(crate) async fn verification_due(&mut self, sync: &str, now: Millis) -> Result<(), StoreError> {
        let loaded = self.loaded.borrow().clone();
        let Some(session) = loaded.session.get(sync) else { return Ok(()) };
        let quarantined = quarantine_of(self.store.snapshot(), &session.config).await?.is_some();
        let Some(turn) = self.turns.get_mut(sync) else { return Ok(()) };
        if let Some(due_times) = &mut turn.verifying.due_times {
            due_times.dealt_with(now);
        }
        if quarantined {
            tracing::info!(sync, "a verification is left out: the sync is in quarantine");
            return Ok(());
        }
        if turn.verifying.queue.iter().all(|queued| queued.reply.is_some()) {
            let verification = VerifySpec { policies: session.config.drift.clone(), all: false };
            let trigger = Trigger::Schedule;
            let queued = QueuedVerification { verification, trigger, watchers: Vec::new(), reply: None };
            turn.verifying.queue.push_back(queued);
        }
        self.start_next(sync);
        Ok(())
    }

    /// Somebody wants a verification.
    pub(crate) fn asked_to_verify(&mut self, wish: VerifyRequest) {
        let VerifyRequest { sync, verification, watcher, reply } = wish;
        let Some(turn) = self.turns.get_mut(&sync) else { return };
        turn.verifying.queue.push_back(QueuedVerification {
            verification,
            trigger: Trigger::Manual,
            watchers: vec![watcher],
            reply: Some(reply),
        });
        self.start_next(&sync);
    }

    /// Starts a verification and gives its number.
    pub(crate) fn start_verification(&mut self, sync: &str, queued: QueuedVerification) -> Option<u64> {
        let loaded = self.loaded.borrow().clone();
        let session = loaded.session.get(sync)?.clone();
        let QueuedVerification { verification, trigger, watchers, reply } = queued;
        let id = self.new_id(Running::unasked());
        let mut all: Vec<Arc<dyn RunWatcher>> =
            vec![Arc::new(LogWatcher::new(sync)), Arc::new(self.metrics.watcher(sync))];
        all.extend(watchers);
        let (store, events, interrupted) =
            (self.store.clone(), self.events.clone(), self.interrupted.clone());
        let sync = sync.to_owned();
        tokio::spawn(async move {
            let watchers = All(all);
            let state = VerifyAccess::Writing(&store);
            let verifying = verify_session(&session, &verification, trigger, state, &watchers, interrupted);
            let verified = AssertUnwindSafe(verifying).catch_unwind().await.ok();
            let _ = events.send(Event::Verified(Box::new(VerifyEnded { id, sync, verified, reply })));
        });
        Some(id)
    }

    /// Takes in the end of a verification.
    pub(crate) async fn verified(&mut self, ended: VerifyEnded) -> Result<(), StoreError> {
        let VerifyEnded { id, sync, verified, reply } = ended;
        self.let_go(id, &sync);
        match verified {
            Some(verified) => {
                if let Some(repair) = &verified.repair {
                    let facts = &repair.facts;
                    let lasting = self.look_at_what_lasts(&sync, Millis::now()).await?;
                    self.metrics.run_ended(facts);
                    self.notifier.run_ended(facts, exit::of_run(facts, false), lasting);
                    self.last = sentence(facts);
                }
                self.notifier.verification_ended(&verified.facts);
                if let Some(reply) = reply {
                    // Who does not wait any more has lost interest in the report only.
                    let _ = reply.send(verified);
                }
            }
            None => {
                tracing::error!(
                    sync,
                    "a verification broke off by a defect; the next run settles what it left"
                );
                self.store.give_up_tenure(&sync).await;
            }
        }
        self.start_next(&sync);
        Ok(())
    }
}

//! Pausing: what a pause means for the runs under way, and its end.
//!
//! What lives here: taking back what waits for its turn, and asking for the full run that makes up for a pause. What must
//! not: whether a write may go (the door asks that).

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::daemon::dispatch::Dispatcher;
use crate::daemon::event::{Event, Handle};
use crate::engine::session::SyncSession;
use crate::model::time::Millis;
use crate::store::StoreError;

/// Sides of earlier configurations: a run that began with them may still write.
#[derive(Clone, Default)]
pub(crate) struct Retired(Arc<Mutex<Vec<Weak<SyncSession>>>>);

impl Retired {
    /// Takes note of sides that a reload has replaced.
    pub(crate) fn retire<'a>(&self, session: impl IntoIterator<Item = &'a Arc<SyncSession>>) {
        let mut retired = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        retired.retain(|session| session.strong_count() > 0);
        retired.extend(session.into_iter().map(Arc::downgrade));
    }

    /// All sides of a sync with which something may be written.
    fn with(&self, sync: &str, present: Option<&Arc<SyncSession>>) -> Vec<Arc<SyncSession>> {
        let retired = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = retired.iter().filter_map(Weak::upgrade).filter(|session| session.config.name == sync);
        earlier.chain(present.cloned()).collect()
    }
}

impl Handle {
    /// After the pause of a sync was set: takes back every write that still waits for its turn, and returns when no
    /// request is on the wire, at most the request timeout later. After it was lifted: lets them go out again.
    pub async fn pause_was_set(&self, sync: &str, paused: bool) {
        let session = self.retired.with(sync, self.loaded().session.get(sync));
        session.iter().for_each(|session| session.target.pause_writes(paused));
        if paused {
            for session in &session {
                let quiet = session.target.no_write_on_the_wire();
                if tokio::time::timeout(session.config.target.timeout, quiet).await.is_err() {
                    let writes = session.target.writes_on_the_wire();
                    tracing::warn!(sync, writes, "a request was still on the wire after its time was over");
                }
            }
        }
        let _ = self.events.send(Event::PauseSet { sync: sync.to_owned() });
    }
}

impl Dispatcher {
    /// Looks at the pause of a sync: when its time is over, a full run makes up for it.
    pub(crate) async fn look_at_pause(&mut self, sync: &str, now: Millis) -> Result<(), StoreError> {
        let until = self.store.look_at_pause(sync, now).await?;
        let Some(turn) = self.turns.get_mut(sync) else { return Ok(()) };
        let was = std::mem::replace(&mut turn.paused_until, until);
        let loaded = self.loaded.borrow().clone();
        if was.is_some() != until.is_some() {
            let session = self.retired.with(sync, loaded.session.get(sync));
            session.iter().for_each(|session| session.target.pause_writes(until.is_some()));
        }
        if was.is_some() && until.is_none() {
            tracing::info!(sync, "writing goes on: the pause is over");
        }
        if until.is_none()
            && let Some(owed) = self.store.snapshot().owed_full_run(sync).await?
        {
            self.soon(sync, &owed.reason, now);
        }
        Ok(())
    }
}

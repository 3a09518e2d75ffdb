//! Pausing: what a pause means for the runs under way, and its end.
//!
//! What lives here: taking back what waits for its turn, and asking for the full run that makes up for a pause. What must
//! not: whether a write may go (the door asks that).

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::dispatch::Dispatcher;
use super::event::{Event, Handle};
use crate::model::time::Millis;
use crate::reconcile::Sides;
use crate::store::StoreError;

/// Sides of earlier configurations: a run that began with them may still write.
#[derive(Clone, Default)]
pub(super) struct Retired(Arc<Mutex<Vec<Weak<Sides>>>>);

impl Retired {
    /// Takes note of sides that a reload has replaced.
    pub(super) fn retire<'a>(&self, sides: impl IntoIterator<Item = &'a Arc<Sides>>) {
        let mut retired = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        retired.retain(|sides| sides.strong_count() > 0);
        retired.extend(sides.into_iter().map(Arc::downgrade));
    }

    /// All sides of a sync with which something may be written.
    fn with(&self, sync: &str, present: Option<&Arc<Sides>>) -> Vec<Arc<Sides>> {
        let retired = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = retired.iter().filter_map(Weak::upgrade).filter(|sides| sides.config.name == sync);
        earlier.chain(present.cloned()).collect()
    }
}

impl Handle {
    /// After the pause of a sync was set: takes back every write that still waits for its turn, and returns when no
    /// request is on the wire, at most the request timeout later. After it was lifted: lets them go out again.
    pub async fn pause_was_set(&self, sync: &str, paused: bool) {
        let sides = self.retired.with(sync, self.loaded().sides.get(sync));
        sides.iter().for_each(|sides| sides.target.pause_writes(paused));
        if paused {
            for sides in &sides {
                let quiet = sides.target.no_write_on_the_wire();
                if tokio::time::timeout(sides.config.target.timeout, quiet).await.is_err() {
                    let writes = sides.target.writes_on_the_wire();
                    tracing::warn!(sync, writes, "a request was still on the wire after its time was over");
                }
            }
        }
        let _ = self.events.send(Event::PauseSet { sync: sync.to_owned() });
    }
}

impl Dispatcher {
    /// Looks at the pause of a sync: when its time is over, a full run makes up for it.
    pub(super) async fn look_at_pause(&mut self, sync: &str, now: Millis) -> Result<(), StoreError> {
        let until = self.store.look_at_pause(sync, now).await?;
        let Some(turn) = self.turns.get_mut(sync) else { return Ok(()) };
        let was = std::mem::replace(&mut turn.paused_until, until);
        let loaded = self.loaded.borrow().clone();
        if was.is_some() != until.is_some() {
            let sides = self.retired.with(sync, loaded.sides.get(sync));
            sides.iter().for_each(|sides| sides.target.pause_writes(until.is_some()));
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

//! The watch: follows a source's event log and stores whom it names. It looks at nobody and decides nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use crate::config::Watch;
use crate::daemon::event::Event;
use crate::engine::session::SyncSession;
use crate::model::order::OrderNumber;
use crate::model::time::Millis;
use crate::source::{Hint, Poll, PollError, Subject};
use crate::store::{NamedPerson, Store, StoreError};

/// `watch = "auto"`
const AUTO: Duration = Duration::from_secs(30);
/// How soon a log that may not be read, or a source that does not answer, is tried again at the latest.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
const LONGEST_PAUSE_UNREACHABLE: Duration = Duration::from_secs(300);

/// A first poll looks back a little further than this.
const LOOKS_BACK: Duration = Duration::from_secs(100);

/// Takes note of how long after it happened an event of a sync was read, in seconds.
pub(super) type Lag = Arc<dyn Fn(&str, f64) + Send + Sync>;

/// What one poll led to.
enum Polled {
    /// Read up to here; `true` = there is more already.
    Read(bool),
    /// Wait longer before the next one.
    Failed(Duration),
}

/// Follows the event log of a sync until `stop`. `began`: when that was decided, in the order of things.
pub(super) async fn follow(
    session: Arc<SyncSession>,
    store: Arc<Store>,
    events: mpsc::UnboundedSender<Event>,
    lag: Lag,
    began: OrderNumber,
    mut stop: watch::Receiver<bool>,
) {
    let every = match session.config.watch {
        Watch::Auto => AUTO,
        Watch::Every(every) => every,
        Watch::Off => return,
    };
    let began = (began, Instant::now());
    let mut follower = Follower { session, store, events, lag, began, failures: 0, told: None };
    loop {
        let pause = match follower.poll().await {
            Ok(Polled::Read(true)) => Duration::ZERO,
            Ok(Polled::Read(false)) => every,
            Ok(Polled::Failed(pause)) => pause.max(every),
            Err(error) => {
                tracing::warn!(sync = follower.sync(), %error, "the watch could not store what it heard");
                LONGEST_PAUSE_UNREACHABLE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

struct Follower {
    session: Arc<SyncSession>,
    store: Arc<Store>,
    events: mpsc::UnboundedSender<Event>,
    lag: Lag,
    began: (OrderNumber, Instant),
    failures: u32,
    /// The trouble that was told last: it is told once.
    told: Option<String>,
}

impl Follower {
    fn sync(&self) -> &str {
        &self.session.config.name
    }

    async fn poll(&mut self) -> Result<Polled, StoreError> {
        let cursor = self.store.snapshot().cursor(self.sync()).await?;
        match self.session.source.poll_events(cursor.as_deref()).await {
            Ok(poll) => {
                if self.told.take().is_some() {
                    tracing::info!(sync = self.sync(), "the event log can be read again");
                }
                self.failures = 0;
                let more = poll.more;
                if cursor.is_none() {
                    self.begin_log().await?;
                }
                self.take_in(poll).await?;
                Ok(Polled::Read(more))
            }
            Err(PollError::CursorLost(why)) => {
                let tenure = self.store.tenure(self.sync()).await?;
                let reason =
                    format!("the event log begins anew, and what happened in between is read whole: {why}");
                self.store.forget_cursor(&tenure, reason.clone(), Millis::now()).await?;
                self.soon(reason);
                Ok(Polled::Read(true))
            }
            Err(PollError::NotAllowed(why)) => {
                self.tell_once(&format!(
                    "without the event log a change waits for the next scheduled run: {why}"
                ));
                Ok(Polled::Failed(LONGEST_PAUSE))
            }
            Err(PollError::Source(error)) => {
                self.failures = (self.failures + 1).min(10);
                self.tell_once(&error.to_string());
                let pause = Duration::from_secs(1 << self.failures).min(LONGEST_PAUSE_UNREACHABLE);
                Ok(Polled::Failed(pause))
            }
        }
    }

    /// The log is read from here on for the first time: what happened before is known by a full run only. The first poll
    /// looks back a little, so that a run which began with the watch will do.
    async fn begin_log(&self) -> Result<(), StoreError> {
        if self.store.snapshot().owed_full_run(self.sync()).await?.is_some() {
            return Ok(());
        }
        let (number, at) = self.began;
        let number = if at.elapsed() < LOOKS_BACK { number } else { OrderNumber::next() };
        let reason = "the event log is followed from here on".to_owned();
        self.store.owe_full_run_since(self.sync(), reason.clone(), number, Millis::now()).await?;
        self.soon(reason);
        Ok(())
    }

    /// Stores whom the events name, then how far they go, and only then wakes the loop.
    async fn take_in(&mut self, poll: Poll) -> Result<(), StoreError> {
        let now = Millis::now();
        let mut named = Vec::new();
        let mut everybody = None;
        for Hint { event_id, at, subject, meaning } in poll.hints {
            (self.lag)(self.sync(), now.since(at).max(0) as f64 / 1000.0);
            match subject {
                Subject::Membership(source_id) => {
                    named.push(NamedPerson { source_id, event_at: at, membership: true, meaning });
                }
                Subject::Person(source_id) => {
                    named.push(NamedPerson { source_id, event_at: at, membership: false, meaning });
                }
                Subject::Everybody(reason) => everybody = Some(format!("{reason} (event {event_id})")),
            }
        }
        let anybody = !named.is_empty();
        let tenure = self.store.tenure(self.sync()).await?;
        self.store.save_events(&tenure, named, everybody.clone(), poll.cursor, now).await?;
        if anybody {
            let _ = self.events.send(Event::LookOwed { sync: self.sync().to_owned() });
        }
        if let Some(reason) = everybody {
            self.soon(reason);
        }
        Ok(())
    }

    fn soon(&self, reason: String) {
        let _ = self.events.send(Event::Soon { sync: self.sync().to_owned(), reason });
    }

    fn tell_once(&mut self, trouble: &str) {
        if self.told.as_deref() == Some(trouble) {
            tracing::debug!(sync = self.sync(), trouble, "the event log is still not readable");
            return;
        }
        tracing::warn!(sync = self.sync(), "{trouble}");
        self.told = Some(trouble.to_owned());
    }
}

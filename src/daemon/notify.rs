//! Telling somebody who is not looking: a webhook, and a ping that stops coming when rosterd does.
//!
//! What lives here: the queue between the runs and the network. What is worth telling is decided in [`notices`], how a
//! message is sent in `http::webhook`. What must not: waiting. No run is delayed, and none fails, for a message.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinHandle;

use self::notices::{Lasting, Notice, Told};
use crate::config::{Daemon, NotifyOn};
use crate::exit;
use crate::http::webhook::Webhook;
use crate::model::drift::VerifyFacts;
use crate::model::owed::OwedChange;
use crate::model::report::{Mode, RunFacts};
use crate::model::time::Millis;

pub mod notices;

/// Notices that may wait for a slow receiver. There is about one a sync and change of state.
const QUEUE: usize = 64;

/// Takes note of every run that ended and tells what is worth telling. Nothing configured: does nothing.
///
/// What was told is remembered while the process lives; after a restart a state that lasts is told once more.
pub struct Notifier {
    told: Mutex<Told>,
    on: Vec<NotifyOn>,
    notices: Option<mpsc::Sender<Notice>>,
    /// One ping may wait behind the one in flight: more would say nothing more.
    pings: Option<mpsc::Sender<()>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Notifier {
    /// Starts a task for each address that is configured. Must be called within a tokio runtime.
    pub fn start(config: &Daemon) -> Notifier {
        let notify = config.notify.as_ref();
        let webhook = notify.and_then(|notify| usable("daemon.notify.url", Webhook::new(notify.url.clone())));
        let dead_man = config.dead_man.clone().and_then(|url| usable("daemon.dead_man", Webhook::new(url)));
        let on = notify.map(|notify| notify.on.clone()).unwrap_or_default();
        Notifier::with(webhook, on, dead_man)
    }

    fn with(webhook: Option<Webhook>, on: Vec<NotifyOn>, dead_man: Option<Webhook>) -> Notifier {
        let mut tasks = Vec::new();
        let notices = webhook.map(|webhook| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            tasks.push(tokio::spawn(post(webhook, receiver)));
            sender
        });
        let pings = dead_man.map(|dead_man| {
            let (sender, receiver) = mpsc::channel(1);
            tasks.push(tokio::spawn(ping(dead_man, receiver)));
            sender
        });
        Notifier { told: Mutex::default(), on, notices, pings, tasks }
    }

    /// The addresses of a new configuration. What was told stays told; what is queued still goes to the old ones.
    pub fn reconfigure(&mut self, config: &Daemon) {
        let told = std::mem::take(&mut self.told);
        *self = Notifier { told, ..Notifier::start(config) };
    }

    /// Takes note of a run: returns at once, whatever the receivers do. A dry run is nobody's news.
    pub fn run_ended(&self, facts: &RunFacts, exit_code: u8, lasting: Lasting) {
        if facts.mode == Mode::DryRun {
            return;
        }
        let well = exit_code == exit::OK || exit_code == exit::HELD;
        if let (true, Some(pings)) = (well, &self.pings) {
            // Full: one waits already, and it will say the same. Closed: at shutdown.
            let _ = pings.try_send(());
        }
        self.send(|told| notices::decide(told, facts, lasting, &self.on));
    }

    /// Takes note of what is owed in a sync; returns at once.
    pub fn look_at_leavers(&self, sync: &str, owed: &[OwedChange], now: Millis) {
        self.send(|told| notices::decide_leavers(told, sync, owed, now, &self.on).into_iter().collect());
    }

    /// Takes note of a verification that nobody waits for; returns at once.
    pub fn verification_ended(&self, facts: &VerifyFacts) {
        self.send(|told| notices::decide_verification(told, facts, &self.on).into_iter().collect());
    }

    fn send(&self, decide: impl FnOnce(&mut Told) -> Vec<Notice>) {
        let Some(notices) = &self.notices else { return };
        let news = decide(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner));
        for notice in news {
            if let Err(TrySendError::Full(notice)) = notices.try_send(notice) {
                let (sync, event) = (&notice.sync, notice.event.as_str());
                tracing::warn!(sync, event, "notice dropped: {QUEUE} others wait for the webhook");
            }
        }
    }

    /// Gives what is queued this long to be sent, then gives up. For the end of the process.
    pub async fn drain(self, limit: Duration) {
        let Notifier { notices, pings, mut tasks, .. } = self;
        // Without a sender the tasks end when their queues are empty.
        drop((notices, pings));
        let all = async {
            for task in &mut tasks {
                // A task that panicked has nothing left to send.
                let _ = task.await;
            }
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!("not everything could be told within {} s", limit.as_secs());
            tasks.iter().for_each(JoinHandle::abort);
        }
    }
}

/// A receiver that cannot be set up is told of, and done without.
fn usable<E: std::fmt::Display>(key: &str, webhook: Result<Webhook, E>) -> Option<Webhook> {
    webhook.inspect_err(|error| tracing::warn!("{key} is not used: {error}")).ok()
}

async fn post(webhook: Webhook, mut notices: mpsc::Receiver<Notice>) {
    while let Some(notice) = notices.recv().await {
        let (sync, event) = (&notice.sync, notice.event.as_str());
        let sent = match serde_json::to_vec(&notice) {
            Ok(document) => webhook.post_json(Bytes::from(document)).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match sent {
            Ok(()) => tracing::debug!(sync, event, "notice sent"),
            Err(error) => tracing::warn!(sync, event, "notice not delivered: {error}"),
        }
    }
}

async fn ping(dead_man: Webhook, mut pings: mpsc::Receiver<()>) {
    while let Some(()) = pings.recv().await {
        if let Err(error) = dead_man.ping().await {
            tracing::warn!("dead-man ping not delivered: {error}");
        }
    }
}

#[cfg(test)]
mod tests;

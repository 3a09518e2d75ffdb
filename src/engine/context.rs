//! What every phase of a run may look at. Nothing in it can write.

use std::collections::HashMap;
use std::sync::OnceLock;

use tokio::sync::watch;

use crate::config;
use crate::core::clock::ClockTrust;
use crate::core::mapping::Mapping;
use crate::http::Lane;
use crate::model::id::SourceId;
use crate::model::link::Link;
use crate::model::report::Trigger;
use crate::model::run_event::{RunWatcher, SilentWatcher};
use crate::scim::target::Observe;
use crate::source::Source;
use crate::store::{Snapshot, StoreError};

/// What every phase of a run may look at. Nothing in it can write.
pub struct RunContext<'a, O> {
    /// The sync's configuration.
    pub config: &'a config::Sync,
    /// The compiled mapping.
    pub mapping: &'a Mapping,
    /// The identity provider.
    pub source: &'a Source,
    /// The workspace, for reading.
    pub target: &'a O,
    /// The state, for reading.
    pub snapshot: &'a Snapshot,
    /// The workspace's normalised base URL: links are unique within it.
    pub target_url: String,
    /// What started the run.
    pub trigger: Trigger,
    /// Nobody stands behind this run: the limits for unattended runs apply.
    pub unattended: bool,
    /// Who started it by hand, for the record.
    pub actor: Option<&'a str>,
    /// Who is told what happens.
    pub watcher: &'a dyn RunWatcher,
    /// Becomes true when a signal asks the run to stop between two writes.
    pub interrupted: watch::Receiver<bool>,
    /// How the runs that failing people still wait are counted.
    pub retry_wait: RetryWait,
    /// People are read one by one in this run, so that nobody is asked for twice.
    pub reads_one_by_one: bool,
    /// What the witnesses said of our clock, once they were heard.
    pub clock: OnceLock<ClockTrust>,
    /// Links as the target was seen where a dry run would store them first.
    pub corrected: HashMap<SourceId, Link>,
}

/// How waiting is counted for people whose last write was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryWait {
    /// This run has been counted already.
    Counted,
    /// This is a dry run: count it as the next one.
    AsIfNext,
    /// Named people do not wait.
    Ignored,
}

impl<'a, O> RunContext<'a, O> {
    /// The context of a run that somebody started by hand and that nobody watches.
    pub fn new(
        config: &'a config::Sync,
        mapping: &'a Mapping,
        source: &'a Source,
        target: &'a O,
        snapshot: &'a Snapshot,
        interrupted: watch::Receiver<bool>,
    ) -> RunContext<'a, O> {
        RunContext {
            config,
            mapping,
            source,
            target,
            snapshot,
            target_url: target_url(&config.target),
            trigger: Trigger::Manual,
            unattended: false,
            actor: None,
            watcher: &SilentWatcher,
            interrupted,
            retry_wait: RetryWait::Ignored,
            reads_one_by_one: true,
            clock: OnceLock::new(),
            corrected: HashMap::new(),
        }
    }

    /// The lane for looking at people: the watch has the reserved one.
    pub fn lane(&self) -> Lane {
        if self.trigger == Trigger::Watch { Lane::Removal } else { Lane::General }
    }
}

/// The workspace's base URL in one spelling.
pub fn target_url(target: &config::Target) -> String {
    target.url.as_str().trim_end_matches('/').to_owned()
}

impl<O: Observe> RunContext<'_, O> {
    /// Name of the sync.
    pub fn sync_name(&self) -> &str {
        &self.config.name
    }

    /// Whether what cannot be taken back may be done in this run.
    pub fn is_clock_confirmed(&self) -> bool {
        self.clock.get().is_some_and(ClockTrust::is_confirmed)
    }

    /// One person's link, as this run knows it.
    pub async fn link(&self, id: &SourceId) -> Result<Option<Link>, StoreError> {
        match self.corrected.get(id) {
            Some(link) => Ok(Some(link.clone())),
            None => self.snapshot.link(self.sync_name(), id).await,
        }
    }

    /// Runs that somebody still has to wait after this one; 0 = it is tried now.
    pub fn runs_to_wait(&self, stored: u32) -> u32 {
        match self.retry_wait {
            RetryWait::Counted => stored,
            RetryWait::AsIfNext => stored.saturating_sub(1),
            RetryWait::Ignored => 0,
        }
    }
}

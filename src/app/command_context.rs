//! Where a command works: what was asked, where it speaks, and whose state it has: its own, opened for this command,
//! or the running daemon's.

use std::ops::Deref;
use std::sync::Arc;

use super::command_error::{CommandError, state_complaint};
use super::console::Console;
use super::secrets::secrets;
use super::state_owner::refuse_root_in_somebody_elses_state;
use crate::cli::{Cli, ListFormat};
use crate::config::{self, Config};
use crate::daemon::Handle;
use crate::engine::session::{SessionError, SyncSession};
use crate::exit;
use crate::http::pacer::Pacers;
use crate::report;
use crate::store::{Snapshot, Store};

/// Everything a command needs.
pub(super) struct CommandContext<'a> {
    /// What was asked.
    pub cli: &'a Cli,
    /// The configuration.
    pub config: &'a Config,
    /// Where it speaks.
    pub console: &'a Console,
    /// The daemon it is served by, if it is.
    pub daemon: Option<&'a Handle>,
}

/// The state, for reading.
pub(super) enum Reading {
    Own(Snapshot),
    Shared(Arc<Store>),
}

impl Deref for Reading {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        match self {
            Reading::Own(snapshot) => snapshot,
            Reading::Shared(store) => store.snapshot(),
        }
    }
}

/// The state, for writing.
pub(super) enum Writing {
    Own(Store),
    Shared(Arc<Store>),
}

impl Deref for Writing {
    type Target = Store;

    fn deref(&self) -> &Store {
        match self {
            Writing::Own(store) => store,
            Writing::Shared(store) => store,
        }
    }
}

impl Writing {
    /// Writes everything back and lets go of a state of our own.
    pub(super) async fn close(self) -> Result<(), CommandError> {
        match self {
            Writing::Own(store) => store.close().await.map_err(state_complaint),
            Writing::Shared(_) => Ok(()),
        }
    }
}

impl CommandContext<'_> {
    /// The state, for reading.
    pub(super) async fn read(&self) -> Result<Reading, CommandError> {
        match self.daemon {
            Some(daemon) => Ok(Reading::Shared(daemon.store().clone())),
            None => Snapshot::open(&self.config.state_dir).await.map(Reading::Own).map_err(state_complaint),
        }
    }

    /// The same, looked at as closely as a run that writes does: a plan must not rest on a damaged state.
    pub(super) async fn read_undamaged(&self) -> Result<Reading, CommandError> {
        let reading = self.read().await?;
        if let Reading::Own(snapshot) = &reading {
            snapshot.refuse_damage(&self.config.state_dir).await.map_err(state_complaint)?;
        }
        Ok(reading)
    }

    /// The state, for writing, as the user that owns it.
    pub(super) async fn write(&self) -> Result<Writing, CommandError> {
        match self.daemon {
            Some(daemon) => Ok(Writing::Shared(daemon.store().clone())),
            None => {
                refuse_root_in_somebody_elses_state(&self.config.state_dir)
                    .map_err(|message| (message, exit::CONFIG))?;
                Store::open(&self.config.state_dir, self.cli.run.take_over)
                    .await
                    .map(Writing::Own)
                    .map_err(state_complaint)
            }
        }
    }

    /// A sync with both sides opened. A daemon's is the one that its runs use, with its connections and pace.
    pub(super) async fn session(
        &self,
        sync: &config::Sync,
        pacers: &Pacers,
        snapshot: &Snapshot,
    ) -> Result<Arc<SyncSession>, CommandError> {
        if let Some(daemon) = self.daemon
            && let Some(session) = daemon.loaded().session.get(&sync.name)
        {
            return Ok(session.clone());
        }
        SyncSession::open(sync, pacers, snapshot, &secrets()).await.map(Arc::new).map_err(open_complaint)
    }

    /// The syncs that `--sync` chose.
    pub(super) fn chosen(&self) -> Result<Vec<&config::Sync>, CommandError> {
        let (cli, config) = (self.cli, self.config);
        let names = || config.syncs.iter().map(|sync| sync.name.as_str()).collect::<Vec<_>>().join(", ");
        let is_known = |name: &String| config.syncs.iter().any(|sync| sync.name == *name);
        if let Some(unknown) = cli.run.sync.iter().find(|name| !is_known(name)) {
            let unknown = report::visible(unknown);
            let text = format!("there is no sync \"{unknown}\"\nhelp: the configuration has {}", names());
            return Err((text, exit::USAGE));
        }
        let wanted = |sync: &&config::Sync| cli.run.sync.is_empty() || cli.run.sync.contains(&sync.name);
        Ok(config.syncs.iter().filter(wanted).collect())
    }

    /// The format of what is no report of a run: text or JSON. Asked before anything is done.
    pub(super) fn list_format(&self) -> Result<ListFormat, CommandError> {
        self.cli.run.format.of_list().map_err(|message| (message, exit::USAGE))
    }

    /// An error for people, and its exit code.
    pub(super) fn report_error(&self, (message, code): CommandError) -> u8 {
        self.console.report_error(&message, code)
    }
}

/// What cannot be opened, and the exit code that says so.
pub(super) fn open_complaint(error: SessionError) -> CommandError {
    let code = match &error {
        SessionError::Config(..) => exit::CONFIG,
        SessionError::Source(..) => exit::SOURCE,
        SessionError::Target(..) => exit::TARGET,
        SessionError::Store(_) => exit::FAILURE,
    };
    match error {
        SessionError::Store(error) => state_complaint(error),
        SessionError::Config(..) | SessionError::Source(..) | SessionError::Target(..) => {
            (error.to_string(), code)
        }
    }
}

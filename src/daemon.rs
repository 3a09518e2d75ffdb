//! The long-running service: when to run, and whom to tell.
//!
//! What lives here: everything that only a process that stays needs: one loop over one closed [`Event`] enum; runs,
//! the watch and clients are tasks that send it events. What must not: how a run goes (`engine`), what a command
//! prints (`app`).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use self::control::Client;
use self::dispatch::{Dispatcher, Parts};
use self::http::HttpState;
use self::notify::Notifier;
use self::sim_hooks::{clock, hold_still_for_tests};
use crate::config::{self, Config, Environment};
use crate::daemon::due_times::DueTimes;
use crate::daemon::heartbeat::Heartbeat;
use crate::daemon::pause::Retired;
use crate::daemon::sync_schedule::SyncSchedule;
use crate::engine::quarantine::{quarantine_of, unreadable_secret};
use crate::engine::session::{SessionError, SyncSession};
use crate::http::pacer::Pacers;
use crate::model::order::OrderNumber;
use crate::model::time::Millis;
use crate::source::ResolveSecret;
use crate::store::{Store, StoreError};
use crate::telemetry::metrics::{Metrics, Peer};

pub mod control;
mod dispatch;
pub mod due_times;
pub mod event;
mod event_log;
pub mod heartbeat;
pub mod http;
mod looks;
pub mod notify;
mod pause;
mod sim_hooks;
mod sync_schedule;
mod systemd;
pub mod verification;

pub use event::{Done, Event, Handle, Loaded};

/// How long the writes under way may take once the end is asked for: with [`LAST_WORDS`] less than 10 s.
const PATIENCE: Duration = Duration::from_secs(7);
/// How long queued notices and the reports of waiting clients may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The loop looks at the clock at least this often: it may have been set, or the machine may have slept.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What the daemon is made of.
pub struct Service {
    /// The configuration, checked.
    pub config: Config,
    /// The state, locked.
    pub store: Store,
    /// How secrets are read.
    pub secrets: ResolveSecret,
    /// Carries out what clients of the control socket ask for.
    pub serve: Arc<dyn Fn(Handle, Arc<Client>) -> BoxFuture<'static, u8> + Send + Sync>,
}

/// Why the daemon could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// A sync could not be opened.
    #[error(transparent)]
    Open(#[from] SessionError),
    /// The state failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The machine does not give what is needed; the text ends with what to do.
    #[error("{0}")]
    Machine(String),
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(service: Service) -> Result<(), DaemonError> {
    let Service { config, store, secrets, serve } = service;
    let store = Arc::new(store);
    let loaded = Arc::new(load(config, &store, &secrets).await?);
    let listener = control::listen(&loaded.config.daemon.socket).map_err(DaemonError::Machine)?;
    let socket = loaded.config.daemon.socket.clone();
    let (events, incoming) = mpsc::unbounded_channel();
    let (loaded_sender, loaded_receiver) = watch::channel(loaded.clone());
    let (stop, stopped) = watch::channel(false);
    listen_for_signals(events.clone(), stop.clone())?;
    let retired = Retired::default();
    let handle = Handle {
        store: store.clone(),
        events: events.clone(),
        loaded: loaded_receiver,
        stop: stopped.clone(),
        retired: retired.clone(),
    };
    let serve_client: control::Serve = {
        let handle = handle.clone();
        Arc::new(move |client| serve(handle.clone(), client))
    };
    let (served, clients) = mpsc::channel(1);
    tokio::spawn(control::serve(listener, serve_client, stopped.clone(), served));
    let (metrics, heartbeat) = (Metrics::new(), Arc::new(Heartbeat::new()));
    let configs = watch::Sender::new(Arc::new(loaded.config.clone()));
    let serving = match loaded.config.daemon.listen {
        None => None,
        Some(address) => {
            let state = HttpState {
                snapshot: Arc::new(store.reader().await?),
                metrics: metrics.clone(),
                config: configs.subscribe(),
                heartbeat: heartbeat.clone(),
            };
            let public = loaded.config.daemon.listen_public;
            Some(listen_for_http((address, public), state, &stopped).await?)
        }
    };
    let dispatcher = Dispatcher::new(Parts {
        store,
        loaded: loaded_sender,
        events,
        interrupted: stopped.clone(),
        notifier: Notifier::start(&loaded.config.daemon),
        metrics,
        secrets: secrets.clone(),
        retired,
    });
    let mut daemon = Daemon {
        dispatcher,
        incoming,
        clients,
        followers: Vec::new(),
        secrets,
        stopped,
        heartbeat,
        configs,
        refused: false,
        told: String::new(),
    };
    daemon.begin(&loaded).await?;
    let outcome = daemon.turn().await;
    daemon.end(&socket, serving).await;
    outcome
}

/// Answers HTTP at an address, which may be a public one or must not.
async fn listen_for_http(
    (address, public): (SocketAddr, bool),
    state: HttpState,
    stopped: &watch::Receiver<bool>,
) -> Result<JoinHandle<()>, DaemonError> {
    let listener = http::bind(address, public).await.map_err(DaemonError::Machine)?;
    let stopped = stopped.clone();
    Ok(tokio::spawn(async move {
        if let Err(error) = http::serve(listener, state, stopped).await {
            tracing::error!(error, "the HTTP side ended");
        }
    }))
}

/// Opens every sync of a configuration.
async fn load(config: Config, store: &Store, secrets: &ResolveSecret) -> Result<Loaded, SessionError> {
    let pacers = Pacers::new();
    let mut session = BTreeMap::new();
    for sync in &config.syncs {
        let opened = SyncSession::open(sync, &pacers, store.snapshot(), secrets).await?;
        session.insert(sync.name.clone(), Arc::new(opened));
    }
    Ok(Loaded { config, session })
}

/// SIGTERM and SIGINT ask for the end, once more ends at once; SIGHUP asks for the configuration to be read again.
fn listen_for_signals(
    events: mpsc::UnboundedSender<Event>,
    stop: watch::Sender<bool>,
) -> Result<(), DaemonError> {
    let listen = |kind: SignalKind| -> Result<Signal, DaemonError> {
        signal(kind).map_err(|error| DaemonError::Machine(format!("cannot listen for signals: {error}")))
    };
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let mut hangup = listen(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            let code = tokio::select! {
                _ = terminate.recv() => 143,
                _ = interrupt.recv() => 130,
                _ = hangup.recv() => {
                    let _ = events.send(Event::Reload);
                    continue;
                }
            };
            if stop.send_replace(true) {
                // What was sent is journaled before it is sent; the next start settles it by reading.
                std::process::exit(code);
            }
            let _ = events.send(Event::Stop);
        }
    });
    Ok(())
}

struct Daemon {
    dispatcher: Dispatcher,
    incoming: mpsc::UnboundedReceiver<Event>,
    /// Closed once no client is served any more.
    clients: mpsc::Receiver<()>,
    followers: Vec<JoinHandle<()>>,
    secrets: ResolveSecret,
    stopped: watch::Receiver<bool>,
    heartbeat: Arc<Heartbeat>,
    configs: watch::Sender<Arc<Config>>,
    /// Whether the configuration file was refused when it was read again.
    refused: bool,
    /// The status line that the service manager has.
    told: String,
}

impl Daemon {
    /// Sets the syncs' turns up, starts the watch and says that we are ready.
    async fn begin(&mut self, loaded: &Arc<Loaded>) -> Result<(), DaemonError> {
        self.take_turns(loaded).await?;
        self.follow(loaded);
        tracing::info!(
            syncs = loaded.config.syncs.len(),
            state = %loaded.config.state_dir.display(),
            socket = %loaded.config.daemon.socket.display(),
            "rosterd is ready"
        );
        self.told = self.status_line().await;
        systemd::ready(&self.told);
        Ok(())
    }

    /// What `systemctl status` shows. A refused file stays in it until a good one is read.
    async fn status_line(&self) -> String {
        let line = self.dispatcher.status_line(Millis::now()).await;
        match self.refused {
            true => format!("the new configuration was refused, see the log; the old one stays; {line}"),
            false => line,
        }
    }

    async fn tell_status(&mut self) {
        let line = self.status_line().await;
        if line != self.told {
            systemd::status(&line);
            self.told = line;
        }
    }

    /// One turn per sync of the configuration; a sync that is no longer there has none.
    async fn take_turns(&mut self, loaded: &Loaded) -> Result<(), StoreError> {
        let now = Millis::now();
        let dispatcher = &mut self.dispatcher;
        dispatcher.turns.retain(|name, _| loaded.session.contains_key(name));
        for (name, session) in &loaded.session {
            let (begun, well) = dispatcher.store.snapshot().last_full_runs(name).await?;
            let due_times = DueTimes::new(&session.config, begun, now);
            let turn = match dispatcher.turns.entry(name.clone()) {
                Entry::Occupied(turn) => {
                    let turn = turn.into_mut();
                    turn.reloaded(due_times);
                    turn
                }
                Entry::Vacant(place) => place.insert(SyncSchedule::new(due_times, well)),
            };
            let health = dispatcher.store.snapshot().health(name).await?;
            let quarantined = quarantine_of(dispatcher.store.snapshot(), &session.config).await?.is_some();
            if quarantined || !health.refused.is_empty() {
                turn.try_at_once(now);
            }
            // Asked for before a crash, a stop or a reload, and not done since.
            if dispatcher.store.snapshot().owed_full_run(name).await?.is_some() {
                turn.owes_full_run(now);
            }
            let due_times = verification::due_times(&session.config, &dispatcher.store, now).await?;
            if let Some(turn) = dispatcher.turns.get_mut(name) {
                turn.verifying.due_times = due_times;
            }
            dispatcher.look_at_pause(name, now).await?;
        }
        Ok(())
    }

    /// Starts the watch and the counting of requests anew.
    fn follow(&mut self, loaded: &Loaded) {
        self.followers.drain(..).for_each(|follower| follower.abort());
        let names: Vec<&str> = loaded.session.keys().map(String::as_str).collect();
        self.dispatcher.metrics.keep_only(&names);
        let began = OrderNumber::next();
        for (name, session) in &loaded.session {
            self.dispatcher.metrics.register_traffic(name, Peer::Source, session.source.traffic());
            self.dispatcher.metrics.register_traffic(name, Peer::Target, session.target.traffic());
            let metrics = self.dispatcher.metrics.clone();
            let lag: event_log::Lag = Arc::new(move |sync, seconds| metrics.event_lag(sync, seconds));
            self.followers.push(tokio::spawn(event_log::follow(
                session.clone(),
                self.dispatcher.store.clone(),
                self.dispatcher.events.clone(),
                lag,
                began,
                self.stopped.clone(),
            )));
        }
    }

    /// The loop. It waits for nothing but the next event or the next due time.
    async fn turn(&mut self) -> Result<(), DaemonError> {
        let watchdog = systemd::watchdog();
        loop {
            let now = clock();
            if *self.stopped.borrow() {
                return Ok(());
            }
            self.dispatcher.tick(now).await?;
            systemd::beat();
            self.heartbeat.beat();
            self.tell_status().await;
            hold_still_for_tests();
            let until_next = match self.dispatcher.next_at() {
                Some(at) => Duration::from_millis(at.since(clock()).max(0) as u64),
                None => LONGEST_SLEEP,
            };
            let longest = watchdog.map_or(LONGEST_SLEEP, |often| (often / 2).min(LONGEST_SLEEP));
            tokio::select! {
                event = self.incoming.recv() => if let Some(event) = event { self.handle(event).await? },
                () = tokio::time::sleep(until_next.min(longest)) => {}
            }
        }
    }

    async fn handle(&mut self, event: Event) -> Result<(), DaemonError> {
        let now = clock();
        let dispatcher = &mut self.dispatcher;
        match event {
            Event::Asked(wish) => dispatcher.asked(wish),
            Event::Ended(ended) => dispatcher.ended(*ended, now).await?,
            Event::AskedToVerify(wish) => dispatcher.asked_to_verify(wish),
            Event::Verified(ended) => dispatcher.verified(*ended).await?,
            Event::LookOwed { sync } => dispatcher.look(&sync, now).await?,
            Event::Soon { sync, reason } => dispatcher.soon(&sync, &reason, now),
            Event::Decided { sync } => dispatcher.decided(&sync),
            Event::PauseSet { sync } => dispatcher.look_at_pause(&sync, now).await?,
            Event::Reload => self.reload().await,
            Event::Stop => {}
        }
        Ok(())
    }

    /// Reads the configuration again. A bad one is refused whole and the old one stays.
    async fn reload(&mut self) {
        systemd::reloading();
        let old = self.dispatcher.loaded.borrow().clone();
        self.refused = match self.reloaded(&old).await {
            Ok(()) => false,
            Err(problem) => {
                tracing::error!(
                    file = %old.config.path.display(),
                    "the new configuration is refused and the old one stays:\n{problem}"
                );
                true
            }
        };
        self.told = self.status_line().await;
        systemd::ready(&self.told);
    }

    async fn reloaded(&mut self, old: &Loaded) -> Result<(), String> {
        let config =
            config::load(&old.config.path, &Environment::process()).map_err(|errors| errors.to_string())?;
        let unreadable = config.syncs.iter().find_map(|sync| unreadable_secret(sync, &self.secrets));
        if let Some(problem) = unreadable {
            return Err(problem);
        }
        if config.state_dir != old.config.state_dir
            || config.daemon.socket != old.config.daemon.socket
            || (config.daemon.listen, config.daemon.listen_public)
                != (old.config.daemon.listen, old.config.daemon.listen_public)
        {
            tracing::warn!("state_dir, daemon.socket and daemon.listen take effect after a restart");
        }
        let loaded =
            load(config, &self.dispatcher.store, &self.secrets).await.map_err(|error| error.to_string())?;
        let loaded = Arc::new(loaded);
        for name in loaded.session.keys() {
            let reason = "the configuration was read again".to_owned();
            let owed = self.dispatcher.store.owe_full_run(name, reason, Millis::now()).await;
            owed.map_err(|error| error.to_string())?;
        }
        self.take_turns(&loaded).await.map_err(|error| error.to_string())?;
        self.dispatcher.notifier.reconfigure(&loaded.config.daemon);
        let before = self.dispatcher.loaded.send_replace(loaded.clone());
        self.dispatcher.retired.retire(before.session.values());
        self.configs.send_replace(Arc::new(loaded.config.clone()));
        self.follow(&loaded);
        tracing::info!(file = %loaded.config.path.display(), "the configuration was read again");
        Ok(())
    }

    /// Lets the writes under way end, then lets go of everything.
    async fn end(mut self, socket: &PathBuf, serving: Option<JoinHandle<()>>) {
        systemd::stopping();
        tracing::info!("stopping after the writes under way");
        self.followers.drain(..).for_each(|follower| follower.abort());
        let last_runs = async {
            while !self.dispatcher.is_idle() {
                let noted = match self.incoming.recv().await {
                    Some(Event::Ended(ended)) => self.dispatcher.ended(*ended, Millis::now()).await,
                    Some(Event::Verified(ended)) => self.dispatcher.verified(*ended).await,
                    Some(_) | None => Ok(()),
                };
                if let Err(error) = noted {
                    tracing::warn!(%error, "the end of a run could not be noted");
                }
            }
        };
        if tokio::time::timeout(PATIENCE, last_runs).await.is_err() {
            tracing::warn!("a write was still under way; the next start settles it by reading");
        }
        if let Err(error) = std::fs::remove_file(socket) {
            tracing::debug!(%error, "the control socket was gone already");
        }
        if let Some(serving) = serving
            && let Err(error) = serving.await
        {
            tracing::debug!(%error, "the HTTP side ended badly");
        }
        let Dispatcher { notifier, store, .. } = self.dispatcher;
        let reports = tokio::time::timeout(LAST_WORDS, self.clients.recv());
        if let (Err(_), ()) = tokio::join!(reports, notifier.drain(LAST_WORDS)) {
            tracing::warn!("a client was still served");
        }
        if let Err(error) = store.write_back().await {
            tracing::warn!(%error, "the state could not be closed in order");
        }
        tracing::info!("stopped");
    }
}

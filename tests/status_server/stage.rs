//! A simulation, a state, and the HTTP side over it. No expectation lives here.

use rosterd::config::secret::SecretRef;
use rosterd::config::{self, Config, Environment};
use rosterd::core::mapping::Mapping;
use rosterd::daemon::heartbeat::Heartbeat;
use rosterd::daemon::http::{HttpState, bind, serve};
use rosterd::engine::context::RunContext;
use rosterd::engine::live_run::LiveAccess;
use rosterd::engine::run::run;
use rosterd::engine::selection::Selection;
use rosterd::http::pacer::{Pacers, RetryPolicy};
use rosterd::model::id::Vendor;
use rosterd::model::report::{RunFacts, Trigger};
use rosterd::scim::adapter::ScimTarget;
use rosterd::scim::dialect::Profile;
use rosterd::sim::{PersonId, Sim, SimOptions};
use rosterd::source::{ResolveSecret, Source};
use rosterd::store::Store;
use rosterd::telemetry::metrics::Metrics;
use rosterd::telemetry::peer::Peer;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named =
            |line: &&str| line.split(':').next().is_some_and(|found| found.eq_ignore_ascii_case(name));
        self.head.lines().skip(1).find(named).map(|line| line.split_once(':').unwrap().1.trim())
    }
}

/// Everything that the daemon would have.
pub(crate) struct Stage {
    pub(crate) sim: Sim,
    pub(crate) store: Arc<Store>,
    pub(crate) metrics: Metrics,
    pub(crate) heartbeat: Arc<Heartbeat>,
    pub(crate) config: watch::Sender<Arc<Config>>,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) server: tokio::task::JoinHandle<Result<(), String>>,
    pub(crate) address: SocketAddr,
    directory: tempfile::TempDir,
}

impl Stage {
    pub(crate) async fn new() -> Stage {
        let sim = Sim::start(SimOptions { seed: 7, ..SimOptions::default() }).await.unwrap();
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let store = Arc::new(Store::open(&directory.path().join("state"), false).await.unwrap());
        let config = watch::Sender::new(configured(&sim, directory.path(), &["default"]));
        let (metrics, heartbeat, stop) =
            (Metrics::new(), Arc::new(Heartbeat::new()), watch::Sender::new(false));
        let listener = bind("127.0.0.1:0".parse().unwrap(), false).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = HttpState {
            snapshot: Arc::new(store.reader().await.unwrap()),
            metrics: metrics.clone(),
            config: config.subscribe(),
            heartbeat: Arc::clone(&heartbeat),
        };
        let server = tokio::spawn(serve(listener, state, stop.subscribe()));
        Stage { sim, store, metrics, heartbeat, config, stop, server, address, directory }
    }

    /// A reload that leaves these syncs.
    pub(crate) fn reload(&self, names: &[&str]) {
        self.config.send_replace(configured(&self.sim, self.directory.path(), names));
    }

    pub(crate) fn hire(&self, name: &str) -> PersonId {
        self.sim.world().hire_assigned(&format!("{name}@acme.example"), |person| {
            person.first_name = Some(name.to_owned());
            person.last_name = Some("Example".to_owned());
        })
    }

    /// One full run of the first sync with clients of its own, as after a reload.
    pub(crate) async fn reconcile(&self) -> RunFacts {
        let config = self.config.borrow().clone();
        let sync = &config.syncs[0];
        let snapshot = self.store.snapshot();
        let mapping =
            Mapping::compile(Vendor::Okta, &sync.scope, &sync.attributes, None, snapshot.digest_key());
        let retry =
            RetryPolicy { attempts: 1, first_delay: Duration::from_millis(1), ..RetryPolicy::default() };
        let pacers = Pacers::with_retry(retry);
        let source = Source::new(&sync.source, &pacers, self.secrets()).unwrap();
        let secrets = self.secrets();
        let read = move |reference: &SecretRef| secrets(reference);
        let target = ScimTarget::new(&sync.target, &pacers, read, Profile::default()).unwrap();
        self.metrics.register_traffic(&sync.name, Peer::Source, source.traffic());
        self.metrics.register_traffic(&sync.name, Peer::Target, target.traffic());
        let watcher = self.metrics.watcher(&sync.name);
        let mapping = mapping.unwrap();
        let mut context = RunContext::new(sync, &mapping, &source, &target, snapshot, self.stop.subscribe());
        (context.trigger, context.unattended, context.watcher) = (Trigger::Schedule, true, &watcher);
        let provisioner = target.provisioner();
        let access = LiveAccess { store: &self.store, provisioner: &provisioner };
        let finished = run(context, &Selection::Everybody, None, Some(&access)).await;
        self.metrics.run_ended(&finished.facts);
        finished.facts
    }

    fn secrets(&self) -> ResolveSecret {
        let environment =
            Environment::fixed([("SOURCE", self.sim.okta_token()), ("TARGET", self.sim.scim_token())]);
        Arc::new(move |reference: &SecretRef| {
            reference.resolve(&environment).map_err(|error| error.to_string())
        })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address)).await
    }

    /// Sends these bytes and reads until the end of the connection.
    pub(crate) async fn ask(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }
}

fn configured(sim: &Sim, directory: &Path, names: &[&str]) -> Arc<Config> {
    let mut text = format!("state_dir = {:?}\n", directory.join("state"));
    for name in names {
        text.push_str(&format!(
            "[[sync]]\nname = \"{name}\"\nsource = {{ kind = \"okta\", url = \"{}\", app_id = \"{}\", api_token = {{ \
             env = \"SOURCE\" }} }}\ntarget = {{ url = \"{}\", token = {{ env = \"TARGET\" }}, requests_per_minute = \
             60000 }}\n",
            sim.okta_url(),
            sim.okta_app_id(),
            sim.scim_url()
        ));
    }
    let environment = Environment::fixed([("", ""); 0]);
    Arc::new(
        config::parse(&text, Path::new("test.toml"), &environment)
            .unwrap_or_else(|errors| panic!("{errors}")),
    )
}

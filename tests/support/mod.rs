//! A bench for tests of whole runs: one simulated world with Okta, OneLogin and a workspace, a configuration made
//! from text, a state directory, and runs through the same door that the command line uses.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

mod aging;
mod ended;
pub mod verifying;

use std::path::Path;
use std::time::Duration;

use rosterd::config::secret::SecretRef;
use rosterd::config::{self, Config, Environment};
use rosterd::core::mapping::Mapping;
use rosterd::engine::context::RunContext;
use rosterd::engine::live_run::LiveAccess;
use rosterd::engine::run::RunRefusal;
use rosterd::engine::selection::Selection;
use rosterd::exit;
use rosterd::http::pacer::{Pacers, RetryPolicy};
use rosterd::model::id::{SourceId, Vendor};
use rosterd::model::link::Link;
use rosterd::model::plan::Verb;
use rosterd::model::report::{ActionRecord, Outcome, RunFacts, RunResult, Trigger};
use rosterd::model::run_event::SilentWatcher;
use rosterd::operations::run_task::{RunTask, perform};
use rosterd::scim::adapter::{Provisioner, ScimTarget};
use rosterd::scim::dialect::Profile;
use rosterd::sim::{Account, Person, PersonId, ScimQuirks, Sim, SimOptions, World};
use rosterd::source::{ResolveSecret, Source};
use rosterd::store::{Snapshot, Store};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Limits that let many leave at once from a workspace of ten or more.
pub const WIDE_LIMITS: &str =
    "[sync.guard]\nmax_removals_percent = 100\nmax_removals_percent_per_day = 100\n";

/// The domain of everybody who works here.
pub const DOMAIN: &str = "acme.example";

/// Guards that never trip, for tests about something else: `[sync.guard]` as far as it can be opened.
pub const NO_LIMITS: &str = "[sync.guard]\nmax_removals = 1000000\nmax_removals_percent = 100\n\
                             max_removals_percent_per_day = 100\nmax_updates_percent = 100\n\
                             max_reactivations = 1000000\nmax_creates = 1000000\n";

/// The address of a first name.
pub fn mail(name: &str) -> String {
    if name.contains('@') { name.to_owned() } else { format!("{name}@{DOMAIN}") }
}

/// Whether a run may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Real,
    Dry,
}

/// A world, a configuration and a state directory.
pub struct Bench {
    pub sim: Sim,
    pub vendor: Vendor,
    pub directory: tempfile::TempDir,
    /// Further lines of `[sync.source]`.
    pub source: String,
    /// Further lines of `[sync.target]`.
    pub target: String,
    /// Further tables of the sync, such as `[sync.lifecycle]`.
    pub tables: String,
    /// The sync's name.
    pub name: String,
    /// Asks a run to stop, as a signal does.
    pub stop: watch::Sender<bool>,
    /// The patience of the HTTP clients.
    pub retry: RetryPolicy,
    /// Shorter than the configuration would accept.
    pub max_apply: Option<Duration>,
    /// The same.
    pub max_read: Option<Duration>,
    /// Runs as a timer would start them.
    pub unattended: bool,
    /// What is said to have started the runs, where that is neither a person nor a timer.
    pub trigger: Option<Trigger>,
    /// A saved plan's actions.
    pub only: std::sync::Mutex<Option<Vec<ActionRecord>>>,
}

/// A run that ended.
pub struct Ended {
    pub facts: RunFacts,
    pub records: Vec<ActionRecord>,
    pub code: u8,
}

impl Bench {
    /// A world with nobody in it.
    pub async fn new(vendor: Vendor) -> Bench {
        Bench::with_options(vendor, SimOptions { seed: 7, ..SimOptions::default() }).await
    }

    pub async fn okta() -> Bench {
        Bench::new(Vendor::Okta).await
    }

    pub async fn onelogin() -> Bench {
        Bench::new(Vendor::OneLogin).await
    }

    pub async fn with_options(vendor: Vendor, options: SimOptions) -> Bench {
        Bench {
            sim: Sim::start(options).await.unwrap(),
            vendor,
            directory: directory(),
            source: String::new(),
            target: String::new(),
            tables: String::new(),
            name: "default".to_owned(),
            stop: watch::Sender::new(false),
            retry: RetryPolicy {
                attempts: 3,
                attempts_when_limited: 3,
                first_delay: Duration::from_millis(1),
                longest_delay: Duration::from_millis(2),
            },
            max_apply: None,
            max_read: None,
            unattended: false,
            trigger: None,
            only: std::sync::Mutex::new(None),
        }
    }

    /// The same with further tables of the sync.
    #[must_use]
    pub fn tables(mut self, tables: &str) -> Bench {
        tables.clone_into(&mut self.tables);
        self
    }

    /// The same with further lines of `[sync.source]`.
    #[must_use]
    pub fn source(mut self, lines: &str) -> Bench {
        lines.clone_into(&mut self.source);
        self
    }

    /// The same with further lines of `[sync.target]`.
    #[must_use]
    pub fn target(mut self, lines: &str) -> Bench {
        lines.clone_into(&mut self.target);
        self
    }

    /// The same with a workspace that behaves like this.
    #[must_use]
    pub fn habits(self, change: impl FnOnce(&mut ScimQuirks)) -> Bench {
        self.sim.scim(change);
        self
    }

    pub fn world(&self) -> &World {
        self.sim.world()
    }

    /// Hires somebody by first name, assigned, with the usual attributes.
    pub fn hire(&self, name: &str) -> PersonId {
        self.hire_with(name, |_| {})
    }

    /// [`Bench::hire`], with changes to what is usual.
    pub fn hire_with(&self, name: &str, fill: impl FnOnce(&mut Person)) -> PersonId {
        let first = name.split('@').next().unwrap_or(name).to_owned();
        self.world().hire_assigned(&mail(name), |person| {
            person.first_name = Some(capital(&first));
            person.last_name = Some("Archer".to_owned());
            person.title = Some("Engineer".to_owned());
            person.department = Some("Research".to_owned());
            person.organization = Some("Acme".to_owned());
            person.primary_phone = Some("+15550100".to_owned());
            fill(person);
        })
    }

    /// Hires several people.
    pub fn staff<const N: usize>(&self, names: [&str; N]) -> [PersonId; N] {
        names.map(|name| self.hire(name))
    }

    /// Hires so many further people.
    pub fn crowd(&self, people: usize) -> Vec<PersonId> {
        (0..people).map(|number| self.hire(&format!("person{number}@acme.example"))).collect()
    }

    /// The account with this login, which must be there.
    pub fn account(&self, name: &str) -> Account {
        let login = mail(name);
        self.world().account(&login).unwrap_or_else(|| panic!("there is no account {login}"))
    }

    pub fn is_active(&self, name: &str) -> bool {
        self.account(name).active()
    }

    /// Every account as it is, byte for byte.
    pub fn accounts(&self) -> Vec<(String, Value)> {
        let whole = |account: Account| (account.id, Value::Object(account.resource));
        self.world().accounts().into_iter().map(whole).collect()
    }

    /// Adds an account by hand that the workspace's own people made.
    pub fn add_account(&self, name: &str, active: bool) -> String {
        self.world().add_account(&account_by_hand(&mail(name), active))
    }

    /// The source's id of a person.
    pub fn source_id(&self, person: PersonId) -> SourceId {
        let person = self.world().person(person);
        match self.vendor {
            Vendor::Okta => SourceId::new(person.okta_id),
            Vendor::OneLogin => SourceId::new(person.onelogin_id.to_string()),
        }
    }

    /// What the externalId of a person must be.
    pub fn external_id(&self, person: PersonId) -> String {
        let id = self.source_id(person);
        match self.vendor {
            Vendor::Okta => id.to_string(),
            Vendor::OneLogin => format!("onelogin:{id}"),
        }
    }

    /// The configuration as text.
    pub fn text(&self) -> String {
        format!("state_dir = {:?}\n\n{}", self.directory.path().join("state"), self.sync_text(&self.name))
    }

    /// The text of the one sync under some name.
    pub fn sync_text(&self, name: &str) -> String {
        let sim = &self.sim;
        let login = match self.vendor {
            Vendor::Okta => format!(
                "kind = \"okta\"\nurl = \"{}\"\napp_id = \"{}\"\napi_token = {{ env = \"SOURCE_SECRET\" }}",
                sim.okta_url(),
                sim.okta_app_id()
            ),
            Vendor::OneLogin => format!(
                "kind = \"onelogin\"\nurl = \"{}\"\napp_id = \"{}\"\nclient_id = \"{}\"\nclient_secret = {{ env = \
                 \"SOURCE_SECRET\" }}",
                sim.onelogin_url(),
                sim.onelogin_app_id(),
                sim.onelogin_client_id()
            ),
        };
        let pace =
            if self.target.contains("requests_per_minute") { "" } else { "requests_per_minute = 60000\n" };
        format!(
            "[[sync]]\nname = \"{name}\"\n{}\n[sync.source]\n{login}\n{}\n[sync.target]\nurl = \"{}\"\ntoken = {{ env = \
             \"TARGET_SECRET\" }}\n{pace}{}\n{}\n",
            lines_of_the_sync(&self.tables),
            self.source,
            sim.scim_url(),
            self.target,
            tables_of_the_sync(&self.tables)
        )
    }

    /// One full run that may write.
    pub async fn run(&self) -> Ended {
        self.one(&self.text(), Selection::Everybody, Mode::Real).await
    }

    /// One full dry run.
    pub async fn dry(&self) -> Ended {
        self.one(&self.text(), Selection::Everybody, Mode::Dry).await
    }

    /// A run of named people.
    pub async fn run_for(&self, who: &[&str]) -> Ended {
        self.one(&self.text(), named(who), Mode::Real).await
    }

    /// A dry run of named people.
    pub async fn dry_for(&self, who: &[&str]) -> Ended {
        self.one(&self.text(), named(who), Mode::Dry).await
    }

    /// The first run of a world, which must succeed; requests so far are forgotten.
    pub async fn begin(&self) {
        let ended = self.run().await;
        assert_eq!(ended.code, exit::OK, "{ended:#?}");
        self.sim.clear_requests();
    }

    /// A further run that has nothing to do, and neither has a dry run.
    pub async fn assert_quiet(&self) {
        for mode in [Mode::Dry, Mode::Real] {
            self.sim.clear_requests();
            let ended = self.one(&self.text(), Selection::Everybody, mode).await;
            assert_eq!(ended.code, exit::OK, "{mode:?}: {ended:#?}");
            assert_eq!(ended.facts.summary.writes(), 0, "{mode:?}: {ended:#?}");
            assert_eq!(self.writes(), Vec::<String>::new(), "{mode:?}");
        }
    }

    /// A run of exactly these actions, as `apply` makes one of a saved plan.
    pub async fn run_only(&self, actions: &[ActionRecord]) -> Ended {
        *self.only.lock().unwrap() = Some(actions.to_vec());
        let ended = self.run().await;
        *self.only.lock().unwrap() = None;
        ended
    }

    /// One run of these people.
    pub async fn run_who(&self, task: impl Into<RunTask>) -> Ended {
        self.one(&self.text(), task, Mode::Real).await
    }

    async fn one(&self, text: &str, task: impl Into<RunTask>, mode: Mode) -> Ended {
        let mut ended = self.all(text, task, mode).await;
        assert_eq!(ended.len(), 1);
        ended.remove(0)
    }

    /// Runs every sync of a configuration, one after the other.
    pub async fn all(&self, text: &str, task: impl Into<RunTask>, mode: Mode) -> Vec<Ended> {
        let config = self.parse(text);
        let pacers = Pacers::with_retry(self.retry);
        let task = task.into();
        let mut all = Vec::new();
        match mode {
            Mode::Dry => {
                let snapshot = Snapshot::open(&config.state_dir).await.unwrap();
                for sync in &config.syncs {
                    all.push(self.run_sync(sync, &pacers, &snapshot, task.clone(), None).await);
                }
            }
            Mode::Real => {
                let store = Store::open(&config.state_dir, false).await.unwrap();
                for sync in &config.syncs {
                    all.push(
                        self.run_sync(sync, &pacers, store.snapshot(), task.clone(), Some(&store)).await,
                    );
                }
                store.close().await.unwrap();
            }
        }
        all
    }

    /// Runs every sync of a configuration at the same time, as the daemon does.
    pub async fn all_at_once(&self, text: &str) -> Vec<Ended> {
        let config = self.parse(text);
        let pacers = Pacers::with_retry(self.retry);
        let store = Store::open(&config.state_dir, false).await.unwrap();
        let runs = config
            .syncs
            .iter()
            .map(|sync| self.run_sync(sync, &pacers, store.snapshot(), Selection::Everybody, Some(&store)));
        let all = futures_util::future::join_all(runs).await;
        store.close().await.unwrap();
        all
    }

    /// Runs every sync of a configuration against the world of the bench with its vendor.
    pub async fn all_with(&self, text: &str, other: &Bench) -> Vec<Ended> {
        let config = self.parse(text);
        let pacers = Pacers::with_retry(self.retry);
        let store = Store::open(&config.state_dir, false).await.unwrap();
        let mut all = Vec::new();
        for sync in &config.syncs {
            let bench = if vendor_of(sync) == self.vendor { self } else { other };
            all.push(
                bench.run_sync(sync, &pacers, store.snapshot(), Selection::Everybody, Some(&store)).await,
            );
        }
        store.close().await.unwrap();
        all
    }

    /// The state opened for several runs at once, as the daemon does.
    pub async fn open(&self) -> Shared<'_> {
        let config = self.parse(&self.text());
        let store = Store::open(&config.state_dir, false).await.unwrap();
        Shared { bench: self, pacers: Pacers::with_retry(self.retry), config, store }
    }

    pub fn parse(&self, text: &str) -> Config {
        let mut config =
            config::parse(text, Path::new("test.toml"), &Environment::fixed(Vec::<(String, String)>::new()))
                .unwrap_or_else(|errors| panic!("{errors}"));
        for sync in &mut config.syncs {
            sync.max_apply = self.max_apply.unwrap_or(sync.max_apply);
            sync.max_read = self.max_read.unwrap_or(sync.max_read);
        }
        config
    }

    async fn run_sync(
        &self,
        sync: &config::Sync,
        pacers: &Pacers,
        snapshot: &Snapshot,
        task: impl Into<RunTask>,
        store: Option<&Store>,
    ) -> Ended {
        let user_type = sync.user_type.as_ref();
        let vendor = vendor_of(sync);
        let mapping =
            Mapping::compile(vendor, &sync.scope, &sync.attributes, user_type, snapshot.digest_key())
                .unwrap();
        let source = Source::new(&sync.source, pacers, self.secrets(vendor)).unwrap();
        let profile = snapshot.profile(&sync.name).await.unwrap();
        let profile: Profile = profile.map(|text| serde_json::from_str(&text).unwrap()).unwrap_or_default();
        let secrets = self.secrets(vendor);
        let target =
            ScimTarget::new(&sync.target, pacers, move |reference: &SecretRef| secrets(reference), profile)
                .unwrap();
        let only = self.only.lock().unwrap().clone();
        let mut context = RunContext::new(sync, &mapping, &source, &target, snapshot, self.stop.subscribe());
        context.trigger =
            self.trigger.unwrap_or(if self.unattended { Trigger::Schedule } else { Trigger::Manual });
        context.unattended = self.unattended;
        let task = task.into();
        let finished = match store {
            None => {
                let nothing = None::<&LiveAccess<'_, Provisioner>>;
                perform(context, &task, only.as_deref(), nothing).await
            }
            Some(store) => {
                let provisioner = target.provisioner();
                let access = LiveAccess { store, provisioner: &provisioner };
                let finished = perform(context, &task, only.as_deref(), Some(&access)).await;
                let profile = serde_json::to_string(&target.profile()).unwrap();
                store.save_profile(&sync.name, profile).await.unwrap();
                finished
            }
        };
        let code = match finished.refusal {
            Some(RunRefusal::Binding) => exit::CONFIG,
            Some(RunRefusal::StalePlan) => exit::HELD,
            None => exit::of_run(&finished.facts, false),
        };
        let mut spool = finished.records;
        let records: Vec<ActionRecord> = spool.iter().unwrap().collect::<Result<_, _>>().unwrap();
        let ended = Ended { facts: finished.facts, records, code };
        ended.check_sums();
        if let Some(store) = store {
            ended.check_history(store.snapshot()).await;
        }
        ended
    }

    pub fn secrets(&self, vendor: Vendor) -> ResolveSecret {
        let source = match vendor {
            Vendor::Okta => self.sim.okta_token(),
            Vendor::OneLogin => self.sim.onelogin_client_secret(),
        };
        let environment =
            Environment::fixed([("SOURCE_SECRET", source), ("TARGET_SECRET", self.sim.scim_token())]);
        std::sync::Arc::new(move |reference: &SecretRef| {
            reference.resolve(&environment).map_err(|error| error.to_string())
        })
    }

    /// What was written at the workspace since the last look: method and login, in order of arrival.
    pub fn writes(&self) -> Vec<String> {
        let login = |path: &str, body: &Value| {
            let id = path.rsplit('/').next().unwrap_or_default();
            let id = percent_encoding::percent_decode_str(id).decode_utf8_lossy().into_owned();
            match self.world().account_by_id(&id) {
                Some(account) => account.user_name().to_owned(),
                None => body["userName"].as_str().unwrap_or(&id).to_owned(),
            }
        };
        let line = |request: rosterd::sim::Request| {
            format!("{} {}", request.method, login(&request.path, &request.json()))
        };
        self.sim.writes().into_iter().map(line).collect()
    }

    /// The stored link of a person.
    pub async fn link(&self, person: PersonId) -> Option<Link> {
        let snapshot = Snapshot::open(&self.directory.path().join("state")).await.unwrap();
        snapshot.link(&self.name, &self.source_id(person)).await.unwrap()
    }

    /// Lets time pass for what is stored: everything in the state becomes so much older.
    pub fn pass(&self, time: Duration) {
        self.shift(time.as_millis() as i64);
    }

    /// Moves the clock by so many milliseconds, backwards too, as far as the state can tell.
    pub fn shift(&self, by: i64) {
        let path = self.directory.path().join("state/rosterd.db");
        let database = rusqlite::Connection::open(path).unwrap();
        database
            .execute_batch(&format!(
                "UPDATE link SET state_since = state_since - {by}, absent_since = absent_since - {by}, last_listed_at = last_listed_at - {by},
                                 observed_at = observed_at - {by};
                 UPDATE journal SET at = at - {by};
                 UPDATE run SET started_at = started_at - {by}, finished_at = finished_at - {by};
                 UPDATE look SET observed_at = observed_at - {by};
                 UPDATE hold SET opened_at = opened_at - {by}, expires_at = expires_at - {by},
                                 reminded_at = reminded_at - {by}, decided_at = decided_at - {by};
                 UPDATE hold_pair SET joined_at = joined_at - {by}, approved_at = approved_at - {by};
                 UPDATE owed SET since = since - {by}, tried_at = tried_at - {by}, next_try_at = next_try_at - {by};
                 UPDATE in_flight SET sent_at = sent_at - {by}, next_try_at = next_try_at - {by},
                                      first_empty_at = first_empty_at - {by}, overtaken_at = overtaken_at - {by};"
            ))
            .unwrap();
        aging::age_texts(&database, "link", "memory", by);
        aging::age_texts(&database, "sync", "profile", by);
    }
}

/// One process with several runs.
pub struct Shared<'a> {
    bench: &'a Bench,
    pacers: Pacers,
    config: Config,
    store: Store,
}

impl Shared<'_> {
    /// Writes everything back, as the end of a process does.
    pub async fn close(self) {
        self.store.close().await.unwrap();
    }

    /// The state, for decisions while runs are under way.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A run that may write.
    pub async fn run(&self, task: impl Into<RunTask>) -> Ended {
        let snapshot = self.store.snapshot();
        self.bench.run_sync(&self.config.syncs[0], &self.pacers, snapshot, task, Some(&self.store)).await
    }
}

fn vendor_of(sync: &config::Sync) -> Vendor {
    match sync.source.kind {
        config::SourceKind::OktaToken { .. } | config::SourceKind::OktaOauth { .. } => Vendor::Okta,
        config::SourceKind::OneLogin { .. } => Vendor::OneLogin,
    }
}

/// Every commit of the state is synced to the disk: in memory, where there is such a place, tests are quicker.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// `deactivate ann@acme.example applied`
pub fn line(record: &ActionRecord) -> String {
    let outcome = serde_json::to_value(record.outcome).unwrap();
    format!("{} {} {}", record.action.as_str(), record.user, outcome.as_str().unwrap())
}

pub fn named(who: &[&str]) -> Selection {
    Selection::Named(who.iter().map(|name| mail_or_id(name)).collect())
}

fn mail_or_id(name: &str) -> String {
    let is_first_name = name.chars().all(|letter| letter.is_ascii_lowercase());
    if is_first_name { mail(name) } else { name.to_owned() }
}

/// An account as somebody in the workspace would make it.
pub fn account_by_hand(login: &str, active: bool) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": login,
        "active": active,
        "name": {"givenName": "By", "familyName": "Hand"},
        "emails": [{"value": login, "type": "work", "primary": true}],
    })
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Keys of the sync itself, which TOML wants before its tables.
fn lines_of_the_sync(tables: &str) -> &str {
    tables.find('[').map_or(tables, |table| &tables[..table])
}

fn tables_of_the_sync(tables: &str) -> &str {
    tables.find('[').map_or("", |table| &tables[table..])
}

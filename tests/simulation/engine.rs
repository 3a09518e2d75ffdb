//! The only file that knows the program's engine and store: how a run is started, and what is asked of the state. Where
//! the engine's interface changes, this file changes, and no other; the workspace behind the traits is `port`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use rosterd::config::{self, Environment};
use rosterd::core::mapping::Mapping;
use rosterd::engine::context::RunContext;
use rosterd::engine::live_run::LiveAccess;
use rosterd::engine::run::RunRefusal;
use rosterd::engine::selection::Selection;
use rosterd::engine::session::mapping_of;
use rosterd::exit;
use rosterd::model::id::SourceId;
use rosterd::model::link::LinkState;
use rosterd::model::owed::OwedChange;
use rosterd::model::plan::Verb as PlannedVerb;
use rosterd::model::report::{ActionRecord, Trigger};
use rosterd::model::time::Millis;
use rosterd::operations::run_task::{RunTask, perform};
use rosterd::source::Source;
use rosterd::source::simulated::Simulated;
use rosterd::store::Store;

use super::port::Port;
use super::rules::{Rules, Verb};
use super::source::SourceFake;
use crate::target::TargetFake;

/// What a run is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    Everybody,
    People(Vec<String>),
    ReturnOf(i64),
}

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartedBy {
    Hand,
    Schedule,
    Watch,
    Approval,
    Undo,
    PlanFile,
}

/// How a run ended, as whoever started it sees it.
#[derive(Debug, Clone, Default)]
pub struct RunEnd {
    pub exit: u8,
    pub result: String,
    /// Both sides answered and the plan was gone through.
    pub went_through: bool,
    pub panicked: bool,
    pub problem: String,
    pub lines: Vec<String>,
}

fn line(record: &ActionRecord) -> String {
    format!(
        "{} {} {}: {} {}",
        record.action.as_str(),
        record.user,
        record.outcome.as_str(),
        record.reason,
        record.detail.as_deref().unwrap_or_default()
    )
}

/// A hold, and who waits in it.
#[derive(Debug, Clone)]
pub struct OpenHold {
    pub number: i64,
    pub sync: usize,
    pub revision: u32,
    pub verb: Verb,
    pub people: Vec<String>,
}

/// What the state says of a person's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLink {
    pub account: String,
    pub active: bool,
    pub gone: bool,
}

/// A sync of the configuration.
struct OneSync {
    config: config::Sync,
    mapping: Mapping,
}

pub struct Engine {
    pub directory: PathBuf,
    store: Store,
    syncs: Vec<OneSync>,
    source: Source,
    /// One for each sync.
    ports: Vec<Port>,
}

impl Engine {
    pub async fn open(directory: &Path, rules: &Rules, source: SourceFake, workspace: TargetFake) -> Engine {
        let environment = Environment::fixed([("SECRET", "secret")]);
        let parsed = config::parse(&rules.configuration(), Path::new("config.toml"), &environment);
        let parsed = parsed.unwrap_or_else(|errors| panic!("{}", errors.render(false)));
        let store = Store::open(directory, false).await.expect("the state opens");
        let compiled = parsed.syncs.into_iter().map(|config| {
            let mapping = mapping_of(&config, store.snapshot()).expect("the mapping compiles");
            OneSync { config, mapping }
        });
        let syncs: Vec<OneSync> = compiled.collect();
        let source = Source::Simulated(Simulated::new(Arc::new(source)));
        let ports = (0..syncs.len()).map(|sync| Port::new(workspace.clone(), rules.clone(), sync)).collect();
        Engine { directory: directory.to_owned(), store, syncs, source, ports }
    }

    pub fn count_of_syncs(&self) -> usize {
        self.syncs.len()
    }

    fn sync(&self, index: usize) -> &OneSync {
        self.syncs.get(index % self.syncs.len()).expect("there is a sync")
    }

    fn port(&self, index: usize) -> &Port {
        self.ports.get(index % self.ports.len()).expect("there is a sync")
    }

    fn name(&self, index: usize) -> &str {
        &self.sync(index).config.name
    }

    /// One run. A panic is an end, too.
    pub async fn run(&self, sync: usize, about: About, by: StartedBy) -> RunEnd {
        let writing = LiveAccess { store: &self.store, provisioner: self.port(sync) };
        self.start(sync, about, by, Some(&writing), None).await.0
    }

    /// A run without the right to write: what it planned.
    pub async fn dry_run(&self, sync: usize) -> (RunEnd, Vec<ActionRecord>) {
        self.start(sync, About::Everybody, StartedBy::Hand, None, None).await
    }

    /// A saved plan is carried out.
    pub async fn apply(&self, sync: usize, plan: &[ActionRecord]) -> RunEnd {
        let writing = LiveAccess { store: &self.store, provisioner: self.port(sync) };
        self.start(sync, About::Everybody, StartedBy::PlanFile, Some(&writing), Some(plan)).await.0
    }

    async fn start(
        &self,
        sync: usize,
        about: About,
        by: StartedBy,
        writing: Option<&LiveAccess<'_, Port>>,
        only: Option<&[ActionRecord]>,
    ) -> (RunEnd, Vec<ActionRecord>) {
        let task = match about {
            About::Everybody => RunTask::Reconcile(Selection::Everybody),
            About::People(ids) => {
                let ids = ids.iter().map(|id| SourceId::new(id.as_str())).collect();
                RunTask::Reconcile(Selection::Ids(ids))
            }
            About::ReturnOf(run) => RunTask::Undo { run, actor: "sim".to_owned() },
        };
        let (_stop, interrupted) = tokio::sync::watch::channel(false);
        let OneSync { config, mapping } = self.sync(sync);
        let snapshot = self.store.snapshot();
        let mut context =
            RunContext::new(config, mapping, &self.source, self.port(sync), snapshot, interrupted);
        context.trigger = trigger(by);
        context.unattended = matches!(by, StartedBy::Schedule | StartedBy::Watch);
        let performed = perform(context, &task, only, writing);
        let ended = std::panic::AssertUnwindSafe(performed).catch_unwind().await;
        let Ok(mut finished) = ended else {
            self.store.give_up_tenure(&config.name).await;
            return (
                RunEnd {
                    exit: exit::FAILURE,
                    result: "panic".to_owned(),
                    panicked: true,
                    ..RunEnd::default()
                },
                Vec::new(),
            );
        };
        let problem = [finished.facts.source.problem.clone(), finished.facts.target.problem.clone()];
        let mut problems: Vec<String> = problem.into_iter().flatten().collect();
        problems.extend(finished.facts.notes.clone());
        let records: Vec<ActionRecord> =
            finished.records.iter().expect("the list can be read").flatten().collect();
        // A saved plan that does not fit any more is refused, which is no failure of the run.
        let is_stale = finished.refusal == Some(RunRefusal::StalePlan);
        let end = RunEnd {
            lines: records.iter().map(line).collect(),
            exit: if is_stale { exit::HELD } else { exit::of_run(&finished.facts, false) },
            result: if is_stale {
                "stale plan".to_owned()
            } else {
                finished.facts.result.as_str().to_owned()
            },
            went_through: finished.facts.result.reached_both_sides(),
            panicked: false,
            problem: problems.join("; "),
        };
        (end, records)
    }

    pub async fn holds(&self) -> Vec<OpenHold> {
        let snapshot = self.store.snapshot();
        let mut open = Vec::new();
        for hold in snapshot.open_holds(None, Millis::now()).await.expect("holds can be read") {
            let waiting = snapshot.waiting(hold.number).await.expect("holds can be read");
            let people = waiting.into_iter().map(|pair| pair.source_id.to_string()).collect();
            let Some(verb) = verb(hold.verb) else { continue };
            let sync = self.syncs.iter().position(|sync| sync.config.name == hold.sync).unwrap_or(0);
            open.push(OpenHold { sync, number: hold.number, revision: hold.revision, verb, people });
        }
        open
    }

    /// Releases a hold; gives whom to run, and the runs to take back again.
    pub async fn approve(&self, number: i64, revision: u32) -> Option<(Vec<String>, Vec<i64>)> {
        let decided = self.store.approve(number, revision, "sim", Millis::now()).await.ok()?;
        let people = decided.of_no_return().iter().map(ToString::to_string).collect();
        Some((people, decided.of_returns.keys().copied().collect()))
    }

    /// Everybody whom an approval of a hold released is approved; those of later revisions are not.
    pub async fn waiting_up_to(&self, number: i64, revision: u32) -> Vec<String> {
        let waiting = self.store.snapshot().waiting(number).await.expect("holds can be read");
        let released = waiting.into_iter().filter(|pair| pair.revision <= revision);
        released.map(|pair| pair.source_id.to_string()).collect()
    }

    pub async fn reject(&self, number: i64) -> Option<Vec<String>> {
        let decided = self.store.reject(number, "sim", Millis::now()).await.ok()?;
        Some(decided.people.iter().map(ToString::to_string).collect())
    }

    pub async fn pause(&self, until: Option<i64>) {
        for sync in &self.syncs {
            let paused = self.store.set_pause(&sync.config.name, until.map(Millis), "sim", Millis::now());
            paused.await.expect("a pause can be set");
        }
    }

    /// Whether the person's link is gone now.
    pub async fn forget(&self, sync: usize, person: &str) -> bool {
        let tenure = self.store.tenure(self.name(sync)).await.expect("a tenure");
        let forgotten = self.store.forget(&tenure, &SourceId::new(person), "sim", Millis::now()).await;
        forgotten.expect("forgetting works")
    }

    pub async fn lift_all(&self) {
        for sync in &self.syncs {
            let name = &sync.config.name;
            let tenure = self.store.tenure(name).await.expect("a tenure");
            for person in self.store.snapshot().pins(name).await.expect("pins can be read").into_keys() {
                self.store.lift(&tenure, &person, "sim", Millis::now()).await.expect("lifting works");
            }
        }
    }

    pub async fn links(&self, sync: usize) -> Vec<(String, StoredLink)> {
        let links = self.store.snapshot().links(self.name(sync)).await.expect("links can be read");
        let stored = links.into_iter().map(|link| {
            let stored = StoredLink {
                account: link.target_id.to_string(),
                active: matches!(link.state, LinkState::Active),
                gone: matches!(link.state, LinkState::Gone(_)),
            };
            (link.source_id.to_string(), stored)
        });
        stored.collect()
    }

    /// The runs on record, oldest first.
    pub async fn runs(&self) -> Vec<(i64, usize)> {
        let past = rosterd::store::Past { limit: 1000, ..Default::default() };
        let runs = self.store.snapshot().runs(past).await.expect("runs can be read");
        let of = |name: &str| self.syncs.iter().position(|sync| sync.config.name == name).unwrap_or(0);
        let mut numbers: Vec<(i64, usize)> = runs.iter().map(|line| (line.run, of(&line.sync))).collect();
        numbers.sort_unstable();
        numbers
    }

    /// For whom a run wrote something.
    pub async fn written_by(&self, sync: usize, run: i64) -> Vec<String> {
        let people = self.store.snapshot().written_by(self.name(sync), run).await;
        people.expect("the journal can be read").iter().map(ToString::to_string).collect()
    }

    /// Leavers who still have access, as `status` shows them.
    pub async fn leavers_in_status(&self, sync: usize) -> Option<Vec<String>> {
        let owed = self.store.snapshot().owed(self.name(sync)).await.expect("what is owed can be read");
        let leavers = owed.into_iter().filter(OwedChange::keeps_access);
        Some(leavers.map(|change| change.source_id.to_string()).collect())
    }

    /// What lies on the disk.
    pub fn fingerprint(&self) -> Vec<(String, u64)> {
        let mut files: Vec<(String, u64)> = std::fs::read_dir(&self.directory)
            .expect("the directory can be read")
            .flatten()
            // What SQLite shares between processes is no content.
            .filter(|file| !file.file_name().to_string_lossy().ends_with("-shm"))
            .map(|file| {
                let bytes = std::fs::read(file.path()).unwrap_or_default();
                let sum = bytes.iter().fold(0u64, |sum, byte| {
                    (sum.rotate_left(5) ^ u64::from(*byte)).wrapping_mul(0x517C_C1B7_2722_0A95)
                });
                (file.file_name().to_string_lossy().into_owned(), sum)
            })
            .collect();
        files.sort();
        files
    }

    /// A clean end of the process.
    pub async fn close(self) {
        self.store.close().await.expect("the state closes");
    }

    /// What a machine that lost its power now finds later: the database and its log as they lie there. The connection
    /// writes with `synchronous=FULL`, so what was committed was synced; no transaction is under way, because the
    /// simulation's thread waits for each.
    pub fn copy_as_after_a_crash(&self, to: &Path) {
        std::fs::create_dir_all(to).expect("a directory");
        for name in ["rosterd.db", "rosterd.db-wal"] {
            let from = self.directory.join(name);
            if from.exists() {
                std::fs::copy(&from, to.join(name)).expect("the state can be copied");
            }
        }
    }
}

fn trigger(by: StartedBy) -> Trigger {
    match by {
        StartedBy::Hand => Trigger::Manual,
        StartedBy::Schedule => Trigger::Schedule,
        StartedBy::Watch => Trigger::Watch,
        StartedBy::Approval => Trigger::Approval,
        StartedBy::Undo => Trigger::Undo,
        StartedBy::PlanFile => Trigger::PlanFile,
    }
}

fn verb(verb: PlannedVerb) -> Option<Verb> {
    match verb {
        PlannedVerb::Create => Some(Verb::Create),
        PlannedVerb::Adopt => Some(Verb::Adopt),
        PlannedVerb::Update => Some(Verb::Update),
        PlannedVerb::Reactivate => Some(Verb::Reactivate),
        PlannedVerb::Deactivate => Some(Verb::Deactivate),
        PlannedVerb::Delete => Some(Verb::Delete),
        PlannedVerb::Block | PlannedVerb::Skip => None,
    }
}

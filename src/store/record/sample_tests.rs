//! What the tests of the history share: a state in which runs happen as one says. No expectation lives here.

use std::path::PathBuf;
use std::sync::Arc;

use crate::core::guard::{Budget, GuardReport};
use crate::model::attributes::{AttributePath, Scalar};
use crate::model::history::ChainReport;
use crate::model::id::{SourceId, TargetId};
use crate::model::link::{Link, LinkState};
use crate::model::order::{Observation, OrderNumber};
use crate::model::plan::{Change, PlannedAction, Verb};
use crate::model::report::{Mode, RunFacts, RunResult, Seats, SourceFacts, Summary, TargetFacts, Trigger};
use crate::model::time::Millis;
use crate::store::{
    Binding, DoorTerms, IntentId, IntentOutcome, IntentSettlement, LinkWrite, RunHealth, Snapshot, Store,
    Tenure,
};

pub(crate) const DAY: i64 = 24 * 3600 * 1000;
/// 2026-01-01T00:00:00Z
pub(crate) const BEGINNING: i64 = 1_767_225_600_000;

/// A state, and the time in it.
pub(crate) struct Book {
    pub directory: tempfile::TempDir,
    pub store: Store,
    pub tenure: Tenure,
    pub now: i64,
}

/// The login of a first name.
pub(crate) fn login(name: &str) -> String {
    format!("{name}@acme.example")
}

/// The source id of a first name.
pub(crate) fn id(name: &str) -> SourceId {
    SourceId::new(format!("00u{name}xyz"))
}

impl Book {
    pub(crate) async fn new() -> Book {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), false).await.unwrap();
        let tenure = store.tenure("default").await.unwrap();
        let binding = Binding {
            source_kind: "okta".to_owned(),
            source_origin: "https://acme.okta.com".to_owned(),
            source_app: "0oa1".to_owned(),
            target_url: "https://work.example/scim".to_owned(),
        };
        store.bind(&tenure, binding).await.unwrap();
        Book { directory, store, tenure, now: BEGINNING }
    }

    pub(crate) fn at(&self) -> Millis {
        Millis(self.now)
    }

    pub(crate) fn pass(&mut self, millis: i64) {
        self.now += millis;
    }

    /// A run that updates these people; each is linked after it.
    pub(crate) async fn run(&mut self, names: &[&str]) -> i64 {
        let run = self.begin().await;
        for name in names {
            let intent = self.send(run, name).await;
            self.answer(intent, name, LinkState::Active).await;
        }
        self.end(run, Vec::new()).await;
        run
    }

    pub(crate) async fn begin(&mut self) -> i64 {
        self.now += 1000;
        self.store.begin_run(&self.tenure, Trigger::Schedule, true, true, self.at()).await.unwrap()
    }

    /// Writes down that something is sent.
    pub(crate) async fn send(&mut self, run: i64, name: &str) -> IntentId {
        self.now += 1000;
        let mut action = PlannedAction::blank(id(name), login(name), Observation::now());
        action.verb = Verb::Update;
        action.target_id = Some(TargetId::new(format!("account-of-{name}")));
        action.reason = format!("the title of {name} differs");
        action.changes = vec![Change {
            path: AttributePath::parse("title").unwrap(),
            from: Some(Scalar::Text(format!("Apprentice {name}"))),
            to: Some(Scalar::Text(format!("Master {name}"))),
        }];
        if self.store.snapshot().link(self.tenure.sync(), &id(name)).await.unwrap().is_none() {
            let link = self.link(name, LinkState::Active);
            self.store.restore_links(&self.tenure, vec![(link, None)]).await.unwrap();
            action.observation = Observation::now();
        }
        self.pass_door(run, action).await
    }

    /// Lets an action through the door.
    pub(crate) async fn pass_door(&mut self, run: i64, action: PlannedAction) -> IntentId {
        let permit = GuardReport::default().release(action, false).unwrap().approved;
        let terms = DoorTerms {
            run,
            at: self.at(),
            budget: Budget {
                limits: Default::default(),
                unattended: true,
                as_of: i64::MAX,
                as_of_number: OrderNumber::next(),
            },
            protection: Arc::default(),
            needs_approval: false,
        };
        self.store.pass_door(&self.tenure, permit, terms).await.unwrap().unwrap().intent()
    }

    fn link(&self, name: &str, state: LinkState) -> Link {
        Link {
            source_id: id(name),
            target_id: TargetId::new(format!("account-of-{name}")),
            user_name: login(name),
            acknowledged: Default::default(),
            state,
            digest: None,
            memory: Default::default(),
            absent_since: None,
            billable: true,
            observation: Observation::now(),
            last_listed_at: None,
            removal_seen: true,
            cause: None,
        }
    }

    /// Writes down that it was acknowledged.
    pub(crate) async fn answer(&mut self, intent: IntentId, name: &str, state: LinkState) {
        self.now += 1000;
        let link = self.link(name, state);
        let settlement = IntentSettlement {
            intent,
            settled: IntentOutcome::Applied,
            status: Some(200),
            detail: Some(format!("{} is fine", login(name))),
            attempts: 1,
            link: LinkWrite::Put(Box::new(link)),
            at: self.at(),
        };
        self.store.settle(&self.tenure, settlement).await.unwrap();
    }

    /// Writes down that nothing was sent after all.
    pub(crate) async fn answer_not_sent(&mut self, intent: IntentId) {
        let settlement = IntentSettlement {
            intent,
            settled: IntentOutcome::NotSent,
            status: None,
            detail: None,
            attempts: 0,
            link: LinkWrite::Keep,
            at: self.at(),
        };
        self.store.settle(&self.tenure, settlement).await.unwrap();
    }

    /// Ends a run, and gives the head that the log has.
    pub(crate) async fn end(&mut self, run: i64, notes: Vec<String>) -> String {
        self.now += 1000;
        let facts = RunFacts {
            sync: "default".to_owned(),
            run: Some(run),
            mode: Mode::Apply,
            trigger: Trigger::Schedule,
            result: RunResult::Ok,
            started_at: self.at(),
            finished_at: self.at(),
            passes: 1,
            first_contact: false,
            source: SourceFacts {
                kind: "okta".to_owned(),
                users: 3,
                pages: 1,
                requests: 1,
                complete: true,
                problem: None,
            },
            target: TargetFacts {
                dialect: "generic".to_owned(),
                requests: 1,
                rate_limited: 0,
                problem: None,
            },
            summary: Summary::default(),
            seats: Seats { before: 3, after: 3, limit: None },
            guards: Vec::new(),
            holds: Vec::new(),
            notes,
        };
        self.store.finish_run(&self.tenure, facts, RunHealth::ByResult).await.unwrap()
    }

    pub(crate) async fn audit(&self) -> ChainReport {
        self.store.snapshot().audit().await.unwrap()
    }

    /// Erases a person in the only sync.
    pub(crate) async fn erase(&mut self, name: &str) -> crate::store::Erasure {
        self.now += 1000;
        let erased =
            self.store.erase(&id(name), vec!["default".to_owned()], "uid 7", self.at()).await.unwrap();
        erased.expect("nothing of theirs is in flight")
    }

    /// A copy of the state as it is now, to be tampered with.
    pub(crate) async fn copy(&self) -> Copy {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rosterd.db");
        std::fs::File::create(&path).unwrap();
        self.store.snapshot().copy_to(&path).await.unwrap();
        Copy { _directory: directory, path }
    }
}

/// A copy of a state.
pub(crate) struct Copy {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Copy {
    /// The database, without the checks that would be in a forger's way.
    pub(crate) fn open(&self) -> rusqlite::Connection {
        let database = rusqlite::Connection::open(&self.path).unwrap();
        database.pragma_update(None, "foreign_keys", false).unwrap();
        database.pragma_update(None, "ignore_check_constraints", true).unwrap();
        database
    }

    /// What a look at it finds after these words of SQL; they have to change something.
    pub(crate) async fn after(&self, sql: &str) -> ChainReport {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("rosterd.db");
        std::fs::copy(&self.path, &path).unwrap();
        let twin = Copy { _directory: scratch, path };
        {
            let database = twin.open();
            let before = database.total_changes();
            database.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            assert!(database.total_changes() > before, "{sql} changes nothing");
        }
        let directory = twin.path.parent().unwrap();
        Snapshot::open(directory).await.unwrap().audit().await.unwrap()
    }
}

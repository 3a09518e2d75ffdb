//! Plays one history: starts runs, lets things happen meanwhile, lets the process die and opens what it left behind, and
//! asks the judge after each step.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join_all};
use rosterd::model::simulated::simulate;
use url::Url;

use super::dice::Dice;
use super::engine::{About, Engine, RunEnd, StartedBy, StoredLink};
use super::fate::{CrashPoint, Fate, Process};
use super::history::{Decision, Fault, Meanwhile, Step, Whom};
use super::judge::{ActiveRun, Approval, Judge};
use super::rules::Rules;
use super::source::SourceFake;
use super::weather::Weather;
use super::world::{Ms, World};
use crate::target::TargetFake;

pub struct Driver {
    pub world: Arc<Mutex<World>>,
    pub fate: Arc<Fate>,
    rules: Rules,
    engine: Option<Engine>,
    base: PathBuf,
    incarnations: u32,
}

impl Driver {
    pub async fn new(seed: u64, base: &Path) -> Driver {
        let fate = Fate::new();
        let start = tokio::time::Instant::now();
        simulate(Some(Rc::new(Process { fate: fate.clone(), start })));
        let rules = Rules::draw(&mut Dice::new(seed, 1));
        let world = World {
            seed,
            rules: rules.clone(),
            start,
            people: Vec::new(),
            accounts: Default::default(),
            weather: Weather::clear(),
            lasting: Weather::clear(),
            judge: Judge::new(fate.clone()),
            trace: vec![format!("{rules:?}")],
            vanished: Default::default(),
            last_full_run: 0,
            reads: Vec::new(),
            next_person: 0,
            next_account: 0,
            calls: 0,
            runs: 0,
            on_their_way: Vec::new(),
        };
        let world = Arc::new(Mutex::new(world));
        let mut driver = Driver { world, fate, rules, engine: None, base: base.to_owned(), incarnations: 0 };
        driver.open().await;
        driver
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("nobody panicked")
    }

    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("the process runs")
    }

    fn directory(&self) -> PathBuf {
        self.base.join(self.incarnations.to_string())
    }

    async fn open(&mut self) {
        let origin = if self.rules.okta { "https://sim.okta.com" } else { "https://sim.onelogin.com" };
        let source = SourceFake {
            world: self.world.clone(),
            fate: self.fate.clone(),
            origin: Url::parse(origin).expect("a URL"),
            okta: self.rules.okta,
        };
        let workspace = TargetFake { world: self.world.clone(), fate: self.fate.clone() };
        self.engine = Some(Engine::open(&self.directory(), &self.rules, source, workspace).await);
    }

    async fn restart(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.close().await;
        }
        self.world().note("restarted");
        self.open().await;
    }

    /// The process died: its state is what lies on the disk, and nothing else.
    async fn reopen_after_a_crash(&mut self) {
        self.incarnations += 1;
        let to = self.directory();
        if let Some(engine) = self.engine.take() {
            engine.copy_as_after_a_crash(&to);
            drop(engine);
        }
        self.fate.arm(None);
        {
            let mut world = self.world();
            world.judge.runs.clear();
            // What it heard and had not stored is lost with it; what it had stored was judged when that run ended.
            world.judge.acknowledged.clear();
            world.note("the process died");
        }
        self.open().await;
    }

    pub async fn step(&mut self, step: &Step) {
        match step {
            Step::Changes(changes) => {
                let mut world = self.world();
                changes.iter().for_each(|change| world.happen(change));
            }
            Step::JournaledWrite(deed) => self.world().deed(deed),
            Step::Decision(decision) => self.decide(*decision).await,
            Step::Wait(time) => self.wait(*time).await,
            Step::ClockJump(by) => {
                self.fate.jump(*by);
                self.world().note(format!("the clock jumps by {} s", by / 1000));
            }
            Step::Restart => self.restart().await,
            Step::DryRun { then_applied } => self.dry_run(*then_applied).await,
            Step::Lasting(faults) => {
                let mut world = self.world();
                world.lasting = world.weather_of(faults);
                world.weather = world.lasting.clone();
                world.note(format!("from now on: {faults:?}"));
            }
            Step::Run { named, by_hand, weather, meanwhile, crash } => {
                let died = self.runs(named.as_deref(), *by_hand, weather, meanwhile, *crash).await;
                self.world().clear_up();
                if died {
                    self.reopen_after_a_crash().await;
                }
                self.fate.arm(None);
            }
        }
    }

    pub async fn wait(&self, time: Ms) {
        tokio::time::sleep(Duration::from_millis(time as u64)).await;
        let mut world = self.world();
        world.note(format!("waited {} s", time / 1000));
        world.late_effects();
    }

    /// A run and what happens meanwhile; whether the process died of it.
    async fn runs(
        &self,
        named: Option<&[Whom]>,
        by_hand: bool,
        faults: &[Fault],
        meanwhile: &[(Ms, Meanwhile)],
        crash: Option<CrashPoint>,
    ) -> bool {
        let about = self.about(named);
        {
            let mut world = self.world();
            world.weather = world.weather_of(faults).and(&world.lasting);
            if !faults.is_empty() || crash.is_some() {
                world.note(format!("weather: {faults:?} crash: {crash:?}"));
            }
        }
        self.fate.arm(crash);
        let by = match (by_hand, named) {
            (true, _) => StartedBy::Hand,
            (false, None) => StartedBy::Schedule,
            (false, Some(_)) => StartedBy::Watch,
        };
        let alone = meanwhile.is_empty();
        let sync = named.and_then(|named| named.first()).map_or(0, |whom| *whom as usize);
        let mut all: Vec<LocalBoxFuture<'_, ()>> = Vec::new();
        all.push(Box::pin(async move {
            self.run(sync, about, by, alone).await;
        }));
        for (at, what) in meanwhile {
            all.push(Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(*at as u64)).await;
                self.meanwhile(what).await;
            }));
        }
        tokio::select! {
            biased;
            () = self.fate.death() => true,
            _ = join_all(all) => false,
        }
    }

    fn about(&self, named: Option<&[Whom]>) -> About {
        let world = self.world();
        match named {
            None => About::Everybody,
            Some(whom) => {
                let mut ids: Vec<String> = whom.iter().filter_map(|whom| world.whom(*whom)).collect();
                ids.sort();
                ids.dedup();
                About::People(ids)
            }
        }
    }

    async fn meanwhile(&self, what: &Meanwhile) {
        match what {
            Meanwhile::Change(change) => self.world().happen(change),
            Meanwhile::JournaledWrite(deed) => self.world().deed(deed),
            Meanwhile::Decision(decision) => self.decide(*decision).await,
            Meanwhile::Look(whom) => {
                let about = self.about(Some(whom));
                self.run(whom.len(), about, StartedBy::Watch, false).await;
            }
            Meanwhile::OtherSync if self.rules.two_syncs => {
                self.run(1, About::Everybody, StartedBy::Schedule, false).await;
            }
            Meanwhile::OtherSync => {}
        }
    }

    /// A full run of each sync, one after the other.
    pub async fn full_runs(&self) -> Vec<RunEnd> {
        let mut ends = Vec::new();
        for sync in 0..self.engine().count_of_syncs() {
            ends.push(self.run(sync, About::Everybody, StartedBy::Hand, true).await);
        }
        ends
    }

    /// A run that must change nothing at either side or on the disk; and then, perhaps, its plan carried out.
    async fn dry_run(&self, then_applied: bool) {
        let before = (self.world().judge.writes, self.engine().fingerprint());
        self.world().note("dry run");
        let (end, plan) = self.engine().dry_run(0).await;
        {
            let mut world = self.world();
            world.note(format!("  dry run ends: {} exit {} {}", end.result, end.exit, end.problem));
            if before != (world.judge.writes, self.engine().fingerprint()) {
                world.judge.accuse("dry run", "a dry run changed something");
            }
        }
        if then_applied && end.went_through {
            self.judged(0, About::Everybody, StartedBy::PlanFile, false, self.engine().apply(0, &plan)).await;
        }
    }

    /// One run, judged.
    pub async fn run(&self, sync: usize, about: About, by: StartedBy, alone: bool) -> RunEnd {
        self.judged(sync, about.clone(), by, alone, self.engine().run(sync, about, by)).await
    }

    async fn judged(
        &self,
        sync: usize,
        about: About,
        by: StartedBy,
        alone: bool,
        run: impl Future<Output = RunEnd>,
    ) -> RunEnd {
        let (number, started, was_paused) = {
            let mut world = self.world();
            world.late_effects();
            if about == About::Everybody {
                world.notice_approvals_of_the_future();
            }
            world.runs += 1;
            let (number, started) = (world.runs, world.now());
            world.note(format!("run {number} of {about:?} by {by:?} begins"));
            let attended =
                matches!(by, StartedBy::Hand | StartedBy::Approval | StartedBy::Undo | StartedBy::PlanFile);
            world.judge.runs.push(ActiveRun { number, started, attended });
            (number, started, world.is_paused())
        };
        let end = run.await;
        {
            let mut world = self.world();
            world.judge.runs.retain(|run| run.number != number);
            world.note(format!("run {number} ends: {} exit {} {}", end.result, end.exit, end.problem));
            for line in &end.lines {
                world.note(format!("  = {line}"));
            }
        }
        let holds = self.engine().holds().await;
        let mut all_links = BTreeMap::new();
        for sync in 0..self.engine().count_of_syncs() {
            for (person, link) in self.engine().links(sync).await {
                let mut world = self.world();
                let exists = |link: &StoredLink| world.accounts.contains_key(&link.account);
                let both = all_links.get(&person).is_some_and(exists) && exists(&link);
                if both {
                    world.judge.accuse("two accounts", format!("two syncs have linked {person}"));
                }
                // The link to an account that is there says more than one to an account that somebody deleted.
                if world.accounts.contains_key(&link.account) || !all_links.contains_key(&person) {
                    all_links.insert(person, link);
                }
            }
        }
        let facts = super::verdict::RunFacts {
            // A saved plan does less than a full run.
            full: about == About::Everybody && by != StartedBy::PlanFile,
            started,
            alone,
            was_paused,
            held: holds.iter().flat_map(|hold| hold.people.clone()).collect(),
            in_status: self.engine().leavers_in_status(sync).await.map(|people| people.into_iter().collect()),
            sync: sync % self.engine().count_of_syncs(),
            links: self.engine().links(sync).await.into_iter().collect(),
            all_links,
        };
        self.world().judge_run(&end, &facts);
        end
    }

    pub async fn decide(&self, decision: Decision) {
        match decision {
            Decision::Approve { earlier, runs } => {
                let Some(hold) = self.engine().holds().await.into_iter().next_back() else { return };
                let revision = if earlier { hold.revision.saturating_sub(1).max(1) } else { hold.revision };
                self.approve(hold.number, revision, runs).await;
            }
            Decision::ApproveAll => {
                for hold in self.engine().holds().await {
                    self.approve(hold.number, hold.revision, true).await;
                }
            }
            Decision::Reject => self.reject().await,
            Decision::Undo(which) => self.undo(which).await,
            Decision::Pause => self.pause(Some(i64::MAX)).await,
            Decision::PauseFor(time) => {
                let until = self.world().wall() + time;
                self.pause(Some(until)).await;
            }
            Decision::Resume => self.pause(None).await,
            Decision::Forget(whom) => {
                let Some(person) = self.world().whom(whom) else { return };
                for sync in 0..self.engine().count_of_syncs() {
                    let linked = self.engine().links(sync).await.iter().any(|(id, _)| *id == person);
                    if linked && self.engine().forget(sync, &person).await {
                        let mut world = self.world();
                        world.forget(&person);
                        world.note(format!("forgot {person}"));
                    }
                }
            }
            Decision::LiftAll => {
                self.engine().lift_all().await;
                let mut world = self.world();
                world.judge.decided.clear();
                world.note("lifted all pins");
            }
        }
    }

    async fn pause(&self, until: Option<Ms>) {
        self.engine().pause(until).await;
        let mut world = self.world();
        world.judge.paused_until = until;
        world.note(format!("paused until {until:?}"));
    }

    async fn approve(&self, number: i64, revision: u32, runs: bool) {
        let Some(hold) = self.engine().holds().await.into_iter().find(|hold| hold.number == number) else {
            return;
        };
        let released = self.engine().waiting_up_to(number, revision).await;
        {
            // Before it is stored: a run under way may use it at once.
            let mut world = self.world();
            let (at, wall) = (world.now(), world.wall());
            world.note(format!("approve h{number}@{revision} {:?} of {released:?}", hold.verb));
            for person in released.clone() {
                world.judge.decided.remove(&person);
                world.judge.approvals.push(Approval { person, verb: hold.verb, at, wall, used: false });
            }
        }
        let Some((people, returns)) = self.engine().approve(number, revision).await else { return };
        {
            // What an undo holds and somebody approves is undone all the same: pinned until the cause changes.
            let mut world = self.world();
            released.iter().filter(|id| !people.contains(id)).for_each(|id| world.decided_about(id));
        }
        if !runs {
            return;
        }
        if !people.is_empty() {
            self.run(hold.sync, About::People(people), StartedBy::Approval, false).await;
        }
        for run in returns {
            self.run(hold.sync, About::ReturnOf(run), StartedBy::Undo, false).await;
        }
    }

    async fn reject(&self) {
        let Some(hold) = self.engine().holds().await.into_iter().next_back() else { return };
        let Some(people) = self.engine().reject(hold.number).await else { return };
        let mut world = self.world();
        world.note(format!("reject h{} {:?} of {people:?}", hold.number, hold.verb));
        people.iter().for_each(|person| world.decided_about(person));
    }

    async fn undo(&self, which: u64) {
        let runs = self.engine().runs().await;
        let chosen = runs.get((which % runs.len().max(1) as u64) as usize).copied();
        let Some((run, sync)) = chosen else { return };
        let mut people = self.engine().written_by(sync, run).await;
        {
            let mut world = self.world();
            // Whose outcome is settled first belongs to the run as well, perhaps.
            people.extend(world.judge.unanswered.clone());
            world.note(format!("undo of run {run}: {people:?}"));
            for person in &people {
                world.decided_about(person);
                world.judge.undone.insert(person.clone());
            }
        }
        self.run(sync, About::ReturnOf(run), StartedBy::Undo, false).await;
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        simulate(None);
    }
}

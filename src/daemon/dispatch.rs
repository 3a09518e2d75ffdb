//! Who runs when: one full run of a sync at a time beside any number of runs of named people; wishes that one run
//! fulfils become one run; whom the watch heard of is looked at at once.
//!
//! What lives here: the state between runs. What must not: waiting (the loop must turn), and how a run goes.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot, watch};

use super::event::{All, Done, Ended, Event, Loaded, RunRequest, is_same_wish, reply_to};
use super::notify::Notifier;
use super::notify::notices::Lasting;
use crate::core::quarantine::{LONGEST_WAIT, REFUSED_PAUSE_MILLIS};
use crate::daemon::due_times::DueTimes;
use crate::daemon::looks::{pause_after, unlinked_people};
use crate::daemon::pause::Retired;
use crate::daemon::sync_schedule::SyncSchedule;
use crate::engine::quarantine::{is_secret_changed, put_off, quarantine_of};
use crate::engine::retention::clear_up;
use crate::engine::run::FinishedRun;
use crate::engine::selection::Selection;
use crate::exit;
use crate::model::id::SourceId;
use crate::model::order::OrderNumber;
use crate::model::owed::{OwedChange, WaitMeaning};
use crate::model::report::{RunFacts, Trigger};
use crate::model::run_event::RunWatcher;
use crate::model::time::Millis;
use crate::operations::run_task::RunSpec;
use crate::operations::run_task::{RunTask, live_run};
use crate::report::visible;
use crate::source::ResolveSecret;
use crate::store::{Store, StoreError};
use crate::telemetry::log::LogWatcher;
use crate::telemetry::metrics::Metrics;

/// A full run that events ask for waits this long for further ones.
const DEBOUNCE_MILLIS: i64 = 5_000;
/// How often those who left and still have access are looked at while no run ends.
const LEAVERS_SEEN_MILLIS: i64 = 60_000;

pub(super) struct Queued {
    pub spec: RunSpec,
    pub watchers: Vec<Arc<dyn RunWatcher>>,
    pub replies: Vec<oneshot::Sender<Done>>,
}

pub(super) struct Running {
    replies: Vec<oneshot::Sender<Done>>,
}

impl Running {
    /// Something that nobody waits for by way of a run's end.
    pub(super) fn unasked() -> Running {
        Running { replies: Vec::new() }
    }
}

/// What a dispatcher is made of.
pub(super) struct Parts {
    pub store: Arc<Store>,
    pub loaded: watch::Sender<Arc<Loaded>>,
    pub events: mpsc::UnboundedSender<Event>,
    pub interrupted: watch::Receiver<bool>,
    pub notifier: Notifier,
    pub metrics: Metrics,
    pub secrets: ResolveSecret,
    pub retired: Retired,
}

/// Starts runs and takes in their ends.
pub(super) struct Dispatcher {
    pub store: Arc<Store>,
    pub loaded: watch::Sender<Arc<Loaded>>,
    pub events: mpsc::UnboundedSender<Event>,
    pub(super) interrupted: watch::Receiver<bool>,
    pub notifier: Notifier,
    pub metrics: Metrics,
    pub(super) retired: Retired,
    secrets: ResolveSecret,
    pub turns: BTreeMap<String, SyncSchedule>,
    running: BTreeMap<u64, Running>,
    next_id: u64,
    /// One sentence about the last run, for `systemctl status`.
    pub(super) last: String,
}

impl Dispatcher {
    pub(super) fn new(parts: Parts) -> Dispatcher {
        let Parts { store, loaded, events, interrupted, notifier, metrics, secrets, retired } = parts;
        Dispatcher {
            store,
            loaded,
            events,
            interrupted,
            notifier,
            metrics,
            retired,
            secrets,
            turns: BTreeMap::new(),
            running: BTreeMap::new(),
            next_id: 0,
            last: "no run yet".to_owned(),
        }
    }

    /// Whether no run is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// When the next thing is due.
    pub(super) fn next_at(&self) -> Option<Millis> {
        let turns = self.turns.values();
        let due = |turn: &SyncSchedule| {
            let verification = turn.verifying.due_times.as_ref().and_then(DueTimes::next_at);
            [turn.due_times.next_at(), turn.full_at, turn.look_at, turn.paused_until, verification]
        };
        turns.flat_map(due).flatten().min()
    }

    /// Starts what is due.
    pub(super) async fn tick(&mut self, now: Millis) -> Result<(), StoreError> {
        let names: Vec<String> = self.turns.keys().cloned().collect();
        for sync in names {
            if self.turns.get(&sync).is_some_and(|turn| turn.paused_until.is_some()) {
                self.look_at_pause(&sync, now).await?;
            }
            // A changed secret need not wait for the next firing.
            let waits = self.turns.get(&sync).is_some_and(|turn| turn.refused);
            let waits_no_more = waits && self.is_secret_changed(&sync).await?;
            let Some(turn) = self.turns.get_mut(&sync) else { continue };
            turn.due_times.look_at_the_clock(now);
            if waits_no_more {
                turn.refused = false;
                turn.due_times.soon(now);
                turn.look_at = Some(now);
            }
            let leavers = now.since(turn.leavers_seen_at).abs() >= LEAVERS_SEEN_MILLIS;
            let owed = turn.is_full_run_due(now);
            let (due, look) = (turn.due_times.is_due(now), turn.look_at.is_some_and(|at| at <= now));
            let verify = turn.verifying.due_times.as_mut().is_some_and(|due_times| {
                due_times.look_at_the_clock(now);
                due_times.is_due(now)
            });
            if leavers {
                self.look_at_what_lasts(&sync, now).await?;
            }
            if look {
                self.look(&sync, now).await?;
            }
            let owed = owed && !due && self.store.snapshot().owed_full_run(&sync).await?.is_some();
            if due || owed {
                self.due(&sync, now).await?;
            }
            if verify {
                self.verification_due(&sync, now).await?;
            }
        }
        Ok(())
    }

    /// The schedule, or an event at the source, asks for a full run.
    async fn due(&mut self, sync: &str, now: Millis) -> Result<(), StoreError> {
        let put_off = self.put_off(sync, now).await?;
        let Some(turn) = self.turns.get_mut(sync) else { return Ok(()) };
        turn.due_times.dealt_with(now);
        if let Some(until) = put_off {
            turn.due_times.soon(until);
            return Ok(());
        }
        turn.refused = false;
        let spec = RunSpec {
            task: Selection::Everybody.into(),
            trigger: Trigger::Schedule,
            unattended: true,
            actor: None,
            saved_plan: None,
        };
        self.enqueue(sync, Queued { spec, watchers: Vec::new(), replies: Vec::new() });
        Ok(())
    }

    /// Until when credentials that were refused rest; a changed secret, a reload or something decided by hand ends that.
    pub(super) async fn put_off(&self, sync: &str, now: Millis) -> Result<Option<Millis>, StoreError> {
        let loaded = self.loaded.borrow().clone();
        let Some(session) = loaded.session.get(sync) else { return Ok(None) };
        let cleared = self.turns.get(sync).is_some_and(|turn| turn.cleared);
        if cleared {
            return Ok(None);
        }
        let resting = put_off(self.store.snapshot(), &session.config, &self.secrets, now).await?;
        Ok(resting.map(|resting| resting.until))
    }

    /// Whether a secret is another one than the one that was refused.
    async fn is_secret_changed(&self, sync: &str) -> Result<bool, StoreError> {
        let loaded = self.loaded.borrow().clone();
        let Some(session) = loaded.session.get(sync) else { return Ok(false) };
        is_secret_changed(self.store.snapshot(), &session.config, &self.secrets).await
    }

    /// Somebody wants a run.
    pub(super) fn asked(&mut self, wish: RunRequest) {
        let RunRequest { sync, spec, watcher, reply } = wish;
        if !self.turns.contains_key(&sync) {
            return;
        }
        let queued = Queued { spec, watchers: vec![watcher], replies: vec![reply] };
        if queued.spec.task.is_full() {
            self.enqueue(&sync, queued);
        } else {
            self.start(&sync, queued);
        }
    }

    /// Asks for a full run, on record, so that no crash, stop or reload forgets it.
    pub(super) async fn ask_for_full_run(
        &mut self,
        sync: &str,
        reason: &str,
        now: Millis,
    ) -> Result<(), StoreError> {
        if self.store.snapshot().owed_full_run(sync).await?.is_none() {
            self.store.owe_full_run(sync, reason.to_owned(), now).await?;
        }
        self.soon(sync, reason, now);
        Ok(())
    }

    /// A full run is wanted soon.
    pub(super) fn soon(&mut self, sync: &str, reason: &str, now: Millis) {
        tracing::info!(sync, reason, "a full run comes soon");
        if let Some(turn) = self.turns.get_mut(sync) {
            turn.owes_full_run(Millis(now.0.saturating_add(DEBOUNCE_MILLIS)));
        }
    }

    /// Somebody decided something: refused credentials are tried at once.
    pub(super) fn decided(&mut self, sync: &str) {
        if let Some(turn) = self.turns.get_mut(sync) {
            turn.cleared = true;
        }
    }

    /// One full run at a time; what one run fulfils waits as one.
    fn enqueue(&mut self, sync: &str, queued: Queued) {
        let Some(turn) = self.turns.get_mut(sync) else { return };
        // A saved plan does less than a full run. A full run by hand does what a scheduled one would, whichever of the
        // two was wanted first.
        let is_whole = |queued: &Queued| queued.spec.saved_plan.is_none();
        let fulfilled = turn.queue.iter().any(is_whole);
        match turn.queue.iter_mut().find(|other| is_same_wish(&other.spec, &queued.spec)) {
            Some(other) => {
                other.watchers.extend(queued.watchers);
                other.replies.extend(queued.replies);
            }
            None if queued.replies.is_empty() && fulfilled => {}
            None => {
                if is_whole(&queued) {
                    turn.queue.retain(|other| !other.replies.is_empty());
                }
                turn.queue.push_back(queued);
            }
        }
        self.start_next(sync);
    }

    pub(super) fn start_next(&mut self, sync: &str) {
        let Some(turn) = self.turns.get_mut(sync) else { return };
        if turn.full.is_some() || *self.interrupted.borrow() {
            return;
        }
        let id = if let Some(queued) = turn.queue.pop_front() {
            self.start(sync, queued)
        } else if let Some(queued) = turn.verifying.queue.pop_front() {
            self.start_verification(sync, queued)
        } else {
            None
        };
        if let Some(turn) = self.turns.get_mut(sync) {
            turn.full = id;
        }
    }

    /// A number for something that begins.
    pub(super) fn new_id(&mut self, running: Running) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.running.insert(id, running);
        id
    }

    /// Something that began has ended; gives who waited for it.
    pub(super) fn let_go(&mut self, id: u64, sync: &str) -> Vec<oneshot::Sender<Done>> {
        if let Some(turn) = self.turns.get_mut(sync).filter(|turn| turn.full == Some(id)) {
            turn.full = None;
        }
        self.running.remove(&id).map(|running| running.replies).unwrap_or_default()
    }

    pub(super) fn start(&mut self, sync: &str, queued: Queued) -> Option<u64> {
        let loaded = self.loaded.borrow().clone();
        let session = loaded.session.get(sync)?.clone();
        let Queued { spec, watchers, replies } = queued;
        let id = self.new_id(Running { replies });
        if let Some(turn) = self.turns.get_mut(sync).filter(|_| spec.is_whole()) {
            turn.whole = Some(id);
        }
        let mut all: Vec<Arc<dyn RunWatcher>> =
            vec![Arc::new(LogWatcher::new(sync)), Arc::new(self.metrics.watcher(sync))];
        all.extend(watchers);
        #[cfg(feature = "sim")]
        all.push(Arc::new(super::sim_hooks::Defect));
        let (store, events, interrupted) =
            (self.store.clone(), self.events.clone(), self.interrupted.clone());
        let sync = sync.to_owned();
        tokio::spawn(async move {
            let (began_at, began) = (Millis::now(), OrderNumber::next());
            let watchers = All(all);
            let run = live_run(&session, &spec, &store, &watchers, interrupted);
            let finished = AssertUnwindSafe(run).catch_unwind().await.ok();
            let _ = events.send(Event::Ended(Box::new(Ended { id, sync, spec, began_at, began, finished })));
        });
        Some(id)
    }

    /// Takes in the end of a run.
    pub(super) async fn ended(&mut self, ended: Ended, now: Millis) -> Result<(), StoreError> {
        let Ended { id, sync, spec, began_at, began, finished } = ended;
        let replies = self.let_go(id, &sync);
        let looked = match (&spec.task, spec.trigger) {
            (RunTask::Reconcile(Selection::Ids(ids)), Trigger::Watch) => Some(ids.clone()),
            (RunTask::Reconcile(_) | RunTask::Undo { .. }, _) => None,
        };
        if let Some(turn) = self.turns.get_mut(&sync) {
            turn.whole = turn.whole.filter(|whole| *whole != id);
            turn.cleared = false;
            if let Some(ids) = &looked {
                turn.look_runs -= 1;
                ids.iter().for_each(|id| {
                    turn.looking.remove(id);
                });
            }
        }
        match finished {
            Some(mut finished) => {
                self.take_note(&sync, &spec, (began_at, began), looked.as_deref(), &mut finished, now)
                    .await?;
                reply_to(replies, finished);
            }
            None => {
                tracing::error!(
                    sync,
                    "a run broke off by a defect; what it left open is settled by the next one"
                );
                self.store.give_up_tenure(&sync).await;
                if let Some(turn) = self.turns.get_mut(&sync) {
                    turn.look_rest.failed(now);
                    turn.owes_full_run(Millis(now.0.saturating_add(pause_after(0))));
                }
            }
        }
        self.clear_up();
        self.drop_what_has_to_rest(&sync, now).await?;
        self.start_next(&sync);
        if self.is_idle() {
            self.store.release_cache().await?;
        }
        Ok(())
    }

    /// A firing that came while a run was under way waits like every other one where that run was refused.
    async fn drop_what_has_to_rest(&mut self, sync: &str, now: Millis) -> Result<(), StoreError> {
        let Some(until) = self.put_off(sync, now).await? else { return Ok(()) };
        let Some(turn) = self.turns.get_mut(sync) else { return Ok(()) };
        let before = turn.queue.len();
        turn.queue.retain(|queued| !queued.replies.is_empty());
        if turn.queue.len() < before {
            turn.due_times.soon(until);
        }
        Ok(())
    }

    /// Removes history that is too old, beside the loop and once a day.
    fn clear_up(&self) {
        if *self.interrupted.borrow() {
            return;
        }
        let (store, keep) = (self.store.clone(), self.loaded.borrow().config.keep_history);
        tokio::spawn(async move { clear_up(&store, keep).await });
    }

    async fn take_note(
        &mut self,
        sync: &str,
        spec: &RunSpec,
        (began_at, began): (Millis, OrderNumber),
        looked: Option<&[SourceId]>,
        finished: &mut FinishedRun,
        now: Millis,
    ) -> Result<(), StoreError> {
        let facts = finished.facts.clone();
        let well = facts.result.reached_both_sides();
        // Who loses an account because a run is taken back has not left.
        if spec.trigger != Trigger::Undo {
            let millis = self.tell_revocations(sync, looked.is_some(), finished, now).await?;
            if !millis.is_empty() {
                let tenure = self.store.tenure(sync).await?;
                self.store.note_revocations(&tenure, millis.clone(), now).await?;
                // Once it is on record: the page and the metric are read together.
                millis.iter().for_each(|millis| self.metrics.revoked(sync, *millis as f64 / 1000.0));
            }
        }
        let whole = spec.is_whole();
        if whole || looked.is_some() {
            self.end_looks(sync, began, looked, finished, now).await?;
        }
        let lasting = self.look_at_what_lasts(sync, now).await?;
        let refused = !self.store.snapshot().health(sync).await?.refused.is_empty();
        if let Some(turn) = self.turns.get_mut(sync) {
            turn.refused = refused;
            if refused && !lasting.quarantined {
                // Once more, as soon as they have rested: then it is known to last.
                turn.due_times.soon(Millis(now.0.saturating_add(REFUSED_PAUSE_MILLIS)));
            }
            // What a run left owed, and whom the watch heard of meanwhile.
            turn.look_at = Some(now);
            if well && whole {
                turn.last_well = Some(began_at);
                turn.unlinked_people = unlinked_people(finished);
            }
            match (looked, well) {
                (Some(_), false) => turn.look_rest.failed(now),
                (Some(_), true) => turn.look_rest.ended(),
                (None, _) if whole && well => turn.look_rest.ended(),
                (None, _) => {}
            }
        }
        if whole {
            self.plan_next_full_run(sync, well, lasting.quarantined, now).await?;
        }
        self.metrics.run_ended(&facts);
        self.notifier.run_ended(&facts, exit::of_run(&facts, false), lasting);
        log_failure(&facts);
        self.last = sentence(&facts);
        Ok(())
    }

    /// What lasts beyond the runs of a sync; leavers who keep access for too long are told of.
    pub(super) async fn look_at_what_lasts(
        &mut self,
        sync: &str,
        now: Millis,
    ) -> Result<Lasting, StoreError> {
        let loaded = self.loaded.borrow().clone();
        let quarantined = match loaded.session.get(sync) {
            Some(session) => quarantine_of(self.store.snapshot(), &session.config).await?.is_some(),
            None => false,
        };
        let owed = self.store.snapshot().owed(sync).await?;
        self.notifier.look_at_leavers(sync, &owed, now);
        if let Some(turn) = self.turns.get_mut(sync) {
            turn.leavers_seen_at = now;
        }
        let undone = |change: &OwedChange| change.waits_for.meaning() == WaitMeaning::Undone;
        let failing = owed.iter().any(|change| change.attempts > 0 && undone(change));
        Ok(Lasting { quarantined, failing })
    }

    /// After a full run: one that is still asked for comes again soon, and a sync in quarantine is tried once an hour
    /// where its schedule is rarer.
    async fn plan_next_full_run(
        &mut self,
        sync: &str,
        well: bool,
        quarantined: bool,
        now: Millis,
    ) -> Result<(), StoreError> {
        let owed = self.store.snapshot().owed_full_run(sync).await?.is_some();
        let Some(turn) = self.turns.get_mut(sync) else { return Ok(()) };
        turn.full_tries = if well { 0 } else { turn.full_tries.saturating_add(1) };
        let hourly = Millis(now.0.saturating_add(LONGEST_WAIT.as_millis() as i64));
        let pause = if well { DEBOUNCE_MILLIS } else { pause_after(turn.full_tries.saturating_sub(1)) };
        match (quarantined, owed) {
            (true, _) => turn.due_times.soon(hourly),
            (false, true) => turn.owes_full_run(Millis(now.0.saturating_add(pause))),
            (false, false) => {}
        }
        Ok(())
    }

    /// One line for `systemctl status`.
    pub(super) async fn status_line(&self, now: Millis) -> String {
        let next = self.turns.values().filter_map(|turn| turn.due_times.next_at()).min();
        let next = match next {
            Some(at) if at > now => format!("next run at {}", at.rfc3339()),
            Some(_) => "a run is due".to_owned(),
            None => "no run is scheduled".to_owned(),
        };
        let holds =
            self.store.snapshot().open_holds(None, now).await.map(|holds| holds.len()).unwrap_or_default();
        let held = match holds {
            0 => String::new(),
            1 => "; 1 hold waits for approval".to_owned(),
            more => format!("; {more} holds wait for approval"),
        };
        let going_on = match self.running.len() {
            0 => String::new(),
            1 => "1 run under way; ".to_owned(),
            more => format!("{more} runs under way; "),
        };
        format!("{going_on}{}; {next}{held}", self.last)
    }
}

/// A run that failed is logged with its reason and what to do about it.
fn log_failure(facts: &RunFacts) {
    let Some(problem) = facts.problem() else { return };
    let problem: Vec<&str> = problem.lines().map(str::trim).collect();
    let (sync, run, result) = (&facts.sync, facts.run, facts.result.as_str());
    tracing::error!(sync, run, result, "run failed: {}", visible(&problem.join("; ")));
}

pub(super) fn sentence(facts: &RunFacts) -> String {
    let run = facts.run.map(|run| format!("run {run} of ")).unwrap_or_default();
    format!("{run}{}: {}", facts.sync, facts.result.as_str())
}

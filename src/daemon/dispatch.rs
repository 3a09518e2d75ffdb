//! Who runs when: one full run of a sync at a time beside any number of runs of named people; wishes that one run
//! fulfils become one run; whom the watch heard of is looked at at once.
//!
//! What lives here: the state between runs. What must not: waiting (the loop must turn), and how a run goes.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot, watch};

use super::agenda::Agenda;
use super::event::{All, Done, Ended, Event, Loaded, Wish, is_same_wish, reply_to};
use super::notify::Notifier;
use super::verifying::Verifying;
use crate::exit;
use crate::model::id::SourceId;
use crate::model::order::OrderNumber;
use crate::model::plan::Verb;
use crate::model::report::{ActionRecord, Outcome, RunFacts, Trigger};
use crate::model::time::Millis;
use crate::reconcile::event::Watcher;
use crate::reconcile::{Finished, Order, Who, clear_up, put_off, quarantine_of};
use crate::source::ResolveSecret;
use crate::store::{Store, StoreError};
use crate::telemetry::log::LogWatcher;
use crate::telemetry::metrics::Metrics;

/// So many people to look at are quicker read whole.
const BURST: usize = 200;
/// People of one such run: they are read one after the other, and the first must not wait for the last.
const LOOK_PEOPLE: usize = 25;
/// Runs of people whom the watch heard of, at a time and sync.
const LOOK_RUNS: usize = 8;
/// A full run that events ask for waits this long for further ones.
const DEBOUNCE_MILLIS: i64 = 5_000;
/// How soon people are looked at again whom the source could not tell of.
const LOOK_AGAIN_MILLIS: i64 = 30_000;

/// What the loop knows of one sync.
pub(super) struct Turn {
    pub agenda: Agenda,
    pub verifying: Verifying,
    /// The full run or verification under way.
    full: Option<u64>,
    queue: VecDeque<Queued>,
    /// Whom runs of the watch are about right now.
    looking: HashSet<SourceId>,
    look_runs: usize,
    /// When to look again at whom the watch heard of.
    look_at: Option<Millis>,
    /// People without a link whom the last full run told of: waiting or held back.
    bystanders: HashSet<SourceId>,
    /// When the last good full run began: whoever it still showed had access until then at least.
    last_well: Option<Millis>,
    /// It waits for the end of a quarantine, and no run is on its way.
    quarantined: bool,
    /// Somebody did something about the quarantine.
    cleared: bool,
}

struct Queued {
    order: Order,
    watchers: Vec<Arc<dyn Watcher>>,
    replies: Vec<oneshot::Sender<Done>>,
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
}

/// Starts runs and takes in their ends.
pub(super) struct Dispatcher {
    pub store: Arc<Store>,
    pub loaded: watch::Sender<Arc<Loaded>>,
    pub events: mpsc::UnboundedSender<Event>,
    pub(super) interrupted: watch::Receiver<bool>,
    pub notifier: Notifier,
    pub metrics: Metrics,
    secrets: ResolveSecret,
    pub turns: BTreeMap<String, Turn>,
    running: BTreeMap<u64, Running>,
    next_id: u64,
    /// One sentence about the last run, for `systemctl status`.
    pub(super) last: String,
}

impl Turn {
    pub(super) fn new(agenda: Agenda, last_well: Option<Millis>) -> Turn {
        Turn {
            agenda,
            verifying: Verifying::default(),
            full: None,
            queue: VecDeque::new(),
            looking: HashSet::new(),
            look_runs: 0,
            // What was heard before a restart has not been looked at.
            look_at: Some(Millis(0)),
            bystanders: HashSet::new(),
            last_well,
            quarantined: false,
            cleared: false,
        }
    }

    /// The same turn with a new agenda: runs under way and what is known go on.
    pub(super) fn reloaded(&mut self, agenda: Agenda) {
        self.agenda = agenda;
    }

    /// Somebody started or reloaded the daemon, and so looked after it: a sync in quarantine is tried at once.
    pub(super) fn try_at_once(&mut self, now: Millis) {
        self.cleared = true;
        self.agenda.soon(now);
    }
}

impl Dispatcher {
    pub(super) fn new(parts: Parts) -> Dispatcher {
        let Parts { store, loaded, events, interrupted, notifier, metrics, secrets } = parts;
        Dispatcher {
            store,
            loaded,
            events,
            interrupted,
            notifier,
            metrics,
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
        let due = |turn: &Turn| {
            let verification = turn.verifying.agenda.as_ref().and_then(Agenda::next_at);
            [turn.agenda.next_at(), turn.look_at, verification]
        };
        turns.flat_map(due).flatten().min()
    }

    /// Starts what is due.
    pub(super) async fn tick(&mut self, now: Millis) -> Result<(), StoreError> {
        let names: Vec<String> = self.turns.keys().cloned().collect();
        for sync in names {
            // A changed secret ends a quarantine, and need not wait for the next firing.
            let waits = self.turns.get(&sync).is_some_and(|turn| turn.quarantined);
            let waits_no_more = waits && self.put_off(&sync, now).await?.is_none();
            let Some(turn) = self.turns.get_mut(&sync) else { continue };
            turn.agenda.look_at_the_clock(now);
            if waits_no_more {
                turn.agenda.soon(now);
            }
            let (due, look) = (turn.agenda.is_due(now), turn.look_at.is_some_and(|at| at <= now));
            let verify = turn.verifying.agenda.as_mut().is_some_and(|agenda| {
                agenda.look_at_the_clock(now);
                agenda.is_due(now)
            });
            if look {
                self.look(&sync, now).await?;
            }
            if due {
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
        turn.agenda.dealt_with(now);
        if let Some(until) = put_off {
            turn.agenda.soon(until);
            return Ok(());
        }
        turn.quarantined = false;
        let order =
            Order { who: Who::Everybody, trigger: Trigger::Schedule, unattended: true, by: None, only: None };
        self.enqueue(sync, Queued { order, watchers: Vec::new(), replies: Vec::new() });
        Ok(())
    }

    /// Until when a sync in quarantine waits; a changed secret, a reload or something decided by hand ends that.
    async fn put_off(&self, sync: &str, now: Millis) -> Result<Option<Millis>, StoreError> {
        let loaded = self.loaded.borrow().clone();
        let Some(sides) = loaded.sides.get(sync) else { return Ok(None) };
        let quarantine = put_off(self.store.snapshot(), &sides.config, &self.secrets, now).await?;
        let cleared = self.turns.get(sync).is_some_and(|turn| turn.cleared);
        Ok(quarantine.filter(|_| !cleared).map(|quarantine| quarantine.until))
    }

    /// Somebody wants a run.
    pub(super) fn asked(&mut self, wish: Wish) {
        let Wish { sync, order, watcher, reply } = wish;
        if !self.turns.contains_key(&sync) {
            return;
        }
        let queued = Queued { order, watchers: vec![watcher], replies: vec![reply] };
        if queued.order.who == Who::Everybody {
            self.enqueue(&sync, queued);
        } else {
            self.start(&sync, queued);
        }
    }

    /// A full run is wanted soon.
    pub(super) fn soon(&mut self, sync: &str, reason: &str, now: Millis) {
        tracing::info!(sync, reason, "a full run comes soon");
        if let Some(turn) = self.turns.get_mut(sync) {
            turn.agenda.soon(Millis(now.0 + DEBOUNCE_MILLIS));
        }
    }

    /// Somebody decided something: a quarantine may end by it.
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
        let is_whole = |queued: &Queued| queued.order.only.is_none();
        let fulfilled = turn.queue.iter().any(is_whole);
        match turn.queue.iter_mut().find(|other| is_same_wish(&other.order, &queued.order)) {
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

    fn start(&mut self, sync: &str, queued: Queued) -> Option<u64> {
        let loaded = self.loaded.borrow().clone();
        let sides = loaded.sides.get(sync)?.clone();
        let Queued { order, watchers, replies } = queued;
        let id = self.new_id(Running { replies });
        let mut all: Vec<Arc<dyn Watcher>> =
            vec![Arc::new(LogWatcher::new(sync)), Arc::new(self.metrics.watcher(sync))];
        all.extend(watchers);
        let (store, events, interrupted) =
            (self.store.clone(), self.events.clone(), self.interrupted.clone());
        let sync = sync.to_owned();
        tokio::spawn(async move {
            let (began_at, began) = (Millis::now(), OrderNumber::next());
            let watchers = All(all);
            let run = sides.reconcile(&order, &store, &watchers, interrupted);
            let finished = AssertUnwindSafe(run).catch_unwind().await.ok();
            let _ = events.send(Event::Ended(Box::new(Ended { id, sync, order, began_at, began, finished })));
        });
        Some(id)
    }

    /// Looks at whom the watch heard of, and tries removals again that are due.
    pub(super) async fn look(&mut self, sync: &str, now: Millis) -> Result<(), StoreError> {
        let looks = self.store.snapshot().owed_looks(sync).await?;
        let mut due = self.store.snapshot().due_removals(sync, now).await?;
        due.extend(self.store.snapshot().due_overtaken(sync, now).await?);
        let next_removal = self.store.snapshot().next_removal_try(sync).await?.filter(|at| *at > now);
        let Some(turn) = self.turns.get_mut(sync) else { return Ok(()) };
        let later = looks.iter().map(|look| look.due_at).filter(|at| *at > now).min();
        turn.look_at = [later, next_removal].into_iter().flatten().min();
        let (mut people, mut strangers) = (Vec::new(), Vec::new());
        for look in looks.into_iter().filter(|look| look.due_at <= now) {
            let id = look.named.source_id;
            if !(look.known || look.named.membership || turn.bystanders.contains(&id)) {
                strangers.push(id);
            } else if !turn.looking.contains(&id) {
                people.push(id);
            }
        }
        for id in due {
            if !turn.looking.contains(&id) && !people.contains(&id) {
                people.push(id);
            }
        }
        let put_off = if people.is_empty() { None } else { self.put_off(sync, now).await? };
        let Some(turn) = self.turns.get_mut(sync) else { return Ok(()) };
        if let Some(until) = put_off {
            // Whoever refuses our credentials is not asked again and again.
            turn.look_at = Some(until);
        } else if people.len() > BURST {
            self.soon(sync, "events named very many people", now);
        } else if !*self.interrupted.borrow() {
            let free = LOOK_RUNS.saturating_sub(turn.look_runs);
            let batches: Vec<Vec<SourceId>> =
                people.chunks(LOOK_PEOPLE).take(free).map(<[SourceId]>::to_vec).collect();
            for batch in batches {
                self.look_at(sync, batch);
            }
        }
        if !strangers.is_empty() {
            let tenure = self.store.tenure(sync).await?;
            self.store.end_looks(&tenure, Some(strangers), OrderNumber::next()).await?;
        }
        Ok(())
    }

    fn look_at(&mut self, sync: &str, people: Vec<SourceId>) {
        if let Some(turn) = self.turns.get_mut(sync) {
            turn.look_runs += 1;
            turn.looking.extend(people.iter().cloned());
        }
        let order =
            Order { who: Who::Ids(people), trigger: Trigger::Watch, unattended: true, by: None, only: None };
        self.start(sync, Queued { order, watchers: Vec::new(), replies: Vec::new() });
    }

    /// Takes in the end of a run.
    pub(super) async fn ended(&mut self, ended: Ended, now: Millis) -> Result<(), StoreError> {
        let Ended { id, sync, order, began_at, began, finished } = ended;
        let replies = self.let_go(id, &sync);
        let looked = match (&order.who, order.trigger) {
            (Who::Ids(ids), Trigger::Watch) => Some(ids.clone()),
            (Who::Ids(_) | Who::Named(_) | Who::Everybody | Who::ReturnOf { .. }, _) => None,
        };
        if let Some(turn) = self.turns.get_mut(&sync) {
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
                self.take_note(&sync, &order, (began_at, began), looked.as_deref(), &mut finished, now)
                    .await?;
                reply_to(replies, finished);
            }
            None => {
                tracing::error!(
                    sync,
                    "a run broke off by a defect; what it left open is settled by the next one"
                );
                self.store.give_up_tenure(&sync).await;
                self.look_again(&sync, now);
            }
        }
        self.clear_up();
        self.start_next(&sync);
        if self.is_idle() {
            self.store.release_cache().await?;
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
        order: &Order,
        (began_at, began): (Millis, OrderNumber),
        looked: Option<&[SourceId]>,
        finished: &mut Finished,
        now: Millis,
    ) -> Result<(), StoreError> {
        let facts = finished.facts.clone();
        let well = facts.result.reached_both_sides();
        let full = order.who == Who::Everybody;
        // Who loses an account because a run is taken back has not left.
        if order.trigger != Trigger::Undo {
            let millis = self.tell_revocations(sync, looked.is_some(), finished, now).await?;
            if !millis.is_empty() {
                let tenure = self.store.tenure(sync).await?;
                self.store.note_revocations(&tenure, millis, now).await?;
            }
        }
        let loaded = self.loaded.borrow().clone();
        let quarantined = match loaded.sides.get(sync) {
            Some(sides) => quarantine_of(self.store.snapshot(), &sides.config).await?.is_some(),
            None => false,
        };
        self.end_looks(sync, order, began, looked, finished, now).await?;
        if let Some(turn) = self.turns.get_mut(sync) {
            turn.quarantined = quarantined;
            if well && full && order.only.is_none() {
                turn.last_well = Some(began_at);
                turn.bystanders = bystanders(finished);
            }
        }
        if looked.is_some() {
            // Whom the watch heard of meanwhile was left for now.
            if well { self.look_now(sync, now) } else { self.look_again(sync, now) }
        }
        self.metrics.run_ended(&facts);
        self.notifier.run_ended(&facts, exit::of_run(&facts, false), quarantined);
        self.last = sentence(&facts);
        Ok(())
    }

    /// A look ends when it came to something final: acknowledged, nothing wanted, held, decided. What failed or waits for
    /// another try stays owed, whatever the run's own result is.
    async fn end_looks(
        &mut self,
        sync: &str,
        order: &Order,
        began: OrderNumber,
        looked: Option<&[SourceId]>,
        finished: &mut Finished,
        now: Millis,
    ) -> Result<(), StoreError> {
        let whole = order.who == Who::Everybody && order.only.is_none();
        let well = finished.facts.result.reached_both_sides();
        if !whole && looked.is_none() {
            return Ok(());
        }
        let tenure = self.store.tenure(sync).await?;
        if whole {
            return if well { self.store.end_looks(&tenure, None, began).await } else { Ok(()) };
        }
        let open: HashSet<SourceId> = all_records(finished)
            .into_iter()
            .filter(|record| matches!(record.outcome, Outcome::Failed | Outcome::Deferred))
            .filter_map(|record| record.source_id)
            .collect();
        let people = looked.unwrap_or_default().to_vec();
        let (open, over): (Vec<SourceId>, Vec<SourceId>) =
            people.into_iter().partition(|id| !well || open.contains(id));
        self.store.end_looks(&tenure, Some(over), began).await?;
        self.store.put_off_looks(&tenure, open, Millis(now.0 + LOOK_AGAIN_MILLIS)).await
    }

    /// How long leavers had access after they had left: from the event, else from the last full read that still
    /// showed them.
    async fn tell_revocations(
        &mut self,
        sync: &str,
        by_watch: bool,
        finished: &mut Finished,
        now: Millis,
    ) -> Result<Vec<i64>, StoreError> {
        let summary = finished.facts.summary;
        if summary.deactivate + summary.delete == 0 {
            return Ok(Vec::new());
        }
        let looks = self.store.snapshot().owed_looks(sync).await?;
        let last_well = self.turns.get(sync).and_then(|turn| turn.last_well);
        let mut all = Vec::new();
        for record in records(finished) {
            let removed = matches!(record.action, Verb::Deactivate | Verb::Delete);
            let Some(id) = record.source_id.filter(|_| removed && record.outcome == Outcome::Applied) else {
                continue;
            };
            let event = looks.iter().find(|look| look.named.source_id == id).map(|look| look.named.event_at);
            if let Some(since) = event.or(last_well) {
                let millis = now.since(since).max(0);
                let seconds = millis as f64 / 1000.0;
                all.push(millis);
                self.metrics.revoked(sync, seconds);
                tracing::info!(sync, by_watch, seconds, "access ended");
            }
        }
        Ok(all)
    }

    fn look_now(&mut self, sync: &str, now: Millis) {
        if let Some(turn) = self.turns.get_mut(sync) {
            turn.look_at = Some(now);
        }
    }

    fn look_again(&mut self, sync: &str, now: Millis) {
        if let Some(turn) = self.turns.get_mut(sync) {
            turn.look_at = Some(Millis(now.0 + LOOK_AGAIN_MILLIS));
        }
    }

    /// One line for `systemctl status`.
    pub(super) async fn status_line(&self, now: Millis) -> String {
        let next = self.turns.values().filter_map(|turn| turn.agenda.next_at()).min();
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

pub(super) fn sentence(facts: &RunFacts) -> String {
    let run = facts.run.map(|run| format!("run {run} of ")).unwrap_or_default();
    format!("{run}{}: {}", facts.sync, facts.result.as_str())
}

fn all_records(finished: &mut Finished) -> Vec<ActionRecord> {
    match finished.records.iter() {
        Ok(records) => records.flatten().collect(),
        Err(_) => Vec::new(),
    }
}

fn records(finished: &mut Finished) -> Vec<ActionRecord> {
    match finished.records.iter() {
        Ok(records) => records.flatten().filter(|record| record.action.is_removal()).collect(),
        Err(_) => Vec::new(),
    }
}

/// People without an account whom a full run told of: their lifecycle and profile events count.
fn bystanders(finished: &mut Finished) -> HashSet<SourceId> {
    let told = match finished.records.iter() {
        Ok(told) => told,
        Err(_) => return HashSet::new(),
    };
    told.flatten()
        .filter(|record| matches!(record.action, Verb::Skip | Verb::HoldBack) && record.target_id.is_none())
        .filter_map(|record| record.source_id)
        .collect()
}

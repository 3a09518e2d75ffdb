//! Looking at people one by one: whom the watch heard of, and whose removal or unsettled write is due.
//!
//! What lives here: who is looked at and when, and whether a look came to something final. What must not: how a look goes
//! (`engine`), and what an event means (`source`).
//!
//! *Invariant*: a look ends, person by person, when it came to something final: acknowledged, nothing wanted, held or
//! decided. That a run ended well ends none.

use std::collections::{HashMap, HashSet};

use crate::daemon::dispatch::{Dispatcher, Queued};
use crate::engine::run::FinishedRun;
use crate::engine::selection::Selection;
use crate::model::id::SourceId;
use crate::model::link::LinkState;
use crate::model::order::OrderNumber;
use crate::model::owed::{EventMeaning, WaitMeaning};
use crate::model::plan::{Situation, Verb};
use crate::model::report::{ActionRecord, Outcome, Trigger};
use crate::model::time::Millis;
use crate::operations::run_task::RunSpec;
use crate::store::{LookAgain, OwedLook, StoreError};

/// So many people to look at are quicker read whole.
const BURST: usize = 200;
/// People of one such run: they are read one after the other, and the first must not wait for the last.
const LOOK_PEOPLE: usize = 25;
/// Runs of people whom the watch heard of, at a time and sync.
const LOOK_RUNS: usize = 8;
/// How soon something is tried again that came to nothing, try by try; then as often as the last.
const AGAIN_MILLIS: [i64; 5] = [30_000, 60_000, 120_000, 300_000, 600_000];
/// How soon a look is repeated that found the contrary of what the event says: logs run ahead of reads.
const CONTRADICTED_MILLIS: [i64; 2] = [10_000, 60_000];
/// Tries of a write that is no removal; from then on it is owed to the full runs alone.
const WRITE_TRIES: u32 = 5;

/// How long the next try waits after so many that came to nothing.
pub(crate) fn pause_after(tries: u32) -> i64 {
    let place = usize::try_from(tries).unwrap_or(usize::MAX).min(AGAIN_MILLIS.len() - 1);
    AGAIN_MILLIS[place]
}

/// The longest of these pauses: no try that was put off is further away, whatever the clock did.
const LONGEST_PAUSE_MILLIS: i64 = AGAIN_MILLIS[AGAIN_MILLIS.len() - 1];

/// When to look again, where several looks in a row came to nothing for everybody.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    failures: u32,
    until: Option<Millis>,
}

impl Rest {
    fn until(&self, now: Millis) -> Option<Millis> {
        self.until.filter(|until| *until > now && until.since(now) <= LONGEST_PAUSE_MILLIS)
    }

    pub(crate) fn failed(&mut self, now: Millis) {
        // Runs that were under way together failed together.
        if self.until(now).is_none() {
            self.until = Some(Millis(now.0.saturating_add(pause_after(self.failures))));
            self.failures = self.failures.saturating_add(1);
        }
    }

    pub(crate) fn ended(&mut self) {
        *self = Rest::default();
    }
}

/// What a look came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LookEnd {
    /// Acknowledged, nothing wanted, held, or decided.
    Final,
    /// Nobody could tell, or what was wanted is not done.
    Open,
    /// The contrary of what the event says.
    Contrary,
}

/// What a look came to. `record`: the person's line, where there is one; `active`: the person has a link whose account is
/// active, and no line means that it is as it should be.
fn end_of_look(look: &OwedLook, record: Option<&ActionRecord>, active: bool) -> LookEnd {
    if let Some(record) = record
        && is_open(record)
    {
        let handed_over = record.outcome == Outcome::Failed
            && !record.action.is_removal()
            && look.attempts.saturating_add(1) >= WRITE_TRIES;
        return if handed_over { LookEnd::Final } else { LookEnd::Open };
    }
    let repeats = look.contradicted < CONTRADICTED_MILLIS.len() as u32;
    let stands = record.map_or(active, |record| is_assigned_and_active(record.situation));
    let contrary = match look.named.meaning {
        EventMeaning::Leaves => stands,
        EventMeaning::Joins => !stands,
        EventMeaning::Other => false,
    };
    if contrary && repeats { LookEnd::Contrary } else { LookEnd::Final }
}

fn is_open(record: &ActionRecord) -> bool {
    match record.waits_for {
        Some(waits_for) => waits_for.meaning() == WaitMeaning::Undone,
        None => matches!(record.outcome, Outcome::Failed | Outcome::Deferred),
    }
}

/// Whether the source showed somebody assigned and active. Who could not be mapped was.
fn is_assigned_and_active(situation: Situation) -> bool {
    match situation {
        Situation::Confirmed
        | Situation::Returning
        | Situation::Found
        | Situation::Absent
        | Situation::Missing
        | Situation::Relink
        | Situation::Ambiguous
        | Situation::TakenElsewhere
        | Situation::Successor
        | Situation::OutOfScope
        | Situation::Blocked => true,
        Situation::Waiting | Situation::Suspended | Situation::Leaver | Situation::Gone => false,
    }
}

impl Dispatcher {
    /// Looks at whom the watch heard of, and tries again what is due about single people.
    pub(crate) async fn look(&mut self, sync: &str, now: Millis) -> Result<(), StoreError> {
        let snapshot = self.store.snapshot();
        let looks = snapshot.owed_looks(sync).await?;
        let mut due = snapshot.due_removals(sync, now).await?;
        due.extend(snapshot.due_in_flight(sync, now).await?);
        let tries = [snapshot.next_removal_try(sync).await?, snapshot.next_in_flight_try(sync).await?];
        let Some(turn) = self.turns.get_mut(sync) else { return Ok(()) };
        let is_due = |at: Millis| at <= now || at.since(now) > LONGEST_PAUSE_MILLIS;
        let later = looks.iter().map(|look| look.due_at).filter(|at| !is_due(*at)).min();
        turn.look_at = tries.into_iter().flatten().filter(|at| *at > now).chain(later).min();
        let (mut people, mut strangers) = (Vec::new(), Vec::new());
        for look in looks.into_iter().filter(|look| is_due(look.due_at)) {
            let id = look.named.source_id;
            if !(look.known || look.named.membership || turn.unlinked_people.contains(&id)) {
                strangers.push(id);
            } else if !turn.looking.contains(&id) {
                people.push(id);
            }
        }
        let mut listed: HashSet<SourceId> = people.iter().cloned().collect();
        for id in due {
            if !turn.looking.contains(&id) && listed.insert(id.clone()) {
                people.push(id);
            }
        }
        self.look_at_all(sync, people, now).await?;
        if !strangers.is_empty() {
            let tenure = self.store.tenure(sync).await?;
            self.store.end_looks(&tenure, Some(strangers), OrderNumber::next()).await?;
        }
        Ok(())
    }

    async fn look_at_all(
        &mut self,
        sync: &str,
        people: Vec<SourceId>,
        now: Millis,
    ) -> Result<(), StoreError> {
        if people.is_empty() || *self.interrupted.borrow() {
            return Ok(());
        }
        // Whoever refuses our credentials, or does not answer, is not asked again and again.
        let refused = self.put_off(sync, now).await?;
        let Some(turn) = self.turns.get_mut(sync) else { return Ok(()) };
        if let Some(until) = refused.max(turn.look_rest.until(now)) {
            turn.look_at = Some(until);
            return Ok(());
        }
        if people.len() > BURST {
            return self.ask_for_full_run(sync, "events named very many people", now).await;
        }
        let free = LOOK_RUNS.saturating_sub(turn.look_runs);
        let batches: Vec<Vec<SourceId>> =
            people.chunks(LOOK_PEOPLE).take(free).map(<[SourceId]>::to_vec).collect();
        for batch in batches {
            self.look_at(sync, batch);
        }
        Ok(())
    }

    fn look_at(&mut self, sync: &str, people: Vec<SourceId>) {
        if let Some(turn) = self.turns.get_mut(sync) {
            turn.look_runs += 1;
            turn.looking.extend(people.iter().cloned());
        }
        let spec = RunSpec {
            task: Selection::Ids(people).into(),
            trigger: Trigger::Watch,
            unattended: true,
            actor: None,
            saved_plan: None,
        };
        self.start(sync, Queued { spec, watchers: Vec::new(), replies: Vec::new() });
    }

    /// Ends the looks that came to something final, and puts the others off. `looked`: the people of a run of the watch;
    /// `None` = everybody.
    pub(crate) async fn end_looks(
        &mut self,
        sync: &str,
        began: OrderNumber,
        looked: Option<&[SourceId]>,
        finished: &mut FinishedRun,
        now: Millis,
    ) -> Result<(), StoreError> {
        let mut looks = self.store.snapshot().owed_looks(sync).await?;
        if let Some(looked) = looked {
            let looked: HashSet<&SourceId> = looked.iter().collect();
            looks.retain(|look| looked.contains(&look.named.source_id));
        }
        if looks.is_empty() {
            return Ok(());
        }
        let well = finished.facts.result.reached_both_sides();
        let records = records_of(finished, &looks);
        let (mut over, mut again) = (Vec::new(), Vec::new());
        for look in looks {
            let id = look.named.source_id.clone();
            let end = match records.get(&id) {
                // A run that failed as a whole has looked at nobody; what it did before that is done.
                None if !well => LookEnd::Open,
                record => {
                    let link = self.store.snapshot().link(sync, &id).await?;
                    let active = link.is_some_and(|link| link.state == LinkState::Active);
                    end_of_look(&look, record, active)
                }
            };
            let pause = match end {
                LookEnd::Final => {
                    over.push(id);
                    continue;
                }
                LookEnd::Open => pause_after(look.attempts),
                LookEnd::Contrary => {
                    CONTRADICTED_MILLIS.get(look.contradicted as usize).copied().unwrap_or_default()
                }
            };
            let due_at = Millis(now.0.saturating_add(pause));
            again.push(LookAgain { source_id: id, due_at, contradicted: end == LookEnd::Contrary });
        }
        let tenure = self.store.tenure(sync).await?;
        self.store.put_off_looks(&tenure, again, began).await?;
        self.store.end_looks(&tenure, Some(over), began).await
    }

    /// How long leavers had access after they had left: from the event, else from the last full read that still
    /// showed them.
    pub(crate) async fn tell_revocations(
        &mut self,
        sync: &str,
        by_watch: bool,
        finished: &mut FinishedRun,
        now: Millis,
    ) -> Result<Vec<i64>, StoreError> {
        let summary = finished.facts.summary;
        if summary.deactivate + summary.delete == 0 {
            return Ok(Vec::new());
        }
        let looks = self.store.snapshot().owed_looks(sync).await?;
        let last_well = self.turns.get(sync).and_then(|turn| turn.last_well);
        let mut all = Vec::new();
        for record in removals(finished) {
            let removed = matches!(record.action, Verb::Deactivate | Verb::Delete);
            let Some(id) = record.source_id.filter(|_| removed && record.outcome == Outcome::Applied) else {
                continue;
            };
            let event = looks.iter().find(|look| look.named.source_id == id).map(|look| look.named.event_at);
            if let Some(since) = event.or(last_well) {
                let millis = now.since(since).max(0);
                let seconds = millis as f64 / 1000.0;
                all.push(millis);
                tracing::info!(sync, by_watch, seconds, "access ended");
            }
        }
        Ok(all)
    }
}

/// The lines of those at whom a look is owed.
fn records_of(finished: &mut FinishedRun, looks: &[OwedLook]) -> HashMap<SourceId, ActionRecord> {
    let people: HashSet<&SourceId> = looks.iter().map(|look| &look.named.source_id).collect();
    let Ok(records) = finished.records.iter() else { return HashMap::new() };
    let theirs = records.flatten().filter_map(|record| {
        let id = record.source_id.clone().filter(|id| people.contains(id))?;
        Some((id, record))
    });
    theirs.collect()
}

fn removals(finished: &mut FinishedRun) -> Vec<ActionRecord> {
    match finished.records.iter() {
        Ok(records) => records.flatten().filter(|record| record.action.is_removal()).collect(),
        Err(_) => Vec::new(),
    }
}

/// People without an account whom a full run told of: their lifecycle and profile events count.
pub(crate) fn unlinked_people(finished: &mut FinishedRun) -> HashSet<SourceId> {
    let told = match finished.records.iter() {
        Ok(told) => told,
        Err(_) => return HashSet::new(),
    };
    told.flatten()
        .filter(|record| matches!(record.action, Verb::Skip | Verb::Block) && record.target_id.is_none())
        .filter_map(|record| record.source_id)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::owed::WaitsFor;
    use crate::store::NamedPerson;

    fn look(meaning: EventMeaning) -> OwedLook {
        let named = NamedPerson {
            source_id: SourceId::new("00uAnn"),
            event_at: Millis(0),
            membership: true,
            meaning,
        };
        OwedLook { named, known: true, due_at: Millis(0), attempts: 0, contradicted: 0 }
    }

    fn line(
        action: Verb,
        situation: Situation,
        outcome: Outcome,
        waits_for: Option<WaitsFor>,
    ) -> ActionRecord {
        ActionRecord {
            action,
            user: "ann@acme.example".to_owned(),
            source_id: Some(SourceId::new("00uAnn")),
            target_id: None,
            situation,
            reason: String::new(),
            changes: Vec::new(),
            outcome,
            status: None,
            detail: None,
            attempts: 0,
            cause: None,
            waits_for,
            owed_since: None,
        }
    }

    #[test]
    fn what_failed_or_waits_for_nobody_is_looked_at_again_and_what_a_person_decides_is_final() {
        let removal = |outcome, waits_for| {
            let record = line(Verb::Deactivate, Situation::Leaver, outcome, waits_for);
            end_of_look(&look(EventMeaning::Leaves), Some(&record), true)
        };
        assert_eq!(removal(Outcome::Applied, None), LookEnd::Final);
        for waits_for in WaitsFor::ALL {
            let expected =
                if waits_for.meaning() == WaitMeaning::Undone { LookEnd::Open } else { LookEnd::Final };
            assert_eq!(removal(Outcome::Deferred, Some(waits_for)), expected, "{waits_for:?}");
        }
        assert_eq!(removal(Outcome::Failed, None), LookEnd::Open);
    }

    #[test]
    fn a_write_that_is_no_removal_is_handed_over_to_the_full_runs_after_five_tries() {
        let refused = line(Verb::Update, Situation::Confirmed, Outcome::Failed, Some(WaitsFor::Retry));
        let after = |attempts| {
            let look = OwedLook { attempts, ..look(EventMeaning::Other) };
            end_of_look(&look, Some(&refused), true)
        };
        assert_eq!([after(0), after(3), after(4)], [LookEnd::Open, LookEnd::Open, LookEnd::Final]);
    }

    #[test]
    fn only_a_look_that_contradicts_its_event_is_repeated_and_only_twice() {
        use EventMeaning::{Joins, Leaves, Other};
        let gone = line(Verb::Skip, Situation::Gone, Outcome::Skipped, None);
        let here = line(Verb::Update, Situation::Confirmed, Outcome::Applied, None);
        let end = |meaning, record, active| end_of_look(&look(meaning), record, active);
        for (meaning, record, active, expected) in [
            (Leaves, None, true, LookEnd::Contrary),
            (Leaves, Some(&here), true, LookEnd::Contrary),
            (Leaves, Some(&gone), false, LookEnd::Final),
            (Leaves, None, false, LookEnd::Final),
            (Joins, None, false, LookEnd::Contrary),
            (Joins, Some(&gone), false, LookEnd::Contrary),
            (Joins, Some(&here), true, LookEnd::Final),
            (Joins, None, true, LookEnd::Final),
            (Other, None, true, LookEnd::Final),
            (Other, Some(&gone), false, LookEnd::Final),
        ] {
            assert_eq!(end(meaning, record, active), expected, "{meaning:?} {record:?} {active}");
        }
        let twice = OwedLook { contradicted: 2, ..look(Leaves) };
        assert_eq!(end_of_look(&twice, None, true), LookEnd::Final);
    }

    #[test]
    fn what_fails_for_everybody_rests_longer_each_time_and_never_longer_than_ten_minutes() {
        let mut rest = Rest::default();
        let mut now = Millis(0);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            rest.failed(now);
            rest.failed(now);
            let until = rest.until(now).unwrap();
            pauses.push(until.since(now) / 1000);
            now = until;
        }
        assert_eq!(pauses, [30, 60, 120, 300, 600, 600, 600]);
        rest.failed(Millis(now.0 + 30 * 24 * 3_600_000));
        assert_eq!(rest.until(now), None, "the clock was a month ahead");
    }
}

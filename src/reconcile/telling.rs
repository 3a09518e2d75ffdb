//! What a run tells of itself: its facts, its holds, its health, and who is to blame.

use std::time::Duration;

use super::planning::People;
use super::run::{Beginning, Request, Tally, Who, Written};
use super::{Context, RunError};
use crate::core::quarantine::quarantine;
use crate::model::plan::Verb;
use crate::model::report::{
    ActionRecord, HoldFact, Mode, RunFacts, RunResult, Seats, SourceFacts, TargetFacts,
};
use crate::model::time::Millis;
use crate::store::{HeldPair, Hold, Store, ToldOf, Verdict};
use crate::target::Observe;

/// Whose lines a pass gives.
pub(super) fn told_of(who: &Who, only: Option<&[ActionRecord]>, people: &People) -> ToldOf {
    match (who, only) {
        (_, Some(actions)) => {
            ToldOf::These(actions.iter().filter_map(|action| action.source_id.clone()).collect())
        }
        (Who::Everybody, None) => ToldOf::Everybody,
        (Who::Named(_) | Who::Ids(_), None) => ToldOf::These(people.named.clone()),
        (Who::ReturnOf { .. }, None) => ToldOf::AReturn,
    }
}

/// Keeps the lines of those for whom nothing was done; the journal has the others. A run that cannot is no worse a run.
pub(super) async fn keep_lines<P>(written: &Written<'_, P>, tally: &mut Tally, facts: &mut RunFacts) {
    let Some(told) = tally.told.take() else { return };
    let Written { writing, tenure, run, .. } = written;
    if let Err(error) = writing.store.note_told(tenure, *run, told, &mut tally.records).await {
        facts
            .notes
            .push(format!("what was told of people for whom nothing was done is not on record: {error}"));
    }
}

/// Entering and leaving quarantine is told once, in the run that does it.
pub(super) async fn quarantine_notes<O>(
    request: &Request<'_, O>,
    store: &Store,
    facts: &mut RunFacts,
    verdict: Verdict,
) {
    let full = request.who == Who::Everybody;
    let Some(end) = verdict.end_of(facts, full) else { return };
    let Ok(health) = store.snapshot().health(&request.config.name).await else { return };
    let was = quarantine(&health, Duration::ZERO).is_some();
    let is = quarantine(&health.after(&end), Duration::ZERO).is_some();
    if is && !was {
        let reason = end.reason.lines().next().unwrap_or_default();
        tracing::warn!(sync = request.config.name, "in quarantine from now on: {reason}");
        facts.notes.push(
            "this sync is in quarantine now: it is tried at each firing of its schedule and at least once an hour, until \
             one run succeeds"
                .to_owned(),
        );
    } else if was && !is {
        facts.notes.push("recovered: this sync is out of quarantine".to_owned());
    }
}

/// What a run would hold: the open holds where there are some, else what the next run would open.
pub(super) async fn holds_to_come<O: Observe>(
    context: &Context<'_, O>,
    held: &[HeldPair],
) -> Result<Vec<HoldFact>, RunError> {
    let open = context.snapshot.open_holds(Some(context.sync_name()), Millis::now()).await?;
    let mut facts: Vec<HoldFact> = open.iter().map(hold_fact).collect();
    for verb in Verb::ALL {
        let pairs: Vec<&HeldPair> = held.iter().filter(|pair| pair.class.verb == verb).collect();
        if let (Some(first), false) = (pairs.first(), facts.iter().any(|fact| fact.class == verb)) {
            facts.push(HoldFact {
                id: String::new(),
                revision: 0,
                class: verb,
                reason: first.reason.clone(),
                count: pairs.len() as u64,
                digest: String::new(),
                expires_at: String::new(),
                decided: None,
            });
        }
    }
    Ok(facts)
}

pub(super) fn hold_fact(hold: &Hold) -> HoldFact {
    HoldFact {
        id: hold.id(),
        revision: hold.revision,
        class: hold.verb,
        reason: hold.reason.clone(),
        count: hold.count,
        digest: hold.digest.clone(),
        expires_at: hold.expires_at.rfc3339(),
        decided: None,
    }
}

/// The log says what waits, for whoever reads it alone.
pub(super) fn tell_holds(holds: &[Hold]) {
    for hold in holds {
        tracing::warn!(
            sync = hold.sync,
            hold = hold.id(),
            action = hold.verb.as_str(),
            people = hold.count,
            expires_at = hold.expires_at.rfc3339(),
            "held: {}; `rosterd approve {}@{}` releases",
            hold.reason,
            hold.id(),
            hold.revision
        );
    }
}

/// Held removals are never silently forgotten.
pub(super) fn remind(holds: &[Hold], notes: &mut Vec<String>) {
    for hold in holds.iter().filter(|hold| hold.remind && hold.verb.is_removal()) {
        let text = format!(
            "{} removals wait since {} for `rosterd approve {}`",
            hold.count,
            hold.opened_at.rfc3339(),
            hold.id()
        );
        tracing::warn!(sync = hold.sync, hold = hold.id(), "{text}");
        notes.push(text);
    }
}

pub(super) fn blame(facts: &mut RunFacts, error: &RunError) {
    facts.result = error.result();
    match error {
        RunError::Source(error) => {
            facts.source.problem = Some(error.to_string());
            facts.source.complete = false;
        }
        RunError::Target(error) => facts.target.problem = Some(error.to_string()),
        RunError::Interrupted => facts.notes.push("interrupted: what was sent is recorded".to_owned()),
        RunError::Store(_)
        | RunError::Spool(_)
        | RunError::Binding(_)
        | RunError::NobodyNamed(_)
        | RunError::Clock(_)
        | RunError::StalePlan(_)
        | RunError::Defect(_) => {
            facts.notes.push(error.to_string());
        }
    }
}

pub(super) fn facts<O: Observe, P>(
    request: &Request<'_, O>,
    tally: &Tally,
    written: Option<&Written<'_, P>>,
    beginning: &Beginning,
) -> RunFacts {
    let Beginning { at, census, source: source_before, target: target_before } = beginning;
    let source = request.source.counters();
    let target = request.target.counters();
    let mut notes = tally.notes.clone();
    if tally.list_was_short > 0 {
        notes.push(format!(
            "the source's list was short: {} linked people were not on it and are assigned when asked for alone; \
             check that the credentials' admin role may see everybody",
            tally.list_was_short
        ));
    }
    if !request.snapshot.exists() {
        notes.push("there is no state yet: everybody is compared with the workspace as it is".to_owned());
    }
    RunFacts {
        sync: request.config.name.clone(),
        run: written.map(|written| written.run),
        mode: if written.is_some() { Mode::Apply } else { Mode::DryRun },
        trigger: request.trigger,
        result: result(tally),
        started_at: *at,
        finished_at: Millis::now(),
        passes: tally.passes,
        first_contact: census.links == 0,
        source: SourceFacts {
            kind: request.source.vendor().as_str().to_owned(),
            users: tally.users,
            pages: tally.pages,
            requests: source.requests - source_before.requests,
            complete: tally.complete,
            problem: None,
        },
        target: TargetFacts {
            dialect: request.config.target.dialect.as_str().to_owned(),
            requests: target.requests - target_before.requests,
            rate_limited: target.rate_limited - target_before.rate_limited,
            problem: None,
        },
        summary: tally.summary,
        seats: Seats {
            before: census.billable,
            after: census.billable.saturating_add_signed(tally.seats_delta),
            limit: request.config.guard.max_seats.map(u64::from),
        },
        guards: tally.judgement.facts().to_vec(),
        holds: tally.holds.clone(),
        notes,
    }
}

fn result(tally: &Tally) -> RunResult {
    if tally.summary.failed > 0 || tally.unsent_removals > 0 || tally.owed.undone > 0 {
        RunResult::Partial
    } else if tally.summary.held > 0 || tally.left_out > 0 || tally.owed.held > 0 {
        RunResult::Held
    } else {
        RunResult::Ok
    }
}

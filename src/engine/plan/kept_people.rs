//! People who are kept although they left: by a hold, a pin, a date, a switch, the configuration. They stay unlisted, and
//! why they are not listed may change; after this run's removals have gone they are asked about in turn.
//!
//! What lives here: who is kept, whose turn it is, whose cause has changed. What must not: planning it again.

use std::collections::{HashMap, HashSet};

use crate::core::eligibility::Eligibility;
use crate::engine::context::RunContext;
use crate::engine::error::RunError;
use crate::engine::gather::read_set::Candidate;
use crate::engine::gather::unlisted_people::cause_by_own_record;
use crate::engine::plan::Plan;
use crate::engine::plan::decisions::Decisions;
use crate::model::id::SourceId;
use crate::model::link::Link;
use crate::model::order::Observation;
use crate::model::plan::{Disposition, PlannedAction, RemovalCause, Situation};
use crate::scim::target::Observe;
use crate::spool::Spool;

/// Looks a run.
const LOOKS: usize = 200;

/// Takes the removals that will not be sent now out of a plan.
pub(crate) fn split_kept(
    plan: &mut Plan,
    quiet: &mut Spool<PlannedAction>,
    decisions: &Decisions,
) -> Result<Spool<PlannedAction>, RunError> {
    let mut kept = Spool::default();
    let _ = quiet;
    for stage in [&mut plan.removals, &mut plan.refused_removals] {
        let mut going = Spool::default();
        for action in stage.iter()? {
            let action: PlannedAction = action?;
            let waits = match &action.disposition {
                Disposition::Send => plan.guard_report.reason_to_hold(&action).is_some(),
                Disposition::Held(_)
                | Disposition::NoSeat(_)
                | Disposition::Deferred(_)
                | Disposition::Disabled(_)
                | Disposition::Failed(_)
                | Disposition::Paused(_)
                | Disposition::Dated(_)
                | Disposition::Nothing => true,
            };
            if waits && !decisions.is_approved(&action) {
                kept.push(&action)?
            } else {
                going.push(&action)?
            };
        }
        *stage = going;
    }
    Ok(kept)
}

/// What the looks at those who are kept showed.
#[derive(Debug, Default)]
pub(crate) struct KeptPeopleLooks {
    /// Whose cause has changed, with what the look showed.
    pub changed: Vec<(Candidate, Link)>,
    /// Who was looked at, and when.
    pub looks: Vec<(SourceId, Observation)>,
}

/// Asks about those who are kept, the longest not asked first; takes whose cause has changed out of the spools, and gives
/// them with what the look showed.
pub(crate) async fn causes_that_changed<O: Observe>(
    context: &RunContext<'_, O>,
    kept: &mut Spool<PlannedAction>,
    quiet: &mut Spool<PlannedAction>,
) -> Result<KeptPeopleLooks, RunError> {
    let mut people: Vec<(SourceId, Option<RemovalCause>)> = Vec::new();
    for spool in [&mut *kept, &mut *quiet] {
        for action in spool.iter()? {
            let action: PlannedAction = action?;
            // Who is out of scope is listed and was read by this very run; the own record alone knows no scope.
            let is_kept = matches!(action.situation, Situation::Leaver | Situation::Suspended);
            if is_kept {
                people.push((action.source_id, action.cause));
            }
        }
    }
    if people.is_empty() {
        return Ok(KeptPeopleLooks::default());
    }
    let looks: HashMap<SourceId, Observation> = context.snapshot.looks(context.sync_name()).await?;
    people.sort_by_key(|(id, _)| looks.get(id).map(|look| look.number));
    let (mut changed, mut seen) = (Vec::new(), Vec::new());
    for (id, judged) in people.into_iter().take(LOOKS) {
        let Some(link) = context.link(&id).await?.filter(|link| link.state.may_give_access()) else {
            continue;
        };
        // Whom this run has asked about already was judged by that.
        if link.cause.is_none() {
            continue;
        }
        let Ok(Some((cause, observation))) = cause_by_own_record(context, &id).await else { continue };
        seen.push((id.clone(), observation));
        if judged.or(link.cause) != Some(cause) {
            let candidate = Candidate {
                user: link.user_name.clone(),
                eligibility: Eligibility::Leaver(cause),
                linked: true,
                observation,
                assigned_at: None,
                lacks: Vec::new(),
                id,
            };
            changed.push((candidate, link));
        }
    }
    let ids: HashSet<&SourceId> = changed.iter().map(|(candidate, _)| &candidate.id).collect();
    for spool in [kept, quiet] {
        let mut rest = Spool::default();
        for action in spool.iter()? {
            let action: PlannedAction = action?;
            if !ids.contains(&action.source_id) {
                rest.push(&action)?;
            }
        }
        *spool = rest;
    }
    Ok(KeptPeopleLooks { changed, looks: seen })
}

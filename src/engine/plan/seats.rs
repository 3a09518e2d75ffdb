//! Seats: creations that would pass `guard.max_seats` wait, the oldest assignment goes first.

use std::collections::HashSet;
use std::io;

use crate::core::mapping::Mapping;
use crate::model::attributes::Scalar;
use crate::model::plan::{Change, Disposition, PlannedAction, Verb};
use crate::model::report::{ActionRecord, Outcome};
use crate::model::time::Millis;
use crate::spool::{Spool, SpoolOffset};

/// How many seats more (or fewer) an account takes once its type has changed; most changes are about something else.
pub fn seats_of_a_change(mapping: &Mapping, changes: &[Change]) -> i64 {
    let is_type = |change: &&Change| mapping.user_type_path() == Some(&change.path);
    let Some(change) = changes.iter().find(is_type) else { return 0 };
    let billable = |value: &Option<Scalar>| {
        i64::from(mapping.is_billable(value.as_ref().map(|value| value.as_text()).as_deref()))
    };
    billable(&change.to) - billable(&change.from)
}

/// Seats that changes of type will take, all in all.
pub fn seats_of_changes(mapping: &Mapping, updates: &mut Spool<PlannedAction>) -> io::Result<i64> {
    let mut seats = 0;
    for action in updates.iter()? {
        let action = action?;
        if action.disposition == Disposition::Send {
            seats += seats_of_a_change(mapping, &action.changes);
        }
    }
    Ok(seats)
}

/// Marks the creations for which there is no seat. `taken` are the billable accounts that there will be without
/// them. Gives how many were marked.
pub fn hold_for_seats(creations: &mut Spool<PlannedAction>, taken: u64, limit: u32) -> io::Result<u64> {
    let mut waiting: Vec<(Millis, u64)> = Vec::new();
    for (index, action) in creations.iter()?.enumerate() {
        let action = action?;
        if action.billable && action.disposition == Disposition::Send {
            // Without a known date somebody goes last, in the order of the list.
            waiting.push((action.assigned_at.unwrap_or(Millis(i64::MAX)), index as u64));
        }
    }
    let room = u64::from(limit).saturating_sub(taken);
    if waiting.len() as u64 <= room {
        return Ok(0);
    }
    waiting.sort_unstable();
    let left_out: HashSet<u64> = waiting.iter().skip(room as usize).map(|(_, index)| *index).collect();
    let mut marked = Spool::default();
    for (index, action) in creations.iter()?.enumerate() {
        let mut action = action?;
        if left_out.contains(&(index as u64)) {
            action.disposition = Disposition::NoSeat(format!(
                "no seat: guard.max_seats = {limit} and {taken} are taken (a deactivated account keeps its seat); \
                 seats go to the oldest assignments first"
            ));
        }
        let _: SpoolOffset = marked.push(&action)?;
    }
    *creations = marked;
    Ok(left_out.len() as u64)
}

/// Seats that the end of one action takes or gives back; `billable` is the account's kind.
pub fn seats_delta(mapping: &Mapping, record: &ActionRecord, billable: bool) -> i64 {
    if !matches!(record.outcome, Outcome::Applied | Outcome::Planned) {
        return 0;
    }
    match record.action {
        Verb::Create | Verb::Adopt => i64::from(billable),
        Verb::Delete => -i64::from(billable),
        Verb::Update | Verb::Reactivate | Verb::Deactivate => seats_of_a_change(mapping, &record.changes),
        Verb::Block | Verb::Skip => 0,
    }
}

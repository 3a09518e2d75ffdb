//! The content of an action: exactly what an approval is for.
//!
//! What lives here: one digest. What must not: who approves, and where it is stored.

use crate::model::digest::{Digest, DigestKey};
use crate::model::plan::{Change, PlannedAction, Verb};

/// The digest of person, account, verb, changed paths with their new values, and whom a successor succeeds. The cause of a
/// removal is not in it: an approval to deactivate somebody covers every cause that the proof shows for that person.
pub fn content_digest(key: &DigestKey, action: &PlannedAction) -> Digest {
    digest(key, action, action.verb, &action.changes)
}

/// The same of a part of an action: an adoption whose update waits.
pub fn part_digest(key: &DigestKey, action: &PlannedAction, verb: Verb, changes: &[Change]) -> Digest {
    digest(key, action, verb, changes)
}

fn digest(key: &DigestKey, action: &PlannedAction, verb: Verb, changes: &[Change]) -> Digest {
    let mut values: Vec<[String; 2]> = changes
        .iter()
        .map(|change| {
            let to = change.to.as_ref().map(|to| format!("={}", to.as_text()));
            [change.path.to_string(), to.unwrap_or_default()]
        })
        .collect();
    values.sort();
    let account = action.target_id.as_ref().map(|id| format!("={id}")).unwrap_or_default();
    let start = [action.source_id.as_str(), account.as_str(), verb.as_str()];
    // A part of an adoption is about the account that has been handed over by then.
    let predecessor =
        action.predecessor.as_ref().filter(|_| verb == Verb::Adopt).map(|id| format!("after {id}"));
    let parts =
        start.into_iter().chain(values.iter().flatten().map(String::as_str)).chain(predecessor.as_deref());
    key.digest(parts.map(str::as_bytes))
}

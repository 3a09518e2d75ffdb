//! The content of an action: exactly what an approval is for.
//!
//! What lives here: one digest. What must not: who approves, and where it is stored.

use crate::model::digest::{Digest, DigestKey};
use crate::model::id::{SourceId, TargetId};
use crate::model::plan::{Change, PlannedAction, Verb};

/// The digest of person, account, verb and changed paths with their new values. The cause of a removal is not in it: an
/// approval to deactivate somebody covers every cause that the proof shows for that person.
pub fn content_digest(key: &DigestKey, action: &PlannedAction) -> Digest {
    digest(key, &action.source_id, action.target_id.as_ref(), action.verb, &action.changes)
}

/// The same of a part of an action: an adoption whose update waits.
pub fn part_digest(key: &DigestKey, action: &PlannedAction, verb: Verb, changes: &[Change]) -> Digest {
    digest(key, &action.source_id, action.target_id.as_ref(), verb, changes)
}

fn digest(
    key: &DigestKey,
    person: &SourceId,
    account: Option<&TargetId>,
    verb: Verb,
    changes: &[Change],
) -> Digest {
    let mut values: Vec<[String; 2]> = changes
        .iter()
        .map(|change| {
            let to = change.to.as_ref().map(|to| format!("={}", to.as_text()));
            [change.path.to_string(), to.unwrap_or_default()]
        })
        .collect();
    values.sort();
    let account = account.map(|id| format!("={id}")).unwrap_or_default();
    let start = [person.as_str(), account.as_str(), verb.as_str()];
    let parts = start.into_iter().chain(values.iter().flatten().map(String::as_str));
    key.digest(parts.map(str::as_bytes))
}

//! Settlement: the link as it stands after the target acknowledged a write.

use super::diff::difference;
use super::echo;
use crate::model::account::Account;
use crate::model::attributes::{AttributePath, Attributes, Scalar};
use crate::model::id::TargetId;
use crate::model::link::{AttributeMemory, EchoKind, Link, LinkState};
use crate::model::order::Observation;
use crate::model::plan::{PlannedAction, Verb};
use crate::model::time::Millis;

/// A write that was acknowledged.
#[derive(Debug)]
pub struct AcknowledgedWrite<'a> {
    /// What was sent.
    pub action: &'a PlannedAction,
    /// The link before.
    pub link: Option<&'a Link>,
    /// The account it went to.
    pub target_id: &'a TargetId,
    /// The resource as returned or read afterwards; `None` where nothing was shown.
    pub account: Option<&'a Account>,
    /// Optional attributes that were left out because the target refused them.
    pub refused: &'a [(AttributePath, String)],
    /// Now.
    pub now: Millis,
}

/// The link to store, and the attributes that the target turned out to ignore.
#[derive(Debug, PartialEq)]
pub struct SettledLink {
    /// To be stored.
    pub link: Link,
    /// Newly found to be ignored.
    pub ignored: Vec<AttributePath>,
}

/// Settles an acknowledged creation, adoption, update or reactivation.
pub fn settle_write(written: &AcknowledgedWrite<'_>) -> SettledLink {
    let AcknowledgedWrite { action, link, target_id, account, refused, now } = *written;
    let before: Attributes = match (&action.found, link) {
        (Some(found), _) => found.values.clone(),
        (None, Some(link)) => link.acknowledged.clone(),
        (None, None) => Attributes::new(),
    };
    let mut memory = starting_memory(action, link);
    let is_refused = |path: &AttributePath| refused.iter().any(|(refused, _)| refused == path);
    let mut sent = Attributes::new();
    let mut acknowledged = before.clone();
    for change in action.changes.iter().filter(|change| change.path != AttributePath::active()) {
        if is_refused(&change.path) {
            // What was to be cleared rests under the empty text.
            let value = change.to.clone().unwrap_or_else(|| Scalar::from(""));
            echo::learn_refusals(
                &mut memory,
                &Attributes::from([(change.path.clone(), value)]),
                refused,
                now,
            );
            continue;
        }
        match &change.to {
            Some(value) => {
                sent.insert(change.path.clone(), value.clone());
                acknowledged.insert(change.path.clone(), value.clone());
            }
            None => {
                acknowledged.remove(&change.path);
            }
        }
    }
    let mut ignored = Vec::new();
    if let Some(account) = account {
        echo::learn(&mut memory, echo::findings(&sent, account));
        for path in sent.keys() {
            if memory.echoes.get(path).is_some_and(|echo| echo.kind == EchoKind::Ignored) {
                ignored.push(path.clone());
                match before.get(path) {
                    Some(old) => acknowledged.insert(path.clone(), old.clone()),
                    None => acknowledged.remove(path),
                };
            }
        }
    }
    let user_name = user_name_of(&acknowledged, action);
    let digest = action.desired.as_ref().and_then(|desired| {
        let rest = difference(desired, &acknowledged, &memory, now);
        let owed = !rest.changes.is_empty() || !rest.refused.is_empty() || !rest.withheld.is_empty();
        (!owed).then_some(desired.digest)
    });
    let link = Link {
        source_id: action.source_id.clone(),
        target_id: target_id.clone(),
        user_name,
        acknowledged,
        state: state_after(action, link),
        digest,
        memory,
        billable: action.billable,
        absent_since: None,
        last_listed_at: None,
        removal_seen: true,
        cause: None,
        observation: action.observation,
    };
    SettledLink { link, ignored }
}

fn user_name_of(acknowledged: &Attributes, action: &PlannedAction) -> String {
    let user_name = acknowledged.get(&AttributePath::user_name());
    user_name.map_or_else(|| action.user.clone(), |value| value.as_text().into_owned())
}

/// The link after a confirmed deactivation, or after the target said that the account is gone.
pub fn settle_state(link: &Link, state: LinkState, observation: Observation) -> Link {
    Link { state, observation, ..link.clone() }
}

fn starting_memory(action: &PlannedAction, link: Option<&Link>) -> AttributeMemory {
    match (&action.found, link) {
        (Some(found), _) => AttributeMemory {
            withheld: found.withheld.iter().cloned().collect(),
            ..AttributeMemory::default()
        },
        (None, Some(link)) => link.memory.clone(),
        (None, None) => AttributeMemory::default(),
    }
}

fn state_after(action: &PlannedAction, link: Option<&Link>) -> LinkState {
    match action.verb {
        Verb::Create | Verb::Reactivate => LinkState::Active,
        Verb::Adopt => match &action.found {
            Some(found) if !found.active && !action.activate => LinkState::Inactive,
            Some(_) | None => LinkState::Active,
        },
        Verb::Update | Verb::Deactivate | Verb::Delete | Verb::Block | Verb::Skip => {
            link.map_or(LinkState::Active, |link| link.state)
        }
    }
}

#[cfg(test)]
mod tests;

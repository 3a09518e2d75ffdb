//! Drift: what the source wants now, what the target last acknowledged and what it shows now, compared.
//!
//! What lives here: the comparison of one attribute, of one person's access, and what follows for the link where drift
//! is repaired. What must not: reading either side, policies, guards.

use super::echo;
use super::eligibility::Eligibility;
use super::removal_cause::{removal_cause, removal_verb};
use super::situation::LinkKind;
use crate::config::LifecyclePolicy;
use crate::model::account::Account;
use crate::model::attributes::{AttributePath, Scalar};
use crate::model::drift::{AttributeDrift, DriftedAttribute};
use crate::model::folding::same_value;
use crate::model::id::{SourceId, Vendor};
use crate::model::link::{AttributeMemory, EchoKind, Link, LinkState};
use crate::model::plan::DesiredAccount;
use crate::model::time::Millis;

/// Repairs of one attribute after which it is left alone: somebody else keeps writing it.
pub const MOST_REPAIRS: u32 = 3;

/// Length of an Okta user id behind its prefix `00u`.
const OKTA_ID_REST: usize = 17;

/// The three values of one attribute.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// What the source wants now; `None` = nothing may be there.
    pub source: Option<&'a Scalar>,
    /// What the target last acknowledged.
    pub acknowledged: Option<&'a Scalar>,
    /// What the target shows now.
    pub target: Option<&'a Scalar>,
}

/// How somebody's access stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessDrift {
    /// As it was last written, or not to be judged.
    Unchanged,
    /// The source moved on, and the next run writes it.
    SourceChanged,
    /// Somebody who left is active at the target.
    LeaverActive,
    /// Somebody at the target switched the account off.
    SwitchedOff,
}

/// Compares one attribute.
pub fn compare_attribute(
    path: &AttributePath,
    values: Values<'_>,
    memory: &AttributeMemory,
    now: Millis,
) -> AttributeDrift {
    let Values { source, acknowledged, target } = values;
    let Some(wanted) = source else {
        // A refused clearing is remembered as the empty text.
        if memory.silences(path, &Scalar::from(""), now).is_some() {
            return AttributeDrift::Echo;
        }
        return match (acknowledged, target) {
            (None, None) => AttributeDrift::Unchanged,
            (None, Some(_)) => AttributeDrift::TargetDrifted,
            (Some(_), _) => AttributeDrift::SourceChanged,
        };
    };
    let source_moved = acknowledged.is_none_or(|acknowledged| !is_same(path, wanted, acknowledged));
    if target == Some(wanted) {
        return if source_moved { AttributeDrift::SourceChanged } else { AttributeDrift::Unchanged };
    }
    let known = memory.silences(path, wanted, now).is_some() || memory.withheld.contains(path);
    if known
        || echo::holds(memory, path, wanted, target)
        || target.is_some_and(|target| is_same(path, wanted, target))
    {
        return AttributeDrift::Echo;
    }
    let Some(acknowledged) = acknowledged else { return AttributeDrift::SourceChanged };
    let target_moved = !target.is_some_and(|target| is_same(path, acknowledged, target))
        && !echo::holds(memory, path, acknowledged, target);
    match (source_moved, target_moved) {
        (true, true) => AttributeDrift::Both,
        (true, false) => AttributeDrift::SourceChanged,
        (false, true) => AttributeDrift::TargetDrifted,
        (false, false) => AttributeDrift::Echo,
    }
}

/// Compares every owned attribute that the source has a say in; gives those that are neither unchanged nor an echo.
pub fn compare(
    desired: &DesiredAccount,
    link: &Link,
    account: &Account,
    now: Millis,
) -> Vec<DriftedAttribute> {
    let set = desired.set.iter().map(|(path, value)| (path, Some(value)));
    let cleared = desired.clear.iter().map(|path| (path, None));
    let mut differing = Vec::new();
    for (path, source) in set.chain(cleared) {
        let target = account.value(path);
        let values = Values { source, acknowledged: link.acknowledged.get(path), target: target.as_ref() };
        let state = compare_attribute(path, values, &link.memory, now);
        match state {
            AttributeDrift::Unchanged | AttributeDrift::Echo => {}
            AttributeDrift::SourceChanged | AttributeDrift::TargetDrifted | AttributeDrift::Both => {
                differing.push(DriftedAttribute {
                    path: path.clone(),
                    state,
                    source: values.source.cloned(),
                    acknowledged: values.acknowledged.cloned(),
                    target,
                });
            }
        }
    }
    differing
}

/// Compares somebody's access. `active` is what the target shows; `None` = it does not say, and nothing is judged.
pub fn compare_access(
    eligibility: &Eligibility,
    state: LinkState,
    active: Option<bool>,
    policy: &LifecyclePolicy,
) -> AccessDrift {
    let Some(active) = active else { return AccessDrift::Unchanged };
    let link = LinkKind::from(Some(state));
    match eligibility {
        Eligibility::Qualifies(_) => match (link, active) {
            (LinkKind::Active, true) => AccessDrift::Unchanged,
            (LinkKind::Active, false) => AccessDrift::SwitchedOff,
            (LinkKind::Inactive | LinkKind::Vanished | LinkKind::Gone | LinkKind::None, true | false) => {
                AccessDrift::SourceChanged
            }
        },
        Eligibility::Suspended | Eligibility::Leaver(_) | Eligibility::OutOfScope => {
            let removes = removal_verb(removal_cause(eligibility), policy).is_some();
            match (removes, link, active) {
                // The next run removes it by itself.
                (true, LinkKind::Active | LinkKind::Vanished, true | false) => AccessDrift::SourceChanged,
                (true, LinkKind::Inactive | LinkKind::Gone | LinkKind::None, true) => {
                    AccessDrift::LeaverActive
                }
                (true, LinkKind::Inactive | LinkKind::Gone | LinkKind::None, false)
                | (
                    false,
                    LinkKind::Active
                    | LinkKind::Inactive
                    | LinkKind::Vanished
                    | LinkKind::Gone
                    | LinkKind::None,
                    true | false,
                ) => AccessDrift::Unchanged,
            }
        }
        // Whoever cannot be decided is not judged here either.
        Eligibility::Pending | Eligibility::Blocked(_) | Eligibility::Unknown(_) => AccessDrift::Unchanged,
    }
}

/// The link with what the target was seen to hold in place of what it once acknowledged: the plan made from it
/// brings the target back, and each change carries the target's own value as the old one.
pub fn corrected(link: &Link, attributes: &[DriftedAttribute], state: LinkState) -> Link {
    let mut seen = Link { state, ..link.clone() };
    for attribute in attributes.iter().filter(|attribute| attribute.state.is_drift()) {
        let path = &attribute.path;
        match &attribute.target {
            Some(value) => seen.acknowledged.insert(path.clone(), value.clone()),
            None => seen.acknowledged.remove(path),
        };
        if let (true, Some(login)) = (*path == AttributePath::user_name(), &attribute.target) {
            seen.user_name = login.as_text().into_owned();
        }
        seen.digest = None;
    }
    seen
}

/// The person whom an `externalId` of our form names.
pub fn marked(vendor: Vendor, external_id: &str) -> Option<SourceId> {
    match vendor {
        Vendor::Okta => {
            let rest = external_id.strip_prefix("00u")?;
            let is_id =
                rest.len() == OKTA_ID_REST && rest.chars().all(|letter| letter.is_ascii_alphanumeric());
            is_id.then(|| SourceId::new(external_id))
        }
        Vendor::OneLogin => {
            let id = external_id.strip_prefix("onelogin:")?;
            let is_id = !id.is_empty() && id.chars().all(|digit| digit.is_ascii_digit());
            is_id.then(|| SourceId::new(id))
        }
    }
}

fn is_same(path: &AttributePath, one: &Scalar, other: &Scalar) -> bool {
    same_value(path, one, other)
        || match echo::compare(path, one, Some(other)) {
            None | Some(EchoKind::Normalised) => true,
            Some(EchoKind::Ignored) => false,
        }
}

#[cfg(test)]
mod tests;

//! Diff: which owned attributes differ, by RFC 7643 paths.

use crate::model::attributes::{AttributePath, Attributes, Scalar};
use crate::model::folding::same_value;
use crate::model::link::{AttributeMemory, Silence};
use crate::model::plan::{Change, DesiredAccount};
use crate::model::time::Millis;

/// What differs, and what differs but is not sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    /// To be sent.
    pub changes: Vec<Change>,
    /// Not sent: the target refused the value lately.
    pub refused: Vec<AttributePath>,
    /// Not sent: an adoption by e-mail must not change it before somebody approved that.
    pub withheld: Vec<Change>,
}

/// Compares what an account should hold with what it holds. Attributes that the person's desired account does not
/// name stay: missing at the source is not empty.
pub fn difference(
    desired: &DesiredAccount,
    current: &Attributes,
    memory: &AttributeMemory,
    now: Millis,
) -> Difference {
    let mut difference = Difference::default();
    for (path, value) in &desired.set {
        let from = current.get(path);
        if from.is_some_and(|from| same_value(path, from, value) || is_echo(memory, path, from, value)) {
            continue;
        }
        let change = Change { path: path.clone(), from: from.cloned(), to: Some(value.clone()) };
        match memory.silences(path, value, now) {
            Some(Silence::Refused(_)) => difference.refused.push(path.clone()),
            Some(Silence::Ignored(_)) => {}
            None if memory.withheld.contains(path) => difference.withheld.push(change),
            None => difference.changes.push(change),
        }
    }
    for path in &desired.clear {
        if let Some(from) = current.get(path) {
            // A refused clearing is remembered as the empty text.
            if let Some(Silence::Refused(_)) = memory.silences(path, &Scalar::from(""), now) {
                difference.refused.push(path.clone());
                continue;
            }
            difference.changes.push(Change { path: path.clone(), from: Some(from.clone()), to: None });
        }
    }
    difference
}

/// Whether what is there is the target's own spelling of what would be sent.
fn is_echo(memory: &AttributeMemory, path: &AttributePath, from: &Scalar, value: &Scalar) -> bool {
    memory.echoes.get(path).is_some_and(|echo| echo.sent == *value && echo.returned.as_ref() == Some(from))
}

/// The changes of an account that does not exist yet.
pub fn creation(desired: &DesiredAccount) -> Vec<Change> {
    desired
        .set
        .iter()
        .map(|(path, value)| Change { path: path.clone(), from: None, to: Some(value.clone()) })
        .collect()
}

/// The change that (de)activates.
pub fn activation(from: Option<bool>, to: bool) -> Change {
    Change { path: AttributePath::active(), from: from.map(Scalar::Flag), to: Some(Scalar::Flag(to)) }
}

#[cfg(test)]
mod tests;

//! The link between a person and an account, and what is remembered of the account.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::attributes::{AttributePath, Attributes, Scalar};
use super::digest::Digest;
use super::id::{SourceId, TargetId};
use super::order::Observation;
use super::plan::RemovalCause;
use super::time::Millis;

/// A stored pair of a person and an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The person.
    pub source_id: SourceId,
    /// The account.
    pub target_id: TargetId,
    /// The login, for messages.
    pub user_name: String,
    /// The owned values the target last acknowledged, as we sent them.
    pub acknowledged: Attributes,
    /// Whether the account is active, as last acknowledged.
    pub state: LinkState,
    /// Digest of the desired account that was last fully acknowledged; `None` = compare the values.
    pub digest: Option<Digest>,
    /// What the target makes of what we send.
    pub memory: AttributeMemory,
    /// The first complete read of an unbroken row that did not list the person.
    pub absent_since: Option<Millis>,
    /// Whether the account takes a paid seat.
    pub billable: bool,
    /// When the newest request was sent whose answer an action on this person rested on.
    pub observation: Observation,
    /// When a complete read last listed the person, known once a later one has not.
    pub last_listed_at: Option<Millis>,
    /// False: a deactivation was accepted, and the target does not show whether the account is active.
    pub removal_seen: bool,
    /// Why the person is not listed, as the last look at their own record showed it.
    pub cause: Option<RemovalCause>,
}

/// The account's state as last acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "since")]
pub enum LinkState {
    /// Active.
    Active,
    /// We deactivated it then.
    Deactivated(Millis),
    /// It was inactive when it was adopted, and nobody of ours deactivated it.
    Inactive,
    /// The target answered 404 for it then, and nobody has looked since whether it was made anew.
    Vanished(Millis),
    /// It answered 404, and a look by mark and login found no other then.
    Gone(Millis),
}

impl LinkState {
    /// The word stored and reported.
    pub fn as_str(self) -> &'static str {
        match self {
            LinkState::Active => "active",
            LinkState::Deactivated(_) => "deactivated",
            LinkState::Inactive => "inactive",
            LinkState::Vanished(_) | LinkState::Gone(_) => "gone",
        }
    }

    /// Since when, where it matters.
    pub fn since(self) -> Option<Millis> {
        match self {
            LinkState::Deactivated(since) | LinkState::Vanished(since) | LinkState::Gone(since) => {
                Some(since)
            }
            LinkState::Active | LinkState::Inactive => None,
        }
    }

    /// Whether the person may have access, as far as is known: an account that answers 404 may have been made anew.
    pub fn may_give_access(self) -> bool {
        match self {
            LinkState::Active | LinkState::Vanished(_) => true,
            LinkState::Deactivated(_) | LinkState::Inactive | LinkState::Gone(_) => false,
        }
    }

    /// Whether the account answered 404 when it was last asked for.
    pub fn is_gone(self) -> bool {
        match self {
            LinkState::Vanished(_) | LinkState::Gone(_) => true,
            LinkState::Active | LinkState::Deactivated(_) | LinkState::Inactive => false,
        }
    }
}

/// What is remembered per attribute of one account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AttributeMemory {
    /// Values the target keeps in another spelling, or ignores.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub echoes: BTreeMap<AttributePath, Echo>,
    /// Values the target refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refusals: BTreeMap<AttributePath, RefusedValue>,
    /// Paths that an adoption by e-mail must not change before somebody approved it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub withheld: BTreeSet<AttributePath>,
}

/// What came back for a value that was sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Echo {
    /// What we sent.
    pub sent: Scalar,
    /// What the target showed afterwards; `None` = nothing at that path.
    pub returned: Option<Scalar>,
    /// Whether both are the same thing in another spelling.
    pub kind: EchoKind,
}

/// How what came back relates to what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EchoKind {
    /// Equal after trimming, case folding, Unicode normalisation or reduction to phone digits.
    Normalised,
    /// Different: the target ignores the attribute, and it is not sent again until the value changes.
    Ignored,
}

/// A value the target refused with a 400 that names the attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefusedValue {
    /// What was sent.
    pub sent: Scalar,
    /// When.
    pub at: Millis,
    /// The target's words.
    pub detail: String,
}

impl AttributeMemory {
    /// Why sending `value` to `path` now would be pointless; `None` where it would not.
    pub fn silences(&self, path: &AttributePath, value: &Scalar, now: Millis) -> Option<Silence<'_>> {
        if let Some(refused) = self.refusals.get(path)
            && refused.sent == *value
            && (0..REFUSAL_REST_MILLIS).contains(&now.since(refused.at))
        {
            return Some(Silence::Refused(refused));
        }
        match self.echoes.get(path) {
            Some(echo) if echo.sent == *value => match echo.kind {
                EchoKind::Ignored => Some(Silence::Ignored(echo)),
                EchoKind::Normalised => None,
            },
            Some(_) | None => None,
        }
    }
}

/// Why a value is not sent again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Silence<'a> {
    /// The target refused it less than [`REFUSAL_REST_MILLIS`] ago.
    Refused(&'a RefusedValue),
    /// The target ignores it.
    Ignored(&'a Echo),
}

/// How long a refused value rests before it is tried again although it did not change.
pub const REFUSAL_REST_MILLIS: i64 = 7 * 24 * 3600 * 1000;

/// The compact form of a link that a full run holds for everybody.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkDigest {
    /// The person.
    pub source_id: SourceId,
    /// As [`Link::digest`].
    pub digest: Option<Digest>,
    /// Account state.
    pub state: LinkState,
    /// First complete read that missed the person.
    pub absent_since: Option<Millis>,
    /// As [`Link::cause`].
    pub cause: Option<RemovalCause>,
}

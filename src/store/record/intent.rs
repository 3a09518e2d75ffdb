//! An intent: its place in the journal, how it ends, and the entry of its end.

use rusqlite::Transaction;
use serde::Serialize;

use crate::model::digest::DigestKey;
use crate::model::link::Link;
use crate::model::plan::PlannedAction;
use crate::model::time::Millis;
use crate::store::record::chain::{self, append};
use crate::store::{StoreError, Tenure};

/// An intent's place in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IntentId(pub(crate) i64);

/// How an intent ended. An intent whose outcome is still unknown is not settled: it stays in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntentOutcome {
    /// Acknowledged.
    Applied,
    /// Refused: nothing changed.
    Refused,
    /// Found not to have happened, or never sent.
    NotSent,
    /// Nobody knows, and somebody gave it up.
    GivenUp,
}

impl IntentOutcome {
    /// Whether it is proven that nothing happened.
    pub(crate) fn did_nothing(self) -> bool {
        match self {
            IntentOutcome::Refused | IntentOutcome::NotSent => true,
            IntentOutcome::Applied | IntentOutcome::GivenUp => false,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            IntentOutcome::Applied => "applied",
            IntentOutcome::Refused => "refused",
            IntentOutcome::NotSent => "not_sent",
            IntentOutcome::GivenUp => "given_up",
        }
    }
}

/// What follows for the link.
#[derive(Debug, Clone)]
pub enum LinkWrite {
    /// Nothing.
    Keep,
    /// Store this.
    Put(Box<Link>),
    /// The account was deleted: forget the pair.
    Remove,
}

/// The end of one intent.
#[derive(Debug, Clone)]
pub struct IntentSettlement {
    /// Which.
    pub intent: IntentId,
    /// How it ended.
    pub settled: IntentOutcome,
    /// The target's status.
    pub status: Option<u16>,
    /// The target's words, or ours.
    pub detail: Option<String>,
    /// Requests that carried it.
    pub attempts: u32,
    /// What follows for the link.
    pub link: LinkWrite,
    /// Now.
    pub at: Millis,
}

#[derive(Serialize)]
pub(crate) struct OutcomePayload<'a> {
    pub(crate) status: Option<u16>,
    pub(crate) detail: Option<&'a str>,
    pub(crate) attempts: u32,
}

/// What became of recording an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkOutcome {
    /// Link and outcome are stored.
    Stored,
    /// The outcome is stored; the account turned out to be linked to somebody else, whom the text names. That person is
    /// taken elsewhere from now on.
    TakenElsewhere(String),
}

pub(crate) fn append_outcome(
    transaction: &Transaction<'_>,
    tenure: &Tenure,
    key: &DigestKey,
    run: i64,
    action: &PlannedAction,
    settlement: &IntentSettlement,
    outcome: &OutcomePayload<'_>,
) -> Result<(), StoreError> {
    let payload = serde_json::to_string(outcome)?;
    let entry = chain::Entry {
        run: Some(run),
        sync: Some(&tenure.sync),
        epoch: tenure.epoch,
        at: settlement.at,
        kind: "outcome",
        intent: Some(settlement.intent.0),
        verb: action.verb.as_str(),
        source_id: action.source_id.as_str(),
        outcome: Some(settlement.settled.as_str()),
        approved: false,
        by: None,
        rewrites: false,
        activates: false,
        payload: &payload,
    };
    append(transaction, key, &entry).map(drop)
}

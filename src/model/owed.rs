//! What is owed: every change that is wanted and not acknowledged, and what it waits for.
//!
//! What lives here: the nouns and what each wait means for an exit code. What must not: who writes the rows (`store`),
//! and when something becomes owed (the engine).

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::id::{SourceId, TargetId};
use super::plan::{RemovalCause, Verb};
use super::time::Millis;

/// What kind of change is owed. One row for each person and class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwedClass {
    /// Access that somebody still has.
    Removal,
    /// Access that somebody does not have yet.
    Access,
    /// Values.
    Attributes,
    /// Not known until somebody has looked: an event named the person.
    Look,
}

impl OwedClass {
    /// Every class.
    pub const ALL: [OwedClass; 4] =
        [OwedClass::Removal, OwedClass::Access, OwedClass::Attributes, OwedClass::Look];

    /// The class of what a verb does; `None` for verbs that send nothing.
    pub fn of(verb: Verb) -> Option<OwedClass> {
        match verb {
            Verb::Deactivate | Verb::Delete => Some(OwedClass::Removal),
            Verb::Create | Verb::Adopt | Verb::Reactivate => Some(OwedClass::Access),
            Verb::Update => Some(OwedClass::Attributes),
            Verb::Block | Verb::Skip => None,
        }
    }

    /// The word stored and reported.
    pub fn as_str(self) -> &'static str {
        match self {
            OwedClass::Removal => "removal",
            OwedClass::Access => "access",
            OwedClass::Attributes => "attributes",
            OwedClass::Look => "look",
        }
    }
}

/// What an event lets expect of the person whom it names. An event decides nothing: what a look finds counts, but a look
/// that finds the contrary may have come too early, because logs run ahead of reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventMeaning {
    /// Assigned and active from now on.
    Joins,
    /// Not assigned, or not active, from now on.
    Leaves,
    /// Something else about the person.
    Other,
}

impl EventMeaning {
    /// Every meaning.
    pub const ALL: [EventMeaning; 3] = [EventMeaning::Joins, EventMeaning::Leaves, EventMeaning::Other];

    /// The word stored.
    pub fn as_str(self) -> &'static str {
        match self {
            EventMeaning::Joins => "joins",
            EventMeaning::Leaves => "leaves",
            EventMeaning::Other => "other",
        }
    }

    /// The meaning of a stored word.
    pub fn of_word(word: &str) -> EventMeaning {
        EventMeaning::ALL.into_iter().find(|known| known.as_str() == word).unwrap_or(EventMeaning::Other)
    }
}

/// What an owed change waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitsFor {
    /// Somebody has to look: an event named the person, or nobody can judge a linked person.
    Look,
    /// The target failed or refused.
    Retry,
    /// The source gave no proof.
    Proof,
    /// Nobody can tell what became of a write.
    Unsettled,
    /// A hold.
    Approval,
    /// No seat.
    Seat,
    /// Writing is paused.
    Pause,
    /// Switched off in `[sync.lifecycle]`.
    Switch,
    /// A grace period, or a clock that can be trusted.
    Date,
    /// A person decided it: rejected, kept, undone, forgotten; or protected by the configuration.
    Decision,
}

/// What a wait adds to an exit code where it keeps a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitMeaning {
    /// Nobody waits on purpose: exit code 3.
    Undone,
    /// A person has to approve, or to make room: exit code 4.
    Held,
    /// Somebody wants it so: no code of its own.
    Wanted,
}

impl WaitsFor {
    /// Every wait.
    pub const ALL: [WaitsFor; 10] = [
        WaitsFor::Look,
        WaitsFor::Retry,
        WaitsFor::Proof,
        WaitsFor::Unsettled,
        WaitsFor::Approval,
        WaitsFor::Seat,
        WaitsFor::Pause,
        WaitsFor::Switch,
        WaitsFor::Date,
        WaitsFor::Decision,
    ];

    /// The word stored and reported.
    pub fn as_str(self) -> &'static str {
        match self {
            WaitsFor::Look => "look",
            WaitsFor::Retry => "retry",
            WaitsFor::Proof => "proof",
            WaitsFor::Unsettled => "unsettled",
            WaitsFor::Approval => "approval",
            WaitsFor::Seat => "seat",
            WaitsFor::Pause => "pause",
            WaitsFor::Switch => "switch",
            WaitsFor::Date => "date",
            WaitsFor::Decision => "decision",
        }
    }

    /// What it means for an exit code.
    pub fn meaning(self) -> WaitMeaning {
        match self {
            WaitsFor::Look | WaitsFor::Retry | WaitsFor::Proof | WaitsFor::Unsettled => WaitMeaning::Undone,
            WaitsFor::Approval | WaitsFor::Seat => WaitMeaning::Held,
            WaitsFor::Pause | WaitsFor::Switch | WaitsFor::Date | WaitsFor::Decision => WaitMeaning::Wanted,
        }
    }

    /// Whether `status` is unhealthy while a removal waits for it.
    pub fn needs_attention(self) -> bool {
        match self.meaning() {
            WaitMeaning::Undone | WaitMeaning::Held => true,
            WaitMeaning::Wanted => false,
        }
    }

    /// The wait in words, for people.
    pub fn describe(self) -> &'static str {
        match self {
            WaitsFor::Look => "a look at the person",
            WaitsFor::Retry => "the next try",
            WaitsFor::Proof => "a proof from the identity provider",
            WaitsFor::Unsettled => "an earlier write whose outcome is unknown",
            WaitsFor::Approval => "an approval",
            WaitsFor::Seat => "a seat",
            WaitsFor::Pause => "the end of the pause",
            WaitsFor::Switch => "a switch in [sync.lifecycle]",
            WaitsFor::Date => "a date",
            WaitsFor::Decision => "a person's decision",
        }
    }
}

/// One change that is wanted and not acknowledged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OwedChange {
    /// The person.
    pub source_id: SourceId,
    /// The login at the target where there is one, else the one to come.
    pub user: String,
    /// The account, where there is one.
    pub target_id: Option<TargetId>,
    /// What kind of change.
    pub class: OwedClass,
    /// The verb; `None` where it is not known yet.
    pub verb: Option<Verb>,
    /// Why access is to end.
    pub cause: Option<RemovalCause>,
    /// Since when it is owed.
    pub since: Millis,
    /// Tries that came to nothing.
    pub attempts: u32,
    /// Refusals of this account in a row.
    pub refusals: u32,
    /// When the daemon tries again by itself.
    pub next_try_at: Option<Millis>,
    /// Full runs from the last one that was counted to the one that tries: up to 1, the next one tries. Removals are tried
    /// in every run.
    pub wait_runs: u32,
    /// What it waits for.
    pub waits_for: WaitsFor,
    /// More words: the target's, or ours.
    pub detail: String,
    /// Digest of the account to be.
    pub desired: Option<Digest>,
    /// Whether the link says that the account is deactivated.
    pub is_deactivated: bool,
}

impl OwedChange {
    /// Whether it is about access that ends.
    pub fn is_removal(&self) -> bool {
        self.class == OwedClass::Removal
    }

    /// What it adds to the exit code of a run that leaves it. A write of which nobody knows what became of it is not done,
    /// whatever it was to do; any other wait counts only if it keeps a removal.
    pub fn meaning(&self) -> WaitMeaning {
        match (self.class, self.waits_for) {
            (OwedClass::Removal, waits_for) => waits_for.meaning(),
            (OwedClass::Access | OwedClass::Attributes | OwedClass::Look, WaitsFor::Unsettled) => {
                WaitMeaning::Undone
            }
            (
                OwedClass::Access | OwedClass::Attributes | OwedClass::Look,
                WaitsFor::Look
                | WaitsFor::Retry
                | WaitsFor::Proof
                | WaitsFor::Approval
                | WaitsFor::Seat
                | WaitsFor::Pause
                | WaitsFor::Switch
                | WaitsFor::Date
                | WaitsFor::Decision,
            ) => WaitMeaning::Wanted,
        }
    }

    /// Whether it is the deletion of an account whose access is taken already: the second step of a two-step leave, or
    /// what is left where a deletion could not go.
    pub fn is_deletion_alone(&self) -> bool {
        self.is_removal() && self.verb == Some(Verb::Delete) && self.is_deactivated
    }

    /// Whether somebody who left still has access.
    pub fn keeps_access(&self) -> bool {
        self.is_removal() && !self.is_deletion_alone()
    }
}

/// What a run leaves for one person and class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OwedEntry {
    /// The person.
    pub source_id: SourceId,
    /// Login, for messages.
    pub user: String,
    /// The account, where there is one.
    pub target_id: Option<TargetId>,
    /// The verb.
    pub verb: Verb,
    /// Why access is to end.
    pub cause: Option<RemovalCause>,
    /// What it waits for.
    pub waits_for: WaitsFor,
    /// Whether it was tried and refused just now.
    pub attempted: bool,
    /// Whether the refusal was about this account (a 4xx).
    pub refused: bool,
    /// More words.
    pub detail: String,
    /// Digest of the account to be.
    pub desired: Option<Digest>,
}

impl OwedEntry {
    /// The class of its verb. A verb that sends nothing leaves nothing owed.
    pub fn class(&self) -> Option<OwedClass> {
        OwedClass::of(self.verb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_has_a_word_of_its_own_that_is_the_one_in_json() {
        for wait in WaitsFor::ALL {
            assert_eq!(serde_json::to_value(wait).unwrap(), wait.as_str());
        }
        for class in OwedClass::ALL {
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        }
    }

    #[test]
    fn only_what_somebody_wants_so_leaves_a_leaver_with_access_without_a_code() {
        let wanted: Vec<&str> = WaitsFor::ALL
            .into_iter()
            .filter(|wait| wait.meaning() == WaitMeaning::Wanted)
            .map(WaitsFor::as_str)
            .collect();
        assert_eq!(wanted, ["pause", "switch", "date", "decision"]);
    }
}

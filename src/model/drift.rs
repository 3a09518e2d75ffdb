//! Drift: where the workspace says something else than what rosterd wrote there. Field names are those of
//! `rosterd.verify/1`.
//!
//! What lives here: the findings of a verification and its facts. What must not: the comparison (`core::drift`).

use serde::{Deserialize, Serialize};

use super::attributes::{AttributePath, Scalar};
use super::id::{SourceId, TargetId};
use super::report::{RunResult, SourceFacts, TargetFacts, Trigger};
use super::time::Millis;

/// How three values of one attribute relate: what the source wants now, what the target last acknowledged, and what
/// it shows now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeDrift {
    /// All three agree.
    Unchanged,
    /// The source moved on, and the next run writes it.
    SourceChanged,
    /// Somebody changed it at the target.
    TargetDrifted,
    /// The source moved on and somebody changed it at the target.
    Both,
    /// The target shows it in a spelling of its own, or is known not to take the value: not sent again.
    Echo,
}

impl AttributeDrift {
    /// Whether the target holds something that nobody of ours wrote.
    pub fn is_drift(self) -> bool {
        match self {
            AttributeDrift::TargetDrifted | AttributeDrift::Both => true,
            AttributeDrift::Unchanged | AttributeDrift::SourceChanged | AttributeDrift::Echo => false,
        }
    }
}

/// One attribute of a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftedAttribute {
    /// Where.
    pub path: AttributePath,
    /// How the three relate.
    pub state: AttributeDrift,
    /// What the source wants now.
    pub source: Option<Scalar>,
    /// What the target last acknowledged.
    pub acknowledged: Option<Scalar>,
    /// What the target shows now.
    pub target: Option<Scalar>,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Somebody who left is active at the target again.
    LeaverActive,
    /// An account that was active when rosterd last wrote is inactive now.
    SwitchedOff,
    /// Owned attributes were changed at the target.
    Attributes,
    /// An attribute that was repaired and changed back again and again is left alone.
    Flapping,
    /// A linked account is not there any more.
    AccountGone,
    /// An account carries our mark and nothing is linked to it.
    Unlinked,
    /// Two accounts of one person.
    Duplicate,
    /// The source moved on: the next run writes it.
    SourceChanged,
    /// An account that is nobody's.
    Unmanaged,
}

impl FindingKind {
    /// Every kind, in the order in which a report shows them.
    pub const ALL: [FindingKind; 9] = [
        FindingKind::LeaverActive,
        FindingKind::SwitchedOff,
        FindingKind::Attributes,
        FindingKind::Flapping,
        FindingKind::AccountGone,
        FindingKind::Unlinked,
        FindingKind::Duplicate,
        FindingKind::SourceChanged,
        FindingKind::Unmanaged,
    ];

    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            FindingKind::LeaverActive => "leaver_active",
            FindingKind::SwitchedOff => "switched_off",
            FindingKind::Attributes => "attributes",
            FindingKind::Flapping => "flapping",
            FindingKind::AccountGone => "account_gone",
            FindingKind::Unlinked => "unlinked",
            FindingKind::Duplicate => "duplicate",
            FindingKind::SourceChanged => "source_changed",
            FindingKind::Unmanaged => "unmanaged",
        }
    }

    /// Whether it is drift: something at the target that is neither ours nor simply nobody's.
    pub fn is_drift(self) -> bool {
        match self {
            FindingKind::LeaverActive
            | FindingKind::SwitchedOff
            | FindingKind::Attributes
            | FindingKind::Flapping
            | FindingKind::AccountGone
            | FindingKind::Unlinked
            | FindingKind::Duplicate => true,
            FindingKind::SourceChanged | FindingKind::Unmanaged => false,
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftFinding {
    /// What it is about.
    pub finding: FindingKind,
    /// The login at the target, or the best name there is.
    pub user: String,
    /// The person, where one is known.
    pub source_id: Option<SourceId>,
    /// The account.
    pub target_id: Option<TargetId>,
    /// The other account of a duplicate.
    pub other_target_id: Option<TargetId>,
    /// What was found, in words.
    pub reason: String,
    /// The attributes it is about.
    pub attributes: Vec<DriftedAttribute>,
    /// Whether this verification repairs it, or would.
    pub repair: bool,
}

/// Findings by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftCounts {
    /// [`FindingKind::LeaverActive`]
    pub leaver_active: u64,
    /// [`FindingKind::SwitchedOff`]
    pub switched_off: u64,
    /// [`FindingKind::Attributes`]
    pub attributes: u64,
    /// [`FindingKind::Flapping`]
    pub flapping: u64,
    /// [`FindingKind::AccountGone`]
    pub account_gone: u64,
    /// [`FindingKind::Unlinked`]
    pub unlinked: u64,
    /// [`FindingKind::Duplicate`]
    pub duplicate: u64,
    /// [`FindingKind::SourceChanged`]
    pub source_changed: u64,
    /// [`FindingKind::Unmanaged`], whether they are listed or not.
    pub unmanaged: u64,
}

impl DriftCounts {
    /// The number of one kind.
    pub fn of(&self, kind: FindingKind) -> u64 {
        match kind {
            FindingKind::LeaverActive => self.leaver_active,
            FindingKind::SwitchedOff => self.switched_off,
            FindingKind::Attributes => self.attributes,
            FindingKind::Flapping => self.flapping,
            FindingKind::AccountGone => self.account_gone,
            FindingKind::Unlinked => self.unlinked,
            FindingKind::Duplicate => self.duplicate,
            FindingKind::SourceChanged => self.source_changed,
            FindingKind::Unmanaged => self.unmanaged,
        }
    }

    /// Counts one finding.
    pub fn count(&mut self, kind: FindingKind) {
        let slot = match kind {
            FindingKind::LeaverActive => &mut self.leaver_active,
            FindingKind::SwitchedOff => &mut self.switched_off,
            FindingKind::Attributes => &mut self.attributes,
            FindingKind::Flapping => &mut self.flapping,
            FindingKind::AccountGone => &mut self.account_gone,
            FindingKind::Unlinked => &mut self.unlinked,
            FindingKind::Duplicate => &mut self.duplicate,
            FindingKind::SourceChanged => &mut self.source_changed,
            FindingKind::Unmanaged => &mut self.unmanaged,
        };
        *slot += 1;
    }

    /// Findings that are drift.
    pub fn drift(&self) -> u64 {
        FindingKind::ALL.into_iter().filter(|kind| kind.is_drift()).map(|kind| self.of(kind)).sum()
    }
}

/// Accounts of the workspace, each once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountCounts {
    /// All that the target shows.
    pub listed: u64,
    /// Linked by this sync.
    pub linked: u64,
    /// Linked by another sync.
    pub other_syncs: u64,
    /// Linked by none.
    pub unlinked: u64,
}

/// Everything about one verification except its findings, which are a spool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerifyFacts {
    /// Name of the sync.
    pub sync: String,
    /// What started it.
    pub trigger: Trigger,
    /// How the comparison ended. What became of repairs is their run's to tell.
    pub result: RunResult,
    /// Start.
    pub started_at: Millis,
    /// End.
    pub finished_at: Millis,
    /// The source.
    pub source: SourceFacts,
    /// The target.
    pub target: TargetFacts,
    /// Accounts of the workspace.
    pub accounts: AccountCounts,
    /// Findings by kind.
    pub counts: DriftCounts,
    /// Drift that is left: findings that are not repaired, and people whose repair did not go through.
    pub unrepaired: u64,
    /// Sentences a reader must not miss.
    pub notes: Vec<String>,
}

impl VerifyFacts {
    /// Why it failed, where it did.
    pub fn problem(&self) -> Option<&str> {
        let problem = self.source.problem.as_ref().or(self.target.problem.as_ref()).or(self.notes.last());
        problem.map(String::as_str)
    }
}

//! What the guards count: what was sent, what a run would send, and what waits in open holds.
//!
//! What must not live here: the limits (`checks`), the verdict (`guard`).

use std::collections::{BTreeMap, HashSet};

use crate::model::attributes::AttributePath;
use crate::model::id::SourceId;
use crate::model::plan::{Disposition, PlannedAction, RemovalCause, RemovalKind, Verb};

/// People to whom something was sent in a span of time. An unknown outcome counts as sent; what was approved does not
/// count, nor do creations that a person consented to by running them by hand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Deactivations and deletions.
    pub removals: u64,
    /// Updates, and adoptions that changed more than our own mark.
    pub updates: u64,
    /// Reactivations, and adoptions that activated.
    pub reactivations: u64,
    /// Creations.
    pub creates: u64,
}

/// Who they were, to count nobody twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SentPeople {
    /// As [`Sent::removals`].
    pub removals: HashSet<SourceId>,
    /// As [`Sent::updates`].
    pub updates: HashSet<SourceId>,
    /// As [`Sent::reactivations`].
    pub reactivations: HashSet<SourceId>,
    /// As [`Sent::creates`].
    pub creates: HashSet<SourceId>,
}

impl SentPeople {
    /// How many.
    pub fn counts(&self) -> Sent {
        Sent {
            removals: self.removals.len() as u64,
            updates: self.updates.len() as u64,
            reactivations: self.reactivations.len() as u64,
            creates: self.creates.len() as u64,
        }
    }
}

/// What the journal and the links say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// In the last hour, over all triggers.
    pub hour: Sent,
    /// In the last 24 hours, over all triggers.
    pub day: Sent,
    /// Who was sent something in the last hour.
    pub people: SentPeople,
    /// Active linked accounts now.
    pub active_now: u64,
    /// The highest number of active linked accounts in the last 24 hours, now included.
    pub active_peak: u64,
    /// Links, active or not.
    pub links: u64,
    /// The journal's last entry that is counted here.
    pub as_of: i64,
}

/// What is held as one: a class of writes, and for removals their kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldClass {
    /// The verb.
    pub verb: Verb,
    /// Of a removal.
    pub kind: Option<RemovalKind>,
}

impl HoldClass {
    /// The class of an action.
    pub fn of(action: &PlannedAction) -> HoldClass {
        HoldClass { verb: action.verb, kind: action.removal_kind() }
    }

    /// The class of a verb that is no removal.
    pub fn plain(verb: Verb) -> HoldClass {
        HoldClass { verb, kind: None }
    }
}

/// An open hold, as far as the guards must know. It ends when the limit would not be exceeded any more by as many as it
/// had at its largest: repairing a mistake by hand, person by person, must not fire the rest of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenHold {
    /// People at its largest.
    pub largest: u64,
    /// Who waits in it.
    pub people: HashSet<SourceId>,
}

/// What a run would send, and what speaks against its removals as a whole.
#[derive(Debug, Clone, Default)]
pub struct Intent {
    /// People by class, without those who were sent the same in the last hour.
    pub counts: Sent,
    /// Of the removals, the terminated.
    pub terminated: u64,
    /// Of the removals, those whom a hold for the filter alone keeps anyway.
    pub filtered_out: u64,
    /// Adoptions.
    pub adoptions: u64,
    /// Updates and reactivations of linked accounts.
    pub plain: u64,
    /// Who of an open hold this run still wants, by class.
    pub still_waiting: BTreeMap<HoldClass, u64>,
    /// The open holds that this run is asked about; a run of named people is asked about none.
    pub holds: BTreeMap<HoldClass, OpenHold>,
    /// Who was sent something in the last hour.
    pub already_sent: SentPeople,
    /// Names of `scope.filter` that nobody had in a full read.
    pub scope_names_nobody_has: Vec<String>,
    /// There is nobody to serve as a positive control.
    pub nobody_to_compare: bool,
    /// Nobody stands behind this run: it was started by a timer or by the watch.
    pub unattended: bool,
}

impl Intent {
    /// Counts one planned action that would be sent and was not approved.
    pub fn add(&mut self, action: &PlannedAction) {
        if action.disposition != Disposition::Send {
            return;
        }
        let class = HoldClass::of(action);
        // A deletion may wait as a deactivation, where the target offers none: the verb of the hold is what counts.
        let verbs =
            if action.verb.is_removal() { &[Verb::Deactivate, Verb::Delete][..] } else { &[action.verb][..] };
        for verb in verbs {
            let waits_in = HoldClass { verb: *verb, ..class };
            if self.holds.get(&waits_in).is_some_and(|hold| hold.people.contains(&action.source_id)) {
                *self.still_waiting.entry(waits_in).or_default() += 1;
            }
        }
        let (person, sent) = (&action.source_id, &self.already_sent);
        let new = |sent: &HashSet<SourceId>| u64::from(!sent.contains(person));
        match action.verb {
            Verb::Deactivate | Verb::Delete => {
                let one = new(&sent.removals);
                let filtered =
                    action.cause == Some(RemovalCause::OutOfScope) && !self.scope_names_nobody_has.is_empty();
                if filtered {
                    self.filtered_out += 1;
                    return;
                }
                self.counts.removals += one;
                if class.kind == Some(RemovalKind::Terminated) {
                    self.terminated += one;
                }
            }
            Verb::Update => {
                self.plain += 1;
                self.counts.updates += new(&sent.updates);
            }
            Verb::Reactivate => {
                self.plain += 1;
                self.counts.reactivations += new(&sent.reactivations);
            }
            Verb::Create => self.counts.creates += new(&sent.creates),
            Verb::Adopt => {
                self.adoptions += 1;
                self.counts.updates += if rewrites(action) { new(&sent.updates) } else { 0 };
                self.counts.reactivations += if action.activate { new(&sent.reactivations) } else { 0 };
            }
            Verb::Block | Verb::Skip => {}
        }
    }

    /// How many more than planned a class is to be judged by: those who left an open hold since it was largest.
    pub(super) fn gone_from_hold(&self, class: HoldClass) -> u64 {
        let waiting = self.still_waiting.get(&class).copied().unwrap_or(0);
        self.holds.get(&class).map_or(0, |hold| hold.largest.saturating_sub(waiting))
    }

    /// The same over both verbs of a kind of removal.
    pub(super) fn gone_from_holds_of(&self, kind: RemovalKind) -> u64 {
        [Verb::Deactivate, Verb::Delete]
            .into_iter()
            .map(|verb| self.gone_from_hold(HoldClass { verb, kind: Some(kind) }))
            .sum()
    }
}

/// Whether an adoption changes more than `externalId`, which is only our own mark.
pub fn rewrites(action: &PlannedAction) -> bool {
    let ours = [AttributePath::external_id(), AttributePath::active()];
    action.changes.iter().any(|change| !ours.contains(&change.path))
}

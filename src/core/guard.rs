//! Guards: pure functions from a plan, the links and the last day's journal to what may go through.
//!
//! Counted over all triggers, people and not writes: who was sent in the last hour (and day) plus who this run would
//! send. Removals are judged in two kinds, the terminated first. A limit trips when it is strictly exceeded; what trips
//! is held, the other classes and the other kind go on; what was approved does not count.
//!
//! *Invariant*: [`Approved`] is made only by [`GuardReport::release`], and by a proof of a part of what it proved.

use std::collections::BTreeMap;

use crate::config;
use crate::model::attributes::AttributePath;
use crate::model::order::OrderNumber;
use crate::model::plan::{Change, PlannedAction, RemovalCause, RemovalKind, Verb};
use crate::model::report::GuardFact;
use checks::{Check, count_check, removal_checks, update_check};

mod checks;
mod intent;

pub use intent::{HoldClass, Intent, Ledger, OpenHold, Sent, SentPeople, rewrites};

/// An action that the guards let through, and whether it was judged alone. Cannot be deserialized.
#[derive(Debug)]
pub struct Approved(PlannedAction, bool);

impl Approved {
    /// The action.
    pub fn action(&self) -> &PlannedAction {
        &self.0
    }

    /// Whether its plan did not count it: the limits are asked again as it is written.
    pub fn is_judged_alone(&self) -> bool {
        self.1
    }

    /// The action, given up for its proof or its write.
    pub fn into_action(self) -> PlannedAction {
        self.0
    }

    /// The part of a proven removal that writes earlier values.
    pub(super) fn part_of_proven(action: PlannedAction) -> Approved {
        Approved(action, false)
    }
}

/// An action that is held, with the reason.
#[derive(Debug)]
pub struct HeldAction {
    /// The action.
    pub action: PlannedAction,
    /// Why, with the numbers.
    pub reason: String,
}

/// A part of an adoption that waits.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftOut {
    /// An update or a reactivation.
    pub verb: Verb,
    /// Why, with the numbers.
    pub reason: String,
    /// What it would change.
    pub changes: Vec<Change>,
}

/// An action that may go on, perhaps without a part of it.
#[derive(Debug)]
pub struct Released {
    /// What may go on.
    pub approved: Approved,
    /// The parts of an adoption that wait.
    pub left_out: Vec<LeftOut>,
}

/// The guards' verdict on one plan.
#[derive(Debug, Clone, Default)]
pub struct GuardReport {
    facts: Vec<GuardFact>,
    held: BTreeMap<HoldClass, String>,
    filter: Option<String>,
    approval: Vec<Verb>,
    as_of: i64,
    /// It is about an action that its plan did not count.
    pub judged_alone: bool,
}

impl GuardReport {
    /// The numbers, for the report.
    pub fn facts(&self) -> &[GuardFact] {
        &self.facts
    }

    /// The journal's last entry that was counted.
    pub fn as_of(&self) -> i64 {
        self.as_of
    }

    /// The verdict on two parts of one plan, each of which was judged when its turn came.
    #[must_use]
    pub fn and(mut self, other: GuardReport) -> GuardReport {
        let GuardReport { facts, held, filter, approval, as_of, judged_alone: _ } = other;
        facts.into_iter().for_each(|fact| self.note_fact(fact));
        self.held.extend(held);
        self.filter = self.filter.or(filter);
        self.approval = approval;
        self.as_of = self.as_of.max(as_of);
        self
    }

    /// Why every action of a class is held, if so.
    pub fn held(&self, class: HoldClass) -> Option<&str> {
        self.held.get(&class).map(String::as_str)
    }

    /// Why an action is held, if it is.
    pub fn reason_to_hold(&self, action: &PlannedAction) -> Option<String> {
        if self.approval.contains(&action.verb) {
            return Some(format!("guard.approval lists {}", action.verb.as_str()));
        }
        if let (Some(reason), Some(RemovalCause::OutOfScope), true) =
            (&self.filter, action.cause, action.verb.is_removal())
        {
            return Some(reason.clone());
        }
        self.held.get(&HoldClass::of(action)).cloned()
    }

    /// Lets an action through, or gives it back with the reason why it is held. `is_approved` says that a person
    /// released exactly this action for exactly this account.
    pub fn release(&self, mut action: PlannedAction, is_approved: bool) -> Result<Released, Box<HeldAction>> {
        if is_approved {
            return Ok(Released { approved: Approved(action, self.judged_alone), left_out: Vec::new() });
        }
        if let Some(reason) = self.reason_to_hold(&action) {
            return Err(Box::new(HeldAction { action, reason }));
        }
        let left_out = if action.verb == Verb::Adopt { self.trim_adoption(&mut action) } else { Vec::new() };
        Ok(Released { approved: Approved(action, self.judged_alone), left_out })
    }

    /// An adoption whose update or activation is held still stores the link.
    fn trim_adoption(&self, action: &mut PlannedAction) -> Vec<LeftOut> {
        let mut parts = Vec::new();
        let mut values = Vec::new();
        let waits = |verb| {
            let listed =
                self.approval.contains(&verb).then(|| format!("guard.approval lists {}", verb.as_str()));
            listed.or_else(|| self.held.get(&HoldClass::plain(verb)).cloned())
        };
        if let Some(reason) = waits(Verb::Update).filter(|_| rewrites(action)) {
            let kept = [AttributePath::external_id(), AttributePath::active()];
            values = action.changes.extract_if(.., |change| !kept.contains(&change.path)).collect();
            parts.push(LeftOut { verb: Verb::Update, reason, changes: values.clone() });
        }
        if let Some(reason) = waits(Verb::Reactivate).filter(|_| action.activate) {
            action.activate = false;
            let mut changes: Vec<Change> =
                action.changes.extract_if(.., |change| change.path == AttributePath::active()).collect();
            // A later activation writes the values too.
            changes.append(&mut values);
            parts.push(LeftOut { verb: Verb::Reactivate, reason, changes });
        }
        parts
    }
}

/// What a plan was judged by, to ask again at each write where another run of the sync has sent something since.
#[derive(Debug, Clone)]
pub struct Budget {
    /// `[sync.guard]`
    pub limits: config::Guard,
    /// The limits for unattended runs apply.
    pub unattended: bool,
    /// The journal's last entry that was counted.
    pub as_of: i64,
    /// When the decisions were read: what was held since is asked for again.
    pub as_of_number: OrderNumber,
}

impl Budget {
    /// Why one action has to wait now after all, if it has to.
    pub fn overrun(&self, action: &PlannedAction, ledger: &Ledger) -> Option<String> {
        let mut intent =
            Intent { unattended: self.unattended, already_sent: ledger.people.clone(), ..Intent::default() };
        intent.add(action);
        // Who was sent the same in the last hour does not count twice, and is judged all the same.
        let guard_report = judge(&intent, ledger, &self.limits);
        let parts: Vec<HoldClass> = match action.verb {
            Verb::Adopt => vec![HoldClass::plain(Verb::Update), HoldClass::plain(Verb::Reactivate)],
            Verb::Create | Verb::Update | Verb::Reactivate | Verb::Deactivate | Verb::Delete => {
                vec![HoldClass::of(action)]
            }
            Verb::Block | Verb::Skip => Vec::new(),
        };
        parts.into_iter().find_map(|class| guard_report.held(class)).map(str::to_owned)
    }
}

/// Judges a plan.
pub fn judge(intent: &Intent, ledger: &Ledger, limits: &config::Guard) -> GuardReport {
    judge_removals(intent, ledger, limits).and(judge_others(intent, ledger, limits))
}

/// Judges everything in a plan but its removals.
pub fn judge_others(intent: &Intent, ledger: &Ledger, limits: &config::Guard) -> GuardReport {
    let mut guard_report =
        GuardReport { approval: limits.approval.clone(), as_of: ledger.as_of, ..GuardReport::default() };
    let updates = intent.counts.updates + intent.gone_from_hold(HoldClass::plain(Verb::Update));
    let reasons = guard_report.note(vec![update_check(intent, updates, ledger, limits)]);
    guard_report.hold(&[HoldClass::plain(Verb::Update)], &reasons);
    let class = HoldClass::plain(Verb::Reactivate);
    let reasons = guard_report.note(vec![count_check(
        "max_reactivations",
        "reactivations",
        intent.counts.reactivations + intent.gone_from_hold(class),
        ledger.hour.reactivations,
        limits.max_reactivations,
    )]);
    guard_report.hold(&[class], &reasons);
    if intent.unattended {
        let class = HoldClass::plain(Verb::Create);
        let reasons = guard_report.note(vec![count_check(
            "max_creates",
            "creations",
            intent.counts.creates + intent.gone_from_hold(class),
            ledger.hour.creates,
            limits.max_creates,
        )]);
        guard_report.hold(&[class], &reasons);
    }
    guard_report
}

/// Removals in two kinds, one after the other: each with what was sent, and the second with the first where that goes.
/// Together they never exceed a limit.
pub fn judge_removals(intent: &Intent, ledger: &Ledger, limits: &config::Guard) -> GuardReport {
    let mut guard_report =
        GuardReport { approval: limits.approval.clone(), as_of: ledger.as_of, ..GuardReport::default() };
    let classes = |kind| [Verb::Deactivate, Verb::Delete].map(|verb| HoldClass { verb, kind: Some(kind) });
    let nobody = "nobody else is listed to compare with, so a removal needs approval";
    let terminated = intent.terminated + intent.gone_from_holds_of(RemovalKind::Terminated);
    let unassigned =
        intent.counts.removals - intent.terminated + intent.gone_from_holds_of(RemovalKind::Unassigned);
    let mut going = 0;
    for (kind, planned) in [(RemovalKind::Terminated, terminated), (RemovalKind::Unassigned, unassigned)] {
        let checks = removal_checks(planned, going, ledger, limits);
        let mut reasons = guard_report.note_kind(checks, kind == RemovalKind::Terminated && planned == 0);
        if planned > 0 && intent.nobody_to_compare {
            reasons.push(nobody.to_owned());
        }
        if reasons.is_empty() {
            going += planned;
        }
        guard_report.hold(&classes(kind), &reasons);
    }
    if !intent.scope_names_nobody_has.is_empty() {
        guard_report.filter = Some(format!(
            "scope.filter uses {}, which nobody has at the source: a renamed attribute would empty the workspace",
            intent.scope_names_nobody_has.join(", ")
        ));
    }
    guard_report
}

impl GuardReport {
    /// Notes the numbers; gives the first reason in full and the names of the others, which say the same in other
    /// words.
    fn note(&mut self, checks: Vec<Check>) -> Vec<String> {
        self.note_kind(checks, false)
    }

    /// The same for one kind of removals; the numbers of a kind of which nobody is planned say nothing.
    fn note_kind(&mut self, checks: Vec<Check>, is_silent: bool) -> Vec<String> {
        let mut first: Option<String> = None;
        let mut also: Vec<&str> = Vec::new();
        for Check { guard, limit, value, tripped, reason } in checks {
            if !is_silent {
                self.note_fact(GuardFact { guard: guard.to_owned(), limit: Some(limit), value, tripped });
            }
            match (tripped, &first) {
                (true, None) => first = Some(reason),
                (true, Some(_)) => also.push(guard),
                (false, _) => {}
            }
        }
        let also = if also.is_empty() { String::new() } else { format!(" (also over {})", also.join(", ")) };
        first.map(|reason| format!("{reason}{also}")).into_iter().collect()
    }

    /// One line for each guard: of two kinds of removals the one that trips, else the greater.
    fn note_fact(&mut self, fact: GuardFact) {
        match self.facts.iter_mut().find(|known| known.guard == fact.guard) {
            Some(known) if (fact.tripped, fact.value) >= (known.tripped, known.value) => *known = fact,
            Some(_) => {}
            None => self.facts.push(fact),
        }
    }

    fn hold(&mut self, classes: &[HoldClass], reasons: &[String]) {
        if !reasons.is_empty() {
            self.held.extend(classes.iter().map(|class| (*class, reasons.join("; "))));
        }
    }
}

#[cfg(test)]
mod tests;

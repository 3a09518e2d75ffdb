//! Guards: pure functions from a plan, the links and the last day's journal to what may go through.
//!
//! Counted over all triggers: what was sent in the last hour (and day) plus what this run would send. A limit trips
//! when it is strictly exceeded; what trips is held, the other classes go on; what was approved does not count.
//!
//! *Invariant*: [`Approved`] is made only by [`Judgement::release`].

use std::collections::BTreeMap;

use crate::config;
use crate::model::attributes::AttributePath;
use crate::model::plan::{Disposition, PlannedAction, Verb};
use crate::model::report::GuardFact;

/// At so few removals no percentage trips.
const FLOOR: u64 = 3;
/// Under so many accounts "more than half" stands in for the percentages, and updates are not limited.
const SMALL: u64 = 10;

/// An action that the guards let through. Cannot be deserialized.
#[derive(Debug)]
pub struct Approved(PlannedAction);

impl Approved {
    /// The action.
    pub fn action(&self) -> &PlannedAction {
        &self.0
    }

    /// The action, given up for its proof or its write.
    pub fn into_action(self) -> PlannedAction {
        self.0
    }
}

/// Writes sent in a span of time. An unknown outcome counts as sent; an approved write does not count.
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

/// What the journal and the links say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    /// In the last hour, over all triggers.
    pub hour: Sent,
    /// In the last 24 hours, over all triggers.
    pub day: Sent,
    /// Active linked accounts now.
    pub active_now: u64,
    /// The highest number of active linked accounts in the last 24 hours, now included.
    pub active_peak: u64,
    /// Links, active or not.
    pub links: u64,
    /// The journal's last entry that is counted here.
    pub as_of: i64,
}

/// What a run would send, and what speaks against its removals as a whole.
#[derive(Debug, Clone, Default)]
pub struct Intent {
    /// By class.
    pub counts: Sent,
    /// Adoptions.
    pub adoptions: u64,
    /// Updates and reactivations of linked accounts.
    pub plain: u64,
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
        let counts = &mut self.counts;
        match action.verb {
            Verb::Deactivate | Verb::Delete => counts.removals += 1,
            Verb::Update => {
                self.plain += 1;
                counts.updates += 1;
            }
            Verb::Reactivate => {
                self.plain += 1;
                counts.reactivations += 1;
            }
            Verb::Create => counts.creates += 1,
            Verb::Adopt => {
                self.adoptions += 1;
                counts.updates += u64::from(rewrites(action));
                counts.reactivations += u64::from(action.activate);
            }
            Verb::HoldBack | Verb::Skip => {}
        }
    }
}

impl Intent {
    /// Everything that would be sent and was not approved.
    pub fn total(&self) -> u64 {
        let Sent { removals, updates: _, reactivations: _, creates } = self.counts;
        removals + creates + self.adoptions + self.plain
    }
}

/// Whether an adoption changes more than `externalId`, which is only our own mark.
pub fn rewrites(action: &PlannedAction) -> bool {
    let ours = [AttributePath::external_id(), AttributePath::active()];
    action.changes.iter().any(|change| !ours.contains(&change.path))
}

/// An action that is held, with the reason.
#[derive(Debug)]
pub struct HeldAction {
    /// The action.
    pub action: PlannedAction,
    /// Why, with the numbers.
    pub reason: String,
}

/// An action that may go on, perhaps without a part of it.
#[derive(Debug)]
pub struct Released {
    /// What may go on.
    pub approved: Approved,
    /// The parts of an adoption that wait, with the reasons.
    pub left_out: Vec<(Verb, String)>,
}

/// The guards' verdict on one plan.
#[derive(Debug, Clone, Default)]
pub struct Judgement {
    facts: Vec<GuardFact>,
    held: BTreeMap<Verb, String>,
    approval: Vec<Verb>,
    as_of: i64,
}

impl Judgement {
    /// The numbers, for the report.
    pub fn facts(&self) -> &[GuardFact] {
        &self.facts
    }

    /// The journal's last entry that was counted.
    pub fn as_of(&self) -> i64 {
        self.as_of
    }

    /// Why every action of a class is held, if so.
    pub fn held(&self, verb: Verb) -> Option<&str> {
        self.held.get(&verb).map(String::as_str)
    }

    /// Lets an action through, or gives it back with the reason why it is held. `is_approved` says that a person
    /// released exactly this action for exactly this account.
    pub fn release(&self, mut action: PlannedAction, is_approved: bool) -> Result<Released, Box<HeldAction>> {
        if is_approved {
            return Ok(Released { approved: Approved(action), left_out: Vec::new() });
        }
        if self.approval.contains(&action.verb) {
            let reason = format!("guard.approval lists {}", action.verb.as_str());
            return Err(Box::new(HeldAction { action, reason }));
        }
        if let Some(reason) = self.held.get(&action.verb) {
            return Err(Box::new(HeldAction { action, reason: reason.clone() }));
        }
        let left_out = if action.verb == Verb::Adopt { self.trim_adoption(&mut action) } else { Vec::new() };
        Ok(Released { approved: Approved(action), left_out })
    }

    /// An adoption whose update or activation is held still stores the link.
    fn trim_adoption(&self, action: &mut PlannedAction) -> Vec<(Verb, String)> {
        let mut reasons = Vec::new();
        if let Some(reason) = self.held.get(&Verb::Update).filter(|_| rewrites(action)) {
            let kept = [AttributePath::external_id(), AttributePath::active()];
            action.changes.retain(|change| kept.contains(&change.path));
            reasons.push((Verb::Update, reason.clone()));
        }
        if let Some(reason) = self.held.get(&Verb::Reactivate).filter(|_| action.activate) {
            action.activate = false;
            action.changes.retain(|change| change.path != AttributePath::active());
            reasons.push((Verb::Reactivate, reason.clone()));
        }
        reasons
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
}

impl Budget {
    /// Why one action has to wait now after all, if it has to.
    pub fn overrun(&self, action: &PlannedAction, ledger: &Ledger) -> Option<String> {
        let mut intent = Intent { unattended: self.unattended, ..Intent::default() };
        intent.add(action);
        let judgement = judge(&intent, ledger, &self.limits);
        let parts: &[Verb] = match action.verb {
            Verb::Adopt => &[Verb::Update, Verb::Reactivate],
            Verb::Create => &[Verb::Create],
            Verb::Update => &[Verb::Update],
            Verb::Reactivate => &[Verb::Reactivate],
            Verb::Deactivate | Verb::Delete => &[Verb::Deactivate],
            Verb::HoldBack | Verb::Skip => &[],
        };
        parts.iter().find_map(|verb| judgement.held(*verb)).map(str::to_owned)
    }
}

/// One limit against one value.
struct Check {
    guard: &'static str,
    limit: f64,
    value: f64,
    tripped: bool,
    reason: String,
}

/// Judges a plan.
pub fn judge(intent: &Intent, ledger: &Ledger, limits: &config::Guard) -> Judgement {
    let mut judgement =
        Judgement { approval: limits.approval.clone(), as_of: ledger.as_of, ..Judgement::default() };
    let removals = removal_checks(intent, ledger, limits);
    let mut reasons = judgement.note(removals);
    if intent.counts.removals > 0 && !intent.scope_names_nobody_has.is_empty() {
        reasons.push(format!(
            "scope.filter uses {}, which nobody has at the source: a renamed attribute would empty the workspace",
            intent.scope_names_nobody_has.join(", ")
        ));
    }
    if intent.counts.removals > 0 && intent.nobody_to_compare {
        reasons.push("nobody else is listed to compare with, so a removal needs approval".to_owned());
    }
    judgement.hold(&[Verb::Deactivate, Verb::Delete], &reasons);
    let reasons = judgement.note(vec![update_check(intent, ledger, limits)]);
    judgement.hold(&[Verb::Update], &reasons);
    let reasons = judgement.note(vec![count_check(
        "max_reactivations",
        "reactivations",
        intent.counts.reactivations,
        ledger.hour.reactivations,
        limits.max_reactivations,
    )]);
    judgement.hold(&[Verb::Reactivate], &reasons);
    if intent.unattended {
        let reasons = judgement.note(vec![count_check(
            "max_creates",
            "creations",
            intent.counts.creates,
            ledger.hour.creates,
            limits.max_creates,
        )]);
        judgement.hold(&[Verb::Create], &reasons);
    }
    judgement
}

impl Judgement {
    /// Notes the numbers; gives the first reason in full and the names of the others, which say the same in other
    /// words.
    fn note(&mut self, checks: Vec<Check>) -> Vec<String> {
        let mut first: Option<String> = None;
        let mut also: Vec<&str> = Vec::new();
        for Check { guard, limit, value, tripped, reason } in checks {
            self.facts.push(GuardFact { guard: guard.to_owned(), limit: Some(limit), value, tripped });
            match (tripped, &first) {
                (true, None) => first = Some(reason),
                (true, Some(_)) => also.push(guard),
                (false, _) => {}
            }
        }
        let also = if also.is_empty() { String::new() } else { format!(" (also over {})", also.join(", ")) };
        first.map(|reason| format!("{reason}{also}")).into_iter().collect()
    }

    fn hold(&mut self, verbs: &[Verb], reasons: &[String]) {
        if !reasons.is_empty() {
            self.held.extend(verbs.iter().map(|verb| (*verb, reasons.join("; "))));
        }
    }
}

fn removal_checks(intent: &Intent, ledger: &Ledger, limits: &config::Guard) -> Vec<Check> {
    let planned = intent.counts.removals;
    let peak = ledger.active_peak;
    let hour = planned + ledger.hour.removals;
    let everybody = Check {
        guard: "everybody_would_go",
        limit: peak as f64,
        value: hour as f64,
        tripped: planned > 0 && peak >= 2 && hour >= peak,
        reason: format!(
            "everybody would go: {planned} planned and {} sent in the last hour, of {peak} active accounts",
            ledger.hour.removals
        ),
    };
    vec![
        everybody,
        count_check("max_removals", "removals", planned, ledger.hour.removals, limits.max_removals),
        share_check(
            "max_removals_percent",
            "hour",
            planned,
            ledger.hour.removals,
            peak,
            limits.max_removals_percent,
        ),
        share_check(
            "max_removals_percent_per_day",
            "24 hours",
            planned,
            ledger.day.removals,
            peak,
            limits.max_removals_percent_per_day,
        ),
    ]
}

/// A number in the hour.
fn count_check(guard: &'static str, what: &str, planned: u64, sent: u64, limit: u32) -> Check {
    let total = planned + sent;
    Check {
        guard,
        limit: f64::from(limit),
        value: total as f64,
        tripped: planned > 0 && total > u64::from(limit),
        reason: format!(
            "{planned} {what} planned and {sent} sent in the last hour are more than guard.{guard} = {limit}"
        ),
    }
}

/// A share of the highest number of active accounts in the last 24 hours. A small workspace has "more than half"
/// instead of the percentage, because 10 % of five people is nobody.
fn share_check(guard: &'static str, span: &str, planned: u64, sent: u64, peak: u64, percent: u8) -> Check {
    let total = planned + sent;
    let small = peak < SMALL;
    let (limit, tripped) = if small {
        (50.0, peak >= 2 && 2 * total > peak)
    } else {
        (f64::from(percent), total > FLOOR && 100 * total > u64::from(percent) * peak)
    };
    let limit_text = if small {
        format!("half of {peak} active accounts (guard.{guard} in a workspace under {SMALL})")
    } else {
        format!("guard.{guard} = {percent} % of {peak} active accounts")
    };
    Check {
        guard,
        limit,
        value: percent_of(total, peak),
        tripped: planned > 0 && tripped,
        reason: format!(
            "{planned} removals planned and {sent} sent in the last {span} are more than {limit_text}"
        ),
    }
}

fn update_check(intent: &Intent, ledger: &Ledger, limits: &config::Guard) -> Check {
    let (planned, sent) = (intent.counts.updates, ledger.hour.updates);
    let total = planned + sent;
    let base = ledger.links + intent.adoptions;
    let percent = limits.max_updates_percent;
    Check {
        guard: "max_updates_percent",
        limit: f64::from(percent),
        value: percent_of(total, base),
        tripped: planned > 0 && base >= SMALL && 100 * total > u64::from(percent) * base,
        reason: format!(
            "{planned} updates planned and {sent} sent in the last hour are more than guard.max_updates_percent = \
             {percent} % of {base} accounts: a mapping mistake rewrites everybody"
        ),
    }
}

/// One decimal, as reports show it.
fn percent_of(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (1000.0 * part as f64 / whole as f64).round() / 10.0 }
}

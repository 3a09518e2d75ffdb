//! What people decided beforehand: approvals, rejections, pauses, protection, open holds. Read anew for each pass.
//!
//! What lives here: what a decision makes of one planned action. What must not: limits (`core::guard`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::core::content::content_digest;
use crate::core::eligibility::{Eligibility, eligibility_digest};
use crate::core::guard::{HoldClass, OpenHold};
use crate::core::protection::Protection;
use crate::core::removal_cause::removal_cause;
use crate::core::situation::EligibilityKind;
use crate::engine::context::RunContext;
use crate::engine::error::RunError;
use crate::engine::gather::read_set::Candidate;
use crate::model::digest::{Digest, DigestKey};
use crate::model::id::SourceId;
use crate::model::link::Link;
use crate::model::order::OrderNumber;
use crate::model::owed::OwedClass;
use crate::model::plan::{Disposition, PlannedAction, RemovalCause, Verb};
use crate::model::time::Millis;
use crate::scim::target::Observe;
use crate::store::{Approvals, Pin};

/// The decisions that bind one pass.
#[derive(Debug)]
pub struct Decisions {
    approvals: Approvals,
    pins: HashMap<SourceId, Pin>,
    holds: BTreeMap<HoldClass, OpenHold>,
    /// Since when what is owed is owed.
    owed_since: HashMap<(SourceId, OwedClass), Millis>,
    paused_until: Option<Millis>,
    protection: Arc<Protection>,
    key: DigestKey,
    read: OrderNumber,
    /// A full run asks the guards about everybody who waits; another run leaves who waits in an open hold there.
    asks_holds: bool,
    now: Millis,
}

impl Decisions {
    /// Reads what holds now.
    pub async fn load<O: Observe>(
        context: &RunContext<'_, O>,
        anybody: bool,
        asks_holds: bool,
        now: Millis,
    ) -> Result<Decisions, RunError> {
        let sync = context.sync_name();
        let read = OrderNumber::next();
        // Where nobody needs a closer look, nothing is asked.
        let token_owner = if anybody { context.target.own_account().await } else { None };
        Ok(Decisions {
            approvals: context.snapshot.approvals(sync, now).await?,
            pins: context.snapshot.pins(sync).await?,
            holds: context.snapshot.waiting_by_class(sync, now).await?,
            owed_since: owed_since(context).await?,
            paused_until: context.snapshot.paused_until(sync, now).await?,
            protection: Arc::new(Protection::new(context.config.guard.protected.clone(), token_owner)),
            key: context.snapshot.digest_key(),
            read,
            asks_holds,
            now,
        })
    }

    /// What holds for the return of what a run did: pins do not bind it, and only approvals of this very return count.
    pub async fn of_return<O: Observe>(
        context: &RunContext<'_, O>,
        run: i64,
        now: Millis,
    ) -> Result<Decisions, RunError> {
        let sync = context.sync_name();
        let read = OrderNumber::next();
        let token_owner = context.target.own_account().await;
        Ok(Decisions {
            approvals: context.snapshot.approvals_of_return(sync, run, now).await?,
            pins: HashMap::new(),
            holds: BTreeMap::new(),
            owed_since: owed_since(context).await?,
            paused_until: context.snapshot.paused_until(sync, now).await?,
            protection: Arc::new(Protection::new(context.config.guard.protected.clone(), token_owner)),
            key: context.snapshot.digest_key(),
            read,
            asks_holds: true,
            now,
        })
    }

    /// Since when something is owed to a person, as it is on record.
    pub fn owed_since(&self, person: &SourceId, class: OwedClass) -> Option<Millis> {
        self.owed_since.get(&(person.clone(), class)).copied()
    }

    /// When this pass began to decide.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// The key of the digests that approvals and holds are compared by.
    pub fn key(&self) -> &DigestKey {
        &self.key
    }

    /// When these decisions were read.
    pub fn read(&self) -> OrderNumber {
        self.read
    }

    /// Whom nobody may touch; the door asks again.
    pub fn protection(&self) -> Arc<Protection> {
        Arc::clone(&self.protection)
    }

    /// The open holds that the guards of this run are asked about.
    pub fn holds_asked(&self) -> BTreeMap<HoldClass, OpenHold> {
        if self.asks_holds { self.holds.clone() } else { BTreeMap::new() }
    }

    /// Applies protection and a pause to an action that takes something back.
    pub fn apply_to_return(&self, action: PlannedAction, link: Option<&Link>) -> PlannedAction {
        if !action.verb.is_write() {
            return action;
        }
        match self.protects(&action, link) {
            Some(why) => skipped(action, why.to_owned()),
            None => self.paused(action),
        }
    }

    /// Whether somebody released exactly this content.
    pub fn is_approved(&self, action: &PlannedAction) -> bool {
        match self.approvals.get(&(action.source_id.clone(), action.verb)) {
            Some(Some(content)) => *content == content_digest(&self.key, action),
            Some(None) => true,
            None => false,
        }
    }

    /// Why the account must not be touched, if so.
    fn protects(&self, action: &PlannedAction, link: Option<&Link>) -> Option<&'static str> {
        let wanted = action.desired.as_ref().map(|desired| desired.user_name());
        let logins = [Some(action.user.as_str()), link.map(|link| link.user_name.as_str()), wanted];
        self.protection.reason(logins.into_iter().flatten(), action.target_id.as_ref())
    }

    /// Applies protection, rejections, open holds and a pause to an action; what is left is for the guards.
    pub fn apply(
        &self,
        mut action: PlannedAction,
        candidate: &Candidate,
        link: Option<&Link>,
    ) -> PlannedAction {
        if !action.verb.is_write() {
            return action;
        }
        action.source_digest = Some(self.digest(&candidate.eligibility));
        if let Some(why) = self.protects(&action, link) {
            return skipped(action, why.to_owned());
        }
        if let Some(pin) = self.pins.get(&action.source_id)
            && !self.is_stale(pin, &candidate.eligibility)
            && pin.verb.is_none_or(|verb| verb == action.verb || both_removals(verb, action.verb))
            && !self.is_approved(&action)
        {
            return skipped(action, format!("{}; not planned again until the source changes", pin.reason));
        }
        self.paused(self.waiting_in_hold(action))
    }

    /// A run of named people, and a saved plan, never send what waits in an open hold for that person.
    fn waiting_in_hold(&self, mut action: PlannedAction) -> PlannedAction {
        let class = HoldClass::of(&action);
        let waits = self.holds.get(&class).is_some_and(|hold| hold.people.contains(&action.source_id));
        if !self.asks_holds && waits && action.disposition == Disposition::Send {
            action.disposition =
                Disposition::Held("waits in an open hold: only an approval or a full run decides".to_owned());
        }
        action
    }

    fn paused(&self, mut action: PlannedAction) -> PlannedAction {
        if let (Some(until), Disposition::Send) = (self.paused_until, &action.disposition) {
            let until = if until == Millis::FOR_GOOD {
                "until resumed".to_owned()
            } else {
                format!("until {}", until.rfc3339())
            };
            action.disposition = Disposition::Paused(format!("paused {until}; `rosterd resume` ends it"));
        }
        action
    }

    /// Whether somebody is pinned.
    pub fn is_pinned(&self, person: &SourceId) -> bool {
        self.pins.contains_key(person)
    }

    /// Whether a pin on this person no longer holds because the source changed, or because its time is over.
    pub fn has_stale_pin(&self, candidate: &Candidate) -> bool {
        self.pins.get(&candidate.id).is_some_and(|pin| self.is_stale(pin, &candidate.eligibility))
    }

    /// The cause that a pin from before causes were stored takes from this look, if it has none and this shows one.
    pub fn cause_for_pin(&self, candidate: &Candidate) -> Option<RemovalCause> {
        let pin = self.pins.get(&candidate.id)?;
        let cause = leaving(&candidate.eligibility)?;
        // A pin of an undo binds any verb; one of `forget` without a standing binds the person, whatever the cause.
        let binds_removal = pin.verb.map_or(pin.digest.is_some(), Verb::is_removal);
        let binds_removal = binds_removal && !self.is_stale(pin, &candidate.eligibility);
        (pin.cause.is_none() && binds_removal && cause != RemovalCause::NotListed).then_some(cause)
    }

    /// A decision binds one cause: who was kept when unassigned is removed when terminated.
    fn is_stale(&self, pin: &Pin, eligibility: &Eligibility) -> bool {
        if pin.until.is_some_and(|until| until <= self.now) {
            return true;
        }
        match (pin.cause, leaving(eligibility)) {
            // Not listed is not yet a cause, and nobody who cannot be judged has changed.
            (_, Some(RemovalCause::NotListed)) => false,
            (Some(cause), Some(now)) => cause != now.bound_by_decision(),
            (Some(_), None) => !is_undecided(eligibility),
            (None, Some(_)) if pin.verb.is_some_and(Verb::is_removal) => false,
            (None, _) => pin.digest.is_some_and(|pinned| pinned != self.digest(eligibility)),
        }
    }

    /// Where a person stands at the source, as far as a decision about them goes. How it was found out that
    /// somebody left (a list, a point read) is not a change.
    fn digest(&self, eligibility: &Eligibility) -> Digest {
        digest_of(eligibility, &self.key)
    }
}

async fn owed_since<O: Observe>(
    context: &RunContext<'_, O>,
) -> Result<HashMap<(SourceId, OwedClass), Millis>, RunError> {
    let owed = context.snapshot.owed(context.sync_name()).await?;
    Ok(owed.into_iter().map(|change| ((change.source_id, change.class), change.since)).collect())
}

/// Why somebody of this standing leaves, if so.
fn leaving(eligibility: &Eligibility) -> Option<RemovalCause> {
    match eligibility {
        Eligibility::Leaver(_) | Eligibility::Suspended | Eligibility::OutOfScope => {
            Some(removal_cause(eligibility))
        }
        Eligibility::Qualifies(_)
        | Eligibility::Pending
        | Eligibility::Blocked(_)
        | Eligibility::Unknown(_) => None,
    }
}

fn is_undecided(eligibility: &Eligibility) -> bool {
    matches!(eligibility, Eligibility::Blocked(_) | Eligibility::Unknown(_))
}

fn both_removals(one: Verb, other: Verb) -> bool {
    one.is_removal() && other.is_removal()
}

/// A digest over where a person stands.
pub(crate) fn digest_of(eligibility: &Eligibility, key: &DigestKey) -> Digest {
    let desired = match eligibility {
        Eligibility::Qualifies(mapped) => Some(mapped.desired.digest),
        Eligibility::Pending
        | Eligibility::Suspended
        | Eligibility::Leaver(_)
        | Eligibility::OutOfScope
        | Eligibility::Blocked(_)
        | Eligibility::Unknown(_) => None,
    };
    eligibility_digest(key, EligibilityKind::from(eligibility), desired)
}

fn skipped(mut action: PlannedAction, reason: String) -> PlannedAction {
    action.kept_from = Some(action.verb);
    action.verb = Verb::Skip;
    action.reason = reason;
    action.changes.clear();
    action.disposition = Disposition::Nothing;
    action
}

//! What people decided beforehand: approvals, rejections, pauses, protection. Read anew for each pass.

use std::collections::{HashMap, HashSet};

use super::roster::Candidate;
use super::{Context, RunError};
use crate::core::protection::Protection;
use crate::core::situation::StandingKind;
use crate::core::standing::{Standing, standing_digest};
use crate::model::digest::{Digest, DigestKey};
use crate::model::id::SourceId;
use crate::model::link::Link;
use crate::model::plan::{Disposition, PlannedAction, RemovalCause, Verb};
use crate::model::time::Millis;
use crate::store::Pin;
use crate::target::Observe;

/// The decisions that bind one pass.
#[derive(Debug)]
pub struct Rulings {
    approvals: HashSet<(SourceId, Verb)>,
    pins: HashMap<SourceId, Pin>,
    paused_until: Option<Millis>,
    protection: Protection,
    key: DigestKey,
}

impl Rulings {
    /// Reads what holds now.
    pub async fn load<O: Observe>(
        context: &Context<'_, O>,
        anybody: bool,
        now: Millis,
    ) -> Result<Rulings, RunError> {
        let sync = context.sync_name();
        // Where nobody needs a closer look, nothing is asked.
        let token_owner = if anybody { context.target.own_account().await } else { None };
        Ok(Rulings {
            approvals: context.snapshot.approvals(sync, now).await?,
            pins: context.snapshot.pins(sync).await?,
            paused_until: context.snapshot.paused_until(sync, now).await?,
            protection: Protection::new(&context.config.guard.protected, token_owner),
            key: context.snapshot.digest_key(),
        })
    }

    /// What holds for the return of what a run did: pins do not bind it, and only approvals of this very return count.
    pub async fn of_return<O: Observe>(
        context: &Context<'_, O>,
        run: i64,
        now: Millis,
    ) -> Result<Rulings, RunError> {
        let sync = context.sync_name();
        Ok(Rulings {
            approvals: context.snapshot.approvals_of_return(sync, run, now).await?,
            pins: HashMap::new(),
            paused_until: context.snapshot.paused_until(sync, now).await?,
            protection: Protection::new(&context.config.guard.protected, context.target.own_account().await),
            key: context.snapshot.digest_key(),
        })
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

    /// Whether somebody released exactly this.
    pub fn is_approved(&self, action: &PlannedAction) -> bool {
        self.approvals.contains(&(action.source_id.clone(), action.verb))
    }

    /// Why the account must not be touched, if so. Asked when planning and again right before the write.
    pub fn protects(&self, action: &PlannedAction, link: Option<&Link>) -> Option<&'static str> {
        let wanted = action.desired.as_ref().map(|desired| desired.user_name());
        let logins = [Some(action.user.as_str()), link.map(|link| link.user_name.as_str()), wanted];
        self.protection.reason(logins.into_iter().flatten(), action.target_id.as_ref())
    }

    /// Applies protection, rejections and a pause to an action; what is left is for the guards.
    pub fn apply(
        &self,
        mut action: PlannedAction,
        candidate: &Candidate,
        link: Option<&Link>,
    ) -> PlannedAction {
        if !action.verb.is_write() {
            return action;
        }
        let digest = self.digest(&candidate.standing);
        action.source_digest = Some(digest);
        if let Some(why) = self.protects(&action, link) {
            return skipped(action, why.to_owned());
        }
        if let Some(pin) = self.pins.get(&action.source_id)
            && !self.is_stale(pin, digest)
            && pin.verb.is_none_or(|verb| verb == action.verb)
            && !self.is_approved(&action)
        {
            return skipped(action, format!("{}; not planned again until the source changes", pin.reason));
        }
        self.paused(action)
    }

    fn paused(&self, mut action: PlannedAction) -> PlannedAction {
        if let (Some(until), Disposition::Send) = (self.paused_until, &action.disposition) {
            let until = if until == Millis::FOR_GOOD {
                "until resumed".to_owned()
            } else {
                format!("until {}", until.rfc3339())
            };
            action.disposition = Disposition::Disabled(format!("paused {until}; `rosterd resume` ends it"));
        }
        action
    }

    /// Whether somebody is pinned whom the list leaves out. A list that is short must not end a pin, so that takes a
    /// look.
    pub fn is_pinned_and_not_listed(&self, candidate: &Candidate) -> bool {
        candidate.standing == Standing::Leaver(RemovalCause::NotListed)
            && self.pins.contains_key(&candidate.id)
    }

    /// Whether a pin on this person no longer holds because the source changed.
    pub fn has_stale_pin(&self, candidate: &Candidate) -> bool {
        self.pins.get(&candidate.id).is_some_and(|pin| self.is_stale(pin, self.digest(&candidate.standing)))
    }

    fn is_stale(&self, pin: &Pin, digest: Digest) -> bool {
        pin.digest.is_some_and(|pinned| pinned != digest)
    }

    /// Where a person stands at the source, as far as a decision about them goes. How it was found out that
    /// somebody left (a list, a point read) is not a change.
    fn digest(&self, standing: &Standing) -> Digest {
        digest_of(standing, &self.key)
    }
}

/// A digest over where a person stands.
pub(super) fn digest_of(standing: &Standing, key: &DigestKey) -> Digest {
    let desired = match standing {
        Standing::Qualifies(mapped) => Some(mapped.desired.digest),
        Standing::Pending
        | Standing::Suspended
        | Standing::Leaver(_)
        | Standing::OutOfScope
        | Standing::HeldBack(_) => None,
    };
    standing_digest(key, StandingKind::from(standing), desired)
}

fn skipped(mut action: PlannedAction, reason: String) -> PlannedAction {
    action.verb = Verb::Skip;
    action.reason = reason;
    action.changes.clear();
    action.disposition = Disposition::Nothing;
    action
}

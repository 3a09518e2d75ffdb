//! The door: the one transaction that every write to a workspace passes, whatever its verb and whoever asks.
//!
//! What lives here: the questions, in their order, and the token that only this transaction makes. What must not: the
//! limits themselves (`core::guard`), and how anything is sent.
//!
//! *Invariant*: [`Recorded`] has no other constructor than [`Store::pass_door`], and the methods of `Provision` take
//! nothing else. So no write can go round a question that is asked here.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Transaction, params};

use crate::core::guard::{Approved, Budget, rewrites};
use crate::core::proof::Proven;
use crate::core::protection::Protection;
use crate::model::link::Link;
use crate::model::plan::{PlannedAction, Verb};
use crate::model::time::Millis;
use crate::store::record::chain::{self, append};
use crate::store::record::intent::IntentId;
use crate::store::record::journal::ledger_in;
use crate::store::state::claims::{self, Claimed};
use crate::store::state::door_refusal::DoorRefusal;
use crate::store::state::holds::{approval_waits, consume_approval};
use crate::store::state::links::link_of;
use crate::store::state::pins::{decided_meanwhile, paused_until};
use crate::store::state::return_pins::pin_return;
use crate::store::{Store, StoreError, Tenure};

/// What the guards, and for a removal the proof, have let through: nothing else can ask to pass.
pub trait Permit: Send + 'static {
    /// What is to be sent.
    fn action(&self) -> &PlannedAction;

    /// Whether its plan did not count it, so that the limits are asked whoever sent something since.
    fn is_judged_alone(&self) -> bool {
        false
    }
}

impl Permit for Approved {
    fn action(&self) -> &PlannedAction {
        Approved::action(self)
    }

    fn is_judged_alone(&self) -> bool {
        Approved::is_judged_alone(self)
    }
}

impl Permit for Proven {
    fn action(&self) -> &PlannedAction {
        Proven::action(self)
    }
}

/// A write whose intent is on record, so that it may be sent: once, now.
#[derive(Debug)]
pub struct Recorded<T> {
    intent: IntentId,
    permit: T,
}

impl<T: Permit> Recorded<T> {
    /// Its place in the journal.
    pub fn intent(&self) -> IntentId {
        self.intent
    }

    /// What was let through.
    pub fn permit(&self) -> &T {
        &self.permit
    }

    /// What was let through, once the write is over.
    pub fn into_permit(self) -> T {
        self.permit
    }

    /// What is to be sent.
    pub fn action(&self) -> &PlannedAction {
        self.permit.action()
    }
}

/// What a write rests on beside its action.
#[derive(Debug, Clone)]
pub struct DoorTerms {
    /// The run it belongs to.
    pub run: i64,
    /// Now, by the wall clock.
    pub at: Millis,
    /// What the guards knew, to be asked again with what was sent meanwhile.
    pub budget: Budget,
    /// The people and accounts that are never touched.
    pub protection: Arc<Protection>,
    /// It goes only because somebody approved it: without that approval, for exactly this content, it is held.
    pub needs_approval: bool,
}

impl Store {
    /// Asks everything, and records the intent. The permit comes back where it is refused.
    pub async fn pass_door<T: Permit>(
        &self,
        tenure: &Tenure,
        permit: T,
        terms: DoorTerms,
    ) -> Result<Result<Recorded<T>, DoorRefusal>, StoreError> {
        let key = self.snapshot.digest_key();
        let (action, judged_alone) = (permit.action().clone(), permit.is_judged_alone());
        let passed = self
            .transact_as(tenure, move |transaction, tenure| {
                let mut action = action;
                action.observation = action.observation.in_epoch(tenure.epoch);
                match (Door { transaction, tenure, key: &key, terms: &terms, judged_alone }).pass(&action)? {
                    // Nothing that was changed while asking may stay.
                    Err(refusal) => Err(StoreError::Refused(refusal)),
                    Ok(intent) => Ok(intent),
                }
            })
            .await;
        match passed {
            Ok(intent) => Ok(Ok(Recorded { intent, permit })),
            Err(StoreError::Refused(refusal)) => Ok(Err(refusal)),
            Err(error) => Err(error),
        }
    }
}

struct Door<'a, 't> {
    transaction: &'a Transaction<'t>,
    tenure: &'a Tenure,
    key: &'a crate::model::digest::DigestKey,
    terms: &'a DoorTerms,
    judged_alone: bool,
}

type Asked = Result<(), DoorRefusal>;

impl Door<'_, '_> {
    /// The questions in their order; what only reads comes first.
    fn pass(&self, action: &PlannedAction) -> Result<Result<IntentId, DoorRefusal>, StoreError> {
        let link = link_of(self.transaction, &self.tenure.sync, &action.source_id)?;
        let questions = [
            self.is_paused()?,
            self.is_protected(action, link.as_ref()),
            self.is_decided_meanwhile(action)?,
            self.is_stale(action, link.as_ref())?,
            self.is_on_the_wire(action)?,
        ];
        if let Some(refusal) = questions.into_iter().find_map(Result::err) {
            return Ok(Err(refusal));
        }
        let approved_by = consume_approval(self.transaction, self.tenure, self.key, action, self.terms.run)?;
        if approved_by.is_none()
            && let Err(refusal) = self.is_within_limits(action)?
        {
            return Ok(Err(refusal));
        }
        if let Err(refusal) = self.has_seat(action)? {
            return Ok(Err(refusal));
        }
        let intent = self.record(action, approved_by.as_deref())?;
        match claims::claim(
            self.transaction,
            self.tenure,
            action,
            link.as_ref(),
            intent,
            approved_by.is_some(),
        )? {
            Claimed::Free => Ok(Ok(intent)),
            Claimed::TakenElsewhere(by) => Ok(Err(DoorRefusal::TakenElsewhere(by))),
        }
    }

    fn is_paused(&self) -> Result<Asked, StoreError> {
        let until = paused_until(self.transaction, &self.tenure.sync, self.terms.at)?;
        Ok(until.map_or(Ok(()), |until| Err(DoorRefusal::Paused(until))))
    }

    fn is_protected(&self, action: &PlannedAction, link: Option<&Link>) -> Asked {
        let wanted = action.desired.as_ref().map(|desired| desired.user_name());
        let logins = [Some(action.user.as_str()), link.map(|link| link.user_name.as_str()), wanted];
        match self.terms.protection.reason(logins.into_iter().flatten(), action.target_id.as_ref()) {
            Some(why) => Err(DoorRefusal::Protected(why.to_owned())),
            None => Ok(()),
        }
    }

    /// The person's newest look must be the one that this rests on, and the link must stand as planned.
    fn is_stale(&self, action: &PlannedAction, link: Option<&Link>) -> Result<Asked, StoreError> {
        let newest: Option<i64> = self
            .transaction
            .prepare_cached("SELECT observed_number FROM look WHERE sync = ?1 AND source_id = ?2")?
            .query_row(params![self.tenure.sync, action.source_id.as_str()], |row| row.get(0))
            .optional()?;
        let of_link = link.map_or(0, |link| link.observation.number.get());
        if newest.unwrap_or(0).max(of_link) > action.observation.number.get() {
            return Ok(Err(DoorRefusal::Stale(
                "a newer look at this person was acted on meanwhile".to_owned(),
            )));
        }
        let gone = link.is_some_and(|link| link.state.is_gone());
        let stands = match action.verb {
            Verb::Create | Verb::Adopt => link.is_none() || gone,
            Verb::Update | Verb::Reactivate | Verb::Deactivate | Verb::Delete => {
                link.is_some_and(|link| Some(&link.target_id) == action.target_id.as_ref())
            }
            Verb::Block | Verb::Skip => true,
        };
        Ok(match stands {
            true => Ok(()),
            false => Err(DoorRefusal::Stale("the link does not stand as planned any more".to_owned())),
        })
    }

    /// Only a request on the wire bars a removal; what nobody can tell of an earlier write bars everything else.
    fn is_on_the_wire(&self, action: &PlannedAction) -> Result<Asked, StoreError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT request_over OR journal.epoch <> ?3, coalesce(reason, '') FROM in_flight
             JOIN journal ON journal.seq = in_flight.intent
             WHERE in_flight.sync = ?1 AND in_flight.source_id = ?2 AND overtaken_at IS NULL",
        )?;
        let mut rows =
            statement.query(params![self.tenure.sync, action.source_id.as_str(), self.tenure.epoch])?;
        while let Some(row) = rows.next()? {
            let (over, reason): (bool, String) = (row.get(0)?, row.get(1)?);
            match (over, action.verb.is_removal()) {
                (false, _) => return Ok(Err(DoorRefusal::OnTheWire)),
                (true, false) => return Ok(Err(DoorRefusal::Unsettled(reason))),
                (true, true) => {}
            }
        }
        Ok(Ok(()))
    }

    fn is_decided_meanwhile(&self, action: &PlannedAction) -> Result<Asked, StoreError> {
        let decided = decided_meanwhile(self.transaction, self.tenure, action, self.terms.run)?;
        Ok(decided.map_or(Ok(()), |reason| Err(DoorRefusal::Decided(reason))))
    }

    /// The guards once more, with what other runs sent since they were asked; and never what waits in an open hold.
    fn is_within_limits(&self, action: &PlannedAction) -> Result<Asked, StoreError> {
        if self.terms.needs_approval {
            let why = "nobody approved exactly this".to_owned();
            return Ok(Err(DoorRefusal::Held(why)));
        }
        let budget = &self.terms.budget;
        // A run that only held something has sent nothing, and this person may wait in what it held.
        if let Some(reason) =
            approval_waits(self.transaction, &self.tenure.sync, action, budget.as_of_number)?
        {
            return Ok(Err(DoorRefusal::Held(reason)));
        }
        let others: bool = self
            .transaction
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM run WHERE sync = ?1 AND last_intent > ?2 AND id <> ?3)",
            )?
            .query_row(params![self.tenure.sync, budget.as_of, self.terms.run], |row| row.get(0))?;
        if !others && !self.judged_alone {
            return Ok(Ok(()));
        }
        let ledger = ledger_in(self.transaction, &self.tenure.sync, self.terms.at)?;
        Ok(match budget.overrun(action, &ledger) {
            Some(reason) => Err(DoorRefusal::Held(reason)),
            None => Ok(()),
        })
    }

    /// Overlapping runs keep the number of seats together: links that take one, and writes under way that will.
    fn has_seat(&self, action: &PlannedAction) -> Result<Asked, StoreError> {
        let takes_one = action.verb == Verb::Create && action.billable;
        let (Some(limit), true) = (self.terms.budget.limits.max_seats, takes_one) else { return Ok(Ok(())) };
        let taken: i64 = self.transaction.query_row(
            "SELECT (SELECT count(*) FROM link WHERE sync = ?1 AND billable AND state <> 'gone')
                  + (SELECT count(*) FROM in_flight JOIN journal ON journal.seq = in_flight.intent
                     WHERE in_flight.sync = ?1 AND journal.verb = 'create')",
            [&self.tenure.sync],
            |row| row.get(0),
        )?;
        Ok(if taken < i64::from(limit) {
            Ok(())
        } else {
            Err(DoorRefusal::NoSeat(format!(
                "guard.max_seats = {limit} and {taken} are taken (a deactivated account keeps its seat)"
            )))
        })
    }

    fn record(&self, action: &PlannedAction, approved_by: Option<&str>) -> Result<IntentId, StoreError> {
        let DoorTerms { run, at, .. } = self.terms;
        let payload = serde_json::to_string(action)?;
        let entry = chain::Entry {
            run: Some(*run),
            sync: Some(&self.tenure.sync),
            epoch: self.tenure.epoch,
            at: *at,
            kind: "intent",
            intent: None,
            verb: action.verb.as_str(),
            source_id: action.source_id.as_str(),
            outcome: None,
            approved: approved_by.is_some(),
            by: approved_by,
            rewrites: rewrites(action),
            activates: action.activate,
            payload: &payload,
        };
        let id = IntentId(append(self.transaction, self.key, &entry)?);
        self.transaction.execute(
            "INSERT INTO in_flight (intent, sync, source_id, sent_at) VALUES (?1, ?2, ?3, ?4)",
            params![id.0, self.tenure.sync, action.source_id.as_str(), at.0],
        )?;
        pin_return(self.transaction, self.tenure, action, *run, *at)?;
        self.transaction.execute("UPDATE run SET last_intent = ?2 WHERE id = ?1", params![run, id.0])?;
        Ok(id)
    }
}

#[cfg(test)]
mod tests;

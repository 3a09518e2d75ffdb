//! Applying: the hand that writes. An intent is committed before each request, its outcome after; what a reply
//! does not tell is settled by reading; nothing is said to be done that was not acknowledged.

use std::sync::Mutex;

use super::Context;
use super::hand::{Done, Hand, Stop, held_back, record};
use super::look::{Owner, climb_after_conflict, judge_hits};
use super::rulings::Rulings;
use super::settle::{Reading, read_back};
use crate::core::guard::Approved;
use crate::core::mapping::Mapped;
use crate::core::planner::{Decision, Match, Person, Policy, plan};
use crate::core::proof::Proven;
use crate::core::settlement::{Written, settle_state, settle_write};
use crate::core::standing::Standing;
use crate::model::account::Account;
use crate::model::id::TargetId;
use crate::model::link::{Link, LinkState};
use crate::model::plan::{DesiredAccount, Disposition, PlannedAction, Situation, Verb};
use crate::model::report::{ActionRecord, Outcome};
use crate::model::time::Millis;
use crate::store::{Intent, IntentId, LinkWrite, Settled, Settlement, Store, StoreError, Tenure};
use crate::target::{Acknowledgement, Observe, Provision, Refusal, RefusalClass, WriteOutcome};

/// The hand that writes.
pub struct WriteHand<'a, O, P> {
    context: &'a Context<'a, O>,
    store: &'a Store,
    tenure: &'a Tenure,
    provisioner: &'a P,
    rulings: &'a Rulings,
    run: i64,
    /// Set once the workspace said that no seat is left: the rest of the creations is not even sent.
    no_seat: Mutex<Option<String>>,
}

/// What is journaled and told about one write.
struct Ending {
    settled: Settled,
    outcome: Outcome,
    status: Option<u16>,
    detail: Option<String>,
    attempts: u32,
    link: LinkWrite,
    stop: Option<Stop>,
}

impl<'a, O: Observe, P: Provision> WriteHand<'a, O, P> {
    /// A hand for one run.
    pub fn new(
        context: &'a Context<'a, O>,
        store: &'a Store,
        tenure: &'a Tenure,
        provisioner: &'a P,
        rulings: &'a Rulings,
        run: i64,
    ) -> WriteHand<'a, O, P> {
        WriteHand { context, store, tenure, provisioner, rulings, run, no_seat: Mutex::new(None) }
    }

    /// Commits the intent; the error is the line of a person who must not be written now.
    async fn intend(&self, action: &PlannedAction, link: Option<&Link>) -> Result<IntentId, Box<Done>> {
        if let Some(why) = self.rulings.protects(action, link) {
            let line =
                ActionRecord { action: Verb::Skip, ..record(action, Outcome::Skipped, Some(why.to_owned())) };
            return Err(Box::new(Done::with(line)));
        }
        let intent = Intent { run: self.run, action: action.clone(), at: Millis::now() };
        match self.store.record_intent(self.tenure, intent).await {
            Ok(id) => Ok(id),
            Err(error @ StoreError::Stale) => {
                Err(Box::new(Done::with(record(action, Outcome::Deferred, Some(error.to_string())))))
            }
            Err(error) => Err(Box::new(Done {
                record: record(action, Outcome::Deferred, Some(error.to_string())),
                stop: Some(Stop::State(error.to_string())),
            })),
        }
    }

    /// Commits the outcome and makes the line.
    async fn end(&self, id: IntentId, mut line: ActionRecord, ending: Ending) -> Done {
        let Ending { settled, outcome, status, detail, attempts, link, mut stop } = ending;
        line.outcome = outcome;
        line.status = status;
        line.detail = detail.clone();
        line.attempts = attempts;
        if let LinkWrite::Put(link) = &link {
            line.target_id = Some(link.target_id.clone());
        }
        let settlement =
            Settlement { intent: id, settled, status, detail, attempts, link, at: Millis::now() };
        if let Err(error) = self.store.settle(self.tenure, settlement).await {
            // The target acted and we could not note it: the intent stays in flight and the next run settles it.
            line.detail = Some(error.to_string());
            line.outcome = Outcome::Failed;
            stop = Some(Stop::State(error.to_string()));
        }
        Done { record: line, stop }
    }

    /// An intent whose outcome nobody could tell stays in flight; the next run begins by settling it.
    fn unknown(
        &self,
        action: &PlannedAction,
        message: &str,
        status: Option<u16>,
        attempts: u32,
        stop: bool,
    ) -> Done {
        let detail = format!("{message}; the outcome is unknown and is settled before anything is repeated");
        let mut line = record(action, Outcome::Failed, Some(detail));
        line.status = status;
        line.attempts = attempts;
        Done { record: line, stop: stop.then(|| Stop::TargetUnavailable(message.to_owned())) }
    }

    async fn link_of(&self, action: &PlannedAction) -> Result<Option<Link>, StoreError> {
        self.store.snapshot().link(self.tenure.sync(), &action.source_id).await
    }

    /// The end of an acknowledged creation, adoption, update or reactivation.
    fn acknowledged(
        &self,
        action: &PlannedAction,
        link: Option<&Link>,
        target_id: &TargetId,
        ack: &Acknowledgement,
    ) -> Ending {
        let settled = settle_write(&Written {
            action,
            link,
            target_id,
            account: ack.account.as_ref(),
            refused: &ack.refused,
            now: Millis::now(),
        });
        let mut notes: Vec<String> = Vec::new();
        if !settled.ignored.is_empty() {
            let names: Vec<&str> = settled.ignored.iter().map(|path| path.as_str()).collect();
            notes.push(format!("ignored by the target: {}", names.join(", ")));
        }
        notes.extend(ack.refused.iter().map(|(path, why)| format!("refused by the target: {path}: {why}")));
        Ending {
            settled: Settled::Applied,
            outcome: Outcome::Applied,
            status: (ack.status != 0).then_some(ack.status),
            detail: (!notes.is_empty()).then(|| notes.join("; ")),
            attempts: ack.attempts,
            link: LinkWrite::Put(Box::new(settled.link)),
            stop: None,
        }
    }

    /// The end of a refusal that needs no second thought.
    fn refused(&self, action: &PlannedAction, refusal: &Refusal, link: Option<&Link>) -> Ending {
        let now = Millis::now();
        let (settled, outcome, stop, keeps) = match refusal.class {
            RefusalClass::Credentials | RefusalClass::Unreachable => (
                Settled::NotSent,
                Outcome::Deferred,
                Some(Stop::TargetUnavailable(refusal.detail.clone())),
                LinkWrite::Keep,
            ),
            RefusalClass::RateLimited => (Settled::NotSent, Outcome::Deferred, None, LinkWrite::Keep),
            RefusalClass::NoSeat => {
                let mut no_seat = self.no_seat.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                *no_seat = Some(refusal.detail.clone());
                (Settled::NotSent, Outcome::Held, None, LinkWrite::Keep)
            }
            RefusalClass::NotFound => {
                let gone = link.map(|link| settle_state(link, LinkState::Gone(now), action.observed_at));
                let write = gone.map_or(LinkWrite::Keep, |link| LinkWrite::Put(Box::new(link)));
                (Settled::NotSent, Outcome::Failed, None, write)
            }
            RefusalClass::Forbidden
            | RefusalClass::Permanent
            | RefusalClass::Conflict
            | RefusalClass::Invalid
            | RefusalClass::Server => (Settled::Refused, Outcome::Failed, None, LinkWrite::Keep),
        };
        let detail = match refusal.class {
            RefusalClass::NoSeat => format!("no seat: {}", refusal.detail),
            RefusalClass::NotFound => format!("the account is gone at the target: {}", refusal.detail),
            RefusalClass::Permanent => format!("the target never allows this: {}", refusal.detail),
            RefusalClass::Credentials
            | RefusalClass::Forbidden
            | RefusalClass::Conflict
            | RefusalClass::Invalid
            | RefusalClass::RateLimited
            | RefusalClass::Server
            | RefusalClass::Unreachable => refusal.detail.clone(),
        };
        Ending {
            settled,
            outcome,
            status: (refusal.status != 0).then_some(refusal.status),
            detail: Some(detail),
            attempts: refusal.attempts,
            link: keeps,
            stop,
        }
    }

    async fn create(&self, action: PlannedAction, desired: &DesiredAccount) -> Done {
        let held = self.no_seat.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if let Some(why) = held {
            return Done::with(record(&action, Outcome::Held, Some(format!("no seat: {why}"))));
        }
        let id = match self.intend(&action, None).await {
            Ok(id) => id,
            Err(done) => return *done,
        };
        match self.provisioner.create(desired).await {
            WriteOutcome::Applied(ack) => match ack.account.as_ref().map(|account| account.id.clone()) {
                Some(target_id) => {
                    let ending = self.acknowledged(&action, None, &target_id, &ack);
                    self.end(id, record(&action, Outcome::Applied, None), ending).await
                }
                None => {
                    self.settle_unknown(id, action, "no account came back", Some(ack.status), ack.attempts)
                        .await
                }
            },
            WriteOutcome::Refused(refusal) if refusal.class == RefusalClass::Conflict => {
                self.adopt_instead(id, action, desired, &refusal).await
            }
            WriteOutcome::Refused(refusal) => {
                let ending = self.refused(&action, &refusal, None);
                self.end(id, record(&action, Outcome::Failed, None), ending).await
            }
            WriteOutcome::Unknown { message, status, attempts } => {
                self.settle_unknown(id, action, &message, status, attempts).await
            }
        }
    }

    /// A 409 on a creation: look again and adopt where the ladder allows it; never a failure of the run.
    async fn adopt_instead(
        &self,
        id: IntentId,
        action: PlannedAction,
        desired: &DesiredAccount,
        refusal: &Refusal,
    ) -> Done {
        let ladder = &self.context.config.adopt.ladder;
        let found = match climb_after_conflict(self.context.target, ladder, desired).await {
            Ok(found) => found,
            Err(error) => {
                let ending = Ending {
                    detail: Some(format!("{}; looking it up failed: {error}", refusal.detail)),
                    ..self.refused(&action, refusal, None)
                };
                return self.end(id, record(&action, Outcome::Failed, None), ending).await;
            }
        };
        let mut owners = std::collections::HashMap::new();
        for account in found.iter().flat_map(|(_, accounts)| accounts) {
            let owner = self.context.snapshot.owner_of_account(&self.context.target_url, &account.id).await;
            if let Ok(Some((sync, link))) = owner {
                owners.insert(
                    account.id.clone(),
                    Owner::Living(format!("{} in sync \"{sync}\"", link.user_name)),
                );
            }
        }
        let hits = judge_hits(found, &owners);
        let reason = match &hits {
            Match::None => {
                "exists but not visible: the target refuses it as a duplicate and shows no such account"
            }
            Match::One { .. } => "created meanwhile",
            Match::Several(text) | Match::LinkedElsewhere(text) => text,
            Match::LinkedToGone { .. } => "linked to somebody who is gone",
        };
        let outcome = if matches!(hits, Match::One { .. }) { Settled::NotSent } else { Settled::Refused };
        let ending = Ending {
            settled: outcome,
            outcome: Outcome::Skipped,
            link: LinkWrite::Keep,
            stop: None,
            status: Some(refusal.status),
            detail: Some(refusal.detail.clone()),
            attempts: refusal.attempts,
        };
        let done = self.end(id, held_back(&action, reason.to_owned()), ending).await;
        if done.stop.is_some() || !matches!(hits, Match::One { .. }) {
            return done;
        }
        match self.replan_as_adoption(&action, desired, &hits) {
            Some(adoption) if adoption.disposition == Disposition::Send => {
                Box::pin(self.update(adoption)).await
            }
            Some(adoption) => {
                Done::with(record(&adoption, Outcome::Held, Some("adopt.mode = \"hold\"".to_owned())))
            }
            None => done,
        }
    }

    fn replan_as_adoption(
        &self,
        action: &PlannedAction,
        desired: &DesiredAccount,
        hits: &Match,
    ) -> Option<PlannedAction> {
        let mapped = Mapped { desired: desired.clone(), user_type: None, user_type_problem: None };
        let standing = Standing::Qualifies(Box::new(mapped));
        let person = Person {
            id: &action.source_id,
            user: &action.user,
            standing: &standing,
            link: None,
            hits,
            waits: None,
            observed_at: action.observed_at,
            assigned_at: action.assigned_at,
        };
        let policy = Policy {
            lifecycle: &self.context.config.lifecycle,
            adopt: &self.context.config.adopt,
            mapping: self.context.mapping,
        };
        match plan(&person, &policy, Millis::now()) {
            Decision::Act(adoption) if adoption.verb == Verb::Adopt => {
                Some(PlannedAction { billable: action.billable, situation: Situation::Found, ..*adoption })
            }
            Decision::Act(_) | Decision::Unchanged { .. } => None,
        }
    }

    /// Adoption, update, reactivation: one write to an account that exists; an adoption may need none.
    async fn update(&self, action: PlannedAction) -> Done {
        let Some(target_id) = action.target_id.clone() else {
            let why = "there is no account to write to".to_owned();
            return Done::with(record(&action, Outcome::Deferred, Some(why)));
        };
        let link = match self.link_of(&action).await {
            Ok(link) => link,
            Err(error) => {
                let stop = Some(Stop::State(error.to_string()));
                return Done { record: record(&action, Outcome::Deferred, Some(error.to_string())), stop };
            }
        };
        let id = match self.intend(&action, link.as_ref()).await {
            Ok(id) => id,
            Err(done) => return *done,
        };
        let attributes: Vec<_> = action
            .changes
            .iter()
            .filter(|change| change.path != crate::model::attributes::AttributePath::active())
            .cloned()
            .collect();
        let outcome = if attributes.is_empty() && !action.activate {
            let nothing = Acknowledgement { status: 0, account: None, refused: Vec::new(), attempts: 0 };
            WriteOutcome::Applied(nothing)
        } else {
            self.provisioner.update(&target_id, &attributes, action.activate).await
        };
        let line = record(&action, Outcome::Applied, None);
        match outcome {
            WriteOutcome::Applied(ack) => {
                let ending = self.acknowledged(&action, link.as_ref(), &target_id, &ack);
                self.end(id, line, ending).await
            }
            WriteOutcome::Refused(refusal) if !refusal.attributes.is_empty() => {
                let ending = self.refused_values(&action, link.as_ref(), &target_id, refusal);
                self.end(id, line, ending).await
            }
            WriteOutcome::Refused(refusal) => {
                let ending = self.refused(&action, &refusal, link.as_ref());
                self.end(id, line, ending).await
            }
            WriteOutcome::Unknown { message, status, attempts } => {
                self.settle_unknown(id, action, &message, status, attempts).await
            }
        }
    }

    /// The end of a write of which only values were refused, each of them optional: the values rest, the person
    /// did not fail, and an adoption stands without them.
    fn refused_values(
        &self,
        action: &PlannedAction,
        link: Option<&Link>,
        target_id: &TargetId,
        refusal: Refusal,
    ) -> Ending {
        let Refusal { class: _, status, detail: _, attempts, attributes } = refusal;
        let nothing = Acknowledgement { status, account: None, refused: attributes, attempts };
        let ending = self.acknowledged(action, link, target_id, &nothing);
        if action.verb == Verb::Adopt {
            return ending;
        }
        Ending { settled: Settled::NotSent, outcome: Outcome::Skipped, ..ending }
    }

    /// What a reply did not tell is read.
    async fn settle_unknown(
        &self,
        id: IntentId,
        action: PlannedAction,
        message: &str,
        status: Option<u16>,
        attempts: u32,
    ) -> Done {
        let link = match self.link_of(&action).await {
            Ok(link) => link,
            Err(_) => return self.unknown(&action, message, status, attempts, true),
        };
        let reading = read_back(self.context.target, &action).await;
        let line = record(&action, Outcome::Applied, None);
        match reading {
            Reading::Happened(account) => {
                let mut ending = self.happened(&action, link.as_ref(), account.as_ref(), status, attempts);
                ending.detail = Some(format!("{message}; reading it back shows it happened"));
                self.end(id, line, ending).await
            }
            Reading::DidNotHappen => {
                let ending = Ending {
                    settled: Settled::Refused,
                    outcome: Outcome::Failed,
                    status,
                    detail: Some(format!("{message}; reading it back shows it did not happen")),
                    attempts,
                    link: LinkWrite::Keep,
                    stop: None,
                };
                self.end(id, line, ending).await
            }
            Reading::CannotTell(why) => {
                self.unknown(&action, &format!("{message}; {why}"), status, attempts, true)
            }
        }
    }

    /// The end of a write that reading showed to have happened.
    fn happened(
        &self,
        action: &PlannedAction,
        link: Option<&Link>,
        account: Option<&Account>,
        status: Option<u16>,
        attempts: u32,
    ) -> Ending {
        super::settle::ending_of(action, link, account).map_or_else(
            || Ending {
                settled: Settled::Applied,
                outcome: Outcome::Applied,
                status,
                detail: None,
                attempts,
                link: LinkWrite::Keep,
                stop: None,
            },
            |link| Ending {
                settled: Settled::Applied,
                outcome: Outcome::Applied,
                status,
                detail: None,
                attempts,
                link,
                stop: None,
            },
        )
    }
}

impl<O: Observe, P: Provision> Hand for WriteHand<'_, O, P> {
    async fn remove(&self, proven: Proven, link: &Link) -> Done {
        let action = proven.action().clone();
        let now = Millis::now();
        if !proven.is_fresh(now) {
            let why = "the proof is older than two minutes".to_owned();
            return Done::with(record(&action, Outcome::Deferred, Some(why)));
        }
        let id = match self.intend(&action, Some(link)).await {
            Ok(id) => id,
            Err(done) => return *done,
        };
        let (outcome, after) = match action.verb {
            Verb::Delete => (self.provisioner.delete(&proven).await, LinkWrite::Remove),
            Verb::Deactivate
            | Verb::Update
            | Verb::Reactivate
            | Verb::Adopt
            | Verb::Create
            | Verb::HoldBack
            | Verb::Skip => {
                let settled = settle_state(link, LinkState::Deactivated(now), proven.proven_at());
                (self.provisioner.deactivate(&proven).await, LinkWrite::Put(Box::new(settled)))
            }
        };
        let line = record(&action, Outcome::Applied, None);
        match outcome {
            WriteOutcome::Applied(ack) => {
                let ending = Ending {
                    settled: Settled::Applied,
                    outcome: Outcome::Applied,
                    status: Some(ack.status),
                    detail: None,
                    attempts: ack.attempts,
                    link: after,
                    stop: None,
                };
                self.end(id, line, ending).await
            }
            // The account is not there any more: nobody has access by it, which is what was wanted.
            WriteOutcome::Refused(refusal) if refusal.class == RefusalClass::NotFound => {
                let gone = settle_state(link, LinkState::Gone(now), proven.proven_at());
                let ending = Ending {
                    settled: Settled::Applied,
                    outcome: Outcome::Applied,
                    detail: Some("the account was gone already".to_owned()),
                    link: LinkWrite::Put(Box::new(gone)),
                    ..self.refused(&action, &refusal, Some(link))
                };
                self.end(id, line, ending).await
            }
            WriteOutcome::Refused(refusal) => {
                let ending = self.refused(&action, &refusal, Some(link));
                self.end(id, line, ending).await
            }
            WriteOutcome::Unknown { message, status, attempts } => {
                self.settle_unknown(id, action, &message, status, attempts).await
            }
        }
    }

    async fn write(&self, approved: Approved) -> Done {
        let action = approved.into_action();
        match (action.verb, action.desired.clone()) {
            (Verb::Create, Some(desired)) => self.create(action, &desired).await,
            (Verb::Create, None) => {
                let why = "the plan holds no account to create".to_owned();
                Done::with(record(&action, Outcome::Failed, Some(why)))
            }
            (
                Verb::Adopt
                | Verb::Update
                | Verb::Reactivate
                | Verb::Deactivate
                | Verb::Delete
                | Verb::HoldBack
                | Verb::Skip,
                _,
            ) => self.update(action).await,
        }
    }
}

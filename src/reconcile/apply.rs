//! Applying: the hand that writes. An intent is committed before each request, its outcome after; what a reply
//! does not tell is settled by reading; nothing is said to be done that was not acknowledged.

use std::sync::Mutex;

use super::Context;
use super::hand::{Done, Hand, Stop, record};
use super::rulings::Rulings;
use super::settle::{Reading, read_back};
use crate::core::guard::{Approved, Budget};
use crate::core::proof::Proven;
use crate::core::settlement::{Written, settle_state, settle_write};
use crate::model::account::Account;
use crate::model::attributes::AttributePath;
use crate::model::id::TargetId;
use crate::model::link::{Link, LinkState};
use crate::model::plan::{DesiredAccount, PlannedAction, Verb};
use crate::model::report::{ActionRecord, Outcome};
use crate::model::time::Millis;
use crate::store::{Intent, IntentId, LinkWrite, Settled, Settlement, Store, StoreError, Tenure};
use crate::target::{Acknowledgement, Observe, Provision, Refusal, RefusalClass, WriteOutcome};

/// The hand that writes.
pub struct WriteHand<'a, O, P> {
    pub(super) context: &'a Context<'a, O>,
    store: &'a Store,
    tenure: &'a Tenure,
    provisioner: &'a P,
    rulings: &'a Rulings,
    run: i64,
    /// The journal's last entry that the guards counted.
    judged_as_of: i64,
    /// Set once the workspace said that no seat is left: the rest of the creations is not even sent.
    no_seat: Mutex<Option<String>>,
}

/// What is journaled and told about one write.
pub(super) struct Ending {
    pub settled: Settled,
    pub outcome: Outcome,
    pub status: Option<u16>,
    pub detail: Option<String>,
    pub attempts: u32,
    pub link: LinkWrite,
    pub stop: Option<Stop>,
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
        judged_as_of: i64,
    ) -> WriteHand<'a, O, P> {
        let no_seat = Mutex::new(None);
        WriteHand { context, store, tenure, provisioner, rulings, run, judged_as_of, no_seat }
    }

    /// Commits the intent; the error is the line of a person who must not be written now.
    async fn intend(&self, action: &PlannedAction, link: Option<&Link>) -> Result<IntentId, Box<Done>> {
        if let Some(why) = self.rulings.protects(action, link) {
            let line =
                ActionRecord { action: Verb::Skip, ..record(action, Outcome::Skipped, Some(why.to_owned())) };
            return Err(Box::new(Done::with(line)));
        }
        let budget = Budget {
            limits: self.context.config.guard.clone(),
            unattended: self.context.unattended,
            as_of: self.judged_as_of,
        };
        let intent =
            Intent { run: self.run, action: action.clone(), at: Millis::now(), budget: Some(budget) };
        match self.store.record_intent(self.tenure, intent).await {
            Ok(id) => Ok(id),
            // Whoever acted on the newer look answers for this person.
            Err(error @ StoreError::Stale) => {
                Err(Box::new(Done::with(record(action, Outcome::Skipped, Some(error.to_string())))))
            }
            Err(StoreError::Overrun(reason)) => Err(Box::new(Done::held(action, reason))),
            Err(error) => Err(Box::new(Done::stopping(
                record(action, Outcome::Deferred, Some(error.to_string())),
                Stop::State(error.to_string()),
            ))),
        }
    }

    /// Commits the outcome and makes the line.
    pub(super) async fn end(&self, id: IntentId, mut line: ActionRecord, ending: Ending) -> Done {
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
        Done { record: line, stop, held: None }
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
        let stop = stop.then(|| Stop::TargetUnavailable(message.to_owned()));
        Done { record: line, stop, held: None }
    }

    pub(super) async fn link_of(&self, action: &PlannedAction) -> Result<Option<Link>, StoreError> {
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
    pub(super) fn refused(&self, action: &PlannedAction, refusal: &Refusal, link: Option<&Link>) -> Ending {
        let now = Millis::now();
        let (settled, outcome, stop, keeps) = match refusal.class {
            RefusalClass::Credentials | RefusalClass::Unreachable => (
                Settled::NotSent,
                Outcome::Deferred,
                Some(Stop::TargetUnavailable(refusal.detail.clone())),
                LinkWrite::Keep,
            ),
            RefusalClass::RateLimited | RefusalClass::Expired => {
                (Settled::NotSent, Outcome::Deferred, None, LinkWrite::Keep)
            }
            RefusalClass::NoSeat => {
                let mut no_seat = self.no_seat.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                *no_seat = Some(refusal.detail.clone());
                (Settled::NotSent, Outcome::Held, None, LinkWrite::Keep)
            }
            RefusalClass::NotFound => {
                let gone = link.map(|link| settle_state(link, LinkState::Gone(now), action.observation));
                let write = gone.map_or(LinkWrite::Keep, |link| LinkWrite::Put(Box::new(link)));
                (Settled::NotSent, Outcome::Failed, None, write)
            }
            RefusalClass::Forbidden
            | RefusalClass::Permanent
            | RefusalClass::Conflict
            | RefusalClass::Invalid
            | RefusalClass::StillActive
            | RefusalClass::NotOffered
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
            | RefusalClass::Expired
            | RefusalClass::StillActive
            | RefusalClass::NotOffered
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

    /// Adoption, update, reactivation: one write to an account that exists; an adoption may need none.
    pub(super) async fn update(&self, action: PlannedAction) -> Done {
        let Some(target_id) = action.target_id.clone() else {
            let why = "there is no account to write to".to_owned();
            return Done::with(record(&action, Outcome::Deferred, Some(why)));
        };
        let link = match self.link_of(&action).await {
            Ok(link) => link,
            Err(error) => {
                let line = record(&action, Outcome::Deferred, Some(error.to_string()));
                return Done::stopping(line, Stop::State(error.to_string()));
            }
        };
        let id = match self.intend(&action, link.as_ref()).await {
            Ok(id) => id,
            Err(done) => return *done,
        };
        let attributes: Vec<_> =
            action.changes.iter().filter(|change| change.path != AttributePath::active()).cloned().collect();
        let outcome = if attributes.is_empty() && !action.activate {
            let nothing =
                Acknowledgement { status: 0, account: None, refused: Vec::new(), attempts: 0, seen: true };
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
        let nothing = Acknowledgement { status, account: None, refused: attributes, attempts, seen: true };
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
        if proven.values().is_empty() {
            self.take_access(proven, link).await
        } else {
            self.return_and_deactivate(proven, link).await
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

impl<O: Observe, P: Provision> WriteHand<'_, O, P> {
    /// Deactivates or deletes what was proven.
    pub(super) async fn take_access(&self, proven: Proven, link: &Link) -> Done {
        let told = proven.action();
        let mut action = told.clone();
        // Values that go back have an intent of their own.
        action.changes.retain(|change| change.path == AttributePath::active());
        let now = Millis::now();
        if !proven.is_fresh(now) {
            let why = "the proof is older than two minutes".to_owned();
            return Done::with(record(told, Outcome::Deferred, Some(why)));
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
                let settled = settle_state(link, LinkState::Deactivated(now), proven.observation());
                (self.provisioner.deactivate(&proven).await, LinkWrite::Put(Box::new(settled)))
            }
        };
        let line = record(told, Outcome::Applied, None);
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
                let gone = settle_state(link, LinkState::Gone(now), proven.observation());
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
}

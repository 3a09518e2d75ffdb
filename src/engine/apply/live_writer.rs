//! Applying: the hand that writes. Each write passes the door, is sent, and its outcome is recorded; what a reply does not
//! tell is settled by reading; nothing is said to be done that was not acknowledged.
//!
//! What lives here: one write from the door to its line. What must not: what a refusal means (`refusal`), removals
//! (`removal`), a 409 (`conflict`).

use std::sync::Mutex;

use crate::core::guard::{Approved, Budget};
use crate::core::proof::Proven;
use crate::core::settlement::{AcknowledgedWrite, settle_write};
use crate::engine::apply::class_stops::ClassStops;
use crate::engine::apply::recover::{Reading, may_come_late, read_back};
use crate::engine::apply::writer::{ActionResult, StopReason, Writer, blocked, record};
use crate::engine::context::RunContext;
use crate::engine::plan::decisions::Decisions;
use crate::model::account::Account;
use crate::model::attributes::AttributePath;
use crate::model::id::TargetId;
use crate::model::link::Link;
use crate::model::owed::WaitsFor;
use crate::model::plan::{PlannedAction, Situation, Verb};
use crate::model::report::{ActionRecord, Outcome};
use crate::model::time::Millis;
use crate::scim::target::{Acknowledgement, Observe, Provision, Refusal, RefusalClass, WriteOutcome};
use crate::store::{
    DoorRefusal, DoorTerms, IntentId, IntentOutcome, IntentSettlement, LinkOutcome, LinkWrite, Permit,
    Recorded, Store, StoreError, Tenure,
};

/// The hand that writes.
pub struct LiveWriter<'a, O, P> {
    pub(crate) context: &'a RunContext<'a, O>,
    pub(crate) store: &'a Store,
    pub(crate) tenure: &'a Tenure,
    pub(crate) provisioner: &'a P,
    pub(crate) decisions: &'a Decisions,
    run: i64,
    /// The journal's last entry that the guards counted.
    judged_as_of: i64,
    /// Set once the workspace said that no seat is left: the rest of the creations is not even sent.
    pub(crate) no_seat: Mutex<Option<String>>,
    pub(crate) stops: ClassStops,
}

/// What is journaled and told about one write.
pub(crate) struct WriteResult {
    pub settled: IntentOutcome,
    pub outcome: Outcome,
    pub status: Option<u16>,
    pub detail: Option<String>,
    pub attempts: u32,
    pub link: LinkWrite,
    pub stop: Option<StopReason>,
    pub waits_for: Option<WaitsFor>,
}

impl WriteResult {
    /// The end of an acknowledged write.
    pub(crate) fn applied(status: Option<u16>, attempts: u32, link: LinkWrite) -> WriteResult {
        WriteResult {
            settled: IntentOutcome::Applied,
            outcome: Outcome::Applied,
            status,
            detail: None,
            attempts,
            link,
            stop: None,
            waits_for: None,
        }
    }

    /// The end of a write that the workspace refused, so that nothing happened; the link stays as it is.
    pub(crate) fn not_sent(
        refusal: &Refusal,
        outcome: Outcome,
        waits_for: WaitsFor,
        detail: String,
    ) -> WriteResult {
        WriteResult {
            settled: IntentOutcome::NotSent,
            outcome,
            detail: Some(detail),
            waits_for: Some(waits_for),
            ..WriteResult::applied(
                (refusal.status != 0).then_some(refusal.status),
                refusal.attempts,
                LinkWrite::Keep,
            )
        }
    }
}

impl<'a, O: Observe, P: Provision> LiveWriter<'a, O, P> {
    /// A hand for one run.
    pub fn new(
        context: &'a RunContext<'a, O>,
        store: &'a Store,
        tenure: &'a Tenure,
        provisioner: &'a P,
        decisions: &'a Decisions,
        run: i64,
        judged_as_of: i64,
    ) -> LiveWriter<'a, O, P> {
        let (no_seat, stops) = (Mutex::new(None), ClassStops::default());
        LiveWriter { context, store, tenure, provisioner, decisions, run, judged_as_of, no_seat, stops }
    }

    /// Passes the door; the error is the line of a person who must not be written now.
    pub(crate) async fn pass_door<T: Permit>(
        &self,
        permit: T,
        needs_approval: bool,
    ) -> Result<Recorded<T>, Box<ActionResult>> {
        let action = permit.action().clone();
        if let Some(done) = self.stops.turn_away(&action) {
            return Err(Box::new(done));
        }
        let terms = DoorTerms {
            run: self.run,
            at: Millis::now(),
            budget: Budget {
                limits: self.context.config.guard.clone(),
                unattended: self.context.unattended,
                as_of: self.judged_as_of,
                as_of_number: self.decisions.read().in_epoch(self.tenure.epoch()),
            },
            protection: self.decisions.protection(),
            needs_approval,
        };
        match self.store.pass_door(self.tenure, permit, terms).await {
            Ok(Ok(recorded)) => Ok(recorded),
            Ok(Err(refusal)) => Err(Box::new(self.turned_away(&action, refusal))),
            Err(error) => Err(Box::new(ActionResult::stopping(
                record(&action, Outcome::Deferred, Some(error.to_string())),
                StopReason::State(error.to_string()),
            ))),
        }
    }

    /// The line of a write that the door did not let through.
    fn turned_away(&self, action: &PlannedAction, refusal: DoorRefusal) -> ActionResult {
        let deferred = |waits, why: String| ActionResult::waiting(action, Outcome::Deferred, waits, why);
        match refusal {
            DoorRefusal::Stale(why) => deferred(WaitsFor::Retry, why),
            DoorRefusal::OnTheWire => {
                deferred(WaitsFor::Retry, "another request about this person is under way".to_owned())
            }
            DoorRefusal::Unsettled(why) => deferred(
                WaitsFor::Unsettled,
                format!("nobody can tell yet what became of an earlier write: {why}"),
            ),
            DoorRefusal::Paused(until) => {
                let until = if until == Millis::FOR_GOOD {
                    "until resumed".to_owned()
                } else {
                    format!("until {}", until.rfc3339())
                };
                let why = format!("paused {until}; `rosterd resume` ends it");
                ActionResult::waiting(action, Outcome::Disabled, WaitsFor::Pause, why)
            }
            DoorRefusal::Protected(why) | DoorRefusal::Decided(why) => {
                let done = ActionResult::waiting(action, Outcome::Skipped, WaitsFor::Decision, why);
                ActionResult { record: ActionRecord { action: Verb::Skip, ..done.record }, ..done }
            }
            DoorRefusal::TakenElsewhere(why) => {
                let line = blocked(action, format!("taken elsewhere: {why}"));
                ActionResult::with(ActionRecord { situation: Situation::TakenElsewhere, ..line })
            }
            DoorRefusal::Held(why) => ActionResult::held(action, why, self.decisions.key()),
            DoorRefusal::NoSeat(why) => {
                ActionResult::waiting(action, Outcome::Held, WaitsFor::Seat, format!("no seat: {why}"))
            }
        }
    }

    /// Commits the outcome and makes the line.
    pub(crate) async fn end(
        &self,
        id: IntentId,
        mut line: ActionRecord,
        ending: WriteResult,
    ) -> ActionResult {
        let WriteResult { settled, outcome, status, detail, attempts, link, mut stop, waits_for } = ending;
        line.outcome = outcome;
        line.status = status;
        line.detail = detail.clone();
        line.attempts = attempts;
        line.waits_for = waits_for;
        if let LinkWrite::Put(link) = &link {
            line.target_id = Some(link.target_id.clone());
        }
        let settlement =
            IntentSettlement { intent: id, settled, status, detail, attempts, link, at: Millis::now() };
        match self.store.settle(self.tenure, settlement).await {
            Ok(LinkOutcome::Stored) => {}
            Ok(LinkOutcome::TakenElsewhere(owner)) => {
                line.action = Verb::Block;
                line.situation = Situation::TakenElsewhere;
                line.outcome = Outcome::Skipped;
                line.reason = format!("taken elsewhere: the account is linked to {owner}");
                line.waits_for = None;
            }
            Err(error) => {
                // The target acted and we could not note it: the intent stays in flight and is settled by reading.
                line.detail = Some(error.to_string());
                line.outcome = Outcome::Failed;
                line.waits_for = Some(WaitsFor::Unsettled);
                stop = Some(StopReason::State(error.to_string()));
            }
        }
        let attempted = matches!(line.outcome, Outcome::Failed);
        ActionResult { stop, attempted, ..ActionResult::with(line) }
    }

    /// An intent whose outcome nobody could tell: its own tries from now on, and nobody else's run.
    pub(crate) async fn leave_unsettled(
        &self,
        id: IntentId,
        action: &PlannedAction,
        message: &str,
        status: Option<u16>,
        attempts: u32,
    ) -> ActionResult {
        let detail = format!("{message}; the outcome is unknown and is settled before anything is repeated");
        let now = Millis::now();
        let since = may_come_late(action, status).then_some(now);
        let left = self.store.leave_unsettled(self.tenure, id, message.to_owned(), since, now).await;
        let mut line = record(action, Outcome::Failed, Some(detail));
        line.status = status;
        line.attempts = attempts;
        line.waits_for = Some(WaitsFor::Unsettled);
        match left {
            Ok(()) => ActionResult { attempted: true, ..ActionResult::with(line) },
            Err(error) => ActionResult::stopping(line, StopReason::State(error.to_string())),
        }
    }

    pub(crate) async fn link_of(&self, action: &PlannedAction) -> Result<Option<Link>, StoreError> {
        self.store.snapshot().link(self.tenure.sync(), &action.source_id).await
    }

    /// The end of an acknowledged creation, adoption, update or reactivation.
    pub(crate) fn acknowledged(
        &self,
        action: &PlannedAction,
        link: Option<&Link>,
        target_id: &TargetId,
        ack: &Acknowledgement,
    ) -> WriteResult {
        let settled = settle_write(&AcknowledgedWrite {
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
        WriteResult {
            detail: (!notes.is_empty()).then(|| notes.join("; ")),
            ..WriteResult::applied(
                (ack.status != 0).then_some(ack.status),
                ack.attempts,
                LinkWrite::Put(Box::new(settled.link)),
            )
        }
    }

    async fn create(&self, approved: Approved, is_approved: bool) -> ActionResult {
        let held = self.no_seat.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if let Some(why) = held {
            let why = format!("no seat: {why}");
            return ActionResult::waiting(Approved::action(&approved), Outcome::Held, WaitsFor::Seat, why);
        }
        let recorded = match self.pass_door(approved, is_approved).await {
            Ok(recorded) => recorded,
            Err(done) => return *done,
        };
        let (id, action) = (recorded.intent(), recorded.action().clone());
        match self.provisioner.create(&recorded).await {
            WriteOutcome::Applied(ack) => match ack.account.as_ref().map(|account| account.id.clone()) {
                Some(target_id) => {
                    self.stops.accepted(&action);
                    let ending = self.acknowledged(&action, None, &target_id, &ack);
                    self.end(id, record(&action, Outcome::Applied, None), ending).await
                }
                None => {
                    self.settle_unknown(id, action, "no account came back", Some(ack.status), ack.attempts)
                        .await
                }
            },
            WriteOutcome::Refused(refusal) if refusal.class == RefusalClass::Conflict => {
                self.adopt_instead(id, action, &refusal).await
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
    pub(crate) async fn update(&self, approved: Approved, is_approved: bool) -> ActionResult {
        let planned = Approved::action(&approved);
        if planned.target_id.is_none() {
            let why = "there is no account to write to".to_owned();
            return ActionResult::waiting(planned, Outcome::Deferred, WaitsFor::Retry, why);
        }
        let recorded = match self.pass_door(approved, is_approved).await {
            Ok(recorded) => recorded,
            Err(done) => return *done,
        };
        let (id, action) = (recorded.intent(), recorded.action().clone());
        let Some(target_id) = action.target_id.clone() else {
            return ActionResult::with(record(&action, Outcome::Deferred, None));
        };
        // Read after the door: an approved succession has moved the link.
        let link = match self.link_of(&action).await {
            Ok(link) => link,
            Err(error) => {
                let line = record(&action, Outcome::Deferred, Some(error.to_string()));
                return ActionResult::stopping(line, StopReason::State(error.to_string()));
            }
        };
        let sends =
            action.activate || action.changes.iter().any(|change| change.path != AttributePath::active());
        let outcome = if sends {
            self.provisioner.update(&recorded).await
        } else {
            WriteOutcome::Applied(nothing_sent(0, 0))
        };
        let line = record(&action, Outcome::Applied, None);
        match outcome {
            WriteOutcome::Applied(ack) => {
                self.stops.accepted(&action);
                let ending = self.acknowledged(&action, link.as_ref(), &target_id, &ack);
                self.end(id, line, ending).await
            }
            WriteOutcome::Refused(refusal) if !refusal.attributes.is_empty() => {
                let ack = Acknowledgement {
                    refused: refusal.attributes,
                    ..nothing_sent(refusal.status, refusal.attempts)
                };
                let ending = self.acknowledged(&action, link.as_ref(), &target_id, &ack);
                // Only values were refused, each of them optional: they rest, the person did not fail, and an adoption
                // stands without them.
                let ending = match action.verb {
                    Verb::Adopt => ending,
                    Verb::Update
                    | Verb::Reactivate
                    | Verb::Create
                    | Verb::Deactivate
                    | Verb::Delete
                    | Verb::Block
                    | Verb::Skip => {
                        WriteResult { settled: IntentOutcome::NotSent, outcome: Outcome::Skipped, ..ending }
                    }
                };
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

    /// What a reply did not tell is read.
    pub(crate) async fn settle_unknown(
        &self,
        id: IntentId,
        action: PlannedAction,
        message: &str,
        status: Option<u16>,
        attempts: u32,
    ) -> ActionResult {
        let link = match self.link_of(&action).await {
            Ok(link) => link,
            Err(_) => return self.leave_unsettled(id, &action, message, status, attempts).await,
        };
        let line = record(&action, Outcome::Applied, None);
        match read_back(self.context.target, &action).await {
            Reading::Happened(account) => {
                let mut ending = happened(&action, link.as_ref(), account.as_ref(), status, attempts);
                ending.detail = Some(format!("{message}; reading it back shows it happened"));
                self.end(id, line, ending).await
            }
            Reading::Unseen => {
                let why = format!("{message}; the workspace does not show whether the account is active");
                self.leave_unsettled(id, &action, &why, status, attempts).await
            }
            Reading::DidNotHappen if may_come_late(&action, status) => {
                let why = format!("{message}; reading it back does not show it yet");
                self.leave_unsettled(id, &action, &why, status, attempts).await
            }
            Reading::DidNotHappen => {
                let ending = WriteResult {
                    settled: IntentOutcome::Refused,
                    outcome: Outcome::Failed,
                    detail: Some(format!("{message}; reading it back shows it did not happen")),
                    waits_for: Some(WaitsFor::Retry),
                    ..WriteResult::applied(status, attempts, LinkWrite::Keep)
                };
                self.end(id, line, ending).await
            }
            Reading::Nothing(why) | Reading::CannotTell(why) => {
                self.leave_unsettled(id, &action, &format!("{message}; {why}"), status, attempts).await
            }
        }
    }
}

fn nothing_sent(status: u16, attempts: u32) -> Acknowledgement {
    Acknowledgement { status, account: None, refused: Vec::new(), attempts, seen: true }
}

/// The end of a write that reading showed to have happened.
fn happened(
    action: &PlannedAction,
    link: Option<&Link>,
    account: Option<&Account>,
    status: Option<u16>,
    attempts: u32,
) -> WriteResult {
    let link = crate::engine::apply::recover::ending_of(action, link, account).unwrap_or(LinkWrite::Keep);
    WriteResult::applied(status, attempts, link)
}

impl<O: Observe, P: Provision> Writer for LiveWriter<'_, O, P> {
    fn begin_refused_before(&self) {
        self.stops.begin_refused_before();
    }

    async fn remove(&self, proven: Proven, link: &Link, is_approved: bool) -> ActionResult {
        match proven.values() {
            None => self.take_access(proven, link, is_approved).await,
            Some(values) => self.return_and_deactivate(values, proven, link, is_approved).await,
        }
    }

    async fn write(&self, approved: Approved, is_approved: bool) -> ActionResult {
        match Approved::action(&approved).verb {
            Verb::Create => self.create(approved, is_approved).await,
            Verb::Adopt
            | Verb::Update
            | Verb::Reactivate
            | Verb::Deactivate
            | Verb::Delete
            | Verb::Block
            | Verb::Skip => self.update(approved, is_approved).await,
        }
    }
}

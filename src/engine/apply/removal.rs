//! Removals as they are sent: deactivation or deletion of what was proven, and the question that a 404 is.
//!
//! What lives here: taking access away and what follows for the link. What must not: whether it is right (`prove`).

use crate::core::guard::Approved;
use crate::core::proof::Proven;
use crate::core::settlement::settle_state;
use crate::engine::apply::live_writer::{LiveWriter, WriteResult};
use crate::engine::apply::recover::{Reading, read_back};
use crate::engine::apply::writer::{ActionResult, record};
use crate::http::Lane;
use crate::model::account::Account;
use crate::model::id::Vendor;
use crate::model::link::{Link, LinkState};
use crate::model::owed::WaitsFor;
use crate::model::plan::{DeletionBarrier, PlannedAction, Verb};
use crate::model::report::{ActionRecord, Outcome};
use crate::model::time::Millis;
use crate::scim::target::{Criterion, Observe, Provision, Refusal, RefusalClass, TargetError, WriteOutcome};
use crate::store::{IntentId, LinkWrite, Recorded};

/// Whether a leaver's account that answers 404 was made anew.
enum MadeAnew {
    /// Nobody has the person's mark or login.
    Nobody,
    /// An account bears the person's mark.
    ByMark(Box<Account>),
    /// An account has the login, and no mark says whose it is.
    ByLogin(Box<Account>),
    /// The workspace did not tell.
    CannotTell(String),
}

impl<O: Observe, P: Provision> LiveWriter<'_, O, P> {
    /// Deactivates or deletes what was proven.
    pub(crate) async fn take_access(&self, proven: Proven, link: &Link, is_approved: bool) -> ActionResult {
        let whole = proven.action().clone();
        if !proven.is_fresh(Millis::now()) {
            let why = "the proof is older than two minutes".to_owned();
            return ActionResult::waiting(&whole, Outcome::Deferred, WaitsFor::Proof, why);
        }
        // Values that go back have an intent of their own.
        let recorded = match self.pass_door(proven.without_values(), is_approved).await {
            Ok(recorded) => recorded,
            Err(done) => return *done,
        };
        let outcome = match recorded.action().verb {
            Verb::Delete => self.provisioner.delete(&recorded).await,
            Verb::Deactivate
            | Verb::Update
            | Verb::Reactivate
            | Verb::Adopt
            | Verb::Create
            | Verb::Block
            | Verb::Skip => self.provisioner.deactivate(&recorded).await,
        };
        self.end_removal(recorded, (&whole, link), is_approved, outcome).await
    }

    async fn end_removal(
        &self,
        recorded: Recorded<Proven>,
        (whole, link): (&PlannedAction, &Link),
        is_approved: bool,
        outcome: WriteOutcome,
    ) -> ActionResult {
        let (id, action) = (recorded.intent(), recorded.action().clone());
        let observation = recorded.permit().observation();
        let line = record(whole, Outcome::Applied, None);
        match outcome {
            WriteOutcome::Applied(ack) => {
                self.stops.accepted(&action);
                let after = match action.verb {
                    Verb::Delete => LinkWrite::Remove,
                    Verb::Deactivate
                    | Verb::Update
                    | Verb::Reactivate
                    | Verb::Adopt
                    | Verb::Create
                    | Verb::Block
                    | Verb::Skip => {
                        let settled = settle_state(link, LinkState::Deactivated(Millis::now()), observation);
                        LinkWrite::Put(Box::new(Link { removal_seen: ack.seen, ..settled }))
                    }
                };
                let unseen =
                    "removal sent, not seen: the workspace does not show whether the account is active";
                let ending = WriteResult {
                    detail: (!ack.seen).then(|| unseen.to_owned()),
                    ..WriteResult::applied((ack.status != 0).then_some(ack.status), ack.attempts, after)
                };
                self.end(id, line, ending).await
            }
            WriteOutcome::Refused(refusal) if refusal.class == RefusalClass::NotFound => {
                self.after_not_found(recorded, (whole, link), is_approved, refusal).await
            }
            WriteOutcome::Refused(refusal) if refusal.class == RefusalClass::Expired => {
                let ending = self.refused(&action, &refusal, Some(link));
                let done = self.end(id, line, ending).await;
                self.wait_for_the_gate(done, whole).await
            }
            WriteOutcome::Refused(refusal)
                if refusal.class == RefusalClass::NotOffered && action.verb == Verb::Delete =>
            {
                self.after_not_offered(recorded, (whole, link), is_approved, &refusal).await
            }
            WriteOutcome::Refused(refusal) => {
                let ending = self.refused(&action, &refusal, Some(link));
                self.end(id, line, ending).await
            }
            WriteOutcome::Unknown { message, status, attempts } => {
                match read_back(self.context.target, &action).await {
                    Reading::Happened(None) => {
                        let refusal = not_there(message, attempts);
                        self.after_not_found(recorded, (whole, link), is_approved, refusal).await
                    }
                    Reading::Happened(Some(_))
                    | Reading::DidNotHappen
                    | Reading::Unseen
                    | Reading::Nothing(_)
                    | Reading::CannotTell(_) => {
                        self.settle_unknown(id, action, &message, status, attempts).await
                    }
                }
            }
        }
    }

    /// The rate limit kept the removal back for longer than its proof was good for. The place in the queue is kept until
    /// the gate opens; then the removal is decided and proven afresh.
    async fn wait_for_the_gate(&self, done: ActionResult, whole: &PlannedAction) -> ActionResult {
        if done.stop.is_some() || *self.context.interrupted.borrow() {
            return done;
        }
        match self.context.target.place(Lane::Removal).await {
            Ok(_place) => ActionResult { next: Some(Box::new(whole.clone())), ..done },
            Err(_) => done,
        }
    }

    /// The workspace offers no deletion.
    async fn after_not_offered(
        &self,
        recorded: Recorded<Proven>,
        (whole, link): (&PlannedAction, &Link),
        is_approved: bool,
        refusal: &Refusal,
    ) -> ActionResult {
        match link.state {
            LinkState::Deactivated(_) => {
                let line = record(whole, Outcome::Deferred, None);
                self.leave_deletion_owed(recorded.intent(), line, refusal).await
            }
            LinkState::Active | LinkState::Inactive | LinkState::Vanished(_) | LinkState::Gone(_) => {
                self.deactivate_instead(recorded, (whole, link), is_approved, refusal).await
            }
        }
    }

    /// The access is taken already, and the workspace offers no deletion.
    async fn leave_deletion_owed(&self, id: IntentId, line: ActionRecord, refusal: &Refusal) -> ActionResult {
        let why = barrier(refusal).describe();
        let ending = WriteResult::not_sent(refusal, Outcome::Deferred, WaitsFor::Date, why);
        ActionResult { attempted: true, ..self.end(id, line, ending).await }
    }

    /// The access is taken on the same proof by a deactivation.
    async fn deactivate_instead(
        &self,
        recorded: Recorded<Proven>,
        (whole, link): (&PlannedAction, &Link),
        is_approved: bool,
        refusal: &Refusal,
    ) -> ActionResult {
        let why = refusal.detail.clone();
        let ending = WriteResult::not_sent(refusal, Outcome::Deferred, WaitsFor::Retry, why);
        let done = self.end(recorded.intent(), record(whole, Outcome::Deferred, None), ending).await;
        if done.stop.is_some() {
            return done;
        }
        let instead = recorded.into_permit().as_deactivation(barrier(refusal));
        // Whoever approved the deletion wants the access gone; nobody has approved anything where only deletions go by
        // themselves.
        let approved = self.decisions.is_approved(instead.action());
        if self.context.config.guard.approval.contains(&Verb::Deactivate) && !is_approved && !approved {
            let why =
                "the workspace does not delete accounts, and guard.approval lists deactivate".to_owned();
            let mut held = ActionResult::held(instead.action(), why, self.decisions.key());
            held.record.attempts += refusal.attempts;
            return held;
        }
        let mut again = Box::pin(self.take_access(instead, link, approved)).await;
        again.record.attempts += refusal.attempts;
        again.record.detail = Some(format!("{}, so this one was deactivated", barrier(refusal).describe()));
        again
    }

    /// 404 on a leaver's account is a question: it may have been made anew. With the person's mark it is linked and
    /// removed on the same proof; by login only it is held; nobody there: gone.
    async fn after_not_found(
        &self,
        recorded: Recorded<Proven>,
        (whole, link): (&PlannedAction, &Link),
        is_approved: bool,
        refusal: Refusal,
    ) -> ActionResult {
        let (id, line) = (recorded.intent(), record(whole, Outcome::Applied, None));
        let gone = settle_state(link, LinkState::Gone(Millis::now()), recorded.permit().observation());
        let after = match recorded.action().verb {
            Verb::Delete => LinkWrite::Remove,
            Verb::Deactivate
            | Verb::Update
            | Verb::Reactivate
            | Verb::Adopt
            | Verb::Create
            | Verb::Block
            | Verb::Skip => LinkWrite::Put(Box::new(gone)),
        };
        match self.look_for_account_made_anew(link).await {
            MadeAnew::Nobody => {
                let ending = WriteResult {
                    detail: Some("the account was gone already".to_owned()),
                    ..WriteResult::applied(Some(refusal.status), refusal.attempts, after)
                };
                self.end(id, line, ending).await
            }
            MadeAnew::CannotTell(why) => {
                let detail =
                    format!("the account answers 404, and whether it was made anew cannot be told: {why}");
                let ending = WriteResult::not_sent(&refusal, Outcome::Failed, WaitsFor::Retry, detail);
                self.end(id, line, ending).await
            }
            MadeAnew::ByLogin(account) if !is_approved => {
                self.hold_by_login(id, whole, &account, refusal).await
            }
            MadeAnew::ByLogin(account) | MadeAnew::ByMark(account) => {
                self.remove_account_made_anew(recorded, (whole, link), &account, refusal).await
            }
        }
    }

    /// An account with the person's mark, or with the login that the account had.
    async fn look_for_account_made_anew(&self, link: &Link) -> MadeAnew {
        let target = self.context.target;
        let mark = match self.context.source.vendor() {
            Vendor::Okta => link.source_id.to_string(),
            Vendor::OneLogin => format!("onelogin:{}", link.source_id),
        };
        let found = async {
            if target.finds_external_id() {
                let by_mark = target.find(&Criterion::ExternalId(mark.clone())).await?.accounts;
                if let Some(account) = by_mark.into_iter().next() {
                    return Ok(MadeAnew::ByMark(Box::new(account)));
                }
            }
            let by_login = target.find(&Criterion::UserName(link.user_name.clone())).await?.accounts;
            Ok::<_, TargetError>(match by_login.into_iter().find(|account| account.id != link.target_id) {
                None => MadeAnew::Nobody,
                Some(account) if account.external_id() == Some(mark.as_str()) => {
                    MadeAnew::ByMark(Box::new(account))
                }
                // Somebody else's mark: the login was given on.
                Some(account) if account.external_id().is_some_and(|id| !id.is_empty()) => MadeAnew::Nobody,
                Some(account) if account.active() == Some(false) => MadeAnew::Nobody,
                Some(account) => MadeAnew::ByLogin(Box::new(account)),
            })
        };
        found.await.unwrap_or_else(|error| MadeAnew::CannotTell(error.to_string()))
    }

    async fn hold_by_login(
        &self,
        id: IntentId,
        whole: &PlannedAction,
        account: &Account,
        refusal: Refusal,
    ) -> ActionResult {
        let why = format!(
            "the account is gone, and account {} has its login without the person's mark: removing it needs approval",
            account.id
        );
        let ending = WriteResult::not_sent(&refusal, Outcome::Held, WaitsFor::Approval, why.clone());
        let done = self.end(id, record(whole, Outcome::Held, None), ending).await;
        let held = ActionResult::held(whole, why, self.decisions.key());
        ActionResult { held: held.held, ..done }
    }

    /// The same proof, the account that stands now. The write to the old one is settled first.
    async fn remove_account_made_anew(
        &self,
        recorded: Recorded<Proven>,
        (whole, link): (&PlannedAction, &Link),
        account: &Account,
        refusal: Refusal,
    ) -> ActionResult {
        let relinked = Link {
            target_id: account.id.clone(),
            user_name: account.user_name().unwrap_or(&link.user_name).to_owned(),
            digest: None,
            state: LinkState::Active,
            ..link.clone()
        };
        let note = format!("the account was made anew as {}", account.id);
        let ending = WriteResult {
            link: LinkWrite::Put(Box::new(relinked.clone())),
            ..WriteResult::not_sent(&refusal, Outcome::Deferred, WaitsFor::Retry, note.clone())
        };
        let done = self.end(recorded.intent(), record(whole, Outcome::Deferred, None), ending).await;
        if done.stop.is_some() || done.record.action == Verb::Block || account.active() == Some(false) {
            return done;
        }
        let proven = recorded.into_permit().for_account_made_anew(account);
        let mut again = Box::pin(self.take_access(proven, &relinked, false)).await;
        again.record.attempts += refusal.attempts;
        again.record.detail = Some(match again.record.detail.take() {
            Some(detail) => format!("{note}; {detail}"),
            None => note,
        });
        again
    }

    /// Earlier values go back before the account is deactivated: two writes, each through the door, told as one.
    pub(crate) async fn return_and_deactivate(
        &self,
        values: Approved,
        proven: Proven,
        link: &Link,
        is_approved: bool,
    ) -> ActionResult {
        let whole = proven.action().clone();
        let first = self.update(values, false).await;
        if first.stop.is_some() {
            let mut line = record(&whole, first.record.outcome, first.record.detail);
            line.status = first.record.status;
            line.attempts = first.record.attempts;
            return ActionResult { stop: first.stop, attempted: first.attempted, ..ActionResult::with(line) };
        }
        let link = match self.link_of(&whole).await {
            Ok(Some(link)) => link,
            Ok(None) | Err(_) => link.clone(),
        };
        let mut done = self.take_access(proven, &link, is_approved).await;
        done.record.attempts += first.record.attempts;
        done.record.changes = whole.changes;
        if first.record.outcome != Outcome::Applied {
            let why = first.record.detail.unwrap_or_else(|| first.record.outcome.as_str().to_owned());
            let also = done.record.detail.map(|detail| format!("; {detail}")).unwrap_or_default();
            done.record.detail = Some(format!("its values did not go back: {why}{also}"));
            if done.record.outcome == Outcome::Applied {
                done.record.outcome = Outcome::Failed;
            }
        }
        done
    }
}

fn barrier(refusal: &Refusal) -> DeletionBarrier {
    DeletionBarrier::NotOffered(refusal.detail.clone())
}

/// A write after which nobody finds the account, as the answer that says so.
fn not_there(detail: String, attempts: u32) -> Refusal {
    Refusal { class: RefusalClass::NotFound, status: 404, detail, attempts, attributes: Vec::new() }
}

//! Deactivation and deletion.
//!
//! What lives here: sending them and seeing that they took. What must not: whether they are right (`core::proof`).
//!
//! *Guarantees*: a deactivation is `Applied` and seen only where the target showed the account inactive; nothing of a
//! removal is sent after its proof's time is over.

use reqwest::Method;
use tokio::time::Instant;

use crate::http::Lane;
use crate::model::account::Account;
use crate::model::id::TargetId;
use crate::scim::control::Unread;
use crate::scim::dialect::WriteStyle;
use crate::scim::fault::{Fault, WriteKind};
use crate::scim::service::{Granted, Sent, Service, not_read, proof_over, refused};
use crate::scim::target::{Acknowledgement, RefusalClass, WriteOutcome};
use crate::scim::{body, patch, wire};

/// A deactivation on its way.
struct Deactivation<'a> {
    id: &'a TargetId,
    not_after: Option<Instant>,
    attempts: u32,
    patch_is_there: bool,
    /// The way that the target accepted last, though nothing was seen of it, and what that came to.
    accepted: Option<(WriteStyle, WriteOutcome)>,
}

/// What one way of deactivating came to.
enum Tried {
    /// It is settled, and this way is the target's.
    Took(WriteOutcome),
    /// It is settled.
    Settled(WriteOutcome),
    /// Accepted, and not seen.
    Unseen(WriteOutcome),
    /// Another way may work; what to say where none does.
    Else(WriteOutcome),
}

/// What the target shows of an account that was deactivated.
enum Shown {
    Inactive(Option<Account>),
    Active,
    Nothing,
    Unreadable(String),
}

impl Service {
    /// `active: false`, in the way that this target is known to take, else in every way; none of them after
    /// `not_after`.
    pub(super) async fn deactivate(&self, id: &TargetId, not_after: Option<Instant>) -> WriteOutcome {
        let (known, unshown) = self.known(|profile| (profile.active, profile.deactivation_unshown));
        let others = [WriteStyle::PatchValue, WriteStyle::PatchPath, WriteStyle::Put];
        let styles = std::iter::once(known).chain(others.into_iter().filter(|style| *style != known));
        let mut work = Deactivation { id, not_after, attempts: 0, patch_is_there: true, accepted: None };
        let mut last = None;
        for style in styles {
            if style != WriteStyle::Put && !work.patch_is_there {
                continue;
            }
            match self.deactivate_by(style, &mut work).await {
                Tried::Took(outcome) => {
                    self.learn(|profile| {
                        profile.active = style;
                        profile.deactivation_unshown = false;
                        profile.deactivation_seen = true;
                    });
                    return outcome;
                }
                Tried::Settled(outcome) if stands_alone(&outcome) => return outcome,
                // What was accepted before says more than a later way that could not go.
                Tried::Settled(outcome) => return self.unseen(&mut work).unwrap_or(outcome),
                Tried::Unseen(outcome) => {
                    work.accepted = Some((style, outcome));
                    if unshown {
                        // Nothing is to be seen at this target; the other ways would show no more.
                        break;
                    }
                }
                Tried::Else(outcome) => last = Some(outcome),
            }
        }
        self.unseen(&mut work).or(last).unwrap_or_else(|| {
            let detail = "the target knows no way to deactivate".to_owned();
            refused(RefusalClass::Server, 0, detail, work.attempts)
        })
    }

    /// The outcome of a way that was accepted and not seen. Where the last resort was accepted, and nothing was ever seen
    /// at this target, the next deactivation goes this way alone.
    fn unseen(&self, work: &mut Deactivation<'_>) -> Option<WriteOutcome> {
        let (style, outcome) = work.accepted.take()?;
        self.learn(|profile| {
            if style == WriteStyle::Put && !profile.deactivation_seen {
                profile.active = WriteStyle::Put;
                profile.deactivation_unshown = true;
            }
        });
        Some(outcome)
    }

    async fn deactivate_by(&self, style: WriteStyle, work: &mut Deactivation<'_>) -> Tried {
        let (method, body) = match style {
            WriteStyle::PatchValue => (Method::PATCH, patch::body(vec![patch::active_by_value(false)])),
            WriteStyle::PatchPath => (Method::PATCH, patch::body(vec![patch::active_by_path(false)])),
            WriteStyle::Put => match self.account_before(work.id, Lane::Removal, work.not_after).await {
                Ok(Some(account)) if account.active() == Some(false) => {
                    return Tried::Settled(seen(200, Some(account), work.attempts));
                }
                Ok(Some(account)) => (Method::PUT, body::replace(&account, &[], Some(false))),
                Ok(None) => return Tried::Settled(gone(404, work.attempts)),
                Err(Unread::Expired(message)) => return Tried::Settled(expired(&message, work.attempts)),
                Err(unread) => {
                    let error = self.judged(unread, Lane::Removal).await;
                    return Tried::Settled(not_read(error, work.attempts));
                }
            },
        };
        let url = match self.account_url(work.id) {
            Ok(url) => url,
            Err(message) => return Tried::Settled(refused(RefusalClass::Invalid, 0, message, work.attempts)),
        };
        work.attempts += 1;
        let attempts = work.attempts;
        match self.write(method, url, Some(&body), Lane::Removal, work.not_after).await {
            Sent::Granted(granted) => self.after_granted_deactivation(granted, work.id, attempts).await,
            Sent::Denied(fault) => {
                work.patch_is_there &= style == WriteStyle::Put || !fault.refuses_method();
                self.after_refused_deactivation(fault, style, work).await
            }
            Sent::Lost(message) => match self.shown(work.id).await {
                Shown::Inactive(account) => Tried::Took(seen(200, account, attempts)),
                Shown::Active | Shown::Nothing | Shown::Unreadable(_) => {
                    Tried::Settled(WriteOutcome::Unknown { message, status: None, attempts })
                }
            },
            Sent::Unsent(class, message) => Tried::Settled(refused(class, 0, message, attempts)),
        }
    }

    async fn after_granted_deactivation(&self, granted: Granted, id: &TargetId, attempts: u32) -> Tried {
        let status = granted.status;
        let told = granted.account.filter(|account| account.active() == Some(false));
        if let Some(account) = told {
            return Tried::Took(seen(status, Some(account).filter(wire::is_whole), attempts));
        }
        match self.shown(id).await {
            Shown::Inactive(account) => Tried::Took(seen(status, account, attempts)),
            Shown::Unreadable(message) => {
                let message = format!("accepted, but the account cannot be read back: {message}");
                Tried::Settled(WriteOutcome::Unknown { message, status: Some(status), attempts })
            }
            Shown::Active => {
                let detail =
                    "the target accepted the deactivation and still shows the account active; help: look \
                              the account up in the workspace and deactivate it there"
                        .to_owned();
                Tried::Unseen(refused(RefusalClass::StillActive, status, detail, attempts))
            }
            Shown::Nothing => Tried::Unseen(WriteOutcome::Applied(Acknowledgement {
                status,
                account: None,
                refused: Vec::new(),
                attempts,
                seen: false,
            })),
        }
    }

    /// Whatever was answered, what was wanted may be there already: by somebody else, or by this very request.
    async fn after_refused_deactivation(
        &self,
        fault: Fault,
        style: WriteStyle,
        work: &Deactivation<'_>,
    ) -> Tried {
        let attempts = work.attempts;
        let outcome = fault.outcome(WriteKind::Deactivation, attempts);
        let is_absence = matches!(fault.status, 404 | 410);
        let other_way = fault.refuses_method() || fault.is_invalid(WriteKind::Deactivation);
        // Without PATCH a PUT is next, which reads the account anyway.
        let is_read_next = fault.refuses_method() && style != WriteStyle::Put && !is_absence;
        let tells = (400..500).contains(&fault.status) && !matches!(fault.status, 401 | 429);
        if is_read_next || !(tells || fault.leaves_doubt()) {
            return if other_way { Tried::Else(outcome) } else { Tried::Settled(outcome) };
        }
        // A doubt has to be settled; a refusal stands without the look, which is not waited for.
        let end = work.not_after.filter(|_| !fault.leaves_doubt());
        let read = match self.account_before(work.id, Lane::Removal, end).await {
            Err(Unread::Expired(message)) if is_absence => {
                return Tried::Settled(expired(&message, attempts));
            }
            Err(unread) => Err(self.judged(unread, Lane::Removal).await),
            Ok(account) => Ok(account),
        };
        match read {
            Ok(None) => Tried::Settled(gone(404, attempts)),
            Ok(Some(account)) if account.active() == Some(false) => {
                Tried::Settled(seen(fault.status, Some(account), attempts))
            }
            // 404 for an account that is there: the method is not.
            Ok(Some(_)) if is_absence => {
                let detail = format!("the account can be read but not written: {}", fault.detail);
                Tried::Else(refused(RefusalClass::Server, fault.status, detail, attempts))
            }
            Ok(Some(_)) if fault.status == 500 && fault.leaves_doubt() => {
                let detail = format!("{} (the account was read back and is still active)", fault.detail);
                Tried::Else(refused(RefusalClass::Server, fault.status, detail, attempts))
            }
            Err(error) if is_absence => Tried::Settled(not_read(error, attempts)),
            Ok(Some(_)) | Err(_) if other_way => Tried::Else(outcome),
            Ok(Some(_)) | Err(_) => Tried::Settled(outcome),
        }
    }

    async fn shown(&self, id: &TargetId) -> Shown {
        match self.account_before(id, Lane::Removal, None).await {
            Ok(None) => Shown::Inactive(None),
            Ok(Some(account)) => match account.active() {
                Some(false) => Shown::Inactive(Some(account)),
                Some(true) => Shown::Active,
                None => Shown::Nothing,
            },
            Err(unread) => Shown::Unreadable(unread.into_error().to_string()),
        }
    }

    /// DELETE, not sent after `not_after`. That the account is not there is a refusal of its own: whether another one stands
    /// in its place is not this request's question.
    pub(super) async fn delete(&self, id: &TargetId, not_after: Option<Instant>) -> WriteOutcome {
        let url = match self.account_url(id) {
            Ok(url) => url,
            Err(message) => return refused(RefusalClass::Invalid, 0, message, 0),
        };
        let fault = match self.write(Method::DELETE, url, None, Lane::Removal, not_after).await {
            Sent::Granted(granted) => return seen(granted.status, None, 1),
            Sent::Denied(fault) => fault,
            Sent::Lost(message) => return WriteOutcome::Unknown { message, status: None, attempts: 1 },
            Sent::Unsent(class, message) => return refused(class, 0, message, 1),
        };
        if fault.refuses_method() {
            let detail = format!(
                "the target does not delete accounts: {}; help: set the lifecycle policy to \"deactivate\"",
                fault.detail
            );
            return refused(RefusalClass::NotOffered, fault.status, detail, 1);
        }
        if !matches!(fault.status, 404 | 410 | 500) {
            return fault.outcome(WriteKind::Deletion, 1);
        }
        // A 404 may be a proxy's; one server answers 500 for an id that it does not know.
        match self.account(id, Lane::Removal).await {
            Ok(None) => gone(fault.status, 1),
            Ok(Some(_)) => {
                let detail = format!("{} (the account is still there)", fault.detail);
                // A 404 for an account that is there speaks of the method.
                let class = if fault.status == 500 { RefusalClass::Server } else { RefusalClass::NotOffered };
                refused(class, fault.status, detail, 1)
            }
            Err(error) if fault.status != 500 => not_read(error, 1),
            Err(_) => fault.outcome(WriteKind::Deletion, 1),
        }
    }
}

fn seen(status: u16, account: Option<Account>, attempts: u32) -> WriteOutcome {
    WriteOutcome::Applied(Acknowledgement { status, account, refused: Vec::new(), attempts, seen: true })
}

/// Whether this is the last word whatever was accepted before it.
fn stands_alone(outcome: &WriteOutcome) -> bool {
    match outcome {
        WriteOutcome::Applied(_) | WriteOutcome::Unknown { .. } => true,
        WriteOutcome::Refused(refusal) => refusal.class == RefusalClass::NotFound,
    }
}

fn expired(message: &str, attempts: u32) -> WriteOutcome {
    refused(RefusalClass::Expired, 0, proof_over(message), attempts)
}

fn gone(status: u16, attempts: u32) -> WriteOutcome {
    refused(RefusalClass::NotFound, status, "the account does not exist any more".to_owned(), attempts)
}

//! POST: a new account.
//!
//! What lives here: sending a create, and sending it again without an optional attribute that was refused. What
//! must not: lookups before it, or the ladder after a 409 (the engine's).
//!
//! *Invariant*: a POST is sent again only after an answer that certainly created nothing (400, 413, 415 or 422).

use reqwest::Method;

use crate::http::Lane;
use crate::model::account::Account;
use crate::model::attributes::{AttributePath, Attributes};
use crate::model::folding::same_login;
use crate::model::plan::{Change, DesiredAccount};
use crate::model::time::Millis;
use crate::scim::fault::{Fault, WriteKind};
use crate::scim::rejected_attributes::blamed;
use crate::scim::service::{Granted, Sent, Service, refused};
use crate::scim::target::{Acknowledgement, RefusalClass, WriteOutcome};
use crate::scim::{body, wire};

/// Times a create is sent again with one attribute less.
pub(crate) const DROPS_MAXIMUM: u32 = 5;

/// A create on its way.
struct Draft {
    attributes: Attributes,
    with_active: bool,
    refused: Vec<(AttributePath, String)>,
    /// Optional attributes that wait until the account is there.
    postponed: Attributes,
    /// Why they wait.
    postponed_after: Option<Fault>,
    attempts: u32,
    drops: u32,
}

impl Service {
    /// Creates an active account.
    pub(super) async fn create(&self, desired: &DesiredAccount) -> WriteOutcome {
        let url = match self.url(&["Users"], &[]) {
            Ok(url) => url,
            Err(message) => return refused(RefusalClass::Invalid, 0, message, 0),
        };
        let mut draft = self.draft(&desired.set);
        loop {
            let body = body::create(&draft.attributes, draft.with_active);
            draft.attempts += 1;
            match self.write(Method::POST, url.clone(), Some(&body), Lane::General, None).await {
                Sent::Granted(granted) => return self.created(granted, draft).await,
                Sent::Denied(fault) => {
                    if !self.lighten(&mut draft, &fault) {
                        let fault = draft.postponed_after.unwrap_or(fault);
                        return fault.outcome(WriteKind::Create, draft.attempts);
                    }
                }
                Sent::Lost(message) => {
                    return WriteOutcome::Unknown { message, status: None, attempts: draft.attempts };
                }
                Sent::Unsent(class, message) => return refused(class, 0, message, draft.attempts),
            }
        }
    }

    fn draft(&self, set: &Attributes) -> Draft {
        let now = Millis::now();
        let mut draft = Draft {
            attributes: Attributes::new(),
            with_active: self.known(|profile| !profile.create_without_active),
            refused: Vec::new(),
            postponed: Attributes::new(),
            postponed_after: None,
            attempts: 0,
            drops: 0,
        };
        for (path, value) in set.iter().filter(|(path, _)| body::is_writable(path)) {
            let known = self.known(|profile| profile.refuses(path, now).map(str::to_owned));
            match known.filter(|_| !path.is_essential()) {
                Some(detail) => draft.refused.push((path.clone(), detail)),
                None => {
                    draft.attributes.insert(path.clone(), value.clone());
                }
            }
        }
        draft
    }

    /// Takes out of the draft what the refusal names. `false` = the refusal stands.
    fn lighten(&self, draft: &mut Draft, fault: &Fault) -> bool {
        let certain = matches!(fault.status, 400 | 413 | 415 | 422);
        if !certain || !fault.is_invalid(WriteKind::Create) || draft.postponed_after.is_some() {
            return false;
        }
        if draft.with_active && names_active(fault) {
            draft.with_active = false;
            return true;
        }
        let named = blamed(fault, draft.attributes.iter().map(|(path, value)| (path, Some(value))));
        if named.iter().any(AttributePath::is_essential) {
            return false;
        }
        if named.is_empty() || draft.drops >= DROPS_MAXIMUM {
            return postpone(draft, fault);
        }
        draft.drops += 1;
        for path in named {
            draft.attributes.remove(&path);
            if fault.says_unknown_attribute() {
                self.learn(|profile| profile.attribute_unknown(&path, &fault.detail, Millis::now()));
            }
            draft.refused.push((path, fault.detail.clone()));
        }
        true
    }

    async fn created(&self, granted: Granted, draft: Draft) -> WriteOutcome {
        let status = granted.status;
        let Some(mut account) = granted.account else {
            return WriteOutcome::Unknown {
                message: format!("the target answered {status} to a create without the account's id"),
                status: Some(status),
                attempts: draft.attempts,
            };
        };
        if !wire::is_whole(&account)
            && let Ok(Some(read)) = self.account(&account.id, Lane::General).await
        {
            account = read;
        }
        if status != 201 && !is_ours(&account, &draft.attributes) {
            return WriteOutcome::Unknown {
                message: format!(
                    "the target answered {status} to a create with another account ({})",
                    account.id
                ),
                status: Some(status),
                attempts: draft.attempts,
            };
        }
        if !draft.with_active {
            self.learn(|profile| profile.create_without_active = true);
        }
        self.complete(status, account, draft).await
    }

    /// Sends what could not go with the create: `active`, and attributes one by one.
    async fn complete(&self, status: u16, account: Account, mut draft: Draft) -> WriteOutcome {
        let activate = !draft.with_active && account.active() == Some(false);
        let mut acknowledgement = Acknowledgement {
            status,
            account: Some(account),
            refused: draft.refused,
            attempts: draft.attempts,
            seen: true,
        };
        let postponed = std::mem::take(&mut draft.postponed);
        if postponed.is_empty() && !activate {
            return WriteOutcome::Applied(acknowledgement);
        }
        let Some(id) = acknowledgement.account.as_ref().map(|account| account.id.clone()) else {
            return WriteOutcome::Applied(acknowledgement);
        };
        let changes: Vec<Change> =
            postponed.into_iter().map(|(path, value)| Change { path, from: None, to: Some(value) }).collect();
        match self.update_singly(&id, &changes, activate).await {
            WriteOutcome::Applied(later) => {
                acknowledgement.attempts += later.attempts;
                acknowledgement.account = later.account.or(acknowledgement.account);
                acknowledgement.refused.extend(later.refused);
            }
            // The account exists, and that is what counts; what it lacks is told as refused.
            WriteOutcome::Refused(refusal) => {
                acknowledgement.attempts += refusal.attempts;
                let all = changes.into_iter().map(|change| (change.path, refusal.detail.clone()));
                acknowledgement.refused.extend(all);
            }
            WriteOutcome::Unknown { message, attempts, .. } => {
                acknowledgement.attempts += attempts;
                let all = changes.into_iter().map(|change| (change.path, message.clone()));
                acknowledgement.refused.extend(all);
            }
        }
        WriteOutcome::Applied(acknowledgement)
    }
}

/// Leaves everything optional for later: the create then tells whether the person or an attribute is to blame.
fn postpone(draft: &mut Draft, fault: &Fault) -> bool {
    let (essential, optional): (Attributes, Attributes) =
        std::mem::take(&mut draft.attributes).into_iter().partition(|(path, _)| path.is_essential());
    draft.attributes = essential;
    if optional.is_empty() {
        return false;
    }
    draft.postponed = optional;
    draft.postponed_after = Some(fault.clone());
    true
}

fn names_active(fault: &Fault) -> bool {
    let active = AttributePath::active();
    !blamed(fault, [(&active, None)]).is_empty()
}

/// Whether an account that a server gave instead of making one is the one that was asked for.
fn is_ours(account: &Account, sent: &Attributes) -> bool {
    let text = |path: AttributePath| sent.get(&path).map(|value| value.as_text().into_owned());
    let same_mark = account
        .external_id()
        .is_some_and(|found| Some(found) == text(AttributePath::external_id()).as_deref());
    let same_name = match (account.user_name(), text(AttributePath::user_name())) {
        (Some(found), Some(sent)) => same_login(found, &sent),
        (Some(_) | None, Some(_) | None) => false,
    };
    same_mark || same_name
}

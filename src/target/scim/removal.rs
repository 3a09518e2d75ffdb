//! Deactivation and deletion.
//!
//! What lives here: sending them and seeing that they took. What must not: whether they are right (`core::proof`).
//!
//! *Guarantee*: a deactivation is `Applied` only where the target showed the account inactive, or gone, after it.

use reqwest::Method;

use super::dialect::WriteStyle;
use super::fault::Fault;
use super::service::{Granted, Sent, Service, not_read, refused};
use super::{body, patch, wire};
use crate::http::Lane;
use crate::model::account::Account;
use crate::model::id::TargetId;
use crate::target::{Acknowledgement, RefusalClass, WriteOutcome};

/// What one way of deactivating came to.
enum Tried {
    /// It is settled.
    Settled(WriteOutcome),
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
    /// `active: false`, in the way that this target is known to take, else in every way.
    pub async fn deactivate(&self, id: &TargetId) -> WriteOutcome {
        let (known, unshown) = self.known(|profile| (profile.active, profile.deactivation_unshown));
        let mut styles = vec![known];
        if !unshown {
            let others = [WriteStyle::PatchValue, WriteStyle::PatchPath, WriteStyle::Put];
            styles.extend(others.into_iter().filter(|style| *style != known));
        }
        let mut attempts = 0;
        let mut last = None;
        let mut patch_is_there = true;
        for style in styles {
            if style != WriteStyle::Put && !patch_is_there {
                continue;
            }
            match self.deactivate_by(style, id, &mut attempts, &mut patch_is_there).await {
                Tried::Settled(outcome) => {
                    if matches!(outcome, WriteOutcome::Applied(_)) {
                        self.learn(|profile| {
                            profile.active = style;
                            profile.deactivation_unshown = false;
                        });
                    }
                    return outcome;
                }
                Tried::Else(outcome) => last = Some(outcome),
            }
        }
        last.unwrap_or_else(|| {
            refused(RefusalClass::Server, 0, "the target knows no way to deactivate".to_owned(), attempts)
        })
    }

    async fn deactivate_by(
        &self,
        style: WriteStyle,
        id: &TargetId,
        attempts: &mut u32,
        patch_is_there: &mut bool,
    ) -> Tried {
        let (method, body) = match style {
            WriteStyle::PatchValue => (Method::PATCH, patch::body(vec![patch::active_by_value(false)])),
            WriteStyle::PatchPath => (Method::PATCH, patch::body(vec![patch::active_by_path(false)])),
            WriteStyle::Put => match self.account(id, Lane::Removal).await {
                Ok(Some(account)) => (Method::PUT, body::replace(&account, &[], Some(false))),
                Ok(None) => return Tried::Settled(gone(*attempts)),
                Err(error) => return Tried::Settled(not_read(error, *attempts)),
            },
        };
        let url = match self.account_url(id) {
            Ok(url) => url,
            Err(message) => return Tried::Settled(refused(RefusalClass::Invalid, 0, message, *attempts)),
        };
        *attempts += 1;
        match self.write(method, url, Some(&body), Lane::Removal).await {
            Sent::Granted(granted) => self.after_granted_deactivation(granted, style, id, *attempts).await,
            Sent::Denied(fault) => {
                *patch_is_there &= style == WriteStyle::Put || !fault.refuses_method();
                self.after_refused_deactivation(fault, id, *attempts).await
            }
            Sent::Lost(message) => match self.shown(id).await {
                Shown::Inactive(account) => Tried::Settled(seen(200, account, *attempts)),
                Shown::Active | Shown::Nothing | Shown::Unreadable(_) => {
                    Tried::Settled(WriteOutcome::Unknown { message, status: None, attempts: *attempts })
                }
            },
            Sent::Unsent(class, message) => Tried::Settled(refused(class, 0, message, *attempts)),
        }
    }

    async fn after_granted_deactivation(
        &self,
        granted: Granted,
        style: WriteStyle,
        id: &TargetId,
        attempts: u32,
    ) -> Tried {
        let status = granted.status;
        let told = granted.account.filter(|account| account.active() == Some(false));
        if let Some(account) = told {
            return Tried::Settled(seen(status, Some(account).filter(wire::is_whole), attempts));
        }
        let detail = match self.shown(id).await {
            Shown::Inactive(account) => return Tried::Settled(seen(status, account, attempts)),
            Shown::Unreadable(message) => {
                let message = format!("accepted, but the account cannot be read back: {message}");
                return Tried::Settled(WriteOutcome::Unknown { message, status: Some(status), attempts });
            }
            Shown::Active => "the target accepted the deactivation and still shows the account active",
            Shown::Nothing => {
                "the target accepted the deactivation and does not show whether the account is active"
            }
        };
        if style == WriteStyle::Put {
            // The last resort was accepted and nothing is to be seen: do not go all the ways again next time.
            self.learn(|profile| {
                profile.active = WriteStyle::Put;
                profile.deactivation_unshown = true;
            });
        }
        let help = "; help: look the account up in the workspace and deactivate it there";
        Tried::Else(refused(RefusalClass::Server, status, format!("{detail}{help}"), attempts))
    }

    async fn after_refused_deactivation(&self, fault: Fault, id: &TargetId, attempts: u32) -> Tried {
        let outcome = fault.outcome(attempts);
        let is_absence = matches!(fault.status, 404 | 410);
        if !is_absence && !fault.leaves_doubt() {
            let other_way = fault.refuses_method() || fault.is_invalid();
            return if other_way { Tried::Else(outcome) } else { Tried::Settled(outcome) };
        }
        match self.account(id, Lane::Removal).await {
            Ok(None) => Tried::Settled(gone(attempts)),
            // The answer was bad, the deed was done.
            Ok(Some(account)) if account.active() == Some(false) => {
                Tried::Settled(seen(fault.status, Some(account), attempts))
            }
            // 404 for an account that is there: the method is not.
            Ok(Some(_)) if is_absence => {
                let detail = format!("the account can be read but not written: {}", fault.detail);
                Tried::Else(refused(RefusalClass::Server, fault.status, detail, attempts))
            }
            Ok(Some(_)) if fault.status == 500 => {
                let detail = format!("{} (the account was read back and is still active)", fault.detail);
                Tried::Else(refused(RefusalClass::Server, fault.status, detail, attempts))
            }
            Ok(Some(_)) => Tried::Settled(outcome),
            Err(error) if is_absence => Tried::Settled(not_read(error, attempts)),
            Err(_) => Tried::Settled(outcome),
        }
    }

    async fn shown(&self, id: &TargetId) -> Shown {
        match self.account(id, Lane::Removal).await {
            Ok(None) => Shown::Inactive(None),
            Ok(Some(account)) => match account.active() {
                Some(false) => Shown::Inactive(Some(account)),
                Some(true) => Shown::Active,
                None => Shown::Nothing,
            },
            Err(error) => Shown::Unreadable(error.to_string()),
        }
    }

    /// DELETE. Already gone counts as done.
    pub async fn delete(&self, id: &TargetId) -> WriteOutcome {
        let url = match self.account_url(id) {
            Ok(url) => url,
            Err(message) => return refused(RefusalClass::Invalid, 0, message, 0),
        };
        let fault = match self.write(Method::DELETE, url, None, Lane::Removal).await {
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
            return refused(RefusalClass::Server, fault.status, detail, 1);
        }
        if !matches!(fault.status, 404 | 410 | 500) {
            return fault.outcome(1);
        }
        // A 404 may be a proxy's; one server answers 500 for an id that it does not know.
        match self.account(id, Lane::Removal).await {
            Ok(None) => seen(fault.status, None, 1),
            Ok(Some(_)) => {
                let detail = format!("{} (the account is still there)", fault.detail);
                refused(RefusalClass::Server, fault.status, detail, 1)
            }
            Err(error) if fault.status != 500 => not_read(error, 1),
            Err(_) => fault.outcome(1),
        }
    }
}

fn seen(status: u16, account: Option<Account>, attempts: u32) -> WriteOutcome {
    WriteOutcome::Applied(Acknowledgement { status, account, refused: Vec::new(), attempts })
}

fn gone(attempts: u32) -> WriteOutcome {
    refused(RefusalClass::NotFound, 404, "the account does not exist any more".to_owned(), attempts)
}

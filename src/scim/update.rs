//! Writing attributes, and `active: true`, to an account that exists.
//!
//! What lives here: one update on its way through the styles that a target may need, until it is seen to have
//! taken. What must not: which values are to be written.
//!
//! An update sets values, so sending it again is harmless to the account; still no request follows another
//! whose outcome is in doubt without a read in between.

use reqwest::Method;
use serde_json::Value;

use crate::http::Lane;
use crate::model::account::Account;
use crate::model::attributes::AttributePath;
use crate::model::id::TargetId;
use crate::model::plan::Change;
use crate::model::time::Millis;
use crate::scim::dialect::WriteStyle;
use crate::scim::fault::Fault;
use crate::scim::service::{Granted, Sent, Service, not_read, refused};
use crate::scim::target::{Acknowledgement, RefusalClass, WriteOutcome};
use crate::scim::update::state::{Partly, Step, Update, next_step};
use crate::scim::{body, patch, wire};

mod one_by_one;
mod state;

impl Service {
    /// Owned attributes and, with `activate`, `active: true` in the same write.
    pub(super) async fn update(&self, id: &TargetId, changes: &[Change], activate: bool) -> WriteOutcome {
        let mut update = self.prepare(id, changes, activate);
        if update.changes.is_empty() && !activate {
            return update.nothing_left();
        }
        self.carry_out(&mut update).await
    }

    async fn carry_out(&self, update: &mut Update<'_>) -> WriteOutcome {
        loop {
            let sent = match self.send_update(update).await {
                Ok(sent) => sent,
                Err(outcome) => return outcome,
            };
            let outcome = match sent {
                Sent::Granted(granted) => self.after_grant(update, granted).await,
                Sent::Denied(fault) => self.after_refusal(update, fault).await,
                Sent::Lost(message) => {
                    Some(WriteOutcome::Unknown { message, status: None, attempts: update.attempts })
                }
                Sent::Unsent(class, message) => Some(refused(class, 0, message, update.attempts)),
            };
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }

    fn prepare<'a>(&self, id: &'a TargetId, changes: &[Change], activate: bool) -> Update<'a> {
        let now = Millis::now();
        let mut update = Update {
            id,
            changes: Vec::new(),
            activate,
            style: WriteStyle::PatchPath,
            tried: Vec::new(),
            known: None,
            refused: Vec::new(),
            attempts: 0,
            drops: 0,
            after_failure: false,
            active_by_path: false,
            keeps_style: false,
            partly: None,
        };
        for change in changes.iter().filter(|change| body::is_writable(&change.path)) {
            let known = self.known(|profile| profile.refuses(&change.path, now).map(str::to_owned));
            match known.filter(|_| !change.path.is_essential()) {
                Some(detail) => update.refused.push((change.path.clone(), detail)),
                None if change.from.is_none() && change.to.is_none() => {}
                None => update.changes.push(change.clone()),
            }
        }
        update.style = self.known(|profile| profile.style(!update.changes.is_empty(), activate));
        update
    }

    /// Sends the update in its present style. The error is an outcome: the account could not be read first, or
    /// is gone.
    async fn send_update(&self, update: &mut Update<'_>) -> Result<Sent, WriteOutcome> {
        let reads_first = self.known(|profile| profile.reads_before_patch) && update.has_elements();
        if update.known.is_none()
            && (update.style != WriteStyle::PatchPath || reads_first)
            && update.needs_account()
        {
            match self.account(update.id, Lane::General).await {
                Ok(Some(account)) => update.known = Some(account),
                Ok(None) => return Err(update.gone()),
                Err(error) => return Err(not_read(error, update.attempts)),
            }
        }
        let url = self
            .account_url(update.id)
            .map_err(|message| refused(RefusalClass::Invalid, 0, message, update.attempts))?;
        let (method, body) = match self.body_of(update) {
            Some(body) => body,
            // Everything to clear is gone already.
            None => return Ok(Sent::Granted(Granted { status: 204, account: update.known.clone() })),
        };
        update.attempts += 1;
        if !update.tried.contains(&update.style) {
            update.tried.push(update.style);
        }
        Ok(self.write(method, url, Some(&body), Lane::General, None).await)
    }

    fn body_of(&self, update: &Update<'_>) -> Option<(Method, Value)> {
        let mut operations = match (update.style, &update.known) {
            (WriteStyle::Put, Some(known)) => {
                let active = update.activate.then_some(true);
                return Some((Method::PUT, body::replace(known, &update.changes, active)));
            }
            (WriteStyle::PatchValue, Some(known)) => patch::by_value(&update.changes, known),
            (WriteStyle::PatchPath, known) => patch::by_path(&update.changes, known.as_ref()),
            (WriteStyle::Put | WriteStyle::PatchValue, None) => Vec::new(),
        };
        if update.activate {
            let by_path = if update.changes.is_empty() {
                update.style == WriteStyle::PatchPath
            } else {
                update.active_by_path || self.known(|profile| profile.active == WriteStyle::PatchPath)
            };
            operations.push(if by_path { patch::active_by_path(true) } else { patch::active_by_value(true) });
        }
        (!operations.is_empty()).then(|| (Method::PATCH, patch::body(operations)))
    }

    /// `None` = go on in another style.
    async fn after_grant(&self, update: &mut Update<'_>, granted: Granted) -> Option<WriteOutcome> {
        let account = match granted.account.filter(wire::is_whole) {
            Some(account) => Some(account),
            None if self.must_look(update) => self.account(update.id, Lane::General).await.ok().flatten(),
            None => None,
        };
        let unchanged = update.unchanged(account.as_ref());
        let still_inactive = update.activate && account.as_ref().and_then(Account::active) == Some(false);
        let acknowledgement = Acknowledgement {
            status: granted.status,
            account,
            refused: std::mem::take(&mut update.refused),
            attempts: update.attempts,
            seen: true,
        };
        let partly = Partly { style: update.style, acknowledgement, unchanged, still_inactive };
        let is_done = partly.unchanged.is_empty() && !partly.still_inactive;
        let hopeless = !partly.still_inactive
            && self.known(|profile| partly.unchanged.iter().all(|path| profile.ignored.contains(path)));
        if is_done || hopeless || update.partly.is_some() || update.tried.contains(&WriteStyle::Put) {
            return Some(self.conclude(update, partly));
        }
        // "200, but unchanged": one server answers so to operations that it does not understand.
        update.refused = partly.acknowledgement.refused.clone();
        update.partly = Some(partly);
        update.style = WriteStyle::Put;
        update.known = None;
        None
    }

    fn must_look(&self, update: &Update<'_>) -> bool {
        update.activate
            || update.partly.is_some()
            || self.known(|profile| {
                profile.attributes != update.style
                    || update.changes.iter().any(|change| !profile.stored.contains(&change.path))
            })
    }

    /// Learns from an acknowledged write and makes its outcome.
    fn conclude(&self, update: &mut Update<'_>, mut now: Partly) -> WriteOutcome {
        let before = update.partly.take();
        let fewer = before.as_ref().is_none_or(|before| {
            now.unchanged.len() < before.unchanged.len() || (before.still_inactive && !now.still_inactive)
        });
        let took: Vec<&AttributePath> = update
            .changes
            .iter()
            .map(|change| &change.path)
            .filter(|path| !now.unchanged.contains(path))
            .collect();
        self.learn(|profile| {
            if update.after_failure && !took.is_empty() {
                profile.put_helped_after_failure(took.iter().copied());
            } else if fewer && !took.is_empty() && now.acknowledgement.account.is_some() {
                profile.attributes_took(now.style, took.iter().copied());
            }
            let helped = before.as_ref().is_some_and(|before| before.still_inactive);
            if update.activate && !now.still_inactive && (helped || update.changes.is_empty()) {
                profile.active = now.style;
            } else if update.active_by_path && !now.still_inactive && now.style == WriteStyle::PatchPath {
                profile.active = WriteStyle::PatchPath;
            }
            if update.tried.len() > 1 || now.style == WriteStyle::Put {
                profile.attributes_ignored(now.unchanged.iter().cloned());
            }
        });
        if now.still_inactive {
            let detail = "the target accepted the activation and still shows the account inactive".to_owned();
            return refused(RefusalClass::Server, now.acknowledgement.status, detail, update.attempts);
        }
        now.acknowledgement.attempts = update.attempts;
        WriteOutcome::Applied(now.acknowledgement)
    }

    /// `None` = go on.
    async fn after_refusal(&self, update: &mut Update<'_>, fault: Fault) -> Option<WriteOutcome> {
        if let Some(partly) = update.partly.take().filter(|_| !fault.leaves_doubt()) {
            // The other style is not there; what the first one did stands.
            return Some(self.conclude(update, partly));
        }
        let step = self.known(|profile| next_step(&fault, update, profile));
        match step {
            Step::Refuse => {
                return Some(WriteOutcome::Refused(fault.refusal(update.kind(), update.attempts)));
            }
            Step::Doubt => return Some(fault.outcome(update.kind(), update.attempts)),
            Step::Style(style) => {
                update.style = style;
            }
            Step::ActiveByPath => update.active_by_path = true,
            Step::ReadFirst => match self.account(update.id, Lane::General).await {
                Ok(Some(account)) => {
                    update.known = Some(account);
                    self.learn(|profile| profile.reads_before_patch = true);
                }
                Ok(None) => return Some(update.gone()),
                Err(error) => return Some(not_read(error, update.attempts)),
            },
            Step::Drop(paths) => return self.drop_attributes(update, paths, &fault),
            Step::Singly => {
                let mut outcome = self.update_singly(update.id, &update.changes, update.activate).await;
                update.add_history(&mut outcome);
                return Some(outcome);
            }
            Step::CheckPresence => match self.account(update.id, Lane::General).await {
                Ok(Some(_)) if update.tried.contains(&WriteStyle::Put) => {
                    let detail = format!("the account can be read but not written: {}", fault.detail);
                    return Some(refused(RefusalClass::Server, fault.status, detail, update.attempts));
                }
                Ok(Some(account)) => {
                    update.known = Some(account);
                    update.style = WriteStyle::Put;
                }
                Ok(None) => return Some(update.gone()),
                Err(error) => return Some(not_read(error, update.attempts)),
            },
            Step::Settle => return self.settle(update, &fault).await,
        }
        None
    }

    fn drop_attributes(
        &self,
        update: &mut Update<'_>,
        paths: Vec<AttributePath>,
        fault: &Fault,
    ) -> Option<WriteOutcome> {
        update.drops += 1;
        update.changes.retain(|change| !paths.contains(&change.path));
        for path in paths {
            if fault.says_unknown_attribute() {
                self.learn(|profile| profile.attribute_unknown(&path, &fault.detail, Millis::now()));
            }
            update.refused.push((path, fault.detail.clone()));
        }
        (update.changes.is_empty() && !update.activate).then(|| update.nothing_left())
    }

    /// After a 500 to a PATCH: whether it acted after all; else once more as PUT.
    async fn settle(&self, update: &mut Update<'_>, fault: &Fault) -> Option<WriteOutcome> {
        match self.account(update.id, Lane::General).await {
            Ok(Some(account)) => {
                let active = !update.activate || account.active() == Some(true);
                if update.unchanged(Some(&account)).is_empty() && active {
                    return Some(WriteOutcome::Applied(Acknowledgement {
                        status: fault.status,
                        account: Some(account),
                        refused: std::mem::take(&mut update.refused),
                        attempts: update.attempts,
                        seen: true,
                    }));
                }
                update.known = Some(account);
                update.style = WriteStyle::Put;
                update.after_failure = true;
                None
            }
            Ok(None) => Some(update.gone()),
            Err(_) => Some(fault.outcome(update.kind(), update.attempts)),
        }
    }
}

//! The state of one update, and the pure decision what follows on a refusal.
//!
//! What lives here: [`next_step`]. What must not: requests.

use crate::core::echo;
use crate::model::account::Account;
use crate::model::attributes::AttributePath;
use crate::model::id::TargetId;
use crate::model::link::EchoKind;
use crate::model::plan::Change;
use crate::scim::create::DROPS_MAXIMUM;
use crate::scim::dialect::{Profile, WriteStyle};
use crate::scim::fault::{Fault, WriteKind};
use crate::scim::rejected_attributes::blamed;
use crate::scim::service::refused;
use crate::scim::target::{Acknowledgement, Refusal, RefusalClass, WriteOutcome};

/// Writes of one update, whatever happens: three styles, five dropped attributes and a little.
const SENDS_MAXIMUM: u32 = 10;

/// An update on its way.
pub(crate) struct Update<'a> {
    pub id: &'a TargetId,
    pub changes: Vec<Change>,
    pub activate: bool,
    pub style: WriteStyle,
    pub tried: Vec<WriteStyle>,
    /// The account as read within this update, before anything was written.
    pub known: Option<Account>,
    pub refused: Vec<(AttributePath, String)>,
    pub attempts: u32,
    pub drops: u32,
    /// The present style follows on a 500.
    pub after_failure: bool,
    /// `active` goes by its path beside the other operations.
    pub active_by_path: bool,
    /// Another style is tried only where the method is not there.
    pub keeps_style: bool,
    /// An acknowledged write that did not change everything.
    pub partly: Option<Partly>,
}

/// An acknowledged write and what it left as it was.
pub(crate) struct Partly {
    pub style: WriteStyle,
    pub acknowledgement: Acknowledgement,
    pub unchanged: Vec<AttributePath>,
    pub still_inactive: bool,
}

/// What follows on a refusal.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// The refusal stands.
    Refuse,
    /// The same in another style.
    Style(WriteStyle),
    /// The same, with `active` by its path.
    ActiveByPath,
    /// The same, with the account at hand.
    ReadFirst,
    /// The same without these.
    Drop(Vec<AttributePath>),
    /// One by one.
    Singly,
    /// Is the account gone, or only the method?
    CheckPresence,
    /// Did the failed write act?
    Settle,
    /// Nobody knows what happened.
    Doubt,
}

impl Update<'_> {
    pub(super) fn has_elements(&self) -> bool {
        self.changes.iter().any(|change| change.path.selector().is_some())
    }

    pub(super) fn kind(&self) -> WriteKind {
        if self.activate { WriteKind::Activation } else { WriteKind::Update }
    }

    /// `active` alone needs no account but for PUT.
    pub(super) fn needs_account(&self) -> bool {
        self.style == WriteStyle::Put || !self.changes.is_empty()
    }

    pub(super) fn untried(&self, order: &[WriteStyle]) -> Option<WriteStyle> {
        order.iter().copied().find(|style| !self.tried.contains(style) && *style != self.style)
    }

    /// The changes that the account does not show.
    pub(super) fn unchanged(&self, account: Option<&Account>) -> Vec<AttributePath> {
        let Some(account) = account else { return Vec::new() };
        let is_unchanged = |change: &&Change| {
            let shown = account.value(&change.path);
            match &change.to {
                Some(to) => echo::compare(&change.path, to, shown.as_ref()) == Some(EchoKind::Ignored),
                None => shown.is_some(),
            }
        };
        self.changes.iter().filter(is_unchanged).map(|change| change.path.clone()).collect()
    }

    pub(super) fn gone(&self) -> WriteOutcome {
        refused(RefusalClass::NotFound, 404, "the account does not exist any more".to_owned(), self.attempts)
    }

    /// Everything was refused, or there was nothing to begin with.
    pub(super) fn nothing_left(&mut self) -> WriteOutcome {
        let attributes = std::mem::take(&mut self.refused);
        match attributes.first() {
            None => WriteOutcome::Applied(Acknowledgement {
                status: 204,
                account: self.known.take(),
                refused: attributes,
                attempts: self.attempts,
                seen: true,
            }),
            Some((_, detail)) => WriteOutcome::Refused(Refusal {
                class: RefusalClass::Invalid,
                status: 400,
                detail: detail.clone(),
                attempts: self.attempts,
                attributes,
            }),
        }
    }

    /// Adds what happened before attributes were tried one by one.
    pub(super) fn add_history(&mut self, outcome: &mut WriteOutcome) {
        match outcome {
            WriteOutcome::Applied(acknowledgement) => {
                acknowledgement.attempts += self.attempts;
                acknowledgement.refused.append(&mut self.refused);
            }
            WriteOutcome::Refused(refusal) => {
                refusal.attempts += self.attempts;
                if !refusal.attributes.is_empty() {
                    refusal.attributes.append(&mut self.refused);
                }
            }
            WriteOutcome::Unknown { attempts, .. } => *attempts += self.attempts,
        }
    }
}

/// What follows on a refusal of the update in its present style.
pub(crate) fn next_step(fault: &Fault, update: &Update<'_>, profile: &Profile) -> Step {
    use WriteStyle::{PatchPath, PatchValue, Put};
    if update.attempts >= SENDS_MAXIMUM {
        return if fault.leaves_doubt() { Step::Doubt } else { Step::Refuse };
    }
    if fault.refuses_method() {
        let order: &[WriteStyle] = if update.style == Put { &[PatchPath, PatchValue] } else { &[Put] };
        return update.untried(order).map_or(Step::Refuse, Step::Style);
    }
    if matches!(fault.status, 404 | 410) {
        let is_patch = update.style != Put && update.untried(&[Put]).is_some();
        return if is_patch || !fault.from_service { Step::CheckPresence } else { Step::Refuse };
    }
    if fault.leaves_doubt() {
        let may_settle = fault.status == 500 && update.style != Put && update.untried(&[Put]).is_some();
        return if may_settle { Step::Settle } else { Step::Doubt };
    }
    if !fault.is_invalid(update.kind()) {
        return Step::Refuse;
    }
    if fault.refuses_path() {
        let mixes = update.activate && !update.changes.is_empty() && update.style == PatchPath;
        if mixes && !update.active_by_path && profile.active == PatchValue && !fault.finds_no_target() {
            return Step::ActiveByPath;
        }
        if update.style == PatchPath && update.known.is_none() && update.has_elements() {
            return Step::ReadFirst;
        }
        if let Some(style) = update.untried(&[PatchValue, Put]).filter(|_| !update.keeps_style) {
            return Step::Style(style);
        }
    }
    let named = blamed(fault, update.changes.iter().map(|change| (&change.path, change.to.as_ref())));
    if named.iter().any(AttributePath::is_essential) {
        return Step::Refuse;
    }
    if !named.is_empty() && update.drops < DROPS_MAXIMUM {
        return Step::Drop(named);
    }
    let proven = update.keeps_style || (profile.attributes == update.style && !profile.stored.is_empty());
    if !proven
        && named.is_empty()
        && let Some(style) = update.untried(&[PatchValue, Put])
    {
        return Step::Style(style);
    }
    let has_optional = update.changes.iter().any(|change| !change.path.is_essential());
    let parts = update.changes.len() + usize::from(update.activate);
    if has_optional && parts > 1 { Step::Singly } else { Step::Refuse }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

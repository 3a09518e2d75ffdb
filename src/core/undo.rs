//! Undo: what one run did to one account, and the action that takes it back.
//!
//! What lives here: adding up what a run wrote, comparing it with what the account holds now, the action. What must
//! not: reading either, guards, the proof of a deactivation (`proof`).
//!
//! *Invariant*: an action with the cause [`RemovalCause::Undone`] is made only by [`take_back`], and only of a
//! [`JournaledWrite`] that made the account active.

use std::collections::BTreeMap;

use super::diff::activation;
use super::planner::switched;
use crate::config::LifecyclePolicy;
use crate::model::account::Account;
use crate::model::attributes::{AttributePath, Scalar};
use crate::model::digest::Digest;
use crate::model::folding::{fold_address, same_value};
use crate::model::id::{SourceId, TargetId};
use crate::model::link::{AttributeMemory, Link, LinkState};
use crate::model::order::Observation;
use crate::model::plan::{Change, Disposition, PlannedAction, RemovalCause, Situation, Verb};

/// What one run did to one account, as far as the target acknowledged it.
#[derive(Debug, Clone, PartialEq)]
pub struct JournaledWrite {
    run: i64,
    source_id: SourceId,
    user: String,
    target_id: Option<TargetId>,
    created: bool,
    deleted: bool,
    active: Option<Switch>,
    values: Vec<Change>,
}

/// `active` before and after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Switch {
    before: bool,
    after: bool,
}

/// What is known of a person when a deed is to be taken back.
#[derive(Debug)]
pub struct Present<'a> {
    /// The link.
    pub link: Option<&'a Link>,
    /// The account as just read; `None` = 404.
    pub account: Option<&'a Account>,
    /// When that was asked for.
    pub observation: Observation,
    /// Later runs that wrote to a path again, and which.
    pub written_since: &'a BTreeMap<AttributePath, i64>,
    /// Where the person stood at the source when a run last looked.
    pub source_digest: Option<Digest>,
}

impl JournaledWrite {
    /// Adds up what a run did to one person, from its acknowledged actions in the order in which they were sent.
    /// `None` where that is nothing.
    pub fn of(run: i64, applied: &[PlannedAction]) -> Option<JournaledWrite> {
        let last = applied.last()?;
        let mut write = JournaledWrite {
            run,
            source_id: last.source_id.clone(),
            user: last.user.clone(),
            target_id: None,
            created: false,
            deleted: false,
            active: None,
            values: Vec::new(),
        };
        for action in applied {
            write.add(action);
        }
        write.values.retain(|change| change.from != change.to);
        write.active = write.active.filter(|active| active.before != active.after);
        Some(write)
    }

    /// The run.
    pub fn run(&self) -> i64 {
        self.run
    }

    /// The person.
    pub fn source_id(&self) -> &SourceId {
        &self.source_id
    }

    /// The account, where the run knew it before it wrote.
    pub fn target_id(&self) -> Option<&TargetId> {
        self.target_id.as_ref()
    }

    /// Whether the run left an account active that it had not found so: the only thing that a deactivation takes
    /// back.
    pub fn made_active(&self) -> bool {
        self.active == Some(Switch { before: false, after: true })
    }

    fn add(&mut self, action: &PlannedAction) {
        if action.target_id.is_some() {
            self.target_id.clone_from(&action.target_id);
        }
        match action.verb {
            Verb::Create => {
                self.created = true;
                self.switch(true);
            }
            Verb::Deactivate => self.switch(false),
            Verb::Delete => self.deleted = true,
            Verb::Reactivate => self.switch(true),
            Verb::Adopt if action.activate => self.switch(true),
            Verb::Adopt | Verb::Update | Verb::Block | Verb::Skip => {}
        }
        if action.verb.is_removal() || action.verb == Verb::Create {
            return;
        }
        for change in action.changes.iter().filter(|change| change.path != AttributePath::active()) {
            match self.values.iter_mut().find(|known| known.path == change.path) {
                Some(known) => known.to.clone_from(&change.to),
                None => self.values.push(change.clone()),
            }
        }
    }

    fn switch(&mut self, after: bool) {
        let before = self.active.map_or(!after, |active| active.before);
        self.active = Some(Switch { before, after });
    }
}

/// The paths that an action writes.
pub fn written_paths(action: &PlannedAction) -> Vec<AttributePath> {
    let mut paths: Vec<AttributePath> = action.changes.iter().map(|change| change.path.clone()).collect();
    if action.verb.is_removal() || action.activate || action.verb == Verb::Create {
        paths.push(AttributePath::active());
    }
    paths
}

/// The action that takes a deed back, as far as the account still holds what the run wrote. What cannot come back is
/// a block that says why; what is back already is a skip.
pub fn take_back(write: &JournaledWrite, present: &Present<'_>, policy: &LifecyclePolicy) -> PlannedAction {
    let run = write.run;
    if write.deleted {
        return told(
            write,
            present,
            Verb::Block,
            format!("run {run} deleted the account: it cannot come back"),
        );
    }
    let Some(link) = present.link else {
        let why = format!("not linked any more since run {run}, so the account is not touched");
        return told(write, present, Verb::Block, why);
    };
    if write.target_id.as_ref().is_some_and(|id| *id != link.target_id) {
        let why = format!("linked to another account since run {run}");
        return told(write, present, Verb::Block, why);
    }
    let Some(account) = present.account else {
        let why = match link.state {
            LinkState::Deactivated(_) | LinkState::Inactive => {
                "the account is gone at the target, or not shown there while it is inactive"
            }
            LinkState::Active | LinkState::Vanished(_) | LinkState::Gone(_) => {
                "the account is gone at the target"
            }
        };
        return told(write, present, Verb::Block, why.to_owned());
    };
    let mut moved = Vec::new();
    let active = active_back(write, account, present, &mut moved);
    let mut changes = values_back(write, link, account, present, &mut moved);
    if let Some(to) = active {
        changes.insert(0, activation(Some(!to), to));
    }
    let verb = match (active, changes.is_empty(), moved.is_empty()) {
        (Some(true), _, _) => Verb::Reactivate,
        (Some(false), _, _) => Verb::Deactivate,
        (None, false, _) => Verb::Update,
        (None, true, false) => {
            return told(write, present, Verb::Block, moved_on(&moved));
        }
        (None, true, true) => {
            return told(write, present, Verb::Skip, format!("is as it was before run {run} already"));
        }
    };
    let mut reason = if verb == Verb::Deactivate && write.created {
        format!("run {run} created the account; it is deactivated, not deleted")
    } else {
        format!("takes back what run {run} changed")
    };
    if !moved.is_empty() {
        reason.push_str(&format!("; {}", moved_on(&moved)));
    }
    let mut action = told(write, present, verb, reason);
    action.situation = Situation::Confirmed;
    action.changes = changes;
    action.activate = verb == Verb::Reactivate;
    action.cause = (verb == Verb::Deactivate).then_some(RemovalCause::Undone);
    action.disposition = Disposition::Send;
    action.billable = link.billable;
    action.source_digest = present.source_digest;
    switched(action, is_on(verb, policy))
}

fn is_on(verb: Verb, policy: &LifecyclePolicy) -> bool {
    match verb {
        Verb::Update | Verb::Adopt => policy.update,
        Verb::Reactivate => policy.reactivate,
        Verb::Deactivate | Verb::Delete => policy.deactivate,
        Verb::Create => policy.create,
        Verb::Block | Verb::Skip => true,
    }
}

/// What `active` has to become, where the run changed it and it is still so.
fn active_back(
    write: &JournaledWrite,
    account: &Account,
    present: &Present<'_>,
    moved: &mut Vec<String>,
) -> Option<bool> {
    let Switch { before, after } = write.active?;
    let shown = account.active() != Some(false);
    if shown != after {
        return None;
    }
    match present.written_since.get(&AttributePath::active()) {
        Some(later) => {
            moved.push(format!("run {later} wrote active again"));
            None
        }
        None => Some(before),
    }
}

fn values_back(
    write: &JournaledWrite,
    link: &Link,
    account: &Account,
    present: &Present<'_>,
    moved: &mut Vec<String>,
) -> Vec<Change> {
    let mut back = Vec::new();
    // A created account is deactivated as it is.
    for Change { path, from, to } in write.values.iter().filter(|_| !write.created) {
        let shown = account.value(path);
        if shown == *from {
            continue;
        }
        if !holds(path, to.as_ref(), shown.as_ref(), &link.memory) {
            if !holds(path, from.as_ref(), shown.as_ref(), &link.memory) {
                moved.push(format!("{path} is {} now, run {} wrote {}", word(&shown), write.run, word(to)));
            }
            continue;
        }
        match present.written_since.get(path) {
            Some(later) => moved.push(format!("run {later} wrote {path} again")),
            None => back.push(Change { path: path.clone(), from: shown, to: from.clone() }),
        }
    }
    back
}

/// Whether what is shown is what was written, the target's own spelling of it included.
fn holds(
    path: &AttributePath,
    written: Option<&Scalar>,
    shown: Option<&Scalar>,
    memory: &AttributeMemory,
) -> bool {
    match (written, shown) {
        (None, None) => true,
        (Some(written), Some(shown)) => {
            same_value(path, written, shown)
                || fold_address(&written.as_text()) == fold_address(&shown.as_text())
                || memory
                    .echoes
                    .get(path)
                    .is_some_and(|echo| echo.sent == *written && echo.returned.as_ref() == Some(shown))
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn word(value: &Option<Scalar>) -> String {
    value.as_ref().map_or_else(|| "nothing".to_owned(), |value| format!("\"{}\"", value.as_text()))
}

fn moved_on(moved: &[String]) -> String {
    format!("moved on: {}", moved.join(", "))
}

fn told(write: &JournaledWrite, present: &Present<'_>, verb: Verb, reason: String) -> PlannedAction {
    let situation = if verb == Verb::Block { Situation::Blocked } else { Situation::Confirmed };
    let user = present.link.map_or_else(|| write.user.clone(), |link| link.user_name.clone());
    PlannedAction {
        verb,
        situation,
        reason,
        target_id: present.link.map(|link| link.target_id.clone()).or_else(|| write.target_id.clone()),
        ..PlannedAction::blank(write.source_id.clone(), user, present.observation)
    }
}

#[cfg(test)]
mod tests;

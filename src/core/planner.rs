//! The plan of one person: from standing, link and matches to one action, or to nothing.
//!
//! What lives here: situation -> verb, reason, changes. What must not: guards (they count whole plans), proofs,
//! how anything is sent.

use serde::{Deserialize, Serialize};

use super::diff::{self, Difference};
use super::eligibility::{Eligibility, EligibilityKind};
use super::mapping::{Mapped, Mapping};
use super::removal_cause::{removal_cause, removal_reason, removal_verb};
use super::situation::{LinkKind, MatchKind, situation};
use crate::config::{Adopt, LifecyclePolicy, MatchBy};
use crate::model::account::Account;
use crate::model::attributes::AttributePath;
use crate::model::digest::Digest;
use crate::model::id::{SourceId, TargetId};
use crate::model::link::{AttributeMemory, Link, LinkState};
use crate::model::order::Observation;
use crate::model::plan::{Change, Disposition, FoundAccount, PlannedAction, RemovalCause, Situation, Verb};
use crate::model::time::Millis;

/// Part of the reason where `[sync.lifecycle]` keeps the account of somebody who left.
pub const KEPT_BY_LIFECYCLE: &str = "kept by lifecycle.";
/// How the reason ends for somebody who does not qualify and is not linked.
pub const NO_ACCOUNT_OF_OURS: &str = ", and has no account of ours";

/// What the configuration decides.
#[derive(Debug)]
pub struct Policy<'a> {
    /// `[sync.lifecycle]`
    pub lifecycle: &'a LifecyclePolicy,
    /// `[sync.adopt]`
    pub adopt: &'a Adopt,
    /// The compiled mapping.
    pub mapping: &'a Mapping,
}

/// Everything known of one person.
#[derive(Debug)]
pub struct Person<'a> {
    /// The person's id.
    pub id: &'a SourceId,
    /// The login, or the best name there is.
    pub user: &'a str,
    /// Where the person stands.
    pub eligibility: &'a Eligibility,
    /// The link.
    pub link: Option<&'a Link>,
    /// What the ladder found; [`Match::None`] where nobody needed to look.
    pub hits: &'a Match,
    /// Why this person waits for a later run, if so.
    pub waits: Option<&'a str>,
    /// The cause of a deletion that is owed though the access is taken already.
    pub owed_deletion: Option<RemovalCause>,
    /// When the oldest request was sent that this rests on.
    pub observation: Observation,
    /// When the person was assigned.
    pub assigned_at: Option<Millis>,
}

/// What the matching ladder found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Match {
    /// Nothing.
    None,
    /// One free account.
    One {
        /// The account.
        account: Account,
        /// The rung it was found on.
        by: MatchBy,
    },
    /// Two or more, or several people for one login; the text names them.
    Several(String),
    /// Linked to a living identity or by another sync; the text says whom.
    LinkedElsewhere(String),
    /// Target or source could not be asked who has this person's login; the text says why.
    Unreadable(String),
    /// Of an identity that is proven gone.
    LinkedToGone {
        /// The account.
        account: Account,
        /// The rung it was found on.
        by: MatchBy,
        /// The identity whose it was.
        predecessor: SourceId,
        /// What says so.
        tie: Tie,
    },
    /// One account that nobody is linked to, with a mark in the form of this source whose person the source does not know.
    UnknownMark {
        /// The account.
        account: Account,
        /// The rung it was found on.
        by: MatchBy,
        /// Whose mark it is.
        mark: SourceId,
    },
}

impl Match {
    /// The one account that was found, and the rung it was found on.
    pub fn account(&self) -> Option<(&Account, MatchBy)> {
        match self {
            Match::One { account, by }
            | Match::LinkedToGone { account, by, .. }
            | Match::UnknownMark { account, by, .. } => Some((account, *by)),
            Match::None | Match::Several(_) | Match::LinkedElsewhere(_) | Match::Unreadable(_) => None,
        }
    }
}

/// What ties an account to an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tie {
    /// Our link, to an account that is active as far as it is known.
    Link,
    /// Our link, to an account that is not active as far as it is known.
    InactiveLink,
    /// The account's `externalId`.
    Mark,
}

impl From<&Match> for MatchKind {
    fn from(hits: &Match) -> MatchKind {
        match hits {
            Match::None => MatchKind::None,
            // Who may have it is not the table's to say: an unknown mark waits for approval.
            Match::One { .. } | Match::UnknownMark { .. } => MatchKind::One,
            Match::Several(_) => MatchKind::Several,
            Match::LinkedElsewhere(_) => MatchKind::LinkedElsewhere,
            // Nobody may be created who could not be looked for.
            Match::Unreadable(_) => MatchKind::Several,
            Match::LinkedToGone { .. } => MatchKind::LinkedToGone,
        }
    }
}

/// What is to be done for one person.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Linked, nothing to do. Where `refresh` is set, the stored digest is out of date though no value is.
    Unchanged {
        /// The digest to store.
        refresh: Option<Digest>,
    },
    /// One action.
    Act(Box<PlannedAction>),
}

/// Plans one person.
pub fn plan(person: &Person<'_>, policy: &Policy<'_>, now: Millis) -> Decision {
    let state = person.link.map(|link| link.state);
    let situation = situation(
        EligibilityKind::from(person.eligibility),
        LinkKind::from(state),
        MatchKind::from(person.hits),
    );
    if let (Match::Unreadable(why), Eligibility::Qualifies(_)) = (person.hits, person.eligibility) {
        return not_looked_up(person, policy, why);
    }
    match situation {
        Situation::Confirmed if person.link.is_some_and(|link| !link.removal_seen) => {
            returning(person, policy, now)
        }
        Situation::Confirmed => confirmed(person, policy, now),
        Situation::Returning => returning(person, policy, now),
        Situation::Found | Situation::Relink | Situation::Successor => {
            adoption(person, policy, situation, now)
        }
        Situation::Absent => creation(person, policy, situation, "assigned and has no account"),
        Situation::Missing if policy.lifecycle.recreate => creation(
            person,
            policy,
            situation,
            "the account was deleted at the target and lifecycle.recreate is on",
        ),
        Situation::Missing => block(
            person,
            situation,
            "the account was deleted at the target; lifecycle.recreate = true would create it again"
                .to_owned(),
        ),
        Situation::Ambiguous | Situation::TakenElsewhere => block(person, situation, match_text(person.hits)),
        Situation::Blocked => match person.eligibility {
            Eligibility::Blocked(reason) => block(person, situation, reason.clone()),
            Eligibility::Unknown(reason) => undecidable(person, situation, reason.clone()),
            Eligibility::Qualifies(_)
            | Eligibility::Pending
            | Eligibility::Suspended
            | Eligibility::Leaver(_)
            | Eligibility::OutOfScope => block(person, situation, "undecided".to_owned()),
        },
        Situation::Waiting if person.link.is_some() => Decision::Unchanged { refresh: None },
        Situation::Waiting => {
            skip(person, situation, "not activated at the source yet (lifecycle.on_pending = \"wait\")")
        }
        Situation::Suspended | Situation::Leaver | Situation::OutOfScope => {
            removal(person, policy, situation, removal_cause(person.eligibility))
        }
        Situation::Gone => gone(person, policy, now),
    }
}

fn confirmed(person: &Person<'_>, policy: &Policy<'_>, now: Millis) -> Decision {
    let (Eligibility::Qualifies(mapped), Some(link)) = (person.eligibility, person.link) else {
        return Decision::Unchanged { refresh: None };
    };
    let difference = diff::difference(&mapped.desired, &link.acknowledged, &link.memory, now);
    if difference.changes.is_empty() && !difference.withheld.is_empty() {
        let mut action = action(person, Verb::Update, Situation::Confirmed, policy, Some(mapped));
        action.reason =
            "the account was adopted by e-mail, so its login and e-mail wait for approval".to_owned();
        action.changes = difference.withheld;
        action.disposition = Disposition::Held(action.reason.clone());
        return act(action);
    }
    if let (true, Some(problem)) = (difference.changes.is_empty(), &mapped.user_type_problem) {
        return block(person, Situation::Confirmed, format!("{problem}, so it stays as it is"));
    }
    if difference.changes.is_empty() {
        let settled = difference.refused.is_empty();
        let refresh = settled.then_some(mapped.desired.digest).filter(|digest| link.digest != Some(*digest));
        return Decision::Unchanged { refresh };
    }
    let mut action = action(person, Verb::Update, Situation::Confirmed, policy, Some(mapped));
    action.reason = with_user_type_problem(differs(&difference.changes), mapped);
    action.changes = difference.changes;
    act(switched(waiting(action, person), policy.lifecycle.update))
}

fn returning(person: &Person<'_>, policy: &Policy<'_>, now: Millis) -> Decision {
    let (Eligibility::Qualifies(mapped), Some(link)) = (person.eligibility, person.link) else {
        return Decision::Unchanged { refresh: None };
    };
    let mut action = action(person, Verb::Reactivate, Situation::Returning, policy, Some(mapped));
    action.reason = match link.state {
        LinkState::Deactivated(since) => {
            format!("assigned again; rosterd deactivated the account on {}", day(since))
        }
        LinkState::Active => {
            "nobody can see what became of a deactivation, so the account may be inactive".to_owned()
        }
        LinkState::Inactive | LinkState::Vanished(_) | LinkState::Gone(_) => {
            "the account is inactive though rosterd did not deactivate it, and its activation is owed"
                .to_owned()
        }
    };
    action.activate = true;
    action.changes = vec![diff::activation(Some(false), true)];
    if policy.lifecycle.update {
        let Difference { changes, .. } =
            diff::difference(&mapped.desired, &link.acknowledged, &link.memory, now);
        action.changes.extend(changes);
    }
    act(switched(waiting(action, person), policy.lifecycle.reactivate))
}

fn adoption(person: &Person<'_>, policy: &Policy<'_>, situation: Situation, now: Millis) -> Decision {
    let Some((account, by)) = person.hits.account() else {
        return block(person, situation, match_text(person.hits));
    };
    let Eligibility::Qualifies(mapped) = person.eligibility else {
        return block(person, situation, "does not qualify".to_owned());
    };
    let mut action = action(person, Verb::Adopt, situation, policy, Some(mapped));
    action.target_id = Some(account.id.clone());
    if let Some(login) = account.user_name() {
        login.clone_into(&mut action.user);
    }
    let current = account.values(&policy.mapping.owned_paths());
    let mut memory = AttributeMemory::default();
    if by == MatchBy::Email {
        memory.withheld = mapped.desired.set.keys().filter(|path| path.ignores_case()).cloned().collect();
    }
    let Difference { changes, withheld, .. } = diff::difference(&mapped.desired, &current, &memory, now);
    if policy.lifecycle.update {
        action.changes = changes;
    }
    // Where the workspace does not show it, what we did to the account is what is known.
    let tied = matches!(person.hits, Match::LinkedToGone { tie: Tie::InactiveLink, .. });
    let active = account.active().unwrap_or(!tied);
    if !active && policy.lifecycle.reactivate {
        action.activate = true;
        action.changes.insert(0, diff::activation(Some(false), true));
    }
    action.found = Some(FoundAccount {
        values: current,
        active,
        withheld: withheld.iter().map(|change| change.path.clone()).collect(),
    });
    if let Match::LinkedToGone { predecessor, .. } = person.hits {
        action.predecessor = Some(predecessor.clone());
    }
    action.reason = adoption_reason(person, by, situation);
    if !withheld.is_empty() {
        action.reason.push_str("; its login and e-mail are not changed without approval");
    }
    let is_the_one_that_vanished = target_id(person).as_ref() == Some(&account.id);
    let held = if situation == Situation::Successor {
        Some("the account belonged to an identity that is gone: handing it on needs approval")
    } else if situation == Situation::Relink && !is_the_one_that_vanished {
        Some("the linked account is gone and another one matches: linking to it needs approval")
    } else if situation == Situation::Relink {
        // It had answered 404, and was not gone after all.
        None
    } else if matches!(person.hits, Match::UnknownMark { .. }) {
        Some(
            "the account is marked for somebody whom the source does not know: taking it over needs approval",
        )
    } else {
        policy.adopt.hold.then_some("adopt.mode = \"hold\"")
    };
    match held {
        Some(why) => action.disposition = Disposition::Held(why.to_owned()),
        None => action = waiting(action, person),
    }
    act(action)
}

fn adoption_reason(person: &Person<'_>, by: MatchBy, situation: Situation) -> String {
    let rung = match by {
        MatchBy::ExternalId => "externalId",
        MatchBy::UserName => "userName",
        MatchBy::Email => "e-mail",
    };
    match (situation, person.hits) {
        (Situation::Successor, Match::LinkedToGone { predecessor, tie, .. }) => {
            let tied = match tie {
                Tie::Link | Tie::InactiveLink => "is linked to",
                Tie::Mark => "bears the mark of",
            };
            format!("an account with this {rung} {tied} {predecessor}, who is gone from the source")
        }
        (_, Match::UnknownMark { mark, .. }) => {
            format!("an account with this {rung} bears the mark of {mark}, whom the source does not know")
        }
        _ => format!("an account with this {rung} exists already"),
    }
}

fn creation(person: &Person<'_>, policy: &Policy<'_>, situation: Situation, reason: &str) -> Decision {
    let Eligibility::Qualifies(mapped) = person.eligibility else {
        return block(person, situation, "does not qualify".to_owned());
    };
    if let Some(problem) = &mapped.user_type_problem {
        return block(person, situation, problem.clone());
    }
    let mut action = action(person, Verb::Create, situation, policy, Some(mapped));
    mapped.desired.user_name().clone_into(&mut action.user);
    action.reason = reason.to_owned();
    action.changes = diff::creation(&mapped.desired);
    action.target_id = None;
    act(switched(waiting(action, person), policy.lifecycle.create))
}

fn removal(person: &Person<'_>, policy: &Policy<'_>, situation: Situation, cause: RemovalCause) -> Decision {
    let Some(verb) = removal_verb(cause, policy.lifecycle) else {
        let kept = match cause {
            RemovalCause::Suspended => "suspended at the source; kept by lifecycle.on_suspended",
            RemovalCause::Deleted => "deleted at the source; kept by lifecycle.on_deleted",
            RemovalCause::NotListed
            | RemovalCause::NotAssigned
            | RemovalCause::Disabled
            | RemovalCause::OutOfScope
            | RemovalCause::DeleteAfter
            | RemovalCause::Undone => "left; kept by lifecycle.on_unassigned",
        };
        return skip(person, situation, kept);
    };
    let mut action = action(person, verb, situation, policy, None);
    action.reason = removal_reason(cause).to_owned();
    action.cause = Some(cause);
    if verb == Verb::Deactivate {
        action.changes = vec![diff::activation(Some(true), false)];
    }
    // No wait of another try keeps a leaver in: a removal is tried in every run.
    act(switched(action, policy.lifecycle.deactivate))
}

/// Somebody who left and has no active account: nothing, a deletion that could not go when the access was taken, or the
/// second step of a two-step leave.
fn gone(person: &Person<'_>, policy: &Policy<'_>, now: Millis) -> Decision {
    let Some(link) = person.link else {
        let left = match person.eligibility {
            Eligibility::OutOfScope => "out of scope by scope.filter",
            Eligibility::Suspended => "suspended at the source",
            Eligibility::Leaver(_)
            | Eligibility::Qualifies(_)
            | Eligibility::Pending
            | Eligibility::Blocked(_)
            | Eligibility::Unknown(_) => "left",
        };
        return skip(person, Situation::Gone, &format!("{left}{NO_ACCOUNT_OF_OURS}"));
    };
    if let (Some(cause), LinkState::Deactivated(_)) = (owed_deletion(person, policy), link.state) {
        let mut action = action(person, Verb::Delete, Situation::Gone, policy, None);
        action.cause = Some(cause);
        action.reason = format!("{}; the access is taken, and the deletion is owed", removal_reason(cause));
        return act(switched(action, policy.lifecycle.deactivate));
    }
    let since = match link.state {
        LinkState::Deactivated(since) => Some(since),
        LinkState::Active | LinkState::Inactive | LinkState::Vanished(_) | LinkState::Gone(_) => None,
    };
    let wait = policy.lifecycle.delete_after.zip(since);
    if wait.is_none_or(|(after, since)| now.since(since) < after.as_millis() as i64) {
        return Decision::Unchanged { refresh: None };
    }
    let mut action = action(person, Verb::Delete, Situation::Gone, policy, None);
    action.cause = Some(RemovalCause::DeleteAfter);
    action.reason = removal_reason(RemovalCause::DeleteAfter).to_owned();
    act(switched(action, policy.lifecycle.deactivate))
}

/// The cause by which an owed deletion is still wanted: what is known now, else what was known then.
fn owed_deletion(person: &Person<'_>, policy: &Policy<'_>) -> Option<RemovalCause> {
    let known = person.owed_deletion?;
    let cause = match removal_cause(person.eligibility) {
        RemovalCause::NotListed => known,
        seen @ (RemovalCause::NotAssigned
        | RemovalCause::Disabled
        | RemovalCause::Suspended
        | RemovalCause::OutOfScope
        | RemovalCause::Deleted
        | RemovalCause::DeleteAfter
        | RemovalCause::Undone) => seen,
    };
    (cause != RemovalCause::DeleteAfter && removal_verb(cause, policy.lifecycle) == Some(Verb::Delete))
        .then_some(cause)
}

fn action(
    person: &Person<'_>,
    verb: Verb,
    situation: Situation,
    policy: &Policy<'_>,
    mapped: Option<&Mapped>,
) -> PlannedAction {
    let billable = match mapped {
        Some(mapped) => policy.mapping.is_billable(mapped.user_type.as_deref()),
        None => person.link.is_some_and(|link| link.billable),
    };
    PlannedAction {
        desired: mapped.map(|mapped| mapped.desired.clone()),
        disposition: if verb.is_write() { Disposition::Send } else { Disposition::Nothing },
        billable,
        ..bare(person, verb, situation, String::new())
    }
}

fn target_id(person: &Person<'_>) -> Option<TargetId> {
    person.link.map(|link| link.target_id.clone())
}

fn act(action: PlannedAction) -> Decision {
    Decision::Act(Box::new(action))
}

fn bare(person: &Person<'_>, verb: Verb, situation: Situation, reason: String) -> PlannedAction {
    PlannedAction {
        verb,
        situation,
        reason,
        target_id: target_id(person),
        assigned_at: person.assigned_at,
        ..PlannedAction::blank(person.id.clone(), person.user.to_owned(), person.observation)
    }
}

fn block(person: &Person<'_>, situation: Situation, reason: String) -> Decision {
    act(bare(person, Verb::Block, situation, reason))
}

/// Somebody whose login could not be asked for: that person waits, and nobody else.
fn not_looked_up(person: &Person<'_>, policy: &Policy<'_>, why: &str) -> Decision {
    let mapped = match person.eligibility {
        Eligibility::Qualifies(mapped) => Some(&**mapped),
        Eligibility::Pending
        | Eligibility::Suspended
        | Eligibility::Leaver(_)
        | Eligibility::OutOfScope
        | Eligibility::Blocked(_)
        | Eligibility::Unknown(_) => None,
    };
    let mut action = action(person, Verb::Create, Situation::Absent, policy, mapped);
    action.reason = format!("whether there is an account cannot be told: {why}");
    action.target_id = None;
    action.disposition = Disposition::Failed(why.to_owned());
    act(action)
}

/// Somebody whom nobody can judge. With an active account it may be a leaver who is hidden, so a look is owed.
fn undecidable(person: &Person<'_>, situation: Situation, reason: String) -> Decision {
    let mut action = bare(person, Verb::Block, situation, reason);
    let has_access = person.link.is_some_and(|link| link.state.may_give_access());
    action.kept_from = has_access.then_some(Verb::Deactivate);
    act(action)
}

fn skip(person: &Person<'_>, situation: Situation, reason: &str) -> Decision {
    act(bare(person, Verb::Skip, situation, reason.to_owned()))
}

/// Marks an action whose switch in `[sync.lifecycle]` is off.
pub(super) fn switched(mut action: PlannedAction, on: bool) -> PlannedAction {
    let switch = match action.verb {
        Verb::Create => "create",
        Verb::Update | Verb::Adopt => "update",
        Verb::Reactivate => "reactivate",
        Verb::Deactivate | Verb::Delete => "deactivate",
        Verb::Block | Verb::Skip => return action,
    };
    if !on && action.disposition == Disposition::Send {
        action.disposition = Disposition::Disabled(format!("lifecycle.{switch} = false"));
    }
    action
}

fn waiting(mut action: PlannedAction, person: &Person<'_>) -> PlannedAction {
    if let Some(why) = person.waits {
        action.disposition = Disposition::Deferred(why.to_owned());
    }
    action
}

fn differs(changes: &[Change]) -> String {
    let names: Vec<String> = changes.iter().map(|change| short_name(&change.path)).collect();
    format!("{} {}", names.join(", "), if names.len() == 1 { "differs" } else { "differ" })
}

/// `department` for the enterprise path, `emails` for the primary e-mail: the words of a sentence.
fn short_name(path: &AttributePath) -> String {
    match (path.selector(), path.sub_attribute()) {
        (None, Some(sub)) => format!("{}.{sub}", path.attribute()),
        (Some(_), _) | (None, None) => path.attribute().to_owned(),
    }
}

fn with_user_type_problem(reason: String, mapped: &Mapped) -> String {
    match &mapped.user_type_problem {
        Some(problem) => format!("{reason}; {problem}, so it stays as it is"),
        None => reason,
    }
}

fn match_text(hits: &Match) -> String {
    match hits {
        Match::Several(text) | Match::LinkedElsewhere(text) | Match::Unreadable(text) => text.clone(),
        Match::None => "no account matches".to_owned(),
        Match::One { account, .. } => format!("matches account {}", account.id),
        Match::LinkedToGone { account, predecessor, .. } => {
            format!("matches account {}, which was {predecessor}'s", account.id)
        }
        Match::UnknownMark { account, mark, .. } => {
            format!("matches account {}, which bears the mark of {mark}", account.id)
        }
    }
}

fn day(time: Millis) -> String {
    time.rfc3339().chars().take(10).collect()
}

/// Whether a desired account gives somebody else's login.
pub fn changes_login(changes: &[Change]) -> bool {
    changes.iter().any(|change| change.path == AttributePath::user_name())
}

#[cfg(test)]
mod tests;

//! Why one person has the account they have, or none: the noun behind `explain` and the status page's search.
//!
//! Field names here are those of `rosterd.explain/1`. What must not live here: how it is found out (`engine`, `store`),
//! what the sentences are (`core::explain`).

use std::collections::BTreeMap;

use serde::Serialize;

use super::attributes::{AttributePath, Attributes, Scalar};
use super::history::Attempt;
use super::id::{SourceId, TargetId};
use super::link::LinkState;
use super::owed::{OwedClass, WaitMeaning, WaitsFor};
use super::plan::Verb;
use super::report::{ActionRecord, GuardFact};
use super::status::{FailingPerson, QuarantineStatus, SeatCount, SourceWords, TargetWords};
use super::time::{Millis, maybe_rfc3339, rfc3339};

/// The schema's name.
pub const EXPLAIN_SCHEMA: &str = "rosterd.explain/1";

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// [`EXPLAIN_SCHEMA`].
    pub schema: &'static str,
    /// The program's version.
    pub rosterd: &'static str,
    /// When it was asked.
    #[serde(serialize_with = "rfc3339")]
    pub generated_at: Millis,
    /// The login, e-mail or id that was asked for.
    pub who: String,
    /// Whether anybody of that name is known to any of the syncs.
    pub known: bool,
    /// One part a sync, in the order of the configuration.
    pub syncs: Vec<SyncExplained>,
}

impl Explanation {
    /// The answer of these syncs.
    pub fn new(who: &str, generated_at: Millis, syncs: Vec<SyncExplained>) -> Explanation {
        Explanation {
            schema: EXPLAIN_SCHEMA,
            rosterd: env!("CARGO_PKG_VERSION"),
            generated_at,
            who: who.to_owned(),
            known: syncs.iter().any(|sync| !sync.people.is_empty()),
            syncs,
        }
    }
}

/// What one sync has to say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SyncExplained {
    /// Name of the sync.
    #[serde(rename = "sync")]
    pub name: String,
    /// Where people come from.
    pub source: SourceWords,
    /// Where accounts live.
    pub target: TargetWords,
    /// What this rests on.
    pub basis: Basis,
    /// The last complete read of everybody whose run told where each of them stands; `null` = none on record.
    pub last_read: Option<LastRead>,
    /// What concerns everybody of this sync and so this person too: a pause, quarantine, failed runs.
    pub troubles: Vec<String>,
    /// Everybody whom the name means.
    pub people: Vec<PersonExplained>,
    /// Where it means nobody: why that may be.
    pub nobody: Option<Nobody>,
}

/// What an explanation rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Both sides were asked now.
    Fresh,
    /// What is stored; nobody was asked.
    Offline,
}

/// A read of everybody that was proven complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastRead {
    /// The run that read.
    pub run: i64,
    /// When it began to.
    #[serde(serialize_with = "rfc3339")]
    pub started_at: Millis,
    /// People read.
    pub people: u64,
}

/// Nobody of that name is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Nobody {
    /// Who was asked and what that means, a sentence each.
    pub why: Vec<String>,
    /// Known logins that are spelled nearly so.
    pub similar: Vec<String>,
    /// Accounts at the target with this login or id all the same. Offline, nobody looked.
    pub accounts: Vec<MatchCandidate>,
    /// What to do, a sentence each.
    pub next: Vec<String>,
}

/// One person.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PersonExplained {
    /// Login, or the best name there is.
    pub user: String,
    /// The person.
    pub source_id: SourceId,
    /// The answer in one sentence.
    pub answer: String,
    /// When what this rests on was seen: now, or by the run in `told_by_run`.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub as_of: Option<Millis>,
    /// The run that last told of this person; offline only.
    pub told_by_run: Option<i64>,
    /// When an event at the source named this person, where nobody has looked since.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub heard_at: Option<Millis>,
    /// The record at the source; `null` offline, because it is not stored.
    pub record: Option<SourceRecord>,
    /// What the source's state means.
    pub lifecycle: Option<Judged>,
    /// Whether the person is assigned to the app.
    pub assignment: Option<Judged>,
    /// Whether the person is in scope.
    pub scope: Option<ScopeStep>,
    /// Each owned attribute.
    pub mappings: Vec<MappingStep>,
    /// The link, where there is one.
    pub link: Option<LinkExplained>,
    /// Accounts at the target that could be this person's. Offline, nobody looked.
    pub matches: Vec<MatchCandidate>,
    /// The line of a run: situation, action, reason, changes. `null` = a run has nothing to do or to say.
    pub action: Option<ActionRecord>,
    /// What limits or stops a write for this person.
    pub guards: Guards,
    /// The last write was refused.
    pub failing: Option<FailingPerson>,
    /// Everything that is wanted and not acknowledged.
    pub owed: Vec<OwedExplained>,
    /// What was tried last, the newest first, at most five.
    pub attempts: Vec<Attempt>,
    /// What to do, a sentence each.
    pub next: Vec<String>,
}

/// Something that is wanted for a person and not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwedExplained {
    /// What kind of change.
    pub class: OwedClass,
    /// The verb; `null` where it is not known before somebody has looked.
    pub verb: Option<Verb>,
    /// Why access is to end.
    pub cause: Option<&'static str>,
    /// Since when it is owed.
    #[serde(serialize_with = "rfc3339")]
    pub since: Millis,
    /// What it waits for.
    pub waits_for: WaitsFor,
    /// When the daemon tries again by itself.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub next_try: Option<Millis>,
    /// Tries that came to nothing.
    pub attempts: u32,
    /// More words: the target's, or ours.
    pub detail: String,
    /// The command that changes what it waits for, where there is one.
    pub command: Option<String>,
}

impl OwedExplained {
    /// What it waits for, and when it is tried again.
    pub fn wait_text(&self) -> String {
        let next = match (self.next_try, self.waits_for.meaning()) {
            (Some(at), _) => format!(", next try {}", at.rfc3339()),
            (None, WaitMeaning::Undone) => ", next try in the next run".to_owned(),
            (None, WaitMeaning::Held | WaitMeaning::Wanted) => String::new(),
        };
        format!("waits for {}{next}", self.waits_for.describe())
    }

    /// `removal since … (disabled), tried twice: waits for the next try, next try …`
    pub fn describe(&self) -> String {
        let cause = self.cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
        let tried = match self.attempts {
            0 => String::new(),
            1 => ", tried once".to_owned(),
            more => format!(", tried {more} times"),
        };
        let (class, since) = (self.class.as_str(), self.since.rfc3339());
        format!("{class} since {since}{cause}{tried}: {}", self.wait_text())
    }
}

/// The record at the source, as far as it is used.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SourceRecord {
    /// The vendor's own word for the person's state.
    pub status: String,
    /// Attributes by the names that expressions use; what the source has nothing for is left out.
    pub attributes: BTreeMap<String, String>,
    /// Declared groups the person is a member of.
    pub groups: Vec<String>,
    /// When the person was assigned, where the vendor tells.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub assigned_at: Option<Millis>,
    /// The vendor's objects as received, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<serde_json::Value>,
}

/// A word and why it is that one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// The word.
    pub value: String,
    /// Why.
    pub why: String,
}

/// The scope rule and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScopeStep {
    /// `scope.filter`, where there is one.
    pub filter: Option<String>,
    /// What the names in it hold for this person; missing ones are `null`.
    pub names: BTreeMap<String, Option<String>>,
    /// `scope.domains`; empty = any.
    pub domains: Vec<String>,
    /// `in`, `out`, `failed` or `not asked`.
    pub value: &'static str,
    /// Why.
    pub why: String,
}

/// One owned attribute on its way to the target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MappingStep {
    /// Where at the target.
    pub path: AttributePath,
    /// Where from: an expression, or the built-in attribute as an expression would name it.
    pub expression: String,
    /// What it gave; offline, what was last acknowledged.
    pub value: Option<Scalar>,
    /// What the account holds, as last acknowledged or as read now.
    pub at_target: Option<Scalar>,
    /// What becomes of it.
    pub fate: Fate,
    /// Why.
    pub why: String,
}

/// What becomes of one attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It differs and is (or would be) sent.
    Sent,
    /// It is (or would be) cleared, because the source has nothing.
    Cleared,
    /// It differs, and the action that would send it waits or is off.
    Waits,
    /// The account has it already.
    Kept,
    /// The source has nothing, and what the account has is left alone.
    Omitted,
    /// The target takes it and does not keep it: it is not sent again until it changes.
    Ignored,
    /// The target refused the value lately: it rests.
    Refused,
    /// An adoption by e-mail does not change it before somebody approves that.
    Withheld,
    /// It is not owned: switched off in `[sync.attributes]`.
    Dropped,
    /// The expression failed, or its value is not allowed.
    Failed,
    /// Nothing is sent for this person at all.
    NotSent,
}

impl Fate {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Sent => "sent",
            Fate::Cleared => "cleared",
            Fate::Waits => "waits",
            Fate::Kept => "kept",
            Fate::Omitted => "omitted",
            Fate::Ignored => "ignored",
            Fate::Refused => "refused",
            Fate::Withheld => "withheld",
            Fate::Dropped => "dropped",
            Fate::Failed => "failed",
            Fate::NotSent => "not sent",
        }
    }
}

/// The stored pair.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinkExplained {
    /// The account.
    pub target_id: TargetId,
    /// Its login.
    pub user_name: String,
    /// `active`, `deactivated`, `inactive` or `gone`.
    pub state: &'static str,
    /// Since when, where that matters.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub since: Option<Millis>,
    /// Whether it takes a paid seat.
    pub billable: bool,
    /// The first complete read of an unbroken row that did not list the person.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub absent_since: Option<Millis>,
    /// Owned values that the target last acknowledged.
    pub acknowledged: Attributes,
    /// What is remembered of how the target treats single values.
    pub remembered: Vec<Remembered>,
}

impl LinkExplained {
    /// The state's word and time.
    pub fn state_of(state: LinkState) -> (&'static str, Option<Millis>) {
        (state.as_str(), state.since())
    }
}

/// How the target treated one value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Remembered {
    /// Where.
    pub path: AttributePath,
    /// `normalised`, `ignored`, `refused` or `withheld`.
    pub kind: &'static str,
    /// What was sent.
    pub sent: Option<Scalar>,
    /// What the target shows instead.
    pub returned: Option<Scalar>,
    /// The target's words.
    pub detail: Option<String>,
    /// When.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub at: Option<Millis>,
}

/// How an account was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum MatchKey {
    /// It is the linked one.
    Link,
    /// Our own mark.
    ExternalId,
    /// The login.
    UserName,
    /// An e-mail address.
    Email,
}

impl MatchKey {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            MatchKey::Link => "link",
            MatchKey::ExternalId => "externalId",
            MatchKey::UserName => "userName",
            MatchKey::Email => "e-mail",
        }
    }
}

/// An account at the target that could be this person's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MatchCandidate {
    /// Its id.
    pub target_id: TargetId,
    /// Its login.
    pub user_name: Option<String>,
    /// Whether it is active; `null` where the target does not say.
    pub active: Option<bool>,
    /// Which key matched.
    pub key: MatchKey,
    /// Whether it is, or would be, taken for this person's.
    pub accepted: bool,
    /// Why, or why not.
    pub why: String,
}

/// What limits or stops a write for one person.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Guards {
    /// Why the account must not be touched, if so.
    pub protected: Option<String>,
    /// Open holds that this person is in.
    pub holds: Vec<PersonHold>,
    /// A decision that stands until the source changes for this person.
    pub pin: Option<PersonPin>,
    /// Whether writes of this sync are stopped.
    pub paused: bool,
    /// Until when; `null` where they are not, or until somebody resumes.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub paused_until: Option<Millis>,
    /// Whether and why the sync runs less often.
    pub quarantine: Option<QuarantineStatus>,
    /// Billable accounts of the sync, and their limit.
    pub seats: SeatCount,
    /// The limits as they would be with this one write; empty offline and where nothing is to be written.
    pub limits: Vec<GuardFact>,
}

/// An open hold as it concerns one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PersonHold {
    /// `h7`.
    pub id: String,
    /// The revision in which the person joined.
    pub revision: u32,
    /// The verb that waits.
    pub class: Verb,
    /// Why, with the numbers.
    pub reason: String,
    /// Whether somebody released it already and it has not been sent yet.
    pub approved: bool,
    /// Since when the person is in it.
    #[serde(serialize_with = "rfc3339")]
    pub since: Millis,
    /// Until when it is open.
    #[serde(serialize_with = "rfc3339")]
    pub expires_at: Millis,
    /// The command that releases it.
    pub approve: String,
    /// The command that drops it.
    pub reject: String,
}

/// A decision that stands until the source changes for the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PersonPin {
    /// Why, with who and when.
    pub reason: String,
    /// The verb that is not planned again; `null` = any.
    pub verb: Option<Verb>,
    /// The command that lifts it.
    pub lift: String,
}

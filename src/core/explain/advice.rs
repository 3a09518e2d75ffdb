//! The answer in one sentence, and what to do next.

use super::owed;
use crate::config;
use crate::core::lifecycle::Lifecycle;
use crate::core::mapping::{NO_USER_NAME, OUTSIDE_DOMAINS};
use crate::core::planner::NO_ACCOUNT_OF_OURS;
use crate::model::explain::{Fate, PersonExplained, PersonHold, PersonPin};
use crate::model::id::Vendor;
use crate::model::identity::Finding;
use crate::model::owed::OwedClass;
use crate::model::plan::{Situation, Verb};
use crate::model::report::{ActionRecord, Outcome};

/// Everything the sentences rest on.
pub(super) struct Case<'a> {
    /// The sync.
    pub config: &'a config::Sync,
    /// The source's vendor.
    pub vendor: Vendor,
    /// All the rest of the explanation.
    pub person: &'a PersonExplained,
    /// What the source's state means, where it was read.
    pub lifecycle: Option<Lifecycle>,
    /// What the source answered, where it was asked.
    pub finding: Option<&'a Finding>,
}

impl Case<'_> {
    /// Whether there is an account, and why it is so or will change.
    pub(super) fn answer(&self) -> String {
        let has = match &self.person.link {
            None => "has no account",
            Some(link) => match link.state {
                "active" => "has an active account",
                "gone" => "had an account, which is gone from the target",
                _ => "has an account, which is not active",
            },
        };
        let why = match &self.person.action {
            None => self.without_action(),
            Some(record) => format!("{}{}", self.cause(record), self.outcome(record)),
        };
        format!("{has}: {why}{}", self.owed_removal())
    }

    /// Since when a removal is owed, and what it waits for.
    fn owed_removal(&self) -> String {
        let owed = self.person.owed.iter().find(|owed| owed.class == OwedClass::Removal);
        match owed {
            Some(owed) => format!("; access is to end since {}: {}", owed.since.rfc3339(), owed.wait_text()),
            None => String::new(),
        }
    }

    /// Nothing to do and nothing to say: unchanged, or nothing more than the past.
    fn without_action(&self) -> String {
        let person = self.person;
        if let Some(failing) = &person.failing {
            return format!("the last write was refused: {}", failing.detail);
        }
        match &person.link {
            Some(link) => match (link.state, link.since) {
                ("active", _) if link.absent_since.is_some() => {
                    "the last complete read did not list this person any more".to_owned()
                }
                ("active", _) => "nothing differs".to_owned(),
                ("deactivated", Some(since)) => {
                    format!("this person left, and rosterd deactivated it on {}", since.rfc3339())
                }
                ("gone", Some(since)) => {
                    format!("the target did not know it any more on {}", since.rfc3339())
                }
                (_, _) => "it was so when rosterd took it over".to_owned(),
            },
            None => match self.finding {
                Some(Finding::UserGone) => format!("{} says that there is no such user", self.vendor()),
                Some(Finding::Assigned(_) | Finding::NotAssigned(_) | Finding::Inconclusive(_)) | None => {
                    "nothing is known of this person but what was tried".to_owned()
                }
            },
        }
    }

    /// The cause in words that do not presuppose the decision table.
    fn cause(&self, record: &ActionRecord) -> String {
        let vendor = self.vendor();
        // Said in front already.
        let reason = record.reason.strip_suffix(NO_ACCOUNT_OF_OURS).unwrap_or(&record.reason);
        let reason = reason.strip_suffix(" and has no account").unwrap_or(reason);
        match record.situation {
            // The source's own words are plainer, where nothing of ours decides instead.
            Situation::Gone | Situation::Leaver if self.is_the_sources_doing(record) => match self.finding {
                Some(Finding::NotAssigned(_)) if self.lifecycle != Some(Lifecycle::Disabled) => {
                    format!("not assigned to the app in {vendor}")
                }
                Some(_) if self.lifecycle == Some(Lifecycle::Disabled) => format!("deactivated in {vendor}"),
                Some(Finding::UserGone) => format!("deleted in {vendor}"),
                Some(Finding::NotAssigned(_) | Finding::Assigned(_) | Finding::Inconclusive(_)) | None => {
                    reason.to_owned()
                }
            },
            Situation::Blocked => format!("blocked: {}", record.reason),
            Situation::Waiting => format!("not activated in {vendor} yet"),
            Situation::Confirmed
            | Situation::Returning
            | Situation::Found
            | Situation::Absent
            | Situation::Missing
            | Situation::Relink
            | Situation::Ambiguous
            | Situation::TakenElsewhere
            | Situation::Successor
            | Situation::Suspended
            | Situation::Leaver
            | Situation::OutOfScope
            | Situation::Gone => reason.to_owned(),
        }
    }

    /// Whether it is only where the person stands at the source that decides.
    fn is_the_sources_doing(&self, record: &ActionRecord) -> bool {
        let guards = &self.person.guards;
        let ours = guards.protected.is_some() || guards.pin.is_some();
        match record.action {
            Verb::Delete => record.situation == Situation::Leaver,
            Verb::Skip => record.situation == Situation::Gone && !ours,
            Verb::Deactivate | Verb::Update | Verb::Reactivate | Verb::Adopt | Verb::Create | Verb::Block => {
                true
            }
        }
    }

    /// The hold in which this action waits, or from which it was approved.
    fn hold_of(&self, record: &ActionRecord) -> Option<&PersonHold> {
        let class = OwedClass::of(record.action);
        self.person.guards.holds.iter().find(|hold| OwedClass::of(hold.class) == class)
    }

    /// The decision that keeps this action from being sent.
    fn pin_of(&self, record: &ActionRecord) -> Option<&PersonPin> {
        let class = OwedClass::of(record.action);
        let binds = |pin: &&PersonPin| pin.verb.is_none_or(|verb| OwedClass::of(verb) == class);
        self.person.guards.pin.as_ref().filter(binds)
    }

    /// What becomes of the action. Decisions that stand come before what a run made of it.
    fn outcome(&self, record: &ActionRecord) -> String {
        let verb = match record.action {
            Verb::Block | Verb::Skip => return String::new(),
            Verb::Create
            | Verb::Adopt
            | Verb::Update
            | Verb::Reactivate
            | Verb::Deactivate
            | Verb::Delete => record.action.as_str(),
        };
        if record.outcome != Outcome::Applied {
            match (self.hold_of(record), self.pin_of(record)) {
                (Some(hold), _) if hold.approved => {
                    return format!("; the {verb} is approved, and the next run sends it");
                }
                (Some(hold), _) => {
                    return format!("; the {verb} waits for an approval in {}: {}", hold.id, hold.reason);
                }
                (None, Some(pin)) => return format!("; the {verb} is not sent: {}", pin.reason),
                (None, None) => {}
            }
        }
        let detail = record.detail.as_deref().unwrap_or(&record.reason);
        match record.outcome {
            Outcome::Planned => format!("; the next run sends the {verb}"),
            Outcome::Applied => format!("; the {verb} was sent"),
            Outcome::Failed => format!("; the {verb} was refused: {detail}"),
            Outcome::Held => format!("; the {verb} waits: {detail}"),
            Outcome::Deferred => format!("; the {verb} is put off: {detail}"),
            Outcome::Disabled => format!("; the {verb} is switched off: {detail}"),
            Outcome::Skipped => String::new(),
        }
    }

    /// What to do, the most decisive first.
    pub(super) fn next(&self) -> Vec<String> {
        let person = self.person;
        let guards = &person.guards;
        let mut next = Vec::new();
        if guards.protected.is_some() {
            next.push(
                "nothing, where this account is meant to be left alone; else take it out of guard.protected \
                 (the account of the target token is always protected)"
                    .to_owned(),
            );
        }
        if let Some(pin) = &guards.pin {
            next.push(format!(
                "`{}` lifts what was decided ({}); a change in {} does too",
                pin.lift,
                pin.reason,
                self.vendor()
            ));
        }
        for hold in guards.holds.iter().filter(|hold| !hold.approved) {
            next.push(format!(
                "`{}` releases the {} with everybody else in {}; `{}` drops it",
                hold.approve,
                hold.class.as_str(),
                hold.id,
                hold.reject
            ));
        }
        if guards.paused && person.action.as_ref().is_some_and(|record| record.action.is_write()) {
            next.push("`rosterd resume` lets runs write again".to_owned());
        }
        next.extend(person.owed.iter().filter_map(|owed| owed::advice(owed, &person.source_id)));
        match &person.action {
            Some(record) if self.is_decided(record) => {}
            Some(record) => next.extend(self.for_record(record)),
            None => next.extend(self.for_unchanged()),
        }
        if let Some(failing) = &person.failing {
            let id = &person.source_id;
            let wait = match failing.wait_runs {
                0 => "the next run tries again by itself".to_owned(),
                1 => "it is tried again after 1 more full run".to_owned(),
                runs => format!("it is tried again after {runs} more full runs"),
            };
            next.push(format!(
                "mend what the target says ({}); {wait}, and `rosterd --reconcile-now --user {id}` at once",
                failing.detail
            ));
        }
        if next.is_empty() {
            next.push("nothing".to_owned());
        }
        next
    }

    /// Whether a person's decision, or the lack of one, is all that matters: what to do about it is said already.
    fn is_decided(&self, record: &ActionRecord) -> bool {
        let waits = self.hold_of(record).is_some_and(|hold| !hold.approved);
        record.action.is_write() && (waits || self.pin_of(record).is_some())
    }

    fn for_unchanged(&self) -> Vec<String> {
        let person = self.person;
        let unkept =
            |step: &&crate::model::explain::MappingStep| matches!(step.fate, Fate::Ignored | Fate::Refused);
        let mut next: Vec<String> = person
            .mappings
            .iter()
            .filter(unkept)
            .map(|step| format!("see at the target why it does not keep {} ({})", step.path, step.why))
            .collect();
        match &person.link {
            None if person.failing.is_none() => next.push(self.assign()),
            Some(link) if link.state != "active" => {
                next.push(format!("to give access back: {}", self.assign()))
            }
            Some(_) | None => {}
        }
        next
    }

    fn for_record(&self, record: &ActionRecord) -> Option<String> {
        let by_hand = format!("`rosterd --reconcile-now --user {}` does it at once", self.person.source_id);
        match record.outcome {
            Outcome::Planned => return Some(format!("nothing: the next run does it; {by_hand}")),
            Outcome::Applied => return None,
            Outcome::Disabled => {
                let switch = record.detail.as_deref().unwrap_or_default();
                let is_switch = switch.starts_with("lifecycle.");
                return is_switch.then(|| format!("{switch} in the configuration keeps it from being sent"));
            }
            Outcome::Deferred => return Some(format!("nothing: a later run does it; {by_hand}")),
            Outcome::Held if self.person.guards.holds.is_empty() => {
                return Some(
                    "a run that writes opens a hold that can be approved (`rosterd holds`); where a seat is missing, \
                     free one or raise guard.max_seats"
                        .to_owned(),
                );
            }
            Outcome::Held | Outcome::Failed => return None,
            Outcome::Skipped => {}
        }
        if self.person.guards.protected.is_some() || self.person.guards.pin.is_some() {
            return None;
        }
        self.for_situation(record)
    }

    /// For somebody for whom nothing is to be sent.
    fn for_situation(&self, record: &ActionRecord) -> Option<String> {
        let vendor = self.vendor();
        match record.situation {
            Situation::Waiting => Some(format!(
                "activate the account in {vendor}, or set lifecycle.on_pending = \"create\" to give accounts before that"
            )),
            Situation::Suspended => Some(format!("nothing, or end the suspension in {vendor}")),
            Situation::OutOfScope => Some(self.scope()),
            Situation::Gone if record.reason.starts_with("out of scope") => Some(self.scope()),
            Situation::Gone if record.reason.starts_with("suspended") => {
                Some(format!("end the suspension in {vendor}; the next run creates the account"))
            }
            Situation::Gone | Situation::Leaver => Some(match (self.lifecycle, self.finding) {
                (Some(Lifecycle::Disabled), _) => {
                    format!("activate the person in {vendor} again, and see that the app is assigned")
                }
                (_, _) if record.reason.contains("kept by") => format!(
                    "nothing, or change the [sync.lifecycle] rule that keeps the account; {}",
                    self.assign()
                ),
                (_, _) => self.assign(),
            }),
            Situation::Missing => Some(
                "set lifecycle.recreate = true to have accounts created again that somebody deleted at the target"
                    .to_owned(),
            ),
            Situation::Ambiguous => Some(
                "leave one of the matching accounts (or people) with this login, or give the right one the person's \
                 externalId"
                    .to_owned(),
            ),
            Situation::TakenElsewhere => Some(
                "correct the login of one of the two people; or, where the other one is meant to let go of the account, \
                 `rosterd forget` that person"
                    .to_owned(),
            ),
            Situation::Blocked => Some(self.blocked(&record.reason)),
            Situation::Confirmed | Situation::Absent if record.action == Verb::Block => {
                Some(self.blocked(&record.reason))
            }
            Situation::Confirmed
            | Situation::Returning
            | Situation::Found
            | Situation::Absent
            | Situation::Relink
            | Situation::Successor => None,
        }
    }

    fn blocked(&self, reason: &str) -> String {
        let vendor = self.vendor();
        if reason.contains(OUTSIDE_DOMAINS) {
            "correct the address, or add its domain to scope.domains".to_owned()
        } else if reason.contains(NO_USER_NAME) {
            format!(
                "give this person a login or an e-mail address in {vendor}, or map userName from something else"
            )
        } else if reason.contains("user type") {
            format!("correct the value in {vendor}, or add it to user_type.values")
        } else if reason.contains("maps to the") {
            format!(
                "two people of the app have the same login in {vendor}: correct one, or take one out of the app"
            )
        } else if reason.contains("failed:") {
            "correct the expression in the configuration, or the value that it fails on".to_owned()
        } else if reason.contains("userName") {
            "see who has that login at the target, and free it".to_owned()
        } else {
            format!("see what {vendor} shows for this person; the next run looks again")
        }
    }

    fn scope(&self) -> String {
        let filter = self.config.scope.filter.as_deref().unwrap_or_default();
        format!("nothing, or change what {} holds for this person, or scope.filter: {filter}", self.vendor())
    }

    fn assign(&self) -> String {
        format!(
            "assign this person to the app ({}) in {}, directly or by a group that has it; the next run then creates, \
             takes over or reactivates the account",
            self.config.source.app_id,
            self.vendor()
        )
    }

    fn vendor(&self) -> &'static str {
        self.vendor.display_name()
    }
}

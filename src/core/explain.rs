//! The explanation of one person: what is stored and what was seen, put together and said in sentences.
//!
//! What lives here: which fact means what for a reader, and what to do next. What must not: decisions (the line of the
//! planner's own action is what is explained), reading (`store`, `engine`), layout (`report`).

use super::eligibility::{Eligibility, lifecycle_of};
use super::lifecycle::Lifecycle;
use super::mapping::{InScope, Mapping};
use super::protection::Protection;
use super::quarantine::{Health, Quarantine, quarantine};
use super::status::interval;
use crate::config::{self, SourceKind};
use crate::model::account::Account;
use crate::model::explain::{
    Basis, Guards, Judged, LastRead, LinkExplained, MatchCandidate, Nobody, PersonExplained, PersonHold,
    PersonPin, Remembered, ScopeStep, SourceRecord, SyncExplained,
};
use crate::model::history::Attempt;
use crate::model::id::{SourceId, TargetId, Vendor};
use crate::model::identity::{Finding, Identity, PointRead, VendorStatus};
use crate::model::link::{EchoKind, Link, REFUSAL_REST_MILLIS};
use crate::model::owed::OwedChange;
use crate::model::report::{ActionRecord, GuardFact};
use crate::model::status::{FailingPerson, QuarantineStatus, SeatCount, TargetWords};
use crate::model::time::Millis;

mod advice;
mod fates;
mod owed;
mod raw;
mod reads;
mod similar;

pub use reads::UntoldRead;
pub use similar::Similar;

use advice::Case;
use fates::Known;

/// The cadence assumed where the schedule does not tell one.
const FALLBACK_INTERVAL: std::time::Duration = std::time::Duration::from_secs(900);
/// The line that runs told of a person to whom nothing was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The line.
    pub record: ActionRecord,
    /// The run that told it first.
    pub first_run: i64,
    /// When that run began; `None` where it is not on record any more.
    pub since: Option<Millis>,
}

/// What the state holds of one person.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The person.
    pub source_id: SourceId,
    /// The link.
    pub link: Option<Link>,
    /// The line that is still true.
    pub told: Option<Told>,
    /// The last write was refused.
    pub failing: Option<FailingPerson>,
    /// Everything that is wanted and not acknowledged, a look included.
    pub owed: Vec<OwedChange>,
    /// Open holds.
    pub holds: Vec<PersonHold>,
    /// A decision that stands until the source changes.
    pub pin: Option<PersonPin>,
    /// An event named the person and nobody has looked since.
    pub heard_at: Option<Millis>,
    /// What was tried last, the newest first.
    pub attempts: Vec<Attempt>,
}

impl Stored {
    /// Somebody of whom nothing is stored.
    pub fn nothing(source_id: SourceId) -> Stored {
        Stored {
            source_id,
            link: None,
            told: None,
            failing: None,
            owed: Vec::new(),
            holds: Vec::new(),
            pin: None,
            heard_at: None,
            attempts: Vec::new(),
        }
    }
}

/// What the state holds of one sync, as far as it concerns somebody who is asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StoredSync {
    /// The last complete read whose run told of everybody.
    pub last_read: Option<LastRead>,
    /// A newer complete read whose run did not.
    pub untold_read: Option<UntoldRead>,
    /// Until when writes are stopped, if they are.
    pub paused_until: Option<Millis>,
    /// How the last runs ended.
    pub health: Health,
    /// Billable accounts.
    pub billable: u64,
    /// Everybody whom the name means.
    pub people: Vec<Stored>,
    /// Where it means nobody: known logins that are spelled nearly so.
    pub similar: Vec<String>,
}

/// What both sides showed of one person just now, and what a run would make of it.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The source's answer.
    pub read: &'a PointRead,
    /// Where the person stands; `None` where the source does not know them.
    pub eligibility: Option<&'a Eligibility>,
    /// The line of a run that may not write; `None` = unchanged.
    pub record: Option<ActionRecord>,
    /// Accounts at the target.
    pub matches: Vec<MatchCandidate>,
    /// The linked or matching account as it is now.
    pub account: Option<&'a Account>,
    /// The account that the target token belongs to.
    pub token_owner: Option<TargetId>,
    /// The limits as they would be.
    pub limits: Vec<GuardFact>,
    /// Whether the source's objects are shown as received.
    pub raw: bool,
}

/// One sync of which something is explained.
#[derive(Debug, Clone, Copy)]
pub struct Explainer<'a> {
    /// The sync.
    pub config: &'a config::Sync,
    /// The compiled mapping.
    pub mapping: &'a Mapping,
    /// Now.
    pub now: Millis,
}

impl Explainer<'_> {
    /// The part of one sync from stored data alone.
    pub fn offline(&self, who: &str, mut stored: StoredSync) -> SyncExplained {
        let people = std::mem::take(&mut stored.people);
        let people: Vec<PersonExplained> =
            people.into_iter().map(|person| self.stored_person(person, &stored)).collect();
        let nobody = people.is_empty().then(|| self.nobody(who, &stored, Basis::Offline));
        self.sync(Basis::Offline, stored, people, nobody)
    }

    /// The part of one sync, after both sides were asked about these people.
    pub fn fresh(&self, stored: StoredSync, people: Vec<PersonExplained>) -> SyncExplained {
        self.sync(Basis::Fresh, stored, people, None)
    }

    /// The part of one sync whose source knows nobody of this name; `accounts` are those at the target that have it.
    pub fn fresh_nobody(
        &self,
        who: &str,
        stored: StoredSync,
        accounts: Vec<MatchCandidate>,
    ) -> SyncExplained {
        let nobody = Nobody { accounts, ..self.nobody(who, &stored, Basis::Fresh) };
        self.sync(Basis::Fresh, stored, Vec::new(), Some(nobody))
    }

    fn sync(
        &self,
        basis: Basis,
        stored: StoredSync,
        people: Vec<PersonExplained>,
        nobody: Option<Nobody>,
    ) -> SyncExplained {
        let config = self.config;
        SyncExplained {
            name: config.name.clone(),
            source: super::status::source_words(config),
            target: TargetWords {
                dialect: config.target.dialect.as_str(),
                url: config.target.url.as_str().trim_end_matches('/').to_owned(),
            },
            basis,
            troubles: self.troubles(&stored),
            last_read: stored.last_read,
            people,
            nobody,
        }
    }

    /// One person from stored data alone.
    fn stored_person(&self, person: Stored, sync: &StoredSync) -> PersonExplained {
        let record = person.told.as_ref().map(|told| told.record.clone());
        let user = record
            .as_ref()
            .map(|record| record.user.clone())
            .or_else(|| person.link.as_ref().map(|link| link.user_name.clone()))
            .or_else(|| person.owed.first().map(|change| change.user.clone()))
            .or_else(|| {
                person.attempts.iter().map(|attempt| attempt.user.clone()).find(|user| !user.is_empty())
            })
            .unwrap_or_else(|| person.source_id.to_string());
        let known = Known {
            qualifies: true,
            record: record.as_ref(),
            link: person.link.as_ref(),
            account: None,
            now: self.now,
        };
        let mappings = fates::offline(self.mapping, &known);
        let told_by_run = person.told.as_ref().map(|told| told.first_run);
        // A line that is still true was true at the last complete read, or when it was told, if that was later.
        let as_of = [
            sync.last_read.as_ref().map(|read| read.started_at),
            person.told.as_ref().and_then(|told| told.since),
        ];
        let explained = PersonExplained {
            as_of: as_of.into_iter().flatten().max(),
            told_by_run,
            mappings,
            ..self.begin(user, person, sync, record, None)
        };
        self.concluded(explained, None, None)
    }

    /// One person, after both sides were asked.
    pub fn seen_person(&self, person: Stored, sync: &StoredSync, seen: Seen<'_>) -> PersonExplained {
        let Seen { read, eligibility, record, matches, account, token_owner, limits, raw } = seen;
        let linked = person.link.is_some();
        let identity = match &read.finding {
            Finding::Assigned(identity) | Finding::NotAssigned(identity) => Some(&**identity),
            Finding::UserGone | Finding::Inconclusive(_) => None,
        };
        let lifecycle = identity.map(|identity| lifecycle_of(identity, linked, &self.config.lifecycle));
        let names = identity
            .zip(lifecycle)
            .and_then(|(identity, lifecycle)| self.mapping.names(identity, lifecycle.as_str()).ok())
            .flatten();
        let mappings = identity.map_or_else(Vec::new, |identity| {
            let known = Known {
                qualifies: matches!(eligibility, Some(Eligibility::Qualifies(_))),
                record: record.as_ref(),
                link: person.link.as_ref(),
                account,
                now: self.now,
            };
            fates::fresh(self.mapping, self.mapping.trace(identity, names.as_ref()), &known)
        });
        let user = record
            .as_ref()
            .map(|record| record.user.clone())
            .or_else(|| person.link.as_ref().map(|link| link.user_name.clone()))
            .or_else(|| identity.and_then(best_name))
            .unwrap_or_else(|| person.source_id.to_string());
        let mut explained = PersonExplained {
            as_of: Some(read.observation.at),
            record: identity.map(|identity| source_record(identity, raw)),
            lifecycle: identity.zip(lifecycle).map(|(identity, word)| self.lifecycle(identity, word)),
            assignment: Some(self.assignment(read)),
            scope: identity.map(|_| self.scope(names.as_ref(), eligibility)),
            mappings,
            matches,
            ..self.begin(user, person, sync, record, token_owner)
        };
        explained.guards.limits = limits;
        self.concluded(explained, lifecycle, Some(read))
    }

    /// What fresh and stored explanations have in common.
    fn begin(
        &self,
        user: String,
        person: Stored,
        sync: &StoredSync,
        record: Option<ActionRecord>,
        token_owner: Option<TargetId>,
    ) -> PersonExplained {
        let Stored { source_id, link, told: _, failing, owed, holds, pin, heard_at, attempts } = person;
        let protection = Protection::new(self.config.guard.protected.clone(), token_owner);
        let logins = [Some(user.as_str()), link.as_ref().map(|link| link.user_name.as_str())];
        let account = record.as_ref().and_then(|record| record.target_id.as_ref());
        let account = account.or(link.as_ref().map(|link| &link.target_id));
        let protected = protection.reason(logins.into_iter().flatten(), account).map(str::to_owned);
        let guards = Guards {
            protected,
            holds,
            pin,
            paused: sync.paused_until.is_some(),
            paused_until: sync.paused_until.filter(|until| *until != Millis::FOR_GOOD),
            quarantine: self.quarantine(sync),
            seats: SeatCount { billable: sync.billable, limit: self.config.guard.max_seats.map(u64::from) },
            limits: Vec::new(),
        };
        let owed = owed::explained(&owed, &source_id, &guards);
        PersonExplained {
            user,
            source_id,
            answer: String::new(),
            as_of: None,
            told_by_run: None,
            heard_at,
            record: None,
            lifecycle: None,
            assignment: None,
            scope: None,
            mappings: Vec::new(),
            link: link.map(|link| link_explained(&link, self.now)),
            matches: Vec::new(),
            action: record,
            guards,
            failing,
            owed,
            attempts,
            next: Vec::new(),
        }
    }

    /// The answer and what to do, which rest on everything else.
    fn concluded(
        &self,
        mut explained: PersonExplained,
        lifecycle: Option<Lifecycle>,
        read: Option<&PointRead>,
    ) -> PersonExplained {
        let case = Case {
            config: self.config,
            vendor: vendor(self.config),
            person: &explained,
            lifecycle,
            finding: read.map(|read| &read.finding),
        };
        let (answer, next) = (case.answer(), case.next());
        (explained.answer, explained.next) = (answer, next);
        explained
    }

    fn quarantine(&self, sync: &StoredSync) -> Option<QuarantineStatus> {
        let cadence = interval(self.config, self.now).unwrap_or(FALLBACK_INTERVAL);
        let Quarantine { until, reason, begins: _ } = quarantine(&sync.health, cadence)?;
        Some(QuarantineStatus { until, reason })
    }

    fn troubles(&self, sync: &StoredSync) -> Vec<String> {
        let mut troubles = Vec::new();
        let reason = sync.health.reason.as_deref().and_then(|reason| reason.lines().next());
        let reason = reason.unwrap_or("the reason is not on record");
        if let Some(quarantine) = self.quarantine(sync) {
            let reason = quarantine.reason.lines().next().unwrap_or_default();
            troubles.push(format!("in quarantine until {}: {reason}", quarantine.until.rfc3339()));
        } else if sync.health.failed_runs > 0 {
            troubles.push(match sync.health.failed_runs {
                1 => format!("the last run failed: {reason}"),
                runs => format!("the last {runs} runs failed: {reason}"),
            });
        }
        match sync.paused_until {
            None => {}
            Some(Millis::FOR_GOOD) => {
                troubles.push("paused: nothing is written until `rosterd resume`".to_owned())
            }
            Some(until) => troubles.push(format!("paused: nothing is written until {}", until.rfc3339())),
        }
        troubles.extend(sync.untold_read.as_ref().map(UntoldRead::trouble));
        troubles
    }

    /// Nobody of this name: who would know, and what it may be instead.
    fn nobody(&self, who: &str, stored: &StoredSync, basis: Basis) -> Nobody {
        let vendor = vendor(self.config).display_name();
        let app = &self.config.source.app_id;
        let mut why = Vec::new();
        if basis == Basis::Fresh {
            why.push(format!(
                "{vendor} knows nobody called {who}, and no link, hold or attempt on record does"
            ));
        } else {
            why.push(format!("nothing on record is about {who}: no link, no attempt, no line of any run"));
            let (told, untold) = (stored.last_read.as_ref(), stored.untold_read.as_ref());
            why.push(reads::not_listed(told, untold, app, vendor));
        }
        let mut next = Vec::new();
        if !stored.similar.is_empty() {
            next.push("check the spelling: a login that is nearly the same is known".to_owned());
        }
        next.push(match basis {
            Basis::Fresh => format!(
                "give the login, the e-mail address or the id as {vendor} has it; somebody who is new there must be \
                 created and assigned to app {app} first"
            ),
            Basis::Offline => format!(
                "ask {vendor} itself: `rosterd explain` without --offline reads this one person there; somebody who \
                 is not assigned to app {app} is assigned there, or added to a group that has it"
            ),
        });
        Nobody { why, similar: stored.similar.clone(), accounts: Vec::new(), next }
    }

    fn lifecycle(&self, identity: &Identity, word: Lifecycle) -> Judged {
        let vendor = vendor(self.config).display_name();
        let status = &identity.status;
        let why = match (status, word) {
            (VendorStatus::Okta(None) | VendorStatus::OneLogin(None), _) | (_, Lifecycle::Unknown) => {
                format!("{vendor} says {status}, which is blocked and never taken for a leaving")
            }
            (_, Lifecycle::Active) => {
                format!("{vendor} says {status}; a locked account or an expired password stays active")
            }
            (_, Lifecycle::Pending) => format!("{vendor} says {status}: never activated"),
            (_, Lifecycle::Suspended) => format!("{vendor} says {status}; that can be taken back there"),
            (_, Lifecycle::Disabled) => format!("{vendor} says {status}, which counts as having left"),
        };
        Judged { value: word.as_str().to_owned(), why }
    }

    fn assignment(&self, read: &PointRead) -> Judged {
        let vendor = vendor(self.config).display_name();
        let app = &self.config.source.app_id;
        let (value, why) = match &read.finding {
            Finding::Assigned(_) => ("assigned", format!("{vendor} shows the person as a user of app {app}")),
            Finding::NotAssigned(_) => {
                ("not assigned", format!("{vendor} says that the person is no user of app {app}"))
            }
            Finding::UserGone => ("gone", format!("{vendor} says that there is no such user")),
            Finding::Inconclusive(why) => ("unknown", why.clone()),
        };
        Judged { value: value.to_owned(), why }
    }

    fn scope(
        &self,
        names: Option<&super::expression::Names>,
        eligibility: Option<&Eligibility>,
    ) -> ScopeStep {
        let filter = self.config.scope.filter.clone();
        let (value, why) = match (self.mapping.in_scope(names), eligibility) {
            (_, Some(Eligibility::Blocked(why))) if why.contains(super::mapping::OUTSIDE_DOMAINS) => {
                ("out", why.clone())
            }
            (InScope::Yes, _) if filter.is_none() => {
                ("in", "there is no scope.filter, so everybody is in".to_owned())
            }
            (InScope::Yes, _) => ("in", "scope.filter gives true".to_owned()),
            (InScope::No, Some(Eligibility::OutOfScope)) => ("out", "scope.filter gives false".to_owned()),
            (InScope::No, _) => {
                ("out", "scope.filter gives false, which is not what decides here".to_owned())
            }
            (InScope::Failed(why), _) => ("failed", why),
        };
        ScopeStep {
            filter,
            names: names.map(|names| self.mapping.scope_values(names)).unwrap_or_default(),
            domains: self.config.scope.domains.clone(),
            value,
            why,
        }
    }
}

fn vendor(config: &config::Sync) -> Vendor {
    match config.source.kind {
        SourceKind::OktaToken { .. } | SourceKind::OktaOauth { .. } => Vendor::Okta,
        SourceKind::OneLogin { .. } => Vendor::OneLogin,
    }
}

fn best_name(identity: &Identity) -> Option<String> {
    identity.profile.user_name.clone().or_else(|| identity.profile.email.clone())
}

fn source_record(identity: &Identity, with_raw: bool) -> SourceRecord {
    let profile = &identity.profile;
    let attributes = [
        ("user.userName", &profile.user_name),
        ("user.email", &profile.email),
        ("user.givenName", &profile.given_name),
        ("user.familyName", &profile.family_name),
        ("user.displayName", &profile.display_name),
        ("user.title", &profile.title),
        ("user.phone", &profile.phone),
        ("user.organization", &profile.organization),
        ("user.department", &profile.department),
        ("user.userType", &profile.user_type),
    ];
    SourceRecord {
        status: identity.status.to_string(),
        attributes: attributes
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)))
            .collect(),
        groups: identity.groups.iter().map(|group| group.to_string()).collect(),
        assigned_at: identity.assigned_at,
        raw: with_raw.then(|| raw::as_received(&identity.raw)),
    }
}

/// The link as it is shown.
fn link_explained(link: &Link, now: Millis) -> LinkExplained {
    let memory = &link.memory;
    let echoes = memory.echoes.iter().map(|(path, echo)| Remembered {
        path: path.clone(),
        kind: match echo.kind {
            EchoKind::Normalised => "normalised",
            EchoKind::Ignored => "ignored",
        },
        sent: Some(echo.sent.clone()),
        returned: echo.returned.clone(),
        detail: None,
        at: None,
    });
    let rests = |at: Millis| (0..REFUSAL_REST_MILLIS).contains(&now.since(at));
    let refusals = memory.refusals.iter().filter(|(_, refused)| rests(refused.at));
    let refusals = refusals.map(|(path, refused)| Remembered {
        path: path.clone(),
        kind: "refused",
        sent: Some(refused.sent.clone()),
        returned: None,
        detail: Some(refused.detail.clone()),
        at: Some(refused.at),
    });
    let withheld = memory.withheld.iter().map(|path| Remembered {
        path: path.clone(),
        kind: "withheld",
        sent: None,
        returned: None,
        detail: None,
        at: None,
    });
    let (state, since) = LinkExplained::state_of(link.state);
    LinkExplained {
        target_id: link.target_id.clone(),
        user_name: link.user_name.clone(),
        state,
        since,
        billable: link.billable,
        absent_since: link.absent_since,
        acknowledged: link.acknowledged.clone(),
        remembered: echoes.chain(refusals).chain(withheld).collect(),
    }
}

#[cfg(test)]
mod tests;

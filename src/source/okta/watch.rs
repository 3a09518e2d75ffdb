//! Okta's System Log as it grows: whom to look at next.
//!
//! What lives here: the polling request, which events are followed, and what each points at. What must not: the
//! question about one person's deletion (`events`), and what is done about a hint.
//!
//! A request in ascending order without `until` is a polling request: it goes by the time of storing, so that no late
//! event is passed over, and it always has a next link. Source: Okta, "System Log query"; event types: catalogue of
//! release 2026.08.1.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::Url;

use super::Okta;
use super::membership::GroupIds;
use super::pages::followed;
use super::wire::{ErrorBody, LogEvent, VENDOR, next_link};
use crate::http::{Lane, Request};
use crate::model::id::SourceId;
use crate::model::owed::EventMeaning;
use crate::model::time::Millis;
use crate::source::fault::Place;
use crate::source::ids::IdSet;
use crate::source::watch::{Hint, LOOK_BACK_MILLISECONDS, Poll, PollError, Subject};

/// The largest page of the log.
const PAGE_SIZE: usize = 1000;
const LOG_HELP: &str = "grant the scope okta.logs.read and an admin role that may read the System Log, or set \
                        `watch = \"off\"`";

/// About one person and the app.
const ASSIGNMENT: [&str; 9] = [
    "application.user_membership.add",
    "application.user_membership.remove",
    "application.user_membership.update",
    "application.user_membership.change_username",
    "application.user_membership.provision",
    "application.user_membership.deprovision",
    "application.user_membership.approve",
    "application.user_membership.restore",
    "application.user_membership.revoke",
];

/// About one person, whatever their apps.
const PERSON: [&str; 11] = [
    "user.lifecycle.create",
    "user.lifecycle.activate",
    "user.lifecycle.reactivate",
    "user.lifecycle.suspend",
    "user.lifecycle.unsuspend",
    "user.lifecycle.deactivate",
    "user.lifecycle.delete.initiated",
    "user.lifecycle.delete.completed",
    "user.account.update_profile",
    "user.account.update_primary_email",
    "user.account.update_user_type",
];

/// About the app as a whole, with what happened.
const APP: [(&str, &str); 7] = [
    ("application.lifecycle.activate", "the app was activated"),
    ("application.lifecycle.deactivate", "the app was deactivated"),
    ("application.lifecycle.delete", "the app was deleted"),
    ("application.lifecycle.update", "the app was changed"),
    ("group.application_assignment.add", "the app was assigned to a group"),
    ("group.application_assignment.remove", "the app was taken from a group"),
    ("group.application_assignment.update", "the app's assignment to a group was changed"),
];

/// About one person and a group.
const GROUP_MEMBER: [&str; 2] = ["group.user_membership.add", "group.user_membership.remove"];

/// Events after which the person is assigned and active, as far as one event can tell.
const JOINS: [&str; 6] = [
    "application.user_membership.add",
    "application.user_membership.restore",
    "group.user_membership.add",
    "user.lifecycle.activate",
    "user.lifecycle.reactivate",
    "user.lifecycle.unsuspend",
];

/// Events after which the person is not assigned, or not active.
const LEAVES: [&str; 7] = [
    "application.user_membership.remove",
    "application.user_membership.revoke",
    "group.user_membership.remove",
    "user.lifecycle.suspend",
    "user.lifecycle.deactivate",
    "user.lifecycle.delete.initiated",
    "user.lifecycle.delete.completed",
];

/// What a poll leaves to the next one.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Digest of what was asked for: with another filter the old place would skip what is newly of interest.
    asked: String,
    /// The vendor's next link.
    next: String,
}

impl Okta {
    /// What the log tells since `cursor`, or of the last two minutes.
    pub(in crate::source) async fn poll_events(&self, cursor: Option<&str>) -> Result<Poll, PollError> {
        let groups = match self.group_names.is_empty() {
            true => None,
            false => Some(self.known_groups(Lane::Removal).await?),
        };
        let filter = filter(&self.app_id, groups.as_deref());
        let asked = blake3::hash(filter.as_bytes()).to_hex()[..16].to_owned();
        let page_size = PAGE_SIZE.to_string();
        let parameters = [("filter", &*filter), ("limit", &*page_size), ("sortOrder", "ASCENDING")];
        let url = match cursor {
            None => {
                let since = Millis(Millis::now().0 - LOOK_BACK_MILLISECONDS).rfc3339();
                let mut query = vec![("since", &*since)];
                query.extend(parameters);
                self.url(&["logs"], &query)
            }
            Some(cursor) => self.resume(cursor, &asked)?,
        };
        let place = Place::new(VENDOR, "the System Log", &url);
        let request = Request::get(url.clone(), Lane::Removal);
        let answer = self.client.send(request).await.map_err(|error| place.no_answer(error))?;
        if answer.status != 200 {
            let words = ErrorBody::words(&answer);
            return Err(PollError::refused(&place, &answer, &words, cursor.is_some(), LOG_HELP));
        }
        let events: Vec<&RawValue> =
            serde_json::from_slice(&answer.body).map_err(|error| place.malformed(&answer, &error))?;
        let link = next_link(&answer)
            .ok_or_else(|| place.incomplete("it has no next link, so it cannot be followed"))?;
        let next = followed(&place, &url, &link, &parameters)?;
        if next == url && !events.is_empty() {
            return Err(place.incomplete("its next link leads to the same page again").into());
        }
        let kept = Kept { asked, next: next.into() };
        let cursor = serde_json::to_string(&kept).map_err(|error| place.incomplete(error))?;
        let hints = self.hints(&events, groups.as_deref(), answer.observation.at);
        Ok(Poll { hints, more: events.len() >= page_size_of(&kept.next), cursor })
    }

    /// The address at which the last poll stopped.
    fn resume(&self, cursor: &str, asked: &str) -> Result<Url, PollError> {
        let lost = |why: &str| PollError::CursorLost(format!("{VENDOR}: the System Log: {why}"));
        let kept: Kept =
            serde_json::from_str(cursor).map_err(|_| lost("the stored place in it cannot be read"))?;
        if kept.asked != asked {
            return Err(lost("other events are of interest than when it was last read"));
        }
        let next = Url::parse(&kept.next).map_err(|_| lost("the stored place in it is no address"))?;
        let home = self.url(&["logs"], &[]);
        match next.origin() == home.origin() && next.path() == home.path() {
            true => Ok(next),
            false => Err(lost("the stored place in it belongs to another address")),
        }
    }

    fn hints(&self, events: &[&RawValue], groups: Option<&GroupIds>, sent_at: Millis) -> Vec<Hint> {
        let mut ids = IdSet::default();
        let mut hints = Vec::new();
        for raw in events {
            let Ok(event) = serde_json::from_str::<LogEvent<'_>>(raw.get()) else {
                // It matched the filter, so something happened; what, only a full run can tell.
                let subject = Subject::Everybody("an event of the System Log cannot be read".to_owned());
                let (event_id, meaning) = (digest(raw), EventMeaning::Other);
                hints.push(Hint { event_id, at: sent_at, subject, meaning });
                continue;
            };
            let event_id = event.uuid.owned().unwrap_or_else(|| digest(raw));
            if !ids.insert(&event_id) {
                continue;
            }
            let at = event.published.get().and_then(Millis::parse).unwrap_or(sent_at);
            let subjects = self.subjects(&event, groups);
            let meaning = event.event_type.get().map_or(EventMeaning::Other, meaning_of);
            hints.extend(subjects.into_iter().map(|subject| Hint {
                event_id: event_id.clone(),
                at,
                subject,
                meaning,
            }));
        }
        hints
    }

    /// Whom an event points at; nobody, where it is about another app, a failure, or something that is not followed.
    fn subjects(&self, event: &LogEvent<'_>, groups: Option<&GroupIds>) -> Vec<Subject> {
        let Some(kind) = event.event_type.get() else { return Vec::new() };
        if event.result() == Some("FAILURE") {
            return Vec::new();
        }
        let people = || event.targets("User").map(SourceId::new);
        let is_ours = || event.targets("AppInstance").any(|id| id == &*self.app_id);
        let is_configured = || {
            let mut ids = groups.into_iter().flat_map(GroupIds::ids);
            ids.any(|id| event.targets("UserGroup").any(|target| target == id))
        };
        if PERSON.contains(&kind) {
            return people().map(Subject::Person).collect();
        }
        let assignment = ASSIGNMENT.contains(&kind) && is_ours();
        if assignment || (GROUP_MEMBER.contains(&kind) && is_configured()) {
            let subjects: Vec<Subject> = people().map(Subject::Membership).collect();
            return match subjects.is_empty() {
                true => vec![Subject::Everybody(format!("an event {kind} does not say about whom it is"))],
                false => subjects,
            };
        }
        let about_app = APP.iter().find(|(known, _)| *known == kind).filter(|_| is_ours());
        about_app.map(|(_, reason)| Subject::Everybody((*reason).to_owned())).into_iter().collect()
    }
}

fn meaning_of(kind: &str) -> EventMeaning {
    match (JOINS.contains(&kind), LEAVES.contains(&kind)) {
        (true, _) => EventMeaning::Joins,
        (false, true) => EventMeaning::Leaves,
        (false, false) => EventMeaning::Other,
    }
}

/// The events that are followed, as Okta's filter expression. Text values are JSON strings (RFC 7644, 3.4.2.2).
fn filter(app_id: &str, groups: Option<&GroupIds>) -> String {
    let app = target_is([app_id]);
    let of_app = type_is(ASSIGNMENT.into_iter().chain(APP.map(|(kind, _)| kind)));
    let mut filter = format!("{} or ({app} and {of_app})", type_is(PERSON));
    if let Some(groups) = groups {
        let members = format!(" or ({} and {})", target_is(groups.ids()), type_is(GROUP_MEMBER));
        filter.push_str(&members);
    }
    filter
}

fn type_is<'a>(kinds: impl IntoIterator<Item = &'a str>) -> String {
    any_of("eventType", kinds)
}

fn target_is<'a>(ids: impl IntoIterator<Item = &'a str>) -> String {
    any_of("target.id", ids)
}

fn any_of<'a>(attribute: &str, values: impl IntoIterator<Item = &'a str>) -> String {
    let terms: Vec<String> = values
        .into_iter()
        .map(|value| format!("{attribute} eq {}", serde_json::Value::from(value)))
        .collect();
    format!("({})", terms.join(" or "))
}

/// How many events a full page has: what was asked, or less where the next link says so.
fn page_size_of(next: &str) -> usize {
    let limit = Url::parse(next).ok().and_then(|next| {
        next.query_pairs().find(|(name, _)| name == "limit").and_then(|(_, limit)| limit.parse().ok())
    });
    limit.filter(|limit| (1..=PAGE_SIZE).contains(limit)).unwrap_or(PAGE_SIZE)
}

/// Stands in for the id of an event that has none.
fn digest(raw: &RawValue) -> String {
    blake3::hash(raw.get().as_bytes()).to_hex()[..32].to_owned()
}

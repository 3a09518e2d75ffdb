//! One person at Okta: the point read that proofs rest on, and finding somebody by name.
//!
//! What lives here: `GET /users/{id}` and `GET /apps/{app}/users/{id}`, read strictly. What must not: lists of the app.
//!
//! *Invariant*: "not assigned" and "gone" are only said where Okta itself said so, in its own error shape.

use super::pages::{Chain, ChainPage};
use super::wire::{AppUser, ErrorBody, NOT_FOUND, Sighting, User, WithId};
use super::{CREDENTIALS_HELP, Okta, VENDOR};
use crate::http::{Answer, Lane, Request};
use crate::model::id::SourceId;
use crate::model::identity::{Finding, PointRead};
use crate::model::order::Observation;
use crate::source::SourceError;
use crate::source::fault::Place;

/// What one GET for one object came to.
enum Object {
    Found(Answer),
    /// In the vendor's own words.
    NotFound(Answer),
    /// An answer that proves nothing.
    Unclear(String),
}

impl Okta {
    /// Reads one person and their assignment afresh.
    pub(in crate::source) async fn point_read(
        &self,
        id: &SourceId,
        lane: Lane,
    ) -> Result<PointRead, SourceError> {
        let url = self.url(&["users", id.as_str()], &[]);
        let place = Place::new(VENDOR, format!("the user {id}"), &url);
        let request = Request::get(url, lane);
        let (observation, object) = self.object(&place, request).await?;
        let finding = |finding| Ok(PointRead { observation, finding });
        let user_answer = match object {
            Object::Found(answer) => answer,
            Object::NotFound(_) => return finding(Finding::UserGone),
            Object::Unclear(why) => return finding(Finding::Inconclusive(why)),
        };
        let user: User<'_> = match serde_json::from_slice(&user_answer.body) {
            Ok(user) => user,
            Err(error) => return finding(unreadable(&place, &user_answer, &error)),
        };
        if user.id.get() != Some(id.as_str()) {
            return finding(Finding::Inconclusive(format!("{place}: the answer is about somebody else")));
        }
        let groups = self.groups_of(id.as_str(), lane).await?;
        let url = self.url(&["apps", &self.app_id, "users", id.as_str()], &[]);
        let place = Place::new(VENDOR, format!("the assignment of {id}"), &url);
        let (_, object) = self.object(&place, Request::get(url, lane)).await?;
        let sighting =
            |app_user| Sighting { app_user, user: Some(&user), groups: groups.clone(), observation };
        match object {
            Object::Found(answer) => {
                let app_user: AppUser<'_> = match serde_json::from_slice(&answer.body) {
                    Ok(app_user) => app_user,
                    Err(error) => return finding(unreadable(&place, &answer, &error)),
                };
                if app_user.id.get() != Some(id.as_str()) {
                    let why = format!("{place}: the answer is about somebody else");
                    return finding(Finding::Inconclusive(why));
                }
                match sighting(Some(&app_user)).identity(id.as_str()) {
                    Ok(identity) => finding(Finding::Assigned(Box::new(identity))),
                    Err(error) => finding(unreadable(&place, &answer, &error)),
                }
            }
            // The same code says that the app itself is gone, which says nothing about this person.
            Object::NotFound(answer) if names_the_app(&answer, &self.app_id) => {
                finding(Finding::Inconclusive(format!("{place}: the app itself was not found")))
            }
            Object::NotFound(_) => match sighting(None).identity(id.as_str()) {
                Ok(identity) => finding(Finding::NotAssigned(Box::new(identity))),
                Err(error) => finding(unreadable(&place, &user_answer, &error)),
            },
            Object::Unclear(why) => finding(Finding::Inconclusive(why)),
        }
    }

    async fn object(&self, place: &Place, request: Request) -> Result<(Observation, Object), SourceError> {
        let answer = self.client.send(request).await.map_err(|error| place.no_answer(error))?;
        let observation = answer.observation;
        let object = match answer.status {
            200 => Object::Found(answer),
            404 if ErrorBody::of(&answer).error_code == NOT_FOUND => Object::NotFound(answer),
            404 => Object::Unclear(format!("{place}: HTTP 404, but not in Okta's own words")),
            401 | 403 | 429 | 500..=599 => {
                return Err(place.refused(&answer, &ErrorBody::words(&answer), CREDENTIALS_HELP));
            }
            status => Object::Unclear(format!("{place}: HTTP {status} {}", ErrorBody::words(&answer))),
        };
        Ok((observation, object))
    }

    /// The people whom a login, an e-mail address or an id may mean; assigned or not.
    pub(in crate::source) async fn find(&self, who: &str) -> Result<Vec<SourceId>, SourceError> {
        let who = who.trim();
        let mut found: Vec<SourceId> = Vec::new();
        // `me` is the owner of the token; an empty segment, or one that leads up, is a list.
        if !matches!(who, "" | "me" | "." | "..") {
            let url = self.url(&["users", who], &[]);
            let place = Place::new(VENDOR, "a user by login or id", &url);
            if let (_, Object::Found(answer)) = self.object(&place, Request::get(url, Lane::General)).await? {
                let user: User<'_> =
                    serde_json::from_slice(&answer.body).map_err(|error| place.malformed(&answer, &error))?;
                found.extend(user.id.get().map(SourceId::new));
            }
        }
        if found.is_empty() && who.contains('@') {
            // SCIM string (RFC 7644 section 3.4.2.2): a JSON string.
            let text = serde_json::Value::from(who).to_string();
            let filter = format!("profile.login eq {text} or profile.email eq {text}");
            let first = self.url(&["users"], &[("filter", filter.as_str()), ("limit", "10")]);
            self.collect("users with this e-mail", first, |_| true, &mut found).await?;
        }
        if found.is_empty() && !who.is_empty() {
            found = self.with_app_login(who).await?;
        }
        Ok(found)
    }

    /// Everybody whose login at the app is this one. It may be neither the login nor the address at Okta.
    pub(in crate::source) async fn with_app_login(&self, login: &str) -> Result<Vec<SourceId>, SourceError> {
        // `q` is the start of a name, login or address.
        let first = self.url(&["apps", &self.app_id, "users"], &[("q", login), ("limit", "50")]);
        let same = |user_name: &str| user_name.eq_ignore_ascii_case(login);
        let mut found = Vec::new();
        self.collect("app users with this login", first, same, &mut found).await?;
        Ok(found)
    }

    async fn collect(
        &self,
        what: &str,
        first: url::Url,
        accepts: impl Fn(&str) -> bool,
        found: &mut Vec<SourceId>,
    ) -> Result<(), SourceError> {
        let by_app = first.path().contains("/apps/");
        let mut chain = Chain::new(&self.client, what, first, Lane::General);
        while let Some(ChainPage { answer, place }) = chain.next().await? {
            let malformed = |error| place.malformed(&answer, &error);
            if by_app {
                let entries: Vec<AppUser<'_>> = serde_json::from_slice(&answer.body).map_err(malformed)?;
                let matching = entries.iter().filter(|entry| entry.user_name().is_some_and(&accepts));
                found.extend(matching.filter_map(|entry| entry.id.get()).map(SourceId::new));
            } else {
                let entries: Vec<WithId<'_>> = serde_json::from_slice(&answer.body).map_err(malformed)?;
                found.extend(entries.iter().filter_map(|entry| entry.id.get()).map(SourceId::new));
            }
        }
        found.sort();
        found.dedup();
        Ok(())
    }
}

fn unreadable(place: &Place, answer: &Answer, error: &serde_json::Error) -> Finding {
    Finding::Inconclusive(place.malformed(answer, error).to_string())
}

/// Okta names the missing object: `Not found: Resource not found: 0oa1 (AppInstance)`.
fn names_the_app(answer: &Answer, app_id: &str) -> bool {
    let summary = ErrorBody::of(answer).error_summary;
    summary.contains("(AppInstance)") || summary.contains(app_id)
}

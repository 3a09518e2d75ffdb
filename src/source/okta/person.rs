//! One person at Okta: the point read that proofs rest on, and the person's own record.
//!
//! What lives here: `GET /users/{id}` and `GET /apps/{app}/users/{id}`, read strictly, and the control reads that tell
//! one person's failure from everybody's. What must not: lists of the app, finding by name (`search`).
//!
//! *Invariant*: "not assigned" and "gone" are only said where Okta itself said so, in its own error shape.

use super::Okta;
use super::wire::{AppUser, CREDENTIALS_HELP, ErrorBody, NOT_FOUND, Sighting, User, VENDOR, WithId};
use crate::http::{Answer, Lane, Request};
use crate::model::id::SourceId;
use crate::model::identity::{Finding, PointRead};
use crate::model::order::Observation;
use crate::source::fault::{Failure, Place};
use crate::source::legible::legible;
use crate::source::{OwnRecord, OwnState, SourceError};

/// What one GET for one object came to.
pub(super) enum Object {
    Found(Answer),
    /// In the vendor's own words.
    NotFound(Answer),
    /// An answer that proves nothing, or a failure that concerns this object alone.
    Unclear(String),
}

/// Which right a request about one person needs: that of the control read which has to fail as well.
#[derive(Debug, Clone, Copy)]
pub(super) enum Right {
    Users,
    App,
}

impl Okta {
    /// Reads one person and their assignment afresh.
    pub(in crate::source) async fn point_read(
        &self,
        id: &SourceId,
        lane: Lane,
    ) -> Result<PointRead, SourceError> {
        let (observation, place, object) = self.user_object(id, lane).await?;
        let finding = match object {
            Object::Found(answer) => match user_of(&place, &answer, id) {
                Ok(user) => self.assignment(id, &user, observation, lane).await?,
                Err(why) => Finding::Inconclusive(why),
            },
            Object::NotFound(_) => Finding::UserGone,
            Object::Unclear(why) => Finding::Inconclusive(why),
        };
        Ok(PointRead { observation, finding })
    }

    /// Reads one person's own record alone.
    pub(in crate::source) async fn own_record(
        &self,
        id: &SourceId,
        lane: Lane,
    ) -> Result<OwnRecord, SourceError> {
        let (observation, place, object) = self.user_object(id, lane).await?;
        let state = match object {
            Object::Found(answer) => match user_of(&place, &answer, id) {
                Ok(user) if user.has_status() => OwnState::Status(user.vendor_status()),
                Ok(_) => OwnState::Inconclusive(format!("{place}: the answer lacks the status")),
                Err(why) => OwnState::Inconclusive(why),
            },
            Object::NotFound(_) => OwnState::UserGone,
            Object::Unclear(why) => OwnState::Inconclusive(why),
        };
        Ok(OwnRecord { observation, state })
    }

    async fn user_object(
        &self,
        id: &SourceId,
        lane: Lane,
    ) -> Result<(Observation, Place, Object), SourceError> {
        let url = self.url(&["users", id.as_str()], &[]);
        let place = Place::new(VENDOR, format!("the user {id}"), &url);
        let (observation, object) = self.object(&place, Request::get(url, lane), Right::Users).await?;
        Ok((observation, place, object))
    }

    /// Whether somebody whose own record was just read is assigned, and their groups where they are.
    async fn assignment(
        &self,
        id: &SourceId,
        user: &User<'_>,
        observation: Observation,
        lane: Lane,
    ) -> Result<Finding, SourceError> {
        let url = self.url(&["apps", &self.app_id, "users", id.as_str()], &[]);
        let place = Place::new(VENDOR, format!("the assignment of {id}"), &url);
        let (_, object) = self.object(&place, Request::get(url, lane), Right::App).await?;
        let sighting = |app_user, groups| Sighting { app_user, user: Some(user), groups, observation };
        match object {
            Object::Found(answer) => {
                let app_user: AppUser<'_> = match serde_json::from_slice(&answer.body) {
                    Ok(app_user) => app_user,
                    Err(error) => return Ok(unreadable(&place, &answer, &error)),
                };
                if app_user.id.get() != Some(id.as_str()) {
                    let why = format!("{place}: the answer is about somebody else");
                    return Ok(Finding::Inconclusive(why));
                }
                if let Some(word) = app_user.doubt_about(user) {
                    return Ok(Finding::Inconclusive(format!(
                        "{place}: Okta calls the assignment {word}, which says neither that the person is assigned \
                         nor that they are not"
                    )));
                }
                let groups = match self.groups_of(id.as_str(), lane).await {
                    Ok(groups) => groups,
                    Err(failure) => {
                        return self.judge(failure, Right::Users, lane).await.map(Finding::Inconclusive);
                    }
                };
                Ok(match sighting(Some(&app_user), groups).identity(id.as_str()) {
                    Ok(identity) => Finding::Assigned(Box::new(identity)),
                    Err(error) => unreadable(&place, &answer, &error),
                })
            }
            // The same code says that the app itself is gone, which says nothing about this person.
            Object::NotFound(answer) if names_the_app(&answer, &self.app_id) => {
                Ok(Finding::Inconclusive(format!("{place}: the app itself was not found")))
            }
            Object::NotFound(answer) => Ok(match sighting(None, Vec::new()).identity(id.as_str()) {
                Ok(identity) => Finding::NotAssigned(Box::new(identity)),
                Err(error) => unreadable(&place, &answer, &error),
            }),
            Object::Unclear(why) => Ok(Finding::Inconclusive(why)),
        }
    }

    /// One GET. An error only where it concerns everybody.
    pub(super) async fn object(
        &self,
        place: &Place,
        request: Request,
        right: Right,
    ) -> Result<(Observation, Object), SourceError> {
        let (asked, lane) = (Observation::now(), request.lane);
        let (observation, failure) = match self.client.send(request).await {
            Err(error) => (asked, place.no_answer(error)),
            Ok(answer) => {
                let (observation, answer) = (answer.observation, legible(answer));
                let words = || ErrorBody::words(&answer);
                let failure = match answer.status {
                    200 => return Ok((observation, Object::Found(answer))),
                    404 if ErrorBody::of(&answer).error_code == NOT_FOUND => {
                        return Ok((observation, Object::NotFound(answer)));
                    }
                    404 => place.incomplete("HTTP 404, but not in Okta's own words").into(),
                    401 | 403 | 429 | 500..=599 => place.refused(&answer, &words(), CREDENTIALS_HELP),
                    status => place.incomplete(format_args!("HTTP {status} {}", words())).into(),
                };
                (observation, failure)
            }
        };
        Ok((observation, Object::Unclear(self.judge(failure, right, lane).await?)))
    }

    /// What a failed request about one person says about that person alone; an error where it concerns everybody.
    pub(super) async fn judge(
        &self,
        failure: Failure,
        right: Right,
        lane: Lane,
    ) -> Result<String, SourceError> {
        match right {
            Right::Users => self.controls.users.judge(failure, self.some_user(lane)).await,
            Right::App => {
                let asked = async { self.app(lane).await.map(drop) };
                self.controls.app.judge(failure, asked).await
            }
        }
    }

    /// The control read of the users: somebody must be shown.
    async fn some_user(&self, lane: Lane) -> Result<(), SourceError> {
        let url = self.url(&["users"], &[("limit", "1")]);
        let place = Place::new(VENDOR, "any user", &url);
        let answer =
            self.client.send(Request::get(url, lane)).await.map_err(|error| place.no_answer(error))?;
        if answer.status != 200 {
            return Err(place.refused(&answer, &ErrorBody::words(&answer), CREDENTIALS_HELP).into());
        }
        let users: Vec<WithId<'_>> =
            serde_json::from_slice(&answer.body).map_err(|error| place.malformed(&answer, &error))?;
        if users.iter().any(|user| user.id.get().is_some()) {
            return Ok(());
        }
        let why = "Okta shows no user at all, so the admin role is missing";
        Err(place.credentials(format_args!("{why}; help: {CREDENTIALS_HELP}")))
    }
}

/// The user in an answer, which must be the one who was asked for; the error is for the person's finding.
fn user_of<'a>(place: &Place, answer: &'a Answer, id: &SourceId) -> Result<User<'a>, String> {
    let user: User<'_> =
        serde_json::from_slice(&answer.body).map_err(|error| place.malformed(answer, &error).to_string())?;
    match user.id.get() == Some(id.as_str()) {
        true => Ok(user),
        false => Err(format!("{place}: the answer is about somebody else")),
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

//! One person at OneLogin: the point read that proofs rest on, and the person's own record.
//!
//! What lives here: `GET /users/{id}` and the complete list of that user's apps, and the control read that tells one
//! person's failure from everybody's. What must not: lists of the app, finding by name (`search`).
//!
//! *Invariant*: "not assigned" is only said after the whole list of the person's apps, hidden ones too, was read
//! without the app; "gone" only where OneLogin said so in one of its error shapes.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::OneLogin;
use super::pages::{Chain, ChainPage};
use super::wire::{CREDENTIALS_HELP, Context, ErrorBody, Roles, User, VENDOR, WithId, numeric};
use crate::http::{Answer, Lane};
use crate::model::id::SourceId;
use crate::model::identity::{Finding, PointRead, VendorStatus};
use crate::model::order::Observation;
use crate::source::fault::{Failure, Place};
use crate::source::legible::legible;
use crate::source::{OwnRecord, OwnState, SourceError};

const APPS_PAGE_SIZE: &str = "100";

/// What one GET for one user came to.
pub(super) enum Object {
    Found(Answer),
    /// In one of the vendor's error shapes.
    NotFound,
    /// An answer that proves nothing, or a failure that concerns this person alone.
    Unclear(String),
}

impl OneLogin {
    /// Reads one person and their assignment afresh.
    pub(in crate::source) async fn point_read(
        &self,
        id: &SourceId,
        lane: Lane,
    ) -> Result<PointRead, SourceError> {
        let (observation, place, object) = self.user_object(id, lane).await?;
        let finding = match object {
            Object::Found(answer) => match user_of(&place, &answer, id) {
                Ok((raw, user)) => {
                    let (roles, assigned) = match self.roles_and_assignment(id, &user, lane).await {
                        Ok(found) => found,
                        Err(failure) => {
                            let finding = Finding::Inconclusive(self.judge(failure, lane).await?);
                            return Ok(PointRead { observation, finding });
                        }
                    };
                    // The person's own status decides, whichever list has the person.
                    let context = Context { roles: &roles, assigned, listed_by_both: true, observation };
                    found(&place, &user, raw, &context)
                }
                Err(why) => Finding::Inconclusive(why),
            },
            Object::NotFound => Finding::UserGone,
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
                Ok((_, user)) => match user.status() {
                    Some(status) => OwnState::Status(VendorStatus::OneLogin(Some(status))),
                    None => {
                        OwnState::Inconclusive(format!("{place}: the answer lacks the status or the state"))
                    }
                },
                Err(why) => OwnState::Inconclusive(why),
            },
            Object::NotFound => OwnState::UserGone,
            Object::Unclear(why) => OwnState::Inconclusive(why),
        };
        Ok(OwnRecord { observation, state })
    }

    async fn user_object(
        &self,
        id: &SourceId,
        lane: Lane,
    ) -> Result<(Observation, Place, Object), SourceError> {
        let url = self.url(&["2", "users", id.as_str()], &[]);
        let place = Place::new(VENDOR, format!("the user {id}"), &url);
        if numeric(id).is_none() {
            let why = format!("{VENDOR}: `{id}` is no OneLogin user id");
            return Ok((Observation::now(), place, Object::Unclear(why)));
        }
        let (observation, object) = self.object(&place, url, lane).await?;
        Ok((observation, place, object))
    }

    /// One GET. An error only where it concerns everybody.
    pub(super) async fn object(
        &self,
        place: &Place,
        url: url::Url,
        lane: Lane,
    ) -> Result<(Observation, Object), SourceError> {
        let asked = Observation::now();
        let (observation, failure) = match self.send(place, url, lane).await {
            Err(failure) => (asked, failure),
            Ok(answer) => {
                let (observation, answer) = (answer.observation, legible(answer));
                let words = || ErrorBody::words(&answer);
                let failure = match answer.status {
                    200 => return Ok((observation, Object::Found(answer))),
                    404 if ErrorBody::says_not_found(&answer) => return Ok((observation, Object::NotFound)),
                    401 | 403 | 429 | 500..=599 => place.refused(&answer, &words(), CREDENTIALS_HELP),
                    status => place.incomplete(format_args!("HTTP {status} {}", words())).into(),
                };
                (observation, failure)
            }
        };
        Ok((observation, Object::Unclear(self.judge(failure, lane).await?)))
    }

    /// What a failed request about one person says about that person alone; an error where it concerns everybody.
    pub(super) async fn judge(&self, failure: Failure, lane: Lane) -> Result<String, SourceError> {
        self.control.judge(failure, self.app(lane)).await
    }

    /// The roles matter for somebody who is assigned only; who is not is told apart without them.
    async fn roles_and_assignment(
        &self,
        id: &SourceId,
        user: &User<'_>,
        lane: Lane,
    ) -> Result<(Arc<Roles>, bool), Failure> {
        match self.is_assigned(id, lane).await? {
            true => Ok((self.roles_for(user, lane).await?, true)),
            false => Ok((Arc::default(), false)),
        }
    }

    /// Whether the app is among all apps of this user.
    async fn is_assigned(&self, id: &SourceId, lane: Lane) -> Result<bool, Failure> {
        let base = self.url(&["2", "users", id.as_str(), "apps"], &[("ignore_visibility", "true")]);
        let mut chain = Chain::new(&self.client, format!("the apps of {id}"), base, APPS_PAGE_SIZE, lane);
        let (mut assigned, mut apps) = (false, 0);
        while let Some(ChainPage { answer, place }) = chain.next().await? {
            let entries: Vec<WithId<'_>> =
                serde_json::from_slice(&answer.body).map_err(|error| place.malformed(&answer, &error))?;
            for entry in &entries {
                let app = entry.id().ok_or_else(|| place.incomplete("an entry has no id"))?;
                assigned |= app.to_string() == *self.app_id;
            }
            apps += entries.len() as u64;
        }
        chain.verify(apps, false)?;
        Ok(assigned)
    }
}

fn found(place: &Place, user: &User<'_>, raw: &RawValue, context: &Context<'_>) -> Finding {
    match user.identity(raw, context) {
        Some(identity) if identity.status == VendorStatus::OneLogin(None) => {
            Finding::Inconclusive(format!("{place}: the answer lacks status, state or role_ids"))
        }
        Some(identity) if context.assigned => Finding::Assigned(Box::new(identity)),
        Some(identity) => Finding::NotAssigned(Box::new(identity)),
        None => Finding::Inconclusive(format!("{place}: the answer has no id")),
    }
}

/// The user in an answer, who must be the one who was asked for; the error is for the person's finding.
fn user_of<'a>(place: &Place, answer: &'a Answer, id: &SourceId) -> Result<(&'a RawValue, User<'a>), String> {
    let (raw, user) = serde_json::from_slice::<&RawValue>(&answer.body)
        .and_then(|raw| Ok((raw, serde_json::from_str::<User<'_>>(raw.get())?)))
        .map_err(|error| place.malformed(answer, &error).to_string())?;
    match user.id().is_some() && user.id() == numeric(id) {
        true => Ok((raw, user)),
        false => Err(format!("{place}: the answer is about somebody else")),
    }
}

//! One person at OneLogin: the point read that proofs rest on, and finding somebody by name.
//!
//! What lives here: `GET /users/{id}` and the complete list of that user's apps. What must not: lists of the app.
//!
//! *Invariant*: "not assigned" is only said after the whole list of the person's apps, hidden ones too, was read
//! without the app; "gone" only where OneLogin said so in one of its error shapes.

use serde_json::value::RawValue;

use super::pages::{Chain, ChainPage};
use super::wire::{Context, ErrorBody, FIELDS, Named, User};
use super::{CREDENTIALS_HELP, OneLogin, VENDOR, numeric};
use crate::http::Lane;
use crate::model::id::SourceId;
use crate::model::identity::{Finding, PointRead, VendorStatus};
use crate::model::order::Observation;
use crate::source::SourceError;
use crate::source::fault::Place;

const APPS_PAGE_SIZE: &str = "100";
const FOUND_PAGE_SIZE: &str = "50";

impl OneLogin {
    /// Reads one person and their assignment afresh.
    pub(in crate::source) async fn point_read(
        &self,
        id: &SourceId,
        lane: Lane,
    ) -> Result<PointRead, SourceError> {
        let Some(number) = numeric(id) else {
            let why = format!("{VENDOR}: `{id}` is no OneLogin user id");
            return Ok(PointRead { observation: Observation::now(), finding: Finding::Inconclusive(why) });
        };
        let url = self.url(&["2", "users", id.as_str()], &[]);
        let place = Place::new(VENDOR, format!("the user {id}"), &url);
        let answer = self.send(&place, url, lane).await?;
        let observation = answer.observation;
        let finding = |finding| Ok(PointRead { observation, finding });
        match answer.status {
            200 => {}
            404 if ErrorBody::says_not_found(&answer) => return finding(Finding::UserGone),
            401 | 403 | 429 | 500..=599 => {
                return Err(place.refused(&answer, &ErrorBody::words(&answer), CREDENTIALS_HELP));
            }
            status => {
                let why = format!("{place}: HTTP {status} {}", ErrorBody::words(&answer));
                return finding(Finding::Inconclusive(why));
            }
        }
        let parsed = serde_json::from_slice::<&RawValue>(&answer.body)
            .and_then(|raw| Ok((raw, serde_json::from_str::<User<'_>>(raw.get())?)));
        let (raw, user) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                return finding(Finding::Inconclusive(place.malformed(&answer, &error).to_string()));
            }
        };
        if user.id() != Some(number) {
            return finding(Finding::Inconclusive(format!("{place}: the answer is about somebody else")));
        }
        let roles = self.known_roles(lane).await?;
        let assigned = match self.is_assigned(id, lane).await? {
            Ok(assigned) => assigned,
            Err(why) => return finding(Finding::Inconclusive(why)),
        };
        let context = Context { roles: &roles, assigned, listed_by_both: true, observation };
        match user.identity(raw, &context) {
            Some(identity) if identity.status == VendorStatus::OneLogin(None) => {
                finding(Finding::Inconclusive(format!("{place}: the answer lacks status, state or role_ids")))
            }
            Some(identity) if assigned => finding(Finding::Assigned(Box::new(identity))),
            Some(identity) => finding(Finding::NotAssigned(Box::new(identity))),
            None => finding(Finding::Inconclusive(format!("{place}: the answer has no id"))),
        }
    }

    /// Whether the app is among all apps of this user; the inner error says why that cannot be told.
    async fn is_assigned(&self, id: &SourceId, lane: Lane) -> Result<Result<bool, String>, SourceError> {
        let base = self.url(&["2", "users", id.as_str(), "apps"], &[("ignore_visibility", "true")]);
        let mut chain = Chain::new(&self.client, format!("the apps of {id}"), base, APPS_PAGE_SIZE, lane);
        let (mut assigned, mut apps) = (false, 0);
        loop {
            let page = match chain.next().await {
                Ok(page) => page,
                // Of this one person nothing can be said; others can still be read.
                Err(SourceError::Incomplete(why)) => return Ok(Err(why)),
                Err(error @ (SourceError::Unavailable(_) | SourceError::Credentials(_))) => {
                    return Err(error);
                }
            };
            let Some(ChainPage { answer, place }) = page else { break };
            let entries: Vec<Named<'_>> = match serde_json::from_slice(&answer.body) {
                Ok(entries) => entries,
                Err(error) => return Ok(Err(place.malformed(&answer, &error).to_string())),
            };
            for entry in &entries {
                let Some(app) = entry.id() else {
                    return Ok(Err(format!("{place}: an entry has no id")));
                };
                assigned |= app.to_string() == *self.app_id;
            }
            apps += entries.len() as u64;
        }
        match chain.verify(apps, false) {
            Ok(()) => Ok(Ok(assigned)),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    /// The people whom a login, an e-mail address or an id may mean; assigned or not.
    pub(in crate::source) async fn find(&self, who: &str) -> Result<Vec<SourceId>, SourceError> {
        let who = who.trim();
        let id = who.strip_prefix("onelogin:").unwrap_or(who);
        if let Ok(number) = id.parse::<u64>() {
            let url = self.url(&["2", "users", &number.to_string()], &[]);
            let place = Place::new(VENDOR, "a user by id", &url);
            let answer = self.send(&place, url, Lane::General).await?;
            match answer.status {
                200 => return Ok(vec![SourceId::new(number.to_string())]),
                404 => {}
                _ => return Err(place.refused(&answer, &ErrorBody::words(&answer), CREDENTIALS_HELP)),
            }
        }
        // `*` is a wildcard here.
        if who.is_empty() || who.contains('*') {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for name in ["email", "username"] {
            let base = self.url(&["2", "users"], &[(name, who), ("fields", FIELDS)]);
            let what = format!("users with this {name}");
            let mut chain = Chain::new(&self.client, what, base, FOUND_PAGE_SIZE, Lane::General);
            while let Some(ChainPage { answer, place }) = chain.next().await? {
                let users: Vec<User<'_>> =
                    serde_json::from_slice(&answer.body).map_err(|error| place.malformed(&answer, &error))?;
                let matching = users.iter().filter(|user| user.is_called(who)).filter_map(User::id);
                found.extend(matching.map(|id| SourceId::new(id.to_string())));
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }
}

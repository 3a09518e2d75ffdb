//! Finding somebody at Okta by login, e-mail address or id.
//!
//! What lives here: the searches, and the comparison of each hit with what was asked for, because a search that is
//! ignored shows strangers. What must not: what is read of a person once they are known (`person`).

use super::pages::{Chain, ChainPage};
use super::person::{Object, Right};
use super::wire::{AppUser, User};
use super::{Okta, VENDOR};
use crate::http::{Lane, Request};
use crate::model::folding::fold_address;
use crate::model::id::SourceId;
use crate::source::SourceError;
use crate::source::fault::{Failure, Place};

/// A search that is understood finds a few; one that is ignored shows the whole organization.
const MOST_PAGES: u64 = 10;
const USERS_PAGE_SIZE: &str = "200";
const APP_USERS_PAGE_SIZE: &str = "500";

impl Okta {
    /// The people whom a login, an e-mail address or an id means; assigned or not.
    pub(in crate::source) async fn find(&self, who: &str) -> Result<Vec<SourceId>, SourceError> {
        let who = who.trim();
        let mut unclear = None;
        if is_one_segment(who) {
            let url = self.url(&["users", who], &[]);
            let place = Place::new(VENDOR, "a user by login or id", &url);
            match self.object(&place, Request::get(url, Lane::General), Right::Users).await?.1 {
                Object::Found(answer) => match serde_json::from_slice::<User<'_>>(&answer.body) {
                    Ok(user) if user.is_called(who) => return Ok(user.source_id().into_iter().collect()),
                    Ok(_) => {}
                    Err(error) => unclear = Some(place.malformed(&answer, &error).to_string()),
                },
                Object::NotFound(_) => {}
                Object::Unclear(why) => unclear = Some(why),
            }
        }
        if who.contains('@') {
            match self.users_called(who).await {
                Ok(found) if !found.is_empty() => return Ok(found),
                Ok(_) => {}
                Err(failure) => unclear = Some(self.judge(failure, Right::Users, Lane::General).await?),
            }
        }
        if !who.is_empty() {
            match self.app_users_called(who).await {
                Ok(found) if !found.is_empty() => return Ok(found),
                Ok(_) => {}
                Err(failure) => unclear = Some(self.judge(failure, Right::App, Lane::General).await?),
            }
        }
        match unclear {
            Some(why) => Err(SourceError::Incomplete(why)),
            None => Ok(Vec::new()),
        }
    }

    /// Everybody whose login at the app is this one. It may be neither the login nor the address at Okta.
    pub(in crate::source) async fn with_app_login(&self, login: &str) -> Result<Vec<SourceId>, SourceError> {
        match self.app_users_called(login).await {
            Ok(found) => Ok(found),
            Err(failure) => {
                Err(SourceError::Incomplete(self.judge(failure, Right::App, Lane::General).await?))
            }
        }
    }

    async fn users_called(&self, who: &str) -> Result<Vec<SourceId>, Failure> {
        // SCIM string (RFC 7644 section 3.4.2.2): a JSON string.
        let text = serde_json::Value::from(who).to_string();
        let filter = format!("profile.login eq {text} or profile.email eq {text}");
        let first = self.url(&["users"], &[("filter", filter.as_str()), ("limit", USERS_PAGE_SIZE)]);
        let mut chain =
            Chain::new(&self.client, "users with this e-mail", first, Lane::General).at_most(MOST_PAGES);
        let mut found = Vec::new();
        while let Some(ChainPage { answer, place }) = chain.next().await? {
            let users: Vec<User<'_>> =
                serde_json::from_slice(&answer.body).map_err(|error| place.malformed(&answer, &error))?;
            found.extend(users.iter().filter(|user| user.is_called(who)).filter_map(User::source_id));
        }
        Ok(each_once(found))
    }

    async fn app_users_called(&self, login: &str) -> Result<Vec<SourceId>, Failure> {
        // `q` is the start of a name, login or address.
        let query = [("q", login), ("limit", APP_USERS_PAGE_SIZE)];
        let first = self.url(&["apps", &self.app_id, "users"], &query);
        let mut chain =
            Chain::new(&self.client, "app users with this login", first, Lane::General).at_most(MOST_PAGES);
        let wanted = fold_address(login);
        let is_wanted =
            |entry: &&AppUser<'_>| entry.user_name().is_some_and(|name| fold_address(name) == wanted);
        let mut found = Vec::new();
        while let Some(ChainPage { answer, place }) = chain.next().await? {
            let entries: Vec<AppUser<'_>> =
                serde_json::from_slice(&answer.body).map_err(|error| place.malformed(&answer, &error))?;
            found.extend(
                entries.iter().filter(is_wanted).filter_map(|entry| entry.id.get()).map(SourceId::new),
            );
        }
        Ok(each_once(found))
    }
}

/// Whether this can stand in a path: `me` is the owner of the token; an empty segment, or one that leads up, is a
/// list; and a slash ends a segment, however it is written, for some servers.
fn is_one_segment(who: &str) -> bool {
    !matches!(who, "" | "me" | "." | "..") && !who.contains(['/', '\\'])
}

fn each_once(mut found: Vec<SourceId>) -> Vec<SourceId> {
    found.sort();
    found.dedup();
    found
}

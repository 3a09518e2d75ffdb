//! Finding somebody at OneLogin by login, e-mail address or id.
//!
//! What lives here: the searches, and the comparison of each hit with what was asked for, because a search that is
//! ignored shows strangers. What must not: what is read of a person once they are known (`person`).

use super::OneLogin;
use super::pages::{Chain, ChainPage};
use super::person::Object;
use super::wire::{FIELDS, User, VENDOR};
use crate::http::Lane;
use crate::model::id::SourceId;
use crate::source::SourceError;
use crate::source::fault::{Failure, Place};

/// A search that is understood finds a few; one that is ignored shows the whole account.
const MOST_PAGES: u64 = 40;
const PAGE_SIZE: &str = "50";

impl OneLogin {
    /// The people whom a login, an e-mail address or an id means; assigned or not.
    pub(in crate::source) async fn find(&self, who: &str) -> Result<Vec<SourceId>, SourceError> {
        let who = who.trim();
        let id = who.strip_prefix("onelogin:").unwrap_or(who);
        let mut unclear = None;
        if let Ok(number) = id.parse::<u64>() {
            let url = self.url(&["2", "users", &number.to_string()], &[]);
            let place = Place::new(VENDOR, "a user by id", &url);
            match self.object(&place, url, Lane::General).await?.1 {
                Object::Found(answer) => match serde_json::from_slice::<User<'_>>(&answer.body) {
                    Ok(user) if user.id() == Some(number) => {
                        return Ok(vec![SourceId::new(number.to_string())]);
                    }
                    Ok(_) => unclear = Some(format!("{place}: the answer is about somebody else")),
                    Err(error) => unclear = Some(place.malformed(&answer, &error).to_string()),
                },
                Object::NotFound => {}
                Object::Unclear(why) => unclear = Some(why),
            }
        }
        let found = self.with_login(who).await?;
        match unclear.filter(|_| found.is_empty()) {
            Some(why) => Err(SourceError::Incomplete(why)),
            None => Ok(found),
        }
    }

    /// Everybody whose login or address this is.
    pub(in crate::source) async fn with_login(&self, login: &str) -> Result<Vec<SourceId>, SourceError> {
        let login = login.trim();
        // `*` is a wildcard here.
        if login.is_empty() || login.contains('*') {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for name in ["email", "username"] {
            match self.called(name, login).await {
                Ok(people) => found.extend(people),
                Err(failure) => {
                    return Err(SourceError::Incomplete(self.judge(failure, Lane::General).await?));
                }
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    async fn called(&self, name: &str, login: &str) -> Result<Vec<SourceId>, Failure> {
        let base = self.url(&["2", "users"], &[(name, login), ("fields", FIELDS)]);
        let what = format!("users with this {name}");
        let mut chain = Chain::new(&self.client, what, base, PAGE_SIZE, Lane::General).at_most(MOST_PAGES);
        let mut found = Vec::new();
        while let Some(ChainPage { answer, place }) = chain.next().await? {
            let users: Vec<User<'_>> =
                serde_json::from_slice(&answer.body).map_err(|error| place.malformed(&answer, &error))?;
            let matching = users.iter().filter(|user| user.is_called(login)).filter_map(User::id);
            found.extend(matching.map(|id| SourceId::new(id.to_string())));
        }
        Ok(found)
    }
}

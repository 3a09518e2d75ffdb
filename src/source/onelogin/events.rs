//! OneLogin's event log (API v1), asked about one person: the second witness that a user object is really gone.
//!
//! What lives here: the question for a deletion event. What must not: following the log as it grows.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::{ErrorBody, V1};
use super::{CREDENTIALS_HELP, OneLogin, VENDOR, numeric};
use crate::http::{Answer, Lane};
use crate::model::id::SourceId;
use crate::source::SourceError;
use crate::source::fault::Place;
use crate::source::lenient::Text;

/// The name of the type, and its number where the list of types cannot be read.
const DELETED: &str = "USER_DELETED";
const DELETED_TYPE: u64 = 17;
/// One person is deleted once; more pages mean that the filter was not understood.
const MOST_PAGES: u32 = 20;

#[derive(Deserialize)]
struct EventType<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    name: Text<'a>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    event_type_id: Text<'a>,
    #[serde(borrow, default)]
    user_id: Text<'a>,
}

impl OneLogin {
    /// Whether the log shows that this user was deleted; `None` where these credentials may not read events.
    pub(in crate::source) async fn deletion_event(&self, id: &SourceId) -> Result<Option<bool>, SourceError> {
        let Some(number) = numeric(id) else { return Ok(Some(false)) };
        let Some(kind) = self.deletion_type().await? else { return Ok(None) };
        let (kind, user) = (kind.to_string(), number.to_string());
        let mut cursor: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut query = vec![("event_type_id", kind.as_str()), ("user_id", user.as_str())];
            query.extend(cursor.as_deref().map(|cursor| ("after_cursor", cursor)));
            let Some((answer, place)) = self.events(&["1", "events"], &query).await? else { return Ok(None) };
            let malformed = |error| place.malformed(&answer, &error);
            let page: V1<'_> = serde_json::from_slice(&answer.body).map_err(malformed)?;
            for raw in &page.data {
                let event: Event<'_> = serde_json::from_str(raw.get()).map_err(malformed)?;
                if event.event_type_id.get() == Some(&kind) && event.user_id.get() == Some(&user) {
                    return Ok(Some(true));
                }
            }
            match page.next_cursor() {
                Some(next) if cursor.as_deref() != Some(next) => cursor = Some(next.to_owned()),
                Some(_) | None => return Ok(Some(false)),
            }
        }
        Ok(Some(false))
    }

    /// The number of the deletion event's type, as this account tells it.
    async fn deletion_type(&self) -> Result<Option<u64>, SourceError> {
        let Some((answer, place)) = self.events(&["1", "events", "types"], &[]).await? else {
            return Ok(None);
        };
        let malformed = |error| place.malformed(&answer, &error);
        let types: V1<'_> = serde_json::from_slice(&answer.body).map_err(malformed)?;
        for raw in types.data {
            let kind: EventType<'_> = parse(raw).map_err(malformed)?;
            if kind.name.get().is_some_and(|name| name.eq_ignore_ascii_case(DELETED)) {
                return Ok(kind.id.get().and_then(|id| id.parse().ok()).or(Some(DELETED_TYPE)));
            }
        }
        Ok(Some(DELETED_TYPE))
    }

    /// `None` = not allowed.
    async fn events(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Option<(Answer, Place)>, SourceError> {
        let url = self.url(segments, query);
        let place = Place::new(VENDOR, "the event log", &url);
        let answer = self.send(&place, url, Lane::Removal).await?;
        match answer.status {
            200 => Ok(Some((answer, place))),
            401 | 403 => Ok(None),
            _ => Err(place.refused(&answer, &ErrorBody::words(&answer), CREDENTIALS_HELP)),
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T, serde_json::Error> {
    serde_json::from_str(raw.get())
}

//! OneLogin's event log (API v1): its kinds of events, one request to it, and the question about one person: the
//! second witness that a user object is really gone.
//!
//! What lives here: the above. What must not: following the log as it grows (`watch`).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::OneLogin;
use super::event_types::{EventTypes, KnownTypes};
use super::wire::{ErrorBody, Event, EventType, V1, VENDOR, numeric};
use crate::http::{Answer, Lane};
use crate::model::id::SourceId;
use crate::source::fault::Place;
use crate::source::watch::PollError;
use crate::source::{DeletionEvidence, SourceError};

/// The name of the type, and its number where the list of types lacks it.
const DELETED: &str = "USER_DELETED";
const DELETED_TYPE: &str = "17";
/// One person is deleted once; more pages mean that the filter was not understood.
const MOST_PAGES: u32 = 20;
/// "Cache event types up to 24 hours" (developers.onelogin.com, Get Event Types).
const TYPES_LAST: Duration = Duration::from_secs(24 * 3600);
const LOG_HELP: &str = "use API credentials with the scope `Read All`, or set `watch = \"off\"`";

impl OneLogin {
    /// What the log says of this user's deletion.
    pub(in crate::source) async fn deletion_event(
        &self,
        id: &SourceId,
    ) -> Result<DeletionEvidence, SourceError> {
        match self.find_deletion(id).await {
            Ok(true) => Ok(DeletionEvidence::Event),
            Ok(false) => Ok(DeletionEvidence::NoEvent),
            Err(PollError::NotAllowed(why)) => {
                // Where the app cannot be read either, it is not the log that is refused.
                self.control.pass(self.app(Lane::Removal)).await?;
                Ok(DeletionEvidence::LogNotReadable(why))
            }
            Err(PollError::Source(error)) => Err(error),
            Err(PollError::CursorLost(message)) => Err(SourceError::Incomplete(message)),
        }
    }

    async fn find_deletion(&self, id: &SourceId) -> Result<bool, PollError> {
        let Some(number) = numeric(id) else { return Ok(false) };
        let types = self.event_types().await?;
        let deleted = types.iter().find(|(_, name)| name.eq_ignore_ascii_case(DELETED));
        let kind = deleted.map_or(DELETED_TYPE, |(kind, _)| kind);
        let user = number.to_string();
        let mut cursor: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut query = vec![("event_type_id", kind), ("user_id", user.as_str())];
            query.extend(cursor.as_deref().map(|cursor| ("after_cursor", cursor)));
            let (answer, place) = self.ask_log(&["1", "events"], &query, false).await?;
            let malformed = |error| place.malformed(&answer, &error);
            let page: V1<'_> = serde_json::from_slice(&answer.body).map_err(malformed)?;
            for raw in &page.data {
                let event: Event<'_> = serde_json::from_str(raw.get()).map_err(malformed)?;
                if event.event_type_id.get() == Some(kind) && event.user_id.get() == Some(&user) {
                    return Ok(true);
                }
            }
            match page.next_cursor() {
                None => return Ok(false),
                Some(next) if cursor.as_deref() == Some(next) => {
                    return Err(place.incomplete("its next cursor leads to the same page again").into());
                }
                Some(next) => cursor = Some(next.to_owned()),
            }
        }
        let url = self.url(&["1", "events"], &[]);
        let place = Place::new(VENDOR, "the event log", &url);
        Err(place.incomplete("the log shows events that were not asked for, page after page").into())
    }

    /// The kinds of events, read at most once a day.
    pub(super) async fn event_types(&self) -> Result<Arc<EventTypes>, PollError> {
        let mut known = self.event_types.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.read_at.elapsed() < TYPES_LAST) {
            return Ok(Arc::clone(&known.types));
        }
        let (answer, place) = self.ask_log(&["1", "events", "types"], &[], false).await?;
        let malformed = |error| place.malformed(&answer, &error);
        let list: V1<'_> = serde_json::from_slice(&answer.body).map_err(malformed)?;
        let mut types = EventTypes::new();
        for raw in list.data {
            let kind: EventType<'_> = serde_json::from_str(raw.get()).map_err(malformed)?;
            types.extend(kind.id.owned().zip(kind.name.owned()));
        }
        let types = Arc::new(types);
        *known = Some(KnownTypes { types: Arc::clone(&types), read_at: Instant::now() });
        Ok(types)
    }

    /// An answer with status 200. `kept`: the request carries what an earlier poll left.
    pub(super) async fn ask_log(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
        kept: bool,
    ) -> Result<(Answer, Place), PollError> {
        let url = self.url(segments, query);
        let place = Place::new(VENDOR, "the event log", &url);
        let answer = self.send(&place, url, Lane::Removal).await?;
        match answer.status {
            200 => Ok((answer, place)),
            _ => Err(PollError::refused(&place, &answer, &ErrorBody::words(&answer), kept, LOG_HELP)),
        }
    }
}

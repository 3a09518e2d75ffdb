//! Okta's System Log, asked about one person: the second witness that a user object is really gone.
//!
//! What lives here: the question for a deletion event. What must not: following the log as it grows (`watch`).

use std::time::Duration;

use super::Okta;
use super::pages::{Chain, ChainPage};
use super::person::Right;
use super::wire::LogEvent;
use crate::http::Lane;
use crate::model::id::SourceId;
use crate::model::time::Millis;
use crate::source::fault::{Failure, Reach};
use crate::source::{DeletionEvidence, SourceError};

const DELETED: &str = "user.lifecycle.delete.completed";
/// The log keeps 90 days; a question for exactly that long may be refused.
pub(in crate::source) const LOG_RETENTION: Duration = Duration::from_secs(89 * 24 * 3600);
/// One person has few such events; more pages mean that the filter was not understood.
const MOST_PAGES: u64 = 20;

fn is_deletion_of(event: &LogEvent<'_>, id: &str) -> bool {
    event.event_type.get() == Some(DELETED)
        && event.result().is_none_or(|result| result == "SUCCESS")
        && event.targets("User").any(|target| target == id)
}

impl Okta {
    /// What the log says of this user's deletion.
    pub(in crate::source) async fn deletion_event(
        &self,
        id: &SourceId,
    ) -> Result<DeletionEvidence, SourceError> {
        let since = Millis(Millis::now().0 - LOG_RETENTION.as_millis() as i64).rfc3339();
        let text = serde_json::Value::from(id.as_str()).to_string();
        let filter = format!("eventType eq \"{DELETED}\" and target.id eq {text}");
        // Without `until` the log goes by the time of storing, so that a late event is not passed over.
        let query = [("since", since.as_str()), ("filter", filter.as_str()), ("sortOrder", "ASCENDING")];
        let first = self.url(&["logs"], &query);
        let mut chain =
            Chain::new(&self.client, format!("the log about {id}"), first, Lane::Removal).endless();
        loop {
            let page = match chain.next().await {
                Ok(page) => page,
                Err(failure @ Failure { error: SourceError::Credentials(_), reach: Reach::Object }) => {
                    // Where the users cannot be read either, it is not the log that is refused.
                    let why = self.judge(failure, Right::Users, Lane::Removal).await?;
                    return Ok(DeletionEvidence::LogNotReadable(why));
                }
                Err(Failure { error, .. }) => return Err(error),
            };
            let Some(ChainPage { answer, place }) = page else { return Ok(DeletionEvidence::NoEvent) };
            let events: Vec<LogEvent<'_>> =
                serde_json::from_slice(&answer.body).map_err(|error| place.malformed(&answer, &error))?;
            if events.iter().any(|event| is_deletion_of(event, id.as_str())) {
                return Ok(DeletionEvidence::Event);
            }
            // A polling request has a next link for ever; an empty page is its end for now.
            if events.is_empty() {
                return Ok(DeletionEvidence::NoEvent);
            }
            if chain.pages() >= MOST_PAGES {
                return Err(place.incomplete("the log shows events that were not asked for, page after page"));
            }
        }
    }
}

//! Why somebody leaves, asked of the source at the moment at which a person decides to keep the account.
//!
//! What lives here: the question. What must not: the decision (`app`), its record (`store`).

use crate::core::eligibility::{Eligibility, ScopeNames, eligibility};
use crate::core::removal_cause::removal_cause;
use crate::engine::error::RunError;
use crate::engine::session::SyncSession;
use crate::http::Lane;
use crate::model::id::SourceId;
use crate::model::identity::Finding;
use crate::model::plan::RemovalCause;

/// What the source says of somebody now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CauseNow {
    /// The person left, for this cause.
    Left(RemovalCause),
    /// The person has not left.
    HasNotLeft,
    /// Nobody can tell; the text says why.
    Unknown(String),
}

impl SyncSession {
    /// Asks the source why somebody with a linked account leaves. Nothing is written anywhere.
    ///
    /// # Errors
    /// Where the source does not answer.
    pub async fn cause_now(&self, person: &SourceId) -> Result<CauseNow, RunError> {
        let read = self.source.point_read(person, Lane::General).await?;
        let identity = match &read.finding {
            Finding::Assigned(identity) | Finding::NotAssigned(identity) => identity,
            Finding::UserGone => return Ok(CauseNow::Left(RemovalCause::Deleted)),
            Finding::Inconclusive(why) => return Ok(CauseNow::Unknown(why.clone())),
        };
        let mut seen = ScopeNames::new(&self.mapping);
        let eligibility = eligibility(identity, true, &self.mapping, &self.config.lifecycle, &mut seen);
        Ok(match &eligibility {
            Eligibility::Leaver(_) | Eligibility::Suspended | Eligibility::OutOfScope => {
                CauseNow::Left(removal_cause(&eligibility))
            }
            Eligibility::Qualifies(_) | Eligibility::Pending | Eligibility::Blocked(_) => {
                CauseNow::HasNotLeft
            }
            Eligibility::Unknown(why) => CauseNow::Unknown(why.clone()),
        })
    }
}

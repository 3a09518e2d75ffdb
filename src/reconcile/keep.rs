//! Why somebody leaves, asked of the source at the moment at which a person decides to keep the account.
//!
//! What lives here: the question. What must not: the decision (`app`), its record (`store`).

use super::{RunError, Sides};
use crate::core::planner::removal_cause;
use crate::core::standing::{ScopeNames, Standing, standing};
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

impl Sides {
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
        let standing = standing(identity, true, &self.mapping, &self.config.lifecycle, &mut seen);
        Ok(match &standing {
            Standing::Leaver(_) | Standing::Suspended | Standing::OutOfScope => {
                CauseNow::Left(removal_cause(&standing))
            }
            Standing::Qualifies(_) | Standing::Pending | Standing::HeldBack(_) => CauseNow::HasNotLeft,
            Standing::Unknown(why) => CauseNow::Unknown(why.clone()),
        })
    }
}

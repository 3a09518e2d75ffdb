//! Why a run ends without having done its work.

use crate::model::report::RunResult;
use crate::scim::target::TargetError;
use crate::source::SourceError;
use crate::store::StoreError;

/// Why a run ended without a plan, or in the middle of one.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The spool.
    #[error("cannot write temporary data: {0}\nhelp: check the space in the temporary directory")]
    Spool(#[from] std::io::Error),
    /// The configuration does not fit the links it would work on.
    #[error("{0}")]
    Binding(String),
    /// A saved plan does not fit what is there now.
    #[error("{0}")]
    StalePlan(String),
    /// Two witnesses agree that this machine's clock is wrong, so nothing is written.
    #[error("nothing was written: {0}")]
    Clock(String),
    /// Nobody is called so, at the source or here.
    #[error("{0}")]
    NobodyNamed(String),
    /// A signal.
    #[error("interrupted")]
    Interrupted,
    /// The program itself: a panic.
    #[error(
        "a defect of rosterd broke the run off: {0}\nhelp: report it with the log; what it left open is settled by \
         reading in the next run"
    )]
    Defect(String),
}

impl RunError {
    /// The result that this error means for the run.
    pub fn result(&self) -> RunResult {
        match self {
            RunError::Source(SourceError::Incomplete(_)) => RunResult::SourceIncomplete,
            RunError::Source(SourceError::Unavailable(_) | SourceError::Credentials(_)) => {
                RunResult::SourceUnavailable
            }
            RunError::Target(_) => RunResult::TargetUnavailable,
            RunError::Interrupted => RunResult::Interrupted,
            RunError::Store(_)
            | RunError::Spool(_)
            | RunError::Binding(_)
            | RunError::NobodyNamed(_)
            | RunError::Clock(_)
            | RunError::StalePlan(_)
            | RunError::Defect(_) => RunResult::Error,
        }
    }
}

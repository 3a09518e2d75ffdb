//! Whom a run of the engine is about.

use crate::model::id::SourceId;

/// Whom a run is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Everybody: a full run.
    Everybody,
    /// These, by login, e-mail address, source id or target id.
    Named(Vec<String>),
    /// These.
    Ids(Vec<SourceId>),
}

impl Selection {
    /// Whether the source is read completely.
    pub fn is_full(&self) -> bool {
        match self {
            Selection::Everybody => true,
            Selection::Named(_) | Selection::Ids(_) => false,
        }
    }
}

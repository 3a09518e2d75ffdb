//! Which ids the configured groups have, and who is in them.

use std::sync::Arc;

use crate::source::ids::IdSet;

/// The configured names with the ids they stand for, in configured order.
#[derive(Debug)]
pub(super) struct GroupIds(pub(super) Vec<(Arc<str>, String)>);

impl GroupIds {
    /// The ids, in configured order.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, id)| id.as_str())
    }
}

/// Who is in which configured group.
#[derive(Debug, Default)]
pub(super) struct Membership(pub(super) Vec<(Arc<str>, IdSet)>);

impl Membership {
    /// The configured groups of one person, in configured order.
    pub(super) fn of(&self, id: &str) -> Vec<Arc<str>> {
        self.0.iter().filter(|(_, members)| members.contains(id)).map(|(name, _)| Arc::clone(name)).collect()
    }
}

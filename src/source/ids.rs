//! Which ids were seen: a few bytes each, so that a million people fit.
//!
//! What lives here: a set of hashed texts. What must not: the texts.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// A set of texts that keeps a keyed 64-bit hash of each. Two of a million texts collide with a probability of
/// about 3 in 100 million; a read would then be called incomplete and be repeated with another key.
#[derive(Debug, Default)]
pub(super) struct IdSet {
    key: RandomState,
    seen: HashSet<u64>,
}

impl IdSet {
    /// `false` = it was there already.
    pub(super) fn insert(&mut self, id: &str) -> bool {
        self.seen.insert(self.key.hash_one(id))
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.seen.contains(&self.key.hash_one(id))
    }

    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }
}

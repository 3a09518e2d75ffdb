//! What the declared groups or roles stand for, as last resolved.
//!
//! What lives here: what is kept of a resolution, and when it is dropped. What must not: resolving (each vendor asks
//! in its own way).
//!
//! A group that was made anew under its name has another id, so that its members would look like nobody's: what was
//! resolved is good for one pass, and an answer that contradicts it is resolved again at once.

use std::sync::{Arc, Mutex, PoisonError};

/// A resolution that all clones of an adapter share.
#[derive(Debug)]
pub(super) struct Resolved<T>(Arc<Mutex<Option<Arc<T>>>>);

impl<T> Resolved<T> {
    /// As last resolved in this pass.
    pub(super) fn known(&self) -> Option<Arc<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps a resolution until the next pass begins.
    pub(super) fn keep(&self, resolved: &Arc<T>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(resolved));
    }

    /// The names have to be resolved again.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl<T> Clone for Resolved<T> {
    fn clone(&self) -> Self {
        Resolved(Arc::clone(&self.0))
    }
}

impl<T> Default for Resolved<T> {
    fn default() -> Self {
        Resolved(Arc::default())
    }
}

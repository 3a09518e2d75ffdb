//! The daemon: when runs happen, and what the outside may ask meanwhile.
//!
//! What lives here: the HTTP side (read-only) and the pulse of the loop. What must not: what a run does (`reconcile`),
//! words for a terminal (`report`).

pub mod http;
pub mod pulse;

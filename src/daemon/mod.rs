//! The long-running service: when to run, and whom to tell.
//!
//! What lives here: everything that only a process that stays needs. What must not: how a run goes (`reconcile`).

pub mod notify;

//! The verbs: pure, synchronous, total. No I/O, no async, no clock; nothing here can fail: it returns findings.

pub mod clock;
pub mod content;
pub mod diff;
pub mod drift;
pub mod echo;
pub mod eligibility;
pub mod explain;
pub mod expression;
pub mod guard;
pub mod lifecycle;
pub mod mapping;
pub mod order;
pub mod planner;
pub mod proof;
pub mod protection;
pub mod quarantine;
pub mod recovered;
pub mod removal_cause;
pub mod settlement;
pub mod situation;
pub mod status;
pub mod undo;

#[cfg(test)]
mod sample_tests;

//! The nouns: what a person, an account, a link, a change and a plan are.
//!
//! What lives here: plain data with the few rules that make a value well formed. What must not: I/O, async,
//! decisions (those are verbs and live in `core`), vendor wire shapes (those live in `source` and `target`).

pub mod account;
pub mod aliases;
pub mod attributes;
pub mod check;
pub mod digest;
pub mod drift;
pub mod explain;
pub mod folding;
pub mod handover;
pub mod history;
pub mod id;
pub mod identity;
pub mod link;
pub mod order;
pub mod owed;
pub mod plan;
pub mod protected_logins;
pub mod report;
pub mod revocation;
pub mod run_event;
pub mod saved_plan;
pub mod schedule;
#[cfg(feature = "sim")]
pub mod simulated;
pub mod status;
pub mod time;

//! The run: gather, plan, judge, prove, apply, record. A dry run is the same code path without the right to write.
//!
//! What lives here: the order of the phases and what connects them. What must not: vendor shapes, SQL, decisions
//! about one person (`core`), jobs over a whole sync that bring a plan of their own (`operations`).

pub mod apply;
pub mod binding;
pub mod clock_check;
pub mod context;
pub mod error;
pub mod gather;
pub mod heartbeat;
pub mod live_run;
pub mod pass;
pub mod plan;
pub mod prove;
pub mod quarantine;
pub mod retention;
pub mod run;
pub mod selection;
pub mod session;
pub mod summary;

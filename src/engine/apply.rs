//! Applying: a plan is carried out stage by stage, and what became of each write is recorded.
//!
//! What must not live here: deciding what is written (`plan`), whether a removal is right (`prove`).

pub mod class_stops;
pub mod conflict;
pub mod executor;
pub mod live_writer;
pub mod recover;
pub mod refusal;
pub mod removal;
pub mod writer;

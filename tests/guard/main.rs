//! Guards, holds, approvals, saved plans and quarantine, over whole runs.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod budget;
mod held;
mod plan_file;
mod protected;
mod quarantine;
mod reading;
mod whole_runs;
mod windows;

//! The real binary against the simulation: exit codes, what goes to which stream, reports, commands, the state
//! directory.
#![cfg(feature = "sim")]
// The lint's exception for tests covers test functions only, not what they share.
#![allow(clippy::unwrap_used)]

mod check;
mod commands;
mod exit_codes;
mod explain;
mod guards;
mod history;
mod journal;
mod json_report;
mod options;
mod owed;
mod rebuild;
mod record;
mod screen;
mod state;
mod status;
mod support;
mod text_report;
mod tls;

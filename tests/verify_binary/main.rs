//! Verifying at the real binary: exit codes, text, JSON, files, and the daemon's own schedule.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

#[path = "../binary/support.rs"]
mod stage;

mod binary;
mod daemon;

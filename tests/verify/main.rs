//! Verifying a workspace: what somebody changed there by hand is found, told, and repaired where that is wanted.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod findings;
mod repairs;

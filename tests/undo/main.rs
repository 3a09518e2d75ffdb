//! Taking a run back: every verb, what moved on meanwhile, pins, guards, crashes; and forgetting a link.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../binary/support.rs"]
mod program;

mod binary;
mod dialects;
mod engine;
mod failures;
mod held;
mod large;
mod overlap;
mod verbs;

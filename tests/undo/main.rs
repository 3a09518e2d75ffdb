//! Taking a run back: every verb, what moved on meanwhile, pins, guards, crashes; and forgetting a link.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod engine;
mod failures;
mod held;
mod large;
mod verbs;

//! The watch at the real binary: a change at the source reaches the workspace without a scheduled run.
#![allow(clippy::unwrap_used)]

#[path = "../binary/support.rs"]
mod support;

mod changes;
mod lanes;
mod limits;
mod owed;
mod service;
mod told;

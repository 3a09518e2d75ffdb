//! The daemon's HTTP side over a real socket, on a real state: each endpoint, who is refused, and the metrics as a
//! parser that is not ours reads them.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

mod endpoints;
// Each test crate takes what it needs.
#[allow(dead_code)]
#[path = "../formats/markup.rs"]
mod markup;
mod metrics;
mod pages;
mod refusals;
mod stage;

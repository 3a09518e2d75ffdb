//! The daemon's HTTP side over a real socket, on a real state: each endpoint, who is refused, and the metrics as a
//! parser that is not ours reads them.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

mod endpoints;
mod metrics;
mod refusals;
mod stage;

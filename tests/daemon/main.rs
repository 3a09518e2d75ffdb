//! The real `rosterd daemon` against the simulation, with the test in the service manager's place: readiness, reload,
//! signals, schedule, quarantine, the control socket, who holds the state.
#![cfg(feature = "sim")]
// The lint's exception for tests covers test functions only, not what they share.
#![allow(clippy::unwrap_used)]

mod clients;
mod handover;
mod pausing;
mod quarantine;
mod reload;
mod same_words;
mod schedule;
mod service;
mod signals;
mod socket;
#[path = "../binary/support.rs"]
mod support;
mod systemd;

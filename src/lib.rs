//! rosterd keeps the members of a workspace (any SCIM 2.0 service provider) equal to the people assigned
//! to its app in an identity provider (Okta or OneLogin).

// The future of a run is nested deep: whether it may move between threads is asked through all of it.
#![recursion_limit = "256"]
// Nothing is wider than its layer, and a new kind of anything is met in every place that decides about it.
#![warn(unreachable_pub, clippy::wildcard_enum_match_arm)]
#![cfg_attr(test, allow(clippy::wildcard_enum_match_arm))]

pub mod app;
pub mod cli;
pub mod config;
pub mod core;
pub mod daemon;
pub mod engine;
pub mod exit;
pub mod http;
pub mod model;
pub mod operations;
pub mod report;
pub mod scim;
#[cfg(feature = "sim")]
pub mod sim;
pub mod source;
pub mod spool;
pub mod store;
pub mod telemetry;

//! rosterd keeps the members of a workspace (any SCIM 2.0 service provider) equal to the people assigned
//! to its app in an identity provider (Okta or OneLogin).

pub mod app;
pub mod cli;
pub mod config;
pub mod core;
pub mod daemon;
pub mod exit;
pub mod http;
pub mod model;
pub mod reconcile;
pub mod report;
#[cfg(feature = "sim")]
pub mod sim;
pub mod source;
pub mod store;
pub mod target;
pub mod telemetry;

//! Telling the outside: logs and metrics.

pub mod log;
pub mod metrics;
pub mod peer;
mod traffic;

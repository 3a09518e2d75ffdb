//! Telling the outside: logs and metrics.

pub mod log;
pub mod metrics;
mod traffic;

//! Telling the outside: logs. Metrics come with the daemon.

pub mod log;

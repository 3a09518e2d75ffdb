//! The verbs: pure, synchronous, total. No I/O, no async, nothing here can fail: it returns findings.

pub mod echo;
pub mod guard;
pub mod proof;

//! What a verification is asked to do.

use crate::config;

/// What a verification is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifySpec {
    /// What is repaired.
    pub policies: config::Drift,
    /// Whether accounts that are nobody's are listed, too.
    pub all: bool,
}

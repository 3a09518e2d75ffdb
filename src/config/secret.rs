//! References to secrets and their resolution. A secret's value never lives in the configuration.

use std::path::PathBuf;

/// Where a secret is to be found: never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// A systemd credential by name.
    Credential(String),
    /// A file that nobody else may read.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

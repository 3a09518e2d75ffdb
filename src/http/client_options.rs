//! What a client is made of.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::pacer::Pacer;

/// 64 MiB: no page of people is larger.
const DEFAULT_BODY_LIMIT_BYTES: u64 = 64 * 1024 * 1024;

/// The peer's name in messages and metrics: `okta`, `onelogin`, `target`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerName(pub &'static str);

/// What a client is made of.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The peer.
    pub name: PeerName,
    /// Its origin; a path is allowed and ignored when origins are compared.
    pub base: Url,
    /// Of one attempt, from connecting to the last byte.
    pub timeout: Duration,
    /// Largest body, decompressed.
    pub body_limit_bytes: u64,
    /// HTTP proxy; without one the environment's (`HTTPS_PROXY`) holds, except for loopback.
    pub proxy: Option<Url>,
    /// More trust anchors, PEM.
    pub ca_file: Option<PathBuf>,
    /// The pace.
    pub pacer: Arc<Pacer>,
    /// `User-Agent`.
    pub user_agent: String,
}

impl ClientOptions {
    /// The usual limits.
    pub fn new(name: PeerName, base: Url, pacer: Arc<Pacer>) -> ClientOptions {
        ClientOptions {
            name,
            base,
            timeout: Duration::from_secs(30),
            body_limit_bytes: DEFAULT_BODY_LIMIT_BYTES,
            proxy: None,
            ca_file: None,
            pacer,
            user_agent: concat!("rosterd/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

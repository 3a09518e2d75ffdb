//! How we talk HTTP, whoever we talk to: one client per peer with its pace, its retries and its limits.
//!
//! What lives here: requests, answers, and what can go wrong with either. What must not: any vendor's paths,
//! headers or error bodies beyond the rate limit headers that the pacer understands.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use tokio::time::Instant;
use url::Url;

use crate::model::order::Observation;

pub mod client;
pub mod client_options;
pub mod clock;
mod connect;
pub mod counters;
pub mod credentials;
pub mod pacer;
pub mod ratelimit;
mod redact;
pub mod webhook;
pub mod write_gate;

/// A request before it is authorised and paced.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method.
    pub method: reqwest::Method,
    /// Absolute URL on the client's origin; anything else is refused before it is sent.
    pub url: Url,
    /// Headers beyond authorisation and user agent.
    pub headers: HeaderMap,
    /// Body; `Content-Type` is set only with a body.
    pub body: Option<Bytes>,
    /// Which lane of the pacer it takes.
    pub lane: Lane,
    /// Whether it may be sent again.
    pub replay: Replay,
    /// It is not sent after this, however long the rate limit keeps it back: what it rests on is old by then.
    pub not_after: Option<Instant>,
}

impl Request {
    /// A GET: may be sent again, asks for JSON.
    pub fn get(url: Url, lane: Lane) -> Request {
        let mut headers = HeaderMap::new();
        headers
            .insert(reqwest::header::ACCEPT, reqwest::header::HeaderValue::from_static("application/json"));
        Request {
            method: reqwest::Method::GET,
            url,
            headers,
            body: None,
            lane,
            replay: Replay::Safe,
            not_after: None,
        }
    }
}

/// Lanes of a pacer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Removals, their proofs and the watch: never waits behind the other lane, has a reserved share.
    Removal,
    /// Everything else.
    General,
}

/// Whether a request whose outcome is unknown may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// Reads: retried on connection faults, 5xx and 429.
    Safe,
    /// Writes: sent again only where the peer certainly did not act (429, connection refused before sending).
    OnlyIfNotProcessed,
    /// Sent once: the caller makes a new request itself, because this one holds a proof that is good for one use.
    Never,
}

/// A complete answer: status, headers and the whole body (at most the client's body limit).
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body, decompressed; its length was checked against `Content-Length` where there was one.
    pub body: Bytes,
    /// When the request that got this answer was sent.
    pub observation: Observation,
    /// How many times it was sent, this one included.
    pub attempts: u32,
}

impl Answer {
    /// A header as text; `None` where it is missing or not ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why there is no answer. Display is lower case, one line, names method and URL (without query values that
/// may be personal), and ends with what to do where something can be done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HttpError {
    /// The peer could not be reached, or the connection failed before the request was sent: nothing happened there.
    #[error("{message}")]
    NotSent {
        /// For people.
        message: String,
    },
    /// The request's time was over before it could be sent: nothing happened there, and what it rested on has to be
    /// made sure of again.
    #[error("{message}")]
    Expired {
        /// For people.
        message: String,
    },
    /// Writing was stopped before the write could be sent: nothing happened there.
    #[error("{message}")]
    TakenBack {
        /// For people.
        message: String,
    },
    /// The peer's certificate is not trusted: nothing was sent, and trying again would change nothing.
    #[error("{message}")]
    Distrusted {
        /// For people.
        message: String,
    },
    /// The request was sent and no complete answer came: the peer may have acted on it.
    #[error("{message}")]
    Unanswered {
        /// For people.
        message: String,
    },
    /// The answer's body is larger than the limit.
    #[error("{message}")]
    TooLarge {
        /// For people.
        message: String,
    },
    /// The credentials could not be obtained or were refused by the token endpoint.
    #[error("{message}")]
    Credentials {
        /// For people.
        message: String,
    },
    /// The URL is not on the client's origin.
    #[error("{message}")]
    ForeignOrigin {
        /// For people.
        message: String,
    },
}

//! The log of what the fakes were asked, so that a test can say what was sent and what was not.

use super::call::{Call, Peer, Reply};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// One request as it arrived, and what became of it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Order of arrival over all three servers, from 1.
    pub sequence: u64,
    /// The server that was asked.
    pub peer: Peer,
    /// HTTP method.
    pub method: String,
    /// Path as sent, percent-encoded.
    pub path: String,
    /// Query parameters, decoded, in order.
    pub query: Vec<(String, String)>,
    /// Header names in lower case; of a repeated header the last value.
    pub headers: BTreeMap<String, String>,
    /// Body as text.
    pub body: String,
    /// Status of the reply; `None` while the request is being worked on.
    pub status: Option<u16>,
    /// False where a fault cut the connection, so that the client never saw the whole reply.
    pub delivered: bool,
    /// When it arrived.
    pub at: Instant,
}

impl Request {
    /// The first value of a query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `Null` where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Method and path, as in `GET /api/v1/apps`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// All requests so far; cheap to clone, shared with the servers.
#[derive(Clone, Default)]
pub(crate) struct RequestLog(Arc<Mutex<Log>>);

#[derive(Default)]
struct Log {
    requests: Vec<Request>,
    next: u64,
}

impl RequestLog {
    /// Notes a request and returns its sequence number.
    pub(crate) fn arrived(&self, peer: Peer, call: &Call) -> u64 {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.next += 1;
        let sequence = log.next;
        log.requests.push(Request {
            sequence,
            peer,
            method: call.method.to_string(),
            path: call.path.clone(),
            query: call.query.clone(),
            headers: call
                .headers
                .iter()
                .map(|(name, value)| {
                    (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                })
                .collect(),
            body: String::from_utf8_lossy(&call.body).into_owned(),
            status: None,
            delivered: true,
            at: Instant::now(),
        });
        sequence
    }

    pub(crate) fn answered(&self, sequence: u64, reply: &Reply, delivered: bool) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Sequence numbers rise, so the request is found without a scan even in a log of a million.
        if let Ok(index) = log.requests.binary_search_by_key(&sequence, |request| request.sequence) {
            log.requests[index].status = Some(reply.status);
            log.requests[index].delivered = delivered;
        }
    }

    pub(crate) fn all(&self) -> Vec<Request> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).requests.clone()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).requests.clear();
    }
}

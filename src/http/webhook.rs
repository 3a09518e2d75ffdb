//! Messages to an address that is itself a secret: webhooks and dead-man pings.
//!
//! What lives here: sending one message, a bounded number of times. What must not: what is worth telling; a word of
//! the address beyond its origin in any error.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use url::Url;

use super::HttpError;
use super::client_options::{ClientOptions, PeerName};
use super::connect;
use super::pacer::{Pacer, PacerOptions};

/// Of one attempt, from connecting to the status.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Between the attempts; there is one more of those than of these.
const DELAYS: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];
/// However long the receiver asks us to wait, one message does not keep the next ones back for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A message that nobody took. Display is one line with the origin, the reason and the number of attempts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {reason} (attempts: {attempts})")]
pub struct Undelivered {
    /// Scheme, host and port: path and query are secrets.
    pub origin: String,
    /// Why, for people.
    pub reason: String,
    /// How often it was sent.
    pub attempts: usize,
}

/// An address that takes messages. Each is sent up to three times, so that it may arrive twice: a receiver that was
/// too slow to say so has it.
pub struct Webhook {
    url: Url,
    transport: reqwest::Client,
    delays: [Duration; 2],
}

/// What one attempt came to where it was not taken.
struct Refusal {
    reason: String,
    /// Whether it may pass; then how long the receiver asked us to wait.
    again: Option<Duration>,
}

impl Webhook {
    /// Fails where TLS cannot be set up (no trust store), or the address is `http://` and not loopback.
    pub fn new(url: Url) -> Result<Webhook, HttpError> {
        // The pace is never asked for: there is one message at a time.
        let pacer = Arc::new(Pacer::new(PacerOptions::requests_per_minute(60, 0)));
        let mut options = ClientOptions::new(PeerName("webhook"), url, pacer);
        options.timeout = TIMEOUT;
        let transport = connect::build(&options)?;
        Ok(Webhook { url: options.base, transport, delays: DELAYS })
    }

    /// With another patience between attempts: tests, whose receivers are on loopback, need less.
    pub fn with_delays(self, delays: [Duration; 2]) -> Webhook {
        Webhook { delays, ..self }
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Posts a JSON document. `Ok` is a 2xx.
    pub async fn post_json(&self, document: Bytes) -> Result<(), Undelivered> {
        self.deliver(&Method::POST, Some(document)).await
    }

    /// Asks for the address. `Ok` is a 2xx.
    pub async fn ping(&self) -> Result<(), Undelivered> {
        self.deliver(&Method::GET, None).await
    }

    async fn deliver(&self, method: &Method, document: Option<Bytes>) -> Result<(), Undelivered> {
        let mut delays = self.delays.iter();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let Err(refusal) = self.attempt(method, document.clone()).await else { return Ok(()) };
            match (refusal.again, delays.next()) {
                (Some(asked), Some(delay)) => tokio::time::sleep(asked.min(LONGEST_WAIT).max(*delay)).await,
                (Some(_), None) | (None, _) => {
                    return Err(Undelivered { origin: self.origin(), reason: refusal.reason, attempts });
                }
            }
        }
    }

    async fn attempt(&self, method: &Method, document: Option<Bytes>) -> Result<(), Refusal> {
        let mut request = self.transport.request(method.clone(), self.url.clone());
        if let Some(document) = document {
            request = request.header(CONTENT_TYPE, "application/json").body(document);
        }
        let answer = request.send().await.map_err(|error| Refusal {
            reason: if error.is_timeout() {
                format!("no answer within {} s", TIMEOUT.as_secs())
            } else {
                format!("cannot be reached: {}", connect::cause(&error))
            },
            again: Some(Duration::ZERO),
        })?;
        let status = answer.status().as_u16();
        let asked = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map_or(Duration::ZERO, Duration::from_secs);
        let refuse = |words: &str, again| Err(Refusal { reason: format!("answered {status}{words}"), again });
        match status {
            200..=299 => Ok(()),
            300..=399 => refuse(
                ", and a redirect is not followed; help: write the address that it leads to into the configuration",
                None,
            ),
            408 | 425 | 429 | 500..=599 => refuse("", Some(asked)),
            _ => refuse("; help: the address may have been revoked: make a new one where it came from", None),
        }
    }
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Webhook({})", self.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::{answer, peer};
    use super::*;

    const SECRET: &str = "hooks/T0C4NARY/xyzzy?key=s3cr3t-canary";

    async fn webhook(answers: Vec<String>) -> Webhook {
        let url = peer(answers).await.base.join(SECRET).unwrap();
        Webhook::new(url).unwrap().with_delays([Duration::ZERO; 2])
    }

    async fn posted(answers: &[&str]) -> Result<(), Undelivered> {
        let answers = answers.iter().map(|status| answer(status, "", "")).collect();
        webhook(answers).await.post_json(Bytes::from_static(b"{}")).await
    }

    #[tokio::test]
    async fn a_message_is_sent_again_while_the_receiver_is_unwell() {
        assert_eq!(posted(&["204 No Content"]).await, Ok(()));
        assert_eq!(posted(&["500 Oops", "200 OK"]).await, Ok(()));
        assert_eq!(posted(&["429 Slow", "503 Busy", "200 OK"]).await, Ok(()));
        let undelivered = posted(&["502 Bad", "502 Bad", "502 Bad", "200 OK"]).await.unwrap_err();
        assert_eq!((undelivered.attempts, undelivered.reason.as_str()), (3, "answered 502"));
    }

    #[tokio::test]
    async fn a_receiver_that_does_not_want_it_is_not_asked_again() {
        for status in ["400 No", "403 No", "404 No", "410 Gone"] {
            let undelivered = posted(&[status, "200 OK"]).await.unwrap_err();
            assert_eq!(undelivered.attempts, 1, "{status}");
        }
    }

    #[tokio::test]
    async fn a_redirect_is_refused() {
        let elsewhere = peer([answer("200 OK", "", "")]).await;
        let header = format!("location: {}\r\n", elsewhere.base);
        let webhook = webhook(vec![answer("302 Found", &header, ""), answer("200 OK", "", "")]).await;
        let undelivered = webhook.ping().await.unwrap_err();
        assert_eq!(undelivered.attempts, 1);
        assert!(undelivered.reason.contains("a redirect is not followed"), "{undelivered}");
    }

    #[tokio::test]
    async fn the_address_is_nowhere_to_be_seen_when_nobody_answers() {
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let url = Url::parse(&format!("http://{nobody}/{SECRET}")).unwrap();
        let webhook = Webhook::new(url).unwrap().with_delays([Duration::ZERO; 2]);
        let undelivered = webhook.ping().await.unwrap_err();
        assert_eq!(undelivered.attempts, 3);
        let shown = format!("{undelivered} {undelivered:?} {webhook:?}");
        assert!(shown.contains(&nobody.to_string()) && shown.contains("cannot be reached"), "{shown}");
        for secret in ["hooks", "T0C4NARY", "xyzzy", "canary"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn an_address_without_tls_is_for_loopback_only() {
        let url = Url::parse("http://hooks.example/T0C4NARY").unwrap();
        let error = Webhook::new(url).unwrap_err().to_string();
        assert!(error.contains("not https") && !error.contains("T0C4NARY"), "{error}");
    }
}

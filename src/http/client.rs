//! The client: one per peer. Authorises, paces, sends, repeats where that is safe, and reads whole bodies.
//!
//! What lives here: the decision whether a request is sent again. What must not: what a status means to a source
//! or a target.
//!
//! *Invariants*: no redirect is followed; no request leaves for another origin; a request of
//! [`Replay::OnlyIfNotProcessed`] is sent again only where the peer certainly did not act on it; no request is sent
//! after its `not_after`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use tokio::time::Instant;
use url::Url;

use super::client_options::{ClientOptions, PeerName};
use super::clock::{ClockWitness, Hearing};
use super::connect;
use super::counters::{Counters, Counting, Traffic};
use super::credentials::Credentials;
use super::pacer::{KeptBack, LONGEST_WAIT, Pacer};
use super::ratelimit::RateSignals;
use super::write_gate::WriteGate;
use super::{Answer, HttpError, Replay, Request};
use crate::http::redact::Sent;
use crate::model::order::Observation;
use crate::model::time::Millis;

/// A retry costs ten, a success gives one back: a peer that fails all the time is not asked five times as often.
const RETRY_BUDGET_TENTHS: i64 = 500;
const RETRY_COST_TENTHS: i64 = 10;

struct Shared {
    name: PeerName,
    base: Url,
    body_limit_bytes: u64,
    transport: reqwest::Client,
    pacer: Arc<Pacer>,
    counting: Arc<Counting>,
    hearing: Hearing,
    write_gate: Arc<WriteGate>,
    retry_budget_tenths: AtomicI64,
}

/// An HTTP client for one peer; cheap to clone.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    credentials: Arc<dyn Credentials>,
}

/// What one attempt came to.
enum Attempt {
    Done(Result<Answer, HttpError>),
    /// Worth repeating after this long; the outcome to give back where there is no repetition.
    Again {
        pause: Pause,
        otherwise: Result<Answer, HttpError>,
    },
}

enum Pause {
    /// 429: the peer did not act, whatever the method. Its gate is in the pacer already.
    Limited(Duration),
    /// A fault: the next backoff delay, at least as long as the peer asked for.
    Fault(Option<Duration>),
    /// The credentials changed.
    None,
}

impl Client {
    /// Builds a client. Fails where TLS cannot be set up (no trust store, unreadable `ca_file`) or the URL is
    /// `http://` and not loopback.
    pub fn new(options: ClientOptions, credentials: Arc<dyn Credentials>) -> Result<Client, HttpError> {
        let transport = connect::build(&options)?;
        let shared = Shared {
            name: options.name,
            base: options.base,
            body_limit_bytes: options.body_limit_bytes,
            transport,
            pacer: options.pacer,
            counting: Arc::default(),
            hearing: Hearing::default(),
            write_gate: Arc::default(),
            retry_budget_tenths: AtomicI64::new(RETRY_BUDGET_TENTHS),
        };
        Ok(Client { shared: Arc::new(shared), credentials })
    }

    /// The same connections, pace and counters with other credentials: a token endpoint and the API it is for.
    pub fn with_credentials(&self, credentials: Arc<dyn Credentials>) -> Client {
        Client { shared: Arc::clone(&self.shared), credentials }
    }

    /// The URL given at construction.
    pub fn base(&self) -> &Url {
        &self.shared.base
    }

    /// The pacer.
    pub fn pacer(&self) -> &Arc<Pacer> {
        &self.shared.pacer
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.shared.counting.read()
    }

    /// A handle on what is counted, for whoever reads it later.
    pub fn traffic(&self) -> Traffic {
        self.shared.counting.handle()
    }

    /// What the answers told about our clock since this was last forgotten; nothing older than an hour.
    pub fn clock_witness(&self) -> Option<ClockWitness> {
        self.shared.hearing.witness()
    }

    /// The gate through which its writes go out.
    pub fn write_gate(&self) -> &Arc<WriteGate> {
        &self.shared.write_gate
    }

    /// Hears the peer anew: what it told before this counts no more.
    pub fn forget_clock_witness(&self) {
        self.shared.hearing.forget();
    }

    /// Sends a request and reads the whole answer.
    ///
    /// `Ok` is any complete answer, whatever its status: after the last repetition a 429 or 5xx is returned as
    /// it came. [`HttpError::Expired`]: its time was over before it could be sent, and the peer certainly did not act.
    pub async fn send(&self, request: Request) -> Result<Answer, HttpError> {
        if !connect::same_origin(&self.shared.base, &request.url) {
            return Err(HttpError::ForeignOrigin {
                message: format!(
                    "{}: refused to send {} because only {} may be asked",
                    self.shared.name.0,
                    connect::describe(&request.method, &request.url),
                    self.shared.base.origin().ascii_serialization()
                ),
            });
        }
        let closings = self.shared.write_gate.closings();
        let policy = self.shared.pacer.retry_policy();
        let mut delays = policy.delays();
        let (mut sent, mut limited, mut refusals) = (0_u32, 0_u32, 0_u32);
        loop {
            sent += 1;
            let (pause, otherwise) = match self.attempt(&request, sent, refusals, closings).await {
                Attempt::Done(outcome) => return outcome,
                Attempt::Again { pause, otherwise } => (pause, otherwise),
            };
            let wait = match pause {
                Pause::None => {
                    refusals += 1;
                    Duration::ZERO
                }
                Pause::Limited(wait) => {
                    limited += 1;
                    if limited >= policy.attempts_when_limited || wait > LONGEST_WAIT {
                        return otherwise;
                    }
                    // The pacer's gate keeps everybody back, this request with them.
                    tracing::debug!(peer = self.shared.name.0, wait_ms = wait.as_millis(), "rate limited");
                    Duration::ZERO
                }
                Pause::Fault(asked) => match delays.next() {
                    Some(delay) if self.spend_retry() => delay.max(asked.unwrap_or_default()),
                    Some(_) | None => return otherwise,
                },
            };
            if request.not_after.is_some_and(|end| Instant::now() + wait >= end) {
                return if certainly_did_nothing(&otherwise) {
                    Err(self.expired(&request))
                } else {
                    otherwise
                };
            }
            self.shared.counting.retried();
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, request: &Request, sent: u32, refusals: u32, closings: u64) -> Attempt {
        let (answer, sent_at) = match self.send_once(request, sent, closings).await {
            Ok(answered) => answered,
            Err((error, sent_at)) => return self.judge_error(request, error, sent_at),
        };
        tracing::trace!(
            peer = self.shared.name.0,
            request = connect::describe(&request.method, &request.url),
            status = answer.status,
            duration_millis = sent_at.elapsed().as_millis() as u64,
            "request"
        );
        self.shared.counting.answered(Some(answer.status), sent_at.elapsed());
        let signals = RateSignals::read(&answer.headers, Millis::now().0 / 1000);
        let fallback = self.shared.pacer.retry_policy().first_delay * 2;
        let bucket = self.shared.pacer.bucket_of(&request.url);
        let asked = self.shared.pacer.observe(bucket, answer.status, &signals, sent_at, fallback);
        let safe = request.replay == Replay::Safe;
        let refused =
            answer.status == 401 || (answer.status == 400 && answer.headers.contains_key(WWW_AUTHENTICATE));
        if refused && refusals == 0 && self.credentials.refused(&answer).await {
            return Attempt::Again { pause: Pause::None, otherwise: Ok(answer) };
        }
        match answer.status {
            429 => Attempt::Again { pause: Pause::Limited(asked.unwrap_or(fallback)), otherwise: Ok(answer) },
            500 | 502 | 503 | 504 if safe => {
                Attempt::Again { pause: Pause::Fault(asked), otherwise: Ok(answer) }
            }
            _ => {
                self.refill_retries();
                Attempt::Done(Ok(answer))
            }
        }
    }

    fn judge_error(&self, request: &Request, error: HttpError, sent_at: Option<Instant>) -> Attempt {
        if let Some(sent_at) = sent_at {
            self.shared.counting.answered(None, sent_at.elapsed());
        }
        let again = match &error {
            // Without `sent_at` it was the pacer or the credentials that failed, and they had their own patience.
            HttpError::NotSent { .. } => sent_at.is_some() && request.replay != Replay::Never,
            HttpError::Unanswered { .. } => request.replay == Replay::Safe,
            HttpError::Distrusted { .. }
            | HttpError::TooLarge { .. }
            | HttpError::Credentials { .. }
            | HttpError::Expired { .. }
            | HttpError::TakenBack { .. }
            | HttpError::ForeignOrigin { .. } => false,
        };
        if again {
            Attempt::Again { pause: Pause::Fault(None), otherwise: Err(error) }
        } else {
            Attempt::Done(Err(error))
        }
    }

    async fn send_once(
        &self,
        request: &Request,
        attempts: u32,
        closings: u64,
    ) -> Result<(Answer, Instant), (HttpError, Option<Instant>)> {
        let shared = &*self.shared;
        let bucket = shared.pacer.bucket_of(&request.url);
        let admitted = shared.pacer.admit_before(request.lane, bucket, request.not_after).await;
        admitted.map_err(|kept_back| (self.not_admitted(request, kept_back), None))?;
        let authorisation =
            self.credentials.authorise(&request.method, &request.url).await.map_err(|error| (error, None))?;
        // Fetching a token takes its time, too.
        if request.not_after.is_some_and(|end| Instant::now() >= end) {
            return Err((self.expired(request), None));
        }
        // The last thing that is asked before the bytes go out.
        let _on_the_wire = match request.replay {
            Replay::Safe => None,
            Replay::OnlyIfNotProcessed | Replay::Never => match shared.write_gate.go_out(closings) {
                Some(out) => Some(out),
                None => return Err((self.taken_back(request), None)),
            },
        };
        let mut headers = request.headers.clone();
        headers.extend(authorisation);
        if request.method != Method::GET {
            // A write's answer is small, and not every server compresses it well.
            headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
        }
        let mut builder = shared.transport.request(request.method.clone(), request.url.clone());
        match &request.body {
            Some(body) => builder = builder.body(body.clone()),
            None => {
                headers.remove(CONTENT_TYPE);
            }
        }
        shared.counting.sent();
        let (observation, at) = (Observation::now(), Instant::now());
        let response = builder
            .headers(headers.clone())
            .send()
            .await
            .map_err(|error| (connect::classify(&request.method, &request.url, &error), Some(at)))?;
        let (status, told) = (response.status().as_u16(), response.headers().clone());
        if let Some(heard) = ClockWitness::of(&told, at.elapsed()) {
            shared.hearing.hear(heard);
        }
        let body = connect::read_body(&request.method, &request.url, response, shared.body_limit_bytes)
            .await
            .map_err(|error| (error, Some(at)))?;
        let mut answer = Answer { status, headers: told, body, observation, attempts };
        if !answer.is_success() {
            let sent = Sent::of(&headers, request.body.as_ref());
            sent.strike_out_headers(&mut answer.headers);
            answer.body = sent.struck_out(answer.body);
        }
        Ok((answer, at))
    }

    fn not_admitted(&self, request: &Request, kept_back: KeptBack) -> HttpError {
        match kept_back {
            KeptBack::TooLong(wait) => HttpError::NotSent {
                message: format!(
                    "{}: not sent, because {} asked for a pause of {} s; help: run again later",
                    connect::describe(&request.method, &request.url),
                    self.shared.name.0,
                    wait.as_secs()
                ),
            },
            KeptBack::Expired => self.expired(request),
        }
    }

    fn taken_back(&self, request: &Request) -> HttpError {
        let request = connect::describe(&request.method, &request.url);
        HttpError::TakenBack {
            message: format!("{request}: not sent, because writing was stopped before it could be"),
        }
    }

    fn expired(&self, request: &Request) -> HttpError {
        HttpError::Expired {
            message: format!(
                "{}: not sent, because its time was over before {} allowed another request",
                connect::describe(&request.method, &request.url),
                self.shared.name.0
            ),
        }
    }

    fn spend_retry(&self) -> bool {
        let budget = &self.shared.retry_budget_tenths;
        let spent = budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tenths| {
            (tenths >= RETRY_COST_TENTHS).then_some(tenths - RETRY_COST_TENTHS)
        });
        if spent.is_err() {
            tracing::warn!(peer = self.shared.name.0, "too many repetitions; failing without another one");
        }
        spent.is_ok()
    }

    fn refill_retries(&self) {
        let _ =
            self.shared.retry_budget_tenths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tenths| {
                (tenths < RETRY_BUDGET_TENTHS).then_some(tenths + 1)
            });
    }
}

/// Whether what an attempt came to shows that the peer did not act.
fn certainly_did_nothing(outcome: &Result<Answer, HttpError>) -> bool {
    match outcome {
        Ok(answer) => matches!(answer.status, 401 | 429),
        Err(HttpError::NotSent { .. }) => true,
        Err(
            HttpError::Unanswered { .. }
            | HttpError::Distrusted { .. }
            | HttpError::TooLarge { .. }
            | HttpError::Credentials { .. }
            | HttpError::Expired { .. }
            | HttpError::TakenBack { .. }
            | HttpError::ForeignOrigin { .. },
        ) => false,
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({} {})", self.shared.name.0, self.shared.base.origin().ascii_serialization())
    }
}

#[cfg(test)]
pub(crate) mod tests;

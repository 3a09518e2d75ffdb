//! Logging in as an Okta service app: client_credentials with private_key_jwt, and DPoP where it is asked for.
//!
//! What lives here: the token request, the token's life, and the headers made from it. What must not: key formats
//! (`keys`), the proof itself (`dpop`), any resource of the API.
//!
//! *Invariant*: every request, repetitions included, carries an assertion or a proof of its own.
//!
//! Source: Okta, "Implement OAuth for Okta with a service app" and "Configure OAuth 2.0 DPoP"; RFC 7523, RFC 9449.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jsonwebtoken::Header;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::dpop::ProofKey;
use super::keys;
use crate::config::Dpop;
use crate::http::client::Client;
use crate::http::credentials::{Credentials, sensitive};
use crate::http::{Answer, HttpError, Lane, Replay, Request};
use crate::model::order::Observation;
use crate::model::time::Millis;
use crate::source::fault::one_line;

const DPOP: HeaderName = HeaderName::from_static("dpop");
const DPOP_NONCE: &str = "dpop-nonce";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Okta allows an hour; a short life limits what a copied assertion is good for.
const ASSERTION_LIFETIME_SECONDS: i64 = 300;
/// A token is renewed so long before it ends.
const RENEW_BEFORE_SECONDS: u64 = 60;
/// Clocks that differ by more than this are told in messages and allowed for.
const CLOCK_TOLERANCE_SECONDS: i64 = 30;
/// Each thing that the server may ask for (nonce, proof, scope, clock) is answered; then it is enough.
const MOST_ROUNDS: u32 = 16;
/// The scope that rosterd can do without.
pub(super) const LOGS_SCOPE: &str = "okta.logs.read";

type ReadKey = Box<dyn Fn() -> Result<SecretString, String> + Send + Sync>;

/// What a service app is configured with.
pub(super) struct ServiceAppOptions {
    pub(super) client_id: String,
    pub(super) key_id: Option<String>,
    pub(super) read_key: ReadKey,
    pub(super) dpop: Dpop,
    /// Scopes that rosterd cannot do without.
    pub(super) scopes: Vec<&'static str>,
}

/// Credentials of an Okta service app.
pub(super) struct ServiceApp {
    client: Client,
    token_url: Url,
    options: ServiceAppOptions,
    proof_key: ProofKey,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// The server asked for a proof of possession.
    bind: bool,
    nonce: Option<String>,
    without_logs: bool,
    /// How far the server's clock is ahead of ours, where that matters.
    clock_offset_seconds: i64,
}

struct Token {
    secret: SecretString,
    bound: bool,
    renew_at: Instant,
    since: Observation,
}

#[derive(Deserialize)]
struct TokenReply {
    access_token: String,
    token_type: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

#[derive(Deserialize, Default)]
struct OauthError {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

#[derive(Serialize)]
struct AssertionClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
}

/// Why there is no token.
enum NoToken {
    /// The scopes, or one of them, are not granted to the app.
    Scope(String),
    Other(HttpError),
}

/// What to do about a token request that was refused.
enum Next {
    Again,
    Wait(Duration),
    Fail(NoToken),
}

impl ServiceApp {
    /// `client` must send no credentials of its own.
    pub(super) fn new(client: Client, options: ServiceAppOptions) -> Result<ServiceApp, HttpError> {
        let token_url = client
            .base()
            .join("/oauth2/v1/token")
            .map_err(|error| HttpError::Credentials { message: format!("no token endpoint: {error}") })?;
        let proof_key = ProofKey::generate().map_err(|message| HttpError::Credentials { message })?;
        let state = State { bind: options.dpop == Dpop::On, ..State::default() };
        Ok(ServiceApp { client, token_url, options, proof_key, state: Mutex::new(state) })
    }

    /// Whether the app may read the event log; known once a token was fetched.
    pub(super) async fn has_log_scope(&self) -> bool {
        !self.state.lock().await.without_logs
    }

    /// Of the scopes asked for, those that the app has not been granted: each is asked for alone.
    pub(super) async fn missing_scopes(&self) -> Vec<&'static str> {
        let mut state = self.state.lock().await;
        let mut missing = Vec::new();
        for scope in self.options.scopes.iter().copied().chain([LOGS_SCOPE]) {
            if let Err(NoToken::Scope(_)) = self.fetch(&mut state, Some(scope)).await {
                missing.push(scope);
            }
        }
        missing
    }

    async fn current_token(&self, state: &mut State) -> Result<(), HttpError> {
        if state.token.as_ref().is_some_and(|token| Instant::now() < token.renew_at) {
            return Ok(());
        }
        match self.fetch(state, None).await {
            Ok(token) => {
                state.token = Some(token);
                Ok(())
            }
            Err(NoToken::Other(error)) => Err(error),
            Err(NoToken::Scope(message)) => Err(HttpError::Credentials { message }),
        }
    }

    /// Fetches a token for one scope, or for all that rosterd uses.
    async fn fetch(&self, state: &mut State, only: Option<&str>) -> Result<Token, NoToken> {
        let mut delays = self.client.pacer().retry_policy().delays();
        let mut last = None;
        for _ in 0..MOST_ROUNDS {
            let next = match self.ask(state, only).await {
                Ok(answer) if answer.is_success() => return self.accept(&answer).map_err(NoToken::Other),
                Ok(answer) => self.judge(state, &answer, only, &mut delays),
                Err(
                    error @ (HttpError::NotSent { .. }
                    | HttpError::Expired { .. }
                    | HttpError::TakenBack { .. }
                    | HttpError::Distrusted { .. }
                    | HttpError::Unanswered { .. }),
                ) => match delays.next() {
                    Some(delay) => Next::Wait(delay),
                    None => Next::Fail(NoToken::Other(error)),
                },
                Err(
                    error @ (HttpError::TooLarge { .. }
                    | HttpError::Credentials { .. }
                    | HttpError::ForeignOrigin { .. }),
                ) => Next::Fail(NoToken::Other(error)),
            };
            match next {
                Next::Again => {}
                Next::Wait(delay) => tokio::time::sleep(delay).await,
                Next::Fail(why) => {
                    last = Some(why);
                    break;
                }
            }
        }
        Err(last.unwrap_or_else(|| NoToken::Other(self.failure("the server asks for ever more"))))
    }

    /// One token request, with an assertion and a proof of its own.
    async fn ask(&self, state: &State, only: Option<&str>) -> Result<Answer, HttpError> {
        let now = Millis::now().0 / 1000 + state.clock_offset_seconds;
        let assertion = self.assertion(now)?;
        let scope = match only {
            Some(scope) => scope.to_owned(),
            None => {
                let logs = (!state.without_logs).then_some(LOGS_SCOPE);
                self.options.scopes.iter().copied().chain(logs).collect::<Vec<_>>().join(" ")
            }
        };
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("scope", &scope)
            .append_pair("client_assertion_type", ASSERTION_TYPE)
            .append_pair("client_assertion", &assertion)
            .finish();
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if state.bind {
            let proof = self.proof_key.proof("POST", &self.token_url, now, state.nonce.as_deref(), None);
            headers.insert(DPOP, sensitive(&proof.map_err(|message| HttpError::Credentials { message })?)?);
        }
        let request = Request {
            method: Method::POST,
            url: self.token_url.clone(),
            headers,
            body: Some(Bytes::from(form)),
            lane: Lane::Removal,
            replay: Replay::Never,
            not_after: None,
        };
        self.client.send(request).await
    }

    fn assertion(&self, now: i64) -> Result<String, HttpError> {
        let text = (self.options.read_key)().map_err(|message| HttpError::Credentials { message })?;
        let signing = keys::read(text.expose_secret()).map_err(|why| self.failure(&why))?;
        let claims = AssertionClaims {
            iss: &self.options.client_id,
            sub: &self.options.client_id,
            aud: self.token_url.as_str(),
            iat: now,
            exp: now + ASSERTION_LIFETIME_SECONDS,
            jti: uuid::Uuid::new_v4().to_string(),
        };
        let mut header = Header::new(signing.algorithm);
        header.kid = self.options.key_id.clone().or(signing.key_id);
        jsonwebtoken::encode(&header, &claims, &signing.key)
            .map_err(|error| self.failure(&format!("the private key does not sign: {error}")))
    }

    fn accept(&self, answer: &Answer) -> Result<Token, HttpError> {
        let reply: TokenReply = serde_json::from_slice(&answer.body).map_err(|_| {
            self.failure("the token endpoint's answer is no token; is `url` the Okta domain?")
        })?;
        let bound = reply.token_type.eq_ignore_ascii_case("dpop");
        if !bound && self.options.dpop == Dpop::On {
            return Err(self.failure(
                "dpop = \"on\", but the token that came is not bound to a key; help: switch on `Require DPoP` \
                 for the service app, or write dpop = \"auto\"",
            ));
        }
        let seconds = reply.expires_in.unwrap_or(3600);
        let renew_in = seconds - RENEW_BEFORE_SECONDS.min(seconds / 5);
        Ok(Token {
            secret: SecretString::from(reply.access_token),
            bound,
            renew_at: Instant::now() + Duration::from_secs(renew_in),
            since: Observation::now(),
        })
    }

    fn judge(
        &self,
        state: &mut State,
        answer: &Answer,
        only: Option<&str>,
        delays: &mut impl Iterator<Item = Duration>,
    ) -> Next {
        let told: OauthError = serde_json::from_slice(&answer.body).unwrap_or_default();
        let nonce = answer.header(DPOP_NONCE).map(str::to_owned);
        let words = one_line(&format!("{} {}", told.error, told.error_description));
        match (answer.status, told.error.as_str()) {
            (400 | 401, "use_dpop_nonce") if nonce.is_some() && nonce != state.nonce => {
                state.nonce = nonce;
                state.bind = true;
                Next::Again
            }
            (400 | 401, "invalid_dpop_proof") if !state.bind && self.options.dpop == Dpop::Auto => {
                state.bind = true;
                Next::Again
            }
            (400 | 401, "invalid_dpop_proof") if !state.bind => Next::Fail(NoToken::Other(self.failure(
                "the service app requires DPoP; help: write dpop = \"auto\" in [sync.source] oauth",
            ))),
            (400 | 403, "invalid_scope" | "consent_required" | "access_denied") => {
                if only.is_none() && !state.without_logs {
                    state.without_logs = true;
                    return Next::Again;
                }
                Next::Fail(NoToken::Scope(self.scope_message(&words)))
            }
            (429, _) | (500..=599, _) => match delays.next() {
                // After a 429 the pacer holds the next request back as long as the server asked for.
                Some(_) if answer.status == 429 => Next::Again,
                Some(delay) => Next::Wait(delay),
                None => Next::Fail(NoToken::Other(HttpError::Unanswered {
                    message: format!("POST {}: HTTP {} {words}", self.token_url.path(), answer.status),
                })),
            },
            (status, _) => self.refusal(state, answer, status, &words),
        }
    }

    /// A refusal without a remedy, unless our clock is wrong and the server's can be used instead.
    fn refusal(&self, state: &mut State, answer: &Answer, status: u16, words: &str) -> Next {
        let offset = answer
            .header(DATE.as_str())
            .and_then(|text| httpdate::parse_http_date(text).ok())
            .and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok())
            .and_then(|since| i64::try_from(since.as_secs()).ok())
            .map_or(0, |server| server - Millis::now().0 / 1000);
        if (offset - state.clock_offset_seconds).abs() > CLOCK_TOLERANCE_SECONDS {
            tracing::warn!(seconds = offset, "this machine's clock differs from Okta's; using theirs");
            state.clock_offset_seconds = offset;
            return Next::Again;
        }
        Next::Fail(NoToken::Other(self.failure(&format!(
            "HTTP {status} {words}; help: check client_id, that the public half of this private key is \
             registered with the service app, and key_id where it has several"
        ))))
    }

    fn scope_message(&self, words: &str) -> String {
        format!(
            "okta: no access token (POST {}): {words}; help: grant the service app the scopes {} in the Admin \
             Console (Applications, the app, Okta API Scopes)",
            self.token_url.path(),
            self.options.scopes.join(", ")
        )
    }

    fn failure(&self, why: &str) -> HttpError {
        HttpError::Credentials {
            message: format!("okta: no access token (POST {}): {why}", self.token_url.path()),
        }
    }
}

impl Credentials for ServiceApp {
    fn authorise<'a>(
        &'a self,
        method: &'a Method,
        url: &'a Url,
    ) -> BoxFuture<'a, Result<HeaderMap, HttpError>> {
        Box::pin(async move {
            let mut state = self.state.lock().await;
            self.current_token(&mut state).await?;
            let mut headers = HeaderMap::new();
            let Some(token) = &state.token else { return Ok(headers) };
            let secret = token.secret.expose_secret();
            if token.bound {
                let now = Millis::now().0 / 1000 + state.clock_offset_seconds;
                let proof = self
                    .proof_key
                    .proof(method.as_str(), url, now, state.nonce.as_deref(), Some(secret))
                    .map_err(|message| HttpError::Credentials { message })?;
                headers.insert(DPOP, sensitive(&proof)?);
                headers.insert(AUTHORIZATION, sensitive(&format!("DPoP {secret}"))?);
            } else {
                headers.insert(AUTHORIZATION, sensitive(&format!("Bearer {secret}"))?);
            }
            Ok(headers)
        })
    }

    fn refused<'a>(&'a self, answer: &'a Answer) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let mut state = self.state.lock().await;
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            if challenge.contains("use_dpop_nonce") {
                let nonce = answer.header(DPOP_NONCE).map(str::to_owned);
                let changed = nonce.is_some() && nonce != state.nonce;
                state.nonce = nonce.or(state.nonce.take());
                return changed;
            }
            let bound = state.token.as_ref().is_some_and(|token| token.bound);
            if challenge.contains("invalid_dpop_proof") {
                if !bound && self.options.dpop == Dpop::Auto {
                    state.bind = true;
                    state.token = None;
                }
                // With a bound token a new proof may pass where the old one's clock or nonce was off.
                return bound || state.token.is_none();
            }
            if answer.status != 401 {
                return false;
            }
            if state.token.as_ref().is_some_and(|token| token.since.number <= answer.observation.number) {
                state.token = None;
            }
            true
        })
    }
}

#[cfg(test)]
mod tests;

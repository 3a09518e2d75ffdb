//! Logging in at OneLogin: the v2 token endpoint with HTTP Basic.
//!
//! What lives here: the token request and the token's life. What must not: any resource of the API.
//!
//! Source: developers.onelogin.com, "Generate Tokens v2". The same id and secret get the same token until it
//! expires or is revoked, so `expires_in` may overstate what is left of it; `created_at` is counted too.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::wire::ErrorBody;
use crate::http::client::Client;
use crate::http::credentials::{Credentials, sensitive};
use crate::http::{Answer, HttpError, Lane, Replay, Request};
use crate::model::order::Observation;
use crate::model::time::Millis;

const TOKEN_PATH: &str = "/auth/oauth2/v2/token";
/// Documented lifetime: ten hours.
const DEFAULT_LIFETIME_SECONDS: i64 = 36_000;
/// A token is renewed so long before it ends; a re-issued one that is nearly over is used for at least as long.
const MARGIN_SECONDS: i64 = 60;

type ReadSecret = Box<dyn Fn() -> Result<SecretString, String> + Send + Sync>;

/// API credentials of a OneLogin account.
pub(super) struct ApiCredentials {
    client: Client,
    token_url: Url,
    client_id: String,
    read_secret: ReadSecret,
    token: Mutex<Option<Token>>,
}

struct Token {
    secret: SecretString,
    renew_at: Instant,
    since: Observation,
}

/// The flat form (v2), or a list of them under `data` (v1, and seen from v2 too).
#[derive(Deserialize)]
struct TokenReply {
    access_token: Option<String>,
    created_at: Option<String>,
    expires_in: Option<i64>,
    data: Option<Vec<TokenReply>>,
}

impl TokenReply {
    fn token(self) -> Option<Token> {
        let reply = match self.data {
            Some(list) if self.access_token.is_none() => list.into_iter().next()?,
            Some(_) | None => self,
        };
        let lifetime = reply.expires_in.unwrap_or(DEFAULT_LIFETIME_SECONDS).max(0);
        let created = reply.created_at.as_deref().and_then(Millis::parse);
        let age = created.map_or(0, |created| Millis::now().since(created) / 1000).clamp(0, lifetime);
        let left = (lifetime - age - MARGIN_SECONDS).max(MARGIN_SECONDS.min(lifetime));
        Some(Token {
            secret: SecretString::from(reply.access_token.filter(|token| !token.is_empty())?),
            renew_at: Instant::now() + Duration::from_secs(u64::try_from(left).unwrap_or(0)),
            since: Observation::now(),
        })
    }
}

impl ApiCredentials {
    /// `client` must send no credentials of its own.
    pub(super) fn new(
        client: Client,
        client_id: String,
        read_secret: ReadSecret,
    ) -> Result<ApiCredentials, HttpError> {
        let token_url = client
            .base()
            .join(TOKEN_PATH)
            .map_err(|error| HttpError::Credentials { message: format!("no token endpoint: {error}") })?;
        Ok(ApiCredentials { client, token_url, client_id, read_secret, token: Mutex::new(None) })
    }

    async fn fetch(&self) -> Result<Token, HttpError> {
        let mut delays = self.client.pacer().retry_policy().delays();
        loop {
            let outcome = self.ask().await;
            let (delay, failure) = match outcome {
                Ok(answer) if answer.is_success() => {
                    let reply = serde_json::from_slice::<TokenReply>(&answer.body).ok();
                    return reply.and_then(TokenReply::token).ok_or_else(|| {
                        self.failure("the answer holds no token; help: is `url` the OneLogin domain?")
                    });
                }
                Ok(answer) => match answer.status {
                    // The pacer holds the next request back as long as the server asked for.
                    429 => (delays.next().map(|_| Duration::ZERO), self.lasting(&answer)),
                    500..=599 => (delays.next(), self.lasting(&answer)),
                    _ => (None, self.refusal(&answer)),
                },
                Err(
                    error @ (HttpError::NotSent { .. }
                    | HttpError::Expired { .. }
                    | HttpError::TakenBack { .. }
                    | HttpError::Distrusted { .. }
                    | HttpError::Unanswered { .. }),
                ) => (delays.next(), error),
                Err(
                    error @ (HttpError::TooLarge { .. }
                    | HttpError::Credentials { .. }
                    | HttpError::ForeignOrigin { .. }),
                ) => (None, error),
            };
            match delay {
                Some(delay) => tokio::time::sleep(delay).await,
                None => return Err(failure),
            }
        }
    }

    async fn ask(&self) -> Result<Answer, HttpError> {
        let secret = (self.read_secret)().map_err(|message| HttpError::Credentials { message })?;
        let pair = format!("{}:{}", self.client_id, secret.expose_secret().trim());
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(AUTHORIZATION, sensitive(&format!("Basic {}", STANDARD.encode(pair)))?);
        let request = Request {
            method: Method::POST,
            url: self.token_url.clone(),
            headers,
            body: Some(Bytes::from_static(b"{\"grant_type\":\"client_credentials\"}")),
            lane: Lane::Removal,
            // The loop above makes each repetition itself, with the secret read afresh.
            replay: Replay::Never,
            not_after: None,
        };
        self.client.send(request).await
    }

    fn lasting(&self, answer: &Answer) -> HttpError {
        let words = ErrorBody::words(answer);
        if answer.status == 500 {
            return self.failure(&format!(
                "HTTP 500 {words}, again and again; OneLogin answers so when the user who created these API \
                 credentials was deleted; help: create new API credentials (Developers, API Credentials)"
            ));
        }
        HttpError::Unanswered { message: format!("POST {TOKEN_PATH}: HTTP {} {words}", answer.status) }
    }

    fn refusal(&self, answer: &Answer) -> HttpError {
        let words = ErrorBody::words(answer);
        self.failure(&format!(
            "HTTP {} {words}; help: check client_id and client_secret, and that `url` is the account's own domain",
            answer.status
        ))
    }

    fn failure(&self, why: &str) -> HttpError {
        HttpError::Credentials { message: format!("onelogin: no access token (POST {TOKEN_PATH}): {why}") }
    }
}

impl Credentials for ApiCredentials {
    fn authorise<'a>(
        &'a self,
        _method: &'a Method,
        _url: &'a Url,
    ) -> BoxFuture<'a, Result<HeaderMap, HttpError>> {
        Box::pin(async move {
            let mut known = self.token.lock().await;
            let token = match known.take() {
                Some(token) if Instant::now() < token.renew_at => token,
                Some(_) | None => self.fetch().await?,
            };
            let mut headers = HeaderMap::new();
            headers.insert(
                AUTHORIZATION,
                sensitive(&format!("Bearer {}", known.insert(token).secret.expose_secret()))?,
            );
            Ok(headers)
        })
    }

    fn refused<'a>(&'a self, answer: &'a Answer) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            if answer.status != 401 {
                return false;
            }
            let mut known = self.token.lock().await;
            // A newer token than the refused one may have been fetched for another request already.
            if known.as_ref().is_some_and(|token| token.since.number <= answer.observation.number) {
                *known = None;
            }
            true
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(reply: &str) -> Option<u64> {
        let token = serde_json::from_str::<TokenReply>(reply).unwrap().token()?;
        Some(token.renew_at.duration_since(Instant::now()).as_secs_f64().round() as u64)
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_read_in_both_shapes_and_never_believed_to_live_longer_than_it_can() {
        let hour_ago = Millis(Millis::now().0 - 3_600_000).rfc3339();
        let years_ago = "2015-11-11T03:36:18.714Z";
        assert_eq!(left(r#"{"access_token":"t","expires_in":36000}"#), Some(35_940));
        assert_eq!(left(r#"{"status":{},"data":[{"access_token":"t","expires_in":600}]}"#), Some(540));
        let reissued = format!(r#"{{"access_token":"t","created_at":"{hour_ago}","expires_in":36000}}"#);
        assert!((32_339..=32_341).contains(&left(&reissued).unwrap()));
        let odd_clock = format!(r#"{{"access_token":"t","created_at":"{years_ago}","expires_in":36000}}"#);
        assert_eq!(left(&odd_clock), Some(60), "it was just handed out, so it is good for something");
        for nothing in ["{}", r#"{"access_token":""}"#, r#"{"data":[]}"#] {
            assert_eq!(left(nothing), None, "{nothing}");
        }
    }
}

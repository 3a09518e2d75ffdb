//! How a request proves who sends it.
//!
//! What lives here: the trait that a client asks before each request, and the plain token. What must not: any
//! vendor's token endpoint (those live with their source).

use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{Answer, HttpError};
use crate::model::order::Observation;

/// What a client asks for its `Authorization` (and whatever else the peer wants to see).
pub trait Credentials: Send + Sync {
    /// Headers for one request. Asked again for each attempt, so that a proof of possession is always fresh.
    fn authorise<'a>(
        &'a self,
        method: &'a Method,
        url: &'a Url,
    ) -> BoxFuture<'a, Result<HeaderMap, HttpError>>;

    /// Told once per request that the peer refused it (401, or 400 with `WWW-Authenticate`). `true` = something
    /// changed (a secret was read again, a token fetched anew), so the request is worth sending once more.
    fn refused<'a>(&'a self, answer: &'a Answer) -> BoxFuture<'a, bool>;
}

/// Sends nothing: for token endpoints, whose requests carry their own proof.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCredentials;

impl Credentials for NoCredentials {
    fn authorise<'a>(
        &'a self,
        _method: &'a Method,
        _url: &'a Url,
    ) -> BoxFuture<'a, Result<HeaderMap, HttpError>> {
        Box::pin(async { Ok(HeaderMap::new()) })
    }

    fn refused<'a>(&'a self, _answer: &'a Answer) -> BoxFuture<'a, bool> {
        Box::pin(async { false })
    }
}

type ReadSecret = Box<dyn Fn() -> Result<SecretString, String> + Send + Sync>;

/// One long-lived token, read when it is first needed and again after a refusal.
pub struct StaticBearer {
    scheme: &'static str,
    read: ReadSecret,
    current: Mutex<Option<Known>>,
}

struct Known {
    token: SecretString,
    since: Observation,
}

impl StaticBearer {
    /// `Authorization: Bearer TOKEN`.
    pub fn new(read: impl Fn() -> Result<SecretString, String> + Send + Sync + 'static) -> StaticBearer {
        StaticBearer::with_scheme("Bearer", read)
    }

    /// `Authorization: SCHEME TOKEN`, e.g. Okta's `SSWS`.
    pub fn with_scheme(
        scheme: &'static str,
        read: impl Fn() -> Result<SecretString, String> + Send + Sync + 'static,
    ) -> StaticBearer {
        StaticBearer { scheme, read: Box::new(read), current: Mutex::new(None) }
    }

    fn header(&self) -> Result<HeaderValue, HttpError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.is_none() {
            let token = (self.read)().map_err(|message| HttpError::Credentials { message })?;
            *current = Some(Known { token, since: Observation::now() });
        }
        let token = current.as_ref().map_or("", |known| known.token.expose_secret()).trim();
        if token.is_empty() {
            return Err(HttpError::Credentials { message: "the token is empty".to_owned() });
        }
        sensitive(&format!("{} {token}", self.scheme))
    }
}

/// A header value that no debug output shows.
pub(crate) fn sensitive(text: &str) -> Result<HeaderValue, HttpError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| HttpError::Credentials {
        message: "the token holds a character that no HTTP header can carry; is the right file read?"
            .to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

impl Credentials for StaticBearer {
    fn authorise<'a>(
        &'a self,
        _method: &'a Method,
        _url: &'a Url,
    ) -> BoxFuture<'a, Result<HeaderMap, HttpError>> {
        Box::pin(async move {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, self.header()?);
            Ok(headers)
        })
    }

    fn refused<'a>(&'a self, answer: &'a Answer) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            if current.as_ref().is_some_and(|known| known.since.number > answer.observation.number) {
                // Another request's refusal has already brought a newer token than this one was sent with.
                return true;
            }
            let Ok(fresh) = (self.read)() else { return false };
            let changed =
                current.as_ref().is_none_or(|known| known.token.expose_secret() != fresh.expose_secret());
            if changed {
                *current = Some(Known { token: fresh, since: Observation::now() });
            }
            changed
        })
    }
}

impl std::fmt::Debug for StaticBearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StaticBearer({} ..)", self.scheme)
    }
}

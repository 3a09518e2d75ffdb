//! `/auth/oauth2/v2/token`: three ways to send the credentials, one token until it expires or is withdrawn.

use super::refuse::{Refusal, success};
use super::{ACCOUNT_ID, OneLogin, OneLoginOptions};
use crate::sim::call::{Call, Reply, form};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::collections::HashMap;

/// The form of a token reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenShape {
    /// The token itself, as v2 documents it.
    #[default]
    Flat,
    /// `{"status": …, "data": [token]}`, as v1 does.
    Wrapped,
}

/// The token in force.
pub(super) struct Token {
    text: String,
    created: DateTime<Utc>,
}

fn unauthorized(message: &str) -> Refusal {
    Refusal::new(401, "UnauthorizedError", message)
}

/// Client id and secret, in whichever of the three forms they came; and the grant type.
fn credentials(call: &Call) -> (Option<(String, String)>, Option<String>) {
    let body: HashMap<String, String> = match call.json() {
        Some(Value::Object(members)) => members
            .into_iter()
            .filter_map(|(name, value)| value.as_str().map(|text| (name.clone(), text.to_owned())))
            .collect(),
        _ => form(&call.body).into_iter().collect(),
    };
    let grant = body.get("grant_type").cloned();
    let in_body = body.get("client_id").cloned().zip(body.get("client_secret").cloned());
    let in_header = call.header("authorization").and_then(|text| match text.split_once(' ') {
        Some((scheme, encoded)) if scheme.eq_ignore_ascii_case("basic") => {
            let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
            text.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
        }
        _ => {
            let (id, secret) = text.split_once(',')?;
            let id = id.trim().strip_prefix("client_id:")?.trim();
            let secret = secret.trim().strip_prefix("client_secret:")?.trim();
            Some((id.to_owned(), secret.to_owned()))
        }
    });
    (in_header.or(in_body), grant)
}

fn expired(options: &OneLoginOptions, token: &Token, now: DateTime<Utc>) -> bool {
    now >= token.created + Duration::seconds(options.token_lifetime_seconds)
}

impl OneLogin {
    /// Issues the token, or hands out the one in force again, with the lifetime of a fresh one.
    pub(super) fn issue(&mut self, now: DateTime<Utc>, call: &Call) -> Result<Reply, Refusal> {
        if call.path != "/auth/oauth2/v2/token" || call.method != axum::http::Method::POST {
            return Err(Refusal::not_found());
        }
        if self.options.credentials_owner_deleted {
            return Err(Refusal::new(500, "InternalServerError", "Internal Server Error"));
        }
        let (given, grant) = credentials(call);
        let wanted = (self.options.client_id.clone(), self.options.client_secret.clone());
        if given != Some(wanted) {
            return Err(unauthorized("Authentication Failure"));
        }
        if grant.as_deref() != Some("client_credentials") {
            return Err(Refusal::new(400, "BadRequestError", "grant_type is incorrect/absent"));
        }
        if self.token.as_ref().is_none_or(|token| expired(&self.options, token, now)) {
            self.token = Some(Token { text: format!("{:064x}", fastrand::u128(..)), created: now });
        }
        let token = self.token.as_ref().map(|token| {
            json!({"access_token": token.text, "refresh_token": "deprecated", "token_type": "bearer",
                   "created_at": token.created.to_rfc3339_opts(SecondsFormat::Millis, true),
                   "expires_in": self.options.token_lifetime_seconds, "account_id": ACCOUNT_ID})
        });
        let body = match self.options.token_shape {
            TokenShape::Flat => token.unwrap_or_default(),
            TokenShape::Wrapped => json!({"status": success(), "data": [token]}),
        };
        Ok(Reply::json(200, &body))
    }

    /// Checks the token of a call. The scheme is `bearer` in any case, followed by a space or, on old pages, a colon.
    pub(super) fn authorize(&mut self, now: DateTime<Utc>, call: &Call) -> Result<(), Refusal> {
        match &mut self.options.token_calls_left {
            Some(0) => {
                self.token = None;
                self.options.token_calls_left = None;
            }
            Some(left) => *left -= 1,
            None => {}
        }
        let given = call.header("authorization").and_then(|text| {
            let (scheme, token) = text.split_once([' ', ':'])?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        let token = self.token.as_ref().filter(|token| !expired(&self.options, token, now));
        match (given, token) {
            (Some(given), Some(token)) if given == token.text => Ok(()),
            _ => Err(unauthorized("Unauthorized")),
        }
    }
}

//! Who may ask: API tokens, the token endpoint (`private_key_jwt`), bearer and DPoP-bound access tokens.

use super::dpop::{self, Occasion, Proof};
use super::{Dpop, OktaOptions};
use crate::sim::call::{Call, Reply, form};
use crate::sim::keys::{KeyKind, ServiceKey};
use crate::sim::refusal::okta_error;
use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::json;
use std::collections::{BTreeSet, HashMap, HashSet};

/// The tokens that were issued, and everything that may be used once only.
#[derive(Default)]
pub(super) struct Auth {
    tokens: HashMap<String, Grant>,
    assertions: HashSet<String>,
    proofs: HashSet<String>,
    nonces: Vec<(String, DateTime<Utc>)>,
}

struct Grant {
    expires: DateTime<Utc>,
    scopes: BTreeSet<String>,
    /// Thumbprint of the key the token is bound to.
    bound_to: Option<String>,
}

#[derive(Deserialize)]
struct Assertion {
    aud: Option<serde_json::Value>,
    iss: Option<String>,
    sub: Option<String>,
    exp: Option<i64>,
    jti: Option<String>,
}

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn refused(status: u16, error: &str, description: &str) -> Reply {
    Reply::json(status, &json!({"error": error, "error_description": description}))
}

pub(super) fn insufficient_scope(base: &str) -> Reply {
    let challenge = format!(
        "Bearer authorization_uri=\"{base}/oauth2/v1/authorize\", realm=\"{base}\", scope=\"okta.apps.read\", \
         error=\"insufficient_scope\", \
         error_description=\"The access token provided does not contain the required scopes.\""
    );
    okta_error(403, "E0000006", "You do not have permission to perform the requested action")
        .with("WWW-Authenticate", challenge)
}

impl Auth {
    pub(super) fn revoke_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Forgets the nonces, so that the next token request is told a new one.
    pub(super) fn forget_nonces(&mut self) {
        self.nonces.clear();
    }

    /// `POST /oauth2/v1/token`.
    pub(super) fn token(
        &mut self,
        options: &OktaOptions,
        now: DateTime<Utc>,
        base: &str,
        call: &Call,
    ) -> Reply {
        if call.method != axum::http::Method::POST {
            return okta_error(405, "E0000022", "The endpoint does not support the provided HTTP method");
        }
        self.issue(options, now, &format!("{base}/oauth2/v1/token"), call).unwrap_or_else(|refusal| *refusal)
    }

    fn issue(
        &mut self,
        options: &OktaOptions,
        now: DateTime<Utc>,
        url: &str,
        call: &Call,
    ) -> Result<Reply, Box<Reply>> {
        let fields: HashMap<String, String> = form(&call.body).into_iter().collect();
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        if field("grant_type") != "client_credentials" {
            return Err(Box::new(refused(400, "unsupported_grant_type", "The grant type is not supported.")));
        }
        if field("client_assertion_type") != ASSERTION_TYPE {
            return Err(Box::new(refused(401, "invalid_client", "The client_assertion_type is invalid.")));
        }
        let key = self
            .check_assertion(options, now, url, field("client_assertion"))
            .map_err(|why| Box::new(refused(401, "invalid_client", why)))?;
        let bound_to = self.check_token_proof(options, now, url, call, key)?;
        let scopes: BTreeSet<String> = field("scope").split_whitespace().map(str::to_owned).collect();
        if scopes.is_empty() {
            return Err(Box::new(refused(400, "invalid_scope", "'scope' must be provided.")));
        }
        if !scopes.is_subset(&options.granted_scopes) {
            let why = "One or more scopes are not configured for the authorization server resource.";
            return Err(Box::new(refused(400, "invalid_scope", why)));
        }
        let token = format!("eyJ{:032x}", fastrand::u128(..));
        let scope = scopes.iter().cloned().collect::<Vec<_>>().join(" ");
        let kind = if bound_to.is_some() { "DPoP" } else { "Bearer" };
        let expires = now + Duration::seconds(options.token_lifetime_seconds);
        self.tokens.insert(token.clone(), Grant { expires, scopes, bound_to });
        Ok(Reply::json(
            200,
            &json!({"token_type": kind, "expires_in": options.token_lifetime_seconds, "access_token": token,
                    "scope": scope}),
        ))
    }

    fn check_assertion(
        &mut self,
        options: &OktaOptions,
        now: DateTime<Utc>,
        url: &str,
        assertion: &str,
    ) -> Result<&'static ServiceKey, &'static str> {
        let header = decode_header(assertion).map_err(|_| "The client_assertion is malformed.")?;
        if !dpop::ALGORITHMS.contains(&header.alg) {
            return Err("The client_assertion is signed with an algorithm that is not supported.");
        }
        let is_rsa = matches!(header.alg, Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512);
        let kind = if is_rsa { KeyKind::Rs256 } else { KeyKind::Es256 };
        let key = ServiceKey::of(kind);
        if header.kid.is_some_and(|kid| kid != key.key_id) {
            return Err("The client_assertion 'kid' is not one of the client's keys.");
        }
        let mut validation = Validation::new(header.alg);
        validation.required_spec_claims.clear();
        // Times are compared with the organization's clock below, not with the machine's.
        validation.validate_exp = false;
        validation.validate_aud = false;
        let claims = decode::<Assertion>(assertion, &key.decoding, &validation)
            .map_err(|_| "The client_assertion signature is invalid.")?
            .claims;
        let audience = claims.aud.unwrap_or_default();
        if audience.as_str() != Some(url) && audience[0].as_str() != Some(url) {
            return Err(
                "The audience claim for client_assertion must be the endpoint invoked for the request.",
            );
        }
        if claims.iss.as_ref() != Some(&options.client_id) || claims.sub.as_ref() != Some(&options.client_id)
        {
            return Err("The issuer and subject of client_assertion must be the client id.");
        }
        let left = claims.exp.ok_or("The client_assertion has no 'exp'.")? - now.timestamp();
        if left <= 0 {
            return Err("The client_assertion token is expired.");
        }
        if left > 3600 {
            return Err("The client_assertion token has an expiration too far into the future.");
        }
        if claims.jti.is_some_and(|jti| !self.assertions.insert(jti)) {
            return Err("The client_assertion has already been used.");
        }
        Ok(key)
    }

    /// The key that the token is to be bound to, if it is.
    fn check_token_proof(
        &mut self,
        options: &OktaOptions,
        now: DateTime<Utc>,
        url: &str,
        call: &Call,
        client_key: &ServiceKey,
    ) -> Result<Option<String>, Box<Reply>> {
        let invalid = |why: &str| Box::new(refused(400, "invalid_dpop_proof", why));
        let proof = match (options.dpop, call.header("dpop")) {
            (Dpop::Off, _) | (Dpop::Optional, None) => return Ok(None),
            (Dpop::Required, None) => return Err(invalid("The DPoP proof JWT header is missing.")),
            (Dpop::Optional | Dpop::Required, Some(proof)) => proof,
        };
        let occasion = Occasion { method: "POST", url, now, token: None };
        let Proof { thumbprint, nonce } = dpop::check(proof, &occasion, &mut self.proofs).map_err(invalid)?;
        if client_key.thumbprint == thumbprint {
            return Err(invalid("The DPoP key must differ from the key that authenticates the client."));
        }
        let current = self.current_nonce(now);
        // A nonce is handed out for a day and taken for three.
        let known = |nonce: &String| {
            self.nonces.iter().any(|(known, issued)| known == nonce && now - *issued < Duration::days(3))
        };
        if !nonce.as_ref().is_some_and(known) {
            let why = "Authorization server requires nonce in DPoP proof.";
            return Err(Box::new(refused(400, "use_dpop_nonce", why).with("dpop-nonce", current)));
        }
        Ok(Some(thumbprint))
    }

    fn current_nonce(&mut self, now: DateTime<Utc>) -> String {
        match self.nonces.last() {
            Some((nonce, issued)) if now - *issued < Duration::days(1) => nonce.clone(),
            _ => {
                let nonce = format!("{:024x}", fastrand::u128(..) >> 32);
                self.nonces.push((nonce.clone(), now));
                nonce
            }
        }
    }

    /// The scopes of the credentials; `None` for an API token, which the admin role alone limits.
    pub(super) fn authorize(
        &mut self,
        options: &OktaOptions,
        now: DateTime<Utc>,
        base: &str,
        call: &Call,
    ) -> Result<Option<BTreeSet<String>>, Box<Reply>> {
        let (scheme, token) =
            call.header("authorization").and_then(|text| text.split_once(' ')).unwrap_or_default();
        match scheme {
            "SSWS" if token == options.api_token && options.api_token_valid => Ok(None),
            "SSWS" => Err(Box::new(okta_error(401, "E0000011", "Invalid token provided"))),
            "Bearer" => match self.tokens.get(token) {
                Some(grant) if grant.bound_to.is_none() && now < grant.expires => {
                    Ok(Some(grant.scopes.clone()))
                }
                _ => Err(Box::new(invalid_token(base))),
            },
            "DPoP" => self.authorize_bound(now, base, call, token).map(Some),
            _ => Err(Box::new(okta_error(401, "E0000005", "Invalid session"))),
        }
    }

    fn authorize_bound(
        &mut self,
        now: DateTime<Utc>,
        base: &str,
        call: &Call,
        token: &str,
    ) -> Result<BTreeSet<String>, Box<Reply>> {
        let invalid_proof = |why: &str| {
            let challenge = format!(
                "DPoP algs=\"RS256 RS384 RS512 ES256 ES384 ES512\", authorization_uri=\"{base}/oauth2/v1/authorize\", \
                 realm=\"{base}\", error=\"invalid_dpop_proof\", error_description=\"{why}\""
            );
            Box::new(Reply::empty(400).with("WWW-Authenticate", challenge))
        };
        let Some(grant) = self.tokens.get(token).filter(|grant| now < grant.expires) else {
            return Err(Box::new(invalid_token(base)));
        };
        let proof =
            call.header("dpop").ok_or_else(|| invalid_proof("The DPoP proof JWT header is missing."))?;
        let url = format!("{base}{}", call.path);
        let occasion = Occasion { method: call.method.as_str(), url: &url, now, token: Some(token) };
        let proof = dpop::check(proof, &occasion, &mut self.proofs).map_err(invalid_proof)?;
        if grant.bound_to.as_ref() != Some(&proof.thumbprint) {
            return Err(invalid_proof("The access token is not bound to the key of the DPoP proof JWT."));
        }
        Ok(grant.scopes.clone())
    }
}

fn invalid_token(base: &str) -> Reply {
    let challenge = format!(
        "Bearer authorization_uri=\"{base}/oauth2/v1/authorize\", realm=\"{base}\", error=\"invalid_token\", \
         error_description=\"The access token is invalid.\""
    );
    okta_error(401, "E0000011", "Invalid token provided").with("WWW-Authenticate", challenge)
}

//! DPoP proofs (RFC 9449 section 4.3), checked as strictly as the document says.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use jsonwebtoken::jwk::ThumbprintHash;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use std::collections::HashSet;

/// Signature algorithms that Okta takes, for assertions and for proofs.
pub(super) const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::ES256, Algorithm::ES384];

#[derive(Deserialize)]
struct Claims {
    htm: Option<String>,
    htu: Option<String>,
    iat: Option<i64>,
    jti: Option<String>,
    nonce: Option<String>,
    ath: Option<String>,
}

/// What a valid proof says.
pub(super) struct Proof {
    /// Thumbprint of the key (RFC 7638), to which a token is bound.
    pub(super) thumbprint: String,
    pub(super) nonce: Option<String>,
}

/// What the proof has to fit.
pub(super) struct Occasion<'a> {
    pub(super) method: &'a str,
    /// URL without query and fragment.
    pub(super) url: &'a str,
    pub(super) now: DateTime<Utc>,
    /// The access token the request carries; none at the token endpoint.
    pub(super) token: Option<&'a str>,
}

/// Checks a proof. The `jti` is used up by this, whatever the outcome of the request.
pub(super) fn check(
    proof: &str,
    occasion: &Occasion<'_>,
    used: &mut HashSet<String>,
) -> Result<Proof, &'static str> {
    let header = decode_header(proof).map_err(|_| "The DPoP proof JWT is malformed.")?;
    if header.typ.as_deref() != Some("dpop+jwt") {
        return Err("The DPoP proof JWT header 'typ' must be 'dpop+jwt'.");
    }
    if !ALGORITHMS.contains(&header.alg) {
        return Err("The DPoP proof JWT is signed with an algorithm that is not supported.");
    }
    let key = header.jwk.ok_or("The DPoP proof JWT header has no 'jwk'.")?;
    let decoding =
        DecodingKey::from_jwk(&key).map_err(|_| "The 'jwk' of the DPoP proof JWT cannot be read.")?;
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let claims = decode::<Claims>(proof, &decoding, &validation)
        .map_err(|_| "The signature of the DPoP proof JWT is invalid.")?
        .claims;
    if claims.htm.as_deref() != Some(occasion.method) {
        return Err("The DPoP proof JWT 'htm' does not fit the request.");
    }
    if claims.htu.as_deref() != Some(occasion.url) {
        return Err("The DPoP proof JWT 'htu' does not fit the request.");
    }
    let age = occasion.now.timestamp() - claims.iat.ok_or("The DPoP proof JWT has no 'iat'.")?;
    if age.abs() > 300 {
        return Err("The DPoP proof JWT 'iat' is too far from now.");
    }
    if claims.ath != occasion.token.map(hash) {
        return Err("The DPoP proof JWT 'ath' does not fit the access token.");
    }
    let jti = claims.jti.filter(|jti| !jti.is_empty()).ok_or("The DPoP proof JWT has no 'jti'.")?;
    if !used.insert(jti) {
        return Err("The DPoP proof JWT has already been used.");
    }
    let thumbprint = key.thumbprint(ThumbprintHash::SHA256).map_err(|_| "The 'jwk' has no thumbprint.")?;
    Ok(Proof { thumbprint, nonce: claims.nonce })
}

fn hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()))
}

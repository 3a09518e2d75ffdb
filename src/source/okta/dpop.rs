//! DPoP proofs (RFC 9449): a signed statement per request that we hold the key a token is bound to.
//!
//! What lives here: the key, made at start and never stored, and the proof. What must not: when a proof is needed
//! (`auth`).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use url::Url;

/// The key that tokens are bound to. Okta demands that it differs from the key that authenticates the client.
pub(super) struct ProofKey {
    key: EncodingKey,
    public: Jwk,
}

#[derive(Serialize)]
struct Claims<'a> {
    htm: &'a str,
    htu: String,
    iat: i64,
    jti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
}

impl ProofKey {
    /// A new key.
    pub(super) fn generate() -> Result<ProofKey, String> {
        let failed = |_| "no DPoP key could be made".to_owned();
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(failed)?;
        let key = EncodingKey::from_ec_der(pkcs8.as_ref());
        let public = Jwk::from_encoding_key(&key, Algorithm::ES256)
            .map_err(|_| "no DPoP key could be made".to_owned())?;
        Ok(ProofKey { key, public })
    }

    /// A proof for one request; never use one twice. `token` is the access token that the request carries.
    pub(super) fn proof(
        &self,
        method: &str,
        url: &Url,
        issued_at: i64,
        nonce: Option<&str>,
        token: Option<&str>,
    ) -> Result<String, String> {
        let mut target = url.clone();
        // RFC 9449 section 4.2: htu is the URI without query and fragment.
        target.set_query(None);
        target.set_fragment(None);
        let claims = Claims {
            htm: method,
            htu: target.into(),
            iat: issued_at,
            jti: uuid::Uuid::new_v4().to_string(),
            nonce,
            ath: token.map(|token| URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()))),
        };
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = Some(self.public.clone());
        jsonwebtoken::encode(&header, &claims, &self.key)
            .map_err(|error| format!("no DPoP proof could be made: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
    use serde_json::Value;

    fn decoded(proof: &str) -> Value {
        let header = decode_header(proof).unwrap();
        assert_eq!((header.typ.as_deref(), header.alg), (Some("dpop+jwt"), Algorithm::ES256));
        let jwk = header.jwk.unwrap();
        let public = serde_json::to_value(&jwk).unwrap();
        assert!(public.get("d").is_none(), "the private part stays here: {public}");
        let mut validation = Validation::new(Algorithm::ES256);
        validation.required_spec_claims.clear();
        decode::<Value>(proof, &DecodingKey::from_jwk(&jwk).unwrap(), &validation).unwrap().claims
    }

    #[test]
    fn a_proof_is_signed_bound_to_the_token_and_names_the_url_without_its_query() {
        let key = ProofKey::generate().unwrap();
        let url = Url::parse("https://acme.okta.com/api/v1/apps/0oa1/users?limit=500#x").unwrap();
        let claims = decoded(&key.proof("GET", &url, 1_700_000_000, Some("n-1"), Some("token")).unwrap());
        assert_eq!(claims["htu"], "https://acme.okta.com/api/v1/apps/0oa1/users");
        assert_eq!((&claims["htm"], &claims["nonce"]), (&"GET".into(), &"n-1".into()));
        assert_eq!(claims["iat"], 1_700_000_000);
        // SHA-256 of "token", base64url.
        assert_eq!(claims["ath"], "PEaenWxYddN6Q_NT1PiOYfz4EsZu7jRXRlpAsNpBU-A");
    }

    #[test]
    fn no_two_proofs_are_the_same() {
        let key = ProofKey::generate().unwrap();
        let url = Url::parse("https://acme.okta.com/oauth2/v1/token").unwrap();
        let proof = || decoded(&key.proof("POST", &url, 1, None, None).unwrap());
        let (first, second) = (proof(), proof());
        assert_ne!(first["jti"], second["jti"]);
        assert!(first.get("nonce").is_none() && first.get("ath").is_none());
    }
}

//! The Okta side's token endpoint: `private_key_jwt`, scopes, DPoP.

use crate::{Answer, encoded, send, start};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rosterd::sim::{Dpop, KeyKind, Sim};
use serde_json::{Value, json};
use std::time::Duration;

const SCOPES: &str = "okta.apps.read okta.users.read";

fn key(sim: &Sim, kind: KeyKind) -> EncodingKey {
    let pem = sim.okta_private_key_pem(kind);
    match kind {
        KeyKind::Rs256 => EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(),
        KeyKind::Es256 => EncodingKey::from_ec_pem(pem.as_bytes()).unwrap(),
    }
}

fn claims(sim: &Sim) -> Value {
    let now = chrono::Utc::now().timestamp();
    json!({"aud": format!("{}/oauth2/v1/token", sim.okta_url()), "iss": sim.okta_client_id(),
           "sub": sim.okta_client_id(), "exp": now + 300, "iat": now, "jti": fastrand::u128(..).to_string()})
}

fn assertion(sim: &Sim, kind: KeyKind, claims: &Value) -> String {
    let algorithm = if kind == KeyKind::Rs256 { Algorithm::RS256 } else { Algorithm::ES256 };
    let mut header = Header::new(algorithm);
    header.kid = Some(sim.okta_key_id(kind));
    encode(&header, claims, &key(sim, kind)).unwrap()
}

async fn ask(sim: &Sim, assertion: &str, scope: &str, proof: Option<&str>) -> Answer {
    let body = format!(
        "grant_type=client_credentials&scope={}&client_assertion_type={}&client_assertion={assertion}",
        encoded(scope),
        encoded("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
    );
    let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
    headers.extend(proof.map(|proof| ("dpop", proof)));
    send("POST", &format!("{}/oauth2/v1/token", sim.okta_url()), &headers, Some(&body)).await.unwrap()
}

async fn token(sim: &Sim) -> String {
    let answer = ask(sim, &assertion(sim, KeyKind::Es256, &claims(sim)), SCOPES, None).await;
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn both_keys_get_a_bearer_token_that_opens_what_the_scopes_cover() {
    let sim = start().await;
    for kind in [KeyKind::Rs256, KeyKind::Es256] {
        let answer = ask(&sim, &assertion(&sim, kind, &claims(&sim)), SCOPES, None).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let reply = answer.json();
        assert_eq!(
            (reply["token_type"].as_str(), reply["expires_in"].as_i64()),
            (Some("Bearer"), Some(3600))
        );
        assert_eq!(reply["scope"], SCOPES);
        let bearer = format!("Bearer {}", reply["access_token"].as_str().unwrap());
        let get = async |path: &str| {
            send("GET", &format!("{}{path}", sim.okta_url()), &[("authorization", &bearer)], None)
                .await
                .unwrap()
        };
        assert_eq!(get("/api/v1/apps").await.status, 200);
        let refused = get("/api/v1/logs").await;
        assert_eq!(refused.status, 403);
        assert!(refused.header("www-authenticate").unwrap().contains("insufficient_scope"));
    }
}

#[tokio::test]
async fn a_faulty_assertion_is_refused() {
    let sim = start().await;
    let now = chrono::Utc::now().timestamp();
    let cases: [(&str, Value); 6] = [
        ("aud", json!("https://other.example/oauth2/v1/token")),
        ("iss", json!("somebody")),
        ("sub", json!("somebody")),
        ("exp", json!(now - 10)),
        ("exp", json!(now + 4000)),
        ("exp", Value::Null),
    ];
    for (name, value) in cases {
        let mut claims = claims(&sim);
        claims[name] = value.clone();
        let answer = ask(&sim, &assertion(&sim, KeyKind::Es256, &claims), SCOPES, None).await;
        assert_eq!(
            (answer.status, answer.json()["error"].as_str()),
            (401, Some("invalid_client")),
            "{name} {value}"
        );
    }
    let good = assertion(&sim, KeyKind::Es256, &claims(&sim));
    assert_eq!(ask(&sim, &good, SCOPES, None).await.status, 200);
    assert_eq!(ask(&sim, &good, SCOPES, None).await.status, 401, "an assertion is used once");
    let mut forged = assertion(&sim, KeyKind::Es256, &claims(&sim));
    forged.replace_range(forged.len() - 8..forged.len() - 6, "zz");
    assert_eq!(ask(&sim, &forged, SCOPES, None).await.status, 401);
}

#[tokio::test]
async fn scopes_that_were_not_granted_are_refused() {
    let sim = start().await;
    sim.okta(|options| options.granted_scopes.remove("okta.logs.read"));
    for scope in ["okta.logs.read", "okta.made.up", ""] {
        let answer = ask(&sim, &assertion(&sim, KeyKind::Es256, &claims(&sim)), scope, None).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_scope")), "{scope}");
    }
}

#[tokio::test]
async fn a_token_expires_and_can_be_withdrawn() {
    let sim = start().await;
    let url = format!("{}/api/v1/apps", sim.okta_url());
    let get = async |token: &str| {
        send("GET", &url, &[("authorization", &format!("Bearer {token}"))], None).await.unwrap().status
    };
    let first = token(&sim).await;
    assert_eq!(get(&first).await, 200);
    sim.revoke_okta_tokens();
    assert_eq!(get(&first).await, 401);
    sim.okta(|options| options.token_lifetime_seconds = 60);
    let second = token(&sim).await;
    sim.world().advance(Duration::from_secs(61));
    assert_eq!(get(&second).await, 401);
}

#[test]
fn the_private_jwks_are_whole_keys() {
    let sim = Sim::start_blocking(rosterd::sim::SimOptions::default()).unwrap();
    let number = |jwk: &Value, name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let rsa: Value = serde_json::from_str(&sim.okta_private_key_jwk(KeyKind::Rs256)).unwrap();
    let public = aws_lc_rs::rsa::PublicKeyComponents { n: number(&rsa, "n"), e: number(&rsa, "e") };
    let parts = aws_lc_rs::rsa::KeyPairComponents {
        public_key: public,
        d: number(&rsa, "d"),
        p: number(&rsa, "p"),
        q: number(&rsa, "q"),
        dP: number(&rsa, "dp"),
        dQ: number(&rsa, "dq"),
        qInv: number(&rsa, "qi"),
    };
    aws_lc_rs::rsa::KeyPair::from_components(&parts).unwrap();
    let ec: Value = serde_json::from_str(&sim.okta_private_key_jwk(KeyKind::Es256)).unwrap();
    let point = [vec![4], number(&ec, "x"), number(&ec, "y")].concat();
    aws_lc_rs::signature::EcdsaKeyPair::from_private_key_and_public_key(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        &number(&ec, "d"),
        &point,
    )
    .unwrap();
}

/// A key pair of the client's own for proofs.
struct ProofKey {
    encoding: EncodingKey,
    public: Jwk,
}

impl ProofKey {
    fn new() -> Self {
        let pair = aws_lc_rs::signature::EcdsaKeyPair::generate_pkcs8(
            &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            &aws_lc_rs::rand::SystemRandom::new(),
        )
        .unwrap();
        let encoding = EncodingKey::from_ec_der(pair.as_ref());
        let public = Jwk::from_encoding_key(&encoding, Algorithm::ES256).unwrap();
        Self { encoding, public }
    }

    fn proof(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = Some(self.public.clone());
        encode(&header, claims, &self.encoding).unwrap()
    }
}

fn proof_claims(method: &str, url: &str) -> Value {
    json!({"htm": method, "htu": url, "iat": chrono::Utc::now().timestamp(), "jti": fastrand::u128(..).to_string()})
}

async fn bound_token(sim: &Sim, proof_key: &ProofKey) -> String {
    let url = format!("{}/oauth2/v1/token", sim.okta_url());
    let first = ask(
        sim,
        &assertion(sim, KeyKind::Rs256, &claims(sim)),
        SCOPES,
        Some(&proof_key.proof(&proof_claims("POST", &url))),
    )
    .await;
    assert_eq!((first.status, first.json()["error"].as_str()), (400, Some("use_dpop_nonce")));
    let mut with_nonce = proof_claims("POST", &url);
    with_nonce["nonce"] = json!(first.header("dpop-nonce").unwrap());
    let second =
        ask(sim, &assertion(sim, KeyKind::Rs256, &claims(sim)), SCOPES, Some(&proof_key.proof(&with_nonce)))
            .await;
    assert_eq!((second.status, second.json()["token_type"].as_str()), (200, Some("DPoP")), "{}", second.body);
    second.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn with_dpop_required_a_plain_token_request_is_refused() {
    let sim = start().await;
    sim.okta(|options| options.dpop = Dpop::Required);
    let answer = ask(&sim, &assertion(&sim, KeyKind::Rs256, &claims(&sim)), SCOPES, None).await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_dpop_proof")));
    sim.okta(|options| options.dpop = Dpop::Optional);
    let answer = ask(&sim, &assertion(&sim, KeyKind::Rs256, &claims(&sim)), SCOPES, None).await;
    assert_eq!((answer.status, answer.json()["token_type"].as_str()), (200, Some("Bearer")));
}

#[tokio::test]
async fn the_key_of_the_proof_must_not_be_the_clients() {
    let sim = start().await;
    sim.okta(|options| options.dpop = Dpop::Required);
    let encoding = key(&sim, KeyKind::Es256);
    let public = Jwk::from_encoding_key(&encoding, Algorithm::ES256).unwrap();
    let url = format!("{}/oauth2/v1/token", sim.okta_url());
    let proof = ProofKey { encoding, public }.proof(&proof_claims("POST", &url));
    let answer = ask(&sim, &assertion(&sim, KeyKind::Es256, &claims(&sim)), SCOPES, Some(&proof)).await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_dpop_proof")));
}

#[tokio::test]
async fn a_bound_token_needs_a_fresh_fitting_proof_each_time() {
    let sim = start().await;
    sim.okta(|options| options.dpop = Dpop::Required);
    let proof_key = ProofKey::new();
    let token = bound_token(&sim, &proof_key).await;
    let url = format!("{}/api/v1/apps", sim.okta_url());
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    let hash = URL_SAFE_NO_PAD.encode(hash);
    let get = async |scheme: &str, proof: Option<&str>| {
        let authorization = format!("{scheme} {token}");
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(proof.map(|proof| ("dpop", proof)));
        send("GET", &format!("{url}?q=wrike"), &headers, None).await.unwrap()
    };
    let mut good = proof_claims("GET", &url);
    good["ath"] = json!(hash);
    let proof = proof_key.proof(&good);
    assert_eq!(get("DPoP", Some(&proof)).await.status, 200);
    let repeated = get("DPoP", Some(&proof)).await;
    assert_eq!(repeated.status, 400);
    assert!(repeated.header("www-authenticate").unwrap().contains("invalid_dpop_proof"));
    assert_eq!(get("DPoP", None).await.status, 400);
    assert_eq!(get("Bearer", None).await.status, 401);
    let faults = [
        ("htu", json!(format!("{url}?q=wrike"))),
        ("htm", json!("POST")),
        ("ath", json!("AAAA")),
        ("ath", Value::Null),
        ("iat", json!(chrono::Utc::now().timestamp() - 900)),
    ];
    for (name, value) in faults {
        let mut claims = good.clone();
        claims["jti"] = json!(fastrand::u128(..).to_string());
        claims[name] = value.clone();
        let answer = get("DPoP", Some(&proof_key.proof(&claims))).await;
        assert_eq!(answer.status, 400, "{name} {value}");
    }
    sim.forget_okta_nonces();
    bound_token(&sim, &proof_key).await;
    good["jti"] = json!("of another key");
    assert_eq!(get("DPoP", Some(&ProofKey::new().proof(&good))).await.status, 400, "bound to the first key");
}

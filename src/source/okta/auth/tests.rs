//! The service app's login: tokens, proofs, and what a refusal means.

use super::*;
use std::sync::Arc;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

use super::super::keys::tests::ec_forms;
use crate::http::client_options::{ClientOptions, PeerName};
use crate::http::credentials::NoCredentials;
use crate::http::pacer::{Pacer, PacerOptions};

fn app(key: String, key_id: Option<&str>) -> ServiceApp {
    let base = Url::parse("http://127.0.0.1:9").unwrap();
    let pacer = Arc::new(Pacer::new(PacerOptions::requests_per_minute(60, 0)));
    let client = Client::new(ClientOptions::new(PeerName("okta"), base, pacer), Arc::new(NoCredentials));
    let options = ServiceAppOptions {
        client_id: "0oaService".to_owned(),
        key_id: key_id.map(str::to_owned),
        read_key: Box::new(move || Ok(SecretString::from(key.clone()))),
        dpop: Dpop::Auto,
        scopes: vec!["okta.apps.read", "okta.users.read"],
    };
    ServiceApp::new(client.unwrap(), options).unwrap()
}

fn answer(status: u16, headers: &[(&'static str, &str)]) -> Answer {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, value.parse().unwrap());
    }
    Answer { status, headers: map, body: Bytes::new(), observation: Observation::now(), attempts: 1 }
}

fn token(bound: bool) -> Token {
    Token {
        secret: SecretString::from("access".to_owned()),
        bound,
        renew_at: Instant::now() + Duration::from_secs(3600),
        since: Observation::now(),
    }
}

#[test]
fn the_assertion_says_who_asks_whom_for_how_long_and_is_signed_with_the_key() {
    for (form, text) in ec_forms() {
        let public = Jwk::from_encoding_key(&keys::read(&text).unwrap().key, Algorithm::ES256).unwrap();
        let app = app(text, Some("kid-1"));
        let now = 1_700_000_000;
        let (first, second) = (app.assertion(now).unwrap(), app.assertion(now).unwrap());
        let header = decode_header(&first).unwrap();
        assert_eq!((header.alg, header.kid.as_deref()), (Algorithm::ES256, Some("kid-1")), "{form}");
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_exp = false;
        validation.set_audience(&["http://127.0.0.1:9/oauth2/v1/token"]);
        let key = DecodingKey::from_jwk(&public).unwrap();
        let claims = |token: &str| decode::<Value>(token, &key, &validation).unwrap().claims;
        let (first, second) = (claims(&first), claims(&second));
        assert_eq!((&first["iss"], &first["sub"]), (&"0oaService".into(), &"0oaService".into()));
        assert_eq!((&first["iat"], &first["exp"]), (&now.into(), &(now + 300).into()));
        assert_ne!(first["jti"], second["jti"], "an assertion is good for one use");
    }
}

#[test]
fn the_key_id_of_a_jwk_is_used_where_none_is_configured() {
    let (_, jwk) = ec_forms().pop().unwrap();
    assert_eq!(decode_header(app(jwk, None).assertion(1).unwrap()).unwrap().kid.as_deref(), Some("ec-1"));
}

#[tokio::test]
async fn a_bound_token_travels_with_a_fresh_proof_and_a_plain_one_without() {
    let app = app(String::new(), None);
    let url = Url::parse("http://127.0.0.1:9/api/v1/apps/0oa1/users?limit=500").unwrap();
    app.state.lock().await.token = Some(token(true));
    let first = app.authorise(&Method::GET, &url).await.unwrap();
    let second = app.authorise(&Method::GET, &url).await.unwrap();
    assert_eq!(first["authorization"], "DPoP access");
    assert_ne!(first["dpop"], second["dpop"]);
    app.state.lock().await.token = Some(token(false));
    let plain = app.authorise(&Method::GET, &url).await.unwrap();
    assert_eq!(plain["authorization"], "Bearer access");
    assert!(!plain.contains_key("dpop"));
}

#[tokio::test]
async fn what_a_refusal_changes_decides_whether_the_request_is_sent_again() {
    let nonce: &[(&'static str, &str)] =
        &[("www-authenticate", "DPoP error=\"use_dpop_nonce\""), ("dpop-nonce", "n-1")];
    let proof: &[(&'static str, &str)] = &[("www-authenticate", "DPoP error=\"invalid_dpop_proof\"")];
    let cases = [
        ("a new nonce", true, (401, nonce), true, true),
        ("a proof that did not pass", true, (400, proof), true, true),
        ("a proof that is now wanted", false, (400, proof), true, false),
        ("a token that ended", false, (401, &[][..]), true, false),
        ("any other 400", false, (400, &[("www-authenticate", "Basic")][..]), false, true),
    ];
    for (what, bound, (status, headers), again, keeps_token) in cases {
        let app = app(String::new(), None);
        app.state.lock().await.token = Some(token(bound));
        // The request was sent with the token, so after it was had.
        let refusal = answer(status, headers);
        assert_eq!(app.refused(&refusal).await, again, "{what}");
        assert_eq!(app.state.lock().await.token.is_some(), keeps_token, "{what}");
    }
    let app = app(String::new(), None);
    app.state.lock().await.token = Some(token(true));
    assert!(app.refused(&answer(401, nonce)).await);
    assert!(!app.refused(&answer(401, nonce)).await, "the same nonce again changes nothing");
}

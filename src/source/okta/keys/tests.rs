//! Private keys in every form that Okta hands out.

use super::*;
use aws_lc_rs::encoding::{AsBigEndian, AsDer, EcPrivateKeyBin, EcPrivateKeyRfc5915Der, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::KeyPair;
use jsonwebtoken::jwk::Jwk as PublicJwk;
use jsonwebtoken::{DecodingKey, Header, Validation, decode, encode};
use serde_json::{Value, json};

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads the numbers of an RSAPrivateKey behind its version.
fn numbers(pkcs1: &[u8]) -> Vec<Vec<u8>> {
    fn element(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, start) = match der[1] {
            short if short < 0x80 => (usize::from(short), 2),
            long => {
                let count = usize::from(long & 0x7f);
                (der[2..2 + count].iter().fold(0, |sum, byte| sum * 256 + usize::from(*byte)), 2 + count)
            }
        };
        (&der[start..start + length], &der[start + length..])
    }
    let (mut rest, _) = element(pkcs1);
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (number, after) = element(rest);
        found.push(number.iter().copied().skip_while(|byte| *byte == 0).collect());
        rest = after;
    }
    found.split_off(1)
}

/// An RSA key in PKCS#8 PEM, PKCS#1 PEM and as JWK.
fn rsa_forms() -> Vec<(&'static str, String)> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    // Version, algorithm and the headers around them take 26 bytes at this size (RFC 5208).
    let pkcs1 = &pkcs8.as_ref()[26..];
    let names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
    let mut jwk = json!({"kty": "RSA", "kid": "rsa-1", "use": "sig", "alg": "RS256"});
    for (name, number) in names.iter().zip(numbers(pkcs1)) {
        jwk[name] = base64url(number).into();
    }
    vec![
        ("PKCS#8", pem("PRIVATE KEY", pkcs8.as_ref())),
        ("PKCS#1", pem("RSA PRIVATE KEY", pkcs1)),
        ("JWK", jwk.to_string()),
    ]
}

/// An EC key in PKCS#8 PEM, SEC1 PEM as openssl writes it, and as JWK.
pub(in crate::source::okta) fn ec_forms() -> Vec<(&'static str, String)> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let sec1: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().unwrap();
    let d: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().unwrap();
    let point = pair.public_key().as_ref();
    let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "ec-1", "d": base64url(d.as_ref()),
                     "x": base64url(&point[1..33]), "y": base64url(&point[33..])});
    let parameters = pem("EC PARAMETERS", &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]);
    vec![
        ("PKCS#8", pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref())),
        ("SEC1", parameters + &pem("EC PRIVATE KEY", sec1.as_ref())),
        ("JWK", jwk.to_string()),
    ]
}

#[test]
fn every_form_of_one_key_signs_so_that_every_other_form_verifies() {
    for (algorithm, forms) in [(Algorithm::RS256, rsa_forms()), (Algorithm::ES256, ec_forms())] {
        let keys: Vec<_> = forms.iter().map(|(form, text)| (form, read(text).unwrap())).collect();
        for (form, signing) in &keys {
            assert_eq!(signing.algorithm, algorithm, "{form}");
            let token = encode(&Header::new(algorithm), &json!({"form": form}), &signing.key).unwrap();
            for (other, verifying) in &keys {
                let public = PublicJwk::from_encoding_key(&verifying.key, algorithm).unwrap();
                let mut validation = Validation::new(algorithm);
                validation.required_spec_claims.clear();
                let claims = decode::<Value>(&token, &DecodingKey::from_jwk(&public).unwrap(), &validation);
                assert_eq!(claims.unwrap().claims["form"], **form, "{form} by {other}");
            }
        }
        assert!(keys.iter().any(|(form, key)| **form == "JWK" && key.key_id.is_some()));
    }
}

#[test]
fn what_is_no_usable_private_key_is_refused_and_never_quoted() {
    let ec_public_only = json!({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}).to_string();
    let p384 = EcdsaKeyPair::generate(&aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let cases = [
        ("nothing", String::new(), "neither PEM nor JWK"),
        ("a token", "00SecretSecret".to_owned(), "neither PEM nor JWK"),
        ("a public JWK", ec_public_only, "no `d`"),
        ("a broken JWK", "{\"kty\": \"EC\", \"d\": \"SecretSecret".to_owned(), "no valid JWK"),
        ("a symmetric JWK", json!({"kty": "oct", "k": "SecretSecret"}).to_string(), "neither RSA nor EC"),
        ("a public PEM", pem("PUBLIC KEY", b"SecretSecret"), "public key only"),
        ("an encrypted PEM", pem("ENCRYPTED PRIVATE KEY", b"SecretSecret"), "is encrypted"),
        (
            "an old encrypted PEM",
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----"
                .to_owned(),
            "is encrypted",
        ),
        ("a damaged PEM", pem("RSA PRIVATE KEY", b"SecretSecret"), "damaged"),
        ("another curve", pem("PRIVATE KEY", p384.to_pkcs8v1().unwrap().as_ref()), "neither RSA nor EC"),
    ];
    for (what, text, expected) in cases {
        let error = read(&text).err().unwrap_or_else(|| panic!("{what} was accepted"));
        assert!(error.contains(expected), "{what}: {error}");
        assert!(error.contains("help:") && !error.contains("Secret"), "{what}: {error}");
    }
}

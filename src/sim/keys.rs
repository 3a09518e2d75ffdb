//! The key pairs of the simulated Okta service app. Made once per process, because an RSA key takes its time.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde_json::{Value, json};
use std::sync::OnceLock;

/// Which of the service app's two registered keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA, 2048 bits, for RS256.
    Rs256,
    /// P-256, for ES256.
    Es256,
}

pub(crate) struct ServiceKey {
    kind: KeyKind,
    pub(crate) key_id: &'static str,
    /// PKCS #8 in PEM.
    pub(crate) pem: String,
    pub(crate) decoding: DecodingKey,
    /// RFC 7638, SHA-256.
    pub(crate) thumbprint: String,
    der: Vec<u8>,
    public: Jwk,
}

impl ServiceKey {
    pub(crate) fn of(kind: KeyKind) -> &'static Self {
        static RSA: OnceLock<ServiceKey> = OnceLock::new();
        static EC: OnceLock<ServiceKey> = OnceLock::new();
        match kind {
            KeyKind::Rs256 => RSA.get_or_init(|| Self::new(kind, "sim-rs256", rsa())),
            KeyKind::Es256 => EC.get_or_init(|| Self::new(kind, "sim-es256", ec())),
        }
    }

    fn new(kind: KeyKind, key_id: &'static str, der: Vec<u8>) -> Self {
        let pem = pem(&der);
        let (encoding, algorithm) = match kind {
            KeyKind::Rs256 => (EncodingKey::from_rsa_pem(pem.as_bytes()), Algorithm::RS256),
            KeyKind::Es256 => (EncodingKey::from_ec_pem(pem.as_bytes()), Algorithm::ES256),
        };
        let encoding = encoding.expect("the key was made by the library that reads it");
        let public =
            Jwk::from_encoding_key(&encoding, algorithm).expect("a fresh private key has a public half");
        let decoding = DecodingKey::from_jwk(&public).expect("the public half was just derived");
        let thumbprint = public.thumbprint(ThumbprintHash::SHA256).expect("RSA and EC keys have thumbprints");
        Self { kind, key_id, pem, decoding, thumbprint, der, public }
    }

    /// The private key as a JWK (RFC 7518 section 6), as Okta's console shows it when it makes the key.
    pub(crate) fn private_jwk(&self) -> Value {
        let mut jwk = serde_json::to_value(&self.public).expect("a JWK is plain data");
        jwk["kid"] = json!(self.key_id);
        jwk["use"] = json!("sig");
        match self.kind {
            KeyKind::Rs256 => {
                // PKCS #8 wraps PKCS #1: version, n, e, d, p, q, dp, dq, qi.
                let numbers = integers(octet_string(&self.der));
                for (name, number) in ["d", "p", "q", "dp", "dq", "qi"].iter().zip(&numbers[3..]) {
                    jwk[*name] = json!(URL_SAFE_NO_PAD.encode(number));
                }
            }
            KeyKind::Es256 => {
                // RFC 5915: a sequence of the version and the private number as an octet string.
                let d = octet_string(octet_string(&self.der));
                jwk["d"] = json!(URL_SAFE_NO_PAD.encode(d));
            }
        }
        jwk
    }
}

fn rsa() -> Vec<u8> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("the machine has randomness");
    pair.as_der().expect("a fresh key can be written").as_ref().to_vec()
}

fn ec() -> Vec<u8> {
    EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
        .expect("the machine has randomness")
        .as_ref()
        .to_vec()
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64 is ASCII")).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

/// Splits the first DER element into tag, content and rest.
fn element(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let (length, start) = match der[1] {
        short @ 0..=0x7f => (usize::from(short), 2),
        long => {
            let bytes = usize::from(long & 0x7f);
            (der[2..2 + bytes].iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)), 2 + bytes)
        }
    };
    (der[0], &der[start..start + length], &der[start + length..])
}

/// The first octet string among the members of a DER sequence.
fn octet_string(der: &[u8]) -> &[u8] {
    let (_, mut members, _) = element(der);
    loop {
        let (tag, content, rest) = element(members);
        if tag == 0x04 {
            return content;
        }
        members = rest;
    }
}

/// The integers of a DER sequence, without the zero byte that keeps them positive.
fn integers(der: &[u8]) -> Vec<&[u8]> {
    let (_, mut members, _) = element(der);
    let mut numbers = Vec::new();
    while !members.is_empty() {
        let (_, content, rest) = element(members);
        numbers.push(if content.len() > 1 && content[0] == 0 { &content[1..] } else { content });
        members = rest;
    }
    numbers
}

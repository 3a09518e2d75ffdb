//! Private keys of a service app, in every form that Okta's console and common tools hand out.
//!
//! What lives here: PEM (PKCS#8, PKCS#1, SEC1) and JWK to a signing key. What must not: claims (`auth`) and proofs
//! (`dpop`).

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde::Deserialize;

/// A key that signs client assertions.
pub(super) struct SigningKey {
    pub(super) algorithm: Algorithm,
    pub(super) key: EncodingKey,
    /// `kid` of a JWK.
    pub(super) key_id: Option<String>,
}

const FORMS: &str = "write the key as PEM (PKCS#8, PKCS#1 or SEC1) or as one JWK object, RSA or EC P-256";

/// Reads a private key. Errors name the form that was found, never anything of the key.
pub(super) fn read(text: &str) -> Result<SigningKey, String> {
    let text = text.trim();
    if text.starts_with('{') { from_jwk(text) } else { from_pem(text) }
}

fn from_pem(text: &str) -> Result<SigningKey, String> {
    let (label, der) = decode_pem(text)?;
    match label.as_str() {
        "RSA PRIVATE KEY" => rsa(&der),
        "EC PRIVATE KEY" => ec(&der),
        "PRIVATE KEY" => match EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der) {
            Ok(_) => ec(&der),
            Err(_) => rsa_from_pkcs8(text, &der),
        },
        "ENCRYPTED PRIVATE KEY" => {
            Err("the private key is encrypted; help: store it without a password in a \
                                        file that only rosterd may read"
                .to_owned())
        }
        "PUBLIC KEY" | "CERTIFICATE" => {
            Err(format!("the private key is a {} only; help: {FORMS}", label.to_lowercase()))
        }
        _ => Err(format!("the private key is of an unknown kind; help: {FORMS}")),
    }
}

fn decode_pem(text: &str) -> Result<(String, Vec<u8>), String> {
    let bad = || format!("the private key is neither PEM nor JWK; help: {FORMS}");
    // `EC PARAMETERS` comes first where openssl wrote the key.
    let mut rest = text;
    loop {
        let begin = rest.find("-----BEGIN ").ok_or_else(bad)?;
        let after = &rest[begin + "-----BEGIN ".len()..];
        let label_end = after.find("-----").ok_or_else(bad)?;
        let label = &after[..label_end];
        let body = &after[label_end + "-----".len()..];
        let end = body.find(&format!("-----END {label}-----")).ok_or_else(bad)?;
        if label == "EC PARAMETERS" {
            rest = &body[end..];
            continue;
        }
        let base64: String = body[..end].chars().filter(|c| !c.is_whitespace()).collect();
        if base64.contains(':') {
            return Err(
                "the private key is encrypted; help: store it without a password in a file that only \
                        rosterd may read"
                    .to_owned(),
            );
        }
        return Ok((label.to_owned(), STANDARD.decode(base64).map_err(|_| bad())?));
    }
}

fn rsa_from_pkcs8(pem: &str, der: &[u8]) -> Result<SigningKey, String> {
    if RsaKeyPair::from_pkcs8(der).is_err() {
        return Err(format!("the private key is neither RSA nor EC P-256; help: {FORMS}"));
    }
    let key = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(|_| unusable("RSA"))?;
    Ok(SigningKey { algorithm: Algorithm::RS256, key, key_id: None })
}

fn rsa(pkcs1: &[u8]) -> Result<SigningKey, String> {
    RsaKeyPair::from_der(pkcs1).map_err(|_| unusable("RSA"))?;
    Ok(SigningKey { algorithm: Algorithm::RS256, key: EncodingKey::from_rsa_der(pkcs1), key_id: None })
}

fn ec(der: &[u8]) -> Result<SigningKey, String> {
    let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
        .map_err(|_| unusable("EC"))?;
    from_pair(&pair)
}

fn from_pair(pair: &EcdsaKeyPair) -> Result<SigningKey, String> {
    let pkcs8 = pair.to_pkcs8v1().map_err(|_| unusable("EC"))?;
    Ok(SigningKey {
        algorithm: Algorithm::ES256,
        key: EncodingKey::from_ec_der(pkcs8.as_ref()),
        key_id: None,
    })
}

fn unusable(kind: &str) -> String {
    format!("the private key ({kind}) is damaged, too short, or of a curve other than P-256; help: {FORMS}")
}

/// RFC 7517 and RFC 7518 section 6.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    crv: Option<String>,
    d: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    p: Option<String>,
    q: Option<String>,
    dp: Option<String>,
    dq: Option<String>,
    qi: Option<String>,
}

fn from_jwk(text: &str) -> Result<SigningKey, String> {
    // serde's message could quote the key.
    let jwk: Jwk =
        serde_json::from_str(text).map_err(|_| format!("the private key is no valid JWK; help: {FORMS}"))?;
    let part = |name: &str, value: &Option<String>| -> Result<Vec<u8>, String> {
        let text = value.as_deref().ok_or_else(|| {
            let whole = "copy the whole private key from Okta, not its public part";
            format!("the private key (JWK) has no `{name}`; help: {whole}")
        })?;
        URL_SAFE_NO_PAD
            .decode(text.trim_end_matches('='))
            .map_err(|_| format!("`{name}` of the private key (JWK) is not base64url; help: {FORMS}"))
    };
    let mut key = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => {
            let numbers = [
                part("n", &jwk.n)?,
                part("e", &jwk.e)?,
                part("d", &jwk.d)?,
                part("p", &jwk.p)?,
                part("q", &jwk.q)?,
                part("dp", &jwk.dp)?,
                part("dq", &jwk.dq)?,
                part("qi", &jwk.qi)?,
            ];
            rsa(&pkcs1(&numbers))?
        }
        ("EC", Some("P-256")) => {
            let mut point = vec![4];
            point.extend(left_padded(part("x", &jwk.x)?));
            point.extend(left_padded(part("y", &jwk.y)?));
            let pair = EcdsaKeyPair::from_private_key_and_public_key(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                &left_padded(part("d", &jwk.d)?),
                &point,
            )
            .map_err(|_| unusable("EC"))?;
            from_pair(&pair)?
        }
        _ => return Err(format!("the private key (JWK) is neither RSA nor EC P-256; help: {FORMS}")),
    };
    key.key_id = jwk.kid;
    Ok(key)
}

/// Coordinates of P-256 have 32 bytes; some writers drop leading zeros.
fn left_padded(bytes: Vec<u8>) -> Vec<u8> {
    let mut padded = vec![0; 32_usize.saturating_sub(bytes.len())];
    padded.extend(bytes);
    padded
}

/// RSAPrivateKey (RFC 8017 appendix A.1.2): version 0 and eight numbers.
fn pkcs1(numbers: &[Vec<u8>; 8]) -> Vec<u8> {
    let mut content = vec![0x02, 0x01, 0x00];
    for number in numbers {
        let number = &number[number.iter().take_while(|byte| **byte == 0).count()..];
        let sign = number.first().is_none_or(|byte| byte & 0x80 != 0);
        content.push(0x02);
        der_length(&mut content, number.len() + usize::from(sign));
        if sign {
            content.push(0);
        }
        content.extend_from_slice(number);
    }
    let mut der = vec![0x30];
    der_length(&mut der, content.len());
    der.extend(content);
    der
}

/// Definite length (X.690 section 8.1.3).
fn der_length(der: &mut Vec<u8>, length: usize) {
    if length < 0x80 {
        der.push(length as u8);
        return;
    }
    let bytes = length.to_be_bytes();
    let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    der.push(0x80 | bytes.len() as u8);
    der.extend_from_slice(bytes);
}

#[cfg(test)]
pub(super) mod tests;

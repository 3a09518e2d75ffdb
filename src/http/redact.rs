//! Refusals without our own credentials in them: a debug page, a proxy or a careless service may repeat what it was
//! sent, and its words go into reports and logs.
//!
//! What lives here: what of a request is secret, and striking it out of an answer. What must not: answers that
//! granted something; they are data and stay as they came.

use base64::Engine as _;
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

/// Shorter texts are no credentials, and would strike out ordinary words.
const SHORTEST_SECRET: usize = 8;
const STRUCK_OUT: &str = "[secret]";

/// What a request proved itself with.
pub(crate) struct Sent(Vec<SecretString>);

impl Sent {
    /// The secrets in these headers and in a form body (RFC 6749 section 2.3.1, RFC 7523 section 2.2).
    pub(crate) fn of(headers: &HeaderMap, body: Option<&Bytes>) -> Sent {
        let mut secrets = Vec::new();
        for value in headers.get_all(AUTHORIZATION).iter().filter_map(|value| value.to_str().ok()) {
            let (scheme, credential) = value.split_once(' ').unwrap_or(("", value));
            if scheme.eq_ignore_ascii_case("basic") {
                secrets.extend(password_of(credential));
            }
            secrets.push(credential.to_owned());
        }
        secrets.extend(headers.get("dpop").and_then(|value| value.to_str().ok()).map(str::to_owned));
        let is_form = headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let form = body.filter(|_| is_form).map(|body| url::form_urlencoded::parse(body));
        for (name, value) in form.into_iter().flatten() {
            if matches!(&*name, "client_assertion" | "client_secret") {
                secrets.push(value.into_owned());
            }
        }
        secrets.retain(|secret| secret.len() >= SHORTEST_SECRET);
        Sent(secrets.into_iter().map(SecretString::from).collect())
    }

    /// `body` with every secret struck out, as it is and as URLs and JSON may spell it.
    pub(crate) fn struck_out(&self, body: Bytes) -> Bytes {
        let text = String::from_utf8_lossy(&body);
        match self.strike(&text) {
            Some(safe) => Bytes::from(safe),
            None => body,
        }
    }

    /// The same for headers: a challenge may hold a sentence.
    pub(crate) fn strike_out_headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            let safe = value.to_str().ok().and_then(|text| self.strike(text));
            if let Some(safe) = safe.and_then(|text| HeaderValue::from_str(&text).ok()) {
                *value = safe;
            }
        }
    }

    /// `None` where there was nothing to strike out.
    fn strike(&self, text: &str) -> Option<String> {
        let mut safe = None;
        for secret in &self.0 {
            let plain = secret.expose_secret();
            let in_url = utf8_percent_encode(plain, NON_ALPHANUMERIC).to_string();
            for spelling in [plain, &in_url, &plain.replace('/', "\\/")] {
                let current = safe.as_deref().unwrap_or(text);
                if current.contains(spelling) {
                    safe = Some(current.replace(spelling, STRUCK_OUT));
                }
            }
        }
        safe
    }
}

/// The password of an HTTP Basic credential (RFC 7617).
fn password_of(credential: &str) -> Option<String> {
    let pair = base64::engine::general_purpose::STANDARD.decode(credential).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    Some(pair.split_once(':')?.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(headers: &[(&'static str, &str)], body: &str) -> Sent {
        let headers = headers.iter().map(|(name, value)| {
            (reqwest::header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        Sent::of(&headers.collect(), Some(&Bytes::from(body.to_owned())))
    }

    fn struck_out(sent: &Sent, text: &str) -> String {
        String::from_utf8(sent.struck_out(Bytes::from(text.to_owned())).to_vec()).unwrap()
    }

    #[test]
    fn what_was_sent_is_struck_out_of_what_comes_back() {
        let bearer = sent(&[("authorization", "Bearer abc/def+12345"), ("dpop", "eyJ.proof.sig")], "");
        assert_eq!(struck_out(&bearer, "got Bearer abc/def+12345!"), "got Bearer [secret]!");
        assert_eq!(struck_out(&bearer, r#"{"t":"abc\/def+12345"}"#), r#"{"t":"[secret]"}"#);
        assert_eq!(struck_out(&bearer, "?token=abc%2Fdef%2B12345&x=1"), "?token=[secret]&x=1");
        assert_eq!(struck_out(&bearer, "proof eyJ.proof.sig"), "proof [secret]");
        assert_eq!(struck_out(&bearer, "token expired"), "token expired");
    }

    #[test]
    fn both_forms_of_a_basic_credential_and_a_client_assertion_are_secret() {
        let pair = base64::engine::general_purpose::STANDARD.encode("client:hunter2-hunter2");
        let basic = sent(&[("authorization", &format!("Basic {pair}"))], "");
        assert_eq!(struck_out(&basic, &format!("{pair} client hunter2-hunter2")), "[secret] client [secret]");
        let form = sent(
            &[("content-type", "application/x-www-form-urlencoded")],
            "grant_type=client_credentials&client_assertion=eyJhbGciOi.x.y%2B",
        );
        assert_eq!(
            struck_out(&form, "bad eyJhbGciOi.x.y+ client_credentials"),
            "bad [secret] client_credentials"
        );
    }

    #[test]
    fn a_short_word_is_no_secret() {
        assert_eq!(struck_out(&sent(&[("authorization", "Bearer T")], ""), "Try again"), "Try again");
    }

    #[test]
    fn a_challenge_is_struck_out_too() {
        let mut headers = HeaderMap::new();
        headers.insert("www-authenticate", HeaderValue::from_static("Bearer error=\"no 0123456789\""));
        sent(&[("authorization", "Bearer 0123456789")], "").strike_out_headers(&mut headers);
        assert_eq!(headers["www-authenticate"], "Bearer error=\"no [secret]\"");
    }
}

//! One HTTP request as the fakes see it, and the reply they give. No vendor's rules live here.

use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// Which of the three servers a request went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// The Okta organization.
    Okta,
    /// The OneLogin account.
    OneLogin,
    /// The SCIM 2.0 workspace.
    Scim,
}

/// A request, taken apart once so that handlers can match on method and path segments.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// The path as it was sent, still percent-encoded.
    pub(crate) path: String,
    pub(crate) raw_query: String,
    pub(crate) segments: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn new(method: Method, uri: &axum::http::Uri, headers: HeaderMap, body: Bytes) -> Self {
        let raw_query = uri.query().unwrap_or_default().to_owned();
        Self {
            method,
            path: uri.path().to_owned(),
            segments: uri.path().split('/').filter(|part| !part.is_empty()).map(decode).collect(),
            query: form(raw_query.as_bytes()),
            raw_query,
            headers,
            body,
        }
    }

    /// The first value of a query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A query parameter that is there and not empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.query(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.query(name)?.parse().ok()
    }

    /// Sets or replaces a query parameter.
    pub(crate) fn set_query(&mut self, name: &str, value: &str) {
        self.query.retain(|(key, _)| key != name);
        self.query.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Path segments as string slices, to match on.
    pub(crate) fn parts(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }
}

/// Decodes an `application/x-www-form-urlencoded` text.
pub(crate) fn form(text: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text).into_owned().collect()
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A reply before it is sent. Faults may change it.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// HTTP status code.
    pub status: u16,
    /// Header names and values in the order they are sent; a name may occur twice.
    pub headers: Vec<(String, String)>,
    /// The body as sent.
    pub body: Vec<u8>,
}

impl Reply {
    /// A reply without headers or body.
    pub fn empty(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// A JSON reply (`application/json`).
    pub fn json(status: u16, body: &Value) -> Self {
        Self::empty(status).with("content-type", "application/json").with_body(body.to_string())
    }

    /// The same reply with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same reply with this body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Replaces every header of this name by one.
    pub fn set_header(&mut self, name: &str, value: impl Into<String>) {
        self.remove_header(name);
        self.headers.push((name.to_owned(), value.into()));
    }

    /// Drops every header of this name.
    pub fn remove_header(&mut self, name: &str) {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    /// Rewrites a JSON body in place; a body that is not JSON stays as it is.
    pub fn edit_json(&mut self, edit: impl FnOnce(&mut Value)) {
        if let Ok(mut value) = serde_json::from_slice::<Value>(&self.body) {
            edit(&mut value);
            self.body = value.to_string().into_bytes();
        }
    }
}

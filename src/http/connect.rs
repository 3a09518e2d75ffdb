//! Connections: TLS, proxies, origins, and what a transport fault means.
//!
//! What lives here: building the `reqwest` client and turning its errors into sentences. What must not: retries.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Method;
use url::{Host, Url};

use super::HttpError;
use super::client_options::ClientOptions;

/// Connecting takes no longer than this, whatever the request's own timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle connections kept: more than a run's concurrency is never needed.
const POOL_MAX_IDLE: usize = 8;
/// Shorter than the idle timeouts of common load balancers, so that a kept connection is rarely a dead one.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// Builds the transport for one peer.
pub(super) fn build(options: &ClientOptions) -> Result<reqwest::Client, HttpError> {
    let peer = options.name.0;
    let loopback = is_loopback(&options.base);
    match options.base.scheme() {
        "https" => {}
        "http" if loopback => {}
        _ => {
            return Err(HttpError::NotSent {
                message: format!(
                    "{peer}: {} is not https; help: write the URL with https:// (http:// is for loopback only)",
                    options.base.origin().ascii_serialization()
                ),
            });
        }
    }
    let mut builder = reqwest::Client::builder()
        .user_agent(options.user_agent.as_str())
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT.min(options.timeout))
        .timeout(options.timeout)
        .pool_max_idle_per_host(POOL_MAX_IDLE)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .https_only(!loopback);
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
    {
        // Else the kernel goes on delivering a request that was given up, and it may arrive after its successor.
        builder = builder.tcp_user_timeout(options.timeout);
    }
    builder = match &options.proxy {
        Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.as_str()).map_err(|error| {
            HttpError::NotSent { message: format!("{peer}: the proxy cannot be used: {}", cause(&error)) }
        })?),
        None if loopback => builder.no_proxy(),
        None => builder,
    };
    if let Some(path) = &options.ca_file {
        builder = builder.tls_certs_merge(certificates(peer, path)?);
    } else if options.base.scheme() == "http" {
        // Loopback fakes must work on a machine without any trust store.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| HttpError::NotSent { message: build_failure(peer, &error) })
}

/// The trust anchors of a PEM bundle, of which there must be one at least.
fn certificates(peer: &str, path: &Path) -> Result<Vec<reqwest::Certificate>, HttpError> {
    let pem = std::fs::read(path).map_err(|error| HttpError::NotSent {
        message: format!("{peer}: cannot read ca_file {}: {error}", path.display()),
    })?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(HttpError::NotSent {
            message: format!("{peer}: ca_file {} holds no certificate in PEM form", path.display()),
        }),
    }
}

fn build_failure(peer: &str, error: &reqwest::Error) -> String {
    let cause = cause(error);
    if cause.contains("No CA certificates") {
        format!(
            "{peer}: this machine has no trusted CA certificates, so no https connection can be checked; \
             help: install the package ca-certificates, or set ca_file to a PEM bundle"
        )
    } else {
        format!("{peer}: cannot set up connections: {cause}")
    }
}

/// Whether the host is this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

/// Scheme, host and port are equal, and nobody hides a user name in the URL.
pub(super) fn same_origin(base: &Url, url: &Url) -> bool {
    base.scheme() == url.scheme()
        && base.host_str() == url.host_str()
        && base.port_or_known_default() == url.port_or_known_default()
        && url.username().is_empty()
        && url.password().is_none()
}

/// Method, origin and path. Never the query: its values may be personal.
pub(super) fn describe(method: &Method, url: &Url) -> String {
    format!("{method} {}{}", url.origin().ascii_serialization(), url.path())
}

/// The innermost reasons of a transport error, without its URL.
pub(super) fn cause(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut source: Option<&dyn Error> = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        if !text.is_empty() && parts.last() != Some(&text) {
            parts.push(text);
        }
        source = inner.source();
    }
    match parts.len() {
        0 => "unexpected transport error".to_owned(),
        // The outer layers only say that the client could not do it.
        count => parts.split_off(count.saturating_sub(2)).join(": "),
    }
}

/// The error of a request that got no complete answer.
pub(super) fn classify(method: &Method, url: &Url, error: &reqwest::Error) -> HttpError {
    let what = describe(method, url);
    if error.is_connect() || error.is_builder() {
        let cause = cause(error);
        if cause.contains("certificate") {
            let help = "help: behind a TLS-inspecting proxy, or with a private authority, set ca_file to its CA certificate \
                        (PEM)";
            return HttpError::Distrusted { message: format!("{what}: cannot connect: {cause}; {help}") };
        }
        let help =
            if error.is_dns() { "; help: check the host name and the DNS of this machine" } else { "" };
        return HttpError::NotSent { message: format!("{what}: cannot connect: {cause}{help}") };
    }
    let message = if error.is_timeout() {
        format!("{what}: no complete answer in time")
    } else {
        format!("{what}: the connection broke before the answer was complete: {}", cause(error))
    };
    HttpError::Unanswered { message }
}

/// Reads the whole body, at most `limit_bytes` of it, and holds it against `Content-Length`.
pub(super) async fn read_body(
    method: &Method,
    url: &Url,
    mut response: reqwest::Response,
    limit_bytes: u64,
) -> Result<Bytes, HttpError> {
    // Gone where the body came compressed: then the length is that of the compressed bytes.
    let told = response
        .headers()
        .get(reqwest::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    let bodiless = matches!(response.status().as_u16(), 204 | 304) || *method == Method::HEAD;
    let too_large = || HttpError::TooLarge {
        message: format!("{}: the answer is larger than {limit_bytes} bytes", describe(method, url)),
    };
    if told.is_some_and(|length| length > limit_bytes) && !bodiless {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| classify(method, url, &error))? {
        if body.len() as u64 + chunk.len() as u64 > limit_bytes {
            return Err(too_large());
        }
        if body.is_empty() {
            body.reserve(told.unwrap_or(0).min(limit_bytes) as usize);
        }
        body.extend_from_slice(&chunk);
    }
    match told {
        Some(length) if length != body.len() as u64 && !bodiless => Err(HttpError::Unanswered {
            message: format!(
                "{}: the answer was cut after {} of {length} bytes",
                describe(method, url),
                body.len()
            ),
        }),
        Some(_) | None => Ok(body.freeze()),
    }
}

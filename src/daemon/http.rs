//! The HTTP side of the daemon: pages for people, status, metrics, health. Read-only, and from stored data only.
//!
//! *Invariants*: nothing here writes to the state; nothing here asks the identity provider or the workspace; only GET
//! and HEAD are answered; who was not asked for by a name of this machine is refused, so that a web page of somebody
//! else cannot read along (DNS rebinding).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, serve as serve_connections};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::config::Config;
use crate::daemon::heartbeat::Heartbeat;
use crate::daemon::http::connection_limit::ConnectionLimit;
use crate::store::Snapshot;
use crate::telemetry::metrics::Metrics;

mod answers;
mod connection_limit;
mod pages;

/// An answer that takes longer is not worth waiting for.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Answers that are made at once: they share one connection, and each may take the memory of a large run.
const MOST_READERS: usize = 2;
/// What may still be answered once the daemon stops.
const FAREWELL: Duration = Duration::from_secs(2);
/// Where an answer has no policy of its own: nothing is loaded, framed, or sent anywhere.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the answers are made from.
#[derive(Clone)]
pub struct HttpState {
    /// A reader of the state of its own: no page keeps a run waiting for the database.
    pub snapshot: Arc<Snapshot>,
    /// The metrics.
    pub metrics: Metrics,
    /// The configuration as it is now.
    pub config: watch::Receiver<Arc<Config>>,
    /// Whether the loop turns.
    pub heartbeat: Arc<Heartbeat>,
}

#[derive(Clone)]
struct Shared {
    state: HttpState,
    local: SocketAddr,
    /// Whoever reads the state.
    readers: Arc<Semaphore>,
}

/// Binds the address.
///
/// # Errors
/// For people: where the address is not loopback and `public` is not set, or it cannot be bound.
pub async fn bind(address: SocketAddr, public: bool) -> Result<TcpListener, String> {
    if !public && !address.ip().is_loopback() {
        return Err(format!(
            "refused to listen on {address}: it is not a loopback address, and the status page asks for no \
             password\nhelp: write daemon.listen = \"127.0.0.1:9464\", or daemon.listen_public = true"
        ));
    }
    TcpListener::bind(address).await.map_err(|error| {
        format!(
            "cannot listen on {address}: {error}\nhelp: another program may have this port; choose another one for \
             daemon.listen"
        )
    })
}

/// Answers until `stop` becomes true (or its sender is gone).
///
/// # Errors
/// For people: where the listener has no address.
pub async fn serve(
    listener: TcpListener,
    state: HttpState,
    stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let local = listener.local_addr().map_err(|error| format!("cannot serve the status page: {error}"))?;
    let shared = Shared { state, local, readers: Arc::new(Semaphore::new(MOST_READERS)) };
    let router = Router::new()
        .route("/", get(pages::status))
        .route("/runs", get(pages::runs))
        .route("/runs/{number}", get(pages::run))
        .route("/person", get(pages::person))
        .route("/assets/{version}/{name}", get(pages::asset))
        .route("/healthz", get(answers::health))
        .route("/readyz", get(answers::readiness))
        .route("/metrics", get(answers::metrics))
        .route("/api/status", get(answers::status))
        .route("/api/runs", get(answers::runs))
        .route("/api/runs/{number}", get(answers::run))
        .fallback(pages::nowhere)
        .layer(from_fn_with_state(shared.clone(), guarded))
        .with_state(shared);
    let server = serve_connections(ConnectionLimit::new(listener), router)
        .with_graceful_shutdown(stopped(stop.clone()));
    tokio::select! {
        ended = server.into_future() => ended.map_err(|error| format!("the status page ended: {error}")),
        () = async { stopped(stop).await; tokio::time::sleep(FAREWELL).await } => Ok(()),
    }
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the daemon.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// What holds for every request: whose name it carries, what it may ask, how long it may take, what goes with it.
async fn guarded(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = if !is_asked_for(request.headers(), request.uri(), shared.local) {
        let text = "this is not the host that was asked for; use localhost or the address of daemon.listen\n";
        (StatusCode::MISDIRECTED_REQUEST, text).into_response()
    } else if ![Method::GET, Method::HEAD].contains(request.method()) {
        let allow = [(header::ALLOW, HeaderValue::from_static("GET, HEAD"))];
        (StatusCode::METHOD_NOT_ALLOWED, allow, "only GET and HEAD: nothing is written here\n")
            .into_response()
    } else {
        // Whether the daemon is alive is said without the state.
        let needs_state = request.uri().path() != "/healthz";
        let readers = shared.readers.clone();
        let answered = async {
            let _turn = if needs_state { readers.acquire().await.ok() } else { None };
            next.run(request).await
        };
        tokio::time::timeout(ANSWER_WITHIN, answered).await.unwrap_or_else(|_| {
            (StatusCode::SERVICE_UNAVAILABLE, "the state did not answer in time\n").into_response()
        })
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        // One request a connection: whoever keeps one open keeps it from others.
        (header::CONNECTION, "close"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Whether the request names this machine, everywhere it names one (RFC 9110 section 7.2).
fn is_asked_for(headers: &HeaderMap, uri: &Uri, local: SocketAddr) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let named = [host.to_str().ok(), uri.authority().map(|authority| authority.as_str())];
    let ours = |name: &str| name.parse().is_ok_and(|authority| is_ours(&authority, local));
    host.to_str().is_ok() && named.into_iter().flatten().all(ours)
}

/// A name can be made to point anywhere, an address cannot. So addresses of ours are taken, and of names only the one
/// that never leaves the machine (RFC 6761 section 6.3).
fn is_ours(authority: &axum::http::uri::Authority, local: SocketAddr) -> bool {
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    match host.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback() || address == local.ip() || local.ip().is_unspecified(),
        Err(_) => host.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(host: &str, local: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        is_asked_for(&headers, &Uri::from_static("/metrics"), local.parse().unwrap())
    }

    #[test]
    fn names_of_this_machine_are_taken_and_others_are_not() {
        for host in ["localhost", "LocalHost:9464", "127.0.0.1:1", "127.1.2.3", "[::1]:9464", "localhost."] {
            assert!(is_taken(host, "127.0.0.1:9464"), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9464",
            "localhost.evil.example",
            "10.0.0.7",
            "a@localhost",
            "",
            "::1",
        ] {
            assert!(!is_taken(host, "127.0.0.1:9464"), "{host:?}");
        }
    }

    #[test]
    fn a_public_address_is_taken_by_its_number_only() {
        assert!(is_taken("10.0.0.7:9464", "10.0.0.7:9464") && !is_taken("10.0.0.8", "10.0.0.7:9464"));
        assert!(is_taken("10.0.0.7", "0.0.0.0:9464") && !is_taken("rosterd.example", "0.0.0.0:9464"));
    }

    #[test]
    fn an_absolute_address_two_hosts_or_none_do_not_get_past() {
        let local: SocketAddr = "127.0.0.1:9464".parse().unwrap();
        let mut headers = HeaderMap::new();
        assert!(!is_asked_for(&headers, &Uri::from_static("/"), local), "no Host");
        headers.append(header::HOST, HeaderValue::from_static("localhost"));
        assert!(is_asked_for(&headers, &Uri::from_static("/"), local));
        assert!(!is_asked_for(&headers, &Uri::from_static("http://evil.example/"), local));
        headers.append(header::HOST, HeaderValue::from_static("localhost"));
        assert!(!is_asked_for(&headers, &Uri::from_static("/"), local), "two of them");
    }
}

//! The client against a server that misbehaves: what is repeated, what is not, and what is told.

use super::*;
use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::http::Lane;
use crate::http::credentials::{NoCredentials, StaticBearer};
use crate::http::pacer::{PacerOptions, RetryPolicy};

/// A peer that answers each connection with the next of these bytes, then closes it.
pub(crate) struct Peer {
    pub(crate) base: Url,
    heard: Arc<Mutex<Vec<String>>>,
}

pub(crate) async fn peer<A: Into<Vec<u8>>>(answers: impl IntoIterator<Item = A>) -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut answers: VecDeque<Vec<u8>> = answers.into_iter().map(Into::into).collect();
    let sink = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Some(answer) = answers.pop_front() {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 16 * 1024];
            let read = stream.read(&mut buffer).await.unwrap();
            sink.lock().unwrap().push(String::from_utf8_lossy(&buffer[..read]).into_owned());
            stream.write_all(&answer).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    Peer { base, heard }
}

pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

fn options(base: &Url) -> ClientOptions {
    let retry = RetryPolicy {
        first_delay: Duration::from_millis(1),
        longest_delay: Duration::from_millis(2),
        ..RetryPolicy::default()
    };
    let pacer = Pacer::with_retry(PacerOptions::requests_per_minute(60_000, 0), retry);
    ClientOptions::new(PeerName("peer"), base.clone(), Arc::new(pacer))
}

pub(crate) fn client(peer: &Peer) -> Client {
    Client::new(options(&peer.base), Arc::new(NoCredentials)).unwrap()
}

fn read(peer: &Peer) -> Request {
    Request::get(peer.base.join("things?secret=ann").unwrap(), Lane::General)
}

fn write(peer: &Peer) -> Request {
    Request {
        method: Method::POST,
        url: peer.base.join("things").unwrap(),
        headers: HeaderMap::new(),
        body: Some(Bytes::from_static(b"{}")),
        lane: Lane::General,
        replay: Replay::OnlyIfNotProcessed,
        not_after: None,
    }
}

#[tokio::test]
async fn a_read_is_repeated_on_server_faults_and_cut_bodies() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\nhalf".to_owned();
    let peer =
        peer([answer("500 Oops", "", ""), cut, answer("503 Busy", "", ""), answer("200 OK", "", "whole")])
            .await;
    let client = client(&peer);
    let answer = client.send(read(&peer)).await.unwrap();
    assert_eq!((answer.status, &answer.body[..], answer.attempts), (200, &b"whole"[..], 4));
    let counters = client.counters();
    assert_eq!((counters.requests, counters.retries), (4, 3));
    assert_eq!(counters.by_status, [(0, 1), (200, 1), (500, 1), (503, 1)].into());
}

#[tokio::test]
async fn a_lasting_fault_is_returned_as_it_came() {
    let peer = peer((0..5).map(|_| answer("502 Bad", "", "why"))).await;
    let answer = client(&peer).send(read(&peer)).await.unwrap();
    assert_eq!((answer.status, &answer.body[..], answer.attempts), (502, &b"why"[..], 5));
}

#[tokio::test]
async fn a_body_that_is_always_cut_is_no_answer() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\nhalf";
    let peer = peer((0..5).map(|_| cut.to_owned())).await;
    let error = client(&peer).send(read(&peer)).await.unwrap_err();
    assert!(matches!(error, HttpError::Unanswered { .. }), "{error:?}");
    assert!(error.to_string().contains("/things"), "{error}");
    assert!(!error.to_string().contains("ann"), "a query may be personal: {error}");
}

#[tokio::test]
async fn a_write_with_an_unknown_outcome_is_never_repeated() {
    let peer = peer([String::new(), answer("201 Created", "", "")]).await;
    let error = client(&peer).send(write(&peer)).await.unwrap_err();
    assert!(matches!(error, HttpError::Unanswered { .. }), "{error:?}");
    assert_eq!(peer.heard.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_write_is_not_repeated_on_a_server_fault_but_on_429() {
    let peer = peer([
        answer("429 Slow", "retry-after: 0\r\n", ""),
        answer("504 Gateway", "", ""),
        answer("201 Created", "", ""),
    ])
    .await;
    let client = client(&peer);
    let answer = client.send(write(&peer)).await.unwrap();
    assert_eq!((answer.status, answer.attempts), (504, 2));
    assert_eq!(client.counters().rate_limited, 1);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_nobody_should_sit_through_returns_the_refusal() {
    let peer = peer([answer("429 Slow", "retry-after: 86400\r\n", "")]).await;
    let client = client(&peer);
    assert_eq!(client.send(read(&peer)).await.unwrap().status, 429);
    let error = client.send(read(&peer)).await.unwrap_err();
    assert!(matches!(&error, HttpError::NotSent { message } if message.contains("later")), "{error:?}");
    assert_eq!(client.counters().requests, 1);
}

#[tokio::test]
async fn a_refused_connection_means_nothing_was_sent() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}/", unused.local_addr().unwrap())).unwrap();
    drop(unused);
    let client = Client::new(options(&base), Arc::new(NoCredentials)).unwrap();
    let peer = Peer { base, heard: Arc::default() };
    let error = client.send(write(&peer)).await.unwrap_err();
    assert!(matches!(error, HttpError::NotSent { .. }), "{error:?}");
}

#[tokio::test]
async fn another_origin_is_refused_before_anything_is_sent() {
    let peer = peer(Vec::<String>::new()).await;
    let client = client(&peer);
    let mut port = peer.base.clone();
    port.set_port(Some(1)).unwrap();
    let mut user = peer.base.clone();
    user.set_username("ann").unwrap();
    for url in ["https://evil.example/x", "http://localhost.evil.example/", port.as_str(), user.as_str()] {
        let request = Request::get(Url::parse(url).unwrap(), Lane::General);
        let error = client.send(request).await.unwrap_err();
        assert!(matches!(error, HttpError::ForeignOrigin { .. }), "{url}: {error:?}");
    }
    assert_eq!(client.counters().requests, 0);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let peer = peer([answer("302 Found", "location: /elsewhere\r\n", "")]).await;
    let client = client(&peer);
    assert_eq!(client.send(read(&peer)).await.unwrap().status, 302);
    assert_eq!(client.counters().requests, 1);
}

#[tokio::test]
async fn a_body_above_the_limit_ends_the_request_told_or_not() {
    let streamed = "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n";
    for text in [answer("200 OK", "", "123456789"), streamed.to_owned()] {
        let peer = peer([text]).await;
        let limited = ClientOptions { body_limit_bytes: 8, ..options(&peer.base) };
        let client = Client::new(limited, Arc::new(NoCredentials)).unwrap();
        let error = client.send(read(&peer)).await.unwrap_err();
        assert!(matches!(error, HttpError::TooLarge { .. }), "{error:?}");
    }
}

/// `whole`, compressed.
const GZIP: [u8; 25] =
    [31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 43, 207, 200, 207, 73, 5, 0, 79, 41, 89, 196, 5, 0, 0, 0];

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        bytes.len()
    );
    [head.as_bytes(), bytes].concat()
}

#[tokio::test]
async fn a_compressed_body_is_read_and_one_whose_end_is_missing_is_no_answer() {
    let peer = peer([compressed(&GZIP[..15]), compressed(&GZIP)]).await;
    let answer = client(&peer).send(read(&peer)).await.unwrap();
    assert_eq!((&answer.body[..], answer.attempts), (&b"whole"[..], 2));
    let heard = peer.heard.lock().unwrap();
    assert!(heard[0].contains("accept-encoding: gzip"), "{}", heard[0]);
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let impatient = ClientOptions { timeout: Duration::from_millis(20), ..options(&base) };
    let client = Client::new(impatient, Arc::new(NoCredentials)).unwrap();
    let peer = Peer { base, heard: Arc::default() };
    let error = client.send(write(&peer)).await.unwrap_err();
    assert!(matches!(&error, HttpError::Unanswered { message } if message.contains("in time")), "{error:?}");
}

#[tokio::test]
async fn the_configured_proxy_is_asked_for_every_request_pain_91() {
    let proxy = peer([answer("200 OK", "", "by proxy")]).await;
    let base = Url::parse("http://127.0.0.1:9/").unwrap();
    let proxied = ClientOptions { proxy: Some(proxy.base.clone()), ..options(&base) };
    let client = Client::new(proxied, Arc::new(NoCredentials)).unwrap();
    let request = Request::get(base.join("things").unwrap(), Lane::General);
    assert_eq!(&client.send(request).await.unwrap().body[..], b"by proxy");
    assert!(proxy.heard.lock().unwrap()[0].starts_with("GET http://127.0.0.1:9/things"));
}

#[test]
fn a_ca_file_that_cannot_be_used_is_named_pain_93() {
    let base = Url::parse("https://acme.example/").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    for path in [empty, directory.path().join("missing.pem")] {
        let with_ca = ClientOptions { ca_file: Some(path.clone()), ..options(&base) };
        let error = Client::new(with_ca, Arc::new(NoCredentials)).unwrap_err().to_string();
        assert!(error.contains("ca_file") && error.contains(path.to_str().unwrap()), "{error}");
    }
}

#[tokio::test]
async fn a_token_is_read_again_once_after_a_401() {
    let secrets = Mutex::new(VecDeque::from(["old", "new", "new"]));
    let bearer = StaticBearer::with_scheme("SSWS", move || {
        Ok(SecretString::from(secrets.lock().unwrap().pop_front().unwrap_or("new").to_owned()))
    });
    let refusal = || answer("401 No", "", "");
    let peer = peer([refusal(), answer("200 OK", "", ""), refusal(), refusal()]).await;
    let client = Client::new(options(&peer.base), Arc::new(bearer)).unwrap();
    assert_eq!(client.send(read(&peer)).await.unwrap().status, 200);
    // The same token again: nothing changed, so the 401 stands.
    assert_eq!(client.send(read(&peer)).await.unwrap().status, 401);
    let heard = peer.heard.lock().unwrap();
    assert_eq!(heard.len(), 3);
    assert!(heard[0].contains("SSWS old") && heard[1].contains("SSWS new"), "{heard:?}");
}

#[tokio::test]
async fn every_attempt_is_authorised_afresh() {
    struct Counted(Mutex<u32>);
    impl Credentials for Counted {
        fn authorise<'a>(&'a self, _: &'a Method, _: &'a Url) -> BoxFuture<'a, Result<HeaderMap, HttpError>> {
            Box::pin(async move {
                let mut count = self.0.lock().unwrap();
                *count += 1;
                let mut headers = HeaderMap::new();
                headers.insert(AUTHORIZATION, format!("proof-{count}").parse().unwrap());
                Ok(headers)
            })
        }
        fn refused<'a>(&'a self, _: &'a Answer) -> BoxFuture<'a, bool> {
            Box::pin(async { false })
        }
    }
    let peer = peer([answer("500 Oops", "", ""), answer("200 OK", "", "")]).await;
    let client = Client::new(options(&peer.base), Arc::new(Counted(Mutex::new(0)))).unwrap();
    client.send(read(&peer)).await.unwrap();
    let heard = peer.heard.lock().unwrap();
    assert!(heard[0].contains("proof-1") && heard[1].contains("proof-2"), "{heard:?}");
}

#[tokio::test]
async fn the_retry_budget_ends_the_repetitions_of_a_peer_that_always_fails() {
    let peer = peer((0..200).map(|_| answer("500 Oops", "", ""))).await;
    let client = client(&peer);
    for _ in 0..20 {
        assert_eq!(client.send(read(&peer)).await.unwrap().status, 500);
    }
    assert_eq!(client.counters().retries, 50);
}

#[test]
fn plain_http_is_for_loopback_only() {
    let refused = Client::new(options(&Url::parse("http://acme.example/").unwrap()), Arc::new(NoCredentials));
    assert!(refused.unwrap_err().to_string().contains("https"));
}

#[test]
fn no_debug_output_shows_a_token() {
    let bearer = StaticBearer::new(|| Ok(SecretString::from("hunter2".to_owned())));
    assert!(!format!("{bearer:?}").contains("hunter2"));
    let header = crate::http::credentials::sensitive("Bearer hunter2").unwrap();
    assert!(!format!("{header:?}").contains("hunter2"));
}

/// A write that may go for so long.
fn write_within(peer: &Peer, time: Duration) -> Request {
    Request { not_after: Some(Instant::now() + time), ..write(peer) }
}

#[tokio::test]
async fn a_request_whose_time_is_over_is_not_sent_and_says_so() {
    let peer = peer([answer("429 Slow", "retry-after: 150\r\n", ""), answer("200 OK", "", "")]).await;
    let client = client(&peer);
    // Refused once, and the gate opens after its end.
    let error = client.send(write_within(&peer, Duration::from_secs(120))).await.unwrap_err();
    assert!(matches!(&error, HttpError::Expired { message } if message.contains("not sent")), "{error:?}");
    // The gate is closed already.
    let error = client.send(write_within(&peer, Duration::from_secs(60))).await.unwrap_err();
    assert!(matches!(error, HttpError::Expired { .. }), "{error:?}");
    assert_eq!((client.counters().requests, peer.heard.lock().unwrap().len()), (1, 1));
    let opens_in = client.pacer().opens_in(Lane::General, "all");
    assert!((148..=150).contains(&opens_in.as_secs()), "{opens_in:?}");
    // Over before it began.
    let error = client.send(write_within(&peer, Duration::ZERO)).await.unwrap_err();
    assert!(matches!(error, HttpError::Expired { .. }), "{error:?}");
}

#[tokio::test]
async fn a_repetition_after_the_end_is_not_sent() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}/", unused.local_addr().unwrap())).unwrap();
    drop(unused);
    let retry = RetryPolicy { first_delay: Duration::from_secs(30), ..RetryPolicy::default() };
    let pacer = Pacer::with_retry(PacerOptions::requests_per_minute(60_000, 0), retry);
    let patient = ClientOptions::new(PeerName("peer"), base.clone(), Arc::new(pacer));
    let client = Client::new(patient, Arc::new(NoCredentials)).unwrap();
    let nobody = Peer { base, heard: Arc::default() };
    let error = client.send(write_within(&nobody, Duration::from_secs(20))).await.unwrap_err();
    assert!(matches!(error, HttpError::Expired { .. }), "the backoff leads past the end: {error:?}");

    // What a read was answered stays its answer: only its repetition does not go.
    let peer = peer([answer("500 Oops", "", "why")]).await;
    let pacer = Pacer::with_retry(PacerOptions::requests_per_minute(60_000, 0), retry);
    let patient = ClientOptions::new(PeerName("peer"), peer.base.clone(), Arc::new(pacer));
    let client = Client::new(patient, Arc::new(NoCredentials)).unwrap();
    let request = Request { not_after: Some(Instant::now() + Duration::from_secs(20)), ..read(&peer) };
    assert_eq!(client.send(request).await.unwrap().status, 500);
}

#[tokio::test]
async fn a_token_that_takes_too_long_to_fetch_leaves_a_request_unsent() {
    struct Slow;
    impl Credentials for Slow {
        fn authorise<'a>(&'a self, _: &'a Method, _: &'a Url) -> BoxFuture<'a, Result<HeaderMap, HttpError>> {
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(60)).await;
                Ok(HeaderMap::new())
            })
        }
        fn refused<'a>(&'a self, _: &'a Answer) -> BoxFuture<'a, bool> {
            Box::pin(async { false })
        }
    }
    let peer = peer(Vec::<String>::new()).await;
    let client = Client::new(options(&peer.base), Arc::new(Slow)).unwrap();
    let error = client.send(write_within(&peer, Duration::from_millis(30))).await.unwrap_err();
    assert!(matches!(error, HttpError::Expired { .. }), "{error:?}");
    assert_eq!(client.counters().requests, 0);
}

#[tokio::test]
async fn the_date_of_the_answers_tells_how_far_our_clock_is_off() {
    let date = |ahead: i64| {
        let at = std::time::SystemTime::now();
        let shift = Duration::from_secs(ahead.unsigned_abs());
        let at = if ahead < 0 { at - shift } else { at + shift };
        format!("date: {}\r\n", httpdate::fmt_http_date(at))
    };
    let aged = format!("age: 3\r\n{}", date(0));
    let answers = [String::new(), aged, date(7_200), date(-400), date(0)];
    let peer = peer(answers.map(|headers| answer("200 OK", &headers, ""))).await;
    let client = client(&peer);
    let mut told = Vec::new();
    for _ in 0..5 {
        client.send(read(&peer)).await.unwrap();
        told.push(client.clock_witness().map(|witness| (witness.offset_millis + 200) / 1_000));
    }
    assert_eq!(told[..2], [None, None], "no date, and one that was kept on the way");
    assert!(told[2].is_some_and(|seconds| (7_198..=7_200).contains(&seconds)), "{told:?}");
    assert!(told[3].is_some_and(|seconds| (-400..=-397).contains(&seconds)), "the nearer one: {told:?}");
    assert_eq!(told[4], Some(0), "{told:?}");
    client.forget_clock_witness();
    assert_eq!(client.clock_witness(), None);
}

/// The kernel would otherwise deliver it as soon as the peer reads again.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_request_that_was_given_up_is_not_delivered_later() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let timeout = Duration::from_secs(1);
    let impatient = ClientOptions { timeout, ..options(&base) };
    let client = Client::new(impatient, Arc::new(NoCredentials)).unwrap();
    let peer = Peer { base, heard: Arc::default() };
    let body = Bytes::from(vec![b'x'; 32 * 1024 * 1024]);
    let request = Request { body: Some(body), ..write(&peer) };
    let reader = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // A peer that hangs for longer than the request's own time, and then goes on.
        tokio::time::sleep(4 * timeout).await;
        let mut buffer = vec![0; 1024 * 1024];
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(error.kind()),
            }
        }
    });
    let error = client.send(request).await.unwrap_err();
    assert!(matches!(error, HttpError::Unanswered { .. }), "{error:?}");
    assert_eq!(reader.await.unwrap(), Err(std::io::ErrorKind::ConnectionReset), "the rest was not delivered");
}

//! Who is refused, and what every answer carries.

use crate::stage::Stage;
use rosterd::daemon::http::bind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_name_that_is_not_of_this_machine_is_misdirected() {
    let stage = Stage::new().await;
    let port = stage.address.port();
    for host in ["localhost", "127.0.0.1", &format!("localhost:{port}"), &format!("[::1]:{port}")] {
        let answer = stage.ask(&format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    for host in ["evil.example", &format!("evil.example:{port}"), "192.0.2.1", "localhost.evil.example"] {
        for path in ["/", "/runs", "/person?who=ann", "/healthz", "/api/status", "/nothing"] {
            let answer = stage.ask(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
            assert_eq!(answer.status, 421, "{host}{path}");
            assert!(!answer.body.contains("sync"), "{answer:?}");
        }
    }
    let absolute = "GET http://evil.example/api/status HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(stage.ask(absolute).await.status, 421);
    assert_eq!(stage.ask("GET /api/status HTTP/1.0\r\n\r\n").await.status, 421, "no name at all");
}

#[tokio::test]
async fn only_get_and_head_are_answered() {
    let stage = Stage::new().await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        for path in ["/", "/runs", "/person?who=ann", "/api/status", "/nothing"] {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
            let answer = stage.ask(&request).await;
            assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method} {path}");
        }
    }
    for path in ["/", "/runs", "/person?who=ann", "/healthz", "/api/status", "/metrics"] {
        let head = stage.ask(&format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
    }
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_keep_browsers_in_check() {
    let stage = Stage::new().await;
    for path in
        ["/", "/runs", "/runs/1", "/person", "/metrics", "/api/status", "/nothing", "/api/nothing", "/readyz"]
    {
        let answer = stage.get(path).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("connection", "close"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn whoever_dawdles_is_shown_out() {
    let stage = Stage::new().await;
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: local").await.unwrap();
    // Answered after the one that dawdles was let in, so that its time runs.
    assert_eq!(stage.get("/healthz").await.status, 200);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    let mut rest = Vec::new();
    // Closed or reset, both without an answer.
    let _ = stream.read_to_end(&mut rest).await;
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
    assert_eq!(stage.get("/metrics").await.status, 200, "and others are served");
}

#[tokio::test]
async fn a_crowd_that_says_nothing_does_not_keep_others_out_for_long() {
    let stage = Stage::new().await;
    let mut crowd = Vec::new();
    for _ in 0..80 {
        crowd.push(TcpStream::connect(stage.address).await.unwrap());
    }
    // What nobody will answer yet: whoever is in stays for half a minute.
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    // It needs nothing that takes time of its own, which would be years to a clock that stands still.
    let answer = stage.get("/healthz").await;
    let waited = began.elapsed();
    assert_eq!(answer.status, 200);
    assert!(waited >= Duration::from_secs(29), "there was room all along: {waited:?}");
    tokio::time::resume();
    drop(crowd);
}

#[tokio::test]
async fn a_public_address_is_refused_unless_somebody_asked_for_it() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let refusal = bind(address.parse().unwrap(), false).await.unwrap_err();
        assert!(
            refusal.starts_with("refused to listen on") && refusal.contains("listen_public"),
            "{refusal}"
        );
    }
    bind("0.0.0.0:0".parse().unwrap(), true).await.unwrap();
    let taken = bind("127.0.0.1:0".parse().unwrap(), false).await.unwrap();
    let refusal = bind(taken.local_addr().unwrap(), false).await.unwrap_err();
    assert!(refusal.starts_with("cannot listen on 127.0.0.1:") && refusal.contains("help: "), "{refusal}");
}

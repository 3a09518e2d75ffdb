//! What each endpoint answers, and when.

use crate::stage::Stage;
use rosterd::sim::{Effect, Fault, Peer, okta_error};
use serde_json::json;
use std::time::Duration;

/// Lets time pass for the program, without waiting.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn the_daemon_is_alive_while_its_loop_turns() {
    let stage = Stage::new().await;
    assert_eq!(
        (stage.get("/healthz").await.status, stage.get("/healthz").await.body.as_str()),
        (200, "ok\n")
    );
    pass(Duration::from_secs(151)).await;
    let answer = stage.get("/healthz").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.starts_with("the loop has not turned for 151 s"), "{answer:?}");
    stage.heartbeat.beat();
    assert_eq!(stage.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn it_is_ready_after_a_success_and_not_in_quarantine() {
    let stage = Stage::new().await;
    stage.hire("ann");
    let answer = stage.get("/readyz").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (503, "sync \"default\": no full run has succeeded yet\n")
    );
    stage.reconcile().await;
    assert_eq!(stage.get("/readyz").await.status, 200);
    let refusal = okta_error(401, "E0000011", "Invalid token \u{1b}[31m");
    stage.sim.faults().add(Fault::on(Peer::Okta).then(Effect::Answer(refusal)));
    // Five full runs in a row; refused credentials alone need two runs a minute apart.
    for _ in 0..5 {
        stage.reconcile().await;
    }
    let answer = stage.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.starts_with("sync \"default\": in quarantine until 2"), "{answer:?}");
    assert!(!answer.body.contains('\u{1b}'));
    stage.sim.faults().clear();
    stage.reconcile().await;
    assert_eq!(stage.get("/readyz").await.body, "ready\n");
}

#[tokio::test]
async fn every_sync_of_the_configuration_as_it_is_now_must_be_ready() {
    let stage = Stage::new().await;
    stage.reconcile().await;
    assert_eq!(stage.get("/readyz").await.status, 200);
    stage.reload(&["default", "second"]);
    let answer = stage.get("/readyz").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (503, "sync \"second\": no full run has succeeded yet\n")
    );
}

#[tokio::test]
async fn the_status_is_the_document_of_the_command() {
    let stage = Stage::new().await;
    stage.hire("ann");
    stage.reconcile().await;
    let document = stage.get("/api/status").await.json();
    assert_eq!((&document["schema"], &document["healthy"]), (&json!("rosterd.status/1"), &json!(true)));
    let sync = &document["syncs"][0];
    assert_eq!((&sync["sync"], &sync["accounts"]["active"]), (&json!("default"), &json!(1)));
    assert_eq!(sync["last_run"]["trigger"], "schedule");
}

#[tokio::test]
async fn runs_are_listed_and_each_can_be_read_again() {
    let stage = Stage::new().await;
    stage.hire("ann");
    for _ in 0..3 {
        stage.reconcile().await;
    }
    let numbers = |document: serde_json::Value| -> Vec<i64> {
        assert_eq!(document["schema"], "rosterd.history/1");
        document["runs"].as_array().unwrap().iter().map(|run| run["run"].as_i64().unwrap()).collect()
    };
    assert_eq!(numbers(stage.get("/api/runs").await.json()), [3, 2, 1]);
    assert_eq!(numbers(stage.get("/api/runs?limit=2&sync=default").await.json()), [3, 2]);
    assert_eq!(numbers(stage.get("/api/runs?sync=other").await.json()), [0_i64; 0]);
    let document = stage.get("/api/runs/1").await.json();
    assert_eq!(document["schema"], "rosterd.report/1");
    let line = &document["syncs"][0]["actions"][0];
    assert_eq!((&line["action"], &line["user"]), (&json!("create"), &json!("ann@acme.example")));
}

#[tokio::test]
async fn what_is_not_there_or_cannot_be_meant_says_so() {
    let stage = Stage::new().await;
    for (path, status) in [
        ("/api/runs/1", 404),
        ("/api/runs/one", 404),
        ("/api/runs/99999999999999999999", 404),
        ("/api", 404),
        ("/api/runs?limit=many", 400),
        ("/api/runs?limit=-1", 400),
        ("/api/runs?user=ann", 400),
    ] {
        let answer = stage.get(path).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(answer.json()["error"].is_string(), "{path}");
    }
}

#[tokio::test]
async fn no_answer_asks_the_identity_provider_or_the_workspace_or_writes() {
    let stage = Stage::new().await;
    stage.hire("ann");
    stage.reconcile().await;
    stage.sim.clear_requests();
    let before = stage.get("/api/runs").await.json()["runs"].clone();
    for path in [
        "/",
        "/runs",
        "/runs/1",
        "/person?who=ann%40acme.example",
        "/person?who=nobody",
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/status",
        "/api/runs",
        "/api/runs/1",
    ] {
        assert_eq!(stage.get(path).await.status, 200, "{path}");
    }
    assert!(stage.sim.all_requests().is_empty());
    assert_eq!(stage.get("/api/runs").await.json()["runs"], before);
}

#[tokio::test]
async fn it_stops_when_it_is_told_to() {
    let stage = Stage::new().await;
    assert_eq!(stage.get("/healthz").await.status, 200);
    stage.stop.send_replace(true);
    assert_eq!(stage.server.await.unwrap(), Ok(()));
    assert!(tokio::net::TcpStream::connect(stage.address).await.is_err(), "nobody listens any more");
}

//! `/metrics` as the parser of prometheus-client (PyPI) reads it. Needs `.venv`; without it these tests say so and
//! pass, unless `ROSTERD_REQUIRE_INTEROP=1` asks them to fail.

use crate::stage::Stage;
use rosterd::sim::{Effect, Fault, Peer, okta_error, scim_error};
use serde_json::{Map, Value};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Name, type and further labels of everything that is promised.
const PROMISED: [(&str, &str, &[&str]); 21] = [
    ("rosterd_last_success_timestamp_seconds", "gauge", &[]),
    ("rosterd_runs_total", "counter", &["result"]),
    ("rosterd_run_duration_seconds", "histogram", &[]),
    ("rosterd_actions_total", "counter", &["action", "outcome"]),
    ("rosterd_accounts", "gauge", &["state"]),
    ("rosterd_held", "gauge", &[]),
    ("rosterd_leavers_with_access", "gauge", &["waits_for"]),
    ("rosterd_oldest_leaver_seconds", "gauge", &[]),
    ("rosterd_owed", "gauge", &["class", "waits_for"]),
    ("rosterd_pins", "gauge", &[]),
    ("rosterd_seats", "gauge", &["state"]),
    ("rosterd_target_answered_timestamp_seconds", "gauge", &[]),
    ("rosterd_quarantined", "gauge", &[]),
    ("rosterd_verification_failed", "gauge", &[]),
    ("rosterd_credential_since_timestamp_seconds", "gauge", &["peer"]),
    ("rosterd_requests_total", "counter", &["peer", "status"]),
    ("rosterd_request_duration_seconds", "histogram", &["peer"]),
    ("rosterd_rate_limited_total", "counter", &["peer"]),
    ("rosterd_revoke_seconds", "histogram", &[]),
    ("rosterd_event_lag_seconds", "gauge", &[]),
    ("rosterd_build_info", "info", &["version"]),
];

/// What the parser understood; `None` where it is not installed.
struct Parsed(Map<String, Value>);

impl Parsed {
    async fn of(stage: &Stage) -> Option<Parsed> {
        let answer = stage.get("/metrics").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
        );
        assert!(answer.body.ends_with("# EOF\n"));
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join(".venv/bin/python");
        let installed =
            || Command::new(&python).args(["-c", "import prometheus_client.openmetrics.parser"]).status();
        if !python.exists() || !installed().unwrap().success() {
            let message = "NOT RUN: prometheus-client is missing; `bash tests/interop/venv.sh` installs it";
            assert!(std::env::var_os("ROSTERD_REQUIRE_INTEROP").is_none(), "{message}");
            // Straight to the terminal: the test harness swallows the output of tests that pass.
            let _ = writeln!(std::io::stderr(), "\n{message}\n");
            return None;
        }
        let mut child = Command::new(python)
            .arg(root.join("tests/status_server/parse_metrics.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(answer.body.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}\n{}", answer.body);
        Some(Parsed(serde_json::from_slice(&output.stdout).unwrap()))
    }

    /// The sum of the samples with this name whose labels hold these.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let samples = self.0.values().flat_map(|family| family["samples"].as_array().unwrap());
        let wanted = |sample: &&Value| {
            sample[0] == name && labels.iter().all(|(label, value)| sample[1][*label] == *value)
        };
        samples.filter(wanted).map(|sample| sample[2].as_f64().unwrap()).sum()
    }
}

#[tokio::test]
async fn every_promised_name_is_there_with_its_type_its_help_and_its_labels() {
    let stage = Stage::new().await;
    stage.hire("ann");
    stage.reconcile().await;
    let Some(parsed) = Parsed::of(&stage).await else { return };
    for (name, kind, further) in PROMISED {
        let family = name.trim_end_matches("_total").trim_end_matches("_info");
        let family = parsed.0.get(family).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(family["type"], kind, "{name}");
        assert!(family["help"].as_str().is_some_and(|help| help.len() > 10), "{name}");
        let samples = family["samples"].as_array().unwrap();
        assert!(!samples.is_empty(), "{name} has no sample");
        for sample in samples {
            let labels = sample[1].as_object().unwrap();
            let named: Vec<&str> = labels.keys().map(String::as_str).filter(|label| *label != "le").collect();
            let mut expected = further.to_vec();
            expected.extend((name != "rosterd_build_info").then_some("sync"));
            expected.sort_unstable();
            assert_eq!(named, expected, "{name}");
        }
    }
    assert_eq!(parsed.0.len(), PROMISED.len(), "{:?}", parsed.0.keys());
    assert_eq!(parsed.sum("rosterd_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
}

#[tokio::test]
async fn before_the_first_run_everything_that_can_be_zero_is_zero() {
    let stage = Stage::new().await;
    let Some(parsed) = Parsed::of(&stage).await else { return };
    for (name, labels) in [
        ("rosterd_last_success_timestamp_seconds", [("sync", "default")].as_slice()),
        ("rosterd_runs_total", &[("sync", "default"), ("result", "source_incomplete")]),
        ("rosterd_actions_total", &[("sync", "default"), ("action", "deactivate"), ("outcome", "failed")]),
        ("rosterd_revoke_seconds_count", &[("sync", "default")]),
        ("rosterd_quarantined", &[("sync", "default")]),
    ] {
        let samples = parsed.0.values().flat_map(|family| family["samples"].as_array().unwrap());
        let found = samples.filter(|sample| sample[0] == name);
        assert!(found.count() > 0, "{name} is missing");
        assert_eq!(parsed.sum(name, labels), 0.0, "{name}");
    }
}

#[tokio::test]
async fn the_numbers_are_those_of_the_runs_and_of_the_doubles() {
    let stage = Stage::new().await;
    let people = ["ann", "ben", "cleo"].map(|name| stage.hire(name));
    stage.reconcile().await;
    stage.sim.world().unassign(people[0]);
    stage.reconcile().await;
    let Some(parsed) = Parsed::of(&stage).await else { return };
    let sync = ("sync", "default");
    assert_eq!(parsed.sum("rosterd_runs_total", &[sync, ("result", "ok")]), 2.0);
    assert_eq!(parsed.sum("rosterd_run_duration_seconds_count", &[sync]), 2.0);
    let applied =
        |action| parsed.sum("rosterd_actions_total", &[sync, ("action", action), ("outcome", "applied")]);
    assert_eq!((applied("create"), applied("deactivate"), applied("update")), (3.0, 1.0, 0.0));
    let accounts = |state| parsed.sum("rosterd_accounts", &[sync, ("state", state)]);
    assert_eq!((accounts("active"), accounts("deactivated"), accounts("gone")), (2.0, 1.0, 0.0));
    for (peer, fake) in [("source", Peer::Okta), ("target", Peer::Scim)] {
        let seen = stage.sim.requests(fake).len() as f64;
        assert!(seen > 0.0);
        assert_eq!(parsed.sum("rosterd_requests_total", &[sync, ("peer", peer)]), seen, "{peer}");
        assert_eq!(parsed.sum("rosterd_request_duration_seconds_count", &[sync, ("peer", peer)]), seen);
    }
    assert_eq!(parsed.sum("rosterd_requests_total", &[("peer", "target"), ("status", "201")]), 3.0);
    let success = parsed.sum("rosterd_last_success_timestamp_seconds", &[sync]);
    let age = rosterd::model::time::Millis::now().0 as f64 / 1000.0 - success;
    assert!((0.0..600.0).contains(&age), "{success}");
}

#[tokio::test]
async fn what_goes_wrong_shows_in_the_gauges_and_goes_away_with_it() {
    let stage = Stage::new().await;
    stage.hire("ann");
    let refusal = scim_error(400, None, "closed on Sundays");
    stage.sim.faults().add(Fault::on(Peer::Scim).method("POST").then(Effect::Answer(refusal)));
    stage.reconcile().await;
    let refusal = okta_error(401, "E0000011", "Invalid token provided");
    stage.sim.faults().add(Fault::on(Peer::Okta).then(Effect::Answer(refusal)));
    for _ in 0..5 {
        stage.reconcile().await;
    }
    let Some(parsed) = Parsed::of(&stage).await else { return };
    let gauges = |parsed: &Parsed| {
        [
            parsed.sum("rosterd_owed", &[("class", "access"), ("waits_for", "retry")]),
            parsed.sum("rosterd_quarantined", &[]),
        ]
    };
    assert_eq!(gauges(&parsed), [1.0, 1.0]);
    assert_eq!(parsed.sum("rosterd_runs_total", &[("result", "source_unavailable")]), 5.0);
    assert_eq!(parsed.sum("rosterd_runs_total", &[("result", "partial")]), 1.0);
    stage.sim.faults().clear();
    stage.reconcile().await;
    stage.reconcile().await;
    let Some(parsed) = Parsed::of(&stage).await else { return };
    assert_eq!(gauges(&parsed), [0.0, 0.0]);
}

#[tokio::test]
async fn a_reload_loses_no_request_and_takes_away_the_gauges_of_a_sync_that_is_gone() {
    let stage = Stage::new().await;
    stage.hire("ann");
    stage.reconcile().await;
    stage.reload(&["renamed"]);
    let Some(parsed) = Parsed::of(&stage).await else { return };
    let gauges = ["rosterd_accounts", "rosterd_held", "rosterd_last_success_timestamp_seconds"];
    for name in gauges {
        let family = parsed.0[name]["samples"].as_array().unwrap();
        assert!(family.iter().all(|sample| sample[1]["sync"] == "renamed"), "{name}: {family:?}");
    }
    let seen = stage.sim.requests(Peer::Okta).len() as f64;
    assert_eq!(parsed.sum("rosterd_requests_total", &[("peer", "source")]), seen, "what was sent was sent");
}

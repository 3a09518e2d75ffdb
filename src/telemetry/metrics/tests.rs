//! What is counted, what is not, and what a reload must not change.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::http::counters::Counting;
use crate::model::id::SourceId;
use crate::model::plan::Situation;
use crate::model::report::{ActionRecord, Seats, SourceFacts, Summary, TargetFacts, Trigger};

fn facts(mode: Mode, result: RunResult, complete: bool) -> RunFacts {
    RunFacts {
        sync: "wrike".to_owned(),
        run: Some(1),
        mode,
        trigger: Trigger::Schedule,
        result,
        started_at: Millis(1_000_000),
        finished_at: Millis(1_002_500),
        passes: 1,
        first_contact: false,
        source: SourceFacts {
            kind: "okta".to_owned(),
            users: 1,
            pages: 1,
            requests: 1,
            complete,
            problem: None,
        },
        target: TargetFacts { dialect: "wrike".to_owned(), requests: 0, rate_limited: 0, problem: None },
        summary: Summary::default(),
        seats: Seats { before: 0, after: 0, limit: None },
        guards: Vec::new(),
        holds: Vec::new(),
        notes: Vec::new(),
    }
}

fn acted(outcome: Outcome) -> RunEvent {
    let record = ActionRecord {
        action: Verb::Create,
        user: "ann@acme.example".to_owned(),
        source_id: Some(SourceId::new("00uann")),
        target_id: None,
        situation: Situation::Absent,
        reason: String::new(),
        changes: Vec::new(),
        outcome,
        status: Some(201),
        detail: None,
        attempts: 1,
        cause: None,
        waits_for: None,
        owed_since: None,
    };
    RunEvent::Acted { record: Box::new(record), duration_millis: 3 }
}

/// The value of the sample that is written exactly like this, its labels in any order of samples.
fn value(metrics: &Metrics, sample: &str) -> Option<f64> {
    let text = metrics.render();
    let line = text.lines().find(|line| line.strip_prefix(sample).is_some_and(|rest| rest.starts_with(' ')));
    line.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
}

#[test]
fn runs_count_by_result_and_dry_runs_do_not() {
    let metrics = Metrics::new();
    metrics.run_ended(&facts(Mode::Apply, RunResult::Ok, true));
    metrics.run_ended(&facts(Mode::Apply, RunResult::Ok, true));
    metrics.run_ended(&facts(Mode::DryRun, RunResult::Ok, true));
    assert_eq!(value(&metrics, r#"rosterd_runs_total{sync="wrike",result="ok"}"#), Some(2.0));
    assert_eq!(value(&metrics, r#"rosterd_run_duration_seconds_sum{sync="wrike"}"#), Some(5.0));
    assert_eq!(value(&metrics, r#"rosterd_last_success_timestamp_seconds{sync="wrike"}"#), Some(1002.5));
}

#[test]
fn neither_a_failed_run_nor_one_of_named_people_is_a_success_of_the_sync() {
    let metrics = Metrics::new();
    metrics.run_ended(&facts(Mode::Apply, RunResult::SourceIncomplete, false));
    metrics.run_ended(&facts(Mode::Apply, RunResult::Ok, false));
    assert_eq!(value(&metrics, r#"rosterd_last_success_timestamp_seconds{sync="wrike"}"#), None);
}

#[test]
fn actions_count_by_outcome_and_what_was_only_planned_does_not() {
    let metrics = Metrics::new();
    let watcher = metrics.watcher("wrike");
    for outcome in [Outcome::Applied, Outcome::Applied, Outcome::Failed, Outcome::Planned] {
        watcher.tell(&acted(outcome));
    }
    let count = |outcome| {
        value(
            &metrics,
            &format!(r#"rosterd_actions_total{{sync="wrike",action="create",outcome="{outcome}"}}"#),
        )
    };
    assert_eq!([count("applied"), count("failed"), count("planned")], [Some(2.0), Some(1.0), None]);
}

#[test]
fn handles_of_earlier_and_later_clients_add_up_and_none_counts_twice() {
    let metrics = Metrics::new();
    let requests = |expected: f64| {
        let sample = r#"rosterd_requests_total{sync="wrike",peer="source",status="200"}"#;
        // Twice: reading folds finished clients in, which must not show.
        assert_eq!([value(&metrics, sample), value(&metrics, sample)], [Some(expected); 2]);
        let durations =
            value(&metrics, r#"rosterd_request_duration_seconds_count{sync="wrike",peer="source"}"#);
        assert_eq!(durations, Some(expected));
    };
    let (first, second) = (Arc::new(Counting::default()), Arc::new(Counting::default()));
    first.answered(Some(200), Duration::from_millis(10));
    for _ in 0..3 {
        metrics.register_traffic("wrike", Peer::Source, first.handle());
    }
    requests(1.0);
    metrics.register_traffic("wrike", Peer::Source, second.handle());
    requests(1.0);
    first.answered(Some(200), Duration::from_millis(10));
    second.answered(Some(200), Duration::from_millis(10));
    requests(3.0);
    drop(first);
    requests(3.0);
    second.answered(Some(200), Duration::from_millis(10));
    requests(4.0);
    drop(second);
    requests(4.0);
}

#[test]
fn a_request_without_an_answer_and_a_limited_one_are_told_apart() {
    let metrics = Metrics::new();
    let counting = Arc::new(Counting::default());
    metrics.register_traffic("wrike", Peer::Target, counting.handle());
    let limited = r#"rosterd_rate_limited_total{sync="wrike",peer="target"}"#;
    assert_eq!(value(&metrics, limited), Some(0.0), "there from the beginning");
    counting.answered(None, Duration::from_secs(40));
    counting.answered(Some(429), Duration::from_millis(1));
    assert_eq!(value(&metrics, limited), Some(1.0));
    let none = r#"rosterd_requests_total{sync="wrike",peer="target",status="none"}"#;
    assert_eq!(value(&metrics, none), Some(1.0));
    let within = r#"rosterd_request_duration_seconds_bucket{le="30.0",sync="wrike",peer="target"}"#;
    assert_eq!(value(&metrics, within), Some(1.0));
}

#[test]
fn times_are_never_negative() {
    let metrics = Metrics::new();
    metrics.revoked("wrike", -3.0);
    metrics.revoked("wrike", 12.0);
    metrics.event_lag("wrike", -1.0);
    assert_eq!(value(&metrics, r#"rosterd_revoke_seconds_sum{sync="wrike"}"#), Some(12.0));
    assert_eq!(value(&metrics, r#"rosterd_event_lag_seconds{sync="wrike"}"#), Some(0.0));
}

//! What counts as healthy, and when the next run is.

use crate::core::sample_tests::owed_removal;
use std::path::Path;

use super::*;
use crate::config::{Config, Environment};
use crate::model::plan::Verb;
use crate::model::report::Trigger;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// A Monday.
const NOW: &str = "2026-11-23T10:02:00Z";

fn now() -> Millis {
    Millis::parse(NOW).unwrap()
}

fn ago(millis: i64) -> Millis {
    Millis(now().0 - millis)
}

fn sync_with(lines: &str) -> config::Sync {
    let text = format!(
        "[[sync]]\n{lines}\nsource = {{ kind = \"okta\", url = \"https://acme.okta.com\", app_id = \"0oa1\", \
         api_token = {{ env = \"T\" }} }}\ntarget = {{ url = \"https://work.example/scim/v2/\", token = {{ env = \"W\" }} }}\n"
    );
    let config: Config =
        config::parse(&text, Path::new("config.toml"), &Environment::fixed([("", ""); 0])).unwrap();
    config.syncs.into_iter().next().unwrap()
}

fn run(result: RunResult) -> LastRun {
    LastRun {
        run: 7,
        result,
        trigger: Trigger::Schedule,
        started_at: ago(3 * MINUTE),
        finished_at: ago(2 * MINUTE),
    }
}

fn well() -> Recorded {
    Recorded {
        last_success_at: Some(ago(2 * MINUTE)),
        last_run: Some(run(RunResult::Ok)),
        ..Recorded::default()
    }
}

fn problems_of(lines: &str, recorded: Recorded) -> Vec<String> {
    let status = sync_status(&sync_with(lines), recorded, now());
    assert_eq!(status.healthy, status.problems.is_empty());
    status.problems
}

fn notices_of(lines: &str, recorded: Recorded) -> Vec<String> {
    let status = sync_status(&sync_with(lines), recorded, now());
    assert!(status.healthy, "{:?}", status.problems);
    status.notices
}

#[test]
fn a_sync_whose_last_run_was_fine_is_healthy() {
    assert_eq!(problems_of("", well()), [""; 0]);
}

#[test]
fn a_sync_that_never_ran_says_so() {
    assert_eq!(problems_of("", Recorded::default()), ["no run yet"]);
    let only_named = Recorded { last_success_at: None, ..well() };
    assert_eq!(problems_of("", only_named), ["no full run has succeeded yet"]);
}

#[test]
fn two_missed_runs_are_late_and_one_is_not() {
    let success = |minutes: i64| Recorded { last_success_at: Some(ago(minutes * MINUTE)), ..well() };
    assert_eq!(problems_of("", success(30)), [""; 0], "due at 09:45 and 10:00, late from 10:15");
    assert!(problems_of("", success(48))[0].starts_with("no success since 2026-11-23T09:14:00Z"));
    let jittered = "jitter = \"20m\"";
    assert_eq!(problems_of(jittered, success(48)), [""; 0], "due at 09:15 and 09:30, late from 10:05");
    assert_eq!(problems_of(jittered, success(63)).len(), 1);
    let running = OpenRun { run: 8, trigger: Trigger::Schedule, started_at: ago(30 * MINUTE) };
    assert_eq!(problems_of("", Recorded { open_run: Some(running), ..success(48) }), [""; 0]);
}

#[test]
fn a_weekend_without_a_schedule_is_not_late() {
    let friday = Recorded { last_success_at: Millis::parse("2026-11-20T20:01:00Z"), ..well() };
    assert_eq!(problems_of("schedule = \"0 10-20 * * MON-FRI\"", friday.clone()), [""; 0]);
    assert_eq!(problems_of("schedule = \"0 * * * *\"", friday).len(), 1);
}

#[test]
fn failures_are_counted_and_five_are_a_quarantine_that_does_not_move_the_next_run() {
    let failed = |failed_runs| {
        let reason = Some("okta: 503\nhelp: wait".to_owned());
        let health = Health { failed_runs, reason, failed_at: Some(ago(MINUTE)), ..Health::default() };
        Recorded { health, last_run: Some(run(RunResult::SourceUnavailable)), ..well() }
    };
    assert_eq!(notices_of("", failed(1)), ["the last run failed: okta: 503"]);
    assert_eq!(notices_of("", failed(4)), ["the last 4 runs failed: okta: 503"]);
    let status = sync_status(&sync_with(""), failed(5), now());
    assert_eq!(status.problems, ["in quarantine until 2026-11-23T10:16:00Z: okta: 503"]);
    assert_eq!(status.next_run_at, Millis::parse("2026-11-23T10:15:00Z"));
    let yearly = sync_status(&sync_with("schedule = \"0 0 1 1 *\""), failed(5), now());
    assert_eq!(yearly.next_run_at, Millis::parse("2026-11-23T11:01:00Z"), "a rare one is tried hourly");
    let usual = sync_status(&sync_with(""), failed(4), now());
    assert_eq!((usual.next_run_at, usual.quarantine), (Millis::parse("2026-11-23T10:15:00Z"), None));
}

#[test]
fn a_pause_a_hold_and_failing_people_are_lines_and_change_no_exit_code() {
    let hold = HoldStatus {
        id: "h7".to_owned(),
        revision: 2,
        class: Verb::Create,
        kind: None,
        count: 30,
        reason: "too many".to_owned(),
        opened_at: ago(HOUR),
        expires_at: now(),
        approve: "rosterd approve h7@2".to_owned(),
        reject: "rosterd reject h7".to_owned(),
    };
    let recorded = Recorded {
        paused_until: Some(Millis(now().0 + HOUR)),
        holds: vec![hold],
        failing: Failures { count: 2, first: Vec::new() },
        ..well()
    };
    assert_eq!(
        notices_of("", recorded.clone()),
        [
            "paused: nothing is written until 2026-11-23T11:02:00Z",
            "30 people wait for approval to create: rosterd approve h7@2",
            "the last writes of 2 people were refused"
        ]
    );
    let for_good =
        sync_status(&sync_with(""), Recorded { paused_until: Some(Millis::FOR_GOOD), ..recorded }, now());
    assert!(for_good.paused && for_good.paused_until.is_none());
    assert_eq!(for_good.notices[0], "paused: nothing is written until `rosterd resume`");
    assert_eq!(for_good.held, 30);
}

#[test]
fn what_a_run_left_undone_is_told_where_nothing_else_tells_it() {
    let ended = |result| notices_of("", Recorded { last_run: Some(run(result)), ..well() });
    assert!(ended(RunResult::Partial)[0].starts_with("run 7 did not send everything"));
    assert!(ended(RunResult::Held)[0].starts_with("run 7 left people waiting"));
    assert_eq!(ended(RunResult::Interrupted), ["run 7 was interrupted"]);
}

#[test]
fn a_verification_that_failed_is_a_line_until_one_succeeds() {
    let failed = FailedVerification { at: ago(HOUR), reason: "no answer\nhelp: wait".to_owned() };
    let recorded = Recorded { failed_verification: Some(failed), ..well() };
    let scheduled = "drift = { schedule = \"0 3 * * *\" }";
    let problem = "the verification of 2026-11-23T09:02:00Z failed: no answer";
    assert_eq!(notices_of(scheduled, recorded.clone()), [problem]);
    assert_eq!(notices_of("", recorded), [""; 0], "nobody expects one any more");
}

fn leaver(waits_for: WaitsFor, since: Millis) -> OwedChange {
    OwedChange { since, attempts: 2, ..owed_removal(waits_for) }
}

#[test]
fn a_removal_that_nobody_wants_to_wait_needs_attention_and_one_that_somebody_wants_so_does_not() {
    for waits_for in WaitsFor::ALL {
        let recorded = Recorded { owed: vec![leaver(waits_for, ago(HOUR))], ..well() };
        let status = sync_status(&sync_with(""), recorded, now());
        let wanted =
            matches!(waits_for, WaitsFor::Pause | WaitsFor::Switch | WaitsFor::Date | WaitsFor::Decision);
        assert_eq!(status.healthy, wanted, "{waits_for:?}");
        let [leaver] = status.leavers_with_access.as_slice() else { panic!("{status:?}") };
        assert_eq!((leaver.cause, leaver.waits_for, leaver.since), ("disabled", waits_for, ago(HOUR)));
    }
}

#[test]
fn what_else_is_owed_is_counted_by_class_and_wait_and_needs_nobody() {
    let update = OwedChange { class: OwedClass::Attributes, ..leaver(WaitsFor::Retry, now()) };
    let recorded = Recorded { owed: vec![update.clone(), update], ..well() };
    let status = sync_status(&sync_with(""), recorded, now());
    assert!(status.healthy && status.leavers_with_access.is_empty());
    let counted = OwedCount { class: OwedClass::Attributes, waits_for: WaitsFor::Retry, people: 2 };
    assert_eq!(status.owed, [counted]);
}

#[test]
fn the_age_of_the_last_success_is_told_in_whole_seconds() {
    let age = |millis: i64| {
        let recorded = Recorded { last_success_at: Some(ago(millis)), ..well() };
        sync_status(&sync_with(""), recorded, now()).last_success_seconds_ago
    };
    assert_eq!([age(2 * MINUTE), age(1_999), age(0)], [Some(120), Some(1), Some(0)]);
    assert_eq!(age(-MINUTE), Some(0), "a clock that was ahead");
}

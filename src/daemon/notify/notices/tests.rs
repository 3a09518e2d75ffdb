//! When something is news: runs in a row, and what is told of each.

use super::*;
use crate::model::owed::{OwedClass, WaitsFor};
use crate::model::report::{Mode, Seats, SourceFacts, TargetFacts, Trigger};

pub(crate) const ALL: [NotifyOn; 5] =
    [NotifyOn::Held, NotifyOn::Leaver, NotifyOn::Quarantine, NotifyOn::Recovered, NotifyOn::Failed];
/// Nothing lasts beyond the run.
pub(crate) const WELL: Lasting = Lasting { quarantined: false, failing: false };
pub(crate) const QUARANTINED: Lasting = Lasting { quarantined: true, failing: false };

/// A full run that ended like this.
pub(crate) fn ended(result: RunResult) -> RunFacts {
    RunFacts {
        sync: "wrike".to_owned(),
        run: Some(17),
        mode: Mode::Apply,
        trigger: Trigger::Schedule,
        result,
        started_at: Millis(1_790_000_000_000),
        finished_at: Millis(1_790_000_003_000),
        passes: 1,
        first_contact: false,
        source: SourceFacts {
            kind: "okta".to_owned(),
            users: 120,
            pages: 1,
            requests: 3,
            complete: true,
            problem: None,
        },
        target: TargetFacts { dialect: "wrike".to_owned(), requests: 5, rate_limited: 0, problem: None },
        summary: Summary { create: 1, unchanged: 119, ..Summary::default() },
        seats: Seats { before: 119, after: 120, limit: None },
        guards: Vec::new(),
        holds: Vec::new(),
        notes: Vec::new(),
    }
}

/// The same of named people.
fn named(result: RunResult) -> RunFacts {
    let mut facts = ended(result);
    facts.source.complete = false;
    facts
}

fn holding(holds: &[(&str, u32)]) -> RunFacts {
    let mut facts = ended(RunResult::Held);
    facts.holds = holds
        .iter()
        .map(|(id, revision)| HoldFact {
            id: (*id).to_owned(),
            revision: *revision,
            class: Verb::Deactivate,
            reason: "30 of 120 is more than max_removals_percent = 10".to_owned(),
            count: 30,
            digest: "ab".repeat(32),
            expires_at: "2026-11-25T10:00:00Z".to_owned(),
            decided: None,
        })
        .collect();
    facts
}

/// What is told of each of these runs, in order.
fn told(on: &[NotifyOn], runs: &[(RunFacts, bool)]) -> Vec<Vec<&'static str>> {
    let mut told = Told::default();
    runs.iter()
        .map(|(facts, quarantined)| {
            decide(&mut told, facts, Lasting { quarantined: *quarantined, failing: false }, on)
                .iter()
                .map(|notice| notice.event.as_str())
                .collect()
        })
        .collect()
}

/// The same, everything asked for, nothing quarantined.
fn told_of(runs: &[RunFacts]) -> Vec<Vec<&'static str>> {
    let runs: Vec<(RunFacts, bool)> = runs.iter().map(|facts| (facts.clone(), false)).collect();
    told(&ALL, &runs)
}

fn only(facts: &RunFacts, quarantined: bool) -> Notice {
    let mut notices = decide(&mut Told::default(), facts, Lasting { quarantined, failing: false }, &ALL);
    assert_eq!(notices.len(), 1, "{notices:?}");
    notices.remove(0)
}

const NOTHING: [&str; 0] = [];
const FAILURES: [RunResult; 4] = [
    RunResult::SourceIncomplete,
    RunResult::SourceUnavailable,
    RunResult::TargetUnavailable,
    RunResult::Error,
];

#[test]
fn good_runs_are_no_news() {
    assert_eq!(told_of(&[ended(RunResult::Ok), ended(RunResult::Ok), named(RunResult::Ok)]), [NOTHING; 3]);
}

#[test]
fn a_failure_is_told_once_and_its_end_once() {
    for failure in FAILURES {
        let runs = [failure, failure, RunResult::Ok, RunResult::Ok, failure].map(ended);
        let expected = [vec!["failed"], vec![], vec!["recovered"], vec![], vec!["failed"]];
        assert_eq!(told_of(&runs), expected, "{failure:?}");
    }
}

#[test]
fn one_kind_of_failure_after_another_is_one_trouble() {
    let told = told_of(&FAILURES.map(ended));
    assert_eq!(told, [vec!["failed"], vec![], vec![], vec![]]);
}

#[test]
fn a_partial_run_is_told_and_a_failing_one_after_it_is_worse() {
    let runs = [
        RunResult::Partial,
        RunResult::Partial,
        RunResult::SourceUnavailable,
        RunResult::SourceUnavailable,
        RunResult::Ok,
    ];
    assert_eq!(
        told_of(&runs.map(ended)),
        [vec!["failed"], vec![], vec!["failed"], vec![], vec!["recovered"]]
    );
}

#[test]
fn a_partial_run_after_failing_ones_is_the_end_of_those_and_says_what_is_left() {
    let runs = [RunResult::Error, RunResult::Partial, RunResult::Partial, RunResult::Ok].map(ended);
    assert_eq!(told_of(&runs), [vec!["failed"], vec!["recovered"], vec![], vec!["recovered"]]);
    let mut told = Told::default();
    decide(&mut told, &runs[0], WELL, &ALL);
    let text = decide(&mut told, &runs[1], WELL, &ALL).remove(0).text;
    assert!(text.contains("runs again") && text.contains("not everything could be done"), "{text}");
}

#[test]
fn an_interrupted_run_begins_and_ends_nothing() {
    let runs = [RunResult::Interrupted, RunResult::Error, RunResult::Interrupted, RunResult::Error];
    assert_eq!(told_of(&runs.map(ended)), [vec![], vec!["failed"], vec![], vec![]]);
}

#[test]
fn a_run_of_named_people_can_begin_a_trouble_but_not_end_one() {
    let runs = [
        named(RunResult::TargetUnavailable),
        named(RunResult::Ok),
        named(RunResult::Partial),
        named(RunResult::TargetUnavailable),
        ended(RunResult::Ok),
    ];
    assert_eq!(told_of(&runs), [vec!["failed"], vec![], vec![], vec![], vec!["recovered"]]);
}

#[test]
fn quarantine_is_told_once_and_ends_with_the_first_good_run() {
    let fails = || ended(RunResult::SourceUnavailable);
    let runs = [
        (fails(), false),
        (fails(), true),
        (fails(), true),
        // Reset by a reload, and still failing.
        (fails(), false),
        (fails(), true),
        (ended(RunResult::Held), false),
        (fails(), true),
    ];
    let expected =
        [vec!["failed"], vec!["quarantine"], vec![], vec![], vec![], vec!["recovered"], vec!["quarantine"]];
    assert_eq!(told(&ALL, &runs), expected);
}

#[test]
fn only_what_was_asked_for_is_told() {
    let refused = (ended(RunResult::SourceUnavailable), true);
    let good = (ended(RunResult::Ok), false);
    let runs = [refused.clone(), refused, good, (holding(&[("h7", 1)]), false)];
    assert_eq!(told(&[NotifyOn::Held], &runs), [vec![], vec![], vec![], vec!["held"]]);
    assert_eq!(told(&[NotifyOn::Recovered], &runs), [vec![], vec![], vec!["recovered"], vec![]]);
    assert_eq!(told(&[NotifyOn::Quarantine], &runs), [vec!["quarantine"], vec![], vec![], vec![]]);
    // Credentials that are refused lead into quarantine at once: that is a failure, too.
    assert_eq!(told(&[NotifyOn::Failed], &runs), [vec!["failed"], vec![], vec![], vec![]]);
    assert_eq!(told(&[], &runs), [NOTHING; 4]);
}

#[test]
fn a_hold_is_told_when_it_opens_and_when_it_grows() {
    let runs = [
        holding(&[("h7", 1)]),
        holding(&[("h7", 1)]),
        holding(&[("h7", 2)]),
        holding(&[("h7", 2), ("h8", 1)]),
        ended(RunResult::Ok),
        holding(&[("h9", 1)]),
    ];
    let expected = [vec!["held"], vec![], vec!["held"], vec!["held"], vec![], vec!["held"]];
    assert_eq!(told_of(&runs), expected);
}

#[test]
fn a_notice_of_holds_is_about_those_that_are_news() {
    let mut told = Told::default();
    decide(&mut told, &holding(&[("h7", 1)]), WELL, &ALL);
    let notices = decide(&mut told, &holding(&[("h7", 1), ("h8", 1)]), WELL, &ALL);
    let ids: Vec<&str> = notices[0].holds.iter().map(|hold| hold.id.as_str()).collect();
    assert_eq!(ids, ["h8"]);
    assert!(!notices[0].text.contains("h7"), "{}", notices[0].text);
}

#[test]
fn a_hold_is_told_again_when_its_daily_reminder_comes_and_not_for_that_of_another() {
    let mut reminded = holding(&[("h7", 1), ("h71", 1)]);
    let first = reminded.clone();
    reminded.notes.push("30 removals wait since 2026-11-22T10:00:00Z for `rosterd approve h71`".to_owned());
    let mut told = Told::default();
    decide(&mut told, &first, WELL, &ALL);
    let notices = decide(&mut told, &reminded, WELL, &ALL);
    let ids: Vec<&str> = notices[0].holds.iter().map(|hold| hold.id.as_str()).collect();
    assert_eq!(ids, ["h71"]);
}

#[test]
fn a_run_that_failed_before_it_listed_the_holds_does_not_make_them_new() {
    let runs = [holding(&[("h7", 1)]), ended(RunResult::Interrupted), holding(&[("h7", 1)])];
    assert_eq!(told_of(&runs), [vec!["held"], vec![], vec![]]);
}

#[test]
fn a_partial_run_with_a_hold_is_two_messages() {
    let mut facts = holding(&[("h7", 1)]);
    facts.result = RunResult::Partial;
    assert_eq!(told_of(&[facts]), [vec!["failed", "held"]]);
}

#[test]
fn syncs_do_not_speak_for_each_other() {
    let mut other = ended(RunResult::Error);
    other.sync = "other".to_owned();
    let runs = [ended(RunResult::Error), other.clone(), ended(RunResult::Ok), other];
    assert_eq!(told_of(&runs), [vec!["failed"], vec!["failed"], vec!["recovered"], vec![]]);
}

#[test]
fn a_hold_is_told_with_its_numbers_and_the_commands_that_decide_it() {
    let notice = only(&holding(&[("h7", 2)]), false);
    assert_eq!(
        notice.text,
        "rosterd wrike: run 17 leaves something to decide. 30 people wait to be deactivated: 30 of 120 is more than \
         max_removals_percent = 10. `rosterd approve h7@2` releases, `rosterd reject h7` drops; open until \
         2026-11-25T10:00:00Z."
    );
}

#[test]
fn a_failure_is_told_with_its_reason_and_what_to_do() {
    let mut facts = ended(RunResult::SourceUnavailable);
    facts.source.problem = Some("okta refused the credentials (401)\nhelp: make a new token".to_owned());
    let text = only(&facts, false).text;
    assert_eq!(
        text,
        "rosterd wrike: run 17 failed (source_unavailable): okta refused the credentials (401); help: make a new \
         token. The next run tries again; `rosterd check` tries both sides."
    );
    let text = only(&facts, true).text;
    assert!(text.starts_with("rosterd wrike is in quarantine since run 17: okta refused"), "{text}");
    let mut facts = ended(RunResult::Error);
    facts.notes = vec!["the state is full".to_owned(), "this sync is in quarantine now: …".to_owned()];
    assert!(only(&facts, false).text.contains("the state is full"));
    let mut facts = ended(RunResult::Partial);
    facts.summary.failed = 3;
    let text = only(&facts, false).text;
    assert!(text.contains("3 failed") && text.contains("`rosterd history --run 17 --failed`"), "{text}");
}

#[test]
fn nobody_elses_words_call_a_whole_channel_or_fill_it() {
    let mut facts = ended(RunResult::TargetUnavailable);
    facts.target.problem = Some(format!("<!channel> \u{1b}[31m{}\r\n", "é".repeat(5_000)));
    let text = only(&facts, false).text;
    assert!(text.contains("‹!channel›") && text.contains('…'), "{text}");
    assert!(!text.contains(['<', '>', '\u{1b}', '\n', '\r']) && text.chars().count() < 700, "{text}");
}

#[test]
fn a_notice_is_a_documented_document() {
    let notice = serde_json::to_value(only(&holding(&[("h7", 1)]), false)).unwrap();
    let names: Vec<&str> = notice.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["event", "finished_at", "holds", "problem", "result", "run", "schema", "summary", "sync", "text"]
    );
    assert_eq!(notice["schema"], "rosterd.notice/1");
    assert_eq!((&notice["event"], &notice["result"]), (&"held".into(), &"held".into()));
    assert_eq!(notice["holds"][0]["id"], "h7");
    assert_eq!(notice["summary"]["create"], 1);
    for event in [Event::Held, Event::Quarantine, Event::Recovered, Event::Failed] {
        assert_eq!(serde_json::to_value(event).unwrap(), event.as_str());
    }
}

/// A verification that ended like this.
fn verified(result: RunResult, trigger: Trigger) -> VerifyFacts {
    let run = ended(result);
    VerifyFacts {
        sync: run.sync,
        trigger,
        result,
        started_at: run.started_at,
        finished_at: run.finished_at,
        source: run.source,
        target: TargetFacts {
            problem: (result == RunResult::TargetUnavailable).then(|| "<no> answer\nhelp: wait".to_owned()),
            ..run.target
        },
        accounts: Default::default(),
        counts: Default::default(),
        unrepaired: 0,
        notes: Vec::new(),
    }
}

#[test]
fn a_scheduled_verification_that_fails_is_told_once_and_its_end_once() {
    use RunResult::{Interrupted, Ok, TargetUnavailable};
    let mut told = Told::default();
    let mut events = Vec::new();
    for result in [Ok, TargetUnavailable, TargetUnavailable, Interrupted, Ok, Ok, TargetUnavailable] {
        let notice = decide_verification(&mut told, &verified(result, Trigger::Schedule), &ALL);
        events.push(notice.map(|notice| notice.event.as_str()));
    }
    assert_eq!(events, [None, Some("failed"), None, None, Some("recovered"), None, Some("failed")]);
}

#[test]
fn a_verification_that_somebody_waits_for_is_no_news_nor_is_one_that_nobody_asked_to_hear_of() {
    let failed = |trigger| verified(RunResult::TargetUnavailable, trigger);
    assert_eq!(decide_verification(&mut Told::default(), &failed(Trigger::Manual), &ALL), None);
    let held = [NotifyOn::Held];
    assert_eq!(decide_verification(&mut Told::default(), &failed(Trigger::Schedule), &held), None);
    let notice = decide_verification(&mut Told::default(), &failed(Trigger::Schedule), &ALL).unwrap();
    assert!(
        notice.text.contains("the scheduled verification failed (target_unavailable): ‹no› answer"),
        "{}",
        notice.text
    );
    assert_eq!((notice.run, notice.problem.as_deref()), (None, Some("<no> answer\nhelp: wait")));
}

#[test]
fn runs_and_verifications_do_not_recover_for_each_other() {
    let mut told = Told::default();
    let failed = verified(RunResult::TargetUnavailable, Trigger::Schedule);
    assert!(decide_verification(&mut told, &failed, &ALL).is_some());
    assert_eq!(decide(&mut told, &ended(RunResult::Ok), WELL, &ALL), []);
    let well = verified(RunResult::Ok, Trigger::Schedule);
    assert_eq!(decide_verification(&mut told, &well, &ALL).unwrap().event, Event::Recovered);
}

#[test]
fn a_person_who_fails_steadily_is_told_once_and_once_when_it_is_over() {
    let failing = Lasting { failing: true, ..WELL };
    let mut told = Told::default();
    let mut event = |result, lasting| {
        let notices = decide(&mut told, &ended(result), lasting, &ALL);
        notices.first().map(|notice| notice.event.as_str())
    };
    // Tried in the first run, then in every 2nd, 4th …
    assert_eq!(event(RunResult::Partial, failing), Some("failed"));
    for result in [RunResult::Ok, RunResult::Partial, RunResult::Ok, RunResult::Held, RunResult::Partial] {
        assert_eq!(event(result, failing), None, "{result:?}");
    }
    assert_eq!(event(RunResult::Ok, WELL), Some("recovered"));
    assert_eq!(event(RunResult::Ok, WELL), None);
}

fn leaver(name: &str, minutes: i64, waits_for: WaitsFor) -> OwedChange {
    OwedChange {
        source_id: SourceId::new(name),
        user: format!("{name}@acme.example"),
        target_id: None,
        class: OwedClass::Removal,
        verb: Some(Verb::Deactivate),
        cause: None,
        since: Millis(NOW.0 - minutes * 60_000),
        attempts: 1,
        refusals: 0,
        next_try_at: None,
        wait_runs: 0,
        waits_for,
        detail: "HTTP 503".to_owned(),
        desired: None,
        is_deactivated: false,
    }
}

const NOW: Millis = Millis(1_790_000_000_000);

#[test]
fn a_leaver_who_keeps_access_for_a_quarter_of_an_hour_is_told_once_and_once_when_it_is_over() {
    let mut told = Told::default();
    let mut text =
        |owed: &[OwedChange]| decide_leavers(&mut told, "wrike", owed, NOW, &ALL).map(|notice| notice.text);
    assert_eq!(text(&[leaver("ann", 14, WaitsFor::Retry)]), None);
    let late = [leaver("ann", 15, WaitsFor::Retry), leaver("ben", 3, WaitsFor::Proof)];
    assert_eq!(
        text(&late).unwrap(),
        "rosterd wrike: 1 person who left still has access, the longest since 2026-09-21T13:58:20Z; that waits for the \
         next try. `rosterd status` says who and why."
    );
    assert_eq!(text(&late), None, "told once");
    let later = [leaver("ann", 30, WaitsFor::Retry), leaver("ben", 18, WaitsFor::Proof)];
    assert!(text(&later).unwrap().contains("2 people who left still have access"), "ben is news");
    assert_eq!(text(&later[1..]), None, "ann is out, ben was told");
    assert_eq!(text(&[]).unwrap(), "rosterd wrike: nobody who left has access for that long any more.");
    assert_eq!(text(&[]), None);
}

#[test]
fn what_waits_for_a_person_is_no_notice_of_a_leaver() {
    for waits_for in WaitsFor::ALL.into_iter().filter(|wait| wait.meaning() != WaitMeaning::Undone) {
        let owed = [leaver("ann", 600, waits_for)];
        assert_eq!(decide_leavers(&mut Told::default(), "wrike", &owed, NOW, &ALL), None, "{waits_for:?}");
    }
}

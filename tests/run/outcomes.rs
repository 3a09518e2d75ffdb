//! What becomes of writes: lost replies, refusals, one person's failure, and what stops a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use rosterd::model::time::Millis;
use rosterd::sim::{Cut, Effect, Fault, Peer, PersonId, Reply, RetryAfter, scim_error, scim_rate_limited};
use rosterd::store::Snapshot;
use serde_json::json;

use crate::support::Bench;

const BOTH: [Vendor; 2] = [Vendor::Okta, Vendor::OneLogin];

/// Ways in which a write is done and its reply does not say so.
fn lost_replies() -> Vec<(&'static str, Effect)> {
    let gateway = Effect::edit(|reply| {
        *reply = Reply::empty(504).with("content-type", "text/html").with_body("<html>late</html>");
    });
    vec![
        ("the connection is cut", Effect::Cut(Cut::LostReply)),
        ("the body is cut", Effect::Cut(Cut::InBody(20))),
        ("a chunked body is cut", Effect::Cut(Cut::InChunkedBody(20))),
        ("a gateway's 504", gateway),
        ("an empty 200", Effect::edit(|reply| reply.body.clear())),
        ("a web page", Effect::edit(|reply| reply.body = b"<html>hello</html>".to_vec())),
    ]
}

#[tokio::test]
async fn a_lost_reply_to_a_create_is_settled_by_reading_and_never_gives_two_accounts() {
    for vendor in BOTH {
        for (name, lost) in lost_replies() {
            let bench = Bench::new(vendor).await;
            bench.sim.scim(|habits| habits.duplicates = rosterd::sim::DuplicateHabit::Accepted);
            bench.staff(["ann", "ben"]);
            bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(1).then(lost));
            let ended = bench.run().await;
            ended.assert_end(exit::OK, RunResult::Ok);
            assert_eq!(ended.facts.summary.create, 2, "{name}: {ended:?}");
            assert_eq!((bench.accounts().len(), bench.writes().len()), (2, 2), "{name}");
            bench.assert_quiet().await;
        }
    }
}

#[tokio::test]
async fn a_lost_reply_to_an_update_is_settled_by_reading() {
    for (name, lost) in lost_replies() {
        let bench = Bench::okta().await;
        let ann = bench.staff(["ann", "ben"])[0];
        bench.begin().await;
        bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        bench.sim.faults().add(Fault::on(Peer::Scim).method("PATCH").nth(1).then(lost));
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Update, Outcome::Applied);
        assert_eq!(bench.account("ann").at("/title"), json!("Lead"), "{name}");
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn a_lost_reply_to_a_deactivation_counts_once_the_account_is_seen_inactive() {
    for vendor in BOTH {
        for (name, lost) in lost_replies() {
            let bench = Bench::new(vendor).await;
            let ann = bench.staff(["ann", "ben", "cleo"])[0];
            bench.begin().await;
            bench.world().unassign(ann);
            bench.sim.faults().add(Fault::on(Peer::Scim).method("PATCH").nth(1).then(lost));
            let ended = bench.run().await;
            ended.assert_end(exit::OK, RunResult::Ok);
            ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
            assert!(!bench.is_active("ann"), "{name}");
            assert_eq!(bench.writes(), ["PATCH ann@acme.example"], "{name}: sent once");
            bench.assert_quiet().await;
        }
    }
}

#[tokio::test]
async fn a_lost_reply_to_a_deletion_is_settled_by_reading() {
    let bench = Bench::okta().await.tables("[sync.lifecycle]\non_unassigned = \"delete\"");
    let ann = bench.staff(["ann", "ben", "cleo"])[0];
    bench.begin().await;
    bench.world().unassign(ann);
    let lost = Fault::on(Peer::Scim).method("DELETE").nth(1).then(Effect::Cut(Cut::LostReply));
    bench.sim.faults().add(lost);
    bench.run().await.assert_line("ann", Verb::Delete, Outcome::Applied);
    assert_eq!(bench.accounts().len(), 2);
    bench.assert_quiet().await;
}

#[tokio::test]
async fn a_write_that_never_arrived_failed_and_is_done_in_the_next_run() {
    for method in ["POST", "PATCH"] {
        let bench = Bench::okta().await;
        let [ann, ben, _, _] = bench.staff(["ann", "ben", "cleo", "dan"]);
        bench.begin().await;
        bench.world().unassign(ann);
        bench.world().edit(ben, |person| person.title = Some("Lead".to_owned()));
        bench.hire("eve");
        bench.sim.faults().add(Fault::on(Peer::Scim).method(method).then(Effect::Cut(Cut::BeforeProcessing)));
        let ended = bench.run().await;
        let failed = if method == "POST" { 1 } else { 2 };
        ended.assert_end(exit::PARTIAL, RunResult::Partial);
        assert_eq!(ended.facts.summary.failed, failed, "{ended:?}");
        bench.sim.faults().clear();
        // An empty search right after a creation cannot tell: targets index late.
        bench.pass(Duration::from_secs(11 * 60));
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(ended.facts.summary.writes(), failed, "{ended:?}");
        assert_eq!(bench.accounts().len(), 5);
        assert!(!bench.is_active("ann"));
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn what_nobody_could_read_back_is_settled_first_thing_in_the_next_run() {
    // (the write that is lost, whether it was done)
    for (method, done) in [("POST", true), ("POST", false), ("PATCH", true), ("PATCH", false)] {
        let bench = Bench::okta().await.target("concurrency = 1");
        bench.sim.scim(|habits| habits.duplicates = rosterd::sim::DuplicateHabit::Accepted);
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        if method == "POST" {
            bench.hire("dan");
        } else {
            bench.world().unassign(ann);
        }
        let cut = if done { Cut::LostReply } else { Cut::BeforeProcessing };
        // From the write on the workspace is silent.
        let silent = Arc::new(AtomicBool::new(false));
        let (set, asked) = (silent.clone(), silent);
        let lost = Fault::on(Peer::Scim)
            .method(method)
            .then(Effect::before(move |_| set.store(true, Ordering::SeqCst)))
            .then(Effect::Cut(cut));
        bench.sim.faults().add(lost);
        let dead = move |_: &str, _: &[(String, String)]| asked.load(Ordering::SeqCst);
        bench
            .sim
            .faults()
            .add(Fault::on(Peer::Scim).method("GET").when(dead).then(Effect::Cut(Cut::BeforeProcessing)));
        let ended = bench.run().await;
        ended.assert_end(exit::TARGET, RunResult::TargetUnavailable);
        let name = if method == "POST" { "dan" } else { "ann" };
        assert!(ended.words_of(name).contains("outcome is unknown"), "{ended:?}");
        bench.sim.faults().clear();
        bench.sim.clear_requests();
        bench.pass(Duration::from_secs(11 * 60));
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert!(ended.problems().contains("settled 1"), "{ended:?}");
        assert_eq!(bench.writes().len(), usize::from(!done), "{method} {done}");
        let expected = if method == "POST" { 4 } else { 3 };
        assert_eq!(bench.accounts().len(), expected, "{method} {done}");
        assert_eq!(bench.is_active("ann"), method == "POST");
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn one_persons_failure_is_one_persons_failure_and_waits_a_growing_number_of_runs() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.crowd(4);
        bench.hire("ann");
        let refuse = scim_error(400, Some("invalidValue"), "userName is reserved");
        bench
            .sim
            .faults()
            .add(Fault::on(Peer::Scim).method("POST").numbers(5..=99).then(Effect::Answer(refuse)));
        let bench = bench.target("concurrency = 1");
        let first = bench.run().await;
        first.assert_end(exit::PARTIAL, RunResult::Partial);
        assert_eq!((first.facts.summary.create, first.facts.summary.failed), (4, 1), "{first:?}");
        let failed = first.records.iter().find(|line| line.outcome == Outcome::Failed).unwrap().clone();
        assert_eq!(failed.status, Some(400));
        let name = failed.user.clone();
        // Failed once: tried again in the next run, then every second, then every fourth run.
        let mut tried = Vec::new();
        for _ in 2..=9 {
            bench.sim.clear_requests();
            let ended = bench.run().await;
            let sent = !bench.writes().is_empty();
            let line = ended.of(&name);
            if sent {
                ended.assert_end(exit::PARTIAL, RunResult::Partial);
                assert_eq!(line.outcome, Outcome::Failed);
            } else {
                ended.assert_end(exit::OK, RunResult::Ok);
                assert_eq!(line.outcome, Outcome::Deferred, "listed until it ends");
                assert!(ended.words_of(&name).contains("userName is reserved"), "{ended:?}");
            }
            tried.push(sent);
        }
        assert_eq!(tried, [true, false, true, false, false, false, true, false]);
        // A run of that person alone does not wait.
        bench.sim.clear_requests();
        bench.run_for(&[&name]).await.assert_line(&name, Verb::Create, Outcome::Failed);
        bench.sim.faults().clear();
        bench.run_for(&[&name]).await.assert_line(&name, Verb::Create, Outcome::Applied);
        bench.assert_quiet().await;
    }
}

/// How many full runs somebody still waits, as `status` and as `explain` have it.
async fn waits_of(bench: &Bench, person: PersonId) -> (Option<u32>, Option<u32>) {
    let snapshot = Snapshot::open(&bench.directory.path().join("state")).await.unwrap();
    let recorded = snapshot.recorded(vec!["default".to_owned()], Millis::now()).await.unwrap();
    let id = bench.source_id(person);
    let stored = snapshot.stored("default", vec![id], Millis::now()).await.unwrap();
    let in_status = recorded[0].failing.first.first().map(|failing| failing.wait_runs);
    (in_status, stored.people[0].failing.as_ref().map(|failing| failing.wait_runs))
}

#[tokio::test]
async fn nothing_waits_longer_than_a_day_and_status_and_explain_say_it_as_the_run_does_it() {
    let bench = Bench::okta().await;
    let ann = bench.hire("ann");
    let refuse = scim_error(400, Some("invalidValue"), "userName is reserved");
    bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").then(Effect::Answer(refuse)));
    for _ in 0..4 {
        bench.run().await;
    }
    assert_eq!(waits_of(&bench, ann).await, (Some(3), Some(3)));
    bench.pass(Duration::from_secs(25 * 3600));
    assert_eq!(waits_of(&bench, ann).await, (Some(0), Some(0)));
    bench.sim.clear_requests();
    bench.run().await;
    assert!(!bench.writes().is_empty(), "it is tried");
}

#[tokio::test]
async fn a_dry_run_counts_the_runs_to_wait_as_the_next_real_run_would() {
    let bench = Bench::okta().await;
    bench.hire("ann");
    let refuse = scim_error(400, Some("invalidValue"), "userName is reserved");
    bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").then(Effect::Answer(refuse)));
    for run in 1..=5 {
        let planned = bench.dry().await.of("ann").outcome == Outcome::Planned;
        bench.sim.clear_requests();
        bench.run().await;
        assert_eq!(planned, !bench.writes().is_empty(), "run {run}");
    }
}

#[tokio::test]
async fn refused_credentials_stop_the_run_and_defer_the_rest() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.target("concurrency = 1");
        let [ann, _, _] = bench.staff(["ann", "ben", "cleo"]);
        bench.begin().await;
        bench.world().unassign(ann);
        bench.crowd(3);
        let refuse = scim_error(401, None, "the token has expired");
        bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").then(Effect::Answer(refuse)));
        let ended = bench.run().await;
        ended.assert_end(exit::TARGET, RunResult::TargetUnavailable);
        ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        assert_eq!(ended.facts.summary.deferred, 3, "{ended:?}");
        assert!(ended.problems().contains("the token has expired"), "{ended:?}");
        bench.sim.faults().clear();
        assert_eq!(bench.run().await.facts.summary.create, 3, "nobody counts as failed");
    }
}

#[tokio::test]
async fn a_workspace_that_refuses_to_be_read_stops_the_run_before_any_write() {
    for status in [401, 403, 500, 503] {
        let bench = Bench::okta().await;
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        bench.world().rename(ann, "anna@acme.example");
        bench.crowd(4);
        let refuse = scim_error(status, None, "not now");
        bench.sim.faults().add(Fault::on(Peer::Scim).method("GET").then(Effect::Answer(refuse)));
        for dry in [true, false] {
            let ended = if dry { bench.dry().await } else { bench.run().await };
            ended.assert_end(exit::TARGET, RunResult::TargetUnavailable);
            assert!(ended.problems().contains("not now"), "{status}: {ended:?}");
        }
        assert_eq!(bench.writes(), Vec::<String>::new(), "{status}");
    }
}

#[tokio::test]
async fn a_403_on_one_write_is_that_persons() {
    let bench = Bench::okta().await.target("concurrency = 1");
    bench.crowd(3);
    let refuse = scim_error(403, None, "this one not");
    bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(2).then(Effect::Answer(refuse)));
    let ended = bench.run().await;
    ended.assert_end(exit::PARTIAL, RunResult::Partial);
    assert_eq!((ended.facts.summary.create, ended.facts.summary.failed), (2, 1), "{ended:?}");
}

#[tokio::test]
async fn a_workspace_that_is_not_there_stops_the_run() {
    let bench = Bench::okta().await;
    bench.hire("ann");
    let text = bench.text().replace(bench.sim.scim_url(), "http://127.0.0.1:9/scim/v2");
    let ended = bench.all(&text, crate::support::named(&["ann"]), crate::support::Mode::Real).await;
    ended[0].assert_end(exit::TARGET, RunResult::TargetUnavailable);
    let problem = ended[0].facts.target.problem.clone().unwrap();
    assert!(problem.contains("127.0.0.1:9"), "{problem}");
}

#[tokio::test]
async fn without_a_seat_people_are_held_and_everything_else_goes_on() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.target("concurrency = 1");
        let ann = bench.staff(["ann", "ben"])[0];
        bench.begin().await;
        bench.world().set_seat_limit(Some(3));
        bench.crowd(3);
        bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        bench.sim.clear_requests();
        let ended = bench.run().await;
        ended.assert_end(exit::HELD, RunResult::Held);
        let summary = ended.facts.summary;
        assert_eq!((summary.update, summary.create, summary.held, summary.failed), (1, 1, 2, 0), "{ended:?}");
        assert_eq!(
            bench.writes().len(),
            3,
            "after the first refusal nobody else is tried: {:?}",
            bench.writes()
        );
        bench.run().await.assert_end(exit::HELD, RunResult::Held);
        bench.world().set_seat_limit(None);
        assert_eq!(bench.run().await.facts.summary.create, 2, "they were never marked done");
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn an_owner_or_a_member_of_several_workspaces_can_never_be_removed_and_it_is_said() {
    for owner in [true, false] {
        let bench = Bench::okta().await;
        let [ann, ben, _, _] = bench.staff(["ann", "ben", "cleo", "dan"]);
        bench.begin().await;
        bench.world().edit_account(&bench.account("ann").id, |account| {
            account.owner = owner;
            account.several_workspaces = !owner;
        });
        bench.world().unassign(ann);
        bench.world().unassign(ben);
        let ended = bench.run().await;
        ended.assert_end(exit::PARTIAL, RunResult::Partial);
        ended.assert_line("ann", Verb::Deactivate, Outcome::Failed);
        assert!(ended.words_of("ann").contains("never allows"), "{ended:?}");
        ended.assert_line("ben", Verb::Deactivate, Outcome::Applied);
    }
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_and_nobody_is_lost_or_created_twice() {
    let bench = Bench::okta().await;
    bench.sim.scim(|habits| habits.duplicates = rosterd::sim::DuplicateHabit::Accepted);
    bench.crowd(6);
    let limited = || scim_rate_limited(RetryAfter::Seconds(0));
    let number = bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").numbers(2..=3).then(limited()));
    let ended = bench.run().await;
    assert_eq!(bench.sim.faults().fired(number), 2);
    ended.assert_end(exit::OK, RunResult::Ok);
    assert_eq!((ended.facts.summary.create, ended.facts.target.rate_limited), (6, 2), "{ended:?}");
    assert_eq!(bench.accounts().len(), 6);
}

#[tokio::test]
async fn who_is_limited_to_the_end_waits_without_counting_as_failed() {
    let bench = Bench::okta().await;
    bench.hire("ann");
    let limited = scim_rate_limited(RetryAfter::SilentWatcher);
    bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").then(limited));
    let ended = bench.run().await;
    ended.assert_line("ann", Verb::Create, Outcome::Deferred);
    bench.sim.faults().clear();
    bench.run().await.assert_line("ann", Verb::Create, Outcome::Applied);
}

#[tokio::test]
async fn a_slow_reply_is_given_up_and_settled_by_reading() {
    let bench = Bench::okta().await.target("timeout = \"1s\"");
    bench.staff(["ann", "ben"]);
    let slow = Effect::Delay(Duration::from_secs(3600));
    bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(1).then(slow));
    let ended = bench.run().await;
    ended.assert_end(exit::PARTIAL, RunResult::Partial);
    assert_eq!((ended.facts.summary.create, ended.facts.summary.failed), (1, 1), "{ended:?}");
    bench.pass(Duration::from_secs(11 * 60));
    let ended = bench.run().await;
    ended.assert_end(exit::OK, RunResult::Ok);
    assert_eq!((ended.facts.summary.create, bench.accounts().len()), (1, 2));
}

#[tokio::test]
async fn an_interrupted_run_has_recorded_what_it_sent_and_the_next_one_goes_on() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.target("concurrency = 1");
        bench.crowd(6);
        let stop = bench.stop.clone();
        let third = Fault::on(Peer::Scim).method("POST").nth(3);
        bench.sim.faults().add(third.then(Effect::before(move |_| {
            stop.send_replace(true);
        })));
        let ended = bench.run().await;
        assert_eq!(ended.facts.result, RunResult::Interrupted);
        assert_eq!((ended.facts.summary.create, ended.facts.summary.deferred), (3, 3), "{ended:?}");
        assert_eq!(bench.accounts().len(), 3);
        bench.stop.send_replace(false);
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!((ended.facts.summary.create, ended.facts.summary.unchanged), (3, 3), "{ended:?}");
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn a_deactivation_whose_effect_nobody_can_see_counts_as_sent_and_a_return_activates() {
    let tables = "[sync.guard]\nmax_removals = 1\n";
    let bench = Bench::okta().await.habits(|habits| habits.active_hidden = true).tables(tables);
    let [ann, ben, _, _] = bench.staff(["ann", "ben", "cleo", "dan"]);
    bench.begin().await;
    bench.world().unassign(ann);
    bench.sim.faults().add(Fault::on(Peer::Scim).method("PATCH").nth(1).then(Effect::Cut(Cut::LostReply)));
    bench.run().await.assert_end(exit::PARTIAL, RunResult::Partial);
    bench.world().unassign(ben);
    let ended = bench.run_for(&["ben"]).await;
    assert_eq!(ended.code, exit::HELD, "one was sent within the hour: {ended:?}");
    assert!(bench.is_active("ben"));
    bench.world().assign(ann);
    bench.world().assign(ben);
    bench.pass(Duration::from_secs(11 * 60));
    let ended = bench.run().await;
    ended.assert_line("ann", Verb::Reactivate, Outcome::Applied);
    assert!(bench.is_active("ann"));
    bench.assert_quiet().await;
}

#[tokio::test]
async fn a_deactivation_that_arrives_after_it_was_given_up_keeps_nobody_out_who_came_back() {
    for vendor in BOTH {
        for removed_again in [false, true] {
            let bench = Bench::new(vendor).await;
            let ann = bench.staff(["ann", "ben", "cleo"])[0];
            bench.begin().await;
            bench.world().unassign(ann);
            let given_up = Fault::on(Peer::Scim).method("PATCH").then(Effect::Cut(Cut::BeforeProcessing));
            bench.sim.faults().add(given_up);
            bench.run().await.assert_end(exit::PARTIAL, RunResult::Partial);
            bench.sim.faults().clear();
            if removed_again {
                bench.run().await.assert_line("ann", Verb::Deactivate, Outcome::Applied);
            }
            bench.world().assign(ann);
            bench.run().await;
            assert!(bench.is_active("ann"));
            let late = bench.account("ann").id;
            bench.world().edit_account(&late, |account| {
                account.resource.insert("active".to_owned(), json!(false));
            });
            bench.pass(Duration::from_secs(11 * 60));
            let ended = bench.run().await;
            ended.assert_line("ann", Verb::Reactivate, Outcome::Applied);
            assert!(bench.is_active("ann"), "{ended:?}");
            bench.assert_quiet().await;
        }
    }
}

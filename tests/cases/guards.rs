//! What waits for an approval waits, whoever comes by; and nothing else waits with it.

use std::time::Duration;

use rosterd::engine::selection::Selection;
use rosterd::exit;
use rosterd::model::id::SourceId;
use rosterd::model::owed::WaitsFor;
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use rosterd::model::time::Millis;
use rosterd::sim::{Effect, Fault, Peer, PersonId};
use rosterd::store::{Hold, Snapshot, Store, Waiting};

use crate::support::{Bench, WIDE_LIMITS};

async fn snapshot(bench: &Bench) -> Snapshot {
    Snapshot::open(&bench.directory.path().join("state")).await.unwrap()
}

async fn open_holds(bench: &Bench) -> Vec<Hold> {
    snapshot(bench).await.open_holds(None, Millis::now()).await.unwrap()
}

/// The one open hold.
async fn the_hold(bench: &Bench) -> Hold {
    let holds = open_holds(bench).await;
    assert_eq!(holds.len(), 1, "{holds:#?}");
    holds[0].clone()
}

async fn waiting(bench: &Bench, hold: &Hold) -> Vec<Waiting> {
    snapshot(bench).await.waiting(hold.number).await.unwrap()
}

async fn approve(bench: &Bench, number: i64, revision: u32) -> Vec<SourceId> {
    let store = Store::open(&bench.directory.path().join("state"), false).await.unwrap();
    let decided = store.approve(number, revision, "uid 0", Millis::now()).await.unwrap();
    store.close().await.unwrap();
    decided.people
}

async fn pause(bench: &Bench, until: Option<Millis>) {
    let store = Store::open(&bench.directory.path().join("state"), false).await.unwrap();
    store.set_pause("default", until, "uid 0", Millis::now()).await.unwrap();
    store.close().await.unwrap();
}

fn inactive(bench: &Bench) -> usize {
    bench.world().accounts().iter().filter(|account| !account.active()).count()
}

fn person(number: usize) -> String {
    format!("person{number}@acme.example")
}

/// A hundred people of whom twenty were unassigned and wait in h1.
async fn twenty_who_wait() -> (Bench, Vec<PersonId>) {
    let bench = Bench::okta().await;
    let crowd = bench.crowd(100);
    bench.begin().await;
    crowd[..20].iter().for_each(|person| bench.world().unassign(*person));
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.summary.held), (exit::HELD, 20), "{ended:#?}");
    (bench, crowd)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_named_people_leaves_those_who_wait_in_a_hold_there_and_removes_a_leaver_who_does_not() {
    let (bench, crowd) = twenty_who_wait().await;
    let before = the_hold(&bench).await;
    assert_eq!(bench.run_for(&[&person(3)]).await.code, exit::HELD);
    let nine: Vec<String> = (0..9).map(person).collect();
    let nine: Vec<&str> = nine.iter().map(String::as_str).collect();
    let ended = bench.run_for(&nine).await;
    assert_eq!((ended.code, ended.facts.summary.held), (exit::HELD, 9), "{ended:#?}");
    assert_eq!(inactive(&bench), 0);
    assert_eq!(the_hold(&bench).await, before, "the hold is as it was, its reason too");
    for (number, verb) in [(50, "unassigned"), (51, "deactivated")] {
        match verb {
            "unassigned" => bench.world().unassign(crowd[number]),
            _ => bench.world().deactivate(crowd[number]),
        }
        let ended = bench.run_for(&[&person(number), &person(0)]).await;
        ended.assert_line(&person(number), Verb::Deactivate, Outcome::Applied);
        ended.assert_line(&person(0), Verb::Deactivate, Outcome::Held);
        assert!(!bench.is_active(&person(number)));
    }
    assert_eq!(the_hold(&bench).await, before);
    // A full run asks about everybody, and the limit is exceeded still.
    assert_eq!(bench.run().await.facts.summary.held, 20);
    assert_eq!((inactive(&bench), the_hold(&bench).await.count), (2, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_planned_before_a_hold_opened_does_not_send_who_waits_in_it() {
    for unassigned in [false, true] {
        let bench = Bench::okta().await.tables(BY_DEPARTMENT);
        let crowd = bench.crowd(100);
        bench.begin().await;
        for person in &crowd[..20] {
            match unassigned {
                true => bench.world().unassign(*person),
                false => bench.world().edit(*person, |person| person.department = Some("Sales".to_owned())),
            }
        }
        // The first look plans; the second one, which is the proof, takes long enough for a full run.
        let alone = format!("/api/v1/users/{}", bench.source_id(crowd[0]));
        let slow = Effect::Delay(Duration::from_millis(2500));
        bench.sim.faults().add(Fault::on(Peer::Okta).path(&alone).nth(2).then(slow));
        let shared = bench.open().await;
        let (named, full) =
            tokio::join!(shared.run(Selection::Ids(vec![bench.source_id(crowd[0])])), async {
                tokio::time::sleep(Duration::from_millis(700)).await;
                shared.run(Selection::Everybody).await
            });
        shared.close().await;
        assert_eq!((full.code, full.facts.summary.held), (exit::HELD, 20), "{full:#?}");
        assert_eq!(named.facts.summary.deactivate, 0, "{named:#?}");
        assert!([exit::PARTIAL, exit::HELD].contains(&named.code), "{named:#?}");
        assert_eq!((inactive(&bench), the_hold(&bench).await.count), (0, 20));
        assert_eq!(bench.run().await.facts.summary.held, 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_run_removes_somebody_who_was_dismissed_and_leaves_the_hold_of_the_unassigned_as_it_is() {
    let (bench, crowd) = twenty_who_wait().await;
    let before = the_hold(&bench).await;
    bench.world().deactivate(crowd[60]);
    let ended = bench.run().await;
    ended.assert_line(&person(60), Verb::Deactivate, Outcome::Applied);
    assert_eq!((ended.code, ended.facts.summary.held), (exit::HELD, 20), "{ended:#?}");
    let after = the_hold(&bench).await;
    assert_eq!(Hold { reason: before.reason.clone(), ..after }, before, "only the numbers in its reason");
    assert_eq!(inactive(&bench), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_waits_and_turns_out_dismissed_leaves_the_hold_with_a_new_revision_and_is_removed() {
    for named in [false, true] {
        let (bench, crowd) = twenty_who_wait().await;
        let before = the_hold(&bench).await;
        bench.world().deactivate(crowd[7]);
        let ended = if named { bench.run_for(&[&person(7)]).await } else { bench.run().await };
        ended.assert_line(&person(7), Verb::Deactivate, Outcome::Applied);
        assert_eq!(ended.code, if named { exit::OK } else { exit::HELD }, "{ended:#?}");
        let after = the_hold(&bench).await;
        assert_eq!((after.number, after.count), (before.number, 19), "named {named}");
        assert!(after.revision > before.revision, "{after:#?}");
        assert!(waiting(&bench, &after).await.iter().all(|pair| pair.user != person(7)));
        assert_eq!(inactive(&bench), 1);
        // The others wait on, though they are fewer now.
        assert_eq!(bench.run().await.facts.summary.held, 19);
        assert_eq!(inactive(&bench), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_approved_while_their_cause_was_not_known_go_when_the_proofs_say_disabled() {
    let bench = Bench::okta().await;
    let crowd = bench.crowd(100);
    bench.begin().await;
    crowd[..20].iter().for_each(|person| bench.world().deactivate(*person));
    // No record can be read in the run that holds them.
    bench.sim.faults().add(Fault::on(Peer::Okta).path("/api/v1/users/").then(Effect::answer(
        500,
        "text/plain",
        "down",
    )));
    let ended = bench.run().await;
    assert_eq!(ended.facts.summary.held, 20, "{ended:#?}");
    bench.sim.faults().clear();
    let hold = the_hold(&bench).await;
    let people = approve(&bench, hold.number, hold.revision).await;
    let ended = bench.run_who(Selection::Ids(people)).await;
    assert_eq!((ended.code, ended.facts.summary.deactivate), (exit::OK, 20), "{ended:#?}");
    assert_eq!(inactive(&bench), 20);
    bench.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_stays_when_some_of_it_come_back_by_hand_and_fewer_than_the_limit_are_left() {
    let bench = Bench::okta().await.tables(&format!("{WIDE_LIMITS}max_removals = 12\n"));
    let crowd = bench.crowd(100);
    bench.begin().await;
    crowd[..20].iter().for_each(|person| bench.world().unassign(*person));
    assert_eq!(bench.run().await.facts.summary.held, 20);
    // One by one, with a run after each few, as somebody who repairs a mistake does.
    for chunk in crowd[..8].chunks(3) {
        chunk.iter().for_each(|person| bench.world().assign(*person));
        let ended = bench.run().await;
        assert_eq!((ended.code, ended.facts.summary.deactivate), (exit::HELD, 0), "{ended:#?}");
    }
    assert_eq!(the_hold(&bench).await.count, 12);
    assert_eq!(inactive(&bench), 0);
    let named: Vec<String> = (8..20).map(person).collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    assert_eq!(bench.run_for(&named).await.facts.summary.held, 12);
    assert_eq!(inactive(&bench), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_in_a_hold_of_updates_and_is_dismissed_is_removed() {
    for named in [false, true] {
        let bench = Bench::okta().await;
        let crowd = bench.crowd(60);
        bench.begin().await;
        for person in &crowd {
            bench.world().edit(*person, |person| person.title = Some("Mistake".to_owned()));
        }
        assert_eq!(bench.run().await.facts.summary.held, 60);
        bench.world().deactivate(crowd[5]);
        let ended = if named { bench.run_for(&[&person(5)]).await } else { bench.run().await };
        ended.assert_line(&person(5), Verb::Deactivate, Outcome::Applied);
        assert_eq!(inactive(&bench), 1);
        let hold = the_hold(&bench).await;
        assert_eq!((hold.verb, hold.count), (Verb::Update, 59), "named {named}");
        assert_eq!(bench.run().await.facts.summary.held, 59);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_joiners_in_runs_of_named_people_get_no_more_than_the_seats_there_are() {
    let bench = Bench::okta().await.tables("[sync.guard]\nmax_seats = 12\n");
    bench.staff(["ann", "ben", "cleo"]);
    bench.begin().await;
    let joiners = bench.crowd(50);
    let ids: Vec<SourceId> = joiners.iter().map(|person| bench.source_id(*person)).collect();
    let shared = bench.open().await;
    // Five at a time at once, each run of two: the first ten are one more than there are seats, so that the door is asked.
    for wave in ids.chunks(10) {
        let runs = wave.chunks(2).map(|pair| shared.run(Selection::Ids(pair.to_vec())));
        for ended in futures_util::future::join_all(runs).await {
            assert!([exit::OK, exit::HELD].contains(&ended.code), "{ended:#?}");
        }
    }
    shared.close().await;
    assert_eq!(bench.world().accounts().len(), 12);
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.summary.held), (exit::HELD, 41), "{ended:#?}");
    assert_eq!(bench.world().accounts().len(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_while_a_run_writes_lets_no_further_write_through() {
    let bench = Bench::okta().await.target("concurrency = 1\n");
    bench.crowd(30);
    let slow = Effect::Delay(Duration::from_millis(40));
    bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").then(slow));
    let shared = bench.open().await;
    let (ended, at_pause) = tokio::join!(shared.run(Selection::Everybody), async {
        while bench.writes().len() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        shared.store().set_pause("default", Some(Millis::FOR_GOOD), "uid 0", Millis::now()).await.unwrap();
        bench.writes().len()
    });
    shared.close().await;
    // The one that was on the wire, and none after it.
    assert!(bench.writes().len() <= at_pause + 1, "{at_pause} at the pause, {:?}", bench.writes());
    assert_eq!(ended.facts.summary.create as usize, bench.writes().len(), "{ended:#?}");
    assert!(ended.records.iter().any(|line| line.waits_for == Some(WaitsFor::Pause)), "{ended:#?}");
    pause(&bench, None).await;
    assert_eq!(bench.run().await.code, exit::OK);
    assert_eq!(bench.world().accounts().len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_of_one_person_leaves_the_open_hold_as_it_is() {
    let (bench, _) = twenty_who_wait().await;
    bench.hire("joiner");
    let before = the_hold(&bench).await;
    let plan = bench.dry().await;
    let ended = bench.run_only(&[plan.of("joiner").clone()]).await;
    ended.assert_line("joiner", Verb::Create, Outcome::Applied);
    assert_eq!(the_hold(&bench).await, before);
    // A saved plan of somebody who waits sends nothing either.
    let ended = bench.run_only(&[plan.of(&person(4)).clone()]).await;
    assert_eq!((ended.code, ended.facts.summary.held), (exit::HELD, 1), "{ended:#?}");
    assert_eq!((the_hold(&bench).await, inactive(&bench)), (before, 0));
    assert_eq!(bench.run().await.facts.summary.held, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_run_under_a_pause_leaves_every_hold_and_every_approval() {
    let (bench, crowd) = twenty_who_wait().await;
    for person in &crowd[20..] {
        bench.world().edit(*person, |person| person.title = Some("Mistake".to_owned()));
    }
    assert_eq!(bench.run().await.facts.summary.held, 100);
    let before = open_holds(&bench).await;
    assert_eq!(before.len(), 2, "{before:#?}");
    pause(&bench, Some(Millis::FOR_GOOD)).await;
    for _ in 0..2 {
        let ended = bench.run().await;
        assert_eq!((ended.facts.summary.writes(), ended.code), (0, exit::OK), "{ended:#?}");
        assert_eq!(open_holds(&bench).await, before);
    }
    approve(&bench, before[0].number, before[0].revision).await;
    bench.run().await;
    assert_eq!(inactive(&bench), 0, "an approval does not end a pause");
    pause(&bench, None).await;
    let ended = bench.run().await;
    assert_eq!(ended.facts.summary.deactivate, 20, "{ended:#?}");
    assert_eq!(the_hold(&bench).await.number, before[1].number);
}

/// Ann's title waits for an approval.
async fn an_update_that_waits() -> (Bench, PersonId) {
    let bench = Bench::okta().await.tables("[sync.guard]\napproval = [\"update\"]\n");
    let [ann, ..] = bench.staff(["ann", "ben", "cleo"]);
    bench.begin().await;
    bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
    assert_eq!(bench.run().await.code, exit::HELD);
    (bench, ann)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_what_waits_is_a_new_revision_and_an_approval_of_the_old_one_does_not_send_it() {
    let (bench, ann) = an_update_that_waits().await;
    let first = the_hold(&bench).await;
    bench.world().edit(ann, |person| person.title = Some("Owner".to_owned()));
    assert_eq!(bench.run().await.code, exit::HELD);
    let second = the_hold(&bench).await;
    assert_eq!((second.number, second.revision), (first.number, first.revision + 1));
    let people = approve(&bench, first.number, first.revision).await;
    assert!(people.is_empty(), "{people:?}");
    for _ in 0..2 {
        let ended = bench.run().await;
        assert_eq!((ended.code, ended.facts.summary.update), (exit::HELD, 0), "{ended:#?}");
    }
    let now = the_hold(&bench).await;
    let people = approve(&bench, now.number, now.revision).await;
    let ended = bench.run_who(Selection::Ids(people)).await;
    assert_eq!((ended.code, ended.facts.summary.update), (exit::OK, 1), "{ended:#?}");
    assert_eq!(bench.account("ann").at("/title"), "Owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_does_not_send_what_the_person_has_turned_into_since() {
    let (bench, ann) = an_update_that_waits().await;
    let hold = the_hold(&bench).await;
    let people = approve(&bench, hold.number, hold.revision).await;
    bench.world().edit(ann, |person| person.title = Some("Owner".to_owned()));
    let ended = bench.run_who(Selection::Ids(people)).await;
    assert_eq!((ended.code, ended.facts.summary.update), (exit::HELD, 0), "{ended:#?}");
    assert_eq!(bench.account("ann").at("/title"), "Engineer");
    // Where it turns back, the approval is for it again, or it waits: nothing else is ever sent.
    let hold = the_hold(&bench).await;
    let people = approve(&bench, hold.number, hold.revision).await;
    let ended = bench.run_who(Selection::Ids(people)).await;
    assert_eq!((ended.code, ended.facts.summary.update), (exit::OK, 1), "{ended:#?}");
    assert_eq!(bench.account("ann").at("/title"), "Owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_did_nothing_gives_its_approval_back() {
    for status in [503, 403] {
        let (bench, crowd) = twenty_who_wait().await;
        let hold = the_hold(&bench).await;
        let people = approve(&bench, hold.number, hold.revision).await;
        bench.sim.faults().add(Fault::on(Peer::Scim).method("PATCH").then(Effect::answer(
            status,
            "application/json",
            "{}",
        )));
        let ended = bench.run_who(Selection::Ids(people)).await;
        assert_eq!((ended.code, ended.facts.summary.deactivate), (exit::PARTIAL, 0), "{ended:#?}");
        bench.sim.faults().clear();
        // Nobody has to approve it again.
        let ended = bench.run().await;
        assert_eq!((ended.code, ended.facts.summary.deactivate), (exit::OK, 20), "{status}: {ended:#?}");
        assert_eq!(inactive(&bench), 20);
        // And it was for once.
        bench.world().assign(crowd[0]);
        bench.run().await;
        assert!(bench.is_active(&person(0)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_update_that_was_refused_once_is_sent_by_the_next_run_that_tries() {
    let (bench, _) = an_update_that_waits().await;
    let hold = the_hold(&bench).await;
    let people = approve(&bench, hold.number, hold.revision).await;
    bench.sim.faults().add(Fault::on(Peer::Scim).method("PATCH").then(Effect::answer(
        503,
        "text/plain",
        "down",
    )));
    let ended = bench.run_who(Selection::Ids(people.clone())).await;
    assert_eq!(ended.code, exit::PARTIAL, "{ended:#?}");
    bench.sim.faults().clear();
    let ended = bench.run_who(Selection::Ids(people)).await;
    assert_eq!((ended.code, ended.facts.summary.update), (exit::OK, 1), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn creations_that_somebody_ran_by_hand_do_not_count_for_the_next_joiners() {
    let mut bench = Bench::okta().await.tables("[sync.guard]\nmax_creates = 5\n");
    bench.crowd(12);
    bench.begin().await;
    bench.unattended = true;
    let two = bench.staff(["eve", "finn"]);
    let ended = bench.run_who(Selection::Ids(two.map(|person| bench.source_id(person)).to_vec())).await;
    assert_eq!((ended.code, ended.facts.summary.create), (exit::OK, 2), "{ended:#?}");
    // What nobody stood behind counts, over all runs.
    bench.staff(["gail", "hugo", "ida", "jack"]);
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.summary.held), (exit::HELD, 4), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn six_edits_of_two_people_in_a_workspace_of_twelve_are_two_people() {
    let bench = Bench::okta().await.tables("[sync.guard]\nmax_updates_percent = 20\n");
    let crowd = bench.crowd(12);
    bench.begin().await;
    for number in 0..3 {
        for person in &crowd[..2] {
            bench.world().edit(*person, |person| person.title = Some(format!("Title {number}")));
        }
        let ended = bench.run().await;
        assert_eq!((ended.code, ended.facts.summary.update), (exit::OK, 2), "{number}: {ended:#?}");
    }
    // A third person is one too many: 25 % of twelve.
    bench.world().edit(crowd[2], |person| person.title = Some("Title".to_owned()));
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.summary.held), (exit::HELD, 1), "{ended:#?}");
}

const BY_DEPARTMENT: &str = "[sync.scope]\nfilter = \"user.department == 'Research'\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_attribute_of_the_filter_removes_nobody_by_events_and_a_full_run_holds_everybody() {
    let bench = Bench::okta().await.tables(BY_DEPARTMENT);
    let crowd = bench.crowd(60);
    bench.begin().await;
    // The attribute gets another name, person by person, and each change is an event.
    for (number, id) in crowd.iter().enumerate().take(4) {
        bench.world().edit(*id, |person| person.department = None);
        let ended = bench.run_for(&[&person(number)]).await;
        ended.assert_end(exit::PARTIAL, RunResult::Partial);
        ended.assert_line(&person(number), Verb::Deactivate, Outcome::Deferred);
        assert!(ended.words_of(&person(number)).contains("user.department"), "{ended:#?}");
    }
    assert!(snapshot(&bench).await.owed_full_run("default").await.unwrap().is_some());
    for person in &crowd {
        bench.world().edit(*person, |person| person.department = None);
    }
    for _ in 0..2 {
        let ended = bench.run().await;
        assert_eq!((ended.code, ended.facts.summary.held), (exit::HELD, 60), "{ended:#?}");
        assert_eq!(inactive(&bench), 0);
    }
    assert!(snapshot(&bench).await.owed_full_run("default").await.unwrap().is_none());
    // By events nobody goes either.
    let ended = bench.run_for(&[&person(9)]).await;
    assert_eq!((ended.code, ended.facts.summary.deactivate), (exit::HELD, 0), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_without_the_attribute_of_the_filter_is_removed_by_the_full_run() {
    let bench = Bench::okta().await.tables(BY_DEPARTMENT);
    let crowd = bench.crowd(12);
    bench.begin().await;
    bench.world().edit(crowd[3], |person| person.department = None);
    assert_eq!(bench.run_for(&[&person(3)]).await.code, exit::PARTIAL);
    assert!(bench.is_active(&person(3)));
    let ended = bench.run().await;
    ended.assert_line(&person(3), Verb::Deactivate, Outcome::Applied);
    assert_eq!(ended.code, exit::OK, "{ended:#?}");
    // Who has the attribute, with another value, goes by an event.
    bench.world().edit(crowd[4], |person| person.department = Some("Sales".to_owned()));
    let ended = bench.run_for(&[&person(4)]).await;
    ended.assert_end(exit::OK, RunResult::Ok);
    ended.assert_line(&person(4), Verb::Deactivate, Outcome::Applied);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_held_for_the_filter_is_not_sent_by_a_later_look_at_the_own_record() {
    let bench = Bench::okta().await.tables(BY_DEPARTMENT);
    let crowd = bench.crowd(12);
    bench.begin().await;
    // Once unassigned, and back: what the record showed then is no cause now.
    bench.world().unassign(crowd[2]);
    bench.run().await;
    bench.world().assign(crowd[2]);
    bench.run().await;
    for person in &crowd {
        bench.world().edit(*person, |person| person.department = None);
    }
    for _ in 0..3 {
        let ended = bench.run().await;
        assert_eq!((ended.code, ended.facts.summary.held), (exit::HELD, 12), "{ended:#?}");
    }
    assert_eq!(inactive(&bench), 0);
}

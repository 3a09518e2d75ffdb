//! What is held, how it is released, and what goes on meanwhile.

use std::time::Duration;

use rosterd::engine::selection::Selection;
use rosterd::exit;
use rosterd::model::plan::Verb;
use rosterd::model::report::Outcome;
use rosterd::model::time::Millis;
use rosterd::sim::{Effect, Fault, Peer};
use rosterd::store::{Decided, Hold, Snapshot, Store};

use crate::support::Bench;

const DAY_MILLIS: i64 = 24 * 3600 * 1000;

async fn open_holds(bench: &Bench, at: Millis) -> Vec<Hold> {
    let snapshot = Snapshot::open(&bench.directory.path().join("state")).await.unwrap();
    snapshot.open_holds(None, at).await.unwrap()
}

async fn approve(bench: &Bench, hold: &Hold) -> Decided {
    let store = Store::open(&bench.directory.path().join("state"), false).await.unwrap();
    let decided = store.approve(hold.number, hold.revision, "uid 0", Millis::now()).await.unwrap();
    store.close().await.unwrap();
    decided
}

/// Twenty people of whom five leave: more than 10 %.
async fn mass_leave() -> (Bench, Vec<rosterd::sim::PersonId>) {
    let bench = Bench::okta().await;
    let crowd = bench.crowd(20);
    bench.begin().await;
    for person in &crowd[..5] {
        bench.world().unassign(*person);
    }
    (bench, crowd)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mass_leave_is_held_while_joiners_are_created() {
    let (bench, _) = mass_leave().await;
    bench.hire("joiner");
    let ended = bench.run().await;
    assert_eq!(ended.code, exit::HELD, "{ended:#?}");
    assert_eq!((ended.facts.summary.create, ended.facts.summary.held), (1, 5), "{ended:#?}");
    assert!(bench.is_active("joiner"));
    assert_eq!(bench.world().accounts().iter().filter(|account| !account.active()).count(), 0);
    let hold = &ended.facts.holds[0];
    assert_eq!((hold.class, hold.count, hold.revision), (Verb::Deactivate, 5, 1));
    assert!(
        hold.reason.contains("guard.max_removals_percent = 10 % of 20 active accounts"),
        "{}",
        hold.reason
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_the_hold_and_exits_0() {
    let (bench, _) = mass_leave().await;
    let ended = bench.dry().await;
    assert_eq!(ended.code, exit::OK, "{ended:#?}");
    assert_eq!(ended.facts.summary.held, 5);
    assert_eq!(ended.facts.holds[0].count, 5);
    assert!(open_holds(&bench, Millis::now()).await.is_empty(), "a dry run opens no hold");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_releases_exactly_the_listed_people_and_only_once() {
    let (bench, crowd) = mass_leave().await;
    bench.run().await;
    let hold = open_holds(&bench, Millis::now()).await.remove(0);
    let decided = approve(&bench, &hold).await;
    assert_eq!(decided.people.len(), 5);
    let ended = bench.run_who(Selection::Ids(decided.people)).await;
    assert_eq!((ended.code, ended.facts.summary.deactivate), (exit::OK, 5), "{ended:#?}");
    // The next mass leave is a new question.
    for person in &crowd[5..10] {
        bench.world().unassign(*person);
    }
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.summary.held), (exit::HELD, 5), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_came_back_before_the_approval_keeps_the_account() {
    let (bench, crowd) = mass_leave().await;
    bench.run().await;
    let hold = open_holds(&bench, Millis::now()).await.remove(0);
    bench.world().assign(crowd[0]);
    let decided = approve(&bench, &hold).await;
    let ended = bench.run_who(Selection::Ids(decided.people)).await;
    assert_eq!(ended.facts.summary.deactivate, 4, "{ended:#?}");
    assert!(bench.is_active("person0@acme.example"));
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.summary.writes()), (exit::OK, 0), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_join_a_hold_later_stay_held() {
    let (bench, crowd) = mass_leave().await;
    bench.run().await;
    let first = open_holds(&bench, Millis::now()).await.remove(0);
    bench.world().unassign(crowd[5]);
    let ended = bench.run().await;
    assert_eq!(ended.facts.holds[0].revision, 2, "{ended:#?}");
    let decided = approve(&bench, &first).await;
    assert_eq!(decided.people.len(), 5, "the revision that was shown had five");
    bench.run_who(Selection::Ids(decided.people)).await;
    assert!(bench.is_active("person5@acme.example"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_expires_after_72_hours_and_a_new_one_opens() {
    let (bench, _) = mass_leave().await;
    bench.run().await;
    let now = Millis::now();
    let hold = open_holds(&bench, now).await.remove(0);
    assert_eq!(hold.expires_at.since(hold.opened_at), 3 * DAY_MILLIS);
    assert!(open_holds(&bench, Millis(now.0 + 3 * DAY_MILLIS + 60_000)).await.is_empty());
    bench.pass(Duration::from_secs(73 * 3600));
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.holds.len()), (exit::HELD, 1), "{ended:#?}");
    assert_ne!(ended.facts.holds[0].id, hold.id(), "an expired hold is not revived");
    let store = Store::open(&bench.directory.path().join("state"), false).await.unwrap();
    let late = store.approve(hold.number, hold.revision, "uid 0", Millis::now()).await;
    assert!(late.is_err(), "an expired hold cannot be approved");
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn held_removals_are_reminded_of_once_a_day() {
    let (bench, _) = mass_leave().await;
    let reminds = |ended: &crate::support::Ended| {
        ended.facts.notes.iter().any(|note| note.contains("5 removals wait since"))
    };
    let mut told = Vec::new();
    for hours in [0, 1, 23, 1, 22, 3] {
        if hours > 0 {
            bench.pass(Duration::from_secs(hours * 3600));
        }
        told.push(reminds(&bench.run().await));
    }
    assert_eq!(told, [false, false, true, false, false, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_outlives_a_workspace_that_is_down_and_is_dropped_after_a_day() {
    for (hours, removed) in [(1, 5), (25, 0)] {
        let (bench, _) = mass_leave().await;
        bench.run().await;
        let hold = open_holds(&bench, Millis::now()).await.remove(0);
        let decided = approve(&bench, &hold).await;
        bench.sim.faults().add(Fault::on(Peer::Scim).then(Effect::answer(503, "text/plain", "down")));
        let ended = bench.run_who(Selection::Ids(decided.people)).await;
        assert_eq!(ended.facts.summary.deactivate, 0, "{ended:#?}");
        bench.sim.faults().clear();
        bench.pass(Duration::from_secs(hours * 3600));
        let ended = bench.run().await;
        assert_eq!(ended.facts.summary.deactivate, removed, "{hours} h: {ended:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_contact_that_would_rewrite_everybody_stores_the_links_and_holds_the_updates_at_once() {
    let bench = Bench::okta().await;
    bench.crowd(12);
    for number in 0..12 {
        bench.add_account(&format!("person{number}@acme.example"), true);
    }
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.summary.adopt), (exit::HELD, 12), "{ended:#?}");
    let hold = open_holds(&bench, Millis::now()).await.remove(0);
    assert_eq!((hold.verb, hold.count), (Verb::Update, 12));
    let again = bench.run().await;
    assert_eq!((again.code, again.facts.summary.held), (exit::HELD, 12), "{again:#?}");
    assert_eq!(open_holds(&bench, Millis::now()).await[0].digest, hold.digest, "the same hold");
    let decided = approve(&bench, &hold).await;
    let ended = bench.run_who(Selection::Ids(decided.people)).await;
    assert_eq!((ended.code, ended.facts.summary.update), (exit::OK, 12), "{ended:#?}");
    bench.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_is_no_longer_wanted_closes_by_itself() {
    let (bench, crowd) = mass_leave().await;
    bench.run().await;
    for person in &crowd[..5] {
        bench.world().assign(*person);
    }
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.holds.len()), (exit::OK, 0), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_removal_is_not_planned_again_until_the_source_changes() {
    let (bench, crowd) = mass_leave().await;
    bench.run().await;
    let hold = open_holds(&bench, Millis::now()).await.remove(0);
    let store = Store::open(&bench.directory.path().join("state"), false).await.unwrap();
    store.reject(hold.number, "uid 0", Millis::now()).await.unwrap();
    store.close().await.unwrap();
    let ended = bench.run().await;
    assert_eq!(
        (ended.code, ended.facts.summary.skipped, ended.facts.summary.held),
        (exit::OK, 5, 0),
        "{ended:#?}"
    );
    assert!(ended.records.iter().all(|record| record.reason.contains("rejected by uid 0")), "{ended:#?}");
    // Back, and gone again: a new leaving, and a single one is let through.
    bench.world().assign(crowd[0]);
    bench.run().await;
    bench.world().unassign(crowd[0]);
    let ended = bench.run().await;
    assert_eq!(ended.facts.summary.deactivate, 1, "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_sync_reads_and_reports_and_writes_nothing() {
    let bench = Bench::okta().await;
    bench.staff(["ann", "ben"]);
    bench.begin().await;
    bench.hire("joiner");
    let state = bench.directory.path().join("state");
    let pause = async |until| {
        let store = Store::open(&state, false).await.unwrap();
        store.set_pause("default", until, "uid 7", Millis::now()).await.unwrap();
        store.close().await.unwrap();
    };
    pause(Some(Millis(i64::MAX))).await;
    let ended = bench.run().await;
    assert_eq!(ended.code, exit::OK, "{ended:#?}");
    assert_eq!(ended.records[0].outcome, Outcome::Disabled);
    assert!(bench.writes().is_empty());
    pause(None).await;
    assert_eq!(bench.run().await.facts.summary.create, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_in_guard_approval_always_waits() {
    let bench = Bench::okta().await.tables("[sync.guard]\napproval = [\"create\"]\n");
    bench.hire("ann");
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.summary.held), (exit::HELD, 1), "{ended:#?}");
    let hold = open_holds(&bench, Millis::now()).await.remove(0);
    let decided = approve(&bench, &hold).await;
    let ended = bench.run_who(Selection::Ids(decided.people)).await;
    assert_eq!((ended.code, ended.facts.summary.create), (exit::OK, 1), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_was_not_run_is_sent_by_the_next_run() {
    let (bench, _) = mass_leave().await;
    bench.run().await;
    let hold = open_holds(&bench, Millis::now()).await.remove(0);
    approve(&bench, &hold).await;
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.summary.deactivate), (exit::OK, 5), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn seats_go_to_the_oldest_assignments_and_the_rest_waits() {
    let bench = Bench::okta().await.tables("[sync.guard]\nmax_seats = 3\n");
    bench.staff(["ann", "ben"]);
    bench.begin().await;
    for (name, year) in [("young", 2026), ("old", 2020), ("middle", 2023)] {
        let person = bench.hire(name);
        bench.world().edit(person, |person| {
            person.assigned = format!("{year}-01-01T00:00:00Z").parse().unwrap();
        });
    }
    let ended = bench.run().await;
    assert_eq!(
        (ended.code, ended.facts.summary.create, ended.facts.summary.held),
        (exit::HELD, 1, 2),
        "{ended:#?}"
    );
    assert!(bench.is_active("old"));
    assert_eq!(ended.facts.seats.limit, Some(3));
    let waiting = ended.records.iter().find(|record| record.outcome == Outcome::Held).unwrap();
    assert!(waiting.detail.as_deref().unwrap().contains("guard.max_seats = 3"), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_syncs_of_one_file_have_limits_and_budgets_of_their_own() {
    let okta = Bench::okta().await.tables("[sync.guard]\nmax_removals = 1\n");
    let onelogin = Bench::onelogin().await.tables("[sync.guard]\nmax_removals = 2\n");
    let text = format!(
        "state_dir = {:?}\n\n{}\n{}",
        okta.directory.path().join("state"),
        okta.sync_text("strict"),
        onelogin.sync_text("lenient")
    );
    let crowds = [okta.crowd(40), onelogin.crowd(40)];
    let run = async || okta.all_with(&text, &onelogin).await;
    assert!(run().await.iter().all(|ended| ended.code == exit::OK));
    for (bench, crowd) in [&okta, &onelogin].into_iter().zip(crowds) {
        crowd[..2].iter().for_each(|person| bench.world().unassign(*person));
    }
    let ended = run().await;
    assert_eq!((ended[0].facts.summary.held, ended[0].facts.summary.deactivate), (2, 0), "{ended:#?}");
    assert_eq!((ended[1].facts.summary.held, ended[1].facts.summary.deactivate), (0, 2), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_limit_holds_from_the_next_run_on() {
    let strict = Bench::okta().await.tables("[sync.guard]\nmax_removals = 1\n");
    let crowd = strict.crowd(40);
    strict.begin().await;
    for person in &crowd[..2] {
        strict.world().unassign(*person);
    }
    assert_eq!(strict.run().await.facts.summary.held, 2);
    let lenient = strict.tables("[sync.guard]\nmax_removals = 2\n");
    assert_eq!(lenient.run().await.facts.summary.deactivate, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_is_not_offered_deactivates_only_with_the_approval_that_deactivations_need() {
    let bench = Bench::okta().await.habits(|habits| habits.without_delete = true);
    let bench = bench
        .tables("[sync.lifecycle]\non_unassigned = \"delete\"\n[sync.guard]\napproval = [\"deactivate\"]\n");
    let ann = bench.staff(["ann", "ben", "cleo"])[0];
    bench.begin().await;
    bench.world().unassign(ann);
    for _ in 0..2 {
        let ended = bench.run().await;
        assert_eq!((ended.code, ended.facts.summary.held), (exit::HELD, 1), "{ended:#?}");
        assert!(bench.is_active("ann"));
    }
    let hold = open_holds(&bench, Millis::now()).await.remove(0);
    assert_eq!((hold.verb, hold.count, hold.revision), (Verb::Deactivate, 1, 1), "{hold:?}");
    let decided = approve(&bench, &hold).await;
    let ended = bench.run_who(Selection::Ids(decided.people)).await;
    assert_eq!(ended.code, exit::OK, "{ended:#?}");
    assert!(!bench.is_active("ann"));
}

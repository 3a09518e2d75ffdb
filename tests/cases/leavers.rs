//! A leaver who keeps access is seen: in the exit code, in what is owed, until it is done.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rosterd::engine::selection::Selection;
use rosterd::exit;
use rosterd::model::id::SourceId;
use rosterd::model::owed::{OwedChange, WaitsFor};
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use rosterd::model::time::Millis;
use rosterd::sim::{Cut, Effect, Fault, Peer, PersonId};
use rosterd::store::{Hold, Snapshot, Store};
use serde_json::json;

use crate::support::{Bench, Ended, WIDE_LIMITS, mail};

mod deletions;
mod kept;
mod made_anew;

async fn owed(bench: &Bench) -> Vec<OwedChange> {
    let snapshot = Snapshot::open(&bench.directory.path().join("state")).await.unwrap();
    snapshot.owed("default").await.unwrap()
}

/// The removal that is owed about this login: since when, and what it waits for.
async fn removal_of(bench: &Bench, name: &str) -> OwedChange {
    let rows = owed(bench).await;
    let rows: Vec<OwedChange> =
        rows.into_iter().filter(|row| row.is_removal() && row.user == mail(name)).collect();
    assert_eq!(rows.len(), 1, "one row about {name}: {rows:#?}");
    rows[0].clone()
}

/// The account is active and the row says what it waits for.
async fn assert_kept(bench: &Bench, name: &str, waits_for: WaitsFor) {
    assert!(bench.is_active(name), "{name} has access");
    let row = removal_of(bench, name).await;
    assert_eq!(row.waits_for, waits_for, "{row:#?}");
}

/// The account is inactive, nobody's removal is owed, and the next runs have nothing to do.
async fn assert_gone_for_good(bench: &Bench, name: &str) {
    assert!(!bench.is_active(name), "{name} has no access");
    let rows: Vec<OwedChange> = owed(bench).await.into_iter().filter(OwedChange::is_removal).collect();
    assert!(rows.is_empty(), "{rows:#?}");
    bench.assert_quiet().await;
}

pub(crate) async fn open_holds(bench: &Bench) -> Vec<Hold> {
    let snapshot = Snapshot::open(&bench.directory.path().join("state")).await.unwrap();
    snapshot.open_holds(None, Millis::now()).await.unwrap()
}

pub(crate) async fn approve(bench: &Bench, hold: &Hold) -> Vec<SourceId> {
    let store = Store::open(&bench.directory.path().join("state"), false).await.unwrap();
    let decided = store.approve(hold.number, hold.revision, "uid 0", Millis::now()).await.unwrap();
    store.close().await.unwrap();
    decided.people
}

/// Approves the one open hold and runs its people.
async fn approve_and_run(bench: &Bench) -> Ended {
    let holds = open_holds(bench).await;
    assert_eq!(holds.len(), 1, "{holds:#?}");
    let people = approve(bench, &holds[0]).await;
    bench.run_who(Selection::Ids(people)).await
}

/// Answers every PATCH of these accounts so, and no other request.
fn refuse_patches(bench: &Bench, names: &[&str], status: u16, body: &str) -> usize {
    let ids: HashSet<String> = names.iter().map(|name| bench.account(name).id).collect();
    let fault = Fault::on(Peer::Scim)
        .method("PATCH")
        .when(move |path, _| path.rsplit('/').next().is_some_and(|id| ids.contains(id)))
        .then(Effect::answer(status, "application/json", body));
    bench.sim.faults().add(fault)
}

const OWNER: &str = r#"{"errorDescription":"Account owner cannot be deactivated","error":"not_allowed"}"#;
const ADMIN: &str = r#"{"errorDescription":"Not allowed for account admins","error":"not_allowed"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_after_an_update_was_refused_four_times_is_removed_in_that_run() {
    let bench = Bench::okta().await;
    let [ann, ..] = bench.staff(["ann", "ben", "cleo", "dan"]);
    bench.begin().await;
    bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
    refuse_patches(&bench, &["ann"], 403, ADMIN);
    for _ in 0..4 {
        assert_eq!(bench.run_for(&["ann"]).await.code, exit::PARTIAL);
    }
    // The update would wait for eight runs now.
    bench.sim.faults().clear();
    bench.world().unassign(ann);
    let ended = bench.run().await;
    ended.assert_end(exit::OK, RunResult::Ok);
    ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
    assert_gone_for_good(&bench, "ann").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_after_a_creation_that_is_not_settled_is_removed_once_it_is_known() {
    let bench = Bench::okta().await;
    bench.staff(["ben", "cleo", "dan"]);
    bench.begin().await;
    let ann = bench.hire("ann");
    // The account is made, the reply is lost, and nobody can ask what became of it.
    let sent = Arc::new(AtomicBool::new(false));
    let (note, asked) = (Arc::clone(&sent), sent);
    bench.sim.faults().add(
        Fault::on(Peer::Scim)
            .method("POST")
            .then(Effect::before(move |_| note.store(true, Ordering::SeqCst)))
            .then(Effect::Cut(Cut::LostReply)),
    );
    bench.sim.faults().add(
        Fault::on(Peer::Scim)
            .method("GET")
            .when(move |path, _| asked.load(Ordering::SeqCst) && path.ends_with("/Users"))
            .then(Effect::answer(500, "text/plain", "down")),
    );
    let ended = bench.run().await;
    assert_eq!(ended.code, exit::PARTIAL, "{ended:#?}");
    assert!(bench.is_active("ann"));
    bench.sim.faults().clear();
    bench.world().unassign(ann);
    let ended = bench.run().await;
    assert_eq!(ended.code, exit::OK, "{ended:#?}");
    assert_gone_for_good(&bench, "ann").await;
}

/// Forty people, as a full run plans them; the first so many are admins whose deactivation is refused, and leave.
async fn admins_who_leave(admins: usize, body: &str) -> (Bench, Vec<PersonId>) {
    let bench = Bench::okta().await.tables(WIDE_LIMITS).target("concurrency = 1\n");
    let mut crowd = bench.crowd(40);
    bench.begin().await;
    // People who left are planned in the order of their ids.
    crowd.sort_by_key(|person| bench.source_id(*person));
    let names: Vec<String> = crowd[..admins].iter().map(|person| login(&bench, *person)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    refuse_patches(&bench, &names, 403, body);
    crowd[..admins].iter().for_each(|person| bench.world().unassign(*person));
    (bench, crowd)
}

fn login(bench: &Bench, person: PersonId) -> String {
    bench.world().person(person).login
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_beside_25_admins_who_are_refused_for_good_is_removed_in_that_run() {
    for body in [OWNER, ADMIN] {
        let (bench, crowd) = admins_who_leave(25, body).await;
        for _ in 0..4 {
            let ended = bench.run().await;
            ended.assert_end(exit::PARTIAL, RunResult::Partial);
        }
        let refused = owed(&bench).await.iter().filter(|row| row.refusals > 0).count();
        assert_eq!(refused, 25, "each of them had a turn");
        bench.world().unassign(crowd[39]);
        let ended = bench.run().await;
        ended.assert_end(exit::PARTIAL, RunResult::Partial);
        ended.assert_line(&login(&bench, crowd[39]), Verb::Deactivate, Outcome::Applied);
        assert_eq!(ended.facts.summary.deactivate, 1, "{ended:#?}");
        assert!(!bench.is_active(&login(&bench, crowd[39])));
        assert_kept(&bench, &login(&bench, crowd[3]), WaitsFor::Retry).await;
        assert_eq!(bench.run().await.code, exit::PARTIAL, "the others still have access");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_who_comes_with_25_account_owners_goes_in_the_same_run() {
    // An answer that is about one account says nothing of the token.
    let (bench, crowd) = admins_who_leave(25, OWNER).await;
    bench.world().unassign(crowd[39]);
    let ended = bench.run().await;
    ended.assert_end(exit::PARTIAL, RunResult::Partial);
    ended.assert_line(&login(&bench, crowd[39]), Verb::Deactivate, Outcome::Applied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_who_comes_with_25_admins_of_whom_nobody_knows_goes_at_the_latest_in_the_next_run() {
    let (bench, crowd) = admins_who_leave(25, ADMIN).await;
    bench.world().unassign(crowd[39]);
    let first = bench.run().await;
    first.assert_end(exit::PARTIAL, RunResult::Partial);
    if bench.is_active(&login(&bench, crowd[39])) {
        assert_kept(&bench, &login(&bench, crowd[39]), WaitsFor::Retry).await;
        let second = bench.run().await;
        second.assert_end(exit::PARTIAL, RunResult::Partial);
    }
    assert!(!bench.is_active(&login(&bench, crowd[39])));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_can_be_changed_after_all_gets_its_turn_behind_24_that_cannot() {
    let (bench, crowd) = admins_who_leave(25, ADMIN).await;
    for _ in 0..3 {
        bench.run().await;
    }
    // Each of them in turn: whichever it is, two runs reach it.
    for last in [crowd[24], crowd[12]].map(|person| login(&bench, person)) {
        bench.sim.faults().clear();
        let names: Vec<String> = crowd[..25].iter().map(|person| login(&bench, *person)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| *name != last).collect();
        refuse_patches(&bench, &names, 403, ADMIN);
        for _ in 0..2 {
            bench.run().await;
        }
        assert!(!bench.is_active(&last), "{last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_only_read_sends_twenty_removals_and_says_why_the_rest_was_not_sent() {
    let bench = Bench::okta().await.tables(WIDE_LIMITS).target("concurrency = 1\n");
    let crowd = bench.crowd(40);
    bench.begin().await;
    bench.sim.faults().add(Fault::on(Peer::Scim).method("PATCH").then(Effect::answer(
        403,
        "application/json",
        r#"{"detail":"read only"}"#,
    )));
    crowd[..30].iter().for_each(|person| bench.world().unassign(*person));
    for _ in 0..3 {
        bench.sim.clear_requests();
        let ended = bench.run().await;
        ended.assert_end(exit::PARTIAL, RunResult::Partial);
        assert!(bench.writes().len() <= 40, "{:?}", bench.writes());
        assert!(bench.writes().len() >= 20, "{:?}", bench.writes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_person_of_a_sync_who_leaves_is_held_and_goes_when_that_is_approved() {
    let bench = Bench::okta().await;
    let [ann] = bench.staff(["ann"]);
    bench.begin().await;
    bench.world().unassign(ann);
    for named in [true, false, true, false] {
        let ended = if named { bench.run_for(&["ann"]).await } else { bench.run().await };
        ended.assert_end(exit::HELD, RunResult::Held);
        assert_kept(&bench, "ann", WaitsFor::Approval).await;
    }
    let ended = approve_and_run(&bench).await;
    ended.assert_end(exit::OK, RunResult::Ok);
    assert_gone_for_good(&bench, "ann").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_person_who_waits_for_an_approval_is_held_still_when_deactivated_and_goes_when_approved() {
    let bench = Bench::okta().await;
    let [ann] = bench.staff(["ann"]);
    bench.begin().await;
    bench.world().unassign(ann);
    assert_eq!(bench.run().await.code, exit::HELD);
    // There is nobody to compare with, whatever the cause.
    bench.world().deactivate(ann);
    let ended = bench.run().await;
    ended.assert_end(exit::HELD, RunResult::Held);
    assert_kept(&bench, "ann", WaitsFor::Approval).await;
    let ended = approve_and_run(&bench).await;
    ended.assert_end(exit::OK, RunResult::Ok);
    assert_gone_for_good(&bench, "ann").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_two_people_who_leave_at_once_are_held_and_go_when_that_is_approved() {
    let bench = Bench::okta().await;
    let people = bench.staff(["ann", "ben"]);
    bench.begin().await;
    people.iter().for_each(|person| bench.world().deactivate(*person));
    let ended = bench.run().await;
    ended.assert_end(exit::HELD, RunResult::Held);
    let ended = approve_and_run(&bench).await;
    ended.assert_end(exit::OK, RunResult::Ok);
    assert!(!bench.is_active("ann"));
    assert_gone_for_good(&bench, "ben").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_fails_with_503_is_exit_3_until_it_is_done_and_is_tried_in_every_run() {
    let bench = Bench::okta().await;
    let [ann, ..] = bench.staff(["ann", "ben", "cleo", "dan"]);
    bench.begin().await;
    bench.world().unassign(ann);
    refuse_patches(&bench, &["ann"], 503, "down");
    let mut since = None;
    for number in 1..=8u32 {
        bench.sim.clear_requests();
        let ended = bench.run().await;
        assert_eq!(ended.code, exit::PARTIAL, "run {number}: {ended:#?}");
        assert!(!bench.writes().is_empty(), "run {number} tries");
        assert_kept(&bench, "ann", WaitsFor::Retry).await;
        let row = removal_of(&bench, "ann").await;
        assert_eq!(row.attempts, number);
        assert_eq!(*since.get_or_insert(row.since), row.since, "since the first time");
        // The report's line says the same.
        assert_eq!(ended.of("ann").waits_for, Some(WaitsFor::Retry));
        // In reports a time has whole seconds.
        let told = ended.of("ann").owed_since.map(|at| at.0);
        assert_eq!(told, since.map(|at: Millis| at.0 / 1000 * 1000), "{ended:#?}");
    }
    bench.sim.faults().clear();
    let ended = bench.run().await;
    ended.assert_end(exit::OK, RunResult::Ok);
    assert_eq!(ended.of("ann").owed_since, None, "what is done is not owed");
    assert_gone_for_good(&bench, "ann").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_named_people_answers_for_them_and_the_full_run_for_the_sync() {
    let bench = Bench::okta().await;
    let [ann, ..] = bench.staff(["ann", "ben", "cleo", "dan"]);
    bench.begin().await;
    bench.world().unassign(ann);
    refuse_patches(&bench, &["ann"], 503, "down");
    assert_eq!(bench.run().await.code, exit::PARTIAL);
    assert_eq!(bench.run_for(&["ben"]).await.code, exit::OK, "ben is in order");
    assert_eq!(bench.run_for(&["ann"]).await.code, exit::PARTIAL);
    assert_kept(&bench, "ann", WaitsFor::Retry).await;
    bench.sim.faults().clear();
    assert_eq!(bench.run_for(&["ann"]).await.code, exit::OK);
    assert_gone_for_good(&bench, "ann").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn not_allowed_on_a_deactivation_is_no_missing_seat_and_holds_no_joiner() {
    for body in [OWNER, ADMIN] {
        let bench = Bench::okta().await;
        let [ann, ..] = bench.staff(["ann", "ben", "cleo", "dan"]);
        bench.begin().await;
        bench.world().unassign(ann);
        refuse_patches(&bench, &["ann"], 403, body);
        bench.staff(["eve", "finn"]);
        for number in 1..=2 {
            let ended = bench.run().await;
            ended.assert_end(exit::PARTIAL, RunResult::Partial);
            ended.assert_line("ann", Verb::Deactivate, Outcome::Failed);
            assert!(!ended.words_of("ann").contains("seat"), "{ended:#?}");
            assert_eq!(ended.facts.summary.held, 0, "{ended:#?}");
            assert_eq!(ended.facts.summary.create, if number == 1 { 2 } else { 0 }, "{ended:#?}");
            assert_kept(&bench, "ann", WaitsFor::Retry).await;
        }
        assert!(bench.is_active("eve") && bench.is_active("finn"));
        bench.sim.faults().clear();
        assert_eq!(bench.run().await.code, exit::OK);
        assert_gone_for_good(&bench, "ann").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn not_allowed_on_an_update_of_an_admin_is_no_missing_seat_even_where_it_names_a_licence() {
    let licence =
        r#"{"errorDescription":"Not allowed due to license/quota limitations","error":"not_allowed"}"#;
    for body in [ADMIN, licence] {
        let bench = Bench::okta().await;
        let [ann, ..] = bench.staff(["ann", "ben", "cleo", "dan"]);
        bench.begin().await;
        bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        refuse_patches(&bench, &["ann"], 403, body);
        bench.staff(["eve", "finn"]);
        let ended = bench.run().await;
        ended.assert_end(exit::PARTIAL, RunResult::Partial);
        ended.assert_line("ann", Verb::Update, Outcome::Failed);
        assert_eq!((ended.facts.summary.create, ended.facts.summary.held), (2, 0), "{ended:#?}");
        assert!(bench.is_active("eve") && bench.is_active("finn"));
    }
}

/// Ann's account was deleted and made anew with the same login, with or without her mark; then she leaves.
async fn an_account_made_anew(with_mark: bool) -> (Bench, PersonId) {
    let bench = Bench::okta().await;
    let [ann, ..] = bench.staff(["ann", "ben", "cleo", "dan"]);
    bench.begin().await;
    assert!(bench.world().delete_account(&bench.account("ann").id));
    let id = bench.add_account("ann", true);
    if with_mark {
        let mark = bench.external_id(ann);
        bench.world().edit_account(&id, |account| {
            account.resource.insert("externalId".to_owned(), json!(mark));
        });
    }
    bench.world().unassign(ann);
    (bench, ann)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leavers_account_that_was_made_anew_with_the_mark_is_found_and_removed() {
    let (bench, _) = an_account_made_anew(true).await;
    let ended = bench.run().await;
    ended.assert_end(exit::OK, RunResult::Ok);
    ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
    assert_gone_for_good(&bench, "ann").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_made_anew_is_found_where_the_first_removal_got_no_answer_too() {
    let bench = Bench::okta().await;
    let ann = bench.staff(["ann", "ben", "cleo"])[0];
    bench.begin().await;
    bench.world().unassign(ann);
    let given_up = Fault::on(Peer::Scim).method("PATCH").then(Effect::Cut(Cut::BeforeProcessing));
    bench.sim.faults().add(given_up);
    bench.run().await.assert_end(exit::PARTIAL, RunResult::Partial);
    bench.sim.faults().clear();
    let mut anew = bench.account("ann").resource;
    bench.world().delete_account(&bench.account("ann").id);
    anew.remove("id");
    bench.world().add_account(&serde_json::Value::Object(anew));
    assert!(bench.is_active("ann"));
    bench.run().await;
    assert!(!bench.is_active("ann"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_made_anew_goes_by_a_deletion_too() {
    let (bench, _) = an_account_made_anew(true).await;
    let bench = bench.tables("[sync.lifecycle]\non_unassigned = \"delete\"");
    let ended = bench.run().await;
    ended.assert_end(exit::OK, RunResult::Ok);
    ended.assert_line("ann", Verb::Delete, Outcome::Applied);
    assert!(bench.world().account("ann@acme.example").is_none());
    bench.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leavers_account_that_was_made_anew_with_the_login_only_is_held_and_goes_when_approved() {
    let (bench, _) = an_account_made_anew(false).await;
    for _ in 0..2 {
        let ended = bench.run().await;
        ended.assert_end(exit::HELD, RunResult::Held);
        ended.assert_line("ann", Verb::Deactivate, Outcome::Held);
        assert_kept(&bench, "ann", WaitsFor::Approval).await;
        let holds = open_holds(&bench).await;
        assert_eq!((holds.len(), holds[0].verb, holds[0].count), (1, Verb::Deactivate, 1), "{holds:#?}");
    }
    let ended = approve_and_run(&bench).await;
    ended.assert_end(exit::OK, RunResult::Ok);
    assert_gone_for_good(&bench, "ann").await;
    assert!(open_holds(&bench).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leavers_account_that_is_nowhere_is_gone() {
    let bench = Bench::okta().await;
    let [ann, ..] = bench.staff(["ann", "ben", "cleo", "dan"]);
    bench.begin().await;
    assert!(bench.world().delete_account(&bench.account("ann").id));
    bench.world().unassign(ann);
    let ended = bench.run().await;
    ended.assert_end(exit::OK, RunResult::Ok);
    assert!(owed(&bench).await.is_empty());
    bench.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_answers_401_to_everything_is_refused_credentials_though_nothing_changed() {
    let bench = Bench::okta().await;
    bench.staff(["ann", "ben"]);
    bench.begin().await;
    bench.sim.faults().add(Fault::on(Peer::Scim).then(Effect::answer(401, "application/json", "{}")));
    let ended = bench.run().await;
    ended.assert_end(exit::TARGET, RunResult::TargetUnavailable);
    assert!(ended.problems().contains("help:"), "{ended:#?}");
    bench.sim.faults().clear();
    assert_eq!(bench.run().await.code, exit::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_401_to_a_write_is_refused_credentials_with_the_help_and_the_removal_stays_owed() {
    let bench = Bench::okta().await;
    let [ann, ..] = bench.staff(["ann", "ben", "cleo", "dan"]);
    bench.begin().await;
    bench.world().unassign(ann);
    bench.sim.faults().add(Fault::on(Peer::Scim).method("PATCH").then(Effect::answer(
        401,
        "application/json",
        "{}",
    )));
    for _ in 0..2 {
        let ended = bench.run().await;
        ended.assert_end(exit::TARGET, RunResult::TargetUnavailable);
        assert!(ended.problems().contains("help:"), "{ended:#?}");
        assert_kept(&bench, "ann", WaitsFor::Retry).await;
    }
    bench.sim.faults().clear();
    assert_eq!(bench.run().await.code, exit::OK);
    assert_gone_for_good(&bench, "ann").await;
}

/// Leaves the last person out of one of OneLogin's two lists, and says so in its count.
fn hide_in_one_list(bench: &Bench, details: bool) {
    bench.sim.faults().clear();
    let fault = Fault::on(Peer::OneLogin)
        .when(move |asked, _| (asked == "/api/2/users") == details && asked.ends_with("/users"))
        .then(Effect::DropRows(1))
        .then(Effect::ShiftTotal(-1));
    bench.sim.faults().add(fault);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_person_whose_id_is_in_one_of_onelogins_two_lists_only_is_asked_for_and_removed() {
    for details in [true, false] {
        let bench = Bench::onelogin().await;
        bench.sim.onelogin(|options| options.lists_unlicensed = true);
        let [_, _, _, dan] = bench.staff(["ann", "ben", "cleo", "dan"]);
        bench.begin().await;
        bench.world().suspend(dan);
        hide_in_one_list(&bench, details);
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("dan", Verb::Deactivate, Outcome::Applied);
        assert_gone_for_good(&bench, "dan").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_with_access_whom_nobody_can_judge_is_owed_a_look_and_exit_3_until_somebody_can() {
    let bench = Bench::onelogin().await;
    bench.sim.onelogin(|options| options.lists_unlicensed = true);
    let [_, _, _, dan] = bench.staff(["ann", "ben", "cleo", "dan"]);
    bench.begin().await;
    bench.world().suspend(dan);
    hide_in_one_list(&bench, true);
    let alone = format!("/users/{}", bench.source_id(dan));
    bench.sim.faults().add(Fault::on(Peer::OneLogin).path(&alone).then(Effect::answer(
        500,
        "text/plain",
        "down",
    )));
    for _ in 0..2 {
        let ended = bench.run().await;
        ended.assert_end(exit::PARTIAL, RunResult::Partial);
        assert_kept(&bench, "dan", WaitsFor::Look).await;
    }
    hide_in_one_list(&bench, true);
    let ended = bench.run().await;
    ended.assert_end(exit::OK, RunResult::Ok);
    assert_gone_for_good(&bench, "dan").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_record_that_cannot_be_read_keeps_nobody_elses_dismissal_from_being_seen() {
    let bench = Bench::okta().await;
    let mut crowd = bench.crowd(40);
    bench.begin().await;
    // They are asked about in the order of their ids: the one who cannot be read is the first.
    crowd.sort_by_key(|person| bench.source_id(*person));
    let dismissed = bench.world().person(crowd[39]).login;
    // Six are unassigned and held; one of them cannot be asked about, and somebody else is dismissed.
    crowd[..6].iter().for_each(|person| bench.world().unassign(*person));
    let broken = format!("/api/v1/users/{}", bench.source_id(crowd[0]));
    bench.sim.faults().add(Fault::on(Peer::Okta).path(&broken).then(Effect::answer(
        500,
        "text/plain",
        "down",
    )));
    bench.world().deactivate(crowd[39]);
    let ended = bench.run().await;
    ended.assert_line(&dismissed, Verb::Deactivate, Outcome::Applied);
    assert_eq!((ended.facts.summary.deactivate, ended.facts.summary.held), (1, 6), "{ended:#?}");
    assert_eq!(ended.code, exit::HELD, "{ended:#?}");
}

#[tokio::test]
async fn a_removal_that_failed_in_a_full_run_is_due_again_by_itself_after_half_a_minute() {
    let bench = Bench::okta().await;
    let ann = bench.staff(["ann", "ben", "cleo"])[0];
    bench.begin().await;
    bench.world().unassign(ann);
    refuse_patches(&bench, &["ann"], 503, "down");
    let before = Millis::now();
    bench.run().await.assert_line("ann", Verb::Deactivate, Outcome::Failed);
    let snapshot = Snapshot::open(&bench.directory.path().join("state")).await.unwrap();
    let due = snapshot.next_removal_try(&bench.name).await.unwrap().unwrap();
    assert!((30_000..300_000).contains(&due.since(before)), "{due:?} after {before:?}");
    assert_eq!(snapshot.due_removals(&bench.name, due).await.unwrap(), [bench.source_id(ann)]);
}

//! One account, two claims: who has an account that two people, two syncs or two identities could have.

use std::time::Duration;

use rosterd::exit;
use rosterd::model::id::{SourceId, Vendor};
use rosterd::model::link::{Link, LinkState};
use rosterd::model::plan::{Situation, Verb};
use rosterd::model::report::{ActionRecord, Outcome, RunResult};
use rosterd::model::time::Millis;
use rosterd::reconcile::Who;
use rosterd::sim::{DuplicateHabit, Effect, Fault, Peer, PersonId, Reply, World, okta_error};
use rosterd::store::{Decided, Hold, Snapshot, Store};
use serde_json::{Value, json};

use crate::support::{Bench, Ended, Mode, account_by_hand, mail};

pub(crate) const BOTH: [Vendor; 2] = [Vendor::Okta, Vendor::OneLogin];
const BY_EMAIL: &str = "[sync.adopt]\nmatch = [\"externalId\", \"email\"]";
const BY_EVERYTHING: &str = "[sync.adopt]\nmatch = [\"externalId\", \"userName\", \"email\"]";

/// What a predecessor's end looks like at the source.
type Leave = fn(&World, PersonId);

/// The one line about this person.
pub(crate) fn line_of<'a>(ended: &'a Ended, bench: &Bench, person: PersonId) -> &'a ActionRecord {
    let id = bench.source_id(person);
    let lines: Vec<_> = ended.records.iter().filter(|line| line.source_id.as_ref() == Some(&id)).collect();
    assert_eq!(lines.len(), 1, "one line about {id}: {ended:#?}");
    lines[0]
}

#[track_caller]
pub(crate) fn assert_line_of(
    ended: &Ended,
    bench: &Bench,
    person: PersonId,
    expected: (Verb, Situation, Outcome),
) {
    let line = line_of(ended, bench, person);
    assert_eq!((line.action, line.situation, line.outcome), expected, "{ended:#?}");
}

const TAKEN: (Verb, Situation, Outcome) = (Verb::HoldBack, Situation::TakenElsewhere, Outcome::Skipped);
const ADOPTED: (Verb, Situation, Outcome) = (Verb::Adopt, Situation::Found, Outcome::Applied);
const ADOPTION_HELD: (Verb, Situation, Outcome) = (Verb::Adopt, Situation::Found, Outcome::Held);
const SUCCESSION_HELD: (Verb, Situation, Outcome) = (Verb::Adopt, Situation::Successor, Outcome::Held);
const SUCCEEDED: (Verb, Situation, Outcome) = (Verb::Adopt, Situation::Successor, Outcome::Applied);
const CREATED: (Verb, Situation, Outcome) = (Verb::Create, Situation::Absent, Outcome::Applied);

/// Adds an account that nobody is linked to, with an `externalId`.
fn add_marked(bench: &Bench, login: &str, mark: &str, active: bool) -> String {
    let mut account = account_by_hand(&mail(login), active);
    account["externalId"] = json!(mark);
    bench.world().add_account(&account)
}

fn whole(bench: &Bench, id: &str) -> Value {
    Value::Object(bench.world().account_by_id(id).unwrap().resource)
}

fn state_of(bench: &Bench) -> std::path::PathBuf {
    bench.directory.path().join("state")
}

pub(crate) async fn open_holds(bench: &Bench) -> Vec<Hold> {
    let snapshot = Snapshot::open(&state_of(bench)).await.unwrap();
    snapshot.open_holds(None, Millis::now()).await.unwrap()
}

/// Approves the one open hold, as it is shown.
pub(crate) async fn approve(bench: &Bench) -> Decided {
    let holds = open_holds(bench).await;
    assert_eq!(holds.len(), 1, "{holds:?}");
    let store = Store::open(&state_of(bench), false).await.unwrap();
    let (number, revision) = (holds[0].number, holds[0].revision);
    let decided = store.approve(number, revision, "uid 0", Millis::now()).await.unwrap();
    store.close().await.unwrap();
    decided
}

/// Approves the one open hold and runs what it releases.
pub(crate) async fn approve_and_run(bench: &Bench) -> Ended {
    let decided = approve(bench).await;
    bench.run_who(Who::Ids(decided.people)).await
}

async fn link_of(bench: &Bench, id: &SourceId) -> Option<Link> {
    let snapshot = Snapshot::open(&state_of(bench)).await.unwrap();
    snapshot.link(&bench.name, id).await.unwrap()
}

async fn what_is_owed(bench: &Bench, id: &SourceId) -> usize {
    let snapshot = Snapshot::open(&state_of(bench)).await.unwrap();
    snapshot.owed_of(&bench.name, id).await.unwrap().len()
}

/// Both syncs of one configuration, at Okta and at OneLogin, into one workspace.
fn two_syncs(bench: &mut Bench) -> String {
    let mut text = format!("state_dir = {:?}\n\n", state_of(bench));
    for (vendor, name) in [(Vendor::Okta, "okta"), (Vendor::OneLogin, "onelogin")] {
        bench.vendor = vendor;
        text.push_str(&bench.sync_text(name));
        text.push('\n');
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mark_decides_who_adopts_and_the_other_one_is_created_in_the_next_run() {
    for vendor in BOTH {
        // With lookups, and with one listing for many.
        for others in [0, 6] {
            let bench = Bench::new(vendor).await;
            bench.staff(["zoe", "yan"]);
            bench.begin().await;
            bench.crowd(others);
            let renamed = bench.hire("anna");
            let newcomer = bench.hire("ann");
            let account = add_marked(&bench, "ann", &bench.external_id(renamed), true);
            let ended = bench.run().await;
            ended.assert_end(exit::OK, RunResult::Ok);
            assert_line_of(&ended, &bench, renamed, ADOPTED);
            assert_line_of(&ended, &bench, newcomer, TAKEN);
            assert_eq!(ended.facts.summary.create, others as u64, "everybody else goes on");
            let shown = bench.world().account_by_id(&account).unwrap();
            assert_eq!(shown.user_name(), "anna@acme.example", "the old login is given free");
            assert_eq!(shown.at("/name/givenName"), json!("Anna"), "nobody else's data got in");
            let ended = bench.run().await;
            ended.assert_end(exit::OK, RunResult::Ok);
            assert_line_of(&ended, &bench, newcomer, CREATED);
            assert_ne!(bench.account("ann").id, account);
            bench.assert_quiet().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_cannot_search_marks_gives_the_marked_account_to_its_person_too() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.target("dialect = \"wrike\"");
        bench.staff(["zoe", "yan"]);
        bench.begin().await;
        let renamed = bench.hire("anna");
        let newcomer = bench.hire("ann");
        let account = add_marked(&bench, "ann", &bench.external_id(renamed), true);
        let ended = bench.run().await;
        assert_line_of(&ended, &bench, renamed, ADOPTED);
        assert_line_of(&ended, &bench, newcomer, TAKEN);
        assert_eq!(bench.world().account_by_id(&account).unwrap().user_name(), "anna@acme.example");
        assert_line_of(&bench.run().await, &bench, newcomer, CREATED);
        assert_eq!(bench.accounts().len(), 4);
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_who_reach_one_account_by_their_addresses_are_ambiguous_and_everybody_else_goes_on() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables(BY_EMAIL);
        let [ann, ben, cleo] = bench.staff(["ann", "ben", "cleo"]);
        let mut account = account_by_hand("somebody@acme.example", true);
        account["emails"] = json!([
            {"value": "ann@acme.example", "type": "work", "primary": true},
            {"value": "ben@acme.example", "type": "home"},
        ]);
        let id = bench.world().add_account(&account);
        let before = whole(&bench, &id);
        for _ in 0..2 {
            let ended = bench.run().await;
            ended.assert_end(exit::OK, RunResult::Ok);
            for person in [ann, ben] {
                let expected = (Verb::HoldBack, Situation::Ambiguous, Outcome::Skipped);
                assert_line_of(&ended, &bench, person, expected);
            }
            assert_eq!(whole(&bench, &id), before);
        }
        assert!(bench.link(cleo).await.is_some() && bench.link(ann).await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_login_has_an_account_before_the_address_and_who_has_the_address_is_planned_afresh() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables(BY_EVERYTHING);
        let [ann, ben, _] = bench.staff(["ann", "ben", "cleo"]);
        let mut account = account_by_hand("ann@acme.example", true);
        account["emails"] = json!([{"value": "ben@acme.example", "type": "work", "primary": true}]);
        let id = bench.world().add_account(&account);
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_line_of(&ended, &bench, ann, ADOPTED);
        assert_line_of(&ended, &bench, ben, TAKEN);
        assert_eq!(bench.link(ann).await.unwrap().target_id.as_str(), id);
        let ended = bench.run().await;
        assert_line_of(&ended, &bench, ben, CREATED);
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_syncs_give_each_joiner_one_account_and_the_second_one_says_taken_elsewhere() {
    let mut bench = Bench::okta().await.habits(|habits| habits.duplicates = DuplicateHabit::Accepted);
    let text = two_syncs(&mut bench);
    bench.crowd(12);
    for first in [true, false] {
        let ended = bench.all(&text, Who::Everybody, Mode::Real).await;
        assert!(ended.iter().all(|ended| ended.code == exit::OK), "{ended:#?}");
        assert_eq!(ended[0].facts.summary.create, if first { 12 } else { 0 });
        assert_eq!(ended[1].facts.summary.held_back, 12, "{ended:#?}");
        assert!(ended[1].records.iter().all(|line| line.situation == Situation::TakenElsewhere));
        assert_eq!(bench.accounts().len(), 12);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_syncs_at_once_give_each_joiner_one_account_in_a_workspace_that_takes_twins() {
    let mut bench = Bench::okta().await.habits(|habits| habits.duplicates = DuplicateHabit::Accepted);
    let text = two_syncs(&mut bench);
    bench.crowd(40);
    let slow = Fault::on(Peer::Scim).method("POST");
    bench.sim.faults().add(slow.then(Effect::Delay(Duration::from_millis(100))));
    let ended = bench.all_at_once(&text).await;
    assert!(ended.iter().all(|ended| ended.code == exit::OK), "{ended:#?}");
    let sums = ended.iter().map(|ended| ended.facts.summary.clone());
    let (created, taken): (Vec<u64>, Vec<u64>) = sums.map(|sum| (sum.create, sum.held_back)).unzip();
    assert_eq!((created.iter().sum::<u64>(), taken.iter().sum::<u64>()), (40, 40), "{ended:#?}");
    assert_eq!(bench.accounts().len(), 40);
    let held = ended.iter().flat_map(|ended| &ended.records).filter(|line| line.action == Verb::HoldBack);
    assert!(held.into_iter().all(|line| line.situation == Situation::TakenElsewhere));
    let again = bench.all(&text, Who::Everybody, Mode::Real).await;
    assert!(
        again.iter().all(|ended| ended.code == exit::OK && ended.facts.summary.writes() == 0),
        "{again:#?}"
    );
    assert_eq!(bench.accounts().len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_syncs_at_once_adopt_an_account_once() {
    let mut bench = Bench::okta().await;
    let text = two_syncs(&mut bench);
    bench.crowd(5);
    (0..5).for_each(|number| {
        bench.add_account(&format!("person{number}@acme.example"), true);
    });
    let slow = Fault::on(Peer::Scim).method("PATCH");
    bench.sim.faults().add(slow.then(Effect::Delay(Duration::from_millis(100))));
    let ended = bench.all_at_once(&text).await;
    assert!(ended.iter().all(|ended| ended.code == exit::OK), "{ended:#?}");
    assert_eq!(ended.iter().map(|ended| ended.facts.summary.adopt).sum::<u64>(), 5, "{ended:#?}");
    assert_eq!(bench.writes().len(), 5, "each account is written to once");
}

/// The workspace answers the creation of somebody with the account of somebody else, under the new values.
fn answer_creations_with(bench: &Bench, name: &str, newcomer: PersonId) {
    let mut account = bench.account(name);
    let login = bench.world().person(newcomer).login;
    account.resource.insert("id".to_owned(), json!(account.id));
    account.resource.insert("externalId".to_owned(), json!(bench.external_id(newcomer)));
    account.resource.insert("emails".to_owned(), json!([{"value": login, "type": "work", "primary": true}]));
    account.resource.insert("userName".to_owned(), json!(login));
    let reply = Reply::empty(201)
        .with("content-type", "application/scim+json")
        .with_body(Value::Object(account.resource).to_string());
    bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").then(Effect::Answer(reply)));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_answered_with_somebody_elses_account_is_not_created_again_until_the_source_or_the_link_changes()
 {
    for vendor in BOTH {
        for link_changes in [false, true] {
            let bench = Bench::new(vendor).await;
            let [ann, ben, _] = bench.staff(["ann", "ben", "cleo"]);
            bench.begin().await;
            let eve = bench.hire("eve");
            answer_creations_with(&bench, "ann", eve);
            bench.world().edit(ben, |person| person.title = Some("Lead".to_owned()));
            let ended = bench.run().await;
            ended.assert_end(exit::OK, RunResult::Ok);
            assert_line_of(&ended, &bench, eve, TAKEN);
            ended.assert_line("ben", Verb::Update, Outcome::Applied);
            assert!(bench.link(ann).await.is_some_and(|link| link.state == LinkState::Active));
            bench.sim.clear_requests();
            for _ in 0..2 {
                let ended = bench.run().await;
                ended.assert_end(exit::OK, RunResult::Ok);
                assert_line_of(&ended, &bench, eve, TAKEN);
                assert_eq!(bench.writes(), Vec::<String>::new(), "{ended:#?}");
            }
            bench.sim.faults().clear();
            if link_changes {
                let store = Store::open(&state_of(&bench), false).await.unwrap();
                let tenure = store.tenure(&bench.name).await.unwrap();
                assert!(store.forget(&tenure, &bench.source_id(ann), "uid 0", Millis::now()).await.unwrap());
                store.close().await.unwrap();
            } else {
                bench.world().edit(eve, |person| person.title = Some("Lead".to_owned()));
            }
            assert_line_of(&bench.run().await, &bench, eve, CREATED);
        }
    }
}

fn ways_to_be_gone() -> Vec<(&'static str, Leave)> {
    vec![
        ("deleted", |world, person| world.delete(person)),
        ("disabled", |world, person| world.deactivate(person)),
    ]
}

/// Ann is gone, her account is deactivated, and somebody new has her login. Gives both.
async fn rehired(bench: &Bench, leave: Leave) -> (SourceId, PersonId) {
    let ann = bench.staff(["ann", "ben", "cleo"])[0];
    bench.begin().await;
    let old = bench.source_id(ann);
    leave(bench.world(), ann);
    if bench.world().people().iter().any(|person| person.key == ann) {
        bench.world().rename(ann, "ann.before@acme.example");
    }
    let again = bench.hire("ann");
    bench.world().edit(again, |person| person.title = Some("Returner".to_owned()));
    (old, again)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_successor_gets_account_and_link_and_the_sync_lives_on() {
    for vendor in BOTH {
        for (what, leave) in ways_to_be_gone() {
            let bench = Bench::new(vendor).await;
            let (old, again) = rehired(&bench, leave).await;
            let ended = bench.run().await;
            assert_eq!(ended.code, exit::HELD, "{vendor:?} {what}: {ended:#?}");
            assert_line_of(&ended, &bench, again, SUCCESSION_HELD);
            assert!(line_of(&ended, &bench, again).reason.contains(old.as_str()), "both records: {ended:#?}");
            let account = bench.account("ann").id;
            assert!(!bench.is_active("ann"), "{what}");
            let ended = approve_and_run(&bench).await;
            ended.assert_end(exit::OK, RunResult::Ok);
            assert_line_of(&ended, &bench, again, SUCCEEDED);
            let link = bench.link(again).await.unwrap();
            assert_eq!((link.target_id.as_str(), link.state), (account.as_str(), LinkState::Active));
            assert!(link_of(&bench, &old).await.is_none(), "{what}: the old identity has no link any more");
            assert_eq!(what_is_owed(&bench, &old).await, 0);
            let shown = bench.account("ann");
            assert_eq!(
                (shown.active(), shown.at("/externalId"), shown.at("/title")),
                (true, json!(bench.external_id(again)), json!("Returner"))
            );
            assert_eq!(bench.accounts().len(), 3);
            bench.assert_quiet().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_owed_about_the_old_identity_ends_with_the_succession() {
    for vendor in BOTH {
        for (what, leave) in ways_to_be_gone() {
            let bench = Bench::new(vendor).await;
            let (old, again) = rehired(&bench, leave).await;
            let refused =
                Fault::on(Peer::Scim).method("PATCH").then(Effect::answer(503, "text/plain", "later"));
            bench.sim.faults().add(refused);
            let ended = bench.run().await;
            assert!(what_is_owed(&bench, &old).await > 0, "{vendor:?} {what}: {ended:#?}");
            assert_eq!(ended.code, exit::PARTIAL, "{vendor:?} {what}: {ended:#?}");
            bench.sim.faults().clear();
            let ended = approve_and_run(&bench).await;
            assert_line_of(&ended, &bench, again, SUCCEEDED);
            assert_eq!(what_is_owed(&bench, &old).await, 0, "{what}");
            bench.assert_quiet().await;
            assert!(bench.is_active("ann"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_succession_whose_write_is_refused_is_done_by_a_later_run() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let (_, again) = rehired(&bench, |world, person| world.delete(person)).await;
        bench.run().await;
        let refused = Effect::answer(503, "text/plain", "later");
        bench.sim.faults().add(Fault::on(Peer::Scim).method("PATCH").then(refused));
        let ended = approve_and_run(&bench).await;
        assert_eq!(ended.code, exit::PARTIAL, "{ended:#?}");
        bench.sim.faults().clear();
        for _ in 0..3 {
            bench.run().await;
        }
        assert!(bench.is_active("ann"));
        assert!(bench.link(again).await.is_some());
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_marked_for_a_living_person_is_taken_whether_they_are_assigned_or_not() {
    for vendor in BOTH {
        for assigned in [false, true] {
            for active in [false, true] {
                let bench = Bench::new(vendor).await;
                bench.staff(["ben", "cleo"]);
                bench.begin().await;
                let eve = bench.world().hire("eve@acme.example", |_| {});
                if assigned {
                    bench.world().suspend(eve);
                    bench.world().assign(eve);
                }
                let ann = bench.hire("ann");
                let id = add_marked(&bench, "ann", &bench.external_id(eve), active);
                let before = whole(&bench, &id);
                for _ in 0..2 {
                    let ended = bench.run().await;
                    ended.assert_end(exit::OK, RunResult::Ok);
                    assert_line_of(&ended, &bench, ann, TAKEN);
                    let line = line_of(&ended, &bench, ann);
                    assert!(line.reason.contains(bench.source_id(eve).as_str()), "{ended:#?}");
                    assert_eq!(whole(&bench, &id), before);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_marked_for_somebody_who_is_gone_is_handed_on_only_with_approval() {
    for vendor in BOTH {
        for (what, leave) in ways_to_be_gone() {
            for active in [false, true] {
                let bench = Bench::new(vendor).await;
                bench.staff(["ben", "cleo"]);
                bench.begin().await;
                let eve = bench.hire("eve");
                let (old, mark) = (bench.source_id(eve), bench.external_id(eve));
                leave(bench.world(), eve);
                let ann = bench.hire("ann");
                let id = add_marked(&bench, "ann", &mark, active);
                let before = whole(&bench, &id);
                let ended = bench.run().await;
                assert_eq!(ended.code, exit::HELD, "{vendor:?} {what}: {ended:#?}");
                assert_line_of(&ended, &bench, ann, SUCCESSION_HELD);
                assert!(line_of(&ended, &bench, ann).reason.contains(old.as_str()), "{ended:#?}");
                assert_eq!(whole(&bench, &id), before, "{what}");
                let ended = approve_and_run(&bench).await;
                ended.assert_end(exit::OK, RunResult::Ok);
                assert_line_of(&ended, &bench, ann, SUCCEEDED);
                let shown = bench.world().account_by_id(&id).unwrap();
                assert_eq!((shown.active(), shown.at("/externalId")), (true, json!(bench.external_id(ann))));
                bench.assert_quiet().await;
            }
        }
    }
}

/// A mark in the form of the vendor's, of nobody.
fn mark_of_nobody(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Okta => "00uNobodyKnowsThis01",
        Vendor::OneLogin => "onelogin:987654321",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_a_mark_of_our_form_that_the_source_does_not_know_waits_for_approval() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(["ben", "cleo"]);
        bench.begin().await;
        let ann = bench.hire("ann");
        let id = add_marked(&bench, "ann", mark_of_nobody(vendor), false);
        let before = whole(&bench, &id);
        let ended = bench.run().await;
        assert_eq!(ended.code, exit::HELD, "{ended:#?}");
        assert_line_of(&ended, &bench, ann, ADOPTION_HELD);
        assert!(ended.words_of("ann").contains("does not know"), "{ended:#?}");
        assert_eq!(whole(&bench, &id), before);
        let ended = approve_and_run(&bench).await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_line_of(&ended, &bench, ann, ADOPTED);
        assert!(bench.is_active("ann"));
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_other_value_is_nobodys_mark_and_is_shown_as_it_was_and_will_be() {
    for vendor in BOTH {
        // Another tool's id, a personnel number, a mark of the other vendor's form, and one that is too short.
        let foreign = match vendor {
            Vendor::Okta => "onelogin:42",
            Vendor::OneLogin => "00uNobodyKnowsThis01",
        };
        for value in ["5f0c2a0e-9b1e-4b7e-8f4e-1d2c3b4a5f6e", "E-1007", foreign, "00uShort", "42"] {
            let bench = Bench::new(vendor).await;
            let ann = bench.staff(["ann", "ben"])[0];
            add_marked(&bench, "ann", value, false);
            let ended = bench.run().await;
            ended.assert_end(exit::OK, RunResult::Ok);
            assert_line_of(&ended, &bench, ann, ADOPTED);
            let change = format!("externalId: {value} -> {}", bench.external_id(ann));
            assert!(ended.changes_of("ann").contains(&change), "{ended:#?}");
            bench.assert_quiet().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_source_does_not_tell_about_the_marked_person_the_account_stays_untouched() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(["ben", "cleo"]);
        bench.begin().await;
        let eve = bench.world().hire("eve@acme.example", |_| {});
        let ann = bench.hire("ann");
        bench.hire("fay");
        let id = add_marked(&bench, "ann", &bench.external_id(eve), false);
        let before = whole(&bench, &id);
        let eve = bench.source_id(eve).to_string();
        let peer = if vendor == Vendor::Okta { Peer::Okta } else { Peer::OneLogin };
        let fault = Fault::on(peer).when(move |path, _| path.ends_with(&format!("/users/{eve}")));
        bench.sim.faults().add(fault.then(Effect::Answer(okta_error(
            500,
            "E0000009",
            "Internal Server Error",
        ))));
        let ended = bench.run().await;
        assert_line_of(&ended, &bench, ann, TAKEN);
        assert!(line_of(&ended, &bench, ann).reason.contains("does not tell"), "{ended:#?}");
        ended.assert_line("fay", Verb::Create, Outcome::Applied);
        assert_eq!(whole(&bench, &id), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marked_account_that_is_reached_by_its_address_is_judged_by_its_mark_too() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables(BY_EVERYTHING);
        bench.staff(["ben", "cleo"]);
        bench.begin().await;
        let eve = bench.world().hire("eve@acme.example", |_| {});
        let ann = bench.hire("ann");
        let mut account = account_by_hand("a.archer@acme.example", false);
        account["externalId"] = json!(bench.external_id(eve));
        account["emails"] = json!([{"value": "ann@acme.example", "type": "work", "primary": true}]);
        let id = bench.world().add_account(&account);
        let before = whole(&bench, &id);
        assert_line_of(&bench.run().await, &bench, ann, TAKEN);
        assert_eq!(whole(&bench, &id), before);
    }
}

/// An account appears after the lookup and before the creation, which is answered with 409.
fn appear_before_the_creation(bench: &Bench, account: Value) {
    let appear = move |world: &World| {
        world.add_account(&account);
    };
    bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(1).then(Effect::before(appear)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_after_a_409_waits_where_adoptions_or_activations_wait_and_can_be_approved() {
    for vendor in BOTH {
        for table in [
            "[sync.guard]\napproval = [\"adopt\"]",
            "[sync.guard]\nmax_reactivations = 0",
            "[sync.guard]\napproval = [\"reactivate\"]",
            "[sync.adopt]\nmode = \"hold\"",
        ] {
            let bench = Bench::new(vendor).await.tables(table);
            let [ann, _] = bench.staff(["ann", "ben"]);
            let bench = bench.target("concurrency = 1");
            appear_before_the_creation(&bench, account_by_hand("ann@acme.example", false));
            let ended = bench.run().await;
            assert_eq!(ended.code, exit::HELD, "{table}: {ended:#?}");
            assert_eq!(line_of(&ended, &bench, ann).action, Verb::Adopt, "{table}: {ended:#?}");
            assert!(!bench.is_active("ann"), "{table}: {ended:#?}");
            ended.assert_line("ben", Verb::Create, Outcome::Applied);
            let hold = open_holds(&bench).await.remove(0);
            assert_eq!((hold.count, ended.facts.holds.len()), (1, 1), "{table}: {hold:?}");
            assert_eq!(ended.facts.holds[0].id, hold.id(), "the report shows it");
            let again = bench.run().await;
            assert_eq!(again.code, exit::HELD, "it stays held: {table}: {again:#?}");
            let ended = approve_and_run(&bench).await;
            ended.assert_end(exit::OK, RunResult::Ok);
            assert!(bench.is_active("ann"), "{table}: {ended:#?}");
            bench.assert_quiet().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_adoptions_after_a_409_one_activates_where_one_may() {
    for vendor in BOTH {
        let bench =
            Bench::new(vendor).await.tables("[sync.guard]\nmax_reactivations = 1").target("concurrency = 1");
        bench.staff(["ann", "ben"]);
        for login in ["ann@acme.example", "ben@acme.example"] {
            appear_before_the_creation(&bench, account_by_hand(login, false));
        }
        let ended = bench.run().await;
        assert_eq!(ended.code, exit::HELD, "{ended:#?}");
        let active = ["ann", "ben"].into_iter().filter(|name| bench.is_active(name)).count();
        assert_eq!(active, 1, "{ended:#?}");
        assert_eq!(open_holds(&bench).await[0].verb, Verb::Reactivate);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_behind_a_409_that_is_marked_for_somebody_else_is_not_adopted() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.target("concurrency = 1");
        bench.staff(["ben", "cleo"]);
        bench.begin().await;
        let eve = bench.world().hire("eve@acme.example", |_| {});
        let gone = bench.hire("gone");
        let gone_mark = bench.external_id(gone);
        bench.world().deactivate(gone);
        for (mark, expected) in [
            (bench.external_id(eve), exit::OK),
            (gone_mark, exit::HELD),
            (mark_of_nobody(vendor).to_owned(), exit::HELD),
        ] {
            let ann = bench.hire("ann");
            let mut account = account_by_hand("ann@acme.example", false);
            account["externalId"] = json!(mark);
            appear_before_the_creation(&bench, account);
            let ended = bench.run().await;
            assert_eq!(ended.code, expected, "{mark}: {ended:#?}");
            let shown = bench.account("ann");
            assert_eq!((shown.active(), shown.at("/externalId")), (false, json!(mark)), "{ended:#?}");
            bench.sim.faults().clear();
            bench.world().delete(ann);
            bench.world().delete_account(&shown.id);
            bench.run().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_behind_a_409_in_place_of_a_deleted_one_waits_for_approval() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables("[sync.lifecycle]\nrecreate = true");
        let ann = bench.staff(["ann", "ben"])[0];
        bench.begin().await;
        bench.world().delete_account(&bench.account("ann").id);
        bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        bench.run().await;
        appear_before_the_creation(&bench, account_by_hand("ann@acme.example", true));
        let ended = bench.run().await;
        assert_eq!(ended.code, exit::HELD, "{ended:#?}");
        assert_line_of(&ended, &bench, ann, (Verb::Adopt, Situation::Relink, Outcome::Held));
        assert_eq!(bench.account("ann").at("/title"), Value::Null);
        approve_and_run(&bench).await.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(bench.account("ann").at("/title"), json!("Lead"));
        bench.assert_quiet().await;
    }
}

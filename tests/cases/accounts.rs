//! One account, two claims: who has an account that two people, two syncs or two identities could have.

mod conflicts;
mod marks;
mod successors;

use std::time::Duration;

use rosterd::engine::selection::Selection;
use rosterd::exit;
use rosterd::model::id::{SourceId, Vendor};
use rosterd::model::link::{Link, LinkState};
use rosterd::model::plan::{Situation, Verb};
use rosterd::model::report::{ActionRecord, Outcome, RunResult};
use rosterd::model::time::Millis;
use rosterd::sim::{
    Cut, DuplicateHabit, Effect, Fault, FilterHabit, Peer, PersonId, Reply, World, okta_error,
};
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

const TAKEN: (Verb, Situation, Outcome) = (Verb::Block, Situation::TakenElsewhere, Outcome::Skipped);
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
    bench.run_who(Selection::Ids(decided.people)).await
}

async fn link_of(bench: &Bench, id: &SourceId) -> Option<Link> {
    let snapshot = Snapshot::open(&state_of(bench)).await.unwrap();
    snapshot.link(&bench.name, id).await.unwrap()
}

async fn what_is_owed(bench: &Bench, id: &SourceId) -> usize {
    let snapshot = Snapshot::open(&state_of(bench)).await.unwrap();
    snapshot.owed_of(&bench.name, id).await.unwrap().len()
}

fn ways_to_be_gone() -> Vec<(&'static str, Leave)> {
    vec![
        ("deleted", |world, person| world.delete(person)),
        ("disabled", |world, person| world.deactivate(person)),
    ]
}

/// A mark in the form of the vendor's, of nobody.
fn mark_of_nobody(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Okta => "00uNobodyKnowsThis01",
        Vendor::OneLogin => "onelogin:987654321",
    }
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
                let expected = (Verb::Block, Situation::Ambiguous, Outcome::Skipped);
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
        let ended = bench.all(&text, Selection::Everybody, Mode::Real).await;
        assert!(ended.iter().all(|ended| ended.code == exit::OK), "{ended:#?}");
        assert_eq!(ended[0].facts.summary.create, if first { 12 } else { 0 });
        assert_eq!(ended[1].facts.summary.blocked, 12, "{ended:#?}");
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
    let sums = ended.iter().map(|ended| ended.facts.summary);
    let (created, taken): (Vec<u64>, Vec<u64>) = sums.map(|sum| (sum.create, sum.blocked)).unzip();
    assert_eq!((created.iter().sum::<u64>(), taken.iter().sum::<u64>()), (40, 40), "{ended:#?}");
    assert_eq!(bench.accounts().len(), 40);
    let held = ended.iter().flat_map(|ended| &ended.records).filter(|line| line.action == Verb::Block);
    assert!(held.into_iter().all(|line| line.situation == Situation::TakenElsewhere));
    let again = bench.all(&text, Selection::Everybody, Mode::Real).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_two_syncs_give_at_the_same_time_is_given_once() {
    let mut bench = Bench::okta().await.habits(|habits| habits.duplicates = DuplicateHabit::Accepted);
    let text = two_syncs(&mut bench);
    // Each of them is another person's twin by login: one has the app at Okta, the other one at OneLogin.
    let [ann, ben] = bench.staff(["ann", "ben"]);
    for (person, name) in [(ann, "ann"), (ben, "ben")] {
        bench.world().edit(person, |person| {
            let other = format!("{name}.onelogin@acme.example");
            person.extra_onelogin.insert("username".to_owned(), json!(other));
            person.extra_onelogin.insert("email".to_owned(), json!(other));
        });
    }
    let ended = bench.all(&text, Selection::Everybody, Mode::Real).await;
    assert!(ended.iter().all(|ended| ended.facts.summary.create == 2), "{ended:#?}");
    bench.world().edit(ann, |person| person.app_username = Some("lead@acme.example".to_owned()));
    bench.world().edit(ben, |person| {
        person.extra_onelogin.insert("username".to_owned(), json!("lead@acme.example"));
    });
    let slow = Fault::on(Peer::Scim).method("PATCH");
    bench.sim.faults().add(slow.then(Effect::Delay(Duration::from_millis(150))));
    let ended = bench.all_at_once(&text).await;
    assert!(ended.iter().all(|ended| ended.code == exit::OK), "{ended:#?}");
    let leads = || {
        bench.world().accounts().iter().filter(|account| account.user_name() == "lead@acme.example").count()
    };
    assert_eq!(leads(), 1, "{ended:#?}");
    assert_eq!(ended.iter().map(|ended| ended.facts.summary.blocked).sum::<u64>(), 1, "{ended:#?}");
    bench.sim.faults().clear();
    let again = bench.all(&text, Selection::Everybody, Mode::Real).await;
    assert!(again.iter().all(|ended| ended.code == exit::OK), "{again:#?}");
    assert_eq!(leads(), 1, "{again:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_login_of_a_creation_that_nobody_can_tell_about_stays_claimed() {
    let mut bench = Bench::okta().await.habits(|habits| habits.duplicates = DuplicateHabit::Accepted);
    let text = two_syncs(&mut bench);
    bench.hire("ann");
    // The creation is done and its reply is lost, and the workspace indexes late.
    bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(1).then(Effect::Cut(Cut::LostReply)));
    let empty = Effect::edit(|reply| {
        reply.edit_json(|body| {
            if body.get("Resources").is_some() {
                body["Resources"] = json!([]);
                body["totalResults"] = json!(0);
            }
        });
    });
    bench.sim.faults().add(Fault::on(Peer::Scim).method("GET").then(empty));
    let ended = bench.all(&text, Selection::Everybody, Mode::Real).await;
    assert_eq!(ended[0].code, exit::PARTIAL, "{ended:#?}");
    assert_eq!((ended[1].code, ended[1].facts.summary.blocked), (exit::OK, 1), "{ended:#?}");
    assert_eq!(bench.accounts().len(), 1);
    bench.sim.faults().clear();
    for _ in 0..2 {
        let ended = bench.all(&text, Selection::Everybody, Mode::Real).await;
        assert!(ended.iter().all(|ended| ended.code == exit::OK), "{ended:#?}");
        assert_eq!(bench.accounts().len(), 1, "{ended:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_whom_another_sync_of_the_same_source_has_linked_gets_no_second_account() {
    for vendor in BOTH {
        // Marks cannot be searched, and the login has changed since: no lookup shows the account.
        let bench = Bench::new(vendor).await.target("dialect = \"wrike\"");
        let mut text = format!("state_dir = {:?}\n\n", state_of(&bench));
        for name in ["first", "second"] {
            text.push_str(&bench.sync_text(name));
            text.push('\n');
        }
        let ann = bench.staff(["ann", "ben"])[0];
        bench.all(&text, Selection::Everybody, Mode::Real).await;
        assert_eq!(bench.accounts().len(), 2);
        bench.world().rename(ann, "anna@acme.example");
        let second = text.replacen("name = \"first\"", "name = \"unused\"", 1);
        // Neither a new account nor one that is there.
        for accounts in [2, 3] {
            let ended = bench.all(&second, Selection::Ids(vec![bench.source_id(ann)]), Mode::Real).await;
            for ended in &ended {
                assert_line_of(ended, &bench, ann, TAKEN);
            }
            assert_eq!(bench.accounts().len(), accounts, "{ended:#?}");
            bench.add_account("anna", true);
        }
    }
}

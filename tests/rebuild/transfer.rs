//! Links that change hands: a move from one vendor to the other, a renamed sync, a new app, a new organisation.

use rosterd::engine::selection::Selection;
use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::link::LinkState;
use rosterd::model::plan::{Situation, Verb};
use rosterd::model::report::{Outcome, RunResult};
use rosterd::operations::transfer::TransferError;
use rosterd::sim::{Cut, Effect, Fault, Peer, Sim, SimOptions};
use serde_json::json;

use crate::hands::{BOTH, transfer};
use crate::support::{Bench, Ended, Mode, NO_LIMITS};

const NAMES: [&str; 5] = ["ann", "ben", "cleo", "dan", "eve"];

/// A move from one vendor to the other within one world: the old sync "old", and a bench for the new sync "new".
struct Move {
    old: Bench,
    new: Vendor,
}

impl Move {
    async fn from(vendor: Vendor) -> Move {
        let new = if vendor == Vendor::Okta { Vendor::OneLogin } else { Vendor::Okta };
        let old = Bench { name: "old".to_owned(), ..Bench::new(vendor).await };
        Move { old, new }
    }

    /// The text of one of the syncs.
    fn sync(&mut self, vendor: Vendor, name: &str) -> String {
        let before = std::mem::replace(&mut self.old.vendor, vendor);
        let text = self.old.sync_text(name);
        self.old.vendor = before;
        text
    }

    /// Both syncs in one file.
    fn both(&mut self) -> String {
        let (vendor, new) = (self.old.vendor, self.new);
        let state = format!("state_dir = {:?}\n", self.old.directory.path().join("state"));
        format!("{state}{}\n{}", self.sync(vendor, "old"), self.sync(new, "new"))
    }

    async fn run(&mut self) -> Vec<Ended> {
        let text = self.both();
        self.old.sim.clear_requests();
        self.old.all(&text, Selection::Everybody, Mode::Real).await
    }
}

#[tokio::test]
async fn a_move_between_the_vendors_writes_external_id_and_nothing_else() {
    for vendor in BOTH {
        let mut moving = Move::from(vendor).await;
        moving.old.staff(NAMES);
        moving.old.begin().await;
        let before = moving.old.accounts();
        let text = moving.both();
        // Before: the new sync sees that everybody is the old one's.
        let ended = moving.run().await;
        assert!(NAMES.iter().all(|name| ended[1].of(name).situation == Situation::TakenElsewhere));
        moving.old.sim.clear_requests();
        let done = transfer(&moving.old, &text, "old", "new", &[]).await.unwrap();
        assert_eq!((done.done, done.left.len()), (5, 0), "{done:#?}");
        assert_eq!(done.went(), NAMES.map(|name| format!("{name} userName")));
        assert!(done.facts.notes.join("\n").contains("take it out of the configuration"));
        assert_eq!(moving.old.writes(), [""; 0]);
        assert_eq!(moving.old.accounts(), before);
        let ended = moving.run().await;
        ended[0].assert_end(exit::OK, RunResult::Ok);
        ended[1].assert_end(exit::OK, RunResult::Ok);
        assert_eq!(ended[0].facts.summary.writes(), 0, "{:#?}", ended[0]);
        assert_eq!(ended[1].facts.summary.update, 5, "{:#?}", ended[1]);
        for name in NAMES {
            let changes = ended[1].changes_of(name);
            assert!(changes.len() == 1 && changes[0].starts_with("externalId: "), "{changes:?}");
        }
        let ended = moving.run().await;
        assert_eq!(ended.iter().map(|ended| ended.facts.summary.writes()).sum::<u64>(), 0, "{ended:#?}");
        assert_eq!(moving.old.accounts().len(), 5);
        assert!(NAMES.iter().all(|name| moving.old.is_active(name)), "no gap");
    }
}

#[tokio::test]
async fn after_the_move_the_new_sync_removes_and_the_old_one_does_not() {
    for vendor in BOTH {
        let mut moving = Move::from(vendor).await;
        let [ann, ..] = moving.old.staff(NAMES);
        moving.old.begin().await;
        let text = moving.both();
        transfer(&moving.old, &text, "old", "new", &[]).await.unwrap();
        moving.run().await;
        moving.old.world().unassign(ann);
        let ended = moving.run().await;
        assert!(!ended[0].tells_of("ann"), "{:?}", ended[0]);
        ended[1].assert_line("ann", Verb::Deactivate, Outcome::Applied);
    }
}

#[tokio::test]
async fn only_the_people_who_are_named_go_over() {
    for vendor in BOTH {
        let mut moving = Move::from(vendor).await;
        moving.old.staff(NAMES);
        moving.old.begin().await;
        let text = moving.both();
        let done = transfer(&moving.old, &text, "old", "new", &["ann", "dan"]).await.unwrap();
        assert_eq!(done.went(), ["ann userName", "dan userName"]);
        let ended = moving.run().await;
        assert_eq!(ended[0].facts.summary.unchanged, 3);
        assert_eq!(ended[1].facts.summary.update, 2, "{:?}", ended[1]);
        assert_eq!(ended[1].of("ben").situation, Situation::TakenElsewhere);
        let error = transfer(&moving.old, &text, "old", "new", &["nobody"]).await.unwrap_err();
        assert!(
            matches!(&error, TransferError::Unfit(text) if text.contains("no link of nobody@")),
            "{error}"
        );
        let again = transfer(&moving.old, &text, "old", "new", &[]).await.unwrap();
        assert_eq!(again.done, 3);
    }
}

#[tokio::test]
async fn a_deactivated_account_stays_deactivated_and_belongs_to_the_new_sync() {
    for vendor in BOTH {
        let mut moving = Move::from(vendor).await;
        let [ann, ..] = moving.old.staff(NAMES);
        moving.old.begin().await;
        moving.old.world().suspend(ann);
        moving.old.run().await.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        let text = moving.both();
        let done = transfer(&moving.old, &text, "old", "new", &[]).await.unwrap();
        assert_eq!(done.done, 5, "{done:#?}");
        let given = done.links.iter().find(|handover| handover.link.user_name.starts_with("ann")).unwrap();
        assert!(matches!(given.link.state, LinkState::Deactivated(_)));
        let ended = moving.run().await;
        assert_eq!((ended[0].facts.summary.writes(), ended[1].facts.summary.update), (0, 4), "{ended:#?}");
        assert!(!moving.old.is_active("ann"));
        moving.old.world().unsuspend(ann);
        moving.run().await[1].assert_line("ann", Verb::Reactivate, Outcome::Applied);
    }
}

#[tokio::test]
async fn whoever_the_new_source_does_not_list_stays_with_the_old_sync_and_keeps_the_account() {
    for vendor in BOTH {
        let mut moving = Move::from(vendor).await;
        moving.old.staff(NAMES);
        moving.old.begin().await;
        let new = moving.new;
        // The new sync has not got everybody yet: its organisation is another one.
        let other = Bench { vendor: new, ..Bench::new(new).await };
        other.staff(["ann", "ben", "gus"]);
        let text = match new {
            Vendor::Okta => moving.both().replace(moving.old.sim.okta_url(), other.sim.okta_url()),
            Vendor::OneLogin => {
                moving.both().replace(moving.old.sim.onelogin_url(), other.sim.onelogin_url())
            }
        };
        let done = transfer(&moving.old, &text, "old", "new", &[]).await.unwrap();
        assert_eq!(done.went(), ["ann userName", "ben userName"]);
        assert!(done.left_of("cleo").contains("nobody whom the new source lists"));
        assert!(done.facts.notes.join("\n").contains("3 active accounts stay"), "{done:#?}");
        let ended = moving.old.all(&text, Selection::Everybody, Mode::Real).await;
        assert_eq!(ended[0].facts.summary.unchanged, 3, "{:#?}", ended[0]);
        assert_eq!(ended[0].facts.summary.writes(), 0);
        assert_eq!((ended[1].facts.summary.update, ended[1].facts.summary.create), (2, 1), "{:#?}", ended[1]);
        assert_eq!(moving.old.accounts().len(), 6);
    }
}

#[tokio::test]
async fn a_renamed_sync_takes_everything_over_also_who_left_meanwhile() {
    for vendor in BOTH {
        let bench = Bench { name: "before".to_owned(), ..Bench::new(vendor).await };
        let [ann, ben, ..] = bench.staff(NAMES);
        bench.begin().await;
        bench.world().unassign(ben);
        bench.run().await.assert_line("ben", Verb::Deactivate, Outcome::Applied);
        bench.world().unassign(ann);
        // The old name is not in the configuration any more.
        let bench = Bench { name: "after".to_owned(), ..bench };
        let done = transfer(&bench, &bench.text(), "before", "after", &[]).await.unwrap();
        assert_eq!(done.went(), NAMES.map(|name| format!("{name} sourceId")), "{done:#?}");
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(ended.lines(), ["deactivate ann@acme.example applied"], "nothing else differs");
        bench.assert_quiet().await;
        bench.world().assign(ben);
        bench.run().await.assert_line("ben", Verb::Reactivate, Outcome::Applied);
    }
}

/// The configuration points somewhere else under the same name; the message says the command, and it works.
#[tokio::test]
async fn a_new_organisation_under_the_same_name_takes_the_people_over_by_login() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables(NO_LIMITS);
        bench.staff(NAMES);
        bench.begin().await;
        let other = Bench::with_options(vendor, SimOptions { seed: 9, ..SimOptions::default() }).await;
        let token = bench.sim.scim_token();
        other.sim.scim(|habits| habits.token = token);
        // People in another order, so that no number means the same person.
        let people = other.staff(["eve", "dan", "cleo", "ben", "fay"]);
        let other_text = Bench::text(&other)
            .replace(other.sim.scim_url(), bench.sim.scim_url())
            .replace(
                &format!("{:?}", other.directory.path().join("state")),
                &format!("{:?}", bench.directory.path().join("state")),
            )
            .replace(NO_LIMITS, "");
        let other = Elsewhere { here: &bench, other: &other, text: format!("{other_text}\n{NO_LIMITS}") };
        let refused = other.run().await;
        refused.assert_end(exit::CONFIG, RunResult::Error);
        assert!(refused.problems().contains("rosterd transfer --from default --to default"), "{refused:?}");
        let error = other.transfer(&["ben"]).await.unwrap_err();
        assert!(error.to_string().contains("as a whole"), "{error}");
        let before = bench.accounts();
        let done = other.transfer(&[]).await.unwrap();
        assert_eq!(
            done.went(),
            ["ben userName", "cleo userName", "dan userName", "eve userName"],
            "{done:#?}"
        );
        assert!(done.left_of("ann").contains("nobody whom the new source lists"));
        assert!(done.facts.notes.join("\n").contains("--from default.before --to default"), "{done:#?}");
        assert_eq!((done.done, bench.accounts()), (4, before));
        let ended = other.run().await;
        for name in ["ben", "cleo", "dan", "eve"].into_iter().filter(|name| ended.tells_of(name)) {
            let changes = ended.changes_of(name);
            assert!(changes.len() == 1 && changes[0].starts_with("externalId"), "{ended:#?}");
        }
        assert!(ended.facts.summary.update >= 3, "a number may be the same by chance: {ended:#?}");
        // An old mark may look like a newcomer's until it is rewritten.
        other.run().await;
        for (name, person) in ["eve", "dan", "cleo", "ben", "fay"].into_iter().zip(people) {
            assert_eq!(bench.account(name).at("/externalId"), json!(other.other.external_id(person)));
        }
        // Whoever is not there yet keeps the account, whatever the old number means there.
        assert!(bench.is_active("ann"), "{ended:#?}");
        assert_eq!(bench.account("ann").at("/name/givenName"), json!("Ann"));
        other.other.hire("ann");
        let ended = other.run().await;
        assert_eq!(ended.of("ann").situation, Situation::TakenElsewhere, "{ended:#?}");
        let later = other.transfer_from("default.before").await.unwrap();
        assert_eq!(later.went(), ["ann userName"]);
        let ended = other.run().await;
        assert_eq!(ended.lines(), ["update ann@acme.example applied"]);
        let error = other.transfer(&[]).await.unwrap_err();
        assert!(error.to_string().contains("fit the configuration"), "{error}");
    }
}

/// A bench whose source is another simulation than its workspace.
struct Elsewhere<'a> {
    here: &'a Bench,
    other: &'a Bench,
    text: String,
}

impl Elsewhere<'_> {
    async fn run(&self) -> Ended {
        self.other.all(&self.text, Selection::Everybody, Mode::Real).await.remove(0)
    }

    async fn transfer_from(&self, from: &str) -> Result<crate::hands::Transferred, TransferError> {
        let workspace = self.here.sim.scim_url();
        crate::hands::transfer_at(self.other, workspace, &self.text, (from, "default"), &[]).await
    }

    async fn transfer(&self, who: &[&str]) -> Result<crate::hands::Transferred, TransferError> {
        crate::hands::transfer_at(
            self.other,
            self.here.sim.scim_url(),
            &self.text,
            ("default", "default"),
            who,
        )
        .await
    }
}

#[tokio::test]
async fn another_workspace_and_an_unknown_sync_are_refused() {
    let mut moving = Move::from(Vendor::Okta).await;
    moving.old.staff(NAMES);
    moving.old.begin().await;
    let text = moving.both();
    let error = transfer(&moving.old, &text, "never", "new", &[]).await.unwrap_err();
    assert!(error.to_string().contains("has no links"), "{error}");
    let error = transfer(&moving.old, &text, "old", "old", &[]).await.unwrap_err();
    assert!(error.to_string().contains("fit the configuration"), "{error}");
    let elsewhere = Sim::start(SimOptions { seed: 9, ..SimOptions::default() }).await.unwrap();
    let (first, second) = text.split_once("name = \"new\"").unwrap();
    let second = second.replace(moving.old.sim.scim_url(), elsewhere.scim_url());
    let text = format!("{first}name = \"new\"{second}");
    let url = elsewhere.scim_url();
    let error = crate::hands::transfer_at(&moving.old, url, &text, ("old", "new"), &[]).await.unwrap_err();
    assert!(error.to_string().contains("within one workspace"), "{error}");
}

#[tokio::test]
async fn a_decision_about_a_person_goes_along() {
    for vendor in BOTH {
        let mut moving = Move::from(vendor).await;
        moving.old.tables = "[sync.guard]\napproval = [\"update\"]".to_owned();
        let [ann, ..] = moving.old.staff(NAMES);
        moving.old.begin().await;
        moving.old.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        moving.old.run().await.assert_line("ann", Verb::Update, Outcome::Held);
        let state = moving.old.directory.path().join("state");
        let store = rosterd::store::Store::open(&state, false).await.unwrap();
        store.reject(1, "tester", rosterd::model::time::Millis::now()).await.unwrap();
        store.close().await.unwrap();
        moving.old.run().await.assert_line("ann", Verb::Skip, Outcome::Skipped);
        let text = moving.both();
        transfer(&moving.old, &text, "old", "new", &[]).await.unwrap();
        let ended = moving.run().await;
        ended[1].assert_line("ann", Verb::Skip, Outcome::Skipped);
        assert!(ended[1].words_of("ann").contains("reject"), "{:?}", ended[1]);
    }
}

#[tokio::test]
async fn a_login_that_two_people_have_at_the_new_source_takes_nobody_over() {
    for vendor in BOTH {
        let mut moving = Move::from(vendor).await;
        let [_, ben, ..] = moving.old.staff(NAMES);
        moving.old.begin().await;
        let new = moving.new;
        let other = Bench { vendor: new, ..Bench::new(new).await };
        other.staff(["ann", "cleo"]);
        other.hire("ben");
        other.hire_with("twin", |person| {
            person.login = "ben@acme.example".to_owned();
            person.email = "ben@acme.example".to_owned();
        });
        let text = match new {
            Vendor::Okta => moving.both().replace(moving.old.sim.okta_url(), other.sim.okta_url()),
            Vendor::OneLogin => {
                moving.both().replace(moving.old.sim.onelogin_url(), other.sim.onelogin_url())
            }
        };
        let done = transfer(&moving.old, &text, "old", "new", &[]).await.unwrap();
        assert_eq!(done.went(), ["ann userName", "cleo userName"], "{done:#?}");
        assert!(done.left_of("ben").contains("several"), "{done:#?}");
        assert!(moving.old.link(ben).await.is_some());
    }
}

#[tokio::test]
async fn a_new_app_of_the_same_organisation_keeps_the_people_by_their_ids_and_the_others_leave_by_proof() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let people = bench.staff(NAMES);
        bench.begin().await;
        // The links were made under another app id.
        let database = rusqlite::Connection::open(bench.directory.path().join("state/rosterd.db")).unwrap();
        database.execute("UPDATE sync SET source_app = 'another'", []).unwrap();
        drop(database);
        bench.world().unassign(people[0]);
        let refused = bench.run().await;
        assert!(refused.problems().contains("--from default --to default"), "{refused:?}");
        let done = transfer(&bench, &bench.text(), "default", "default", &[]).await.unwrap();
        assert_eq!(done.went(), ["ben", "cleo", "dan", "eve"].map(|name| format!("{name} sourceId")));
        assert!(done.facts.notes.join("\n").contains("treated as people who left"), "{done:#?}");
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(ended.lines(), ["deactivate ann@acme.example applied"]);
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn a_large_move_is_held_once_for_approval_and_nobody_is_touched_meanwhile() {
    let mut moving = Move::from(Vendor::Okta).await;
    moving.old.crowd(12);
    moving.old.begin().await;
    let text = moving.both();
    let done = transfer(&moving.old, &text, "old", "new", &[]).await.unwrap();
    assert!(done.facts.notes.join("\n").contains("guard.max_updates_percent"), "{done:#?}");
    let ended = moving.run().await;
    ended[1].assert_end(exit::HELD, RunResult::Held);
    assert_eq!((ended[1].facts.summary.held, moving.old.writes()), (12, Vec::new()), "{:#?}", ended[1]);
    let store = rosterd::store::Store::open(&moving.old.directory.path().join("state"), false).await.unwrap();
    store.approve(1, 1, "tester", rosterd::model::time::Millis::now()).await.unwrap();
    store.close().await.unwrap();
    let ended = moving.run().await;
    assert_eq!((ended[1].facts.summary.update, ended[0].facts.summary.writes()), (12, 0), "{ended:#?}");
}

#[tokio::test]
async fn what_was_in_flight_is_settled_before_its_link_goes_over() {
    let mut moving = Move::from(Vendor::Okta).await;
    let [ann, ..] = moving.old.staff(NAMES);
    moving.old.begin().await;
    moving.old.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
    // The reply is lost, and the workspace does not answer the look that would tell.
    let patch = Fault::on(Peer::Scim).method("PATCH");
    moving.old.sim.faults().add(patch.then(Effect::Cut(Cut::LostReply)));
    let looks = Fault::on(Peer::Scim).method("GET");
    moving.old.sim.faults().add(looks.then(Effect::answer(503, "application/json", "{}")));
    moving.old.run().await;
    moving.old.sim.faults().clear();
    let in_flight = |bench: &Bench| -> i64 {
        let database = rusqlite::Connection::open(bench.directory.path().join("state/rosterd.db")).unwrap();
        database.query_row("SELECT count(*) FROM in_flight", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(in_flight(&moving.old), 1);
    let text = moving.both();
    assert_eq!(transfer(&moving.old, &text, "old", "new", &[]).await.unwrap().done, 5);
    assert_eq!(in_flight(&moving.old), 0);
    let ended = moving.run().await;
    assert!(ended[1].changes_of("ann").iter().all(|change| change.starts_with("externalId")), "{ended:#?}");
    assert_eq!(moving.old.account("ann").at("/title"), json!("Lead"));
}

//! Workspaces with habits, and what became of people in neighbouring tools because of them.

use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::plan::{Situation, Verb};
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::{
    Cut, Effect, Fault, PagingHabit, PatchHabit, Peer, RetryAfter, ScimQuirks, scim_error, scim_rate_limited,
};
use serde_json::json;

use crate::support::{Bench, NO_LIMITS, account_by_hand};

#[tokio::test]
async fn listings_of_every_kind_are_read_to_their_end() {
    let rows: [(&str, fn(&mut ScimQuirks)); 8] = [
        ("B28 at most five a page", |habits| habits.page_cap = Some(5)),
        ("B30 the first page again behind the end", |habits| {
            habits.paging = PagingHabit::FirstPageBeyondEnd;
            habits.page_cap = Some(5);
        }),
        ("B31 the total is the size of the page", |habits| {
            habits.paging = PagingHabit::TotalIsPageSize;
            habits.page_cap = Some(10);
        }),
        ("B32 nobody without startIndex and count", |habits| habits.paging = PagingHabit::OnlyWhenAsked),
        ("B29 everybody at once", |habits| habits.paging = PagingHabit::Ignored),
        ("B33 500 on any count", |habits| habits.paging = PagingHabit::CountFails),
        ("B28 seven where count is not given", |habits| habits.default_page = Some(7)),
        ("B30 inactive people are in no search", |habits| habits.inactive_invisible = true),
    ];
    for (name, change) in rows {
        let bench = Bench::okta().await.tables(NO_LIMITS).habits(change);
        bench.crowd(12);
        for number in 0..12 {
            bench.world().add_account(&account_by_hand(&format!("Person{number}@acme.example"), number != 3));
        }
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!((ended.facts.summary.adopt, ended.facts.summary.create), (12, 0), "{name}: {ended:?}");
        assert_eq!(bench.accounts().len(), 12, "{name}");
        bench.assert_quiet().await;
    }
}

/// C35: a 429, and then the reply to the create that was let through is lost.
#[tokio::test]
async fn c35_a_create_that_was_limited_and_then_lost_gives_one_account() {
    let bench = Bench::okta().await;
    bench.hire("ann");
    let post = || Fault::on(Peer::Scim).method("POST");
    bench.sim.faults().add(post().nth(1).then(scim_rate_limited(RetryAfter::SilentWatcher)));
    bench.sim.faults().add(post().nth(2).then(Effect::Cut(Cut::LostReply)));
    bench.run().await.assert_line("ann", Verb::Create, Outcome::Applied);
    assert_eq!(bench.accounts().len(), 1);
    bench.assert_quiet().await;
}

/// D49, D51, G83: one account that exists already, and the rest of the run.
#[tokio::test]
async fn d49_one_conflict_stops_nobody_else() {
    for vendor in [Vendor::Okta, Vendor::OneLogin] {
        let bench = Bench::new(vendor).await.target("concurrency = 1");
        bench.crowd(5);
        let conflict = scim_error(409, None, "a user with this name exists");
        bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(1).then(Effect::Answer(conflict)));
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!((ended.facts.summary.create, ended.facts.summary.blocked), (4, 1), "{ended:?}");
        assert!(ended.words_of("person0@acme.example").contains("exists but not visible"));
        assert_eq!(bench.run().await.facts.summary.create, 1, "and the next run goes on");
    }
}

/// D50, D65: the links are lost.
#[tokio::test]
async fn d65_a_lost_state_creates_nobody_anew() {
    for vendor in [Vendor::Okta, Vendor::OneLogin] {
        let bench = Bench::new(vendor).await;
        bench.crowd(6);
        bench.begin().await;
        let before = bench.accounts();
        std::fs::remove_dir_all(bench.directory.path().join("state")).unwrap();
        let ended = bench.run().await;
        assert_eq!((ended.facts.summary.adopt, ended.facts.summary.create), (6, 0), "{ended:?}");
        assert_eq!(bench.accounts(), before);
        bench.assert_quiet().await;
    }
}

/// D57: one changed address that is taken.
#[tokio::test]
async fn d57_a_rename_that_cannot_be_done_fails_nobody_else() {
    let bench = Bench::okta().await;
    let [ann, ben, _] = bench.staff(["ann", "ben", "cleo"]);
    bench.begin().await;
    bench.world().add_account(&account_by_hand("taken@acme.example", true));
    bench.world().rename(ann, "taken@acme.example");
    bench.world().edit(ben, |person| person.title = Some("Lead".to_owned()));
    let ended = bench.run().await;
    ended.assert_line("ann", Verb::Block, Outcome::Skipped);
    ended.assert_line("ben", Verb::Update, Outcome::Applied);
    ended.assert_end(exit::OK, RunResult::Ok);
}

/// D62: a source user deleted and made again is neither removed nor created in each run.
#[tokio::test]
async fn d62_a_recreated_source_user_does_not_go_in_circles() {
    let bench = Bench::okta().await;
    let ann = bench.staff(["ann", "ben", "cleo"])[0];
    bench.begin().await;
    bench.world().delete(ann);
    bench.hire("ann");
    bench.run().await;
    let before = bench.accounts();
    for _ in 0..2 {
        let ended = bench.run().await;
        ended.assert_end(exit::HELD, RunResult::Held);
        assert_eq!(ended.records.len(), 1, "{ended:?}");
        assert_eq!(ended.records[0].situation, Situation::Successor);
    }
    assert_eq!(bench.accounts(), before);
}

/// E66, E71: who is unassigned is removed by the very next run, and who was never assigned is left alone.
#[tokio::test]
async fn e66_who_is_unassigned_is_gone_after_one_run() {
    for vendor in [Vendor::Okta, Vendor::OneLogin] {
        let bench = Bench::new(vendor).await;
        let [ann, _, _] = bench.staff(["ann", "ben", "cleo"]);
        bench.begin().await;
        let admin = bench.add_account("admin@elsewhere.example", true);
        bench.world().unassign(ann);
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        assert!(!bench.is_active("ann"));
        assert_eq!(bench.world().account_by_id(&admin).unwrap().version, 1, "E69: never ours to touch");
    }
}

/// E73: "accepted", and nothing changed.
#[tokio::test]
async fn e73_a_reactivation_that_did_not_take_is_a_failure() {
    let bench = Bench::okta().await;
    let ann = bench.staff(["ann", "ben", "cleo"])[0];
    bench.begin().await;
    bench.world().unassign(ann);
    bench.run().await.assert_line("ann", Verb::Deactivate, Outcome::Applied);
    bench.world().assign(ann);
    let id = bench.account("ann").id;
    let undone = Effect::after(move |world| {
        world.edit_account(&id, |account| drop(account.resource.insert("active".to_owned(), json!(false))));
    });
    let shown = Effect::edit(|reply| reply.edit_json(|body| body["active"] = json!(false)));
    let writes = || Fault::on(Peer::Scim).when(|path, _| path.contains("/Users/"));
    bench.sim.faults().add(writes().method("PATCH").then(undone.clone()).then(shown.clone()));
    bench.sim.faults().add(writes().method("PUT").then(undone).then(shown));
    let ended = bench.run().await;
    ended.assert_end(exit::PARTIAL, RunResult::Partial);
    ended.assert_line("ann", Verb::Reactivate, Outcome::Failed);
    bench.sim.faults().clear();
    bench.run().await.assert_line("ann", Verb::Reactivate, Outcome::Applied);
}

/// E74: whoever left is not invited again by the next runs.
#[tokio::test]
async fn e74_a_leaver_is_not_invited_again() {
    for leave in
        [rosterd::sim::World::unassign, rosterd::sim::World::suspend, rosterd::sim::World::deactivate]
    {
        let bench = Bench::onelogin().await;
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        leave(bench.world(), ann);
        bench.run().await.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        for _ in 0..3 {
            bench.assert_quiet().await;
        }
        assert!(!bench.is_active("ann"));
    }
}

/// F76: flags that come back as text.
#[tokio::test]
async fn f76_active_as_text_is_understood_and_a_real_boolean_is_sent() {
    let bench = Bench::okta().await;
    let ann = bench.staff(["ann", "ben", "cleo"])[0];
    let as_text = Effect::edit(|reply| {
        reply.edit_json(|body| {
            let spell = |active: &mut serde_json::Value| {
                if let Some(flag) = active.as_bool() {
                    *active = json!(if flag { "True" } else { "False" });
                }
            };
            if let Some(rows) = body.get_mut("Resources").and_then(|rows| rows.as_array_mut()) {
                rows.iter_mut().for_each(|row| spell(&mut row["active"]));
            } else if body.get("active").is_some() {
                spell(&mut body["active"]);
            }
        });
    });
    bench.sim.faults().add(Fault::on(Peer::Scim).then(as_text));
    bench.begin().await;
    bench.assert_quiet().await;
    bench.world().unassign(ann);
    bench.run().await.assert_line("ann", Verb::Deactivate, Outcome::Applied);
    assert!(!bench.is_active("ann"));
    bench.world().assign(ann);
    bench.run().await.assert_line("ann", Verb::Reactivate, Outcome::Applied);
    assert!(bench.is_active("ann"));
    let flags: Vec<_> = bench.sim.writes().iter().map(|write| write.body.to_lowercase()).collect();
    assert!(flags.iter().all(|body| !body.contains("\"true\"") && !body.contains("\"false\"")), "{flags:?}");
}

/// F75, F77, F79: a way that the server does not take, or takes and ignores.
#[tokio::test]
async fn f79_a_change_that_was_accepted_and_ignored_is_made_in_another_way() {
    let rows = [
        ("F75", PatchHabit::OnlyWithPath),
        ("F77", PatchHabit::Missing),
        ("F77", PatchHabit::NotImplemented),
        ("F79", PatchHabit::Ignored),
        ("F77", PatchHabit::OnlyWithoutPath),
    ];
    for (pain, habit) in rows {
        let bench = Bench::okta().await.habits(|habits| habits.patch = habit);
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        bench.run().await.assert_line("ann", Verb::Update, Outcome::Applied);
        assert_eq!(bench.account("ann").at("/title"), json!("Lead"), "{pain} {habit:?}");
        bench.world().unassign(ann);
        bench.run().await.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        assert!(!bench.is_active("ann"), "{pain} {habit:?}");
    }
}

/// G89: deleted by hand at the target.
#[tokio::test]
async fn g89_an_account_deleted_by_hand_fails_one_person_once() {
    let bench = Bench::okta().await;
    let [ann, ben, _] = bench.staff(["ann", "ben", "cleo"]);
    bench.begin().await;
    bench.world().delete_account(&bench.account("ann").id);
    for person in [ann, ben] {
        bench.world().edit(person, |person| person.title = Some("Lead".to_owned()));
    }
    let ended = bench.run().await;
    ended.assert_line("ann", Verb::Update, Outcome::Failed);
    ended.assert_line("ben", Verb::Update, Outcome::Applied);
    let ended = bench.run().await;
    ended.assert_end(exit::OK, RunResult::Ok);
    assert_eq!(ended.of("ann").situation, Situation::Missing);
}

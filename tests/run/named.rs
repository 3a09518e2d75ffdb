//! Runs of named people: found by any name, read one by one, and nobody else is touched.

use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::plan::{Situation, Verb};
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::{Peer, Visibility};
use serde_json::json;

use crate::support::{Bench, WIDE_LIMITS};

const BOTH: [Vendor; 2] = [Vendor::Okta, Vendor::OneLogin];

#[tokio::test]
async fn a_person_is_found_by_login_address_source_id_and_account_id() {
    for vendor in BOTH {
        for way in ["login", "address", "source id", "account id", "login in another case"] {
            let bench = Bench::new(vendor).await;
            let [ann, ben] = bench.staff(["ann", "ben"]);
            bench.world().edit(ann, |person| person.email = "ann.archer@acme.example".to_owned());
            bench.begin().await;
            let who = match way {
                "login" => "ann@acme.example".to_owned(),
                "address" => "ann.archer@acme.example".to_owned(),
                "source id" => bench.source_id(ann).to_string(),
                "account id" => bench.link(ann).await.unwrap().target_id.to_string(),
                _ => "ANN@Acme.example".to_owned(),
            };
            for person in [ann, ben] {
                bench.world().edit(person, |person| person.title = Some("Lead".to_owned()));
            }
            let id = bench.link(ann).await.unwrap().target_id;
            let title = || bench.world().account_by_id(id.as_str()).unwrap().at("/title");
            let dry = bench.dry_for(&[&who]).await;
            assert_eq!((dry.records.len(), title()), (1, json!("Engineer")), "{vendor:?} {way}: {dry:?}");
            let ended = bench.run_for(&[&who]).await;
            ended.assert_end(exit::OK, RunResult::Ok);
            assert_eq!(ended.records.len(), 1, "{vendor:?} {way}: {ended:?}");
            assert_eq!(
                (title(), bench.account("ben").at("/title")),
                (json!("Lead"), json!("Engineer")),
                "{way}"
            );
        }
    }
}

#[tokio::test]
async fn two_new_people_for_one_login_are_blocked_even_where_only_one_of_them_is_named() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(["ben", "cleo"]);
        bench.begin().await;
        let ann = bench.hire("ann");
        let twin = bench.hire("anna");
        bench.world().edit(twin, |person| {
            person.email = "ann@acme.example".to_owned();
            person.app_username = Some("ann@acme.example".to_owned());
            person.extra_onelogin.insert("username".to_owned(), json!("ann@acme.example"));
        });
        let id = bench.source_id(ann).to_string();
        let ended = bench.run_for(&[&id]).await;
        assert_eq!(ended.facts.summary.blocked, 1, "{vendor:?} {ended:#?}");
        assert!(bench.writes().is_empty(), "{vendor:?}");
    }
}

#[tokio::test]
async fn no_list_of_the_app_is_read() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        bench.run_for(&["ann"]).await.assert_line("ann", Verb::Update, Outcome::Applied);
        let whole_lists: Vec<_> = bench
            .sim
            .all_requests()
            .into_iter()
            .filter(|request| request.peer != Peer::Scim && request.path.ends_with("/users"))
            .filter(|request| {
                request.query.iter().all(|(name, _)| {
                    ["limit", "expand", "app_id", "fields", "cursor"].contains(&name.as_str())
                })
            })
            .map(|request| request.line())
            .collect();
        assert_eq!(whole_lists, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_joiner_by_name_gets_an_account_and_others_do_not() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(["ann", "ben", "cleo"]);
        let ended = bench.run_for(&["ann", "ben"]).await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(ended.lines(), ["create ann@acme.example applied", "create ben@acme.example applied"]);
        assert_eq!(bench.accounts().len(), 2);
    }
}

#[tokio::test]
async fn leavers_by_name_are_proven_like_all_others() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables(WIDE_LIMITS);
        let [ann, ben, cleo, dan, _] = bench.staff(["ann", "ben", "cleo", "dan", "eve"]);
        bench.crowd(6);
        bench.begin().await;
        let id = bench.source_id(cleo).to_string();
        bench.world().unassign(ann);
        bench.world().suspend(ben);
        bench.world().delete(cleo);
        bench.world().delete_silently(dan);
        let ended = bench.run_for(&["ann", "ben", &id, "dan"]).await;
        ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        ended.assert_line("ben", Verb::Deactivate, Outcome::Applied);
        ended.assert_line("cleo", Verb::Deactivate, Outcome::Applied);
        assert_eq!(ended.of("ben").situation, Situation::Suspended);
        ended.assert_line("dan", Verb::Deactivate, Outcome::Deferred);
        assert!(bench.is_active("eve") && bench.is_active("dan"));
    }
}

#[tokio::test]
async fn a_leaver_by_name_needs_somebody_else_to_compare_with() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, ben] = bench.staff(["ann", "ben"]);
        bench.begin().await;
        bench.world().unassign(ann);
        bench.world().show(ben, Visibility::Nowhere);
        let ended = bench.run_for(&["ann"]).await;
        ended.assert_end(exit::PARTIAL, RunResult::Partial);
        ended.assert_line("ann", Verb::Deactivate, Outcome::Deferred);
        assert!(ended.words_of("ann").contains("contradicts itself"), "{ended:?}");
    }
}

#[tokio::test]
async fn a_name_that_nobody_has_is_told_and_nothing_is_done() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(["ann", "ben"]);
        bench.begin().await;
        let ended = bench.run_for(&["ann", "nobody"]).await;
        ended.assert_end(exit::FAILURE, RunResult::Error);
        assert!(ended.problems().contains("nobody@acme.example"), "{ended:?}");
    }
}

#[tokio::test]
async fn somebody_who_is_neither_assigned_nor_linked_needs_nothing() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(["ann", "ben"]);
        bench.world().hire("eve@acme.example", |_| {});
        bench.begin().await;
        let ended = bench.run_for(&["eve"]).await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(ended.facts.summary.writes(), 0);
        assert_eq!(bench.writes(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_point_read_that_shows_nothing_holds_that_person_back() {
    let bench = Bench::okta().await;
    let ann = bench.staff(["ann", "ben"])[0];
    bench.begin().await;
    let id = bench.source_id(ann).to_string();
    let other = rosterd::sim::Effect::edit(|reply| reply.edit_json(|body| body["id"] = json!("00uother")));
    let user =
        rosterd::sim::Fault::on(Peer::Okta).when(move |path, _| path.ends_with(&format!("/users/{id}")));
    bench.sim.faults().add(user.then(other));
    let ended = bench.run_for(&["ann"]).await;
    assert_eq!((ended.facts.summary.blocked, ended.facts.summary.writes()), (1, 0), "{ended:?}");
    assert_eq!(bench.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn groups_count_for_named_people_too() {
    for vendor in BOTH {
        let bench = Bench::new(vendor)
            .await
            .source("groups = [\"Bots\"]")
            .tables("[sync.scope]\nfilter = \"'Bots' not in user.groups\"");
        let [ann, _, _] = bench.staff(["ann", "ben", "cleo"]);
        let bots = bench.world().add_group("Bots");
        bench.begin().await;
        bench.world().add_member(bots, ann);
        let ended = bench.run_for(&["ann"]).await;
        ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        assert_eq!(ended.of("ann").situation, Situation::OutOfScope);
    }
}

//! What is found, at both vendors, and that looking writes nothing.

use rosterd::model::attributes::Scalar;
use rosterd::model::drift::{AttributeDrift, FindingKind};
use rosterd::model::id::Vendor;
use rosterd::model::report::RunResult;
use rosterd::sim::{Effect, Fault, Peer};
use serde_json::json;

use crate::support::verifying::{Asked, Seen};
use crate::support::{Bench, NO_LIMITS, account_by_hand, mail};

const BOTH: [Vendor; 2] = [Vendor::Okta, Vendor::OneLogin];

/// Changes an account as somebody in the workspace would.
fn by_hand(bench: &Bench, name: &str, edit: impl FnOnce(&mut rosterd::sim::Account)) {
    let id = bench.account(name).id;
    bench.world().edit_account(&id, edit);
}

fn set(bench: &Bench, name: &str, key: &str, value: serde_json::Value) {
    by_hand(bench, name, |account| {
        account.resource.insert(key.to_owned(), value);
    });
}

/// A verification that only looks: nothing at the workspace or in the state changes by it.
async fn look(bench: &Bench) -> Seen {
    let (accounts, state) = (bench.accounts(), state_files(bench));
    let seen = bench.verify(Asked::Report).await;
    assert_eq!(bench.accounts(), accounts);
    assert_eq!(state_files(bench), state);
    assert!(seen.repair.is_none(), "{seen:?}");
    seen
}

fn state_files(bench: &Bench) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let directory = bench.directory.path().join("state");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_workspace_as_it_was_written_has_no_drift() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables(NO_LIMITS);
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        bench.world().suspend(ann);
        bench.run().await;
        let seen = look(&bench).await;
        assert_eq!(seen.lines(), Vec::<String>::new(), "{seen:?}");
        assert_eq!((seen.facts.accounts.listed, seen.facts.accounts.linked), (3, 3));
        assert_eq!((seen.facts.source.users, seen.facts.source.complete), (3, true));
        assert_eq!((seen.facts.counts.drift(), seen.facts.unrepaired), (0, 0));
    }
}

#[tokio::test]
async fn everything_that_somebody_did_by_hand_is_found() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables(NO_LIMITS);
        let people = bench.staff(["ann", "ben", "cleo", "dan", "eve", "fay", "gus"]);
        bench.begin().await;
        bench.world().suspend(people[0]);
        bench.run().await;
        set(&bench, "ann", "active", json!(true));
        set(&bench, "ben", "active", json!(false));
        set(&bench, "cleo", "title", json!("Boss"));
        let gone = bench.account("dan").id;
        bench.world().delete_account(&gone);
        bench.world().edit(people[4], |eve| eve.title = Some("Lead".to_owned()));
        bench.world().edit(people[5], |fay| fay.title = Some("Lead".to_owned()));
        set(&bench, "fay", "title", json!("Boss"));
        bench.add_account("zoe", true);
        let mut twin = account_by_hand(&mail("gus2"), true);
        twin["externalId"] = json!(bench.external_id(people[6]));
        bench.world().add_account(&twin);
        let mut stray = account_by_hand(&mail("old"), true);
        let mark = if vendor == Vendor::Okta { "00uAbCdEf0123456789Z" } else { "onelogin:99999" };
        stray["externalId"] = json!(mark);
        bench.world().add_account(&stray);

        let seen = look(&bench).await;
        let expected = [
            "account_gone dan@acme.example",
            "attributes cleo@acme.example",
            "attributes fay@acme.example",
            "duplicate gus2@acme.example",
            "leaver_active ann@acme.example",
            "source_changed eve@acme.example",
            "switched_off ben@acme.example",
            "unlinked gus2@acme.example",
            "unlinked old@acme.example",
        ];
        assert_eq!(seen.lines(), expected, "{vendor:?} {seen:?}");
        let states = |name: &str, kind| {
            let found = seen.findings.iter().find(|one| one.user == mail(name) && one.finding == kind);
            let found = found.unwrap();
            (found.attributes[0].path.to_string(), found.attributes[0].state)
        };
        let title = || "title".to_owned();
        assert_eq!(states("cleo", FindingKind::Attributes), (title(), AttributeDrift::TargetDrifted));
        assert_eq!(states("fay", FindingKind::Attributes), (title(), AttributeDrift::Both));
        assert_eq!(states("eve", FindingKind::SourceChanged), (title(), AttributeDrift::SourceChanged));
        let values = &seen.findings.iter().find(|one| one.user == mail("fay")).unwrap().attributes[0];
        assert_eq!(
            (&values.source, &values.acknowledged, &values.target),
            (&Some(Scalar::from("Lead")), &Some(Scalar::from("Engineer")), &Some(Scalar::from("Boss")))
        );
        // Counted, and listed only where everybody is asked for.
        assert_eq!(seen.facts.counts.unmanaged, 1);
        assert_eq!((seen.facts.counts.drift(), seen.facts.unrepaired), (8, 8));
        let all = bench.verify_all(Asked::Report, true).await;
        assert_eq!(all.of(FindingKind::Unmanaged).user, mail("zoe"));
    }
}

#[tokio::test]
async fn two_accounts_with_one_login_are_one_person_twice() {
    let bench = Bench::okta().await;
    bench.staff(["ann", "ben"]);
    bench.begin().await;
    bench.world().add_account(&account_by_hand("ANN@acme.example", true));
    let seen = look(&bench).await;
    let found = seen.of(FindingKind::Duplicate);
    assert!(found.reason.contains("userName") && found.other_target_id.is_some(), "{seen:?}");
}

#[tokio::test]
async fn what_the_target_spells_otherwise_and_what_nobody_owns_is_no_drift() {
    let bench = Bench::okta().await;
    bench.staff(["ann", "ben"]);
    bench.begin().await;
    set(&bench, "ann", "title", json!(" ENGINEER"));
    set(&bench, "ann", "userName", json!("Ann@ACME.example"));
    set(&bench, "ben", "nickName", json!("Benny"));
    assert_eq!(look(&bench).await.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn an_account_that_the_listing_hides_is_asked_for_alone() {
    let bench = Bench::okta().await.tables(NO_LIMITS).habits(|habits| habits.inactive_invisible = true);
    let [ann, ..] = bench.staff(["ann", "ben", "cleo"]);
    bench.begin().await;
    bench.world().suspend(ann);
    bench.run().await;
    let seen = look(&bench).await;
    assert_eq!((seen.lines(), seen.facts.accounts.listed), (Vec::new(), 3), "{seen:?}");
}

#[tokio::test]
async fn a_lost_page_of_either_side_tells_nothing_and_writes_nothing() {
    for vendor in BOTH {
        for asked in [Asked::Report, Asked::Repair, Asked::Scheduled] {
            let bench = Bench::new(vendor).await.tables(NO_LIMITS).habits(|habits| habits.page_cap = Some(5));
            let people = bench.crowd(12);
            bench.begin().await;
            bench.world().suspend(people[0]);
            bench.run().await;
            set(&bench, "person0", "active", json!(true));
            let before = bench.accounts();
            let page = Fault::on(Peer::Scim)
                .method("GET")
                .path("/Users")
                .when(|_, query| query.iter().any(|(key, value)| key == "startIndex" && value == "6"));
            bench.sim.faults().add(page.then(Effect::answer(500, "text/plain", "no")));
            let seen = bench.verify(asked).await;
            assert_eq!(seen.facts.result, RunResult::TargetUnavailable, "{seen:?}");
            assert!(seen.repair.is_none() && seen.facts.target.problem.is_some(), "{seen:?}");
            assert_eq!(bench.accounts(), before);
            bench.sim.faults().clear();

            let source = if vendor == Vendor::Okta { Peer::Okta } else { Peer::OneLogin };
            bench.sim.faults().add(Fault::on(source).method("GET").then(Effect::answer(
                500,
                "text/plain",
                "no",
            )));
            let seen = bench.verify(asked).await;
            assert_eq!(seen.facts.result, RunResult::SourceUnavailable, "{seen:?}");
            assert!(seen.repair.is_none() && !seen.facts.source.complete, "{seen:?}");
            assert_eq!(bench.accounts(), before);
        }
    }
}

#[tokio::test]
async fn a_target_that_tells_of_more_than_it_lists_is_not_compared() {
    let bench = Bench::okta().await;
    bench.staff(["ann", "ben"]);
    bench.begin().await;
    let page = Fault::on(Peer::Scim).method("GET").path("/Users");
    bench.sim.faults().add(page.then(Effect::ShiftTotal(7)));
    let seen = bench.verify(Asked::Repair).await;
    assert_eq!(seen.facts.result, RunResult::TargetUnavailable, "{seen:?}");
    assert!(seen.facts.target.problem.as_ref().unwrap().contains("not complete"), "{seen:?}");
}

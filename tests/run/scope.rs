//! Who is in scope, what is switched off, and what is never touched.

use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::plan::{Situation, Verb};
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::SimOptions;

use crate::support::Bench;

const BOTH: [Vendor; 2] = [Vendor::Okta, Vendor::OneLogin];

#[tokio::test]
async fn scope_decides_who_is_in_and_leaving_it_is_leaving() {
    for vendor in BOTH {
        let bench =
            Bench::new(vendor).await.tables("[sync.scope]\nfilter = \"user.department != 'Contractors'\"");
        let [ann, ben, _, _] = bench.staff(["ann", "ben", "cleo", "dan"]);
        bench.world().edit(ben, |person| person.department = Some("Contractors".to_owned()));
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ben", Verb::Skip, Outcome::Skipped);
        assert_eq!(ended.of("ben").situation, Situation::Gone);
        assert!(ended.words_of("ben").contains("scope.filter"));
        bench.assert_quiet().await;
        bench.world().edit(ann, |person| person.department = Some("Contractors".to_owned()));
        let ended = bench.run().await;
        ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        assert_eq!(ended.of("ann").situation, Situation::OutOfScope);
        assert!(!bench.is_active("ann"));
        bench.assert_quiet().await;
        bench.world().edit(ann, |person| person.department = Some("Research".to_owned()));
        bench.run().await.assert_line("ann", Verb::Reactivate, Outcome::Applied);
        assert!(bench.is_active("ann"));
    }
}

#[tokio::test]
async fn groups_can_decide_the_scope() {
    for vendor in BOTH {
        let bench = Bench::new(vendor)
            .await
            .source("groups = [\"Bots\"]")
            .tables("[sync.scope]\nfilter = \"'Bots' not in user.groups\"");
        let [ann, ben, _, _] = bench.staff(["ann", "ben", "cleo", "dan"]);
        let bots = bench.world().add_group("Bots");
        bench.world().add_member(bots, ben);
        bench.run().await.assert_line("ben", Verb::Skip, Outcome::Skipped);
        bench.world().add_member(bots, ann);
        bench.world().remove_member(bots, ben);
        let ended = bench.run().await;
        ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        ended.assert_line("ben", Verb::Create, Outcome::Applied);
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn an_assignment_by_a_group_is_an_assignment() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(["ben", "cleo"]);
        let ann = bench.world().hire("ann@acme.example", |_| {});
        let group = bench.world().add_group("Wrike users");
        bench.world().assign_group(group);
        bench.world().add_member(group, ann);
        bench.begin().await;
        assert!(bench.is_active("ann"));
        bench.world().remove_member(group, ann);
        bench.run().await.assert_line("ann", Verb::Deactivate, Outcome::Applied);
    }
}

#[tokio::test]
async fn what_is_switched_off_is_planned_shown_and_not_sent() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, ben, cleo, _] = bench.staff(["ann", "ben", "cleo", "dan"]);
        bench.begin().await;
        bench.world().unassign(cleo);
        bench.run().await.assert_line("cleo", Verb::Deactivate, Outcome::Applied);
        let bench = bench.tables(
            "[sync.lifecycle]\ncreate = false\nupdate = false\ndeactivate = false\nreactivate = false",
        );
        bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        bench.world().unassign(ben);
        bench.world().assign(cleo);
        bench.hire("eve");
        bench.sim.clear_requests();
        let before = bench.accounts();
        for dry in [true, false] {
            let ended = if dry { bench.dry().await } else { bench.run().await };
            ended.assert_end(exit::OK, RunResult::Ok);
            ended.assert_line("ann", Verb::Update, Outcome::Disabled);
            ended.assert_line("ben", Verb::Deactivate, Outcome::Disabled);
            ended.assert_line("cleo", Verb::Reactivate, Outcome::Disabled);
            ended.assert_line("eve", Verb::Create, Outcome::Disabled);
            assert!(ended.words_of("ben").contains("lifecycle.deactivate = false"));
            assert_eq!((ended.facts.summary.skipped, ended.facts.summary.writes()), (4, 0));
        }
        assert_eq!(bench.writes(), Vec::<String>::new());
        assert_eq!(bench.accounts(), before);
    }
}

#[tokio::test]
async fn unmanaged_accounts_are_never_touched() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let contractor = bench.add_account("contractor@elsewhere.example", true);
        let former = bench.add_account("former@elsewhere.example", false);
        let [ann, ben, _, _] = bench.staff(["ann", "ben", "cleo", "dan"]);
        // A person of the source who is not assigned has an account that somebody made by hand.
        bench.world().hire("eve@acme.example", |_| {});
        let eve = bench.add_account("eve", true);
        let before = bench.accounts();
        bench.begin().await;
        bench.world().unassign(ann);
        bench.world().rename(ben, "benjamin@acme.example");
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        bench.assert_quiet().await;
        let after = bench.accounts();
        for id in [contractor, former, eve] {
            let find =
                |all: &[(String, serde_json::Value)]| all.iter().find(|(found, _)| *found == id).cloned();
            assert_eq!(find(&before), find(&after));
        }
    }
}

#[tokio::test]
async fn a_dry_run_only_reads_and_leaves_no_trace() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, ben, _] = bench.staff(["ann", "ben", "cleo"]);
        bench.add_account("ann", false);
        let state = bench.directory.path().join("state");
        let dry = bench.dry().await;
        assert_eq!(dry.facts.run, None);
        assert!(!state.exists(), "there was no state and there is none now");
        assert!(dry.problems().contains("no state yet"), "{dry:#?}");
        let ended = bench.run().await;
        let planned = |lines: Vec<String>| {
            lines.iter().map(|line| line.replace("planned", "applied")).collect::<Vec<_>>()
        };
        assert_eq!(planned(dry.lines()), ended.lines());
        bench.world().unassign(ben);
        bench.world().edit(ann, |person| person.title = None);
        bench.hire("dan");
        let before = bytes_of(&state);
        bench.sim.clear_requests();
        let dry = bench.dry().await;
        assert_eq!(bytes_of(&state), before);
        assert!(bench.sim.requests(rosterd::sim::Peer::Scim).iter().all(|request| request.method == "GET"));
        assert_eq!(planned(dry.lines()), bench.run().await.lines());
    }
}

fn bytes_of(directory: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn hundreds_of_people_over_many_pages_are_read_created_and_then_left_alone() {
    for vendor in BOTH {
        let mut options = SimOptions { seed: 3, ..SimOptions::default() };
        options.okta.page_cap = Some(40);
        let bench = Bench::with_options(vendor, options).await;
        bench.world().populate(300);
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(ended.facts.summary.create, 300);
        assert!(ended.facts.source.complete && ended.facts.source.pages > 5, "{:?}", ended.facts.source);
        assert_eq!(bench.accounts().len(), 300);
        bench.assert_quiet().await;
    }
}

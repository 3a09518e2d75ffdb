//! A state that was lost: nobody loses an account, nobody gets a second one, and whoever left meanwhile is found.

use std::time::Duration;

use rosterd::engine::error::RunError;
use rosterd::exit;
use rosterd::model::link::LinkState;
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::{Effect, Fault, Peer};
use rosterd::source::SourceError;
use serde_json::json;

use crate::hands::{BOTH, lose, rebuild, rebuild_all};
use crate::support::{Bench, account_by_hand};

const NAMES: [&str; 6] = ["ann", "ben", "cleo", "dan", "eve", "fay"];

#[tokio::test]
async fn lost_links_are_found_again_by_their_mark_and_the_next_run_has_nothing_to_do() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let people = bench.staff(NAMES);
        bench.begin().await;
        let before = bench.link(people[0]).await.unwrap();
        lose(&bench);
        let rebuilt = rebuild(&bench).await;
        assert_eq!(rebuilt.found(), NAMES.map(|name| format!("{name} externalId")));
        assert_eq!((rebuilt.left.len(), rebuilt.facts.accounts, rebuilt.facts.people), (0, 6, 6));
        let after = bench.link(people[0]).await.unwrap();
        assert_eq!(after.target_id, before.target_id);
        assert_eq!(after.acknowledged, before.acknowledged);
        assert_eq!((after.state, after.billable), (LinkState::Active, true));
        assert!(after.digest.is_some(), "nothing differs");
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn a_second_rebuild_finds_nothing_more_and_changes_no_link() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let people = bench.staff(NAMES);
        bench.begin().await;
        bench.add_account("guest", true);
        lose(&bench);
        rebuild(&bench).await;
        let mut links = Vec::new();
        for person in people {
            links.push(bench.link(person).await);
        }
        let again = rebuild(&bench).await;
        assert_eq!(
            (again.found(), again.facts.kept, again.facts.unmanaged),
            (Vec::new(), 6, 1),
            "{again:#?}"
        );
        for (person, link) in people.into_iter().zip(links) {
            assert_eq!(bench.link(person).await, link);
        }
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn after_a_rebuild_a_run_plans_only_what_truly_differs() {
    for vendor in BOTH {
        // The workspace keeps addresses and numbers in a spelling of its own.
        let bench = Bench::new(vendor).await.habits(|habits| habits.normalises = true);
        let [ann, ben, ..] = bench.staff(NAMES);
        bench.begin().await;
        bench.assert_quiet().await;
        lose(&bench);
        bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        bench.world().rename(ben, "benjamin@acme.example");
        bench.hire("gus");
        let rebuilt = rebuild(&bench).await;
        assert_eq!(rebuilt.facts.without_account, 1);
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(
            ended.lines(),
            [
                "create gus@acme.example applied",
                "update ann@acme.example applied",
                "update ben@acme.example applied"
            ],
            "{vendor:?}"
        );
        assert_eq!(ended.changes_of("ann"), ["title: Engineer -> Lead"]);
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn somebody_who_left_in_the_gap_is_found_and_removed_by_the_next_run() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, ben, cleo, ..] = bench.staff(NAMES);
        bench.begin().await;
        lose(&bench);
        bench.world().unassign(ann);
        bench.world().deactivate(ben);
        bench.world().delete(cleo);
        let rebuilt = rebuild(&bench).await;
        assert_eq!(rebuilt.found(), NAMES.map(|name| format!("{name} externalId")), "{rebuilt:#?}");
        let note = |name: &str| {
            let login = format!("{name}@acme.example");
            rebuilt.links.iter().find(|found| found.link.user_name == login).unwrap().note.clone()
        };
        assert_eq!(note("ann").as_deref(), Some("left meanwhile"));
        assert_eq!(note("cleo").as_deref(), Some("deleted at the source meanwhile"));
        assert_eq!(note("dan"), None);
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        for name in ["ann", "ben", "cleo"] {
            ended.assert_line(name, Verb::Deactivate, Outcome::Applied);
            assert!(!bench.is_active(name));
        }
        assert_eq!(ended.facts.summary.writes(), 3, "{ended:#?}");
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn many_who_left_in_the_gap_are_held_by_the_guards_as_ever() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let people = bench.crowd(20);
        bench.begin().await;
        lose(&bench);
        people[..10].iter().for_each(|person| bench.world().unassign(*person));
        assert_eq!(rebuild(&bench).await.links.len(), 20);
        let ended = bench.run().await;
        ended.assert_end(exit::HELD, RunResult::Held);
        assert_eq!((ended.facts.summary.held, ended.facts.summary.deactivate), (10, 0), "{ended:#?}");
    }
}

#[tokio::test]
async fn a_mark_of_somebody_whom_the_source_does_not_know_is_left_alone() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, ben, ..] = bench.staff(NAMES);
        bench.begin().await;
        lose(&bench);
        // Another organisation's provisioning marks its accounts in the same way.
        let mut foreign = account_by_hand("guest@elsewhere.example", true);
        foreign["externalId"] = match vendor {
            rosterd::model::id::Vendor::Okta => json!("00uSomebodyElses0000"),
            rosterd::model::id::Vendor::OneLogin => json!("onelogin:424242424"),
        };
        bench.world().add_account(&foreign);
        bench.world().delete_silently(ann);
        bench.world().unassign(ben);
        let rebuilt = rebuild(&bench).await;
        assert_eq!(rebuilt.links.len(), 5, "{rebuilt:#?}");
        for name in ["guest@elsewhere.example", "ann"] {
            assert!(rebuilt.left_of(name).contains("knows no user"), "{rebuilt:#?}");
        }
        bench.run().await;
        bench.pass(Duration::from_secs(2 * 3600));
        bench.run().await;
        assert!(bench.is_active("guest@elsewhere.example") && bench.is_active("ann"));
    }
}

#[tokio::test]
async fn without_a_mark_an_account_is_found_by_login_and_its_mark_is_written_by_the_next_run() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, _] = bench.staff(["ann", "ben"]);
        bench.begin().await;
        let id = bench.account("ann").id;
        bench.world().edit_account(&id, |account| {
            account.resource.remove("externalId");
        });
        lose(&bench);
        assert_eq!(rebuild(&bench).await.found(), ["ann userName", "ben externalId"]);
        let ended = bench.run().await;
        assert_eq!(ended.lines(), ["update ann@acme.example applied"]);
        assert_eq!(ended.changes_of("ann"), [format!("externalId: - -> {}", bench.external_id(ann))]);
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn an_address_finds_an_account_only_where_the_ladder_lists_it_and_then_changes_no_login() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.hire("ann");
        let mut account = account_by_hand("a.archer@acme.example", true);
        account["emails"] = json!([{"value": "ann@acme.example", "type": "work", "primary": true}]);
        bench.world().add_account(&account);
        let without = rebuild(&bench).await;
        assert_eq!((without.found(), without.facts.unmanaged), (Vec::new(), 1));
        let bench = bench.tables("[sync.adopt]\nmatch = [\"externalId\", \"userName\", \"email\"]");
        assert_eq!(rebuild(&bench).await.found(), ["a.archer email"]);
        let ended = bench.run().await;
        assert!(!ended.changes_of("a.archer").join(" ").contains("userName"), "{ended:#?}");
        assert_eq!(bench.account("a.archer").user_name(), "a.archer@acme.example");
        bench.run().await.assert_line("a.archer", Verb::Update, Outcome::Held);
    }
}

#[tokio::test]
async fn what_is_ambiguous_is_left_and_listed() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(["ann", "ben"]);
        let cleo = bench.hire("cleo");
        for login in ["ann", "Ann@ACME.example"] {
            bench.add_account(login, true);
        }
        for login in ["one@acme.example", "two@acme.example"] {
            let mut marked = account_by_hand(login, true);
            marked["externalId"] = json!(bench.external_id(cleo));
            bench.world().add_account(&marked);
        }
        let rebuilt = rebuild(&bench).await;
        assert_eq!(rebuilt.found(), [""; 0], "{rebuilt:#?}");
        for name in ["ann", "cleo"] {
            let lines: Vec<_> =
                rebuilt.left.iter().filter(|left| left.reason.contains("2 accounts match")).collect();
            assert!(lines.iter().any(|left| left.user == format!("{name}@acme.example")), "{rebuilt:#?}");
        }
        assert_eq!((rebuilt.facts.without_account, rebuilt.facts.unmanaged), (1, 0), "ben has none");
    }
}

#[tokio::test]
async fn an_account_is_not_found_by_login_for_one_where_it_is_marked_for_another() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, _] = bench.staff(["ann", "ben"]);
        let mut marked = account_by_hand("ben@acme.example", true);
        marked["externalId"] = json!(bench.external_id(ann));
        bench.world().add_account(&marked);
        let rebuilt = rebuild(&bench).await;
        assert_eq!(rebuilt.found(), ["ben externalId"], "the login is ben's, the account ann's");
        assert_eq!(rebuilt.links[0].link.source_id, bench.source_id(ann));
        assert!(rebuilt.left_of("ben").contains("mark of"), "{rebuilt:#?}");
    }
}

#[tokio::test]
async fn inactive_accounts_are_linked_as_inactive_and_leavers_among_them_stay_away() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, ben, ..] = bench.staff(NAMES);
        bench.begin().await;
        bench.world().unassign(ann);
        bench.world().suspend(ben);
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        lose(&bench);
        let rebuilt = rebuild(&bench).await;
        assert_eq!(rebuilt.links.len(), 6, "{rebuilt:#?}");
        for person in [ann, ben] {
            assert_eq!(bench.link(person).await.unwrap().state, LinkState::Inactive);
        }
        bench.assert_quiet().await;
        bench.world().assign(ann);
        bench.world().unsuspend(ben);
        let ended = bench.run().await;
        ended.assert_line("ann", Verb::Reactivate, Outcome::Applied);
        ended.assert_line("ben", Verb::Reactivate, Outcome::Applied);
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn whoever_is_out_of_scope_or_suspended_is_told_by_the_mark_alone() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables("[sync.scope]\nfilter = \"user.title != 'Contractor'\"");
        bench.hire("ann");
        bench.hire_with("con", |person| person.title = Some("Contractor".to_owned()));
        let sue = bench.hire("sue");
        bench.world().suspend(sue);
        // Made by hand, and nobody's business of ours.
        for name in ["con", "sue"] {
            bench.add_account(name, true);
        }
        let rebuilt = rebuild(&bench).await;
        assert_eq!(rebuilt.found(), [""; 0], "{rebuilt:#?}");
        assert!(
            rebuilt.left.iter().any(|left| left.reason.contains("suspended at the source")),
            "{rebuilt:#?}"
        );
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        assert!(bench.is_active("con") && bench.is_active("sue"));
    }
}

#[tokio::test]
async fn a_list_that_leaves_somebody_out_loses_nobody() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, ..] = bench.staff(NAMES);
        bench.begin().await;
        lose(&bench);
        bench.world().hide(ann);
        let rebuilt = rebuild(&bench).await;
        assert_eq!(rebuilt.links.len(), 6);
        assert!(rebuilt.facts.notes.join(" ").contains("left out 1"), "{rebuilt:#?}");
        bench.run().await;
        assert!(bench.is_active("ann"));
    }
}

#[tokio::test]
async fn a_read_that_is_not_complete_gives_no_links() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(NAMES);
        bench.begin().await;
        lose(&bench);
        let peer = if vendor == rosterd::model::id::Vendor::Okta { Peer::Okta } else { Peer::OneLogin };
        let lists = Fault::on(peer).method("GET").when(|path, _| path.ends_with("/users"));
        bench.sim.faults().add(lists.then(Effect::answer(500, "application/json", "{}")));
        let error = rebuild_all(&bench, &bench.text()).await.unwrap_err();
        assert!(matches!(error, RunError::Source(SourceError::Unavailable(_))), "{error:?}");
        bench.sim.faults().clear();
        let pages = Fault::on(Peer::Scim).method("GET").when(|path, _| path.ends_with("/Users"));
        bench.sim.faults().add(pages.then(Effect::answer(500, "application/json", "{}")));
        let error = rebuild_all(&bench, &bench.text()).await.unwrap_err();
        assert!(matches!(error, RunError::Target(_)), "{error:?}");
        bench.sim.faults().clear();
        assert_eq!(rebuild(&bench).await.links.len(), 6);
    }
}

#[tokio::test]
async fn a_workspace_that_does_not_list_cannot_be_rebuilt_from_and_the_ladder_still_finds_everybody() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(["ann", "ben"]);
        bench.begin().await;
        lose(&bench);
        let lists = Fault::on(Peer::Scim)
            .method("GET")
            .when(|_, query| query.iter().all(|(name, _)| name != "filter"));
        bench.sim.faults().add(lists.then(Effect::answer(400, "application/json", "{}")));
        assert!(rebuild_all(&bench, &bench.text()).await.unwrap()[0].is_none());
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!((ended.facts.summary.adopt, ended.facts.summary.create), (2, 0));
        assert_eq!(bench.accounts().len(), 2);
    }
}

/// A day on which everything happens, and the state is lost at noon.
#[tokio::test]
async fn a_state_lost_in_the_middle_of_a_busy_day_costs_no_account_and_makes_no_duplicate() {
    for vendor in BOTH {
        for with_rebuild in [true, false] {
            let bench = Bench::new(vendor).await.tables(crate::support::NO_LIMITS);
            let people = bench.crowd(12);
            let [ann, ben, cleo, dan, eve, fay] = bench.staff(NAMES);
            bench.begin().await;
            bench.world().unassign(ann);
            bench.world().edit(ben, |person| person.title = Some("Lead".to_owned()));
            bench.run().await.assert_end(exit::OK, RunResult::Ok);
            bench.world().assign(ann);
            bench.world().unassign(cleo);
            bench.world().rename(dan, "daniel@acme.example");
            people[..4].iter().for_each(|person| {
                bench.world().edit(*person, |person| person.department = Some("Sales".to_owned()));
            });
            bench.hire("gus");
            let ids: Vec<String> = bench.accounts().into_iter().map(|(id, _)| id).collect();
            lose(&bench);
            if with_rebuild {
                assert_eq!(rebuild(&bench).await.links.len(), 18);
            }
            let ended = bench.run().await;
            ended.assert_end(exit::OK, RunResult::Ok);
            bench.world().unassign(eve);
            bench.world().suspend(fay);
            bench.run().await.assert_end(exit::OK, RunResult::Ok);
            let accounts = bench.accounts();
            assert_eq!(accounts.len(), 19, "{vendor:?}: nobody has two accounts");
            assert!(ids.iter().all(|id| accounts.iter().any(|(other, _)| other == id)));
            for name in ["ann", "ben", "daniel", "gus"] {
                assert!(bench.is_active(name), "{vendor:?} {name}");
            }
            assert!(!bench.is_active("eve") && !bench.is_active("fay"));
            // Without a rebuild nobody knows any more that this account was ours.
            assert_eq!(bench.is_active("cleo"), !with_rebuild);
            bench.assert_quiet().await;
        }
    }
}

#[tokio::test]
async fn a_state_lost_between_two_passes_of_creations_makes_no_duplicate() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.crowd(8);
        let stop = bench.stop.clone();
        let third = Fault::on(Peer::Scim).method("POST").nth(3);
        bench.sim.faults().add(third.then(Effect::before(move |_| {
            stop.send_replace(true);
        })));
        let ended = bench.run().await;
        assert_eq!(ended.facts.result, RunResult::Interrupted);
        bench.stop.send_replace(false);
        bench.sim.faults().clear();
        let there = bench.accounts().len();
        assert!((3..8).contains(&there), "{there}");
        lose(&bench);
        assert_eq!(rebuild(&bench).await.links.len(), there);
        let ended = bench.run().await;
        assert_eq!((ended.facts.summary.create as usize, bench.accounts().len()), (8 - there, 8));
        bench.assert_quiet().await;
    }
}

//! One person stops everybody: what fails for one person, account or record is that one's, and everybody else is done.

use std::time::Duration;

use rosterd::engine::selection::Selection;
use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::link::LinkState;
use rosterd::model::owed::WaitsFor;
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::{Cut, DuplicateHabit, Effect, Fault, Peer, PersonId, html_page, okta_error, scim_error};
use rosterd::store::Snapshot;
use serde_json::json;

use crate::accounts::{BOTH, approve, line_of};
use crate::support::{Bench, Ended, WIDE_LIMITS};

pub(crate) fn source_of(vendor: Vendor) -> Peer {
    match vendor {
        Vendor::Okta => Peer::Okta,
        Vendor::OneLogin => Peer::OneLogin,
    }
}

/// Every request about one account of the workspace fails.
fn break_account(bench: &Bench, method: Option<&str>, id: &str) {
    let end = format!("/Users/{id}");
    let mut fault = Fault::on(Peer::Scim).when(move |path, _| path.ends_with(&end));
    if let Some(method) = method {
        fault = fault.method(method);
    }
    bench.sim.faults().add(fault.then(html_page(500)));
}

/// Every request about one person's own record fails.
fn break_record(bench: &Bench, person: PersonId, effect: Effect) {
    let end = format!("/users/{}", bench.source_id(person));
    let fault = Fault::on(source_of(bench.vendor)).when(move |path, _| path.ends_with(&end));
    bench.sim.faults().add(fault.then(effect));
}

async fn waits_of(bench: &Bench, person: PersonId) -> Vec<WaitsFor> {
    let snapshot = Snapshot::open(&bench.directory.path().join("state")).await.unwrap();
    let owed = snapshot.owed_of(&bench.name, &bench.source_id(person)).await.unwrap();
    owed.into_iter().map(|change| change.waits_for).collect()
}

/// What the person's requests in the journal that are not settled yet are worth: nobody can tell.
async fn unsettled(vendor: Vendor) -> (Bench, PersonId, String) {
    let bench = Bench::new(vendor).await.tables(WIDE_LIMITS);
    let [ann, ben, cleo] = bench.staff(["ann", "ben", "cleo"]);
    bench.crowd(9);
    bench.begin().await;
    let account = bench.account("ann").id;
    break_account(&bench, None, &account);
    for person in [ann, ben] {
        bench.world().edit(person, |person| person.title = Some("Lead".to_owned()));
    }
    bench.world().unassign(cleo);
    bench.hire("dan");
    (bench, ann, account)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_answers_nothing_but_500_leaves_one_person_unsettled_and_all_others_done() {
    for vendor in BOTH {
        let (bench, ann, _) = unsettled(vendor).await;
        let ended = bench.run().await;
        ended.assert_end(exit::PARTIAL, RunResult::Partial);
        ended.assert_line("ann", Verb::Update, Outcome::Failed);
        ended.assert_line("ben", Verb::Update, Outcome::Applied);
        ended.assert_line("cleo", Verb::Deactivate, Outcome::Applied);
        ended.assert_line("dan", Verb::Create, Outcome::Applied);
        assert_eq!(waits_of(&bench, ann).await, [WaitsFor::Unsettled], "{ended:#?}");
        // Every later run goes on as well, of everybody and of somebody else.
        bench.hire("eve");
        let ended = bench.run().await;
        ended.assert_line("eve", Verb::Create, Outcome::Applied);
        bench.world().edit(bench.world().find("ben@acme.example").unwrap(), |person| {
            person.title = Some("Head".to_owned());
        });
        let ended = bench.run_for(&["ben"]).await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ben", Verb::Update, Outcome::Applied);
        bench.sim.faults().clear();
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(bench.account("ann").at("/title"), json!("Lead"), "{ended:#?}");
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsettled_person_who_leaves_is_removed_as_soon_as_the_account_answers() {
    for vendor in BOTH {
        let (bench, ann, _) = unsettled(vendor).await;
        bench.run().await;
        bench.world().unassign(ann);
        let ended = bench.run().await;
        ended.assert_end(exit::PARTIAL, RunResult::Partial);
        bench.sim.faults().clear();
        let ended = bench.run().await;
        ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        assert!(!bench.is_active("ann"));
        bench.pass(Duration::from_secs(11 * 60));
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        assert!(waits_of(&bench, ann).await.is_empty());
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsettled_person_who_leaves_is_removed_by_an_account_that_takes_only_the_deactivation() {
    for vendor in BOTH {
        let (bench, ann, account) = unsettled(vendor).await;
        bench.run().await;
        bench.world().unassign(ann);
        // The account can be written to again and not be read.
        bench.sim.faults().clear();
        break_account(&bench, Some("GET"), &account);
        let ended = bench.run().await;
        ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        assert!(!bench.is_active("ann"));
        assert_eq!(bench.link(ann).await.unwrap().state.as_str(), "deactivated");
        // Ten minutes later one look makes sure that the older write did not arrive after it.
        bench.pass(Duration::from_secs(11 * 60));
        bench.run().await;
        assert_eq!(waits_of(&bench, ann).await, [WaitsFor::Look], "the account cannot be read yet");
        bench.sim.faults().clear();
        bench.sim.clear_requests();
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        let end = format!("/Users/{account}");
        let looks = bench.sim.requests(Peer::Scim).iter().filter(|look| look.path.ends_with(&end)).count();
        assert!(looks > 0, "{ended:#?}");
        assert!(waits_of(&bench, ann).await.is_empty(), "{ended:#?}");
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_write_that_arrives_after_the_removal_is_taken_back() {
    for vendor in BOTH {
        let (bench, ann, account) = unsettled(vendor).await;
        bench.run().await;
        bench.world().unassign(ann);
        bench.sim.faults().clear();
        break_account(&bench, Some("GET"), &account);
        bench.run().await.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        bench.sim.faults().clear();
        bench.world().edit_account(&account, |account| {
            account.resource.insert("active".to_owned(), json!(true));
        });
        bench.pass(Duration::from_secs(11 * 60));
        for _ in 0..2 {
            bench.run().await;
        }
        assert!(!bench.is_active("ann"), "{vendor:?}");
        assert!(matches!(bench.link(ann).await.unwrap().state, LinkState::Deactivated(_)));
    }
}

/// What may be wrong with one record while everything else is well.
fn troubles() -> [Effect; 3] {
    [
        Effect::Answer(okta_error(500, "E0000009", "Internal Server Error")),
        Effect::Answer(okta_error(403, "E0000006", "You do not have permission")),
        html_page(503),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_fails_alone_is_its_persons_and_the_leavers_of_the_same_batch_are_removed() {
    for vendor in BOTH {
        for trouble in troubles() {
            let bench = Bench::new(vendor).await.tables(WIDE_LIMITS);
            let [ann, ben, cleo, _] = bench.staff(["ann", "ben", "cleo", "dan"]);
            bench.crowd(6);
            bench.begin().await;
            break_record(&bench, ben, trouble);
            bench.world().unassign(ann);
            bench.world().unassign(cleo);
            let ids = [ann, ben, cleo].map(|person| bench.source_id(person)).to_vec();
            let ended = bench.run_who(Selection::Ids(ids)).await;
            ended.assert_end(exit::PARTIAL, RunResult::Partial);
            ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
            ended.assert_line("cleo", Verb::Deactivate, Outcome::Applied);
            assert_eq!(line_of(&ended, &bench, ben).action, Verb::Block, "{ended:#?}");
            assert!(bench.is_active("ben"));
            bench.sim.faults().clear();
            bench.run().await.assert_end(exit::OK, RunResult::Ok);
            bench.assert_quiet().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_of_four_people_is_carried_out_for_the_three_whose_records_answer() {
    for vendor in BOTH {
        for trouble in troubles() {
            let bench = Bench::new(vendor).await.tables("[sync.guard]\nmax_removals = 3\n");
            let crowd = bench.crowd(60);
            bench.begin().await;
            crowd[..4].iter().for_each(|person| bench.world().unassign(*person));
            let ended = bench.run().await;
            assert_eq!((ended.code, ended.facts.summary.held), (exit::HELD, 4), "{ended:#?}");
            let decided = approve(&bench).await;
            break_record(&bench, crowd[1], trouble);
            let ended = bench.run_who(Selection::Ids(decided.people)).await;
            assert_eq!(ended.facts.summary.deactivate, 3, "{ended:#?}");
            assert_eq!(ended.code, exit::PARTIAL, "{ended:#?}");
            bench.sim.faults().clear();
            let ended = bench.run().await;
            assert_eq!((ended.code, ended.facts.summary.deactivate), (exit::OK, 1), "{ended:#?}");
        }
    }
}

/// The plain list fails, searches work.
fn break_list(bench: &Bench, effect: Effect) -> usize {
    let fault = Fault::on(Peer::Scim)
        .method("GET")
        .when(|path, query| path.ends_with("/Users") && query.iter().all(|(name, _)| name != "filter"));
    bench.sim.faults().add(fault.then(effect))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_fails_keeps_no_leaver_in_and_joiners_are_looked_up_one_by_one() {
    let troubles: [(&str, Effect); 6] = [
        ("500", Effect::Answer(scim_error(500, None, "list failed"))),
        ("403", Effect::Answer(scim_error(403, None, "not allowed to list"))),
        ("404", Effect::Answer(scim_error(404, None, "no such endpoint"))),
        ("501", Effect::Answer(scim_error(501, None, "not implemented"))),
        ("html", html_page(200)),
        ("html 502", html_page(502)),
    ];
    for vendor in BOTH {
        for (what, trouble) in troubles.clone() {
            let bench = Bench::new(vendor).await;
            let ann = bench.staff(["ann", "ben", "cleo"])[0];
            bench.begin().await;
            bench.world().unassign(ann);
            let joiners = bench.crowd(6);
            bench.add_account("person3@acme.example", true);
            let number = break_list(&bench, trouble);
            let ended = bench.run().await;
            assert!(bench.sim.faults().fired(number) > 0, "the list was asked for: {what}");
            assert_eq!(ended.code, exit::OK, "{vendor:?} {what}: {ended:#?}");
            ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
            assert_eq!((ended.facts.summary.create, ended.facts.summary.adopt), (5, 1), "{what}: {ended:#?}");
            assert_eq!(bench.accounts().len(), 3 + joiners.len());
            bench.assert_quiet().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leavers_go_before_anybody_is_looked_up_even_where_the_workspace_answers_no_question() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        bench.world().unassign(ann);
        bench.crowd(6);
        let fault = Fault::on(Peer::Scim).method("GET").when(|path, _| path.ends_with("/Users"));
        bench.sim.faults().add(fault.then(html_page(500)));
        let ended = bench.run().await;
        ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        assert!(!bench.is_active("ann") && ended.code != exit::OK, "{ended:#?}");
        assert_eq!(bench.accounts().len(), 3, "nobody is created who could not be looked for");
        bench.sim.faults().clear();
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(bench.accounts().len(), 9);
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_that_a_firewall_refuses_is_its_persons() {
    for vendor in BOTH {
        for others in [0, 6] {
            let bench = Bench::new(vendor).await;
            bench.staff(["ann", "ben"]);
            bench.begin().await;
            let ohara = bench.hire("o'hara@acme.example");
            bench.hire("dan");
            bench.crowd(others);
            break_list(&bench, Effect::Answer(scim_error(403, None, "not allowed to list")));
            let refused = Fault::on(Peer::Scim)
                .when(|_, query| query.iter().any(|(_, value)| value.contains("o'hara")))
                .then(html_page(403));
            bench.sim.faults().add(refused);
            for created in [1 + others as u64, 0] {
                let ended = bench.run().await;
                assert_eq!(ended.facts.summary.create, created, "{ended:#?}");
                let line = line_of(&ended, &bench, ohara);
                assert_ne!(line.outcome, Outcome::Applied, "{ended:#?}");
                assert!([exit::PARTIAL, exit::OK].contains(&ended.code), "no failure of the run: {ended:#?}");
                if created > 0 {
                    ended.assert_end(exit::PARTIAL, RunResult::Partial);
                }
            }
            let snapshot = Snapshot::open(&bench.directory.path().join("state")).await.unwrap();
            assert!(snapshot.owed_of(&bench.name, &bench.source_id(ohara)).await.unwrap().len() == 1);
            bench.sim.faults().clear();
            let ended: Ended = bench.run_for(&["o'hara@acme.example"]).await;
            ended.assert_end(exit::OK, RunResult::Ok);
            assert_eq!(line_of(&ended, &bench, ohara).outcome, Outcome::Applied);
            bench.assert_quiet().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_ignores_its_filter_finds_nobody_who_is_not_called_so() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben"])[0];
        bench.begin().await;
        bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        for parameter in ["search", "filter", "q", "username", "email"] {
            let fault = Fault::on(source_of(vendor)).then(Effect::Query(parameter.to_owned(), String::new()));
            bench
                .sim
                .faults()
                .add(fault.when(move |_, query| query.iter().any(|(name, _)| name == parameter)));
        }
        let ended = bench.run_for(&["nobody"]).await;
        ended.assert_end(exit::FAILURE, RunResult::Error);
        assert!(ended.problems().contains("nobody@acme.example"), "{ended:#?}");
        assert_eq!(bench.writes(), Vec::<String>::new());
        assert_eq!(bench.account("ann").at("/title"), json!("Engineer"));
        // Whoever is called so is found all the same, by the link.
        bench.run_for(&["ann"]).await.assert_line("ann", Verb::Update, Outcome::Applied);
    }
}

/// Every search that names somebody is refused by something in between.
fn refuse_searches_for(bench: &Bench, peer: Peer, name: &'static str) -> usize {
    let fault = Fault::on(peer)
        .when(move |path, query| path.contains(name) || query.iter().any(|(_, value)| value.contains(name)));
    bench.sim.faults().add(fault.then(html_page(403)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_whom_the_source_cannot_be_searched_for_delays_no_leaver_of_the_same_batch() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables(WIDE_LIMITS);
        let [ann, ben] = bench.staff(["ann", "ben"]);
        bench.crowd(10);
        bench.begin().await;
        bench.world().unassign(ann);
        bench.world().edit(ben, |person| person.title = Some("Lead".to_owned()));
        let ohara = bench.hire("o'hara@acme.example");
        let dan = bench.hire("dan");
        let number = refuse_searches_for(&bench, source_of(vendor), "o'hara");
        let ids = [ohara, ann, ben, dan].map(|person| bench.source_id(person)).to_vec();
        let ended = bench.run_who(Selection::Ids(ids.clone())).await;
        assert!(bench.sim.faults().fired(number) > 0, "{ended:#?}");
        ended.assert_end(exit::PARTIAL, RunResult::Partial);
        ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        ended.assert_line("ben", Verb::Update, Outcome::Applied);
        ended.assert_line("dan", Verb::Create, Outcome::Applied);
        assert_eq!(line_of(&ended, &bench, ohara).outcome, Outcome::Failed, "{ended:#?}");
        assert_eq!(waits_of(&bench, ohara).await, [WaitsFor::Retry]);
        bench.sim.faults().clear();
        let ended = bench.run_who(Selection::Ids(ids)).await;
        assert_eq!((ended.code, ended.facts.summary.create), (exit::OK, 1), "{ended:#?}");
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_is_linked_is_found_by_name_where_the_source_cannot_be_searched_for_the_name() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, ben] = bench.staff(["o'hara@acme.example", "ben"]);
        bench.begin().await;
        for person in [ann, ben] {
            bench.world().edit(person, |person| person.title = Some("Lead".to_owned()));
        }
        refuse_searches_for(&bench, source_of(vendor), "hara@acme");
        let ended = bench.run_for(&["o'hara@acme.example", "ben"]).await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(ended.facts.summary.update, 2, "{ended:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_whose_login_cannot_be_looked_up_is_its_persons() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, ben, cleo] = bench.staff(["ann", "ben", "cleo"]);
        bench.begin().await;
        bench.world().rename(ann, "o'hara@acme.example");
        bench.world().rename(ben, "benjamin@acme.example");
        bench.world().edit(cleo, |person| person.title = Some("Lead".to_owned()));
        refuse_searches_for(&bench, Peer::Scim, "hara@acme");
        let ended = bench.run().await;
        ended.assert_end(exit::PARTIAL, RunResult::Partial);
        assert_eq!(line_of(&ended, &bench, ann).outcome, Outcome::Failed, "{ended:#?}");
        assert_eq!(ended.facts.summary.update, 2, "{ended:#?}");
        bench.sim.faults().clear();
        bench.run_for(&["ann"]).await.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(bench.account("o'hara@acme.example").at("/userName"), json!("o'hara@acme.example"));
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivation_that_nobody_can_tell_about_is_one_persons_until_it_can_be_told() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables(WIDE_LIMITS);
        let [ann, ben] = bench.staff(["ann", "ben"]);
        bench.crowd(10);
        bench.begin().await;
        let account = bench.account("ann").id;
        break_account(&bench, None, &account);
        bench.world().unassign(ann);
        bench.world().unassign(ben);
        for joiner in ["dan", "eve"] {
            bench.hire(joiner);
            let ended = bench.run().await;
            ended.assert_end(exit::PARTIAL, RunResult::Partial);
            ended.assert_line(joiner, Verb::Create, Outcome::Applied);
            assert!(!bench.is_active("ben"), "{ended:#?}");
        }
        bench.sim.faults().clear();
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        assert!(!bench.is_active("ann"));
        bench.pass(Duration::from_secs(11 * 60));
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_before_anybody_can_tell_of_the_creation_is_removed_as_soon_as_it_can_be_told() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables(WIDE_LIMITS);
        let ben = bench.staff(["ben"])[0];
        bench.crowd(10);
        bench.begin().await;
        let ann = bench.hire("ann");
        // The account is made, the reply is lost, and from then on neither search nor list tells anything.
        let faults = bench.sim.faults().clone();
        let silence = Effect::after(move |_| {
            let asked = Fault::on(Peer::Scim).method("GET").when(|path, _| path.ends_with("/Users"));
            faults.add(asked.then(html_page(500)));
        });
        let lost = Fault::on(Peer::Scim).method("POST").nth(1);
        bench.sim.faults().add(lost.then(silence).then(Effect::Cut(Cut::LostReply)));
        bench.run().await.assert_end(exit::PARTIAL, RunResult::Partial);
        bench.world().unassign(ann);
        bench.world().edit(ben, |person| person.title = Some("Lead".to_owned()));
        for _ in 0..2 {
            let ended = bench.run().await;
            assert_eq!(ended.code, exit::PARTIAL, "nobody can tell yet: {ended:#?}");
            assert_eq!(bench.account("ben").at("/title"), json!("Lead"), "{ended:#?}");
            assert!(bench.is_active("ann"));
        }
        bench.sim.faults().clear();
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert!(!bench.is_active("ann"), "{ended:#?}");
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_the_list_that_cannot_be_read_is_its_persons() {
    for broken in [json!(5), json!(null), json!({"status": 7})] {
        let bench = Bench::okta().await.tables(WIDE_LIMITS);
        let [ann, ben] = bench.staff(["ann", "ben"]);
        bench.crowd(10);
        bench.begin().await;
        let id = bench.source_id(ann).to_string();
        bench.world().unassign(ben);
        bench.hire("dan");
        let edit = Effect::edit(move |reply| {
            reply.edit_json(|body| {
                let rows = body.as_array_mut().into_iter().flatten();
                for row in rows.filter(|row| row["id"] == json!(id)) {
                    row["_embedded"]["user"] = broken.clone();
                    row["profile"] = json!("none");
                }
            });
        });
        let list = Fault::on(Peer::Okta)
            .when(|path, _| path.starts_with("/api/v1/apps/") && path.ends_with("/users"));
        let number = bench.sim.faults().add(list.then(edit));
        let ended = bench.run().await;
        assert!(bench.sim.faults().fired(number) > 0);
        ended.assert_line("ben", Verb::Deactivate, Outcome::Applied);
        ended.assert_line("dan", Verb::Create, Outcome::Applied);
        assert!(bench.is_active("ann"), "{ended:#?}");
        assert!([exit::OK, exit::PARTIAL].contains(&ended.code), "{ended:#?}");
        bench.sim.faults().clear();
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_before_anybody_can_tell_of_the_return_is_removed_without_being_read() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables(WIDE_LIMITS);
        let ann = bench.staff(["ann"])[0];
        bench.crowd(10);
        bench.begin().await;
        bench.world().unassign(ann);
        bench.run().await.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        bench.world().assign(ann);
        let account = bench.account("ann").id;
        let lost = Fault::on(Peer::Scim).method("PATCH").then(Effect::Cut(Cut::LostReply));
        bench.sim.faults().add(lost);
        break_account(&bench, Some("GET"), &account);
        bench.run().await.assert_end(exit::PARTIAL, RunResult::Partial);
        assert!(bench.is_active("ann"), "it had happened");
        bench.sim.faults().clear();
        // Nothing about the account is answered: she may have access, and the run says so.
        break_account(&bench, None, &account);
        bench.world().unassign(ann);
        bench.pass(Duration::from_secs(3600));
        bench.run().await.assert_end(exit::PARTIAL, RunResult::Partial);
        bench.sim.faults().clear();
        break_account(&bench, Some("GET"), &account);
        bench.run().await;
        assert!(!bench.is_active("ann"), "{vendor:?}");
        bench.sim.faults().clear();
        bench.pass(Duration::from_secs(11 * 60));
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stays_while_nobody_can_tell_of_the_creation_gets_one_account() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.habits(|habits| habits.duplicates = DuplicateHabit::Accepted);
        bench.crowd(3);
        bench.begin().await;
        let mark = bench.external_id(bench.hire("ann"));
        bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").then(Effect::Cut(Cut::LostReply)));
        let faults = bench.sim.faults().clone();
        let silence = Effect::after(move |_| {
            let mark = mark.clone();
            let asked = Fault::on(Peer::Scim).method("GET").when(move |path, query| {
                let about_ann = |value: &str| value.contains("ann@acme.example") || value.contains(&mark);
                let filter = query.iter().find(|(name, _)| name == "filter");
                path.ends_with("/Users") && filter.is_none_or(|(_, value)| about_ann(value))
            });
            faults.add(asked.then(html_page(500)));
        });
        bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(1).then(silence));
        for _ in 0..3 {
            bench.pass(Duration::from_secs(3600));
            bench.run().await.assert_end(exit::PARTIAL, RunResult::Partial);
        }
        bench.sim.faults().clear();
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(bench.accounts().len(), 4);
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_nobody_can_tell_about_is_exit_3_in_every_run_until_somebody_can() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.crowd(3);
        bench.begin().await;
        let ann = bench.hire("ann");
        // It never arrives, and a search that finds nothing right after is no answer for ten minutes.
        let lost = Fault::on(Peer::Scim).method("POST").nth(1);
        bench.sim.faults().add(lost.then(Effect::Cut(Cut::BeforeProcessing)));
        for _ in 0..3 {
            bench.run().await.assert_end(exit::PARTIAL, RunResult::Partial);
            assert_eq!((bench.accounts().len(), waits_of(&bench, ann).await), (3, vec![WaitsFor::Unsettled]));
        }
        bench.pass(Duration::from_secs(11 * 60));
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(bench.accounts().len(), 4);
        bench.assert_quiet().await;
    }
}

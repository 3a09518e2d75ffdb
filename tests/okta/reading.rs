//! Whole reads: pages, groups, limits, faults that pass.

use crate::source_support::{End, connect, end_of, okta_config, on, read, sim};
use crate::{assigned, list_path, organization};
use rosterd::http::Lane;
use rosterd::model::id::{SourceId, Vendor};
use rosterd::model::identity::{Finding, VendorStatus};
use rosterd::sim;
use rosterd::sim::{Cut, Effect, Fault, Peer, html_page};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_whole_read_shows_everybody_who_is_assigned_with_their_status() {
    let sim = organization().await;
    let source = connect(&sim, &okta_config(&sim));
    let whole = read(&source).await.unwrap();
    assert_eq!(whole.people.keys().cloned().collect::<BTreeSet<_>>(), assigned(&sim));
    assert_eq!((whole.complete.users(), whole.complete.pages()), (23, 3));
    for person in whole.people.values() {
        // The vendor's next link forgets `expand=user`: without adding it again only the first page has a status.
        assert_eq!(person.status, VendorStatus::Okta(Some("ACTIVE".into())), "{person:?}");
        assert!(person.assigned && person.assigned_at.is_some());
        assert!(person.observation.number >= whole.complete.started_at().number);
    }
    assert_eq!(source.vendor(), Vendor::Okta);
    assert_eq!(source.counters().requests, 4);
}

#[tokio::test]
async fn an_empty_app_is_a_complete_read_of_nobody() {
    let sim = sim().await;
    let whole = read(&connect(&sim, &okta_config(&sim))).await.unwrap();
    assert_eq!((whole.complete.users(), whole.complete.pages()), (0, 1));
}

#[tokio::test]
async fn a_person_without_the_embedded_user_is_shown_with_an_unknown_status() {
    let sim = organization().await;
    let id = sim.world().hire_assigned("odd@acme.example", |person| person.without_embedded = true);
    let whole = read(&connect(&sim, &okta_config(&sim))).await.unwrap();
    let odd = &whole.people[&sim.world().person(id).okta_id];
    assert_eq!(odd.status, VendorStatus::Okta(None));
}

#[tokio::test]
async fn declared_groups_are_read_to_their_end_and_shown_with_their_members() {
    let sim = organization().await;
    let world = sim.world();
    let (bots, similar) = (world.add_group("Bots"), world.add_group("Bots (old)"));
    let people = world.people();
    for person in &people[..15] {
        world.add_member(bots, person.key);
    }
    world.add_member(similar, people[20].key);
    let mut config = okta_config(&sim);
    config.groups = vec!["Bots".to_owned()];
    let source = connect(&sim, &config);
    let whole = read(&source).await.unwrap();
    let members: BTreeSet<_> = whole
        .people
        .values()
        .filter(|person| !person.groups.is_empty())
        .map(|p| p.id.as_str().to_owned())
        .collect();
    assert_eq!(members, people[..15].iter().map(|person| person.okta_id.clone()).collect());
    for (person, expected) in [(&people[0], 1), (&people[20], 0)] {
        let id = SourceId::new(person.okta_id.as_str());
        let Finding::Assigned(identity) = source.point_read(&id, Lane::Removal).await.unwrap().finding else {
            panic!("{id} is assigned");
        };
        assert_eq!(identity.groups.len(), expected, "a point read sees the same groups");
    }
}

#[tokio::test]
async fn a_group_that_is_not_exactly_one_ends_the_read() {
    for (names, hint) in
        [(vec![], "there is no group"), (vec!["Bots", "Bots"], "2 groups"), (vec!["Bots2"], "`Bots2`")]
    {
        let sim = organization().await;
        for name in names {
            sim.world().add_group(name);
        }
        let mut config = okta_config(&sim);
        config.groups = vec!["Bots".to_owned()];
        let error = read(&connect(&sim, &config)).await.unwrap_err();
        assert_eq!(end_of(&error), End::Incomplete, "{error}");
        assert!(error.to_string().contains(hint), "{hint}: {error}");
    }
}

#[tokio::test]
async fn passing_faults_are_survived_and_change_nothing() {
    let sim = organization().await;
    for (nth, effect) in [
        (1, html_page(503)),
        (2, Effect::Cut(Cut::InBody(40))),
        (4, Effect::Cut(Cut::BeforeProcessing)),
        (5, html_page(500)),
        (7, Effect::Cut(Cut::InChunkedBody(40))),
    ] {
        sim.faults().add(Fault::on(Peer::Okta).nth(nth).then(effect));
    }
    let source = connect(&sim, &okta_config(&sim));
    let whole = read(&source).await.unwrap();
    assert_eq!(whole.people.keys().cloned().collect::<BTreeSet<_>>(), assigned(&sim));
    assert_eq!(source.counters().retries, 5);
}

#[tokio::test]
async fn limits_are_obeyed_by_the_servers_own_clock_so_that_nothing_is_refused() {
    let sim = organization().await;
    sim.world().skew_okta_clock(-1800);
    // Pain 40: the reset header is waited for, not guessed. Three pages need two windows.
    sim.okta(|okta| {
        okta.rate_limits.apps = 3;
        okta.rate_limits.window_seconds = 1;
    });
    let source = connect(&sim, &okta_config(&sim));
    assert_eq!(read(&source).await.unwrap().people.len(), 23);
    assert_eq!(source.counters().rate_limited, 0);
}

#[tokio::test]
async fn a_429_is_waited_out_also_where_its_reset_is_past() {
    for effect in [sim::okta_rate_limited(0), sim::okta_concurrency_limited(-5)] {
        let sim = organization().await;
        sim.faults().add(on(Peer::Okta, "/users").nth(2).then(effect));
        let source = connect(&sim, &okta_config(&sim));
        assert_eq!(read(&source).await.unwrap().people.len(), 23);
        assert_eq!(source.counters().rate_limited, 1);
    }
}

#[tokio::test]
async fn a_read_that_is_dropped_asks_no_further() {
    let sim = organization().await;
    sim.okta(|okta| okta.page_cap = Some(1));
    let source = connect(&sim, &okta_config(&sim));
    let mut reader = source.open().await.unwrap();
    reader.next().await.unwrap();
    drop(reader);
    // One page ahead at most: the first, the one that waits, and one that may have been on its way.
    let lists = sim.requests(Peer::Okta).iter().filter(|request| request.path == list_path(&sim)).count();
    assert!(lists <= 3, "{lists}");
}

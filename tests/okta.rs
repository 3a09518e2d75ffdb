//! Okta as a source, against the simulated organization: whole reads, point reads, credentials, rights, faults.
#![cfg(feature = "sim")]
// The lint's exception for tests covers test functions only, not what they share.
#![allow(clippy::unwrap_used)]

mod source_support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rosterd::config::{self, Dpop};
use rosterd::http::Lane;
use rosterd::model::id::{SourceId, Vendor};
use rosterd::model::identity::{Finding, VendorStatus};
use rosterd::sim::{self, Cut, Effect, Fault, KeyKind, Peer, Sim, html_page, okta_error};
use rosterd::source::{CheckContext, CheckLevel, RightCheck, Source, SourceError};
use source_support::{
    Case, End, body, connect, end_of, no_fault_ends_as_a_complete_read, okta_config, okta_oauth_config, on,
    pacers, read, secrets, sim,
};

/// An organization with 23 assigned people on pages of 10, and two who are not assigned.
async fn organization() -> Sim {
    let sim = sim().await;
    sim.okta(|okta| okta.page_cap = Some(10));
    sim.world().populate(23);
    sim.world().hire("not.assigned@acme.example", |_| {});
    sim
}

fn assigned(sim: &Sim) -> BTreeSet<String> {
    sim.world().assigned().into_iter().map(|person| person.okta_id).collect()
}

fn id_of(sim: &Sim, login: &str) -> SourceId {
    SourceId::new(sim.world().person(sim.world().find(login).unwrap()).okta_id)
}

fn list_path(sim: &Sim) -> String {
    format!("/api/v1/apps/{}/users", sim.okta_app_id())
}

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
        assert!(person.observed_at >= whole.complete.started_at());
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
async fn a_service_app_logs_in_with_either_key_and_whatever_dpop_is_wanted() {
    let combinations = [
        (KeyKind::Rs256, sim::Dpop::Off, Dpop::Auto),
        (KeyKind::Es256, sim::Dpop::Off, Dpop::Off),
        (KeyKind::Es256, sim::Dpop::Optional, Dpop::On),
        (KeyKind::Rs256, sim::Dpop::Required, Dpop::Auto),
        (KeyKind::Es256, sim::Dpop::Required, Dpop::On),
    ];
    for (kind, offered, wanted) in combinations {
        for jwk in [false, true] {
            let sim = organization().await;
            sim.okta(|okta| okta.dpop = offered);
            let key = if jwk { sim.okta_private_key_jwk(kind) } else { sim.okta_private_key_pem(kind) };
            let secrets = secrets(&sim);
            secrets.set("OKTA_KEY", key);
            let config = okta_oauth_config(&sim, Some(sim.okta_key_id(kind)), wanted);
            let source = Source::new(&config, &pacers(), secrets.resolve()).unwrap();
            let whole = read(&source).await.unwrap_or_else(|error| panic!("{kind:?} {offered:?}: {error}"));
            assert_eq!(whole.people.len(), 23);
            let requests = sim.requests(Peer::Okta);
            let proofs: Vec<_> = requests.iter().filter_map(|request| request.headers.get("dpop")).collect();
            assert_eq!(proofs.len(), proofs.iter().collect::<BTreeSet<_>>().len(), "a proof is used once");
            let bound = requests
                .iter()
                .filter(|request| request.method == "GET" && request.headers.contains_key("dpop"));
            let expected = if offered == sim::Dpop::Off { 0 } else { 4 };
            assert_eq!(bound.count(), expected, "{kind:?} {offered:?} {wanted:?}");
        }
    }
}

#[tokio::test]
async fn a_repeated_request_carries_a_new_proof() {
    let sim = organization().await;
    sim.okta(|okta| okta.dpop = sim::Dpop::Required);
    sim.faults().add(on(Peer::Okta, "/users").nth(2).then(html_page(503)));
    let whole = read(&connect(&sim, &okta_oauth_config(&sim, None, Dpop::Auto))).await.unwrap();
    assert_eq!(whole.people.len(), 23);
}

#[tokio::test]
async fn a_token_that_ends_in_mid_list_is_fetched_anew_once() {
    for dpop in [sim::Dpop::Off, sim::Dpop::Required] {
        let sim = organization().await;
        sim.okta(|okta| okta.dpop = dpop);
        let source = connect(&sim, &okta_oauth_config(&sim, None, Dpop::Auto));
        let mut reader = source.open().await.unwrap();
        sim.revoke_okta_tokens();
        let mut people = 0;
        while let Some(page) = reader.next().await.unwrap() {
            people += page.identities.len();
            sim.revoke_okta_tokens();
        }
        reader.finish().unwrap();
        assert_eq!(people, 23);
    }
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_does_not_lock_us_out() {
    for seconds in [4000, -4000] {
        let sim = organization().await;
        sim.okta(|okta| okta.dpop = sim::Dpop::Required);
        sim.world().skew_okta_clock(seconds);
        let read = read(&connect(&sim, &okta_oauth_config(&sim, None, Dpop::Auto))).await;
        assert_eq!(read.unwrap_or_else(|error| panic!("{seconds}: {error}")).people.len(), 23);
    }
}

#[tokio::test]
async fn credentials_that_are_refused_are_told_apart_and_say_what_to_do() {
    type Prepare = fn(&Sim, &mut config::Source);
    let refusals: [(&str, Prepare, &str); 6] = [
        ("a revoked API token", |sim, _| sim.okta(|okta| okta.api_token_valid = false), "E0000011"),
        (
            "an unknown client",
            |sim, config| {
                *config = okta_oauth_config(sim, None, Dpop::Auto);
                sim.okta(|okta| okta.client_id = "0oaOther".to_owned());
            },
            "client_id",
        ),
        (
            "a key id of another key",
            |sim, config| *config = okta_oauth_config(sim, Some("other".to_owned()), Dpop::Auto),
            "key_id",
        ),
        (
            "a scope that was not granted",
            |sim, config| {
                *config = okta_oauth_config(sim, None, Dpop::Auto);
                sim.okta(|okta| okta.granted_scopes.remove("okta.users.read"));
            },
            "okta.users.read",
        ),
        (
            "DPoP switched off where it is required",
            |sim, config| {
                *config = okta_oauth_config(sim, None, Dpop::Off);
                sim.okta(|okta| okta.dpop = sim::Dpop::Required);
            },
            "dpop = \"auto\"",
        ),
        (
            "DPoP demanded where it is not offered",
            |sim, config| *config = okta_oauth_config(sim, None, Dpop::On),
            "Require DPoP",
        ),
    ];
    for (what, prepare, names) in refusals {
        let sim = organization().await;
        let mut config = okta_config(&sim);
        prepare(&sim, &mut config);
        let error = read(&connect(&sim, &config)).await.unwrap_err();
        assert_eq!(end_of(&error), End::Credentials, "{what}: {error}");
        assert!(error.to_string().contains(names) && error.to_string().contains("help:"), "{what}: {error}");
        assert!(!error.to_string().contains("eyJ"), "no token is shown: {error}");
    }
}

#[tokio::test]
async fn a_secret_that_changed_is_read_again_on_a_401() {
    let sim = organization().await;
    let secrets = secrets(&sim);
    secrets.set("OKTA_TOKEN", "00Old");
    let resolve = secrets.resolve();
    let renewed = sim.okta_token();
    let changing = secrets.clone();
    sim.faults()
        .add(Fault::on(Peer::Okta).nth(1).then(Effect::after(move |_| changing.set("OKTA_TOKEN", &renewed))));
    let source = Source::new(&okta_config(&sim), &pacers(), resolve).unwrap();
    assert_eq!(read(&source).await.unwrap().people.len(), 23);
    assert!(matches!(sim.requests(Peer::Okta)[0].status, Some(401)));
}

#[tokio::test]
async fn a_source_whose_secret_is_missing_sends_nothing() {
    let sim = organization().await;
    let source =
        Source::new(&okta_config(&sim), &pacers(), source_support::Secrets::default().resolve()).unwrap();
    let error = read(&source).await.unwrap_err();
    assert_eq!(end_of(&error), End::Credentials);
    assert!(sim.requests(Peer::Okta).is_empty());
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

fn users(effect: Effect) -> Fault {
    on(Peer::Okta, "/users").then(effect)
}

/// From the second page on, so that a part of the people is there already.
fn later(effect: Effect) -> Fault {
    on(Peer::Okta, "/users").when(|_, query| query.iter().any(|(name, _)| name == "after")).then(effect)
}

fn first_page(edit: impl Fn(&mut sim::Reply) + Send + Sync + 'static) -> Fault {
    on(Peer::Okta, "/users").nth(1).then(Effect::edit(edit))
}

fn next_is(link: &'static str) -> Fault {
    first_page(move |reply| reply.headers.push(("Link".to_owned(), format!("<{link}>; rel=\"next\"")))).then(
        Effect::edit(|reply| {
            let own = reply
                .headers
                .iter()
                .position(|(_, value)| value.contains("after=") && value.contains("next"));
            reply.headers.remove(own.unwrap());
        }),
    )
}

fn connection_faults() -> Vec<Case> {
    use End::{Incomplete, Unavailable};
    vec![
        Case::new(2, "lasting 503", later(html_page(503)), Unavailable, &["page 2", "/users", "503"]),
        Case::new(
            3,
            "lasting 500",
            later(Effect::Answer(okta_error(500, "E0000009", "Internal"))),
            Unavailable,
            &["page 2", "E0000009"],
        ),
        Case::new(
            3,
            "read-only mode",
            later(Effect::Answer(okta_error(503, "E0000010", "read-only"))),
            Unavailable,
            &["E0000010"],
        ),
        Case::new(20, "lasting 502 of a proxy", users(html_page(502)), Unavailable, &["page 1", "502"]),
        Case::new(20, "504", later(html_page(504)), Unavailable, &["504"]),
        Case::new(
            11,
            "every connection is cut",
            later(Effect::Cut(Cut::BeforeProcessing)),
            Unavailable,
            &["page 2"],
        ),
        Case::new(11, "every reply is lost", users(Effect::Cut(Cut::LostReply)), Unavailable, &["page 1"]),
        Case::new(3, "every body is cut", later(Effect::Cut(Cut::InBody(100))), Unavailable, &["page 2"]),
        Case::new(
            3,
            "every chunked body is cut",
            later(Effect::Cut(Cut::InChunkedBody(100))),
            Unavailable,
            &["page 2"],
        ),
        Case::new(41, "429 for ever", later(sim::okta_rate_limited(0)), Unavailable, &["page 2", "E0000047"]),
        Case::new(
            41,
            "too many at once for ever",
            users(sim::okta_concurrency_limited(0)),
            Unavailable,
            &["E0000047"],
        ),
        Case::new(
            20,
            "a body that says it is compressed and is not",
            later(Effect::edit(|reply| reply.set_header("content-encoding", "gzip"))),
            Unavailable,
            &["page 2"],
        ),
        Case::new(
            12,
            "a redirect to a login page",
            users(Effect::Answer(sim::Reply::empty(302).with("location", "/login"))),
            Incomplete,
            &["302", "redirects"],
        ),
    ]
}

fn body_faults() -> Vec<Case> {
    use End::Incomplete;
    vec![
        Case::new(
            12,
            "a web page with status 200",
            later(html_page(200)),
            Incomplete,
            &["page 2", "web page"],
        ),
        Case::new(12, "an empty body", later(body("")), Incomplete, &["page 2", "cut off"]),
        Case::new(
            12,
            "an object instead of a list",
            later(body("{\"errorCode\":\"x\"}")),
            Incomplete,
            &["page 2"],
        ),
        Case::new(12, "null", later(body("null")), Incomplete, &["page 2"]),
        Case::new(
            3,
            "a truncated list of the right length",
            later(Effect::edit(|reply| reply.body.truncate(100))),
            Incomplete,
            &["cut off"],
        ),
        Case::new(
            3,
            "something behind the list",
            later(Effect::edit(|reply| reply.body.extend_from_slice(b"[]"))),
            Incomplete,
            &["page 2"],
        ),
        Case::new(2, "an entry without an id", later(body("[{\"profile\":{}}]")), Incomplete, &["no id"]),
        Case::new(2, "an entry that is no object", later(body("[null]")), Incomplete, &["page 2"]),
        Case::new(
            20,
            "204 without a body",
            later(Effect::Answer(sim::Reply::empty(204))),
            Incomplete,
            &["204"],
        ),
        Case::new(
            3,
            "404 in mid-list",
            later(Effect::Answer(okta_error(404, "E0000007", "Not found"))),
            Incomplete,
            &["page 2", "404"],
        ),
    ]
}

fn paging_faults() -> Vec<Case> {
    use End::Incomplete;
    vec![
        Case::new(
            21,
            "the next link is this page",
            later(Effect::RepeatCursor),
            Incomplete,
            &["page 2", "repeats"],
        ),
        Case::new(
            21,
            "the first page leads to itself",
            users(Effect::RepeatCursor),
            Incomplete,
            &["repeats"],
        ),
        Case::new(
            30,
            "rows that come twice on a page",
            users(Effect::DuplicateRows(1)),
            Incomplete,
            &["page 1", "shifted"],
        ),
        Case::new(
            31,
            "overlapping pages",
            later(Effect::Query("after".to_owned(), String::new())),
            Incomplete,
            &["page 2"],
        ),
        Case::new(
            21,
            "a next link to another origin",
            users(Effect::ForeignNext("http://evil.example".to_owned())),
            Incomplete,
            &["evil.example"],
        ),
        Case::new(
            21,
            "a next link to another port",
            users(Effect::ForeignNext("http://127.0.0.1:1".to_owned())),
            Incomplete,
            &["127.0.0.1:1"],
        ),
        Case::new(
            21,
            "a next link to another list",
            next_is("/api/v1/users?after=x"),
            Incomplete,
            &["another list"],
        ),
        Case::new(21, "a next link that is no URL", next_is("http://[bad"), Incomplete, &["no URL"]),
    ]
}

fn right_faults() -> Vec<Case> {
    use End::{Credentials, Incomplete, Unavailable};
    let app = |effect| Fault::on(Peer::Okta).when(|path, _| !path.ends_with("/users")).then(effect);
    vec![
        Case::new(
            34,
            "a lasting 401 in mid-list",
            later(Effect::Answer(okta_error(401, "E0000011", "Invalid token"))),
            Credentials,
            &["page 2", "E0000011"],
        ),
        Case::new(
            8,
            "403 in mid-list",
            later(Effect::Answer(okta_error(403, "E0000006", "No permission"))),
            Credentials,
            &["page 2", "E0000006"],
        ),
        Case::new(
            10,
            "403 on the app",
            app(Effect::Answer(okta_error(403, "E0000006", "No permission"))),
            Credentials,
            &["okta.apps.read"],
        ),
        Case::new(
            1,
            "an app that is inactive",
            app(Effect::before(|world| world.edit_app(|app| app.active = false))),
            Incomplete,
            &["INACTIVE"],
        ),
        Case::new(
            1,
            "an app that is gone",
            app(Effect::before(|world| world.edit_app(|app| app.removed = true))),
            Incomplete,
            &["no app"],
        ),
        Case::new(
            1,
            "an answer about another app",
            app(body("{\"id\":\"0oaX\",\"status\":\"ACTIVE\"}")),
            Incomplete,
            &["0oaX"],
        ),
        Case::new(12, "a web page instead of the app", app(html_page(200)), Incomplete, &["web page"]),
        Case::new(11, "an app that cannot be asked for", app(html_page(503)), Unavailable, &["503"]),
        Case::new(
            1,
            "an app that goes in mid-list",
            later(Effect::before(|world| world.edit_app(|app| app.removed = true))),
            Incomplete,
            &["page 2"],
        ),
    ]
}

async fn plain() -> (Sim, config::Source) {
    let sim = organization().await;
    let config = okta_config(&sim);
    (sim, config)
}

#[tokio::test]
async fn no_fault_of_the_connection_ends_as_a_complete_read() {
    no_fault_ends_as_a_complete_read(connection_faults(), plain).await;
}

#[tokio::test]
async fn no_fault_of_a_body_ends_as_a_complete_read() {
    no_fault_ends_as_a_complete_read(body_faults(), plain).await;
}

#[tokio::test]
async fn no_fault_of_paging_ends_as_a_complete_read() {
    no_fault_ends_as_a_complete_read(paging_faults(), plain).await;
}

#[tokio::test]
async fn no_missing_right_or_app_ends_as_a_complete_read() {
    no_fault_ends_as_a_complete_read(right_faults(), plain).await;
}

#[tokio::test]
async fn no_fault_of_a_declared_group_ends_as_a_complete_read() {
    use End::{Credentials, Incomplete, Unavailable};
    let members = |effect| on(Peer::Okta, "/api/v1/groups/").then(effect);
    let cases = vec![
        Case::new(3, "members that cannot be read", members(html_page(503)), Unavailable, &["`Bots`", "503"]),
        Case::new(3, "members that are cut off", members(body("[")), Incomplete, &["`Bots`", "cut off"]),
        Case::new(
            8,
            "members that are forbidden",
            members(Effect::Answer(okta_error(403, "E0000006", "No"))),
            Credentials,
            &["`Bots`"],
        ),
        Case::new(
            21,
            "a list of members that loops",
            members(Effect::RepeatCursor),
            Incomplete,
            &["repeats"],
        ),
        Case::new(3, "a member twice", members(Effect::DuplicateRows(1)), Incomplete, &["`Bots`"]),
        Case::new(
            3,
            "groups that cannot be listed",
            on(Peer::Okta, "/api/v1/groups").then(html_page(502)),
            Unavailable,
            &["`Bots`"],
        ),
    ];
    no_fault_ends_as_a_complete_read(cases, async || {
        let (sim, mut config) = plain().await;
        let group = sim.world().add_group("Bots");
        for person in sim.world().people() {
            sim.world().add_member(group, person.key);
        }
        config.groups = vec!["Bots".to_owned()];
        (sim, config)
    })
    .await;
}

#[tokio::test]
async fn a_page_above_the_limit_ends_the_read() {
    let cases = vec![Case::new(
        47,
        "a page of more than 64 MiB",
        later(Effect::Pad(64 << 20)),
        End::Incomplete,
        &["page 2", "larger than"],
    )];
    no_fault_ends_as_a_complete_read(cases, plain).await;
}

#[tokio::test]
async fn an_organization_that_cannot_be_reached_is_unavailable() {
    let sim = organization().await;
    let source = connect(&sim, &okta_config(&sim));
    drop(sim);
    let error = read(&source).await.unwrap_err();
    assert!(matches!(&error, SourceError::Unavailable(text) if text.contains("cannot connect")), "{error}");
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

#[tokio::test]
async fn a_point_read_says_only_what_okta_said() {
    let sim = organization().await;
    let world = sim.world();
    let suspended = world.hire_assigned("suspended@acme.example", |_| {});
    world.suspend(suspended);
    let deleted = world.hire_assigned("deleted@acme.example", |_| {});
    let deleted_id = SourceId::new(world.person(deleted).okta_id);
    world.delete(deleted);
    let hidden = world.hire_assigned("hidden@acme.example", |_| {});
    world.hide(hidden);
    let source = connect(&sim, &okta_config(&sim));
    let look = async |id: &SourceId| source.point_read(id, Lane::Removal).await.unwrap().finding;
    let person = &world.people()[0];
    assert!(matches!(look(&SourceId::new(person.okta_id.as_str())).await, Finding::Assigned(_)));
    let Finding::NotAssigned(identity) = look(&id_of(&sim, "not.assigned@acme.example")).await else {
        panic!("the person is not assigned");
    };
    assert!(!identity.assigned && identity.status == VendorStatus::Okta(Some("ACTIVE".into())));
    let Finding::Assigned(identity) = look(&id_of(&sim, "suspended@acme.example")).await else {
        panic!("a suspended person stays assigned");
    };
    assert_eq!(identity.status, VendorStatus::Okta(Some("SUSPENDED".into())));
    assert!(matches!(look(&deleted_id).await, Finding::UserGone));
    let hidden = SourceId::new(world.person(hidden).okta_id);
    assert!(!read(&source).await.unwrap().ids().contains(hidden.as_str()));
    assert!(matches!(look(&hidden).await, Finding::Assigned(_)), "the list was short, the point read is not");
}

#[tokio::test]
async fn a_point_read_that_proves_nothing_says_so() {
    let app_gone = Effect::before(|world| world.edit_app(|app| app.removed = true));
    let assignment = |effect| on(Peer::Okta, "/apps/").then(effect);
    let user = |effect| on(Peer::Okta, "/api/v1/users/").then(effect);
    let cases = [
        (2, "a proxy's 404 for the user", user(html_page(404))),
        (2, "a proxy's 404 for the assignment", assignment(html_page(404))),
        (
            2,
            "a 404 without Okta's code",
            assignment(Effect::Answer(okta_error(404, "E0000022", "No endpoint"))),
        ),
        (1, "the app is gone", assignment(app_gone)),
        (12, "a web page for the assignment", assignment(html_page(200))),
        (12, "an empty assignment", assignment(body(""))),
        (12, "a web page for the user", user(html_page(200))),
        (2, "somebody else's user", user(body("{\"id\":\"00uOther\",\"status\":\"DEPROVISIONED\"}"))),
        (2, "somebody else's assignment", assignment(body("{\"id\":\"00uOther\"}"))),
        (20, "a redirect", assignment(Effect::Answer(sim::Reply::empty(302).with("location", "/")))),
    ];
    for (pain, what, fault) in cases {
        let sim = organization().await;
        let id = id_of(&sim, "not.assigned@acme.example");
        sim.faults().add(fault);
        let read = connect(&sim, &okta_config(&sim)).point_read(&id, Lane::Removal).await.unwrap();
        assert!(matches!(read.finding, Finding::Inconclusive(_)), "pain {pain}, {what}: {:?}", read.finding);
    }
}

#[tokio::test]
async fn a_point_read_of_a_source_that_fails_is_an_error() {
    let cases = [
        (html_page(503), End::Unavailable),
        (Effect::Cut(Cut::LostReply), End::Unavailable),
        (Effect::Answer(okta_error(403, "E0000006", "No permission")), End::Credentials),
        (Effect::Answer(okta_error(401, "E0000011", "Invalid token")), End::Credentials),
    ];
    for (effect, end) in cases {
        for path in ["/api/v1/users/", "/apps/"] {
            let sim = organization().await;
            let id = id_of(&sim, "not.assigned@acme.example");
            sim.faults().add(on(Peer::Okta, path).then(effect.clone()));
            let error = connect(&sim, &okta_config(&sim)).point_read(&id, Lane::Removal).await.unwrap_err();
            assert_eq!(end_of(&error), end, "{path}: {error}");
        }
    }
}

#[tokio::test]
async fn a_deletion_is_only_believed_with_its_event() {
    let sim = organization().await;
    let world = sim.world();
    let (loud, silent) = (
        world.hire_assigned("loud@acme.example", |_| {}),
        world.hire_assigned("silent@acme.example", |_| {}),
    );
    let ids = [loud, silent].map(|key| SourceId::new(world.person(key).okta_id));
    world.delete(loud);
    world.delete_silently(silent);
    let source = connect(&sim, &okta_config(&sim));
    assert_eq!(source.deletion_event(&ids[0]).await.unwrap(), Some(true));
    assert_eq!(source.deletion_event(&ids[1]).await.unwrap(), Some(false));
    let living = id_of(&sim, "not.assigned@acme.example");
    assert_eq!(source.deletion_event(&living).await.unwrap(), Some(false));
    sim.okta(|okta| okta.denied.insert("logs"));
    assert_eq!(source.deletion_event(&ids[0]).await.unwrap(), None, "no log is no event");
    let injected = SourceId::new("x\" or eventType pr or target.id eq \"y");
    sim.okta(|okta| okta.denied.clear());
    assert_eq!(source.deletion_event(&injected).await.unwrap(), Some(false), "an id cannot widen the filter");
}

#[tokio::test]
async fn without_the_log_scope_everything_but_the_log_works() {
    let sim = organization().await;
    sim.okta(|okta| okta.granted_scopes.remove("okta.logs.read"));
    let source = connect(&sim, &okta_oauth_config(&sim, None, Dpop::Auto));
    assert_eq!(read(&source).await.unwrap().people.len(), 23);
    assert_eq!(source.deletion_event(&SourceId::new("00uGone")).await.unwrap(), None);
}

#[tokio::test]
async fn a_person_is_found_by_login_address_id_and_login_at_the_app() {
    let sim = organization().await;
    let key = sim.world().hire_assigned("ann@acme.example", |person| {
        person.email = "ann.other@acme.example".to_owned();
        person.app_username = Some("ann.at.app".to_owned());
        person.first_name = Some("ann.at.app".to_owned());
    });
    let id = sim.world().person(key).okta_id;
    let source = connect(&sim, &okta_config(&sim));
    for who in ["ann@acme.example", "ANN@acme.example", "ann.other@acme.example", "ann.at.app", id.as_str()] {
        assert_eq!(source.find(who).await.unwrap(), [SourceId::new(id.as_str())], "{who}");
    }
    for who in ["nobody@acme.example", "me", "", "..", "ann", "../apps", "x\" or id pr or id eq \"y@z"] {
        assert_eq!(source.find(who).await.unwrap(), [], "{who}");
    }
    assert!(sim.requests(Peer::Okta).iter().all(|request| request.path != "/api/v1/users/me"));
    let listed = |request: &sim::Request| request.path == list_path(&sim) && request.query("q").is_none();
    assert!(!sim.requests(Peer::Okta).iter().any(listed), "nobody reads the whole app for one person");
}

async fn check(sim: &Sim, config: &config::Source) -> BTreeMap<&'static str, RightCheck> {
    let checks = connect(sim, config).check(&CheckContext::default()).await;
    checks.into_iter().map(|check| (check.right, check)).collect()
}

#[tokio::test]
async fn every_right_is_there_and_named() {
    let sim = organization().await;
    sim.world().add_group("Bots");
    for mut config in [okta_config(&sim), okta_oauth_config(&sim, None, Dpop::Auto)] {
        config.groups = vec!["Bots".to_owned()];
        let checks = check(&sim, &config).await;
        for right in ["credentials", "app", "app users", "users", "event log", "groups"] {
            assert_eq!(checks[right].level, CheckLevel::Ok, "{right}: {:?}", checks[right]);
        }
        assert!(!checks.contains_key("provisioning"));
    }
}

#[tokio::test]
async fn each_missing_right_is_told_on_its_own_with_the_scope_or_role() {
    let cases = [
        ("apps", "app", CheckLevel::Fail, "okta.apps.read"),
        ("app_users", "app users", CheckLevel::Fail, "okta.apps.read"),
        ("users", "users", CheckLevel::Fail, "okta.users.read"),
        ("logs", "event log", CheckLevel::Warn, "okta.logs.read"),
        ("groups", "groups", CheckLevel::Fail, "okta.groups.read"),
    ];
    for (denied, right, level, names) in cases {
        let sim = organization().await;
        sim.world().add_group("Bots");
        sim.okta(|okta| okta.denied.insert(denied));
        let mut config = okta_config(&sim);
        config.groups = vec!["Bots".to_owned()];
        let checks = check(&sim, &config).await;
        assert_eq!(checks[right].level, level, "{:?}", checks[right]);
        assert!(checks[right].help.as_deref().unwrap().contains(names), "{:?}", checks[right]);
        for other in ["credentials", "app", "app users", "users", "event log", "groups"] {
            assert!(other == right || checks[other].level == CheckLevel::Ok, "{denied}: {:?}", checks[other]);
        }
    }
}

#[tokio::test]
async fn scopes_without_an_admin_role_are_noticed_although_every_list_says_200() {
    let sim = organization().await;
    sim.okta(|okta| okta.without_admin_role = true);
    let checks = check(&sim, &okta_oauth_config(&sim, None, Dpop::Auto)).await;
    assert_eq!(checks["users"].level, CheckLevel::Fail);
    assert_eq!(checks["app users"].level, CheckLevel::Warn);
    for right in ["users", "app users"] {
        assert!(checks[right].help.as_deref().unwrap().contains("admin role"), "{:?}", checks[right]);
    }
}

#[tokio::test]
async fn scopes_that_were_not_granted_are_named_one_by_one() {
    let sim = organization().await;
    sim.okta(|okta| okta.granted_scopes.retain(|scope| scope == "okta.users.read"));
    let checks = check(&sim, &okta_oauth_config(&sim, None, Dpop::Auto)).await;
    let help = checks["credentials"].help.clone().unwrap();
    assert_eq!(checks["credentials"].level, CheckLevel::Fail);
    assert!(help.contains("okta.apps.read") && help.contains("okta.logs.read"), "{help}");
    assert!(!help.contains("okta.users.read"), "{help}");
}

#[tokio::test]
async fn a_wrong_app_id_is_answered_with_the_apps_there_are() {
    let sim = organization().await;
    let mut config = okta_config(&sim);
    config.app_id = "0oaWrong".to_owned();
    let checks = check(&sim, &config).await;
    assert_eq!(checks["app"].level, CheckLevel::Fail);
    assert!(checks["app"].help.as_deref().unwrap().contains(&sim.okta_app_id()), "{:?}", checks["app"]);
}

#[tokio::test]
async fn oktas_own_provisioning_is_a_warning_and_an_inactive_app_a_failure() {
    let sim = organization().await;
    sim.world().edit_app(|app| {
        app.features = vec!["PUSH_NEW_USERS".to_owned(), "IMPORT_NEW_USERS".to_owned()];
        app.active = false;
    });
    let checks = check(&sim, &okta_config(&sim)).await;
    assert_eq!(checks["provisioning"].level, CheckLevel::Warn);
    assert!(checks["provisioning"].detail.contains("PUSH_NEW_USERS"));
    assert!(!checks["provisioning"].detail.contains("IMPORT"), "reading is no writing");
    assert_eq!(checks["app"].level, CheckLevel::Fail);
}

#[tokio::test]
async fn a_schedule_that_asks_for_more_than_the_limit_gives_is_a_warning() {
    let sim = organization().await;
    sim.okta(|okta| okta.rate_limits = sim::RateLimits::published());
    let context = CheckContext { interval: Some(Duration::from_secs(60)), people: Some(200_000) };
    let checks = connect(&sim, &okta_config(&sim)).check(&context).await;
    let rate = checks.iter().find(|check| check.right == "rate").unwrap();
    assert_eq!(rate.level, CheckLevel::Warn);
    assert!(rate.detail.contains("200000") && rate.detail.contains("401"), "{}", rate.detail);
}

#[tokio::test]
async fn dead_credentials_and_a_dead_source_end_the_check_with_one_line() {
    let sim = organization().await;
    sim.okta(|okta| okta.api_token_valid = false);
    let config = okta_config(&sim);
    let source = connect(&sim, &config);
    for _ in 0..2 {
        let checks = source.check(&CheckContext::default()).await;
        assert_eq!((checks.len(), checks[0].right, checks[0].level), (1, "credentials", CheckLevel::Fail));
        assert!(checks[0].help.is_some());
        // The second time nobody is there at all.
        sim.faults().add(Fault::on(Peer::Okta).then(Effect::Cut(Cut::BeforeProcessing)));
    }
}

//! Whatever goes wrong in a read ends as an error that says where and why, and never as a complete read.

use crate::source_support::{
    Case, End, body, connect, no_fault_ends_as_a_complete_read, okta_config, on, read,
};
use crate::{organization, plain};
use rosterd::sim;
use rosterd::sim::{Cut, Effect, Fault, Peer, html_page, okta_error};
use rosterd::source::SourceError;

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

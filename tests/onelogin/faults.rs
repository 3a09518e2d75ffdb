//! Whatever goes wrong in a read ends as an error that says where and why, and never as a complete read.

use crate::source_support::{
    Case, End, body, connect, no_fault_ends_as_a_complete_read, on, onelogin_config, read,
};
use crate::{account, error, plain};
use rosterd::sim;
use rosterd::sim::{Cut, Effect, Fault, Peer, html_page};
use rosterd::source::SourceError;
use serde_json::json;

fn app_users(effect: Effect) -> Fault {
    on(Peer::OneLogin, "/apps/").path("/users").then(effect)
}

fn details(effect: Effect) -> Fault {
    on(Peer::OneLogin, "/api/2/users").then(effect)
}

fn later(fault: Fault) -> Fault {
    fault.when(|_, query| query.iter().any(|(name, _)| name == "cursor"))
}

fn without_total() -> Effect {
    Effect::edit(|reply| reply.remove_header("Total-Count"))
}

/// Somebody comes or goes while the list is read, which shifts the pages behind.
fn joiner_in_mid_list() -> Effect {
    Effect::before(|world| {
        world.hire_assigned(&format!("new{}@acme.example", world.people().len()), |_| {});
    })
}

fn leaver_in_mid_list() -> Effect {
    Effect::before(|world| {
        let first = world.assigned()[0].key;
        world.unassign(first);
    })
}

fn connection_faults() -> Vec<Case> {
    use End::Unavailable;
    vec![
        Case::new(
            2,
            "lasting 503",
            later(details(html_page(503))),
            Unavailable,
            &["page 2", "/api/2/users", "503"],
        ),
        Case::new(
            3,
            "lasting 500 on the app's list",
            app_users(html_page(500)),
            Unavailable,
            &["page 1", "500"],
        ),
        Case::new(
            11,
            "every connection is cut",
            later(app_users(Effect::Cut(Cut::BeforeProcessing))),
            Unavailable,
            &["page 2"],
        ),
        Case::new(3, "every body is cut", details(Effect::Cut(Cut::InBody(50))), Unavailable, &["page 1"]),
        Case::new(
            3,
            "every chunked body is cut",
            details(Effect::Cut(Cut::InChunkedBody(50))),
            Unavailable,
            &["page 1"],
        ),
        Case::new(
            36,
            "429 for ever",
            later(details(sim::onelogin_rate_limited(0))),
            Unavailable,
            &["page 2", "429"],
        ),
    ]
}

fn body_faults() -> Vec<Case> {
    use End::Incomplete;
    vec![
        Case::new(
            12,
            "a web page with status 200",
            later(details(html_page(200))),
            Incomplete,
            &["page 2", "web page"],
        ),
        Case::new(12, "an empty body", app_users(body("")), Incomplete, &["page 1", "cut off"]),
        Case::new(
            12,
            "the v1 envelope instead of a list",
            details(body("{\"status\":{},\"data\":[]}")),
            Incomplete,
            &["page 1"],
        ),
        Case::new(
            3,
            "a truncated list of the right length",
            later(details(Effect::edit(|reply| reply.body.truncate(50)))),
            Incomplete,
            &["cut off"],
        ),
        Case::new(
            2,
            "an entry without an id",
            details(Effect::edit(|reply| reply.edit_json(|rows| rows[0]["id"] = json!(null)))),
            Incomplete,
            &["no id"],
        ),
        Case::new(
            20,
            "a redirect",
            details(Effect::Answer(sim::Reply::empty(302).with("location", "/login"))),
            Incomplete,
            &["302"],
        ),
    ]
}

fn counting_faults() -> Vec<Case> {
    use End::Incomplete;
    vec![
        Case::new(
            25,
            "the rest of the app's list is lost",
            app_users(Effect::DropNext),
            Incomplete,
            &["Total-Count", "23", "10"],
        ),
        Case::new(
            26,
            "the rest of the details is lost",
            details(Effect::DropNext),
            Incomplete,
            &["Total-Count"],
        ),
        Case::new(
            29,
            "a page that lacks somebody",
            later(app_users(Effect::DropRows(1)).nth(1)),
            Incomplete,
            &["Total-Count", "22"],
        ),
        Case::new(
            33,
            "a page of details that lacks somebody",
            later(details(Effect::DropRows(1)).nth(1)),
            Incomplete,
            &["Total-Count"],
        ),
        Case::new(4, "a count that is too high", app_users(Effect::ShiftTotal(1)), Incomplete, &["24"]),
        Case::new(4, "a count that is too low", details(Effect::ShiftTotal(-1)), Incomplete, &["22"]),
        Case::new(
            31,
            "a count that changes",
            details(Effect::ShiftTotal(5)).nth(1),
            Incomplete,
            &["28", "23"],
        ),
        Case::new(
            27,
            "no count at all on the app's list",
            app_users(without_total()),
            Incomplete,
            &["no Total-Count"],
        ),
        Case::new(
            27,
            "no count on the last page",
            later(details(without_total())),
            Incomplete,
            &["no Total-Count"],
        ),
    ]
}

fn shifting_faults() -> Vec<Case> {
    use End::Incomplete;
    vec![
        Case::new(
            21,
            "a cursor that leads back",
            app_users(Effect::RepeatCursor).numbers(2..=9),
            Incomplete,
            &["read already"],
        ),
        Case::new(
            21,
            "a cursor of the details that leads back",
            details(Effect::RepeatCursor).numbers(2..=9),
            Incomplete,
            &["read already"],
        ),
        Case::new(
            30,
            "rows that come twice",
            details(Effect::DuplicateRows(1)).nth(1),
            Incomplete,
            &["shifted"],
        ),
        Case::new(
            31,
            "the same page under each cursor",
            later(details(Effect::Query("cursor".to_owned(), String::new()))),
            Incomplete,
            &["read already"],
        ),
        Case::new(
            30,
            "a joiner while the app's list is read",
            app_users(joiner_in_mid_list()).nth(3),
            Incomplete,
            &["Total-Count"],
        ),
        Case::new(
            30,
            "a leaver while the app's list is read",
            app_users(leaver_in_mid_list()).nth(2),
            Incomplete,
            &["Total-Count"],
        ),
        Case::new(
            31,
            "a joiner while the details are read",
            details(joiner_in_mid_list()).nth(3),
            Incomplete,
            &["Total-Count"],
        ),
        Case::new(
            31,
            "a leaver while the details are read",
            details(leaver_in_mid_list()).nth(2),
            Incomplete,
            &["Total-Count"],
        ),
    ]
}

fn right_faults() -> Vec<Case> {
    use End::{Credentials, Incomplete, Unavailable};
    let app =
        |effect| on(Peer::OneLogin, "/api/2/apps/").when(|path, _| !path.ends_with("/users")).then(effect);
    vec![
        Case::new(
            34,
            "a lasting 401 in mid-list",
            later(details(error(401, "UnauthorizedError"))),
            Credentials,
            &["page 2", "Unauthorized"],
        ),
        Case::new(
            8,
            "403 on the app's list",
            app_users(error(403, "ForbiddenError")),
            Credentials,
            &["Read All"],
        ),
        Case::new(
            8,
            "403 in mid-list",
            later(details(error(403, "ForbiddenError"))),
            Credentials,
            &["page 2"],
        ),
        Case::new(10, "403 on the app", app(error(403, "ForbiddenError")), Credentials, &["Read All"]),
        Case::new(
            1,
            "an app that is gone",
            app(Effect::before(|world| world.edit_app(|app| app.removed = true))),
            Incomplete,
            &["no app"],
        ),
        Case::new(1, "an answer about another app", app(body("{\"id\":1}")), Incomplete, &["another app"]),
        Case::new(11, "an app that cannot be asked for", app(html_page(502)), Unavailable, &["502"]),
        Case::new(
            1,
            "an app that goes in mid-list",
            later(app_users(Effect::before(|world| world.edit_app(|app| app.removed = true)))),
            Incomplete,
            &["page 2", "404"],
        ),
        Case::new(
            1,
            "an app that goes between the lists",
            details(Effect::before(|world| world.edit_app(|app| app.removed = true))).nth(2),
            Incomplete,
            &["Total-Count"],
        ),
    ]
}

#[tokio::test]
async fn no_fault_of_connection_or_body_ends_as_a_complete_read() {
    no_fault_ends_as_a_complete_read(connection_faults(), plain).await;
    no_fault_ends_as_a_complete_read(body_faults(), plain).await;
}

#[tokio::test]
async fn no_fault_of_paging_ends_as_a_complete_read() {
    no_fault_ends_as_a_complete_read(counting_faults(), plain).await;
    no_fault_ends_as_a_complete_read(shifting_faults(), plain).await;
}

#[tokio::test]
async fn no_missing_right_or_app_ends_as_a_complete_read() {
    no_fault_ends_as_a_complete_read(right_faults(), plain).await;
}

#[tokio::test]
async fn an_account_that_cannot_be_reached_is_unavailable() {
    let sim = account().await;
    let source = connect(&sim, &onelogin_config(&sim));
    drop(sim);
    let error = read(&source).await.unwrap_err();
    assert!(matches!(&error, SourceError::Unavailable(text) if text.contains("cannot connect")), "{error}");
}

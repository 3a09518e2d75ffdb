//! OneLogin's two lists, its counts and its tokens gone wrong.

use rosterd::model::id::Vendor;
use rosterd::model::report::RunResult::{SourceIncomplete, SourceUnavailable};
use rosterd::sim::{Cut, Effect, ErrorShape, Fault, Peer, Reply, html_page, onelogin_rate_limited};
use serde_json::json;

use crate::{Row, Scene, hold, row};

fn has_cursor(query: &[(String, String)]) -> bool {
    query.iter().any(|(name, _)| name == "cursor")
}

/// The list that decides who is assigned.
fn assigned() -> Fault {
    Fault::on(Peer::OneLogin).when(|path, _| path.contains("/apps/") && path.ends_with("/users"))
}

fn later_assigned() -> Fault {
    Fault::on(Peer::OneLogin)
        .when(|path, query| path.contains("/apps/") && path.ends_with("/users") && has_cursor(query))
}

/// The list with the details.
fn details() -> Fault {
    Fault::on(Peer::OneLogin).when(|path, _| path == "/api/2/users")
}

fn later_details() -> Fault {
    Fault::on(Peer::OneLogin).when(|path, query| path == "/api/2/users" && has_cursor(query))
}

fn app() -> Fault {
    Fault::on(Peer::OneLogin).when(|path, _| path.contains("/apps/") && !path.contains("/users"))
}

fn token() -> Fault {
    Fault::on(Peer::OneLogin).path("/auth/oauth2/v2/token")
}

fn with(fault: fn() -> Fault, effect: Effect) -> impl Fn(&Scene) {
    move |Scene { bench, .. }| {
        bench.sim.faults().add(fault().then(effect.clone()));
    }
}

fn error(status: u16, name: &str) -> Effect {
    Effect::Answer(Reply::json(status, &json!({"statusCode": status, "name": name, "message": name})))
}

fn without_total() -> Effect {
    Effect::edit(|reply| reply.remove_header("total-count"))
}

const APP_1: &str = "page 1 of the app's users";
const APP_2: &str = "page 2 of the app's users";
const USERS_2: &str = "page 2 of the users of the app";

fn broken_transport() -> Vec<Row> {
    vec![
        row(
            "A3",
            "503 on a later page",
            SourceUnavailable,
            &[APP_2, "503"],
            with(later_assigned, html_page(503)),
        ),
        row(
            "A2",
            "503 in the details",
            SourceUnavailable,
            &[USERS_2, "503"],
            with(later_details, html_page(503)),
        ),
        row(
            "A11",
            "no connection",
            SourceUnavailable,
            &[APP_1],
            with(assigned, Effect::Cut(Cut::BeforeProcessing)),
        ),
        row("A3", "a body shorter than its length", SourceUnavailable, &[APP_2], {
            with(later_assigned, Effect::Cut(Cut::InBody(30)))
        }),
        row("A3", "a chunked body without its end", SourceUnavailable, &[USERS_2], {
            with(later_details, Effect::Cut(Cut::InChunkedBody(30)))
        }),
        row("A3", "JSON that is cut off", SourceIncomplete, &[APP_2, "cut off"], {
            with(later_assigned, Effect::edit(|reply| reply.body.truncate(30)))
        }),
        row("A12", "a login page", SourceIncomplete, &[APP_1, "web page"], with(assigned, html_page(200))),
        row("A12", "a login page for details", SourceIncomplete, &[USERS_2, "web page"], {
            with(later_details, html_page(200))
        }),
        row("A12", "an object in place of a list", SourceIncomplete, &[USERS_2, "cannot be read"], {
            with(later_details, Effect::Answer(Reply::json(200, &json!({"data": []}))))
        }),
        row("A2", "an entry without id", SourceIncomplete, &[APP_2, "no id"], {
            let nameless = |reply: &mut Reply| {
                reply.edit_json(|body| drop(body[0].as_object_mut().unwrap().remove("id")))
            };
            with(later_assigned, Effect::edit(nameless))
        }),
        row("B21", "a redirect", SourceIncomplete, &[APP_1, "302"], {
            with(assigned, Effect::Answer(Reply::empty(302).with("location", "https://elsewhere.example/")))
        }),
    ]
}

fn broken_counts() -> Vec<Row> {
    vec![
        row("A4", "the list ends early", SourceIncomplete, &["app's users", "Total-Count"], {
            with(assigned, Effect::DropNext)
        }),
        row("A4", "the details end early", SourceIncomplete, &["users of the app", "Total-Count"], {
            with(details, Effect::DropNext)
        }),
        row("B33", "rows are left out", SourceIncomplete, &["app's users", "Total-Count"], {
            with(later_assigned, Effect::DropRows(1))
        }),
        row("B33", "details are left out", SourceIncomplete, &["users of the app", "Total-Count"], {
            with(later_details, Effect::DropRows(1))
        }),
        row(
            "A4",
            "the count says more",
            SourceIncomplete,
            &["Total-Count"],
            with(assigned, Effect::ShiftTotal(1)),
        ),
        row(
            "A4",
            "the count says less",
            SourceIncomplete,
            &["Total-Count"],
            with(details, Effect::ShiftTotal(-1)),
        ),
        row("B31", "the count changes between pages", SourceIncomplete, &["Total-Count"], {
            with(later_assigned, Effect::ShiftTotal(1))
        }),
        row(
            "B32",
            "there is no count",
            SourceIncomplete,
            &["no Total-Count"],
            with(assigned, without_total()),
        ),
        row("B32", "there is no count of the details", SourceIncomplete, &["no Total-Count"], {
            with(details, without_total())
        }),
    ]
}

fn shifted_pages() -> Vec<Row> {
    vec![
        row("A21", "a cursor that leads to itself", SourceIncomplete, &["app's users"], {
            with(assigned, Effect::RepeatCursor)
        }),
        row(
            "A21",
            "a cursor of the details that leads to itself",
            SourceIncomplete,
            &["users of the app"],
            with(details, Effect::RepeatCursor),
        ),
        row("B30", "somebody comes twice", SourceIncomplete, &["app's users", "came before"], {
            with(later_assigned, Effect::DuplicateRows(1))
        }),
        row("B30", "somebody's details come twice", SourceIncomplete, &[USERS_2, "came before"], {
            with(later_details, Effect::DuplicateRows(1))
        }),
        row("B31", "somebody leaves while the list is read", SourceIncomplete, &["app's users"], {
            move |Scene { bench, .. }: &Scene| {
                let first = bench.world().find("person0@acme.example").unwrap();
                // They stood on the first page; the pages move up, and the first of the next one is never seen.
                let leaves = Effect::before(move |world| world.unassign(first));
                let returns = Effect::after(move |world| world.assign(first));
                bench.sim.faults().add(later_assigned().then(leaves));
                bench.sim.faults().add(app().then(returns));
            }
        }),
        row("B31", "somebody joins while the list is read", SourceIncomplete, &["app's users"], {
            move |Scene { bench, .. }: &Scene| {
                let ann = bench.world().find("ann@acme.example").unwrap();
                let joins = Effect::before(move |world| world.assign(ann));
                let leaves = Effect::after(move |world| world.unassign(ann));
                bench.sim.faults().add(later_assigned().then(joins));
                bench.sim.faults().add(app().then(leaves));
            }
        }),
    ]
}

fn refused() -> Vec<Row> {
    vec![
        row(
            "G94",
            "the secret was changed",
            SourceUnavailable,
            &["401"],
            with(token, error(401, "Unauthorized")),
        ),
        row("G94", "the owner of the credentials was deleted", SourceUnavailable, &["token"], {
            move |Scene { bench, .. }: &Scene| {
                bench.sim.onelogin(|onelogin| onelogin.credentials_owner_deleted = true)
            }
        }),
        row(
            "A12",
            "a web page in place of a token",
            SourceUnavailable,
            &["token"],
            with(token, html_page(200)),
        ),
        row("B34", "401 in mid-list, again and again", SourceUnavailable, &[APP_2, "401"], {
            with(later_assigned, error(401, "Unauthorized"))
        }),
        row("A8", "403 on the list", SourceUnavailable, &[APP_1, "403", "Read All"], {
            move |Scene { bench, .. }: &Scene| {
                bench.sim.onelogin(|onelogin| onelogin.denied.insert("app_users"));
            }
        }),
        row("A8", "403 on details in the old shape", SourceUnavailable, &["users of the app", "403"], {
            move |Scene { bench, .. }: &Scene| {
                bench.sim.onelogin(|onelogin| {
                    onelogin.errors = ErrorShape::V1WithObject;
                    onelogin.denied.insert("users");
                });
            }
        }),
        row("A8", "403 on the app in the flat shape", SourceUnavailable, &["the app", "403"], {
            move |Scene { bench, .. }: &Scene| {
                bench.sim.onelogin(|onelogin| {
                    onelogin.errors = ErrorShape::Flat;
                    onelogin.denied.insert("apps");
                });
            }
        }),
        row("C36", "a rate limit that does not end", SourceUnavailable, &[APP_1, "429"], {
            with(assigned, onelogin_rate_limited(0))
        }),
        row("A8", "the app was deleted", SourceIncomplete, &["there is no app", "rosterd check"], {
            move |Scene { bench, .. }: &Scene| bench.world().remove_app()
        }),
        row("A8", "another app answers", SourceIncomplete, &["another app"], {
            with(app, Effect::edit(|reply| reply.edit_json(|body| body["id"] = json!(1))))
        }),
        row(
            "A1",
            "200 and nobody though people are assigned",
            SourceIncomplete,
            &["lists nobody", "assigned"],
            {
                move |Scene { bench, .. }: &Scene| {
                    bench.world().people().iter().for_each(|person| bench.world().hide(person.key));
                }
            },
        ),
    ]
}

fn roles() -> Vec<Row> {
    let names = || Fault::on(Peer::OneLogin).path("/api/2/roles");
    vec![
        row("A3", "503 in the roles", SourceUnavailable, &["roles", "503"], with(names, html_page(503))),
        row("A8", "403 on roles", SourceUnavailable, &["roles", "403"], {
            move |Scene { bench, .. }: &Scene| {
                bench.sim.onelogin(|onelogin| onelogin.denied.insert("roles"));
            }
        }),
        row("A18", "no role of this name any more", SourceIncomplete, &["Guests"], {
            move |Scene { bench, guests, .. }: &Scene| {
                bench.world().rename_group(*guests, "Visitors");
            }
        }),
        row("A18", "two roles of one name", SourceIncomplete, &["Guests", "2"], {
            move |Scene { bench, .. }: &Scene| {
                bench.world().add_group("Guests");
            }
        }),
    ]
}

#[tokio::test]
async fn broken_answers_end_the_run_without_a_write() {
    hold(Vendor::OneLogin, "", broken_transport()).await;
}

#[tokio::test]
async fn counts_that_do_not_agree_end_the_run_without_a_write() {
    hold(Vendor::OneLogin, "", broken_counts()).await;
}

#[tokio::test]
async fn pages_that_shift_or_repeat_end_the_run_without_a_write() {
    hold(Vendor::OneLogin, "", shifted_pages()).await;
}

#[tokio::test]
async fn refusals_and_empty_lists_end_the_run_without_a_write() {
    hold(Vendor::OneLogin, "", refused()).await;
}

#[tokio::test]
async fn roles_are_read_completely_or_the_run_ends_without_a_write() {
    hold(Vendor::OneLogin, "groups = [\"Guests\"]", roles()).await;
}

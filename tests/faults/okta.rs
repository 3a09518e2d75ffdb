//! Okta's lists gone wrong.

use rosterd::model::id::Vendor;
use rosterd::model::report::RunResult::{SourceIncomplete, SourceUnavailable};
use rosterd::sim::{
    Cut, Effect, Fault, Peer, Reply, html_page, okta_concurrency_limited, okta_error, okta_rate_limited,
};
use serde_json::json;

use crate::{Row, Scene, hold, row};

/// The list of the app's users, whatever its page.
fn list() -> Fault {
    Fault::on(Peer::Okta).when(|path, _| path.contains("/apps/") && path.ends_with("/users"))
}

/// Its second page and those behind it.
fn later() -> Fault {
    Fault::on(Peer::Okta).when(|path, query| {
        path.contains("/apps/") && path.ends_with("/users") && query.iter().any(|(name, _)| name == "after")
    })
}

fn app() -> Fault {
    Fault::on(Peer::Okta)
        .when(|path, _| path.contains("/apps/") && !path.ends_with("/users") && !path.contains("/users/"))
}

fn with(fault: fn() -> Fault, effect: Effect) -> impl Fn(&Scene) {
    move |Scene { bench, .. }| {
        bench.sim.faults().add(fault().then(effect.clone()));
    }
}

fn denied() -> Effect {
    Effect::Answer(okta_error(403, "E0000006", "You do not have permission to perform the requested action"))
}

fn expired() -> Effect {
    Effect::Answer(okta_error(401, "E0000011", "Invalid token provided"))
}

const PAGE_1: &str = "page 1 of the app's users";
const PAGE_2: &str = "page 2 of the app's users";

fn broken_transport() -> Vec<Row> {
    vec![
        row("A3", "503 on a later page", SourceUnavailable, &[PAGE_2, "503"], with(later, html_page(503))),
        row("A2", "503 on the first page", SourceUnavailable, &[PAGE_1, "503"], with(list, html_page(503))),
        row("A20", "500 in Okta's words", SourceUnavailable, &[PAGE_2, "500"], {
            with(later, Effect::Answer(okta_error(500, "E0000009", "Internal Server Error")))
        }),
        row("A11", "a gateway's 502", SourceUnavailable, &[PAGE_2, "502"], with(later, html_page(502))),
        row("A11", "a gateway's 504", SourceUnavailable, &[PAGE_1, "504"], with(list, html_page(504))),
        row(
            "A11",
            "no connection",
            SourceUnavailable,
            &[PAGE_1],
            with(list, Effect::Cut(Cut::BeforeProcessing)),
        ),
        row("A11", "the connection ends in mid-list", SourceUnavailable, &[PAGE_2], {
            with(later, Effect::Cut(Cut::BeforeProcessing))
        }),
        row("A3", "a body shorter than its length", SourceUnavailable, &[PAGE_2], {
            with(later, Effect::Cut(Cut::InBody(40)))
        }),
        row("A3", "a chunked body without its end", SourceUnavailable, &[PAGE_2], {
            with(later, Effect::Cut(Cut::InChunkedBody(40)))
        }),
        row("A3", "JSON that is cut off", SourceIncomplete, &[PAGE_2, "cut off"], {
            with(later, Effect::edit(|reply| reply.body.truncate(60)))
        }),
        row("A3", "an empty body", SourceIncomplete, &[PAGE_2, "cut off"], {
            with(later, Effect::edit(|reply| reply.body.clear()))
        }),
        row("A12", "a login page", SourceIncomplete, &[PAGE_1, "web page"], with(list, html_page(200))),
        row("A12", "an object in place of a list", SourceIncomplete, &[PAGE_2, "cannot be read"], {
            with(later, Effect::Answer(Reply::json(200, &json!({"errorCode": "E0000001"}))))
        }),
        row("A2", "null in place of a list", SourceIncomplete, &[PAGE_2], {
            with(later, Effect::Answer(Reply::json(200, &json!(null))))
        }),
        row("A2", "an entry without id", SourceIncomplete, &[PAGE_2, "no id"], {
            with(
                later,
                Effect::edit(|reply| {
                    reply.edit_json(|body| drop(body[0].as_object_mut().unwrap().remove("id")))
                }),
            )
        }),
        row("C48", "a page of more than 64 MiB", SourceIncomplete, &[PAGE_1, "64"], {
            with(list, Effect::Pad(65 << 20))
        }),
        row("B21", "a redirect", SourceIncomplete, &[PAGE_1, "302", "redirect"], {
            with(list, Effect::Answer(Reply::empty(302).with("location", "https://elsewhere.example/")))
        }),
    ]
}

fn broken_chains() -> Vec<Row> {
    let link = |text: &'static str| {
        Effect::edit(move |reply| reply.headers.push(("link".to_owned(), format!("<{text}>; rel=\"next\""))))
    };
    vec![
        row("A21", "a page that leads to itself", SourceIncomplete, &[PAGE_2, "repeats"], {
            with(later, Effect::RepeatCursor)
        }),
        row(
            "A21",
            "a next link to another origin",
            SourceIncomplete,
            &[PAGE_1, "another origin", "evil.example"],
            with(list, Effect::ForeignNext("http://evil.example".to_owned())),
        ),
        row("A21", "a next link to another list", SourceIncomplete, &["another list", "/api/v1/users"], {
            move |Scene { bench, .. }: &Scene| {
                let url = format!("{}/api/v1/users?after=x", bench.sim.okta_url());
                let other = Effect::edit(move |reply| {
                    reply.remove_header("link");
                    reply.headers.push(("link".to_owned(), format!("<{url}>; rel=\"next\"")));
                });
                bench.sim.faults().add(list().then(other));
            }
        }),
        row("B25", "a next link that is no URL", SourceIncomplete, &["users"], {
            let effect = link("http://[");
            move |Scene { bench, .. }: &Scene| {
                let without = Effect::edit(|reply| reply.remove_header("link"));
                bench.sim.faults().add(list().then(without).then(effect.clone()));
            }
        }),
        row("B31", "somebody on two pages", SourceIncomplete, &["earlier page"], {
            with(later, Effect::DuplicateRows(1))
        }),
        row("B31", "the first page again", SourceIncomplete, &["app's users"], {
            with(later, Effect::Query("after".to_owned(), "0".to_owned()))
        }),
        row("C40", "a rate limit that does not end", SourceUnavailable, &[PAGE_1, "429", "rate limit"], {
            with(list, okta_rate_limited(0))
        }),
        row("C41", "a concurrency limit that does not end", SourceUnavailable, &[PAGE_2, "429"], {
            with(later, okta_concurrency_limited(-5))
        }),
    ]
}

fn refused() -> Vec<Row> {
    vec![
        row("A8", "403 on the list", SourceUnavailable, &[PAGE_1, "403", "admin role"], {
            move |Scene { bench, .. }: &Scene| {
                bench.sim.okta(|okta| okta.denied.insert("app_users"));
            }
        }),
        row("A8", "403 on a later page", SourceUnavailable, &[PAGE_2, "403"], with(later, denied())),
        row("A8", "403 on the app", SourceUnavailable, &["the app 0oa", "403"], {
            move |Scene { bench, .. }: &Scene| {
                bench.sim.okta(|okta| okta.denied.insert("apps"));
            }
        }),
        row("G94", "an API token that expired", SourceUnavailable, &["401"], {
            move |Scene { bench, .. }: &Scene| bench.sim.okta(|okta| okta.api_token_valid = false)
        }),
        row("B34", "401 in mid-list", SourceUnavailable, &[PAGE_2, "401"], with(later, expired())),
        row("A10", "no admin role at all", SourceUnavailable, &["the app 0oa", "403", "admin role"], {
            move |Scene { bench, .. }: &Scene| bench.sim.okta(|okta| okta.without_admin_role = true)
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
        row("A13", "an empty list by fault", SourceIncomplete, &["lists nobody"], {
            with(list, Effect::Answer(Reply::json(200, &json!([]))))
        }),
        row("A8", "the app was deleted", SourceIncomplete, &["there is no app", "rosterd check"], {
            move |Scene { bench, .. }: &Scene| bench.world().remove_app()
        }),
        row("A8", "the app is inactive", SourceIncomplete, &["INACTIVE", "activate it"], {
            move |Scene { bench, .. }: &Scene| bench.world().deactivate_app()
        }),
        row("A8", "another app answers", SourceIncomplete, &["another app"], {
            with(app, Effect::edit(|reply| reply.edit_json(|body| body["id"] = json!("0oaother"))))
        }),
        row(
            "A12",
            "the app is a web page",
            SourceIncomplete,
            &["the app 0oa", "web page"],
            with(app, html_page(200)),
        ),
        row(
            "A2",
            "the app cannot be read",
            SourceUnavailable,
            &["the app 0oa", "503"],
            with(app, html_page(503)),
        ),
    ]
}

fn groups() -> Vec<Row> {
    let members =
        || Fault::on(Peer::Okta).when(|path, _| path.contains("/groups/") && path.ends_with("/users"));
    let names = || Fault::on(Peer::Okta).when(|path, _| path.ends_with("/groups"));
    vec![
        row("A3", "503 in a group's members", SourceUnavailable, &["503"], with(members, html_page(503))),
        row("A3", "a group's members cut off", SourceIncomplete, &["cut off"], {
            with(members, Effect::edit(|reply| reply.body.truncate(1)))
        }),
        row("A8", "403 on groups", SourceUnavailable, &["403"], with(names, denied())),
        row("A18", "no group of this name any more", SourceIncomplete, &["Guests"], {
            move |Scene { bench, guests, .. }: &Scene| {
                bench.world().rename_group(*guests, "Visitors");
            }
        }),
        row("A18", "two groups of one name", SourceIncomplete, &["Guests", "2"], {
            move |Scene { bench, .. }: &Scene| {
                bench.world().add_group("Guests");
            }
        }),
    ]
}

#[tokio::test]
async fn broken_answers_end_the_run_without_a_write() {
    hold(Vendor::Okta, "", broken_transport()).await;
}

#[tokio::test]
async fn broken_page_chains_end_the_run_without_a_write() {
    hold(Vendor::Okta, "", broken_chains()).await;
}

#[tokio::test]
async fn refusals_and_empty_lists_end_the_run_without_a_write() {
    hold(Vendor::Okta, "", refused()).await;
}

#[tokio::test]
async fn groups_are_read_completely_or_the_run_ends_without_a_write() {
    hold(Vendor::Okta, "groups = [\"Guests\"]", groups()).await;
}

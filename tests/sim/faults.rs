//! Faults happen where they were asked for, and nowhere else; the request log tells what happened.

use crate::{okta, onelogin, scim, send, start};
use rosterd::sim::{
    Cut, Effect, Fault, Peer, RetryAfter, Sim, html_page, okta_concurrency_limited, okta_rate_limited,
    onelogin_rate_limited, scim_rate_limited,
};
use serde_json::json;
use std::time::Duration;

fn app_users(sim: &Sim) -> String {
    format!("/api/v1/apps/{}/users?limit=2", sim.okta_app_id())
}

async fn try_okta(sim: &Sim, path: &str) -> Result<crate::Answer, reqwest::Error> {
    let authorization = format!("SSWS {}", sim.okta_token());
    send("GET", &format!("{}{path}", sim.okta_url()), &[("authorization", &authorization)], None).await
}

#[tokio::test]
async fn a_rule_acts_on_the_requests_it_names_and_counts_them() {
    let sim = start().await;
    let fault = Fault::on(Peer::Okta).method("GET").path("/api/v1/apps").nth(2).then(html_page(502));
    let number = sim.faults().add(fault);
    assert_eq!(okta(&sim, "/api/v1/users").await.status, 200);
    let statuses = [
        okta(&sim, "/api/v1/apps").await.status,
        okta(&sim, "/api/v1/apps").await.status,
        okta(&sim, "/api/v1/apps").await.status,
    ];
    assert_eq!(statuses, [200, 502, 200]);
    assert_eq!(sim.faults().fired(number), 1);
    sim.faults().clear();
    sim.faults().add(Fault::on(Peer::Okta).when(|_, query| query.is_empty()).first(1).then(html_page(503)));
    assert_eq!(okta(&sim, "/api/v1/apps?q=x").await.status, 200);
    assert_eq!(okta(&sim, "/api/v1/apps").await.status, 503);
}

#[tokio::test]
async fn chance_is_decided_by_the_seed() {
    let outcome = async |seed: u64| {
        let sim = start().await;
        sim.faults().add(Fault::on(Peer::Okta).chance(0.5, seed).then(html_page(500)));
        let mut statuses = Vec::new();
        for _ in 0..16 {
            statuses.push(okta(&sim, "/api/v1/apps").await.status);
        }
        statuses
    };
    let first = outcome(1).await;
    assert!(first.contains(&200) && first.contains(&500), "{first:?}");
    assert_eq!(first, outcome(1).await);
    assert_ne!(first, outcome(2).await);
}

#[tokio::test]
async fn a_cut_connection_gives_no_reply_and_a_lost_reply_was_worked_on() {
    let sim = start().await;
    let url = format!("{}/Users", sim.scim_url());
    let bearer = format!("Bearer {}", sim.scim_token());
    let post = async |name: &str| {
        let body = json!({"userName": name}).to_string();
        send("POST", &url, &[("authorization", &bearer)], Some(&body)).await
    };
    sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(1).then(Effect::Cut(Cut::BeforeProcessing)));
    sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(2).then(Effect::Cut(Cut::LostReply)));
    assert!(post("ann@acme.example").await.is_err());
    assert!(sim.world().accounts().is_empty());
    assert!(post("ann@acme.example").await.is_err());
    assert_eq!(sim.world().accounts().len(), 1);
    assert_eq!(post("ann@acme.example").await.unwrap().status, 409);
    let seen: Vec<_> = sim.writes().iter().map(|request| (request.status, request.delivered)).collect();
    assert_eq!(seen, [(Some(0), false), (Some(201), false), (Some(409), true)]);
}

#[tokio::test]
async fn a_body_can_end_too_early_in_both_framings() {
    let sim = start().await;
    sim.world().populate(2);
    for cut in [Cut::InBody(100), Cut::InChunkedBody(100)] {
        sim.faults().clear();
        sim.faults().add(Fault::on(Peer::Okta).then(Effect::Cut(cut)));
        let authorization = format!("SSWS {}", sim.okta_token());
        let url = format!("{}{}", sim.okta_url(), app_users(&sim));
        let response = crate::client()
            .get(&url)
            .header("authorization", authorization)
            .send()
            .await
            .unwrap_or_else(|error| panic!("{cut:?}: {error:?}"));
        assert_eq!(response.status(), 200, "the head arrives: {cut:?}");
        assert_eq!(response.headers().contains_key("content-length"), cut == Cut::InBody(100));
        assert!(response.bytes().await.is_err(), "the body does not: {cut:?}");
    }
}

#[tokio::test]
async fn a_delay_holds_one_reply_back_and_no_other() {
    let sim = start().await;
    sim.faults().add(Fault::on(Peer::Okta).nth(1).then(Effect::Delay(Duration::from_secs(3600))));
    let url = format!("{}/api/v1/users", sim.okta_url());
    let delayed = tokio::spawn(async move { send("GET", &url, &[], None).await });
    while sim.all_requests().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(okta(&sim, "/api/v1/apps").await.status, 200);
    assert_eq!(sim.all_requests()[0].status, None, "the first request still waits");
    drop(sim);
    assert!(delayed.await.unwrap().is_err(), "it ends with the simulation");
}

#[tokio::test]
async fn refusals_carry_the_vendors_headers() {
    let sim = start().await;
    sim.world().skew_okta_clock(-300);
    let one = |peer: Peer, effect: Effect| {
        sim.faults().clear();
        sim.faults().add(Fault::on(peer).path("/").nth(1).then(effect));
    };
    one(Peer::Okta, okta_rate_limited(17));
    let limited = okta(&sim, "/api/v1/apps").await;
    let date = chrono::DateTime::parse_from_rfc2822(limited.header("date").unwrap()).unwrap().timestamp();
    let reset: i64 = limited.header("x-rate-limit-reset").unwrap().parse().unwrap();
    assert_eq!((limited.status, reset - date), (429, 17));
    one(Peer::Okta, okta_concurrency_limited(-5));
    let limited = okta(&sim, "/api/v1/apps").await;
    assert_eq!((limited.status, limited.header("x-rate-limit-limit")), (429, Some("0")));
    let waits = [(RetryAfter::SilentWatcher, None), (RetryAfter::Seconds(3), Some("3".to_owned()))];
    for (wait, expected) in waits {
        one(Peer::Scim, scim_rate_limited(wait));
        let limited = scim(&sim, "GET", "/Users", None).await;
        assert_eq!((limited.status, limited.header("retry-after").map(str::to_owned)), (429, expected));
    }
    one(Peer::Scim, scim_rate_limited(RetryAfter::Date(60)));
    let limited = scim(&sim, "GET", "/Users", None).await;
    assert!(chrono::DateTime::parse_from_rfc2822(limited.header("retry-after").unwrap()).is_ok());
    sim.faults().clear();
    sim.faults().add(Fault::on(Peer::OneLogin).path("/api/2").then(onelogin_rate_limited(9)));
    let limited = onelogin(&sim, "/api/2/apps").await;
    assert_eq!((limited.status, limited.header("x-ratelimit-reset")), (429, Some("9")));
}

#[tokio::test]
async fn okta_pages_can_lead_astray() {
    let sim = start().await;
    sim.world().populate(6);
    let set = |effect: Effect| {
        sim.faults().clear();
        sim.faults().add(Fault::on(Peer::Okta).path("/users").then(effect));
    };
    set(Effect::ForeignNext("https://evil.example".to_owned()));
    let next = okta(&sim, &app_users(&sim)).await.next().unwrap();
    assert!(next.starts_with("https://evil.example/api/v1/apps/"), "{next}");
    set(Effect::DropNext);
    assert_eq!(okta(&sim, &app_users(&sim)).await.next(), None);
    sim.faults().clear();
    let first = okta(&sim, &app_users(&sim)).await.next().unwrap();
    set(Effect::RepeatCursor);
    assert_eq!(okta(&sim, &first).await.next().unwrap(), first, "the page leads to itself");
    set(Effect::DuplicateRows(1));
    let ids = okta(&sim, &app_users(&sim)).await.column("id");
    assert_eq!((ids.len(), &ids[0]), (3, &ids[2]));
    set(Effect::DropRows(1));
    assert_eq!(okta(&sim, &app_users(&sim)).await.column("id").len(), 1);
    set(Effect::Pad(100_000));
    let padded = okta(&sim, &app_users(&sim)).await;
    assert!(padded.body.len() > 100_000 && padded.json().is_array());
    set(Effect::Query("limit".to_owned(), "5".to_owned()));
    assert_eq!(okta(&sim, &app_users(&sim)).await.column("id").len(), 5, "the server ignores the limit");
    set(Effect::edit(|reply| reply.body.clear()));
    assert_eq!(okta(&sim, &app_users(&sim)).await.body, "");
}

#[tokio::test]
async fn onelogin_and_scim_pages_can_lead_astray() {
    let sim = start().await;
    sim.world().populate(6);
    let path = format!("/api/2/apps/{}/users?limit=2", sim.onelogin_app_id());
    let set = |peer: Peer, effect: Effect| {
        sim.faults().clear();
        sim.faults().add(Fault::on(peer).path("sers").then(effect));
    };
    set(Peer::OneLogin, Effect::ShiftTotal(-2));
    assert_eq!(onelogin(&sim, &path).await.header("total-count"), Some("4"));
    set(Peer::OneLogin, Effect::DropNext);
    assert_eq!(onelogin(&sim, &path).await.header("after-cursor"), None);
    sim.faults().clear();
    let cursor = onelogin(&sim, &path).await.header("after-cursor").unwrap().to_owned();
    set(Peer::OneLogin, Effect::RepeatCursor);
    let again = onelogin(&sim, &format!("{path}&cursor={cursor}")).await;
    assert_eq!(again.header("after-cursor"), Some(cursor.as_str()));
    sim.world().add_account(&json!({"userName": "ann@acme.example"}));
    set(Peer::Scim, Effect::DuplicateRows(1));
    sim.faults().add(Fault::on(Peer::Scim).then(Effect::ShiftTotal(3)));
    let list = scim(&sim, "GET", "/Users", None).await.json();
    assert_eq!((list["Resources"].as_array().unwrap().len(), &list["totalResults"]), (2, &json!(4)));
}

#[tokio::test]
async fn a_hook_changes_the_world_in_the_middle_of_a_read() {
    let sim = start().await;
    let people = sim.world().populate(2);
    let (before, after) = (people[0], people[1]);
    sim.faults().add(
        Fault::on(Peer::Okta).path("/users").nth(1).then(Effect::before(move |world| world.unassign(before))),
    );
    sim.faults().add(
        Fault::on(Peer::Okta).path("/users").nth(1).then(Effect::after(move |world| world.unassign(after))),
    );
    assert_eq!(okta(&sim, &app_users(&sim)).await.column("id"), [sim.world().person(after).okta_id]);
    assert_eq!(okta(&sim, &app_users(&sim)).await.json(), json!([]));
}

#[tokio::test]
async fn the_log_holds_each_request_as_it_was_sent() {
    let sim = start().await;
    scim(&sim, "POST", "/Users?x=a%20b", Some(&json!({"userName": "ann@acme.example"}))).await;
    okta(&sim, "/api/v1/apps").await;
    let all = sim.all_requests();
    assert_eq!(all.len(), 2);
    assert!(all[0].sequence < all[1].sequence);
    let post = &sim.requests(Peer::Scim)[0];
    assert_eq!((post.line(), post.query("x")), ("POST /scim/v2/Users".to_owned(), Some("a b")));
    assert_eq!(post.headers["content-type"], "application/scim+json");
    assert_eq!((post.json()["userName"].as_str(), post.status), (Some("ann@acme.example"), Some(201)));
    sim.clear_requests();
    assert!(sim.all_requests().is_empty());
}

#[tokio::test]
async fn the_servers_stop_when_the_simulation_is_dropped() {
    let sim = start().await;
    let url = format!("{}/api/v1/apps", sim.okta_url());
    assert!(try_okta(&sim, "/api/v1/apps").await.is_ok());
    drop(sim);
    assert!(send("GET", &url, &[], None).await.unwrap_err().is_connect());
}

#[tokio::test]
async fn ports_can_be_chosen() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let options = rosterd::sim::SimOptions { ports: [free, 0, 0], ..Default::default() };
    let sim = Sim::start(options.clone()).await.unwrap();
    assert_eq!(sim.okta_url(), format!("http://127.0.0.1:{free}"));
    assert!(Sim::start(options).await.is_err(), "the port is taken now");
}

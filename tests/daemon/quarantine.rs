//! Refused credentials: told once, tried less and less often, and at once where somebody did something about it.

use crate::service::{
    EVERY_SECOND, NEVER, RunRow, Service, configure, configure_syncs, logins, run_rows, socket, stage,
};
use crate::support::Stage;
use rosterd::sim::Peer;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

/// Another token is valid now, and the daemon does not know it.
fn revoke(stage: &Stage) {
    stage.sim.okta(|okta| okta.api_token = "00another-token".to_owned());
}

/// The token of the daemon is valid again: no file has changed.
fn restore(stage: &Stage) {
    let token = std::fs::read_to_string(stage.home.path().join("okta.token")).unwrap();
    stage.sim.okta(|okta| okta.api_token = token);
}

/// Puts the valid tokens into the files of the daemon, and nothing else.
fn write_tokens(stage: &Stage) {
    let [okta, workspace] = [stage.sim.okta_token(), stage.sim.scim_token()];
    stage.home.secret("okta.token", &okta);
    stage.home.secret("workspace.token", &workspace);
}

/// A daemon whose first run was refused; the next would be due in a year.
fn refused(stage: &Stage) -> Service {
    stage.hire("Ann", "Engineer");
    revoke(stage);
    let service = Service::start(&stage.home);
    service.says(0, "run 1 of default: source_unavailable");
    service
}

#[track_caller]
fn has_recovered(stage: &Stage, service: &Service, trigger: &str) {
    let rows = service.has_run(2);
    assert_eq!((rows[1].trigger.as_str(), rows[1].result.as_deref()), (trigger, Some("ok")), "{rows:?}");
    assert_eq!(logins(stage), ["ann@acme.example"]);
    service.says(0, "run 2 of default: ok");
}

#[test]
fn refused_credentials_are_tried_less_and_less_often_without_further_requests_in_between() {
    let stage = stage();
    configure(&stage, EVERY_SECOND);
    stage.hire("Ann", "Engineer");
    revoke(&stage);
    let service = Service::start(&stage.home);
    let rows: Vec<RunRow> = service.has_run(3);
    let pauses: Vec<i64> =
        rows[..3].windows(2).map(|pair| pair[1].started_at - pair[0].finished_at.unwrap()).collect();
    // Doubling from twice the cadence of a second.
    assert!(pauses[0] >= 2_000 && pauses[1] >= 4_000, "{pauses:?}");
    let requests = stage.sim.requests(Peer::Okta).len();
    let runs = run_rows(&stage.home.state()).len();
    assert!(
        requests <= 2 * runs,
        "{requests} requests in {runs} runs: one, and one with the secret read again"
    );
    assert!(stage.sim.requests(Peer::Scim).is_empty());
    write_tokens(&stage);
    let from = service.mark();
    service.says(from, "of default: ok");
    assert_eq!(logins(&stage), ["ann@acme.example"]);
    service.stop();
}

#[test]
fn a_reload_ends_the_quarantine_at_once() {
    let stage = stage();
    let service = refused(&stage);
    restore(&stage);
    service.reload();
    has_recovered(&stage, &service, "schedule");
    service.stop();
}

#[test]
fn a_restart_ends_the_quarantine_at_once() {
    let stage = stage();
    refused(&stage).stop();
    write_tokens(&stage);
    let service = Service::start(&stage.home);
    has_recovered(&stage, &service, "schedule");
    service.stop();
}

#[test]
fn a_changed_token_ends_the_quarantine_without_anybody_asking() {
    let stage = stage();
    let mut command = stage.home.command(&["daemon"]);
    // The loop turns at least every half of it.
    command.env("WATCHDOG_USEC", "1000000");
    stage.hire("Ann", "Engineer");
    revoke(&stage);
    let service = Service::launch(&stage.home, command);
    service.says(0, "run 1 of default: source_unavailable");
    write_tokens(&stage);
    has_recovered(&stage, &service, "schedule");
    service.stop();
}

#[test]
fn a_run_by_hand_is_tried_at_once_and_ends_the_quarantine() {
    let stage = stage();
    let service = refused(&stage);
    stage.run(&["--reconcile-now"]).exits(5);
    restore(&stage);
    stage.run(&["--reconcile-now"]).exits(0).says(&["1 created"]);
    assert_eq!(logins(&stage), ["ann@acme.example"]);
    service.stop();
}

#[test]
fn a_workspace_that_refuses_the_token_leads_there_too() {
    let stage = stage();
    stage.hire("Ann", "Engineer");
    stage.sim.scim(|scim| scim.token = "another-token".to_owned());
    let service = Service::start(&stage.home);
    service.says(0, "run 1 of default: target_unavailable");
    write_tokens(&stage);
    service.reload();
    has_recovered(&stage, &service, "schedule");
    service.stop();
}

/// A receiver of notices that answers 200 to everything.
fn receiver() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (heard, hears) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut text, mut piece) = (String::new(), [0; 4096]);
            while !text.ends_with('}') {
                match stream.read(&mut piece) {
                    Ok(0) | Err(_) => break,
                    Ok(length) => text.push_str(&String::from_utf8_lossy(&piece[..length])),
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            if heard.send(text).is_err() {
                return;
            }
        }
    });
    (url, hears)
}

#[test]
fn somebody_is_told_once_and_once_more_when_it_is_over() {
    let stage = stage();
    let (url, hears) = receiver();
    let sync = format!("{}\n{EVERY_SECOND}", stage.sides());
    configure_syncs(&stage.home, &[&sync]);
    let path = stage.home.path().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let place = format!("socket = {:?}\n", socket(&stage.home));
    let notify = format!("{place}notify = {{ url = \"{url}\" }}\n");
    std::fs::write(&path, text.replace(&place, &notify)).unwrap();
    stage.hire("Ann", "Engineer");
    revoke(&stage);
    let service = Service::start(&stage.home);
    service.has_run(3);
    write_tokens(&stage);
    service.says(0, "of default: ok");
    service.stop();
    let notices: Vec<String> = hears.try_iter().collect();
    let count = |event: &str| {
        notices.iter().filter(|notice| notice.contains(&format!("\"event\":\"{event}\""))).count()
    };
    assert_eq!((count("quarantine"), count("recovered"), notices.len()), (1, 1, 2), "{notices:#?}");
    assert!(!notices.concat().contains("00another-token"));
}

#[test]
fn after_a_success_the_schedule_is_what_it_was() {
    let stage = stage();
    let service = refused(&stage);
    restore(&stage);
    stage.run(&["--reconcile-now"]).exits(0);
    let from = service.mark();
    configure(&stage, EVERY_SECOND);
    service.reload();
    service.has_run(4);
    configure(&stage, NEVER);
    service.reload();
    service.says(from, "of default: ok; next run at 2");
    service.stop();
}

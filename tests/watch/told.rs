//! What the daemon tells of itself while it works.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::service::{Service, WIDE, YEARLY, active, is_active};
use crate::support::{Access, Stage};
use serde_json::Value;

/// The status and body of an answer.
fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// A metric's value, by its name and labels.
fn metric(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[test]
fn the_time_until_a_leaver_is_out_is_measured_and_everything_that_was_done_is_counted() {
    for access in [Access::OktaToken, Access::OneLogin] {
        let stage = Stage::with(access, "");
        // A port that is free now; nothing else on this machine asks for this very one.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let sides = stage.sides();
        stage
            .home
            .configure(&format!("[daemon]\nlisten = \"{address}\"\n\n[[sync]]\n{sides}\n{YEARLY}{WIDE}\n"));
        let world = stage.sim.world();
        let people = stage.hire_all(&["Ann", "Ben", "Cleo"]);
        world.forget_events();
        let service = Service::start(&stage);
        service.until("the first run", || service.runs().0 == 1 && active(world) == 3);
        assert_eq!(get(&address, "/healthz").unwrap().0, 200);
        service.until("readiness", || get(&address, "/readyz").unwrap().0 == 200);
        world.unassign(people[0]);
        service.until("the leaver", || is_active(world, "ann") == Some(false) && service.runs().1 == 1);
        let revoked = r#"rosterd_revoke_seconds_count{sync="default"}"#;
        let metrics = || get(&address, "/metrics").unwrap().1;
        service.until("the measure", || metric(&metrics(), revoked) == Some(1.0));
        let page = get(&address, "/").unwrap().1;
        assert!(page.contains("Half of 1 leaver lost access within "), "{page}");
        for (name, at_least) in [
            (r#"rosterd_runs_total{sync="default",result="ok"}"#, 2.0),
            (r#"rosterd_actions_total{sync="default",action="create",outcome="applied"}"#, 3.0),
            (r#"rosterd_actions_total{sync="default",action="deactivate",outcome="applied"}"#, 1.0),
            (r#"rosterd_accounts{sync="default",state="active"}"#, 2.0),
        ] {
            service.until(name, || metric(&metrics(), name).is_some_and(|value| value >= at_least));
        }
        let status: Value = serde_json::from_str(&get(&address, "/api/status").unwrap().1).unwrap();
        assert_eq!(status["syncs"][0]["healthy"], Value::Bool(true), "{status:#}");
        service.stop();
        assert!(get(&address, "/healthz").is_none(), "the port is free again");
        let service = Service::start(&stage);
        service.until("the page of the next daemon", || {
            get(&address, "/").is_some_and(|(status, _)| status == 200)
        });
        assert!(
            get(&address, "/").unwrap().1.contains("Half of 1 leaver"),
            "what was measured outlives the daemon"
        );
        service.stop();
    }
}

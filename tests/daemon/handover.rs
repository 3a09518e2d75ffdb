//! One state, many callers: who holds it, and who takes over.

use crate::service::{Gate, Service, finish, hire_many, logins, run_rows, stage};
use rosterd::sim::{Fault, Peer};

#[test]
fn a_daemon_beside_a_run_by_hand_ends_with_75_and_starts_when_that_has_ended() {
    let stage = stage();
    let people = hire_many(&stage, 6);
    let gate = Gate::before(&stage, Fault::on(Peer::Scim).method("POST").nth(2));
    let one_shot = stage.home.start(&["--reconcile-now"]);
    gate.is_reached();
    let mut early = Service::launch(&stage.home, stage.home.command(&["daemon"]));
    assert_eq!(early.ended(), Some(75), "{}", early.log());
    assert!(early.log().contains(&format!("pid {}", one_shot.id())), "{}", early.log());
    assert!(early.log().contains("help:"), "{}", early.log());
    assert!(early.told().is_empty(), "never ready: {:?}", early.told());
    assert!(!crate::service::socket(&stage.home).exists(), "whoever has no state listens to nobody");
    gate.open();
    finish(one_shot).exits(0);
    let service = Service::start(&stage.home);
    let sync = stage.run(&["--reconcile-now", "--format", "json"]).exits(0).sync();
    assert_eq!((&sync["run"], &sync["summary"]["unchanged"]), (&2.into(), &6.into()), "{sync:#}");
    assert_eq!(logins(&stage), people);
    service.stop();
}

#[test]
fn a_second_daemon_ends_with_75_and_names_the_first_which_goes_on() {
    let stage = stage();
    stage.hire("Ann", "Engineer");
    let service = Service::start(&stage.home);
    service.has_run(1);
    let mut second = Service::launch(&stage.home, stage.home.command(&["daemon"]));
    assert_eq!(second.ended(), Some(75), "{}", second.log());
    assert!(second.log().contains(&format!("pid {}", service.pid())), "{}", second.log());
    assert!(second.told().is_empty(), "{:?}", second.told());
    // The socket is still the first one's.
    stage.run(&["--reconcile-now"]).exits(0);
    service.logs("a client asks", 1);
    service.stop();
}

#[test]
fn a_run_by_hand_is_served_by_the_daemon_that_holds_the_state() {
    let stage = stage();
    stage.hire("Ann", "Engineer");
    let service = Service::start(&stage.home);
    service.has_run(1);
    stage.hire("Ben", "Engineer");
    let sync = stage.run(&["--reconcile-now", "--format", "json"]).exits(0).sync();
    assert_eq!((&sync["run"], &sync["summary"]["create"]), (&2.into(), &1.into()), "{sync:#}");
    service.logs("command=\"--reconcile-now --format json\"", 1);
    let rows = run_rows(&stage.home.state());
    assert_eq!((rows[1].trigger.as_str(), rows.len()), ("manual", 2));
    service.stop();
    // And by itself again when it is gone.
    stage.run(&["--reconcile-now"]).exits(0).says(&["nothing to do, 2 unchanged"]);
}

#[test]
fn one_daemon_after_the_other_finds_what_the_first_left() {
    let stage = stage();
    stage.hire("Ann", "Engineer");
    for number in 1..=3 {
        let service = Service::start(&stage.home);
        let sync = stage.run(&["--reconcile-now", "--format", "json"]).exits(0).sync();
        // The very first start runs by itself, too.
        assert_eq!(sync["run"], 1 + number, "{sync:#}");
        service.stop();
    }
    assert_eq!(logins(&stage), ["ann@acme.example"]);
}

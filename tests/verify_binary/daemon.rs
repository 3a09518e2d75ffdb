//! The daemon: verifications on their own schedule, and those that a client asks for.

use std::fs::File;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rosterd::sim::{Effect, Fault, Peer, scim_error};
use serde_json::json;

use crate::binary::{by_hand, is_active, without_ann};
use crate::stage::{Access, Ran, Stage};

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

struct Service<'a> {
    stage: &'a Stage,
    child: Child,
}

impl<'a> Service<'a> {
    fn start(stage: &'a Stage) -> Service<'a> {
        let log = File::options().create(true).append(true).open(stage.home.path().join("log")).unwrap();
        let mut command = stage.home.command(&["daemon"]);
        command.env("RUNTIME_DIRECTORY", stage.home.path()).stdout(Stdio::null()).stderr(log);
        let service = Service { stage, child: command.spawn().unwrap() };
        service.until("the socket", || stage.home.path().join("rosterd.sock").exists());
        service
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.stage.home.path().join("log")).unwrap_or_default()
    }

    #[track_caller]
    fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < PATIENCE, "{what} did not happen:\n{}", self.log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// A client's command.
    fn ask(&self, arguments: &[&str]) -> Ran {
        let mut command = self.stage.home.command(arguments);
        Ran::of(command.env("RUNTIME_DIRECTORY", self.stage.home.path()).output().unwrap())
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs once a year; a state that ran lately has nothing overdue.
const YEARLY: &str = "schedule = \"0 0 1 1 *\"\nwatch = \"off\"\n";

#[test]
fn the_schedule_verifies_repairs_by_the_policies_and_tells_the_log() {
    for access in [Access::OktaToken, Access::OneLogin] {
        let lines = format!("{YEARLY}drift = {{ schedule = \"* * * * * *\" }}");
        let (stage, _) = without_ann(access, &lines);
        by_hand(&stage, "ann", "active", json!(true));
        by_hand(&stage, "cleo", "title", json!("Boss"));
        let service = Service::start(&stage);
        service.until("the removal", || !is_active(&stage, "ann"));
        service.until("a verification after it", || service.log().contains("leaver_active"));
        service.until("the end of it", || service.log().contains("the workspace was verified"));
        let title = stage.sim.world().account("cleo@acme.example").unwrap().resource["title"].clone();
        assert_eq!(title, "Boss", "drift.attributes is \"report\"");
        let runs = service.ask(&["history", "--format", "json"]).exits(0).json();
        let last = &runs["runs"][0];
        assert_eq!((&last["run"], &last["trigger"]), (&json!(3), &json!("schedule")), "{runs:#}");
        service.until("a status that tells of it", || {
            let status = service.ask(&["status", "--format", "json"]).exits(0).json();
            status["syncs"][0]["drift"]["counts"]["attributes"] == 1
        });
    }
}

#[test]
fn a_scheduled_verification_that_fails_is_a_line_of_status_until_one_succeeds() {
    let lines = format!("{YEARLY}drift = {{ schedule = \"* * * * * *\" }}");
    let (stage, _) = without_ann(Access::OktaToken, &lines);
    stage.run(&["status"]).exits(0);
    let refused = Effect::Answer(scim_error(403, None, "listing is not for you"));
    stage.sim.faults().add(Fault::on(Peer::Scim).method("GET").path("/Users").then(refused));
    let service = Service::start(&stage);
    let failed = |service: &Service<'_>| {
        let status = service.ask(&["status", "--format", "json"]).json();
        status["syncs"][0]["failed_verification"].clone()
    };
    service.until("a failure in the status", || !failed(&service).is_null());
    let told = failed(&service);
    assert!(told["reason"].as_str().unwrap().contains("listing is not for you"), "{told:#}");
    // A line: nobody who left keeps access by it.
    service.ask(&["status"]).exits(0).says(&["- the verification of ", "listing is not for you"]);
    stage.sim.faults().clear();
    service.until("a success", || failed(&service).is_null());
    service.ask(&["status"]).exits(0);
}

#[test]
fn a_client_gets_the_same_report_and_exit_code_from_the_daemon() {
    let (stage, _) = without_ann(Access::OktaToken, YEARLY);
    by_hand(&stage, "ann", "active", json!(true));
    let alone = stage.run(&["verify", "--detailed-exitcode"]).exits(2);
    let service = Service::start(&stage);
    let served = service.ask(&["verify", "--detailed-exitcode"]).exits(2);
    assert_eq!(stage.redact(&served.stdout), stage.redact(&alone.stdout));
    assert!(is_active(&stage, "ann"));
    let repaired = service.ask(&["verify", "--repair", "--format", "json"]).exits(0).json();
    assert_eq!(repaired["syncs"][0]["repair"]["summary"]["deactivate"], 1, "{repaired:#}");
    assert!(!is_active(&stage, "ann"));
    service.ask(&["verify", "--detailed-exitcode"]).exits(0);
}

//! A command served by the daemon says the same, byte for byte, as one that does the work itself, and ends the same.

use crate::service::{NEVER, Service, configure_syncs, socket};
use crate::support::{Access, Ran, Stage, without_spans};
use rosterd::sim::{Effect, Fault, Peer};
use serde_json::Value;
use std::fs;

/// Two stages that differ in nothing but that the second is served by a daemon.
struct Twins {
    alone: Stage,
    served: Stage,
    service: Service,
}

impl Twins {
    /// `prepare` makes the world and runs what is run before the daemon starts.
    fn new(login: Access, lines: &str, prepare: impl Fn(&Stage)) -> Twins {
        let make = || {
            let stage = Stage::with(login, "");
            // One write after the other, so that the workspaces give the same ids to the same people.
            let (source, target) = (stage.source(), stage.target(", concurrency = 1"));
            let sync = format!("source = {{ {source} }}\n{target}\n{NEVER}\n{lines}");
            configure_syncs(&stage.home, &[&sync]);
            prepare(&stage);
            stage
        };
        let (alone, served) = (make(), make());
        let service = Service::start(&served.home);
        Twins { alone, served, service }
    }

    /// Changes both worlds.
    fn both(&self, change: impl Fn(&Stage)) {
        change(&self.alone);
        change(&self.served);
    }

    /// Runs the same in both and compares. Files in the arguments are named `{home}/…`.
    #[track_caller]
    fn say_the_same(&self, arguments: &[&str], code: i32) -> String {
        let run = |stage: &Stage| {
            let home = stage.home.path().to_str().unwrap();
            let arguments: Vec<String> = arguments.iter().map(|word| word.replace("{home}", home)).collect();
            stage.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let asked = self.service.log().matches("a client asks").count();
        let (alone, served) = (run(&self.alone).exits(code), run(&self.served).exits(code));
        self.service.logs("a client asks", asked + 1);
        let (expected, found) = (plain(&self.alone, &alone), plain(&self.served, &served));
        assert_eq!(found, expected, "{arguments:?}");
        // Beside the report only the log differs, which is the daemon's own.
        assert_eq!(complaints(&self.served, &served), complaints(&self.alone, &alone), "{arguments:?}");
        found
    }
}

/// Standard output without what differs from one directory and moment to another.
fn plain(stage: &Stage, ran: &Ran) -> String {
    let mut text = without_spans(&stage.redact(&ran.stdout));
    // A hold's digest is salted by the state it is in.
    text = without(&text, "\"digest\":\"");
    // A daemon remembers for an hour what the workspace's answers told of the clock, a command asks.
    text = without(&text, "\"dialect\":\"generic\",\"requests\":");
    if stage.is_onelogin() {
        // A daemon need not ask for an access token each time.
        text = without(&text, "\"pages\":2,\"requests\":");
        text = without(&text, "\"pages\":0,\"requests\":");
    }
    text
}

/// `text` without the word that follows each `lead`.
fn without(text: &str, lead: &str) -> String {
    let mut parts = text.split(lead);
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(lead);
        plain.push_str(part.trim_start_matches(|character: char| character.is_ascii_alphanumeric()));
    }
    plain
}

/// Lines of standard error that are not the log's.
fn complaints(stage: &Stage, ran: &Ran) -> Vec<String> {
    let is_log =
        |line: &str| ["INFO", "WARN", "ERROR"].iter().any(|level| line.contains(&format!(" {level} ")));
    ran.stderr.lines().filter(|line| !is_log(line)).map(|line| stage.redact(line)).collect()
}

/// Links, and every kind of change waiting.
fn with_changes(stage: &Stage) {
    let people = stage.hire_all(&["Ann", "Ben", "Cleo", "Dan", "Eve"]);
    stage.reconcile();
    let world = stage.sim.world();
    world.unassign(people[3]);
    stage.reconcile();
    world.assign(people[3]);
    world.edit(people[0], |person| person.title = Some("Manager".to_owned()));
    world.unassign(people[1]);
    stage.hire("Fay", "Engineer");
}

fn reports_and_runs(login: Access) {
    let twins = Twins::new(login, "", with_changes);
    let text = twins.say_the_same(&["--dry-run"], 0);
    assert!(text.contains("1 to create"), "{text}");
    twins.say_the_same(&["--dry-run", "--format", "json"], 0);
    twins.say_the_same(&["--dry-run", "--detailed-exitcode"], 2);
    twins.say_the_same(&["--dry-run", "--user", "ann@acme.example"], 0);
    twins.say_the_same(&["--dry-run", "--sync", "default"], 0);
    twins.say_the_same(&["--dry-run", "--sync", "nowhere"], 64);
    twins.say_the_same(&["--reconcile-now", "--user", "ben@acme.example", "--format", "json"], 0);
    twins.say_the_same(&["--reconcile-now", "--format", "json"], 0);
    let text = twins.say_the_same(&["--reconcile-now"], 0);
    assert!(text.contains("nothing to do"), "{text}");
    twins.say_the_same(&["--dry-run", "--detailed-exitcode"], 0);
    twins.service.stop();
}

fn explanations(login: Access) {
    let twins = Twins::new(login, "", with_changes);
    for who in ["ann@acme.example", "ben@acme.example", "dan@acme.example", "fay@acme.example"] {
        let text = twins.say_the_same(&["explain", who], 0);
        assert!(text.contains("both sides asked now"), "{text}");
        twins.say_the_same(&["explain", who, "--format", "json"], 0);
    }
    twins.say_the_same(&["explain", "eva@acme.example"], 1);
    twins.say_the_same(&["explain", "eve@acme.example", "--format", "html"], 64);
    twins.say_the_same(&["explain", "eve@acme.example", "--sync", "nowhere"], 64);
    twins.both(|stage| assert_eq!(stage.sim.writes().len(), 6, "explaining wrote something"));
    // From stored data beside the daemon, which is not asked.
    let asked = twins.service.log().matches("a client asks").count();
    twins.served.sim.clear_requests();
    let ran = twins.served.run(&["explain", "eve@acme.example", "--offline"]).exits(0);
    ran.says(&["from stored data", "has an active account: nothing differs"]);
    assert_eq!(twins.service.log().matches("a client asks").count(), asked);
    let peer = if login == Access::OneLogin { Peer::OneLogin } else { Peer::Okta };
    twins.both(|stage| {
        let refused = Effect::answer(401, "application/json", "{}");
        stage.sim.faults().add(Fault::on(peer).path("/users").then(refused));
    });
    twins.say_the_same(&["explain", "eve@acme.example"], 5);
    twins.service.stop();
}

#[test]
fn explanations_with_okta() {
    explanations(Access::OktaToken);
}

#[test]
fn explanations_with_onelogin() {
    explanations(Access::OneLogin);
}

#[test]
fn reports_and_runs_with_okta() {
    reports_and_runs(Access::OktaToken);
}

#[test]
fn reports_and_runs_with_onelogin() {
    reports_and_runs(Access::OneLogin);
}

#[test]
fn a_check() {
    let twins = Twins::new(Access::OktaToken, "", |stage| {
        stage.hire("Ann", "Engineer");
        stage.reconcile();
    });
    let text = twins.say_the_same(&["check"], 0);
    assert!(text.contains("sync \"default\""), "{text}");
    twins.both(|stage| stage.sim.okta(|okta| okta.api_token = "00another".to_owned()));
    twins.say_the_same(&["check"], 5);
    twins.service.stop();
}

#[test]
fn plans_and_their_application() {
    let twins = Twins::new(Access::OktaToken, "", with_changes);
    let text = twins.say_the_same(&["plan", "--out", "{home}/plan.json"], 0);
    assert!(text.contains("1 to create"), "{text}");
    let saved = |stage: &Stage| {
        let text = fs::read_to_string(stage.home.path().join("plan.json")).unwrap();
        let mut plan: Value = serde_json::from_str(&stage.redact(&text)).unwrap();
        // Digests over times, addresses and a salt of each state.
        let fields = plan.as_object_mut().unwrap();
        fields.retain(|name, _| !["digest", "config", "created_at", "made_at"].contains(&name.as_str()));
        plan
    };
    assert_eq!(saved(&twins.served), saved(&twins.alone));
    twins.say_the_same(&["--dry-run", "apply", "{home}/plan.json", "--format", "json"], 0);
    twins.say_the_same(&["apply", "{home}/plan.json"], 0);
    // Stale now, edited, and no plan at all.
    twins.say_the_same(&["apply", "{home}/plan.json"], 4);
    twins.both(|stage| {
        let path = stage.home.path().join("plan.json");
        let text = fs::read_to_string(&path).unwrap().replace("Manager", "Director");
        fs::write(&path, text).unwrap();
    });
    twins.say_the_same(&["apply", "{home}/plan.json"], 4);
    twins.both(|stage| fs::write(stage.home.path().join("plan.json"), "{}").unwrap());
    twins.say_the_same(&["apply", "{home}/plan.json"], 4);
    twins.service.stop();
}

#[test]
fn approvals_rejections_and_pauses() {
    let lines = "guard = { approval = [\"create\", \"update\"] }";
    let twins = Twins::new(Access::OktaToken, lines, |stage| {
        let person = stage.hire_all(&["Ann", "Ben"])[0];
        stage.run(&["--reconcile-now"]).exits(4);
        stage.run(&["approve", "h1", "--yes"]).exits(0);
        stage.sim.world().edit(person, |person| person.title = Some("Manager".to_owned()));
        stage.hire("Cleo", "Engineer");
    });
    twins.say_the_same(&["--reconcile-now", "--format", "json"], 4);
    twins.say_the_same(&["approve", "h9", "--yes"], 64);
    twins.say_the_same(&["approve", "nonsense", "--yes"], 64);
    twins.say_the_same(&["approve", "h2"], 64);
    twins.say_the_same(&["reject", "h3"], 0);
    twins.say_the_same(&["approve", "h2@1", "--yes", "--format", "json"], 0);
    twins.say_the_same(&["approve", "h2", "--yes"], 64);
    twins.say_the_same(&["--reconcile-now"], 0);
    twins.both(|stage| drop(stage.hire_all(&["Dan"])));
    twins.say_the_same(&["--reconcile-now"], 4);
    // Whom it is about is on standard error, which is compared, too.
    assert_eq!(twins.say_the_same(&["approve", "h4", "--yes", "--no-run"], 0), "");
    twins.say_the_same(&["pause"], 0);
    twins.say_the_same(&["--reconcile-now", "--format", "json"], 0);
    twins.say_the_same(&["resume"], 0);
    twins.say_the_same(&["--reconcile-now", "--format", "json"], 0);
    twins.service.stop();
}

#[test]
fn an_erasure() {
    let twins = Twins::new(Access::OktaToken, "", with_changes);
    twins.say_the_same(&["history", "--erase", "nobody", "--yes"], 64);
    twins.say_the_same(&["history", "--erase", "dan@acme.example"], 64);
    twins.say_the_same(&["history", "--erase", "dan@acme.example", "--dry-run"], 0);
    twins.say_the_same(&["history", "--erase", "dan@acme.example", "--yes"], 0);
    twins.say_the_same(&["history", "--erase=ann@acme.example", "--yes"], 0);
    twins.say_the_same(&["history", "--erase", "dan@acme.example", "--yes"], 64);
    let log = twins.service.log();
    let asked: Vec<&str> = log.lines().filter(|line| line.contains("a client asks")).collect();
    assert!(asked.iter().all(|line| !line.contains("@acme.example")), "{asked:#?}");
    for stage in [&twins.alone, &twins.served] {
        stage.run(&["history", "--verify"]).exits(0).says(&["the history verifies"]);
        let files = fs::read_dir(stage.home.state()).unwrap();
        for path in files.map(|entry| entry.unwrap().path()) {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains("dan@acme.example"), "{}", path.display());
        }
    }
    twins.service.stop();
}

#[test]
fn what_goes_wrong() {
    let twins = Twins::new(Access::OktaToken, "", |stage| {
        stage.hire("Ann", "Engineer");
        stage.reconcile();
    });
    assert!(socket(&twins.served.home).exists() && !socket(&twins.alone.home).exists());
    twins.both(|stage| stage.sim.scim(|scim| scim.token = "another".to_owned()));
    twins.both(|stage| drop(stage.hire_all(&["Ben"])));
    twins.say_the_same(&["--reconcile-now", "--format", "json"], 6);
    twins.both(|stage| stage.sim.okta(|okta| okta.api_token = "00another".to_owned()));
    twins.say_the_same(&["--reconcile-now"], 5);
    twins.say_the_same(&["--dry-run"], 5);
    // A run for a timer keeps to the quarantine that this led to.
    twins.both(|stage| stage.sim.clear_requests());
    twins.say_the_same(&["--reconcile-now", "--unattended"], 5);
    twins.both(|stage| assert!(stage.sim.all_requests().is_empty()));
    twins.service.stop();
}

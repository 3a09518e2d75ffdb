//! Every exit code of the contract, each reached by the program itself.

use crate::support::{Access, Home, Prey, Ran, Stage, action_of, count, run_bare};
use rosterd::sim::{Cut, Effect, Fault, Peer, Visibility, scim_error};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::Child;
use std::sync::{Mutex, mpsc};

#[test]
fn a_run_that_did_what_it_wanted_ends_with_0() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben"]);
    stage.run(&["--reconcile-now"]).exits(0).says(&["2 created"]);
    stage.run(&["--reconcile-now"]).exits(0).says(&["nothing to do, 2 unchanged"]);
    stage.run(&["--dry-run"]).exits(0).says(&["nothing to do, 2 unchanged", "Nothing was written."]);
}

#[test]
fn an_unexpected_failure_ends_with_1() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    let nowhere = stage.home.path().join("missing/report.txt");
    let ran = stage.run(&["--dry-run", "--output", nowhere.to_str().unwrap()]).exits(1);
    ran.complains(&["error: cannot write the report to", "help:"]);
    assert_eq!(ran.stdout, "");
}

#[test]
fn pending_changes_end_with_2_where_that_was_asked_for() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    stage.run(&["--dry-run"]).exits(0);
    stage.run(&["--dry-run", "--detailed-exitcode"]).exits(2);
    stage.run(&["--reconcile-now", "--detailed-exitcode"]).exits(0);
    stage.run(&["--dry-run", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_person_whom_the_target_refuses_ends_the_run_with_3() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben"]);
    let refusal = scim_error(400, Some("invalidValue"), "no such userName here");
    stage.sim.faults().add(Fault::on(Peer::Scim).method("POST").first(1).then(Effect::Answer(refusal)));
    stage.run(&["--reconcile-now"]).exits(3).says(&["1 created, 1 failed", "no such userName here"]);
}

#[test]
fn a_leaver_whose_leaving_cannot_be_proven_ends_the_run_with_3() {
    let stage = Stage::new();
    let people = stage.hire_all(&["Ann", "Ben", "Cleo"]);
    stage.reconcile();
    stage.sim.world().unassign(people[2]);
    let id = stage.sim.world().person(people[2]).okta_id;
    let page = Effect::answer(404, "text/html", "<html><h1>Not Found</h1></html>");
    stage.sim.faults().add(Fault::on(Peer::Okta).path("/api/v1/users/").path(&id).then(page));
    let ran = stage.run(&["--reconcile-now", "--format", "json"]).exits(3);
    let sync = ran.sync();
    assert_eq!(action_of(&sync, "cleo@acme.example"), ("deactivate".to_owned(), "deferred".to_owned()));
    assert_eq!(sync["result"], "partial");
    assert!(stage.sim.world().account("cleo@acme.example").unwrap().active());
}

#[test]
fn a_run_that_would_remove_everybody_is_held_and_ends_with_4() {
    let stage = Stage::new();
    let people = stage.hire_all(&["Ann", "Ben", "Cleo"]);
    stage.reconcile();
    people.iter().for_each(|person| stage.sim.world().unassign(*person));
    let ran = stage.run(&["--reconcile-now", "--format", "json"]).exits(4);
    assert_eq!((ran.sync()["result"].as_str(), count(&ran.sync(), "held")), (Some("held"), 3));
    stage.run(&["--dry-run"]).exits(0);
    stage.run(&["--dry-run", "--detailed-exitcode"]).exits(2);
    assert!(stage.sim.world().accounts().iter().all(rosterd::sim::Account::active));
}

#[test]
fn a_missing_seat_is_held_and_ends_with_4() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben", "Cleo"]);
    stage.sim.world().set_seat_limit(Some(1));
    let ran = stage.run(&["--reconcile-now", "--format", "json"]).exits(4);
    assert_eq!((count(&ran.sync(), "create"), count(&ran.sync(), "held")), (1, 2));
}

#[test]
fn an_incomplete_source_ends_the_run_with_5_and_writes_nothing() {
    let stage = Stage::with(Access::OneLogin, "");
    stage.hire_all(&["Ann", "Ben"]);
    stage.sim.faults().add(Fault::on(Peer::OneLogin).path("/users").then(Effect::ShiftTotal(1)));
    let ran = stage.run(&["--reconcile-now", "--format", "json"]).exits(5);
    assert_eq!(ran.sync()["result"], "source_incomplete");
    assert!(stage.sim.writes().is_empty());
    stage.run(&["--dry-run"]).exits(5);
}

#[test]
fn refused_source_credentials_end_with_5() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    stage.sim.okta(|okta| okta.api_token_valid = false);
    let ran = stage.run(&["--reconcile-now", "--format", "json"]).exits(5);
    assert_eq!(ran.sync()["result"], "source_unavailable");
    assert!(ran.sync()["source"]["problem"].as_str().unwrap().contains("401"), "{ran:?}");
    assert!(stage.sim.writes().is_empty());
}

/// A port of this machine that nobody listens on.
fn closed_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn an_unreachable_source_ends_with_5() {
    let stage = Stage::new();
    let source = stage.source().replace(stage.sim.okta_url(), &format!("http://127.0.0.1:{}", closed_port()));
    stage.home.configure(&format!("[[sync]]\nsource = {{ {source} }}\n{}\n", stage.target("")));
    let ran = stage.run(&["--dry-run", "--format", "json"]).exits(5);
    assert_eq!(ran.sync()["result"], "source_unavailable");
}

#[test]
fn refused_target_credentials_end_with_6() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    stage.sim.scim(|scim| scim.token = "another-token".to_owned());
    let ran = stage.run(&["--reconcile-now", "--format", "json"]).exits(6);
    assert_eq!(ran.sync()["result"], "target_unavailable");
    assert!(ran.sync()["target"]["problem"].as_str().unwrap().contains("401"), "{ran:?}");
    stage.run(&["--dry-run"]).exits(6);
}

#[test]
fn an_unreachable_target_ends_with_6() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    let target =
        stage.target("").replace(stage.sim.scim_url(), &format!("http://127.0.0.1:{}", closed_port()));
    stage.home.configure(&format!("[[sync]]\nsource = {{ {} }}\n{target}\n", stage.source()));
    let ran = stage.run(&["--dry-run", "--format", "json"]).exits(6);
    assert_eq!(ran.sync()["result"], "target_unavailable");
}

#[test]
fn a_failing_source_wins_over_a_failing_person() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    stage.reconcile();
    let source = stage.source();
    let broken = source.replace("app_id = \"", "app_id = \"0oanothere");
    stage.home.configure(&format!(
        "[[sync]]\nname = \"a\"\nsource = {{ {source} }}\n{target}\n[[sync]]\nname = \"b\"\nsource = {{ {broken} }}\n{target}\n",
        target = stage.target("")
    ));
    let refusal = scim_error(400, Some("invalidValue"), "no");
    stage.sim.faults().add(Fault::on(Peer::Scim).method("POST").then(Effect::Answer(refusal)));
    stage.hire("Ben", "Engineer");
    let ran = stage.run(&["--reconcile-now", "--format", "json"]).exits(5);
    let syncs = ran.json()["syncs"].clone();
    assert_eq!(syncs[0]["result"], "partial", "{syncs:#}");
    assert_eq!(syncs[1]["result"], "source_incomplete", "{syncs:#}");
}

#[test]
fn the_program_alone_prints_a_short_help_and_ends_with_64() {
    let ran = run_bare(&[]).exits(64);
    ran.complains(&["rosterd --dry-run", "rosterd --reconcile-now", "rosterd check", "rosterd demo"]);
    assert_eq!(ran.stdout, "");
    // A complete configuration changes nothing about that: it never starts provisioning.
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    stage.run(&[]).exits(64);
    assert!(stage.sim.all_requests().is_empty() && !stage.home.state().exists());
}

#[test]
fn wrong_usage_ends_with_64_and_sends_nothing() {
    let stage = Stage::new();
    for arguments in [
        &["--reconcile"][..],
        &["--dry-run", "--format", "xml"],
        &["--dry-run", "-q", "-v"],
        &["--dry-run", "--color", "sometimes"],
        &["frobnicate"],
        &["init"],
        &["init", "--source", "entra"],
        &["completions", "tcsh-but-not-really"],
        &["check", "--online"],
        &["--dry-run", "--user"],
        &["--dry-run", "--sync", "nobody"],
    ] {
        let ran = stage.run(arguments).exits(64);
        assert_eq!(ran.stdout, "", "{arguments:?}");
        assert!(ran.stderr.contains("error:"), "{arguments:?}: {}", ran.stderr);
    }
    assert!(stage.sim.all_requests().is_empty() && !stage.home.state().exists());
}

#[test]
fn a_state_that_is_in_use_ends_with_75() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    stage.reconcile();
    let lock = std::fs::OpenOptions::new().write(true).open(stage.home.state().join("rosterd.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    let ran = stage.run(&["--reconcile-now"]).exits(75);
    ran.complains(&["another rosterd", "holds it", "help:"]);
    assert_eq!(ran.stdout, "");
    drop(lock);
    stage.run(&["--reconcile-now"]).exits(0);
}

#[test]
fn a_wrong_configuration_ends_with_78_tells_every_mistake_and_leaves_stdout_empty() {
    let home = Home::new();
    for command in [&["--dry-run", "--format", "json"][..], &["--reconcile-now"], &["check"]] {
        let ran = home.run(command).exits(78);
        assert_eq!(ran.stdout, "", "no such file");
        ran.complains(&["config.toml"]);
    }
    home.configure(
        "[[sync]]\nshedule = \"* * * * *\"\nsource = { kind = \"okta\", url = \"http://acme.okta.com\", app_id = \"a\", \
         api_token = \"in-the-clear\" }\ntarget = { url = \"https://x.example\", token = { env = \"T\" }, concurrency = 0 }\n",
    );
    let ran = home.run(&["--dry-run", "--format", "json"]).exits(78);
    ran.complains(&["config.toml:4:1", "shedule", "schedule", "http://", "api_token", "concurrency"]);
    assert!(!ran.stderr.contains("in-the-clear"), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
}

#[test]
fn a_secret_that_cannot_be_read_ends_with_78_before_anything_is_sent() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    let token = stage.home.path().join("okta.token");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    for command in [&["--dry-run"][..], &["--reconcile-now"], &["check"]] {
        let ran = stage.run(command).exits(78);
        assert!(ran.all().contains("okta.token: mode 0644 lets others at it"), "{}", ran.all());
        assert!(ran.all().contains("chmod 600"), "{}", ran.all());
    }
    std::fs::remove_file(&token).unwrap();
    stage.run(&["--dry-run"]).exits(78).complains(&["no such file", "help:"]);
    assert!(stage.sim.all_requests().is_empty() && !stage.home.state().exists());
}

#[test]
fn links_of_another_workspace_end_with_78_and_name_the_way_out() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    stage.reconcile();
    let elsewhere = stage.target("").replace("/scim/v2", "/scim/v2/other");
    stage.home.configure(&format!("[[sync]]\nsource = {{ {} }}\n{elsewhere}\n", stage.source()));
    stage.sim.clear_requests();
    for command in ["--dry-run", "--reconcile-now"] {
        stage.run(&[command]).exits(78).says(&["rosterd transfer", "rosterd rebuild"]);
    }
    assert!(stage.sim.all_requests().is_empty());
}

/// Starts a run whose `signal` arrives while the request that `rule` names is under way; the reply waits until the
/// program has said that it stops (or, with `twice`, until it is told a second time).
fn interrupted(stage: &Stage, arguments: &[&str], rule: Fault, signal: Signal, twice: bool) -> Ran {
    let prey = Prey::default();
    let (told, heard) = mpsc::channel::<()>();
    let heard = Mutex::new(heard);
    let hunter = prey.clone();
    stage.sim.faults().add(rule.then(Effect::before(move |_| {
        hunter.signal(signal);
        // An error means that the program has ended already; the assertions then tell.
        let _ = heard.lock().unwrap().recv();
        if twice {
            hunter.signal(signal);
        }
    })));
    let mut child = stage.home.start(arguments);
    prey.is(&child);
    let stderr = listen(&mut child, "stopping after the writes under way", &told);
    drop(told);
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    let code = child.wait().unwrap().code();
    stage.sim.faults().clear();
    Ran { code, stdout, stderr }
}

/// Reads standard error to its end, and tells when a line was seen.
fn listen(child: &mut Child, line: &str, told: &mpsc::Sender<()>) -> String {
    let mut all = String::new();
    let mut reader = BufReader::new(child.stderr.take().unwrap());
    while reader.read_line(&mut all).unwrap() > 0 {
        if all.lines().last().is_some_and(|last| last.contains(line)) {
            told.send(()).unwrap();
        }
    }
    all
}

fn names(number: usize) -> Vec<String> {
    (0..number).map(|number| format!("Person{number:02}")).collect()
}

#[test]
fn a_signal_between_two_writes_ends_with_130_or_143_and_the_rest_is_deferred() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let stage = Stage::new();
        stage.hire_all(&names(30).iter().map(String::as_str).collect::<Vec<_>>());
        let rule = Fault::on(Peer::Scim).method("POST").nth(1);
        let ran =
            interrupted(&stage, &["--reconcile-now", "--format", "json"], rule, signal, false).exits(code);
        let sync = ran.sync();
        assert_eq!(sync["result"], "interrupted");
        let created = stage.sim.world().accounts().len() as u64;
        assert!(created > 0 && created < 30, "{created}");
        assert_eq!((count(&sync, "create"), count(&sync, "deferred")), (created, 30 - created));
        let sync = stage.reconcile();
        assert_eq!((count(&sync, "create"), count(&sync, "unchanged")), (30 - created, created));
        assert_eq!(stage.sim.world().accounts().len(), 30);
    }
}

#[test]
fn a_signal_while_reading_ends_with_143_and_writes_nothing() {
    for command in ["--reconcile-now", "--dry-run"] {
        let stage = Stage::new();
        stage.hire_all(&["Ann", "Ben"]);
        let rule = Fault::on(Peer::Okta).path("/users").nth(1);
        let ran = interrupted(&stage, &[command, "--format", "json"], rule, Signal::TERM, false).exits(143);
        assert_eq!(ran.sync()["result"], "interrupted");
        assert!(stage.sim.writes().is_empty());
    }
}

#[test]
fn a_second_signal_ends_it_at_once_and_the_next_run_settles_what_was_under_way() {
    let stage = Stage::new();
    stage.hire_all(&names(12).iter().map(String::as_str).collect::<Vec<_>>());
    let rule = Fault::on(Peer::Scim).method("POST").nth(3);
    interrupted(&stage, &["--reconcile-now"], rule, Signal::INT, true).exits(130);
    let settled = stage.run(&["--reconcile-now"]);
    let logins = || -> BTreeSet<String> {
        let accounts = stage.sim.world().accounts();
        let logins = accounts.iter().map(|account| account.at("/userName").as_str().unwrap().to_owned());
        let all: Vec<String> = logins.collect();
        let different: BTreeSet<String> = all.iter().cloned().collect();
        assert_eq!(all.len(), different.len(), "never two accounts for one identity");
        different
    };
    // An empty search right after is no answer for ten minutes, because targets index late: such a creation is unsettled
    // until then, or until somebody gives it up, and the run says so by its exit code.
    settled.exits(if logins().len() == 12 { 0 } else { 3 });
    for name in names(12) {
        let login = format!("{}@acme.example", name.to_lowercase());
        if !logins().contains(&login) {
            stage.run(&["forget", &login, "--unsettled", "--yes"]).exits(0);
        }
    }
    stage.reconcile();
    assert_eq!(logins().len(), 12);
    assert_eq!(count(&stage.reconcile(), "unchanged"), 12);
}

#[test]
fn a_list_that_leaves_somebody_out_removes_nobody_and_ends_with_3() {
    let stage = Stage::new();
    let people = stage.hire_all(&["Ann", "Ben", "Cleo"]);
    stage.reconcile();
    stage.sim.world().show(people[1], Visibility::LeftOutOfLists);
    let ran = stage.run(&["--reconcile-now"]).exits(3);
    ran.says(&["list was short"]);
    assert!(stage.sim.world().account("ben@acme.example").unwrap().active());
}

#[test]
fn a_lost_reply_is_settled_by_reading_and_the_run_ends_with_0() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben"]);
    stage.sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(1).then(Effect::Cut(Cut::LostReply)));
    let sync = stage.reconcile();
    assert_eq!((count(&sync, "create"), stage.sim.world().accounts().len()), (2, 2));
    assert_eq!(count(&stage.reconcile(), "unchanged"), 2);
}

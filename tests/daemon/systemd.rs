//! In the service manager's place: when it is told what, and a start as the unit would make it.

use crate::service::{
    EVERY_SECOND, NEVER, Service, configure, configure_syncs, eventually, finish, logins, run_rows, socket,
    stage,
};
use crate::support::{Prey, Stage};
use rosterd::sim::{Effect, Fault, Peer};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// `rosterd daemon` started by a shell that says `first`, so that it is the same process in the end.
fn by_shell(stage: &Stage, first: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    let script = format!("{first}; exec \"$0\" daemon");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_rosterd")]).env_clear();
    command.env("ROSTERD_CONFIG", stage.home.path().join("config.toml"));
    command.env("TMPDIR", stage.home.path().join("tmp"));
    command
}

#[test]
fn it_is_ready_once_the_state_is_open_and_clients_are_served() {
    let stage = stage();
    stage.hire_all(&["Ann", "Ben"]);
    let service = Service::start(&stage.home);
    assert!(service.told()[0].contains("READY=1"), "nothing before that: {:?}", service.told());
    assert!(stage.home.database().exists() && socket(&stage.home).exists());
    stage.run(&["--dry-run"]).exits(0);
    service.stop();
}

#[test]
fn with_a_wrong_configuration_it_ends_with_78_and_was_never_ready() {
    let stage = stage();
    let good = fs::read_to_string(stage.home.path().join("config.toml")).unwrap();
    for (wrong, words) in [
        (good.replace("schedule = \"0 0 1 1 *\"", "schedule = \"0 25 1 1 *\""), "config.toml:"),
        (good.replace("watch = \"off\"", "watched = \"off\""), "unknown key"),
        (good.replace("workspace.token", "nowhere.token"), "nowhere.token"),
        (String::new(), "config.toml"),
    ] {
        assert_ne!(wrong, good);
        fs::write(stage.home.path().join("config.toml"), &wrong).unwrap();
        let mut service = Service::launch(&stage.home, stage.home.command(&["daemon"]));
        assert_eq!(service.ended(), Some(78), "{wrong}\n{}", service.log());
        assert!(service.log().contains(words), "{words:?} is not in {}", service.log());
        assert!(service.told().is_empty(), "{:?}", service.told());
        assert!(
            !stage.home.state().exists(),
            "nothing is made before the configuration is known to be right"
        );
    }
}

#[test]
fn the_status_line_tells_the_next_run_the_last_one_and_what_is_held() {
    let stage = stage();
    stage.hire_all(&["Ann", "Ben"]);
    let service = Service::start(&stage.home);
    let line = service.says(0, "run 1 of default: ok");
    assert!(line.contains("next run at 20") && !line.contains("hold"), "{line}");
    configure(&stage, &format!("{NEVER}\nguard = {{ approval = [\"create\"] }}"));
    service.reload();
    service.says(0, "run 2 of default: ok");
    stage.hire("Cleo", "Engineer");
    let from = service.mark();
    stage.run(&["--reconcile-now"]).exits(4);
    let line = service.says(from, "run 3 of default: held");
    assert!(line.contains("next run at 20") && line.contains("1 hold waits for approval"), "{line}");
    stage.run(&["approve", "h1", "--yes"]).exits(0);
    let line = service.says(from, "run 4 of default: ok");
    assert!(!line.contains("hold"), "{line}");
    service.stop();
}

#[test]
fn a_run_under_way_is_in_the_status_line() {
    let stage = stage();
    stage.hire_all(&["Ann", "Ben"]);
    let gate = crate::service::Gate::before(&stage, Fault::on(Peer::Okta).first(1));
    let service = Service::start(&stage.home);
    service.says(0, "1 run under way; no run yet");
    gate.open();
    let line = service.says(0, "run 1 of default: ok");
    assert!(!line.contains("under way"), "{line}");
    service.stop();
}

#[test]
fn the_watchdog_is_fed_by_the_loop_and_not_while_the_loop_is_stuck() {
    let stage = stage();
    let stuck = stage.home.path().join("stuck");
    let mut command = by_shell(&stage, "export WATCHDOG_PID=$$");
    command.env("WATCHDOG_USEC", "200000").env("ROSTERD_SIM_STUCK_WHILE", &stuck);
    let service = Service::launch(&stage.home, command);
    let is_a_ping = |words: &str| words.contains("WATCHDOG=1");
    service.says(0, "run 1 of default: ok");
    let mut from = service.mark();
    for _ in 0..3 {
        service.wait(from, "the loop pings", is_a_ping);
        from = service.mark();
    }
    fs::write(&stuck, "").unwrap();
    // Ten times what the service manager would wait.
    let from = service.falls_silent(Duration::from_secs(2));
    // The process lives and takes signals; it is the loop that does not turn.
    service.signal(Signal::HUP);
    let from_then_on = service.falls_silent(Duration::from_secs(1));
    assert_eq!(from_then_on, from, "{:?}", service.told());
    fs::remove_file(&stuck).unwrap();
    service.wait(from, "the loop pings again", is_a_ping);
    service.wait(from, "what came meanwhile is dealt with", |words| words.contains("RELOADING=1"));
    service.stop();
}

#[test]
fn a_reload_is_announced_and_its_end_too() {
    let stage = stage();
    let service = Service::start(&stage.home);
    let from = service.mark();
    service.reload();
    let told = service.told();
    let place = |words: &str| told.iter().skip(from).position(|told| told.contains(words)).unwrap();
    assert!(place("RELOADING=1") < place("READY=1"), "{told:?}");
    // systemd tells by it which reload was meant.
    assert!(told[from + place("RELOADING=1")].contains("MONOTONIC_USEC="), "{told:?}");
    service.stop();
}

#[test]
fn the_end_is_announced() {
    let stage = stage();
    let mut service = Service::start(&stage.home);
    service.has_run(1);
    service.signal(Signal::TERM);
    assert_eq!(service.ended(), Some(0), "{}", service.log());
    service.wait(0, "it is stopping", |words| words.contains("STOPPING=1"));
    assert!(service.log().contains("stopped"), "{}", service.log());
}

/// Mode bits of a file.
fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn it_starts_as_the_unit_would_start_it() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben"]);
    let home = stage.home.path();
    let [credentials, state, runtime] = ["credentials", "var-lib", "run"].map(|name| home.join(name));
    for (directory, rights) in [(&credentials, 0o500), (&state, 0o700), (&runtime, 0o700)] {
        fs::create_dir(directory).unwrap();
        for (name, secret) in
            [("okta-token", stage.sim.okta_token()), ("wrike-token", stage.sim.scim_token())]
        {
            if *directory == credentials {
                fs::write(directory.join(name), secret).unwrap();
                // As systemd makes them.
                fs::set_permissions(directory.join(name), fs::Permissions::from_mode(0o440)).unwrap();
            }
        }
        fs::set_permissions(directory, fs::Permissions::from_mode(rights)).unwrap();
    }
    let sync = format!(
        "source = {{ kind = \"okta\", url = \"{}\", app_id = \"{}\", api_token = {{ credential = \"okta-token\" }} }}\n\
         target = {{ url = \"{}\", token = {{ credential = \"wrike-token\" }} }}\n{NEVER}",
        stage.sim.okta_url(),
        stage.sim.okta_app_id(),
        stage.sim.scim_url()
    );
    configure_syncs(&stage.home, &[&sync]);
    // Neither HOME nor PATH, and the unit's umask.
    let mut command = by_shell(&stage, "umask 0077; export WATCHDOG_PID=$$");
    command.current_dir("/").env("WATCHDOG_USEC", "60000000");
    command.env("CREDENTIALS_DIRECTORY", &credentials).env("STATE_DIRECTORY", &state);
    command.env("RUNTIME_DIRECTORY", &runtime);
    let service = Service::launch(&stage.home, command);
    service.says(0, "run 1 of default: ok");
    assert_eq!(logins(&stage), ["ann@acme.example", "ben@acme.example"]);
    assert!(!stage.home.state().exists() && !socket(&stage.home).exists(), "systemd's directories win");
    assert_eq!(run_rows(&state).len(), 1);
    assert_eq!(mode(&runtime.join("rosterd.sock")), 0o600);
    for entry in fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    let mut client = stage.home.command(&["--dry-run"]);
    client.env("RUNTIME_DIRECTORY", &runtime).env("STATE_DIRECTORY", &state);
    client.env("CREDENTIALS_DIRECTORY", &credentials);
    finish(client.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap())
        .exits(0)
        .says(&["nothing to do, 2 unchanged"]);
    service.logs("a client asks", 1);
    service.stop();
}

#[test]
fn without_a_service_manager_it_runs_all_the_same() {
    let stage = Stage::new();
    configure(&stage, EVERY_SECOND);
    stage.hire("Ann", "Engineer");
    let asked = Prey::default();
    let asks = asked.clone();
    let rule = Fault::on(Peer::Scim).method("POST").first(1);
    stage.sim.faults().add(rule.then(Effect::after(move |_| asks.signal(Signal::TERM))));
    let child = stage.home.start(&["daemon"]);
    asked.is(&child);
    finish(child).exits(0).complains(&["rosterd is ready", "stopped"]);
    eventually("the account is there", || (logins(&stage) == ["ann@acme.example"]).then_some(()));
}

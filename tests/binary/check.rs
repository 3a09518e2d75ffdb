//! `rosterd check`: each right is asked for and named by itself, and what is wrong comes with what to do.

use crate::support::{Access, Ran, Stage};
use rosterd::sim::{Dpop, Effect, Fault, KeyKind, Peer, RateLimits, scim_error};

/// One line of the output with its help.
#[derive(Debug)]
struct Line {
    level: String,
    text: String,
}

/// The lines, each with the help that follows it.
fn lines(ran: &Ran) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for line in ran.stdout.lines() {
        if let Some(help) = line.strip_prefix("        help: ") {
            let last = lines.last_mut().expect("help follows a line");
            last.text.push_str(" | ");
            last.text.push_str(help);
        } else if let Some((level, text)) = line.strip_prefix("  ").and_then(|line| line.split_once(' ')) {
            lines.push(Line { level: level.to_owned(), text: text.trim_start().to_owned() });
        } else {
            assert!(line.starts_with("sync \""), "{line:?}");
        }
    }
    lines
}

/// The line about a right.
#[track_caller]
fn line<'a>(lines: &'a [Line], right: &str) -> &'a Line {
    let found: Vec<_> = lines.iter().filter(|line| line.text.starts_with(&format!("{right:<14} "))).collect();
    assert_eq!(found.len(), 1, "{right} in {lines:#?}");
    found[0]
}

/// Asserts that exactly this right fails, with these words.
#[track_caller]
fn only_fails(ran: &Ran, right: &str, words: &[&str]) {
    let lines = lines(ran);
    let failed: Vec<_> = lines.iter().filter(|line| line.level == "fail").collect();
    assert_eq!(failed.len(), 1, "{lines:#?}");
    assert!(failed[0].text.starts_with(&format!("{right:<14} ")), "{lines:#?}");
    for word in words {
        assert!(failed[0].text.contains(word), "no {word:?} in {:#?}", failed[0]);
    }
    assert!(failed[0].text.contains(" | "), "no help in {:#?}", failed[0]);
}

/// Asserts that exactly this right is warned about, with these words, and nothing fails.
#[track_caller]
fn only_warns(ran: &Ran, right: &str, words: &[&str]) {
    let lines = lines(ran);
    let warned: Vec<_> = lines.iter().filter(|line| line.level != "ok").collect();
    assert_eq!(warned.len(), 1, "{lines:#?}");
    assert!(warned[0].level == "warn" && warned[0].text.starts_with(&format!("{right:<14} ")), "{lines:#?}");
    for word in words {
        assert!(warned[0].text.contains(word), "no {word:?} in {:#?}", warned[0]);
    }
    assert!(warned[0].text.contains(" | "), "no help in {:#?}", warned[0]);
}

fn oauth(key: KeyKind) -> Access {
    Access::OktaOauth { key, jwk: false, dpop: "auto" }
}

/// A stage with two people, a group that the configuration uses, and a linked state.
fn stage(login: Access) -> Stage {
    let stage = Stage::with(login, "");
    let people = stage.hire_all(&["Ann", "Ben"]);
    let world = stage.sim.world();
    let group = world.add_group("Externals");
    world.add_member(group, people[0]);
    with_groups(&stage, "\"Externals\"");
    stage
}

/// The configuration with these names in `groups`.
fn with_groups(stage: &Stage, names: &str) {
    let filter = "scope = { filter = \"'Nobody' not in user.groups\" }";
    let source = stage.source();
    let target = stage.target("");
    stage
        .home
        .configure(&format!("[[sync]]\nsource = {{ {source}, groups = [{names}] }}\n{target}\n{filter}\n"));
}

#[track_caller]
fn all_ok(login: Access, prepare: impl Fn(&Stage)) {
    let stage = stage(login);
    prepare(&stage);
    let ran = stage.run(&["check"]).exits(0);
    let lines = lines(&ran);
    assert!(lines.iter().all(|line| line.level == "ok"), "{login:?}: {lines:#?}");
    for right in [
        "configuration",
        "secret",
        "state",
        "credentials",
        "app",
        "app users",
        "users",
        "event log",
        "groups",
        "target read",
    ] {
        assert!(
            lines.iter().any(|line| line.text.starts_with(&format!("{right:<14} "))),
            "{right} in {lines:#?}"
        );
    }
    assert!(stage.sim.writes().is_empty() && !stage.home.state().exists(), "a check changes nothing");
}

#[test]
fn everything_is_in_order_with_an_api_token() {
    all_ok(Access::OktaToken, |_| {});
}

#[test]
fn everything_is_in_order_with_onelogin() {
    all_ok(Access::OneLogin, |_| {});
}

#[test]
fn everything_is_in_order_with_a_service_app_of_either_key_with_and_without_dpop() {
    for key in [KeyKind::Rs256, KeyKind::Es256] {
        for (jwk, written, there) in [
            (false, "off", Dpop::Off),
            (true, "auto", Dpop::Off),
            (false, "auto", Dpop::Required),
            (true, "on", Dpop::Required),
            (false, "on", Dpop::Optional),
        ] {
            all_ok(Access::OktaOauth { key, jwk, dpop: written }, |stage| {
                stage.sim.okta(|okta| okta.dpop = there);
            });
        }
    }
}

#[test]
fn an_app_that_dpop_is_required_for_and_switched_off_here_says_so() {
    let stage = stage(Access::OktaOauth { key: KeyKind::Rs256, jwk: false, dpop: "off" });
    stage.sim.okta(|okta| okta.dpop = Dpop::Required);
    only_fails(&stage.run(&["check"]).exits(5), "credentials", &["dpop"]);
}

/// What the admin role does not allow, and the words that name the right.
fn denied_at_okta(area: &'static str) -> Ran {
    let stage = stage(Access::OktaToken);
    stage.sim.okta(|okta| okta.denied.insert(area));
    stage.run(&["check"])
}

#[test]
fn the_right_to_read_the_app_is_named() {
    only_fails(&denied_at_okta("apps").exits(5), "app", &["403", "okta.apps.read", "admin role"]);
}

#[test]
fn the_right_to_read_the_apps_users_is_named() {
    only_fails(&denied_at_okta("app_users").exits(5), "app users", &["403", "okta.apps.read", "admin role"]);
}

#[test]
fn the_right_to_read_users_is_named() {
    only_fails(&denied_at_okta("users").exits(5), "users", &["403", "okta.users.read", "admin role"]);
}

#[test]
fn the_right_to_read_groups_is_named() {
    only_fails(&denied_at_okta("groups").exits(5), "groups", &["403", "okta.groups.read"]);
}

#[test]
fn the_right_to_read_the_event_log_is_only_a_warning() {
    only_warns(&denied_at_okta("logs").exits(0), "event log", &["okta.logs.read", "System Log"]);
}

#[test]
fn each_missing_scope_of_a_service_app_is_named() {
    for (scope, code) in
        [("okta.apps.read", 5), ("okta.users.read", 5), ("okta.groups.read", 5), ("okta.logs.read", 0)]
    {
        for key in [KeyKind::Rs256, KeyKind::Es256] {
            let stage = stage(oauth(key));
            stage.sim.okta(|okta| okta.granted_scopes.remove(scope));
            let ran = stage.run(&["check"]).exits(code);
            let lines = lines(&ran);
            let told: Vec<_> = lines.iter().filter(|line| line.level != "ok").collect();
            assert!(
                !told.is_empty() && told.iter().any(|line| line.text.contains(scope)),
                "{scope}: {lines:#?}"
            );
            let others = ["okta.apps.read", "okta.users.read", "okta.groups.read", "okta.logs.read"];
            for other in others.iter().filter(|other| **other != scope) {
                assert!(!told.iter().any(|line| line.text.contains(other)), "{other} is granted: {told:#?}");
            }
        }
    }
}

#[test]
fn a_service_app_without_an_admin_role_says_so() {
    let stage = stage(oauth(KeyKind::Es256));
    stage.sim.okta(|okta| okta.without_admin_role = true);
    let ran = stage.run(&["check"]).exits(5);
    let lines = lines(&ran);
    for right in ["app", "app users", "users"] {
        let line = line(&lines, right);
        assert!(line.level != "ok" && line.text.contains("admin role"), "{line:#?}");
    }
}

#[test]
fn a_group_that_does_not_exist_is_named() {
    for login in [Access::OktaToken, Access::OneLogin] {
        let stage = stage(login);
        with_groups(&stage, "\"Externals\", \"Contractors\"");
        only_fails(&stage.run(&["check"]).exits(5), "groups", &["Contractors"]);
    }
}

fn denied_at_onelogin(area: &'static str) -> Ran {
    let stage = stage(Access::OneLogin);
    stage.sim.onelogin(|onelogin| onelogin.denied.insert(area));
    stage.run(&["check"])
}

#[test]
fn the_right_to_read_the_onelogin_app_is_named() {
    only_fails(&denied_at_onelogin("apps").exits(5), "app", &["403", "Read All"]);
}

#[test]
fn the_right_to_read_the_onelogin_apps_users_is_named() {
    only_fails(&denied_at_onelogin("app_users").exits(5), "app users", &["403", "Read All"]);
}

#[test]
fn the_right_to_read_onelogin_users_is_named() {
    only_fails(&denied_at_onelogin("users").exits(5), "users", &["403", "Read All"]);
}

#[test]
fn the_right_to_read_onelogin_roles_is_named() {
    only_fails(&denied_at_onelogin("roles").exits(5), "groups", &["403", "Read All"]);
}

#[test]
fn the_right_to_read_onelogin_events_is_only_a_warning() {
    only_warns(&denied_at_onelogin("events").exits(0), "event log", &["Read All"]);
}

#[test]
fn the_right_to_read_the_workspace_is_named() {
    let stage = stage(Access::OktaToken);
    let refusal = scim_error(403, None, "this token may not list users");
    stage.sim.faults().add(Fault::on(Peer::Scim).path("/Users").then(Effect::Answer(refusal)));
    let ran = stage.run(&["check"]).exits(6);
    let lines = lines(&ran);
    let failed: Vec<_> = lines.iter().filter(|line| line.level == "fail").collect();
    assert_eq!(failed.len(), 1, "{lines:#?}");
    assert!(failed[0].text.starts_with("target "), "{lines:#?}");
    assert!(failed[0].text.contains("403") && failed[0].text.contains("may not list users"), "{lines:#?}");
}

#[test]
fn a_wrong_app_id_lists_the_candidates() {
    for login in [Access::OktaToken, Access::OneLogin] {
        let stage = stage(login);
        let (right, wrong) = match login {
            Access::OneLogin => (stage.sim.onelogin_app_id(), "999999"),
            Access::OktaToken | Access::OktaOauth { .. } => (stage.sim.okta_app_id(), "0oaNOSUCHAPP00000000"),
        };
        let source = stage.source().replace(&right, wrong);
        stage.home.configure(&format!("[[sync]]\nsource = {{ {source} }}\n{}\n", stage.target("")));
        let ran = stage.run(&["check"]).exits(5);
        only_fails(&ran, "app", &[wrong, &right, "Wrike", "app_id"]);
    }
}

#[test]
fn an_inactive_app_is_told() {
    let stage = stage(Access::OktaToken);
    stage.sim.world().deactivate_app();
    only_fails(&stage.run(&["check"]).exits(5), "app", &["INACTIVE", "activate"]);
}

#[test]
fn a_wrong_token_is_told_once_and_the_other_side_is_still_checked() {
    let stage = stage(Access::OktaToken);
    stage.sim.okta(|okta| okta.api_token_valid = false);
    let ran = stage.run(&["check"]).exits(5);
    only_fails(&ran, "credentials", &["401", "new token"]);
    assert_eq!(line(&lines(&ran), "target read").level, "ok");
}

#[test]
fn wrong_onelogin_credentials_are_told() {
    let stage = stage(Access::OneLogin);
    stage.sim.onelogin(|onelogin| onelogin.client_secret = "changed-in-the-meantime".to_owned());
    only_fails(&stage.run(&["check"]).exits(5), "credentials", &["401", "client_secret"]);
}

#[test]
fn a_key_that_the_service_app_does_not_know_is_told() {
    let stage = stage(oauth(KeyKind::Rs256));
    stage.sim.okta(|okta| okta.client_id = "0oaAnotherClient0001".to_owned());
    only_fails(&stage.run(&["check"]).exits(5), "credentials", &["401", "client_id", "private key"]);
}

#[test]
fn a_wrong_workspace_token_is_told() {
    let stage = stage(Access::OktaToken);
    stage.sim.scim(|scim| scim.token = "another-token".to_owned());
    only_fails(&stage.run(&["check"]).exits(6), "target credentials", &["401"]);
}

#[test]
fn a_wrong_workspace_url_is_told() {
    let stage = stage(Access::OktaToken);
    let target = stage.target("").replace("/scim/v2", "/scim");
    stage.home.configure(&format!("[[sync]]\nsource = {{ {} }}\n{target}\n", stage.source()));
    let ran = stage.run(&["check"]).exits(6);
    let lines = lines(&ran);
    let failed: Vec<_> = lines.iter().filter(|line| line.level == "fail").collect();
    assert!(failed.len() == 1 && failed[0].text.contains("copy the base URL exactly"), "{lines:#?}");
}

#[test]
fn a_second_writer_is_warned_about() {
    let stage = stage(Access::OktaToken);
    stage
        .sim
        .world()
        .edit_app(|app| app.features = vec!["PUSH_NEW_USERS".to_owned(), "SCIM_PROVISIONING".to_owned()]);
    only_warns(&stage.run(&["check"]).exits(0), "provisioning", &["PUSH_NEW_USERS", "two writers"]);
    let stage = self::stage(Access::OneLogin);
    stage.sim.world().edit_app(|app| app.onelogin_provisioning = true);
    only_warns(&stage.run(&["check"]).exits(0), "provisioning", &["two writers"]);
}

#[test]
fn a_schedule_that_the_source_does_not_allow_is_warned_about() {
    let stage = Stage::with(Access::OktaToken, "schedule = \"* * * * * *\"");
    stage.hire_all(&["Ann", "Ben"]);
    // One request a minute is our half of two, and a full read takes two.
    let limits = RateLimits { apps: 2, window_seconds: 1, ..RateLimits::default() };
    stage.sim.okta(|okta| okta.rate_limits = limits);
    only_warns(&stage.run(&["check"]).exits(0), "rate", &["2 requests", "50 %", "schedule"]);
}

#[test]
fn unreachable_sides_are_told_apart() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stage = stage(Access::OktaToken);
    let target = stage.target("").replace(stage.sim.scim_url(), &format!("http://{nowhere}/scim/v2"));
    stage.home.configure(&format!("[[sync]]\nsource = {{ {} }}\n{target}\n", stage.source()));
    only_fails(&stage.run(&["check"]).exits(6), "target read", &["cannot connect"]);
    let source = stage.source().replace(stage.sim.okta_url(), &format!("http://{nowhere}"));
    stage.home.configure(&format!("[[sync]]\nsource = {{ {source} }}\n{}\n", stage.target("")));
    let ran = stage.run(&["check"]).exits(5);
    only_fails(&ran, "credentials", &["cannot connect"]);
    assert_eq!(line(&lines(&ran), "target read").level, "ok");
}

#[test]
fn an_offline_check_sends_nothing_and_still_finds_a_secret_that_is_not_there() {
    let stage = stage(Access::OneLogin);
    let ran = stage.run(&["check", "--offline"]).exits(0);
    let found = lines(&ran);
    assert!(found.iter().all(|line| line.level == "ok"), "{found:#?}");
    std::fs::remove_file(stage.home.path().join("workspace.token")).unwrap();
    let ran = stage.run(&["check", "--offline"]).exits(78);
    only_fails(&ran, "secret", &["target.token", "no such file"]);
    assert!(stage.sim.all_requests().is_empty());
}

#[test]
fn check_asks_the_chosen_syncs_only() {
    let stage = stage(Access::OktaToken);
    let sides = stage.sides();
    stage.home.configure(&format!("[[sync]]\nname = \"a\"\n{sides}\n[[sync]]\nname = \"b\"\n{sides}\n"));
    let ran = stage.run(&["check", "--offline"]).exits(0);
    assert!(ran.stdout.contains("sync \"a\"") && ran.stdout.contains("sync \"b\""));
    let ran = stage.run(&["check", "--offline", "--sync", "b"]).exits(0);
    assert!(!ran.stdout.contains("sync \"a\"") && ran.stdout.contains("sync \"b\""));
    stage.run(&["check", "--sync", "c"]).exits(64).complains(&["there is no sync \"c\"", "a, b"]);
}

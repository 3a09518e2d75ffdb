//! The configuration file: what is accepted, what every default is, and how each mistake is told.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rosterd::config::secret::SecretRef;
use rosterd::config::{
    self, AttributeMapping, Config, ConfigErrors, Dialect, Dpop, Drift, DriftPolicy, Environment, MatchBy,
    NotifyOn, RemovalPolicy, SourceKind, Sync, Watch,
};
use rosterd::model::schedule::Schedule;

const EXAMPLE: &str = include_str!("../config.toml.example");

const SOURCE: &str = r#"source = { kind = "okta", url = "https://acme.okta.com", app_id = "0oa1b2c3d4", api_token = { file = "/etc/rosterd/okta.token" } }"#;
const TARGET: &str =
    r#"target = { url = "https://scim.example/v2", token = { file = "/etc/rosterd/wrike.token" } }"#;

fn nothing() -> Environment {
    Environment::fixed([("", ""); 0])
}

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    config::parse(text, Path::new("config.toml"), &nothing())
}

fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// A file with one sync, and further lines in it.
fn sync_with(lines: &str) -> String {
    format!("[[sync]]\n{SOURCE}\n{TARGET}\n{lines}\n")
}

fn sync(lines: &str) -> Sync {
    good(&sync_with(lines)).syncs.remove(0)
}

fn source_with(keys: &str) -> String {
    format!("[[sync]]\nsource = {{ {keys} }}\n{TARGET}\n")
}

fn errors(text: &str) -> ConfigErrors {
    match parse(text) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(errors) => errors,
    }
}

fn problems(text: &str) -> Vec<String> {
    let errors = errors(text);
    for diagnostic in errors.diagnostics() {
        assert!(!diagnostic.problem.is_empty());
        let stated = diagnostic.place.as_ref().is_none_or(|place| place.line > 0 && place.column > 0);
        assert!(stated);
    }
    errors.diagnostics().iter().map(|diagnostic| diagnostic.problem.clone()).collect()
}

#[test]
fn the_shortest_file_has_every_default() {
    let config = good(&sync_with(""));
    assert_eq!(config.state_dir, Path::new("/var/lib/rosterd"));
    assert_eq!(config.keep_history, Duration::from_secs(400 * 86_400));
    assert_eq!(config.daemon.socket, Path::new("/run/rosterd/rosterd.sock"));
    assert!(
        config.daemon.listen.is_none() && config.daemon.notify.is_none() && config.daemon.dead_man.is_none()
    );
    assert_eq!(config.path, Path::new("config.toml"));
    assert_eq!(config.digest, blake3::hash(sync_with("").as_bytes()).to_hex().to_string());
    let [sync] = config.syncs.as_slice() else { panic!("one sync") };
    assert_eq!((sync.name.as_str(), sync.schedule.as_str()), ("default", "*/15 * * * *"));
    assert_eq!((sync.timezone, sync.watch), (chrono_tz::Tz::UTC, Watch::Auto));
    assert_eq!((sync.jitter, sync.max_apply), (Duration::ZERO, Duration::from_secs(900)));
    assert_eq!(sync.max_read, Duration::from_secs(1800));
    assert!(sync.user_type.is_none() && sync.attributes.is_empty());
    let source = &sync.source;
    assert!(matches!(&source.kind, SourceKind::OktaToken { api_token }
        if *api_token == SecretRef::File("/etc/rosterd/okta.token".into())));
    assert_eq!((source.url.as_str(), source.app_id.as_str()), ("https://acme.okta.com/", "0oa1b2c3d4"));
    assert!(source.groups.is_empty() && source.proxy.is_none() && source.ca_file.is_none());
    assert_eq!(source.rate_share_percent, 50);
    let target = &sync.target;
    assert_eq!(target.url.as_str(), "https://scim.example/v2");
    assert_eq!((target.dialect, target.requests_per_minute), (Dialect::Generic, 600));
    assert_eq!((target.concurrency, target.reserve_for_removals_percent), (4, 20));
    assert_eq!(target.timeout, Duration::from_secs(30));
    assert!(target.proxy.is_none() && target.ca_file.is_none());
    assert!(sync.scope.domains.is_empty() && sync.scope.filter.is_none());
    let lifecycle = &sync.lifecycle;
    assert!(lifecycle.create && lifecycle.update && lifecycle.deactivate && lifecycle.reactivate);
    assert_eq!(lifecycle.on_unassigned, RemovalPolicy::Deactivate);
    assert_eq!(lifecycle.on_deleted, RemovalPolicy::Deactivate);
    assert_eq!(lifecycle.on_suspended, RemovalPolicy::Deactivate);
    assert!(!lifecycle.create_pending && !lifecycle.recreate && lifecycle.delete_after.is_none());
    assert_eq!(sync.adopt.ladder, [MatchBy::ExternalId, MatchBy::UserName]);
    assert!(!sync.adopt.hold);
    let Drift { schedule, access, reactivate, attributes } = &sync.drift;
    assert!(schedule.is_none());
    assert_eq!(
        (access, reactivate, attributes),
        (&DriftPolicy::Repair, &DriftPolicy::Report, &DriftPolicy::Report)
    );
}

#[test]
fn the_drift_table_is_read() {
    let drift = sync(
        r#"drift = { schedule = "0 3 * * SUN", access = "report", reactivate = "repair", attributes = "repair" }"#,
    )
    .drift;
    let [repair, report] = [DriftPolicy::Repair, DriftPolicy::Report];
    assert_eq!(drift.schedule.as_ref().map(Schedule::as_str), Some("0 3 * * SUN"));
    assert_eq!((drift.access, drift.reactivate, drift.attributes), (report, repair, repair));
    assert_eq!(sync("drift = { schedule = \"off\" }").drift.schedule, None);
    // By hand it repairs what it is asked to, and fights nobody.
    let by_hand = sync("").drift.repairing();
    assert_eq!((by_hand.access, by_hand.reactivate, by_hand.attributes), (repair, report, repair));
    assert!(by_hand.repairs() && !by_hand.reporting().repairs());
}

#[test]
fn the_example_holds_the_defaults() {
    let minimal = r#"
        [[sync]]
        source = { kind = "okta", url = "https://acme.okta.com", app_id = "0oa1b2c3d4", api_token = { credential = "okta-token" } }
        target = { url = "https://www.wrike.com/REPLACE-WITH-THE-SCIM-BASE-URL", token = { credential = "wrike-token" } }
    "#;
    let (mut example, mut minimal) = (good(EXAMPLE), good(minimal));
    example.digest.clear();
    minimal.digest.clear();
    assert_eq!(format!("{example:#?}"), format!("{minimal:#?}"));
}

#[test]
fn every_other_choice_of_the_example_is_valid() {
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    let mut tried = 0;
    for (index, line) in lines.iter().enumerate() {
        let Some(choice) = line.strip_prefix("# e.g. ") else { continue };
        let key = choice.split(" = ").next().unwrap();
        // The user type is one table, told as a whole below.
        if choice.starts_with('[')
            || lines[..index].contains(&"# e.g. [sync.user_type]") && !key.starts_with('"')
        {
            continue;
        }
        let table_start = lines[..index].iter().rposition(|line| line.starts_with('[')).unwrap_or(0);
        let mut text: Vec<String> = lines.iter().map(ToString::to_string).collect();
        for other in text.iter_mut().take(index).skip(table_start) {
            let excluded = key == "oauth" && other.starts_with("api_token = ");
            if other.starts_with(&format!("{key} = ")) || excluded {
                other.clear();
            }
        }
        text[index] = choice.to_owned();
        good(&text.join("\n"));
        tried += 1;
    }
    assert_eq!(tried, 29);
}

#[test]
fn the_example_uncommented_has_its_user_type() {
    let start = EXAMPLE.find("# e.g. [sync.user_type]").unwrap();
    let (before, after) = EXAMPLE.split_at(start);
    let before = before.replace("groups = []", "groups = [\"Wrike Externals\"]");
    let config = good(&format!("{before}{}", after.replace("# e.g. ", "")));
    let user_type = config.syncs[0].user_type.as_ref().unwrap();
    assert_eq!(user_type.values, ["Regular", "External", "Collaborator"]);
    assert_eq!(user_type.billable, ["Regular", "External"]);
    assert_eq!(
        (user_type.default.as_str(), user_type.from.as_deref()),
        ("Regular", Some("app.wrikeUserType"))
    );
    assert_eq!(
        (user_type.groups[0].group.as_str(), user_type.groups[0].value.as_str()),
        ("Wrike Externals", "External")
    );
    let paths: Vec<_> = config.syncs[0].attributes.iter().map(|rule| rule.path.as_str()).collect();
    assert_eq!(paths, ["title", "displayName", "phoneNumbers[primary eq true].value", "nickName"]);
}

#[test]
fn what_init_prints_parses_and_names_the_rights() {
    use rosterd::config::init::starter;
    use rosterd::model::id::Vendor;
    let okta = good(starter(Vendor::Okta));
    assert!(matches!(okta.syncs[0].source.kind, SourceKind::OktaToken { .. }));
    assert_eq!(okta.syncs[0].target.dialect, Dialect::Wrike);
    for right in
        ["okta.apps.read", "okta.users.read", "okta.logs.read", "okta.groups.read", "Read-only Administrator"]
    {
        assert!(starter(Vendor::Okta).contains(right), "{right}");
    }
    // The other login of the same file.
    let oauth = starter(Vendor::Okta).replace("\napi_token", "\n# api_token").replace("\n# oauth", "\noauth");
    assert!(matches!(good(&oauth).syncs[0].source.kind, SourceKind::OktaOauth { .. }));
    let onelogin = good(starter(Vendor::OneLogin));
    assert!(matches!(onelogin.syncs[0].source.kind, SourceKind::OneLogin { .. }));
    assert!(starter(Vendor::OneLogin).contains("Read All"));
}

#[test]
fn a_full_daemon_table_is_read() {
    let head = r#"
        state_dir = "/srv/rosterd"
        keep_history = "31d"
        [daemon]
        listen = "[::1]:9464"
        socket = "/srv/rosterd.sock"
        notify = { url = "https://hooks.example/a?sig=b", on = ["failed", "held"] }
        dead_man = "http://127.0.0.1:8000/ping"
    "#;
    let config = good(&format!("{head}\n{}", sync_with("")));
    assert_eq!(config.state_dir, Path::new("/srv/rosterd"));
    assert_eq!(config.keep_history, Duration::from_secs(31 * 86_400));
    assert_eq!(config.daemon.listen, Some("[::1]:9464".parse::<SocketAddr>().unwrap()));
    assert_eq!(config.daemon.socket, Path::new("/srv/rosterd.sock"));
    let notify = config.daemon.notify.unwrap();
    assert_eq!(
        (notify.url.as_str(), notify.on),
        ("https://hooks.example/a?sig=b", vec![NotifyOn::Failed, NotifyOn::Held])
    );
    assert_eq!(config.daemon.dead_man.unwrap().as_str(), "http://127.0.0.1:8000/ping");
    let public =
        good(&format!("[daemon]\nlisten = \"0.0.0.0:9464\"\nlisten_public = true\n{}", sync_with("")));
    assert_eq!(public.daemon.listen, Some("0.0.0.0:9464".parse::<SocketAddr>().unwrap()));
    assert!(public.daemon.listen_public && !good(&sync_with("")).daemon.listen_public);
    let all = good(&format!("[daemon]\nnotify.url = \"https://hooks.example/\"\n{}", sync_with("")));
    assert_eq!(all.daemon.notify.unwrap().on.len(), 5);
}

#[test]
fn directories_given_by_systemd_win() {
    let text = format!("state_dir = \"/srv/a\"\n[daemon]\nsocket = \"/srv/a.sock\"\n{}", sync_with(""));
    let read = |state: &str, runtime: &str| {
        let environment = Environment::fixed([("STATE_DIRECTORY", state), ("RUNTIME_DIRECTORY", runtime)]);
        let config = config::parse(&text, Path::new("config.toml"), &environment).unwrap();
        (config.state_dir, config.daemon.socket)
    };
    assert_eq!(
        read("/var/lib/x", "/run/x"),
        (PathBuf::from("/var/lib/x"), PathBuf::from("/run/x/rosterd.sock"))
    );
    let first_of_several = read("/var/lib/x:/var/lib/y", "/run/x:/run/y");
    assert_eq!(first_of_several, (PathBuf::from("/var/lib/x"), PathBuf::from("/run/x/rosterd.sock")));
    assert_eq!(read("", ""), (PathBuf::from("/srv/a"), PathBuf::from("/srv/a.sock")));
}

#[test]
fn both_logins_of_okta_and_that_of_onelogin_are_read() {
    let oauth = good(&source_with(
        r#"kind = "okta", url = "https://acme.okta.com/", app_id = "0oa1", oauth = { client_id = "0oa2", private_key = { env = "OKTA_KEY" }, key_id = "main", dpop = "on" }"#,
    ));
    let SourceKind::OktaOauth { client_id, private_key, key_id, dpop } = &oauth.syncs[0].source.kind else {
        panic!("not oauth");
    };
    assert_eq!((client_id.as_str(), key_id.as_deref(), *dpop), ("0oa2", Some("main"), Dpop::On));
    assert_eq!(*private_key, SecretRef::Env("OKTA_KEY".to_owned()));
    let onelogin = good(&source_with(
        r#"kind = "onelogin", url = "https://acme.onelogin.com", app_id = "77", client_id = "abc", client_secret = { credential = "onelogin" }"#,
    ));
    let SourceKind::OneLogin { client_id, client_secret } = &onelogin.syncs[0].source.kind else {
        panic!("not onelogin");
    };
    assert_eq!((client_id.as_str(), client_secret), ("abc", &SecretRef::Credential("onelogin".to_owned())));
}

#[test]
fn the_dialect_follows_the_host_unless_written() {
    let target = |url: &str, more: &str| {
        let text =
            format!("[[sync]]\n{SOURCE}\ntarget = {{ url = \"{url}\", token = {{ env = \"T\" }}{more} }}");
        let target = good(&text).syncs.remove(0).target;
        (target.dialect, target.requests_per_minute)
    };
    for host in ["wrike.com", "www.wrike.com", "app-eu.wrike.com", "WWW.WRIKE.COM", "www.wrike.com."] {
        assert_eq!(target(&format!("https://{host}/scim"), ""), (Dialect::Wrike, 400), "{host}");
    }
    for host in ["notwrike.com", "wrike.com.example", "scim.example", "127.0.0.1"] {
        assert_eq!(target(&format!("https://{host}/scim"), ""), (Dialect::Generic, 600), "{host}");
    }
    assert_eq!(target("http://127.0.0.1:9/", ", dialect = \"wrike\""), (Dialect::Wrike, 400));
    assert_eq!(target("https://www.wrike.com/", ", dialect = \"generic\""), (Dialect::Generic, 600));
    assert_eq!(target("https://www.wrike.com/", ", requests_per_minute = 100"), (Dialect::Wrike, 100));
}

#[test]
fn a_target_url_keeps_its_path_and_loses_its_last_slash() {
    for (written, kept) in [
        ("https://scim.example/scim/v2/", "https://scim.example/scim/v2"),
        ("https://scim.example/scim/v2", "https://scim.example/scim/v2"),
        ("https://scim.example", "https://scim.example/"),
    ] {
        let text =
            format!("[[sync]]\n{SOURCE}\ntarget = {{ url = \"{written}\", token = {{ env = \"T\" }} }}");
        assert_eq!(good(&text).syncs[0].target.url.as_str(), kept);
    }
}

#[test]
fn lifecycle_scope_and_adoption_are_read() {
    let sync = sync(
        r#"
        schedule = "0 0 3 * * SUN"
        timezone = "Europe/Berlin"
        jitter = "2m"
        watch = "5s"
        max_apply = "1h"
        scope = { domains = ["ACME.com", "Bücher.example", "acme.com"], filter = "'Bots' not in user.groups" }
        adopt = { match = ["email", "externalId"], mode = "hold" }
        [sync.lifecycle]
        create = false
        on_unassigned = "delete"
        on_suspended = "keep"
        on_pending = "create"
        delete_after = "30d"
        recreate = true
        "#,
    );
    assert_eq!((sync.schedule.as_str(), sync.timezone.name()), ("0 0 3 * * SUN", "Europe/Berlin"));
    assert_eq!((sync.jitter, sync.max_apply), (Duration::from_secs(120), Duration::from_secs(3600)));
    assert_eq!(sync.watch, Watch::Every(Duration::from_secs(5)));
    assert_eq!(sync.scope.domains, ["acme.com", "xn--bcher-kva.example"]);
    assert_eq!(sync.scope.filter.as_deref(), Some("'Bots' not in user.groups"));
    assert_eq!((sync.adopt.ladder, sync.adopt.hold), (vec![MatchBy::Email, MatchBy::ExternalId], true));
    assert!(!sync.lifecycle.create && sync.lifecycle.update);
    assert_eq!(sync.lifecycle.on_unassigned, RemovalPolicy::Delete);
    assert_eq!(sync.lifecycle.on_deleted, RemovalPolicy::Delete, "follows on_unassigned");
    assert_eq!(sync.lifecycle.on_suspended, RemovalPolicy::Keep);
    assert!(sync.lifecycle.create_pending && sync.lifecycle.recreate);
    assert_eq!(sync.lifecycle.delete_after, Some(Duration::from_secs(30 * 86_400)));
}

#[test]
fn attribute_rules_keep_the_order_of_the_file() {
    let sync = sync(
        r#"[sync.attributes]
        "title" = "user.title"
        "emails[ type EQ \"home\" ].value" = { from = "profile.secondEmail", on_missing = "clear" }
        "displayName" = { from = "user.displayName" }
        "name.givenName" = "off""#,
    );
    let shown: Vec<_> = sync
        .attributes
        .iter()
        .map(|rule| match &rule.rule {
            AttributeMapping::Off => format!("{} off", rule.path),
            AttributeMapping::From { expression, clear_when_missing } => {
                format!("{} {expression} {clear_when_missing}", rule.path)
            }
        })
        .collect();
    assert_eq!(
        shown,
        [
            "title user.title false",
            "emails[type eq \"home\"].value profile.secondEmail true",
            "displayName user.displayName false",
            "name.givenName off"
        ]
    );
}

#[test]
fn several_syncs_have_their_own_names() {
    let one = |name: &str| format!("[[sync]]\nname = \"{name}\"\n{SOURCE}\n{TARGET}\n");
    let config = good(&format!("{}{}{}", one("wrike"), one("wrike-eu"), one("3.x_y")));
    let names: Vec<_> = config.syncs.iter().map(|sync| sync.name.as_str()).collect();
    assert_eq!(names, ["wrike", "wrike-eu", "3.x_y"]);
    assert_eq!(problems(&format!("{}{}", one("wrike"), one("Wrike"))), ["two [[sync]] are called `Wrike`"]);
    let unnamed = format!("[[sync]]\n{SOURCE}\n{TARGET}\n");
    assert_eq!(problems(&format!("{}{unnamed}{unnamed}", one("a"))), ["[[sync]] lacks `name`"; 2]);
}

#[path = "config/mistakes.rs"]
mod mistakes;
#[path = "config/secrecy.rs"]
mod secrecy;
#[path = "config/shown.rs"]
mod shown;

//! Each rule, by the mistake that breaks it; the telling ones as people see them.

use super::*;

/// What is reported for further lines in a good sync.
fn in_sync(lines: &str) -> Vec<String> {
    problems(&sync_with(lines))
}

/// What is reported for the keys of a source, with the required ones of Okta in place.
fn in_okta(keys: &str) -> Vec<String> {
    let required =
        r#"kind = "okta", app_id = "0oa1", url = "https://acme.okta.com", api_token = { env = "T" }"#;
    problems(&source_with(&format!("{required}, {keys}")))
}

fn in_target(keys: &str) -> Vec<String> {
    let required = r#"url = "https://scim.example/v2", token = { env = "T" }"#;
    problems(&format!("[[sync]]\n{SOURCE}\ntarget = {{ {required}, {keys} }}\n"))
}

fn target_url(url: &str) -> Vec<String> {
    problems(&format!("[[sync]]\n{SOURCE}\ntarget = {{ url = \"{url}\", token = {{ env = \"T\" }} }}\n"))
}

fn source_url(url: &str) -> Vec<String> {
    problems(&source_with(&format!(
        r#"kind = "okta", app_id = "0oa1", api_token = {{ env = "T" }}, url = "{url}""#
    )))
}

#[test]
fn a_value_out_of_its_rule_is_one_mistake() {
    let cases = [
        ("name = \"\"", "`name` cannot be ``"),
        ("name = \"a b\"", "`name` cannot be `a b`"),
        ("name = \"-a\"", "`name` cannot be `-a`"),
        ("name = \"ä\"", "`name` cannot be `ä`"),
        ("name = \"../a\"", "`name` cannot be `../a`"),
        ("name = 5", "`name` must be a string, not a whole number"),
        (
            "schedule = \"* * * *\"",
            "`schedule` is not a cron expression: a schedule has five fields, or six with seconds first, not 4",
        ),
        ("schedule = \"0 0 * * 8\"", "`schedule` is not a cron expression: the weekday field cannot be `8`"),
        (
            "schedule = \"0 0 31 2 *\"",
            "`schedule` is not a cron expression: this never fires: no month has such a day",
        ),
        (
            "schedule = \"off\"",
            "`schedule` is not a cron expression: a schedule has five fields, or six with seconds first, not 1",
        ),
        ("timezone = \"Europe/Berlim\"", "`Europe/Berlim` is not a time zone"),
        ("timezone = \"\"", "`` is not a time zone"),
        ("jitter = \"soon\"", "`jitter` cannot be `soon`"),
        ("jitter = 30", "`jitter` must be a string, not a whole number"),
        ("jitter = \"25h\"", "`jitter` must be at most 1d"),
        ("watch = \"4s\"", "`watch` must be at least 5s"),
        ("watch = \"on\"", "`watch` cannot be `on`"),
        ("watch = true", "`watch` must be a string, not true or false"),
        ("max_apply = \"0s\"", "`max_apply` must be at least 1m"),
        ("max_read = \"5s\"", "`max_read` must be at least 1m"),
        (
            "scope = { domains = [\"ann@acme.com\"] }",
            "`ann@acme.com` is an address or begins with @, not a domain",
        ),
        ("scope = { domains = [\"*.acme.com\"] }", "`*.acme.com` is a pattern, not a domain"),
        ("scope = { domains = [\"acme com\"] }", "`acme com` is not a domain"),
        ("scope = { domains = \"acme.com\" }", "`domains` must be a list of strings, not a string"),
        ("scope = { domains = [1] }", "each of `domains` must be a string, not a whole number"),
        ("scope = { filter = \"\" }", "the expression is empty"),
        (
            "scope = { filter = \"user.title ==\" }",
            "this is not a valid expression: unexpected end of input, expected expression",
        ),
        ("scope = 1", "`scope` must be a table, not a whole number"),
        ("lifecycle = { create = \"yes\" }", "`create` must be true or false, not a string"),
        ("lifecycle = { on_unassigned = \"disable\" }", "`on_unassigned` cannot be `disable`"),
        ("lifecycle = { on_suspended = \"delete\" }", "`on_suspended` cannot be `delete`"),
        ("lifecycle = { on_pending = \"true\" }", "`on_pending` cannot be `true`"),
        ("lifecycle = { delete_after = \"0d\" }", "`delete_after` must be at least 1h"),
        ("lifecycle = { delete_after = \"never\" }", "`delete_after` cannot be `never`"),
        ("adopt = { match = [] }", "`match` is empty"),
        ("adopt = { match = [\"username\"] }", "`match` cannot be `username`"),
        ("adopt = { match = [\"email\", \"email\"] }", "`match` lists `email` twice"),
        ("adopt = { mode = \"ask\" }", "`mode` cannot be `ask`"),
        (
            "guard.protected = [\"[a\"]",
            "`protected` has a bad pattern `[a`: unclosed character class; missing ']'",
        ),
        ("attributes = 1", "`attributes` must be a table, not a whole number"),
        ("user_type = {}", "[sync.user_type] lacks `path`"),
        ("user_type = { path = \"wrike:userType\" }", "what stands before the last colon is not a URN"),
    ];
    for (lines, problem) in cases {
        assert_eq!(in_sync(lines), [problem], "{lines}");
    }
}

#[test]
fn a_limit_out_of_its_rule_is_one_mistake() {
    let cases = [
        ("drift.access = \"fight\"", "`access` cannot be `fight`"),
        ("drift.reactivate = true", "`reactivate` must be a string, not true or false"),
        ("drift.attributes = \"repaired\"", "`attributes` cannot be `repaired`"),
        ("drift.acces = \"report\"", "unknown key `acces` in [sync.drift]"),
        ("drift = \"off\"", "`drift` must be a table, not a string"),
        ("guard.max_removals_percent = 101", "`max_removals_percent` is out of range"),
        ("guard.max_seats = \"many\"", "`max_seats` must be a whole number, not a string"),
        ("guard.approval = [\"everything\"]", "`approval` cannot be `everything`"),
        ("guard.max_removal = 5", "unknown key `max_removal` in [sync.guard]"),
    ];
    for (lines, problem) in cases {
        assert_eq!(in_sync(lines), [problem], "{lines}");
    }
}

#[test]
fn an_attribute_rule_out_of_its_rule_is_one_mistake() {
    let cases = [
        ("\"titel\" = \"user.title\"", "`titel` is no attribute of a SCIM User"),
        ("\"id\" = \"user.id\"", "`id` cannot be mapped: the target gives it"),
        ("\"active\" = \"off\"", "`active` cannot be mapped: the lifecycle decides it: see [sync.lifecycle]"),
        ("\"userName\" = \"off\"", "`userName` cannot be left out: no account is without one"),
        (
            "\"userName\" = { from = \"user.email\", on_missing = \"clear\" }",
            "`userName` cannot be left out: no account is without one",
        ),
        ("name.givenName = \"user.givenName\"", "a path with a dot must be quoted"),
        ("name = { givenName = \"user.givenName\" }", "a path with a dot must be quoted"),
        ("\"title\" = true", "a mapping is an expression in quotes, not true or false"),
        ("\"title\" = {}", "an attribute rule lacks `from`"),
        ("\"title\" = { from = \"user.title\", on_missing = \"drop\" }", "`on_missing` cannot be `drop`"),
        (
            "\"title\" = { from = \"user.title\", onmissing = \"keep\" }",
            "unknown key `onmissing` in an attribute rule",
        ),
        ("\"title\" = { from = 5 }", "`from` must be a string, not a whole number"),
        ("\"title\" = \"{{ user.title }}\"", "this is not a valid expression: unexpected `{`, expected `:`"),
        ("\"title\" = \"user.title\"\n\"Title\" = \"off\"", "`title` is mapped twice"),
    ];
    for (line, problem) in cases {
        let found = in_sync(&format!("[sync.attributes]\n{line}"));
        // What exactly the expression parser expected is its business.
        let expected = problem.split(": unexpected `{`").next().unwrap();
        assert!(found.len() == 1 && found[0].starts_with(expected), "{line}: {found:?}");
    }
}

#[test]
fn a_user_type_out_of_its_rule_is_one_mistake() {
    let path = "path = \"urn:acme:2.0:User:userType\"";
    let cases = [
        ("default = \"Guest\"", "`default` cannot be `Guest`: it is not in `values`"),
        (
            "values = [\"Regular\", \"Guest\"]",
            "`values` are not the usual ones, so `billable` must say which of them take a paid seat",
        ),
        ("billable = [\"Externl\"]", "`billable` cannot be `Externl`: it is not in `values`"),
        (
            "values = [\"Member\", \"Viewer\"]\nbillable = [\"Member\"]",
            "`values` lacks \"Regular\", which is the default where none is written",
        ),
        ("groups = [{ group = \"Other\", value = \"External\" }]", "the group `Other` is not declared"),
        (
            "groups = [{ group = \"Known\", value = \"Guest\" }]",
            "`value` cannot be `Guest`: it is not in `values`",
        ),
        ("groups = [{ group = \"Known\" }]", "sync.user_type.groups lacks `value`"),
        ("groups = [\"Known\"]", "`groups` must be a list of tables, not a string"),
        (
            "from = \"app.\"",
            "this is not a valid expression: unexpected end of input, expected identifier or integer",
        ),
    ];
    for (lines, problem) in cases {
        let source = r#"source = { kind = "okta", url = "https://acme.okta.com", app_id = "0oa1", api_token = { env = "T" }, groups = ["Known"] }"#;
        let text = format!("[[sync]]\n{source}\n{TARGET}\n[sync.user_type]\n{path}\n{lines}\n");
        assert_eq!(problems(&text), [problem], "{lines}");
    }
    let custom = "values = [\"Member\", \"Viewer\"]\nbillable = [\"Member\"]\ndefault = \"Viewer\"";
    let sync = sync(&format!("[sync.user_type]\n{path}\n{custom}"));
    assert_eq!(sync.user_type.unwrap().default, "Viewer");
    let twice = in_sync("[sync.user_type]\npath = \"userType\"\n[sync.attributes]\n\"userType\" = \"app.x\"");
    assert_eq!(twice, ["`userType` is mapped twice"]);
}

#[test]
fn a_source_out_of_its_rule_is_one_mistake() {
    let cases = [
        ("groups = [\"A\", \"A\"]", "`groups` lists `A` twice"),
        ("groups = [\" \"]", "`groups` has an empty name"),
        ("rate_share_percent = 0", "`rate_share_percent` is out of range"),
        ("rate_share_percent = 101", "`rate_share_percent` is out of range"),
        ("rate_share_percent = -1", "`rate_share_percent` is out of range"),
        ("rate_share_percent = 50.5", "`rate_share_percent` must be a whole number, not a decimal number"),
        ("rate_share_percent = \"50\"", "`rate_share_percent` must be a whole number, not a string"),
        ("proxy = \"proxy:3128\"", "`proxy` must begin with http:// or https://"),
        (
            "proxy = \"http://ann:pw@proxy:3128\"",
            "`proxy` carries a user name or password; addresses get into logs",
        ),
        ("ca_file = \"ca.pem\"", "`ca_file` must be an absolute path"),
        ("client_id = \"a\"", "`client_id` does not go with kind = \"okta\""),
        ("client_secret = { env = \"S\" }", "`client_secret` does not go with kind = \"okta\""),
        (
            "oauth = { client_id = \"a\", private_key = { env = \"K\" } }",
            "`api_token` and `oauth` exclude each other",
        ),
    ];
    for (keys, problem) in cases {
        assert_eq!(in_okta(keys), [problem], "{keys}");
    }
}

#[test]
fn each_vendor_asks_for_its_own_login() {
    let okta = r#"kind = "okta", app_id = "0oa1", url = "https://acme.okta.com""#;
    let onelogin = r#"kind = "onelogin", app_id = "77", url = "https://acme.onelogin.com""#;
    let cases: &[(&str, &str, &[&str])] = &[
        (okta, "groups = []", &["[sync.source] does not say how to log in to Okta"]),
        (
            okta,
            "oauth = {}",
            &["sync.source.oauth lacks `client_id`", "sync.source.oauth lacks `private_key`"],
        ),
        (
            okta,
            "oauth = { client_id = \"\", private_key = { env = \"K\" }, dpop = \"maybe\" }",
            &["`client_id` is empty or has characters that no id has", "`dpop` cannot be `maybe`"],
        ),
        (okta, "oauth = true", &["`oauth` must be a table, not true or false"]),
        (
            onelogin,
            "groups = []",
            &["[sync.source] lacks `client_id`", "[sync.source] lacks `client_secret`"],
        ),
        (
            onelogin,
            "client_id = \"a\", client_secret = { env = \"S\" }, api_token = { env = \"T\" }",
            &["`api_token` does not go with kind = \"onelogin\""],
        ),
    ];
    for (vendor, keys, expected) in cases {
        assert_eq!(problems(&source_with(&format!("{vendor}, {keys}"))), *expected, "{keys}");
    }
    let numbers = r#"kind = "onelogin", url = "https://a.onelogin.com", client_id = "a", client_secret = { env = "S" }"#;
    assert_eq!(
        problems(&source_with(&format!("{numbers}, app_id = \"0oa1\""))),
        ["`app_id` of OneLogin is a number"]
    );
    for (app_id, problem) in [
        ("\"\"", "`app_id` is empty"),
        ("\"a/b\"", "`app_id` is not an app's id: letters and digits only"),
        ("\"a b\"", "`app_id` is not an app's id: letters and digits only"),
        ("\"0oa1?x\"", "`app_id` is not an app's id: letters and digits only"),
        ("77", "`app_id` must be a string, not a whole number"),
    ] {
        assert_eq!(problems(&source_with(&format!("{numbers}, app_id = {app_id}"))), [problem]);
    }
}

#[test]
fn what_is_required_is_asked_for_all_at_once() {
    assert_eq!(problems("[[sync]]\n"), ["[[sync]] lacks `source`", "[[sync]] lacks `target`"]);
    assert_eq!(
        problems("[[sync]]\nsource = {}\ntarget = {}\n"),
        [
            "[sync.source] lacks `kind`",
            "[sync.source] lacks `url`",
            "[sync.source] lacks `app_id`",
            "[sync.target] lacks `url`",
            "[sync.target] lacks `token`"
        ]
    );
    assert_eq!(problems(""), ["there is no [[sync]]: nothing to keep equal"]);
    assert_eq!(problems("sync = []"), ["`sync` has no entry"]);
    assert_eq!(problems("sync = 1"), ["`sync` must be a list of tables, not a whole number"]);
    let single = sync_with("").replace("[[sync]]", "[sync]");
    assert_eq!(problems(&single), ["`sync` is a list of tables"]);
}

#[test]
fn a_target_out_of_its_rule_is_one_mistake() {
    let cases = [
        ("dialect = \"scim\"", "`dialect` cannot be `scim`"),
        ("requests_per_minute = 0", "`requests_per_minute` is out of range"),
        ("concurrency = 0", "`concurrency` is out of range"),
        ("concurrency = 65", "`concurrency` is out of range"),
        ("reserve_for_removals_percent = 91", "`reserve_for_removals_percent` is out of range"),
        ("timeout = \"0s\"", "`timeout` must be at least 1s"),
        ("timeout = \"11m\"", "`timeout` must be at most 10m"),
        ("timeout = 30", "`timeout` must be a string, not a whole number"),
        ("proxy = \"ftp://proxy\"", "`proxy` must begin with http:// or https://"),
    ];
    for (keys, problem) in cases {
        assert_eq!(in_target(keys), [problem], "{keys}");
    }
}

#[test]
fn an_address_out_of_its_rule_is_one_mistake() {
    let cases = [
        ("http://scim.example/v2", "`url` must be https: http is accepted for loopback addresses only"),
        ("http://10.0.0.1/v2", "`url` must be https: http is accepted for loopback addresses only"),
        ("http://127.0.0.1.example/v2", "`url` must be https: http is accepted for loopback addresses only"),
        ("https://ann:pw@scim.example/v2", "`url` carries a user name or password; addresses get into logs"),
        ("https://scim.example/v2?token=a", "`url` must end before ? and #"),
        ("https://scim.example/v2#a", "`url` must end before ? and #"),
        ("https://scim.example/v2/Users", "`url` is the address of the accounts, not the SCIM base URL"),
        ("https://…", "`url` is still a placeholder"),
        ("scim.example/v2", "`url` is not a URL: relative URL without a base"),
        ("", "`url` is not a URL: relative URL without a base"),
    ];
    for (url, problem) in cases {
        assert_eq!(target_url(url), [problem], "{url}");
    }
    assert_eq!(source_url("https://acme.okta.com/api/v1"), ["`url` must have no path"]);
    assert_eq!(
        source_url("https://acme-admin.okta.com"),
        ["`url` is the admin console, not the organisation"]
    );
    assert_eq!(
        source_url("http://acme.okta.com"),
        ["`url` must be https: http is accepted for loopback addresses only"]
    );
    for loopback in
        ["http://127.0.0.1:8080", "http://127.8.9.1", "http://[::1]:8080", "http://localhost:8080/"]
    {
        good(&source_with(&format!(
            r#"kind = "okta", app_id = "a", api_token = {{ env = "T" }}, url = "{loopback}""#
        )));
    }
}

#[test]
fn a_daemon_table_out_of_its_rule_is_one_mistake() {
    let long = format!("socket = \"/{}\"", "a".repeat(107));
    let cases = [
        (
            "listen = \"0.0.0.0:9464\"",
            "`listen` must be a loopback address: the status page asks for no password",
        ),
        ("listen_public = \"yes\"", "`listen_public` must be true or false, not a string"),
        ("listen = \"localhost:9464\"", "`listen` is not an address with a port"),
        ("listen = \"127.0.0.1\"", "`listen` is not an address with a port"),
        ("listen = 9464", "`listen` must be a string, not a whole number"),
        ("socket = \"rosterd.sock\"", "`socket` must be an absolute path"),
        (long.as_str(), "`socket` is too long for a Unix socket"),
        ("notify = {}", "daemon.notify lacks `url`"),
        ("notify = \"https://hooks.example\"", "`notify` must be a table, not a string"),
        ("notify = { url = \"https://a.example\", on = [] }", "`on` is empty"),
        ("notify = { url = \"https://a.example\", on = [\"hold\"] }", "`on` cannot be `hold`"),
        (
            "notify = { url = \"http://a.example\" }",
            "`url` must be https: http is accepted for loopback addresses only",
        ),
        (
            "dead_man = \"http://a.example\"",
            "`dead_man` must be https: http is accepted for loopback addresses only",
        ),
        ("port = 9464", "unknown key `port` in [daemon]"),
    ];
    for (line, problem) in cases {
        assert_eq!(problems(&format!("[daemon]\n{line}\n{}", sync_with(""))), [problem], "{line}");
    }
    assert_eq!(
        problems(&format!("state_dir = \"x\"\n{}", sync_with(""))),
        ["`state_dir` must be an absolute path"]
    );
    for (value, problem) in [
        ("\"30d\"", "`keep_history` must be at least 31d"),
        ("\"4000d\"", "`keep_history` must be at most 3650d"),
        ("\"forever\"", "`keep_history` cannot be"),
        ("400", "`keep_history` must be a string, not a whole number"),
    ] {
        let problems = problems(&format!("keep_history = {value}\n{}", sync_with("")));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(problem), "{problems:?}");
    }
}

#[test]
fn a_secret_out_of_its_rule_is_one_mistake() {
    let cases = [
        ("\"hunter2\"", "`token` holds the secret itself; this file is not the place for it"),
        ("5", "`token` must be a table that says where the secret is, not a whole number"),
        ("{}", "`token` does not say where the secret is"),
        ("{ file = \"/a\", env = \"A\" }", "`token` names several places"),
        ("{ file = \"a.token\" }", "`file` must be an absolute path"),
        ("{ env = \"A-B\" }", "`env` of `token` is not the name of an environment variable"),
        ("{ env = \"\" }", "`env` of `token` is not the name of an environment variable"),
        ("{ credential = \"../a\" }", "`credential` of `token` is not a plain file name"),
        ("{ file = 5 }", "`file` must be a string, not a whole number"),
    ];
    for (secret, problem) in cases {
        let text =
            format!("[[sync]]\n{SOURCE}\ntarget = {{ url = \"https://scim.example\", token = {secret} }}\n");
        assert_eq!(problems(&text), [problem], "{secret}");
    }
}

#[test]
fn unknown_keys_are_all_told_with_the_nearest_known_one() {
    let text = format!(
        "statedir = 1\n[deamon]\n{}",
        sync_with("schedul = 1\ntimeout = 2\nxyzzy = 3\n[sync.lifecycle]\non-deleted = 4")
    );
    let errors = errors(&text);
    let told: Vec<_> =
        errors.diagnostics().iter().map(|one| (one.problem.as_str(), one.help[0].as_str())).collect();
    assert_eq!(
        told,
        [
            ("unknown key `statedir` in the top level", "the nearest key is `state_dir`"),
            ("unknown key `deamon` in the top level", "the nearest key is `daemon`"),
            ("unknown key `schedul` in [[sync]]", "the nearest key is `schedule`"),
            ("unknown key `timeout` in [[sync]]", "`timeout` belongs in [sync.target]"),
            (
                "unknown key `xyzzy` in [[sync]]",
                "[[sync]] has these keys: name, schedule, timezone, jitter, watch, max_apply, max_read, source, target, \
                 scope, lifecycle, guard, adopt, drift, user_type, attributes"
            ),
            ("unknown key `on-deleted` in [sync.lifecycle]", "the nearest key is `on_deleted`"),
        ]
    );
}

#[test]
fn a_file_full_of_mistakes_is_cut_at_a_hundred_and_counted() {
    let lines: String = (0..5000).map(|number| format!("x{number} = 1\n")).collect();
    let errors = errors(&format!("{lines}{}", sync_with("")));
    assert_eq!(errors.diagnostics().len(), 100);
    assert!(errors.to_string().ends_with("error: and 4900 more like these"));
}

#[test]
fn files_that_cannot_be_read_are_told_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    let load = || config::load(&path, &nothing()).map(|_| ()).unwrap_err();
    let told = |errors: &ConfigErrors| {
        let [one] = errors.diagnostics() else { panic!("one error: {errors}") };
        (one.problem.replace(&path.display().to_string(), "PATH"), one.help[0].clone())
    };
    let (problem, help) = told(&load());
    assert_eq!(problem, "cannot read the configuration PATH: no such file");
    assert!(help.contains("-c PATH") && help.contains("rosterd init --source okta"));
    fs::write(&path, b"name = \"a\"\n# \xff\n").unwrap();
    assert_eq!(told(&load()).0, "cannot use PATH as the configuration: line 2 is not UTF-8 text");
    fs::write(&path, vec![b'#'; 1024 * 1024 + 1]).unwrap();
    assert_eq!(told(&load()).0, "cannot use PATH as the configuration: it is larger than 1 MiB");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(told(&load()).0, "cannot read the configuration PATH: it is a directory");
    fs::remove_dir(&path).unwrap();
    fs::write(&path, sync_with("")).unwrap();
    let config = config::load(&path, &nothing()).unwrap();
    assert_eq!(config.path, path);
}

#[test]
fn colour_is_asked_for() {
    let errors = errors("[[sync]]\n");
    assert!(!errors.to_string().contains('\u{1b}'));
    assert!(errors.render(true).contains('\u{1b}'));
    assert_eq!(errors.render(false), errors.to_string());
}

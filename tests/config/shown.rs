//! The telling mistakes, as people see them.

use insta::assert_snapshot;

use super::*;

#[test]
fn a_misspelled_key_next_to_a_misplaced_one() {
    let errors = errors(&sync_with("schedul = \"0 * * * *\"\nconcurrency = 4"));
    assert_snapshot!(errors, @r##"
    error: unknown key `schedul` in [[sync]]
     --> config.toml:4:1
      |
    4 | schedul = "*********"
      | ^^^^^^^ not a key of [[sync]]
      |
      = help: the nearest key is `schedule`

    error: unknown key `concurrency` in [[sync]]
     --> config.toml:5:1
      |
    5 | concurrency = 4
      | ^^^^^^^^^^^ not a key of [[sync]]
      |
      = help: `concurrency` belongs in [sync.target]
    "##);
}

#[test]
fn a_secret_written_into_the_file() {
    let errors = errors(
        "[[sync]]\n[sync.source]\nkind = \"okta\"\nurl = \"https://acme.okta.com\"\napi_token = \"00abcDEF\" # from Ann\napp_id = \"0oa1\"\n[sync.target]\nurl = \"https://scim.example\"\ntoken = { env = \"T\" }",
    );
    assert_snapshot!(errors, @r##"
    error: `api_token` holds the secret itself; this file is not the place for it
     --> config.toml:5:13
      |
    5 | api_token = "********"
      |             ^^^^^^^^^^ not shown
      |
      = help: write api_token = { file = "/etc/rosterd/okta.token" } (mode 600), { credential = "okta-token" } or { env = "OKTA_TOKEN" }
    "##);
}

#[test]
fn a_source_without_what_it_needs() {
    let errors = errors(&format!("[[sync]]\n{TARGET}\n[sync.source]\nkind = \"okta\"\n"));
    assert_snapshot!(errors, @r##"
    error: [sync.source] lacks `url`
     --> config.toml:3:1
      |
    3 | [sync.source]
      | ^^^^^^^^^^^^^ `url` is required
      |
      = help: write url = "https://acme.okta.com"

    error: [sync.source] lacks `app_id`
     --> config.toml:3:1
      |
    3 | [sync.source]
      | ^^^^^^^^^^^^^ `app_id` is required
      |
      = help: it is in the address of the app's page in the Admin Console: /app/NAME/instance/0oa…/

    error: [sync.source] does not say how to log in to Okta
     --> config.toml:3:1
      |
    3 | [sync.source]
      | ^^^^^^^^^^^^^ `api_token` or `oauth` is required
      |
      = help: write api_token = { file = "/etc/rosterd/okta.token" }, or oauth = { client_id = "0oa…", private_key = { file = "/etc/rosterd/okta-key.pem" } }
    "##);
}

#[test]
fn two_logins_at_once() {
    let errors = errors(&source_with(
        "kind = \"okta\", url = \"https://acme.okta.com\", app_id = \"0oa1\", api_token = { env = \"T\" }, oauth = { client_id = \"0oa2\", private_key = { env = \"K\" } }",
    ));
    assert_snapshot!(errors, @r##"
    error: `api_token` and `oauth` exclude each other
     --> config.toml:2:102
      |
    2 | source = { kind = "okta", url = "https://acme.okta.com", app_id = "0oa1", api_token = { env = "T" }, oauth = { client_id = "0oa2", pr...
      |                                                                                                      ^^^^^ one login is enough
      |
      = help: keep one; oauth is the one Okta recommends
    "##);
}

#[test]
fn the_login_of_the_other_vendor() {
    let errors = errors(&source_with(
        "kind = \"onelogin\", url = \"https://acme.onelogin.com\", app_id = \"77\", api_token = { env = \"T\" }",
    ));
    assert_snapshot!(errors, @r##"
    error: [sync.source] lacks `client_id`
     --> config.toml:2:10
      |
    2 | source = { kind = "onelogin", url = "https://acme.onelogin.com", app_id = "77", api_token = { env = "T" } }
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `client_id` is required
      |
      = help: Developers > API Credentials shows it: client_id = "…"

    error: [sync.source] lacks `client_secret`
     --> config.toml:2:10
      |
    2 | source = { kind = "onelogin", url = "https://acme.onelogin.com", app_id = "77", api_token = { env = "T" } }
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `client_secret` is required
      |
      = help: write client_secret = { file = "/etc/rosterd/onelogin.secret" }

    error: `api_token` does not go with kind = "onelogin"
     --> config.toml:2:81
      |
    2 | source = { kind = "onelogin", url = "https://acme.onelogin.com", app_id = "77", api_token = { env = "T" } }
      |                                                                                 ^^^^^^^^^
      |
      = help: for OneLogin write client_id = "…" and client_secret = { … }
    "##);
}

#[test]
fn clear_text_beyond_loopback() {
    let errors = errors(&format!(
        "[[sync]]\n{SOURCE}\ntarget = {{ url = \"http://scim.example/v2\", token = {{ env = \"T\" }} }}\n"
    ));
    assert_snapshot!(errors, @r##"
    error: `url` must be https: http is accepted for loopback addresses only
     --> config.toml:3:18
      |
    3 | target = { url = "http://scim.example/**", token = { env = "T" } }
      |                  ^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write https://
    "##);
}

#[test]
fn a_path_where_an_origin_belongs() {
    let errors = errors(&source_with(
        "kind = \"okta\", url = \"https://acme.okta.com/admin/apps\", app_id = \"0oa1\", api_token = { env = \"T\" }",
    ));
    assert_snapshot!(errors, @r##"
    error: `url` must have no path
     --> config.toml:2:33
      |
    2 | source = { kind = "okta", url = "https://acme.okta.com/**********", app_id = "0oa1", api_token = { env = "T" } }
      |                                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write "https://acme.okta.com"
    "##);
}

#[test]
fn an_expression_that_assigns() {
    let errors = errors(&sync_with("[sync.scope]\nfilter = \"user.department = 'Sales'\""));
    assert_snapshot!(errors, @r##"
    error: this is not a valid expression: unexpected input after expression
     --> config.toml:5:27
      |
    5 | filter = "user.department = 'Sales'"
      |                           ^
      |
      = help: equality is written ==
    "##);
}

#[test]
fn an_expression_over_several_lines() {
    let errors = errors(&sync_with("[sync.attributes]\n\"title\" = '''\nuser.title\n  ~ (app.grade'''"));
    assert_snapshot!(errors, @r##"
    error: this is not a valid expression: unexpected end of input, expected `)`
     --> config.toml:7:10
      |
    7 |   ~ (app.grade'''
      |          ^^^^^
      |
      = help: expressions are Jinja's, such as user.givenName ~ ' ' ~ user.familyName
    "##);
}

#[test]
fn a_schedule_with_a_backward_range() {
    let errors = errors(&sync_with("schedule = \"0 3 * * FRI-MON\"\ntimezone = \"berlin\""));
    assert_snapshot!(errors, @r##"
    error: `schedule` is not a cron expression: the weekday range FRI-MON runs backwards
     --> config.toml:4:12
      |
    4 | schedule = "0 3 * * FRI-MON"
      |            ^^^^^^^^^^^^^^^^^
      |
      = help: write it as two: FRI-SAT,SUN-MON

    error: `berlin` is not a time zone
     --> config.toml:5:12
      |
    5 | timezone = "berlin"
      |            ^^^^^^^^
      |
      = help: write timezone = "Europe/Berlin"
    "##);
}

#[test]
fn a_drift_schedule_that_is_no_cron_expression() {
    let errors = errors(&sync_with("[sync.guard]\nmax_removals = -1\n[sync.drift]\nschedule = \"daily\""));
    assert_snapshot!(errors, @r##"
    error: `max_removals` is out of range
     --> config.toml:5:16
      |
    5 | max_removals = -1
      |                ^^ must be 0 to 10000000
      |
      = help: write a whole number from 0 to 10000000

    error: `schedule` is not a cron expression: a schedule has five fields, or six with seconds first, not 1
     --> config.toml:7:12
      |
    7 | schedule = "daily"
      |            ^^^^^^^
      |
      = help: minute, hour, day of month, month, weekday: "*/15 * * * *" is every 15 minutes
    "##);
}

#[test]
fn an_unquoted_path_and_an_extension_without_its_urn() {
    let errors = errors(&sync_with(
        "[sync.attributes]\nname.givenName = \"user.givenName\"\n\"department\" = \"user.department\"",
    ));
    assert_snapshot!(errors, @r##"
    error: a path with a dot must be quoted
     --> config.toml:5:1
      |
    5 | name.givenName = "user.givenName"
      | ^^^^ TOML reads this as a table
      |
      = help: write "name.givenName" = …

    error: `department` is no attribute of a SCIM User
     --> config.toml:6:1
      |
    6 | "department" = "***************"
      | ^^^^^^^^^^^^
      |
      = help: it belongs to the enterprise extension: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"
    "##);
}

#[test]
fn an_undeclared_group() {
    let errors = errors(&sync_with(
        "[sync.user_type]\npath = \"userType\"\ngroups = [{ group = \"Externals\", value = \"Extern\" }]",
    ));
    assert_snapshot!(errors, @r##"
    error: the group `Externals` is not declared
     --> config.toml:6:21
      |
    6 | groups = [{ group = "Externals", value = "Extern" }]
      |                     ^^^^^^^^^^^ not in source.groups
      |
      = help: add it to the list `groups` in [sync.source], spelled the same

    error: `value` cannot be `Extern`: it is not in `values`
     --> config.toml:6:42
      |
    6 | groups = [{ group = "Externals", value = "Extern" }]
      |                                          ^^^^^^^^ did you mean "External"?
      |
      = help: write one of the values, or add it to them
    "##);
}

#[test]
fn broken_toml_stands_alone() {
    let errors = errors("[[sync]]\nschedul = 1\nsource = { kind = \"okta\" api_token = \"00abcDEF\" }\n");
    assert_snapshot!(errors, @r##"
    error: this is not TOML: missing comma between key-value pairs, expected `,`
     --> config.toml:3:26
      |
    3 | source = { kind = "okta" api_token = "********" }
      |                          ^
      |
      = help: strings are quoted, tables are [name], entries are key = value, one a line
    "##);
}

#[test]
fn an_empty_file() {
    let errors = errors("");
    assert_snapshot!(errors, @r##"
    error: there is no [[sync]]: nothing to keep equal
    --> config.toml
     = help: `rosterd init --source okta` (or onelogin) prints a configuration to start from
    "##);
}

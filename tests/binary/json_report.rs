//! `--format json`: one document of `rosterd.report/1` and nothing else, whatever happened; every field and every
//! word of it as documented, and counts that agree with the lines.

use crate::support::{Access, Ran, Stage, action_of, count, line_of};
use rosterd::sim::{Effect, Fault, Peer, html_page, scim_error};
use serde_json::{Map, Value, json};

const VERBS: [&str; 8] = ["create", "adopt", "update", "reactivate", "deactivate", "delete", "block", "skip"];
const OUTCOMES: [&str; 7] = ["planned", "applied", "failed", "held", "deferred", "disabled", "skipped"];
const SITUATIONS: [&str; 15] = [
    "confirmed",
    "returning",
    "found",
    "absent",
    "missing",
    "relink",
    "ambiguous",
    "taken_elsewhere",
    "successor",
    "waiting",
    "suspended",
    "leaver",
    "out_of_scope",
    "gone",
    "blocked",
];
const RESULTS: [&str; 8] = [
    "ok",
    "partial",
    "held",
    "source_incomplete",
    "source_unavailable",
    "target_unavailable",
    "interrupted",
    "error",
];
const TRIGGERS: [&str; 6] = ["manual", "schedule", "watch", "approval", "plan-file", "undo"];
const SUMMARY: [&str; 12] = [
    "create",
    "adopt",
    "update",
    "reactivate",
    "deactivate",
    "delete",
    "unchanged",
    "skipped",
    "held",
    "blocked",
    "failed",
    "deferred",
];

/// The members of an object, which are exactly these.
#[track_caller]
fn members<'a>(value: &'a Value, names: &[&str]) -> &'a Map<String, Value> {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value:#}"));
    let mut expected: Vec<_> = names.to_vec();
    expected.sort_unstable();
    let mut found: Vec<_> = object.keys().map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(found, expected);
    object
}

#[track_caller]
fn word(value: &Value, words: &[&str]) {
    assert!(value.as_str().is_some_and(|text| words.contains(&text)), "{value} is none of {words:?}");
}

#[track_caller]
fn time(value: &Value) -> chrono::DateTime<chrono::FixedOffset> {
    chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap()
}

#[track_caller]
fn text_or_null(value: &Value) {
    assert!(value.is_null() || value.as_str().is_some_and(|text| !text.is_empty()), "{value}");
}

/// Holds the whole document against the contract, and gives its first sync.
#[track_caller]
fn valid(ran: &Ran) -> Value {
    assert!(ran.stdout.ends_with("}\n"), "{}", ran.stdout);
    let document = ran.json();
    let top = members(&document, &["schema", "rosterd", "generated_at", "syncs"]);
    assert_eq!(
        (top["schema"].as_str(), top["rosterd"].as_str()),
        (Some("rosterd.report/1"), Some(env!("CARGO_PKG_VERSION")))
    );
    let generated = time(&top["generated_at"]);
    let syncs = top["syncs"].as_array().unwrap();
    assert!(!syncs.is_empty());
    for sync in syncs {
        valid_sync(sync);
        assert!(
            time(&sync["started_at"]) <= time(&sync["finished_at"])
                && time(&sync["finished_at"]) <= generated
        );
    }
    syncs[0].clone()
}

#[track_caller]
fn valid_sync(sync: &Value) {
    members(
        sync,
        &[
            "sync",
            "run",
            "mode",
            "trigger",
            "result",
            "started_at",
            "finished_at",
            "passes",
            "first_contact",
            "source",
            "target",
            "summary",
            "seats",
            "guards",
            "holds",
            "notes",
            "actions",
        ],
    );
    word(&sync["mode"], &["apply", "dry-run"]);
    word(&sync["trigger"], &TRIGGERS);
    word(&sync["result"], &RESULTS);
    assert_eq!(sync["run"].is_null(), sync["mode"] == "dry-run" || sync["result"] == "error", "{sync:#}");
    let source = members(&sync["source"], &["kind", "users", "pages", "requests", "complete", "problem"]);
    word(&source["kind"], &["okta", "onelogin"]);
    assert!(
        ["users", "pages", "requests"].iter().all(|name| source[*name].is_u64())
            && source["complete"].is_boolean()
    );
    text_or_null(&source["problem"]);
    let target = members(&sync["target"], &["dialect", "requests", "rate_limited", "problem"]);
    word(&target["dialect"], &["wrike", "generic"]);
    assert!(target["requests"].is_u64() && target["rate_limited"].is_u64());
    text_or_null(&target["problem"]);
    let seats = members(&sync["seats"], &["before", "after", "limit"]);
    assert!(
        seats["before"].is_u64()
            && seats["after"].is_u64()
            && (seats["limit"].is_null() || seats["limit"].is_u64())
    );
    for guard in sync["guards"].as_array().unwrap() {
        let guard = members(guard, &["guard", "limit", "value", "tripped"]);
        assert!(guard["guard"].is_string() && guard["value"].is_number() && guard["tripped"].is_boolean());
        assert!(guard["limit"].is_null() || guard["limit"].is_number());
    }
    for hold in sync["holds"].as_array().unwrap() {
        let hold = members(hold, &["id", "revision", "class", "reason", "count", "digest", "expires_at"]);
        word(&hold["class"], &VERBS[..6]);
        assert!(hold["count"].as_u64().unwrap() > 0 && !hold["reason"].as_str().unwrap().is_empty());
    }
    assert!(sync["notes"].as_array().unwrap().iter().all(Value::is_string));
    sync["actions"].as_array().unwrap().iter().for_each(valid_action);
    agrees(sync);
}

#[track_caller]
fn valid_action(line: &Value) {
    let action = members(
        line,
        &[
            "action",
            "user",
            "source_id",
            "target_id",
            "situation",
            "reason",
            "changes",
            "outcome",
            "status",
            "detail",
            "attempts",
            "cause",
            "waits_for",
            "owed_since",
        ],
    );
    text_or_null(&action["cause"]);
    text_or_null(&action["waits_for"]);
    // A dry run makes nothing owed.
    assert!(action["waits_for"].is_string() || action["owed_since"].is_null(), "{line:#}");
    word(&action["action"], &VERBS);
    word(&action["outcome"], &OUTCOMES);
    word(&action["situation"], &SITUATIONS);
    assert!(
        !action["user"].as_str().unwrap().is_empty() && !action["reason"].as_str().unwrap().is_empty(),
        "{line:#}"
    );
    text_or_null(&action["source_id"]);
    text_or_null(&action["target_id"]);
    text_or_null(&action["detail"]);
    assert!(action["attempts"].is_u64());
    let status = &action["status"];
    assert!(status.is_null() || (100..600).contains(&status.as_u64().unwrap()));
    for change in action["changes"].as_array().unwrap() {
        let change = members(change, &["path", "from", "to"]);
        assert!(!change["path"].as_str().unwrap().is_empty());
        assert_ne!(change["from"], change["to"], "{line:#}");
    }
    if action["outcome"] == "applied" && action["action"] != "adopt" {
        assert!(
            !status.is_null() && !action["target_id"].is_null(),
            "said to be done without an answer: {line:#}"
        );
    }
    if action["action"] == "block" {
        assert_eq!(action["outcome"], "skipped");
    }
}

/// Each person once: the summary is the lines counted, and the unchanged.
#[track_caller]
fn agrees(sync: &Value) {
    let summary = members(&sync["summary"], &SUMMARY);
    let mut counted: std::collections::BTreeMap<&str, u64> = SUMMARY.iter().map(|name| (*name, 0)).collect();
    for line in sync["actions"].as_array().unwrap() {
        let (action, outcome) = (line["action"].as_str().unwrap(), line["outcome"].as_str().unwrap());
        let name = match outcome {
            "planned" | "applied" => action,
            "failed" | "held" | "deferred" => outcome,
            _ if action == "block" => "blocked",
            _ => "skipped",
        };
        *counted.get_mut(name).unwrap() += 1;
    }
    counted.insert("unchanged", summary["unchanged"].as_u64().unwrap());
    let told: std::collections::BTreeMap<&str, u64> =
        SUMMARY.iter().map(|name| (*name, summary[*name].as_u64().unwrap())).collect();
    assert_eq!(told, counted, "{sync:#}");
}

const DRY: [&str; 3] = ["--dry-run", "--format", "json"];
const REAL: [&str; 3] = ["--reconcile-now", "--format", "json"];

#[test]
fn a_first_dry_run_and_the_run_tell_the_same_changes() {
    for login in [Access::OktaToken, Access::OneLogin] {
        let stage = Stage::with(login, "");
        stage.hire_all(&["Ann", "Ben"]);
        let plan = valid(&stage.run(&DRY).exits(0));
        assert_eq!((plan["mode"].as_str(), plan["first_contact"].as_bool()), (Some("dry-run"), Some(true)));
        assert_eq!((plan["trigger"].as_str(), plan["result"].as_str()), (Some("manual"), Some("ok")));
        assert_eq!(
            (plan["source"]["users"].as_u64(), plan["source"]["complete"].as_bool()),
            (Some(2), Some(true))
        );
        assert_eq!(plan["seats"], json!({"before": 0, "after": 2, "limit": null}));
        let done = valid(&stage.run(&REAL).exits(0));
        assert_eq!((done["run"].as_u64(), done["mode"].as_str()), (Some(1), Some("apply")));
        for user in ["ann@acme.example", "ben@acme.example"] {
            let (planned, applied) = (line_of(&plan, user), line_of(&done, user));
            assert_eq!(
                (planned["outcome"].as_str(), applied["outcome"].as_str()),
                (Some("planned"), Some("applied"))
            );
            assert_eq!(planned["changes"], applied["changes"]);
            assert!(applied["target_id"].is_string() && applied["status"] == 201 && applied["attempts"] == 1);
        }
        assert_eq!(
            valid(&stage.run(&["--reconcile-now", "--unattended", "--format", "json"]).exits(0))["trigger"],
            "schedule"
        );
    }
}

#[test]
fn every_verb_has_its_line_with_old_and_new() {
    let stage = Stage::with(Access::OktaToken, "scope = { domains = [\"acme.example\"] }");
    let people = stage.hire_all(&["Ann", "Ben", "Cleo", "Dan"]);
    let world = stage.sim.world();
    stage.reconcile();
    world.unassign(people[3]);
    stage.reconcile();
    world.edit(people[0], |person| person.title = Some("Manager".to_owned()));
    world.unassign(people[1]);
    world.assign(people[3]);
    stage.hire("Eve", "Engineer");
    world.add_account(&json!({"userName": "FAY@acme.example", "active": true, "title": "Old"}));
    stage.hire("Fay", "New");
    let gus = stage.hire("Gus", "Engineer");
    world.stage(gus);
    world.hire_assigned("hal@elsewhere.example", |_| {});
    let plan = valid(&stage.run(&DRY).exits(0));
    let done = valid(&stage.run(&REAL).exits(0));
    for (user, verb, situation) in [
        ("ann@acme.example", "update", "confirmed"),
        ("ben@acme.example", "deactivate", "leaver"),
        ("dan@acme.example", "reactivate", "returning"),
        ("eve@acme.example", "create", "absent"),
        ("gus@acme.example", "skip", "waiting"),
        ("hal@elsewhere.example", "block", "blocked"),
    ] {
        let (planned, applied) = (line_of(&plan, user), line_of(&done, user));
        assert_eq!(
            (planned["action"].as_str(), planned["situation"].as_str()),
            (Some(verb), Some(situation)),
            "{planned:#}"
        );
        assert_eq!(
            (&planned["action"], &planned["changes"]),
            (&applied["action"], &applied["changes"]),
            "{user}"
        );
    }
    assert_eq!(
        line_of(&plan, "ann@acme.example")["changes"],
        json!([{"path": "title", "from": "Engineer", "to": "Manager"}])
    );
    let lines = done["actions"].as_array().unwrap();
    let fay = lines.iter().find(|line| line["action"] == "adopt").unwrap();
    assert!(
        fay["changes"].as_array().unwrap().contains(&json!({"path": "title", "from": "Old", "to": "New"})),
        "{fay:#}"
    );
    assert_eq!(count(&done, "unchanged"), 1);
}

#[test]
fn partial_and_held_runs_are_valid_and_say_so() {
    let stage = Stage::new();
    let people = stage.hire_all(&["Ann", "Ben", "Cleo"]);
    let refusal = scim_error(400, Some("invalidValue"), "this userName is not allowed");
    stage.sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(1).then(Effect::Answer(refusal)));
    let sync = valid(&stage.run(&REAL).exits(3));
    assert_eq!(sync["result"], "partial");
    let failed: Vec<_> =
        sync["actions"].as_array().unwrap().iter().filter(|line| line["outcome"] == "failed").collect();
    assert_eq!((failed.len(), failed[0]["status"].as_u64()), (1, Some(400)));
    assert!(failed[0]["detail"].as_str().unwrap().contains("this userName is not allowed"));
    stage.reconcile();
    people.iter().for_each(|person| stage.sim.world().unassign(*person));
    let sync = valid(&stage.run(&REAL).exits(4));
    assert_eq!(
        (sync["result"].as_str(), count(&sync, "held"), count(&sync, "deactivate")),
        (Some("held"), 3, 0)
    );
    assert!(sync["guards"].as_array().unwrap().iter().any(|guard| guard["tripped"] == true), "{sync:#}");
    let hold = &sync["holds"][0];
    assert_eq!((hold["class"].as_str(), hold["count"].as_u64()), (Some("deactivate"), Some(3)));
    assert!(hold["id"].as_str().unwrap().starts_with('h') && !hold["digest"].as_str().unwrap().is_empty());
    time(&hold["expires_at"]);
}

#[test]
fn a_run_that_failed_is_still_one_document() {
    type Sabotage = fn(&Stage);
    let cases: [(&str, i32, &str, Sabotage); 6] = [
        ("the source refuses", 5, "source_unavailable", |stage| {
            stage.sim.okta(|okta| okta.api_token_valid = false)
        }),
        ("the app is gone", 5, "source_incomplete", |stage| stage.sim.world().remove_app()),
        ("a page is no JSON", 5, "source_incomplete", |stage| {
            stage.sim.faults().add(Fault::on(Peer::Okta).path("/users").then(html_page(200)));
        }),
        ("a page repeats", 5, "source_incomplete", |stage| {
            stage.sim.okta(|okta| okta.page_cap = Some(1));
            stage.sim.faults().add(Fault::on(Peer::Okta).path("/users").then(Effect::RepeatCursor));
        }),
        ("the workspace refuses", 6, "target_unavailable", |stage| {
            stage.sim.scim(|scim| scim.token = "no".to_owned())
        }),
        ("the workspace is elsewhere", 6, "target_unavailable", |stage| {
            stage.sim.scim(|scim| scim.wrong_data_centre = true);
        }),
    ];
    for (case, code, result, sabotage) in cases {
        for command in [REAL, DRY] {
            let stage = Stage::new();
            stage.hire_all(&["Ann", "Ben"]);
            sabotage(&stage);
            let ran = stage.run(&command).exits(code);
            let sync = valid(&ran);
            assert_eq!(sync["result"], result, "{case}: {sync:#}");
            let side = if code == 5 { "source" } else { "target" };
            assert!(sync[side]["problem"].is_string(), "{case}: {sync:#}");
            assert_eq!(sync["source"]["complete"].as_bool(), Some(code == 6), "{case}");
            assert!(stage.sim.world().accounts().is_empty(), "{case}");
        }
    }
}

#[test]
fn a_configuration_that_does_not_fit_the_links_is_one_document_too() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    stage.reconcile();
    let target = stage.target("").replace("/scim/v2", "/scim/v2/moved");
    stage.home.configure(&format!("[[sync]]\nsource = {{ {} }}\n{target}\n", stage.source()));
    let sync = valid(&stage.run(&REAL).exits(78));
    assert_eq!(sync["result"], "error");
    assert!(sync["notes"][0].as_str().unwrap().contains("rosterd transfer"), "{sync:#}");
}

#[test]
fn the_document_holds_what_names_hold() {
    let stage = Stage::new();
    let title = "\u{1b}[31mred\u{1b}[0m\nnew line \u{202e}txt.exe אנה \"quoted\" \\ 李";
    let ann = stage.hire("Ann", title);
    let sync = valid(&stage.run(&DRY).exits(0));
    let changes = line_of(&sync, "ann@acme.example")["changes"].clone();
    let told = changes.as_array().unwrap().iter().find(|change| change["path"] == "title").unwrap();
    assert_eq!(told["to"], title, "JSON escapes; it does not alter");
    stage.sim.world().edit(ann, |person| person.title = Some("x".repeat(5000)));
    let sync = valid(&stage.run(&DRY).exits(0));
    assert_eq!(action_of(&sync, "ann@acme.example").0, "create");
    assert!(stage.run(&DRY).stdout.contains(&"x".repeat(5000)), "nothing is cut");
}

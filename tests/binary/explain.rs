//! `rosterd explain`: why one person has an account, or none. Fresh against both vendors, and from stored data alone.

use crate::state::print;
use crate::support::{Access, Ran, Stage};
use serde_json::{Value, json};

mod cases;
mod pages;
mod refusals;

const VENDORS: [Access; 2] = [Access::OktaToken, Access::OneLogin];

/// Somebody's part of an answer, the only one of a name.
#[track_caller]
fn only(ran: &Ran) -> Value {
    let sync = ran.sync();
    let people = sync["people"].as_array().unwrap();
    assert_eq!(people.len(), 1, "{sync:#}");
    people[0].clone()
}

/// Explains somebody from stored data: nobody is asked, and nothing changes.
#[track_caller]
fn offline(stage: &Stage, who: &str) -> Value {
    let before = print(&stage.home.state());
    stage.sim.clear_requests();
    let ran = stage.run(&["explain", who, "--offline", "--format", "json"]).exits(0);
    assert_eq!(stage.sim.all_requests().len(), 0, "somebody was asked");
    assert_eq!(print(&stage.home.state()), before, "the state was touched");
    only(&ran)
}

/// Explains somebody afresh: nothing is written anywhere, and what is explained is what a run would do.
#[track_caller]
fn fresh(stage: &Stage, who: &str) -> Value {
    let before = stage.home.state().exists().then(|| print(&stage.home.state()));
    stage.sim.clear_requests();
    let person = only(&stage.run(&["explain", who, "--format", "json"]).exits(0));
    assert_eq!(stage.sim.writes().len(), 0, "something was written at the workspace");
    assert!(!stage.sim.all_requests().is_empty(), "nobody was asked");
    let after = stage.home.state().exists().then(|| print(&stage.home.state()));
    assert_eq!(after, before, "the state was touched");
    let id = person["source_id"].as_str().unwrap();
    let run = stage.run(&["--dry-run", "--user", id, "--format", "json"]).sync();
    let line = run["actions"][0].clone();
    // A full run waits for people who fail; a run of named people does not.
    if person["failing"].is_null() {
        assert_eq!(person["action"], line, "{run:#}");
    }
    person
}

/// Answer and next steps contain these words.
#[track_caller]
fn tells(person: &Value, answer: &str, next: &[&str]) {
    let said = person["answer"].as_str().unwrap();
    assert!(said.contains(answer), "{said}\n{person:#}");
    let steps = person["next"].as_array().unwrap().iter().map(|step| step.as_str().unwrap());
    let steps: Vec<&str> = steps.collect();
    for words in next {
        assert!(steps.iter().any(|step| step.contains(words)), "no {words:?} in {steps:#?}");
    }
}

/// `(situation, action, outcome)` of the line.
fn line(person: &Value) -> (&str, &str, &str) {
    let text = |name: &str| person["action"][name].as_str().unwrap_or_default();
    (text("situation"), text("action"), text("outcome"))
}

/// What becomes of an attribute.
#[track_caller]
fn fate(person: &Value, path: &str) -> Value {
    let steps = person["mappings"].as_array().unwrap().iter();
    let found: Vec<&Value> = steps.filter(|step| step["path"] == path).collect();
    assert_eq!(found.len(), 1, "{path} in {person:#}");
    found[0]["fate"].clone()
}

#[test]
fn the_document_has_exactly_these_fields() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    stage.reconcile();
    let ran = stage.run(&["explain", "ann@acme.example", "--format", "json"]).exits(0);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let document = ran.json();
    assert_eq!(keys(&document), ["generated_at", "known", "rosterd", "schema", "syncs", "who"]);
    assert_eq!(
        (&document["schema"], &document["who"], &document["known"]),
        (&json!("rosterd.explain/1"), &json!("ann@acme.example"), &json!(true))
    );
    let sync = ran.sync();
    assert_eq!(
        keys(&sync),
        ["basis", "last_read", "nobody", "people", "source", "sync", "target", "troubles"]
    );
    assert_eq!((&sync["basis"], &sync["last_read"]["people"]), (&json!("fresh"), &json!(1)));
    let person = only(&ran);
    assert_eq!(
        keys(&person),
        [
            "action",
            "answer",
            "as_of",
            "assignment",
            "attempts",
            "failing",
            "guards",
            "heard_at",
            "lifecycle",
            "link",
            "mappings",
            "matches",
            "next",
            "owed",
            "record",
            "scope",
            "source_id",
            "told_by_run",
            "user"
        ]
    );
    assert_eq!(
        keys(&person["guards"]),
        ["holds", "limits", "paused", "paused_until", "pin", "protected", "quarantine", "seats"]
    );
    assert_eq!(keys(&person["mappings"][0]), ["at_target", "expression", "fate", "path", "value", "why"]);
}

#[test]
fn somebody_is_found_by_login_mail_id_and_account() {
    for login in VENDORS {
        let stage = Stage::with(login, "[sync.attributes]\n\"userName\" = \"'x-' ~ user.email\"");
        stage.hire("Ann", "Engineer");
        stage.reconcile();
        let person = fresh(&stage, "ann@acme.example");
        let account = person["link"]["target_id"].as_str().unwrap();
        let id = person["source_id"].as_str().unwrap();
        for who in ["ann@acme.example", " ANN@Acme.Example ", "x-ann@acme.example", id, account] {
            for basis in ["fresh", "offline"] {
                let asked = ["explain", who, "--offline", "--format", "json"];
                let arguments: Vec<&str> =
                    asked.into_iter().filter(|word| basis == "offline" || *word != "--offline").collect();
                let ran = stage.run(&arguments).exits(0);
                assert_eq!(only(&ran)["source_id"], person["source_id"], "{login:?} {who} {basis}");
                assert_eq!(ran.sync()["basis"], basis);
            }
        }
    }
}

#[test]
fn a_name_that_means_several_people_explains_each() {
    for login in VENDORS {
        let stage = Stage::with(login, "");
        for name in ["one", "two"] {
            stage.sim.world().hire_assigned(&format!("{name}@acme.example"), |person| {
                person.first_name = Some("Kim".to_owned());
                person.last_name = Some("Kim".to_owned());
                person.email = "kim@acme.example".to_owned();
            });
        }
        let ran = stage.run(&["explain", "kim@acme.example"]).exits(0);
        ran.says(&["2 people are called that"]);
        let ran = stage.run(&["explain", "kim@acme.example", "--format", "json"]).exits(0);
        assert_eq!(ran.sync()["people"].as_array().unwrap().len(), 2, "{login:?}");
    }
}

#[test]
fn each_sync_has_its_part_and_one_may_be_chosen() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    let sync = |name: &str| format!("[[sync]]\nname = \"{name}\"\n{}\n", stage.sides());
    stage.home.configure(&format!("{}{}", sync("one"), sync("two")));
    stage.run(&["--reconcile-now", "--sync", "one"]).exits(0);
    let all = stage.run(&["explain", "ann@acme.example", "--format", "json"]).exits(0).json();
    let answers: Vec<&str> = all["syncs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sync| sync["people"][0]["answer"].as_str().unwrap())
        .collect();
    assert!(answers[0].contains("nothing differs"), "{answers:?}");
    assert!(answers[1].contains("is managed by sync \"one\""), "{answers:?}");
    let one =
        stage.run(&["explain", "ann@acme.example", "--sync", "one", "--format", "json"]).exits(0).json();
    assert_eq!(one["syncs"].as_array().unwrap().len(), 1);
    stage
        .run(&["explain", "ann@acme.example", "--sync", "three"])
        .exits(64)
        .complains(&["no sync \"three\""]);
}

#[test]
fn a_quiet_run_tells_no_new_lines_and_a_run_told_again_lists_everybody_it_listed() {
    let stage = Stage::with(Access::OktaToken, "scope.filter = \"user.title != 'Bot'\"");
    let people = stage.hire_all(&["Ann", "Ben"]);
    let bot = stage.hire("Bot", "Bot");
    stage.reconcile();
    let rows = || {
        let database = rusqlite::Connection::open(stage.home.database()).unwrap();
        let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        (count("SELECT count(*) FROM told"), count("SELECT count(*) FROM told WHERE until_run IS NULL"))
    };
    assert_eq!(rows(), (1, 1));
    stage.sim.world().unassign(people[1]);
    stage.reconcile();
    for _ in 0..3 {
        stage.reconcile();
    }
    assert_eq!(rows(), (1, 1), "a line that stays the same is one row");
    stage.sim.world().edit(bot, |person| person.title = Some("Human".to_owned()));
    stage.reconcile();
    assert_eq!(rows(), (1, 0), "whoever got an account has no line any more");
    let listed = |run: &str| -> Vec<String> {
        let report = stage.run(&["history", "--run", run, "--format", "json"]).exits(0).sync();
        let lines = report["actions"].as_array().unwrap().iter();
        lines
            .map(|line| format!("{} {}", line["action"].as_str().unwrap(), line["user"].as_str().unwrap()))
            .collect()
    };
    let skipped = "skip bot@acme.example";
    assert_eq!(listed("1"), ["create ann@acme.example", "create ben@acme.example", skipped]);
    assert_eq!(listed("2"), ["deactivate ben@acme.example", skipped]);
    for quiet in ["3", "4", "5"] {
        assert_eq!(listed(quiet), [skipped]);
    }
    assert_eq!(listed("6"), ["create bot@acme.example"]);
}

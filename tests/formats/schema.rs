//! `docs/report.schema.json` is what `--format json` writes: real runs are valid, and a field that the schema does not
//! know is refused, so that neither can move without the other.

use crate::support::{Access, Ran, Stage};
use jsonschema::Validator;
use rosterd::sim::{Effect, Fault, Peer, html_page, scim_error};
use serde_json::{Value, json};

fn schema() -> Value {
    serde_json::from_str(include_str!("../../docs/report.schema.json")).unwrap()
}

fn validator() -> Validator {
    let schema = schema();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

/// The report of a run, which is valid; and so it is no more with a field more, or less, anywhere.
#[track_caller]
fn holds(stage: &Stage, arguments: &[&str], code: i32) -> Value {
    let ran: Ran = stage.run(&[arguments, &["--format", "json"]].concat()).exits(code);
    let document = ran.json();
    let validator = validator();
    let errors: Vec<String> =
        validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{document:#}");
    let mut objects = Vec::new();
    pointers(&document, String::new(), &mut objects);
    for pointer in &objects {
        let mut more = document.clone();
        more.pointer_mut(pointer).unwrap()["surplus"] = json!(1);
        assert!(!validator.is_valid(&more), "a field more at {pointer:?} is not noticed");
        for name in document.pointer(pointer).unwrap().as_object().unwrap().keys() {
            let mut less = document.clone();
            less.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(name);
            assert!(!validator.is_valid(&less), "{name} missing at {pointer:?} is not noticed");
        }
    }
    document
}

/// Where the objects of a document are.
fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| pointers(value, format!("{at}/{name}"), found));
            found.push(at);
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| pointers(item, format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

#[test]
fn first_quiet_and_mixed_runs_are_valid() {
    for login in [Access::OktaToken, Access::OneLogin] {
        let stage = Stage::with(login, "scope = { domains = [\"acme.example\"] }");
        let people = stage.hire_all(&["Ann", "Ben", "Cleo", "Dan"]);
        holds(&stage, &["--dry-run"], 0);
        holds(&stage, &["--reconcile-now"], 0);
        holds(&stage, &["--reconcile-now", "--unattended"], 0);
        let world = stage.sim.world();
        world.edit(people[0], |person| person.title = Some("Manager".to_owned()));
        world.unassign(people[1]);
        world.suspend(people[2]);
        world.add_account(&json!({"userName": "FAY@acme.example", "active": false, "title": "Old"}));
        let fay = stage.hire("Fay", "New");
        let gus = stage.hire("Gus", "Engineer");
        world.stage(gus);
        world.hire_assigned("hal@elsewhere.example", |_| {});
        holds(&stage, &["--dry-run"], 0);
        let report = holds(&stage, &["--reconcile-now"], 0);
        assert!(report["syncs"][0]["actions"].as_array().unwrap().len() >= 6, "{report:#}");
        world.edit(fay, |person| person.title = Some("Newer".to_owned()));
        holds(&stage, &["--reconcile-now", "--user", "fay@acme.example"], 0);
        holds(&stage, &["history", "--run", "3"], 0);
    }
}

#[test]
fn held_and_failing_runs_are_valid() {
    let stage = Stage::new();
    let people = stage.hire_all(&["Ann", "Ben", "Cleo"]);
    let refusal = scim_error(400, Some("invalidValue"), "this userName is not allowed");
    stage.sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(1).then(Effect::Answer(refusal)));
    holds(&stage, &["--reconcile-now"], 3);
    stage.reconcile();
    people.iter().for_each(|person| stage.sim.world().unassign(*person));
    let report = holds(&stage, &["--dry-run"], 0);
    assert_eq!(report["syncs"][0]["holds"][0]["id"], "");
    let report = holds(&stage, &["--reconcile-now"], 4);
    assert_eq!(report["syncs"][0]["holds"][0]["id"], "h1");
    holds(&stage, &["approve", "h1", "--yes"], 0);
}

#[test]
fn runs_that_failed_are_valid() {
    let stage = Stage::with(Access::OneLogin, "");
    stage.hire_all(&["Ann", "Ben"]);
    let short = Fault::on(Peer::OneLogin).path("/apps/").path("/users").then(Effect::ShiftTotal(3));
    stage.sim.faults().add(short);
    holds(&stage, &["--reconcile-now"], 5);
    stage.sim.faults().clear();
    stage.sim.faults().add(Fault::on(Peer::Scim).then(html_page(401)));
    let report = holds(&stage, &["--reconcile-now"], 6);
    assert_eq!(report["syncs"][0]["result"], "target_unavailable");
}

/// The words of an enumeration of the schema.
fn words(definition: &str) -> Vec<String> {
    serde_json::from_value(schema()["$defs"][definition]["enum"].clone()).unwrap()
}

#[test]
fn every_word_of_the_program_is_in_the_schema() {
    use rosterd::model::plan::Verb;
    use rosterd::model::report::{Outcome, RunResult, Trigger};
    let verbs = Verb::ALL.map(|verb| verb.as_str().to_owned());
    let mut listed = words("action");
    listed.sort_unstable();
    let mut expected = verbs.to_vec();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    for word in words("outcome") {
        assert_eq!(serde_json::from_value::<Outcome>(json!(word)).unwrap().as_str(), word);
    }
    for word in words("result") {
        assert_eq!(serde_json::from_value::<RunResult>(json!(word)).unwrap().as_str(), word);
    }
    for word in words("trigger").into_iter().filter(|word| word != "undo") {
        assert_eq!(serde_json::from_value::<Trigger>(json!(word)).unwrap().as_str(), word);
    }
}

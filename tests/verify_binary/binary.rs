//! The real binary: exit codes, text, JSON, files.

use insta::assert_snapshot;
use rosterd::sim::{Effect, Fault, Peer, PersonId};
use serde_json::{Value, json};

use crate::stage::{Access, Stage, action_of};

/// Changes an account as somebody in the workspace would.
pub(crate) fn by_hand(stage: &Stage, name: &str, key: &str, value: Value) {
    let account = stage.sim.world().account(&format!("{name}@acme.example")).unwrap();
    stage.sim.world().edit_account(&account.id, |account| {
        account.resource.insert(key.to_owned(), value);
    });
}

pub(crate) fn is_active(stage: &Stage, name: &str) -> bool {
    stage.sim.world().account(&format!("{name}@acme.example")).unwrap().active()
}

/// Ann has left; four more work here.
pub(crate) fn without_ann(access: Access, lines: &str) -> (Stage, Vec<PersonId>) {
    let stage = Stage::with(access, lines);
    let people = stage.hire_all(&["Ann", "Ben", "Cleo", "Dan", "Eve"]);
    stage.reconcile();
    stage.sim.world().unassign(people[0]);
    stage.reconcile();
    (stage, people)
}

#[test]
fn drift_has_an_exit_code_only_where_it_is_asked_for() {
    for access in [Access::OktaToken, Access::OneLogin] {
        let (stage, _) = without_ann(access, "");
        let detailed = ["verify", "--detailed-exitcode"];
        stage.run(&detailed).exits(0).says(&["In order: nothing that rosterd wrote was changed."]);
        by_hand(&stage, "ann", "active", json!(true));
        stage.run(&["verify"]).exits(0);
        stage.run(&detailed).exits(2);
        stage.run(&["--dry-run", "verify", "--repair"]).exits(0).says(&["Nothing was written."]);
        stage.run(&["--dry-run", "verify", "--repair", "--detailed-exitcode"]).exits(2);
        assert!(is_active(&stage, "ann"));
        stage.run(&["verify", "--repair", "--detailed-exitcode"]).exits(0).says(&["run 3 of sync"]);
        assert!(!is_active(&stage, "ann"));
        stage.run(&detailed).exits(0);
        // What is not repaired is still drift.
        by_hand(&stage, "ben", "active", json!(false));
        stage.run(&["verify", "--repair", "--detailed-exitcode"]).exits(2);
        stage.run(&["verify", "--sync", "nobody"]).exits(64);
    }
}

#[test]
fn a_side_that_cannot_be_read_completely_is_an_exit_code_and_no_finding() {
    let (stage, _) = without_ann(Access::OktaToken, "");
    by_hand(&stage, "ann", "active", json!(true));
    for (peer, code, words) in [
        (Peer::Okta, 5, "The source could not be read completely."),
        (Peer::Scim, 6, "The target could not be read completely."),
    ] {
        stage.sim.faults().add(Fault::on(peer).method("GET").then(Effect::answer(403, "text/plain", "no")));
        for arguments in [&["verify"][..], &["verify", "--repair"], &["--dry-run", "verify", "--repair"]] {
            let ran = stage.run(arguments).exits(code);
            ran.says(&[words, "so nothing is said"]);
            assert!(!ran.stdout.contains("ann@"), "{}", ran.stdout);
        }
        stage.sim.faults().clear();
        assert!(is_active(&stage, "ann"));
    }
}

#[test]
fn what_a_guard_holds_is_exit_4_with_the_command_that_releases_it() {
    let (stage, people) = without_ann(
        Access::OktaToken,
        "guard = { max_removals_percent = 100, max_removals_percent_per_day = 100 }",
    );
    stage.sim.world().unassign(people[1]);
    stage.reconcile();
    for name in ["ann", "ben"] {
        by_hand(&stage, name, "active", json!(true));
    }
    stage.configure("guard = { approval = [\"deactivate\"] }");
    let ran = stage.run(&["verify", "--repair"]).exits(4);
    ran.says(&["Held h1", "rosterd approve h1@1"]);
    stage.run(&["approve", "h1", "--yes"]).exits(0);
    assert!(!is_active(&stage, "ann") && !is_active(&stage, "ben"));
}

#[test]
fn the_text_tells_counts_first_then_each_finding_and_what_to_do() {
    let (stage, people) = without_ann(Access::OktaToken, "");
    by_hand(&stage, "ann", "active", json!(true));
    by_hand(&stage, "ben", "active", json!(false));
    by_hand(&stage, "cleo", "title", json!("Boss\u{1b}[31m\nof \u{202e}all"));
    stage.sim.world().edit(people[3], |dan| dan.title = Some("Lead".to_owned()));
    stage.sim.world().add_account(&json!({"id": "by-hand", "userName": "zoe@acme.example", "active": true}));
    let ran = stage.run(&["verify", "--all"]).exits(0);
    let mut accounts = stage.sim.world().accounts();
    // Several were made at once, in any order.
    accounts.sort_by(|one, other| one.user_name().cmp(other.user_name()));
    let mut text = stage.redact(&ran.stdout);
    for (index, account) in accounts.iter().enumerate() {
        text = text.replace(&account.id, &format!("[account {index}]"));
    }
    assert_snapshot!(text, @r##"
    verification of sync "default": 4 people at Okta, 6 accounts in the workspace
      5 linked, 1 not linked

    Drift: 1 left and active, 1 switched off there, 1 with attributes changed there; beside that 1 for the next run, 1 unmanaged.

    1 left and active
      `rosterd verify --repair` removes them; drift.access on the schedule
      ! ann@acme.example ([account 0])  no longer assigned to the app, and the account is active again
          active: true there, false written, false wanted

    1 switched off there
      left as it is unless drift.reactivate = "repair"; unassign whoever is not to have access
      ! ben@acme.example ([account 1])  active when rosterd last wrote it, and inactive now: somebody at the target switched the account off
          active: false there, true written, true wanted

    1 with attributes changed there
      `rosterd verify --repair` brings them back; drift.attributes on the schedule
      ! cleo@acme.example ([account 2])  title changed at the target
          title: "Boss\u{1b}[31m\u{a}of \u{202e}all" there, "Engineer" written, "Engineer" wanted

    1 for the next run
      nothing is wrong: the next run writes it
      ! dan@acme.example ([account 3])  title changed at the source: the next run writes it
          title: "Engineer" there, "Engineer" written, "Lead" wanted

    1 unmanaged
      never touched
      ! zoe@acme.example ([account 5])  no person of this app, and no link: nobody here manages it
    "##);
}

#[test]
fn the_json_document_has_exactly_these_fields() {
    let (stage, _) = without_ann(Access::OktaToken, "");
    by_hand(&stage, "ann", "active", json!(true));
    by_hand(&stage, "cleo", "title", json!("Boss"));
    let document = stage.run(&["--dry-run", "verify", "--repair", "--format", "json"]).exits(0).json();
    let keys = |value: &Value| {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys.join(" ")
    };
    assert_eq!(keys(&document), "generated_at rosterd schema syncs");
    assert_eq!(document["schema"], "rosterd.verify/1");
    let sync = &document["syncs"][0];
    assert_eq!(
        keys(sync),
        "accounts counts drift findings finished_at notes repair result source started_at sync target trigger unrepaired"
    );
    assert_eq!(sync["accounts"], json!({"listed": 5, "linked": 5, "other_syncs": 0, "unlinked": 0}));
    assert_eq!(
        sync["counts"],
        json!({"leaver_active": 1, "switched_off": 0, "attributes": 1, "flapping": 0, "account_gone": 0,
               "unlinked": 0, "duplicate": 0, "source_changed": 0, "unmanaged": 0})
    );
    assert_eq!((&sync["drift"], &sync["unrepaired"], &sync["result"]), (&json!(2), &json!(0), &json!("ok")));
    let found = sync["findings"].as_array().unwrap();
    let cleo = found.iter().find(|found| found["user"] == "cleo@acme.example").unwrap();
    assert_eq!(keys(cleo), "attributes finding other_target_id reason repair source_id target_id user");
    assert_eq!((&cleo["finding"], &cleo["repair"]), (&json!("attributes"), &json!(true)));
    assert_eq!(
        cleo["attributes"],
        json!([{"path": "title", "state": "target_drifted", "source": "Engineer",
                "acknowledged": "Engineer", "target": "Boss"}])
    );
    let repair = &sync["repair"];
    assert_eq!((&repair["mode"], &repair["run"]), (&json!("dry-run"), &Value::Null));
    assert_eq!(action_of(repair, "ann@acme.example"), ("deactivate".to_owned(), "planned".to_owned()));
    assert_eq!(action_of(repair, "cleo@acme.example"), ("update".to_owned(), "planned".to_owned()));
    // Without anything to repair there is no run.
    let only_told = stage.run(&["verify", "--format", "json"]).exits(0).json();
    assert_eq!(only_told["syncs"][0]["repair"], Value::Null);
    assert_eq!(only_told["syncs"][0]["unrepaired"], 2);
}

#[test]
fn a_report_goes_to_a_file_and_one_line_to_standard_error() {
    let (stage, _) = without_ann(Access::OktaToken, "");
    by_hand(&stage, "ann", "active", json!(true));
    let path = stage.home.path().join("drift.json");
    let ran = stage.run(&["verify", "--format", "json", "--output", path.to_str().unwrap()]).exits(0);
    ran.complains(&["default: 1 left and active."]);
    assert_eq!(ran.stdout, "");
    let written: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(written["syncs"][0]["drift"], 1);
}

#[test]
fn what_was_repaired_is_in_the_history_and_the_status_tells_of_the_drift() {
    let (stage, _) = without_ann(Access::OktaToken, "");
    let status = || stage.run(&["status", "--format", "json"]).exits(0).json()["syncs"][0].clone();
    assert_eq!(status()["drift"], Value::Null);
    by_hand(&stage, "ann", "active", json!(true));
    stage.run(&["verify"]).exits(0);
    assert_eq!(status()["drift"], Value::Null, "looking leaves nothing behind");
    stage.run(&["verify", "--repair"]).exits(0);
    assert_eq!(
        (&status()["drift"]["drift"], &status()["drift"]["counts"]["leaver_active"]),
        (&json!(1), &json!(1))
    );
    stage.run(&["status"]).exits(0).says(&["1 leaver_active; verified "]);
    stage.run(&["history", "--run", "3"]).exits(0).says(&["deactivated", "ann@acme.example"]);
}

/// In each format the findings are told, and nothing that a name holds breaks the document.
#[test]
fn a_verification_is_told_in_every_format_and_no_name_breaks_one() {
    let (stage, _) = without_ann(Access::OktaToken, "");
    let hostile = "=1+1<img src=x>|`@all` [x](http://evil.example)\u{202e}\u{1b}[31m";
    by_hand(&stage, "ann", "active", json!(true));
    by_hand(&stage, "ben", "title", json!(hostile));
    let told = |format: &str| stage.run(&["verify", "--format", format]).exits(0).stdout;
    let csv = told("csv");
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(rows.headers().unwrap().len(), 12);
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    let of = |user: &str| rows.iter().find(|row| &row[2] == user).unwrap_or_else(|| panic!("{csv}"));
    assert_eq!(&of("ann@acme.example")[1], "leaver_active");
    let ben = of("ben@acme.example");
    assert_eq!((&ben[1], &ben[6], &ben[9]), ("attributes", "title", "Engineer"));
    assert!(ben[7].starts_with("'=1+1<img") && !csv.contains('\u{202e}') && !csv.contains('\u{1b}'), "{csv}");
    let markdown = told("markdown");
    assert!(
        markdown.contains("## rosterd: verification of sync") && markdown.contains("**Drift**"),
        "{markdown}"
    );
    let row = markdown.lines().find(|line| line.contains("=1+1")).unwrap();
    assert!(row.contains(r"\|") && !row.contains("=1+1<img src=x>|"), "a bar of a name ends no cell: {row}");
    let html = told("html");
    assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"), "{html}");
    assert!(!html.contains("<img") && html.contains("=1+1&lt;img src=x&gt;"), "{html}");
    assert!(!html.contains("<script>"), "this page needs none");
    for document in [told("text"), told("json"), markdown.clone(), html.clone()] {
        assert!(!document.contains('\u{202e}') && !document.contains('\u{1b}'), "{document}");
    }
    for document in [markdown, html] {
        assert!(!document.contains('\u{202e}') && !document.contains('\u{1b}'), "{document}");
        for part in ["ann@acme.example", "ben@acme.example", "1 left and active"] {
            assert!(document.contains(part), "no {part} in {document}");
        }
    }
}

#[test]
fn a_verification_that_failed_says_so_in_every_format() {
    let (stage, _) = without_ann(Access::OktaToken, "");
    stage.sim.faults().add(Fault::on(Peer::Scim).then(Effect::answer(401, "application/json", "{}")));
    for format in ["text", "json", "csv", "markdown", "html"] {
        let ran = stage.run(&["verify", "--format", format]).exits(6);
        assert!(ran.stdout.contains("401"), "{format}: {}", ran.stdout);
    }
}

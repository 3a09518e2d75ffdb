//! Kill -9 in mid-apply, then a run as usual: never two accounts for one identity, every intent settled, and the run
//! after that has nothing to do.
#![cfg(feature = "sim")]
// The lint's exception for tests covers test functions only, not what they share.
#![allow(clippy::unwrap_used)]

#[path = "binary/support.rs"]
mod support;

use rosterd::sim::{Cut, Effect, Fault, Peer};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::{Prey, Stage, count};

/// When the program is killed: while the workspace has the request and has not acted on it, or after it acted and
/// before it answered.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Before,
    After,
}

const MOMENTS: [Moment; 2] = [Moment::Before, Moment::After];

/// What the workspace must hold in the end: login, and whether active and with which title.
type Wanted = BTreeMap<&'static str, (bool, &'static str)>;

/// Runs the program and kills it at this request. True where it came to that.
fn killed(stage: &Stage, rule: Fault, moment: Moment) -> bool {
    let prey = Prey::default();
    let hunter = prey.clone();
    let rule = match moment {
        Moment::Before => {
            rule.then(Effect::before(move |_| hunter.kill())).then(Effect::Cut(Cut::BeforeProcessing))
        }
        Moment::After => rule.then(Effect::after(move |_| hunter.kill())).then(Effect::Cut(Cut::LostReply)),
    };
    let number = stage.sim.faults().add(rule);
    let mut child = stage.home.start(&["--reconcile-now"]);
    prey.is(&child);
    // Its report does not matter, but the pipes must not fill up.
    let output = child.stdout.take().zip(child.stderr.take());
    let status = child.wait().unwrap();
    drop(output);
    let fired = stage.sim.faults().fired(number) > 0;
    stage.sim.faults().clear();
    assert_eq!(status.code().is_none(), fired, "{status}");
    fired
}

/// Runs on after the crash and holds everything that must be true then.
#[track_caller]
fn recovers(stage: &Stage, wanted: &Wanted, case: &str) {
    let ran = stage.run(&["--reconcile-now", "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{case}: {}\n{}", ran.stdout, ran.stderr);
    // An empty search right after a creation cannot tell: targets index late. Ten minutes later it can.
    let database = Connection::open(stage.home.database()).unwrap();
    database.execute("UPDATE in_flight SET sent_at = sent_at - 660000", []).unwrap();
    drop(database);
    let ran = stage.run(&["--reconcile-now", "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{case}: {}\n{}", ran.stdout, ran.stderr);
    assert_workspace(stage, wanted, case);
    assert_journal_settled(stage, case);
    stage.sim.clear_requests();
    let quiet = stage.reconcile();
    let changes =
        ["create", "adopt", "update", "reactivate", "deactivate", "delete", "failed", "deferred", "held"];
    assert!(changes.iter().all(|name| count(&quiet, name) == 0), "{case}: {quiet:#}");
    let writes: Vec<_> = stage.sim.writes().iter().map(rosterd::sim::Request::line).collect();
    assert!(writes.is_empty(), "{case}: {writes:?}");
}

#[track_caller]
fn assert_workspace(stage: &Stage, wanted: &Wanted, case: &str) {
    let accounts = stage.sim.world().accounts();
    let found: BTreeMap<String, (bool, String)> = accounts
        .iter()
        .map(|account| {
            let title = account.at("/title").as_str().unwrap_or_default().to_owned();
            (account.user_name().to_lowercase(), (account.active(), title))
        })
        .collect();
    assert_eq!(found.len(), accounts.len(), "{case}: two accounts with one login");
    let expected: BTreeMap<String, (bool, String)> = wanted
        .iter()
        .map(|(name, (active, title))| (format!("{name}@acme.example"), (*active, (*title).to_owned())))
        .collect();
    assert_eq!(found, expected, "{case}");
    let mut external: Vec<Value> = accounts.iter().map(|account| account.at("/externalId")).collect();
    external.retain(|id| !id.is_null());
    external.sort_by_key(Value::to_string);
    let all = external.len();
    external.dedup();
    assert_eq!(external.len(), all, "{case}: two accounts for one identity");
}

/// Nothing is in flight, every intent has one outcome, and no account is linked twice.
#[track_caller]
fn assert_journal_settled(stage: &Stage, case: &str) {
    let database = Connection::open(stage.home.database()).unwrap();
    let number = |query: &str| -> i64 { database.query_row(query, [], |row| row.get(0)).unwrap() };
    assert_eq!(number("SELECT count(*) FROM in_flight"), 0, "{case}");
    let unsettled = "SELECT count(*) FROM journal AS sent WHERE kind = 'intent' AND
        (SELECT count(*) FROM journal AS ended WHERE ended.kind = 'outcome' AND ended.intent = sent.seq) <> 1";
    assert_eq!(number(unsettled), 0, "{case}");
    let linked = number("SELECT count(DISTINCT target_id) FROM link");
    assert_eq!(number("SELECT count(*) FROM link"), linked, "{case}");
}

const NAMES: [&str; 6] = ["Ann", "Ben", "Cleo", "Dan", "Eve", "Fay"];

/// Everybody active with this title, but for those named.
fn everybody(title: &'static str, others: &[(&'static str, (bool, &'static str))]) -> Wanted {
    let mut wanted: Wanted =
        ["ann", "ben", "cleo", "dan", "eve", "fay"].into_iter().map(|name| (name, (true, title))).collect();
    wanted.extend(others.iter().copied());
    wanted
}

/// Kills at each of the first `most` requests with this method, before and after the workspace acts.
fn sweep(method: &str, most: u64, prepare: impl Fn(&Stage) -> Wanted) {
    for moment in MOMENTS {
        for nth in 1..=most {
            let case = format!("{method} {nth} {moment:?}");
            let stage = Stage::new();
            let wanted = prepare(&stage);
            assert!(killed(&stage, Fault::on(Peer::Scim).method(method).nth(nth), moment), "{case}");
            recovers(&stage, &wanted, &case);
        }
    }
}

#[test]
fn a_kill_among_creations_leaves_one_account_each() {
    sweep("POST", 6, |stage| {
        stage.hire_all(&NAMES);
        everybody("Engineer", &[])
    });
}

#[test]
fn a_kill_among_updates_leaves_every_value() {
    sweep("PATCH", 3, |stage| {
        let people = stage.hire_all(&NAMES);
        stage.reconcile();
        for person in &people[..3] {
            stage.sim.world().edit(*person, |person| person.title = Some("Manager".to_owned()));
        }
        let manager = (true, "Manager");
        everybody("Engineer", &[("ann", manager), ("ben", manager), ("cleo", manager)])
    });
}

#[test]
fn a_kill_among_deactivations_leaves_every_leaver_inactive() {
    sweep("PATCH", 3, |stage| {
        let people = stage.hire_all(&NAMES);
        stage.reconcile();
        people[..3].iter().for_each(|person| stage.sim.world().unassign(*person));
        let gone = (false, "Engineer");
        everybody("Engineer", &[("ann", gone), ("ben", gone), ("cleo", gone)])
    });
}

#[test]
fn a_kill_among_reactivations_leaves_everybody_back() {
    sweep("PATCH", 2, |stage| {
        let people = stage.hire_all(&NAMES);
        stage.reconcile();
        people[..2].iter().for_each(|person| stage.sim.world().unassign(*person));
        stage.reconcile();
        for person in &people[..2] {
            stage.sim.world().assign(*person);
            stage.sim.world().edit(*person, |person| person.title = Some("Returner".to_owned()));
        }
        let back = (true, "Returner");
        everybody("Engineer", &[("ann", back), ("ben", back)])
    });
}

/// An account that somebody made by hand.
fn account_by_hand(stage: &Stage, name: &str, active: bool) {
    stage.sim.world().add_account(&json!({
        "userName": format!("{name}@acme.example"), "active": active, "title": "By hand",
        "name": {"givenName": name, "familyName": "Hand"},
        "emails": [{"value": format!("{name}@acme.example"), "type": "work", "primary": true}],
    }));
}

#[test]
fn a_kill_among_adoptions_adopts_once_and_creates_nothing() {
    sweep("PATCH", 3, |stage| {
        stage.hire_all(&NAMES);
        account_by_hand(stage, "ann", true);
        account_by_hand(stage, "ben", true);
        account_by_hand(stage, "cleo", false);
        everybody("Engineer", &[])
    });
}

/// Every verb in one run.
fn every_verb(stage: &Stage) -> Wanted {
    let world = stage.sim.world();
    let people = stage.hire_all(&["Ann", "Ben", "Cleo", "Dan"]);
    stage.reconcile();
    world.unassign(people[3]);
    stage.reconcile();
    world.edit(people[0], |person| person.title = Some("Manager".to_owned()));
    world.unassign(people[1]);
    world.assign(people[3]);
    stage.hire_all(&["Eve", "Fay"]);
    account_by_hand(stage, "fay", true);
    everybody("Engineer", &[("ann", (true, "Manager")), ("ben", (false, "Engineer"))])
}

#[test]
fn a_kill_at_any_request_to_the_workspace_is_recovered_from() {
    for moment in MOMENTS {
        // Until the run is over before the kill: then every request had its turn.
        for nth in 1.. {
            let stage = Stage::new();
            let wanted = every_verb(&stage);
            let case = format!("request {nth} {moment:?}");
            let came_to_it = killed(&stage, Fault::on(Peer::Scim).nth(nth), moment);
            recovers(&stage, &wanted, &case);
            if !came_to_it {
                assert!(nth > 5, "each of five verbs sends something");
                break;
            }
        }
    }
}

#[test]
fn a_kill_at_any_request_to_the_source_is_recovered_from() {
    for nth in 1.. {
        let stage = Stage::new();
        let wanted = every_verb(&stage);
        let came_to_it = killed(&stage, Fault::on(Peer::Okta).nth(nth), Moment::After);
        recovers(&stage, &wanted, &format!("request {nth} to the source"));
        if !came_to_it {
            assert!(nth > 3, "a list, a proof and its control");
            break;
        }
    }
}

#[test]
fn a_kill_while_settling_an_earlier_crash_is_recovered_from_too() {
    let stage = Stage::new();
    stage.hire_all(&NAMES);
    assert!(killed(&stage, Fault::on(Peer::Scim).method("POST").nth(3), Moment::After));
    // The first requests of the next run read back what was open.
    assert!(killed(&stage, Fault::on(Peer::Scim).nth(1), Moment::After));
    assert!(killed(&stage, Fault::on(Peer::Scim).nth(2), Moment::Before));
    recovers(&stage, &everybody("Engineer", &[]), "killed twice more");
}

#[test]
fn a_kill_is_recovered_from_at_a_workspace_that_accepts_duplicates() {
    for moment in MOMENTS {
        let stage = Stage::new();
        stage.sim.scim(|scim| {
            scim.duplicates = rosterd::sim::DuplicateHabit::Accepted;
            scim.filter = rosterd::sim::FilterHabit::Ignored;
        });
        stage.hire_all(&NAMES);
        assert!(killed(&stage, Fault::on(Peer::Scim).method("POST").nth(4), moment));
        recovers(&stage, &everybody("Engineer", &[]), &format!("{moment:?}"));
    }
}

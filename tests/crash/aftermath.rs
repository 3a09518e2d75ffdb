//! What must be true after a crash, whatever it was: each person has one account, leavers have no access, nothing that
//! was recorded is open, the history verifies, and nothing was done twice.

use crate::support::{Ran, Stage, count};
use crate::worlds::World;
use rosterd::sim::{Peer, Request};
use rusqlite::Connection;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What the workspace must hold in the end: login, and whether active and with which title. Who is not in it has no
/// account.
pub(crate) type Wanted = BTreeMap<String, (bool, String)>;

/// Runs on after the crash and holds everything that must be true then.
#[track_caller]
pub(crate) fn recovers(world: &World, case: &str) {
    let World { stage, wanted, refused, .. } = world;
    // What the workspace refuses stays owed, which is exit code 3.
    let usual = if refused.is_some() { 3 } else { 0 };
    let ran = stage.run(&["--reconcile-now", "--format", "json"]);
    let is_open = || number(stage, "SELECT count(*) FROM in_flight") > 0;
    assert!(ran.code == Some(usual) || ran.code == Some(3) && is_open(), "{case}: {}", shown(&ran));
    ten_minutes_pass(stage);
    let ran = stage.run(&["--reconcile-now", "--format", "json"]);
    assert_eq!(ran.code, Some(usual), "{case}: {}", shown(&ran));
    stage.sim.faults().clear();
    let first = stage.sim.writes().len();
    let last = stage.reconcile();
    let writes: Vec<String> = stage.sim.writes()[first..].iter().map(Request::line).collect();
    let expected: Vec<String> = refused.iter().map(|id| format!("PATCH /scim/v2/Users/{id}")).collect();
    assert_eq!(writes, expected, "{case}: nothing is left to do but what was refused");
    let quiet = ["create", "adopt", "update", "reactivate", "delete", "failed", "deferred", "held"];
    assert!(quiet.iter().all(|name| count(&last, name) == 0), "{case}: {last:#}");
    assert_workspace(stage, wanted, case);
    assert_made_once(stage, case);
    assert_journal_settled(stage, case);
    let verified = stage.run(&["history", "--verify"]);
    assert_eq!(verified.code, Some(0), "{case}: {}", shown(&verified));
}

fn shown(ran: &Ran) -> String {
    format!("{:?}\n{}\n{}", ran.code, ran.stdout, ran.stderr)
}

/// An empty search right after a creation cannot tell: targets index late. Ten minutes later it can.
pub(crate) fn ten_minutes_pass(stage: &Stage) {
    let database = Connection::open(stage.home.database()).unwrap();
    database
        .execute("UPDATE in_flight SET sent_at = sent_at - 660000, overtaken_at = overtaken_at - 660000", [])
        .unwrap();
}

fn number(stage: &Stage, query: &str) -> i64 {
    let database = Connection::open(stage.home.database()).unwrap();
    database.query_row(query, [], |row| row.get(0)).unwrap()
}

#[track_caller]
fn assert_workspace(stage: &Stage, wanted: &Wanted, case: &str) {
    let accounts = stage.sim.world().accounts();
    let found: Wanted = accounts
        .iter()
        .map(|account| {
            let title = account.at("/title").as_str().unwrap_or_default().to_owned();
            (account.user_name().to_lowercase(), (account.active(), title))
        })
        .collect();
    assert_eq!(found.len(), accounts.len(), "{case}: two accounts with one login");
    assert_eq!(&found, wanted, "{case}");
    let mut external: Vec<Value> = accounts.iter().map(|account| account.at("/externalId")).collect();
    external.retain(|id| !id.is_null());
    external.sort_by_key(Value::to_string);
    let all = external.len();
    external.dedup();
    assert_eq!(external.len(), all, "{case}: two accounts for one identity");
}

/// Of all that is sent only a creation is not the same when it is done twice.
#[track_caller]
fn assert_made_once(stage: &Stage, case: &str) {
    let mut made: BTreeMap<String, u32> = BTreeMap::new();
    for request in stage.sim.requests(Peer::Scim) {
        if request.method == "POST" && request.status == Some(201) {
            *made.entry(request.json()["externalId"].to_string()).or_default() += 1;
        }
    }
    assert!(made.values().all(|times| *times == 1), "{case}: made twice: {made:#?}");
    // And the journal does not call anything undone that was done.
    let acknowledged = acknowledged_creations(stage);
    let forgotten: Vec<_> = made.keys().filter(|mark| !acknowledged.contains(*mark)).collect();
    assert!(forgotten.is_empty(), "{case}: made and not on record as made: {forgotten:?}");
}

/// The marks, as the workspace got them, of everybody whose creation has an acknowledgement in the journal.
fn acknowledged_creations(stage: &Stage) -> BTreeSet<String> {
    let database = Connection::open(stage.home.database()).unwrap();
    let query = "SELECT sent.source_id FROM journal AS sent JOIN journal AS ended ON ended.intent = sent.seq
                 WHERE sent.verb = 'create' AND ended.outcome = 'applied'";
    let mut statement = database.prepare(query).unwrap();
    let ids = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let mark = |id: String| if stage.is_onelogin() { format!("onelogin:{id}") } else { id };
    ids.map(|id| Value::from(mark(id.unwrap())).to_string()).collect()
}

/// Nothing is in flight, every intent has one outcome, no account is linked twice, and no leaver is owed a removal.
#[track_caller]
pub(crate) fn assert_journal_settled(stage: &Stage, case: &str) {
    assert_eq!(number(stage, "SELECT count(*) FROM in_flight"), 0, "{case}");
    assert_eq!(number(stage, "SELECT count(*) FROM claim"), 0, "{case}");
    let unsettled = "SELECT count(*) FROM journal AS sent WHERE kind = 'intent' AND
        (SELECT count(*) FROM journal AS ended WHERE ended.kind = 'outcome' AND ended.intent = sent.seq) <> 1";
    assert_eq!(number(stage, unsettled), 0, "{case}");
    let linked = number(stage, "SELECT count(DISTINCT target_id) FROM link");
    assert_eq!(number(stage, "SELECT count(*) FROM link"), linked, "{case}");
    assert_eq!(number(stage, "SELECT count(*) FROM owed WHERE class = 'removal'"), 0, "{case}");
}

//! What these tests share: a return of a run through the engine, and the workspace as far as it is owned.

use rosterd::operations::run_task::RunTask;
use serde_json::Value;

use crate::support::{Bench, Ended, Mode};

/// Everything that is owned by default, as JSON pointers.
const OWNED: [&str; 9] = [
    "/userName",
    "/externalId",
    "/active",
    "/name",
    "/emails",
    "/title",
    "/phoneNumbers",
    "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/organization",
    "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/department",
];

/// Takes a run back.
pub async fn undo(bench: &Bench, run: i64) -> Ended {
    returned(bench, run, Mode::Real).await
}

/// Shows how a run would be taken back.
pub async fn undo_dry(bench: &Bench, run: i64) -> Ended {
    returned(bench, run, Mode::Dry).await
}

async fn returned(bench: &Bench, run: i64, mode: Mode) -> Ended {
    let who = RunTask::Undo { run, actor: "uid 7".to_owned() };
    bench.all(&bench.text(), who, mode).await.remove(0)
}

/// The number of a run that wrote.
pub fn number(ended: &Ended) -> i64 {
    ended.facts.run.unwrap()
}

/// Every account as far as it is owned, by id.
pub fn owned(bench: &Bench) -> Vec<(String, Vec<Value>)> {
    let mut accounts: Vec<(String, Vec<Value>)> = bench
        .accounts()
        .into_iter()
        .map(|(id, account)| {
            let value = |pointer: &&str| {
                let value = account.pointer(pointer).cloned().unwrap_or(Value::Null);
                // A list without elements and no list at all are the same to a service provider (RFC 7643 section 2.5).
                if value.as_array().is_some_and(Vec::is_empty) { Value::Null } else { value }
            };
            (id, OWNED.iter().map(value).collect())
        })
        .collect();
    accounts.sort_by(|one, other| one.0.cmp(&other.0));
    accounts
}

/// The next runs have nothing to send, and say why for these people.
pub async fn assert_left_alone(bench: &Bench, names: &[&str]) {
    for ended in [bench.dry().await, bench.run().await] {
        assert_eq!((ended.code, ended.facts.summary.writes()), (0, 0), "{ended:?}");
        for name in names {
            let words = ended.words_of(name);
            assert!(words.contains("undone by uid 7"), "{words}");
            assert!(words.contains("not planned again until the source changes"), "{words}");
        }
    }
}

//! A state of the first schema: what it holds goes over, the history still verifies, and nobody loses anything by it.
//! The fixture was written by the program of that schema: thirty people, eight removals rejected and eight held, one
//! event that nobody had looked into; one person whose update was refused was added.

use std::path::Path;

use rosterd::model::owed::{OwedClass, WaitsFor};
use rosterd::model::plan::{RemovalKind, Verb};
use rosterd::model::time::Millis;
use rosterd::store::Store;

async fn upgraded() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/schema-1.db");
    std::fs::copy(fixture, directory.path().join("rosterd.db")).unwrap();
    let store = Store::open(directory.path(), true).await.unwrap();
    (directory, store)
}

#[tokio::test]
async fn a_database_of_the_first_schema_goes_over_whole_and_is_backed_up_first() {
    let (directory, store) = upgraded().await;
    assert!(directory.path().join("rosterd.v1.backup").exists());
    let snapshot = store.snapshot();
    let links = snapshot.links("default").await.unwrap();
    assert_eq!(links.len(), 30);
    assert!(links.iter().all(|link| link.observation.number.get() == 0), "older than every number");
    assert!(links.iter().all(|link| link.removal_seen && link.cause.is_none()));
    let audit = snapshot.audit().await.unwrap();
    assert!(audit.intact, "{audit:?}");
}

#[tokio::test]
async fn refusals_and_events_of_before_are_owed_and_what_was_held_is_held() {
    let (_directory, store) = upgraded().await;
    let snapshot = store.snapshot();
    let owed = snapshot.owed("default").await.unwrap();
    assert_eq!(owed.len(), 1, "{owed:?}");
    assert_eq!((owed[0].class, owed[0].waits_for), (OwedClass::Attributes, WaitsFor::Retry));
    assert_eq!((owed[0].attempts, owed[0].verb), (1, Some(Verb::Update)));
    assert_eq!(snapshot.owed_looks("default").await.unwrap().len(), 1);
    let holds = snapshot.open_holds(None, Millis(0)).await.unwrap();
    assert_eq!(holds.len(), 1);
    assert_eq!((holds[0].kind, holds[0].count), (Some(RemovalKind::Unassigned), 8));
}

#[tokio::test]
async fn decisions_of_before_stand_without_a_cause_until_a_look_shows_one() {
    let (_directory, store) = upgraded().await;
    let pins = store.snapshot().pins("default").await.unwrap();
    assert_eq!(pins.len(), 8);
    assert!(pins.values().all(|pin| pin.cause.is_none() && pin.verb == Some(Verb::Deactivate)));
}

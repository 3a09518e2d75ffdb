//! Whoever was overtaken writes nothing more.

use crate::model::drift::DriftCounts;
use crate::model::time::Millis;
use crate::store::{Store, StoreError};

#[tokio::test]
async fn a_holder_that_was_overtaken_changes_nothing_and_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), false).await.unwrap();
    let overtaken = store.seize("default").await.unwrap();
    let holder = store.seize("default").await.unwrap();
    assert!(holder.epoch() > overtaken.epoch());
    let verified = store.note_verified(&overtaken, Millis(1), DriftCounts::default()).await;
    assert!(matches!(verified, Err(StoreError::LostTenure(sync)) if sync == "default"));
    let ended = store.end_full_run(&overtaken, crate::model::order::OrderNumber::next()).await;
    assert!(matches!(ended, Err(StoreError::LostTenure(_))));
    let recorded = store.snapshot().recorded(vec!["default".to_owned()], Millis::now()).await.unwrap();
    assert!(recorded[0].drift.is_none(), "nothing was written");
    store.note_verified(&holder, Millis(1), DriftCounts::default()).await.unwrap();
    let recorded = store.snapshot().recorded(vec!["default".to_owned()], Millis::now()).await.unwrap();
    assert!(recorded[0].drift.is_some());
}

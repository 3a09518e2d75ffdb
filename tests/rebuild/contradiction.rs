//! Links that are there and contradict what the workspace shows.

use rosterd::exit;
use rosterd::model::report::RunResult;
use serde_json::json;

use crate::hands::{BOTH, rebuild};
use crate::support::{Bench, account_by_hand};

#[tokio::test]
async fn a_link_to_an_account_that_is_not_there_gives_way_to_the_one_that_bears_the_mark() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, _] = bench.staff(["ann", "ben"]);
        bench.begin().await;
        // An administrator deleted the account and made it again.
        let old = bench.account("ann");
        assert!(bench.world().delete_account(&old.id));
        let id = bench.world().add_account(&serde_json::Value::Object(old.resource.clone()));
        assert_ne!(id, old.id);
        let rebuilt = rebuild(&bench).await;
        assert_eq!(rebuilt.found(), ["ann externalId"], "{rebuilt:#?}");
        assert!(rebuilt.links[0].note.as_deref().unwrap().contains(&old.id));
        assert_eq!(bench.link(ann).await.unwrap().target_id.as_str(), id);
        assert_eq!(rebuilt.facts.kept, 1);
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn a_link_stays_where_only_a_login_speaks_against_it() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, _] = bench.staff(["ann", "ben"]);
        bench.begin().await;
        let linked = bench.account("ann").id;
        bench.world().edit_account(&linked, |account| {
            account.resource.insert("userName".to_owned(), json!("ann.archer@acme.example"));
            account.resource.remove("externalId");
        });
        bench.world().add_account(&account_by_hand("ann@acme.example", true));
        let rebuilt = rebuild(&bench).await;
        assert_eq!((rebuilt.found(), rebuilt.facts.kept), (Vec::new(), 2), "{rebuilt:#?}");
        assert!(rebuilt.left_of("ann").contains("linked to account"));
        assert_eq!(bench.link(ann).await.unwrap().target_id.as_str(), linked);
    }
}

#[tokio::test]
async fn a_link_whose_account_bears_the_mark_of_another_gives_way() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, _] = bench.staff(["ann", "ben"]);
        bench.begin().await;
        let (wrong, mark) = (bench.account("ann").id, bench.external_id(ann));
        let gus = bench.hire("gus");
        let other = json!(bench.external_id(gus));
        bench.world().edit_account(&wrong, |account| {
            account.resource.insert("externalId".to_owned(), other);
            account.resource.insert("userName".to_owned(), json!("gus@acme.example"));
        });
        let mut right = account_by_hand("ann@acme.example", true);
        right["externalId"] = json!(mark);
        let right = bench.world().add_account(&right);
        rebuild(&bench).await;
        assert_eq!(bench.link(ann).await.unwrap().target_id.as_str(), right);
        // The account is free now.
        assert_eq!(rebuild(&bench).await.found(), ["gus externalId"]);
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(bench.accounts().len(), 3);
        bench.assert_quiet().await;
    }
}

//! Two syncs into one workspace: an account belongs to one of them, whatever happens to its person at the other.

use rosterd::engine::selection::Selection;
use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::plan::{Situation, Verb};
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::PersonId;
use serde_json::json;

use crate::hands::{lose, rebuild_all};
use crate::support::{Bench, Ended, Mode};

/// Okta for one company ("okta"), OneLogin for another ("onelogin"), one workspace. The second one's world is its own.
struct Companies {
    okta: Bench,
    onelogin: Bench,
}

impl Companies {
    async fn new() -> Companies {
        Companies { okta: Bench::okta().await, onelogin: Bench::onelogin().await }
    }

    fn text(&self, tables: &str) -> String {
        let okta = self.okta.text().replace("name = \"default\"", "name = \"okta\"");
        let onelogin = self.onelogin.sync_text("onelogin");
        format!(
            "{okta}\n{}\n{tables}",
            onelogin.replace(self.onelogin.sim.scim_url(), self.okta.sim.scim_url())
        )
    }

    async fn run(&self) -> [Ended; 2] {
        self.run_with("").await
    }

    async fn run_with(&self, tables: &str) -> [Ended; 2] {
        self.okta.sim.clear_requests();
        let ended = self.okta.all(&self.text(tables), Selection::Everybody, Mode::Real).await;
        ended.try_into().unwrap()
    }

    fn mark(&self, person: PersonId) -> serde_json::Value {
        json!(self.okta.external_id(person))
    }
}

#[tokio::test]
async fn each_company_has_its_people_and_a_shared_login_belongs_to_the_first() {
    let both = Companies::new().await;
    let [ann, ..] = both.okta.staff(["ann", "ben"]);
    both.onelogin.staff(["ann", "zoe"]);
    let [first, second] = both.run().await;
    assert_eq!(first.facts.summary.create, 2, "{first:#?}");
    second.assert_end(exit::OK, RunResult::Ok);
    assert_eq!(second.facts.summary.create, 1, "{second:#?}");
    second.assert_line("ann", Verb::Block, Outcome::Skipped);
    assert_eq!(second.of("ann").situation, Situation::TakenElsewhere);
    assert!(second.words_of("ann").contains("sync \"okta\""));
    assert_eq!(both.okta.account("ann").at("/externalId"), both.mark(ann));
    let [first, second] = both.run().await;
    assert_eq!(first.facts.summary.writes() + second.facts.summary.writes(), 0);
    assert_eq!(both.okta.accounts().len(), 3);
}

#[tokio::test]
async fn an_adopted_account_is_the_adopters() {
    let both = Companies::new().await;
    both.okta.hire("ann");
    both.onelogin.hire("ann");
    both.okta.add_account("ann", true);
    let [first, second] = both.run().await;
    first.assert_line("ann", Verb::Adopt, Outcome::Applied);
    assert_eq!(second.of("ann").situation, Situation::TakenElsewhere);
    assert_eq!(both.okta.accounts().len(), 1);
}

#[tokio::test]
async fn a_rename_to_the_login_of_another_syncs_account_is_blocked() {
    let both = Companies::new().await;
    let zoe = {
        both.okta.hire("ann");
        both.onelogin.hire("zoe")
    };
    both.run().await;
    both.onelogin.world().rename(zoe, "ann@acme.example");
    let [first, second] = both.run().await;
    assert_eq!(first.facts.summary.writes(), 0);
    second.assert_line("zoe", Verb::Block, Outcome::Skipped);
    assert_eq!(both.okta.writes(), [""; 0]);
    assert_eq!(both.okta.account("zoe").at("/userName"), json!("zoe@acme.example"));
}

#[tokio::test]
async fn an_address_of_another_syncs_account_adopts_nothing() {
    let both = Companies::new().await;
    both.okta.hire("ann");
    both.run().await;
    both.onelogin.hire_with("a.archer", |person| person.email = "ann@acme.example".to_owned());
    let [_, second] = both.run_with("[sync.adopt]\nmatch = [\"externalId\", \"userName\", \"email\"]").await;
    assert_eq!(second.of("a.archer").situation, Situation::TakenElsewhere, "{second:#?}");
    assert_eq!(both.okta.writes(), [""; 0]);
}

#[tokio::test]
async fn a_mark_that_was_moved_to_another_syncs_account_by_hand_gives_it_to_nobody() {
    let both = Companies::new().await;
    both.okta.hire("ann");
    both.run().await;
    let zoe = both.onelogin.hire("zoe");
    let mark = json!(both.onelogin.external_id(zoe));
    let id = both.okta.account("ann").id;
    both.okta.world().edit_account(&id, |account| {
        account.resource.insert("externalId".to_owned(), mark);
    });
    let [_, second] = both.run().await;
    assert_eq!(second.of("zoe").situation, Situation::TakenElsewhere, "{second:#?}");
    assert_eq!(both.okta.account("ann").id, id);
}

#[tokio::test]
async fn who_leaves_one_company_is_removed_by_it_even_where_the_other_has_somebody_of_that_login() {
    let both = Companies::new().await;
    let [ann, _] = both.okta.staff(["ann", "ben"]);
    both.onelogin.staff(["ann", "zoe"]);
    both.run().await;
    both.okta.world().unassign(ann);
    let [first, second] = both.run().await;
    first.assert_line("ann", Verb::Deactivate, Outcome::Applied);
    assert_eq!(second.of("ann").situation, Situation::TakenElsewhere, "{second:#?}");
    assert_eq!(both.okta.writes(), ["PATCH ann@acme.example"]);
    assert!(!both.okta.is_active("ann"));
}

#[tokio::test]
async fn after_a_rebuild_each_account_belongs_to_the_sync_whose_mark_it_bears() {
    let both = Companies::new().await;
    both.okta.staff(["ann", "ben", "cleo", "dan"]);
    let [zoe, ..] = both.onelogin.staff(["zoe", "yan"]);
    both.run().await;
    // From now on Okta has a zoe too; her account is not hers.
    both.okta.hire("zoe");
    lose(&both.okta);
    both.okta.sim.clear_requests();
    let rebuilt = rebuild_all(&both.okta, &both.text("")).await.unwrap();
    let [first, second] = [rebuilt[0].as_ref().unwrap(), rebuilt[1].as_ref().unwrap()];
    assert_eq!(first.found(), ["ann", "ben", "cleo", "dan"].map(|name| format!("{name} externalId")));
    assert!(first.left.iter().any(|left| left.reason.contains("taken_elsewhere")), "{first:#?}");
    assert_eq!(second.found(), ["yan externalId", "zoe externalId"], "{second:#?}");
    assert_eq!(
        second.links.iter().filter(|found| found.link.source_id == both.onelogin.source_id(zoe)).count(),
        1
    );
    assert_eq!(both.okta.writes(), [""; 0]);
    let [first, second] = both.run().await;
    assert_eq!(first.of("zoe").situation, Situation::TakenElsewhere, "{first:#?}");
    assert_eq!(first.facts.summary.writes() + second.facts.summary.writes(), 0, "{first:#?} {second:#?}");
    assert_eq!(both.okta.accounts().len(), 6);
}

#[tokio::test]
async fn a_rebuild_leaves_what_another_sync_is_linked_to() {
    let both = Companies::new().await;
    both.okta.staff(["ann", "ben"]);
    both.onelogin.staff(["ann", "zoe"]);
    both.run().await;
    let state = both.okta.directory.path().join("state/rosterd.db");
    let database = rusqlite::Connection::open(state).unwrap();
    database.execute("DELETE FROM link WHERE sync = 'onelogin'", []).unwrap();
    drop(database);
    let rebuilt = rebuild_all(&both.okta, &both.text("")).await.unwrap();
    let [first, second] = [rebuilt[0].as_ref().unwrap(), rebuilt[1].as_ref().unwrap()];
    assert_eq!((first.found(), first.facts.kept), (Vec::new(), 2));
    assert_eq!(second.found(), ["zoe externalId"], "{second:#?}");
    assert!(second.left_of("ann").contains("taken_elsewhere"), "{second:#?}");
    assert_eq!(both.okta.vendor, Vendor::Okta);
}

//! One person's life at every server that was observed: create, find, update, rename, leave, return, delete.

use rosterd::config::Dialect;
use rosterd::http::Lane;
use rosterd::model::plan::Verb;
use rosterd::scim::target::{Criterion, Observe, RefusalClass, WriteOutcome};
use rosterd::sim::ScimQuirks;

use super::support::{
    EMAIL, PHONE, ThroughTheDoor, applied, change, department, desired, everybody, proven, refused, text,
};
use super::workspace::Workspace;

#[tokio::test]
async fn the_result_is_right_at_every_server() {
    for (name, habits) in ScimQuirks::presets() {
        let dialect = if name == "wrike" { Dialect::Wrike } else { Dialect::Generic };
        let workspace = Workspace::speaking(habits, dialect).await;
        workspace.accounts(3);
        live(name, &workspace).await;
    }
}

async fn live(name: &str, workspace: &Workspace) {
    let Workspace { target, provisioner, .. } = workspace;
    let login = Criterion::UserName("ann@acme.com".to_owned());
    assert!(target.find(&login).await.unwrap().accounts.is_empty(), "{name}: nobody yet");
    let created = applied(provisioner.create(&desired("ann@acme.com")).await);
    assert_eq!(created.refused, [], "{name}");
    let id = created.account.unwrap().id;
    let found = target.find(&login).await.unwrap().accounts;
    assert_eq!(found.iter().map(|account| &account.id).collect::<Vec<_>>(), [&id], "{name}: found");
    assert_eq!(everybody(target).await.len(), 4, "{name}: listed");

    let changes = [
        change("name.familyName", Some("Lee"), Some("Smith")),
        change("title", Some("Engineer"), Some("Manager")),
        change(PHONE, Some("+15550100200"), Some("+15550100201")),
        change(&department(), Some("Sales"), Some("Legal")),
    ];
    applied(provisioner.update(&id, &changes, false).await);
    let account = target.get(&id, Lane::General).await.unwrap().unwrap();
    for change in &changes {
        assert_eq!(account.value(&change.path), change.to, "{name}: {}", change.path);
    }
    assert_eq!(
        text(&account, "name.givenName").as_deref(),
        Some("Ann"),
        "{name}: the rest of the name stays"
    );

    let rename = [
        change("userName", Some("ann@acme.com"), Some("ann.smith@acme.com")),
        change(EMAIL, Some("ann@acme.com"), Some("ann.smith@acme.com")),
    ];
    applied(provisioner.update(&id, &rename, false).await);
    assert_eq!(workspace.stored(&id, "/userName"), "ann.smith@acme.com", "{name}");
    assert_eq!(workspace.stored(&id, "/emails/0/value"), "ann.smith@acme.com", "{name}");
    assert_eq!(workspace.stored(&id, "/title"), "Manager", "{name}: the rest stays");

    let left = provisioner.deactivate(proven(&id, Verb::Deactivate)).await;
    assert_eq!(workspace.stored(&id, "/active"), false, "{name}: the access is gone");
    if name == "onelogin-sample" {
        // It obeys and never shows it, so nobody may say that it is done.
        assert_eq!(refused(left).class, RefusalClass::StillActive, "{name}");
    } else {
        applied(left);
    }
    applied(provisioner.update(&id, &[], true).await);
    assert_eq!(workspace.stored(&id, "/active"), true, "{name}: back");

    match provisioner.delete(proven(&id, Verb::Delete)).await {
        WriteOutcome::Applied(_) => {}
        WriteOutcome::Refused(refusal) => {
            assert_eq!((name, refusal.class), ("okta-sample", RefusalClass::NotOffered));
        }
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test]
async fn the_second_person_costs_no_detour() {
    for (name, habits) in ScimQuirks::presets() {
        let dialect = if name == "wrike" { Dialect::Wrike } else { Dialect::Generic };
        let workspace = Workspace::speaking(habits, dialect).await;
        let Workspace { target, provisioner, .. } = &workspace;
        let mut costs = Vec::new();
        for login in ["ann@acme.com", "bob@acme.com"] {
            let id = applied(provisioner.create(&desired(login)).await).account.unwrap().id;
            workspace.forget();
            let changes = [change("title", Some("Engineer"), Some("Manager"))];
            applied(provisioner.update(&id, &changes, false).await);
            let _ = provisioner.deactivate(proven(&id, Verb::Deactivate)).await;
            applied(provisioner.update(&id, &[], true).await);
            costs.push(workspace.requests().len());
        }
        // PATCH, PATCH, PATCH; or GET and PUT for each, and a look where nothing is shown.
        let bound = if matches!(name, "onelogin-sample" | "django-scim2-server") { 7 } else { 3 };
        assert!(costs[1] <= bound, "{name}: {costs:?} {:?}", workspace.lines());
        assert!(target.counters().requests >= (costs[0] + costs[1]) as u64, "{name}");
    }
}

//! The Wrike dialect, as far as its pages say.

use rosterd::config::Dialect;
use rosterd::model::plan::Verb;
use rosterd::scim::target::{Criterion, Observe, RefusalClass, TargetError};
use rosterd::sim::ScimQuirks;
use serde_json::json;

use super::support::{ThroughTheDoor, applied, bare, desired, proven, refused};
use super::workspace::Workspace;

async fn wrike() -> Workspace {
    Workspace::speaking(ScimQuirks::wrike(), Dialect::Wrike).await
}

#[tokio::test]
async fn people_are_looked_up_by_e_mail_only() {
    let workspace = wrike().await;
    assert!(!workspace.target.finds_external_id());
    let ann = workspace.account(json!({"userName": "ann@acme.com", "externalId": "00u1"}));
    for criterion in
        [Criterion::UserName("Ann@acme.com".to_owned()), Criterion::UserName("ann@acme.com".to_owned())]
    {
        let found = workspace.target.find(&criterion).await.unwrap().accounts;
        assert_eq!(found.iter().map(|account| &account.id).collect::<Vec<_>>(), [&ann]);
    }
    let error = workspace.target.find(&Criterion::ExternalId("00u1".to_owned())).await.unwrap_err();
    assert!(matches!(error, TargetError::Unanswerable(_)), "{error:?}");
    let filters: Vec<String> = workspace
        .requests()
        .iter()
        .map(|request| request.query("filter").unwrap_or_default().to_owned())
        .collect();
    assert_eq!(filters, ["userName eq \"Ann@acme.com\"", "userName eq \"ann@acme.com\""]);
}

#[tokio::test]
async fn each_of_wrikes_refusals_is_told_apart() {
    let workspace = wrike().await;
    let Workspace { sim, provisioner, .. } = &workspace;
    let owner = workspace.account(json!({"userName": "owner@acme.com", "active": true}));
    sim.world().edit_account(owner.as_str(), |account| account.owner = true);
    let guest = workspace.account(json!({"userName": "guest@acme.com", "active": true}));
    sim.world().edit_account(guest.as_str(), |account| account.several_workspaces = true);
    for id in [&owner, &guest] {
        let refusal = refused(provisioner.deactivate(proven(id, Verb::Deactivate)).await);
        assert_eq!((refusal.class, refusal.status), (RefusalClass::Permanent, 403), "{refusal:?}");
        let refusal = refused(provisioner.delete(proven(id, Verb::Delete)).await);
        assert_eq!(refusal.class, RefusalClass::Permanent, "{refusal:?}");
    }
    sim.world().set_approved_domains(&["acme.com"]);
    let refusal = refused(provisioner.create(&desired("ann@other.example")).await);
    assert_eq!(refusal.class, RefusalClass::Forbidden, "{refusal:?}");
    applied(provisioner.create(&bare("ann@acme.com")).await);
    let taken = refused(provisioner.create(&bare("ann@acme.com")).await);
    assert_eq!(taken.class, RefusalClass::Conflict, "{taken:?}");
    sim.world().set_seat_limit(Some(3));
    let refusal = refused(provisioner.create(&desired("bob@acme.com")).await);
    assert_eq!((refusal.class, refusal.attempts), (RefusalClass::NoSeat, 1), "{refusal:?}");
    assert!(refusal.detail.contains("license/quota"), "{refusal:?}");
}

#[tokio::test]
async fn the_wrong_data_centre_is_explained() {
    let workspace =
        Workspace::speaking(ScimQuirks { wrong_data_centre: true, ..ScimQuirks::wrike() }, Dialect::Wrike)
            .await;
    let criterion = Criterion::UserName("ann@acme.com".to_owned());
    let error = workspace.target.find(&criterion).await.unwrap_err();
    assert!(matches!(&error, TargetError::Unavailable(text) if text.contains("data centre")), "{error:?}");
    let refusal = refused(workspace.provisioner.create(&bare("ann@acme.com")).await);
    assert_eq!(refusal.class, RefusalClass::Unreachable);
    assert!(refusal.detail.contains("data centre"), "{refusal:?}");
}

#[tokio::test]
async fn the_rate_limit_is_told_as_such() {
    let habits = ScimQuirks { requests_per_minute: Some(0), ..ScimQuirks::wrike() };
    let workspace = Workspace::speaking(habits, Dialect::Wrike).await;
    let refusal = refused(workspace.provisioner.create(&bare("ann@acme.com")).await);
    assert_eq!((refusal.class, refusal.status), (RefusalClass::RateLimited, 429));
    assert!(workspace.sim.world().accounts().is_empty());
}

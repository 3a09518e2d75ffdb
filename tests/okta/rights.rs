//! Each right that `check` names is a test of its own.

use crate::organization;
use crate::source_support::{connect, okta_config, okta_oauth_config};
use rosterd::config::Dpop;
use rosterd::sim::{Cut, Effect, Fault, Peer, Sim};
use rosterd::source::{CheckContext, CheckLevel, RightCheck};
use rosterd::{config, sim};
use std::collections::BTreeMap;
use std::time::Duration;

async fn check(sim: &Sim, config: &config::Source) -> BTreeMap<String, RightCheck> {
    let checks = connect(sim, config).check(&CheckContext::default()).await;
    checks.into_iter().map(|check| (check.right.clone(), check)).collect()
}

#[tokio::test]
async fn every_right_is_there_and_named() {
    let sim = organization().await;
    sim.world().add_group("Bots");
    for mut config in [okta_config(&sim), okta_oauth_config(&sim, None, Dpop::Auto)] {
        config.groups = vec!["Bots".to_owned()];
        let checks = check(&sim, &config).await;
        for right in ["credentials", "app", "app users", "users", "event log", "groups"] {
            assert_eq!(checks[right].level, CheckLevel::Ok, "{right}: {:?}", checks[right]);
        }
        assert!(!checks.contains_key("provisioning"));
    }
}

#[tokio::test]
async fn each_missing_right_is_told_on_its_own_with_the_scope_or_role() {
    let cases = [
        ("apps", "app", CheckLevel::Fail, "okta.apps.read"),
        ("app_users", "app users", CheckLevel::Fail, "okta.apps.read"),
        ("users", "users", CheckLevel::Fail, "okta.users.read"),
        ("logs", "event log", CheckLevel::Warn, "okta.logs.read"),
        ("groups", "groups", CheckLevel::Fail, "okta.groups.read"),
    ];
    for (denied, right, level, names) in cases {
        let sim = organization().await;
        sim.world().add_group("Bots");
        sim.okta(|okta| okta.denied.insert(denied));
        let mut config = okta_config(&sim);
        config.groups = vec!["Bots".to_owned()];
        let checks = check(&sim, &config).await;
        assert_eq!(checks[right].level, level, "{:?}", checks[right]);
        assert!(checks[right].help.as_deref().unwrap().contains(names), "{:?}", checks[right]);
        for other in ["credentials", "app", "app users", "users", "event log", "groups"] {
            assert!(other == right || checks[other].level == CheckLevel::Ok, "{denied}: {:?}", checks[other]);
        }
    }
}

#[tokio::test]
async fn scopes_without_an_admin_role_are_noticed_although_every_list_says_200() {
    let sim = organization().await;
    sim.okta(|okta| okta.without_admin_role = true);
    let checks = check(&sim, &okta_oauth_config(&sim, None, Dpop::Auto)).await;
    assert_eq!(checks["users"].level, CheckLevel::Fail);
    assert_eq!(checks["app users"].level, CheckLevel::Warn);
    for right in ["users", "app users"] {
        assert!(checks[right].help.as_deref().unwrap().contains("admin role"), "{:?}", checks[right]);
    }
}

#[tokio::test]
async fn scopes_that_were_not_granted_are_named_one_by_one() {
    let sim = organization().await;
    sim.okta(|okta| okta.granted_scopes.retain(|scope| scope == "okta.users.read"));
    let checks = check(&sim, &okta_oauth_config(&sim, None, Dpop::Auto)).await;
    let help = checks["credentials"].help.clone().unwrap();
    assert_eq!(checks["credentials"].level, CheckLevel::Fail);
    assert!(help.contains("okta.apps.read") && help.contains("okta.logs.read"), "{help}");
    assert!(!help.contains("okta.users.read"), "{help}");
}

#[tokio::test]
async fn a_wrong_app_id_is_answered_with_the_apps_there_are() {
    let sim = organization().await;
    let mut config = okta_config(&sim);
    config.app_id = "0oaWrong".to_owned();
    let checks = check(&sim, &config).await;
    assert_eq!(checks["app"].level, CheckLevel::Fail);
    assert!(checks["app"].help.as_deref().unwrap().contains(&sim.okta_app_id()), "{:?}", checks["app"]);
}

#[tokio::test]
async fn oktas_own_provisioning_is_a_warning_and_an_inactive_app_a_failure() {
    let sim = organization().await;
    sim.world().edit_app(|app| {
        app.features = vec!["PUSH_NEW_USERS".to_owned(), "IMPORT_NEW_USERS".to_owned()];
        app.active = false;
    });
    let checks = check(&sim, &okta_config(&sim)).await;
    assert_eq!(checks["provisioning"].level, CheckLevel::Warn);
    assert!(checks["provisioning"].detail.contains("PUSH_NEW_USERS"));
    assert!(!checks["provisioning"].detail.contains("IMPORT"), "reading is no writing");
    assert_eq!(checks["app"].level, CheckLevel::Fail);
}

#[tokio::test]
async fn a_schedule_that_asks_for_more_than_the_limit_gives_is_a_warning() {
    let sim = organization().await;
    sim.okta(|okta| okta.rate_limits = sim::RateLimits::published());
    let context = CheckContext { interval: Some(Duration::from_secs(60)), people: Some(200_000) };
    let checks = connect(&sim, &okta_config(&sim)).check(&context).await;
    let rate = checks.iter().find(|check| check.right == "rate").unwrap();
    assert_eq!(rate.level, CheckLevel::Warn);
    assert!(rate.detail.contains("200000") && rate.detail.contains("401"), "{}", rate.detail);
}

#[tokio::test]
async fn dead_credentials_and_a_dead_source_end_the_check_with_one_line() {
    let sim = organization().await;
    sim.okta(|okta| okta.api_token_valid = false);
    let config = okta_config(&sim);
    let source = connect(&sim, &config);
    for _ in 0..2 {
        let checks = source.check(&CheckContext::default()).await;
        assert_eq!(
            (checks.len(), checks[0].right.as_str(), checks[0].level),
            (1, "credentials", CheckLevel::Fail)
        );
        assert!(checks[0].help.is_some());
        // The second time nobody is there at all.
        sim.faults().add(Fault::on(Peer::Okta).then(Effect::Cut(Cut::BeforeProcessing)));
    }
}

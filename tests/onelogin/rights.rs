//! Each right that `check` names is a test of its own.

use crate::account;
use crate::source_support::{connect, onelogin_config, sim};
use rosterd::config;
use rosterd::sim::Sim;
use rosterd::source::{CheckContext, CheckLevel, RightCheck};
use std::collections::BTreeMap;
use std::time::Duration;

async fn check(sim: &Sim, config: &config::Source) -> BTreeMap<String, RightCheck> {
    let checks = connect(sim, config).check(&CheckContext::default()).await;
    checks.into_iter().map(|check| (check.right.clone(), check)).collect()
}

#[tokio::test]
async fn each_missing_right_is_told_on_its_own_with_the_scope() {
    let rights = ["credentials", "app", "app users", "users", "event log", "groups"];
    let cases = [
        (None, ""),
        (Some("apps"), "app"),
        (Some("app_users"), "app users"),
        (Some("users"), "users"),
        (Some("events"), "event log"),
        (Some("roles"), "groups"),
    ];
    for (denied, right) in cases {
        let sim = account().await;
        sim.world().add_group("Bots");
        sim.onelogin(|onelogin| onelogin.denied.extend(denied));
        let mut config = onelogin_config(&sim);
        config.groups = vec!["Bots".to_owned()];
        let checks = check(&sim, &config).await;
        for other in rights {
            let level = match other {
                other if other != right => CheckLevel::Ok,
                "event log" => CheckLevel::Warn,
                _ => CheckLevel::Fail,
            };
            assert_eq!(checks[other].level, level, "{denied:?}: {:?}", checks[other]);
        }
        if denied.is_some() {
            assert!(checks[right].help.as_deref().unwrap().contains("Read All"), "{:?}", checks[right]);
        }
        assert!(!checks.contains_key("provisioning"));
    }
}

#[tokio::test]
async fn refused_credentials_are_one_line() {
    let sim = account().await;
    let source = connect(&sim, &onelogin_config(&sim));
    sim.onelogin(|onelogin| onelogin.credentials_owner_deleted = true);
    let checks = source.check(&CheckContext::default()).await;
    assert_eq!(
        (checks.len(), checks[0].right.as_str(), checks[0].level),
        (1, "credentials", CheckLevel::Fail)
    );
}

#[tokio::test]
async fn a_wrong_app_id_is_answered_with_the_apps_there_are() {
    let sim = account().await;
    let mut config = onelogin_config(&sim);
    config.app_id = "1".to_owned();
    let checks = check(&sim, &config).await;
    assert_eq!(checks["app"].level, CheckLevel::Fail);
    assert!(checks["app"].help.as_deref().unwrap().contains(&sim.onelogin_app_id()), "{:?}", checks["app"]);
}

#[tokio::test]
async fn onelogins_own_provisioning_nobody_assigned_and_a_tight_schedule_are_warnings() {
    let sim = sim().await;
    sim.world().edit_app(|app| app.onelogin_provisioning = true);
    sim.onelogin(|onelogin| onelogin.calls_per_hour = 5000);
    let context = CheckContext { interval: Some(Duration::from_secs(900)), people: Some(300_000) };
    let checks = connect(&sim, &onelogin_config(&sim)).check(&context).await;
    for right in ["provisioning", "app users", "rate"] {
        let check = checks.iter().find(|check| check.right == right).unwrap();
        assert_eq!(check.level, CheckLevel::Warn, "{check:?}");
    }
}

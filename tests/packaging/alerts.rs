//! The example alerts speak of metrics that exist, and say what to do.

use crate::text_of;
use std::collections::{BTreeMap, BTreeSet};
use yaml_rust2::{Yaml, YamlLoader};

/// The public names, with the labels that each has beside `sync`.
const METRICS: &[(&str, &[&str])] = &[
    ("rosterd_last_success_timestamp_seconds", &[]),
    ("rosterd_runs_total", &["result"]),
    ("rosterd_actions_total", &["action", "outcome"]),
    ("rosterd_accounts", &["state"]),
    ("rosterd_held", &[]),
    ("rosterd_leavers_with_access", &["waits_for"]),
    ("rosterd_oldest_leaver_seconds", &[]),
    ("rosterd_owed", &["class", "waits_for"]),
    ("rosterd_pins", &[]),
    ("rosterd_seats", &["state"]),
    ("rosterd_target_answered_timestamp_seconds", &[]),
    ("rosterd_quarantined", &[]),
    ("rosterd_verification_failed", &[]),
    ("rosterd_credential_since_timestamp_seconds", &["peer"]),
    ("rosterd_requests_total", &["peer", "status"]),
    ("rosterd_request_duration_seconds", &["peer"]),
    ("rosterd_rate_limited_total", &["peer"]),
    ("rosterd_event_lag_seconds", &[]),
    ("rosterd_build_info", &["version"]),
];

/// Each is `_bucket`, `_sum` and `_count` to Prometheus.
const HISTOGRAMS: &[&str] = &["rosterd_run_duration_seconds", "rosterd_revoke_seconds"];

fn rules() -> Vec<Yaml> {
    let documents = YamlLoader::load_from_str(&text_of("contrib/alerts.yml")).unwrap();
    assert_eq!(documents.len(), 1);
    let groups = documents[0]["groups"].as_vec().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_vec().unwrap().clone()).collect()
}

fn known() -> BTreeMap<String, Vec<&'static str>> {
    let mut known: BTreeMap<String, Vec<&str>> =
        METRICS.iter().map(|(name, labels)| ((*name).to_owned(), labels.to_vec())).collect();
    for name in HISTOGRAMS {
        known.insert(format!("{name}_bucket"), vec!["le"]);
        known.insert(format!("{name}_sum"), vec![]);
        known.insert(format!("{name}_count"), vec![]);
    }
    known
}

/// Words of an expression: names of metrics, labels, functions.
fn words(expression: &str) -> BTreeSet<&str> {
    expression.split(|character: char| !character.is_alphanumeric() && character != '_').collect()
}

#[test]
fn every_metric_and_label_that_an_alert_uses_exists() {
    let known = known();
    let mut used = BTreeSet::new();
    for rule in rules() {
        let expression = rule["expr"].as_str().unwrap();
        let metrics: Vec<&str> =
            words(expression).into_iter().filter(|word| word.starts_with("rosterd_")).collect();
        assert!(!metrics.is_empty(), "{expression}");
        let mut labels = BTreeSet::from(["sync"]);
        for metric in &metrics {
            labels
                .extend(known.get(*metric).unwrap_or_else(|| panic!("{metric} is no metric: {expression}")));
        }
        let grouped = expression.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
        for label in grouped.flat_map(|list| list.split(',')).map(str::trim) {
            assert!(labels.contains(label), "{label}: {expression}");
        }
        let selected = expression.split('{').skip(1).filter_map(|rest| rest.split('=').next());
        for label in selected.map(str::trim) {
            assert!(labels.contains(label), "{label}: {expression}");
        }
        used.extend(metrics.into_iter().map(str::to_owned));
    }
    for wanted in [
        "rosterd_last_success_timestamp_seconds",
        "rosterd_held",
        "rosterd_quarantined",
        "rosterd_leavers_with_access",
        "rosterd_owed",
        "rosterd_target_answered_timestamp_seconds",
        "rosterd_revoke_seconds_bucket",
        "rosterd_requests_total",
        "rosterd_build_info",
    ] {
        assert!(used.contains(wanted), "no alert on {wanted}");
    }
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    let mut names = BTreeSet::new();
    for rule in rules() {
        let name = rule["alert"].as_str().unwrap();
        assert!(name.starts_with("Rosterd") && names.insert(name.to_owned()), "{name}");
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning"].contains(&severity), "{name}: {severity}");
        assert!(
            rule["annotations"]["summary"].as_str().is_some_and(|text| text.contains("rosterd")),
            "{name}"
        );
        let description = rule["annotations"]["description"].as_str().unwrap();
        assert!(description.contains('`'), "{name}: a description names a command or a key");
    }
    assert!(names.len() >= 7);
}

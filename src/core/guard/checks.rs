//! The limits one by one: what is measured against each, and in which words it says that it tripped.

use super::intent::{Intent, Ledger};
use crate::config;

/// At so few removals no percentage trips.
const FLOOR: u64 = 3;
/// Under so many accounts "more than half" stands in for the percentages, and updates are not limited.
pub(super) const SMALL: u64 = 10;

/// One limit against one value.
pub(super) struct Check {
    pub guard: &'static str,
    pub limit: f64,
    pub value: f64,
    pub tripped: bool,
    pub reason: String,
}

pub(super) fn removal_checks(
    planned: u64,
    going: u64,
    ledger: &Ledger,
    limits: &config::Guard,
) -> Vec<Check> {
    let peak = ledger.active_peak;
    let hour = planned + going + ledger.hour.removals;
    let everybody = Check {
        guard: "everybody_would_go",
        limit: peak as f64,
        value: hour as f64,
        tripped: planned > 0 && peak >= 2 && hour >= peak,
        reason: format!(
            "everybody would go: {planned} planned and {} sent in the last hour, of {peak} active accounts",
            going + ledger.hour.removals
        ),
    };
    vec![
        everybody,
        count_check("max_removals", "removals", planned, going + ledger.hour.removals, limits.max_removals),
        share_check(
            "max_removals_percent",
            "hour",
            planned,
            going + ledger.hour.removals,
            peak,
            limits.max_removals_percent,
        ),
        share_check(
            "max_removals_percent_per_day",
            "24 hours",
            planned,
            going + ledger.day.removals,
            peak,
            limits.max_removals_percent_per_day,
        ),
    ]
}

/// A number in the hour.
pub(super) fn count_check(guard: &'static str, what: &str, planned: u64, sent: u64, limit: u32) -> Check {
    let total = planned + sent;
    Check {
        guard,
        limit: f64::from(limit),
        value: total as f64,
        tripped: planned > 0 && total > u64::from(limit),
        reason: format!(
            "{planned} {what} planned and {sent} sent in the last hour are more than guard.{guard} = {limit}"
        ),
    }
}

/// A share of the highest number of active accounts in the last 24 hours. A small workspace has "more than half"
/// instead of the percentage, because 10 % of five people is nobody.
fn share_check(guard: &'static str, span: &str, planned: u64, sent: u64, peak: u64, percent: u8) -> Check {
    let total = planned + sent;
    let small = peak < SMALL;
    let (limit, tripped) = if small {
        (50.0, peak >= 2 && 2 * total > peak)
    } else {
        (f64::from(percent), total > FLOOR && 100 * total > u64::from(percent) * peak)
    };
    let limit_text = if small {
        format!("half of {peak} active accounts (guard.{guard} in a workspace under {SMALL})")
    } else {
        format!("guard.{guard} = {percent} % of {peak} active accounts")
    };
    Check {
        guard,
        limit,
        value: percent_of(total, peak),
        tripped: planned > 0 && tripped,
        reason: format!(
            "{planned} removals planned and {sent} sent in the last {span} are more than {limit_text}"
        ),
    }
}

pub(super) fn update_check(intent: &Intent, planned: u64, ledger: &Ledger, limits: &config::Guard) -> Check {
    let sent = ledger.hour.updates;
    let total = planned + sent;
    let base = ledger.links + intent.adoptions;
    let percent = limits.max_updates_percent;
    Check {
        guard: "max_updates_percent",
        limit: f64::from(percent),
        value: percent_of(total, base),
        tripped: planned > 0 && base >= SMALL && 100 * total > u64::from(percent) * base,
        reason: format!(
            "{planned} updates planned and {sent} sent in the last hour are more than guard.max_updates_percent = \
             {percent} % of {base} accounts: a mapping mistake rewrites everybody"
        ),
    }
}

/// One decimal, as reports show it.
fn percent_of(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (1000.0 * part as f64 / whole as f64).round() / 10.0 }
}

//! `[sync.guard]`: the limits that hold a plan.

use crate::config::raw::{Finding, Section};
use crate::config::{Guard, mask};
use crate::core::protection;
use crate::model::plan::Verb;

const MOST: u32 = 10_000_000;
const APPROVAL: &[(&str, Verb)] = &[
    ("create", Verb::Create),
    ("adopt", Verb::Adopt),
    ("update", Verb::Update),
    ("reactivate", Verb::Reactivate),
    ("deactivate", Verb::Deactivate),
    ("delete", Verb::Delete),
];

/// Reads the table; every default is the documented one.
pub(super) fn check(section: &Section<'_>) -> Guard {
    let default = Guard::default();
    let percent = |key: &str, default: u8| {
        u8::try_from(section.integer(key, 0..=100, u32::from(default))).unwrap_or(default)
    };
    Guard {
        max_removals: section.integer("max_removals", 0..=MOST, default.max_removals),
        max_removals_percent: percent("max_removals_percent", default.max_removals_percent),
        max_removals_percent_per_day: percent(
            "max_removals_percent_per_day",
            default.max_removals_percent_per_day,
        ),
        max_updates_percent: percent("max_updates_percent", default.max_updates_percent),
        max_reactivations: section.integer("max_reactivations", 0..=MOST, default.max_reactivations),
        max_creates: section.integer("max_creates", 0..=MOST, default.max_creates),
        max_seats: check_seats(section),
        protected: check_protected(section),
        approval: check_approval(section),
    }
}

/// A number, or `"off"`.
fn check_seats(section: &Section<'_>) -> Option<u32> {
    let (_, value) = section.entry("max_seats")?;
    if value.get_ref().as_str() == Some("off") {
        return None;
    }
    Some(section.integer("max_seats", 0..=MOST, 250))
}

fn check_protected(section: &Section<'_>) -> Vec<String> {
    for item in section.list("protected").map(|list| list.value).unwrap_or_default() {
        if let Err(problem) = protection::compile(item.value) {
            let finding = Finding::new(
                item.span,
                format!("`protected` has a bad pattern {}: {problem}", mask::echo(item.value)),
            );
            section.report(finding.help("write a login or a pattern such as \"*@admins.acme.com\""));
        }
    }
    section.names("protected").unwrap_or_default()
}

/// Verbs; an empty list is the default and means none.
fn check_approval(section: &Section<'_>) -> Vec<Verb> {
    if section.list_is_empty("approval") {
        return Vec::new();
    }
    section.choices("approval", APPROVAL).unwrap_or_default()
}

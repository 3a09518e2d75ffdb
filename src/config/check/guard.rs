//! `[sync.guard]`: the limits that hold a plan.

use crate::config::raw::{Finding, Section};
use crate::config::{Guard, mask};
use crate::model::plan::Verb;
use crate::model::protected_logins::ProtectedLogins;

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

fn check_protected(section: &Section<'_>) -> ProtectedLogins {
    let items = section.list("protected").map(|list| list.value).unwrap_or_default();
    let patterns: Vec<String> = items.iter().map(|item| item.value.to_owned()).collect();
    match ProtectedLogins::new(&patterns) {
        Ok(logins) => logins,
        // The findings keep the configuration from being used.
        Err(bad) => {
            for pattern in bad {
                let Some(item) = items.get(pattern.index) else { continue };
                let problem =
                    format!("`protected` has a bad pattern {}: {}", mask::echo(item.value), pattern.problem);
                let help = "write a login or a pattern such as \"*@admins.acme.com\"";
                section.report(Finding::new(item.span.clone(), problem).help(help));
            }
            ProtectedLogins::default()
        }
    }
}

/// Verbs; an empty list is the default and means none.
fn check_approval(section: &Section<'_>) -> Vec<Verb> {
    if section.list_is_empty("approval") {
        return Vec::new();
    }
    section.choices("approval", APPROVAL).unwrap_or_default()
}

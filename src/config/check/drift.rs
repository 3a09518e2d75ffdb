//! `[sync.drift]`: when the workspace is verified, and what of the drift is repaired.

use super::{check_cron, schema};
use crate::config::raw::Section;
use crate::config::{Drift, DriftPolicy};

const POLICIES: &[(&str, DriftPolicy)] = &[("repair", DriftPolicy::Repair), ("report", DriftPolicy::Report)];

/// Reads the table.
pub(super) fn check(sync: &Section<'_>) -> Drift {
    let section = sync.section("drift", schema::DRIFT);
    Drift {
        schedule: section
            .text("schedule", "0 3 * * *")
            .filter(|written| written.value != "off")
            .and_then(|written| check_cron(&section, &written)),
        access: section.choice("access", POLICIES, DriftPolicy::Repair),
        reactivate: section.choice("reactivate", POLICIES, DriftPolicy::Report),
        attributes: section.choice("attributes", POLICIES, DriftPolicy::Report),
    }
}

//! Quarantine: a sync that keeps failing runs less often by itself, and recovers by itself.

use std::time::Duration;

use crate::model::time::Millis;

/// Failed runs in a row that lead into quarantine; refused credentials do at once.
const FAILED_RUNS: u32 = 5;
/// The longest time between two tries.
const LONGEST: Duration = Duration::from_secs(3600);

/// How the last runs of a sync ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Runs that failed in a row.
    pub failed_runs: u32,
    /// Whether either side refused the credentials in the last of them.
    pub refused: bool,
    /// When the last of them ended.
    pub failed_at: Option<Millis>,
    /// Why.
    pub reason: Option<String>,
    /// Whether it was the target's doing; else the source's.
    pub target: bool,
}

/// A sync in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// When the next run that nobody started by hand is due.
    pub until: Millis,
    /// Why.
    pub reason: String,
    /// Whether this failure is the one that led here: it is told once.
    pub begins: bool,
}

/// Whether a sync is in quarantine; `interval` is the time between two scheduled runs.
pub fn quarantine(health: &Health, interval: Duration) -> Option<Quarantine> {
    let threshold = if health.refused { 1 } else { FAILED_RUNS };
    let beyond = health.failed_runs.checked_sub(threshold)?;
    // Doubling from twice the usual cadence, so that the first wait is already a slower one.
    let wait = interval.saturating_mul(1 << (beyond + 1).min(16)).min(LONGEST.max(interval));
    Some(Quarantine {
        until: Millis(health.failed_at?.0.saturating_add(wait.as_millis() as i64)),
        reason: health.reason.clone().unwrap_or_else(|| "failed".to_owned()),
        begins: beyond == 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUARTER: Duration = Duration::from_secs(900);

    fn until_minutes(failed_runs: u32, refused: bool) -> Option<i64> {
        let health = Health { failed_runs, refused, failed_at: Some(Millis(0)), ..Health::default() };
        quarantine(&health, QUARTER).map(|quarantine| quarantine.until.0 / 60_000)
    }

    #[test]
    fn five_failures_in_a_row_lead_into_quarantine_and_four_do_not() {
        assert_eq!([3, 4, 5].map(|runs| until_minutes(runs, false).is_some()), [false, false, true]);
    }

    #[test]
    fn refused_credentials_lead_there_at_once() {
        assert!(until_minutes(1, true).is_some() && until_minutes(0, true).is_none());
    }

    #[test]
    fn the_cadence_doubles_up_to_an_hour() {
        assert_eq!(
            [5, 6, 7, 50].map(|runs| until_minutes(runs, false)),
            [Some(30), Some(60), Some(60), Some(60)]
        );
    }

    #[test]
    fn a_sync_that_runs_less_than_hourly_is_not_run_more_often_for_failing() {
        let health = Health { failed_runs: 9, failed_at: Some(Millis(0)), ..Health::default() };
        let daily = Duration::from_secs(86_400);
        assert_eq!(quarantine(&health, daily).map(|quarantine| quarantine.until.0), Some(86_400_000));
    }
}

//! Quarantine: a sync that keeps failing is said to be in it, is tried at each firing of its schedule and at least once an
//! hour, and recovers by itself at the first success.
//!
//! What lives here: when it begins, and how soon refused credentials may be tried again. What must not: who tries.

use std::time::Duration;

use crate::model::report::RunResult;
use crate::model::time::Millis;

/// Full runs in a row that failed.
const FAILED_RUNS: u32 = 5;
/// Runs in which the same side refused the credentials, at least so far apart.
const REFUSED_RUNS: u32 = 2;
const REFUSED_APART_MILLIS: i64 = 60_000;
/// A sync in quarantine is tried at least so often, whatever its schedule says.
pub const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// Refused credentials are tried at most so often, by whatever run.
pub const REFUSED_PAUSE_MILLIS: i64 = 5 * 60_000;

/// A side of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The identity provider.
    Source,
    /// The workspace.
    Target,
}

impl Side {
    /// The word stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Side::Source => "source",
            Side::Target => "target",
        }
    }
}

/// A side that refuses the credentials, in a row of runs that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub side: Side,
    /// Since when.
    pub since: Millis,
    /// When last.
    pub at: Millis,
    /// In how many runs.
    pub runs: u32,
    /// In its own words.
    pub reason: String,
}

impl Refused {
    fn is_lasting(&self) -> bool {
        self.runs >= REFUSED_RUNS && self.at.since(self.since) >= REFUSED_APART_MILLIS
    }

    /// Until when these credentials are not tried by a run that nobody started by hand.
    pub fn rests_until(&self, now: Millis) -> Option<Millis> {
        let until = Millis(self.at.0.saturating_add(REFUSED_PAUSE_MILLIS));
        // A time in the future is from a clock that was ahead.
        (self.at <= now && now < until).then_some(until)
    }

    /// The row with one more run that ended in a refusal at this time.
    pub fn once_more(known: Option<&Refused>, side: Side, at: Millis, reason: String) -> Refused {
        let (since, runs) = known.map_or((at, 0), |known| (known.since.min(at), known.runs));
        Refused { side, since, at, runs: runs.saturating_add(1), reason }
    }
}

/// How the last runs of a sync ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Full runs that failed in a row.
    pub failed_runs: u32,
    /// When the last run that failed ended.
    pub failed_at: Option<Millis>,
    /// Why.
    pub reason: Option<String>,
    /// Whether it was the target's doing; else the source's.
    pub target: bool,
    /// The sides that refuse the credentials.
    pub refused: Vec<Refused>,
}

/// What a run's end says of the health of its sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// Whether it was about everybody. Runs of named people tell nothing about everybody: they count only where
    /// credentials are refused, and a success of theirs ends only what it shows to be over.
    pub full: bool,
    /// How it ended.
    pub result: RunResult,
    /// Whether a side refused the credentials.
    pub credentials_refused: bool,
    /// Whether the target accepted something.
    pub wrote: bool,
    /// When.
    pub at: Millis,
    /// Why it failed, where it did.
    pub reason: String,
}

impl Health {
    /// The health after one more run.
    #[must_use]
    pub fn after(mut self, end: &RunEnd) -> Health {
        let side = match end.result {
            RunResult::Ok | RunResult::Partial | RunResult::Held => {
                if end.full {
                    return Health::default();
                }
                // A run of named people may have had nothing to ask of the workspace.
                self.refused.retain(|refused| refused.side == Side::Target && !end.wrote);
                return self;
            }
            RunResult::Interrupted => return self,
            RunResult::SourceIncomplete | RunResult::SourceUnavailable => Some(Side::Source),
            RunResult::TargetUnavailable => Some(Side::Target),
            RunResult::Error => None,
        };
        if side == Some(Side::Target) {
            // The source was read, or nothing would have been asked of the workspace.
            self.refused.retain(|refused| refused.side == Side::Target);
        }
        if let (Some(side), true) = (side, end.credentials_refused) {
            let known = self.refused.iter().position(|refused| refused.side == side);
            let known = known.map(|place| self.refused.remove(place));
            self.refused.push(Refused::once_more(known.as_ref(), side, end.at, end.reason.clone()));
        }
        if end.full {
            self.failed_runs = self.failed_runs.saturating_add(1);
            self.failed_at = Some(end.at);
            self.reason = Some(end.reason.clone());
            self.target = side == Some(Side::Target);
        }
        self
    }
}

/// A sync in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// When it is tried again by itself at the latest; the schedule may be sooner.
    pub until: Millis,
    /// Why.
    pub reason: String,
    /// Whether this failure is the one that led here: it is told once.
    pub begins: bool,
}

/// Whether a sync is in quarantine; `interval` is the time between two scheduled runs.
pub fn quarantine(health: &Health, interval: Duration) -> Option<Quarantine> {
    let lasting = health.refused.iter().find(|refused| refused.is_lasting());
    let (reason, at, begins) = match lasting {
        Some(Refused { runs, reason, at, .. }) => (Some(reason.clone()), *at, *runs == REFUSED_RUNS),
        None if health.failed_runs >= FAILED_RUNS => {
            (health.reason.clone(), health.failed_at?, health.failed_runs == FAILED_RUNS)
        }
        None => return None,
    };
    let wait = interval.min(LONGEST_WAIT).as_millis() as i64;
    Some(Quarantine {
        until: Millis(at.0.saturating_add(wait)),
        reason: reason.unwrap_or_else(|| "failed".to_owned()),
        begins,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn failed(failed_runs: u32) -> Health {
        Health { failed_runs, failed_at: Some(Millis(0)), ..Health::default() }
    }

    fn refused_at(minutes: &[i64]) -> Health {
        let mut row: Option<Refused> = None;
        for minute in minutes {
            let at = Millis(minute * MINUTE);
            row = Some(Refused::once_more(row.as_ref(), Side::Source, at, "401".to_owned()));
        }
        Health { failed_runs: 1, refused: row.into_iter().collect(), ..Health::default() }
    }

    fn until_minutes(health: &Health, interval_minutes: u64) -> Option<i64> {
        let interval = Duration::from_secs(interval_minutes * 60);
        quarantine(health, interval).map(|quarantine| quarantine.until.0 / MINUTE)
    }

    #[test]
    fn five_failures_in_a_row_lead_into_quarantine_and_four_do_not() {
        assert_eq!([3, 4, 5].map(|runs| until_minutes(&failed(runs), 15).is_some()), [false, false, true]);
    }

    #[test]
    fn credentials_refused_in_two_runs_a_minute_apart_lead_there() {
        let leads = |minutes: &[i64]| quarantine(&refused_at(minutes), Duration::from_secs(900)).is_some();
        assert_eq!(
            [leads(&[0]), leads(&[0, 0]), leads(&[0, 1]), leads(&[0, 0, 1])],
            [false, false, true, true]
        );
    }

    #[test]
    fn runs_of_named_people_do_not_count_but_for_refused_credentials() {
        let end = |full, result, credentials_refused| RunEnd {
            full,
            result,
            credentials_refused,
            wrote: false,
            at: Millis(0),
            reason: "no answer".to_owned(),
        };
        let down = Health::default().after(&end(false, RunResult::SourceUnavailable, false));
        assert_eq!(down, Health::default());
        let refused = Health::default().after(&end(false, RunResult::TargetUnavailable, true));
        assert_eq!((refused.failed_runs, refused.refused.len()), (0, 1));
        // It read the source and asked nothing of the workspace, so that nothing is known of that.
        let quiet = refused.clone().after(&end(false, RunResult::Ok, false));
        assert_eq!(quiet, refused);
        assert_eq!(refused.after(&end(true, RunResult::Ok, false)), Health::default());
    }

    #[test]
    fn the_schedule_stays_what_it_is_and_a_rare_one_is_tried_hourly() {
        assert_eq!([5, 6, 50].map(|runs| until_minutes(&failed(runs), 15)), [Some(15); 3]);
        assert_eq!(until_minutes(&failed(9), 24 * 60), Some(60));
    }

    #[test]
    fn refused_credentials_rest_for_five_minutes_and_never_longer_whatever_the_clock_did() {
        let refused = &refused_at(&[10]).refused[0];
        let rests = |minute: i64| refused.rests_until(Millis(minute * MINUTE)).map(|at| at.0 / MINUTE);
        assert_eq!([rests(10), rests(14), rests(15)], [Some(15), Some(15), None]);
        assert_eq!(rests(-500), None, "refused in the future: the clock was ahead");
    }

    #[test]
    fn it_begins_once() {
        let begins = |health: &Health| quarantine(health, Duration::ZERO).map(|quarantine| quarantine.begins);
        assert_eq!([5, 6].map(|runs| begins(&failed(runs))), [Some(true), Some(false)]);
    }

    fn end(result: RunResult, minute: i64) -> RunEnd {
        let reason = "401".to_owned();
        RunEnd {
            full: true,
            result,
            credentials_refused: true,
            wrote: false,
            at: Millis(minute * MINUTE),
            reason,
        }
    }

    fn refusing(health: &Health) -> Vec<(&'static str, u32)> {
        health.refused.iter().map(|refused| (refused.side.as_str(), refused.runs)).collect()
    }

    #[test]
    fn each_side_has_a_row_of_refusals_and_the_workspace_is_asked_only_where_the_source_was_read() {
        let source = Health::default().after(&end(RunResult::SourceUnavailable, 0));
        assert_eq!((refusing(&source), source.target), (vec![("source", 1)], false));
        let target = source.after(&end(RunResult::TargetUnavailable, 1));
        assert_eq!((refusing(&target), target.target), (vec![("target", 1)], true), "the source was read");
        let both = target.after(&end(RunResult::SourceIncomplete, 2));
        assert_eq!(refusing(&both), [("target", 1), ("source", 1)], "nobody asked the workspace anything");
        let again = both.after(&end(RunResult::TargetUnavailable, 3));
        assert_eq!(refusing(&again), [("target", 2)]);
        assert_eq!(again.after(&end(RunResult::Partial, 4)), Health::default());
    }

    #[test]
    fn a_defect_of_ours_is_no_sides_and_an_interruption_nobodys() {
        let known = Health::default().after(&end(RunResult::TargetUnavailable, 0));
        assert_eq!(known.clone().after(&end(RunResult::Interrupted, 1)), known);
        let defect = known.after(&end(RunResult::Error, 1));
        assert_eq!((refusing(&defect), defect.target, defect.failed_runs), (vec![("target", 1)], false, 2));
    }

    #[test]
    fn refused_credentials_begin_a_quarantine_once() {
        let begins = |minutes: &[i64]| {
            quarantine(&refused_at(minutes), Duration::ZERO).map(|quarantine| quarantine.begins)
        };
        assert_eq!([begins(&[0, 1]), begins(&[0, 1, 2])], [Some(true), Some(false)]);
    }
}

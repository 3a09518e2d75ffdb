//! Exit codes, as documented and held by tests.

use crate::model::drift::VerifyFacts;
use crate::model::report::{Mode, RunFacts, RunResult};

/// Done, or nothing to do.
pub const OK: u8 = 0;
/// Unexpected failure.
pub const FAILURE: u8 = 1;
/// Changes pending (`--detailed-exitcode` only).
pub const CHANGES_PENDING: u8 = 2;
/// Finished, but some people failed, or somebody who left still has access and that waits for neither an approval, a pause,
/// a switch, a date nor a decision.
pub const PARTIAL: u8 = 3;
/// Something is held for approval or a seat.
pub const HELD: u8 = 4;
/// Source incomplete or unreachable, or its credentials refused.
pub const SOURCE: u8 = 5;
/// Target unreachable, or its credentials refused.
pub const TARGET: u8 = 6;
/// Usage.
pub const USAGE: u8 = 64;
/// Another rosterd holds the state.
pub const BUSY: u8 = 75;
/// Configuration.
pub const CONFIG: u8 = 78;

/// With several reasons, the first of these.
const PRECEDENCE: [u8; 6] = [FAILURE, SOURCE, TARGET, PARTIAL, HELD, CHANGES_PENDING];

/// The code of one run.
pub fn of_run(facts: &RunFacts, detailed: bool) -> u8 {
    match facts.result {
        RunResult::SourceIncomplete | RunResult::SourceUnavailable => SOURCE,
        RunResult::TargetUnavailable => TARGET,
        RunResult::Error | RunResult::Interrupted => FAILURE,
        RunResult::Ok | RunResult::Partial | RunResult::Held => match facts.mode {
            Mode::DryRun => {
                let pending = facts.summary.writes() + facts.summary.held > 0;
                if detailed && pending { CHANGES_PENDING } else { OK }
            }
            Mode::Apply => match facts.result {
                RunResult::Partial => PARTIAL,
                RunResult::Held => HELD,
                RunResult::Ok
                | RunResult::SourceIncomplete
                | RunResult::SourceUnavailable
                | RunResult::TargetUnavailable
                | RunResult::Interrupted
                | RunResult::Error => OK,
            },
        },
    }
}

/// The code of a verification, and of the run that repaired what it found.
pub fn of_verification(facts: &VerifyFacts, repair: Option<&RunFacts>, detailed: bool) -> u8 {
    let compared = match facts.result {
        RunResult::SourceIncomplete | RunResult::SourceUnavailable => SOURCE,
        RunResult::TargetUnavailable => TARGET,
        RunResult::Error | RunResult::Interrupted => FAILURE,
        RunResult::Ok | RunResult::Partial | RunResult::Held => OK,
    };
    let repaired = repair.map_or(OK, |facts| of_run(facts, detailed));
    let left = if detailed && facts.unrepaired > 0 { CHANGES_PENDING } else { OK };
    combine([compared, repaired, left])
}

/// The code of several runs.
pub fn combine(codes: impl IntoIterator<Item = u8>) -> u8 {
    let codes: Vec<u8> = codes.into_iter().collect();
    PRECEDENCE
        .into_iter()
        .find(|code| codes.contains(code))
        .or_else(|| codes.into_iter().find(|code| *code != OK))
        .unwrap_or(OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_several_reasons_the_documented_first_one_counts() {
        assert_eq!(combine([HELD, PARTIAL, TARGET, SOURCE]), SOURCE);
        assert_eq!(combine([HELD, PARTIAL, TARGET]), TARGET);
        assert_eq!(combine([OK, HELD, PARTIAL]), PARTIAL);
        assert_eq!(combine([SOURCE, FAILURE]), FAILURE);
        assert_eq!(combine([OK, OK]), OK);
        assert_eq!(combine([CONFIG, OK]), CONFIG);
    }
}

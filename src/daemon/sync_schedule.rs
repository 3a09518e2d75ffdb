//! What the loop knows of one sync between its runs.
//!
//! What lives here: the state and the small questions about it. What must not: starting anything (`dispatch`).

use std::collections::{HashSet, VecDeque};

use crate::core::quarantine::LONGEST_WAIT;
use crate::daemon::dispatch::Queued;
use crate::daemon::due_times::DueTimes;
use crate::daemon::looks::Rest;
use crate::daemon::verification::Verifying;
use crate::model::id::SourceId;
use crate::model::time::Millis;

/// What the loop knows of one sync.
pub(crate) struct SyncSchedule {
    pub due_times: DueTimes,
    pub verifying: Verifying,
    /// The full run or verification under way.
    pub full: Option<u64>,
    pub queue: VecDeque<Queued>,
    /// Whom runs of the watch are about right now.
    pub looking: HashSet<SourceId>,
    pub look_runs: usize,
    /// When to look again at single people.
    pub look_at: Option<Millis>,
    /// Looks come to nothing for everybody.
    pub look_rest: Rest,
    /// People without a link whom the last full run told of: waiting or blocked.
    pub unlinked_people: HashSet<SourceId>,
    /// When the last good full run began: whoever it still showed had access until then at least.
    pub last_well: Option<Millis>,
    /// Until when writing is paused, as far as the loop knows.
    pub paused_until: Option<Millis>,
    /// When those who left and still have access were last looked at.
    pub leavers_seen_at: Millis,
    /// When the full run begins that is owed, if none has done it by then.
    pub full_at: Option<Millis>,
    /// A full run of everything under way.
    pub whole: Option<u64>,
    /// Full runs in a row that failed while one was owed.
    pub full_tries: u32,
    /// The credentials were refused in the last run, and rest.
    pub refused: bool,
    /// Somebody did something about refused credentials.
    pub cleared: bool,
}

impl SyncSchedule {
    pub(crate) fn new(due_times: DueTimes, last_well: Option<Millis>) -> SyncSchedule {
        SyncSchedule {
            due_times,
            verifying: Verifying::default(),
            full: None,
            queue: VecDeque::new(),
            looking: HashSet::new(),
            look_runs: 0,
            // What was heard before a restart has not been looked at.
            look_at: Some(Millis(0)),
            look_rest: Rest::default(),
            unlinked_people: HashSet::new(),
            last_well,
            paused_until: None,
            leavers_seen_at: Millis(0),
            full_at: None,
            whole: None,
            full_tries: 0,
            refused: false,
            cleared: false,
        }
    }

    /// The same turn with a new agenda: runs under way and what is known go on.
    pub(crate) fn reloaded(&mut self, due_times: DueTimes) {
        self.due_times = due_times;
        // What the old watch stored and did not tell any more.
        self.look_at = Some(Millis(0));
        self.look_rest.ended();
    }

    /// A full run is owed, and begins no later than `at`.
    pub(crate) fn owes_full_run(&mut self, at: Millis) {
        self.full_at = Some(self.full_at.map_or(at, |known| known.min(at)));
    }

    /// Whether it is time for the full run that is owed. What the end of one under way leaves owed is planned then.
    pub(crate) fn is_full_run_due(&mut self, now: Millis) -> bool {
        let due = |at: Millis| at <= now || at.since(now) > LONGEST_WAIT.as_millis() as i64;
        if !self.full_at.is_some_and(due) {
            return false;
        }
        self.full_at = None;
        self.whole.is_none()
    }

    /// Somebody started or reloaded the daemon, and so looked after it: credentials that were refused are tried at once.
    pub(crate) fn try_at_once(&mut self, now: Millis) {
        self.cleared = true;
        self.due_times.soon(now);
    }
}

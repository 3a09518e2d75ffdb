//! A running daemon with a watch, and no schedule that would come to its help.

use std::fs::File;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rosterd::sim::World;

use crate::support::{Access, Stage};

/// Runs once a year, so that whatever happens is the watch's doing; the first run is the overdue one.
pub(crate) const YEARLY: &str = "schedule = \"0 0 1 1 *\"\nwatch = \"5s\"\n";
/// Guards that never trip, for tests about something else.
pub(crate) const WIDE: &str = "guard = { max_removals = 100000, max_removals_percent = 100, \
                               max_removals_percent_per_day = 100, max_creates = 100000 }\n";
/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon at work on a stage.
pub(crate) struct Service<'a> {
    stage: &'a Stage,
    child: Child,
}

impl<'a> Service<'a> {
    /// Starts it. What it says goes to a file in the stage's home.
    pub(crate) fn start(stage: &'a Stage) -> Service<'a> {
        let log = File::options().create(true).append(true).open(stage.home.path().join("log")).unwrap();
        let mut command = stage.home.command(&["daemon"]);
        command.env("RUNTIME_DIRECTORY", stage.home.path());
        command.stdout(Stdio::null()).stderr(log);
        Service { stage, child: command.spawn().unwrap() }
    }

    /// Ends it as systemd would, and waits.
    pub(crate) fn stop(mut self) {
        let pid = rustix::process::Pid::from_raw(self.child.id().cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.stage.home.path().join("log")).unwrap_or_default()
    }

    /// Waits until something is so, and tells how long that took.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, is_so: impl FnMut() -> bool) -> Duration {
        self.since(Instant::now(), what, is_so)
    }

    /// Waits until something is so, and tells how long that took from then on.
    #[track_caller]
    pub(crate) fn since(&self, began: Instant, what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
        while !is_so() {
            assert!(began.elapsed() < PATIENCE, "{what} did not happen:\n{}", self.log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
        began.elapsed()
    }

    /// Looks for so long that something stays so.
    #[track_caller]
    pub(crate) fn stays(&self, long: Duration, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + long;
        while Instant::now() < deadline {
            assert!(is_so(), "{}", self.log());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Full runs and runs of the watch so far.
    pub(crate) fn runs(&self) -> (i64, i64) {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        // Before the daemon has made it there is nothing to count.
        let Ok(database) = rusqlite::Connection::open_with_flags(self.stage.home.database(), flags) else {
            return (0, 0);
        };
        database
            .query_row(
                "SELECT coalesce(sum(is_full), 0), coalesce(sum(trigger = 'watch'), 0) FROM run
                 WHERE finished_at IS NOT NULL",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap_or_default()
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        // A test that failed leaves no daemon behind; one that was stopped is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A stage whose sync has a watch and these further lines.
pub(crate) fn stage(access: Access, lines: &str) -> Stage {
    Stage::with(access, &format!("{YEARLY}{lines}"))
}

pub(crate) fn is_active(world: &World, name: &str) -> Option<bool> {
    world.account(&format!("{name}@acme.example")).map(|account| account.active())
}

pub(crate) fn active(world: &World) -> usize {
    world.accounts().iter().filter(|account| account.active()).count()
}

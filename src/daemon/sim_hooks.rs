//! What a test of the real program may do to the daemon from outside, by files that environment variables name. Without
//! the feature `sim` none of it is there.
//!
//! What lives here: the clock, a stuck loop, a panic. What must not: anything that a configuration could reach.

use crate::model::time::Millis;

/// The time as the loop sees it. A test may set the clock by so many milliseconds as this file says.
#[cfg(feature = "sim")]
pub(super) fn clock() -> Millis {
    let file = std::env::var_os("ROSTERD_SIM_CLOCK");
    let text = file.and_then(|file| std::fs::read_to_string(file).ok());
    Millis(Millis::now().0 + text.and_then(|text| text.trim().parse::<i64>().ok()).unwrap_or_default())
}

#[cfg(not(feature = "sim"))]
pub(super) fn clock() -> Millis {
    Millis::now()
}

/// A test of the watchdog needs a loop that is stuck: it is, while this file exists.
#[cfg(feature = "sim")]
pub(super) fn hold_still_for_tests() {
    if let Some(file) = std::env::var_os("ROSTERD_SIM_STUCK_WHILE") {
        while std::path::Path::new(&file).exists() {
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
    }
}

#[cfg(not(feature = "sim"))]
pub(super) fn hold_still_for_tests() {}

/// A defect: every run panics once it has read, while this file exists.
#[cfg(feature = "sim")]
pub(super) struct Defect;

#[cfg(feature = "sim")]
impl crate::model::run_event::RunWatcher for Defect {
    fn tell(&self, event: &crate::model::run_event::RunEvent) {
        let is_read = matches!(event, crate::model::run_event::RunEvent::ReadComplete { .. });
        let file = std::env::var_os("ROSTERD_SIM_PANIC_WHILE").filter(|_| is_read);
        if file.is_some_and(|file| std::path::Path::new(&file).exists()) {
            std::panic::panic_any("a defect that a test asked for");
        }
    }
}

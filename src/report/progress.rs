//! Progress on a terminal: pages read, people looked up, writes done with rate and time left.

use std::io::IsTerminal;
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::model::run_event::{RunEvent, RunWatcher};

/// Bars on stderr where it is a terminal; nothing elsewhere.
#[derive(Debug, Default)]
pub struct Progress {
    bar: Mutex<Option<ProgressBar>>,
    enabled: bool,
}

impl Progress {
    /// Bars where stderr is a terminal and `wanted`.
    pub fn new(wanted: bool) -> Progress {
        Progress { bar: Mutex::new(None), enabled: wanted && std::io::stderr().is_terminal() }
    }

    fn replace(&self, next: Option<ProgressBar>) {
        let mut bar = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(old) = std::mem::replace(&mut *bar, next) {
            old.finish_and_clear();
        }
    }

    fn with(&self, make: impl FnOnce() -> ProgressBar, update: impl FnOnce(&ProgressBar)) {
        let mut bar = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        update(bar.get_or_insert_with(make));
    }
}

impl RunWatcher for Progress {
    fn tell(&self, event: &RunEvent) {
        if !self.enabled {
            return;
        }
        match event {
            RunEvent::PageRead { pages, people, expected } => self.with(
                || expected.map_or_else(pages_read, |expected| counter(expected, "reading people, about")),
                |bar| {
                    // More than the last time: then nobody knows how many are left.
                    bar.set_length(expected.unwrap_or(*people).max(*people));
                    bar.set_position(*people);
                    bar.set_message(format!("{people} people in {pages} pages"));
                },
            ),
            RunEvent::ReadComplete { .. } => self.replace(None),
            RunEvent::Looking { done, total } => self.with(
                || counter(*total, "looking at the workspace"),
                |bar| {
                    bar.set_length(*total);
                    bar.set_position(*done);
                },
            ),
            RunEvent::Planned { writes } => self.replace(Some(counter(*writes, "going through the plan"))),
            RunEvent::Acted { record, .. } => self.with(
                || counter(0, "going through the plan"),
                |bar| {
                    if record.action.is_write() {
                        bar.inc(1);
                    }
                },
            ),
            RunEvent::Finished { .. } => self.replace(None),
        }
    }
}

/// Where nothing tells how many there will be.
fn pages_read() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    styled(bar, "{spinner} reading: {msg}, {elapsed} so far")
}

fn counter(total: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    styled(bar, &format!("{what}: {{bar:30}} {{pos}}/{{len}} {{per_sec}}, {{eta}} left"))
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

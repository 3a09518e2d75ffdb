//! Logs: to stderr, never to stdout; one line a write at info; nothing secret.

use std::io::IsTerminal;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Filter, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, registry};

use crate::model::report::Outcome;
use crate::model::run_event::{RunEvent, RunWatcher};
use crate::report::visible;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
    /// To the journal, each field as a field of its own (`ROSTERD_SYNC`, `ROSTERD_USER` …).
    Journald,
}

/// Whether stderr is the journal, as systemd says it (systemd.exec(5), `$JOURNAL_STREAM`).
pub fn stderr_is_the_journal() -> bool {
    let Some(stream) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    let here = rustix::fs::fstat(std::io::stderr());
    here.is_ok_and(|here| stream == format!("{}:{}", here.st_dev, here.st_ino))
}

/// What is logged: what `RUST_LOG` says, else our own lines from `level` on. Without the variable nothing of what reads
/// it is ever touched, which an idle daemon's memory shows.
fn filter(level: LevelFilter) -> Box<dyn Filter<Registry> + Send + Sync> {
    let asked = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    let builder = || EnvFilter::builder().with_default_directive(LevelFilter::OFF.into());
    match asked.and_then(|text| builder().parse(text).ok()) {
        Some(asked) => Box::new(asked),
        None => Box::new(Targets::new().with_target("rosterd", level)),
    }
}

/// Installs the logger. `RUST_LOG` wins over `level`. A second call changes nothing.
pub fn install(format: LogFormat, level: LevelFilter, colour: bool) {
    let text = |colour| {
        let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(colour).with_target(false);
        registry().with(lines.with_filter(filter(level))).try_init()
    };
    // A logger that stands already (tests in one process) is left as it is.
    let _ = match format {
        LogFormat::Text => text(colour),
        LogFormat::Json => {
            let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false).json().flatten_event(true);
            registry().with(lines.with_filter(filter(level))).try_init()
        }
        LogFormat::Journald => match tracing_journald::layer() {
            Ok(journal) => {
                let journal = journal.with_field_prefix(Some("ROSTERD".to_owned()));
                registry().with(journal.with_filter(filter(level))).try_init()
            }
            Err(error) => {
                let installed = text(false);
                tracing::warn!(%error, "the journal cannot be reached, so the log is text");
                installed
            }
        },
    };
}

/// Whether stderr is a terminal.
pub fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Writes a run's events to the log.
#[derive(Debug)]
pub struct LogWatcher {
    sync: String,
}

impl LogWatcher {
    /// For one sync.
    pub fn new(sync: &str) -> LogWatcher {
        LogWatcher { sync: sync.to_owned() }
    }
}

impl RunWatcher for LogWatcher {
    fn tell(&self, event: &RunEvent) {
        let sync = self.sync.as_str();
        match event {
            RunEvent::PageRead { pages, people, expected: _ } => {
                tracing::debug!(sync, pages, people, "page read")
            }
            RunEvent::ReadComplete { people } => tracing::debug!(sync, people, "read complete"),
            RunEvent::Looking { done, total } => tracing::debug!(sync, done, total, "looking at the target"),
            RunEvent::Planned { writes } => tracing::debug!(sync, writes, "planned"),
            RunEvent::Acted { record, duration_millis } => {
                let user = visible(&record.user);
                let (user, action) = (user.as_ref(), record.action.as_str());
                let (outcome, status) = (record.outcome.as_str(), record.status);
                match record.outcome {
                    Outcome::Applied => {
                        tracing::info!(sync, action, user, outcome, status, duration_millis, "write");
                    }
                    Outcome::Failed => {
                        let detail = record.detail.as_deref().map(visible).unwrap_or_default();
                        tracing::warn!(sync, action, user, outcome, status, duration_millis, %detail, "write");
                    }
                    Outcome::Planned
                    | Outcome::Held
                    | Outcome::Deferred
                    | Outcome::Disabled
                    | Outcome::Skipped => tracing::debug!(sync, action, user, outcome, "not sent"),
                }
            }
            RunEvent::Finished { result, chain_head } => {
                tracing::info!(sync, result = result.as_str(), chain_head, "run finished");
            }
        }
    }
}

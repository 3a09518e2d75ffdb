//! Metrics in the OpenMetrics text format. Names and labels are public: dashboards and alerts are built on them.
//!
//! Counters and histograms are told as things happen; the gauges are set from a sync's status, so that the numbers of
//! `status` and of `/metrics` are the same ones.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use super::peer::Peer;
use super::traffic::Requests;
use crate::http::counters::Traffic;
use crate::model::owed::{OwedClass, WaitsFor};
use crate::model::plan::Verb;
use crate::model::report::{Mode, Outcome, RunFacts, RunResult};
use crate::model::run_event::{RunEvent, RunWatcher};
use crate::model::status::{Accounts, CredentialAges, OwedCount, SeatCount, SyncStatus};
use crate::model::time::Millis;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;
type Counters = Family<Labels, Counter>;
type Numbers = Family<Labels, Gauge>;
type Seconds = Family<Labels, Gauge<f64, AtomicU64>>;
type Durations = Family<Labels, Histogram, fn() -> Histogram>;

/// Everything that is measured; cheap to clone, clones are the same metrics.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: Requests,
    last_success: Seconds,
    runs: Counters,
    run_duration: Durations,
    actions: Counters,
    accounts: Numbers,
    held: Numbers,
    leavers: Numbers,
    oldest_leaver: Seconds,
    owed: Numbers,
    pins: Numbers,
    seats: Numbers,
    target_answered: Seconds,
    quarantined: Numbers,
    verification_failed: Numbers,
    credential_since: Seconds,
    revoke: Durations,
    event_lag: Seconds,
    /// Syncs that have gauges.
    shown: Mutex<BTreeSet<String>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

/// From a second to a working day.
fn run_durations() -> Histogram {
    Histogram::new([1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 28800.0])
}

/// From a poll interval to the next day.
fn revoke_durations() -> Histogram {
    Histogram::new([
        1.0, 5.0, 10.0, 15.0, 30.0, 45.0, 60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0, 14400.0, 86400.0,
    ])
}

fn register<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: &M) {
    // The registry adds the full stop.
    registry.register(name, help, metric.clone());
}

impl Metrics {
    /// Nothing measured yet.
    pub fn new() -> Metrics {
        let mut inner = Inner {
            registry: Registry::default(),
            requests: Requests::default(),
            last_success: Family::default(),
            runs: Family::default(),
            run_duration: Family::new_with_constructor(run_durations),
            actions: Family::default(),
            accounts: Family::default(),
            held: Family::default(),
            leavers: Family::default(),
            oldest_leaver: Family::default(),
            owed: Family::default(),
            pins: Family::default(),
            seats: Family::default(),
            target_answered: Family::default(),
            quarantined: Family::default(),
            verification_failed: Family::default(),
            credential_since: Family::default(),
            revoke: Family::new_with_constructor(revoke_durations),
            event_lag: Family::default(),
            shown: Mutex::default(),
        };
        inner.register();
        Metrics(Arc::new(inner))
    }

    /// The text that `/metrics` answers with.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.0.registry);
        text
    }

    /// Counts what the runs of one sync do.
    pub fn watcher(&self, sync: &str) -> MetricsWatcher {
        MetricsWatcher { metrics: self.clone(), sync: sync.to_owned() }
    }

    /// Counts a run that ended. Dry runs do not count.
    pub fn run_ended(&self, facts: &RunFacts) {
        if facts.mode == Mode::DryRun {
            return;
        }
        let Inner { runs, run_duration, .. } = &*self.0;
        self.introduce(&facts.sync);
        runs.get_or_create(&labels(&facts.sync, [("result", facts.result.as_str())])).inc();
        let millis = facts.finished_at.since(facts.started_at).max(0);
        run_duration.get_or_create(&only(&facts.sync)).observe(millis as f64 / 1000.0);
        let reached = facts.result.reached_both_sides();
        if reached && facts.source.complete {
            self.succeeded(&facts.sync, Some(facts.finished_at));
        }
    }

    /// One person's access is confirmed gone, so long after the change at the source.
    pub fn revoked(&self, sync: &str, seconds: f64) {
        self.0.revoke.get_or_create(&only(sync)).observe(seconds.max(0.0));
    }

    /// The newest event that was read is so old.
    pub fn event_lag(&self, sync: &str, seconds: f64) {
        self.introduce(sync);
        self.0.event_lag.get_or_create(&only(sync)).set(seconds.max(0.0));
    }

    /// Sets the gauges of one sync, and shows its counters from zero on.
    pub fn set_status(&self, status: &SyncStatus) {
        let Inner { accounts, held, pins, quarantined, verification_failed, credential_since, .. } = &*self.0;
        let sync = status.name.as_str();
        self.introduce(sync);
        self.succeeded(sync, status.last_success_at);
        for (state, number) in status.accounts.by_state() {
            accounts.get_or_create(&labels(sync, [("state", state)])).set(whole(number));
        }
        held.get_or_create(&only(sync)).set(whole(status.held));
        pins.get_or_create(&only(sync)).set(whole(status.pins));
        self.set_owed(status);
        quarantined.get_or_create(&only(sync)).set(i64::from(status.quarantine.is_some()));
        verification_failed.get_or_create(&only(sync)).set(i64::from(status.failed_verification.is_some()));
        let CredentialAges { source_since, target_since } = status.credentials;
        for (peer, since) in [(Peer::Source, source_since), (Peer::Target, target_since)] {
            let seconds = since.map_or(0.0, |since| since.0 as f64 / 1000.0);
            credential_since.get_or_create(&labels(sync, [("peer", peer.as_str())])).set(seconds);
        }
    }

    /// What is owed, who still has access, the seats, and when the workspace answered. Every class and wait is shown,
    /// so that one that is over is 0 and not gone.
    fn set_owed(&self, status: &SyncStatus) {
        let Inner { leavers, oldest_leaver, owed, seats, target_answered, .. } = &*self.0;
        let sync = status.name.as_str();
        for (class, waits_for) in owed_labels() {
            let counted = |count: &&OwedCount| count.class == class && count.waits_for == waits_for;
            let people: u64 = status.owed.iter().filter(counted).map(|count| count.people).sum();
            let waits_for = waits_for.as_str();
            let class_labels = labels(sync, [("class", class.as_str()), ("waits_for", waits_for)]);
            owed.get_or_create(&class_labels).set(whole(people));
            if class == OwedClass::Removal {
                leavers.get_or_create(&labels(sync, [("waits_for", waits_for)])).set(whole(people));
            }
        }
        let oldest = status.leavers_with_access.iter().map(|leaver| leaver.since).min();
        let age = oldest.map_or(0, |since| Millis::now().since(since).max(0));
        oldest_leaver.get_or_create(&only(sync)).set(age as f64 / 1000.0);
        for (state, number) in seat_states(&status.seats) {
            let labels = labels(sync, [("state", state)]);
            match number {
                Some(number) => drop(seats.get_or_create(&labels).set(whole(number))),
                None => drop(seats.remove(&labels)),
            }
        }
        let answered = status.target_answered_at.map_or(0.0, |at| at.0 as f64 / 1000.0);
        target_answered.get_or_create(&only(sync)).set(answered);
    }

    /// Takes back the gauges of syncs that are not configured any more.
    pub fn keep_only(&self, syncs: &[&str]) {
        let Inner {
            last_success,
            accounts,
            held,
            pins,
            leavers,
            oldest_leaver,
            owed,
            seats,
            target_answered,
            quarantined,
            verification_failed,
            credential_since,
            event_lag,
            shown,
            ..
        } = &*self.0;
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.retain(|sync| {
            let keep = syncs.contains(&sync.as_str());
            if !keep {
                for (state, _) in Accounts::default().by_state() {
                    accounts.remove(&labels(sync, [("state", state)]));
                }
                let alone = only(sync);
                for family in [held, pins, quarantined, verification_failed] {
                    family.remove(&alone);
                }
                for (class, waits_for) in owed_labels() {
                    let waits_for = ("waits_for", waits_for.as_str());
                    owed.remove(&labels(sync, [("class", class.as_str()), waits_for]));
                    leavers.remove(&labels(sync, [waits_for]));
                }
                for (state, _) in seat_states(&SeatCount::default()) {
                    seats.remove(&labels(sync, [("state", state)]));
                }
                for peer in [Peer::Source, Peer::Target] {
                    credential_since.remove(&labels(sync, [("peer", peer.as_str())]));
                }
                for family in [last_success, event_lag, oldest_leaver, target_answered] {
                    family.remove(&alone);
                }
            }
            keep
        });
    }

    /// Shows one side's requests from now on. The same handle twice, or a new one after a reload, adds to what was
    /// counted before.
    pub fn register_traffic(&self, sync: &str, peer: Peer, handle: Traffic) {
        self.0.requests.register(sync, peer, handle);
    }

    /// 0 = never, so that an alert on its age fires from the beginning.
    fn succeeded(&self, sync: &str, at: Option<Millis>) {
        let seconds = at.map_or(0.0, |at| at.0 as f64 / 1000.0);
        self.0.last_success.get_or_create(&only(sync)).set(seconds);
    }

    /// Shows a sync from zero on: a counter that appears with its first event hides that event from `increase()`.
    fn introduce(&self, sync: &str) {
        let Inner { runs, run_duration, actions, revoke, event_lag, shown, .. } = &*self.0;
        if !shown.lock().unwrap_or_else(PoisonError::into_inner).insert(sync.to_owned()) {
            return;
        }
        for result in RESULTS {
            drop(runs.get_or_create(&labels(sync, [("result", result.as_str())])));
        }
        for verb in Verb::ALL.into_iter().filter(|verb| verb.is_write()) {
            for outcome in [Outcome::Applied, Outcome::Failed] {
                drop(actions.get_or_create(&action_labels(sync, verb, outcome)));
            }
        }
        drop(run_duration.get_or_create(&only(sync)));
        drop(revoke.get_or_create(&only(sync)));
        drop(event_lag.get_or_create(&only(sync)));
    }
}

const RESULTS: [RunResult; 8] = [
    RunResult::Ok,
    RunResult::Partial,
    RunResult::Held,
    RunResult::SourceIncomplete,
    RunResult::SourceUnavailable,
    RunResult::TargetUnavailable,
    RunResult::Interrupted,
    RunResult::Error,
];

/// Every class that can be owed, with every wait. Looks are no class of their own: what is wanted is not known yet.
fn owed_labels() -> impl Iterator<Item = (OwedClass, WaitsFor)> {
    let classes = OwedClass::ALL.into_iter().filter(|class| *class != OwedClass::Look);
    classes.flat_map(|class| WaitsFor::ALL.into_iter().map(move |waits_for| (class, waits_for)))
}

/// The seats by state; a limit that is off has no number.
fn seat_states(seats: &SeatCount) -> [(&'static str, Option<u64>); 2] {
    let SeatCount { billable, limit } = *seats;
    [("billable", Some(billable)), ("limit", limit)]
}

impl Inner {
    fn register_owed(&mut self) {
        let to = &mut self.registry;
        register(
            to,
            "rosterd_leavers_with_access",
            "People who left and still have access, by what the removal waits for",
            &self.leavers,
        );
        register(
            to,
            "rosterd_oldest_leaver_seconds",
            "Since when the removal is owed that is owed the longest; 0 = none is",
            &self.oldest_leaver,
        );
        register(
            to,
            "rosterd_owed",
            "People to whom something is owed: wanted and not acknowledged, by class and by what it waits for",
            &self.owed,
        );
        register(to, "rosterd_pins", "People who are kept as they are by a decision", &self.pins);
        register(
            to,
            "rosterd_seats",
            "Billable linked accounts, and guard.max_seats where it is on",
            &self.seats,
        );
        register(
            to,
            "rosterd_target_answered_timestamp_seconds",
            "When the workspace last answered a run, Unix time; 0 = never",
            &self.target_answered,
        );
    }

    fn register(&mut self) {
        let to = &mut self.registry;
        register(
            to,
            "rosterd_last_success_timestamp_seconds",
            "When the last full run that reached both sides ended, Unix time; 0 = never",
            &self.last_success,
        );
        register(to, "rosterd_runs", "Runs that ended, by result", &self.runs);
        register(to, "rosterd_run_duration_seconds", "How long runs took", &self.run_duration);
        register(to, "rosterd_actions", "What runs did for people, by action and outcome", &self.actions);
        register(to, "rosterd_accounts", "Linked accounts, by state", &self.accounts);
        register(to, "rosterd_held", "People who wait in open holds for an approval", &self.held);
        self.register_owed();
        let to = &mut self.registry;
        register(
            to,
            "rosterd_quarantined",
            "1 while the sync runs less often because it fails",
            &self.quarantined,
        );
        register(
            to,
            "rosterd_verification_failed",
            "1 while the last scheduled verification could not be carried out",
            &self.verification_failed,
        );
        register(
            to,
            "rosterd_credential_since_timestamp_seconds",
            "When a run first used the secret that is in use now, Unix time; 0 = no run yet",
            &self.credential_since,
        );
        register(
            to,
            "rosterd_revoke_seconds",
            "From the change at the source (its event, else the last complete read that still showed the person) to \
             the account confirmed inactive",
            &self.revoke,
        );
        register(
            to,
            "rosterd_event_lag_seconds",
            "Age of the newest event of the source's log when it was read",
            &self.event_lag,
        );
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        to.register("rosterd_build", "The program", Info::new(version));
        to.register_collector(Box::new(self.requests.clone()));
    }
}

/// Counts what runs do.
#[derive(Debug, Clone)]
pub struct MetricsWatcher {
    metrics: Metrics,
    sync: String,
}

impl RunWatcher for MetricsWatcher {
    fn tell(&self, event: &RunEvent) {
        match event {
            // A dry run does nothing for anybody.
            RunEvent::Acted { record, duration_millis: _ } if record.outcome != Outcome::Planned => {
                let labels = action_labels(&self.sync, record.action, record.outcome);
                self.metrics.0.actions.get_or_create(&labels).inc();
            }
            RunEvent::Acted { .. }
            | RunEvent::PageRead { .. }
            | RunEvent::ReadComplete { .. }
            | RunEvent::Looking { .. }
            | RunEvent::Planned { .. }
            | RunEvent::Finished { .. } => {}
        }
    }
}

fn action_labels(sync: &str, verb: Verb, outcome: Outcome) -> Labels {
    labels(sync, [("action", verb.as_str()), ("outcome", outcome.as_str())])
}

fn only(sync: &str) -> Labels {
    labels(sync, [])
}

fn labels<const N: usize>(sync: &str, further: [(&'static str, &str); N]) -> Labels {
    let further = further.into_iter().map(|(name, value)| (name, value.to_owned()));
    std::iter::once(("sync", sync.to_owned())).chain(further).collect()
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;

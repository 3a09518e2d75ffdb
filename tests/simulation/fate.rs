//! When the simulated process dies, and what its clock shows.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use rosterd::http::clock::{ClockWitness, WITNESS_VALID};
use rosterd::model::simulated::SimulatedProcess;
use rosterd::model::time::Millis;
use tokio::sync::Notify;

use super::world::START;

/// Where a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// Right before its n-th request.
    Request(i64),
    /// Right after the n-th write had its effect, before the reply.
    Effect(i64),
    /// Right before the n-th transaction of the store.
    Transaction(i64),
}

/// What a side's answers told of the program's clock, as the program's own client would keep it.
#[derive(Debug, Default)]
pub struct Told(Mutex<Option<ClockWitness>>);

impl Told {
    /// The answer nearest to the program's clock counts, for an hour.
    pub fn hear(&self, heard: ClockWitness) {
        let mut nearest = self.0.lock().expect("nobody panicked");
        let known = nearest.filter(|known| known.age() < WITNESS_VALID);
        let distance = heard.offset_millis.unsigned_abs();
        if known.is_none_or(|known| distance <= known.offset_now_millis().unsigned_abs()) {
            *nearest = Some(heard);
        }
    }

    pub fn witness(&self) -> Option<ClockWitness> {
        self.0.lock().expect("nobody panicked").filter(|known| known.age() < WITNESS_VALID)
    }

    pub fn forget(&self) {
        *self.0.lock().expect("nobody panicked") = None;
    }
}

/// Counts down to the end. Nothing below zero is armed.
#[derive(Debug)]
pub struct Fate {
    requests: AtomicI64,
    effects: AtomicI64,
    transactions: AtomicI64,
    died: AtomicBool,
    death: Notify,
    /// The wall clock minus the true time.
    pub clock_offset: AtomicI64,
    pub source_told: Told,
    pub workspace_told: Told,
}

impl Fate {
    pub fn new() -> Arc<Fate> {
        Arc::new(Fate {
            requests: AtomicI64::new(-1),
            effects: AtomicI64::new(-1),
            transactions: AtomicI64::new(-1),
            died: AtomicBool::new(false),
            death: Notify::new(),
            clock_offset: AtomicI64::new(0),
            source_told: Told::default(),
            workspace_told: Told::default(),
        })
    }

    pub fn arm(&self, crash: Option<CrashPoint>) {
        let of = |point: fn(CrashPoint) -> Option<i64>| crash.and_then(point).unwrap_or(-1);
        let request = |point| if let CrashPoint::Request(n) = point { Some(n) } else { None };
        let effect = |point| if let CrashPoint::Effect(n) = point { Some(n) } else { None };
        let transaction = |point| if let CrashPoint::Transaction(n) = point { Some(n) } else { None };
        self.requests.store(of(request), Ordering::Relaxed);
        self.effects.store(of(effect), Ordering::Relaxed);
        self.transactions.store(of(transaction), Ordering::Relaxed);
        self.died.store(false, Ordering::Relaxed);
    }

    fn strikes(&self, counter: &AtomicI64) -> bool {
        if self.died.load(Ordering::Relaxed) {
            return true;
        }
        let left = counter.load(Ordering::Relaxed);
        if left < 0 {
            return false;
        }
        counter.store(left - 1, Ordering::Relaxed);
        if left > 0 {
            return false;
        }
        self.died.store(true, Ordering::Relaxed);
        self.death.notify_one();
        true
    }

    /// A request is about to be sent. Of a process that died nothing more is heard.
    pub async fn request(&self) {
        if self.strikes(&self.requests) {
            std::future::pending::<()>().await;
        }
    }

    /// A write had its effect.
    pub async fn effect(&self) {
        if self.strikes(&self.effects) {
            std::future::pending::<()>().await;
        }
    }

    /// Resolves when the process has died.
    pub async fn death(&self) {
        self.death.notified().await;
    }

    /// What an answer that comes now tells of the program's clock. Both sides go by the true time.
    pub fn witness(&self) -> ClockWitness {
        ClockWitness {
            offset_millis: -self.clock_offset.load(Ordering::Relaxed),
            heard: tokio::time::Instant::now(),
            heard_at: Millis::now(),
        }
    }

    /// Somebody sets the clock right.
    pub fn set_the_clock(&self) {
        self.clock_offset.store(0, Ordering::Relaxed);
    }

    pub fn jump(&self, by: i64) {
        self.clock_offset.fetch_add(by, Ordering::Relaxed);
    }
}

/// The process that runs on this thread.
pub struct Process {
    pub fate: Arc<Fate>,
    pub start: tokio::time::Instant,
}

impl SimulatedProcess for Process {
    fn now_millis(&self) -> i64 {
        let passed = self.start.elapsed().as_millis() as i64;
        START + passed + self.fate.clock_offset.load(Ordering::Relaxed)
    }

    fn dies_before_transaction(&self) -> bool {
        self.fate.strikes(&self.fate.transactions)
    }
}

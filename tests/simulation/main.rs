//! A seed makes a world, its history, its faults and its crashes; the real engine and store live through it on paused
//! time, and a judge that shares no code with them says after each step whether what is promised held.
//!
//! * `cargo test --test simulation` plays 2,000 seeds. `SEEDS=100000` plays that many, `FIRST=5000` begins there,
//!   `THREADS=4` plays so many at once, `FAILURES=500` goes on until so many have failed (60).
//! * `SEED=17 cargo test --test simulation -- --nocapture` plays one again, leaves out every step that its failure does
//!   not need, and prints what happened; with `WHOLE=1` no step is left out.
//! * Every kind of history is played. `GATES=clock,remade` leaves these kinds out, to look at the others
//!   (`history::plays` is asked for each by its name).
//!
//! What lives where: `world` and `happenings` (people, accounts, what happens to them), `rules` (the configuration),
//! `weather` (faults), `history` (what a seed draws), `source` and `target` (the two sides), `fate` (clock and death),
//! `judge` (each write) and `verdict` (each run, and the end), `driver` (plays a history), `engine` and `port` (the
//! only files that know the program's interfaces).
//!
//! Time is paused: it moves on to the next timer whenever nobody can go on. That the store's thread is at work is
//! nothing that a runtime sees, so the simulation's thread waits for each transaction (`store::simulated`); with that a
//! seed gives the same history each time, but for what the engine itself leaves to chance.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod dice;
mod driver;
mod engine;
mod fate;
mod happenings;
mod history;
mod judge;
mod port;
mod rules;
mod source;
mod target;
mod verdict;
mod weather;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use driver::Driver;
use history::{Decision, Step};
use world::{DAY, HOUR};

/// Of CI. `docs/reliability.md` says how more are played.
const SEEDS: u64 = 2000;
/// So many seeds that fail are enough to look at.
const MOST_FAILURES: usize = 60;

/// What came of one seed.
struct Outcome {
    violation: Option<String>,
    trace: Vec<String>,
}

impl Outcome {
    fn kind(&self) -> Option<&str> {
        self.violation.as_deref().map(|text| text.split(':').next().unwrap_or(text))
    }
}

/// A directory in memory, where there is one.
fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    base.join(format!("rosterd-simulation-{}", std::process::id()))
}

fn play(seed: u64, steps: &[Step], directory: &Path) -> Outcome {
    // Never the same twice: a database that is let go of closes on its own thread, and takes its log away by name.
    static PLAYS: AtomicU64 = AtomicU64::new(0);
    let directory = &directory.join(PLAYS.fetch_add(1, Ordering::Relaxed).to_string());
    std::fs::create_dir_all(directory).unwrap();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let outcome = runtime.block_on(async {
        let mut driver = Driver::new(seed, directory).await;
        let world = driver.world.clone();
        // Far longer than any history: who waits for ever is found by it, because paused time goes on at once.
        let ended = tokio::time::timeout(Duration::from_secs(3650 * 86400), live(&mut driver, steps)).await;
        let mut world = world.lock().unwrap();
        let violation = match ended {
            Ok(violation) => violation,
            Err(_) => Some("hangs: nothing happens any more".to_owned()),
        };
        Outcome { violation, trace: std::mem::take(&mut world.trace) }
    });
    drop(runtime);
    let _ = std::fs::remove_dir_all(directory);
    outcome
}

fn first_violation(driver: &Driver) -> Option<String> {
    driver.world().judge.violations.first().cloned()
}

/// What waits is approved. Who is taken back by that is pinned as undone, and is let go of like everybody before.
async fn approve_all(driver: &Driver) {
    driver.decide(Decision::ApproveAll).await;
    driver.decide(Decision::LiftAll).await;
}

/// The history, and then the end of all faults.
async fn live(driver: &mut Driver, steps: &[Step]) -> Option<String> {
    for step in steps {
        driver.step(step).await;
        if let Some(violation) = first_violation(driver) {
            return Some(violation);
        }
    }
    driver.world().faults_stop();
    driver.fate.set_the_clock();
    driver.decide(Decision::Resume).await;
    driver.decide(Decision::LiftAll).await;
    for wait in [8 * DAY, 25 * HOUR] {
        driver.wait(wait).await;
        driver.full_runs().await;
        approve_all(driver).await;
        if let Some(violation) = first_violation(driver) {
            return Some(violation);
        }
    }
    // One hold may lead to another: an account that is gone, another one in its place, the login of that.
    let mut more = 2;
    let (before, ends) = loop {
        driver.wait(25 * HOUR).await;
        let before = driver.world().judge.writes;
        let ends = driver.full_runs().await;
        if more == 0 || driver.engine().holds().await.is_empty() {
            break (before, ends);
        }
        more -= 1;
        approve_all(driver).await;
    };
    let mut world = driver.world();
    let is_well = ends.iter().all(|end| end.exit == 0) || world.somebody_is_excused();
    if world.judge.writes > before || !is_well {
        let lines: Vec<String> =
            ends.iter().map(|end| format!("exit {}: {}", end.exit, end.lines.join(" | "))).collect();
        let sentence = format!("{} writes; {}", world.judge.writes - before, lines.join(" || "));
        world.judge.accuse("not at rest", sentence);
    }
    world.judge_end();
    world.judge.violations.first().cloned()
}

/// The fewest steps that still fail in the same way, and what came of them.
fn shorten(seed: u64, mut failed: Outcome, mut steps: Vec<Step>, directory: &Path) -> (Vec<Step>, Outcome) {
    let mut index = 0;
    while index < steps.len() {
        let mut fewer = steps.clone();
        fewer.remove(index);
        let outcome = play(seed, &fewer, directory);
        if outcome.kind() == failed.kind() {
            (steps, failed) = (fewer, outcome);
        } else {
            index += 1;
        }
    }
    (steps, failed)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn print(seed: u64, steps: &[Step], outcome: &Outcome) {
    println!("\n==== seed {seed}: {}", outcome.violation.as_deref().unwrap_or("well"));
    for step in steps {
        println!("  step {step:?}");
    }
    for line in &outcome.trace {
        println!("    {line}");
    }
}

/// Plays seeds on several threads; gives the failures.
fn play_all(first: u64, seeds: u64) -> BTreeMap<u64, Outcome> {
    let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get() as u64);
    let threads = number("THREADS").unwrap_or(cores);
    let (next, failures) = (AtomicU64::new(first), Mutex::new(BTreeMap::new()));
    let enough = AtomicBool::new(false);
    let most = number("FAILURES").map_or(MOST_FAILURES, |most| most as usize);
    let base = scratch();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let directory = base.join(thread.to_string());
            let (next, failures, enough) = (&next, &failures, &enough);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds || enough.load(Ordering::Relaxed) {
                        return;
                    }
                    let outcome = play(seed, &history::draw(seed), &directory);
                    if outcome.violation.is_some() {
                        let mut failures = failures.lock().unwrap();
                        failures.insert(seed, outcome);
                        enough.store(failures.len() >= most, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let _ = std::fs::remove_dir_all(base);
    failures.into_inner().unwrap()
}

#[test]
fn what_is_promised_holds_in_every_seed() {
    if let Some(seed) = number("SEED") {
        let directory = scratch().join("one");
        let steps = history::draw(seed);
        let outcome = play(seed, &steps, &directory);
        if outcome.violation.is_none() {
            return print(seed, &steps, &outcome);
        }
        let (short, outcome) = match number("WHOLE") {
            Some(_) => (steps, outcome),
            None => shorten(seed, outcome, steps, &directory),
        };
        print(seed, &short, &outcome);
        panic!("seed {seed}: {}", outcome.violation.unwrap_or_default());
    }
    let (first, seeds) = (number("FIRST").unwrap_or(0), number("SEEDS").unwrap_or(SEEDS));
    let began = Instant::now();
    let mut failures = play_all(first, seeds);
    println!("{seeds} seeds from {first} in {:.1} s", began.elapsed().as_secs_f64());
    let mut kinds: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (seed, outcome) in &failures {
        kinds.entry(outcome.kind().unwrap_or_default().to_owned()).or_default().push(*seed);
    }
    for (kind, seeds) in &kinds {
        println!("{:>6} x {kind}: {:?}", seeds.len(), seeds.iter().take(12).collect::<Vec<_>>());
    }
    let count = failures.len();
    for seed in kinds.values().filter_map(|seeds| seeds.first()) {
        let Some(outcome) = failures.remove(seed) else { continue };
        let directory = scratch().join("short");
        let (short, outcome) = shorten(*seed, outcome, history::draw(*seed), &directory);
        print(*seed, &short, &outcome);
    }
    assert!(count == 0, "{count} seeds failed; SEED=n plays one of them again");
}

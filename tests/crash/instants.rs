//! Killed at random instants. `KILLS=500` asks for so many; `CRASH_SEED=n` makes the same choices again, though a busy
//! machine is at another place when the same time has passed.

use crate::aftermath::recovers;
use crate::support::Access;
use crate::worlds::World;
use std::env;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Kills where the environment asks for no number.
const USUAL_KILLS: u64 = 40;
/// Kills of one world in a row: what recovers may be killed as well.
const MOST_IN_A_ROW: u32 = 3;

type Make = fn(u64) -> World;

const WORLDS: [(&str, Make); 5] = [
    ("every verb, Okta", |_| World::of_every_verb(Access::OktaToken)),
    ("every verb, OneLogin", |_| World::of_every_verb(Access::OneLogin)),
    ("joiners, duplicates made", |_| World::of_joiners_where_duplicates_are_made()),
    ("an unreliable workspace", World::of_an_unreliable_workspace),
    ("the daemon", |_| World::of_a_daemon()),
];

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

/// How long the undisturbed run of a world takes here, roughly: it only bounds the dice.
fn length(make: Make) -> Duration {
    let mut world = make(0);
    // The daemon has no end.
    world.is_daemons = false;
    let began = Instant::now();
    world.stage.run(world.arguments());
    began.elapsed()
}

/// Starts the program and kills it after this time. True where there was still something to kill.
fn killed(world: &World, after: Duration) -> bool {
    let mut command = world.stage.home.command(world.arguments());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The instant is what is random; there is no condition to wait for.
    thread::park_timeout(after);
    let was_running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    was_running & child.wait().unwrap().code().is_none()
}

/// One world, killed one to three times. Gives the kills that met the program.
fn try_one(seed: u64, case: u64, lengths: &[Duration]) -> (u64, usize) {
    let mut dice = fastrand::Rng::with_seed(seed.wrapping_add(case));
    let index = (case % WORLDS.len() as u64) as usize;
    let (name, make) = WORLDS[index];
    let world = make(seed ^ case);
    let mut kills = 0;
    let mut delays = Vec::new();
    for _ in 0..dice.u32(1..=MOST_IN_A_ROW) {
        let after = lengths[index].mul_f64(dice.f64());
        delays.push(after);
        kills += u64::from(killed(&world, after));
    }
    let writes = world.stage.sim.writes().len();
    // What is unreliable gets reliable again, what is refused stays so.
    if world.refused.is_none() {
        world.stage.sim.faults().clear();
    }
    recovers(&world, &format!("CRASH_SEED={seed}, case {case}, {name}, killed after {delays:?}"));
    (kills, writes)
}

#[test]
fn a_kill_at_a_random_instant_is_recovered_from() {
    let wanted = number("KILLS").unwrap_or(USUAL_KILLS);
    let seed = number("CRASH_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    eprintln!("CRASH_SEED={seed}");
    let lengths: Vec<Duration> = WORLDS.iter().map(|(_, make)| length(*make)).collect();
    let (next, done, in_the_middle) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let some = || {
        while done.load(Ordering::Relaxed) < wanted {
            let (kills, writes) = try_one(seed, next.fetch_add(1, Ordering::Relaxed), &lengths);
            done.fetch_add(kills, Ordering::Relaxed);
            in_the_middle.fetch_add(u64::from(writes > 0), Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        scope.spawn(some);
        some();
    });
    let (kills, worlds) = (done.into_inner(), next.into_inner());
    let middle = in_the_middle.into_inner();
    eprintln!("{kills} kills in {worlds} worlds, in {middle} of them after the first write");
    assert!(kills >= wanted);
}

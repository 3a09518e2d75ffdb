//! Killed right before and right after each transaction that writes anything, the journal's among them.

use crate::aftermath::recovers;
use crate::support::Access;
use crate::worlds::World;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Right before a transaction's commit, and right after it.
const MOMENTS: [&str; 2] = ["before", "after"];
/// A run with every verb commits at least an intent and an outcome for each.
const AT_LEAST: u64 = 2 * 8;

/// Kills the run at this step. True where it came to that.
fn killed(world: &World, step: &str) -> bool {
    let mut command = world.stage.home.command(world.arguments());
    let output = command.env("ROSTERD_SIM_KILL", step).output().unwrap();
    let killed = output.status.signal() == Some(9);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(killed || output.status.code() == Some(3), "{step}: {}\n{errors}", output.status);
    killed
}

#[test]
fn a_kill_at_any_step_of_the_journal_is_recovered_from() {
    let next = AtomicU64::new(1);
    let sweep = || {
        let mut last = 0;
        loop {
            let step = next.fetch_add(1, Ordering::Relaxed);
            let mut fired = 0;
            for moment in MOMENTS {
                let world = World::of_every_verb(Access::OktaToken);
                let case = format!("{moment}:{step}");
                fired += u32::from(killed(&world, &case));
                recovers(&world, &case);
            }
            // The run was over before the kill: every step had its turn.
            if fired == 0 {
                return last;
            }
            last = step;
        }
    };
    let steps = thread::scope(|scope| {
        let others = scope.spawn(sweep);
        sweep().max(others.join().unwrap())
    });
    eprintln!("killed before and after each of {steps} transactions");
    assert!(steps >= AT_LEAST, "{steps} steps");
}

#[test]
fn a_kill_while_an_earlier_one_is_recovered_from_is_recovered_from_too() {
    for step in 1..=6 {
        let world = World::of_every_verb(Access::OktaToken);
        // In the middle of the first run, then at the first steps of the one that settles it.
        assert!(killed(&world, "after:12"));
        assert!(killed(&world, &format!("before:{step}")));
        recovers(&world, &format!("12, then {step}"));
    }
}

//! Killed at each request of a run, before and after the other side acts.

use crate::aftermath::{Wanted, recovers};
use crate::support::{Prey, Stage};
use crate::worlds::{World, account_by_hand, everybody};
use rosterd::sim::{Cut, DuplicateHabit, Effect, Fault, FilterHabit, Peer};

/// When the program is killed: while the workspace has the request and has not acted on it, or after it acted and
/// before it answered.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Before,
    After,
}

const MOMENTS: [Moment; 2] = [Moment::Before, Moment::After];

/// Runs the program and kills it at this request. True where it came to that.
fn killed(stage: &Stage, rule: Fault, moment: Moment) -> bool {
    let prey = Prey::default();
    let hunter = prey.clone();
    let rule = match moment {
        Moment::Before => {
            rule.then(Effect::before(move |_| hunter.kill())).then(Effect::Cut(Cut::BeforeProcessing))
        }
        Moment::After => rule.then(Effect::after(move |_| hunter.kill())).then(Effect::Cut(Cut::LostReply)),
    };
    let number = stage.sim.faults().add(rule);
    let mut child = stage.home.start(&["--reconcile-now"]);
    prey.is(&child);
    // Its report does not matter, but the pipes must not fill up.
    let output = child.stdout.take().zip(child.stderr.take());
    let status = child.wait().unwrap();
    drop(output);
    let fired = stage.sim.faults().fired(number) > 0;
    stage.sim.faults().clear();
    assert_eq!(status.code().is_none(), fired, "{status}");
    fired
}

const NAMES: [&str; 6] = ["Ann", "Ben", "Cleo", "Dan", "Eve", "Fay"];

/// Kills at each of the first `most` requests with this method, before and after the workspace acts.
fn sweep(method: &str, most: u64, prepare: impl Fn(&Stage) -> Wanted) {
    for moment in MOMENTS {
        for nth in 1..=most {
            let case = format!("{method} {nth} {moment:?}");
            let stage = Stage::new();
            let wanted = prepare(&stage);
            assert!(killed(&stage, Fault::on(Peer::Scim).method(method).nth(nth), moment), "{case}");
            recovers(&World::new(stage, wanted), &case);
        }
    }
}

#[test]
fn a_kill_among_creations_leaves_one_account_each() {
    sweep("POST", 6, |stage| {
        stage.hire_all(&NAMES);
        everybody("Engineer", &[])
    });
}

#[test]
fn a_kill_among_updates_leaves_every_value() {
    sweep("PATCH", 3, |stage| {
        let people = stage.hire_all(&NAMES);
        stage.reconcile();
        for person in &people[..3] {
            stage.sim.world().edit(*person, |person| person.title = Some("Manager".to_owned()));
        }
        let manager = (true, "Manager");
        everybody("Engineer", &[("ann", manager), ("ben", manager), ("cleo", manager)])
    });
}

#[test]
fn a_kill_among_deactivations_leaves_every_leaver_inactive() {
    sweep("PATCH", 3, |stage| {
        let people = stage.hire_all(&NAMES);
        stage.reconcile();
        people[..3].iter().for_each(|person| stage.sim.world().unassign(*person));
        let gone = (false, "Engineer");
        everybody("Engineer", &[("ann", gone), ("ben", gone), ("cleo", gone)])
    });
}

#[test]
fn a_kill_among_reactivations_leaves_everybody_back() {
    sweep("PATCH", 2, |stage| {
        let people = stage.hire_all(&NAMES);
        stage.reconcile();
        people[..2].iter().for_each(|person| stage.sim.world().unassign(*person));
        stage.reconcile();
        for person in &people[..2] {
            stage.sim.world().assign(*person);
            stage.sim.world().edit(*person, |person| person.title = Some("Returner".to_owned()));
        }
        let back = (true, "Returner");
        everybody("Engineer", &[("ann", back), ("ben", back)])
    });
}

#[test]
fn a_kill_among_adoptions_adopts_once_and_creates_nothing() {
    sweep("PATCH", 3, |stage| {
        stage.hire_all(&NAMES);
        account_by_hand(stage, "ann", true);
        account_by_hand(stage, "ben", true);
        account_by_hand(stage, "cleo", false);
        everybody("Engineer", &[])
    });
}

/// Every verb in one run.
fn every_verb(stage: &Stage) -> Wanted {
    let world = stage.sim.world();
    let people = stage.hire_all(&["Ann", "Ben", "Cleo", "Dan"]);
    stage.reconcile();
    world.unassign(people[3]);
    stage.reconcile();
    world.edit(people[0], |person| person.title = Some("Manager".to_owned()));
    world.unassign(people[1]);
    world.assign(people[3]);
    stage.hire_all(&["Eve", "Fay"]);
    account_by_hand(stage, "fay", true);
    stage.sim.clear_requests();
    everybody("Engineer", &[("ann", (true, "Manager")), ("ben", (false, "Engineer"))])
}

#[test]
fn a_kill_at_any_request_to_the_workspace_is_recovered_from() {
    for moment in MOMENTS {
        // Until the run is over before the kill: then every request had its turn.
        for nth in 1.. {
            let stage = Stage::new();
            let wanted = every_verb(&stage);
            let case = format!("request {nth} {moment:?}");
            let came_to_it = killed(&stage, Fault::on(Peer::Scim).nth(nth), moment);
            recovers(&World::new(stage, wanted), &case);
            if !came_to_it {
                assert!(nth > 5, "each of five verbs sends something");
                break;
            }
        }
    }
}

#[test]
fn a_kill_at_any_request_to_the_source_is_recovered_from() {
    for nth in 1.. {
        let stage = Stage::new();
        let wanted = every_verb(&stage);
        let came_to_it = killed(&stage, Fault::on(Peer::Okta).nth(nth), Moment::After);
        recovers(&World::new(stage, wanted), &format!("request {nth} to the source"));
        if !came_to_it {
            assert!(nth > 3, "a list, a proof and its control");
            break;
        }
    }
}

#[test]
fn a_kill_while_settling_an_earlier_crash_is_recovered_from_too() {
    let stage = Stage::new();
    stage.hire_all(&NAMES);
    assert!(killed(&stage, Fault::on(Peer::Scim).method("POST").nth(3), Moment::After));
    // The first requests of the next run read back what was open.
    assert!(killed(&stage, Fault::on(Peer::Scim).nth(1), Moment::After));
    assert!(killed(&stage, Fault::on(Peer::Scim).nth(2), Moment::Before));
    recovers(&World::new(stage, everybody("Engineer", &[])), "killed twice more");
}

#[test]
fn a_kill_is_recovered_from_at_a_workspace_that_accepts_duplicates() {
    for moment in MOMENTS {
        let stage = Stage::new();
        stage.sim.scim(|scim| {
            scim.duplicates = DuplicateHabit::Accepted;
            scim.filter = FilterHabit::Ignored;
        });
        stage.hire_all(&NAMES);
        assert!(killed(&stage, Fault::on(Peer::Scim).method("POST").nth(4), moment));
        recovers(&World::new(stage, everybody("Engineer", &[])), &format!("{moment:?}"));
    }
}

//! A pause while a run writes.

use std::time::Duration;

use crate::service::{NEVER, Service, configure_syncs, eventually, hire_many, logins, run_rows, stays};
use crate::support::Stage;

#[test]
fn no_write_goes_out_after_the_answer_to_a_pause_and_the_resume_makes_up_for_it() {
    let stage = Stage::new();
    // Four a second, so that many writes have passed everything and wait for their turn.
    let target = stage.target("").replace("60000", "240");
    configure_syncs(&stage.home, &[&format!("source = {{ {} }}\n{target}\n{NEVER}", stage.source())]);
    let people = hire_many(&stage, 40);
    let service = Service::start(&stage.home);
    eventually("it writes", || (logins(&stage).len() >= 3).then_some(()));
    stage.run(&["pause"]).exits(0);
    stays(Duration::from_secs(6), || (stage.sim.writes().len(), logins(&stage).len()));
    assert!(logins(&stage).len() < people.len());
    let rows = service.has_run(1);
    assert_eq!(rows[0].result.as_deref(), Some("ok"), "what is paused has no code of its own: {rows:?}");
    // Nobody asks for a run: the end of a pause does.
    stage.run(&["resume"]).exits(0);
    eventually("everybody is there", || (logins(&stage) == people).then_some(()));
    let rows = service.has_run(2);
    assert_eq!((rows.len(), rows[1].trigger.as_str()), (2, "schedule"), "{rows:?}");
    assert_eq!(run_rows(&stage.home.state()).len(), 2);
    service.stop();
}

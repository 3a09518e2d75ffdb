//! Time: our clock is held against both sides before anything is written.

use std::time::{Duration, SystemTime};

use rosterd::exit;
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::{Effect, Fault, Peer};

use crate::accounts::BOTH;
use crate::leavers::{approve, open_holds};
use crate::people::source_of;
use crate::support::Bench;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// One side's answers tell a time that our clock is ahead of by so much.
pub(crate) fn is_behind_us(bench: &Bench, peer: Peer, by: Duration) {
    let earlier = Effect::edit(move |reply| {
        reply.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("date"));
        reply.headers.push(("date".to_owned(), httpdate::fmt_http_date(SystemTime::now() - by)));
    });
    bench.sim.faults().add(Fault::on(peer).then(earlier));
}

/// One side's answers tell no time.
pub(crate) fn tells_no_time(bench: &Bench, peer: Peer) {
    let without = Effect::edit(|reply| reply.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("date")));
    bench.sim.faults().add(Fault::on(peer).then(without));
}

#[tokio::test]
async fn a_run_by_a_clock_that_both_sides_contradict_writes_nothing_and_says_why() {
    for (vendor, ahead) in BOTH.into_iter().zip([2 * HOUR, 30 * 24 * HOUR]) {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        bench.world().unassign(ann);
        bench.hire("dan");
        is_behind_us(&bench, source_of(vendor), ahead);
        is_behind_us(&bench, Peer::Scim, ahead);
        let ended = bench.run().await;
        ended.assert_end(exit::FAILURE, RunResult::Error);
        let notes = ended.facts.notes.join("\n");
        assert!(notes.contains("this machine's clock says"), "{notes}");
        assert!(
            notes.contains("the workspace says") && notes.contains("the identity provider says"),
            "{notes}"
        );
        assert_eq!(bench.writes(), Vec::<String>::new());
        // Nothing of it lasts.
        bench.sim.faults().clear();
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        ended.assert_line("dan", Verb::Create, Outcome::Applied);
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn both_sides_are_heard_before_writes_that_no_guard_counts() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let crowd = bench.crowd(20);
        bench.begin().await;
        crowd[..5].iter().for_each(|person| bench.world().deactivate(*person));
        assert_eq!(bench.run().await.code, exit::HELD);
        approve(&bench, &open_holds(&bench).await[0]).await;
        is_behind_us(&bench, source_of(vendor), 2 * HOUR);
        is_behind_us(&bench, Peer::Scim, 2 * HOUR);
        let ended = bench.run().await;
        ended.assert_end(exit::FAILURE, RunResult::Error);
        assert!(bench.is_active("person0@acme.example"), "nothing is written by a wrong clock");
        bench.sim.faults().clear();
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        assert!(!bench.is_active("person0@acme.example"));
    }
}

#[tokio::test]
async fn one_side_whose_clock_is_wrong_keeps_no_leaver_in_and_is_told() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let ann = bench.staff(["ann", "ben", "cleo"])[0];
        bench.begin().await;
        bench.world().unassign(ann);
        is_behind_us(&bench, Peer::Scim, 2 * HOUR);
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        assert!(ended.facts.notes.iter().any(|note| note.contains("the workspace says")), "{ended:#?}");
    }
}

//! What goes wrong at an identity provider or a workspace, and what a whole run makes of it. Each row names the pain
//! of users of neighbouring tools that it covers: section and number of the project's list.
//!
//! The scene is always the same: three people are linked, one of them has left, another one has a new title, and
//! there are joiners. A read that is wrongly believed would remove somebody or write something else.
// Tables read better as tuples than as types with a name each.
#![allow(clippy::unwrap_used, clippy::type_complexity)]

#[path = "../support/mod.rs"]
mod support;

mod okta;
mod onelogin;
mod short;
mod target;

use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::{GroupId, PersonId, SimOptions};

use support::Bench;

/// A fault of the source, and how the run must end.
pub(crate) struct Row {
    /// Section and number.
    pub(crate) pain: &'static str,
    pub(crate) what: &'static str,
    pub(crate) fault: Box<dyn Fn(&Scene)>,
    pub(crate) result: RunResult,
    /// What the message has to name: the page, the cause.
    pub(crate) words: &'static [&'static str],
}

pub(crate) fn row(
    pain: &'static str,
    what: &'static str,
    result: RunResult,
    words: &'static [&'static str],
    fault: impl Fn(&Scene) + 'static,
) -> Row {
    Row { pain, what, fault: Box::new(fault), result, words }
}

/// The scene, in pages of two.
pub(crate) struct Scene {
    pub(crate) bench: Bench,
    pub(crate) leaver: PersonId,
    /// A group without members.
    pub(crate) guests: GroupId,
}

pub(crate) async fn scene(vendor: Vendor, source: &str) -> Scene {
    scene_among(vendor, source, 0).await
}

/// The scene with so many others who are linked and stay.
pub(crate) async fn scene_among(vendor: Vendor, source: &str, others: usize) -> Scene {
    let mut options = SimOptions { seed: 11, ..SimOptions::default() };
    options.okta.page_cap = Some(2);
    options.onelogin.page_cap = 2;
    options.onelogin.users_page_cap = 2;
    let bench = Bench::with_options(vendor, options).await.source(source);
    let guests = bench.world().add_group("Guests");
    // The joiners to be stand first in every list, so that whoever is linked is on the last pages.
    let joiners = bench.crowd(4);
    joiners.iter().for_each(|joiner| bench.world().unassign(*joiner));
    (0..others).for_each(|number| {
        bench.hire(&format!("veteran{number}@acme.example"));
    });
    let [ann, ben, _] = bench.staff(["ann", "ben", "cleo"]);
    bench.begin().await;
    bench.world().unassign(ann);
    bench.world().edit(ben, |person| person.title = Some("Lead".to_owned()));
    joiners.iter().for_each(|joiner| bench.world().assign(*joiner));
    bench.sim.clear_requests();
    Scene { bench, leaver: ann, guests }
}

/// Runs every row: nothing is written, the message says where and why, and once the fault is over the very next
/// run does what was left to do.
pub(crate) async fn hold(vendor: Vendor, source: &str, rows: Vec<Row>) {
    for Row { pain, what, fault, result, words } in rows {
        let place = format!("{pain} {what} ({vendor:?})");
        let scene = scene(vendor, source).await;
        let before = scene.bench.accounts();
        fault(&scene);
        let bench = scene.bench;
        for dry in [true, false] {
            let ended = if dry { bench.dry().await } else { bench.run().await };
            assert_eq!((ended.code, ended.facts.result), (exit::SOURCE, result), "{place}: {ended:?}");
            assert!(!ended.facts.source.complete, "{place}: {ended:?}");
            let told = ended.facts.source.problem.clone().unwrap_or_default();
            for word in words {
                assert!(told.contains(word), "{place} does not say {word:?}: {told}");
            }
            assert!(ended.records.is_empty(), "{place}: {ended:?}");
        }
        assert!(bench.sim.writes().is_empty(), "{place}: {:?}", bench.writes());
        assert_eq!(bench.accounts(), before, "{place}");
    }
}

/// After the fault everything is done at once: nothing of it was taken for done.
#[tokio::test]
async fn the_scene_has_somebody_to_remove_to_change_and_to_create() {
    for vendor in [Vendor::Okta, Vendor::OneLogin] {
        let Scene { bench, leaver, .. } = scene(vendor, "").await;
        bench.world().remove_app();
        bench.run().await.assert_end(exit::SOURCE, RunResult::SourceIncomplete);
        bench.world().edit_app(|app| app.removed = false);
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
        ended.assert_line("ben", Verb::Update, Outcome::Applied);
        assert_eq!(ended.facts.summary.create, 4);
        assert!(ended.facts.source.pages >= 3, "the faults on later pages do reach them");
        assert!(bench.link(leaver).await.is_some());
    }
}

//! Lists that are complete by every mark and still do not show everybody. Nobody is removed for being left out;
//! what was read may be acted on.

use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::{Effect, Fault, Peer};

use crate::{Scene, scene_among};

/// Four joiners, ten who stay, and the two who are left out: eight pages of two at Okta.
const OTHERS: usize = 10;
const LAST_PAGE: u64 = 8;

struct Shortening {
    pain: &'static str,
    what: &'static str,
    vendor: Vendor,
    shorten: fn(&Scene),
    /// Whether so many are missing that a guard holds them before anybody is asked for.
    held: bool,
}

fn page(number: u64) -> Fault {
    let list = Fault::on(Peer::Okta).when(|path, _| path.contains("/apps/") && path.ends_with("/users"));
    list.nth(number)
}

fn hide_both(scene: &Scene) {
    for login in ["ben@acme.example", "cleo@acme.example"] {
        scene.bench.world().hide(scene.bench.world().find(login).unwrap());
    }
}

fn shortenings() -> Vec<Shortening> {
    let okta = |pain, what, shorten: fn(&Scene)| Shortening {
        pain,
        what,
        vendor: Vendor::Okta,
        shorten,
        held: false,
    };
    vec![
        okta("B25", "the last page never comes", |scene| {
            scene.bench.sim.faults().add(page(LAST_PAGE - 1).then(Effect::DropNext));
        }),
        okta("B26", "the last page lacks a row", |scene| {
            scene.bench.sim.faults().add(page(LAST_PAGE).then(Effect::DropRows(1)));
        }),
        okta("B33", "the last page is empty", |scene| {
            scene.bench.sim.faults().add(page(LAST_PAGE).then(Effect::DropRows(2)));
        }),
        okta("A4", "a narrowed admin role", hide_both),
        Shortening {
            held: true,
            ..okta("B27", "only the first page comes", |scene| {
                scene.bench.sim.faults().add(page(1).then(Effect::DropNext));
            })
        },
        Shortening {
            vendor: Vendor::OneLogin,
            ..okta("A4", "both lists leave people out and count what is left", hide_both)
        },
    ]
}

#[tokio::test]
async fn who_is_left_out_of_a_list_that_looks_complete_is_not_removed() {
    for Shortening { pain, what, vendor, shorten, held } in shortenings() {
        let scene = scene_among(vendor, "", OTHERS).await;
        shorten(&scene);
        let bench = scene.bench;
        let ended = bench.run().await;
        let place = format!("{pain} {what} ({vendor:?}): {ended:?}");
        let wrong = ended.records.iter().filter(|line| line.action == Verb::Deactivate);
        let wrong: Vec<_> = wrong.filter(|line| line.user != "ann@acme.example").collect();
        assert!(!wrong.is_empty(), "somebody was left out: {place}");
        assert!(bench.is_active("ben") && bench.is_active("cleo"), "{place}");
        if held {
            assert_eq!((ended.code, ended.facts.result), (exit::HELD, RunResult::Held), "{place}");
            assert!(wrong.iter().all(|line| line.outcome == Outcome::Held), "{place}");
            continue;
        }
        assert_eq!((ended.code, ended.facts.result), (exit::PARTIAL, RunResult::Partial), "{place}");
        assert!(wrong.iter().all(|line| line.outcome == Outcome::Deferred), "{place}");
        assert!(ended.problems().contains("list was short"), "{place}");
        assert!(!bench.is_active("ann"), "who really left is removed: {place}");
    }
}

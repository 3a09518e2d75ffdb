//! Lists that are complete by every mark and still do not show everybody. Nobody is removed for being left out;
//! what was read may be acted on.

use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::{Effect, Fault, Peer};

use crate::{Scene, scene};

type Shortening = (&'static str, &'static str, fn(&Scene));

fn okta_list() -> Fault {
    Fault::on(Peer::Okta).when(|path, _| path.contains("/apps/") && path.ends_with("/users"))
}

const SHORT_AT_OKTA: [Shortening; 4] = [
    ("B25", "only the first page comes", |scene| {
        scene.bench.sim.faults().add(okta_list().then(Effect::DropNext));
    }),
    ("B26", "each page lacks its last row", |scene| {
        scene.bench.sim.faults().add(okta_list().then(Effect::DropRows(1)));
    }),
    ("A4", "a narrowed admin role", |scene| {
        for login in ["ben@acme.example", "cleo@acme.example"] {
            scene.bench.world().hide(scene.bench.world().find(login).unwrap());
        }
    }),
    ("B27", "a server that stops at two people", |scene| {
        scene.bench.sim.faults().add(okta_list().then(Effect::DropNext));
    }),
];

const SHORT_AT_ONELOGIN: [Shortening; 1] =
    [("A4", "both lists leave people out and count what is left", |scene| {
        for login in ["ben@acme.example", "cleo@acme.example"] {
            scene.bench.world().hide(scene.bench.world().find(login).unwrap());
        }
    })];

#[tokio::test]
async fn who_is_left_out_of_a_list_that_looks_complete_is_not_removed() {
    let both = [(Vendor::Okta, &SHORT_AT_OKTA[..]), (Vendor::OneLogin, &SHORT_AT_ONELOGIN[..])];
    for (vendor, cases) in both {
        for (pain, what, shorten) in cases {
            let scene = scene(vendor, "").await;
            shorten(&scene);
            let bench = scene.bench;
            let ended = bench.run().await;
            let place = format!("{pain} {what} ({vendor:?}): {ended:?}");
            assert_eq!((ended.code, ended.facts.result), (exit::PARTIAL, RunResult::Partial), "{place}");
            assert!(bench.is_active("ben") && bench.is_active("cleo"), "{place}");
            assert!(ended.problems().contains("list was short"), "{place}");
            let wrong = ended.records.iter().filter(|line| line.action == Verb::Deactivate);
            let wrong: Vec<_> = wrong.filter(|line| line.user != "ann@acme.example").collect();
            assert!(!wrong.is_empty(), "somebody was left out: {place}");
            assert!(wrong.iter().all(|line| line.outcome == Outcome::Deferred), "{place}");
            assert!(!bench.is_active("ann"), "who really left is removed: {place}");
        }
    }
}

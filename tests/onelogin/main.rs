//! OneLogin as a source, against the simulated account.
#![cfg(feature = "sim")]
// The lint's exception for tests covers test functions only, not what they share.
#![allow(clippy::unwrap_used)]

mod alone;
mod faults;
mod person;
mod reading;
mod rights;
mod roles;
mod search;
#[path = "../source_support/mod.rs"]
mod source_support;
mod watch;

use rosterd::model::id::SourceId;
use rosterd::model::identity::{OneLoginStatus, VendorStatus};
use rosterd::sim::{Effect, Sim};
use rosterd::{config, sim};
use serde_json::json;
use source_support::{onelogin_config, sim};
use std::collections::BTreeSet;

const ACTIVE: VendorStatus = VendorStatus::OneLogin(Some(OneLoginStatus { status: 1, state: 1 }));

/// An account with 23 assigned people on pages of 10, and one who is not assigned.
async fn account() -> Sim {
    let sim = sim().await;
    sim.onelogin(|onelogin| {
        onelogin.users_page_cap = 10;
        onelogin.page_cap = 10;
    });
    sim.world().populate(23);
    sim.world().hire("not.assigned@acme.example", |_| {});
    sim
}

fn assigned(sim: &Sim) -> BTreeSet<String> {
    sim.world().assigned().into_iter().map(|person| person.onelogin_id.to_string()).collect()
}

fn id_of(sim: &Sim, login: &str) -> SourceId {
    SourceId::new(sim.world().person(sim.world().find(login).unwrap()).onelogin_id.to_string())
}

fn error(status: u16, name: &str) -> Effect {
    Effect::Answer(sim::Reply::json(status, &json!({"statusCode": status, "name": name, "message": "No"})))
}

async fn plain() -> (Sim, config::Source) {
    let sim = account().await;
    let config = onelogin_config(&sim);
    (sim, config)
}

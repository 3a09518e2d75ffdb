//! Okta as a source, against the simulated organization.
#![cfg(feature = "sim")]
// The lint's exception for tests covers test functions only, not what they share.
#![allow(clippy::unwrap_used)]

mod alone;
mod faults;
mod groups;
mod login;
mod person;
mod reading;
mod rights;
mod search;
#[path = "../source_support/mod.rs"]
mod source_support;
mod watch;

use rosterd::config;
use rosterd::model::id::SourceId;
use rosterd::sim::Sim;
use source_support::{okta_config, sim};
use std::collections::BTreeSet;

/// An organization with 23 assigned people on pages of 10, and one who is not assigned.
async fn organization() -> Sim {
    let sim = sim().await;
    sim.okta(|okta| okta.page_cap = Some(10));
    sim.world().populate(23);
    sim.world().hire("not.assigned@acme.example", |_| {});
    sim
}

fn assigned(sim: &Sim) -> BTreeSet<String> {
    sim.world().assigned().into_iter().map(|person| person.okta_id).collect()
}

fn id_of(sim: &Sim, login: &str) -> SourceId {
    SourceId::new(sim.world().person(sim.world().find(login).unwrap()).okta_id)
}

fn list_path(sim: &Sim) -> String {
    format!("/api/v1/apps/{}/users", sim.okta_app_id())
}

async fn plain() -> (Sim, config::Source) {
    let sim = organization().await;
    let config = okta_config(&sim);
    (sim, config)
}

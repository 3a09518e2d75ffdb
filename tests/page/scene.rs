//! A sync with everything on its page: people, a failed run, a hold, somebody who fails, names that mean harm, and
//! how long leavers kept their access. No expectation lives here.

use crate::stage::Stage;
use rosterd::model::time::Millis;
use rosterd::sim::{Effect, Fault, Peer, PersonId, okta_error, scim_error};

/// A name and an answer that mean harm.
pub(crate) const HARM: &str =
    "<script>document.title = 'stolen'</script><img src=x onerror=alert(1)>\u{202e}";

const NAMES: [&str; 24] = [
    "amelie", "bogdan", "chloe", "dmitri", "esra", "farah", "gustavo", "hanna", "idris", "jonna", "kofi",
    "lucia", "mateusz", "nadia", "oskar", "priya", "quentin", "rosa", "sven", "tomoko", "ursula", "viktor",
    "wanda", "yusuf",
];

/// The stage after this.
pub(crate) async fn busy() -> (Stage, Vec<PersonId>) {
    let stage = Stage::new().await;
    let people: Vec<PersonId> = NAMES.iter().map(|name| stage.hire(name)).collect();
    stage.reconcile().await;
    let refusal = okta_error(401, "E0000011", "Invalid token provided");
    stage.sim.faults().add(Fault::on(Peer::Okta).then(Effect::Answer(refusal)));
    stage.reconcile().await;
    stage.sim.faults().clear();
    stage.sim.world().unassign(people[0]);
    stage.reconcile().await;
    for title in ["Engineer", "Designer", "Analyst"] {
        stage.sim.world().edit(people[1], |person| person.title = Some(title.to_owned()));
        stage.reconcile().await;
    }
    let refusal = scim_error(400, None, &format!("title is not allowed here {HARM}"));
    stage.sim.faults().add(Fault::on(Peer::Scim).method("POST").then(Effect::Answer(refusal)));
    let zoe = stage.hire("zoe");
    stage.sim.world().edit(zoe, |person| person.last_name = Some(HARM.to_owned()));
    stage.reconcile().await;
    people[2..8].iter().for_each(|person| stage.sim.world().unassign(*person));
    stage.reconcile().await;
    let tenure = stage.store.tenure("default").await.unwrap();
    let seconds = [6, 8, 9, 11, 12, 14, 18, 21, 24, 26, 33, 41, 55, 70, 150, 420];
    let millis = seconds.map(|seconds| seconds * 1000).to_vec();
    stage.store.note_revocations(&tenure, millis, Millis::now()).await.unwrap();
    (stage, people)
}
